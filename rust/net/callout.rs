// SPDX-License-Identifier: GPL-2.0

//! Functions of others that run while a reference to a socket's data may exist.
//!
//! Three of them run so: TCP's when bytes are taken out of its queue, a reader's in the kernel
//! when it gets a packet, and the callback that tells of an error. Each can come back to the
//! socket. TCP sends an acknowledgment, for example, whose header a BPF program may write, which
//! may set `SO_RCVLOWAT`, which makes TCP call `sk_data_ready`. So it is noted in the socket that
//! such a function runs, and what enters meanwhile leaves the data alone.
//!
//! C header: [`include/net/sock.h`](srctree/include/net/sock.h)

use super::{
    sock::Sock,
    tls_abi::TlsContext, //
};
use crate::{
    bindings,
    sync::Flag, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

/// The beginning of what `icsk_ulp_data` of a [`Sock`] points to.
///
/// # Invariants
///
/// * `away` is set as long as the holder of the socket's lock is in [`Sock::call_out`]. It is only
///   accessed with that lock.
/// * `reports` is the number of tasks and callbacks that are in [`Sock::abort`].
#[repr(C)]
pub(super) struct Head {
    /// First, as C code looks for it here.
    pub(super) abi: TlsContext,
    away: Flag,
    reports: Atomic<i32>,
}

impl Head {
    /// Creates the head of a socket that is not in use yet.
    pub(super) fn new() -> Self {
        // INVARIANT: Nothing of it runs.
        Self {
            abi: TlsContext::default(),
            away: Flag::new(),
            reports: Atomic::new(0),
        }
    }

    /// Returns whether a function of others runs that was called with a reference to the socket's
    /// data, perhaps. To be asked with the socket's lock, by what C calls, before it makes a
    /// reference of its own.
    pub(super) fn is_away(&self) -> bool {
        self.away.get() || self.reports.load(Relaxed) != 0
    }
}

impl Sock {
    fn head(&self) -> Option<&Head> {
        let icsk = self.as_raw().cast::<bindings::inet_connection_sock>();
        // SAFETY: A TCP socket is a `struct inet_connection_sock`, and by the type invariant of
        // `Sock` the pointer is null, or that of a head which is valid as long as the reference to
        // the socket. It is set to null by the last one who uses the socket.
        unsafe {
            (&raw const (*icsk).icsk_ulp_data)
                .read_volatile()
                .cast::<Head>()
                .as_ref()
        }
    }

    /// Runs `f`, which may call back, though references to the socket's data may exist.
    ///
    /// # Safety
    ///
    /// The caller holds the socket's lock, as a task or in a callback, and keeps it in `f`.
    #[inline]
    pub(super) unsafe fn call_out<R>(&self, f: impl FnOnce(*mut bindings::sock) -> R) -> R {
        let Some(head) = self.head() else {
            // Whatever calls back finds no data.
            return f(self.as_raw());
        };
        // INVARIANT: The holder of the lock is in this function, once: whatever calls back leaves
        // the socket alone.
        head.away.set(true);
        let result = f(self.as_raw());
        head.away.set(false);
        result
    }

    /// Makes `err` the error of the connection and wakes all who wait for it.
    pub fn abort(&self, err: Error) {
        let head = self.head();
        // INVARIANT: One more is in this function.
        if let Some(head) = head {
            head.reports.add(1, Relaxed);
        }
        // SAFETY: The socket is valid. The field is written as C does it, and the barrier goes
        // with the one in `tcp_poll()`. What is called back enters through functions that ask
        // `Head::is_away()` before they touch the data: on this CPU, which sees its own write.
        unsafe {
            let sk = self.as_raw();
            core::ptr::write_volatile(&raw mut (*sk).sk_err, err.to_errno().wrapping_neg());
            bindings::knet_smp_wmb();
            bindings::sk_error_report(sk);
        }
        // INVARIANT: And one less.
        if let Some(head) = head {
            head.reports.fetch_add(-1, Relaxed);
        }
    }
}
