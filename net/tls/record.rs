// SPDX-License-Identifier: GPL-2.0

//! The record layer: header, additional data, nonce, sequence number, sizes.
//!
//! RFC 5246 6.2 and RFC 8446 5 as pure functions over bytes and integers. No kernel types here:
//! this file is compiled on the host too, for its tests.

use crate::cipher::{
    Suite,
    Version,
    NONCE_LEN,
    SALT_LEN,
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
    /// The first bytes of the nonce, which are always the same.
    salt: [u8; SALT_LEN],
    /// The others. They count up where records carry them.
    iv: u64,
    explicit: bool,
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
        let [s0, s1, s2, s3, iv @ ..] = nonce;
        Self {
            version,
            suite,
            salt: [s0, s1, s2, s3],
            iv: u64::from_be_bytes(iv),
            explicit: suite.explicit_nonce(version),
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
    ///
    /// Returns nothing, and has written nothing, if the structure has not the suite's length.
    pub(crate) fn save_to(&self, keys: &mut [u8]) -> Option<()> {
        let mut nonce = [0; NONCE_LEN];
        let (salt, iv) = nonce.split_at_mut(SALT_LEN);
        salt.copy_from_slice(&self.salt);
        iv.copy_from_slice(&self.iv.to_be_bytes());
        self.suite.update(keys, &nonce, self.seq)
    }

    /// Bytes before the ciphertext: header and explicit nonce.
    pub(crate) fn prefix_len(&self) -> usize {
        if self.explicit {
            MAX_PREFIX
        } else {
            HEADER_LEN
        }
    }

    /// Bytes of additional data.
    pub(crate) fn aad_len(&self) -> usize {
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

    /// Writes header and explicit nonce of the next record, which has `len` bytes of payload, to
    /// the first bytes of `to`, if there is room.
    ///
    /// `len` is at most [`MAX_PAYLOAD`].
    pub(crate) fn write_header(&self, content_type: u8, len: usize, to: &mut [u8]) -> Option<()> {
        let body = len
            .saturating_add(self.overhead())
            .saturating_sub(HEADER_LEN);
        let (header, to) = to.split_first_chunk_mut()?;
        *header = header_bytes(self.outer_type(content_type), body);
        if self.explicit {
            *to.first_chunk_mut()? = self.iv.to_be_bytes();
        }
        Some(())
    }

    /// What [`Protection::write_header`] writes.
    pub(crate) fn header(&self, content_type: u8, len: usize) -> Prefix {
        let mut bytes = [0; MAX_PREFIX];
        let _ = self.write_header(content_type, len, &mut bytes);
        Prefix {
            bytes,
            len: self.prefix_len(),
        }
    }

    /// Writes the additional data of the next record, which has `len` bytes of payload, to the
    /// first bytes of `to`, if there is room (RFC 5246 6.2.3.3, RFC 8446 5.2).
    pub(crate) fn write_aad(&self, content_type: u8, len: usize, to: &mut [u8]) -> Option<()> {
        if self.version == Version::Tls13 {
            return self.write_header(content_type, len, to);
        }
        let (seq, to) = to.split_first_chunk_mut()?;
        *seq = self.seq.to_be_bytes();
        *to.first_chunk_mut()? = header_bytes(content_type, len);
        Some(())
    }

    /// What [`Protection::write_aad`] writes.
    pub(crate) fn aad(&self, content_type: u8, len: usize) -> Prefix {
        let mut bytes = [0; MAX_PREFIX];
        let _ = self.write_aad(content_type, len, &mut bytes);
        Prefix {
            bytes,
            len: self.aad_len(),
        }
    }

    /// Additional data of a record with `len` bytes of payload that was received, unless it is the
    /// record's prefix.
    pub(crate) fn peer_aad(&self, content_type: u8, len: usize) -> Option<[u8; MAX_PREFIX]> {
        if self.version == Version::Tls13 {
            return None;
        }
        let mut bytes = [0; MAX_PREFIX];
        self.write_aad(content_type, len, &mut bytes)?;
        Some(bytes)
    }

    /// The nonce of the next record, as the kernel crypto API wants it.
    pub(crate) fn crypto_iv(&self) -> [u8; 16] {
        if self.explicit {
            self.suite.crypto_iv(self.salt, self.iv)
        } else {
            self.suite.crypto_iv(self.salt, self.iv ^ self.seq)
        }
    }

    /// The nonce of the next record, where the peer chose a part of it: `explicit` is what came
    /// with the record, if records carry it.
    pub(crate) fn peer_iv(&self, explicit: [u8; EXPLICIT_LEN]) -> [u8; 16] {
        if self.explicit {
            self.suite
                .crypto_iv(self.salt, u64::from_be_bytes(explicit))
        } else {
            self.crypto_iv()
        }
    }

    /// Moves on to the next record. After the last one there is none, however often this is tried.
    pub(crate) fn advance(&mut self) -> Result<(), SequenceWrapped> {
        self.seq = self.seq.checked_add(1).ok_or(SequenceWrapped)?;
        if self.explicit {
            self.iv = self.iv.wrapping_add(1);
        }
        Ok(())
    }
}

impl Drop for Protection {
    /// Wipes the nonce, which in TLS 1.3 is as secret as the key.
    fn drop(&mut self) {
        self.salt = [0; SALT_LEN];
        self.iv = 0;
        // As far as the compiler knows, somebody looks at it.
        core::hint::black_box(self);
    }
}

/// A header of five bytes, which the additional data ends with too in TLS 1.2.
fn header_bytes(kind: u8, len: usize) -> [u8; HEADER_LEN] {
    let [v1, v0] = WIRE_VERSION;
    let [l1, l0] = (len as u16).to_be_bytes();
    [kind, v1, v0, l1, l0]
}
