// SPDX-License-Identifier: GPL-2.0

//! Memory for a moment: large enough for a record, too large for every socket to keep.
//!
//! C header: [`include/linux/gfp.h`](srctree/include/linux/gfp.h)

use super::{
    spare::{
        Idle,
        Spare,
        SpareGuard, //
    },
    wipes_freed,
    FragMut, //
};
use crate::{
    bindings,
    sync::Flag, //
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

/// The memory of a buffer. It is wiped before it is freed, and counts as memory that can be had
/// back (`KReclaimable`).
struct Buffer {
    runs: KVec<FragMut>,
    /// Number of pages that were counted.
    pages: usize,
}

impl Buffer {
    fn new(size: usize, flags: Flags) -> Result<Self> {
        let mut this = Self {
            runs: alloc(size, flags)?,
            pages: 0,
        };
        let len = this
            .runs
            .iter()
            .fold(0usize, |n, r| n.saturating_add(r.len()));
        this.pages = len / PAGE_SIZE;
        this.count(this.pages as c_long);
        Ok(this)
    }

    fn count(&self, pages: c_long) {
        if let Some(run) = self.runs.first() {
            // SAFETY: The page is valid by the type invariant of `FragMut`.
            unsafe { bindings::knet_mod_reclaimable(run.frag().page(), pages) };
        }
    }

    fn wipe(&mut self) {
        for run in self.runs.iter_mut() {
            run.as_mut_slice().fill(0);
        }
    }
}

impl Idle for Buffer {
    const MOST: usize = 1 << ORDER;

    fn pages(&self) -> usize {
        self.pages
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.count((self.pages as c_long).wrapping_neg());
        self.wipe();
    }
}

/// Buffers of at least `SIZE` bytes that are not in use.
pub struct ScratchPool<const SIZE: usize> {
    spare: Spare<Buffer>,
    /// The kernel wipes memory when it is freed, so a buffer is wiped when it comes back.
    wipes: Flag,
}

impl<const SIZE: usize> ScratchPool<SIZE> {
    /// A pool without buffers.
    #[expect(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self {
            spare: Spare::new(),
            wipes: Flag::new(),
        }
    }

    /// Takes this CPU's buffer, or allocates one. It comes back when it is dropped.
    pub fn take(&'static self, flags: Flags) -> Result<Scratch<SIZE>> {
        let buffer = match self.spare.take() {
            Some(buffer) => buffer,
            None => KBox::new(Buffer::new(SIZE, flags)?, flags)?,
        };
        Ok(Scratch {
            pool: self,
            buffer: Some(buffer),
        })
    }

    /// Has buffers be kept that come back, until the result is dropped. `name` is that of the
    /// shrinker.
    ///
    /// Fails with `EBUSY` if that was done already.
    pub fn start(&'static self, name: &CStr) -> Result<ScratchGuard> {
        self.wipes.set(wipes_freed());
        Ok(ScratchGuard(self.spare.start(name)?))
    }
}

/// Frees the buffers of a pool when it is dropped.
pub struct ScratchGuard(#[expect(dead_code)] SpareGuard<Buffer>);

/// Allocates at least `size` bytes, in one piece if such a piece is to be had cheaply.
fn alloc(size: usize, flags: Flags) -> Result<KVec<FragMut>> {
    let piece = PAGE_SIZE << ORDER;
    if size <= piece {
        if let Ok(run) = FragMut::alloc_compound(ORDER, flags) {
            let mut runs = KVec::with_capacity(1, flags)?;
            runs.push_within_capacity(run).map_err(|_| ENOMEM)?;
            return Ok(runs);
        }
    }
    alloc_single(size, flags)
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
    pool: &'static ScratchPool<SIZE>,
    /// Only `None` while it is dropped.
    buffer: Option<KBox<Buffer>>,
}

impl<const SIZE: usize> Deref for Scratch<SIZE> {
    type Target = [FragMut];

    fn deref(&self) -> &[FragMut] {
        self.buffer.as_ref().map_or(&[], |buffer| &buffer.runs)
    }
}

impl<const SIZE: usize> DerefMut for Scratch<SIZE> {
    fn deref_mut(&mut self) -> &mut [FragMut] {
        self.buffer
            .as_mut()
            .map_or(&mut [], |buffer| &mut buffer.runs)
    }
}

impl<const SIZE: usize> Drop for Scratch<SIZE> {
    fn drop(&mut self) {
        let Some(mut buffer) = self.buffer.take() else {
            return;
        };
        if self.pool.wipes.get() {
            buffer.wipe();
        }
        drop(self.pool.spare.put(buffer));
    }
}
