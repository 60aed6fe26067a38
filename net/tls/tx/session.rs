// SPDX-License-Identifier: GPL-2.0

//! One task at a time: the sender's mutex with the socket's lock, and what others have left for the
//! task that has both.
//!
//! `shutdown()`, the end of a splice and the work do not wait for a task that sends. They look for
//! the mutex with the socket's lock held; if it is taken, its owner has yet to get that lock, and
//! finds what they have left when its [`Session`] ends. So the mutex is released before the lock.

use super::{
    Stop,
    Tx,
    Wait,
    RETRY_MS, //
};
use crate::{
    context::{
        Locked,
        Tls,
        TlsSock,
        Unlocked, //
    },
    record::content_type, //
};
use kernel::prelude::*;
use knet::{
    net::{
        msg::Flags,
        ulp::Handle, //
    },
    sync::IntrMutexGuard, //
};

/// A socket that one sender has to itself.
pub(crate) struct Session<'a, 's> {
    pub(super) sk: &'a TlsSock<'s>,
    // Fields are dropped in this order.
    tx: IntrMutexGuard<'s, Option<Tx>>,
    locked: Locked<'s>,
}

impl<'a, 's> Session<'a, 's> {
    /// Waits until no other sender is at work. Fails with `EINTR` when a signal comes first.
    #[inline]
    pub(crate) fn begin(sk: &'a Unlocked<'s>) -> Result<Self> {
        let tx = sk.context().tx.lock_interruptible()?;
        let locked = sk.lock();
        Ok(Self { sk, tx, locked })
    }

    /// Begins unless another sender is at work.
    fn try_begin(sk: &'a Unlocked<'s>) -> Option<Self> {
        let locked = sk.lock();
        let tx = sk.context().tx.try_lock()?;
        Some(Self { sk, tx, locked })
    }

    /// Returns the sender, which is there once there are keys, and the socket.
    #[inline]
    pub(crate) fn parts(&mut self) -> (&mut Option<Tx>, &mut Locked<'s>) {
        (&mut self.tx, &mut self.locked)
    }
}

impl Drop for Session<'_, '_> {
    /// Does what others have left in the meantime, and notes what is left for the work.
    #[inline]
    fn drop(&mut self) {
        if let Some(tx) = self.tx.as_mut() {
            tx.leave(self.sk, &mut self.locked);
        }
    }
}

impl Tx {
    /// Begins to push: as long as this goes on, callbacks need not have it done by the work.
    pub(super) fn enter(&self, sk: &TlsSock<'_>) {
        sk.shared().tx.stalled.set(false);
    }

    /// Ends a session.
    #[inline]
    fn leave(&mut self, sk: &TlsSock<'_>, locked: &mut Locked<'_>) {
        let flags = &sk.shared().tx;
        if locked.sock().send_is_over() || flags.splice_ended.get() {
            self.catch_up(sk, locked);
        }
        flags.open.set(self.has_open_record());
        if !self.queue.is_empty() {
            self.leave_rest(sk, locked);
        }
    }

    /// Does what other tasks could not do because this one had the mutex.
    #[cold]
    fn catch_up(&mut self, sk: &TlsSock<'_>, locked: &mut Locked<'_>) {
        if locked.owes_end() {
            self.end(sk, locked);
        }
        if locked.sock().send_is_over() && !locked.owes_end() {
            // TCP has sent the end, or the connection is gone: nothing more goes out.
            self.clear(locked);
            self.enter(sk);
        }
        if sk.shared().tx.splice_ended.get() {
            sk.shared().tx.splice_ended.set(false);
            self.end_splice(sk, locked);
        }
    }

    /// Notes that the rest of the queue has to be pushed when there is room, or when the driver is
    /// done. Called before the lock is released.
    pub(super) fn leave_rest(&mut self, sk: &TlsSock<'_>, locked: &Locked<'_>) {
        sk.shared().tx.stalled.set(true);
        if self.queue.first_is_done() {
            // It was done before the driver could see the flag.
            sk.handle().schedule(0);
        } else if !self.queue.ready().is_empty()
            && locked.sock().error().is_ok()
            && (locked.has_room(0) || locked.is_idle())
        {
            // There is room, so TCP had no memory, or its call for the work came while this task had
            // the mutex. It may not come again. A pending error keeps TCP from taking anything.
            sk.handle().schedule(RETRY_MS);
        }
    }

    /// Sends the open record, for which no more comes.
    fn end_splice(&mut self, sk: &TlsSock<'_>, locked: &mut Locked<'_>) {
        if !self.has_open_record() {
            return;
        }
        self.enter(sk);
        // No caller takes an error. It is in the socket, or the work tries again.
        let _ = self
            .close_record(sk, locked, content_type::DATA)
            .map_err(Stop::from)
            .and_then(|()| self.push(locked, Flags::NONE, Wait::No));
    }
}

/// The source of a splice has ended, and the last piece was sent as if more were to come.
pub(crate) fn splice_eof(sk: &Unlocked<'_>) {
    if !sk.shared().tx.open.get() {
        return;
    }
    let locked = sk.lock();
    sk.shared().tx.splice_ended.set(true);
    if let Some(tx) = sk.context().tx.try_lock() {
        drop(Session { sk, tx, locked });
    }
}

/// TCP has room again: has the rest of the queue pushed, by the work.
pub(crate) fn write_space(sk: &Handle<Tls>) {
    if sk.shared().tx.stalled.get() {
        sk.schedule(0);
    }
}

/// Pushes what is queued, unless a sender is at work, who looks after it.
pub(crate) fn work(sk: &Unlocked<'_>) {
    if !sk.shared().tx.stalled.get() && !sk.sock().send_is_over() {
        return;
    }
    let Some(mut session) = Session::try_begin(sk) else {
        return;
    };
    let (Some(tx), locked) = session.parts() else {
        return;
    };
    // What is left of the end is done when the session ends. TCP would report a pending error, and
    // take nothing.
    if !sk.shared().tx.stalled.get()
        || locked.sock().send_is_over()
        || locked.sock().error().is_err()
    {
        return;
    }
    tx.enter(sk);
    // Errors stay in the socket. Without room, the next callback comes when there is some.
    let _ = tx.push(locked, Flags::NONE, Wait::No);
}
