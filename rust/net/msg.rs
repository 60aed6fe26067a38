// SPDX-License-Identifier: GPL-2.0

//! Messages: flags, control messages, and the data that a sender passes.
//!
//! C headers: [`include/linux/socket.h`](srctree/include/linux/socket.h),
//! [`include/linux/uio.h`](srctree/include/linux/uio.h)

use crate::{
    bindings,
    mm::Frag, //
};
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    page::PAGE_SIZE,
    prelude::*, //
};

/// `MSG_*` flags.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// More data follows, which may be sent together with this.
    pub const MORE: Self = Self(bindings::MSG_MORE);
    /// Do not sleep for room.
    pub const DONTWAIT: Self = Self(bindings::MSG_DONTWAIT);
    /// No `SIGPIPE`.
    pub const NOSIGNAL: Self = Self(bindings::MSG_NOSIGNAL);
    /// End of a record of the sender's.
    pub const EOR: Self = Self(bindings::MSG_EOR);
    /// Another message of the same `sendmmsg()` follows.
    pub const BATCH: Self = Self(bindings::MSG_BATCH);
    /// The data is pages, to be taken and not to be copied.
    pub const SPLICE_PAGES: Self = Self(bindings::MSG_SPLICE_PAGES);
    /// The pages are not written any more, by any holder of a reference.
    pub(super) const NO_SHARED_FRAGS: Self = Self(bindings::MSG_NO_SHARED_FRAGS);
    /// Control messages are those of a 32-bit program.
    pub const CMSG_COMPAT: Self = Self(bindings::MSG_CMSG_COMPAT);
    /// The sender is `sendfile()`, which has checked the policy.
    pub const SENDPAGE_NOPOLICY: Self = Self(bindings::MSG_SENDPAGE_NOPOLICY);

    /// Leave what is received where it is.
    pub const PEEK: Self = Self(bindings::MSG_PEEK);
    /// Wait for all of it.
    pub const WAITALL: Self = Self(bindings::MSG_WAITALL);

    pub(crate) fn from_raw(flags: c_uint) -> Self {
        Self(flags)
    }

    pub(crate) fn as_raw(self) -> c_uint {
        self.0
    }

    /// Both.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These without `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether any flag of `other` is set.
    pub const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// A control message.
pub struct ControlMessage<'a> {
    /// `SOL_*`.
    pub level: c_int,
    /// Its meaning, within the level.
    pub kind: c_int,
    /// The payload.
    pub data: &'a [u8],
}

/// A message that is being sent (`struct msghdr` with an iterator over a source).
///
/// # Invariants
///
/// `msg` is valid for `'a` and not used by anybody else; its control messages are in kernel
/// memory, its iterator is a source.
pub struct SendMsg<'a> {
    msg: NonNull<bindings::msghdr>,
    _msg: PhantomData<&'a mut bindings::msghdr>,
}

impl<'a> SendMsg<'a> {
    /// Wraps what C passes to `sendmsg()`.
    ///
    /// # Safety
    ///
    /// `msg` is valid for `'a`, not used by anybody else meanwhile, and as `sendmsg()` of a
    /// protocol gets it: with control messages in kernel memory.
    pub(crate) unsafe fn from_raw(msg: *mut bindings::msghdr) -> Result<Self> {
        let msg = NonNull::new(msg).ok_or(EINVAL)?;
        // SAFETY: The caller promises that it is valid.
        if u32::from(unsafe { (*msg.as_ptr()).msg_iter.data_source }) != bindings::ITER_SOURCE {
            return Err(EINVAL);
        }
        // INVARIANT: The caller promises the rest.
        Ok(Self {
            msg,
            _msg: PhantomData,
        })
    }

    fn iter_ptr(&mut self) -> *mut bindings::iov_iter {
        // SAFETY: `msg` is valid by the type invariant.
        unsafe { &raw mut (*self.msg.as_ptr()).msg_iter }
    }

    fn iter(&mut self) -> &mut IovIterSource<'a> {
        // SAFETY: The iterator is a source by the type invariant, and `IovIterSource` is a
        // transparent wrapper of it. It is borrowed as `self` is.
        unsafe { &mut *self.iter_ptr().cast::<IovIterSource<'a>>() }
    }

    /// The flags that the sender set.
    pub fn flags(&self) -> Flags {
        // SAFETY: `msg` is valid by the type invariant.
        Flags::from_raw(unsafe { (*self.msg.as_ptr()).msg_flags })
    }

