// SPDX-License-Identifier: GPL-2.0

//! Headers, additional data, nonces, sequence numbers and sizes.

use crate::{
    cipher::{
        Version,
        MAX_KEYS_LEN,
        NONCE_LEN,
        TAG_LEN, //
    },
    cipher_tests::{
        combinations,
        suite, //
    },
    model::Model,
    random::Random,
    record::{
        content_type,
        Protection,
        SequenceWrapped,
        HEADER_LEN,
        MAX_PAYLOAD,
        MAX_PREFIX,
        MIN_SIZE_LIMIT,
        WIRE_VERSION, //
    }, //
};

#[test]
fn constants() {
    assert_eq!(HEADER_LEN, 5);
    assert_eq!(MAX_PREFIX, 13);
    assert_eq!(TAG_LEN, 16);
    assert_eq!(content_type::HANDSHAKE, 22);
    assert_eq!(content_type::DATA, 23);
    assert_eq!(WIRE_VERSION, [3, 3]);
}

/// One record of each shape, byte by byte.
#[test]
fn shapes() {
    let nonce = *b"saltEXPLICIT";
    let seq = 0x0102_0304_0506_0708;
    let shape = |id, version| {
        let p = Protection::new(version, suite(id), nonce, seq);
        let (header, aad) = (p.header(22, 1000), p.aad(22, 1000));
        (header.as_slice().to_vec(), aad.as_slice().to_vec())
    };

    let (header, aad) = shape(51, Version::Tls12);
    assert_eq!(header, b"\x16\x03\x03\x04\x00EXPLICIT");
    assert_eq!(aad, b"\x01\x02\x03\x04\x05\x06\x07\x08\x16\x03\x03\x03\xe8");

    let (header, aad) = shape(54, Version::Tls12);
    assert_eq!(header, b"\x16\x03\x03\x03\xf8");
    assert_eq!(aad, b"\x01\x02\x03\x04\x05\x06\x07\x08\x16\x03\x03\x03\xe8");

    let (header, aad) = shape(51, Version::Tls13);
    assert_eq!(header, b"\x17\x03\x03\x03\xf9");
    assert_eq!(aad, b"\x17\x03\x03\x03\xf9");
}

// Only on the host: KASAN takes minutes for so many vectors.
#[test]
fn every_length() {
    let mut random = Random::new(3);
    for (suite, version) in combinations() {
        let mut model = Model::new(&mut random, suite, version);
        let mut protection = model.protection();
        assert_eq!(protection.version(), version);
        assert_eq!(protection.suite(), suite);
        for len in 0..=MAX_PAYLOAD {
            let kind = random.next() as u8;
            model.check(&protection, kind, len);
            assert_eq!(protection.advance(), Ok(()));
            model.seq += 1;
        }
    }
}

#[test]
fn every_type() {
    let mut random = Random::new(4);
    for (suite, version) in combinations() {
        let model = Model::new(&mut random, suite, version);
        for kind in 0..=u8::MAX {
            model.check(&model.protection(), kind, 77);
        }
    }
}

// Only on the host: KASAN takes minutes for so many vectors.
#[test]
fn every_carry() {
    let mut random = Random::new(5);
    for (suite, version) in combinations() {
        for _ in 0..2000 {
            let mut model = Model::new(&mut random, suite, version);
            let mut protection = model.protection();
            for _ in 0..8 {
                model.check(&protection, 23, 1);
                assert_eq!(protection.advance(), Ok(()));
                model.seq += 1;
            }
        }
    }
}

/// RFC 8446 5.3 and RFC 5246 6.1: a sequence number does not wrap. However often somebody tries,
/// the last record stays the last one.
#[test]
fn the_last_number_has_no_successor() {
    for (suite, version) in combinations() {
        let mut p = Protection::new(version, suite, [0x55; NONCE_LEN], u64::MAX - 2);
        assert_eq!(p.advance(), Ok(()));
        assert_eq!(p.advance(), Ok(()));
        let last = p.clone();
        for _ in 0..3 {
            assert_eq!(p.advance(), Err(SequenceWrapped));
            assert_eq!(p.crypto_iv(), last.crypto_iv());
            assert_eq!(p.aad(23, 5).as_slice(), last.aad(23, 5).as_slice());
            assert_eq!(p.header(23, 5).as_slice(), last.header(23, 5).as_slice());
        }
    }
}

/// An explicit nonce may begin anywhere, so its wrap means nothing. The salt stays out of it.
#[test]
fn the_explicit_nonce_goes_round() {
    let mut nonce = [0xff; NONCE_LEN];
    nonce[3] = 0x12;
    for id in [51, 52, 53, 55, 56, 57, 58] {
        let mut p = Protection::new(Version::Tls12, suite(id), nonce, 7);
        assert_eq!(p.header(23, 0).as_slice()[5..], [0xff; 8]);
        assert_eq!(p.advance(), Ok(()));
        assert_eq!(p.header(23, 0).as_slice()[5..], [0; 8]);
        let at = usize::from([53, 56].contains(&id));
        assert_eq!(
            p.crypto_iv()[at..at + NONCE_LEN],
            [0xff, 0xff, 0xff, 0x12, 0, 0, 0, 0, 0, 0, 0, 0]
        );
    }
}

