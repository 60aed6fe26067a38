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

/// Whether the kernel wipes memory when it is freed (`init_on_free`).
fn wipes_freed() -> bool {
    // SAFETY: This looks at a setting that does not change any more.
    unsafe { crate::bindings::knet_want_init_on_free() }
}
