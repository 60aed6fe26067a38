// SPDX-License-Identifier: GPL-2.0

//! TCP sockets.
//!
//! C headers: [`include/net/sock.h`](srctree/include/net/sock.h),
//! [`include/net/tcp.h`](srctree/include/net/tcp.h)

mod memory;

use super::{
    msg::Flags,
    ns::Net,
    recvq::RecvQueue, //
};
use crate::{
    bindings,
    mm::Frag,
    sync::{
        Flag,
        WaitQueue, //
    }, //
};
use core::{
    cell::UnsafeCell,
    mem::{
        ManuallyDrop,
        MaybeUninit, //
    }, //
};
use kernel::{
    prelude::*,
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};

pub use memory::Charge;

/// A TCP socket (`struct sock`). Its lock is not held, as far as this type knows.
///
/// # Invariants
///
/// * The socket is a TCP one, so that it is a `struct tcp_sock`.
/// * What `icsk_ulp_data` points to, if anything, begins with a [`Head`](super::callout::Head).
#[repr(transparent)]
pub struct Sock(Opaque<bindings::sock>);

// SAFETY: What can be done with a shared reference may be done from any thread.
unsafe impl Sync for Sock {}

impl Sock {
    /// Wraps a pointer from C.
    ///
    /// # Safety
    ///
    /// `sk` is a TCP socket that is valid for `'a`. A protocol of this crate is attached to it,
    /// whose data is not freed before the end of `'a`.
    #[inline]
    pub(crate) unsafe fn from_raw<'a>(sk: *mut bindings::sock) -> &'a Self {
        // SAFETY: `Sock` is a transparent wrapper; the caller promises that it is valid.
        unsafe { &*sk.cast() }
    }

    pub(crate) fn as_raw(&self) -> *mut bindings::sock {
        self.0.get()
    }

    /// The network namespace that the socket is in.
    #[inline]
    pub fn net(&self) -> &Net {
        // SAFETY: The socket is valid, and keeps its namespace.
        unsafe { Net::from_raw(bindings::knet_sock_net(self.as_raw())) }
    }

    /// The error that is waiting to be reported, which stays there.
    pub fn error(&self) -> Result {
        // SAFETY: The socket is valid. Anybody may set the field at any time, so it is read once.
        let err = unsafe { core::ptr::read_volatile(&raw const (*self.as_raw()).sk_err) };
        if err == 0 {
            Ok(())
        } else {
            Err(Error::from_errno(err.wrapping_neg()))
        }
    }
}

/// The proof that a socket's lock is held, by this task or, in a callback, by this CPU. Whoever
/// has it must not sleep.
///
/// # Invariants
///
/// The lock of `sk` is held for `'a`, and `data` is only accessed by its holder.
pub struct Guarded<'a, T> {
    sk: &'a Sock,
    data: &'a UnsafeCell<T>,
    _not_send: NotThreadSafe,
}

impl<'a, T> Guarded<'a, T> {
    /// Wraps a socket in a callback.
    ///
    /// # Safety
    ///
    /// The lock of `sk` is held for `'a`, `data` is only accessed by its holder, and no reference
    /// to it exists.
    pub(crate) unsafe fn new(sk: &'a Sock, data: &'a UnsafeCell<T>) -> Self {
        // INVARIANT: The caller promises that the lock is held for `'a`, and that its holder alone
        // accesses the data.
        Self {
            sk,
            data,
            _not_send: NotThreadSafe,
        }
    }

    /// The socket.
    pub fn sock(&self) -> &'a Sock {
        self.sk
    }

    /// The data that the lock protects.
    pub fn data(&mut self) -> &mut T {
        // SAFETY: By the type invariant the lock is held, and `self` is borrowed exclusively.
        unsafe { &mut *self.data.get() }
    }

    /// The data, and what TCP has received.
    pub fn parts(&mut self) -> (&mut T, RecvQueue<'_>) {
        // SAFETY: By the type invariant the lock is held, and `self` is borrowed exclusively. What
        // is done with the queue can make TCP call back, but says so in the socket, and then no
        // callback makes another reference.
        let data = unsafe { &mut *self.data.get() };
        // SAFETY: The lock is held as long as `self` is borrowed.
        (data, unsafe { RecvQueue::new(self.sk) })
    }
}

/// Time that is left to wait, in jiffies.
pub struct Timeout(c_long);

