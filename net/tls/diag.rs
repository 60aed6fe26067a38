// SPDX-License-Identifier: GPL-2.0

//! What `ss -i` shows of a TLS socket.
//!
//! UAPI headers: `include/uapi/linux/inet_diag.h`, `include/uapi/linux/tls.h`

use kernel::prelude::*;
use knet::net::{
    diag::{
        attribute_size,
        Nest, //
    },
    tls_abi::TlsContext, //
};

/// `INET_ULP_INFO_TLS`.
pub(crate) const INFO: u16 = 2;

// The attributes: `TLS_INFO_*`.
const VERSION: u16 = 1;
const CIPHER: u16 = 2;
const TX_CONF: u16 = 3;
const RX_CONF: u16 = 4;
const RX_NO_PAD: u16 = 6;
const TX_MAX_PAYLOAD_LEN: u16 = 7;

/// `TLS_CONF_BASE` or `TLS_CONF_SW`.
fn conf(software: bool) -> u16 {
    if software {
        2
    } else {
        1
    }
}

/// Writes the attributes.
pub(crate) fn info(abi: &TlsContext, nest: &mut Nest<'_>) -> Result {
    match abi.version() {
        0 => (),
        version => nest.put_u16(VERSION, version)?,
    }
    match abi.cipher() {
        0 => (),
        cipher => nest.put_u16(CIPHER, cipher)?,
    }
    nest.put_u16(TX_CONF, conf(abi.tx_is_software()))?;
    nest.put_u16(RX_CONF, conf(abi.rx_is_software()))?;
    if abi.no_pad() {
        nest.put_flag(RX_NO_PAD)?;
    }
    nest.put_u16(TX_MAX_PAYLOAD_LEN, abi.max_payload())
}

/// The most bytes that the attributes need: the nest, five numbers, and two flags.
pub(crate) fn info_size() -> usize {
    let flags = attribute_size(0).saturating_mul(3);
    let numbers = attribute_size(size_of::<u16>()).saturating_mul(5);
    flags.saturating_add(numbers)
}
