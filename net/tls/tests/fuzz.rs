// SPDX-License-Identifier: GPL-2.0

//! What fuzzers call, see `tools/fuzz`: anything a peer or a program may send, and what has to be
//! true of it. Each target panics if it is not.

#![expect(dead_code, reason = "the files have more than is called here")]

extern crate self as kernel;
extern crate self as knet;

#[path = "../cipher.rs"]
mod cipher;
#[path = "../rx/frame.rs"]
mod frame;
mod model;
mod random;
mod receiver;
#[path = "../record.rs"]
mod record;
mod stand_in;
#[path = "../rx/stream.rs"]
mod stream;

use cipher::{
    Suite,
    Version,
    INFO_LEN,
    SEQ_LEN, //
};
use frame::{
    unpad,
    Frame, //
};
use model::{
    framing,
    Model, //
};
use receiver::Receiver;
use record::{
    Protection,
    MAX_PAYLOAD, //
};
use stand_in::{
    alloc,
    mm,
    net,
    page,
    prelude, //
};

/// As in the module.
const MAX_PLAIN: usize = MAX_PAYLOAD + 1;

/// Bytes to choose by.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    /// The next byte, if there is one.
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// At most `n` of the next bytes.
    fn bytes(&mut self, n: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// The next number, which has zeroes where bytes are missing.
    fn number<const N: usize>(&mut self) -> [u8; N] {
        let mut number = [0; N];
        let bytes = self.bytes(N);
        number[..bytes.len()].copy_from_slice(bytes);
        number
    }

    /// One end of a connection, with its number not at its end.
    fn model(&mut self) -> Option<Model> {
        let choice = self.byte()?;
        let version = if choice & 8 == 0 {
            Version::Tls12
        } else {
            Version::Tls13
        };
        let suite = Suite::from_id(51 + u16::from(choice & 7)).unwrap();
        let seq = u64::from_be_bytes(self.number()) & !(1 << 63);
        suite
            .allows(version)
            .then(|| Model::start(suite, version, self.number(), seq))
    }
}

/// A stream of good and of any bytes arrives in pieces, between calls of readers, with memory and
/// without. What is read has to be what is in the stream, as if it had come at once.
pub fn stream(input: &[u8]) {
    let mut input = Input(input);
    let Some(mut sender) = input.model() else {
        return;
    };
    let start = sender.clone();
    let mut receiver = Receiver::new(&sender);
    let mut sent = Vec::new();
    let mut content = Vec::new();
    // All that was sent so far is good.
    let mut good = true;
    let mut stolen = false;
    let mut later: Vec<u8> = Vec::new();
    while let Some(choice) = input.byte() {
        let n = usize::from(choice >> 4);
        match choice & 15 {
            0 => {
                good = false;
                later.extend(input.bytes(n + 1));
            }
            // A record, of which the first bytes or all come now.
            1..=5 => {
                let kind = input.byte().unwrap_or(23).max(1);
                let mut text = input.bytes(n).to_vec();
                if choice & 1 == 0 {
                    let len = if n == 15 { MAX_PAYLOAD } else { n << 10 };
                    text.resize(len, 0x5a);
                }
                later.extend(sender.seal(kind, &text, 0));
                content.push((kind, text));
            }
            6 => receiver.read(n),
            7 => receiver.read(usize::MAX),
            8 => receiver.collect(),
            9 => {
                receiver.pressure = n & 1 != 0;
                receiver.held_up = n & 2 != 0;
            }
            10 => receiver.memory = n & 1 != 0,
            11 if n == 15 => {
                let before = receiver.waiting();
                receiver.steal(usize::from(input.byte().unwrap_or(1)));
                stolen |= receiver.waiting() != before;
            }
            11 => receiver.arrive_urgent(),
            12 => {
                receiver.arrive(&later);
                sent.append(&mut later);
            }
            _ => {
                let piece: Vec<u8> = later.drain(..later.len().min(n + 1)).collect();
                receiver.arrive(&piece);
                sent.extend(piece);
            }
        }
    }
    receiver.memory = true;
    receiver.arrive(&later);
    sent.extend(later);
    receiver.read(usize::MAX);

    assert!(receiver.errors().len() <= 1);
    if stolen {
        return;
    }
    assert!(receiver.told <= receiver.records.len());
    let (records, error) = framing(&start, &sent);
    assert!(receiver
        .records
        .iter()
        .eq(records.iter().map(|r| &sent[r.clone()])));
    assert_eq!(receiver.errors(), error.into_iter().collect::<Vec<_>>());
    if good {
        assert_eq!(receiver.errors(), []);
        assert!(receiver.opened.iter().flatten().eq(&content));
        assert_eq!(receiver.opened.len(), content.len());
    }
}

/// Keys from a program, headers from a peer, padding.
pub fn record(input: &[u8]) {
    let mut input = Input(input);
    let Some(mut model) = input.model() else {
        return;
    };
    let (suite, version) = (model.suite, model.version);

    let mut protection = model.protection();
    for _ in 0..input.byte().unwrap_or(0) {
        model.seq += 1;
        protection.advance().unwrap();
    }
    let len = usize::from(u16::from_be_bytes(input.number())) % (MAX_PAYLOAD + 1);
    let kind = input.byte().unwrap_or(0);
    model.check(&protection, kind, len);

    let header = input.bytes(13);
    if let Ok(frame) = Frame::parse(&protection, header) {
        assert!((21..=5 + 8 + MAX_PLAIN + 16).contains(&frame.len));
        assert_eq!(header[0], frame.kind);
        let explicit = frame.explicit_nonce();
        assert_eq!(explicit[..header.len() - 5], header[5..]);
        let iv = protection.peer_iv(explicit);
        let iv = &iv[usize::from([53, 56].contains(&suite.id))..][..12];
        if model.is_explicit() {
            assert_eq!(*iv, [&model.nonce[..4], &explicit].concat());
        } else {
            assert_eq!(*iv, model.nonce());
        }
    }
    let (records, error) = framing(&model, header);
    let waits = header.len() < protection.prefix_len();
    assert!(waits || Frame::parse(&protection, header).is_err() == error.is_some());
    assert!(records.is_empty());

    // Text, a byte that is not zero, zeroes.
    let len = input.byte().unwrap_or(0);
    let text = input.bytes(usize::from(len));
    let zeroes = text.iter().rev().take_while(|b| **b == 0).count();
    let end = text.len() - zeroes;
    assert_eq!(unpad(text), end.checked_sub(1).map(|at| (at, text[at])));

    let mut keys = input.0.to_vec();
    if kind & 1 == 0 {
        keys.resize(suite.keys_len(), 0x5a);
    }
    let given = keys.clone();
    let fits = keys.len() == suite.keys_len();
    assert_eq!(suite.split(&keys).is_some(), fits);
    let Some(fields) = suite.split(&keys) else {
        assert_eq!(protection.save_to(&mut keys), None);
        assert_eq!(keys, given);
        return;
    };
    assert_eq!(
        [&keys[..INFO_LEN], fields.iv, fields.key, fields.salt].concat(),
        keys[..keys.len() - SEQ_LEN]
    );
    let seq = fields.seq;
    let mut loaded = Protection::new(version, suite, fields.nonce_base().unwrap(), seq);
    loaded.save_to(&mut keys).unwrap();
    assert_eq!(keys, given);
    let next = seq.checked_add(1);
    assert_eq!(loaded.advance().is_ok(), next.is_some());
    loaded.save_to(&mut keys).unwrap();
    assert_eq!(suite.split(&keys).map(|f| f.seq), Some(next.unwrap_or(seq)));
}
