// SPDX-License-Identifier: GPL-2.0

//! Records that were opened, and that nobody has read yet, or not all of.

use super::Opened;
use crate::{
    balance::Balance,
    context::Locked,
    vec::{
        self,
        Lean, //
    }, //
};
use core::slice;
use kernel::{
    alloc::{
        allocator::KVmalloc,
        Flags, //
    },
    prelude::*, //
};
use knet::{
    mm::{
        Frag,
        FragMut,
        FragRef, //
    },
    net::{
        recvq::RecvQueue,
        sock::Charge, //
    }, //
};

/// Bytes that a record takes in a list, besides its content.
const ENTRY: usize = size_of::<Record>();

/// Runs of bytes; mostly there are no more than two, which takes no memory.
enum Runs {
    None,
    One(FragRef),
    Two([FragRef; 2]),
    Many(KVec<FragRef>),
}

impl Runs {
    fn as_slice(&self) -> &[FragRef] {
        match self {
            Self::None => &[],
            Self::One(run) => slice::from_ref(run),
            Self::Two(runs) => runs,
            Self::Many(runs) => runs,
        }
    }

    fn first_mut(&mut self) -> Option<&mut FragRef> {
        match self {
            Self::None => None,
            Self::One(run) | Self::Two([run, _]) => Some(run),
            Self::Many(runs) => runs.first_mut(),
        }
    }

    fn remove_first(&mut self) {
        *self = match core::mem::replace(self, Self::None) {
            Self::None | Self::One(_) => return,
            Self::Two([_, run]) => Self::One(run),
            Self::Many(mut runs) => {
                let _ = runs.remove(0);
                Self::Many(runs)
            }
        };
    }
}

/// What is left of an opened record.
pub(super) struct Record {
    pub(super) kind: u8,
    runs: Runs,
    len: usize,
    /// Bytes of memory that were allocated for it.
    memory: usize,
}

impl Record {
    /// In the place of one that is gone.
    const NONE: Self = Self {
        kind: 0,
        runs: Runs::None,
        len: 0,
        memory: 0,
    };

    /// Bytes that are left.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The bytes from `skip` on, `len` of them, run by run.
    pub(super) fn slices(&self, skip: usize, len: usize) -> impl Iterator<Item = &[u8]> {
        slices(
            self.runs.as_slice().iter().map(FragRef::as_slice),
            skip,
            len,
        )
    }

