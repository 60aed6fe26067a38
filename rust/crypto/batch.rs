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
    sync::Arc,
    types::Opaque, //
};

/// What C uses while it decrypts a record.
struct Job {
    wait: Opaque<bindings::crypto_wait>,
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
                wait: Opaque::zeroed(),
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
        // SAFETY: `crypto_req_done()` takes a pointer to a `struct crypto_wait`. This one, and the
        // tables, are in the job; the caller leaves all of it alone until the request has
        // completed. No reference to those parts is made until then.
        unsafe {
            let wait = (&raw mut (*job).wait).cast::<bindings::crypto_wait>();
            bindings::knet_init_completion(&raw mut (*wait).completion);
            request.set_callback(Some(bindings::crypto_req_done), wait.cast());
            request.start(Op::Open, self.aad_len, self.len, src, dst)
        }
    }

    /// Waits until the request has completed, if it was started and has not done so at once.
    fn wait(&mut self) {
        if self.ret == EINPROGRESS.to_errno() || self.ret == EBUSY.to_errno() {
            // SAFETY: The job is ours, and its completion was initialised when the request was
            // started. The error is written before it is completed.
            self.ret = unsafe {
                let wait = (&raw mut (*self.job.as_ptr()).wait).cast::<bindings::crypto_wait>();
                bindings::wait_for_completion(&raw mut (*wait).completion);
                (*wait).err
            };
        }
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the job is ours, and no request is under way.
        drop(unsafe { KBox::from_raw(self.job.as_ptr()) });
    }
}
