// SPDX-License-Identifier: GPL-2.0

//! Safe abstractions over the kernel's networking and crypto interfaces.
//!
//! One module per C concept, named as in C. All unsafe code of the project is in this crate; a
//! protocol built on it needs none. It knows nothing of the protocol, with one exception that C
//! makes: [`net::tls_abi`] is the layout that other kernel code reads from a TLS socket.

// Counters and `/proc` file of each namespace have one owner.
#[cfg(all(MODULE, CONFIG_TLS = "y"))]
compile_error!("this kernel has TLS built in, so no module can be loaded: it needs CONFIG_TLS=m");

pub(crate) use knet_bindings as bindings;

/// What messages in the kernel's log begin with.
const __LOG_PREFIX: &[u8] = b"knet\0";

pub mod crypto;
pub mod mm;
pub mod net;
pub mod sync;
