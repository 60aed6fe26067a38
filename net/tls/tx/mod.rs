// SPDX-License-Identifier: GPL-2.0

//! Sending: fill a record, seal it, queue it, push it to TCP.
//!
//! * [`open`]: the record that is being filled, in the memory where its ciphertext will be;
//! * [`queue`]: sealed records on their way to TCP;
//! * [`session`]: one task at a time;
//! * [`send`]: one call of `sendmsg()`;
//! * [`quick`]: such a call without any detour;
//! * [`end`]: `shutdown()` and `close()`.
//!
//! A task that sends holds the mutex of the [`Tx`], and then the socket's lock. It gives up the
//! latter while it waits, so other tasks can still set options, shut the socket down, or be told of
//! room.

mod end;
mod open;
mod queue;
mod quick;
mod send;
mod session;

use crate::{
    context::{
        Locked,
        Tls,
        TlsSock, //
    },
    record::SequenceWrapped, //
};
use kernel::prelude::*;
use knet::{
    crypto::{
        Aad,
        Notify,
        Prepared,
        Request, //
    },
    net::{
        msg,
        sock::Charge,
        ulp::Handle, //
    },
    sync::Flag, //
};
use open::OpenRecord;
use queue::{
    Queue,
    Unready,
    Wait, //
};

pub(crate) use end::shutdown;
pub(crate) use send::sendmsg;
pub(crate) use session::{
    splice_eof,
    work,
    write_space,
    Session, //
};

/// Milliseconds after which work tries again to push what TCP had no memory for.
const RETRY_MS: u32 = 10;

/// What callbacks know of a sender.
#[derive(Default)]
pub(crate) struct Flags {
    /// Sealed records are queued, and no task is about to push them.
    stalled: Flag,
    /// There is an open record.
    open: Flag,
    /// The source of a splice has ended while another task had the mutex: that one closes the open
    /// record. Written with the socket's lock.
    splice_ended: Flag,
}

/// Told when an asynchronous driver has sealed a record.
struct Sealed(Handle<Tls>);

impl Notify for Sealed {
    fn notify(&self) {
        if self.0.shared().tx.stalled.get() {
            self.0.schedule(0);
        }
    }
}

/// The sending half of a connection.
pub(crate) struct Tx {
    /// For all records that are sealed synchronously.
    request: Request,
    open: OpenRecord,
    queue: Queue,
    /// What the socket is charged for: the memory of the open record and of the queue.
    charge: Charge,
    /// A record is missing. Nothing can be sent any more, whatever becomes of the socket's error.
    broken: bool,
}

impl Tx {
    /// A sender that seals with `request`.
    pub(crate) fn new(request: Request) -> Self {
        Self {
            request,
            open: OpenRecord::new(),
            queue: Queue::new(),
            charge: Charge::none(),
            broken: false,
        }
    }

    /// Seals with `request` from the open record on.
    ///
    /// Fails with `EBADMSG` if a record could not be sealed with the old key, and with `ENOMEM`.
    pub(crate) fn set_request(&mut self, locked: &mut Locked<'_>, request: Request) -> Result {
        // Those that are sealed with the old key come first, also if the new one is faster.
        if let Err(Stop::Broken(broken)) = self.reap(locked, Wait::Uninterrupted) {
            return Err(broken.into());
        }
        if self.open.has_job() {
            match request.shared_aead() {
                Some(aead) => {
                    let flags = locked.alloc_flags();
                    let job = Prepared::new(aead.clone(), flags)?;
                    self.open.set_job(job, flags)?;
                }
                None => drop(self.open.take_job()),
            }
        }
        self.request = request;
        Ok(())
    }

    /// Ends the connection: a record could not be sealed, and the peer would miss it. Those before
    /// it are good, and were accepted: TCP gets them first.
    fn fail(&mut self, locked: &mut Locked<'_>) -> Broken {
        self.broken = true;
        // If another one fails that was submitted before, this ends at that one.
        let _ = self.queue.reap(Wait::Uninterrupted);
        // Without memory in TCP they are lost, with the connection.
        let _ = self.push_now(locked);
        self.clear(locked);
        locked.sock().abort(EBADMSG);
        Broken(())
    }

