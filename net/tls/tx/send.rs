// SPDX-License-Identifier: GPL-2.0

//! One call of `sendmsg()`.

use super::{
    quick,
    Session,
    Stop,
    Tx,
    Wait, //
};
use crate::{
    context::{
        Locked,
        TlsSock,
        Unlocked, //
    },
    record::content_type, //
};
use kernel::{
    alloc,
    prelude::*, //
};
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

/// Bytes that are sealed before TCP gets them: enough for a push to be cheap, and little
/// enough for the network not to wait for the cipher. What does not fill a packet stays for the
/// next push of the call.
const BATCH: usize = 48 << 10;

/// Sends a message. Returns how many bytes were accepted: they will go out, unless the connection
/// fails.
pub(crate) fn sendmsg(sk: &Unlocked<'_>, msg: &mut SendMsg<'_>) -> Result<usize> {
    let flags = msg.flags();
    if flags.without(ALLOWED) != Flags::NONE {
        return Err(EOPNOTSUPP);
    }
    let mut session = Session::begin(sk)?;
    let (Some(tx), locked) = session.parts() else {
        return Err(ENOTCONN);
    };
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
        timeout: None,
    };
    let result = call.run(tx, locked);
    if call.accepted > 0 {
        // An error of the connection is left to the next call.
        return Ok(call.accepted);
    }
    result
        .map(|()| 0)
        .map_err(|stop| locked.send_error(flags, stop.into()))
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
    /// How long the call may still wait, once it had to.
    timeout: Option<Timeout>,
}

impl Call<'_, '_> {
    fn run(&mut self, tx: &mut Tx, locked: &mut Locked<'_>) -> Result<(), Stop> {
        if self.quick(tx, locked)? {
            return Ok(());
        }
        tx.enter(self.sk);
        self.take_all(tx, locked)
    }

    /// Sends a message that is one record at once, if that is so. Returns whether it was done.
    #[inline]
    fn quick(&mut self, tx: &mut Tx, locked: &mut Locked<'_>) -> Result<bool, Stop> {
        let max = usize::from(self.sk.abi().max_payload());
        let len = self.msg.left();
        if self.msg.has_control() || self.flags.any(quick::OTHERWISE) || len == 0 || len > max {
            return Ok(false);
        }
        locked.sock().may_send()?;
        let Some(record) = quick::seal(tx, locked, self.msg, self.kind, len)? else {
            return Ok(false);
        };
        let pushed = quick::push(tx, locked, record, self.flags);
        if !matches!(pushed, Err(Stop::Broken(_))) {
            self.accepted = len;
        }
        pushed.map(|()| true)
    }

    /// Takes all of the message, and hands it to TCP.
    fn take_all(&mut self, tx: &mut Tx, locked: &mut Locked<'_>) -> Result<(), Stop> {
        let mut filled = Ok(());
        if self.msg.has_control() {
            filled = self.control(tx, locked);
        }
        if filled.is_ok() {
            filled = self.fill(tx, locked);
        }
        // An empty message is no reason to wait for those before.
        if tx.queue.is_empty() || (self.accepted == 0 && !self.msg.has_control()) {
            return filled;
        }
        if self.flags.any(Flags::EOR) && self.accepted > 0 && !tx.has_open_record() {
            tx.queue.end_message();
        }
        match filled {
            Ok(()) => {
                // With more to come, a driver may take its time.
                let more = self.flags.any(Flags::MORE);
                self.push(tx, locked, if more { Wait::No } else { Wait::ForAll })
            }
            Err(Stop::Full | Stop::Later(_)) => match self.offer(tx, locked) {
                Err(broken @ Stop::Broken(_)) => Err(broken),
                _ => filled,
            },
            gone => gone,
        }
    }

    /// Hands what is queued to TCP, as far as it takes it now.
    fn offer(&mut self, tx: &mut Tx, locked: &mut Locked<'_>) -> Result<(), Stop> {
        self.count(tx.push(locked, self.flags, Wait::No))
    }

    /// Hands what is queued to TCP, and waits as long as the call may until it has taken all of it.
    fn push(&mut self, tx: &mut Tx, locked: &mut Locked<'_>, wait: Wait) -> Result<(), Stop> {
        loop {
            match tx.push(locked, self.flags, wait) {
                Err(Stop::Full) => self.wait_memory(locked)?,
                done => return self.count(done),
            }
        }
    }

    /// Counts nothing as accepted if a record is missing: it is not known which one.
    fn count(&mut self, pushed: Result<(), Stop>) -> Result<(), Stop> {
        if matches!(pushed, Err(Stop::Broken(_))) {
            self.accepted = 0;
        }
        pushed
    }

