// SPDX-License-Identifier: GPL-2.0

//! What `bindgen` makes of the C headers that the kernel crate's own bindings do not cover.

#![allow(
    clippy::all,
    clippy::ptr_as_ptr,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    clippy::cast_lossless,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    rustdoc::all,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    unused_imports
)]

pub use kernel::bindings::{iov_iter, page, seq_file};
/// Types that the kernel crate hands out as well; the same types, so that its abstractions (for
/// example those of I/O vectors) work together with ours.
use kernel::ffi;

type __kernel_size_t = usize;
type __kernel_ssize_t = isize;
type __kernel_ptrdiff_t = isize;

include!(env!("KNET_BINDINGS"));
