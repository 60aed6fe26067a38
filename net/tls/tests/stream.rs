// SPDX-License-Identifier: GPL-2.0

//! Records in a stream that arrives in pieces of all kinds.

use crate::{
    cipher_tests::combinations,
    model::{
        framing,
        Model, //
    },
    prelude::*,
    random::Random,
    receiver::Receiver,
    record::MAX_PAYLOAD, //
};

/// A stream, and what is in it.
struct Stream {
    model: Model,
    bytes: Vec<u8>,
    /// Content type and content of each record.
    content: Vec<(u8, Vec<u8>)>,
}

impl Stream {
    /// A stream of records whose contents are as long as `lengths` says.
    fn new(random: &mut Random, mut model: Model, lengths: &[usize]) -> Self {
        let start = model.clone();
        let mut bytes = Vec::new();
        let mut content = Vec::new();
        for len in lengths {
            let kind = if random.below(3) == 0 { 22 } else { 23 };
            let text: Vec<u8> = (0..*len).map(|_| random.next() as u8).collect();
            let padding = random.below(4) as usize;
            bytes.extend(model.seal(kind, &text, padding.min(MAX_PAYLOAD - len)));
            content.push((kind, text));
        }
        Self {
            model: start,
            bytes,
            content,
        }
    }

    /// Checks that a receiver, to which all has come, has read everything.
    fn check(&self, receiver: &Receiver) {
        assert_eq!(receiver.errors(), []);
        assert_eq!(receiver.waiting(), 0);
        assert!(receiver.opened.iter().flatten().eq(&self.content));
        assert_eq!(receiver.opened.len(), self.content.len());
    }
}

/// One stream for each suite and version.
fn streams(seed: u64, lengths: &[usize]) -> Vec<Stream> {
    let mut random = Random::new(seed);
    combinations()
        .into_iter()
        .map(|(suite, version)| {
            let model = Model::new(&mut random, suite, version);
            Stream::new(&mut random, model, lengths)
        })
        .collect()
}

/// Has a receiver read all of a stream that comes in `pieces`.
fn cut<'a>(
    stream: &Stream,
    pressure: bool,
    held_up: bool,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) {
    let mut receiver = Receiver::new(&stream.model);
    receiver.pressure = pressure;
    receiver.held_up = held_up;
    for piece in pieces {
        receiver.arrive(piece);
        receiver.read(usize::MAX);
    }
    stream.check(&receiver);
}

#[test]
fn cut_anywhere() {
    for stream in streams(20, &[0, 1, 70, 0, 0, 16, 5, 300, 13]) {
        for at in 0..=stream.bytes.len() {
            let (a, b) = stream.bytes.split_at(at);
            cut(&stream, false, false, [a, b]);
            cut(&stream, true, false, [a, b]);
            cut(&stream, false, true, [a, b]);
        }
    }
}

#[test]
fn cut_at_any_two_places() {
    for stream in streams(21, &[3, 0, 20]) {
        for end in 0..=stream.bytes.len() {
            for at in 0..=end {
                let (a, b) = stream.bytes[..end].split_at(at);
                let pieces = [a, b, &stream.bytes[end..]];
                cut(&stream, (at ^ end) & 1 == 0, at % 3 == 0, pieces);
            }
        }
    }
}

/// Bytes that are not part of the stream, anywhere in it.
#[test]
fn urgent_anywhere() {
    for stream in streams(29, &[3, 0, 0, 60, 1]) {
        for pressure in [false, true] {
            for at in 0..=stream.bytes.len() {
                let mut receiver = Receiver::new(&stream.model);
                receiver.pressure = pressure;
                receiver.held_up = at & 1 == 0;
                let (a, b) = stream.bytes.split_at(at);
                receiver.arrive(a);
                receiver.read(at % 3);
                receiver.arrive_urgent();
                receiver.read(at % 2);
                receiver.arrive(b);
                receiver.read(usize::MAX);
                stream.check(&receiver);
            }
        }
    }
}

/// Pieces of one size each, from single bytes to more than a record.
#[test]
fn cut_into_equal_pieces() {
    let lengths = [0, 1, 4091, 4083, 4096, MAX_PAYLOAD, MAX_PAYLOAD - 1, 0, 7];
    for (i, stream) in streams(22, &lengths).into_iter().enumerate() {
        for size in [1, 2, 5, 12, 13, 14, 536, 1448, 4096, 20_000] {
            cut(&stream, i % 2 == 0, i % 3 == 0, stream.bytes.chunks(size));
        }
    }
}

