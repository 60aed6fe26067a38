// SPDX-License-Identifier: GPL-2.0

//! What all readers do: one at a time, wait for a record, open it.

use super::{
    list::{
        self,
        Room, //
    },
    Opened,
    Rx, //
};
use crate::context::{
    Locked,
    TlsSock, //
};
use kernel::prelude::*;
use knet::{
    mm::FragMut,
    net::{
        recvq::RecvQueue,
        sock::{
            Sock,
            Timeout, //
        }, //
    }, //
};

/// Work, in bytes, after which packets that have arrived in the meantime are looked at.
pub(super) const BACKLOG: usize = 128 << 10;

/// The work that a record is beside the cipher's.
const RECORD_WORK: usize = 256;

/// A reader gains too little if it gets less than one of this many bytes that it works on.
const POOR: usize = 16;

/// The work that a record is: all of it is decrypted, also what is padding.
pub(super) fn work(opened: &Opened) -> usize {
    opened.size.saturating_add(RECORD_WORK)
}

/// Bytes of opened records that a reader who only looks may have, whatever the receive buffer is.
const KEEP: usize = 64 << 10;

/// The key has expired (`include/uapi/asm-generic/errno.h`), which the kernel crate has no name for.
const EKEYEXPIRED: c_int = 127;

/// How long a reader may wait.
struct Clock {
    nonblock: bool,
    /// What is left, once it was asked for: mostly there is something to read.
    timeout: Option<Timeout>,
}

impl Clock {
    fn timeout(&mut self, locked: &Locked<'_>) -> &mut Timeout {
        let nonblock = self.nonblock;
        self.timeout
            .get_or_insert_with(|| locked.receive_timeout(nonblock))
    }
}

/// A socket that one reader has to itself.
pub(super) struct Session<'a, 'l, 's> {
    pub(super) sk: &'a TlsSock<'s>,
    pub(super) locked: &'a mut Locked<'l>,
    clock: Clock,
    /// Work since the backlog was looked at.
    pub(super) worked: usize,
    /// Bytes that the reader has got since then.
    gained: usize,
}

impl<'a, 'l, 's> Session<'a, 'l, 's> {
    /// Waits until no other reader is at work.
    #[inline]
    pub(super) fn begin(
        sk: &'a TlsSock<'s>,
        locked: &'a mut Locked<'l>,
        nonblock: bool,
    ) -> Result<Self> {
        let mut clock = Clock {
            nonblock,
            timeout: None,
        };
        let busy = &sk.shared().rx.busy;
        if busy.get() {
            wait_turn(sk, locked, &mut clock)?;
        }
        busy.set(true);
        Ok(Self {
            sk,
            locked,
            clock,
            worked: 0,
            gained: 0,
        })
    }

    /// The receiver.
    pub(super) fn rx(&mut self) -> Result<&mut Rx> {
        self.locked.data().rx.as_mut().ok_or(EINVAL)
    }

    /// The receiver, TCP's queue, and the socket.
    pub(super) fn parts(&mut self) -> Result<(&mut Rx, RecvQueue<'_>, &'a Sock)> {
        let sk = self.sk.sock();
        let (state, queue) = self.locked.parts();
        Ok((state.rx.as_mut().ok_or(EINVAL)?, queue, sk))
    }

    /// Waits until a record is complete. Returns whether there is one: none comes after the end
    /// of the stream.
    ///
    /// `has_some` says whether the reader has got something already: then it leaves an error for
    /// the next one.
    #[inline]
    pub(super) fn wait(&mut self, has_some: bool) -> Result<bool> {
        if self.rx()?.awaits_key {
            return Err(Error::from_errno(-EKEYEXPIRED));
        }
        if self.is_ready()? {
            return Ok(true);
        }
        self.wait_for_record(has_some)
    }

    #[inline(never)]
    fn wait_for_record(&mut self, has_some: bool) -> Result<bool> {
        loop {
            self.leave_queue()?;
            let changed = self.locked.flush_backlog();
            self.look()?;
            // Data comes first: it may have arrived together with the error.
            if self.rx()?.stream.is_ready() {
                return Ok(true);
            }
            if changed {
                self.leave_queue()?;
            }
            self.check_error(has_some)?;
            if self.locked.receive_is_over() {
                return Ok(false);
            }
            let timeout = self.clock.timeout(self.locked);
            if timeout.is_over() {
                return Err(EAGAIN);
            }
            self.locked.wait_data(&self.sk.shared().rx.ready, timeout)?;
            if self.is_ready()? {
                return Ok(true);
            }
        }
    }

    /// Whether a record is complete, and still there.
    fn is_ready(&mut self) -> Result<bool> {
        if !self.rx()?.stream.is_ready() {
            return Ok(false);
        }
        let (rx, mut queue, _) = self.parts()?;
        rx.stream.check(&mut queue);
        Ok(rx.stream.is_ready())
    }

    /// Looks for a complete record. It belongs to this reader: others are told of it when this one
    /// leaves it.
    fn look(&mut self) -> Result {
        let shared = self.sk.shared();
        let flags = self.locked.alloc_flags();
        let (rx, mut queue, sk) = self.parts()?;
        let result = rx.find(&mut queue, sk, flags);
        rx.publish(shared);
        if result.is_err() {
            self.look_later();
        }
        result
    }

    /// Has somebody look for a complete record when there may be memory.
    pub(super) fn look_later(&self) {
        self.sk.handle().schedule(super::RETRY_MS);
    }

    fn check_error(&mut self, has_some: bool) -> Result {
        if has_some {
            self.locked.sock().error()
        } else {
            self.locked.take_error()
        }
    }

