// SPDX-License-Identifier: GPL-2.0

//! Kernel TLS: the record layer of TLS connections (RFC 5246, RFC 8446) as a TCP upper layer
//! protocol.
//!
//! The rooms, by the way that data goes:
//!
//! * [`cipher`], [`record`]: the protocol as pure functions, tested on the host;
//! * [`context`]: what a socket has;
//! * [`sockopt`]: the options of `SOL_TLS`;
//! * [`tx`]: from `sendmsg()` to TCP;
//! * [`rx`]: from TCP to `recvmsg()`;
//! * [`diag`]: what netlink shows.
//!
//! There is no unsafe code here: that is all in the crate below, `knet`.

use kernel::prelude::*;

#[forbid(unsafe_code)]
mod balance;
#[forbid(unsafe_code)]
mod cipher;
#[forbid(unsafe_code)]
mod context;
#[forbid(unsafe_code)]
mod diag;
#[forbid(unsafe_code)]
mod record;
#[forbid(unsafe_code)]
mod rx;
#[forbid(unsafe_code)]
mod sockopt;
#[forbid(unsafe_code)]
mod tx;
#[forbid(unsafe_code)]
mod vec;

use context::Tls;
use knet::{
    mm::{
        ChunkGuard,
        ScratchGuard, //
    },
    net::ulp::Registration, //
};

module! {
    type: Module,
    name: "tls",
    authors: ["The Rust kTLS authors"],
    description: "Transport Layer Security support (Rust)",
    license: "GPL",
    alias: ["tls", "tcp-ulp-tls"],
}

/// The loaded module. What comes first ends first, and begins last.
#[pin_data]
struct Module {
    _ulp: Registration<Tls>,
    _scratch: ScratchGuard,
    _chunks: ChunkGuard,
}

impl kernel::InPlaceModule for Module {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _chunks: ChunkGuard::new(c"tls-chunks")?,
            _scratch: rx::SCRATCH.start(c"tls-scratch")?,
            // Sockets come from here on, so nothing may fail behind it.
            _ulp: Registration::new(module)?,
        })
    }
}
