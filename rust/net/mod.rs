// SPDX-License-Identifier: GPL-2.0

//! Networking.

mod callout;
pub mod diag;
pub mod mib;
pub mod msg;
pub mod ns;
#[cfg(CONFIG_TLS_DEVICE)]
mod offload;
mod pernet;
pub mod pipe;
pub mod reader;
pub mod recvq;
mod shutdown;
pub mod sock;
pub mod sockopt;
pub mod tls_abi;
pub mod ulp;