    /// Bytes that are left.
    pub fn left(&mut self) -> usize {
        self.iter().len()
    }

    /// Whether the sender passed control messages.
    pub fn has_control(&self) -> bool {
        // SAFETY: `msg` is valid by the type invariant.
        unsafe { (*self.msg.as_ptr()).msg_controllen != 0 }
    }

    /// The control messages. Ends after one that is malformed, with `EINVAL`.
    pub fn control(&self) -> ControlMessages<'_> {
        // SAFETY: `msg` is valid by the type invariant.
        let next = unsafe { bindings::knet_cmsg_first(self.msg.as_ptr()) };
        ControlMessages {
            msg: self.msg,
            next,
            _msg: PhantomData,
        }
    }

    /// Copies the next bytes to `to`, to all of it. On `EFAULT` no byte counts as taken.
    pub fn copy_to(&mut self, to: &mut [u8]) -> Result {
        let want = to.len();
        let got = self.iter().copy_from_iter(to);
        if got == want {
            return Ok(());
        }
        // SAFETY: The iterator has advanced by `got` bytes.
        unsafe { self.revert(got) };
        Err(EFAULT)
    }

    /// Copies the next bytes to `parts`, to all of them. On `EFAULT` no byte counts as taken.
    pub fn copy_to_all<'b>(&mut self, parts: impl Iterator<Item = &'b mut [u8]>) -> Result {
        let mut taken = 0usize;
        for to in parts {
            let want = to.len();
            let got = self.iter().copy_from_iter(to);
            taken = taken.saturating_add(got);
            if got != want {
                // SAFETY: The iterator has advanced by `taken` bytes.
                unsafe { self.revert(taken) };
                return Err(EFAULT);
            }
        }
        Ok(())
    }

    /// Takes the iterator back by `n` bytes.
    ///
    /// # Safety
    ///
    /// At least `n` bytes were taken from this message before.
    pub(crate) unsafe fn revert(&mut self, n: usize) {
        // SAFETY: The caller promises that the iterator has advanced by at least `n` bytes.
        unsafe { self.iter().revert(n) };
    }

    /// Takes up to `max` bytes as a reference to the page that they are in.
    ///
    /// Only for a message with [`Flags::SPLICE_PAGES`]; fails with `EIO` if there is no page to
    /// be taken, or if its pages do not count references.
    pub fn take_page(&mut self, max: usize) -> Result<Frag> {
        let iter = self.iter_ptr();
        // A user's pages would have to be pinned, and unpinned.
        // SAFETY: The iterator is valid.
        if unsafe { bindings::knet_user_backed_iter(iter) } {
            return Err(EIO);
        }
        let mut page: *mut bindings::page = core::ptr::null_mut();
        let mut pages: *mut *mut bindings::page = &mut page;
        let mut offset = 0;
        // SAFETY: The iterator is valid, and there is room for one page. From an iterator that is
        // not a user's no reference or pin is taken.
        let got =
            unsafe { bindings::iov_iter_extract_pages(iter, &mut pages, max, 1, 0, &mut offset) };
        if got < 0 {
            return Err(Error::from_errno(got as c_int));
        }
        let len = got as usize;
        let page = NonNull::new(page).ok_or(EIO)?;
        // SAFETY: The iterator's owner holds the page.
        if len == 0 || len > PAGE_SIZE || !unsafe { bindings::knet_sendpage_ok(page.as_ptr()) } {
            // SAFETY: `len` bytes were taken just now.
            unsafe { self.revert(len) };
            return Err(EIO);
        }
        // SAFETY: The page counts references, and its owner holds one. `offset` and `len` are
        // within it.
        Ok(unsafe {
            bindings::knet_get_page(page.as_ptr());
            Frag::from_raw(page, offset as u32, len as u32)
        })
    }
}

/// A message that is being received (`struct msghdr` with an iterator over a destination).
///
/// # Invariants
///
/// `msg` is valid for `'a` and not used by anybody else; its iterator is a destination.
pub struct RecvMsg<'a> {
    msg: NonNull<bindings::msghdr>,
    _msg: PhantomData<&'a mut bindings::msghdr>,
}

