// SPDX-License-Identifier: GPL-2.0

//! Authenticated encryption with associated data.
//!
//! C header: [`include/crypto/aead.h`](srctree/include/crypto/aead.h)

use super::sg::{
    Buf,
    Table,
    Text, //
};
use crate::{
    bindings,
    mm::FragMut, //
};
use core::{
    alloc::Layout,
    mem::{
        offset_of,
        size_of,
        MaybeUninit, //
    },
    ptr::NonNull, //
};
use kernel::{
    alloc::{
        allocator::Kmalloc,
        Allocator as _,
        Flags,
        NumaNode, //
    },
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    sync::Arc, //
};

/// Bytes of the longest initialisation vector that a request has room for.
pub(super) const IV_LEN: usize = 16;

/// The most bytes of additional data that a request keeps apart from the text.
const AAD_MAX: usize = 16;

/// The most runs that a destination may consist of, with the additional data.
pub(super) const DST_MAX: usize = 16;

/// The most runs that a source may consist of, with the additional data.
pub(super) const SRC_MAX: usize = 40;

/// A cipher with its key (`struct crypto_aead`), which does not change any more.
///
/// # Invariants
///
/// `tfm` is a valid transform that belongs to this value; its key and the length of its tag were
/// set. Its IV has at most [`IV_LEN`] bytes.
pub struct Aead {
    tfm: NonNull<bindings::crypto_aead>,
}

// SAFETY: A transform may be used and freed by any thread.
unsafe impl Send for Aead {}
// SAFETY: With the key set once and for all, C allows requests on a transform at the same time.
unsafe impl Sync for Aead {}

impl Aead {
    /// Allocates the default implementation of `algorithm`, with `key` and a tag of `tag_len`
    /// bytes.
    #[inline]
    fn new(algorithm: &CStr, key: &[u8], tag_len: usize) -> Result<Self> {
        // SAFETY: `algorithm` is a valid string.
        let tfm = unsafe { bindings::crypto_alloc_aead(algorithm.as_char_ptr(), 0, 0) };
        let tfm = from_err_ptr(tfm)?;
        let tfm = NonNull::new(tfm).ok_or(ENOMEM)?;
        // INVARIANT: The transform is ours. It is not used before the rest of the invariant holds:
        // until then errors return below.
        let this = Self { tfm };
        // SAFETY: `tfm` is valid.
        if unsafe { bindings::knet_crypto_aead_ivsize(tfm.as_ptr()) } as usize > IV_LEN {
            return Err(EINVAL);
        }
        // SAFETY: `tfm` is valid, and so is `key` for its length.
        to_result(unsafe {
            bindings::crypto_aead_setkey(tfm.as_ptr(), key.as_ptr(), key.len() as u32)
        })?;
        // SAFETY: `tfm` is valid.
        to_result(unsafe { bindings::crypto_aead_setauthsize(tfm.as_ptr(), tag_len as u32) })?;
        Ok(this)
    }

    /// Whether the implementation may complete requests later.
    fn is_async(&self) -> bool {
        // SAFETY: `tfm` is valid.
        unsafe { bindings::knet_crypto_aead_is_async(self.tfm.as_ptr()) }
    }

    /// Length of the tag in bytes.
    pub(super) fn tag_len(&self) -> usize {
        // SAFETY: `tfm` is valid, and the field does not change any more.
        unsafe { (*self.tfm.as_ptr()).authsize as usize }
    }

    /// Bytes that the implementation needs behind a request.
    fn request_len(&self) -> usize {
        // SAFETY: `tfm` is valid, and the field does not change any more.
        unsafe { (*self.tfm.as_ptr()).reqsize as usize }
    }
}

impl Drop for Aead {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. Requests hold a reference to this value, so none is left.
        unsafe { bindings::knet_crypto_free_aead(self.tfm.as_ptr()) };
    }
}

/// What a request is for.
#[derive(Clone, Copy)]
pub(super) enum Op {
    /// Encrypt, and add a tag.
    Seal,
    /// Check the tag, and decrypt.
    Open,
}

/// Where the additional data of a request is.
pub enum Aad<'a> {
    /// In the first bytes of the destination, directly before the text.
    Leading(usize),
    /// In `bytes`, of which there are at most 16. The text begins behind the first `skip` bytes
    /// of the destination, which stay as they are.
    Apart {
        /// The additional data.
        bytes: &'a [u8],
        /// Offset of the text in the destination.
        skip: usize,
    },
}

impl Aad<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Aad::Leading(n) => *n,
            Aad::Apart { bytes, .. } => bytes.len(),
        }
    }

    /// Bytes of it that are directly before the text.
    pub(super) fn leading(&self) -> usize {
        match self {
            Aad::Leading(n) => *n,
            Aad::Apart { .. } => 0,
        }
    }
}

