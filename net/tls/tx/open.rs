// SPDX-License-Identifier: GPL-2.0

//! The record that is being filled.
//!
//! The memory of the ciphertext is there before any plaintext is taken, room for header and tag
//! included. Copied plaintext is put where its ciphertext will be; spliced plaintext stays in its
//! pages until it is encrypted into the place that is kept for it.

use super::Sealed;
use crate::{
    context::Locked,
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
    crypto::{
        Aad,
        Prepared,
        Request,
        Text, //
    },
    mm::{
        Frag,
        FragMut, //
    },
    net::{
        msg::SendMsg,
        sock::Charge, //
    }, //
};

/// The most parts that a record's plaintext consists of, if some of it is spliced: as many as
/// pages fit into a packet.
const MAX_PARTS: usize = 17;

/// From so many runs on, memory is taken for all of the record at once. Otherwise many small
/// additions could make more runs than a request takes.
const MANY_RUNS: usize = 6;

/// A packet has at most 17 pages. Records that each begin in a chunk of their own, and so have a
/// page with a few bytes only, fill larger packets than this with less than they could hold.
const SPARSE_PACKET: usize = 56 << 10;

/// A record that is not sealed yet.
pub(super) struct OpenRecord {
    /// The memory of the record, in order; header first.
    runs: Lean<FragMut>,
    /// Bytes of `runs` together.
    room: usize,
    /// Bytes before the plaintext.
    prefix: usize,
    /// Bytes of plaintext.
    len: usize,
    /// The parts of the plaintext. Empty if all of it was copied.
    parts: Lean<Text>,
    /// For asynchronous drivers: what they will need.
    job: Option<Prepared<Sealed>>,
}

impl OpenRecord {
    pub(super) const fn new() -> Self {
        Self {
            runs: Lean::new(),
            room: 0,
            prefix: 0,
            len: 0,
            parts: Lean::new(),
            job: None,
        }
    }

    /// Whether there is no plaintext.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of plaintext.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether the record can take no more parts.
    pub(super) fn is_full(&self) -> bool {
        self.parts.len() >= MAX_PARTS
    }

    /// Number of runs that the memory consists of.
    pub(super) fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Sets the number of bytes before the plaintext.
    pub(super) fn set_prefix(&mut self, prefix: usize) {
        self.prefix = prefix;
    }

    pub(super) fn has_job(&self) -> bool {
        self.job.is_some()
    }

    pub(super) fn set_job(&mut self, job: Prepared<Sealed>, flags: Flags) -> Result {
        vec::reserve(&mut self.parts, 2, flags)?;
        self.job = Some(job);
        Ok(())
    }

    pub(super) fn take_job(&mut self) -> Option<Prepared<Sealed>> {
        self.job.take()
    }

    /// Has memory for `total` bytes, header and tag included; `most` is what the record may grow
    /// to. On an error everything is as it was before.
    pub(super) fn reserve(
        &mut self,
        sk: &mut Locked<'_>,
        charge: &mut Charge,
        total: usize,
        most: usize,
    ) -> Result {
        let before = self.room;
        let Some(missing) = total.checked_sub(before).filter(|n| *n > 0) else {
            return Ok(());
        };
        let mut missing = missing;
        if self.runs.len() >= MANY_RUNS {
            missing = most.saturating_sub(before).max(missing);
        }
        let flags = sk.alloc_flags();
        let mut new = sk.charge(missing)?;
        if let Some(last) = self.runs.as_mut_slice().last_mut() {
            let n = sk.extend_frag(last, missing);
            missing = missing.saturating_sub(n);
            self.room = self.room.saturating_add(n);
        }
        while missing > 0 {
            // Two runs cost the cipher more than one, but a packet that is not full may cost a
            // round trip.
            let run = if sk.segment_len() > SPARSE_PACKET && sk.keeps_small_packets() {
                None
            } else {
                sk.alloc_run(missing)
            };
            let run = run
                .map_or_else(|| sk.alloc_frag(missing), Ok)
                .and_then(|run| {
                    vec::reserve(&mut self.runs, 1, flags)?;
                    Ok(run)
                })
                .inspect_err(|_| {
                    self.trim(before);
                    sk.uncharge(new.split(usize::MAX));
                })?;
            missing = missing.saturating_sub(run.len());
            self.room = self.room.saturating_add(run.len());
            // There is room: it was reserved just now.
            let _ = self.runs.push_within_capacity(run);
        }
        charge.merge(new);
        Ok(())
    }

