// SPDX-License-Identifier: GPL-2.0

//! A message that is one record, from beginning to end.
//!
//! Most of what programs send is small, complete, and finds nothing before it in the queue. Such
//! a message is copied into one run of memory, sealed there, and handed to TCP, and nothing is
//! kept but what TCP did not take.

use super::{
    refused,
    Stop,
    Tx, //
};
use crate::{
    context::Locked,
    record::SequenceWrapped, //
};
use kernel::prelude::*;
use knet::{
    mm::Frag,
    net::msg::{
        Flags,
        SendMsg, //
    }, //
};

/// Flags with which a message is more, or less, than one record.
pub(super) const OTHERWISE: Flags = Flags::MORE.or(Flags::SPLICE_PAGES);

/// Makes a record of type `kind` of the `len` bytes of `msg`, if it can be done like this. On an
/// error nothing was taken, unless the connection is broken.
pub(super) fn seal(
    tx: &mut Tx,
    locked: &mut Locked<'_>,
    msg: &mut SendMsg<'_>,
    kind: u8,
    len: usize,
) -> Result<Option<Frag>, Stop> {
    if !tx.is_quiet() || !locked.has_room(0) {
        return Ok(None);
    }
    let protection = &locked.data().tx.as_ref().ok_or(EINVAL)?.protection;
    let aad_len = protection.aad_len();
    // The additional data is directly before the text while that is sealed; then the header is.
    let lead = aad_len.saturating_sub(protection.prefix_len());
    let total = lead
        .saturating_add(protection.overhead())
        .saturating_add(len);
    let Some(mut run) = locked.alloc_run(total) else {
        return Ok(None);
    };
    let (aad, text) = run
        .as_mut_slice()
        .split_at_mut_checked(aad_len)
        .ok_or(EINVAL)?;
    let (payload, behind) = text.split_at_mut_checked(len).ok_or(EINVAL)?;
    msg.copy_to(payload)?;
    let protection = &mut locked.data().tx.as_mut().ok_or(EINVAL)?.protection;
    protection.write_aad(kind, len, aad).ok_or(EINVAL)?;
    let tail = protection.tail_len();
    if tail != 0 {
        *behind.first_mut().ok_or(EINVAL)? = kind;
    }
    let sealed = tx
        .request
        .seal_run(
            &protection.crypto_iv(),
            aad_len,
            &mut run,
            len.saturating_add(tail),
        )
        .and_then(|()| {
            let to = run.as_mut_slice().get_mut(lead..).ok_or(EINVAL)?;
            protection.write_header(kind, len, to).ok_or(EINVAL)?;
            protection.advance().map_err(|SequenceWrapped| EBADMSG)
        });
    if sealed.is_err() {
        return Err(tx.fail(locked).into());
    }
    let mut record = run.freeze();
    record.trim_front(lead);
    Ok(Some(record))
}

/// Hands `record` to TCP. What that does not take now is queued, whatever the reason.
pub(super) fn push(
    tx: &mut Tx,
    locked: &mut Locked<'_>,
    mut record: Frag,
    flags: Flags,
) -> Result<(), Stop> {
    let stop = match locked.send_pages(core::slice::from_ref(&record), flags.or(Flags::NOSIGNAL)) {
        Ok(n) if n == record.len() => return Ok(()),
        Ok(n) => {
            record.trim_front(n);
            Stop::Full
        }
        Err(e) => refused(locked, e),
    };
    let len = record.len();
    let eor = flags.any(Flags::EOR);
    let room = tx.queue.reserve(1, false, locked.alloc_flags());
    if room.is_ok() {
        if let Ok(charge) = locked.charge(len) {
            tx.charge.merge(charge);
        }
        if tx.queue.push(core::iter::once(record), len).is_err() {
            return Err(tx.fail(locked).into());
        }
        if eor {
            tx.queue.end_message();
        }
        return Err(stop);
    }
    // It was accepted, so it must not be lost.
    match locked.send_pages_now(core::slice::from_ref(&record), flags.or(Flags::NOSIGNAL)) {
        Ok(n) if n == len => Ok(()),
        _ => Err(tx.fail(locked).into()),
    }
}