/// Whom the cipher of a request belongs to.
enum Owner {
    /// The request.
    Alone(Aead),
    /// All requests that may be under way at the same time.
    Shared(Arc<Aead>),
}

impl Owner {
    fn aead(&self) -> &Aead {
        match self {
            Owner::Alone(aead) => aead,
            Owner::Shared(aead) => aead,
        }
    }
}

/// What C uses while it works on a request; from `kmalloc()`, as drivers map it for DMA.
#[repr(C)]
pub(super) struct Inner {
    owner: Owner,
    iv: [u8; IV_LEN],
    aad: [u8; AAD_MAX],
    /// Who waits for the request.
    wait: bindings::crypto_wait,
    /// Followed by as many bytes as the implementation asked for. Must be last.
    req: bindings::aead_request,
}

/// A request (`struct aead_request`) that can be used again and again.
///
/// # Invariants
///
/// `inner` belongs to this value. Its `req` is for the transform of its `owner`, and is followed
/// by as many bytes as that transform asks for; its `wait` is initialised, and is what completion
/// is reported to unless [`Request::set_callback`] was called. No request is under way, but for the
/// time that the caller of [`Request::start`] answers for. `aad_buf` is the `aad` of `inner`.
pub struct Request {
    inner: NonNull<Inner>,
    aad_buf: Buf,
}

// SAFETY: Nothing in a request depends on the thread.
unsafe impl Send for Request {}
// SAFETY: A shared reference gives access to the `Aead` only, which is `Sync`, and to an address.
unsafe impl Sync for Request {}

impl Request {
    fn layout(aead: &Aead) -> Layout {
        let size = size_of::<Inner>().wrapping_add(aead.request_len());
        // SAFETY: The size is little more than an `u32` can be, and the alignment is a type's.
        unsafe { Layout::from_size_align_unchecked(size, align_of::<Inner>()) }
    }

    /// Allocates a request, and the default implementation of `algorithm` for it, with `key` and
    /// a tag of `tag_len` bytes.
    ///
    /// Fails with `ENOENT` if the kernel has no implementation, and with the implementation's
    /// error if it does not take the key.
    pub fn new(algorithm: &CStr, key: &[u8], tag_len: usize, flags: Flags) -> Result<Self> {
        let aead = Aead::new(algorithm, key, tag_len)?;
        let owner = if aead.is_async() {
            Owner::Shared(Arc::new(aead, flags)?)
        } else {
            Owner::Alone(aead)
        };
        Self::for_owner(owner, flags)
    }

    /// Allocates one more request for `aead`.
    pub(super) fn with_shared(aead: Arc<Aead>, flags: Flags) -> Result<Self> {
        Self::for_owner(Owner::Shared(aead), flags)
    }

    #[inline]
    fn for_owner(owner: Owner, flags: Flags) -> Result<Self> {
        let aead = owner.aead();
        let layout = Self::layout(aead);
        let inner = Kmalloc::alloc(layout, flags | __GFP_ZERO, NumaNode::NO_NODE)?.cast::<Inner>();
        let ptr = inner.as_ptr();
        let tfm = aead.tfm.as_ptr();
        // SAFETY: `ptr` is valid for writes of an `Inner`, and the memory is zeroed, which is
        // valid for the fields that are not written here.
        unsafe {
            (&raw mut (*ptr).owner).write(owner);
            bindings::knet_aead_request_set_tfm(&raw mut (*ptr).req, tfm);
            (*ptr).req.iv = (&raw mut (*ptr).iv).cast();
            bindings::knet_init_completion(&raw mut (*ptr).wait.completion);
            // Also where the implementation says that it completes requests at once.
            let base = &mut (*ptr).req.base;
            base.complete = Some(bindings::crypto_req_done);
            base.data = (&raw mut (*ptr).wait).cast();
            base.flags = bindings::CRYPTO_TFM_REQ_MAY_BACKLOG;
        }
        // SAFETY: The buffer is part of memory from `kmalloc()`.
        let aad_buf = unsafe { Buf::new((&raw const (*ptr).aad).cast(), AAD_MAX as u32) };
        // INVARIANT: The size is that of `Inner` with the transform's part behind `req`.
        Ok(Self { inner, aad_buf })
    }

    /// Sets the function that C calls when it completes the request, if it does so later. There is
    /// nothing to [wait](Request::wait) for any more.
    ///
    /// # Safety
    ///
    /// `data` must be what `done` expects, until the next request that is started has completed.
    pub(super) unsafe fn set_callback(
        &mut self,
        done: bindings::crypto_completion_t,
        data: *mut c_void,
    ) {
        // SAFETY: `inner` is valid and not in use by the type invariants.
        let base = unsafe { &mut (*self.inner.as_ptr()).req.base };
        base.complete = done;
        base.data = data;
    }

