// SPDX-License-Identifier: GPL-2.0

//! What TCP has received, in order, and nobody has read yet.
//!
//! C headers: [`include/net/tcp.h`](srctree/include/net/tcp.h),
//! [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

mod memory;
mod runs;

use super::sock::Sock;
use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    error::to_result,
    prelude::*,
    types::NotThreadSafe, //
};

pub(crate) use runs::Run;
use runs::Runs;

/// The receive queue of a socket: a stream of bytes, in packets.
///
/// # Invariants
///
/// * The lock of `sk` is held for `'a`, so nothing else changes the queue.
/// * `near`, if there is one, is a packet in the queue.
/// * `piece`, if there is one, is a run of a packet in the queue, and begins with the byte that has
///   this sequence number.
/// * `len`, if it is known, is the number of bytes in the queue.
pub struct RecvQueue<'a> {
    sk: &'a Sock,
    /// Where something was found most recently: what is looked for next is not far behind.
    near: Option<NonNull<bindings::sk_buff>>,
    /// The run where a header was found: mostly the rest of the record is there, too.
    piece: Option<(u32, Run)>,
    len: Option<usize>,
    _not_send: NotThreadSafe,
}

/// Eight bytes at any address.
#[repr(C, packed)]
#[derive(Clone, Copy)]
struct Word(u64);

impl<'a> RecvQueue<'a> {
    /// The receive queue of `sk`.
    ///
    /// # Safety
    ///
    /// The lock of `sk` is held for `'a`.
    pub(super) unsafe fn new(sk: &'a Sock) -> Self {
        // INVARIANT: The caller promises that the lock is held for `'a`. Nothing was found yet.
        Self {
            sk,
            near: None,
            piece: None,
            len: None,
            _not_send: NotThreadSafe,
        }
    }

    #[inline]
    fn raw(&self) -> *mut bindings::sock {
        self.sk.as_raw()
    }

    #[inline]
    fn tcp(&self) -> *mut bindings::tcp_sock {
        self.raw().cast()
    }

    /// Number of bytes in the queue; up to an urgent byte, if that is not part of the stream.
    #[expect(clippy::len_without_is_empty)]
    #[inline]
    pub fn len(&mut self) -> usize {
        match self.len {
            Some(len) => len,
            None => self.ask_len(),
        }
    }

    fn ask_len(&mut self) -> usize {
        let tp = self.tcp();
        // SAFETY: The socket is valid and locked, and a `struct tcp_sock` by the type invariant of
        // `Sock`.
        let inq = unsafe {
            // Mostly all of it was just read.
            if (*tp).rcv_nxt == (*tp).copied_seq {
                0
            } else {
                bindings::knet_tcp_inq(self.raw())
            }
        };
        let len = usize::try_from(inq).unwrap_or(0);
        // INVARIANT: This is what TCP has just said.
        self.len = Some(len);
        len
    }

    /// Whether nothing has arrived behind the first `at` bytes: no data, no urgent byte, and not
    /// the end of the stream. Has to ask nobody.
    #[inline]
    pub fn ends_at(&self, at: usize) -> bool {
        let tp = self.tcp();
        // SAFETY: The socket is valid and locked, and a `struct tcp_sock` by the type invariant of
        // `Sock`.
        let (urgent, end) = unsafe { ((*tp).urg_data, (*tp).rcv_nxt) };
        urgent == 0 && end == self.seq_at(at)
    }

    /// Where the queue begins in the stream. Different after bytes were taken out, but for a
    /// multiple of 4 GiB.
    #[inline]
    pub fn begin(&self) -> u32 {
        self.seq_at(0)
    }

    /// Whether the peer will not send much more until something is read.
    pub fn is_under_pressure(&self) -> bool {
        // SAFETY: The socket is valid and locked.
        unsafe { bindings::knet_tcp_under_pressure(self.raw()) }
    }

    /// Whether the packets with the bytes from offset `at` on take up much of the receive buffer: an
    /// eighth or more.
    pub fn is_held_up(&mut self, at: usize) -> bool {
        // SAFETY: The socket is valid and locked.
        let (all, room) = unsafe {
            (
                bindings::knet_sk_rmem_alloc(self.raw()),
                (&raw const (*self.raw()).sk_rcvbuf).read_volatile(),
            )
        };
        let most = u32::try_from(room / 8).unwrap_or(0);
        if u32::try_from(all).is_ok_and(|all| all <= most) {
            return false;
        }
        let Ok((skb, _)) = self.seek(at) else {
            return false;
        };
        let mut next = skb.as_ptr();
        let mut sum = 0u32;
        while !next.is_null() && sum <= most {
            // SAFETY: Packets in the queue are valid as long as the lock is held.
            unsafe {
                sum = sum.saturating_add((*next).truesize);
                next = bindings::knet_skb_next(self.raw(), next);
            }
        }
        sum > most
    }

