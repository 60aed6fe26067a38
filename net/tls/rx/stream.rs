// SPDX-License-Identifier: GPL-2.0

//! Where the current record is in the stream, and whether it is complete.
//!
//! A record stays in TCP's queue until it was opened. Only if the peer may not send the rest
//! because the queue is full, if its beginning takes up much of the receive buffer when a reader
//! leaves, if there is a byte in it that does not belong to the stream, if it is in too many pieces,
//! or if somebody can still write to its pages, is the record moved to memory of its own, the stash.

use super::{
    frame::{
        Frame,
        Malformed, //
    },
    MAX_PLAIN, //
};
use crate::record::{
    Protection,
    MAX_PREFIX, //
};
use kernel::{
    alloc::Flags,
    page::PAGE_SIZE,
    prelude::*, //
};
use knet::{
    mm::{
        alloc_single,
        FragMut, //
    },
    net::{
        recvq::RecvQueue,
        sock::{
            Charge,
            Sock, //
        }, //
    }, //
};

/// Bytes of opened records that may stay in TCP's queue while a reader goes on. They are taken out
/// all at once: what is still unread then, TCP subtracts when it decides whether the window grows.
const BATCH: usize = 64 << 10;

/// The most bytes of a record on the wire: what exceeds the plaintext is at most a prefix and a
/// tag.
const MAX_RECORD: usize = MAX_PLAIN + MAX_PREFIX + crate::cipher::TAG_LEN;

/// A record that is moved to memory.
struct Stash {
    runs: KVec<FragMut>,
    /// Bytes that are there.
    len: usize,
    /// What the socket is charged for.
    charge: Charge,
}

/// The state of the stream.
pub(super) struct Stream {
    /// The current record, once its header was read.
    frame: Option<Frame>,
    stash: Option<Stash>,
    /// Bytes at the front of TCP's queue that were opened, or moved. None when the lock is released:
    /// others could take them out.
    opened: usize,
    /// The current record is complete.
    ready: bool,
    /// It was not complete when a part of it was seen.
    is_part: bool,
    /// Where TCP's queue began when it was complete.
    begin: u32,
    /// Readers were told of it.
    announced: bool,
    /// Readers were not told of a record that was opened.
    concealed: bool,
    /// A header was none. There is no way to find the next one.
    lost: bool,
}

impl Stream {
    pub(super) const fn new() -> Self {
        Self {
            frame: None,
            stash: None,
            opened: 0,
            ready: false,
            is_part: false,
            begin: 0,
            announced: false,
            concealed: false,
            lost: false,
        }
    }

    /// Whether the current record is complete.
    pub(super) fn is_ready(&self) -> bool {
        self.ready
    }

    /// Whether readers have to be told of the current record; they are told once.
    pub(super) fn announce(&mut self) -> bool {
        self.ready && !core::mem::replace(&mut self.announced, true)
    }

    /// The current record.
    pub(super) fn frame(&self) -> Option<Frame> {
        self.frame
    }

    /// The current record's memory, if it was moved, or its beginning. The record is complete.
    #[inline]
    pub(super) fn moved(&mut self, queue: &mut RecvQueue<'_>) -> Result<Option<&[FragMut]>> {
        if self.stash.is_some() {
            self.complete(queue)?;
        }
        Ok(self.stash())
    }

    /// The memory of what was moved of the current record.
    pub(super) fn stash(&self) -> Option<&[FragMut]> {
        self.stash.as_ref().map(|stash| stash.runs.as_slice())
    }

    /// Offset of the current record in TCP's queue.
    pub(super) fn offset(&self) -> usize {
        self.opened
    }

    /// The record at offset `at` of TCP's queue, where one begins, if it is complete.
    pub(super) fn frame_at(
        &self,
        queue: &mut RecvQueue<'_>,
        protection: &Protection,
        at: usize,
    ) -> Option<Frame> {
        if self.stash.is_some() {
            return None;
        }
        let here = queue.len().checked_sub(at)?;
        let mut bytes = [0; MAX_PREFIX];
        let prefix = bytes.get_mut(..protection.prefix_len())?;
        queue.peek(at, prefix).ok()?;
        let frame = Frame::parse(protection, &bytes).ok()?;
        (frame.len <= here).then_some(frame)
    }

