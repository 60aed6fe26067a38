// SPDX-License-Identifier: GPL-2.0

//! The tables of functions that sockets use once they are attached.

use super::{
    vtable,
    Registry,
    Ulp, //
};
use crate::bindings;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    },
    types::Opaque, //
};

/// A direction of a socket.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// What is sent goes through the protocol.
    Send = 1,
    /// What is received goes through the protocol.
    Receive = 2,
}

/// Combinations of halves; the sum of those that are on is the index of their tables.
const CONFIGS: usize = 4;

/// The tables for all combinations of halves, made from those that a socket had before.
///
/// C may change single functions in a table (sockmap does), so there are no references to them.
pub(super) struct ProtoSet<U: Ulp> {
    registry: &'static Registry<U>,
    base: *mut bindings::proto,
    base_ops: *const bindings::proto_ops,
    protos: [Opaque<bindings::proto>; CONFIGS],
    ops: [bindings::proto_ops; CONFIGS],
    next: *mut ProtoSet<U>,
    _ulp: PhantomData<U>,
}

impl<U: Ulp> ProtoSet<U> {
    /// # Safety
    ///
    /// Both pointers are valid, and stay so as long as any socket uses the set.
    unsafe fn new(
        registry: &'static Registry<U>,
        base: *mut bindings::proto,
        base_ops: *const bindings::proto_ops,
    ) -> Result<NonNull<Self>> {
        // SAFETY: The pointers are valid. For C, both structures are plain data that may be copied.
        let copy = || unsafe { (core::ptr::read(base), core::ptr::read(base_ops)) };
        let mut this = KBox::new(
            Self {
                registry,
                base,
                base_ops,
                protos: core::array::from_fn(|_| Opaque::new(copy().0)),
                ops: core::array::from_fn(|_| copy().1),
                next: core::ptr::null_mut(),
                _ulp: PhantomData,
            },
            GFP_KERNEL,
        )?;
        let ProtoSet { protos, ops, .. } = &mut *this;
        for (halves, (proto, ops)) in (0..CONFIGS).zip(protos.iter_mut().zip(ops)) {
            // SAFETY: Nobody else has the set yet.
            let proto = unsafe { &mut *proto.get() };
            vtable::fill_base::<U>(proto);
            if halves & Half::Send as usize != 0 {
                vtable::fill_send::<U>(proto, ops);
            }
            if halves & Half::Receive as usize != 0 {
                vtable::fill_receive::<U>(proto, ops);
            }
        }
        Ok(NonNull::from(KBox::leak(this)))
    }

    /// Where the set belongs.
    pub(super) fn registry(&self) -> &'static Registry<U> {
        self.registry
    }

    /// The table that the set was made from.
    pub(super) fn base(&self) -> *mut bindings::proto {
        self.base
    }

    /// The table, one level above, that the set was made from.
    pub(super) fn base_ops(&self) -> *const bindings::proto_ops {
        self.base_ops
    }

    /// The tables for a socket whose halves that are on have this sum.
    pub(super) fn tables(
        &self,
        halves: usize,
    ) -> Option<(*const bindings::proto, *const bindings::proto_ops)> {
        Some((self.protos.get(halves)?.get(), self.ops.get(halves)?))
    }
}

/// All sets of tables of a protocol. There are few: one for each kind of TCP socket. None is freed
/// before the protocol is unregistered, when no socket is attached any more.
///
/// # Invariants
///
/// `first` is null or begins a list of sets that belong to this value.
pub(super) struct ProtoSets<U: Ulp> {
    first: Atomic<*mut ProtoSet<U>>,
}

impl<U: Ulp> ProtoSets<U> {
    pub(super) const fn new() -> Self {
        // INVARIANT: The list is empty.
        Self {
            first: Atomic::new(core::ptr::null_mut()),
        }
    }

    /// The set for a socket that has the tables `base` and `base_ops`.
    ///
    /// # Safety
    ///
    /// Both pointers are valid, and stay so as long as any socket is attached.
    pub(super) unsafe fn get(
        &'static self,
        registry: &'static Registry<U>,
        base: *mut bindings::proto,
        base_ops: *const bindings::proto_ops,
    ) -> Result<&'static ProtoSet<U>> {
        let mut next = self.first.load(Acquire);
        let first = next;
        // SAFETY: By the type invariant these are sets, which nobody frees.
        while let Some(set) = unsafe { next.as_ref() } {
            if set.base == base && set.base_ops == base_ops {
                return Ok(set);
            }
            next = set.next;
        }
        // SAFETY: As the caller promises.
        let new = unsafe { ProtoSet::new(registry, base, base_ops) }?;
        let mut expected = first;
        loop {
            // SAFETY: The new set is ours until it is in the list.
            unsafe { (*new.as_ptr()).next = expected };
            // INVARIANT: The new set goes before the list that is there. If somebody has added
            // the same one in the meantime, both are good.
            match self.first.cmpxchg(expected, new.as_ptr(), Release) {
                // SAFETY: Sets in the list are valid, and not changed any more.
                Ok(_) => return Ok(unsafe { new.as_ref() }),
                Err(current) => expected = current,
            }
        }
    }

    /// Frees all sets.
    ///
    /// # Safety
    ///
    /// No socket is attached, and none will be.
    pub(super) unsafe fn free(&self) {
        let mut next = self.first.load(Relaxed);
        self.first.store(core::ptr::null_mut(), Relaxed);
        while !next.is_null() {
            // SAFETY: The set was made by `ProtoSet::new()` in a box, and nobody uses it.
            let set = unsafe { KBox::from_raw(next) };
            next = set.next;
        }
    }
}
