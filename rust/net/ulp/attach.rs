// SPDX-License-Identifier: GPL-2.0

//! How a socket comes to use our tables: one half after the other, until it is closed.
//!
//! [`below`](super::below) says which lock decides.

use super::{
    attached::{
        Attached,
        Unattached, //
    },
    below::TablesLock,
    io,
    proto::Half,
    vtable::{
        attached,
        work, //
    },
    Ulp, //
};
use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Release, //
    }, //
};

/// Has the socket use the tables for its halves.
///
/// # Safety
///
/// `attached` is attached to a socket that is valid and locked, with its callback lock as well.
unsafe fn use_tables<U: Ulp>(attached: &Attached<U>) {
    // SAFETY: The socket is locked.
    let halves = unsafe { *attached.halves.get() };
    let Some((proto, ops)) = attached.set.tables(halves) else {
        return;
    };
    let sk = attached.sk.as_ptr();
    // SAFETY: The socket is valid and locked. Others read the fields at any time, so they are
    // written with single stores. The tables live as long as sockets are attached.
    unsafe {
        bindings::knet_set_prot(sk, proto.cast_mut());
        let socket = (*sk).sk_socket;
        if !socket.is_null() {
            core::ptr::write_volatile(&raw mut (*socket).ops, ops);
        }
    }
}

/// Returns whether no sockmap has the socket. Then none will: they accept no socket to which a
/// protocol is attached.
///
/// # Safety
///
/// `attached` is attached to a socket that is valid and locked.
pub(super) unsafe fn is_exclusive<U: Ulp>(attached: &Attached<U>) -> bool {
    let sk = attached.sk.as_ptr();
    // SAFETY: The socket is valid. The callback lock keeps a sockmap that is just going from being
    // missed, with what it has still to do.
    unsafe {
        bindings::knet_callback_lock(sk);
        let exclusive = bindings::knet_sk_psock(sk).is_null();
        bindings::knet_callback_unlock(sk);
        exclusive
    }
}

/// Switches on `half` of a socket.
///
/// # Safety
///
/// `attached` is attached to a socket that is valid and locked, and no sockmap has it.
pub(super) unsafe fn switch_on<U: Ulp>(attached: &Attached<U>, half: Half) {
    let sk = attached.sk.as_ptr();
    // SAFETY: The socket is valid and locked; with the callback lock in addition, the callbacks
    // may be changed.
    unsafe {
        bindings::knet_callback_lock(sk);
        *attached.halves.get() |= half as usize;
        use_tables(attached);
        match half {
            Half::Send if (*attached.write_space.get()).is_none() => {
                *attached.write_space.get() = (*sk).sk_write_space;
                (*sk).sk_write_space = Some(io::write_space::<U>);
            }
            Half::Receive if (*attached.data_ready.get()).is_none() => {
                *attached.data_ready.get() = (*sk).sk_data_ready;
                (*sk).sk_data_ready = Some(io::data_ready::<U>);
            }
            _ => (),
        }
        bindings::knet_callback_unlock(sk);
    }
}

/// # Safety
///
/// C calls this with a TCP socket that it has locked, in a task.
pub(super) unsafe extern "C" fn init<U: Ulp>(sk: *mut bindings::sock) -> c_int {
    // SAFETY: C passes a valid socket, which has its tables.
    match unsafe { try_init::<U>(sk) } {
        Ok(()) => 0,
        Err(e) => e.to_errno(),
    }
}

