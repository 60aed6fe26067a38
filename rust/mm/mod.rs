// SPDX-License-Identifier: GPL-2.0

//! Memory.

mod frag;
mod scratch;

pub use frag::{
    Frag,
    FragMut,
    FragRef, //
};
pub use scratch::{
    alloc_single,
    Scratch,
    ScratchGuard,
    ScratchPool, //
};