    /// References to the first `len` bytes.
    pub(super) fn share(&self, len: usize, flags: Flags) -> Result<KVec<Frag>> {
        let runs = self.runs.as_slice();
        let mut frags = KVec::with_capacity(runs.len(), flags)?;
        let mut left = len;
        for run in runs {
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
            self.runs.remove_first();
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
    /// Bytes of memory that were allocated for the records.
    memory: Balance,
    /// What the socket is charged for: [`List::memory`], and what is not settled yet.
    paid: Charge,
}

impl List {
    pub(super) const fn new() -> Self {
        Self {
            first: None,
            more: Lean::new(),
            gone: 0,
            memory: Balance::new(),
            paid: Charge::none(),
        }
    }

    /// Bytes of memory that the list takes.
    pub(super) fn memory(&self) -> usize {
        let entries = self.more.capacity().saturating_mul(ENTRY);
        self.memory.get().saturating_add(entries)
    }

    /// Charges the socket for another record of `len` bytes, before its memory is allocated.
    ///
    /// Fails with `ENOMEM` beyond the limits. The first record there may be in any case: somebody
    /// is about to read it.
    pub(super) fn pay(&mut self, queue: &mut RecvQueue<'_>, len: usize) -> Result {
        let charge = if self.is_empty() {
            queue.charge_always(len)?
        } else {
            let grown = vec::capacity_for(&self.more, 1)?.saturating_sub(self.more.capacity());
            queue.charge(len.saturating_add(grown.saturating_mul(ENTRY)))?
        };
        self.paid.merge(charge);
        Ok(())
    }

    /// Charges the socket for a record of `len` bytes, one of several that are opened together.
    pub(super) fn pay_ahead(&mut self, queue: &mut RecvQueue<'_>, len: usize) -> Result {
        // Room for entries doubles when it has to grow.
        let charge = queue.charge(len.saturating_add(ENTRY.saturating_mul(2)))?;
        self.paid.merge(charge);
        Ok(())
    }

    /// Gives back what the socket is charged for and has no memory for.
    pub(super) fn settle(&mut self, queue: &mut RecvQueue<'_>) {
        let surplus = self.paid.bytes().saturating_sub(self.memory());
        if surplus > 0 {
            queue.uncharge(self.paid.split(surplus));
        }
    }

    /// Frees all records.
    pub(super) fn clear(&mut self, queue: &mut RecvQueue<'_>) {
        self.first = None;
        self.more = Lean::new();
        self.gone = 0;
        self.memory = Balance::new();
        self.settle(queue);
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
        let memory = self.first.as_ref().map_or(0, |first| first.memory);
        self.memory.sub(memory);
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
    pub(super) fn reserve(&mut self, flags: Flags) -> Result {
        if self.is_empty() {
            return Ok(());
        }
        vec::reserve(&mut self.more, 1, flags)
    }

    /// Appends a record.
    pub(super) fn push(&mut self, record: Record) -> Result {
        let memory = record.memory;
        if self.is_empty() {
            self.first = Some(record);
        } else {
            vec::push(&mut self.more, record)?;
        }
        self.memory.add(memory);
        Ok(())
    }
}

/// Memory for a record that is to be opened.
pub(super) enum Room {
    One(FragMut),
    Two([FragMut; 2]),
    /// With room for what the runs become.
    Many(KVec<FragMut>, KVec<FragRef>),
}

impl Room {
    /// Allocates `len` bytes that may end up in pipes and packets.
    pub(super) fn alloc(locked: &mut Locked<'_>, len: usize) -> Result<Self> {
        let mut runs = KVec::new();
        if len > 0 {
            let first = locked.alloc_frag(len)?;
            let left = len.saturating_sub(first.len());
            if left == 0 {
                return Ok(Self::One(first));
            }
            let second = locked.alloc_frag(left)?;
            if second.len() >= left {
                return Ok(Self::Two([first, second]));
            }
            vec::reserve(&mut runs, 3, locked.alloc_flags())?;
            vec::push(&mut runs, first)?;
            vec::push(&mut runs, second)?;
        }
        fill(locked, &mut runs, len)?;
        let refs = KVec::with_capacity(runs.len(), locked.alloc_flags())?;
        Ok(Self::Many(runs, refs))
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [FragMut] {
        match self {
            Self::One(run) => slice::from_mut(run),
            Self::Two(runs) => runs,
            Self::Many(runs, _) => runs,
        }
    }

    /// Copies `parts` here, as far as there is room.
    pub(super) fn fill<'a>(&mut self, parts: impl Iterator<Item = &'a [u8]>) {
        let mut runs = self.as_mut_slice().iter_mut();
        let mut to: &mut [u8] = &mut [];
        for mut from in parts {
            while !from.is_empty() {
                if to.is_empty() {
                    match runs.next() {
                        Some(run) => to = run.as_mut_slice(),
                        None => return,
                    }
                }
                let n = from.len().min(to.len());
                let (now, later) = core::mem::take(&mut to).split_at_mut(n);
                let (bytes, rest) = from.split_at(n);
                now.copy_from_slice(bytes);
                to = later;
                from = rest;
            }
        }
    }

    /// The record that was opened here.
    pub(super) fn into_record(self, opened: &Opened) -> Record {
        let mut left = opened.len;
        let mut memory = 0usize;
        // What is to be kept of a run.
        let mut keep = |mut run: FragMut| {
            if left == 0 {
                return None;
            }
            memory = memory.saturating_add(run.len());
            run.truncate(left);
            left = left.saturating_sub(run.len());
            Some(run.read_only())
        };
        let runs = match self {
            Self::One(run) => keep(run).map_or(Runs::None, Runs::One),
            Self::Two([first, second]) => match (keep(first), keep(second)) {
                (Some(first), Some(second)) => Runs::Two([first, second]),
                (first, _) => first.map_or(Runs::None, Runs::One),
            },
            Self::Many(runs, mut refs) => {
                for run in runs.into_iter().map_while(keep) {
                    // There is room for each.
                    let _ = refs.push_within_capacity(run);
                }
                Runs::Many(refs)
            }
        };
        Record {
            kind: opened.kind,
            runs,
            len: opened.len,
            memory,
        }
    }
}

/// Allocates `len` bytes for a [`Room::Many`].
pub(super) fn alloc(locked: &mut Locked<'_>, len: usize) -> Result<KVec<FragMut>> {
    let mut runs = KVec::new();
    fill(locked, &mut runs, len)?;
    Ok(runs)
}

/// Adds to `runs` until they have `len` bytes.
fn fill(locked: &mut Locked<'_>, runs: &mut KVec<FragMut>, len: usize) -> Result {
    let mut left = runs
        .iter()
        .fold(len, |left, run| left.saturating_sub(run.len()));
    while left > 0 {
        vec::reserve(runs, 1, locked.alloc_flags())?;
        let run = locked.alloc_frag(left)?;
        left = left.saturating_sub(run.len());
        vec::push(runs, run)?;
    }
    Ok(())
}