    /// Gives up the lock until TCP has room.
    fn wait_memory(&mut self, locked: &mut Locked<'_>) -> Result<(), Stop> {
        let flags = self.flags;
        let timeout = self
            .timeout
            .get_or_insert_with(|| locked.send_timeout(flags));
        locked.wait_memory(timeout).map_err(|e| match e {
            EAGAIN => Stop::Full,
            EPIPE => Stop::Gone(e),
            _ => Stop::Later(e),
        })
    }

    /// Learns the content type from the control messages. Data of another type goes out first.
    fn control(&mut self, tx: &mut Tx, locked: &mut Locked<'_>) -> Result<(), Stop> {
        let mut kind = None;
        for cmsg in self.msg.control() {
            let cmsg = cmsg?;
            if cmsg.level != SOL_TLS {
                continue;
            }
            if cmsg.kind != TLS_SET_RECORD_TYPE || self.flags.any(Flags::MORE) {
                return Err(EINVAL.into());
            }
            kind = Some(*cmsg.data.first().ok_or(EINVAL)?);
            tx.close_record(self.sk, locked, content_type::DATA)?;
        }
        self.kind = kind.ok_or(EINVAL)?;
        match self.offer(tx, locked) {
            Err(Stop::Full) => Ok(()),
            other => other,
        }
    }

    /// Takes all of the message, record by record.
    fn fill(&mut self, tx: &mut Tx, locked: &mut Locked<'_>) -> Result<(), Stop> {
        loop {
            let left = self.msg.left();
            if left == 0 {
                return Ok(());
            }
            locked.sock().may_send()?;
            if tx.queue.ends_message() || !locked.has_room(tx.queue.bytes()) {
                self.wait_for_room(tx, locked)?;
                continue;
            }

            let max = usize::from(self.sk.abi().max_payload());
            let room = max.saturating_sub(tx.open.len());
            let len = left.min(room);
            let mut full = left >= room || tx.open.is_full();
            if !tx.open.is_full() {
                if tx.reserve(locked, max, len).is_err() {
                    // What is sealed may be what uses up the memory.
                    self.push(tx, locked, Wait::ForAll)?;
                    self.drop_empty(tx, locked);
                    self.wait_memory(locked)?;
                    continue;
                }
                if let Err(e) = self.take(tx, len, locked.alloc_flags()) {
                    self.drop_empty(tx, locked);
                    return Err(e.into());
                }
                full = full || tx.open.is_full();
            }
            if full || !self.flags.any(Flags::MORE) {
                let len = tx.open.len();
                if let Err(broken) = tx.close_record(self.sk, locked, self.kind) {
                    self.accepted = self.accepted.saturating_sub(len);
                    return Err(broken.into());
                }
                if self.has_batch(tx, locked) {
                    let pushed = tx.push_whole(locked, BATCH);
                    match self.count(pushed) {
                        // There is room for more, or it is waited for above.
                        Ok(()) | Err(Stop::Full) => (),
                        stop => return stop,
                    }
                }
            }
        }
    }

    /// Whether to push in the middle of a call.
    fn has_batch(&mut self, tx: &Tx, locked: &Locked<'_>) -> bool {
        let bytes = tx.queue.bytes();
        let more = self.msg.left() > 0;
        if bytes < BATCH && !more {
            // The end of the call is a push as well.
            return false;
        }
        let segment = locked.segment_len();
        if segment > BATCH {
            // Of such segments, each costs a push.
            return bytes >= segment && more;
        }
        // The network, and the cipher at the other end, need not wait while this one works.
        bytes >= BATCH || (bytes >= segment && locked.unsent() == 0)
    }

    /// Takes the next `len` bytes into the open record, or fewer if they are spliced in too many
    /// pieces.
    fn take(&mut self, tx: &mut Tx, len: usize, alloc: alloc::Flags) -> Result {
        if !self.flags.any(Flags::SPLICE_PAGES) {
            tx.open.copy(self.msg, len, alloc)?;
            self.accepted = self.accepted.saturating_add(len);
            return Ok(());
        }
        let mut left = len;
        while left > 0 && !tx.open.is_full() {
            let page = self.msg.take_page(left)?;
            let n = page.len();
            tx.open.splice(page, alloc)?;
            self.accepted = self.accepted.saturating_add(n);
            left = left.saturating_sub(n);
        }
        Ok(())
    }

    /// Pushes what is queued, and waits until TCP can take more.
    fn wait_for_room(&mut self, tx: &mut Tx, locked: &mut Locked<'_>) -> Result<(), Stop> {
        self.push(tx, locked, Wait::ForAll)?;
        // TCP has all of it. A queue that is not empty now would make this a loop without end.
        if !locked.has_room(tx.queue.bytes()) {
            locked.want_room();
            self.wait_memory(locked)?;
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
