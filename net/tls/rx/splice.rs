// SPDX-License-Identifier: GPL-2.0

//! Readers that take pages: `splice()`, and those inside of the kernel.

use super::read::Session;
use crate::{
    context::{
        Locked,
        TlsSock,
        Unlocked, //
    },
    record::content_type, //
};
use kernel::prelude::*;
use knet::net::{
    pipe::Pipe,
    reader::Reader, //
};

/// Makes sure that the first record of the list has data in it. Returns whether there is one.
///
/// Fails with `EINVAL` if it is of another type: these readers cannot be told of it.
fn first(session: &mut Session<'_, '_, '_>, has_some: bool) -> Result<bool> {
    loop {
        match session.rx()?.list.get(0) {
            None => {
                if !session.wait(has_some)? {
                    return Ok(false);
                }
                session.open_to_list()?;
                if session.rx()?.list.is_empty() {
                    session.breathe(0)?;
                }
            }
            Some(record) if record.kind != content_type::DATA => return Err(EINVAL),
            Some(_) => return Ok(true),
        }
    }
}

/// Leaves out the first `n` bytes of the list, which are those of its first record.
fn consume(session: &mut Session<'_, '_, '_>, n: usize) -> Result {
    let list = &mut session.rx()?.list;
    if let Some(record) = list.first_mut() {
        record.consume(n);
        if record.len() == 0 {
            list.pop();
            session.settle();
        }
    }
    Ok(())
}

/// Moves data into a pipe, of one record at the most.
pub(crate) fn splice_read(
    sk: &Unlocked<'_>,
    pipe: &mut Pipe<'_>,
    len: usize,
    nonblock: bool,
) -> Result<usize> {
    let mut locked = sk.lock();
    let mut session = Session::begin(sk, &mut locked, nonblock)?;
    if !first(&mut session, false)? {
        return Ok(0);
    }
    let flags = session.locked.alloc_flags();
    let frags = match session.rx()?.list.get(0) {
        Some(record) => record.share(len.min(record.len()), flags)?,
        None => return Ok(0),
    };
    let n = pipe.push(&frags)?;
    consume(&mut session, n)?;
    Ok(n)
}

/// Passes data to a reader in the kernel, until it wants no more or there is none.
pub(crate) fn read_sock(
    sk: &TlsSock<'_>,
    locked: &mut Locked<'_>,
    reader: &mut Reader<'_>,
) -> Result<usize> {
    let mut session = Session::begin(sk, locked, true)?;
    let mut copied = 0usize;
    while reader.wants_more() {
        let used = match feed(&mut session, reader, copied > 0) {
            Ok(Some(used)) => used,
            Err(e) if copied == 0 && e == ENOMEM => {
                // Nobody else would tell this reader of a record that it was told of already.
                super::read_later(&sk.handle(), super::RETRY_MS);
                return Err(EAGAIN);
            }
            Err(e) if copied == 0 => return Err(e),
            _ => break,
        };
        copied = copied.saturating_add(used);
        session.breathe(used)?;
    }
    Ok(copied)
}

/// Passes the rest of a record to a reader. Returns how much it has taken, if anything.
fn feed(
    session: &mut Session<'_, '_, '_>,
    reader: &mut Reader<'_>,
    has_some: bool,
) -> Result<Option<usize>> {
    if !first(session, has_some)? {
        return Ok(None);
    }
    let flags = session.locked.alloc_flags();
    let frags = match session.rx()?.list.get(0) {
        Some(record) => record.share(record.len(), flags)?,
        None => return Ok(None),
    };
    let used = reader.feed(frags, flags)?;
    consume(session, used)?;
    Ok((used > 0).then_some(used))
}
