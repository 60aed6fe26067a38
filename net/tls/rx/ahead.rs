// SPDX-License-Identifier: GPL-2.0

//! Opening several records at the same time, for ciphers that need time.

use super::{
    count_padding,
    examine,
    frame::Frame,
    list::{
        alloc,
        Room, //
    },
    read::{
        work,
        Session, //
    },
    Rx, //
};
use crate::{
    record::{
        content_type,
        Protection, //
    },
    vec, //
};
use kernel::prelude::*;
use knet::{
    crypto::{
        Aad,
        Opening, //
    },
    mm::FragRef, //
};

/// The most records that are opened at the same time.
const MAX_AHEAD: usize = 16;

/// A record that is to be opened: its header, and room for references to its content.
struct Ahead {
    frame: Frame,
    refs: KVec<FragRef>,
}

impl Session<'_, '_, '_> {
    /// Whether the cipher needs time.
    pub(super) fn needs_time(&mut self) -> Result<bool> {
        Ok(self.rx()?.request.shared_aead().is_some())
    }

    /// Opens the record that is complete and those behind it that are as well, all at the same
    /// time, and puts them into the list: as many as cannot have more than `most` bytes of content
    /// together, up to the first that is not data. Returns whether any was opened; none is if there
    /// are not at least two. Of use if the cipher [needs time](Session::needs_time).
    ///
    /// No record makes this fail. One that cannot be opened stays where it is, with those behind it,
    /// and what has to happen happens when somebody comes to open it by itself.
    #[cold]
    pub(super) fn open_ahead(&mut self, most: usize, no_pad: bool) -> Result<bool> {
        let result = self.try_open_ahead(most, no_pad);
        self.settle();
        result
    }

    fn try_open_ahead(&mut self, most: usize, no_pad: bool) -> Result<bool> {
        if !self.is_worth_it(most)? {
            return Ok(false);
        }
        let (openings, aheads) = self.prepare(most)?;
        if openings.len() < 2 {
            return Ok(false);
        }
        let (_, mut queue, _) = self.parts()?;
        let opened = Opening::run(&mut queue, openings);

        let flags = self.locked.alloc_flags();
        let mut any = false;
        for (plain, ahead) in opened.zip(aheads) {
            let Ok(plain) = plain else {
                break;
            };
            let (rx, mut queue, sk) = self.parts()?;
            let Ok(opened) = examine(&rx.keys.protection, &ahead.frame, &plain) else {
                break;
            };
            // Who shares the pages of a packet can change its header behind our back.
            if rx
                .stream
                .frame()
                .is_none_or(|now| !now.is_like(&ahead.frame))
            {
                break;
            }
            if !opened.is_nothing() {
                let record = Room::Many(plain, ahead.refs).into_record(&opened);
                if rx.list.reserve(flags).is_err() || rx.list.push(record).is_err() {
                    break;
                }
            }
            if no_pad {
                count_padding(sk.net(), opened.last);
            }
            rx.done(&mut queue, sk, &opened);
            let looked = rx.find(&mut queue, sk, flags);
            // Other records go to callers one by one. One can be the announcement of a new key:
            // what is behind it was opened with the wrong one.
            let go_on = looked.is_ok() && rx.may_open() && opened.kind == content_type::DATA;
            self.worked = self.worked.saturating_add(work(&opened));
            any = true;
            if looked.is_err() {
                self.look_later();
            }
            if !go_on {
                break;
            }
        }
        Ok(any)
    }

    /// Whether there are two records, before anything is allocated for them: mostly a buffer has
    /// room for one.
    fn is_worth_it(&mut self, most: usize) -> Result<bool> {
        let (rx, mut queue, _) = self.parts()?;
        let Rx { stream, keys, .. } = rx;
        let protection = &keys.protection;
        let Some(first) = stream.frame().filter(|f| f.kind == content_type::DATA) else {
            return Ok(false);
        };
        let at = stream.offset().saturating_add(first.len);
        let overhead = protection.overhead().saturating_mul(2);
        Ok(stream
            .frame_at(&mut queue, protection, at)
            .is_some_and(|second| {
                first
                    .len
                    .saturating_add(second.len)
                    .saturating_sub(overhead)
                    <= most
            }))
    }

    /// Finds the records for [`Session::open_ahead`], and allocates what it takes to open them.
    fn prepare(&mut self, most: usize) -> Result<(KVec<Opening>, KVec<Ahead>)> {
        let mut openings = KVec::new();
        let mut aheads = KVec::new();
        let rx = self.rx()?;
        let mut at = rx.stream.offset();
        let mut protection = rx.keys.protection.clone();
        let mut left = most;
        let flags = self.locked.alloc_flags();
        while openings.len() < MAX_AHEAD {
            let (rx, mut queue, _) = self.parts()?;
            let Some(frame) = rx.stream.frame_at(&mut queue, &protection, at) else {
                break;
            };
            let Some((content, rest)) = frame
                .len
                .checked_sub(protection.overhead())
                .and_then(|content| Some((content, left.checked_sub(content)?)))
            else {
                break;
            };
            if !Opening::is_possible(&mut queue, at, frame.len)
                || vec::reserve(&mut openings, 1, flags).is_err()
                || vec::reserve(&mut aheads, 1, flags).is_err()
            {
                break;
            }
            let Ok((opening, ahead)) = self.prepare_one(&protection, frame, at, content) else {
                break;
            };
            // There is room in both.
            let _ = openings.push_within_capacity(opening);
            let _ = aheads.push_within_capacity(ahead);
            at = at.saturating_add(frame.len);
            left = rest;
            // TLS 1.2 says at once that a record is not data.
            if frame.kind != content_type::DATA || protection.advance().is_err() {
                break;
            }
        }
        Ok((openings, aheads))
    }

    /// Allocates what it takes to open a record, which is at offset `at` of TCP's queue.
    fn prepare_one(
        &mut self,
        protection: &Protection,
        frame: Frame,
        at: usize,
        content: usize,
    ) -> Result<(Opening, Ahead)> {
        let flags = self.locked.alloc_flags();
        let room = content.saturating_add(protection.tail_len());
        let (rx, mut queue, _) = self.parts()?;
        rx.list.pay_ahead(&mut queue, room)?;
        let plain = alloc(self.locked, room)?;
        let refs = KVec::with_capacity(plain.len(), flags)?;
        let prefix = protection.prefix_len();
        let iv = protection.peer_iv(frame.explicit_nonce());
        let aad = protection.peer_aad(frame.kind, content);
        let aad = match &aad {
            Some(bytes) => Aad::Apart { bytes, skip: 0 },
            None => Aad::Leading(prefix),
        };
        let text = (at.saturating_add(prefix), frame.len.saturating_sub(prefix));
        let aead = self.rx()?.request.shared_aead().ok_or(EINVAL)?;
        let opening = Opening::new(aead, &iv, &aad, text, plain, flags)?;
        Ok((opening, Ahead { frame, refs }))
    }
}
