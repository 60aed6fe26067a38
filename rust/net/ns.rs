// SPDX-License-Identifier: GPL-2.0

//! Network namespaces.
//!
//! C header: [`include/net/net_namespace.h`](srctree/include/net/net_namespace.h)

use crate::bindings;
use kernel::types::Opaque;

/// A network namespace (`struct net`).
#[repr(transparent)]
pub struct Net(Opaque<bindings::net>);

// SAFETY: What can be done with a shared reference may be done from any thread.
unsafe impl Sync for Net {}

impl Net {
    /// Wraps a pointer from C.
    ///
    /// # Safety
    ///
    /// `net` is valid for `'a`.
    #[inline]
    pub(crate) unsafe fn from_raw<'a>(net: *mut bindings::net) -> &'a Self {
        // SAFETY: `Net` is a transparent wrapper; the caller promises that it is valid.
        unsafe { &*net.cast() }
    }

    #[inline]
    pub(crate) fn as_raw(&self) -> *mut bindings::net {
        self.0.get()
    }
}
