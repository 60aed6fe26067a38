// SPDX-License-Identifier: GPL-2.0

//! The data of an attached socket.

use super::{
    io,
    proto::ProtoSet,
    Ulp, //
};
use crate::{
    bindings,
    net::callout::Head, //
};
use core::{
    cell::UnsafeCell,
    mem::{
        ManuallyDrop,
        MaybeUninit, //
    },
    ptr::NonNull, //
};
use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed, //
        },
        Refcount, //
    },
    time::msecs_to_jiffies,
    types::Opaque, //
};

/// What `icsk_ulp_data` points to.
///
/// Its memory is freed after an RCU grace period, when the last [`Handle`] is gone. State and
/// context are dropped before, when the socket is closed.
///
/// # Invariants
///
/// * `sk` is valid until the socket is closed.
/// * `work` is initialised. It is disabled when the socket is closed, before anything else
///   happens.
/// * `state` and `context` are initialised until the socket is closed; `state` is only accessed by
///   the owner of the socket's lock.
/// * `halves` and the callbacks are written only with the socket's lock and its callback lock,
///   `base` by a sockmap with the latter alone. Data is detached with both.
/// * As long as a half is on, no sockmap has the socket, and `base` does not change.
#[repr(C)]
pub(super) struct Attached<U: Ulp> {
    /// First, as it is looked for here.
    pub(super) head: Head,
    pub(super) shared: U::Shared,
    rcu: Opaque<bindings::kvfree_rcu_head>,
    refs: Refcount,
    pub(super) sk: NonNull<bindings::sock>,
    pub(super) set: &'static ProtoSet<U>,
    /// The protocol below: that of `set`, unless a sockmap has changed it.
    pub(super) base: Atomic<*mut bindings::proto>,
    /// The sum of the halves that are on.
    pub(super) halves: UnsafeCell<usize>,
    /// The callbacks that were there before ours; none as long as ours are not there.
    pub(super) write_space: UnsafeCell<Option<Callback>>,
    pub(super) data_ready: UnsafeCell<Option<Callback>>,
    pub(super) work: Opaque<bindings::delayed_work>,
    pub(super) state: UnsafeCell<ManuallyDrop<U::State>>,
    context: UnsafeCell<MaybeUninit<U::Context>>,
}

pub(super) type Callback = unsafe extern "C" fn(*mut bindings::sock);

impl<U: Ulp> Attached<U> {
    /// The data of the socket that `work` belongs to.
    ///
    /// # Safety
    ///
    /// `work` is the work item of an [`Attached<U>`].
    pub(super) unsafe fn from_work<'a>(work: *mut bindings::work_struct) -> &'a Self {
        let delayed = work
            .wrapping_byte_sub(core::mem::offset_of!(bindings::delayed_work, work))
            .cast::<Opaque<bindings::delayed_work>>();
        // SAFETY: The caller promises that the work item is part of an `Attached<U>`, which outlives
        // its work.
        unsafe { &*kernel::container_of!(delayed, Self, work) }
    }

    /// Calls the callback for arriving packets that was there before ours.
    ///
    /// # Safety
    ///
    /// The socket is valid, and its lock is held.
    pub(super) unsafe fn announce(&self) {
        // SAFETY: The callback was that of this socket. It is written with the lock only.
        unsafe {
            if let Some(data_ready) = *self.data_ready.get() {
                data_ready(self.sk.as_ptr());
            }
        }
    }

    /// Has the protocol below shut the socket down.
    ///
    /// # Safety
    ///
    /// The socket is valid, and locked by this task.
    pub(super) unsafe fn shutdown_base(&self, how: c_int) {
        // SAFETY: The protocol below has the function, and gets what it would have got.
        unsafe {
            if let Some(shutdown) = (*self.base.load(Acquire)).shutdown {
                shutdown(self.sk.as_ptr(), how);
            }
        }
    }