    /// Forgets what was accepted, once drivers are done with it.
    fn clear(&mut self, locked: &mut Locked<'_>) {
        self.queue.clear();
        self.open.clear();
        let all = self.charge.split(usize::MAX);
        locked.uncharge(all);
    }

    /// Whether nothing waits, neither here nor for a driver, and the next record will not either.
    fn is_quiet(&self) -> bool {
        self.queue.is_empty() && self.open.is_empty() && self.request.shared_aead().is_none()
    }

    /// Whether data waits for more to come.
    pub(crate) fn has_open_record(&self) -> bool {
        !self.open.is_empty()
    }

    /// Seals the open record, if there is data in it.
    fn close_record(
        &mut self,
        sk: &TlsSock<'_>,
        locked: &mut Locked<'_>,
        kind: u8,
    ) -> Result<(), Broken> {
        if self.open.is_empty() {
            return Ok(());
        }
        self.seal(sk, locked, kind).map_err(|_| self.fail(locked))
    }

    /// Seals the open record. On any error it is lost.
    fn seal(&mut self, sk: &TlsSock<'_>, locked: &mut Locked<'_>, kind: u8) -> Result {
        let keys = locked.data().tx.as_mut().ok_or(EINVAL)?;
        let protection = &mut keys.protection;
        let len = self.open.len();
        let header = protection.header(kind, len);
        let aad = protection.aad(kind, len);
        let iv = protection.crypto_iv();
        let aad = if protection.aad_fits_prefix() {
            self.open.write_at(0, aad.as_slice())?;
            Aad::Leading(protection.prefix_len())
        } else {
            Aad::Apart {
                bytes: aad.as_slice(),
                skip: protection.prefix_len(),
            }
        };
        if protection.tail_len() != 0 {
            self.open.push_tail(kind)?;
        }
        let crypt_len = len.saturating_add(protection.tail_len());
        let total = len.saturating_add(protection.overhead());
        // The record counts from here on, whatever becomes of it.
        protection.advance().map_err(|SequenceWrapped| EBADMSG)?;
        let excess = self.open.trim(total);
        let charge = self.charge.split(excess);
        locked.uncharge(charge);
        if let Some(job) = self.open.take_job() {
            let (text, dst) = self.open.take(crypt_len);
            let runs = dst.len();
            let notify = Sealed(sk.handle());
            let (job, behind) = job.submit(&iv, &aad, text, dst, crypt_len, notify)?;
            self.queue.push_pending(job, header, runs, total)?;
            if behind && self.queue.reap(Wait::Uninterrupted).is_err() {
                return Err(EBADMSG);
            }
        } else {
            self.open.seal(&mut self.request, &iv, &aad, crypt_len)?;
            self.open.write_at(0, header.as_slice())?;
            self.queue.push(self.open.drain(), total)?;
        }
        Ok(())
    }

    /// Makes room in the open record for `more` bytes of payload; it may grow to `max`.
    fn reserve(&mut self, locked: &mut Locked<'_>, max: usize, more: usize) -> Result {
        let keys = locked.data().tx.as_ref().ok_or(EINVAL)?;
        let overhead = keys.protection.overhead();
        self.open.set_prefix(keys.protection.prefix_len());
        let total = self.open.len().saturating_add(more);
        let flags = locked.alloc_flags();
        if let Some(aead) = self.request.shared_aead() {
            if !self.open.has_job() {
                self.open
                    .set_job(Prepared::new(aead.clone(), flags)?, flags)?;
            }
        }
        self.open.reserve(
            locked,
            &mut self.charge,
            overhead.saturating_add(total),
            overhead.saturating_add(max),
        )?;
        self.queue
            .reserve(self.open.runs(), self.open.has_job(), flags)
    }

    /// Moves records that a driver has sealed to those that are ready for TCP. Ends the connection
    /// if one has failed.
    fn reap(&mut self, locked: &mut Locked<'_>, wait: Wait) -> Result<(), Stop> {
        self.queue.reap(wait).map_err(|e| match e {
            Unready::Signal(e) => Stop::Later(e),
            Unready::Failed => self.fail(locked).into(),
        })
    }

