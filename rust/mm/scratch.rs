// SPDX-License-Identifier: GPL-2.0

//! Memory for a moment: large enough for a record, too large for every socket to keep.
//!
//! C header: [`include/linux/gfp.h`](srctree/include/linux/gfp.h)

use super::{
    spare::{
        Slot,
        Spare, //
    },
    FragMut, //
};
use core::ops::{
    Deref,
    DerefMut, //
};
use kernel::{
    alloc::Flags,
    page::PAGE_SIZE,
    prelude::*, //
};

/// The order of pages of a buffer in one piece: 32 KiB with pages of 4 KiB.
const ORDER: u32 = 3;

/// Buffers of at least `SIZE` bytes that are not in use.
pub struct ScratchPool<const SIZE: usize>(Spare<KVec<FragMut>>);

impl<const SIZE: usize> ScratchPool<SIZE> {
    /// A pool without buffers.
    #[expect(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self(Spare::new())
    }

    /// Takes this CPU's buffer, or allocates one. It comes back when it is dropped.
    pub fn take(&'static self) -> Result<Scratch<SIZE>> {
        let slot = self.0.here();
        let runs = match slot.take() {
            Some(runs) => runs,
            None => KBox::new(alloc(SIZE)?, GFP_KERNEL)?,
        };
        Ok(Scratch {
            slot,
            runs: Some(runs),
        })
    }

    /// A value that frees the buffers of the pool when it is dropped. For modules, whose statics
    /// are not.
    pub fn guard(&'static self) -> ScratchGuard<SIZE> {
        ScratchGuard(self)
    }
}

/// Frees the buffers of a pool when it is dropped.
pub struct ScratchGuard<const SIZE: usize>(&'static ScratchPool<SIZE>);

impl<const SIZE: usize> Drop for ScratchGuard<SIZE> {
    fn drop(&mut self) {
        self.0 .0.drain().for_each(wipe);
    }
}

fn wipe(mut runs: KBox<KVec<FragMut>>) {
    for run in runs.iter_mut() {
        run.as_mut_slice().fill(0);
    }
}

/// Allocates at least `size` bytes, in one piece if such a piece is to be had cheaply.
fn alloc(size: usize) -> Result<KVec<FragMut>> {
    let piece = PAGE_SIZE << ORDER;
    if size <= piece {
        if let Ok(run) = FragMut::alloc_compound(ORDER) {
            let mut runs = KVec::with_capacity(1, GFP_KERNEL)?;
            runs.push_within_capacity(run).map_err(|_| ENOMEM)?;
            return Ok(runs);
        }
    }
    alloc_single(size, GFP_KERNEL)
}

/// Allocates at least `size` bytes in single pages.
pub fn alloc_single(size: usize, flags: Flags) -> Result<KVec<FragMut>> {
    let count = size.div_ceil(PAGE_SIZE);
    let mut runs = KVec::with_capacity(count, flags)?;
    for _ in 0..count {
        runs.push_within_capacity(FragMut::alloc_page(flags)?)
            .map_err(|_| ENOMEM)?;
    }
    Ok(runs)
}

/// A buffer of at least `SIZE` bytes.
pub struct Scratch<const SIZE: usize> {
    /// Where it came from, and goes back to.
    slot: Slot<'static, KVec<FragMut>>,
    /// Only `None` while it is dropped.
    runs: Option<KBox<KVec<FragMut>>>,
}

impl<const SIZE: usize> Deref for Scratch<SIZE> {
    type Target = [FragMut];

    fn deref(&self) -> &[FragMut] {
        self.runs.as_ref().map_or(&[], |runs| runs.as_slice())
    }
}

impl<const SIZE: usize> DerefMut for Scratch<SIZE> {
    fn deref_mut(&mut self) -> &mut [FragMut] {
        self.runs
            .as_mut()
            .map_or(&mut [], |runs| runs.as_mut_slice())
    }
}

impl<const SIZE: usize> Drop for Scratch<SIZE> {
    fn drop(&mut self) {
        let Some(runs) = self.runs.take() else {
            return;
        };
        if let Some(runs) = self.slot.put(runs) {
            wipe(runs);
        }
    }
}