    /// Calls the callback for arriving packets of who has come after us, or else the one that was
    /// there before ours.
    ///
    /// # Safety
    ///
    /// As for [`Attached::announce`].
    pub(super) unsafe fn announce_to_reader(&self) {
        let ours: Callback = io::data_ready::<U>;
        let sk = self.sk.as_ptr();
        // SAFETY: The socket is valid. Others change the callback at any time, so it is read once;
        // whoever has done so serves it with the lock held by a task. If ours is not recognised, it
        // does nothing but to schedule the work.
        unsafe {
            match (&raw const (*sk).sk_data_ready).read_volatile() {
                Some(theirs) if !core::ptr::fn_addr_eq(theirs, ours) => theirs(sk),
                _ => self.announce(),
            }
        }
    }

    /// Ends the work, and keeps it from being scheduled again.
    pub(super) fn disable_work(&self) {
        // SAFETY: The work item is initialised by the type invariant.
        unsafe { bindings::disable_delayed_work_sync(self.work.get()) };
    }

    /// The context.
    ///
    /// # Safety
    ///
    /// The socket is not closed yet.
    pub(super) unsafe fn context(&self) -> &U::Context {
        // SAFETY: It is initialised by the type invariant.
        unsafe { (*self.context.get()).assume_init_ref() }
    }

    /// The state, for [`LockedSock`](crate::net::sock::LockedSock).
    pub(super) fn state(&self) -> &UnsafeCell<U::State> {
        let ptr: *const UnsafeCell<ManuallyDrop<U::State>> = &self.state;
        // SAFETY: `ManuallyDrop` and `UnsafeCell` are transparent wrappers.
        unsafe { &*ptr.cast() }
    }

    /// Drops state and context.
    ///
    /// # Safety
    ///
    /// The socket is closed: nobody uses them, now or later. Called once.
    pub(super) unsafe fn drop_contents(&self) {
        // SAFETY: Both are initialised until now, and nobody has a reference.
        unsafe {
            ManuallyDrop::drop(&mut *self.state.get());
            (*self.context.get()).assume_init_drop();
        }
    }

    /// Gives back a reference. The last one frees the memory, after a grace period.
    ///
    /// # Safety
    ///
    /// The caller owns a reference, and does not use `this` afterwards. If it is the last,
    /// [`Attached::drop_contents`] was called.
    pub(super) unsafe fn put(this: NonNull<Self>) {
        // SAFETY: The reference is the caller's.
        let attached = unsafe { this.as_ref() };
        if attached.refs.dec_and_test() {
            let rcu = attached.rcu.get();
            // SAFETY: Nobody but readers of RCU has a pointer any more. The memory came from
            // `kmalloc()`, in a box.
            unsafe { bindings::knet_kfree_rcu(rcu, this.as_ptr().cast()) };
        }
    }
}

/// Data that is not attached yet.
///
/// # Invariants
///
/// All of it is initialised, and belongs to this value.
pub(super) struct Unattached<U: Ulp>(NonNull<Attached<U>>);

impl<U: Ulp> Unattached<U> {
    /// Allocates data for `sk`.
    ///
    /// # Safety
    ///
    /// `sk` is valid as long as the data is attached, and `work` may be called with the work item
    /// of the data, until [`Attached::disable_work`].
    pub(super) unsafe fn new(
        sk: NonNull<bindings::sock>,
        set: &'static ProtoSet<U>,
        work: unsafe extern "C" fn(*mut bindings::work_struct),
    ) -> Result<Self> {
        const {
            assert!(!core::mem::needs_drop::<U::Shared>());
            assert!(core::mem::offset_of!(Attached<U>, head) == 0);
            // What `kfree_rcu()` demands.
            assert!(core::mem::offset_of!(Attached<U>, rcu) < 4096);
        };

        // In its place, as most of it is not there yet.
        let this = KBox::init(
            init!(Attached {
                head: Head::new(),
                shared: U::shared(),
                rcu: Opaque::uninit(),
                refs: Refcount::new(1),
                sk,
                set,
                base: Atomic::new(set.below().proto()),
                halves: UnsafeCell::new(0),
                write_space: UnsafeCell::new(None),
                data_ready: UnsafeCell::new(None),
                work: Opaque::uninit(),
                state: UnsafeCell::new(ManuallyDrop::new(U::state())),
                context: UnsafeCell::new(MaybeUninit::uninit()),
            }),
            GFP_KERNEL,
        )?;
        let slot = this.context.get().cast::<U::Context>();
        // SAFETY: The slot is valid for writes, and stays where it is, in the box. On an error it
        // is as uninitialised as before.
        if let Err(e) = unsafe { U::context().__init(slot) } {
            drop(ManuallyDrop::into_inner(
                KBox::into_inner(this).state.into_inner(),
            ));
            return Err(e);
        }
        // SAFETY: The work item is in the box, where it stays.
        unsafe { bindings::knet_init_delayed_work(this.work.get(), Some(work)) };
        // INVARIANT: It was initialised just now, all of it.
        Ok(Self(NonNull::from(KBox::leak(this))))
    }

