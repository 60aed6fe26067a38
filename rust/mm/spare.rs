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
pub(super) struct Spare<T> {
    slots: [Atomic<*mut T>; SLOTS],
}

impl<T> Spare<T> {
    /// Nothing.
    pub(super) const fn new() -> Self {
        // INVARIANT: All slots are null.
        Self {
            slots: [const { Atomic::new(core::ptr::null_mut()) }; SLOTS],
        }
    }

    fn slot(&self) -> Option<&Atomic<*mut T>> {
        // SAFETY: This reads a number, which may be out of date at once.
        let cpu = unsafe { bindings::knet_raw_smp_processor_id() };
        self.slots.get(cpu as usize % SLOTS)
    }

    fn empty(slot: &Atomic<*mut T>) -> Option<KBox<T>> {
        let raw = slot.xchg(core::ptr::null_mut(), Full);
        if raw.is_null() {
            return None;
        }
        // SAFETY: By the type invariant the pointer came from `KBox::into_raw()`; it was taken
        // out, so it is ours.
        Some(unsafe { KBox::from_raw(raw) })
    }

    /// Takes what this CPU has.
    pub(super) fn take(&self) -> Option<KBox<T>> {
        Self::empty(self.slot()?)
    }

    /// Keeps `value`, or gives it back if this CPU has something already.
    pub(super) fn put(&self, value: KBox<T>) -> Option<KBox<T>> {
        let Some(slot) = self.slot() else {
            return Some(value);
        };
        let raw = KBox::into_raw(value);
        // INVARIANT: The slot owns the value if it was null before.
        if slot.cmpxchg(core::ptr::null_mut(), raw, Full).is_ok() {
            return None;
        }
        // SAFETY: The value is still ours.
        Some(unsafe { KBox::from_raw(raw) })
    }

    /// Takes all that is there.
    pub(super) fn drain(&self) -> impl Iterator<Item = KBox<T>> + '_ {
        self.slots.iter().filter_map(Self::empty)
    }
}
