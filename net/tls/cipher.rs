// SPDX-License-Identifier: GPL-2.0

//! Protocol versions and cipher suites.
//!
//! Everything that distinguishes one suite from another is a field of [`Suite`]; the table
//! [`SUITES`] is the only list of them. No kernel types here: this file is compiled on the host
//! too, for its tests.
//!
//! UAPI header: `include/uapi/linux/tls.h`

use core::ffi::CStr;

/// Length in bytes of the authentication tag; the same in all suites.
pub(crate) const TAG_LEN: usize = 16;

/// Length in bytes of a record sequence number (RFC 5246 6.1, RFC 8446 5.3).
pub(crate) const SEQ_LEN: usize = 8;

/// Length in bytes of a nonce: salt and IV together, in all suites.
pub(crate) const NONCE_LEN: usize = 12;

/// Length in bytes of the part of a nonce that is the same for all records.
pub(crate) const SALT_LEN: usize = 4;

/// Length in bytes of `struct tls_crypto_info`, with which every key structure begins.
pub(crate) const INFO_LEN: usize = 4;

/// Length in bytes of the longest key structure of the UAPI.
pub(crate) const MAX_KEYS_LEN: usize = 56;

/// A protocol version, by its number on the wire (RFC 5246 6.2.1, RFC 8446 4.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Version {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl Version {
    /// The version that user space means by `id`, if it is one that can be offered.
    pub(crate) const fn from_id(id: u16) -> Option<Self> {
        match id {
            0x0303 => Some(Self::Tls12),
            0x0304 => Some(Self::Tls13),
            _ => None,
        }
    }

    /// The number of this version.
    pub(crate) const fn id(self) -> u16 {
        match self {
            Self::Tls12 => 0x0303,
            Self::Tls13 => 0x0304,
        }
    }
}

/// How a suite makes the nonce of a TLS 1.2 record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Nonce12 {
    /// Implicit salt, and eight explicit bytes that travel with the record (RFC 5288 3).
    Explicit,
    /// The IV exclusive-or the sequence number, nothing travels (RFC 7905 2).
    Xor,
}

/// A cipher suite as `TLS_TX` and `TLS_RX` name it.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Suite {
    /// `TLS_CIPHER_*`.
    pub(crate) id: u16,
    /// The algorithm's name in the kernel crypto API.
    pub(crate) algorithm: &'static CStr,
    /// Bytes of the IV field of the key structure.
    iv_len: usize,
    /// Bytes of its key field.
    key_len: usize,
    /// Bytes of its salt field.
    salt_len: usize,
    nonce12: Nonce12,
    /// The first byte of the crypto API's IV: CCM wants the width of the length field, less one
    /// (RFC 3610 2.3), before the nonce.
    iv_prefix: Option<u8>,
    /// Whether the suite exists in TLS 1.3.
    tls13: bool,
}

const fn gcm(id: u16, algorithm: &'static CStr, key_len: usize, tls13: bool) -> Suite {
    Suite {
        id,
        algorithm,
        iv_len: 8,
        key_len,
        salt_len: 4,
        nonce12: Nonce12::Explicit,
        iv_prefix: None,
        tls13,
    }
}

const fn ccm(id: u16, algorithm: &'static CStr) -> Suite {
    Suite {
        iv_prefix: Some(2),
        ..gcm(id, algorithm, 16, true)
    }
}

/// All suites (`TLS_CIPHER_AES_GCM_128` to `TLS_CIPHER_ARIA_GCM_256`).
static SUITES: [Suite; 8] = [
    gcm(51, c"gcm(aes)", 16, true),
    gcm(52, c"gcm(aes)", 32, true),
    ccm(53, c"ccm(aes)"),
    Suite {
        id: 54,
        algorithm: c"rfc7539(chacha20,poly1305)",
        iv_len: 12,
        key_len: 32,
        salt_len: 0,
        nonce12: Nonce12::Xor,
        iv_prefix: None,
        tls13: true,
    },
    gcm(55, c"gcm(sm4)", 16, true),
    ccm(56, c"ccm(sm4)"),
    gcm(57, c"gcm(aria)", 16, false),
    gcm(58, c"gcm(aria)", 32, false),
];

