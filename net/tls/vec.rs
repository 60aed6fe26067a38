// SPDX-License-Identifier: GPL-2.0

//! Growing a vector without arithmetic that can panic, which `KVec::reserve()` has.

use kernel::{
    alloc::{
        Allocator,
        Flags, //
    },
    prelude::*, //
};

/// Has room for `more` elements, so that [`push`] does not allocate.
pub(crate) fn reserve<T, A: Allocator>(vec: &mut Vec<T, A>, more: usize, flags: Flags) -> Result {
    let need = vec.len().checked_add(more).ok_or(ENOMEM)?;
    if need <= vec.capacity() {
        return Ok(());
    }
    let capacity = vec.capacity().saturating_mul(2).max(need);
    let mut new = Vec::with_capacity(capacity, flags)?;
    for item in vec.drain_all() {
        // There is room.
        let _ = new.push_within_capacity(item);
    }
    *vec = new;
    Ok(())
}

/// Appends an element, with memory that was reserved if there is some.
pub(crate) fn push<T, A: Allocator>(vec: &mut Vec<T, A>, item: T) -> Result {
    reserve(vec, 1, GFP_KERNEL)?;
    vec.push_within_capacity(item).map_err(|_| ENOMEM)
}
