// SPDX-License-Identifier: GPL-2.0

//! Memory.

mod chunks;
mod frag;
mod scratch;
mod spare;

pub(crate) use chunks::refill;
pub use chunks::ChunkGuard;
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
