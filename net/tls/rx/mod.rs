// SPDX-License-Identifier: GPL-2.0

//! Receiving: find a record in what TCP has, open it, deliver it.
//!
//! * [`frame`]: headers and padding;
//! * [`stream`]: where the current record is, and whether it is complete;
//! * [`list`]: opened records that nobody has read yet;
//! * [`read`]: what all readers do: one at a time, wait, open;
//! * [`ahead`]: opening several records at the same time;
//! * [`recv`], [`splice`]: the readers.
//!
//! All of it is under the socket's lock. TCP's callback only looks for complete records, and
//! tells readers; records are opened by those who read them.

mod ahead;
pub(crate) mod frame;
mod list;
mod read;
mod recv;
mod splice;
mod stream;

use crate::{
    cipher::TAG_LEN,
    context::{
        Keys,
        Locked,
        Shared,
        State,
        Tls,
        Unlocked, //
    },
    record::{
        content_type,
        Protection,
        MAX_PAYLOAD, //
    }, //
};
use frame::Frame;
use kernel::{
    alloc,
    prelude::*, //
};
use knet::{
    crypto::{
        Aad,
        Cipher,
        Request, //
    },
    mm::{
        FragMut,
        ScratchPool, //
    },
    net::{
        mib::Counter,
        ns::Net,
        recvq::RecvQueue,
        sock::{
            Guarded,
            Sock, //
        },
        ulp::Handle, //
    },
    sync::Flag, //
};
use list::List;
use stream::Stream;

pub(crate) use recv::recvmsg;
pub(crate) use splice::{
    read_sock,
    splice_read, //
};

/// The most bytes of plaintext in a record, with the inner content type.
pub(crate) const MAX_PLAIN: usize = MAX_PAYLOAD + 1;

/// Where records are opened that go to a user's memory.
pub(crate) static SCRATCH: ScratchPool<MAX_PLAIN> = ScratchPool::new();

/// Milliseconds after which a callback that had no memory has the work try again.
const RETRY_MS: u32 = 10;

/// The handshake message that announces a new key (RFC 8446 4.6.3).
const KEY_UPDATE: u8 = 24;

/// What callbacks and `poll()` know of a receiver.
#[derive(Default)]
pub(crate) struct Flags {
    /// A record is complete.
    ready: Flag,
    /// There is something that a reader would get.
    readable: Flag,
    /// A reader is at work; others wait.
    busy: Flag,
    /// A reader was told in a callback, where it could not read.
    later: Flag,
}

impl Flags {
    /// Whether a reader would get something.
    pub(crate) fn is_readable(&self) -> bool {
        self.readable.get()
    }
}

/// The receiving half of a connection.
pub(crate) struct Rx {
    keys: Keys,
    request: Request,
    stream: Stream,
    list: List,
    /// The peer has announced a new key, and it is not there yet.
    awaits_key: bool,
    /// Readers are waiting for the one that is at work.
    contended: bool,
}

/// A record that was opened.
#[derive(Clone, Copy)]
struct Opened {
    kind: u8,
    /// Bytes of content.
    len: usize,
    /// Bytes of the record, with padding and all.
    size: usize,
    /// The last byte of the plaintext, before padding was removed.
    last: u8,
    /// It announces a new key.
    is_key_update: bool,
}

impl Opened {
    /// Whether it is data without content, which no reader gets to see: it does not decide of which
    /// type a call is, and does not return 0, which would be the end of the stream.
    #[inline(always)]
    fn is_nothing(&self) -> bool {
        self.len == 0 && self.kind == content_type::DATA
    }
}

impl Rx {
    /// A receiver that opens with `request`.
    pub(crate) fn new(protection: Protection, request: Request) -> Self {
        Self {
            keys: Keys::new(protection),
            request,
            stream: Stream::new(),
            list: List::new(),
            awaits_key: false,
            contended: false,
        }
    }

    /// The keys.
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Gives back the memory of what was received and is not read.
    pub(crate) fn close(&mut self, queue: &mut RecvQueue<'_>) {
        self.list.clear(queue);
        self.stream.close(queue);
    }

    /// The keys, for their structure to be set.
    pub(crate) fn keys_mut(&mut self) -> &mut Keys {
        &mut self.keys
    }

