// SPDX-License-Identifier: GPL-2.0

//! Scatterlists, made of [`Frag`]s for one request.
//!
//! C header: [`include/linux/scatterlist.h`](srctree/include/linux/scatterlist.h)

use super::aead::Aad;
use crate::{
    bindings,
    mm::{
        Frag,
        FragMut, //
    },
    net::recvq::{
        RecvQueue,
        Run, //
    }, //
};
use core::mem::MaybeUninit;
use kernel::prelude::*;

/// `SG_END`: the mark of a table's last entry, in its page link.
const SG_END: usize = 0x02;

/// An entry for nothing.
// SAFETY: The structure consists of numbers.
const EMPTY: bindings::scatterlist = unsafe { MaybeUninit::zeroed().assume_init() };

/// A part of a text that is encrypted into a destination.
pub enum Text {
    /// So many bytes that stand in the destination already, in their place.
    InPlace(usize),
    /// Bytes that are somewhere else.
    Page(Frag),
}

/// A buffer that tables of a request describe, with the page that it is in.
///
/// # Invariants
///
/// The page and the offset are those of a buffer from `kmalloc()` that has `len` bytes.
pub(super) struct Buf {
    page: *mut bindings::page,
    offset: u32,
    len: u32,
}

impl Buf {
    /// A buffer that was allocated with `kmalloc()`.
    ///
    /// # Safety
    ///
    /// `buf` points to memory from `kmalloc()`, valid for `len` bytes.
    pub(super) unsafe fn new(buf: *const u8, len: u32) -> Self {
        let mut entry = EMPTY;
        // SAFETY: `entry` is initialised, and the caller promises that the buffer has a page.
        unsafe { bindings::knet_sg_set_buf(&mut entry, buf.cast(), len) };
        // INVARIANT: The entry has no marks, so its page link is the page.
        Self {
            page: entry.page_link as *mut bindings::page,
            offset: entry.offset,
            len,
        }
    }
}

/// A scatterlist table that is being filled.
///
/// # Invariants
///
/// The first `used` entries are initialised, and describe `bytes` bytes together.
pub(super) struct Table<'t> {
    entries: &'t mut [MaybeUninit<bindings::scatterlist>],
    used: usize,
    bytes: usize,
}

impl<'t> Table<'t> {
    /// An empty table. `entries` is its room.
    pub(super) fn new(entries: &'t mut [MaybeUninit<bindings::scatterlist>]) -> Self {
        Self {
            entries,
            used: 0,
            bytes: 0,
        }
    }

    fn next(&mut self, len: u32) -> Result<&mut MaybeUninit<bindings::scatterlist>> {
        let entry = self.entries.get_mut(self.used).ok_or(ENOSPC)?;
        self.used = self.used.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(len as usize);
        Ok(entry)
    }

    fn push(&mut self, page: *mut bindings::page, offset: u32, len: u32) -> Result {
        let entry = self.next(len)?.write(EMPTY);
        entry.page_link = page as usize;
        entry.offset = offset;
        entry.length = len;
        Ok(())
    }

    /// A table of one entry, for the first `len` bytes of `frag`.
    pub(super) fn single(frag: &Frag, len: u32) -> bindings::scatterlist {
        let mut entry = EMPTY;
        entry.page_link = frag.page() as usize | SG_END;
        entry.offset = frag.offset();
        entry.length = len;
        entry
    }

    /// Adds the first `len` bytes of `buf`.
    ///
    /// Fails with `EINVAL` if it has less.
    pub(super) fn push_buf(&mut self, buf: &Buf, len: usize) -> Result {
        if len > buf.len as usize {
            return Err(EINVAL);
        }
        self.push(buf.page, buf.offset, len as u32)
    }

    /// Adds what a packet has of its own.
    ///
    /// # Safety
    ///
    /// `buf` points to memory that has a page, and is valid for `len` bytes.
    unsafe fn push_head(&mut self, buf: *const u8, len: u32) -> Result {
        let entry = self.next(len)?.write(EMPTY);
        // SAFETY: `entry` is initialised, and the caller promises that the buffer has a page.
        unsafe { bindings::knet_sg_set_buf(entry, buf.cast(), len) };
        Ok(())
    }

