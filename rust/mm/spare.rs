// SPDX-License-Identifier: GPL-2.0

//! Things that are kept for reuse, one for each CPU.

use crate::bindings;
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Full, //
    }, //
};

/// Slots; CPUs with numbers from there on share them.
const SLOTS: usize = 64;

/// For each CPU one `T` that is not in use, or none.
///
/// # Invariants
///
/// Each slot is null, or a pointer from `KBox::into_raw()` that belongs to the slot.
pub(super) struct Spare<T: Send> {
    slots: [Atomic<*mut T>; SLOTS],
}

impl<T: Send> Spare<T> {
    /// Nothing.
    pub(super) const fn new() -> Self {
        // INVARIANT: All slots are null.
        Self {
            slots: [const { Atomic::new(core::ptr::null_mut()) }; SLOTS],
        }
    }

    /// The slot of the CPU that this runs on, at the moment.
    #[inline]
    pub(super) fn here(&self) -> Slot<'_, T> {
        // SAFETY: This reads a number, which may be out of date at once.
        let cpu = unsafe { bindings::knet_raw_smp_processor_id() };
        let [first, ..] = &self.slots;
        Slot(self.slots.get(cpu as usize % SLOTS).unwrap_or(first))
    }

    /// Takes all that is there.
    pub(super) fn drain(&self) -> impl Iterator<Item = KBox<T>> + '_ {
        self.slots.iter().filter_map(|slot| Slot(slot).take())
    }
}

/// One of the slots of a [`Spare`].
///
/// # Invariants
///
/// As for the slots of [`Spare`].
pub(super) struct Slot<'a, T: Send>(&'a Atomic<*mut T>);

impl<T: Send> Slot<'_, T> {
    /// Takes what is there.
    #[inline]
    pub(super) fn take(&self) -> Option<KBox<T>> {
        let raw = self.0.xchg(core::ptr::null_mut(), Full);
        if raw.is_null() {
            return None;
        }
        // SAFETY: By the type invariant the pointer came from `KBox::into_raw()`; it was
        // taken out, so it is ours.
        Some(unsafe { KBox::from_raw(raw) })
    }

    /// Keeps `value`, or gives it back if there is something already.
    #[inline]
    pub(super) fn put(&self, value: KBox<T>) -> Option<KBox<T>> {
        let raw = KBox::into_raw(value);
        // INVARIANT: The slot owns the value if it was null before.
        if self.0.cmpxchg(core::ptr::null_mut(), raw, Full).is_ok() {
            return None;
        }
        // SAFETY: The value is still ours.
        Some(unsafe { KBox::from_raw(raw) })
    }
}