    /// Opens with `request` from the next record on.
    pub(crate) fn set_keys(&mut self, protection: Protection, request: Request, shared: &Shared) {
        self.request = request;
        self.keys.protection = protection;
        self.awaits_key = false;
        self.publish(shared);
    }

    /// Looks for a complete record.
    ///
    /// Fails with `ENOMEM` if it should be tried again.
    #[inline]
    fn find(&mut self, queue: &mut RecvQueue<'_>, sk: &Sock, flags: alloc::Flags) -> Result {
        self.stream.look(queue, &self.keys.protection, sk, flags)
    }

    /// Whether a record can be opened.
    fn may_open(&self) -> bool {
        self.stream.is_ready() && !self.awaits_key
    }

    /// Has the flags say what is.
    fn publish(&self, shared: &Shared) {
        let flags = &shared.rx;
        flags.ready.set(self.stream.is_ready());
        flags.readable.set(!self.list.is_empty() || self.may_open());
    }

    /// Opens the record that is complete, into `plain`. It stays where it is until it is
    /// [done](Self::done), and can be opened once more.
    ///
    /// A record that cannot be opened is the end of the connection. With `no_pad` it counts if it
    /// is not data without padding. Without memory it fails with `ENOMEM`, and can be tried again.
    #[inline(always)]
    fn open(
        &mut self,
        queue: &mut RecvQueue<'_>,
        sk: &Sock,
        plain: &mut [FragMut],
        no_pad: bool,
        flags: alloc::Flags,
    ) -> Result<Opened> {
        self.try_open(queue, sk, plain, no_pad, flags)
            .inspect_err(|e| {
                if *e != ENOMEM {
                    sk.abort(EBADMSG);
                }
            })
    }

    /// The most bytes of content that the record which is complete may have.
    fn content_len(&self) -> usize {
        let overhead = self.keys.protection.overhead();
        self.stream
            .frame()
            .map_or(0, |frame| frame.len.saturating_sub(overhead))
    }

    /// Moves on behind the record that was opened.
    fn done(&mut self, queue: &mut RecvQueue<'_>, sk: &Sock, opened: &Opened) {
        self.stream.done(queue);
        if self.keys.protection.advance().is_err() {
            sk.abort(EBADMSG);
        }
        if opened.is_key_update {
            self.awaits_key = true;
            sk.net().inc(Counter::RxRekeyReceived);
        }
    }

    #[inline(always)]
    fn try_open(
        &mut self,
        queue: &mut RecvQueue<'_>,
        sk: &Sock,
        plain: &mut [FragMut],
        no_pad: bool,
        flags: alloc::Flags,
    ) -> Result<Opened> {
        let protection = &self.keys.protection;
        let frame = self.stream.frame().ok_or(EINVAL)?;
        let prefix = protection.prefix_len();
        let len = frame.len.checked_sub(prefix).ok_or(EBADMSG)?;
        let text = len.checked_sub(TAG_LEN).ok_or(EBADMSG)?;
        // A record without a type is only found out when its tag was checked.
        let content = text.saturating_sub(protection.tail_len());
        let iv = protection.peer_iv(frame.explicit_nonce());
        let aad = protection.peer_aad(frame.kind, content);
        let aad = match &aad {
            Some(bytes) => Aad::Apart { bytes, skip: 0 },
            None => Aad::Leading(prefix),
        };

        loop {
            let cipher = match self.stream.moved(queue)? {
                Some(runs) => Cipher::Memory(runs, prefix),
                None => Cipher::Queue(queue, self.stream.offset().saturating_add(prefix)),
            };
            match self.request.open(&iv, &aad, cipher, plain, len) {
                Ok(()) => break,
                // Too many pieces for one request: put them together. Pages that somebody can
                // write to: a cipher may read them once for the tag, and again for the text.
                Err(e) if e == ENOSPC && self.stream.stash().is_none() => {
                    self.stream.collect(queue, flags)?;
                }
                Err(e) => {
                    if e == EBADMSG {
                        sk.net().inc(Counter::DecryptError);
                    }
                    return Err(e);
                }
            }
        }
        let opened = examine(protection, &frame, plain);
        if no_pad {
            // What cannot be examined is padding from its beginning to its end.
            count_padding(sk.net(), opened.map_or(0, |opened| opened.last));
        }
        opened
    }
}

