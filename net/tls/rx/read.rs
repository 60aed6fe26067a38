// SPDX-License-Identifier: GPL-2.0

//! What all readers do: one at a time, wait for a record, open it.

use super::{
    list,
    Opened,
    Rx,
    MAX_PLAIN,
    SCRATCH, //
};
use crate::context::{
    Locked,
    TlsSock, //
};
use kernel::prelude::*;
use knet::{
    mm::{
        FragMut,
        Scratch, //
    },
    net::{
        recvq::RecvQueue,
        sock::{
            Sock,
            Timeout, //
        }, //
    }, //
};

/// Bytes after which packets that have arrived in the meantime are looked at.
const BACKLOG: usize = 128 << 10;

/// The key has expired (`include/uapi/asm-generic/errno.h`), which the kernel crate has no name for.
const EKEYEXPIRED: c_int = 127;

/// A socket that one reader has to itself.
pub(super) struct Session<'a, 'l, 's> {
    pub(super) sk: &'a TlsSock<'s>,
    pub(super) locked: &'a mut Locked<'l>,
    timeout: Timeout,
    /// Bytes opened since the backlog was looked at.
    opened: usize,
}

impl<'a, 'l, 's> Session<'a, 'l, 's> {
    /// Waits until no other reader is at work.
    pub(super) fn begin(
        sk: &'a TlsSock<'s>,
        locked: &'a mut Locked<'l>,
        nonblock: bool,
    ) -> Result<Self> {
        let flags = &sk.shared().rx;
        let mut timeout = locked.receive_timeout(nonblock);
        while flags.busy.get() {
            if timeout.is_over() {
                return Err(EAGAIN);
            }
            if let Some(rx) = locked.data().rx.as_mut() {
                rx.contended = true;
            }
            locked.wait_clear(&sk.context().readers, &flags.busy, &mut timeout)?;
        }
        flags.busy.set(true);
        Ok(Self {
            sk,
            locked,
            timeout,
            opened: 0,
        })
    }

    /// The receiver.
    pub(super) fn rx(&mut self) -> Result<&mut Rx> {
        self.locked.data().rx.as_mut().ok_or(EINVAL)
    }

    /// The receiver, and TCP's queue.
    fn with_queue<R>(
        &mut self,
        f: impl FnOnce(&mut Rx, &mut RecvQueue<'_>, &Sock) -> Result<R>,
    ) -> Result<R> {
        let mut guarded = self.locked.guarded();
        let sock = guarded.sock();
        let (state, mut queue) = guarded.parts();
        f(state.rx.as_mut().ok_or(EINVAL)?, &mut queue, sock)
    }

    /// Waits until a record is complete. Returns whether there is one: none comes after the end
    /// of the stream.
    ///
    /// `has_some` says whether the reader has got something already: then it leaves an error for
    /// the next one.
    pub(super) fn wait(&mut self, has_some: bool) -> Result<bool> {
        if self.rx()?.awaits_key {
            return Err(Error::from_errno(-EKEYEXPIRED));
        }
        loop {
            if self.is_ready()? {
                return Ok(true);
            }
            self.check_error(has_some)?;
            self.release_opened()?;
            self.locked.flush_backlog();
            match super::look(self.locked, self.sk.shared()) {
                Ok(announce) => self.defer(announce)?,
                Err(e) => return Err(e),
            }
            if self.rx()?.stream.is_ready() {
                return Ok(true);
            }
            self.check_error(has_some)?;
            if self.locked.receive_is_over() {
                return Ok(false);
            }
            if self.timeout.is_over() {
                return Err(EAGAIN);
            }
            self.locked
                .wait_data(&self.sk.shared().rx.ready, &mut self.timeout)?;
        }
    }

    /// Whether a record is complete, and still there.
    fn is_ready(&mut self) -> Result<bool> {
        if !self.rx()?.stream.is_ready() {
            return Ok(false);
        }
        self.with_queue(|rx, queue, _| {
            rx.stream.check(queue);
            Ok(rx.stream.is_ready())
        })
    }

    /// A record that this reader finds is its own: others are told when it leaves it.
    fn defer(&mut self, announce: bool) -> Result {
        if announce {
            self.rx()?.stream.defer_announcement();
        }
        Ok(())
    }

    fn check_error(&mut self, has_some: bool) -> Result {
        if has_some {
            self.locked.sock().error()
        } else {
            self.locked.take_error()
        }
    }

    fn release_opened(&mut self) -> Result {
        self.with_queue(|rx, queue, _| {
            rx.stream.release(queue);
            Ok(())
        })
    }

    /// Opens the record that is complete into `plain`.
    fn open_into(&mut self, plain: &mut [FragMut]) -> Result<Opened> {
        let shared = self.sk.shared();
        let (opened, looked) = self.with_queue(|rx, queue, sock| {
            rx.list.reserve()?;
            let opened = rx.open(queue, sock, plain)?;
            // The next record may be there as well. If that cannot be told now, it is later:
            // this one was taken out of the stream and must be delivered.
            let looked = rx.look(queue, sock, shared, false);
            if looked == Ok(true) {
                rx.stream.defer_announcement();
            }
            Ok((opened, looked))
        })?;
        if looked.is_err() {
            self.sk.handle().schedule(super::RETRY_MS);
        }
        self.opened = self.opened.saturating_add(opened.len);
        Ok(opened)
    }

    /// Opens the record that is complete, for a moment.
    pub(super) fn open(&mut self) -> Result<(Opened, Scratch<MAX_PLAIN>)> {
        let mut scratch = SCRATCH.take()?;
        let opened = self.open_into(&mut scratch)?;
        Ok((opened, scratch))
    }

    /// Opens the record that is complete, and puts it into the list.
    pub(super) fn open_to_list(&mut self) -> Result {
        let len = self
            .rx()?
            .stream
            .frame()
            .map_or(MAX_PLAIN, |frame| frame.len.min(MAX_PLAIN));
        let mut runs = list::alloc(self.locked, len)?;
        let refs = KVec::with_capacity(runs.len(), GFP_KERNEL)?;
        let opened = self.open_into(&mut runs)?;
        let record = list::Record::new(refs, runs, opened);
        self.rx()?.list.push(record)
    }

    /// Puts what `scratch` holds of a record, from `skip` on, into the list.
    pub(super) fn keep(
        &mut self,
        scratch: Scratch<MAX_PLAIN>,
        opened: Opened,
        skip: usize,
    ) -> Result {
        let record = list::keep(self.locked, scratch, opened, skip).inspect_err(|_| {
            // The stream has a gap now.
            self.locked.sock().abort(EBADMSG);
        })?;
        self.rx()?.list.push(record)
    }

    /// Now and then has packets looked at that have arrived in the meantime.
    pub(super) fn breathe(&mut self) -> Result {
        if self.opened >= BACKLOG {
            self.opened = 0;
            self.release_opened()?;
            self.locked.flush_backlog();
        }
        Ok(())
    }
}

impl Drop for Session<'_, '_, '_> {
    /// Lets the next reader in, and tells those who wait of a record that this one has left.
    fn drop(&mut self) {
        let shared = self.sk.shared();
        let mut announce = false;
        let mut contended = false;
        let _ = self.with_queue(|rx, queue, _| {
            rx.stream.release(queue);
            rx.publish(shared);
            announce = rx.stream.announce();
            contended = core::mem::take(&mut rx.contended);
            Ok(())
        });
        shared.rx.busy.set(false);
        if announce {
            self.sk.announce(self.locked);
        }
        if contended {
            self.sk.context().readers.wake();
        }
    }
}
