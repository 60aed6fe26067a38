// SPDX-License-Identifier: GPL-2.0

//! Sealed records on their way to TCP, in order.
//!
//! What is sealed is a sequence of runs of bytes; where records begin does not matter any more,
//! and runs that follow each other in memory become one. Records that an asynchronous driver
//! still works on come behind that, and so does everything that is sealed after them.

use super::Sealed;
use crate::{
    balance::Balance,
    record::Prefix,
    vec::{
        self,
        Lean, //
    }, //
};
use kernel::{
    alloc::Flags,
    prelude::*, //
};
use knet::{
    crypto::InFlight,
    mm::{
        Frag,
        FragMut, //
    }, //
};

/// So many runs that TCP has taken are worth to be moved over.
const COMPACT: usize = 16;

/// How to wait for an asynchronous driver.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Not at all.
    No,
    /// Until all records are sealed, or a signal comes.
    ForAll,
    /// Until all records are sealed.
    Uninterrupted,
}

/// Why a driver's records are not all ready.
///
/// There is no conversion to an error number: a record that could not be sealed ends the
/// connection, which [`Tx::reap`](super::Tx::reap) sees to.
pub(super) enum Unready {
    /// A signal came first.
    Signal(Error),
    /// A record could not be sealed. It was dropped, and so were those behind it; what is ready
    /// came before it.
    Failed,
}

/// A record that a driver works on.
struct Pending {
    job: InFlight<Sealed>,
    /// To be put before the ciphertext: the additional data may be there until then.
    header: Prefix,
    /// Number of runs that it will be.
    runs: usize,
    /// Length in bytes.
    len: usize,
}

/// The queue.
pub(super) struct Queue {
    /// Ready for TCP, from index `head` on. Those before are gone, and only stay until all are.
    ready: Lean<Frag>,
    head: usize,
    pending: Lean<Pending>,
    /// Number of runs that `pending` will be.
    pending_runs: Balance,
    /// Bytes in both.
    bytes: Balance,
    /// The last byte ends a message of a sender that has set `MSG_EOR`.
    ends_message: bool,
}

impl Queue {
    pub(super) const fn new() -> Self {
        Self {
            ready: Lean::new(),
            head: 0,
            pending: Lean::new(),
            pending_runs: Balance::new(),
            bytes: Balance::new(),
            ends_message: false,
        }
    }

