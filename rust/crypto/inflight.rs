// SPDX-License-Identifier: GPL-2.0

//! Requests that an asynchronous driver works on while the caller goes on.
//!
//! C header: [`include/linux/crypto.h`](srctree/include/linux/crypto.h)

use super::{
    aead::{
        Aad,
        Aead,
        Op,
        Request,
        DST_MAX,
        IV_LEN,
        SRC_MAX, //
    },
    sg::Text, //
};
use crate::{
    bindings,
    mm::FragMut, //
};
use core::{
    mem::{
        ManuallyDrop,
        MaybeUninit, //
    },
    ptr::NonNull, //
};
use kernel::{
    alloc::Flags,
    error::to_result,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Release, //
        },
        barrier::smp_mb,
        Arc, //
    },
    types::Opaque, //
};

/// `Job::status` as long as the driver has the request.
const PENDING: i32 = 1;

/// Who is told when a request completes.
pub trait Notify: Send + 'static {
    /// A request has completed. Called in any context, so it must not sleep.
    ///
    /// Whoever writes something that this reads, and then finds [`InFlight::is_done`] false, can
    /// rely on this to see it.
    fn notify(&self);
}

/// A request with all that a driver needs to work on it, allocated ahead of the data.
struct Job<N: Notify> {
    /// `PENDING`, or else zero or a negative error number.
    status: Atomic<i32>,
    /// Completed when the driver is done with all of this.
    done: Opaque<bindings::completion>,
    notify: Option<N>,
    request: Request,
    src_room: [MaybeUninit<bindings::scatterlist>; SRC_MAX],
    dst_room: [MaybeUninit<bindings::scatterlist>; DST_MAX],
    text: KVec<Text>,
    dst: KVec<FragMut>,
}

// SAFETY: All parts may be sent to another thread; a completion and the room for tables are plain
// memory.
unsafe impl<N: Notify> Send for Job<N> {}

/// A job that waits for its data.
pub struct Prepared<N: Notify>(KBox<Job<N>>);

impl<N: Notify> Prepared<N> {
    /// Allocates everything that a request for `aead` will need.
    pub fn new(aead: Arc<Aead>, flags: Flags) -> Result<Self> {
        // In its place: the room for tables is too much for the stack.
        let job = KBox::try_init(
            try_init!(Job {
                status: Atomic::new(0),
                done: Opaque::uninit(),
                notify: None,
                request: Request::with_shared(aead, flags)?,
                src_room: [const { MaybeUninit::uninit() }; SRC_MAX],
                dst_room: [const { MaybeUninit::uninit() }; DST_MAX],
                text: KVec::new(),
                dst: KVec::new(),
            }),
            flags,
        )?;
        Ok(Self(job))
    }

    /// Hands the parts of `text` to the cipher, to be encrypted into `dst`. They have `len` bytes
    /// together; the tag follows them.
    ///
    /// The result says whether the driver is behind and wants no more before this one is done.
    pub fn submit(
        self,
        iv: &[u8; IV_LEN],
        aad: &Aad<'_>,
        text: KVec<Text>,
        dst: KVec<FragMut>,
        len: usize,
        notify: N,
    ) -> Result<(InFlight<N>, bool)> {
        let mut job = self.0;
        // SAFETY: `done` is in the box, where it stays until it is dropped.
        unsafe { bindings::knet_init_completion(job.done.get()) };
        job.text = text;
        job.dst = dst;
        job.notify = Some(notify);
        job.status = Atomic::new(PENDING);

        job.request.set_inputs(iv, aad)?;
        let aad_len = aad.len();
        let ptr = NonNull::from(KBox::leak(job));
        // SAFETY: The job was leaked just now, and nobody else knows it.
        let this = unsafe { &mut *ptr.as_ptr() };
        let tables = this.request.tables(
            aad,
            &this.text,
            &this.dst,
            len,
            (&mut this.src_room, &mut this.dst_room),
        );
        let (src, dst) = tables.inspect_err(|_| {
            // SAFETY: The job came out of a box, no request was started with it, and this is the last
            // use.
            drop(unsafe { KBox::from_raw(ptr.as_ptr()) });
        })?;

        // SAFETY: `completed()` expects a pointer to the job, which stays until the request has
        // completed, because `InFlight` waits for that.
        let ret = unsafe {
            let request = &raw mut (*ptr.as_ptr()).request;
            (*request).set_callback(Some(completed::<N>), ptr.as_ptr().cast());
            (*request).start(Op::Seal, aad_len, len, src, dst)
        };
        // INVARIANT: The job is ours, and has either been submitted or is complete.
        let this = InFlight { job: ptr };
        if ret == EINPROGRESS.to_errno() {
            return Ok((this, false));
        }
        if ret == EBUSY.to_errno() {
            return Ok((this, true));
        }
        // It is done already, and nobody will call `completed()`.
        // SAFETY: The job is valid, and the driver does not know it any more.
        unsafe {
            (*ptr.as_ptr()).status.store(ret, Release);
            bindings::complete((*ptr.as_ptr()).done.get());
        }
        to_result(ret)?;
        Ok((this, false))
    }
}