    fn owner(&self) -> &Owner {
        // SAFETY: `inner` is valid, and its `owner` does not change.
        unsafe { &(*self.inner.as_ptr()).owner }
    }

    /// The cipher that the request is for.
    pub(super) fn aead(&self) -> &Aead {
        self.owner().aead()
    }

    /// The cipher, for other requests at the same time. There is none unless the implementation
    /// may complete requests later.
    pub fn shared_aead(&self) -> Option<&Arc<Aead>> {
        match self.owner() {
            Owner::Alone(_) => None,
            Owner::Shared(aead) => Some(aead),
        }
    }

    /// Takes over the IV, and additional data that is kept apart from the text.
    pub(super) fn set_inputs(&mut self, iv: &[u8; IV_LEN], aad: &Aad<'_>) -> Result {
        // SAFETY: `inner` is valid and not in use by the type invariants.
        let inner = unsafe { self.inner.as_mut() };
        inner.iv = *iv;
        if let Aad::Apart { bytes, .. } = aad {
            let to = inner.aad.get_mut(..bytes.len()).ok_or(EINVAL)?;
            // Mostly it is 13 bytes: two words do without a call.
            match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
                (Some(first), Some(last)) => {
                    *to.first_chunk_mut().ok_or(EINVAL)? = *first;
                    *to.last_chunk_mut().ok_or(EINVAL)? = *last;
                }
                _ => to.copy_from_slice(bytes),
            }
        }
        Ok(())
    }

    /// Where additional data is kept apart from the text: [`AAD_MAX`] bytes.
    pub(super) fn aad_buf(&self) -> &Buf {
        &self.aad_buf
    }

    /// Has the cipher work on `len` bytes. Returns what C returns.
    ///
    /// # Safety
    ///
    /// * `src` and `dst` are valid tables for the additional data and `len` bytes; one of them for
    ///   a tag more or less, as `op` adds or removes one.
    /// * The tables, what they describe, and the request must not be touched or freed until the
    ///   request has completed.
    pub(super) unsafe fn start(
        &mut self,
        op: Op,
        aad_len: usize,
        len: usize,
        src: *mut bindings::scatterlist,
        dst: *mut bindings::scatterlist,
    ) -> c_int {
        // SAFETY: `inner` is valid and not in use by the type invariants.
        let req = unsafe { &raw mut (*self.inner.as_ptr()).req };
        // SAFETY: The request is valid and not in use by the type invariants. The caller promises that
        // the tables are valid for these lengths, and stay so until it has completed.
        unsafe {
            (*req).assoclen = aad_len as u32;
            (*req).cryptlen = len as u32;
            (*req).src = src;
            (*req).dst = dst;
            match op {
                Op::Seal => bindings::crypto_aead_encrypt(req),
                Op::Open => bindings::crypto_aead_decrypt(req),
            }
        }
    }

    /// Starts the request and returns when it is done, whether or not the driver needs time, and
    /// whether or not it is marked as one that does.
    ///
    /// # Safety
    ///
    /// As for [`Request::start`].
    #[inline]
    pub(super) unsafe fn run(
        &mut self,
        op: Op,
        aad_len: usize,
        len: usize,
        src: *mut bindings::scatterlist,
        dst: *mut bindings::scatterlist,
    ) -> Result {
        // SAFETY: The caller promises that the tables are valid for these lengths. What they describe
        // is left alone until completion, before which this function does not return.
        let ret = unsafe { self.start(op, aad_len, len, src, dst) };
        // Mostly all went well, and there is nothing to wait for, or to convert by a call.
        if ret == 0 {
            return Ok(());
        }
        to_result(self.wait(ret))
    }

    /// Waits until the request has completed, if C has said so when it was started: `ret` is what
    /// [`Request::start`] has returned. Returns what C has to say about the request.
    #[inline(never)]
    pub(super) fn wait(&mut self, ret: c_int) -> c_int {
        if ret != EINPROGRESS.to_errno() && ret != EBUSY.to_errno() {
            return ret;
        }
        // SAFETY: By the type invariants `inner` is valid, and its completion is initialised. It is
        // completed by `crypto_req_done()` once for each request that C completes later, having
        // written the error.
        unsafe {
            let wait = &raw mut (*self.inner.as_ptr()).wait;
            bindings::wait_for_completion(&raw mut (*wait).completion);
            (*wait).err
        }
    }

    /// Encrypts `len` bytes of `text` in place and puts the tag behind them.
    ///
    /// Sleeps if the implementation completes requests later. Fails with `EINVAL` if `text` is
    /// too short, and with `ENOSPC` if it consists of too many runs.
    pub fn seal_in_place(
        &mut self,
        iv: &[u8; IV_LEN],
        aad: &Aad<'_>,
        text: &mut [FragMut],
        len: usize,
    ) -> Result {
        let mut room = [const { MaybeUninit::uninit() }; DST_MAX];
        self.set_inputs(iv, aad)?;
        let total = len.checked_add(self.aead().tag_len()).ok_or(EOVERFLOW)?;
        let mut table = Table::new(&mut room);
        table.push_dst(aad, self.aad_buf(), text, total)?;
        let table = table.finish()?;
        // SAFETY: The table describes additional data, text and tag, as `push_dst()` has checked.
        // `text` is borrowed exclusively, and the request has completed when `run()` returns.
        unsafe { self.run(Op::Seal, aad.len(), len, table, table) }
    }

    /// Encrypts the `len` bytes of `run` that stand behind `aad_len` bytes of additional data, in
    /// place, and puts the tag behind them.
    ///
    /// Sleeps if the implementation completes requests later. Fails with `EINVAL` if `run` is too
    /// short.
    pub fn seal_run(
        &mut self,
        iv: &[u8; IV_LEN],
        aad_len: usize,
        run: &mut FragMut,
        len: usize,
    ) -> Result {
        let total = aad_len
            .checked_add(len)
            .and_then(|n| n.checked_add(self.aead().tag_len()))
            .filter(|n| *n <= run.len())
            .ok_or(EINVAL)?;
        let mut table = Table::single(run.frag(), total as u32);
        // SAFETY: `inner` is valid and not in use by the type invariants.
        unsafe { (*self.inner.as_ptr()).iv = *iv };
        // SAFETY: The table describes additional data, text and tag, all of them within `run`,
        // which is borrowed exclusively. The request has completed when `run()` returns.
        unsafe { self.run(Op::Seal, aad_len, len, &mut table, &mut table) }
    }

    /// Encrypts the parts of `text` into `dst` and puts the tag behind them.
    ///
    /// Sleeps and fails as [`Request::seal_in_place`] does. The parts have `len` bytes together.
    pub fn seal_from(
        &mut self,
        iv: &[u8; IV_LEN],
        aad: &Aad<'_>,
        text: &[Text],
        dst: &mut [FragMut],
        len: usize,
    ) -> Result {
        let mut src_room = [const { MaybeUninit::uninit() }; SRC_MAX];
        let mut dst_room = [const { MaybeUninit::uninit() }; DST_MAX];
        self.set_inputs(iv, aad)?;
        let (src, dst) = self.tables(aad, text, dst, len, (&mut src_room, &mut dst_room))?;
        // SAFETY: `tables()` has checked the lengths. `text` and `dst` are borrowed, the latter
        // exclusively, and the request has completed when `run()` returns.
        unsafe { self.run(Op::Seal, aad.len(), len, src, dst) }
    }

    /// Fills the tables for [`Request::start`].
    pub(super) fn tables(
        &self,
        aad: &Aad<'_>,
        text: &[Text],
        dst: &[FragMut],
        len: usize,
        room: Rooms<'_>,
    ) -> Result<(*mut bindings::scatterlist, *mut bindings::scatterlist)> {
        let total = len.checked_add(self.aead().tag_len()).ok_or(EOVERFLOW)?;
        let mut to = Table::new(room.1);
        to.push_dst(aad, self.aad_buf(), dst, total)?;
        let mut from = Table::new(room.0);
        from.push_src(aad, self.aad_buf(), text, dst)?;
        if from.bytes() != aad.len().wrapping_add(len) {
            return Err(EINVAL);
        }
        Ok((from.finish()?, to.finish()?))
    }
}

/// Room for the source's and for the destination's table.
pub(super) type Rooms<'a> = (
    &'a mut [MaybeUninit<bindings::scatterlist>],
    &'a mut [MaybeUninit<bindings::scatterlist>],
);

impl Drop for Request {
    fn drop(&mut self) {
        let layout = Self::layout(self.aead());
        // SAFETY: By the type invariants `inner` is ours and not in use. The cipher is dropped once.
        unsafe { core::ptr::drop_in_place(&raw mut (*self.inner.as_ptr()).owner) };
        // SAFETY: The memory came from `Kmalloc` with this layout.
        unsafe { Kmalloc::free(self.inner.cast(), layout) };
    }
}

// C writes behind the end of `req`, and there must be nothing else.
const _: () = assert!(
    offset_of!(Inner, req) + size_of::<bindings::aead_request>() == size_of::<Inner>(),
    "the request must be the end of the structure"
);