    /// Whether an urgent byte has arrived that is not part of the stream: the sender has marked it
    /// (RFC 9293 3.8.5), and this end has not set `SO_OOBINLINE`.
    pub fn has_urgent(&self) -> bool {
        let tp = self.tcp();
        // SAFETY: The socket is valid and locked, and a `struct tcp_sock` by the type invariant of
        // `Sock`.
        unsafe {
            if (*tp).urg_data == 0 || bindings::knet_sock_urginline(self.raw()) {
                return false;
            }
            let at = (*tp).urg_seq.wrapping_sub((*tp).copied_seq);
            at < (*tp).rcv_nxt.wrapping_sub((*tp).copied_seq)
        }
    }

    /// Takes the urgent byte out, if it comes next and is not part of the stream.
    pub fn pass_urgent(&mut self) {
        if self.has_urgent() && self.len() == 0 {
            self.consume(1);
        }
    }

    /// Forgets an urgent byte that was passed: it is not worth a `POLLPRI` any more.
    #[inline]
    pub fn forget_urgent(&mut self) {
        // SAFETY: The socket is valid and locked, and a `struct tcp_sock` by the type invariant of
        // `Sock`.
        if unsafe { (*self.tcp()).urg_data } != 0 {
            self.forget_passed_urgent();
        }
    }

    #[cold]
    fn forget_passed_urgent(&mut self) {
        let tp = self.tcp();
        // SAFETY: The socket is valid and locked, and a `struct tcp_sock` by the type invariant of
        // `Sock`. Others read the field at any time, so it is written with a single store.
        unsafe {
            let behind = (*tp).urg_seq.wrapping_sub((*tp).copied_seq);
            if behind > c_int::MAX as u32 {
                (&raw mut (*tp).urg_data).write_volatile(0);
                bindings::knet_tcp_fast_path_check(self.raw());
            }
        }
    }

    /// The packet with the byte at offset `at`, and the offset of that byte in the packet. Data
    /// that arrived twice counts once.
    ///
    /// Fails with `EFAULT` if the queue does not have it.
    fn seek(&mut self, at: usize) -> Result<(NonNull<bindings::sk_buff>, u32)> {
        let seq = self.seq_at(at);
        let mut next = match self.near {
            Some(skb) if seq.wrapping_sub(Self::seq(skb)) <= c_int::MAX as u32 => skb.as_ptr(),
            // SAFETY: The socket is valid and locked.
            _ => unsafe { bindings::knet_skb_first(self.raw()) },
        };
        loop {
            let skb = NonNull::new(next).ok_or(EFAULT)?;
            let offset = seq.wrapping_sub(Self::seq(skb));
            // SAFETY: Packets in the queue are valid as long as the lock is held.
            if offset < unsafe { (*next).len } {
                // INVARIANT: The packet was found in the queue.
                self.near = Some(skb);
                return Ok((skb, offset));
            }
            if offset > c_int::MAX as u32 {
                // The packet begins behind what is looked for.
                return Err(EFAULT);
            }
            // SAFETY: The socket is locked, and `next` is a packet in its queue.
            next = unsafe { bindings::knet_skb_next(self.raw(), next) };
        }
    }

    /// The sequence number of the byte at offset `at`.
    #[inline]
    fn seq_at(&self, at: usize) -> u32 {
        // SAFETY: The socket is valid and locked, and a `struct tcp_sock`.
        unsafe { (*self.tcp()).copied_seq }.wrapping_add(at as u32)
    }

    /// The `len` bytes from offset `at` on, if all of them are where a header was found.
    fn near_by(&self, at: usize, len: u32) -> Option<Run> {
        let (seq, run) = self.piece.as_ref()?;
        run.part(self.seq_at(at).wrapping_sub(*seq), len)
    }

