// SPDX-License-Identifier: GPL-2.0

//! Readers inside of the kernel, who take packets.
//!
//! C header: [`include/net/sock.h`](srctree/include/net/sock.h) (`sk_read_actor_t`)

use super::sock::Sock;
use crate::{
    bindings,
    mm::Frag, //
};
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr::NonNull, //
};
use kernel::{
    alloc::Flags,
    prelude::*, //
};

/// The most runs of bytes in a packet.
const RUNS: usize = 16;

/// A reader (`read_descriptor_t` and the function that goes with it).
///
/// # Invariants
///
/// * `desc` is valid for `'a`, and `actor` is the function that is meant to get it.
/// * The lock of `sk` is held for `'a`.
pub struct Reader<'a> {
    sk: &'a Sock,
    desc: NonNull<bindings::read_descriptor_t>,
    actor: ReadActor,
    _desc: PhantomData<&'a mut bindings::read_descriptor_t>,
}

type ReadActor = unsafe extern "C" fn(
    *mut bindings::read_descriptor_t,
    *mut bindings::sk_buff,
    c_uint,
    usize,
) -> c_int;

impl<'a> Reader<'a> {
    /// Wraps what C passes to `read_sock()`.
    ///
    /// # Safety
    ///
    /// `desc` is valid for `'a`, and what `actor` expects. The lock of `sk` is held for `'a`.
    pub(crate) unsafe fn from_raw(
        sk: &'a Sock,
        desc: *mut bindings::read_descriptor_t,
        actor: bindings::sk_read_actor_t,
    ) -> Result<Self> {
        // INVARIANT: The caller promises that the descriptor is valid, is what `actor` expects, and
        // that the lock is held, for `'a`.
        Ok(Self {
            sk,
            desc: NonNull::new(desc).ok_or(EINVAL)?,
            actor: actor.ok_or(EINVAL)?,
            _desc: PhantomData,
        })
    }

    /// Whether the reader wants more.
    pub fn wants_more(&self) -> bool {
        // SAFETY: The descriptor is valid by the type invariant.
        unsafe { (*self.desc.as_ptr()).count != 0 }
    }

    /// Passes the bytes of `frags` to the reader, as a packet. Returns how many it has taken. With
    /// other `flags` than `GFP_KERNEL` this does not wait for memory.
    ///
    /// The bytes may be those of others as well, so the packet is marked: who wants to write to it
    /// makes a copy first.
    pub fn feed(&mut self, frags: KVec<Frag>, flags: Flags) -> Result<usize> {
        if frags.len() > RUNS {
            return Err(EINVAL);
        }
        // SAFETY: This allocates, nothing else.
        let skb = unsafe { bindings::knet_alloc_skb(0, flags != GFP_KERNEL) };
        let skb = NonNull::new(skb).ok_or(ENOMEM)?;
        let mut len = 0usize;
        for frag in frags {
            len = len.saturating_add(frag.len());
            // The reference goes over to the packet.
            let frag = ManuallyDrop::new(frag);
            // SAFETY: The packet is ours, and has room for as many runs.
            unsafe {
                bindings::knet_skb_add_frag(
                    skb.as_ptr(),
                    frag.page(),
                    frag.offset(),
                    frag.len() as u32,
                )
            };
        }
        // SAFETY: The packet is ours.
        unsafe { bindings::knet_skb_share_frags(skb.as_ptr()) };
        let (actor, desc) = (self.actor, self.desc.as_ptr());
        // SAFETY: The packet is valid, and the reader expects one. It does not keep it. The lock is
        // held by the type invariant.
        let used = unsafe {
            let used = self.sk.call_out(|_| actor(desc, skb.as_ptr(), 0, len));
            bindings::knet_consume_skb(skb.as_ptr());
            used
        };
        if used < 0 {
            Err(Error::from_errno(used))
        } else {
            Ok(used as usize)
        }
    }
}
