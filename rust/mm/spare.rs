// SPDX-License-Identifier: GPL-2.0

//! Things that are kept for reuse, one for each CPU, as long as memory is not short.
//!
//! C headers: [`include/linux/percpu.h`](srctree/include/linux/percpu.h),
//! [`include/linux/shrinker.h`](srctree/include/linux/shrinker.h)

use crate::bindings;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        rcu::synchronize_rcu, //
    }, //
};

/// What can be kept.
pub(super) trait Idle: Send + 'static {
    /// The most pages that a value has.
    const MOST: usize;

    /// The pages that are free once the value is dropped.
    fn pages(&self) -> usize;
}

/// There is nothing to be freed (`SHRINK_STOP`).
const SHRINK_STOP: c_ulong = c_ulong::MAX;

/// Per-CPU memory with a pointer for each CPU.
type Slots = *mut *mut c_void;

/// For each CPU one `T` that is not in use, or none. Each CPU writes to memory of its own.
///
/// # Invariants
///
/// * `slots` is null, or per-CPU memory that belongs to the one [`SpareGuard`] of this value.
/// * Each slot is null, or a pointer from `KBox::<T>::into_raw()` that belongs to the slot.
/// * The memory is not freed before a grace period of RCU has passed since `slots` became null.
pub(super) struct Spare<T: Idle> {
    slots: Atomic<Slots>,
    /// Values come and go, and are never shared.
    _values: PhantomData<fn(T) -> T>,
}

impl<T: Idle> Spare<T> {
    /// Keeps nothing until it is [started](Self::start).
    pub(super) const fn new() -> Self {
        // INVARIANT: There are no slots.
        Self {
            slots: Atomic::new(core::ptr::null_mut()),
            _values: PhantomData,
        }
    }

    /// Begins to keep values, until the result is dropped. `name` is that of the shrinker.
    ///
    /// Fails with `EBUSY` if that was done already.
    pub(super) fn start(&'static self, name: &CStr) -> Result<SpareGuard<T>> {
        // SAFETY: This allocates, nothing else.
        let slots = NonNull::new(unsafe { bindings::knet_alloc_percpu_ptr() }).ok_or(ENOMEM)?;
        let free = |err| {
            // SAFETY: The memory was allocated just now, and no other reference exists.
            unsafe { bindings::knet_free_percpu_ptr(slots.as_ptr()) };
            err
        };
        // SAFETY: The name is a string. This allocates, nothing else.
        let shrinker = unsafe { bindings::knet_shrinker_alloc(name.as_char_ptr()) };
        let shrinker = NonNull::new(shrinker).ok_or(ENOMEM).map_err(free)?;
        // INVARIANT: The memory is zeroed. It belongs to the guard that is returned.
        if self
            .slots
            .cmpxchg(core::ptr::null_mut(), slots.as_ptr(), Full)
            .is_err()
        {
            // SAFETY: The shrinker was allocated just now, and no other reference exists.
            unsafe { bindings::shrinker_free(shrinker.as_ptr()) };
            return Err(free(EBUSY));
        }
        // SAFETY: The shrinker is valid, and is not used before it is registered. What the
        // functions find in it are the slots, which are freed after it.
        unsafe {
            let ptr = shrinker.as_ptr();
            (*ptr).count_objects = Some(count::<T>);
            (*ptr).scan_objects = Some(scan::<T>);
            (*ptr).private_data = slots.as_ptr().cast();
            bindings::shrinker_register(ptr);
        }
        Ok(SpareGuard {
            spare: self,
            slots,
            shrinker,
        })
    }

    /// Whether values are kept.
    pub(super) fn is_started(&self) -> bool {
        !self.slots.load(Relaxed).is_null()
    }

    /// Takes what this CPU has.
    #[inline]
    pub(super) fn take(&self) -> Option<KBox<T>> {
        // SAFETY: By the type invariants the slots are null, or valid in the section in which they
        // are used, which RCU waits for.
        let raw =
            unsafe { bindings::knet_this_cpu_xchg(self.slots.as_ptr(), core::ptr::null_mut()) };
        // SAFETY: By the type invariants this is null, or a pointer from `KBox::into_raw()`, which
        // was taken out and so is ours.
        (!raw.is_null()).then(|| unsafe { KBox::from_raw(raw.cast()) })
    }

    /// Has this CPU keep `value`. Returns what it has kept until now, or `value` if nothing is kept.
    #[inline]
    pub(super) fn put(&self, value: KBox<T>) -> Option<KBox<T>> {
        let raw = KBox::into_raw(value);
        // INVARIANT: The slot owns the value, and we what was there.
        // SAFETY: By the type invariants the slots are null, or valid in the section in which they
        // are used, which RCU waits for.
        let raw = unsafe { bindings::knet_this_cpu_xchg(self.slots.as_ptr(), raw.cast()) };
        // SAFETY: By the type invariants this is null, or a pointer from `KBox::into_raw()`, which
        // was taken out and so is ours; or it is the value, which still is.
        (!raw.is_null()).then(|| unsafe { KBox::from_raw(raw.cast()) })
    }
}

