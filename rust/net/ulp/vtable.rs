// SPDX-License-Identifier: GPL-2.0

//! What C calls: one function for each operation of a protocol, but for those in [`io`].
//!
//! The data of a socket is found through `icsk_ulp_data`. In calls from user space it is there:
//! the socket cannot be closed before they return, since they hold a reference to the file, or
//! belong to a kernel user, who has to keep the same order.

use super::{
    attach,
    attached::{
        Attached,
        Handle, //
    },
    io,
    task::{
        UlpSock,
        UnlockedSock, //
    },
    Ulp, //
};
use crate::{
    bindings,
    mm::without_io,
    net::{
        diag::Nest,
        sock::{
            LockedSock,
            Sock, //
        },
        sockopt::{
            to_errno,
            OptOut,
            OptVal, //
        }, //
    }, //
};
use core::ptr::NonNull;
use kernel::{
    prelude::*,
    sync::{
        atomic::Acquire,
        rcu, //
    }, //
};

/// The data of `sk`, in a call that a task makes.
///
/// # Safety
///
/// `sk` is a TCP socket that uses our tables, and is not closed for `'a`.
pub(super) unsafe fn attached<'a, U: Ulp>(sk: *mut bindings::sock) -> Option<&'a Attached<U>> {
    // SAFETY: The socket is valid. What is attached stays until the socket is closed.
    unsafe {
        bindings::knet_rcu_dereference_ulp_data(sk)
            .cast::<Attached<U>>()
            .as_ref()
    }
}

/// Overrides what every attached socket has differently.
pub(super) fn fill_base<U: Ulp>(proto: &mut bindings::proto) {
    proto.setsockopt = Some(setsockopt::<U>);
    proto.getsockopt = Some(getsockopt::<U>);
    proto.disconnect = Some(disconnect);
    proto.close = Some(close::<U>);
}

/// Overrides how a socket sends.
pub(super) fn fill_send<U: Ulp>(proto: &mut bindings::proto, ops: &mut bindings::proto_ops) {
    proto.sendmsg = Some(io::sendmsg::<U>);
    proto.splice_eof = Some(io::splice_eof::<U>);
    proto.shutdown = Some(shutdown::<U>);
    ops.splice_eof = Some(io::splice_eof::<U>);
}

/// Overrides how a socket receives.
pub(super) fn fill_receive<U: Ulp>(proto: &mut bindings::proto, ops: &mut bindings::proto_ops) {
    proto.recvmsg = Some(io::recvmsg::<U>);
    proto.sock_is_readable = Some(io::is_readable::<U>);
    ops.splice_read = Some(io::splice_read::<U>);
    ops.poll = Some(io::poll::<U>);
    ops.read_sock = Some(io::read_sock::<U>);
}

/// The structure to be registered.
pub(super) fn ulp_ops<U: Ulp>(owner: *mut bindings::module) -> bindings::tcp_ulp_ops {
    let mut ops = bindings::tcp_ulp_ops {
        init: Some(attach::init::<U>),
        update: Some(attach::update::<U>),
        release: Some(attach::release::<U>),
        get_info: Some(get_info::<U>),
        get_info_size: Some(get_info_size::<U>),
        owner,
        ..Default::default()
    };
    // The last byte stays zero, whatever the length of the name.
    let last = ops.name.len().saturating_sub(1);
    for (to, from) in ops.name.iter_mut().take(last).zip(U::NAME.to_bytes()) {
        *to = *from as c_char;
    }
    ops
}

/// # Safety
///
/// C calls this with a socket that uses our tables.
unsafe extern "C" fn setsockopt<U: Ulp>(
    sk: *mut bindings::sock,
    level: c_int,
    name: c_int,
    value: bindings::sockptr_t,
    len: c_uint,
) -> c_int {
    // SAFETY: The socket is not closed before the call returns.
    let Some(attached) = (unsafe { attached::<U>(sk) }) else {
        return ENOTCONN.to_errno();
    };
    if level != U::LEVEL {
        // SAFETY: The protocol below has the function, and gets what it would have got.
        return unsafe {
            match (*attached.base.load(Acquire)).setsockopt {
                Some(f) => f(sk, level, name, value, len),
                None => EOPNOTSUPP.to_errno(),
            }
        };
    }
    // SAFETY: C passes a pointer that is a user's, or valid for the call.
    let value = unsafe { OptVal::from_raw(value, len) };
    // SAFETY: The socket is not closed before the call returns.
    let sk = unsafe { UnlockedSock::new(attached) };
    // The task may belong to somebody who makes keys for a socket that is used by the kernel.
    to_errno(without_io(|| U::setsockopt(&sk, name, &value)))
}

