// SPDX-License-Identifier: GPL-2.0

//! What the RFCs want of records, written down a second time.

use crate::{
    cipher::{
        Suite,
        Version,
        NONCE_LEN, //
    },
    prelude::*,
    random::Random,
    record::{
        Protection,
        HEADER_LEN,
        MAX_PREFIX, //
    }, //
};
use std::ops::Range;

/// What the RFCs want of a record.
#[derive(Clone)]
pub(crate) struct Model {
    pub(crate) suite: &'static Suite,
    pub(crate) version: Version,
    /// Salt and IV at sequence number `first`.
    pub(crate) nonce: [u8; NONCE_LEN],
    first: u64,
    pub(crate) seq: u64,
}

impl Model {
    /// Any salt, IV and number.
    pub(crate) fn new(random: &mut Random, suite: &'static Suite, version: Version) -> Self {
        let first = random.sequence();
        Self::start(suite, version, random.bytes(), first)
    }

    /// The first record has the number `first`.
    pub(crate) fn start(
        suite: &'static Suite,
        version: Version,
        nonce: [u8; NONCE_LEN],
        first: u64,
    ) -> Self {
        Self {
            suite,
            version,
            nonce,
            first,
            seq: first,
        }
    }

    pub(crate) fn protection(&self) -> Protection {
        Protection::new(self.version, self.suite, self.nonce, self.first)
    }

    pub(crate) fn is_13(&self) -> bool {
        self.version == Version::Tls13
    }

    /// ChaCha20-Poly1305 is the only suite of TLS 1.2 without an explicit nonce.
    pub(crate) fn is_explicit(&self) -> bool {
        !self.is_13() && self.suite.id != 54
    }

    /// The part of the nonce that travels. It starts as user space has set it, and counts.
    pub(crate) fn explicit(&self) -> [u8; 8] {
        let start = u64::from_be_bytes(self.nonce[4..].try_into().unwrap());
        start.wrapping_add(self.seq - self.first).to_be_bytes()
    }

    /// RFC 5288 3 and RFC 6655 3: salt and explicit part; RFC 7905 2 and RFC 8446 5.3: the IV,
    /// exclusive-or the number, which is as long as the IV with zeroes on the left.
    pub(crate) fn nonce(&self) -> Vec<u8> {
        if self.is_explicit() {
            return [&self.nonce[..4], &self.explicit()].concat();
        }
        let iv = self.nonce.iter().fold(0, |n, b| n << 8 | u128::from(*b));
        (iv ^ u128::from(self.seq)).to_be_bytes()[4..].to_vec()
    }

    /// RFC 5246 6.2.3.3: type, version, length of everything behind, explicit nonce; RFC 8446
    /// 5.2: the type is always that of data, and the real one is encrypted as well.
    pub(crate) fn header(&self, kind: u8, len: usize) -> Vec<u8> {
        let (kind, explicit, inner) = match (self.is_13(), self.is_explicit()) {
            (true, _) => (23, vec![], 1),
            (false, true) => (kind, self.explicit().to_vec(), 0),
            (false, false) => (kind, vec![], 0),
        };
        let length = explicit.len() + len + inner + 16;
        let mut header = vec![kind, 3, 3, (length / 256) as u8, (length % 256) as u8];
        header.extend(explicit);
        header
    }

    /// RFC 5246 6.2.3.3: number, type, version, length of the plaintext; RFC 8446 5.2: the header.
    pub(crate) fn aad(&self, kind: u8, len: usize) -> Vec<u8> {
        if self.is_13() {
            return self.header(kind, len);
        }
        let mut aad = self.seq.to_be_bytes().to_vec();
        aad.extend([kind, 3, 3, (len / 256) as u8, (len % 256) as u8]);
        aad
    }

