// SPDX-License-Identifier: GPL-2.0

//! A count whose additions and subtractions must match.

use kernel::pr_warn_once;

/// A number of bytes or things that are in a place at the moment.
///
/// What is taken away was added before. If it was not, the count is wrong from then on, which could
/// let a sender wait for ever: the kernel's log says so, once.
pub(crate) struct Balance(usize);

impl Balance {
    /// Creates a count of zero.
    pub(crate) const fn new() -> Self {
        Self(0)
    }

    /// Returns the count.
    #[inline]
    pub(crate) fn get(&self) -> usize {
        self.0
    }

    /// Adds `n`.
    #[inline]
    pub(crate) fn add(&mut self, n: usize) {
        match self.0.checked_add(n) {
            Some(sum) => self.0 = sum,
            None => self.imbalance(usize::MAX),
        }
    }

    /// Takes `n` away, which was added before.
    #[inline]
    pub(crate) fn sub(&mut self, n: usize) {
        match self.0.checked_sub(n) {
            Some(rest) => self.0 = rest,
            None => self.imbalance(0),
        }
    }

    #[cold]
    fn imbalance(&mut self, count: usize) {
        pr_warn_once!("BUG: a count does not balance\n");
        self.0 = count;
    }
}