/// Pieces and calls of readers in any order, with memory or without.
#[test]
fn cut_at_random() {
    let mut random = Random::new(23);
    for _ in 0..40 {
        for (suite, version) in combinations() {
            let count = 1 + random.below(12);
            let lengths: Vec<usize> = (0..count)
                .map(|_| match random.below(8) {
                    0 => random.below(MAX_PAYLOAD as u64 + 1) as usize,
                    1 => 0,
                    _ => random.below(300) as usize,
                })
                .collect();
            let model = Model::new(&mut random, suite, version);
            let stream = Stream::new(&mut random, model, &lengths);
            let mut receiver = Receiver::new(&stream.model);
            let mut rest = stream.bytes.as_slice();
            while !rest.is_empty() {
                receiver.pressure = random.below(4) == 0;
                receiver.held_up = random.below(4) == 0;
                receiver.memory = random.below(4) != 0;
                let most = 1 + random.below(600);
                let (piece, later) = rest.split_at(rest.len().min(random.below(most) as usize));
                rest = later;
                receiver.arrive(piece);
                match random.below(6) {
                    0 => receiver.read(usize::MAX),
                    1 => receiver.read(1),
                    2 => receiver.collect(),
                    3 => receiver.arrive_urgent(),
                    _ => (),
                }
            }
            receiver.memory = true;
            receiver.read(usize::MAX);
            stream.check(&receiver);
        }
    }
}

/// However small the window, records of any size get through it.
#[test]
fn any_window() {
    for stream in streams(24, &[10, MAX_PAYLOAD, 0, 1000, MAX_PAYLOAD, 1]) {
        for window in [1, 4, 5, 6, 13, 100, 2000, 4096, 16_384] {
            let mut receiver = Receiver::new(&stream.model);
            let mut rest = stream.bytes.as_slice();
            while !rest.is_empty() {
                let room = window - receiver.waiting();
                assert_ne!(room, 0, "the peer may not send, for ever");
                let (now, later) = rest.split_at(rest.len().min(room));
                rest = later;
                receiver.pressure = receiver.waiting() + now.len() == window;
                receiver.arrive(now);
                receiver.read(usize::MAX);
            }
            stream.check(&receiver);
        }
    }
}

/// Readers that sleep are told of every record that they find when they wake, once.
#[test]
fn readers_are_told() {
    for stream in streams(25, &[5, 0, 100]) {
        let mut receiver = Receiver::new(&stream.model);
        for (i, byte) in stream.bytes.iter().enumerate() {
            let before = receiver.told;
            receiver.arrive(&[*byte]);
            let complete = framing(&stream.model, &stream.bytes[..=i]).0.len();
            assert_eq!(receiver.told, complete);
            receiver.read(usize::from(before != complete));
        }
        // All at once: the first one, and after each call the one that it has left.
        let mut receiver = Receiver::new(&stream.model);
        receiver.arrive(&stream.bytes);
        for told in [1, 2, 3, 3] {
            assert_eq!(receiver.told, told);
            receiver.read(1);
        }
    }
}

/// Records before a header that is none are delivered; then the connection ends, once.
#[test]
fn a_header_that_is_none() {
    let faults: [(&dyn Fn(&mut [u8]), Error); 3] = [
        (&|header| header[3..5].fill(0xff), EMSGSIZE),
        (&|header| header[3..5].fill(0), EBADMSG),
        (&|header| header[2] = 4, EINVAL),
    ];
    for stream in streams(26, &[30, 0, 100, 50, 60]) {
        let records = framing(&stream.model, &stream.bytes).0;
        for (n, record) in records.iter().enumerate() {
            for (spoil, error) in &faults {
                let mut bytes = stream.bytes.clone();
                spoil(&mut bytes[record.clone()]);
                for chunk in [1, 7, 60, bytes.len()] {
                    let mut receiver = Receiver::new(&stream.model);
                    for piece in bytes.chunks(chunk) {
                        receiver.arrive(piece);
                        receiver.read(usize::MAX);
                    }
                    receiver.pressure = true;
                    receiver.arrive(&stream.bytes);
                    receiver.read(usize::MAX);
                    assert_eq!(receiver.errors(), [*error]);
                    assert!(receiver.opened.iter().flatten().eq(&stream.content[..n]));
                }
            }
        }
    }
}

/// If somebody else takes bytes, nothing is read that is not there, and what is taken for records
/// cannot be opened.
#[test]
fn bytes_that_are_stolen() {
    let mut random = Random::new(27);
    for stream in streams(28, &[0, 10, 1000, 0, 300, 4096, 20, 16_000, 1]) {
        for _ in 0..200 {
            let mut receiver = Receiver::new(&stream.model);
            let mut stolen = false;
            for piece in stream.bytes.chunks(1 + random.below(700) as usize) {
                receiver.pressure = random.below(8) == 0;
                receiver.held_up = random.below(4) == 0;
                receiver.arrive(piece);
                match random.below(4) {
                    0 => {
                        let n = random.below(50) as usize;
                        stolen |= n > 0 && receiver.waiting() > 0;
                        receiver.steal(n);
                    }
                    1 => receiver.collect(),
                    _ => (),
                }
                receiver.read(random.below(3) as usize);
            }
            let good = receiver.opened.iter().map_while(|o| o.as_ref()).count();
            assert!(receiver.opened[..good]
                .iter()
                .flatten()
                .eq(&stream.content[..good]));
            assert!(receiver.errors().len() <= 1);
            assert!(stolen || receiver.errors().is_empty());
        }
    }
}