    /// The sequence number of the first byte of a packet in the queue (`TCP_SKB_CB()`).
    fn seq(skb: NonNull<bindings::sk_buff>) -> u32 {
        // SAFETY: The packet is valid. TCP keeps its own data in the control block of packets
        // that are in the queue.
        unsafe { (*(&raw const (*skb.as_ptr()).cb).cast::<bindings::tcp_skb_cb>()).seq }
    }

    /// Calls `f` for each run that has some of the `len` bytes from offset `at` on, in order.
    ///
    /// Fails with `EFAULT` if the queue does not have that many bytes, with `ENOSPC` if they
    /// cannot be described as runs, or may change while they are read, and as `f` does.
    pub(crate) fn for_each_run(
        &mut self,
        mut at: usize,
        len: usize,
        mut f: impl FnMut(Run) -> Result,
    ) -> Result {
        // A queue has less than 4 GiB.
        let mut left = u32::try_from(len).map_err(|_| EFAULT)?;
        if let Some(run) = self.near_by(at, left) {
            return f(run);
        }
        while left > 0 {
            let (skb, offset) = self.seek(at)?;
            // SAFETY: Packets in the queue are valid as long as the lock is held.
            let (mut runs, size) = unsafe { (Runs::new(skb, offset), (*skb.as_ptr()).len) };
            if runs.is_shared() {
                return Err(ENOSPC);
            }
            let mut here = left.min(size.wrapping_sub(offset));
            at = at.wrapping_add(here as usize);
            left = left.wrapping_sub(here);
            while here > 0 {
                let run = runs.next(here).ok_or(ENOSPC)?;
                here = here.wrapping_sub(run.len());
                f(run)?;
            }
        }
        Ok(())
    }

    /// The 16 bytes from offset `at` on, if they are in one piece; they stay in the queue.
    pub fn peek_16(&mut self, at: usize) -> Option<[u8; 16]> {
        let run = match self.near_by(at, 16) {
            Some(run) => run,
            None => {
                let (skb, offset) = self.seek(at).ok()?;
                // SAFETY: Packets in the queue are valid as long as the lock is held.
                let mut runs = unsafe { Runs::new(skb, offset) };
                if runs.is_shared() {
                    return None;
                }
                let run = runs.next(u32::MAX)?;
                let start = run.part(0, 16);
                // INVARIANT: The run begins where the packet was looked for.
                self.piece = Some((self.seq_at(at), run));
                start?
            }
        };
        let ptr = run.address()?.cast::<Word>();
        // SAFETY: The 16 bytes are mapped. Whoever may be writing them, each is read once.
        let (low, high) = unsafe { (ptr.read_volatile().0, ptr.add(1).read_volatile().0) };
        let (low, high) = (u64::from_le(low), u64::from_le(high));
        Some((u128::from(high) << 64 | u128::from(low)).to_le_bytes())
    }

    /// Copies the bytes from offset `at` on, which stay in the queue.
    ///
    /// Fails with `EFAULT` if there are not as many.
    pub fn peek(&mut self, at: usize, to: &mut [u8]) -> Result {
        let mut at = at;
        let mut rest = to;
        while !rest.is_empty() {
            let (skb, offset) = self.seek(at)?;
            // SAFETY: The packet is valid, and longer than the offset.
            let here = unsafe { (*skb.as_ptr()).len }.wrapping_sub(offset) as usize;
            let here = here.min(rest.len());
            let (now, later) = core::mem::take(&mut rest)
                .split_at_mut_checked(here)
                .ok_or(EFAULT)?;
            // SAFETY: The packet is valid and has as many bytes as `now`. Offset and length of a
            // packet are ints.
            to_result(unsafe {
                bindings::skb_copy_bits(
                    skb.as_ptr(),
                    offset as c_int,
                    now.as_mut_ptr().cast(),
                    now.len() as c_int,
                )
            })?;
            at = at.wrapping_add(now.len());
            rest = later;
        }
        Ok(())
    }

    /// Takes the first `n` bytes out of the queue, and has the peer told.
    pub fn consume(&mut self, n: usize) {
        // INVARIANT: Packets are removed from the queue. As many bytes less are in it then; nothing
        // is added, since the lock is held.
        self.near = None;
        self.piece = None;
        self.len = self.len.and_then(|len| len.checked_sub(n));
        // SAFETY: The socket is valid, and its lock held by the type invariant.
        unsafe { self.sk.call_out(|sk| bindings::tcp_read_done(sk, n)) };
    }
}
