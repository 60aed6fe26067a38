// SPDX-License-Identifier: GPL-2.0

//! Memory that is wiped before it is given back.
//!
//! C header: [`include/linux/string.h`](srctree/include/linux/string.h)

use core::sync::atomic::{
    compiler_fence,
    Ordering, //
};

/// `N` bytes of key material, a multiple of eight, zeroed when dropped.
///
/// It is not `Copy`, and moving it may leave the bytes behind in the old place: create it where
/// it stays, or keep it in a box.
#[repr(C, align(8))]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// All zeroes.
    pub const fn zeroed() -> Self {
        Self([0; N])
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, to be written.
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Takes over the bytes of `other`.
    pub fn copy_from(&mut self, other: &Self) {
        self.0 = other.0;
    }

    /// Zeroes the bytes, in a way that the compiler does not optimise away.
    pub fn wipe(&mut self) {
        const { assert!(N % size_of::<u64>() == 0) };
        let words = self.0.as_mut_ptr().cast::<u64>();
        for i in 0..N / size_of::<u64>() {
            // SAFETY: The bytes are aligned to words, and a multiple of them. The write is volatile
            // because nobody reads the zeroes.
            unsafe { words.add(i).write_volatile(0) };
        }
        compiler_fence(Ordering::SeqCst);
    }
}

impl<const N: usize> Drop for Secret<N> {
    fn drop(&mut self) {
        self.wipe();
    }
}
