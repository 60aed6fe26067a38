// SPDX-License-Identifier: GPL-2.0

//! Growing a vector without arithmetic that can panic, which `KVec::reserve()` has, and a vector
//! that most connections never use.

use core::{
    mem::ManuallyDrop,
    ops::{
        Deref,
        DerefMut, //
    }, //
};
use kernel::{
    alloc::{
        allocator::Kmalloc,
        Allocator,
        Flags, //
    },
    prelude::*, //
};

/// A vector that costs nothing to drop if it never had memory. A `KVec` calls the allocator all
/// the same.
pub(crate) struct Lean<T, A: Allocator = Kmalloc>(ManuallyDrop<Vec<T, A>>);

impl<T, A: Allocator> Lean<T, A> {
    pub(crate) const fn new() -> Self {
        Self(ManuallyDrop::new(Vec::new()))
    }

    /// Takes out the vector, and leaves an empty one.
    pub(crate) fn take(&mut self) -> Vec<T, A> {
        core::mem::take(&mut *self.0)
    }
}

impl<T, A: Allocator> Deref for Lean<T, A> {
    type Target = Vec<T, A>;

    fn deref(&self) -> &Vec<T, A> {
        &self.0
    }
}

impl<T, A: Allocator> DerefMut for Lean<T, A> {
    fn deref_mut(&mut self) -> &mut Vec<T, A> {
        &mut self.0
    }
}

impl<T, A: Allocator> Drop for Lean<T, A> {
    fn drop(&mut self) {
        if self.capacity() > 0 {
            drop(self.take());
        }
    }
}

/// The capacity after [`reserve`].
pub(crate) fn capacity_for<T, A: Allocator>(vec: &Vec<T, A>, more: usize) -> Result<usize> {
    let need = vec.len().checked_add(more).ok_or(ENOMEM)?;
    if need <= vec.capacity() {
        return Ok(vec.capacity());
    }
    Ok(vec.capacity().saturating_mul(2).max(need))
}

/// Has room for `more` elements, so that [`push`] succeeds.
pub(crate) fn reserve<T, A: Allocator>(vec: &mut Vec<T, A>, more: usize, flags: Flags) -> Result {
    let capacity = capacity_for(vec, more)?;
    if capacity == vec.capacity() {
        return Ok(());
    }
    let mut new = Vec::with_capacity(capacity, flags)?;
    for item in vec.drain_all() {
        // There is room.
        let _ = new.push_within_capacity(item);
    }
    *vec = new;
    Ok(())
}

/// Appends an element, for which memory was [reserved](reserve). Fails with `ENOMEM` if it was not.
pub(crate) fn push<T, A: Allocator>(vec: &mut Vec<T, A>, item: T) -> Result {
    vec.push_within_capacity(item).map_err(|_| ENOMEM)
}