/// Attaches the protocol to a socket.
///
/// # Safety
///
/// `sk` is a TCP socket that this task has locked. Nothing is attached to it.
unsafe fn try_init<U: Ulp>(sk: *mut bindings::sock) -> Result {
    let sk = NonNull::new(sk).ok_or(EINVAL)?;
    // SAFETY: The socket is valid.
    let state = unsafe { (&raw const (*sk.as_ptr()).__sk_common.skc_state).read_volatile() };
    // A listening socket would have to pass its data on to those it accepts.
    if u32::from(state) != bindings::TCP_ESTABLISHED {
        return Err(ENOTCONN);
    }
    let registry = U::REGISTRY.get();
    let mut new: Option<Unattached<U>> = None;
    // What has to be allocated is, without the spinlocks; then it is looked again. That is needed
    // once for the data, and once for each of the few tables that there are.
    loop {
        // SAFETY: The socket is valid and locked.
        let lock = unsafe { TablesLock::new(sk) };
        let tables = lock.tables()?;
        match (registry.sets.find(tables), new.take()) {
            (Some(set), Some(new)) => {
                let attached = new.attach(set);
                // SAFETY: The socket is valid, and its tables are locked. Nothing is attached to
                // it, and the data is initialised. Who sees that there is a protocol sees the
                // data. The caller in C stores the same operations once more, but too late for a
                // sockmap that the socket leaves meanwhile.
                unsafe {
                    bindings::knet_set_ulp_data(sk.as_ptr(), attached.as_ptr().cast());
                    bindings::knet_set_ulp_ops(sk.as_ptr(), registry.ops());
                    use_tables(attached.as_ref());
                }
                return Ok(());
            }
            (None, kept) => {
                drop(lock);
                registry.sets.add(registry, tables)?;
                new = kept;
            }
            (Some(set), None) => {
                drop(lock);
                // SAFETY: The socket is valid until `close()` has detached the data, which has
                // disabled the work before.
                new = Some(unsafe { Unattached::new(sk, set, work::<U>) }?);
            }
        }
    }
}

/// # Safety
///
/// C calls this with a socket that was attached, with its callback lock, when it leaves a sockmap.
pub(super) unsafe extern "C" fn update<U: Ulp>(
    sk: *mut bindings::sock,
    proto: *mut bindings::proto,
    write_space: Option<unsafe extern "C" fn(*mut bindings::sock)>,
) {
    // SAFETY: The socket is valid. With the callback lock nothing is detached meanwhile.
    unsafe {
        match attached::<U>(sk) {
            // No half is on, so the callback is not ours.
            Some(attached) => attached.base.store(proto, Release),
            // It is closed: its table is the one that is below.
            None => core::ptr::write_volatile(&raw mut (*sk).__sk_common.skc_prot, proto),
        }
        (&raw mut (*sk).sk_write_space).write_volatile(write_space);
    }
}

/// Has the socket use what is below again, and detaches the data. Returns the table below.
///
/// # Safety
///
/// `attached` is attached to `sk`, which is valid, locked and being closed.
pub(super) unsafe fn detach<U: Ulp>(
    sk: *mut bindings::sock,
    attached: &Attached<U>,
) -> *mut bindings::proto {
    // SAFETY: The socket is valid and locked; with the callback lock in addition, the callbacks
    // may be changed, and a sockmap cannot take back its table meanwhile. Readers of RCU see the
    // data, or nothing.
    unsafe {
        bindings::knet_callback_lock(sk);
        bindings::knet_set_ulp_data(sk, core::ptr::null_mut());
        let base = attached.base.load(Acquire);
        core::ptr::write_volatile(&raw mut (*sk).__sk_common.skc_prot, base);
        // Somebody who came later has to put back what was there before himself.
        if let (Some(theirs), Some(saved)) = ((*sk).sk_write_space, *attached.write_space.get()) {
            if theirs as usize == io::write_space::<U> as usize {
                (*sk).sk_write_space = Some(saved);
            }
        }
        if let Some(saved) = *attached.data_ready.get() {
            (*sk).sk_data_ready = Some(saved);
        }
        bindings::knet_callback_unlock(sk);
        base
    }
}

/// # Safety
///
/// C calls this when a socket that was attached is destroyed, before the reference to our module
/// is given back.
pub(super) unsafe extern "C" fn release<U: Ulp>(sk: *mut bindings::sock) {
    // SAFETY: The socket is valid.
    if unsafe { attached::<U>(sk) }.is_none() {
        return;
    }
    // Somebody has put a table over ours and closed the socket past it. Work may be under way, and
    // it cannot be waited for here: socket, data and module have to stay.
    kernel::pr_warn_once!("a socket was not closed by its protocol, its memory is lost\n");
    // SAFETY: The socket is valid. The module has a reference, which the caller gives back.
    unsafe {
        bindings::knet_sock_hold(sk);
        bindings::knet_module_get((*U::REGISTRY.get().ops()).owner);
    }
}
