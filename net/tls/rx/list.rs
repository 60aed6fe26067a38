// SPDX-License-Identifier: GPL-2.0

//! Records that were opened, and that nobody has read yet, or not all of.

use super::Opened;
use crate::{
    context::Locked,
    vec::{
        self,
        Lean, //
    }, //
};
use kernel::{
    alloc::allocator::KVmalloc,
    prelude::*, //
};
use knet::mm::{
    Frag,
    FragMut,
    FragRef, //
};

/// Runs that a record mostly has at the most.
const USUAL_RUNS: usize = 2;

/// What is left of an opened record.
pub(super) struct Record {
    pub(super) kind: u8,
    runs: KVec<FragRef>,
    len: usize,
}

impl Record {
    /// In the place of one that is gone.
    const NONE: Self = Self {
        kind: 0,
        runs: KVec::new(),
        len: 0,
    };

    /// Bytes that are left.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// A record whose content is the first bytes of `runs`; `refs` has room for as many.
    pub(super) fn new(mut refs: KVec<FragRef>, runs: KVec<FragMut>, opened: &Opened) -> Self {
        let mut left = opened.len;
        for mut run in runs {
            if left == 0 {
                break;
            }
            run.truncate(left);
            left = left.saturating_sub(run.len());
            let _ = refs.push_within_capacity(run.read_only());
        }
        Self {
            kind: opened.kind,
            runs: refs,
            len: opened.len,
        }
    }

    /// The bytes from `skip` on, `len` of them, run by run.
    pub(super) fn slices(&self, skip: usize, len: usize) -> impl Iterator<Item = &[u8]> {
        slices(self.runs.iter().map(FragRef::as_slice), skip, len)
    }

    /// References to the first `len` bytes.
    pub(super) fn share(&self, len: usize) -> Result<KVec<Frag>> {
        let mut frags = KVec::with_capacity(self.runs.len(), GFP_KERNEL)?;
        let mut left = len;
        for run in &self.runs {
            if left == 0 {
                break;
            }
            let frag = run.share(left);
            left = left.saturating_sub(frag.len());
            frags.push_within_capacity(frag).map_err(|_| ENOMEM)?;
        }
        Ok(frags)
    }

    /// Leaves out the first `n` bytes.
    pub(super) fn consume(&mut self, n: usize) {
        self.len = self.len.saturating_sub(n);
        let mut left = n;
        while left > 0 {
            match self.runs.first_mut() {
                Some(run) if run.len() > left => {
                    run.trim_front(left);
                    return;
                }
                Some(run) => left = left.saturating_sub(run.len()),
                None => return,
            }
            let _ = self.runs.remove(0);
        }
    }
}

/// The bytes of `runs` from `skip` on, `len` of them, run by run.
pub(super) fn slices<'a>(
    runs: impl Iterator<Item = &'a [u8]>,
    skip: usize,
    len: usize,
) -> impl Iterator<Item = &'a [u8]> {
    let mut skip = skip;
    let mut left = len;
    runs.filter_map(move |run| {
        let here = skip.min(run.len());
        skip = skip.saturating_sub(here);
        let (_, rest) = run.split_at_checked(here)?;
        let take = left.min(rest.len());
        left = left.saturating_sub(take);
        rest.get(..take).filter(|part| !part.is_empty())
    })
}

/// The records, in order. A reader that only looks lets there be as many as the peer likes to send,
/// each of no more than a byte, so no call may take longer the more there are.
pub(super) struct List {
    /// Mostly there is no more than one.
    first: Option<Record>,
    /// Those behind it.
    more: Lean<Record, KVmalloc>,
    /// So many at the beginning of `more` were removed.
    gone: usize,
}

impl List {
    pub(super) const fn new() -> Self {
        Self {
            first: None,
            more: Lean::new(),
            gone: 0,
        }
    }

    /// Number of records.
    pub(super) fn len(&self) -> usize {
        let more = self.more.len().saturating_sub(self.gone);
        more.saturating_add(self.first.is_some().into())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The record at index `i`.
    pub(super) fn get(&self, i: usize) -> Option<&Record> {
        match i.checked_sub(1) {
            None => self.first.as_ref(),
            Some(i) => self.more.get(self.gone.saturating_add(i)),
        }
    }

    /// The first record.
    pub(super) fn first_mut(&mut self) -> Option<&mut Record> {
        self.first.as_mut()
    }

    /// Removes the first record.
    pub(super) fn pop(&mut self) {
        let next = self.more.get_mut(self.gone);
        self.first = next.map(|next| core::mem::replace(next, Record::NONE));
        if self.first.is_none() {
            // A socket that is idle does not keep memory for its busier times.
            self.more = Lean::new();
            self.gone = 0;
            return;
        }
        self.gone = self.gone.saturating_add(1);
        let len = self.more.len().saturating_sub(self.gone);
        if self.gone > len {
            if let Some((gone, left)) = self.more.split_at_mut_checked(self.gone) {
                // There is a place for each.
                for (to, from) in gone.iter_mut().zip(left) {
                    core::mem::swap(to, from);
                }
            }
            self.more.truncate(len);
            self.gone = 0;
        }
    }

    /// Has room for another record, so that [`List::push`] succeeds.
    pub(super) fn reserve(&mut self) -> Result {
        if self.is_empty() {
            return Ok(());
        }
        vec::reserve(&mut self.more, 1, GFP_KERNEL)
    }

    /// Appends a record.
    pub(super) fn push(&mut self, record: Record) -> Result {
        if self.is_empty() {
            self.first = Some(record);
            return Ok(());
        }
        vec::push(&mut self.more, record)
    }
}

/// Allocates `len` bytes that may end up in pipes and packets.
pub(super) fn alloc(locked: &mut Locked<'_>, len: usize) -> Result<KVec<FragMut>> {
    let mut runs = KVec::with_capacity(USUAL_RUNS, GFP_KERNEL)?;
    let mut left = len;
    while left > 0 {
        vec::reserve(&mut runs, 1, GFP_KERNEL)?;
        let run = locked.alloc_frag(left)?;
        left = left.saturating_sub(run.len());
        vec::push(&mut runs, run)?;
    }
    Ok(runs)
}
