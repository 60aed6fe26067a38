// SPDX-License-Identifier: GPL-2.0

//! Runs of bytes in pages.
//!
//! C headers: [`include/linux/bvec.h`](srctree/include/linux/bvec.h),
//! [`include/linux/mm.h`](srctree/include/linux/mm.h)

use crate::bindings;
use core::{
    mem::{
        offset_of,
        size_of,
        ManuallyDrop, //
    },
    ptr::NonNull, //
};
use kernel::{
    alloc::Flags,
    page::{
        Page,
        PAGE_SIZE, //
    },
    prelude::*, //
};

/// A run of bytes in a page, or in the pages of a compound page, with a reference to it.
///
/// The kernel may read the bytes (send, encrypt, copy them). Rust code may not: somebody else may
/// be writing them, as with pages of the page cache.
///
/// # Invariants
///
/// `page` is valid and a reference to it belongs to this value. `offset` and `len` stay within
/// the page, and `len` is not zero.
#[repr(C)]
pub struct Frag {
    page: NonNull<bindings::page>,
    len: u32,
    offset: u32,
}

// A slice of these is given to C as an array of `struct bio_vec`.
const _: () = {
    assert!(size_of::<Frag>() == size_of::<bindings::bio_vec>());
    assert!(offset_of!(Frag, page) == offset_of!(bindings::bio_vec, bv_page));
    assert!(offset_of!(Frag, len) == offset_of!(bindings::bio_vec, bv_len));
    assert!(offset_of!(Frag, offset) == offset_of!(bindings::bio_vec, bv_offset));
};

// SAFETY: A page reference may be given back from any thread.
unsafe impl Send for Frag {}
// SAFETY: A shared reference gives access to numbers only.
unsafe impl Sync for Frag {}

impl Frag {
    /// Makes a `Frag` of `len` bytes at `offset` of `page`.
    ///
    /// # Safety
    ///
    /// The caller owns a reference to `page` and gives it away. The range lies within the page,
    /// and is not empty.
    pub(crate) unsafe fn from_raw(page: NonNull<bindings::page>, offset: u32, len: u32) -> Self {
        // INVARIANT: The caller promises all of it.
        Self { page, len, offset }
    }

    /// Length in bytes; never zero.
    #[expect(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// The page, as C knows it.
    pub(crate) fn page(&self) -> *mut bindings::page {
        self.page.as_ptr()
    }

    /// Offset in bytes of the run from the start of the page.
    pub(crate) fn offset(&self) -> u32 {
        self.offset
    }

    /// Leaves out the first `n` bytes. Does nothing unless some are left.
    pub fn trim_front(&mut self, n: usize) {
        if let Some(left) = self.len().checked_sub(n) {
            if left > 0 {
                // INVARIANT: The new range is part of the old one, and not empty. Both numbers
                // are at most the old `len`.
                self.offset = self.offset.wrapping_add(n as u32);
                self.len = left as u32;
            }
        }
    }

    /// Appends `next` if its bytes follow directly; gives it back otherwise.
    pub fn merge(&mut self, next: Frag) -> Result<(), Frag> {
        let joined = self.len.checked_add(next.len);
        match joined {
            Some(len)
                if next.page == self.page
                    && self.offset.checked_add(self.len) == Some(next.offset) =>
            {
                // INVARIANT: Both ranges lie within the same page, one behind the other.
                self.len = len;
                Ok(())
            }
            _ => Err(next),
        }
    }
}

impl Drop for Frag {
    fn drop(&mut self) {
        // SAFETY: By the type invariant a reference belongs to this value.
        unsafe { bindings::knet_put_page(self.page.as_ptr()) };
    }
}

/// A run of bytes in a page that nobody else reads or writes, until it is frozen.
///
/// # Invariants
///
/// * The bytes of `frag` are mapped at `ptr`, and initialised.
/// * Only this value gives access to them.
pub struct FragMut {
    frag: Frag,
    ptr: NonNull<u8>,
}

// SAFETY: The bytes are exclusively owned, and mapped for all of the kernel.
unsafe impl Send for FragMut {}
// SAFETY: A shared reference gives shared access to plain bytes.
unsafe impl Sync for FragMut {}

impl FragMut {
    /// Makes a `FragMut` of the bytes of `frag`.
    ///
    /// # Safety
    ///
    /// The page is not in high memory, its bytes are initialised (page allocators hand out memory
    /// with some value in each byte), and nobody else has access to the range, now or later.
    pub(crate) unsafe fn from_frag(frag: Frag) -> Option<Self> {
        // SAFETY: The page is valid by the type invariant of `Frag`.
        let base = unsafe { bindings::knet_page_address(frag.page()) }.cast::<u8>();
        // A page without an address would be in high memory.
        let base = NonNull::new(base)?;
        // SAFETY: The offset lies within the page by the type invariant of `Frag`.
        let ptr = unsafe { base.add(frag.offset() as usize) };
        // INVARIANT: The caller promises that the access is exclusive.
        Some(Self { frag, ptr })
    }