    /// Hands all sealed records to TCP, as far as it takes them without waiting. Of `flags` only
    /// `MSG_MORE` counts.
    fn push(&mut self, locked: &mut Locked<'_>, flags: msg::Flags, wait: Wait) -> Result<(), Stop> {
        let reaped = self.reap(locked, wait);
        if matches!(reaped, Err(Stop::Broken(_))) {
            return reaped;
        }
        while !self.queue.ready().is_empty() {
            let mut with = msg::Flags::DONTWAIT.or(msg::Flags::NOSIGNAL);
            // TCP keeps the end of what is marked until more comes or a timer fires. None comes
            // before there is room, so what takes up the last of it goes out now.
            if flags.any(msg::Flags::MORE) && locked.has_room(self.queue.bytes()) {
                with = with.or(msg::Flags::MORE);
            }
            if self.queue.ends_message() && self.queue.is_ready() {
                with = with.or(msg::Flags::EOR);
            }
            match locked.send_pages(self.queue.ready(), with) {
                Ok(0) => return Err(Stop::Full),
                Ok(n) => self.taken(locked, n),
                Err(e) => return Err(refused(locked, e)),
            }
        }
        reaped
    }

    /// Hands as much of the sealed records to TCP as fills whole packets, as far as it takes that
    /// without waiting. For senders that push the rest before they wait or return: with the records
    /// behind it, it makes full packets as well.
    fn push_whole(&mut self, locked: &mut Locked<'_>, most: usize) -> Result<(), Stop> {
        self.reap(locked, Wait::No)?;
        let ready = self.queue.ready().iter();
        let ready = ready.fold(0usize, |sum, run| sum.saturating_add(run.len()));
        let mut left = locked.whole_packets(ready, most);
        let flags = msg::Flags::DONTWAIT.or(msg::Flags::NOSIGNAL);
        while left > 0 {
            match locked.send_part(self.queue.ready(), left, flags) {
                Ok(0) => return Err(Stop::Full),
                Ok(n) => {
                    self.taken(locked, n);
                    left = left.saturating_sub(n);
                }
                Err(e) => return Err(refused(locked, e)),
            }
        }
        Ok(())
    }

    /// Hands all that is ready to TCP, even if its buffer is full. Fails without memory, and when
    /// TCP sends nothing any more.
    fn push_now(&mut self, locked: &mut Locked<'_>) -> Result<(), Stop> {
        while !self.queue.ready().is_empty() {
            let mut with = msg::Flags::NOSIGNAL;
            if self.queue.ends_message() && self.queue.is_ready() {
                with = with.or(msg::Flags::EOR);
            }
            match locked.send_pages_now(self.queue.ready(), with) {
                Ok(0) => return Err(Stop::Full),
                Ok(n) => self.taken(locked, n),
                Err(e) if e == EAGAIN => return Err(Stop::Full),
                Err(e) => return Err(Stop::Gone(e)),
            }
        }
        Ok(())
    }

    /// Notes that TCP has taken the first `n` bytes of the queue, and is charged for them.
    fn taken(&mut self, locked: &mut Locked<'_>, n: usize) {
        self.queue.consume(n);
        let charge = self.charge.split(n);
        locked.uncharge(charge);
    }
}

/// A record is missing, the connection has ended, and the socket has its error. Made by
/// [`Tx::fail`] alone.
#[must_use]
struct Broken(());

impl From<Broken> for Error {
    fn from(_: Broken) -> Self {
        EBADMSG
    }
}

/// Why a sender stops.
enum Stop {
    /// TCP has no room for all that is queued.
    Full,
    /// The call fails with this error, and nothing is lost: what is queued goes out later.
    Later(Error),
    /// TCP takes nothing any more.
    Gone(Error),
    /// Nothing can be sent any more.
    Broken(Broken),
}

impl From<Error> for Stop {
    fn from(e: Error) -> Self {
        Self::Later(e)
    }
}

impl From<Broken> for Stop {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Full => EAGAIN,
            Stop::Later(e) | Stop::Gone(e) => e,
            Stop::Broken(broken) => broken.into(),
        }
    }
}

/// Says what it means that TCP has refused what it was given with `e`.
fn refused(locked: &Locked<'_>, e: Error) -> Stop {
    if e == EAGAIN {
        return Stop::Full;
    }
    if e == EINTR || e == ERESTARTSYS {
        return Stop::Later(e);
    }
    // After a shutdown it goes out when the session ends.
    if !locked.owes_end() {
        locked.sock().abort(e);
    }
    Stop::Gone(e)
}
