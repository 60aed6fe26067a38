// SPDX-License-Identifier: GPL-2.0

//! Flags that tasks wait for, and queues to wait in.
//!
//! C header: [`include/linux/wait.h`](srctree/include/linux/wait.h)

use crate::bindings;
use core::cell::UnsafeCell;
use kernel::{
    prelude::*,
    sync::LockClassKey,
    types::Opaque, //
};

/// A flag that anybody may look at, and that C code can wait for.
///
/// It is made of single loads and stores, as `READ_ONCE()` and `WRITE_ONCE()` are, and orders
/// nothing. Every message that is received looks at several, and `Atomic<bool>` calls a function
/// for each.
///
/// # Invariants
///
/// The value is accessed with volatile loads and stores only, also by C code.
#[repr(transparent)]
pub struct Flag(UnsafeCell<bool>);

// SAFETY: By the type invariant an access is one load or store of a byte, which any thread may make
// at any time.
unsafe impl Sync for Flag {}

impl Flag {
    /// A flag that is not set.
    #[inline]
    pub const fn new() -> Self {
        // INVARIANT: Nobody else has seen it yet.
        Self(UnsafeCell::new(false))
    }

    /// Whether the flag is set.
    #[inline]
    pub fn get(&self) -> bool {
        // SAFETY: The value is valid, and others access it as the type invariant says.
        unsafe { self.0.get().read_volatile() }
    }

    /// Sets or clears the flag.
    #[inline]
    pub fn set(&self, on: bool) {
        if self.get() != on {
            // SAFETY: The value is valid, and others access it as the type invariant says.
            unsafe { self.0.get().write_volatile(on) };
        }
    }

    pub(crate) fn as_ptr(&self) -> *const bool {
        self.0.get()
    }
}

impl Default for Flag {
    #[inline]
    fn default() -> Self {
        Self::new()
    }
}

/// A queue of tasks that wait for a flag (`struct wait_queue_head`).
#[pin_data]
pub struct WaitQueue {
    #[pin]
    head: Opaque<bindings::wait_queue_head>,
}

// SAFETY: A wait queue has a lock of its own.
unsafe impl Send for WaitQueue {}
// SAFETY: Its lock makes it usable by several threads at the same time.
unsafe impl Sync for WaitQueue {}

impl WaitQueue {
    /// An empty queue. `name` and `key` are for lockdep.
    pub fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` is valid for writes, and name and key live for ever.
            head <- Opaque::ffi_init(|slot| unsafe {
                bindings::__init_waitqueue_head(slot, name.as_char_ptr(), key.as_ptr().cast())
            }),
        })
    }

    /// Wakes the tasks in the queue, to have another look at their flag.
    pub fn wake(&self) {
        // SAFETY: The queue is initialised, and pinned since then.
        unsafe { bindings::knet_wake_up(self.head.get()) };
    }

    pub(crate) fn as_raw(&self) -> *mut bindings::wait_queue_head {
        self.head.get()
    }
}
