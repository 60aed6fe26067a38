// SPDX-License-Identifier: GPL-2.0

//! One call of `recvmsg()`.

use super::{
    list::slices,
    read::{
        work,
        Session,
        BACKLOG, //
    },
    Opened,
    SCRATCH, //
};
use crate::{
    context::Unlocked,
    record::content_type, //
};
use kernel::prelude::*;
use knet::{
    mm::FragMut,
    net::{
        msg::{
            Flags,
            RecvMsg, //
        },
        tls_abi::{
            SOL_TLS,
            TLS_GET_RECORD_TYPE, //
        }, //
    }, //
};

/// Receives a message. All that it gets is of one content type.
pub(crate) fn recvmsg(sk: &Unlocked<'_>, msg: &mut RecvMsg<'_>, flags: Flags) -> Result<usize> {
    let mut locked = sk.lock();
    let session = Session::begin(sk, &mut locked, flags.any(Flags::DONTWAIT))?;
    let mut call = Call {
        session,
        no_pad: sk.abi().no_pad() && msg.is_user(),
        out: Out {
            msg,
            kind: None,
            copied: 0,
        },
        peek: flags.any(Flags::PEEK),
    };
    let result = call.run(flags.any(Flags::WAITALL));
    if call.out.copied > 0 {
        return Ok(call.out.copied);
    }
    result.map(|()| 0)
}

/// What one call works with.
struct Call<'a, 'l, 's, 'm> {
    session: Session<'a, 'l, 's>,
    out: Out<'a, 'm>,
    peek: bool,
    /// The caller has said that records are data without padding.
    no_pad: bool,
}

/// What the caller gets.
struct Out<'a, 'm> {
    msg: &'a mut RecvMsg<'m>,
    /// Content type of what was found, once something was.
    kind: Option<u8>,
    /// Bytes that the caller gets.
    copied: usize,
}

impl Out<'_, '_> {
    /// Whether a record of type `kind` may be part of what the caller gets. The first one decides,
    /// and the caller is told what it is; unless it is data, the caller must be able to learn it.
    fn admit(&mut self, kind: u8) -> Result<bool> {
        if let Some(first) = self.kind {
            return Ok(first == kind);
        }
        if kind == 0 {
            return Err(EBADMSG);
        }
        self.kind = Some(kind);
        let told = self.msg.put_control(SOL_TLS, TLS_GET_RECORD_TYPE, &[kind]);
        if kind != content_type::DATA && !told {
            return Err(EIO);
        }
        Ok(true)
    }

    /// Delivers a record, which fits.
    fn deliver(&mut self, opened: &Opened, plain: &[FragMut]) -> Result {
        let first = plain
            .first()
            .and_then(|run| run.as_slice().get(..opened.len));
        match first {
            Some(bytes) => self.msg.copy_from_all(core::iter::once(bytes))?,
            None => {
                let plain = plain.iter().map(FragMut::as_slice);
                self.msg.copy_from_all(slices(plain, 0, opened.len))?;
            }
        }
        self.copied = self.copied.saturating_add(opened.len);
        self.msg.set_end_of_record();
        Ok(())
    }

    /// Whether more records may follow those that were found: after data.
    fn may_go_on(&self) -> bool {
        self.kind.is_none_or(|kind| kind == content_type::DATA)
    }
}

impl Call<'_, '_, '_, '_> {
    fn run(&mut self, wait_all: bool) -> Result {
        let len = self.out.msg.left();
        if !self.session.rx()?.list.is_empty()
            && (!self.deliver_kept(0, true)? || !self.out.may_go_on())
        {
            return Ok(());
        }
        if self.out.msg.left() == 0 {
            return Ok(());
        }
        while self.out.msg.left() > 0
            && (self.out.copied == 0
                || self.session.rx()?.stream.is_ready()
                || self.out.copied < self.session.locked.receive_target(wait_all, len))
            // A look that waits for more than may be kept would wait for ever.
            && (!self.peek || self.session.may_keep_more()?)
            && self.session.wait(self.out.copied > 0)?
        {
            let before = self.out.copied;
            let more = if self.peek || !self.fits()? {
                // Behind those that the caller has looked at.
                let i = self.session.rx()?.list.len();
                self.session.open_to_list()?;
                // The end of a record is seen by those who take it, or look once more.
                self.deliver_kept(i, !self.peek)?
            } else if self.session.needs_time()?
                && self.session.open_ahead(self.out.msg.left(), self.no_pad)?
            {
                self.deliver_kept(0, true)?
            } else {
                self.deliver_ready()?
            };
            if !more || !self.out.may_go_on() {
                break;
            }
            self.session
                .breathe(self.out.copied.saturating_sub(before))?;
        }
        Ok(())
    }

    /// Delivers from the list, from index `i` on, with the ends of records or without. Returns
    /// whether the stream may be looked at for more.
    fn deliver_kept(&mut self, i: usize, ends: bool) -> Result<bool> {
        let result = self.take_kept(i, ends);
        self.session.settle();
        result
    }

    fn take_kept(&mut self, mut i: usize, ends: bool) -> Result<bool> {
        let Self { session, out, .. } = self;
        let list = &mut session.rx()?.list;
        while out.msg.left() > 0 {
            let Some(record) = list.get(i) else {
                break;
            };
            let len = record.len();
            if !out.admit(record.kind)? {
                return Ok(false);
            }
            let take = len.min(out.msg.left());
            out.msg.copy_from_all(record.slices(0, take))?;
            out.copied = out.copied.saturating_add(take);
            if self.peek {
                i = i.saturating_add(1);
            } else if take < len {
                if let Some(record) = list.first_mut() {
                    record.consume(take);
                }
                break;
            } else {
                list.pop();
            }
            if ends {
                out.msg.set_end_of_record();
            }
            if !out.may_go_on() {
                break;
            }
        }
        Ok(true)
    }

    /// Whether there is room for the record that is complete.
    fn fits(&mut self) -> Result<bool> {
        let left = self.out.msg.left();
        Ok(self.session.rx()?.content_len() <= left)
    }

    /// Delivers the record that is complete, and those behind it that are as well, as long as they
    /// fit. Returns whether more may follow.
    ///
    /// A record leaves the stream when the caller has got it; until then it can be opened again.
    fn deliver_ready(&mut self) -> Result<bool> {
        let flags = self.session.locked.alloc_flags();
        let mut scratch = SCRATCH.take(flags)?;
        let mut done = 0usize;
        let Self { session, out, .. } = self;
        let (rx, mut queue, sk) = session.parts()?;
        let (left, looked) = loop {
            let opened = rx.open(&mut queue, sk, &mut scratch, self.no_pad, flags)?;
            if !opened.is_nothing() {
                match out.admit(opened.kind) {
                    Ok(true) => (),
                    other => break (Some((opened, other)), Ok(())),
                }
                out.deliver(&opened, &scratch)?;
            }
            rx.done(&mut queue, sk, &opened);
            let looked = rx.find(&mut queue, sk, flags);
            done = done.saturating_add(work(&opened));
            if looked.is_err()
                || done >= BACKLOG
                || !out.may_go_on()
                || !rx.may_open()
                || out.msg.left() == 0
                || rx.content_len() > out.msg.left()
            {
                break (None, looked);
            }
        };
        self.session.worked = self.session.worked.saturating_add(done);
        if looked.is_err() {
            self.session.look_later();
        }
        let Some((opened, admitted)) = left else {
            return Ok(true);
        };
        // The next reader gets it. If there is no memory, that one opens it again.
        let _ = self.session.keep(&opened, &scratch);
        admitted
    }
}
