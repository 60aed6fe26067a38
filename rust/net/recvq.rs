// SPDX-License-Identifier: GPL-2.0

//! What TCP has received, in order, and nobody has read yet.
//!
//! C headers: [`include/net/tcp.h`](srctree/include/net/tcp.h),
//! [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use super::sock::Sock;
use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    error::to_result,
    prelude::*,
    types::NotThreadSafe, //
};

/// The receive queue of a socket: a stream of bytes, in packets.
///
/// # Invariants
///
/// The lock of `sk` is held for `'a`.
pub struct RecvQueue<'a> {
    sk: &'a Sock,
    _not_send: NotThreadSafe,
}

/// A part of a packet.
pub(crate) struct Piece {
    /// The packet; valid as long as the queue is borrowed.
    pub(crate) skb: NonNull<bindings::sk_buff>,
    /// Offset in bytes of the part in the packet.
    pub(crate) offset: u32,
    /// Length in bytes.
    pub(crate) len: u32,
}

impl<'a> RecvQueue<'a> {
    /// The receive queue of `sk`.
    ///
    /// # Safety
    ///
    /// The lock of `sk` is held for `'a`.
    pub(super) unsafe fn new(sk: &'a Sock) -> Self {
        // INVARIANT: As the caller promises.
        Self {
            sk,
            _not_send: NotThreadSafe,
        }
    }

    fn raw(&self) -> *mut bindings::sock {
        self.sk.as_raw()
    }

    /// Number of bytes in the queue; up to an urgent byte, if that is not part of the stream.
    #[expect(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        // SAFETY: The socket is valid and locked.
        let inq = unsafe { bindings::knet_tcp_inq(self.raw()) };
        usize::try_from(inq).unwrap_or(0)
    }

    /// Whether the peer will not send much more until something is read.
    pub fn is_under_pressure(&self) -> bool {
        // SAFETY: The socket is valid and locked.
        unsafe { bindings::knet_tcp_under_pressure(self.raw()) }
    }

    /// Whether an urgent byte has arrived that is not part of the stream: the sender has marked it
    /// (RFC 9293 3.8.5), and this end has not set `SO_OOBINLINE`.
    pub fn has_urgent(&self) -> bool {
        let tp = self.raw().cast::<bindings::tcp_sock>();
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
    pub fn forget_urgent(&mut self) {
        let tp = self.raw().cast::<bindings::tcp_sock>();
        // SAFETY: The socket is valid and locked, and a `struct tcp_sock` by the type invariant of
        // `Sock`. Others read the field at any time, so it is written with a single store.
        unsafe {
            let behind = (*tp).urg_seq.wrapping_sub((*tp).copied_seq);
            if (*tp).urg_data != 0 && behind > c_int::MAX as u32 {
                (&raw mut (*tp).urg_data).write_volatile(0);
                bindings::knet_tcp_fast_path_check(self.raw());
            }
        }
    }

    /// Calls `f` for each part of a packet that has some of the `len` bytes from offset `at` on,
    /// in order. Data that arrived twice counts once.
    ///
    /// Fails with `EFAULT` if the queue does not have that many bytes, and as `f` does.
    pub(crate) fn for_each(
        &mut self,
        at: usize,
        len: usize,
        mut f: impl FnMut(Piece) -> Result,
    ) -> Result {
        let mut offset = 0;
        // SAFETY: The socket is valid and locked. This removes packets that were read.
        let (first, copied) = unsafe {
            let copied = bindings::knet_tcp_copied_seq(self.raw());
            (
                bindings::tcp_recv_skb(self.raw(), copied, &mut offset),
                copied,
            )
        };
        let mut next = first;
        let mut seq = copied.wrapping_add(at as u32);
        let mut left = len;
        while left > 0 {
            let skb = NonNull::new(next).ok_or(EFAULT)?;
            // SAFETY: Packets in the queue are valid as long as the lock is held.
            let (start, size) = unsafe {
                (
                    bindings::knet_tcp_skb_seq(skb.as_ptr()),
                    (*skb.as_ptr()).len,
                )
            };
            let offset = seq.wrapping_sub(start);
            if offset < size {
                let take = left.min(size.wrapping_sub(offset) as usize);
                f(Piece {
                    skb,
                    offset,
                    len: take as u32,
                })?;
                seq = seq.wrapping_add(take as u32);
                left = left.wrapping_sub(take);
            } else if offset > c_int::MAX as u32 {
                // The packet begins behind what is looked for.
                return Err(EFAULT);
            }
            // SAFETY: As above.
            next = unsafe { bindings::knet_skb_next(self.raw(), skb.as_ptr()) };
        }
        Ok(())
    }

    /// Copies the bytes from offset `at` on, which stay in the queue.
    ///
    /// Fails with `EFAULT` if there are not as many.
    pub fn peek(&mut self, at: usize, to: &mut [u8]) -> Result {
        let len = to.len();
        let mut rest = to;
        self.for_each(at, len, |piece| {
            let (now, later) = core::mem::take(&mut rest)
                .split_at_mut_checked(piece.len as usize)
                .ok_or(EFAULT)?;
            rest = later;
            // SAFETY: The packet is valid, and `now` is as long as the part of it. Offset and
            // length of a packet are ints.
            to_result(unsafe {
                bindings::skb_copy_bits(
                    piece.skb.as_ptr(),
                    piece.offset as c_int,
                    now.as_mut_ptr().cast(),
                    piece.len as c_int,
                )
            })
        })
    }

    /// Takes the first `n` bytes out of the queue, and has the peer told.
    pub fn consume(&mut self, n: usize) {
        // SAFETY: The socket is valid and locked.
        unsafe { bindings::tcp_read_done(self.raw(), n) };
    }
}
