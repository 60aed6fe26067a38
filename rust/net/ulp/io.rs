// SPDX-License-Identifier: GPL-2.0

//! What C calls for data: senders, receivers, and the callbacks of TCP.

use super::{
    attached::Handle,
    task::{
        UlpSock,
        UnlockedSock, //
    },
    vtable::attached,
    Ulp, //
};
use crate::{
    bindings,
    net::{
        msg::{
            Flags,
            RecvMsg,
            SendMsg, //
        },
        pipe::Pipe,
        reader::Reader,
        sock::{
            Guarded,
            LockedSock,
            Sock, //
        }, //
    }, //
};
use kernel::{
    prelude::*,
    sync::rcu, //
};

// Events of `include/uapi/linux/eventpoll.h`, whose definitions bindgen does not understand.
const EPOLLIN: bindings::__poll_t = 0x01;
const EPOLLERR: bindings::__poll_t = 0x08;
const EPOLLRDNORM: bindings::__poll_t = 0x40;

/// # Safety
///
/// C calls this with a socket that uses our tables, and a message for it.
pub(super) unsafe extern "C" fn sendmsg<U: Ulp>(
    sk: *mut bindings::sock,
    msg: *mut bindings::msghdr,
    _len: usize,
) -> c_int {
    // SAFETY: The socket is not closed before the call returns.
    let Some(attached) = (unsafe { attached::<U>(sk) }) else {
        return ENOTCONN.to_errno();
    };
    // SAFETY: The message is ours for the call, and as C passes it to a protocol.
    let result = unsafe { SendMsg::from_raw(msg) }.and_then(|mut msg| {
        // SAFETY: The socket is not closed before the call returns.
        U::sendmsg(&unsafe { UnlockedSock::new(attached) }, &mut msg)
    });
    to_count(result)
}

/// # Safety
///
/// C calls this with a socket that uses our tables.
pub(super) unsafe extern "C" fn splice_eof<U: Ulp>(socket: *mut bindings::socket) {
    // SAFETY: The socket is not closed before the call returns.
    if let Some(attached) = unsafe { attached::<U>((*socket).sk) } {
        // SAFETY: The socket is not closed before the call returns.
        U::splice_eof(&unsafe { UnlockedSock::new(attached) });
    }
}

/// # Safety
///
/// C calls this with a socket for which it was set as callback.
pub(super) unsafe extern "C" fn write_space<U: Ulp>(sk: *mut bindings::sock) {
    let guard = rcu::read_lock();
    // SAFETY: The socket is valid. The data is not freed before the end of the grace period.
    let saved = unsafe {
        match attached::<U>(sk) {
            Some(attached) => {
                Handle::lend(attached, |handle| U::write_space(handle));
                // It was written before this was the callback, and is not written again.
                *attached.write_space.get()
            }
            None => None,
        }
    };
    drop(guard);
    if let Some(saved) = saved {
        // SAFETY: This is the callback that was there before.
        unsafe { saved(sk) };
    }
}

/// # Safety
///
/// C calls this with a socket that uses our tables, and a message for it.
pub(super) unsafe extern "C" fn recvmsg<U: Ulp>(
    sk: *mut bindings::sock,
    msg: *mut bindings::msghdr,
    len: usize,
    flags: c_int,
) -> c_int {
    if flags as c_uint & bindings::MSG_ERRQUEUE != 0 {
        // SAFETY: The socket and the message are valid.
        return unsafe {
            bindings::sock_recv_errqueue(
                sk,
                msg,
                len as c_int,
                bindings::SOL_IP as c_int,
                bindings::IP_RECVERR as c_int,
            )
        };
    }
    // SAFETY: The socket is not closed before the call returns.
    let Some(attached) = (unsafe { attached::<U>(sk) }) else {
        return ENOTCONN.to_errno();
    };
    // SAFETY: The message is ours for the call.
    let result = unsafe { RecvMsg::from_raw(msg) }.and_then(|mut msg| {
        // SAFETY: The socket is not closed before the call returns.
        let sk = unsafe { UnlockedSock::new(attached) };
        U::recvmsg(&sk, &mut msg, Flags::from_raw(flags as c_uint))
    });
    to_count(result)
}

/// Turns a number of bytes into what C wants. C never asks for more than an int can say.
fn to_count(result: Result<usize>) -> c_int {
    match result {
        Ok(n) => c_int::try_from(n).unwrap_or(c_int::MAX),
        Err(e) => e.to_errno(),
    }
}

/// # Safety
///
/// C calls this with a socket that uses our tables, and a pipe that it has locked.
pub(super) unsafe extern "C" fn splice_read<U: Ulp>(
    socket: *mut bindings::socket,
    _pos: *mut bindings::loff_t,
    pipe: *mut bindings::pipe_inode_info,
    len: usize,
    flags: c_uint,
) -> isize {
    // SAFETY: The socket is not closed before the call returns.
    let Some(attached) = (unsafe { attached::<U>((*socket).sk) }) else {
        return ENOTCONN.to_errno() as isize;
    };
    // SAFETY: The pipe is valid and locked during the call.
    let result = unsafe { Pipe::from_raw(pipe) }.and_then(|mut pipe| {
        // SAFETY: The socket is not closed before the call returns.
        let sk = unsafe { UnlockedSock::new(attached) };
        let nonblock = flags & bindings::SPLICE_F_NONBLOCK != 0;
        U::splice_read(&sk, &mut pipe, len, nonblock)
    });
    to_count(result) as isize
}

