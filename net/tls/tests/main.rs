// SPDX-License-Identifier: GPL-2.0

//! Tests of the files that know no kernel types, or few, to be run on the host:
//!
//! ```sh
//! rustc --edition 2021 -D warnings --test net/tls/tests/main.rs -o unit && ./unit
//! ```
//!
//! They are compiled into this crate as they are. What each of them has to be like comes from the
//! RFCs and from the UAPI header, never from the code itself.

// What `rx/stream.rs` knows under these names is in [`stand_in`].
extern crate self as kernel;
extern crate self as knet;

#[path = "../cipher.rs"]
mod cipher;
#[path = "../rx/frame.rs"]
mod frame;
#[path = "../record.rs"]
mod record;
#[path = "../rx/stream.rs"]
mod stream;

mod aes_gcm;
mod model;
mod random;
mod receiver;
mod stand_in;
mod uapi;

use record::MAX_PAYLOAD;
use stand_in::{
    alloc,
    mm,
    net,
    page,
    prelude, //
};

/// As in the module.
const MAX_PLAIN: usize = MAX_PAYLOAD + 1;

#[path = "cipher.rs"]
mod cipher_tests;
#[path = "frame.rs"]
mod frame_tests;
#[path = "record.rs"]
mod record_tests;
#[path = "record_vectors.rs"]
mod record_vectors;
// Only on the host: so much takes hours on a kernel with KASAN.
#[path = "stream.rs"]
mod stream_tests;
