// SPDX-License-Identifier: GPL-2.0

//! Registration of a protocol.

use super::{
    proto::ProtoSets,
    vtable,
    Ulp, //
};
use crate::{
    bindings,
    net::pernet::Pernet, //
};
use core::{
    mem::ManuallyDrop,
    ptr::NonNull, //
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
    types::Opaque, //
};

/// Milliseconds that sockets have to be closed when their protocol is unregistered.
const WAIT_MS: i64 = 10_000;

/// Milliseconds after which it is looked again.
const POLL_MS: i64 = 10;

/// The static memory of a protocol.
pub struct Registry<U: Ulp> {
    ops: Opaque<bindings::tcp_ulp_ops>,
    in_use: Atomic<bool>,
    /// Where work is done; there is one as long as the protocol is registered or a socket attached.
    queue: Atomic<*mut bindings::workqueue_struct>,
    /// Number of sockets that are attached.
    sockets: Atomic<i32>,
    pub(super) sets: ProtoSets<U>,
}

// SAFETY: `ops` is only written by the owner of `in_use`, before C gets to see it.
unsafe impl<U: Ulp> Sync for Registry<U> {}

impl<U: Ulp> Registry<U> {
    /// For a protocol that is not registered yet.
    #[expect(clippy::new_without_default)]
    pub const fn new() -> Self {
        Self {
            ops: Opaque::zeroed(),
            in_use: Atomic::new(false),
            queue: Atomic::new(core::ptr::null_mut()),
            sockets: Atomic::new(0),
            sets: ProtoSets::new(),
        }
    }
}

impl<U: Ulp> Registry<U> {
    /// Where the work of sockets is done, also when there is no memory: what they receive may be
    /// what memory is waiting for.
    pub(super) fn queue(&self) -> *mut bindings::workqueue_struct {
        self.queue.load(Relaxed)
    }

    /// What C knows of the protocol, once it is registered.
    pub(super) fn ops(&self) -> *mut bindings::tcp_ulp_ops {
        self.ops.get()
    }

    /// A socket was attached.
    pub(super) fn attached(&self) {
        self.sockets.add(1, Relaxed);
    }

    /// A socket is not attached any more.
    pub(super) fn detached(&self) {
        self.sockets.fetch_add(-1, Release);
    }
}

/// Where the [`Registry`] of a protocol is. As a constant it is always the same one.
///
/// # Invariants
///
/// It points to a static.
pub struct RegistryRef<U: Ulp>(NonNull<Registry<U>>);

impl<U: Ulp> RegistryRef<U> {
    /// Refers to `registry`.
    pub const fn new(registry: &'static Registry<U>) -> Self {
        // SAFETY: The pointer is that of a reference. (The compiler does not accept a constant
        // that is a reference to something that changes.)
        let ptr = unsafe { NonNull::new_unchecked(core::ptr::from_ref(registry).cast_mut()) };
        // INVARIANT: The reference is a static one.
        Self(ptr)
    }

    /// The registry.
    pub(super) fn get(self) -> &'static Registry<U> {
        // SAFETY: By the type invariant it is a static.
        unsafe { self.0.as_ref() }
    }
}

/// The registration of a protocol. Each socket that is attached has a reference to the module.
///
/// # Invariants
///
/// The `ops` of `registry` are registered.
pub struct Registration<U: Ulp> {
    /// Sockets count in what this has allocated. Dropped after the protocol is unregistered.
    pernet: ManuallyDrop<Pernet>,
    registry: &'static Registry<U>,
}

// SAFETY: There is nothing to be done with it but drop it, which any thread may do.
unsafe impl<U: Ulp> Send for Registration<U> {}
// SAFETY: Nothing can be done with a shared reference.
unsafe impl<U: Ulp> Sync for Registration<U> {}

impl<U: Ulp> Registration<U> {
    /// Registers `U`, whose code is in `module`. Fails with `EEXIST` if there is a protocol of the
    /// same name, or another one of this crate.
    pub fn new(module: &'static ThisModule) -> Result<Self> {
        let pernet = Pernet::register()?;
        let registry = register::<U>(module)?;
        // INVARIANT: It is registered now.
        Ok(Self {
            pernet: ManuallyDrop::new(pernet),
            registry,
        })
    }
}

fn register<U: Ulp>(module: &'static ThisModule) -> Result<&'static Registry<U>> {
    let registry = U::REGISTRY.get();
    if registry.in_use.xchg(true, Acquire) {
        return Err(EEXIST);
    }
    let ret = register_in(registry, module);
    if ret.is_err() {
        registry.in_use.store(false, Release);
    }
    ret.map(|()| registry)
}

/// Fills the memory of `registry`, which belongs to the caller, and registers it.
fn register_in<U: Ulp>(registry: &Registry<U>, module: &'static ThisModule) -> Result {
    // SAFETY: The name is a string.
    let queue = unsafe { bindings::knet_alloc_workqueue(U::NAME.as_char_ptr()) };
    if queue.is_null() {
        return Err(ENOMEM);
    }
    registry.queue.store(queue, Relaxed);
    let ops = registry.ops.get();
    // SAFETY: `in_use` makes the memory ours, and C does not know it yet.
    unsafe { ops.write(vtable::ulp_ops::<U>(module.as_ptr().cast())) };
    // SAFETY: The structure is complete, and stays until it is unregistered.
    to_result(unsafe { bindings::tcp_register_ulp(ops) }).inspect_err(|_| {
        // SAFETY: The queue is ours. No socket was attached, so nothing is in it.
        unsafe { bindings::destroy_workqueue(queue) };
    })
}

impl<U: Ulp> Drop for Registration<U> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it is registered.
        unsafe { bindings::tcp_unregister_ulp(self.registry.ops.get()) };
        // A socket that is attached keeps the module from being unloaded, so none is left in its
        // exit function. One may be if this is dropped anywhere else: it gets some time.
        let mut left = WAIT_MS / POLL_MS;
        while self.registry.sockets.load(Acquire) != 0 {
            if left == 0 {
                // What it uses stays, and so does what it counts in. The protocol cannot be
                // registered again.
                pr_warn!("sockets use a protocol that is gone, its memory is lost\n");
                return;
            }
            left = left.saturating_sub(1);
            fsleep(Delta::from_millis(POLL_MS));
        }
        // SAFETY: No socket is attached, and none will be. They have disabled their work before.
        // The counters are dropped once, here.
        unsafe {
            self.registry.sets.free();
            bindings::destroy_workqueue(self.registry.queue());
            ManuallyDrop::drop(&mut self.pernet);
        }
        self.registry.in_use.store(false, Release);
    }
}
