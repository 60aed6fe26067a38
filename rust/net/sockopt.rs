// SPDX-License-Identifier: GPL-2.0

//! Values of socket options.
//!
//! C headers: [`include/linux/sockptr.h`](srctree/include/linux/sockptr.h),
//! [`include/net/sock.h`](srctree/include/net/sock.h)

use crate::bindings;
use core::marker::PhantomData;
use kernel::{
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

/// The value that a caller of `setsockopt()` passes, in user or in kernel memory.
///
/// # Invariants
///
/// `ptr` is null, a pointer of a user (which may be anything), or points to `len` readable bytes
/// for the lifetime `'a`.
pub struct OptVal<'a> {
    ptr: bindings::sockptr_t,
    len: usize,
    _value: PhantomData<&'a [u8]>,
}

impl OptVal<'_> {
    /// Wraps what C passes to `setsockopt()`.
    ///
    /// # Safety
    ///
    /// If `ptr` is a pointer to kernel memory, it is null or valid for reads of `len` bytes for
    /// the lifetime of the value.
    pub(crate) unsafe fn from_raw(ptr: bindings::sockptr_t, len: u32) -> Self {
        // INVARIANT: The caller promises it.
        Self {
            ptr,
            len: len as usize,
            _value: PhantomData,
        }
    }

    /// Whether there is a value at all.
    #[inline]
    pub fn is_null(&self) -> bool {
        // SAFETY: This looks at the pointer only.
        unsafe { bindings::knet_sockptr_is_null(self.ptr) }
    }

    /// Length of the value in bytes, as the caller says.
    #[expect(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether all bytes from `offset` on are zero. Fails with `EFAULT` if they cannot be read.
    pub fn is_zero_from(&self, offset: usize) -> Result<bool> {
        let Some(len) = self.len.checked_sub(offset) else {
            return Err(EINVAL);
        };
        // SAFETY: The range lies within the value, which is readable or a user's by the type
        // invariant.
        match unsafe { bindings::knet_check_zeroed_sockptr(self.ptr, offset, len) } {
            0 => Ok(false),
            1 => Ok(true),
            e => Err(Error::from_errno(e)),
        }
    }

    /// Copies the bytes from `offset` on to `to`.
    ///
    /// Fails with `EINVAL` behind the end of the value, and with `EFAULT` if the user's memory
    /// cannot be read.
    #[inline]
    pub fn read(&self, offset: usize, to: &mut [u8]) -> Result {
        let end = offset.checked_add(to.len()).ok_or(EINVAL)?;
        if end > self.len {
            return Err(EINVAL);
        }
        // SAFETY: `to` is valid for writes. The range lies within the value, which is readable or
        // a user's by the type invariant.
        let ret = unsafe {
            bindings::knet_copy_from_sockptr(to.as_mut_ptr().cast(), self.ptr, offset, to.len())
        };
        if ret == 0 {
            Ok(())
        } else {
            Err(EFAULT)
        }
    }
}

/// The place for a value that a caller of `getsockopt()` wants.
pub struct OptOut {
    value: UserPtr,
    len_ptr: UserPtr,
    len: usize,
}

impl OptOut {
    /// Reads how much room the caller has.
    ///
    /// Fails with `EFAULT` if that cannot be read, and with `EINVAL` if it is negative.
    pub(crate) fn new(value: *mut c_void, len_ptr: *mut c_void) -> Result<Self> {
        let len_ptr = UserPtr::from_ptr(len_ptr);
        let len: i32 = UserSlice::new(len_ptr, size_of::<i32>()).reader().read()?;
        Ok(Self {
            value: UserPtr::from_ptr(value),
            len_ptr,
            len: usize::try_from(len).map_err(|_| EINVAL)?,
        })
    }

    /// Whether the caller gave no place.
    pub fn is_null(&self) -> bool {
        self.value.as_const_ptr().is_null()
    }

    /// Bytes of room.
    #[expect(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Writes the value. What is longer than the room does not arrive: `EFAULT`.
    pub fn write(&mut self, value: &[u8]) -> Result {
        if value.len() > self.len {
            return Err(EFAULT);
        }
        UserSlice::new(self.value, value.len())
            .writer()
            .write_slice(value)
    }

    /// Sets the length that the caller will see.
    pub fn set_len(&mut self, len: usize) {
        self.len = len;
    }

    /// Tells the caller the length.
    pub(crate) fn finish(self) -> Result {
        let len = i32::try_from(self.len)?;
        UserSlice::new(self.len_ptr, size_of::<i32>())
            .writer()
            .write(&len)
    }
}

/// Turns the result of an option into what C wants.
#[inline]
pub(crate) fn to_errno(result: Result) -> c_int {
    match result {
        Ok(()) => 0,
        Err(e) => e.to_errno(),
    }
}
