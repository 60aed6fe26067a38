// SPDX-License-Identifier: GPL-2.0

//! Memory.

mod chunks;
mod frag;
mod scratch;
mod spare;

use crate::bindings;

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

/// Runs `f` in a way that no memory it allocates is waited for by input or output, whatever flags
/// it uses, nor those that it calls.
pub(crate) fn without_io<R>(f: impl FnOnce() -> R) -> R {
    // SAFETY: This marks the task.
    let saved = unsafe { bindings::knet_memalloc_noio_save() };
    let result = f();
    // SAFETY: The value is from the call above, by the same task, and what `f` has saved it has
    // restored.
    unsafe { bindings::knet_memalloc_noio_restore(saved) };
    result
}

/// Whether the kernel wipes memory when it is freed (`init_on_free`).
fn wipes_freed() -> bool {
    // SAFETY: This looks at a setting that does not change any more.
    unsafe { bindings::knet_want_init_on_free() }
}
