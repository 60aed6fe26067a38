// SPDX-License-Identifier: GPL-2.0

//! Flags that tasks wait for, and queues to wait in.
//!
//! C header: [`include/linux/wait.h`](srctree/include/linux/wait.h)

use crate::bindings;
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        LockClassKey, //
    },
    types::Opaque, //
};

/// A flag that anybody may look at, and that C code can wait for.
#[repr(transparent)]
pub struct Flag(Atomic<bool>);

impl Flag {
    /// A flag that is not set.
    #[inline]
    pub const fn new() -> Self {
        Self(Atomic::new(false))
    }

    /// Whether the flag is set.
    #[inline]
    pub fn get(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// Sets or clears the flag.
    #[inline]
    pub fn set(&self, on: bool) {
        if self.get() != on {
            self.0.store(on, Relaxed);
        }
    }

    pub(crate) fn as_ptr(&self) -> *const bool {
        self.0.as_ptr()
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
// SAFETY: As above.
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
