// SPDX-License-Identifier: GPL-2.0

//! A mutex whose wait a signal can end.
//!
//! C header: [`include/linux/mutex.h`](srctree/include/linux/mutex.h)

use crate::bindings;
use core::{
    cell::UnsafeCell,
    marker::PhantomPinned,
    ops::{
        Deref,
        DerefMut, //
    },
    pin::Pin, //
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::LockClassKey,
    types::{
        NotThreadSafe,
        Opaque, //
    }, //
};

/// A `struct mutex` and the data that it protects.
///
/// The kernel crate's `Mutex` can only be waited for without regard to signals. A lock that is
/// held while its owner waits for a peer must not be taken like that.
///
/// # Invariants
///
/// `data` is only accessed by the owner of `lock`, or through an exclusive reference.
#[pin_data]
pub struct IntrMutex<T> {
    #[pin]
    lock: Opaque<bindings::mutex>,
    #[pin]
    _pin: PhantomPinned,
    data: UnsafeCell<T>,
}

// SAFETY: The data moves between threads as the owner of the lock changes; the lock itself may be
// used from any thread.
unsafe impl<T: Send> Send for IntrMutex<T> {}
// SAFETY: The lock makes access to the data exclusive, which is all that `T: Send` needs.
unsafe impl<T: Send> Sync for IntrMutex<T> {}

impl<T> IntrMutex<T> {
    /// Creates an unlocked mutex. `name` and `key` are for lockdep.
    pub fn new(
        data: T,
        name: &'static CStr,
        key: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` is valid for writes, and name and key live for ever.
            lock <- Opaque::ffi_init(|slot| unsafe {
                bindings::knet_mutex_init(slot, name.as_char_ptr(), key.as_ptr().cast())
            }),
            _pin: PhantomPinned,
            data: UnsafeCell::new(data),
        })
    }

    /// Waits for the lock. Fails with `EINTR` when a signal comes first.
    pub fn lock_interruptible(&self) -> Result<IntrMutexGuard<'_, T>> {
        // SAFETY: The mutex is initialised, and pinned since then.
        to_result(unsafe { bindings::knet_mutex_lock_interruptible(self.lock.get()) })?;
        // INVARIANT: This task owns the lock now.
        Ok(IntrMutexGuard {
            mutex: self,
            _not_send: NotThreadSafe,
        })
    }

    /// Waits for the lock, without regard to signals. For paths that cannot fail.
    pub fn lock(&self) -> IntrMutexGuard<'_, T> {
        // SAFETY: The mutex is initialised, and pinned since then.
        unsafe { bindings::knet_mutex_lock(self.lock.get()) };
        // INVARIANT: This task owns the lock now.
        IntrMutexGuard {
            mutex: self,
            _not_send: NotThreadSafe,
        }
    }

    /// Takes the lock if nobody has it.
    pub fn try_lock(&self) -> Option<IntrMutexGuard<'_, T>> {
        // SAFETY: The mutex is initialised, and pinned since then.
        if unsafe { bindings::knet_mutex_trylock(self.lock.get()) } == 0 {
            return None;
        }
        // INVARIANT: This task owns the lock now.
        Some(IntrMutexGuard {
            mutex: self,
            _not_send: NotThreadSafe,
        })
    }
}

/// The proof that this task owns an [`IntrMutex`].
///
/// # Invariants
///
/// This task owns `mutex` as long as the guard lives.
#[must_use = "the mutex unlocks immediately when the guard is unused"]
pub struct IntrMutexGuard<'a, T> {
    mutex: &'a IntrMutex<T>,
    _not_send: NotThreadSafe,
}

impl<T> Deref for IntrMutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: By the type invariant this task owns the lock.
        unsafe { &*self.mutex.data.get() }
    }
}

impl<T> DerefMut for IntrMutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: By the type invariant this task owns the lock, and `self` is borrowed
        // exclusively.
        unsafe { &mut *self.mutex.data.get() }
    }
}

impl<T> Drop for IntrMutexGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant this task owns the lock.
        unsafe { bindings::knet_mutex_unlock(self.mutex.lock.get()) };
    }
}
