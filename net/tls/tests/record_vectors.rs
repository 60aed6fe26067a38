// SPDX-License-Identifier: GPL-2.0

//! Records of published connections, and published nonces.

use crate::{
    aes_gcm,
    cipher::{
        Version,
        NONCE_LEN, //
    },
    cipher_tests::suite,
    frame::{
        unpad,
        Frame, //
    },
    record::Protection, //
};

/// The bytes of hexadecimal `digits`.
fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits
        .chars()
        .filter_map(|c| c.to_digit(16))
        .map(|d| d as u8)
        .collect();
    digits.chunks(2).map(|d| d[0] << 4 | d[1]).collect()
}

fn hex_array<const N: usize>(digits: &str) -> [u8; N] {
    hex(digits).try_into().unwrap()
}

/// The next record of `protection`, made with the cipher of [`aes_gcm`].
fn record(protection: &Protection, key: &[u8; 16], kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut text = payload.to_vec();
    match protection.tail_len() {
        0 => (),
        n => {
            assert_eq!(n, 1);
            text.push(kind);
        }
    }
    let len = payload.len();
    let nonce = protection.crypto_iv();
    let aad = protection.aad(kind, len);
    let mut record = protection.header(kind, len).as_slice().to_vec();
    record.extend(aes_gcm::seal(
        key,
        &nonce[..NONCE_LEN],
        aad.as_slice(),
        &text,
    ));
    assert_eq!(record.len(), len + protection.overhead());

    // The receiver finds the same record, and would open it with the same inputs.
    let frame = Frame::parse(protection, &record).unwrap();
    assert_eq!(frame.len, record.len());
    assert_eq!(protection.peer_iv(frame.explicit_nonce()), nonce);
    assert_eq!(protection.aad(frame.kind, len).as_slice(), aad.as_slice());
    assert_eq!(unpad(&text), Some((len, kind)));
    record
}

/// Checks the records that one side of RFC 8448 3 sends, from number `seq` on.
fn check_8448(key: &str, iv: &str, seq: u64, records: &[(u8, &str, &str)]) {
    let key = hex_array(key);
    let mut protection = Protection::new(Version::Tls13, suite(51), hex_array(iv), seq);
    for (kind, payload, complete) in records {
        assert_eq!(
            record(&protection, &key, *kind, &hex(payload)),
            hex(complete),
            "type {kind}"
        );
        protection.advance().unwrap();
    }
}

/// Fifty bytes of application data, from 0 to 49.
const DATA: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
    202122232425262728292a2b2c2d2e2f3031";

#[test]
fn rfc8448_client_handshake() {
    check_8448(
        "dbfaa693d1762c5b666af5d950258d01",
        "5bd3c71b836e0b76bb73265f",
        0,
        &[(
            22,
            "14000020 a8ec436d677634ae525ac1fcebe11a039ec17694fac6e98527b642f2edd5ce61",
            "1703030035 75ec4dc238cce60b298044a71e219c56cc77b0517fe9b93c7a4bfc44d87f38f8
             0338ac98fc46deb384bd1caeacab6867d726c40546",
        )],
    );
}

#[test]
fn rfc8448_client_application() {
    check_8448(
        "17422dda596ed5d9acd890e3c63f5051",
        "5b78923dee08579033e523d9",
        0,
        &[
            (
                23,
                DATA,
                "1703030043 a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5
                 b46b395bd54a9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4",
            ),
            (
                21,
                "0100",
                "1703030013 c9872760655666b74d7ff1153efd6db6d0b0e3",
            ),
        ],
    );
}

/// Number 0 is a ticket.
#[test]
fn rfc8448_server_application() {
    check_8448(
        "9f02283b6c9c07efc26bb9f2ac92e356",
        "cf782b88dd83549aadf1e984",
        1,
        &[
            (
                23,
                DATA,
                "1703030043 2e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d
                 90e6dffc602dcb501a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d",
            ),
            (
                21,
                "0100",
                "1703030013 b58fd67166ebf599d24720cfbe7efa7a8864a9",
            ),
        ],
    );
}

/// The nonces of QUIC are made like those of TLS 1.3: RFC 9001 A.2, A.3 and A.5 have some with
/// numbers of several bytes.
#[test]
fn rfc9001_nonces() {
    for (id, iv, number, nonce) in [
        (
            51,
            "fa044b2f42a3fd3b46fb255c",
            2,
            "fa044b2f42a3fd3b46fb255e",
        ),
        (
            51,
            "0ac1493ca1905853b0bba03e",
            1,
            "0ac1493ca1905853b0bba03f",
        ),
        (
            54,
            "e0459b3474bdd0e44a41c144",
            654_360_564,
            "e0459b3474bdd0e46d417eb0",
        ),
    ] {
        let protection = Protection::new(Version::Tls13, suite(id), hex_array(iv), number);
        assert_eq!(protection.crypto_iv()[..NONCE_LEN], hex(nonce));
    }
    // RFC 7905 2 has that for TLS 1.2, too.
    let iv = hex_array("e0459b3474bdd0e44a41c144");
    let protection = Protection::new(Version::Tls12, suite(54), iv, 654_360_564);
    assert_eq!(
        protection.crypto_iv()[..NONCE_LEN],
        hex("e0459b3474bdd0e46d417eb0")
    );
}

/// The cipher of these tests, with the fourth vector of the GCM specification.
#[test]
fn the_reference_is_right() {
    let sealed = aes_gcm::seal(
        &hex_array("feffe9928665731c6d6a8f9467308308"),
        &hex("cafebabefacedbaddecaf888"),
        &hex("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
        &hex(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
             1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        ),
    );
    assert_eq!(
        sealed,
        hex(
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
             21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091
             5bc94fbc3221a5db94fae95ae7121a47"
        )
    );
}
