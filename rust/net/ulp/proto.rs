// SPDX-License-Identifier: GPL-2.0

//! The tables of functions that sockets use once they are attached.

use super::{
    below::Tables,
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
    /// Those that the socket had before.
    below: Tables,
    protos: [Opaque<bindings::proto>; CONFIGS],
    ops: [bindings::proto_ops; CONFIGS],
    next: *mut ProtoSet<U>,
    _ulp: PhantomData<U>,
}

impl<U: Ulp> ProtoSet<U> {
    /// Makes the tables, in their place: they are large.
    #[inline(never)]
    fn new(registry: &'static Registry<U>, below: Tables) -> Result<NonNull<Self>> {
        let mut this = KBox::<Self>::new_uninit(GFP_KERNEL)?;
        let set = this.as_mut_ptr();
        // SAFETY: The memory of the set is ours, and each of its fields is written. The tables
        // below are valid by their type invariant; for C, both are plain data that may be copied.
        // No other reference to the set exists yet.
        unsafe {
            (&raw mut (*set).registry).write(registry);
            (&raw mut (*set).below).write(below);
            (&raw mut (*set).next).write(core::ptr::null_mut());
            (&raw mut (*set)._ulp).write(PhantomData);
            let mut proto = (&raw mut (*set).protos).cast::<bindings::proto>();
            let mut ops = (&raw mut (*set).ops).cast::<bindings::proto_ops>();
            for halves in 0..CONFIGS {
                proto.copy_from_nonoverlapping(below.proto(), 1);
                ops.copy_from_nonoverlapping(below.ops(), 1);
                vtable::fill_base::<U>(&mut *proto);
                if halves & Half::Send as usize != 0 {
                    vtable::fill_send::<U>(&mut *proto, &mut *ops);
                }
                if halves & Half::Receive as usize != 0 {
                    vtable::fill_receive::<U>(&mut *proto, &mut *ops);
                }
                proto = proto.add(1);
                ops = ops.add(1);
            }
            Ok(NonNull::from(KBox::leak(this.assume_init())))
        }
    }

    /// Where the set belongs.
    pub(super) fn registry(&self) -> &'static Registry<U> {
        self.registry
    }

    /// The tables that the set was made from.
    pub(super) fn below(&self) -> Tables {
        self.below
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

    /// The set for a socket that has the tables `below`, if there is one.
    pub(super) fn find(&'static self, below: Tables) -> Option<&'static ProtoSet<U>> {
        let mut next = self.first.load(Acquire);
        // SAFETY: By the type invariant these are sets, which nobody frees.
        while let Some(set) = unsafe { next.as_ref() } {
            if set.below == below {
                return Some(set);
            }
            next = set.next;
        }
        None
    }

    /// Makes a set for sockets that have the tables `below`.
    pub(super) fn add(&'static self, registry: &'static Registry<U>, below: Tables) -> Result {
        let new = ProtoSet::new(registry, below)?;
        let mut expected = self.first.load(Relaxed);
        loop {
            // SAFETY: The new set is ours until it is in the list.
            unsafe { (*new.as_ptr()).next = expected };
            // INVARIANT: The new set goes before the list that is there. If somebody has added
            // the same one in the meantime, both are good.
            match self.first.cmpxchg(expected, new.as_ptr(), Release) {
                Ok(_) => return Ok(()),
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
