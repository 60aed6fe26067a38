// SPDX-License-Identifier: GPL-2.0

//! The end of what a TCP socket sends.
//!
//! C headers: [`include/net/sock.h`](srctree/include/net/sock.h),
//! [`include/net/tcp.h`](srctree/include/net/tcp.h)

use super::{
    msg::Flags,
    sock::{
        LockedSock,
        Sock, //
    }, //
};
use crate::{
    bindings,
    mm::Frag, //
};
use kernel::prelude::*;

impl Sock {
    /// Fails when nothing can be sent: with `EPIPE` after a shutdown or the end of the connection,
    /// which [`LockedSock::send_error`] turns into the connection's error if that was not reported
    /// yet; otherwise with the error that is waiting to be reported, which stays there.
    pub fn may_send(&self) -> Result {
        if self.send_is_over() {
            return Err(EPIPE);
        }
        self.error()
    }

    /// Whether nothing more may be sent: it was shut down, or the connection is gone.
    pub fn send_is_over(&self) -> bool {
        // SAFETY: The socket is valid. Anybody may set the field at any time, so it is read once.
        let shutdown = unsafe { core::ptr::read_volatile(&raw const (*self.as_raw()).sk_shutdown) };
        u32::from(shutdown) & bindings::SEND_SHUTDOWN != 0
    }
}

impl<T> LockedSock<'_, T> {
    /// Whether the socket was shut down for sending, and TCP has not sent the end yet: the owner
    /// has still something to send, as [`Ulp::shutdown`](super::ulp::Ulp::shutdown) has said.
    pub fn owes_end(&self) -> bool {
        // SAFETY: The socket is valid and locked.
        let state = unsafe {
            core::ptr::read_volatile(&raw const (*self.sock().as_raw()).__sk_common.skc_state)
        };
        self.sock().send_is_over()
            && matches!(
                u32::from(state),
                bindings::TCP_ESTABLISHED | bindings::TCP_CLOSE_WAIT
            )
    }

    /// Hands `frags` to TCP, even if its buffer is full or the socket is shut down for sending
    /// but has not sent the end yet, and without waiting. Returns how many bytes it has taken;
    /// less than all only if there is no memory.
    ///
    /// For what the socket has accepted, and would lose otherwise.
    pub fn send_pages_now(&mut self, frags: &[Frag], flags: Flags) -> Result<usize> {
        let sk = self.sock().as_raw();
        let tp = sk.cast::<bindings::tcp_sock>();
        let owes_end = self.owes_end();
        // SAFETY: The socket is valid and locked, and a `struct tcp_sock` by the type invariant of
        // `Sock`. Others read the fields at any time, so they are written with single stores. The
        // buffer may have grown in the meantime, but not to the limit set here. The other
        // direction may have come to its end. Whoever has missed the end of this one is told when
        // TCP sends it.
        unsafe {
            let sndbuf = &raw mut (*sk).sk_sndbuf;
            let lowat = &raw mut (*tp).notsent_lowat;
            let shutdown = &raw mut (*sk).sk_shutdown;
            let saved = (sndbuf.read_volatile(), lowat.read_volatile());
            let over = bindings::SEND_SHUTDOWN as u8;
            sndbuf.write_volatile(c_int::MAX);
            lowat.write_volatile(u32::MAX);
            if owes_end {
                shutdown.write_volatile(shutdown.read_volatile() & !over);
            }
            let result = self.send_pages(frags, flags.or(Flags::DONTWAIT));
            if owes_end {
                shutdown.write_volatile(shutdown.read_volatile() | over);
            }
            lowat.write_volatile(saved.1);
            sndbuf.write_volatile(saved.0);
            result
        }
    }
}