/// The slots of all CPUs.
///
/// # Safety
///
/// `slots` is the memory of a `Spare<T>`, and is not freed for `'a`.
unsafe fn all<'a, T: Idle>(slots: Slots) -> impl Iterator<Item = &'a Atomic<*mut T>> {
    // SAFETY: This reads a number that does not change.
    let cpus = unsafe { 0..bindings::knet_nr_cpu_ids() };
    // SAFETY: The number is less than that of all CPUs, and what is read does not change.
    let cpus = cpus.filter(|cpu| unsafe { bindings::knet_cpu_possible(*cpu) });
    // SAFETY: The memory is valid for each possible CPU, and aligned. By the type invariants of
    // `Spare` it contains pointers to `T`, and is accessed atomically.
    cpus.map(move |cpu| unsafe { Atomic::from_ptr(bindings::knet_per_cpu_ptr(slots, cpu).cast()) })
}

/// Takes what there is in `slot`.
///
/// # Safety
///
/// `slot` is one of a `Spare<T>`.
unsafe fn take<T: Idle>(slot: &Atomic<*mut T>) -> Option<KBox<T>> {
    let raw = slot.xchg(core::ptr::null_mut(), Full);
    // SAFETY: By the type invariants of `Spare` this is null, or a pointer from
    // `KBox::into_raw()`, which was taken out and so is ours.
    (!raw.is_null()).then(|| unsafe { KBox::from_raw(raw) })
}

/// # Safety
///
/// C calls this with the shrinker of a [`SpareGuard<T>`].
unsafe extern "C" fn count<T: Idle>(
    shrinker: *mut bindings::shrinker,
    _sc: *mut bindings::shrink_control,
) -> c_ulong {
    // SAFETY: The slots are freed after the shrinker.
    let slots = unsafe { all::<T>((*shrinker).private_data.cast()) };
    // What is in a slot may be gone at any time, so it cannot be asked.
    slots
        .filter(|slot| !slot.load(Relaxed).is_null())
        .fold(0usize, |pages, _| pages.saturating_add(T::MOST))
}

/// # Safety
///
/// C calls this with the shrinker of a [`SpareGuard<T>`], and with what it wants.
unsafe extern "C" fn scan<T: Idle>(
    shrinker: *mut bindings::shrinker,
    sc: *mut bindings::shrink_control,
) -> c_ulong {
    // SAFETY: The structure is valid during the call.
    let want = unsafe { (*sc).nr_to_scan };
    let mut scanned = 0usize;
    let mut freed = 0usize;
    // SAFETY: The slots are freed after the shrinker.
    for slot in unsafe { all::<T>((*shrinker).private_data.cast()) } {
        if scanned >= want {
            break;
        }
        // SAFETY: The slot is one of a `Spare<T>`.
        if let Some(value) = unsafe { take(slot) } {
            scanned = scanned.saturating_add(T::MOST);
            freed = freed.saturating_add(value.pages());
        }
    }
    // Without progress C would ask for ever.
    if scanned == 0 {
        SHRINK_STOP
    } else {
        freed
    }
}

/// Frees what is kept when it is dropped, and ends the keeping.
///
/// # Invariants
///
/// `slots` are those of `spare`. `shrinker` is registered, and belongs to this value.
pub(super) struct SpareGuard<T: Idle> {
    spare: &'static Spare<T>,
    slots: NonNull<*mut c_void>,
    shrinker: NonNull<bindings::shrinker>,
}

// SAFETY: Shrinkers and per-CPU memory may be freed by any thread.
unsafe impl<T: Idle> Send for SpareGuard<T> {}
// SAFETY: A shared reference gives access to nothing.
unsafe impl<T: Idle> Sync for SpareGuard<T> {}

impl<T: Idle> Drop for SpareGuard<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the shrinker is ours. Its functions have returned, and are
        // not called any more, when this returns.
        unsafe { bindings::shrinker_free(self.shrinker.as_ptr()) };
        // INVARIANT: There are no slots from here on. Who has seen them is done after this.
        self.spare.slots.xchg(core::ptr::null_mut(), Full);
        synchronize_rcu();
        // SAFETY: By the type invariants these are the slots of a `Spare<T>`, which are freed
        // below.
        for slot in unsafe { all::<T>(self.slots.as_ptr()) } {
            // SAFETY: The slot is one of a `Spare<T>`.
            drop(unsafe { take(slot) });
        }
        // SAFETY: By the type invariants the memory is ours, and no longer in use.
        unsafe { bindings::knet_free_percpu_ptr(self.slots.as_ptr()) };
    }
}
