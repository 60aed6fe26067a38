// SPDX-License-Identifier: GPL-2.0

//! Memory that belongs to a socket: how it may be allocated, and what the socket is charged for.
//!
//! C header: [`include/net/sock.h`](srctree/include/net/sock.h)

use super::LockedSock;
use crate::{
    bindings,
    mm::{
        self,
        Frag,
        FragMut, //
    }, //
};
use core::ptr::NonNull;
use kernel::{
    alloc,
    page::PAGE_SIZE,
    prelude::*, //
};

/// The least that is taken from the rest of a page fragment for more than a page.
const FRAG_MIN: u32 = 32;

/// Bytes that a socket is charged for. To be given back with [`LockedSock::uncharge`] or
/// [`RecvQueue::uncharge`](crate::net::recvq::RecvQueue::uncharge): dropping it leaves the socket charged, so the kernel warns.
#[must_use = "the socket stays charged"]
pub struct Charge(pub(in crate::net) usize);

impl Charge {
    /// Nothing.
    pub const fn none() -> Self {
        Self(0)
    }

    /// Adds the bytes of `other`.
    pub fn merge(&mut self, other: Charge) {
        self.0 = self.0.wrapping_add(other.take());
    }

    /// The number of bytes, which the caller gives back, or counts elsewhere.
    pub(in crate::net) fn take(mut self) -> usize {
        core::mem::take(&mut self.0)
    }

    /// Takes `n` bytes out, or what there is.
    pub fn split(&mut self, n: usize) -> Charge {
        let n = n.min(self.0);
        self.0 = self.0.wrapping_sub(n);
        Charge(n)
    }

    /// The number of bytes.
    pub fn bytes(&self) -> usize {
        self.0
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.0 != 0 {
            // SAFETY: This writes to the log, nothing else.
            unsafe { bindings::knet_warn_charged() };
        }
    }
}

impl<T> LockedSock<'_, T> {
    /// How memory may be allocated for this socket, by all who do that with its lock: some users in
    /// the kernel must not wait for memory to be written back, as that may be what they do.
    ///
    /// They say so in `sk_allocation`, or allow it and mark the task in which they use the socket
    /// (`memalloc_nofs_save()` and the like). The work of a protocol, and who sets its options, is
    /// marked as well.
    pub fn alloc_flags(&self) -> alloc::Flags {
        // SAFETY: The socket is valid.
        if unsafe { (*self.raw()).sk_allocation } == bindings::KNET_GFP_KERNEL {
            GFP_KERNEL
        } else {
            GFP_ATOMIC
        }
    }

    /// Charges the socket for `n` bytes of memory. Fails with `ENOMEM` when it has too much.
    pub fn charge(&mut self, n: usize) -> Result<Charge> {
        let size = c_int::try_from(n).map_err(|_| ENOMEM)?;
        // SAFETY: The socket is valid and locked.
        unsafe {
            if !bindings::knet_sk_wmem_schedule(self.raw(), size) {
                return Err(ENOMEM);
            }
            bindings::knet_sk_mem_charge(self.raw(), size);
        }
        Ok(Charge(n))
    }

    /// Gives back what was charged.
    pub fn uncharge(&mut self, charge: Charge) {
        // A charge is a sum of what `charge()` has returned for this socket's memory, which is
        // limited by an int.
        let size = c_int::try_from(charge.take()).unwrap_or(c_int::MAX);
        // SAFETY: The socket is valid and locked.
        unsafe { bindings::knet_sk_mem_uncharge(self.raw(), size) };
    }

    /// Allocates up to `len` bytes for data to be sent; in one piece if it is no more than a page,
    /// and at least 32 bytes if more are wanted.
    ///
    /// Fails with `ENOMEM`, having told the socket to use less.
    pub fn alloc_frag(&mut self, len: usize) -> Result<FragMut> {
        let want = len.clamp(1, c_int::MAX as usize) as u32;
        // SAFETY: The socket is valid and locked, and this is a task, so the page fragment is
        // ours until the function returns.
        unsafe {
            let frag = bindings::knet_sk_page_frag(self.raw());
            let least = if want as usize <= PAGE_SIZE {
                want
            } else {
                FRAG_MIN
            };
            if (*frag).size.wrapping_sub((*frag).offset) < least {
                mm::refill(frag, false);
            }
            if !bindings::sk_page_frag_refill(self.raw(), frag)
                || ((*frag).size.wrapping_sub((*frag).offset) < least
                    && !bindings::skb_page_frag_refill(least, frag, (*self.raw()).sk_allocation))
            {
                return Err(ENOMEM);
            }
            let room = (*frag).size.wrapping_sub((*frag).offset);
            cut(frag, want.min(room)).ok_or(ENOMEM)
        }
    }

    /// Allocates `len` bytes as [`LockedSock::alloc_frag`] does, but in one piece, or not at all.
    pub fn alloc_run(&mut self, len: usize) -> Option<FragMut> {
        // SAFETY: The socket is valid and locked, and this is a task, so the page fragment is ours
        // until the function returns. It has room for what is cut off.
        unsafe {
            let frag = bindings::knet_sk_page_frag(self.raw());
            let room = || (*frag).size.wrapping_sub((*frag).offset) as usize;
            if room() < len && len > PAGE_SIZE {
                // The rest is not worth two runs, unless it is not to be replaced for nothing.
                mm::refill(frag, true);
            }
            if room() >= len {
                return cut(frag, len as u32);
            }
        }
        if len > PAGE_SIZE {
            return None;
        }
        self.alloc_frag(len).ok()
    }

    /// Makes `frag` longer by up to `len` bytes, if the bytes behind it are still to be had.
    /// Returns by how many.
    pub fn extend_frag(&mut self, frag: &mut FragMut, len: usize) -> usize {
        // SAFETY: The socket is valid and locked, and this is a task, so the page fragment is ours
        // until the function returns. Its bytes from `offset` on were not given out yet, and `frag`
        // ends there, in the same page.
        unsafe {
            let pool = bindings::knet_sk_page_frag(self.raw());
            let end = frag.frag().offset().wrapping_add(frag.len() as u32);
            if (*pool).page != frag.frag().page() || (*pool).offset != end {
                return 0;
            }
            let room = (*pool).size.wrapping_sub(end) as usize;
            let take = len.min(room) as u32;
            frag.extend(take);
            (*pool).offset = end.wrapping_add(take);
            take as usize
        }
    }
}

/// Takes the next `len` bytes of a page fragment.
///
/// # Safety
///
/// `frag` is valid, not used by anybody else, managed by `skb_page_frag_refill()`, and has so
/// many bytes left, at least one.
unsafe fn cut(frag: *mut bindings::page_frag, len: u32) -> Option<FragMut> {
    // SAFETY: The caller promises that the page fragment is valid, used here only, and has the
    // bytes. Those before `offset` are given out, and only once; pages for it are never in high
    // memory. The new reference to the page belongs to the new value.
    unsafe {
        let frag = &mut *frag;
        let page = NonNull::new(frag.page)?;
        let offset = frag.offset;
        bindings::knet_get_page(frag.page);
        frag.offset = offset.wrapping_add(len);
        FragMut::from_frag(Frag::from_raw(page, offset, len))
    }
}
