// SPDX-License-Identifier: GPL-2.0

//! One call of `sendmsg()`.

use super::{
    queue::Wait,
    quick,
    Tx, //
};
use crate::{
    context::{
        Locked,
        TlsSock, //
    },
    record::content_type, //
};
use kernel::prelude::*;
use knet::net::{
    msg::{
        Flags,
        SendMsg, //
    },
    sock::Timeout,
    tls_abi::{
        SOL_TLS,
        TLS_SET_RECORD_TYPE, //
    }, //
};

/// Flags that a sender may set.
const ALLOWED: Flags = Flags::MORE
    .or(Flags::DONTWAIT)
    .or(Flags::NOSIGNAL)
    .or(Flags::CMSG_COMPAT)
    .or(Flags::SPLICE_PAGES)
    .or(Flags::EOR)
    .or(Flags::BATCH)
    .or(Flags::SENDPAGE_NOPOLICY);

/// So many bytes are sealed before TCP gets them: enough for a push to be cheap, and little
/// enough for the network not to wait for the cipher.
const BATCH: usize = 64 << 10;

/// Sends a message. Returns how many bytes were accepted: they will go out, unless the connection
/// fails.
pub(crate) fn sendmsg(sk: &TlsSock<'_>, msg: &mut SendMsg<'_>) -> Result<usize> {
    let flags = msg.flags();
    if flags.without(ALLOWED) != Flags::NONE {
        return Err(EOPNOTSUPP);
    }
    let mut tx = sk.context().tx.lock_interruptible()?;
    let tx = tx.as_mut().ok_or(ENOTCONN)?;
    let mut locked = sk.lock();
    if flags.any(Flags::MORE) && flags.any(Flags::EOR) {
        return Err(EINVAL);
    }
    if tx.broken {
        return Err(EBADMSG);
    }
    let mut call = Call {
        sk,
        msg,
        flags,
        kind: content_type::DATA,
        accepted: 0,
        refused: false,
    };
    let result = match call.quick(tx, &mut locked) {
        Ok(false) => {
            tx.enter(sk);
            call.run(tx, &mut locked)
        }
        done => done.map(|_| ()),
    };
    let result = result.map_err(|e| locked.send_error(flags, e));
    if result.is_err() && locked.owes_end() {
        tx.end(sk, &mut locked);
    } else {
        tx.leave(sk, &locked);
    }
    if call.accepted > 0 {
        return Ok(call.accepted);
    }
    result.map(|()| 0)
}

/// What one call works with.
struct Call<'a, 'b> {
    sk: &'a TlsSock<'a>,
    msg: &'a mut SendMsg<'b>,
    flags: Flags,
    /// Content type of the data.
    kind: u8,
    /// Bytes taken from the message.
    accepted: usize,
    /// TCP took less than it was offered.
    refused: bool,
}

impl Call<'_, '_> {
    /// Sends a message that is one record at once, if that is so. Returns whether it was done.
    fn quick(&mut self, tx: &mut Tx, locked: &mut Locked<'_>) -> Result<bool> {
        let max = usize::from(self.sk.abi().max_payload());
        let len = self.msg.left();
        if self.msg.has_control() || self.flags.any(quick::OTHERWISE) || len == 0 || len > max {
            return Ok(false);
        }
        locked.sock().may_send()?;
        let Some(record) = quick::seal(tx, locked, self.msg, self.kind, len)? else {
            return Ok(false);
        };
        self.accepted = len;
        quick::push(tx, locked, record, self.flags).inspect_err(|e| {
            if *e == EBADMSG {
                self.accepted = 0;
            }
        })?;
        Ok(true)
    }

    fn run(&mut self, tx: &mut Tx, locked: &mut Locked<'_>) -> Result {
        let mut filled = Ok(());
        if self.msg.has_control() {
            filled = self.control(tx, locked);
        }
        if filled.is_ok() {
            filled = self.fill(tx, locked);
        }
        // An empty message is no reason to wait for those before, nor is an error of TCP's to ask
        // it again.
        if tx.queue.is_empty() || self.refused || (self.accepted == 0 && !self.msg.has_control()) {
            return filled;
        }
        // With more to come, a driver may take its time.
        let wait = if self.flags.any(Flags::MORE) {
            Wait::No
        } else {
            Wait::ForAll
        };
        let pushed = self.push(tx, locked, wait);
        filled.and(pushed)
    }

