// SPDX-License-Identifier: GPL-2.0

//! Tests of the files that know no kernel types, to be run on the host:
//!
//! ```sh
//! rustc --edition 2021 -D warnings --test net/tls/tests/main.rs -o unit && ./unit
//! ```
//!
//! They are compiled into this crate as they are. What each of them has to be like comes from the
//! RFCs and from the UAPI header, never from the code itself.

#[path = "../cipher.rs"]
mod cipher;
#[path = "../rx/frame.rs"]
mod frame;
#[path = "../record.rs"]
mod record;

mod aes_gcm;
mod random;
mod uapi;

#[path = "cipher.rs"]
mod cipher_tests;
#[path = "frame.rs"]
mod frame_tests;
#[path = "record.rs"]
mod record_tests;
#[path = "record_vectors.rs"]
mod record_vectors;