/// # Safety
///
/// C calls this with a socket that uses our tables.
unsafe extern "C" fn getsockopt<U: Ulp>(
    sk: *mut bindings::sock,
    level: c_int,
    name: c_int,
    value: *mut c_char,
    len: *mut c_int,
) -> c_int {
    // SAFETY: The socket is not closed before the call returns.
    let Some(attached) = (unsafe { attached::<U>(sk) }) else {
        return ENOTCONN.to_errno();
    };
    if level != U::LEVEL {
        // SAFETY: The protocol below has the function, and gets what it would have got.
        return unsafe {
            match (*attached.base.load(Acquire)).getsockopt {
                Some(f) => f(sk, level, name, value, len),
                None => EOPNOTSUPP.to_errno(),
            }
        };
    }
    to_errno(OptOut::new(value.cast(), len.cast()).and_then(|mut out| {
        // SAFETY: The socket is not closed before the call returns.
        U::getsockopt(&unsafe { UnlockedSock::new(attached) }, name, &mut out)?;
        out.finish()
    }))
}

/// # Safety
///
/// None: the arguments are not used.
unsafe extern "C" fn disconnect(_sk: *mut bindings::sock, _flags: c_int) -> c_int {
    EOPNOTSUPP.to_errno()
}

/// # Safety
///
/// C calls this with a socket that uses our tables and that it has locked, and wakes everybody
/// afterwards.
unsafe extern "C" fn shutdown<U: Ulp>(sk: *mut bindings::sock, how: c_int) {
    // SAFETY: The socket is not closed before the call returns.
    let Some(attached) = (unsafe { attached::<U>(sk) }) else {
        return;
    };
    if how as c_uint & bindings::SEND_SHUTDOWN != 0 {
        if attached.head.is_away() {
            // The state is in use, by this task. The end is put off, for the work to send.
            Handle::lend(attached, |handle| handle.schedule(0));
            return;
        }
        // SAFETY: The socket is not closed before the call returns. Its owner calls this, and no
        // reference to the state exists: none outlives a function of ours, and those that are
        // under way have called this with the socket borrowed exclusively, or were away.
        let may_end = unsafe {
            let ulp = UlpSock::new(attached);
            LockedSock::with_owned(Sock::from_raw(sk), attached.state(), |locked| {
                U::shutdown(&ulp, locked)
            })
        };
        if !may_end {
            return;
        }
    }
    // SAFETY: The socket is valid and locked.
    unsafe { attached.shutdown_base(how) };
}

/// # Safety
///
/// C calls this with the work item of an attached socket.
pub(super) unsafe extern "C" fn work<U: Ulp>(work: *mut bindings::work_struct) {
    // All sockets share the queue, and what has to be written to free memory may be waiting for one
    // of them. Its users take care of that in their own tasks only.
    without_io(|| {
        // SAFETY: The work is disabled, and has ended, before the socket is closed.
        unsafe {
            let attached = Attached::<U>::from_work(work);
            U::work(&UnlockedSock::new(attached));
        }
    })
}

/// # Safety
///
/// C calls this once, with a socket that uses our tables, when nobody else will use it.
unsafe extern "C" fn close<U: Ulp>(sk: *mut bindings::sock, timeout: c_long) {
    // SAFETY: The socket is valid.
    let Some(attached) = (unsafe { attached::<U>(sk) }) else {
        return;
    };
    attached.disable_work();
    let base;
    {
        // SAFETY: The contents are dropped further down.
        let sock = unsafe { UnlockedSock::new(attached) };
        let mut locked = U::close(&sock);
        if !core::ptr::eq(locked.sock(), sock.sock()) {
            drop(locked);
            locked = sock.lock();
        }
        // SAFETY: The socket is valid, locked and being closed.
        base = unsafe { attach::detach(sk, attached) };
        drop(locked);
    }
    // SAFETY: The socket is closed as far as its users and its work are concerned.
    unsafe { attached.drop_contents() };
    // SAFETY: The protocol below has the function. The data is not used after its reference is
    // given back.
    unsafe {
        let registry = attached.set.registry();
        Attached::put(NonNull::from(attached));
        registry.detached();
        if let Some(f) = (*base).close {
            f(sk, timeout);
        }
    }
}

/// # Safety
///
/// C calls this with a socket that may be attached, and a message for netlink.
unsafe extern "C" fn get_info<U: Ulp>(
    sk: *mut bindings::sock,
    skb: *mut bindings::sk_buff,
    _net_admin: bool,
) -> c_int {
    // SAFETY: The message is valid, and ours for the call.
    let mut nest = match unsafe { Nest::start(skb, U::INFO) } {
        Ok(nest) => nest,
        Err(e) => return e.to_errno(),
    };
    let guard = rcu::read_lock();
    // SAFETY: The socket is valid. The data is not freed before the end of the grace period.
    let result = match unsafe { attached::<U>(sk) } {
        Some(attached) => U::info(&attached.head.abi, &mut nest),
        // It is being closed: no error, and nothing to show.
        None => return 0,
    };
    drop(guard);
    match result {
        Ok(()) => {
            nest.end();
            0
        }
        Err(e) => e.to_errno(),
    }
}

/// # Safety
///
/// None: the arguments are not used.
unsafe extern "C" fn get_info_size<U: Ulp>(_sk: *const bindings::sock, _net_admin: bool) -> usize {
    U::info_size()
}
