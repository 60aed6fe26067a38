// SPDX-License-Identifier: GPL-2.0

//! Headers that a receiver reads, and padding.

use crate::{
    cipher::{
        Version,
        NONCE_LEN, //
    },
    cipher_tests::{
        combinations,
        suite, //
    },
    frame::{
        unpad,
        Frame,
        Malformed, //
    },
    random::Random,
    record::{
        Protection,
        MAX_PAYLOAD, //
    }, //
};

fn protection(id: u16, version: Version) -> Protection {
    Protection::new(version, suite(id), [0x77; NONCE_LEN], 3)
}

/// A header, and 8 bytes that follow it.
fn header(kind: u8, version: [u8; 2], length: usize) -> [u8; 13] {
    let mut bytes = *b"TVVLLEXPLICIT";
    bytes[0] = kind;
    bytes[1..3].copy_from_slice(&version);
    bytes[3..5].copy_from_slice(&[(length / 256) as u8, (length % 256) as u8]);
    bytes
}

/// What [`Frame::parse`] says of it.
fn parsed(p: &Protection, bytes: &[u8]) -> Result<(u8, usize), Malformed> {
    Frame::parse(p, bytes).map(|frame| (frame.kind, frame.len))
}

#[test]
fn shapes() {
    let bytes = b"\x16\x03\x03\x04\x00EXPLICIT, and what is behind";
    let frame = Frame::parse(&protection(51, Version::Tls12), bytes).unwrap();
    assert_eq!((frame.kind, frame.len), (22, 1029));
    assert_eq!(&frame.explicit_nonce(), b"EXPLICIT");

    let bytes = b"\x15\x03\x03\x00\x12";
    let frame = Frame::parse(&protection(54, Version::Tls12), bytes).unwrap();
    assert_eq!((frame.kind, frame.len), (21, 23));

    let bytes = b"\x17\x03\x03\x00\x13";
    let frame = Frame::parse(&protection(52, Version::Tls13), bytes).unwrap();
    assert_eq!((frame.kind, frame.len), (23, 24));
}

/// What a sender writes is what a receiver reads.
#[test]
fn every_length_that_is_sent() {
    let mut random = Random::new(10);
    for (suite, version) in combinations() {
        for len in 0..=MAX_PAYLOAD {
            let p = Protection::new(version, suite, random.bytes(), random.sequence());
            let kind = random.next() as u8;
            let sent = p.header(kind, len);
            let frame = Frame::parse(&p, sent.as_slice()).unwrap();
            assert_eq!(frame.len, len + p.overhead());
            assert_eq!(p.peer_iv(frame.explicit_nonce()), p.crypto_iv());
            assert_eq!(
                p.aad(frame.kind, len).as_slice(),
                p.aad(kind, len).as_slice()
            );
            let outer = if version == Version::Tls13 { 23 } else { kind };
            assert_eq!(frame.kind, outer);
            // A receiver has additional data of its own only where it is not what was sent.
            let aad = p.peer_aad(frame.kind, len);
            assert_eq!(aad.is_none(), version == Version::Tls13);
            let aad = aad.as_ref().map_or(sent.as_slice(), |bytes| bytes);
            assert_eq!(aad, p.aad(kind, len).as_slice());
        }
    }
}

/// A record has a tag, and an explicit nonce if its suite has one; 2^14 bytes of plaintext at the
/// most, and in TLS 1.3 the content type (RFC 5246 6.2, RFC 8446 5.2).
#[test]
fn every_length_that_can_be_received() {
    for (suite, version) in combinations() {
        let p = protection(suite.id, version);
        let explicit = if suite.explicit_nonce(version) { 8 } else { 0 };
        let inner = usize::from(version == Version::Tls13);
        let least = explicit + 16;
        let most = explicit + 16384 + inner + 16;
        for length in 0..=0xffff {
            let expected = if length > most {
                Err(Malformed::TooLong)
            } else if length < least {
                Err(Malformed::TooShort)
            } else {
                Ok((23, length + 5))
            };
            assert_eq!(
                parsed(&p, &header(23, [3, 3], length)),
                expected,
                "{length}"
            );
        }
    }
}

/// TLS 1.2's number for both versions, and nothing else.
#[test]
fn every_version() {
    for (suite, version) in combinations() {
        let p = protection(suite.id, version);
        for major in 0..=255 {
            for minor in 0..=255 {
                let good = (major, minor) == (3, 3);
                let result = parsed(&p, &header(23, [major, minor], 100));
                assert_eq!(result.is_ok(), good, "{major}.{minor}");
                assert!(good || result == Err(Malformed::Version));
            }
        }
    }
}

/// In TLS 1.2 the type is in the header, in TLS 1.3 all records look like data.
#[test]
fn every_type() {
    for (suite, version) in combinations() {
        let p = protection(suite.id, version);
        for kind in 0..=255 {
            let expected = if version == Version::Tls13 && kind != 23 {
                Err(Malformed::Type)
            } else {
                Ok((kind, 105))
            };
            assert_eq!(parsed(&p, &header(kind, [3, 3], 100)), expected);
        }
    }
}

/// Of several faults, the length is reported first, then the version: user space can tell them
/// apart.
#[test]
fn several_faults() {
    for (suite, version) in combinations() {
        let p = protection(suite.id, version);
        for (length, fault) in [
            (0xffff, Malformed::TooLong),
            (1, Malformed::TooShort),
            (100, Malformed::Version),
        ] {
            assert_eq!(parsed(&p, &header(99, [9, 9], length)), Err(fault));
        }
    }
}

/// Too little to be a header.
#[test]
fn every_piece_of_a_header() {
    for (suite, version) in combinations() {
        let p = protection(suite.id, version);
        for len in 0..5 {
            let bytes = header(23, [3, 3], 100);
            assert_eq!(parsed(&p, &bytes[..len]), Err(Malformed::TooShort));
        }
    }
}

/// RFC 8446 5.4: content, then the type, which is not zero, then zeroes.
#[test]
fn padding() {
    assert_eq!(unpad(b"\x17"), Some((0, 23)));
    assert_eq!(unpad(b"abc\x17"), Some((3, 23)));
    assert_eq!(unpad(b"abc\x15\0\0\0"), Some((3, 21)));
    assert_eq!(unpad(b"\0\0\x17\0"), Some((2, 23)));
    assert_eq!(unpad(b"abc\0\x17"), Some((4, 23)));
    assert_eq!(unpad(b"\xff"), Some((0, 255)));
    assert_eq!(unpad(b""), None);
    assert_eq!(unpad(b"\0"), None);
    assert_eq!(unpad(&[0; MAX_PAYLOAD + 1]), None);

    let mut random = Random::new(11);
    for _ in 0..20_000 {
        let content = random.below(40) as usize;
        let zeroes = random.below(40) as usize;
        let kind = 1 + random.below(255) as u8;
        let mut bytes: Vec<u8> = (0..content).map(|_| random.below(3) as u8).collect();
        bytes.push(kind);
        bytes.resize(bytes.len() + zeroes, 0);
        assert_eq!(unpad(&bytes), Some((content, kind)));
    }
}
