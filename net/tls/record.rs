// SPDX-License-Identifier: GPL-2.0

//! The record layer: header, additional data, nonce, sequence number, sizes.
//!
//! RFC 5246 6.2 and RFC 8446 5 as pure functions over bytes and integers. No kernel types here:
//! this file is compiled on the host too, for its tests.

use crate::cipher::{
    Suite,
    Version,
    NONCE_LEN,
    TAG_LEN, //
};

/// The most plaintext bytes in a record (RFC 5246 6.2.1, RFC 8446 5.1).
pub(crate) const MAX_PAYLOAD: usize = 1 << 14;

/// The smallest limit that a peer may ask for with `record_size_limit` (RFC 8449 4).
pub(crate) const MIN_SIZE_LIMIT: usize = 64;

/// Length in bytes of the header: type, version, length.
pub(crate) const HEADER_LEN: usize = 5;

/// Length in bytes of the explicit part of a nonce.
const EXPLICIT_LEN: usize = 8;

/// The most bytes before the ciphertext of a record, and the most bytes of additional data.
pub(crate) const MAX_PREFIX: usize = HEADER_LEN + EXPLICIT_LEN;

/// Content types (RFC 5246 6.2.1).
pub(crate) mod content_type {
    /// Handshake messages; after the handshake, those that belong to the connection.
    pub(crate) const HANDSHAKE: u8 = 22;
    /// Application data; also the outer type of every protected TLS 1.3 record.
    pub(crate) const DATA: u8 = 23;
}

/// The version that is on the wire, in TLS 1.3 as well (RFC 8446 5.1).
pub(crate) const WIRE_VERSION: [u8; 2] = [3, 3];

/// A few bytes that go before the ciphertext of a record: the header with the explicit nonce, or
/// the additional data.
#[derive(Clone, Copy)]
pub(crate) struct Prefix {
    bytes: [u8; MAX_PREFIX],
    len: usize,
}

impl Prefix {
    fn new() -> Self {
        Self {
            bytes: [0; MAX_PREFIX],
            len: 0,
        }
    }

    fn put<const N: usize>(mut self, bytes: [u8; N]) -> Self {
        let end = self.len.saturating_add(N);
        if let Some(to) = self.bytes.get_mut(self.len..end) {
            to.copy_from_slice(&bytes);
            self.len = end;
        }
        self
    }

    /// The bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The sequence number would wrap: the connection must not be used any longer (RFC 5246 6.1,
/// RFC 8446 5.5).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SequenceWrapped;

/// What protects one direction of a connection, less the key: version, suite, nonce and sequence
/// number of the next record.
#[derive(Clone)]
pub(crate) struct Protection {
    version: Version,
    suite: &'static Suite,
    /// Salt and IV. The last eight bytes count up where the nonce is explicit.
    nonce: [u8; NONCE_LEN],
    seq: u64,
}

impl Protection {
    /// Starts at sequence number `seq`.
    pub(crate) fn new(
        version: Version,
        suite: &'static Suite,
        nonce: [u8; NONCE_LEN],
        seq: u64,
    ) -> Self {
        Self {
            version,
            suite,
            nonce,
            seq,
        }
    }

    /// The protocol version.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// The cipher suite.
    pub(crate) fn suite(&self) -> &'static Suite {
        self.suite
    }

    /// Writes the state of the direction into its key structure, as `getsockopt()` shows it.
    pub(crate) fn save_to(&self, keys: &mut [u8]) {
        self.suite.update(keys, &self.nonce, self.seq);
    }

    fn explicit(&self) -> bool {
        self.suite.explicit_nonce(self.version)
    }

    /// Bytes before the ciphertext: header and explicit nonce.
    pub(crate) fn prefix_len(&self) -> usize {
        if self.explicit() {
            MAX_PREFIX
        } else {
            HEADER_LEN
        }
    }

    /// Bytes of additional data.
    fn aad_len(&self) -> usize {
        match self.version {
            Version::Tls12 => MAX_PREFIX,
            Version::Tls13 => HEADER_LEN,
        }
    }