    /// Gives the data away to be attached, to a socket with the tables of which `set` was made.
    pub(super) fn attach(self, set: &'static ProtoSet<U>) -> NonNull<Attached<U>> {
        let this = ManuallyDrop::new(self);
        let mut data = this.0;
        // SAFETY: The data belongs to this value.
        let attached = unsafe { data.as_mut() };
        attached.set = set;
        attached.base.store(set.below().proto(), Relaxed);
        set.registry().attached();
        data
    }
}

impl<U: Ulp> Drop for Unattached<U> {
    fn drop(&mut self) {
        // SAFETY: The data is initialised, and belongs to this value. Its work was never scheduled.
        unsafe {
            self.0.as_ref().drop_contents();
            Attached::put(self.0);
        }
    }
}

/// A reference to the data of a socket, which may already be closed.
///
/// # Invariants
///
/// A reference of `attached` belongs to this value.
pub struct Handle<U: Ulp> {
    attached: NonNull<Attached<U>>,
}

// SAFETY: The reference may be given back by any thread, since references are counted atomically.
unsafe impl<U: Ulp> Send for Handle<U> {}
// SAFETY: A shared handle gives access to the shared data, which is `Sync`, and schedules work, which
// any thread may do.
unsafe impl<U: Ulp> Sync for Handle<U> {}

impl<U: Ulp> Handle<U> {
    /// Takes a reference.
    pub(super) fn new(attached: &Attached<U>) -> Self {
        attached.refs.inc();
        // INVARIANT: The reference was taken just now.
        Self {
            attached: NonNull::from(attached),
        }
    }

    /// Calls `f` with a handle that is only lent.
    pub(super) fn lend<R>(attached: &Attached<U>, f: impl FnOnce(&Self) -> R) -> R {
        // INVARIANT: The reference is the one that keeps `attached` valid; it is not given back.
        let this = ManuallyDrop::new(Self {
            attached: NonNull::from(attached),
        });
        f(&this)
    }

    fn get(&self) -> &Attached<U> {
        // SAFETY: Valid by the type invariant.
        unsafe { self.attached.as_ref() }
    }

    /// The shared data.
    pub fn shared(&self) -> &U::Shared {
        &self.get().shared
    }

    /// Has [`Ulp::work`] called in a task, after `delay` milliseconds, or when that is due
    /// already. Does nothing if the socket is closed.
    pub fn schedule(&self, delay: u32) {
        let work = self.get().work.get();
        let queue = U::REGISTRY.get().queue();
        // SAFETY: The work item is initialised. It is disabled when the socket is closed, and then
        // C ignores this; until then the queue is there.
        unsafe {
            if delay == 0 {
                bindings::knet_queue_work_now(queue, work);
            } else {
                bindings::knet_queue_delayed_work(queue, work, msecs_to_jiffies(delay));
            }
        }
    }
}

impl<U: Ulp> Drop for Handle<U> {
    fn drop(&mut self) {
        // SAFETY: The reference belongs to this value. The first one is given back only after
        // `drop_contents()`.
        unsafe { Attached::put(self.attached) };
    }
}