    /// Bytes that TCP has not got yet.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.get()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes() == 0
    }

    /// Notes that the message ends here for which the sender has set `MSG_EOR`.
    pub(super) fn end_message(&mut self) {
        self.ends_message = !self.is_empty();
    }

    /// Whether the queue ends with the end of such a message, and so must not grow.
    pub(super) fn ends_message(&self) -> bool {
        self.ends_message
    }

    /// Whether all that there is can be handed to TCP.
    pub(super) fn is_ready(&self) -> bool {
        self.pending.is_empty()
    }

    /// What TCP can have.
    pub(super) fn ready(&self) -> &[Frag] {
        self.ready.get(self.head..).unwrap_or_default()
    }

    /// Whether the driver is done with the first record that it works on.
    pub(super) fn first_is_done(&self) -> bool {
        self.ready().is_empty() && self.pending.first().is_some_and(|p| p.job.is_done())
    }

    /// Has room for another record of `runs` runs, so that nothing has to be allocated for it
    /// any more; one that a driver works on, if `pending` says so.
    pub(super) fn reserve(&mut self, runs: usize, pending: bool, flags: Flags) -> Result {
        if pending {
            vec::reserve(&mut self.pending, 1, flags)?;
        }
        vec::reserve(
            &mut self.ready,
            self.pending_runs.get().saturating_add(runs),
            flags,
        )
    }

    fn push_run(&mut self, run: Frag) -> Result {
        let run = match self.ready.as_mut_slice().get_mut(self.head..) {
            Some([.., last]) => match last.merge(run) {
                Ok(()) => return Ok(()),
                Err(run) => run,
            },
            _ => run,
        };
        // Room was reserved.
        self.ready.push_within_capacity(run).map_err(|_| ENOMEM)
    }

    /// Adds a sealed record of `len` bytes. No record waits for a driver.
    pub(super) fn push(&mut self, record: impl Iterator<Item = Frag>, len: usize) -> Result {
        for run in record {
            self.push_run(run)?;
        }
        self.bytes.add(len);
        Ok(())
    }

    /// Adds a record that a driver works on; `header` belongs before its ciphertext.
    pub(super) fn push_pending(
        &mut self,
        job: InFlight<Sealed>,
        header: Prefix,
        runs: usize,
        len: usize,
    ) -> Result {
        let pending = Pending {
            job,
            header,
            runs,
            len,
        };
        // Room was reserved.
        self.pending
            .push_within_capacity(pending)
            .map_err(|_| ENOMEM)?;
        self.pending_runs.add(runs);
        self.bytes.add(len);
        Ok(())
    }

    /// Moves records that a driver has sealed to those that are ready, in order.
    ///
    /// Only [`Tx::reap`](super::Tx::reap) calls this, and ends the connection if a record has
    /// failed.
    pub(super) fn reap(&mut self, wait: Wait) -> Result<(), Unready> {
        while let Some(first) = self.pending.first() {
            if !first.job.is_done() {
                match wait {
                    Wait::No => break,
                    Wait::ForAll => first.job.wait_interruptible().map_err(Unready::Signal)?,
                    Wait::Uninterrupted => (),
                }
            }
            let Ok(first) = self.pending.remove(0) else {
                break;
            };
            self.pending_runs.sub(first.runs);
            let sealed = first.job.finish().and_then(|mut runs| {
                write_header(&mut runs, first.header)?;
                for run in runs {
                    self.push_run(run.freeze())?;
                }
                Ok(())
            });
            if sealed.is_err() {
                self.bytes.sub(first.len);
                self.drop_pending();
                return Err(Unready::Failed);
            }
        }
        Ok(())
    }

    /// Forgets the records that a driver works on, once it is done with them.
    fn drop_pending(&mut self) {
        for pending in self.pending.iter() {
            self.pending_runs.sub(pending.runs);
            self.bytes.sub(pending.len);
        }
        self.pending.clear();
    }

    /// Notes that TCP has taken the first `n` bytes.
    pub(super) fn consume(&mut self, n: usize) {
        self.bytes.sub(n);
        self.ends_message &= !self.is_empty();
        let mut left = n;
        while let Some(run) = self.ready.as_mut_slice().get_mut(self.head) {
            if run.len() > left {
                run.trim_front(left);
                self.compact();
                return;
            }
            left = left.saturating_sub(run.len());
            self.head = self.head.saturating_add(1);
        }
        self.ready.clear();
        self.head = 0;
    }

    /// Gives back what TCP has taken, once that is the larger part.
    fn compact(&mut self) {
        let rest = self.ready.len().saturating_sub(self.head);
        if self.head < rest.max(COMPACT) {
            return;
        }
        let head = core::mem::take(&mut self.head);
        let runs = self.ready.as_mut_slice();
        for i in 0..rest {
            let from = head.saturating_add(i);
            if i < runs.len() && from < runs.len() {
                runs.swap(i, from);
            }
        }
        self.ready.truncate(rest);
    }

    /// Forgets everything, once drivers are done with it.
    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }
}

fn write_header(runs: &mut KVec<FragMut>, header: Prefix) -> Result {
    let mut rest = header.as_slice();
    for run in runs.iter_mut() {
        let slice = run.as_mut_slice();
        let n = slice.len().min(rest.len());
        let (now, later) = rest.split_at_checked(n).ok_or(EINVAL)?;
        slice.get_mut(..n).ok_or(EINVAL)?.copy_from_slice(now);
        rest = later;
    }
    Ok(())
}