    /// Looks whether the current record is complete, and has its header read.
    ///
    /// Fails with `ENOMEM` if the record has to be moved and there is no memory.
    #[inline]
    pub(super) fn look(
        &mut self,
        queue: &mut RecvQueue<'_>,
        protection: &Protection,
        sk: &Sock,
        flags: Flags,
    ) -> Result {
        // Often the record that was opened was the last one.
        if self.ready || self.lost || (self.stash.is_none() && queue.ends_at(self.opened)) {
            return Ok(());
        }
        self.look_closely(queue, protection, sk, flags)
    }

    #[inline(never)]
    fn look_closely(
        &mut self,
        queue: &mut RecvQueue<'_>,
        protection: &Protection,
        sk: &Sock,
        flags: Flags,
    ) -> Result {
        let mut here = queue.len().saturating_sub(self.opened);
        if here == 0 && !queue.has_urgent() {
            return Ok(());
        }
        if self.frame.is_none() && self.stash.is_some() {
            self.fill_header(queue, protection, sk)?;
            self.take_out(queue);
            here = queue.len();
        } else if self.frame.is_none() && here >= protection.prefix_len() {
            // More than a prefix, and less than a record: mostly they are there, in one piece.
            let bytes = match queue.peek_16(self.opened) {
                Some(bytes) => bytes,
                None => {
                    let mut bytes = [0; 16];
                    let prefix = bytes.get_mut(..protection.prefix_len()).ok_or(EINVAL)?;
                    queue.peek(self.opened, prefix)?;
                    bytes
                }
            };
            self.parse(protection, sk, &bytes);
        }
        if self.lost {
            return Ok(());
        }
        match self.frame {
            Some(frame)
                if here >= frame.len || self.stashed().saturating_add(here) >= frame.len =>
            {
                self.ready = true;
                self.begin = queue.begin();
                return Ok(());
            }
            _ if queue.is_under_pressure() || queue.has_urgent() => {
                self.begin(queue, flags)?;
                self.fill(queue, protection, sk)?;
                self.take_out(queue);
            }
            _ => (),
        }
        self.is_part = !self.ready;
        Ok(())
    }

    /// Whether the queue may have a part of the current record.
    pub(super) fn is_part(&self) -> bool {
        self.is_part
    }

    /// Bytes of the current record that are in memory.
    fn stashed(&self) -> usize {
        self.stash.as_ref().map_or(0, |stash| stash.len)
    }

    fn parse(&mut self, protection: &Protection, sk: &Sock, bytes: &[u8]) {
        match Frame::parse(protection, bytes) {
            Ok(frame) => self.frame = Some(frame),
            Err(malformed) => {
                self.lost = true;
                sk.abort(match malformed {
                    Malformed::TooLong => EMSGSIZE,
                    Malformed::TooShort | Malformed::Type => EBADMSG,
                    Malformed::Version => EINVAL,
                });
            }
        }
    }

    /// Begins to move the current record, if that is still to be done.
    fn begin(&mut self, queue: &mut RecvQueue<'_>, flags: Flags) -> Result {
        if self.stash.is_none() {
            let len = self.frame.map_or(MAX_RECORD, |frame| frame.len);
            let runs = alloc_single(len, flags)?;
            let charge = queue.charge_always(runs.len().saturating_mul(PAGE_SIZE))?;
            self.stash = Some(Stash {
                runs,
                len: 0,
                charge,
            });
        }
        Ok(())
    }

    /// Moves all of the current record, which is complete.
    pub(super) fn collect(&mut self, queue: &mut RecvQueue<'_>, flags: Flags) -> Result {
        self.begin(queue, flags)?;
        self.complete(queue)
    }

    /// Moves the rest of the current record, which is complete, and whose beginning was moved.
    #[inline(never)]
    fn complete(&mut self, queue: &mut RecvQueue<'_>) -> Result {
        let len = self.frame.ok_or(EINVAL)?.len;
        self.load(queue, len)?;
        match &self.stash {
            Some(stash) if stash.len < len => Err(EINVAL),
            _ => Ok(()),
        }
    }