    /// Adds the part of `frags` that begins `skip` bytes from their start, up to `len` bytes.
    pub(super) fn push_range(
        &mut self,
        frags: &[FragMut],
        mut skip: usize,
        mut len: usize,
    ) -> Result {
        for frag in frags.iter().map(FragMut::frag) {
            if len == 0 {
                break;
            }
            if skip >= frag.len() {
                skip = skip.wrapping_sub(frag.len());
                continue;
            }
            let take = len.min(frag.len().wrapping_sub(skip));
            // Both numbers are less than the length of the frag.
            self.push(
                frag.page(),
                frag.offset().wrapping_add(skip as u32),
                take as u32,
            )?;
            skip = 0;
            len = len.wrapping_sub(take);
        }
        if len == 0 {
            Ok(())
        } else {
            Err(EINVAL)
        }
    }

    /// Adds `len` bytes of what a socket has received, from offset `at` on.
    ///
    /// Fails with `ENOSPC` if they are in too many pieces, or in memory that cannot be mapped.
    pub(super) fn push_queue(
        &mut self,
        queue: &mut RecvQueue<'_>,
        at: usize,
        len: usize,
    ) -> Result {
        queue.for_each_run(at, len, |run| match run {
            // SAFETY: What a packet has of its own was allocated with `kmalloc()`, or is part of
            // a page, and is valid as long as the queue is borrowed.
            Run::Head(ptr, len) => unsafe { self.push_head(ptr.as_ptr(), len) },
            Run::Page(page, offset, len) => self.push(page.as_ptr(), offset, len),
        })
    }

    /// Adds the parts of a text, which stand behind the first `at` bytes of `dst`, or will.
    pub(super) fn push_text(&mut self, text: &[Text], dst: &[FragMut], mut at: usize) -> Result {
        for part in text {
            at = match part {
                Text::InPlace(len) => {
                    self.push_range(dst, at, *len)?;
                    at.checked_add(*len)
                }
                Text::Page(frag) => {
                    self.push(frag.page(), frag.offset(), frag.len() as u32)?;
                    at.checked_add(frag.len())
                }
            }
            .ok_or(EOVERFLOW)?;
        }
        Ok(())
    }

    /// Adds the destination: the additional data, which is in `aad_buf` if it is apart, and then
    /// `len` bytes of `dst`.
    pub(super) fn push_dst(
        &mut self,
        aad: &Aad<'_>,
        aad_buf: &Buf,
        dst: &[FragMut],
        len: usize,
    ) -> Result {
        match *aad {
            Aad::Leading(n) => self.push_range(dst, 0, n.checked_add(len).ok_or(EOVERFLOW)?),
            Aad::Apart { bytes, skip } => {
                self.push_buf(aad_buf, bytes.len())?;
                self.push_range(dst, skip, len)
            }
        }
    }

    /// Adds the source that goes with [`Table::push_dst`].
    pub(super) fn push_src(
        &mut self,
        aad: &Aad<'_>,
        aad_buf: &Buf,
        text: &[Text],
        dst: &[FragMut],
    ) -> Result {
        match *aad {
            Aad::Leading(n) => {
                self.push_range(dst, 0, n)?;
                self.push_text(text, dst, n)
            }
            Aad::Apart { bytes, skip } => {
                self.push_buf(aad_buf, bytes.len())?;
                self.push_text(text, dst, skip)
            }
        }
    }

    /// Bytes that the table describes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Marks the end of the table and returns it for C.
    pub(super) fn finish(self) -> Result<*mut bindings::scatterlist> {
        let last = self.used.checked_sub(1).ok_or(EINVAL)?;
        let entry = self.entries.get_mut(last).ok_or(EINVAL)?;
        // SAFETY: By the type invariant the first `used` entries are initialised.
        unsafe { entry.assume_init_mut() }.page_link |= SG_END;
        Ok(self.entries.as_mut_ptr().cast())
    }
}