    /// Whether the additional data is as long as header and nonce, and so can be kept in their
    /// place while the record is sealed.
    pub(crate) fn aad_fits_prefix(&self) -> bool {
        self.aad_len() == self.prefix_len()
    }

    /// Bytes that are encrypted behind the payload: the inner content type of TLS 1.3.
    pub(crate) fn tail_len(&self) -> usize {
        match self.version {
            Version::Tls12 => 0,
            Version::Tls13 => 1,
        }
    }

    /// Bytes that a record has besides its payload.
    pub(crate) fn overhead(&self) -> usize {
        self.prefix_len()
            .saturating_add(self.tail_len())
            .saturating_add(TAG_LEN)
    }

    /// The type in the header of a record with content of type `content_type`.
    fn outer_type(&self, content_type: u8) -> u8 {
        match self.version {
            Version::Tls12 => content_type,
            Version::Tls13 => content_type::DATA,
        }
    }

    /// Header and explicit nonce of the next record, which has `len` bytes of payload.
    ///
    /// `len` is at most [`MAX_PAYLOAD`].
    pub(crate) fn header(&self, content_type: u8, len: usize) -> Prefix {
        let [.., e0, e1, e2, e3, e4, e5, e6, e7] = self.nonce;
        let explicit = self.explicit();
        let body = len
            .saturating_add(self.overhead())
            .saturating_sub(HEADER_LEN);
        let head = Prefix::new()
            .put([self.outer_type(content_type)])
            .put(WIRE_VERSION)
            .put((body as u16).to_be_bytes());
        if explicit {
            head.put([e0, e1, e2, e3, e4, e5, e6, e7])
        } else {
            head
        }
    }

    /// Additional data of the next record, which has `len` bytes of payload (RFC 5246 6.2.3.3,
    /// RFC 8446 5.2).
    pub(crate) fn aad(&self, content_type: u8, len: usize) -> Prefix {
        match self.version {
            Version::Tls12 => Prefix::new()
                .put(self.seq.to_be_bytes())
                .put([content_type])
                .put(WIRE_VERSION)
                .put((len as u16).to_be_bytes()),
            Version::Tls13 => self.header(content_type, len),
        }
    }

    /// The nonce of the next record, as the kernel crypto API wants it.
    pub(crate) fn crypto_iv(&self) -> [u8; 16] {
        let mut nonce = self.nonce;
        if !self.explicit() {
            let seq = self.seq.to_be_bytes();
            for (n, s) in nonce.iter_mut().rev().zip(seq.iter().rev()) {
                *n ^= *s;
            }
        }
        self.suite.crypto_iv(&nonce)
    }

    /// The nonce of the next record, where the peer chose a part of it: `explicit` is what came
    /// with the record, if records carry it.
    pub(crate) fn peer_iv(&self, explicit: [u8; 8]) -> [u8; 16] {
        if !self.explicit() {
            return self.crypto_iv();
        }
        let [s0, s1, s2, s3, ..] = self.nonce;
        let [e0, e1, e2, e3, e4, e5, e6, e7] = explicit;
        self.suite
            .crypto_iv(&[s0, s1, s2, s3, e0, e1, e2, e3, e4, e5, e6, e7])
    }

    /// Moves on to the next record. After the last one there is none, however often this is tried.
    pub(crate) fn advance(&mut self) -> Result<(), SequenceWrapped> {
        self.seq = self.seq.checked_add(1).ok_or(SequenceWrapped)?;
        if self.explicit() {
            let [s0, s1, s2, s3, e @ ..] = self.nonce;
            let [e0, e1, e2, e3, e4, e5, e6, e7] =
                u64::from_be_bytes(e).wrapping_add(1).to_be_bytes();
            self.nonce = [s0, s1, s2, s3, e0, e1, e2, e3, e4, e5, e6, e7];
        }
        Ok(())
    }
}
