// SPDX-License-Identifier: GPL-2.0

//! A receiver on the host: a stream of bytes goes in, records come out.

use crate::{
    alloc::Flags,
    cipher::NONCE_LEN,
    frame::{
        unpad,
        Frame, //
    },
    model::{
        toy_open,
        Model, //
    },
    net::{
        recvq::{
            Bytes,
            RecvQueue, //
        },
        sock::Sock, //
    },
    prelude::*,
    record::Protection,
    stream::Stream, //
};

/// Content type and content of a record, if it could be opened.
pub(crate) type Opened = Option<(u8, Vec<u8>)>;

/// What the kernel's receiver has, and what has come out of it.
pub(crate) struct Receiver {
    protection: Protection,
    stream: Stream,
    queue: Bytes,
    sock: Sock,
    /// The peer sends no more until something is read.
    pub(crate) pressure: bool,
    /// The packets with the beginning of a record take up much of the receive buffer.
    pub(crate) held_up: bool,
    /// There is memory.
    pub(crate) memory: bool,
    /// Records as they were on the wire.
    pub(crate) records: Vec<Vec<u8>>,
    /// The same, opened.
    pub(crate) opened: Vec<Opened>,
    /// How often readers were told of a record.
    pub(crate) told: usize,
}

impl Receiver {
    /// A receiver of what a sender like `model` sends.
    pub(crate) fn new(model: &Model) -> Self {
        Self {
            protection: model.protection(),
            stream: Stream::new(),
            queue: Bytes::default(),
            sock: Sock::default(),
            pressure: false,
            held_up: false,
            memory: true,
            records: Vec::new(),
            opened: Vec::new(),
            told: 0,
        }
    }

    /// The errors that the connection has got, in order.
    pub(crate) fn errors(&self) -> Vec<Error> {
        self.sock.0.borrow().clone()
    }

    /// Bytes that have arrived and that the stream has not taken.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.bytes.len()
    }

    fn with_queue<R>(
        &mut self,
        f: impl FnOnce(&mut Stream, &mut RecvQueue<'_>, &Protection, &Sock, Flags) -> R,
    ) -> R {
        let mut queue = RecvQueue {
            queue: &mut self.queue,
            pressure: self.pressure,
            held_up: self.held_up,
        };
        let (protection, sock) = (&self.protection, &self.sock);
        f(
            &mut self.stream,
            &mut queue,
            protection,
            sock,
            Flags(self.memory),
        )
    }

    /// Looks for a record. Without memory this fails at times, and then nothing has changed.
    fn look(&mut self) {
        let memory = self.memory;
        let result = self.with_queue(|stream, queue, protection, sock, flags| {
            stream.look(queue, protection, sock, flags)
        });
        assert!(result == Ok(()) || (result == Err(ENOMEM) && !memory));
        assert!(!self.stream.is_ready() || self.stream.frame().is_some());
        assert_eq!(self.queue.charged > 0, self.stream.stash().is_some());
    }

    /// Something comes from the peer.
    pub(crate) fn arrive(&mut self, bytes: &[u8]) {
        self.queue.bytes.extend(bytes);
        self.look();
        self.told += usize::from(self.stream.announce());
        assert!(!self.stream.announce());
    }

    /// An urgent byte comes from the peer. As long as it is there, another one is not urgent: then
    /// nothing comes.
    pub(crate) fn arrive_urgent(&mut self) {
        if self.queue.urgent.is_none() {
            self.queue.urgent = Some(self.waiting());
            self.arrive(&[0xee]);
        }
    }

    /// Somebody else takes the first bytes out of the queue.
    pub(crate) fn steal(&mut self, n: usize) {
        let n = n.min(self.waiting());
        self.queue.bytes.drain(..n);
        self.queue.taken += n as u32;
        self.queue.urgent = self.queue.urgent.and_then(|at| at.checked_sub(n));
    }

    /// Has the current record moved to memory, if it is complete and not there yet.
    pub(crate) fn collect(&mut self) {
        self.check();
        if self.stream.is_ready() && self.stream.stash().is_none() {
            let result = self.with_queue(|stream, queue, _, _, flags| stream.collect(queue, flags));
            assert_eq!(result.is_ok(), self.memory);
            // The cipher had no memory, say, so the reader gives up.
            self.leave();
        }
    }

    fn check(&mut self) {
        self.with_queue(|stream, queue, _, _, _| stream.check(queue));
    }

    /// A call that reads at most `max` records.
    pub(crate) fn read(&mut self, max: usize) {
        for _ in 0..max {
            self.check();
            self.look();
            if !self.stream.is_ready() {
                break;
            }
            self.take();
        }
        self.look();
        self.leave();
        self.told += usize::from(self.stream.announce());
    }

    /// The reader waits, or is done. Nothing that can be taken out of the queue stays.
    fn leave(&mut self) {
        self.with_queue(|stream, queue, protection, sock, flags| {
            stream.leave(queue, protection, sock, flags)
        });
        assert_eq!(self.stream.offset(), 0);
        if self.held_up && self.memory && !self.stream.is_ready() && self.errors().is_empty() {
            assert_eq!(self.waiting(), 0);
        }
    }

    /// Opens the current record.
    fn take(&mut self) {
        let moved = self.with_queue(|stream, queue, _, _, _| stream.moved(queue).map(|_| ()));
        assert_eq!(moved, Ok(()));
        let frame = self.stream.frame().unwrap();
        let mut bytes: Vec<u8> = match self.stream.stash() {
            Some(runs) => runs
                .iter()
                .flat_map(|run| run.as_slice())
                .copied()
                .collect(),
            None => self
                .queue
                .bytes
                .range(self.stream.offset()..)
                .copied()
                .collect(),
        };
        bytes.truncate(frame.len);
        assert_eq!(bytes.len(), frame.len);
        self.opened.push(open(&self.protection, &frame, &bytes));
        self.records.push(bytes);
        self.with_queue(|stream, queue, _, _, _| stream.done(queue));
        assert!(!self.stream.is_ready());
        self.protection.advance().unwrap();
    }
}

/// Opens a record as the kernel does, though with another cipher.
fn open(protection: &Protection, frame: &Frame, record: &[u8]) -> Opened {
    let prefix = protection.prefix_len();
    let ccm = usize::from([53, 56].contains(&protection.suite().id));
    let iv = protection.peer_iv(frame.explicit_nonce());
    let content = frame.len.checked_sub(protection.overhead())?;
    let aad = protection.aad(frame.kind, content);
    let mut text = toy_open(&iv[ccm..][..NONCE_LEN], aad.as_slice(), &record[prefix..])?;
    if protection.tail_len() == 0 {
        return Some((frame.kind, text));
    }
    let (len, kind) = unpad(&text)?;
    text.truncate(len);
    Some((kind, text))
}

impl Drop for Receiver {
    /// In the end the socket is charged for nothing.
    fn drop(&mut self) {
        self.with_queue(|stream, queue, _, _, _| stream.close(queue));
        assert_eq!(self.queue.charged, 0);
    }
}