    /// Copies bytes of the current record to memory until there are `len`. They leave TCP's queue
    /// with those that were opened.
    fn load(&mut self, queue: &mut RecvQueue<'_>, len: usize) -> Result {
        let Some(stash) = self.stash.as_mut() else {
            return Ok(());
        };
        while stash.len < len {
            if queue.has_urgent() && queue.len() <= self.opened {
                let before = core::mem::take(&mut self.opened);
                if before > 0 {
                    queue.consume(before);
                }
                queue.pass_urgent();
            }
            let here = queue.len().saturating_sub(self.opened);
            let run = stash.runs.get_mut(stash.len / PAGE_SIZE).ok_or(EINVAL)?;
            let (_, room) = run
                .as_mut_slice()
                .split_at_mut_checked(stash.len % PAGE_SIZE)
                .ok_or(EINVAL)?;
            let take = here.min(len.saturating_sub(stash.len)).min(room.len());
            if take == 0 {
                break;
            }
            queue.peek(self.opened, room.get_mut(..take).ok_or(EINVAL)?)?;
            self.opened = self.opened.saturating_add(take);
            stash.len = stash.len.saturating_add(take);
        }
        Ok(())
    }

    /// Goes on to move the current record.
    fn fill(&mut self, queue: &mut RecvQueue<'_>, protection: &Protection, sk: &Sock) -> Result {
        if self.frame.is_none() {
            self.fill_header(queue, protection, sk)?;
        }
        if let Some(frame) = self.frame {
            self.load(queue, frame.len)?;
            self.ready = self.stashed() == frame.len;
        }
        Ok(())
    }

    /// Goes on to move the current record's header, and reads it when all of it is there.
    fn fill_header(
        &mut self,
        queue: &mut RecvQueue<'_>,
        protection: &Protection,
        sk: &Sock,
    ) -> Result {
        let prefix = protection.prefix_len();
        self.load(queue, prefix)?;
        if self.stashed() < prefix {
            return Ok(());
        }
        let mut bytes = [0; MAX_PREFIX];
        if let Some(first) = self.stash().and_then(|runs| runs.first()) {
            for (to, from) in bytes.iter_mut().zip(first.as_slice()) {
                *to = *from;
            }
            self.parse(protection, sk, &bytes);
        }
        Ok(())
    }

    /// Makes sure that a record which was complete still is. Somebody who has been reading from
    /// TCP since before there were keys may have taken it.
    pub(super) fn check(&mut self, queue: &mut RecvQueue<'_>) {
        if queue.begin() == self.begin {
            return;
        }
        let here = queue.len().saturating_sub(self.opened);
        let len = self.stashed().saturating_add(here);
        if self.frame.is_some_and(|frame| len < frame.len) {
            if self.stash.is_none() {
                self.frame = None;
            }
            self.ready = false;
            self.announced = false;
        }
    }

    /// The current record was opened.
    pub(super) fn done(&mut self, queue: &mut RecvQueue<'_>) {
        let len = self.frame.take().map_or(0, |frame| frame.len);
        match self.stash.take() {
            Some(stash) => queue.uncharge(stash.charge),
            None => self.opened = self.opened.saturating_add(len),
        }
        if self.opened >= BATCH {
            self.release(queue);
        }
        self.ready = false;
        self.is_part = false;
        self.concealed |= !self.announced;
        self.announced = false;
    }

    /// Nothing more is read.
    pub(super) fn close(&mut self, queue: &mut RecvQueue<'_>) {
        if let Some(stash) = self.stash.take() {
            queue.uncharge(stash.charge);
        }
    }

    /// Whether readers were not told of a record that was opened since this was asked last.
    pub(super) fn take_concealed(&mut self) -> bool {
        core::mem::take(&mut self.concealed)
    }

    /// Takes what was opened out of TCP's queue before the reader waits or returns. The beginning of
    /// an incomplete record is moved if its packets take up much of the receive buffer: as long as
    /// they stay, the window is smaller by all of them, and TCP takes the reader for one that is too
    /// slow for a larger window.
    pub(super) fn leave(
        &mut self,
        queue: &mut RecvQueue<'_>,
        protection: &Protection,
        sk: &Sock,
        flags: Flags,
    ) {
        // Without memory it stays where it is.
        if self.is_part
            && !self.ready
            && !self.lost
            && (self.stash.is_some() || queue.is_held_up(self.opened))
            && self.begin(queue, flags).is_ok()
        {
            let _ = self.fill(queue, protection, sk);
        }
        self.release(queue);
    }

    /// Takes what was opened out of TCP's queue, for the peer to send more.
    pub(super) fn release(&mut self, queue: &mut RecvQueue<'_>) {
        self.take_out(queue);
        queue.forget_urgent();
    }

    fn take_out(&mut self, queue: &mut RecvQueue<'_>) {
        let opened = core::mem::take(&mut self.opened);
        if opened > 0 {
            queue.consume(opened);
        }
    }
}
