// SPDX-License-Identifier: GPL-2.0

//! An attached socket, as a task has it.

use super::{
    attach,
    attached::{
        Attached,
        Handle, //
    },
    proto::Half,
    Ulp, //
};
use crate::{
    bindings,
    net::{
        sock::{
            LockedSock,
            Sock, //
        },
        tls_abi::TlsContext, //
    }, //
};
use core::ops::Deref;
use kernel::prelude::*;

/// An attached socket, in a task.
///
/// # Invariants
///
/// The socket is not closed as long as the value lives.
pub struct UlpSock<'a, U: Ulp> {
    attached: &'a Attached<U>,
}

impl<'a, U: Ulp> UlpSock<'a, U> {
    /// Wraps the data of a socket.
    ///
    /// # Safety
    ///
    /// The socket is not closed for `'a`, and this is a task.
    pub(super) unsafe fn new(attached: &'a Attached<U>) -> Self {
        // INVARIANT: The caller promises that the socket is not closed for `'a`.
        Self { attached }
    }

    /// The socket.
    pub fn sock(&self) -> &'a Sock {
        // SAFETY: The socket is valid until it is closed.
        unsafe { Sock::from_raw(self.attached.sk.as_ptr()) }
    }

    /// The context.
    pub fn context(&self) -> &'a U::Context {
        // SAFETY: The socket is not closed, by the type invariant.
        unsafe { self.attached.context() }
    }

    /// What C code reads of the socket.
    pub fn abi(&self) -> &'a TlsContext {
        &self.attached.head.abi
    }

    /// The shared data.
    pub fn shared(&self) -> &'a U::Shared {
        &self.attached.shared
    }

    /// A handle that may outlive the call.
    pub fn handle(&self) -> Handle<U> {
        Handle::new(self.attached)
    }

    /// Tells receivers that there is something for them. They may call back at once.
    pub fn announce(&self, locked: &mut LockedSock<'_, U::State>) {
        // The lock must be that of this socket.
        if core::ptr::eq(locked.sock(), self.sock()) {
            // SAFETY: The socket is valid, and locked. No reference to the state exists, since
            // `locked` is borrowed exclusively.
            unsafe { self.attached.announce() };
        }
    }

    /// Has TCP send the end, which [`Ulp::shutdown`] has put off, and tells everybody.
    pub fn end(&self, locked: &mut LockedSock<'_, U::State>) {
        // The lock must be that of this socket, and nothing may be sent any more already.
        if core::ptr::eq(locked.sock(), self.sock()) && locked.owes_end() {
            let sk = self.sock().as_raw();
            // SAFETY: The socket is valid, and locked by this task. No reference to the state
            // exists, since `locked` is borrowed exclusively.
            unsafe {
                self.attached
                    .shutdown_base(bindings::SEND_SHUTDOWN as c_int);
                if let Some(state_change) = (*sk).sk_state_change {
                    state_change(sk);
                }
            }
        }
    }

    /// Tells a reader in the kernel that it may read now; it had called where it could not. It may
    /// call back at once.
    pub fn announce_to_reader(&self, locked: &mut LockedSock<'_, U::State>) {
        // The lock must be that of this socket.
        if core::ptr::eq(locked.sock(), self.sock()) {
            // SAFETY: The socket is valid, and locked by this task. No reference to the state exists,
            // since `locked` is borrowed exclusively.
            unsafe { self.attached.announce_to_reader() };
        }
    }

    /// Makes sure that the protocol has the socket for itself, now and later.
    ///
    /// Fails with `EINVAL` if a sockmap has it.
    pub fn exclusive(&self, locked: &mut LockedSock<'_, U::State>) -> Result<Exclusive<'a, U>> {
        // The lock must be that of this socket.
        if !core::ptr::eq(locked.sock(), self.sock()) {
            return Err(EINVAL);
        }
        // SAFETY: The socket is valid, locked, and attached.
        if !unsafe { attach::is_exclusive(self.attached) } {
            return Err(EINVAL);
        }
        // INVARIANT: That was just checked.
        Ok(Exclusive {
            attached: self.attached,
        })
    }
}

/// An attached socket that no sockmap has, nor ever will.
///
/// # Invariants
///
/// That is so, and the socket is not closed as long as the value lives.
pub struct Exclusive<'a, U: Ulp> {
    attached: &'a Attached<U>,
}

impl<U: Ulp> Exclusive<'_, U> {
    /// Has the protocol called for one more direction of the socket, from now on.
    pub fn switch_on(self, locked: &mut LockedSock<'_, U::State>, half: Half) -> Result {
        // The lock must be that of this socket.
        if !core::ptr::eq(locked.sock().as_raw(), self.attached.sk.as_ptr()) {
            return Err(EINVAL);
        }
        // SAFETY: The socket is valid, locked, and attached. By the type invariant no sockmap has
        // it.
        unsafe { attach::switch_on(self.attached, half) };
        Ok(())
    }
}

/// An attached socket, in a task that does not have its lock.
///
/// # Invariants
///
/// The task does not own the lock when the value is made.
pub struct UnlockedSock<'a, U: Ulp>(UlpSock<'a, U>);

impl<'a, U: Ulp> UnlockedSock<'a, U> {
    /// Wraps the data of a socket.
    ///
    /// # Safety
    ///
    /// The socket is not closed for `'a`, and this is a task that does not have its lock.
    pub(super) unsafe fn new(attached: &'a Attached<U>) -> Self {
        // SAFETY: The socket is not closed for `'a`, as the caller promises.
        let sock = unsafe { UlpSock::new(attached) };
        // INVARIANT: The caller promises that as well.
        Self(sock)
    }

    /// Takes the socket's lock.
    pub fn lock(&self) -> LockedSock<'a, U::State> {
        // SAFETY: The state is that of this socket, and only accessed through its lock.
        unsafe { LockedSock::lock(self.sock(), self.attached.state()) }
    }
}

impl<'a, U: Ulp> Deref for UnlockedSock<'a, U> {
    type Target = UlpSock<'a, U>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