impl<'a> RecvMsg<'a> {
    /// Wraps what C passes to `recvmsg()`.
    ///
    /// # Safety
    ///
    /// `msg` is valid for `'a`, and not used by anybody else meanwhile.
    pub(crate) unsafe fn from_raw(msg: *mut bindings::msghdr) -> Result<Self> {
        let msg = NonNull::new(msg).ok_or(EINVAL)?;
        // SAFETY: The caller promises that it is valid.
        if u32::from(unsafe { (*msg.as_ptr()).msg_iter.data_source }) != bindings::ITER_DEST {
            return Err(EINVAL);
        }
        // INVARIANT: The caller promises the rest.
        Ok(Self {
            msg,
            _msg: PhantomData,
        })
    }

    fn iter(&mut self) -> &mut IovIterDest<'a> {
        // SAFETY: The iterator is a destination by the type invariant, and `IovIterDest` is a
        // transparent wrapper of it. It is borrowed as `self` is.
        unsafe {
            let iter = &raw mut (*self.msg.as_ptr()).msg_iter;
            &mut *iter.cast::<IovIterDest<'a>>()
        }
    }

    /// Bytes of room that are left.
    pub fn left(&mut self) -> usize {
        self.iter().len()
    }

    /// Whether the destination is a user's memory, not the kernel's.
    pub fn is_user(&self) -> bool {
        // SAFETY: `msg` is valid by the type invariant.
        unsafe { bindings::knet_user_backed_iter(&raw const (*self.msg.as_ptr()).msg_iter) }
    }

    /// Copies `parts` to the destination, all of them. On `EFAULT` no byte counts as copied.
    pub fn copy_from_all<'b>(&mut self, parts: impl Iterator<Item = &'b [u8]>) -> Result {
        let mut copied = 0usize;
        for part in parts {
            let got = self.iter().copy_to_iter(part);
            copied = copied.saturating_add(got);
            if got != part.len() {
                // SAFETY: The iterator has advanced by `copied` bytes.
                unsafe { self.iter().revert(copied) };
                return Err(EFAULT);
            }
        }
        Ok(())
    }

    /// Marks the end of a record.
    pub fn set_end_of_record(&mut self) {
        // SAFETY: `msg` is valid by the type invariant.
        unsafe { (*self.msg.as_ptr()).msg_flags |= bindings::MSG_EOR };
    }

    /// Adds a control message. Returns whether it arrives in full.
    pub fn put_control(&mut self, level: c_int, kind: c_int, data: &[u8]) -> bool {
        // SAFETY: `msg` is valid by the type invariant, and `data` for its length.
        unsafe {
            let ret = bindings::put_cmsg(
                self.msg.as_ptr(),
                level,
                kind,
                data.len() as c_int,
                data.as_ptr().cast_mut().cast(),
            );
            ret == 0 && (*self.msg.as_ptr()).msg_flags & bindings::MSG_CTRUNC == 0
        }
    }
}

/// The control messages of a [`SendMsg`].
///
/// # Invariants
///
/// `next` is null or points to the header of a control message of `msg`, all of it within
/// `msg_control`.
pub struct ControlMessages<'a> {
    msg: NonNull<bindings::msghdr>,
    next: *mut bindings::cmsghdr,
    _msg: PhantomData<&'a bindings::msghdr>,
}

impl<'a> Iterator for ControlMessages<'a> {
    type Item = Result<ControlMessage<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let cmsg = self.next;
        if cmsg.is_null() {
            return None;
        }
        // SAFETY: Both are valid by the type invariant.
        if !unsafe { bindings::knet_cmsg_ok(self.msg.as_ptr(), cmsg) } {
            self.next = core::ptr::null_mut();
            return Some(Err(EINVAL));
        }
        // SAFETY: The message and the header are valid by the type invariant, and the length in the
        // header was checked. The next one is checked against the length of `msg_control`.
        self.next = unsafe { bindings::knet_cmsg_next(self.msg.as_ptr(), cmsg) };
        // SAFETY: `cmsg` is valid, and `cmsg_len` was checked: it is at least the length of the
        // header, and lies within `msg_control`.
        let (level, kind, data) = unsafe {
            let len = (*cmsg)
                .cmsg_len
                .saturating_sub(size_of::<bindings::cmsghdr>());
            (
                (*cmsg).cmsg_level,
                (*cmsg).cmsg_type,
                core::slice::from_raw_parts(cmsg.add(1).cast::<u8>(), len),
            )
        };
        Some(Ok(ControlMessage { level, kind, data }))
    }
}