// Salt and IV are a nonce in each of them, and none has more keys than there is room for.
const _: () = {
    let mut i = 0;
    while i < SUITES.len() {
        let suite = &SUITES[i];
        assert!(suite.salt_len + suite.iv_len == NONCE_LEN);
        assert!(INFO_LEN + NONCE_LEN + suite.key_len + SEQ_LEN <= MAX_KEYS_LEN);
        i += 1;
    }
};

impl Suite {
    /// The suite that user space means by `id`.
    pub(crate) fn from_id(id: u16) -> Option<&'static Self> {
        SUITES.iter().find(|s| s.id == id)
    }

    /// Whether the suite may be used with `version`.
    pub(crate) fn allows(&self, version: Version) -> bool {
        version == Version::Tls12 || self.tls13
    }

    /// Bytes of the suite's key structure in the UAPI (`struct tls12_crypto_info_*`).
    pub(crate) fn keys_len(&self) -> usize {
        [self.iv_len, self.key_len, self.salt_len, SEQ_LEN]
            .into_iter()
            .fold(INFO_LEN, usize::saturating_add)
    }

    /// Whether records carry eight bytes of their nonce.
    pub(crate) fn explicit_nonce(&self, version: Version) -> bool {
        version == Version::Tls12 && self.nonce12 == Nonce12::Explicit
    }

    /// The IV as the kernel crypto API wants it, for the nonce of `salt` and `rest`.
    pub(crate) fn crypto_iv(&self, salt: [u8; SALT_LEN], rest: u64) -> [u8; 16] {
        let [s0, s1, s2, s3] = salt;
        let [r0, r1, r2, r3, r4, r5, r6, r7] = rest.to_be_bytes();
        // All of the nonce is there, whatever the suite is.
        match self.iv_prefix {
            None => [s0, s1, s2, s3, r0, r1, r2, r3, r4, r5, r6, r7, 0, 0, 0, 0],
            Some(p) => [p, s0, s1, s2, s3, r0, r1, r2, r3, r4, r5, r6, r7, 0, 0, 0],
        }
    }

    /// Takes the key structure `bytes` apart, if it has the suite's length.
    pub(crate) fn split<'a>(&self, bytes: &'a [u8]) -> Option<KeyFields<'a>> {
        let rest = bytes.get(INFO_LEN..)?;
        let (iv, rest) = rest.split_at_checked(self.iv_len)?;
        let (key, rest) = rest.split_at_checked(self.key_len)?;
        let (salt, seq) = rest.split_at_checked(self.salt_len)?;
        Some(KeyFields {
            iv,
            key,
            salt,
            seq: u64::from_be_bytes(seq.try_into().ok()?),
        })
    }

    /// Writes the IV and the sequence number of a connection into its key structure `bytes`, if that
    /// has the suite's length. Otherwise nothing is written.
    pub(crate) fn update(&self, bytes: &mut [u8], nonce: &[u8; NONCE_LEN], seq: u64) -> Option<()> {
        let iv = nonce.get(self.salt_len..)?;
        let rest = bytes.get_mut(INFO_LEN..)?;
        let (to_iv, rest) = rest.split_at_mut_checked(self.iv_len)?;
        let (_, to_seq) = rest.split_at_mut_checked(self.key_len.checked_add(self.salt_len)?)?;
        if iv.len() != to_iv.len() || to_seq.len() != SEQ_LEN {
            return None;
        }
        to_iv.copy_from_slice(iv);
        to_seq.copy_from_slice(&seq.to_be_bytes());
        Some(())
    }
}

/// The fields of a key structure.
pub(crate) struct KeyFields<'a> {
    pub(crate) iv: &'a [u8],
    pub(crate) key: &'a [u8],
    pub(crate) salt: &'a [u8],
    pub(crate) seq: u64,
}

impl KeyFields<'_> {
    /// Salt and IV, from which the nonce of each record is made, if they are as long as one.
    pub(crate) fn nonce_base(&self) -> Option<[u8; NONCE_LEN]> {
        let mut nonce = [0; NONCE_LEN];
        let (salt, iv) = nonce.split_at_mut_checked(self.salt.len())?;
        if iv.len() != self.iv.len() {
            return None;
        }
        salt.copy_from_slice(self.salt);
        iv.copy_from_slice(self.iv);
        Some(nonce)
    }
}