    /// Gives up the memory behind the first `total` bytes. Returns how much it was.
    pub(super) fn trim(&mut self, total: usize) -> usize {
        let excess = self.room.saturating_sub(total);
        let mut left = excess;
        while let Some(last) = self.runs.as_mut_slice().last_mut() {
            if left == 0 {
                break;
            }
            if let Some(keep) = last.len().checked_sub(left).filter(|n| *n > 0) {
                last.truncate(keep);
                break;
            }
            left = left.saturating_sub(last.len());
            self.runs.pop();
        }
        self.room = self.room.saturating_sub(excess);
        excess
    }

    /// Forgets everything. Returns how much memory it was.
    pub(super) fn clear(&mut self) -> usize {
        self.runs.clear();
        self.parts.clear();
        self.len = 0;
        core::mem::take(&mut self.room)
    }

    /// The memory from `at` on, `len` bytes, run by run.
    fn slices(&mut self, at: usize, len: usize) -> impl Iterator<Item = &mut [u8]> {
        let mut skip = at;
        let mut left = len;
        self.runs.iter_mut().filter_map(move |run| {
            let here = skip.min(run.len());
            skip = skip.saturating_sub(here);
            let take = left.min(run.len().saturating_sub(here));
            left = left.saturating_sub(take);
            if take == 0 {
                return None;
            }
            run.as_mut_slice().get_mut(here..here.saturating_add(take))
        })
    }

    /// Writes `bytes` from offset `at` of the record on.
    pub(super) fn write_at(&mut self, at: usize, bytes: &[u8]) -> Result {
        let mut rest = bytes;
        for slice in self.slices(at, bytes.len()) {
            let (now, later) = rest.split_at_checked(slice.len()).ok_or(EINVAL)?;
            slice.copy_from_slice(now);
            rest = later;
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(EINVAL)
        }
    }

    /// Notes that `len` bytes of plaintext stand in their place.
    fn note_in_place(&mut self, len: usize) -> Result {
        match self.parts.as_mut_slice().last_mut() {
            // All of it is.
            None => (),
            Some(Text::InPlace(n)) => *n = n.saturating_add(len),
            Some(Text::Page(_)) => vec::push(&mut self.parts, Text::InPlace(len))?,
        }
        Ok(())
    }

    /// Takes the next `len` bytes of `msg`, for which memory was reserved. On an error nothing
    /// has changed.
    pub(super) fn copy(&mut self, msg: &mut SendMsg<'_>, len: usize, flags: Flags) -> Result {
        if !self.parts.is_empty() {
            // For this, and for the tail.
            vec::reserve(&mut self.parts, 2, flags)?;
        }
        msg.copy_to_all(self.slices(self.prefix.saturating_add(self.len), len))?;
        self.note_in_place(len)?;
        self.len = self.len.saturating_add(len);
        Ok(())
    }

    /// Appends the bytes of a page, for whose ciphertext memory was reserved.
    pub(super) fn splice(&mut self, page: Frag, flags: Flags) -> Result {
        // For what was copied before, for this, and for the tail.
        vec::reserve(&mut self.parts, 3, flags)?;
        if self.parts.is_empty() && self.len > 0 {
            vec::push(&mut self.parts, Text::InPlace(self.len))?;
        }
        let len = page.len();
        vec::push(&mut self.parts, Text::Page(page))?;
        self.len = self.len.saturating_add(len);
        Ok(())
    }

    /// Puts the inner content type behind the plaintext.
    pub(super) fn push_tail(&mut self, kind: u8) -> Result {
        self.write_at(self.prefix.saturating_add(self.len), &[kind])?;
        self.note_in_place(1)
    }

    /// Seals `len` bytes, plaintext and tail.
    pub(super) fn seal(
        &mut self,
        request: &mut Request,
        iv: &[u8; 16],
        aad: &Aad<'_>,
        len: usize,
    ) -> Result {
        if self.parts.is_empty() {
            request.seal_in_place(iv, aad, &mut self.runs, len)
        } else {
            request.seal_from(iv, aad, &self.parts, &mut self.runs, len)
        }
    }

    /// Takes out the parts of the plaintext, `len` bytes with the tail, and the memory.
    pub(super) fn take(&mut self, len: usize) -> (KVec<Text>, KVec<FragMut>) {
        self.len = 0;
        self.room = 0;
        let mut parts = self.parts.take();
        if parts.is_empty() {
            // There is room for one: the job came with it.
            let _ = parts.push_within_capacity(Text::InPlace(len));
        }
        (parts, self.runs.take())
    }

    /// Takes out the memory, sealed, and leaves an empty record.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Frag> + '_ {
        self.len = 0;
        self.room = 0;
        self.parts.clear();
        self.runs.drain_all().map(FragMut::freeze)
    }
}
