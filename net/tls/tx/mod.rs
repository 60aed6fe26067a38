// SPDX-License-Identifier: GPL-2.0

//! Sending: fill a record, seal it, queue it, push it to TCP.
//!
//! * [`open`]: the record that is being filled, in the memory where its ciphertext will be;
//! * [`queue`]: sealed records on their way to TCP;
//! * [`send`]: one call of `sendmsg()`;
//! * [`quick`]: such a call without any detour;
//! * [`end`]: `shutdown()` and `close()`.
//!
//! One task at a time sends: it holds the mutex of the [`Tx`], and then the socket's lock. TCP
//! gives up the latter while it waits, so other tasks can still set options or be told of room.

mod end;
mod open;
mod queue;
mod quick;
mod send;

use crate::{
    context::{
        Locked,
        Tls,
        TlsSock, //
    },
    record::{
        content_type,
        SequenceWrapped, //
    }, //
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
use queue::Queue;

pub(crate) use end::shutdown;
pub(crate) use send::sendmsg;

/// Milliseconds after which work tries again when somebody else is sending. They will push what
/// is queued themselves, most likely.
const RETRY_MS: u32 = 10;

/// What callbacks know of a sender.
#[derive(Default)]
pub(crate) struct Flags {
    /// Sealed records are queued, and nobody is about to push them.
    stalled: Flag,
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
    pub(crate) fn set_request(&mut self, request: Request) -> Result {
        // Those that are sealed with the old key come first, also if the new one is faster.
        self.queue.reap(queue::Wait::Uninterrupted)?;
        if self.open.has_job() {
            match request.shared_aead() {
                Some(aead) => self
                    .open
                    .set_job(Prepared::new(aead.clone(), GFP_KERNEL)?)?,
                None => drop(self.open.take_job()),
            }
        }
        self.request = request;
        Ok(())
    }

    /// Nothing can be sent any more: the peer would miss a record.
    fn fail(&mut self, locked: &mut Locked<'_>) -> Error {
        self.broken = true;
        self.queue.clear();
        self.open.clear();
        let all = self.charge.split(usize::MAX);
        locked.uncharge(all);
        locked.sock().abort(EBADMSG);
        EBADMSG
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
    fn close_record(&mut self, sk: &TlsSock<'_>, locked: &mut Locked<'_>, kind: u8) -> Result {
        if self.open.is_empty() {
            return Ok(());
        }
        self.seal(sk, locked, kind).map_err(|_| {
            // What was sealed before is good.
            let flags = msg::Flags::DONTWAIT.or(msg::Flags::NOSIGNAL);
            let _ = self.flush(locked, flags, queue::Wait::ForAll);
            self.fail(locked)
        })
    }

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
            if behind {
                self.queue.reap(queue::Wait::Uninterrupted)?;
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
                self.open.set_job(Prepared::new(aead.clone(), flags)?)?;
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

    /// Hands all sealed records to TCP, as far as it takes them.
    fn flush(&mut self, locked: &mut Locked<'_>, flags: msg::Flags, wait: queue::Wait) -> Result {
        let reaped = match self.queue.reap(wait) {
            Err(e) if e == EBADMSG => return Err(self.fail(locked)),
            other => other,
        };
        while !self.queue.ready().is_empty() {
            let n = match locked.send_pages(self.queue.ready(), flags) {
                Ok(0) => return Err(EAGAIN),
                Ok(n) => n,
                Err(e) => {
                    refused(locked, e);
                    return Err(e);
                }
            };
            self.queue.consume(n);
            let charge = self.charge.split(n);
            locked.uncharge(charge);
        }
        reaped
    }

    /// Begins to push: as long as this goes on, callbacks need not have it done by others.
    fn enter(&self, sk: &TlsSock<'_>) {
        sk.shared().tx.stalled.set(false);
    }

    /// Notes whether somebody else has to push what is left. Called before the lock is released.
    fn leave(&self, sk: &TlsSock<'_>, locked: &Locked<'_>) {
        if self.queue.is_empty() {
            return;
        }
        sk.shared().tx.stalled.set(true);
        if self.queue.first_is_done() {
            // It was done before anybody could see the flag.
            sk.handle().schedule(0);
        } else if !self.queue.ready().is_empty() && locked.is_idle() {
            // TCP had no memory, and nothing on the way whose arrival would make it call back.
            sk.handle().schedule(RETRY_MS);
        }
    }
}

/// TCP did not take what it was given. Unless it will later, that is the end of the connection.
fn refused(locked: &Locked<'_>, e: Error) {
    let later = e == EAGAIN || e == EINTR || e == ERESTARTSYS;
    // After a shutdown it will, at the end of the call.
    if !later && !locked.owes_end() {
        locked.sock().abort(e);
    }
}

/// The source of a splice has ended, and the last piece was sent as if more were to come.
pub(crate) fn splice_eof(sk: &TlsSock<'_>) {
    let mut tx = sk.context().tx.lock();
    let Some(tx) = tx.as_mut() else {
        return;
    };
    let mut locked = sk.lock();
    if !tx.has_open_record() {
        return;
    }
    tx.enter(sk);
    // There is nobody to report an error to. It is in the socket, or the work tries again.
    let _ = tx
        .close_record(sk, &mut locked, content_type::DATA)
        .and_then(|()| tx.flush(&mut locked, msg::Flags::NONE, queue::Wait::ForAll));
    tx.leave(sk, &locked);
}

/// TCP has room again: have the rest of the queue pushed, by a task.
pub(crate) fn write_space(sk: &Handle<Tls>) {
    if sk.shared().tx.stalled.get() {
        sk.schedule(0);
    }
}

/// Pushes what is queued, unless somebody else does.
pub(crate) fn work(sk: &TlsSock<'_>) {
    let stalled = sk.shared().tx.stalled.get();
    if !stalled && !sk.sock().send_is_over() {
        return;
    }
    let Some(mut tx) = sk.context().tx.try_lock() else {
        sk.handle().schedule(RETRY_MS);
        return;
    };
    let Some(tx) = tx.as_mut() else {
        return;
    };
    let mut locked = sk.lock();
    if locked.owes_end() {
        tx.end(sk, &mut locked);
        return;
    }
    if !stalled {
        return;
    }
    tx.enter(sk);
    let flags = msg::Flags::DONTWAIT.or(msg::Flags::NOSIGNAL);
    // Errors stay in the socket. Without room, the next callback comes when there is some.
    let _ = tx.flush(&mut locked, flags, queue::Wait::No);
    tx.leave(sk, &locked);
}
