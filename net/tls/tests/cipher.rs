// SPDX-License-Identifier: GPL-2.0

//! Versions and cipher suites.

use crate::{
    cipher::{
        KeyFields,
        Suite,
        Version,
        INFO_LEN,
        MAX_KEYS_LEN,
        NONCE_LEN,
        SEQ_LEN,
        TAG_LEN, //
    },
    random::Random,
    uapi, //
};

/// A suite of the header, which has to be there.
pub(crate) fn suite(id: u16) -> &'static Suite {
    Suite::from_id(id).unwrap_or_else(|| panic!("no suite {id}"))
}

/// All suites, each with all versions that it can be used with.
pub(crate) fn combinations() -> Vec<(&'static Suite, Version)> {
    let mut all = Vec::new();
    for version in [Version::Tls12, Version::Tls13] {
        let suites = uapi::suites().into_iter().map(|s| suite(s.id));
        all.extend(suites.filter(|s| s.allows(version)).map(|s| (s, version)));
    }
    assert_eq!(all.len(), 14);
    all
}

#[test]
fn versions_are_those_of_the_header() {
    let number = |name: &str| {
        let part = |part| uapi::constant(&format!("{name}_VERSION_{part}"));
        (part("MAJOR") << 8 | part("MINOR")) as u16
    };
    assert_eq!(Version::Tls12.id(), number("TLS_1_2"));
    assert_eq!(Version::Tls13.id(), number("TLS_1_3"));
    for id in 0..=u16::MAX {
        let version = match id {
            0x0303 => Some(Version::Tls12),
            0x0304 => Some(Version::Tls13),
            _ => None,
        };
        assert_eq!(Version::from_id(id), version, "{id:#06x}");
        assert!(version.is_none_or(|v| v.id() == id));
    }
}

#[test]
fn suites_are_those_of_the_header() {
    let header: Vec<u16> = uapi::suites().iter().map(|s| s.id).collect();
    assert_eq!(header.len(), 8);
    for id in 0..=u16::MAX {
        let found = Suite::from_id(id);
        assert_eq!(found.is_some(), header.contains(&id), "{id}");
        assert!(found.is_none_or(|s| s.id == id));
    }
}

#[test]
fn lengths_are_those_of_the_header() {
    let suites = uapi::suites();
    for s in &suites {
        let size = |part| uapi::constant(&format!("TLS_CIPHER_{}_{part}_SIZE", s.name));
        assert_eq!(suite(s.id).keys_len(), s.len, "{}", s.name);
        assert_eq!(size("TAG"), TAG_LEN, "{}", s.name);
        assert_eq!(size("REC_SEQ"), SEQ_LEN, "{}", s.name);
        assert_eq!(size("SALT") + size("IV"), NONCE_LEN, "{}", s.name);
    }
    assert_eq!(uapi::info_len(), INFO_LEN);
    assert_eq!(suites.iter().map(|s| s.len).max(), Some(MAX_KEYS_LEN));
}

/// What the suites are made of: RFC 5288, 6655, 7905, 6209 and 8998.
#[test]
fn algorithms() {
    for (id, algorithm, key_len) in [
        (51, c"gcm(aes)", 16),
        (52, c"gcm(aes)", 32),
        (53, c"ccm(aes)", 16),
        (54, c"rfc7539(chacha20,poly1305)", 32),
        (55, c"gcm(sm4)", 16),
        (56, c"ccm(sm4)", 16),
        (57, c"gcm(aria)", 16),
        (58, c"gcm(aria)", 32),
    ] {
        let suite = suite(id);
        let keys = vec![0; suite.keys_len()];
        assert_eq!(suite.algorithm, algorithm, "{id}");
        assert_eq!(suite.split(&keys).unwrap().key.len(), key_len, "{id}");
    }
}

/// Nobody has given ARIA numbers in TLS 1.3; SM4 has got its own from RFC 8998.
#[test]
fn versions_of_the_suites() {
    for s in uapi::suites() {
        let suite = suite(s.id);
        assert!(suite.allows(Version::Tls12), "{}", s.name);
        let in_13 = !s.name.starts_with("ARIA");
        assert_eq!(suite.allows(Version::Tls13), in_13, "{}", s.name);
    }
}

/// Eight bytes of the nonce travel with each record of TLS 1.2 (RFC 5288 3, RFC 6655 3), but not
/// with ChaCha20-Poly1305 (RFC 7905 2), and never in TLS 1.3 (RFC 8446 5.3).
#[test]
fn explicit_nonces() {
    for (suite, version) in combinations() {
        let explicit = version == Version::Tls12 && suite.id != 54;
        assert_eq!(suite.explicit_nonce(version), explicit, "{suite:?}");
    }
}

