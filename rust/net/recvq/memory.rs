// SPDX-License-Identifier: GPL-2.0

//! Memory for what was received, besides that of packets.
//!
//! It counts in `tcp_mem` and in the memory cgroup, as packets do. It does not count in
//! `sk_rmem_alloc`: that would close the window, and what a record still lacks could not arrive.
//!
//! C header: [`include/net/sock.h`](srctree/include/net/sock.h)

use super::RecvQueue;
use crate::{
    bindings,
    net::sock::Charge, //
};
use kernel::prelude::*;

impl RecvQueue<'_> {
    /// Charges the socket for `n` bytes of memory. Fails with `ENOMEM` beyond the limits.
    pub fn charge(&mut self, n: usize) -> Result<Charge> {
        self.try_charge(n, false)
    }

    /// Charges the socket for `n` bytes of memory that it cannot do without, as for the first
    /// packet of its queue: the limits apply to what comes next.
    pub fn charge_always(&mut self, n: usize) -> Result<Charge> {
        self.try_charge(n, true)
    }

    fn try_charge(&mut self, n: usize, always: bool) -> Result<Charge> {
        let size = c_int::try_from(n).map_err(|_| ENOMEM)?;
        // SAFETY: The socket is valid and locked.
        unsafe {
            if !bindings::knet_sk_rmem_schedule(self.raw(), size, always) {
                return Err(ENOMEM);
            }
            bindings::knet_sk_mem_charge(self.raw(), size);
        }
        Ok(Charge(n))
    }

    /// Gives back what was charged.
    pub fn uncharge(&mut self, charge: Charge) {
        // A charge is a sum of what was charged to this socket, which is limited by an int.
        let size = c_int::try_from(charge.take()).unwrap_or(c_int::MAX);
        // SAFETY: The socket is valid and locked.
        unsafe { bindings::knet_sk_mem_uncharge(self.raw(), size) };
    }

    /// Bytes of memory that the receive queue may have (`SO_RCVBUF`).
    pub fn limit(&self) -> usize {
        // SAFETY: The socket is valid. Anybody may set the field at any time, so it is read once.
        let limit = unsafe { core::ptr::read_volatile(&raw const (*self.raw()).sk_rcvbuf) };
        usize::try_from(limit).unwrap_or(0)
    }
}