/// Called by C when a request makes progress.
///
/// # Safety
///
/// `data` is the [`Job`] that was submitted.
unsafe extern "C" fn completed<N: Notify>(data: *mut c_void, err: c_int) {
    // A request leaves the backlog: it has yet to complete.
    if err == EINPROGRESS.to_errno() {
        return;
    }
    let job = data.cast::<Job<N>>();
    // SAFETY: The job stays until `done` is completed, which is the last thing that happens here.
    // Between submission and completion nobody else touches `notify`.
    unsafe {
        let notify = (*job).notify.take();
        (*job).status.store(err.min(0), Release);
        // Goes with the barrier of those who look at the status after they have asked to be told.
        smp_mb(Full);
        if let Some(notify) = notify {
            notify.notify();
        }
        bindings::complete((*job).done.get());
    }
}

/// A request that the driver may still work on. Dropping it waits until it has completed.
///
/// # Invariants
///
/// `job` belongs to this value, and was submitted. The driver may use all of it until `done` is
/// completed.
pub struct InFlight<N: Notify> {
    job: NonNull<Job<N>>,
}

// SAFETY: All parts of a job may be sent to another thread.
unsafe impl<N: Notify> Send for InFlight<N> {}
// SAFETY: A shared reference gives access to the atomic status, and to waiting.
unsafe impl<N: Notify> Sync for InFlight<N> {}

impl<N: Notify> InFlight<N> {
    /// Whether the request has completed.
    pub fn is_done(&self) -> bool {
        smp_mb(Full);
        // SAFETY: The job is valid by the type invariant.
        unsafe { (*self.job.as_ptr()).status.load(Acquire) != PENDING }
    }

    /// Waits until the request has completed. Fails with `ERESTARTSYS` when a signal comes first.
    pub fn wait_interruptible(&self) -> Result {
        if self.is_done() {
            return Ok(());
        }
        // SAFETY: The completion is initialised and valid by the type invariant.
        to_result(unsafe {
            let done = (*self.job.as_ptr()).done.get();
            let ret = bindings::wait_for_completion_interruptible(done);
            if ret == 0 {
                // Somebody else may wait for it still, `finish()` at the least.
                bindings::complete(done);
            }
            ret
        })
    }

    /// Waits until the request has completed, whatever happens.
    fn wait(&self) {
        // SAFETY: The completion is initialised and valid by the type invariant.
        unsafe { bindings::wait_for_completion((*self.job.as_ptr()).done.get()) };
    }

    /// Waits until the request has completed, and returns the ciphertext.
    pub fn finish(self) -> Result<KVec<FragMut>> {
        let this = ManuallyDrop::new(self);
        this.wait();
        // SAFETY: The request has completed, so the job is ours alone; `this` is not used again.
        let mut job = unsafe { KBox::from_raw(this.job.as_ptr()) };
        to_result(job.status.load(Acquire))?;
        Ok(core::mem::take(&mut job.dst))
    }
}

impl<N: Notify> Drop for InFlight<N> {
    fn drop(&mut self) {
        self.wait();
        // SAFETY: The request has completed, so the job is ours alone, and this is the last use.
        drop(unsafe { KBox::from_raw(self.job.as_ptr()) });
    }
}
