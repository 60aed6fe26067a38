// SPDX-License-Identifier: GPL-2.0

//! What `rx/stream.rs` uses of the kernel, under the same names, as simple as it can be.
//!
//! The crates `kernel` and `knet` are this crate here. What would be a bug in its use, like
//! reading what has not arrived, panics.

pub(crate) mod alloc {
    /// Whether there is memory.
    #[derive(Clone, Copy)]
    pub(crate) struct Flags(pub(crate) bool);
}

pub(crate) mod page {
    /// Bytes in a page.
    pub(crate) const PAGE_SIZE: usize = 4096;
}

pub(crate) mod prelude {
    /// `include/uapi/asm-generic/errno.h`.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) enum Error {
        ENOMEM,
        EINVAL,
        EBADMSG,
        EMSGSIZE,
    }

    pub(crate) use Error::*;

    pub(crate) type Result<T = (), E = Error> = core::result::Result<T, E>;
    pub(crate) type KVec<T> = Vec<T>;
}

pub(crate) mod mm {
    use super::{
        alloc::Flags,
        page::PAGE_SIZE,
        prelude::*, //
    };

    /// A page, or a part of it.
    pub(crate) struct FragMut(Vec<u8>);

    impl FragMut {
        pub(crate) fn as_slice(&self) -> &[u8] {
            &self.0
        }

        pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
            &mut self.0
        }
    }

    /// So many pages that `size` bytes fit.
    pub(crate) fn alloc_single(size: usize, flags: Flags) -> Result<KVec<FragMut>> {
        if !flags.0 {
            return Err(ENOMEM);
        }
        let page = || FragMut(vec![0xdd; PAGE_SIZE]);
        Ok((0..size.div_ceil(PAGE_SIZE)).map(|_| page()).collect())
    }
}

pub(crate) mod net {
    pub(crate) mod recvq {
        use crate::{
            net::sock::Charge,
            prelude::*, //
        };
        use std::collections::VecDeque;

        /// Bytes that have arrived.
        #[derive(Default)]
        pub(crate) struct Bytes {
            pub(crate) bytes: VecDeque<u8>,
            /// So many were taken out.
            pub(crate) taken: u32,
            /// Where an urgent byte is, which is not part of the stream.
            pub(crate) urgent: Option<usize>,
            /// Bytes of memory that the socket is charged for.
            pub(crate) charged: usize,
        }

        /// The same, as long as a socket is locked.
        pub(crate) struct RecvQueue<'a> {
            pub(crate) queue: &'a mut Bytes,
            pub(crate) pressure: bool,
            pub(crate) held_up: bool,
        }

        impl RecvQueue<'_> {
            pub(crate) fn len(&self) -> usize {
                self.queue.urgent.unwrap_or(self.queue.bytes.len())
            }

            pub(crate) fn ends_at(&self, at: usize) -> bool {
                self.queue.urgent.is_none() && self.queue.bytes.len() == at
            }

            pub(crate) fn begin(&self) -> u32 {
                self.queue.taken
            }

            pub(crate) fn is_under_pressure(&self) -> bool {
                self.pressure
            }

            pub(crate) fn is_held_up(&mut self, at: usize) -> bool {
                self.held_up && at < self.queue.bytes.len()
            }

            pub(crate) fn has_urgent(&self) -> bool {
                self.queue.urgent.is_some()
            }

            pub(crate) fn pass_urgent(&mut self) {
                if self.queue.urgent == Some(0) {
                    self.queue.urgent = None;
                    self.queue.bytes.pop_front();
                    self.queue.taken += 1;
                }
            }

            pub(crate) fn forget_urgent(&mut self) {}

            /// As if packets ended at each multiple of 100 bytes.
            pub(crate) fn peek_16(&mut self, at: usize) -> Option<[u8; 16]> {
                let end = at + 16;
                if end > self.queue.bytes.len() || at % 100 > 100 - 16 {
                    return None;
                }
                let mut bytes = [0; 16];
                let there = self.queue.bytes.range(at..end);
                bytes
                    .iter_mut()
                    .zip(there)
                    .for_each(|(to, from)| *to = *from);
                Some(bytes)
            }

            pub(crate) fn peek(&mut self, at: usize, to: &mut [u8]) -> Result {
                let end = at + to.len();
                assert!(end <= self.len());
                let bytes = self.queue.bytes.range(at..end);
                to.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
                Ok(())
            }

            pub(crate) fn consume(&mut self, n: usize) {
                assert!(n <= self.len());
                self.queue.bytes.drain(..n);
                self.queue.taken += n as u32;
                self.queue.urgent = self.queue.urgent.map(|at| at - n);
            }

            pub(crate) fn charge_always(&mut self, n: usize) -> Result<Charge> {
                self.queue.charged += n;
                Ok(Charge(n))
            }

            pub(crate) fn uncharge(&mut self, charge: Charge) {
                self.queue.charged -= charge.0;
            }
        }
    }

    pub(crate) mod sock {
        use crate::prelude::*;
        use std::cell::RefCell;

        /// Bytes that a socket is charged for.
        pub(crate) struct Charge(pub(crate) usize);

        /// A socket that remembers how often it was aborted.
        #[derive(Default)]
        pub(crate) struct Sock(pub(crate) RefCell<Vec<Error>>);

        impl Sock {
            pub(crate) fn abort(&self, err: Error) {
                self.0.borrow_mut().push(err);
            }
        }
    }
}