/// # Safety
///
/// C calls this with a socket that uses our tables and that it has locked, and a function that
/// `desc` is meant for.
pub(super) unsafe extern "C" fn read_sock<U: Ulp>(
    sk: *mut bindings::sock,
    desc: *mut bindings::read_descriptor_t,
    actor: bindings::sk_read_actor_t,
) -> c_int {
    // SAFETY: The socket is not closed before the call returns.
    let Some(attached) = (unsafe { attached::<U>(sk) }) else {
        return ENOTCONN.to_errno();
    };
    // SAFETY: The socket is valid.
    if !unsafe { bindings::knet_sock_owned(sk) } || attached.head.is_away() {
        // A stream parser that was told in a callback, or while the state is in use. It has to
        // come back in a task, which it does when it is told with the lock.
        Handle::lend(attached, U::read_later);
        return 0;
    }
    // SAFETY: The socket is not closed before the call returns.
    let sock = unsafe { Sock::from_raw(sk) };
    // SAFETY: The descriptor is valid during the call, and the socket locked.
    let result = unsafe { Reader::from_raw(sock, desc, actor) }.and_then(|mut reader| {
        // SAFETY: The socket is not closed before the call returns. Its owner calls this, and no
        // reference to the state exists: none outlives a function of ours, and those that are
        // under way have called this with the socket borrowed exclusively, or were away.
        unsafe {
            let ulp = UlpSock::new(attached);
            LockedSock::with_owned(sock, attached.state(), |locked| {
                U::read_sock(&ulp, locked, &mut reader)
            })
        }
    });
    to_count(result)
}

/// # Safety
///
/// C calls this with a file of a socket that uses our tables.
pub(super) unsafe extern "C" fn poll<U: Ulp>(
    file: *mut bindings::file,
    socket: *mut bindings::socket,
    wait: *mut bindings::poll_table_struct,
) -> bindings::__poll_t {
    // SAFETY: The socket is not closed before the call returns. The protocol below gets what it
    // would have got.
    unsafe {
        let sk = (*socket).sk;
        let Some(attached) = attached::<U>(sk) else {
            return EPOLLERR;
        };
        let Some(base) = (*attached.set.below().ops()).poll else {
            return EPOLLERR;
        };
        let mask = base(file, socket, wait);
        // Whatever is left when the connection ends is the business of TCP.
        let state = core::ptr::read_volatile(&raw const (*sk).__sk_common.skc_state);
        let shutdown = core::ptr::read_volatile(&raw const (*sk).sk_shutdown);
        if u32::from(state) != bindings::TCP_ESTABLISHED
            || u32::from(shutdown) & bindings::RCV_SHUTDOWN != 0
            || U::is_readable(&attached.shared)
        {
            return mask;
        }
        mask & !(EPOLLIN | EPOLLRDNORM)
    }
}

/// # Safety
///
/// C calls this with a socket that uses our tables.
pub(super) unsafe extern "C" fn is_readable<U: Ulp>(sk: *mut bindings::sock) -> bool {
    let guard = rcu::read_lock();
    // SAFETY: The socket is valid. The data is not freed before the end of the grace period.
    let attached = unsafe { attached::<U>(sk) };
    let readable = attached.is_some_and(|attached| U::is_readable(&attached.shared));
    drop(guard);
    readable
}

/// # Safety
///
/// C calls this with a socket for which it was set as callback, and whose lock is held by this
/// CPU, or by the task that it runs in.
pub(super) unsafe extern "C" fn data_ready<U: Ulp>(sk: *mut bindings::sock) {
    let guard = rcu::read_lock();
    // SAFETY: The socket is valid. The data is not freed before the end of the grace period, and
    // its state is there as long as this is the callback, since that is changed with the lock.
    unsafe {
        if let Some(attached) = attached::<U>(sk) {
            let owned = bindings::knet_data_ready_owned(sk);
            let announce = Handle::lend(attached, |handle| {
                if owned || attached.head.is_away() {
                    // The task, perhaps another one, has a look when it is done, or the work has.
                    // If it is no task, it is this function, further up on this CPU.
                    handle.schedule(0);
                    return false;
                }
                // If the lock does not belong to a task, it is this CPU that holds it. No reference
                // to the state exists, as this is where one is made, and nothing is away.
                let mut guarded = Guarded::new(Sock::from_raw(sk), attached.state());
                U::data_ready(handle, &mut guarded)
            });
            if announce {
                attached.announce();
            }
        }
    }
    drop(guard);
}