    /// Allocates a page.
    pub fn alloc_page(flags: Flags) -> Result<Self> {
        let page = ManuallyDrop::new(Page::alloc_page(flags)?);
        let page = NonNull::new(page.as_ptr()).ok_or(ENOMEM)?;
        // SAFETY: The page is ours, with all of its bytes, which have some value each. Its owner
        // is forgotten, and so its reference belongs to the new value.
        unsafe { Self::from_frag(Frag::from_raw(page, 0, PAGE_SIZE as u32)) }.ok_or(ENOMEM)
    }

    /// Allocates two to the power of `order` pages in one piece, if that is easy.
    pub(crate) fn alloc_compound(order: u32, flags: Flags) -> Result<Self> {
        let len = PAGE_SIZE.checked_shl(order).ok_or(EINVAL)?;
        let atomic = flags != GFP_KERNEL;
        // SAFETY: This allocates, nothing else.
        let page = unsafe { bindings::knet_alloc_compound(order, atomic) };
        let page = NonNull::new(page).ok_or(ENOMEM)?;
        // SAFETY: The pages are ours, with all of their bytes, which have some value each.
        unsafe { Self::from_frag(Frag::from_raw(page, 0, len as u32)) }.ok_or(ENOMEM)
    }

    /// Length in bytes; never zero.
    #[expect(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.frag.len()
    }

    /// The run, as C knows it.
    pub(crate) fn frag(&self) -> &Frag {
        &self.frag
    }

    /// Adds `n` bytes at the end.
    ///
    /// # Safety
    ///
    /// The `n` bytes behind the run belong to the same page, and [`FragMut::from_frag`] could be
    /// called for them.
    pub(crate) unsafe fn extend(&mut self, n: u32) {
        // INVARIANT: By the function's safety requirement. The sum lies within the page, so it
        // does not wrap.
        self.frag.len = self.frag.len.wrapping_add(n);
    }

    /// The bytes.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: By the type invariants the bytes are valid, initialised and exclusively owned;
        // `self` is borrowed as long as the slice lives.
        unsafe { core::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.frag.len()) }
    }

    /// The bytes, to be read.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: By the type invariants the bytes are valid, initialised, and not written by
        // anybody as long as `self` is borrowed.
        unsafe { core::slice::from_raw_parts(self.ptr.as_ptr(), self.frag.len()) }
    }

    /// Leaves out the bytes from `len` on. Does nothing unless it shortens the run and leaves
    /// some of it.
    pub fn truncate(&mut self, len: usize) {
        if len > 0 && len < self.len() {
            // INVARIANT: The new range is a part of the old one.
            self.frag.len = len as u32;
        }
    }

    /// Ends the exclusive access, for good: from here on the bytes are only read.
    pub fn freeze(self) -> Frag {
        self.frag
    }

    /// Ends the exclusive access, for good, but goes on reading.
    pub fn read_only(self) -> FragRef {
        // INVARIANT: Whoever could write gives that up here.
        FragRef {
            frag: self.frag,
            ptr: self.ptr,
        }
    }
}

/// A run of bytes in a page that nobody writes any more.
///
/// # Invariants
///
/// The bytes of `frag` are mapped at `ptr`, initialised, and never written as long as there is a
/// reference to the page.
pub struct FragRef {
    frag: Frag,
    ptr: NonNull<u8>,
}

// SAFETY: The bytes are mapped for all of the kernel, and nobody writes them.
unsafe impl Send for FragRef {}
// SAFETY: A shared reference reads them, which any number of threads may do.
unsafe impl Sync for FragRef {}

impl FragRef {
    /// Length in bytes; never zero.
    #[expect(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.frag.len()
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: By the type invariants the bytes are valid and initialised, and nobody writes
        // them.
        unsafe { core::slice::from_raw_parts(self.ptr.as_ptr(), self.frag.len()) }
    }

    /// Leaves out the first `n` bytes. Does nothing unless some are left.
    pub fn trim_front(&mut self, n: usize) {
        if n < self.len() {
            self.frag.trim_front(n);
            // INVARIANT: The new range is a part of the old one.
            // SAFETY: `n` is less than the length of the range.
            self.ptr = unsafe { self.ptr.add(n) };
        }
    }

    /// Another reference to the first `n` bytes, or to all if there are no more.
    pub fn share(&self, n: usize) -> Frag {
        let len = n.min(self.len()).max(1) as u32;
        // SAFETY: The page is valid. The new reference belongs to the new value, whose range is a
        // part of this one.
        unsafe {
            bindings::knet_get_page(self.frag.page());
            Frag::from_raw(self.frag.page, self.frag.offset, len)
        }
    }
}
