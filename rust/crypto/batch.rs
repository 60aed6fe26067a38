// SPDX-License-Identifier: GPL-2.0

//! Decrypting several records at the same time, with drivers that need time.
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
    open::Cipher, //
};
use crate::{
    bindings,
    mm::FragMut,
    net::recvq::RecvQueue, //
};
use core::{
    mem::MaybeUninit,
    ptr::NonNull, //
};
use kernel::{
    alloc::Flags,
    error::to_result,
    prelude::*,
    sync::Arc, //
};

/// What C uses while it decrypts a record.
struct Job {
    request: Request,
    src_room: [MaybeUninit<bindings::scatterlist>; SRC_MAX],
    dst_room: [MaybeUninit<bindings::scatterlist>; DST_MAX],
}

/// A ciphertext in the receive queue of a socket, to be decrypted together with others.
///
/// # Invariants
///
/// `job` is what a `KBox` contained, and belongs to this value. No request is under way, except
/// within [`Opening::run`].
pub struct Opening {
    job: NonNull<Job>,
    /// Bytes of additional data, and so many of them that are directly before the ciphertext.
    aad_len: usize,
    leading: usize,
    /// Offset and length in bytes of the ciphertext.
    at: usize,
    len: usize,
    dst: KVec<FragMut>,
    /// What C has returned.
    ret: c_int,
}

impl Opening {
    /// Allocates what it takes to decrypt `len` bytes from offset `at` of a queue into `dst`, as
    /// [`Request::open`] does.
    pub fn new(
        aead: &Arc<Aead>,
        iv: &[u8; IV_LEN],
        aad: &Aad<'_>,
        (at, len): (usize, usize),
        dst: KVec<FragMut>,
        flags: Flags,
    ) -> Result<Self> {
        // In its place: the room for tables is too much for the stack.
        let mut job = KBox::try_init(
            try_init!(Job {
                request: Request::with_shared(aead.clone(), flags)?,
                src_room: [const { MaybeUninit::uninit() }; SRC_MAX],
                dst_room: [const { MaybeUninit::uninit() }; DST_MAX],
            }),
            flags,
        )?;
        job.request.set_inputs(iv, aad)?;
        // INVARIANT: The box is given up, and the request was not started.
        Ok(Self {
            job: NonNull::from(KBox::leak(job)),
            aad_len: aad.len(),
            leading: aad.leading(),
            at,
            len,
            dst,
            ret: EAGAIN.to_errno(),
        })
    }

    /// Whether `len` bytes of `queue` from offset `at` on are in few enough pieces.
    pub fn is_possible(queue: &mut RecvQueue<'_>, at: usize, len: usize) -> bool {
        let mut pieces = 0usize;
        let counted = queue.for_each_run(at, len, |_| {
            pieces = pieces.wrapping_add(1);
            Ok(())
        });
        // One is for additional data.
        counted.is_ok() && pieces < SRC_MAX
    }

    /// Decrypts `openings`, all at the same time; none of those behind one that fails at once, or
    /// for which the driver has to be waited for. Sleeps until all is done.
    ///
    /// Returns the plaintexts. They fail as [`Request::open`] does, and with `EAGAIN` if they were
    /// not begun.
    pub fn run(
        queue: &mut RecvQueue<'_>,
        mut openings: KVec<Opening>,
    ) -> impl Iterator<Item = Result<KVec<FragMut>>> {
        for opening in openings.iter_mut() {
            // SAFETY: Queue and openings are borrowed exclusively. All are waited for below.
            opening.ret = unsafe { opening.start(queue) };
            if opening.ret != 0 && opening.ret != EINPROGRESS.to_errno() {
                break;
            }
        }
        for opening in openings.iter_mut() {
            opening.wait();
        }
        openings.into_iter().map(|mut opening| {
            to_result(opening.ret)?;
            Ok(core::mem::take(&mut opening.dst))
        })
    }

    /// Starts the request. Returns what C returns.
    ///
    /// # Safety
    ///
    /// Until [`Opening::wait`] has returned, the value must not be used otherwise or dropped, and
    /// nothing may be taken out of the queue.
    unsafe fn start(&mut self, queue: &mut RecvQueue<'_>) -> c_int {
        let job = self.job.as_ptr();
        // SAFETY: The job is ours, and no request is under way yet. The references are to
        // different parts of it.
        let (request, room) = unsafe {
            (
                &mut (*job).request,
                (&mut (*job).src_room[..], &mut (*job).dst_room[..]),
            )
        };
        let leading = (self.aad_len, self.leading);
        let src = Cipher::Queue(queue, self.at);
        let (src, dst) = match request.open_tables(leading, src, &self.dst, self.len, room) {
            Ok(tables) => tables,
            Err(e) => return e.to_errno(),
        };
        // SAFETY: `open_tables()` has checked the lengths. The tables are in the job, and `dst` is
        // this value's; the caller leaves all of it and the queue alone until the request has
        // completed.
        unsafe { request.start(Op::Open, self.aad_len, self.len, src, dst) }
    }

    /// Waits until the request has completed, if it was started and has not done so at once.
    fn wait(&mut self) {
        // SAFETY: The job is ours. The driver, which may be at work on it, does not touch the
        // `Request`, but what that points to.
        let request = unsafe { &mut (*self.job.as_ptr()).request };
        self.ret = request.wait(self.ret);
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the job is ours, and no request is under way.
        drop(unsafe { KBox::from_raw(self.job.as_ptr()) });
    }
}
