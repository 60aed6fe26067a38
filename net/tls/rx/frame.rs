// SPDX-License-Identifier: GPL-2.0

//! Finding records in a stream, and content in records.
//!
//! Pure functions over bytes, without kernel types: this file is compiled on the host too, for
//! its tests.

use crate::record::{
    content_type,
    Protection,
    HEADER_LEN,
    MAX_PAYLOAD,
    MAX_PREFIX,
    WIRE_VERSION, //
};

/// Why a header is not one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Malformed {
    /// The record would be longer than records may be.
    TooLong,
    /// It is too short to have a nonce and a tag.
    TooShort,
    /// The version is not that of the wire.
    Version,
    /// The type is not that of protected records (RFC 8446 5.2).
    Type,
}

/// A record in a stream, whose header was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    /// Content type in the header.
    pub(crate) kind: u8,
    /// Length in bytes, with the header.
    pub(crate) len: usize,
    /// Header and explicit nonce, or what follows the header.
    prefix: [u8; MAX_PREFIX],
}

impl Frame {
    /// Reads the header at the start of `bytes`, which are as many as [`Protection::prefix_len`]
    /// says, or more.
    pub(crate) fn parse(protection: &Protection, bytes: &[u8]) -> Result<Self, Malformed> {
        let [kind, v0, v1, len @ ..] = *bytes
            .first_chunk::<HEADER_LEN>()
            .ok_or(Malformed::TooShort)?;
        let body = usize::from(u16::from_be_bytes(len));
        // What a record has besides its payload, less the header.
        let overhead = protection.overhead().saturating_sub(HEADER_LEN);
        if body > MAX_PAYLOAD.saturating_add(overhead) {
            return Err(Malformed::TooLong);
        }
        if body < overhead.saturating_sub(protection.tail_len()) {
            return Err(Malformed::TooShort);
        }
        if [v0, v1] != WIRE_VERSION {
            return Err(Malformed::Version);
        }
        if protection.tail_len() != 0 && kind != content_type::DATA {
            return Err(Malformed::Type);
        }
        let prefix = match bytes.first_chunk() {
            Some(prefix) => *prefix,
            None => {
                let mut prefix = [0; MAX_PREFIX];
                for (to, from) in prefix.iter_mut().zip(bytes) {
                    *to = *from;
                }
                prefix
            }
        };
        Ok(Self {
            kind,
            len: body.saturating_add(HEADER_LEN),
            prefix,
        })
    }

    /// Whether type and length are those of `other`.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.kind == other.kind && self.len == other.len
    }

    /// The explicit nonce, for suites that have one.
    pub(crate) fn explicit_nonce(&self) -> [u8; 8] {
        let [_, _, _, _, _, nonce @ ..] = self.prefix;
        nonce
    }
}

/// The content type and the end of the content in a TLS 1.3 plaintext: the last byte that is not
/// zero is the type (RFC 8446 5.4).
///
/// `bytes` are a part of the plaintext that ends where the plaintext does, or where zeroes begin.
pub(crate) fn unpad(bytes: &[u8]) -> Option<(usize, u8)> {
    let at = bytes.iter().rposition(|b| *b != 0)?;
    Some((at, *bytes.get(at)?))
}