    fn push(&mut self, tx: &mut Tx, locked: &mut Locked<'_>, wait: Wait) -> Result {
        tx.flush(locked, self.flags, wait).inspect_err(|e| {
            self.refused = true;
            if *e == EBADMSG {
                // What was accepted does not go out.
                self.accepted = 0;
            }
        })
    }

    /// Learns the content type from the control messages. Data of another type goes out first.
    fn control(&mut self, tx: &mut Tx, locked: &mut Locked<'_>) -> Result {
        let mut kind = None;
        for cmsg in self.msg.control() {
            let cmsg = cmsg?;
            if cmsg.level != SOL_TLS {
                continue;
            }
            if cmsg.kind != TLS_SET_RECORD_TYPE || self.flags.any(Flags::MORE) {
                return Err(EINVAL);
            }
            kind = Some(*cmsg.data.first().ok_or(EINVAL)?);
            tx.close_record(self.sk, locked, content_type::DATA)?;
        }
        self.kind = kind.ok_or(EINVAL)?;
        match self.push(tx, locked, Wait::No) {
            Err(e) if e != EAGAIN => Err(e),
            _ => Ok(()),
        }
    }

    /// Takes all of the message, record by record.
    fn fill(&mut self, tx: &mut Tx, locked: &mut Locked<'_>) -> Result {
        let mut timeout = locked.send_timeout(self.flags);
        loop {
            let left = self.msg.left();
            if left == 0 {
                return Ok(());
            }
            locked.sock().may_send()?;
            if !locked.has_room(tx.queue.bytes()) {
                self.wait_for_room(tx, locked, &mut timeout)?;
                continue;
            }

            let max = usize::from(self.sk.abi().max_payload());
            let room = max.saturating_sub(tx.open.len());
            let len = left.min(room);
            let mut full = left >= room || tx.open.is_full();
            if !tx.open.is_full() {
                match tx.reserve(locked, max, len) {
                    Ok(()) => (),
                    Err(_) => {
                        // What is sealed may be what uses up the memory.
                        self.push(tx, locked, Wait::ForAll)?;
                        self.drop_empty(tx, locked);
                        locked.wait_memory(&mut timeout)?;
                        continue;
                    }
                }
                if let Err(e) = self.take(tx, len) {
                    self.drop_empty(tx, locked);
                    return Err(e);
                }
                full = full || tx.open.is_full();
            }
            if full || !self.flags.any(Flags::MORE) {
                let len = tx.open.len();
                if let Err(e) = tx.close_record(self.sk, locked, self.kind) {
                    self.accepted = self.accepted.saturating_sub(len);
                    return Err(e);
                }
                if tx.queue.bytes() >= BATCH {
                    self.push(tx, locked, Wait::No)?;
                }
            }
        }
    }

    /// Takes the next `len` bytes into the open record, or fewer if they are spliced in too many
    /// pieces.
    fn take(&mut self, tx: &mut Tx, len: usize) -> Result {
        if !self.flags.any(Flags::SPLICE_PAGES) {
            tx.open.copy(self.msg, len)?;
            self.accepted = self.accepted.saturating_add(len);
            return Ok(());
        }
        let mut left = len;
        while left > 0 && !tx.open.is_full() {
            let page = self.msg.take_page(left)?;
            let n = page.len();
            tx.open.splice(page)?;
            self.accepted = self.accepted.saturating_add(n);
            left = left.saturating_sub(n);
        }
        Ok(())
    }

    /// Pushes what is queued, and waits until TCP can take more.
    fn wait_for_room(
        &mut self,
        tx: &mut Tx,
        locked: &mut Locked<'_>,
        timeout: &mut Timeout,
    ) -> Result {
        self.push(tx, locked, Wait::ForAll)?;
        if !locked.has_room(0) {
            locked.want_room();
            locked.wait_memory(timeout)?;
        }
        Ok(())
    }

    /// Gives back the memory of a record without data.
    fn drop_empty(&self, tx: &mut Tx, locked: &mut Locked<'_>) {
        if tx.open.is_empty() {
            let charge = tx.charge.split(tx.open.clear());
            locked.uncharge(charge);
        }
    }
}