impl Timeout {
    /// Whether there is none.
    pub fn is_over(&self) -> bool {
        self.0 == 0
    }
}

/// The proof that this task owns a socket's lock, and the way to the data that the lock protects.
///
/// # Invariants
///
/// * This task owns the lock of `sk` from the beginning to the end of the value's life, but for
///   the time that a method with an exclusive reference gives it up.
/// * `data` is only accessed by the owner of the lock.
pub struct LockedSock<'a, T> {
    sk: &'a Sock,
    data: &'a UnsafeCell<T>,
    _not_send: NotThreadSafe,
}

impl<'a, T> LockedSock<'a, T> {
    /// Takes the lock of `sk`. Sleeps until nobody has it.
    ///
    /// # Safety
    ///
    /// `data` is only ever accessed by the owner of the lock of `sk`.
    pub(crate) unsafe fn lock(sk: &'a Sock, data: &'a UnsafeCell<T>) -> Self {
        // SAFETY: The socket is valid.
        unsafe { bindings::knet_lock_sock(sk.as_raw()) };
        // INVARIANT: The lock was taken just now, and is released when the value is dropped.
        Self {
            sk,
            data,
            _not_send: NotThreadSafe,
        }
    }

    /// The socket.
    pub fn sock(&self) -> &'a Sock {
        self.sk
    }

    /// The data that the lock protects.
    pub fn data(&mut self) -> &mut T {
        // SAFETY: By the type invariants this task owns the lock. Methods that give it up need
        // `self` exclusively, so no reference outlives the ownership.
        unsafe { &mut *self.data.get() }
    }

    /// The data, and what TCP has received.
    pub fn parts(&mut self) -> (&mut T, RecvQueue<'_>) {
        // SAFETY: By the type invariants this task owns the lock, and `self` is borrowed
        // exclusively. What is done with the queue can make TCP call back, but says so in the
        // socket, and then no callback makes another reference.
        let data = unsafe { &mut *self.data.get() };
        // SAFETY: This task owns the lock as long as `self` is borrowed.
        (data, unsafe { RecvQueue::new(self.sk) })
    }

    /// The same proof, for what must not sleep.
    pub fn guarded(&mut self) -> Guarded<'_, T> {
        // SAFETY: By the type invariants this task owns the lock, until `self` can be used again.
        unsafe { Guarded::new(self.sk, self.data) }
    }

    /// Runs `f` with the lock that this task owns already, and leaves it to its owner.
    ///
    /// # Safety
    ///
    /// This task owns the lock of `sk`. `data` is only accessed by its owner, and no reference to
    /// it exists.
    pub(crate) unsafe fn with_owned<R>(
        sk: &'a Sock,
        data: &'a UnsafeCell<T>,
        f: impl FnOnce(&mut Self) -> R,
    ) -> R {
        // INVARIANT: The caller promises that this task owns the lock, and that `data` is accessed
        // by its owner alone. The lock is not released, since the value is not dropped.
        let mut this = ManuallyDrop::new(Self {
            sk,
            data,
            _not_send: NotThreadSafe,
        });
        f(&mut this)
    }

    fn raw(&self) -> *mut bindings::sock {
        self.sk.as_raw()
    }

    /// Whether the send buffer has room for another `ahead` bytes that TCP does not know of yet:
    /// in `SO_SNDBUF`, and in `TCP_NOTSENT_LOWAT`.
    pub fn has_room(&self, ahead: usize) -> bool {
        let sk = self.raw();
        let tp = sk.cast::<bindings::tcp_sock>();
        // SAFETY: The socket is valid and locked, and a `struct tcp_sock` by the type invariant of
        // `Sock`.
        unsafe {
            let room = (*sk).sk_sndbuf.wrapping_sub((*sk).sk_wmem_queued);
            let notsent = (*tp).write_seq.wrapping_sub((*tp).snd_nxt) as usize;
            usize::try_from(room).is_ok_and(|room| ahead < room)
                && notsent.saturating_add(ahead) < bindings::knet_tcp_notsent_lowat(sk) as usize
        }
    }

    /// How many of the next `ahead` bytes fill packets, behind those that TCP has not sent yet: no
    /// more than `most`, or one packet. What follows them would be a small packet, which TCP sends
    /// alone, or keeps (RFC 896).
    pub fn whole_packets(&self, ahead: usize, most: usize) -> usize {
        let mss = self.segment_len();
        let len = ahead.min(most.max(mss));
        let rest = self
            .unsent()
            .saturating_add(len)
            .checked_rem(mss)
            .unwrap_or(0);
        len.saturating_sub(rest)
    }

    /// Bytes that TCP has not sent yet.
    pub fn unsent(&self) -> usize {
        let tp = self.raw().cast::<bindings::tcp_sock>();
        // SAFETY: The socket is valid and locked, and a `struct tcp_sock` by the type invariant of
        // `Sock`.
        unsafe { (*tp).write_seq.wrapping_sub((*tp).snd_nxt) as usize }
    }

    /// The most bytes in a segment.
    pub fn segment_len(&self) -> usize {
        let tp = self.raw().cast::<bindings::tcp_sock>();
        // SAFETY: The socket is valid and locked, and a `struct tcp_sock` by the type invariant of
        // `Sock`.
        unsafe { (*tp).mss_cache as usize }
    }

    /// Whether TCP keeps a packet that is not full until small ones before it have arrived (no
    /// `TCP_NODELAY`).
    pub fn keeps_small_packets(&self) -> bool {
        let tp = self.raw().cast::<bindings::tcp_sock>();
        // SAFETY: The socket is valid and locked, and a `struct tcp_sock` by the type invariant of
        // `Sock`.
        unsafe { bindings::tcp_sock::nonagle_raw(tp) == 0 }
    }

    /// Whether TCP has nothing to send, and nothing on the way.
    pub fn is_idle(&self) -> bool {
        // SAFETY: The socket is valid and locked.
        unsafe { bindings::knet_tcp_queues_empty(self.raw()) }
    }

    /// How long a sender may wait: not at all, or as `SO_SNDTIMEO` says.
    pub fn send_timeout(&self, flags: Flags) -> Timeout {
        // SAFETY: The socket is valid.
        Timeout(unsafe { bindings::knet_sock_sndtimeo(self.raw(), flags.any(Flags::DONTWAIT)) })
    }

    /// Gives up the lock until there is memory to send with, or a while if there is some already.
    ///
    /// Fails with `EAGAIN` when the time is over, with `EINTR` or `ERESTARTSYS` when a signal
    /// comes, and with `EPIPE` when nothing can be sent any more.
    pub fn wait_memory(&mut self, timeout: &mut Timeout) -> Result {
        // SAFETY: The socket is valid and locked. It is not locked while this sleeps, and no
        // reference to the data exists, since `self` is borrowed exclusively.
        kernel::error::to_result(unsafe {
            bindings::sk_stream_wait_memory(self.raw(), &mut timeout.0)
        })
    }

    /// Has the socket's owner told when there is room to send again.
    pub fn want_room(&self) {
        // SAFETY: The socket is valid and locked, so it has a `struct socket`, or none.
        unsafe { bindings::knet_sk_set_nospace(self.raw()) };
    }

    /// Hands `frags` to TCP, which takes references to their pages. Returns how many bytes it has
    /// taken; less than all if it may not wait, or is interrupted.
    ///
    /// The bytes must not change any more: a receiver on this machine may take them from where
    /// they are. If they do, it may receive something else.
    ///
    /// The lock is given up while TCP waits for room.
    pub fn send_pages(&mut self, frags: &[Frag], flags: Flags) -> Result<usize> {
        self.send_part(frags, usize::MAX, flags)
    }

    /// Hands the first `most` bytes of `frags` to TCP. Otherwise as [`LockedSock::send_pages`].
    pub fn send_part(&mut self, frags: &[Frag], most: usize, flags: Flags) -> Result<usize> {
        let len = frags
            .iter()
            .fold(0usize, |sum, frag| sum.saturating_add(frag.len()))
            .min(most);
        // SAFETY: The structure consists of numbers, pointers and unions of them.
        let mut msg: bindings::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        msg.msg_flags = flags
            .or(Flags::SPLICE_PAGES)
            .or(Flags::NO_SHARED_FRAGS)
            .as_raw();
        // SAFETY: The socket is valid and locked. A slice of `Frag` is an array of
        // `struct bio_vec`, which `frags` keeps valid while TCP reads it. No reference to the data
        // exists, since `self` is borrowed exclusively.
        let ret = unsafe {
            bindings::iov_iter_bvec(
                &mut msg.msg_iter,
                bindings::ITER_SOURCE,
                frags.as_ptr().cast(),
                frags.len(),
                len,
            );
            bindings::tcp_sendmsg_locked(self.raw(), &mut msg, len)
        };
        if ret < 0 {
            Err(Error::from_errno(ret))
        } else {
            Ok(ret as usize)
        }
    }

    /// How long a receiver may wait: not at all, or as `SO_RCVTIMEO` says.
    pub fn receive_timeout(&self, nonblock: bool) -> Timeout {
        // SAFETY: The socket is valid.
        Timeout(unsafe { bindings::knet_sock_rcvtimeo(self.raw(), nonblock) })
    }

    /// How many bytes a receiver waits for that asks for `len`: `SO_RCVLOWAT`, or all.
    pub fn receive_target(&self, all: bool, len: usize) -> usize {
        let len = c_int::try_from(len).unwrap_or(c_int::MAX);
        // SAFETY: The socket is valid.
        let target = unsafe { bindings::knet_sock_rcvlowat(self.raw(), all.into(), len) };
        usize::try_from(target).unwrap_or(0)
    }

    /// Gives up the lock until `flag` is set and receivers are told.
    ///
    /// Returns early for any other reason as well; callers look again. Fails with `EPIPE` if the
    /// socket was disconnected, and with `EINTR` or `ERESTARTSYS` when a signal comes.
    pub fn wait_data(&mut self, flag: &Flag, timeout: &mut Timeout) -> Result {
        // SAFETY: The socket is valid and locked, and has its queue as long as it has users. No
        // reference to the data exists, since `self` is borrowed exclusively.
        let ret =
            unsafe { bindings::knet_sk_wait_data_flag(self.raw(), &mut timeout.0, flag.as_ptr()) };
        self.waited(ret, timeout)
    }

    /// Gives up the lock until `flag` is cleared and `queue` is woken. Otherwise as
    /// [`LockedSock::wait_data`].
    pub fn wait_clear(&mut self, queue: &WaitQueue, flag: &Flag, timeout: &mut Timeout) -> Result {
        // SAFETY: The socket is valid and locked. No reference to the data exists.
        let ret = unsafe {
            bindings::knet_sk_wait_flag(
                self.raw(),
                queue.as_raw(),
                &mut timeout.0,
                flag.as_ptr(),
                false,
            )
        };
        self.waited(ret, timeout)
    }

    fn waited(&self, ret: c_int, timeout: &Timeout) -> Result {
        self.check_signal(timeout)?;
        kernel::error::to_result(ret.min(0))
    }

    /// Fails when there is a signal: with `ERESTARTSYS` if `timeout` is no limit, or with `EINTR`.
    pub fn check_signal(&self, timeout: &Timeout) -> Result {
        // SAFETY: Both look at the current task, or at a number.
        unsafe {
            if bindings::knet_signal_pending() {
                return Err(Error::from_errno(bindings::knet_sock_intr_errno(timeout.0)));
            }
        }
        Ok(())
    }

    /// Has packets processed that arrived while the lock was held. Returns whether it was given
    /// up for that.
    pub fn flush_backlog(&mut self) -> bool {
        // SAFETY: The socket is valid and locked. No reference to the data exists.
        unsafe { bindings::knet_sk_flush_backlog(self.raw()) }
    }

    /// The error of the connection, which is reported by this.
    pub fn take_error(&mut self) -> Result {
        // SAFETY: The socket is valid.
        kernel::error::to_result(unsafe { bindings::knet_sock_error(self.raw()) })
    }

    /// Whether nothing more will be received.
    pub fn receive_is_over(&self) -> bool {
        // SAFETY: The socket is valid and locked.
        unsafe {
            u32::from((*self.raw()).sk_shutdown) & bindings::RCV_SHUTDOWN != 0
                || bindings::knet_sock_done(self.raw())
        }
    }

    /// What a failed send has to return: for `EPIPE` the error of the connection, if there is
    /// one, and otherwise `SIGPIPE` for the sender as well.
    pub fn send_error(&self, flags: Flags, err: Error) -> Error {
        // SAFETY: The socket is valid.
        Error::from_errno(unsafe {
            bindings::sk_stream_error(self.raw(), flags.as_raw() as c_int, err.to_errno())
        })
    }
}

impl<T> Drop for LockedSock<'_, T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants this task owns the lock.
        unsafe { bindings::release_sock(self.raw()) };
    }
}