    /// Takes out of TCP's queue what need not be there until the next read.
    #[inline(never)]
    fn leave_queue(&mut self) -> Result {
        let flags = self.locked.alloc_flags();
        let (rx, mut queue, sk) = self.parts()?;
        let protection = &rx.keys.protection;
        rx.stream.leave(&mut queue, protection, sk, flags);
        Ok(())
    }

    fn release_opened(&mut self) -> Result {
        let (rx, mut queue, _) = self.parts()?;
        rx.stream.release(&mut queue);
        Ok(())
    }

    /// Opens the record that is complete, and puts it into the list, unless it is nothing.
    pub(super) fn open_to_list(&mut self) -> Result {
        let result = self.try_open_to_list();
        self.settle();
        result
    }

    /// Gives back what the socket is charged for and the list has no memory for.
    pub(super) fn settle(&mut self) {
        if let Ok((rx, mut queue, _)) = self.parts() {
            rx.list.settle(&mut queue);
        }
    }

    /// Whether the list may grow: the socket may have as much memory for opened records as for
    /// packets, and for a few of them in any case.
    pub(super) fn may_keep_more(&mut self) -> Result<bool> {
        let (rx, queue, _) = self.parts()?;
        Ok(rx.list.memory() < queue.limit().max(KEEP))
    }

    /// Puts the record that was opened into `plain`, and is not done yet, into the list.
    pub(super) fn keep(&mut self, opened: &Opened, plain: &[FragMut]) -> Result {
        let result = self.try_keep(opened, plain);
        self.settle();
        result
    }

    fn try_keep(&mut self, opened: &Opened, plain: &[FragMut]) -> Result {
        let mut room = self.make_room(opened.len)?;
        room.fill(list::slices(
            plain.iter().map(FragMut::as_slice),
            0,
            opened.len,
        ));
        self.put(room, opened)
    }

    fn try_open_to_list(&mut self) -> Result {
        let rx = self.rx()?;
        let tail = rx.keys.protection.tail_len();
        let len = rx.content_len().saturating_add(tail);
        let mut room = self.make_room(len)?;
        let flags = self.locked.alloc_flags();
        let (rx, mut queue, sk) = self.parts()?;
        let opened = rx.open(&mut queue, sk, room.as_mut_slice(), false, flags)?;
        self.put(room, &opened)
    }

    /// Has room for another record of `len` bytes in the list, which the socket is charged for.
    fn make_room(&mut self, len: usize) -> Result<Room> {
        // Some readers in the kernel must not wait for memory to be written back.
        let flags = self.locked.alloc_flags();
        let (rx, mut queue, _) = self.parts()?;
        rx.list.pay(&mut queue, len)?;
        rx.list.reserve(flags)?;
        Room::alloc(self.locked, len)
    }

    /// Puts the record that was opened into `room` into the list, and looks for the next one.
    fn put(&mut self, room: Room, opened: &Opened) -> Result {
        let flags = self.locked.alloc_flags();
        let (rx, mut queue, sk) = self.parts()?;
        rx.done(&mut queue, sk, opened);
        if !opened.is_nothing() {
            rx.list.push(room.into_record(opened))?;
        }
        // The next record may be there as well. This one is not lost if that cannot be told now.
        if rx.find(&mut queue, sk, flags).is_err() {
            self.look_later();
        }
        self.worked = self.worked.saturating_add(work(opened));
        Ok(())
    }

    /// Now and then has packets looked at that have arrived in the meantime. The reader has got
    /// `gained` bytes since the last call: if that is too little, it must not go on for ever.
    ///
    /// If nothing was gained it fails with `EAGAIN` when the reader may not wait, and if there was
    /// little, with `EINTR` or `ERESTARTSYS` when there is a signal.
    pub(super) fn breathe(&mut self, gained: usize) -> Result {
        self.gained = self.gained.saturating_add(gained);
        if self.worked >= BACKLOG {
            let worked = core::mem::take(&mut self.worked);
            let gained = core::mem::take(&mut self.gained);
            self.release_opened()?;
            self.locked.flush_backlog();
            if gained.saturating_mul(POOR) < worked {
                let timeout = self.clock.timeout(self.locked);
                if gained == 0 && timeout.is_over() {
                    return Err(EAGAIN);
                }
                self.locked.check_signal(timeout)?;
            }
        }
        Ok(())
    }
}

/// Waits until no reader is at work.
#[cold]
fn wait_turn(sk: &TlsSock<'_>, locked: &mut Locked<'_>, clock: &mut Clock) -> Result {
    let busy = &sk.shared().rx.busy;
    while busy.get() {
        let timeout = clock.timeout(locked);
        if timeout.is_over() {
            return Err(EAGAIN);
        }
        if let Some(rx) = locked.data().rx.as_mut() {
            rx.contended = true;
        }
        locked.wait_clear(&sk.context().readers, busy, timeout)?;
    }
    Ok(())
}

impl Drop for Session<'_, '_, '_> {
    /// Lets the next reader in, and tells those who wait of what this one has left.
    fn drop(&mut self) {
        let shared = self.sk.shared();
        if self.rx().is_ok_and(|rx| rx.stream.is_part()) {
            let _ = self.leave_queue();
        }
        let (announce, contended) = match self.parts() {
            Ok((rx, mut queue, _)) => {
                rx.stream.release(&mut queue);
                rx.publish(shared);
                let left = rx.stream.take_concealed() && !rx.list.is_empty();
                let announce = rx.stream.announce() || left;
                (announce, core::mem::take(&mut rx.contended))
            }
            Err(_) => (false, false),
        };
        shared.rx.busy.set(false);
        if announce {
            self.sk.announce(self.locked);
        }
        if contended {
            self.sk.context().readers.wake();
        }
    }
}
