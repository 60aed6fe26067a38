// SPDX-License-Identifier: GPL-2.0

//! Numbers that look random, and are the same in every run.

/// The generator "xorshift64*".
pub(crate) struct Random(u64);

impl Random {
    /// A sequence of its own for each `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// The next `N` bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        [(); N].map(|()| (self.next() >> 56) as u8)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A sequence number. Every other one is close to a place where many digits change, though
    /// not to the end.
    pub(crate) fn sequence(&mut self) -> u64 {
        let any = self.next() >> 1;
        if self.below(2) == 0 {
            return any;
        }
        let carry = 1u64 << self.below(63);
        carry.wrapping_add(self.below(5)).saturating_sub(3)
    }
}
