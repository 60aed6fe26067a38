// SPDX-License-Identifier: GPL-2.0

//! The writing end of a splice.
//!
//! C header: [`include/linux/splice.h`](srctree/include/linux/splice.h)

use crate::{
    bindings,
    mm::Frag, //
};
use core::{
    marker::PhantomData,
    mem::MaybeUninit,
    ptr::NonNull, //
};
use kernel::{
    page::PAGE_SIZE,
    prelude::*, //
};

/// The most pages that are put into a pipe at once.
const PAGES: usize = 16;

/// A pipe that is being written to.
///
/// # Invariants
///
/// `pipe` is valid for `'a`, and locked by this task.
pub struct Pipe<'a> {
    pipe: NonNull<bindings::pipe_inode_info>,
    _pipe: PhantomData<&'a mut bindings::pipe_inode_info>,
}

impl Pipe<'_> {
    /// Wraps what C passes to `splice_read()`.
    ///
    /// # Safety
    ///
    /// `pipe` is valid for the lifetime of the value, and locked by this task.
    pub(crate) unsafe fn from_raw(pipe: *mut bindings::pipe_inode_info) -> Result<Self> {
        // INVARIANT: The caller promises that the pipe is valid, and locked by this task.
        Ok(Self {
            pipe: NonNull::new(pipe).ok_or(EINVAL)?,
            _pipe: PhantomData,
        })
    }

    /// Puts references to the pages of `frags` into the pipe, as far as there is room. Returns
    /// the number of bytes.
    ///
    /// Fails with `EAGAIN` if there is no room at all, and with `EPIPE` if nobody reads.
    pub fn push(&mut self, frags: &[Frag]) -> Result<usize> {
        let mut pages = [core::ptr::null_mut(); PAGES];
        let mut partial = [const { MaybeUninit::<bindings::partial_page>::zeroed() }; PAGES];
        let mut used = 0usize;
        // A buffer of a pipe does not go beyond a page.
        for frag in frags {
            let mut offset = frag.offset() as usize;
            let mut left = frag.len();
            while left > 0 {
                let within = offset % PAGE_SIZE;
                let take = left.min(PAGE_SIZE.wrapping_sub(within));
                let (Some(page), Some(part)) = (pages.get_mut(used), partial.get_mut(used)) else {
                    break;
                };
                // SAFETY: The page belongs to the compound page of `frag`. The reference is for
                // the pipe, or given back by `release()`.
                unsafe {
                    *page = frag.page().add(offset / PAGE_SIZE);
                    bindings::knet_get_page(*page);
                }
                part.write(bindings::partial_page {
                    offset: within as c_uint,
                    len: take as c_uint,
                    private: 0,
                });
                offset = offset.wrapping_add(take);
                left = left.wrapping_sub(take);
                used = used.wrapping_add(1);
            }
        }
        let mut desc = bindings::splice_pipe_desc {
            pages: pages.as_mut_ptr(),
            partial: partial.as_mut_ptr().cast(),
            nr_pages: used as c_int,
            nr_pages_max: PAGES as c_uint,
            ops: &raw const bindings::nosteal_pipe_buf_ops,
            spd_release: Some(release),
        };
        // SAFETY: The pipe is valid and locked, and the first `used` entries of both arrays are
        // filled.
        let ret = unsafe { bindings::splice_to_pipe(self.pipe.as_ptr(), &mut desc) };
        if ret < 0 {
            Err(Error::from_errno(ret as c_int))
        } else {
            Ok(ret as usize)
        }
    }
}

/// # Safety
///
/// C calls this for an entry of `desc` that was filled and did not get into the pipe.
unsafe extern "C" fn release(desc: *mut bindings::splice_pipe_desc, i: c_uint) {
    // SAFETY: The entry holds a reference.
    unsafe { bindings::knet_put_page(*(*desc).pages.add(i as usize)) };
}