    /// The next record, with `padding` bytes of zeroes if there can be any.
    pub(crate) fn seal(&mut self, kind: u8, content: &[u8], padding: usize) -> Vec<u8> {
        let mut text = content.to_vec();
        let mut len = content.len();
        if self.is_13() {
            text.push(kind);
            text.resize(text.len() + padding, 0);
            len += padding;
        }
        let mut record = self.header(kind, len);
        record.extend(toy_seal(&self.nonce(), &self.aad(kind, len), &text));
        self.seq += 1;
        record
    }

    pub(crate) fn check(&self, protection: &Protection, kind: u8, len: usize) {
        let header = protection.header(kind, len);
        let aad = protection.aad(kind, len);
        let (header, aad) = (header.as_slice(), aad.as_slice());
        assert_eq!(header, self.header(kind, len));
        assert_eq!(aad, self.aad(kind, len));
        let ccm = [53, 56].contains(&self.suite.id);
        let iv = &protection.crypto_iv()[usize::from(ccm)..];
        assert_eq!(&iv[..NONCE_LEN], self.nonce());

        // Everything else follows from these, so it has to agree with them.
        let (prefix, tail) = (protection.prefix_len(), protection.tail_len());
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        assert_eq!(length, prefix - 5 + len + tail + 16);
        assert_eq!(length + HEADER_LEN, len + protection.overhead());
        assert_eq!(header.len(), prefix);
        assert!(header.len() <= MAX_PREFIX && aad.len() <= MAX_PREFIX);
        assert_eq!(protection.aad_fits_prefix(), aad.len() == prefix);
        assert_eq!(tail, usize::from(self.is_13()));
    }
}

/// Where the complete records of a stream are, and what ends the connection behind them.
///
/// RFC 5246 6.2 and RFC 8446 5.2 have the limits, and the alerts; the module has an error for each
/// of these, see the documentation.
pub(crate) fn framing(model: &Model, stream: &[u8]) -> (Vec<Range<usize>>, Option<Error>) {
    let explicit = if model.is_explicit() { 8 } else { 0 };
    let inner = usize::from(model.is_13());
    let mut records = Vec::new();
    let mut at = 0;
    while stream.len() - at >= 5 + explicit {
        let header = &stream[at..at + 5];
        let length = usize::from(header[3]) * 256 + usize::from(header[4]);
        let error = if length > explicit + 16384 + inner + 16 {
            Some(EMSGSIZE)
        } else if length < explicit + 16 {
            Some(EBADMSG)
        } else if header[1..3] != [3, 3] {
            Some(EINVAL)
        } else if model.is_13() && header[0] != 23 {
            Some(EBADMSG)
        } else {
            None
        };
        if error.is_some() {
            return (records, error);
        }
        let end = at + 5 + length;
        if end > stream.len() {
            break;
        }
        records.push(at..end);
        at = end;
    }
    (records, None)
}

/// Moves `state` on by some bytes. Not a good hash, but one that sees every byte and the order.
fn mix(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |state, byte| {
        (state ^ u64::from(*byte))
            .wrapping_mul(0x0000_0100_0000_01b3)
            .rotate_left(23)
    })
}

/// Text that was, or is to be, hidden with `nonce`.
fn toy_cipher(nonce: &[u8], text: &[u8]) -> Vec<u8> {
    let mut stream = Random::new(mix(1, nonce));
    text.iter().map(|b| b ^ stream.next() as u8).collect()
}

/// Ciphertext and tag of a cipher that is as particular as a real one, though of no use as one:
/// who opens it with another nonce or other additional data gets nothing.
pub(crate) fn toy_seal(nonce: &[u8], aad: &[u8], text: &[u8]) -> Vec<u8> {
    let mut sealed = toy_cipher(nonce, text);
    let tag = mix(mix(mix(2, nonce), aad), text);
    sealed.extend(tag.to_be_bytes());
    sealed.extend((!tag).to_be_bytes());
    sealed
}

/// What [`toy_seal`] has sealed.
pub(crate) fn toy_open(nonce: &[u8], aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (hidden, _) = sealed.split_at_checked(sealed.len().checked_sub(16)?)?;
    let text = toy_cipher(nonce, hidden);
    (toy_seal(nonce, aad, &text) == sealed).then_some(text)
}
