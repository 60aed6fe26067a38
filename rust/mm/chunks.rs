// SPDX-License-Identifier: GPL-2.0

//! Chunks of pages that are cut into runs, sent, and used again when TCP is done with all of it.
//!
//! Kernels that are built to clear each page which they hand out spend as much on that as on
//! sending it. A chunk that comes back has nothing in it but what its last user has put there.
//!
//! C header: [`include/linux/mm_types.h`](srctree/include/linux/mm_types.h)

use super::{
    spare::{
        Idle,
        Spare,
        SpareGuard, //
    },
    wipes_freed, //
};
use crate::bindings;
use core::ptr::NonNull;
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// Pages of a chunk: what `skb_page_frag_refill()` prefers to allocate.
const PAGES: usize = 8;

/// Size in bytes of a chunk.
const CHUNK: usize = PAGE_SIZE * PAGES;

/// Chunks that each CPU remembers: 512 KiB with pages of 4 KiB, the most that it keeps from
/// others.
const RING: usize = 16;

/// A chunk that all is given out of.
///
/// # Invariants
///
/// `page` is a compound page of `CHUNK` bytes that is not in high memory. A reference to it
/// belongs to this value, and who has another one has got it with a run of its bytes. As long as
/// this value exists, it counts as memory that can be had back (`KReclaimable`).
struct Chunk {
    page: NonNull<bindings::page>,
}

// SAFETY: Page references may be counted by any thread.
unsafe impl Send for Chunk {}

impl Chunk {
    /// Takes over a reference.
    ///
    /// # Safety
    ///
    /// The rest of the type invariant holds for `page`, whose reference is given away.
    unsafe fn new(page: NonNull<bindings::page>) -> Self {
        // INVARIANT: It is counted here.
        // SAFETY: The page is valid.
        unsafe { bindings::knet_mod_reclaimable(page.as_ptr(), PAGES as c_long) };
        Self { page }
    }

    /// Has it not count any more.
    fn uncount(&self) {
        // SAFETY: The page is valid by the type invariant.
        unsafe { bindings::knet_mod_reclaimable(self.page.as_ptr(), -(PAGES as c_long)) };
    }

    /// Whether nobody has a run of it any more.
    fn is_free(&self) -> bool {
        // SAFETY: The page is valid by the type invariant.
        unsafe { bindings::knet_page_is_ours(self.page.as_ptr()) }
    }

    fn into_raw(self) -> *mut bindings::page {
        self.uncount();
        core::mem::ManuallyDrop::new(self).page.as_ptr()
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.uncount();
        // SAFETY: By the type invariant a reference belongs to this value.
        unsafe { bindings::knet_put_page(self.page.as_ptr()) };
    }
}

/// The chunks of a CPU, the oldest at `next` if there are as many as can be.
struct Ring {
    chunks: [Option<Chunk>; RING],
    next: usize,
}

impl Ring {
    const EMPTY: Self = Self {
        chunks: [const { None }; RING],
        next: 0,
    };

    /// Takes one that is free, and keeps `used` in its place. Gives `used` back if none is.
    fn exchange(&mut self, used: Chunk) -> Result<Chunk, Chunk> {
        let Some((newer, older)) = self.chunks.split_at_mut_checked(self.next) else {
            return Err(used);
        };
        for entry in Iterator::chain(older.iter_mut(), newer) {
            match entry {
                Some(chunk) if chunk.is_free() => {
                    return Ok(core::mem::replace(chunk, used));
                }
                _ => (),
            }
        }
        Err(used)
    }

    /// Keeps `used` in the place of the oldest.
    fn keep(&mut self, used: Chunk) {
        if let Some(entry) = self.chunks.get_mut(self.next) {
            *entry = Some(used);
        }
        self.next = self.next.wrapping_add(1) % RING;
    }
}

impl Idle for Ring {
    const MOST: usize = PAGES * RING;

    fn pages(&self) -> usize {
        let free = self.chunks.iter().flatten().filter(|c| c.is_free());
        free.fold(0usize, |pages, _| pages.saturating_add(PAGES))
    }
}

static RINGS: Spare<Ring> = Spare::new();

/// Has chunks be remembered as long as it exists.
///
/// There are none in a kernel that wipes memory when it is freed: a chunk that is not freed is not
/// wiped, and TCP does not say when it is done with it.
pub struct ChunkGuard(#[expect(dead_code)] Option<SpareGuard<Ring>>);

impl ChunkGuard {
    /// To be kept as long as pages are sent. `name` is that of the shrinker.
    ///
    /// Fails with `EBUSY` if there is one already.
    pub fn new(name: &CStr) -> Result<Self> {
        if wipes_freed() {
            return Ok(Self(None));
        }
        Ok(Self(Some(RINGS.start(name)?)))
    }
}

/// Has `frag` begin anew in a chunk that has come back. What it has now is remembered. If no
/// chunk has come back, `frag` has no page afterwards, or, if `else_keep`, what it had.
///
/// # Safety
///
/// `frag` is valid, and not used by anybody else. It is managed by `skb_page_frag_refill()`: its
/// page has a reference that belongs to it, and all others came with bytes before `offset`.
pub(crate) unsafe fn refill(frag: *mut bindings::page_frag, else_keep: bool) {
    // SAFETY: The caller promises that it is valid, and used here only.
    let frag = unsafe { &mut *frag };
    let Some(page) = NonNull::new(frag.page) else {
        return;
    };
    if frag.size as usize != CHUNK || !RINGS.is_started() {
        return;
    }
    // SAFETY: The page is valid.
    if unsafe { bindings::knet_page_is_ours(frag.page) } {
        // It has come back itself.
        frag.offset = 0;
        return;
    }
    // SAFETY: The page is valid.
    if unsafe { bindings::knet_page_is_pfmemalloc(frag.page) } {
        // Memory for emergencies goes back to where it came from.
        return;
    }
    let ring = RINGS
        .take()
        .or_else(|| KBox::new(Ring::EMPTY, GFP_ATOMIC).ok());
    let Some(mut ring) = ring else {
        return;
    };
    // SAFETY: The size is that of a chunk, and others have got their references with runs of it, as
    // the caller promises. `frag` gives its reference away, and gets another page with its own, or
    // none, or the same one again.
    frag.page = match ring.exchange(unsafe { Chunk::new(page) }) {
        Ok(free) => {
            frag.offset = 0;
            free.into_raw()
        }
        Err(used) if else_keep => used.into_raw(),
        Err(used) => {
            ring.keep(used);
            frag.offset = 0;
            core::ptr::null_mut()
        }
    };
    drop(RINGS.put(ring));
}