#[test]
fn fields_are_where_the_header_has_them() {
    let mut random = Random::new(1);
    for s in uapi::suites() {
        let bytes: [u8; MAX_KEYS_LEN] = random.bytes();
        let keys = &bytes[..s.len];
        let fields = suite(s.id).split(keys).unwrap();
        for (name, field) in [
            ("iv", fields.iv),
            ("key", fields.key),
            ("salt", fields.salt),
        ] {
            let (at, end) = s.field(name);
            assert_eq!(field, &keys[at..end], "{} {name}", s.name);
        }
        let (at, end) = s.field("rec_seq");
        let seq = keys[at..end].iter().fold(0, |n, b| n << 8 | u64::from(*b));
        assert_eq!(fields.seq, seq, "{}", s.name);
        // The salt is the beginning of a nonce.
        let base = [fields.salt, fields.iv].concat();
        assert_eq!(fields.nonce_base().unwrap().as_slice(), base, "{}", s.name);
    }
}

/// There is no nonce of anything else, least of all one of zeroes.
#[test]
fn a_nonce_is_all_of_salt_and_iv() {
    let bytes = [0xa5; 2 * NONCE_LEN];
    for (salt, iv) in (0..=2 * NONCE_LEN).flat_map(|n| (0..=2 * NONCE_LEN).map(move |m| (n, m))) {
        let fields = KeyFields {
            iv: &bytes[..iv],
            key: &[],
            salt: &bytes[..salt],
            seq: 0,
        };
        let nonce = (salt + iv == NONCE_LEN).then_some([0xa5; NONCE_LEN]);
        assert_eq!(fields.nonce_base(), nonce, "{salt} {iv}");
    }
}

#[test]
fn keys_of_another_length_are_refused() {
    let bytes = [0xa5; 2 * MAX_KEYS_LEN];
    for s in uapi::suites() {
        let suite = suite(s.id);
        for len in 0..=bytes.len() {
            let fits = len == s.len;
            assert_eq!(suite.split(&bytes[..len]).is_some(), fits, "{len}");

            // Nothing is written where it does not belong.
            let mut copy = bytes;
            let done = suite.update(&mut copy[..len], &[0x11; NONCE_LEN], 0x22);
            assert_eq!(done.is_some(), fits, "{} {len}", s.name);
            assert_eq!(copy != bytes, fits, "{} {len}", s.name);
        }
    }
}

#[test]
fn update_writes_iv_and_sequence_number() {
    let mut random = Random::new(2);
    for s in uapi::suites() {
        for _ in 0..200 {
            let before: [u8; MAX_KEYS_LEN] = random.bytes();
            let nonce: [u8; NONCE_LEN] = random.bytes();
            let seq = random.next();
            let mut after = before;
            suite(s.id)
                .update(&mut after[..s.len], &nonce, seq)
                .unwrap();

            let mut expected = before;
            let (iv, iv_end) = s.field("iv");
            let (salt, salt_end) = s.field("salt");
            let (at, end) = s.field("rec_seq");
            expected[iv..iv_end].copy_from_slice(&nonce[salt_end - salt..]);
            expected[at..end].copy_from_slice(&seq.to_be_bytes());
            assert_eq!(after, expected, "{}", s.name);
        }
    }
}

/// The crypto API takes nonces of 12 bytes as they are, but for CCM the first block of the
/// counter: RFC 3610 2.3 begins it with the width of the length field less one, which with such
/// a nonce is 15 - 12 - 1, and ends it with the counter's start, zero.
#[test]
fn crypto_ivs() {
    let (salt, rest) = (*b"salt", u64::from_be_bytes(*b"-and-iv!"));
    for s in uapi::suites() {
        let iv = suite(s.id).crypto_iv(salt, rest);
        if s.name.contains("CCM") {
            assert_eq!(&iv, b"\x02salt-and-iv!\0\0\0", "{}", s.name);
        } else {
            assert_eq!(&iv, b"salt-and-iv!\0\0\0\0", "{}", s.name);
        }
    }
}

/// The third example of NIST SP 800-38C, which has a nonce of 12 bytes, too.
#[test]
fn crypto_iv_of_ccm_is_its_first_counter_block() {
    let (salt, rest) = ([0x10, 0x11, 0x12, 0x13], 0x14151617_18191a1b);
    let counter = [
        0x02, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x1b, 0, 0, 0,
    ];
    assert_eq!(suite(53).crypto_iv(salt, rest), counter);
    assert_eq!(suite(56).crypto_iv(salt, rest), counter);
}
