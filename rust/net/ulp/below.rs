// SPDX-License-Identifier: GPL-2.0

//! What a socket uses before a protocol is attached, and the locks that decide about it.
//!
//! A BPF sockmap puts a table of its own (`sk_prot`) over that of TCP when a socket comes into it,
//! and takes it back when the socket leaves; so does a protocol. The one that comes first is below, and
//! must not be mistaken for TCP when it goes. Who holds what meanwhile:
//!
//! | | socket's lock | its spinlock | callback lock |
//! |---|---|---|---|
//! | a system call puts the socket into a map | yes | | for parts |
//! | a BPF program puts it there | perhaps another task | yes | for parts |
//! | anybody takes it out, at any time | perhaps | perhaps | yes |
//! | `connect()`, `setsockopt()`, a protocol | yes | | |
//!
//! So a protocol is attached with all three ([`TablesLock`]): a socket is in a map or is not, but
//! is not on its way. What decides about everything later is the callback lock, with which
//! `icsk_ulp_ops` is set. From then on no map accepts the socket, and one that it leaves gives the
//! table that was below to [`update()`](super::attach::update) instead of the socket.
//!
//! C headers: [`include/linux/skmsg.h`](srctree/include/linux/skmsg.h),
//! [`include/net/sock.h`](srctree/include/net/sock.h)

use crate::bindings;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    prelude::*,
    types::NotThreadSafe, //
};

/// The tables of functions that a socket uses.
///
/// # Invariants
///
/// Both are part of the kernel's image: TCP's own, or a sockmap's over it. They are never freed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Tables {
    proto: *mut bindings::proto,
    ops: *const bindings::proto_ops,
}

impl Tables {
    /// The table of the protocol.
    pub(super) fn proto(&self) -> *mut bindings::proto {
        self.proto
    }

    /// The table, one level above, of the kind of socket.
    pub(super) fn ops(&self) -> *const bindings::proto_ops {
        self.ops
    }
}

/// The proof that tables and callbacks of a socket do not change.
///
/// # Invariants
///
/// The task owns the lock of `sk`, which is a valid TCP socket, and holds its spinlock and its
/// callback lock.
pub(super) struct TablesLock<'a> {
    sk: NonNull<bindings::sock>,
    _owner: PhantomData<&'a ()>,
    _not_send: NotThreadSafe,
}

impl TablesLock<'_> {
    /// Takes the spinlocks. Nothing sleeps as long as they are held.
    ///
    /// # Safety
    ///
    /// `sk` is a valid TCP socket, whose lock this task owns as long as the value lives.
    pub(super) unsafe fn new(sk: NonNull<bindings::sock>) -> Self {
        // SAFETY: The socket is valid. The order is that of a BPF program, which takes the
        // callback lock with the other one held.
        unsafe {
            bindings::knet_spin_lock_sock(sk.as_ptr());
            bindings::knet_callback_lock(sk.as_ptr());
        }
        // INVARIANT: The caller owns the socket's lock, and the others were taken just now.
        Self {
            sk,
            _owner: PhantomData,
            _not_send: NotThreadSafe,
        }
    }

    /// Returns the tables that the socket uses.
    ///
    /// Fails with `EBUSY` if they are not those of TCP, nor of a sockmap that changes nothing but
    /// them. Other owners of a table do not know of protocols, and would take the socket back, or
    /// close it, past us. The same is true for a sockmap that looks at what is received:
    /// when the socket leaves, it puts its table over ours once more.
    pub(super) fn tables(&self) -> Result<Tables> {
        let sk = self.sk.as_ptr();
        // SAFETY: The socket is valid by the type invariant. A sockmap's data is there as long as
        // the callback lock is held, with which it would be taken off. The two fields are written
        // with that lock only; others change at any time, so there is no reference to all of it.
        let (proto, below, ops) = unsafe {
            let socket = (*sk).sk_socket;
            if socket.is_null() {
                return Err(ENOTCONN);
            }
            let proto = (&raw const (*sk).__sk_common.skc_prot).read_volatile();
            let psock = bindings::knet_sk_psock(sk);
            let below = if psock.is_null() {
                proto
            } else if (&raw const (*psock).saved_data_ready).read().is_none() && is_sockmaps(proto)
            {
                (&raw const (*psock).sk_proto).read()
            } else {
                return Err(EBUSY);
            };
            (proto, below, (&raw const (*socket).ops).read_volatile())
        };
        if !is_tcp(below) || !is_stream(ops) {
            return Err(EBUSY);
        }
        // INVARIANT: That was checked: `proto` is `below`, or the sockmap's.
        Ok(Tables { proto, ops })
    }
}

impl Drop for TablesLock<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the locks are held.
        unsafe {
            bindings::knet_callback_unlock(self.sk.as_ptr());
            bindings::knet_spin_unlock_sock(self.sk.as_ptr());
        }
    }
}

/// Returns whether `proto` is TCP's own.
fn is_tcp(proto: *const bindings::proto) -> bool {
    #[cfg(CONFIG_IPV6)]
    if core::ptr::eq(proto, &raw const bindings::tcpv6_prot) {
        return true;
    }
    core::ptr::eq(proto, &raw const bindings::tcp_prot)
}

/// Returns whether `ops` are those of every TCP socket.
fn is_stream(ops: *const bindings::proto_ops) -> bool {
    #[cfg(CONFIG_IPV6)]
    if core::ptr::eq(ops, &raw const bindings::inet6_stream_ops) {
        return true;
    }
    core::ptr::eq(ops, &raw const bindings::inet_stream_ops)
}

/// Returns whether `proto` is a table that a sockmap has put over TCP's.
///
/// # Safety
///
/// `proto` is valid.
unsafe fn is_sockmaps(proto: *const bindings::proto) -> bool {
    #[cfg(CONFIG_BPF_SYSCALL)]
    {
        type Close = unsafe extern "C" fn(*mut bindings::sock, c_long);
        let theirs: Close = bindings::sock_map_close;
        // SAFETY: The table is valid. A sockmap may write other fields at any time, but not this.
        let close = unsafe { (&raw const (*proto).close).read() };
        close.is_some_and(|close| core::ptr::fn_addr_eq(close, theirs))
    }
    #[cfg(not(CONFIG_BPF_SYSCALL))]
    {
        let _ = proto;
        false
    }
}
