// SPDX-License-Identifier: GPL-2.0

//! One call of `recvmsg()`.

use super::{
    list::slices,
    read::Session, //
};
use crate::{
    context::TlsSock,
    record::content_type, //
};
use kernel::prelude::*;
use knet::{
    mm::FragMut,
    net::{
        mib::Counter,
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
pub(crate) fn recvmsg(sk: &TlsSock<'_>, msg: &mut RecvMsg<'_>, flags: Flags) -> Result<usize> {
    let mut locked = sk.lock();
    let session = Session::begin(sk, &mut locked, flags.any(Flags::DONTWAIT))?;
    let mut call = Call {
        session,
        msg,
        peek: flags.any(Flags::PEEK),
        kind: None,
        copied: 0,
    };
    let result = call.run(flags.any(Flags::WAITALL));
    if call.copied > 0 {
        return Ok(call.copied);
    }
    result.map(|()| 0)
}

/// What one call works with.
struct Call<'a, 'l, 's, 'm> {
    session: Session<'a, 'l, 's>,
    msg: &'a mut RecvMsg<'m>,
    peek: bool,
    /// Content type of what was found, once something was.
    kind: Option<u8>,
    /// Bytes that the caller gets.
    copied: usize,
}

impl Call<'_, '_, '_, '_> {
    fn run(&mut self, wait_all: bool) -> Result {
        let len = self.msg.left();
        let more = self.deliver_kept()?;
        if !more || self.msg.left() == 0 || !self.may_go_on() {
            return Ok(());
        }
        let target = self.session.locked.receive_target(wait_all, len);
        while self.msg.left() > 0
            && (self.copied < target || self.session.rx()?.stream.is_ready())
            && self.session.wait(self.copied > 0)?
        {
            if !self.deliver_next()? {
                break;
            }
            self.session.breathe()?;
        }
        Ok(())
    }

    /// Whether more records may follow those that were found: after data.
    fn may_go_on(&self) -> bool {
        self.kind.is_none_or(|kind| kind == content_type::DATA)
    }

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

    /// Delivers from the list. Returns whether the stream may be looked at for more.
    fn deliver_kept(&mut self) -> Result<bool> {
        let mut i = 0;
        while self.msg.left() > 0 {
            let left = self.msg.left();
            let Some(record) = self.session.rx()?.list.get(i) else {
                break;
            };
            let (kind, len) = (record.kind, record.len());
            if !self.admit(kind)? {
                return Ok(false);
            }
            let take = len.min(left);
            // The list has not changed.
            let Session { locked, .. } = &mut self.session;
            let rx = locked.data().rx.as_mut().ok_or(EINVAL)?;
            if let Some(record) = rx.list.get(i) {
                self.msg.copy_from_all(record.slices(0, take))?;
            }
            self.copied = self.copied.saturating_add(take);
            if self.peek {
                i = i.saturating_add(1);
            } else if take < len {
                if let Some(record) = rx.list.first_mut() {
                    record.consume(take);
                }
                break;
            } else {
                rx.list.pop();
            }
            self.msg.set_end_of_record();
        }
        Ok(true)
    }

    /// Delivers the record that is complete. Returns whether another one may follow.
    fn deliver_next(&mut self) -> Result<bool> {
        let left = self.msg.left();
        let overhead = self.session.rx()?.keys().protection.overhead();
        let room = self
            .session
            .rx()?
            .stream
            .frame()
            .is_some_and(|frame| frame.len.saturating_sub(overhead) <= left);
        let (opened, scratch) = self.session.open()?;
        if self.session.sk.abi().no_pad() && room && !self.peek && self.msg.is_user() {
            // It was expected to be data without padding.
            let net = self.session.sk.sock().net();
            if opened.last != content_type::DATA {
                net.inc(Counter::DecryptRetry);
                if opened.last == 0 {
                    net.inc(Counter::RxNoPadViolation);
                }
            }
        }
        match self.admit(opened.kind) {
            Ok(true) => (),
            other => {
                self.session.keep(scratch, opened, 0)?;
                return other;
            }
        }
        let take = opened.len.min(left);
        let parts = slices(scratch.iter().map(FragMut::as_slice), 0, take);
        if let Err(e) = self.msg.copy_from_all(parts) {
            self.session.keep(scratch, opened, 0)?;
            return Err(e);
        }
        self.copied = self.copied.saturating_add(take);
        if self.peek {
            self.session.keep(scratch, opened, 0)?;
        } else if take < opened.len {
            self.session.keep(scratch, opened, take)?;
        } else {
            self.msg.set_end_of_record();
        }
        Ok(self.may_go_on())
    }
}