/// A receiver takes the explicit part of a nonce from the record, whatever it has itself, and the
/// salt from the keys. Without an explicit part nothing of the record matters.
#[test]
fn nonces_of_a_peer() {
    let mut random = Random::new(8);
    for (suite, version) in combinations() {
        for _ in 0..500 {
            let model = Model::new(&mut random, suite, version);
            let explicit: [u8; 8] = random.bytes();
            let ccm = [53, 56].contains(&suite.id);
            let iv = model.protection().peer_iv(explicit);
            let nonce = &iv[usize::from(ccm)..][..NONCE_LEN];
            if model.is_explicit() {
                assert_eq!(nonce, [&model.nonce[..4], &explicit].concat());
                assert_eq!(iv[0], if ccm { 2 } else { model.nonce[0] });
            } else {
                assert_eq!(nonce, model.nonce());
            }
            // From a sender that counts as we do, it is the nonce that the sender has used.
            let own = model.protection().peer_iv(model.explicit());
            assert_eq!(own, model.protection().crypto_iv());
        }
    }
}

/// RFC 5246 6.2 and RFC 8446 5: 2^14 bytes of plaintext, and no more than 2048 bytes more when
/// protected in TLS 1.2, or 256 in TLS 1.3.
#[test]
fn sizes() {
    assert_eq!(MAX_PAYLOAD, 1 << 14);
    for (suite, version) in combinations() {
        let p = Protection::new(version, suite, [0; NONCE_LEN], 0);
        let length = MAX_PAYLOAD + p.overhead() - HEADER_LEN;
        let allowance = match version {
            Version::Tls12 => 2048,
            Version::Tls13 => 256,
        };
        assert!(length <= MAX_PAYLOAD + allowance);
    }
}

/// RFC 8449 4: no limit below 64 bytes. In TLS 1.3 it counts the content type as well.
#[test]
fn size_limits() {
    assert_eq!(MIN_SIZE_LIMIT, 64);
    for (suite, version) in combinations() {
        let p = Protection::new(version, suite, [0; NONCE_LEN], 0);
        let (least, most) = match version {
            Version::Tls12 => (64, 1 << 14),
            Version::Tls13 => (63, 1 << 14),
        };
        assert_eq!(MIN_SIZE_LIMIT - p.tail_len(), least);
        assert_eq!(MAX_PAYLOAD, most);
    }
}

/// A record more changes the number, an explicit nonce with it, and nothing else.
#[test]
fn advance_changes_number_and_nonce() {
    let mut random = Random::new(6);
    for (suite, version) in combinations() {
        for _ in 0..500 {
            let model = Model::new(&mut random, suite, version);
            let mut p = model.protection();
            let before = p.clone();
            let keys: [u8; MAX_KEYS_LEN] = random.bytes();
            let keys = &keys[..suite.keys_len()];
            let saved = |p: &Protection| {
                let mut copy = keys.to_vec();
                p.save_to(&mut copy).unwrap();
                copy
            };
            assert_eq!(p.advance(), Ok(()));

            assert_eq!(p.version(), version);
            assert_eq!(p.suite(), suite);
            let (old, new) = (saved(&before), saved(&p));
            let (old, new) = (suite.split(&old).unwrap(), suite.split(&new).unwrap());
            assert_eq!(new.seq, old.seq + 1);
            assert_eq!((new.key, new.salt), (old.key, old.salt));
            let count = |iv: &[u8]| iv.iter().fold(0, |n, b| n << 8 | u128::from(*b));
            let step = if model.is_explicit() { 1 } else { 0 };
            let modulus = 1 << (8 * old.iv.len());
            assert_eq!((count(old.iv) + step) % modulus, count(new.iv));

            // The one that it was copied from has not moved.
            model.check(&before, 23, 100);
        }
    }
}

/// What `getsockopt()` shows is what `setsockopt()` has set, moved on by the records in between,
/// and somebody who is given it goes on with the same record.
#[test]
fn keys_go_round() {
    let mut random = Random::new(7);
    for (suite, version) in combinations() {
        for _ in 0..500 {
            let mut keys: [u8; MAX_KEYS_LEN] = random.bytes();
            let keys = &mut keys[..suite.keys_len()];
            let at = keys.len() - 8;
            keys[at..].copy_from_slice(&random.sequence().to_be_bytes());
            let original = keys.to_vec();

            let start = |keys: &[u8]| {
                let fields = suite.split(keys).unwrap();
                Protection::new(version, suite, fields.nonce_base().unwrap(), fields.seq)
            };
            let mut here = start(keys);
            here.save_to(keys).unwrap();
            assert_eq!(keys, original);

            for _ in 0..random.below(20) {
                here.advance().unwrap();
            }
            here.save_to(keys).unwrap();
            let mut there = start(keys);
            for _ in 0..3 {
                let (old, new) = (here.header(23, 9), there.header(23, 9));
                assert_eq!(old.as_slice(), new.as_slice(), "{suite:?}");
                let (old, new) = (here.aad(23, 9), there.aad(23, 9));
                assert_eq!(old.as_slice(), new.as_slice(), "{suite:?}");
                assert_eq!(here.crypto_iv(), there.crypto_iv(), "{suite:?}");
                here.advance().unwrap();
                there.advance().unwrap();
            }

            // Info, key and salt are untouched.
            let (old, new) = (suite.split(&original).unwrap(), suite.split(keys).unwrap());
            assert_eq!((old.key, old.salt), (new.key, new.salt));
            assert_eq!(original[..4], keys[..4]);
        }
    }
}

/// A structure that is not the suite's is refused, and not written to.
#[test]
fn keys_of_another_length_stay() {
    for (suite, version) in combinations() {
        let p = Protection::new(version, suite, [1; NONCE_LEN], 2);
        for len in (0..80).filter(|len| *len != suite.keys_len()) {
            let mut keys = vec![3; len];
            assert_eq!(p.save_to(&mut keys), None);
            assert_eq!(keys, vec![3; len]);
        }
    }
}