/// Counts a record that was expected to be data without padding, and is not. `last` is the last
/// byte of its plaintext.
fn count_padding(net: &Net, last: u8) {
    if last != content_type::DATA {
        net.inc(Counter::DecryptRetry);
        if last == 0 {
            net.inc(Counter::RxNoPadViolation);
        }
    }
}

/// Finds out what was in a record that was opened into `plain`.
#[inline(always)]
fn examine(protection: &Protection, frame: &Frame, plain: &[FragMut]) -> Result<Opened> {
    let text = frame
        .len
        .checked_sub(protection.prefix_len())
        .and_then(|len| len.checked_sub(TAG_LEN))
        .ok_or(EBADMSG)?;
    let (kind, len, last) = if protection.tail_len() == 0 {
        (frame.kind, text, frame.kind)
    } else {
        unpad(plain, text).ok_or(EBADMSG)?
    };
    // TLS 1.2 has no such message, and no other key that could be waited for.
    let is_key_update = kind == content_type::HANDSHAKE
        && protection.tail_len() != 0
        && len > 0
        && plain.first().and_then(|run| run.as_slice().first()) == Some(&KEY_UPDATE);
    Ok(Opened {
        kind,
        len,
        size: frame.len,
        last,
        is_key_update,
    })
}

/// Finds content type and length of the content of a TLS 1.3 plaintext of `len` bytes, and its
/// last byte.
fn unpad(plain: &[FragMut], len: usize) -> Option<(u8, usize, u8)> {
    // Hardly anybody pads, and mostly all of it is in one run.
    let first = plain.first().and_then(|run| run.as_slice().get(..len));
    if let Some([text @ .., kind]) = first.filter(|text| text.last() != Some(&0)) {
        return Some((*kind, text.len(), *kind));
    }
    let mut start = 0usize;
    let mut found = None;
    let mut last = 0;
    for run in plain {
        let take = run.len().min(len.saturating_sub(start));
        let bytes = run.as_slice().get(..take)?;
        if let Some(byte) = bytes.last() {
            last = *byte;
        }
        if let Some((at, kind)) = frame::unpad(bytes) {
            found = Some((start.saturating_add(at), kind));
        }
        start = start.saturating_add(take);
    }
    let (len, kind) = found?;
    Some((kind, len, last))
}

/// A reader in the kernel cannot read now: tell it again in a task, after `delay` milliseconds.
pub(crate) fn read_later(sk: &Handle<Tls>, delay: u32) {
    sk.shared().rx.later.set(true);
    sk.schedule(delay);
}

/// TCP has received something. Returns whether readers are to be told.
pub(crate) fn data_ready(sk: &Handle<Tls>, guarded: &mut Guarded<'_, State>) -> bool {
    let sock = guarded.sock();
    let (state, mut queue) = guarded.parts();
    let Some(rx) = state.rx.as_mut() else {
        return true;
    };
    if rx.stream.is_ready() {
        return rx.stream.announce();
    }
    let found = rx.find(&mut queue, sock, GFP_ATOMIC);
    rx.publish(sk.shared());
    match found {
        Ok(()) => rx.stream.announce(),
        Err(_) => {
            sk.schedule(RETRY_MS);
            false
        }
    }
}

/// Looks for a complete record, in a task of its own.
pub(crate) fn work(sk: &Unlocked<'_>) {
    if !sk.abi().rx_is_software() {
        return;
    }
    let mut locked = sk.lock();
    match look(&mut locked, sk.shared()) {
        Ok(true) => sk.announce(&mut locked),
        Ok(false) => (),
        Err(_) => sk.handle().schedule(RETRY_MS),
    }
    if sk.shared().rx.later.get() {
        sk.shared().rx.later.set(false);
        sk.announce_to_reader(&mut locked);
    }
}

/// Looks for a complete record, in a task. Returns whether readers are to be told.
pub(crate) fn look(locked: &mut Locked<'_>, shared: &Shared) -> Result<bool> {
    let flags = locked.alloc_flags();
    let mut guarded = locked.guarded();
    let sock = guarded.sock();
    let (state, mut queue) = guarded.parts();
    match state.rx.as_mut() {
        Some(rx) => {
            let found = rx.find(&mut queue, sock, flags);
            rx.publish(shared);
            found.map(|()| rx.stream.announce())
        }
        None => Ok(false),
    }
}
