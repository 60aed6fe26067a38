// SPDX-License-Identifier: GPL-2.0

//! AES-128-GCM by its definition (FIPS 197, NIST SP 800-38D), for nothing but a few records.

/// The product of two elements of the field of AES.
fn times(a: u8, b: u8) -> u8 {
    (0..8).rev().fold(0, |product, bit| {
        let doubled = (product << 1) ^ if product & 0x80 == 0 { 0 } else { 0x1b };
        doubled ^ if b >> bit & 1 == 0 { 0 } else { a }
    })
}

/// The inverse, which is the 254th power, and then the affine map.
fn substitute(x: u8) -> u8 {
    let inverse = (0..254).fold(1, |power, _| times(power, x));
    (1..5).fold(inverse ^ 0x63, |sum, n| sum ^ inverse.rotate_left(n))
}

/// The cipher on one block.
fn aes(key: &[u8; 16], block: u128) -> u128 {
    let mut round_key = *key;
    let mut state = (block ^ u128::from_be_bytes(*key)).to_be_bytes();
    let mut constant = 1;
    for round in 1..=10 {
        for i in 0..16 {
            round_key[i] ^= match i {
                0 => substitute(round_key[13]) ^ constant,
                1 | 2 => substitute(round_key[i + 13]),
                3 => substitute(round_key[12]),
                _ => round_key[i - 4],
            };
        }
        constant = times(constant, 2);

        // Column c of row r comes from column c + r.
        let mut next = [0; 16];
        for (i, byte) in next.iter_mut().enumerate() {
            *byte = substitute(state[(i + 4 * (i % 4)) % 16]);
        }
        if round < 10 {
            let rows = next;
            for (i, byte) in next.iter_mut().enumerate() {
                let at = |n| rows[i / 4 * 4 + (i + n) % 4];
                *byte = times(at(0), 2) ^ times(at(1), 3) ^ at(2) ^ at(3);
            }
        }
        for (byte, key) in next.iter_mut().zip(round_key) {
            *byte ^= key;
        }
        state = next;
    }
    u128::from_be_bytes(state)
}

/// The next value of GHASH.
fn hash(sum: u128, block: u128, key: u128) -> u128 {
    let x = sum ^ block;
    let mut product = 0;
    let mut v = key;
    for bit in (0..128).rev() {
        if x >> bit & 1 != 0 {
            product ^= v;
        }
        v = (v >> 1) ^ if v & 1 == 0 { 0 } else { 0xe1 << 120 };
    }
    product
}

/// The bytes in blocks, the last one filled up with zeroes.
fn blocks(bytes: &[u8]) -> impl Iterator<Item = u128> + '_ {
    bytes.chunks(16).map(|chunk| {
        let mut block = [0; 16];
        block[..chunk.len()].copy_from_slice(chunk);
        u128::from_be_bytes(block)
    })
}

/// The ciphertext of `text`, and the tag.
pub(crate) fn seal(key: &[u8; 16], nonce: &[u8], aad: &[u8], text: &[u8]) -> Vec<u8> {
    assert_eq!(nonce.len(), 12);
    let first = blocks(nonce).next().unwrap() | 1;
    let mut out = Vec::new();
    for (chunk, counter) in text.chunks(16).zip(first + 1..) {
        let stream = aes(key, counter).to_be_bytes();
        out.extend(chunk.iter().zip(stream).map(|(byte, s)| byte ^ s));
    }
    let h = aes(key, 0);
    let lengths = (aad.len() as u128 * 8) << 64 | text.len() as u128 * 8;
    let sum = blocks(aad)
        .chain(blocks(&out))
        .chain([lengths])
        .fold(0, |sum, block| hash(sum, block, h));
    out.extend((sum ^ aes(key, first)).to_be_bytes());
    out
}
