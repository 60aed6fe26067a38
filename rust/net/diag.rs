// SPDX-License-Identifier: GPL-2.0

//! Netlink attributes, for what `ss -i` shows of a socket.
//!
//! C header: [`include/net/netlink.h`](srctree/include/net/netlink.h)

use crate::bindings;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    error::to_result,
    prelude::*, //
};

/// A set of nested attributes that is being written. Dropped before [`Nest::end`], it leaves no
/// trace in the message.
///
/// # Invariants
///
/// `skb` is a netlink message, valid and ours for `'a`; `start` is an attribute in it.
pub struct Nest<'a> {
    skb: NonNull<bindings::sk_buff>,
    start: NonNull<bindings::nlattr>,
    _skb: PhantomData<&'a mut bindings::sk_buff>,
}

impl Nest<'_> {
    /// Begins an attribute `kind` in the message `skb`. Fails with `EMSGSIZE` if it is full.
    ///
    /// # Safety
    ///
    /// `skb` is a netlink message that is valid, and nobody else's, for the lifetime of the value.
    pub(crate) unsafe fn start(skb: *mut bindings::sk_buff, kind: u16) -> Result<Self> {
        let skb = NonNull::new(skb).ok_or(EINVAL)?;
        // SAFETY: The caller promises that the message is valid.
        let start =
            unsafe { bindings::knet_nla_nest_start_noflag(skb.as_ptr(), c_int::from(kind)) };
        // INVARIANT: The attribute was begun just now.
        Ok(Self {
            skb,
            start: NonNull::new(start).ok_or(EMSGSIZE)?,
            _skb: PhantomData,
        })
    }

    /// Adds a number of 16 bits.
    pub fn put_u16(&mut self, kind: u16, value: u16) -> Result {
        self.put(kind, &value.to_ne_bytes())
    }

    /// Adds an attribute without a value.
    pub fn put_flag(&mut self, kind: u16) -> Result {
        self.put(kind, &[])
    }

    fn put(&mut self, kind: u16, value: &[u8]) -> Result {
        // SAFETY: The message is valid by the type invariants, and `value` for its length.
        to_result(unsafe {
            bindings::nla_put(
                self.skb.as_ptr(),
                c_int::from(kind),
                value.len() as c_int,
                value.as_ptr().cast(),
            )
        })
    }

    /// Completes the attribute.
    pub fn end(self) {
        let this = core::mem::ManuallyDrop::new(self);
        // SAFETY: Both are valid by the type invariants.
        unsafe { bindings::knet_nla_nest_end(this.skb.as_ptr(), this.start.as_ptr()) };
    }
}

impl Drop for Nest<'_> {
    fn drop(&mut self) {
        // SAFETY: Both are valid by the type invariants.
        unsafe { bindings::knet_nla_nest_cancel(self.skb.as_ptr(), self.start.as_ptr()) };
    }
}

/// Bytes that an attribute with `payload` bytes takes up in a message.
pub fn attribute_size(payload: usize) -> usize {
    let align = (bindings::NLA_ALIGNTO as usize).wrapping_sub(1);
    payload
        .saturating_add(size_of::<bindings::nlattr>())
        .saturating_add(align)
        & !align
}
