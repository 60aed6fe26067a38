// SPDX-License-Identifier: GPL-2.0

//! What other kernel code reads of a TLS socket (`struct tls_context`).
//!
//! Drivers, BPF and bonding take `icsk_ulp_data` of a socket for a pointer to this structure.
//! Whoever attaches to the protocol's name has to keep one there, at the start of its own data.
//!
//! C header: [`include/net/tls.h`](srctree/include/net/tls.h)

use crate::bindings;
use core::mem::offset_of;
use kernel::{
    prelude::*,
    types::Opaque, //
};

/// The level of the socket options and control messages of TLS.
pub const SOL_TLS: c_int = bindings::SOL_TLS as c_int;

/// The control message that sets the content type of what is sent.
pub const TLS_SET_RECORD_TYPE: c_int = bindings::TLS_SET_RECORD_TYPE as c_int;

/// The control message that tells the content type of what was received.
pub const TLS_GET_RECORD_TYPE: c_int = bindings::TLS_GET_RECORD_TYPE as c_int;

/// Who does the work of one direction (`TLS_BASE`, `TLS_SW`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Conf {
    /// Nobody: plain TCP.
    Base = bindings::TLS_BASE as isize,
    /// The kernel.
    Software = bindings::TLS_SW as isize,
}

/// The most bytes of payload in a record (`TLS_MAX_PAYLOAD_SIZE`).
const MAX_PAYLOAD: u16 = 1 << 14;

// The bit fields: `tx_conf`, `rx_conf`, `zerocopy_sendfile`, `rx_no_pad`.
const TX_CONF: u8 = 0b0000_0111;
const RX_CONF: u8 = 0b0011_1000;
const ZEROCOPY: u8 = 0b0100_0000;
const NO_PAD: u8 = 0b1000_0000;

/// Bytes of the structure that there are: up to `netdev`, which is null. Nobody looks behind that
/// unless a device works for the socket.
const LEN: usize = 64;

/// The structure that C code reads, as far as it reads it.
///
/// # Invariants
///
/// It is written with single stores only, because C reads it without a lock.
#[repr(C, align(8))]
pub struct TlsContext(Opaque<[u8; LEN]>);

// SAFETY: All accesses are single loads and stores of integers.
unsafe impl Send for TlsContext {}
// SAFETY: Several threads may do so at the same time: no access is torn.
unsafe impl Sync for TlsContext {}

// The fields that others look at, where they look for them.
const _: () = {
    assert!(offset_of!(bindings::tls_context, prot_info) == 0);
    assert!(offset_of!(bindings::tls_context, _bitfield_1) == 20);
    assert!(offset_of!(bindings::tls_context, priv_ctx_tx) == 40);
    assert!(offset_of!(bindings::tls_context, priv_ctx_rx) == 48);
    assert!(offset_of!(bindings::tls_context, netdev) == 56);
    assert!(LEN == 56 + size_of::<*mut bindings::net_device>());
    assert!(align_of::<TlsContext>() >= align_of::<bindings::tls_context>());
};

impl Default for TlsContext {
    /// Nobody does anything in either direction, and records are as long as they may be.
    #[inline]
    fn default() -> Self {
        let this = Self(Opaque::zeroed());
        this.set_max_payload(MAX_PAYLOAD);
        this
    }
}

macro_rules! field {
    ($(#[$doc:meta])* $set:ident, $get:ident, $($path:ident).+: $ty:ty) => {
        $(#[$doc])*
        #[inline]
        pub fn $set(&self, value: $ty) {
            // SAFETY: The field is valid, and written with a single store.
            unsafe { core::ptr::write_volatile(&raw mut (*self.raw()).$($path).+, value) }
        }

        $(#[$doc])*
        #[inline]
        pub fn $get(&self) -> $ty {
            // SAFETY: The field is valid, and read with a single load.
            unsafe { core::ptr::read_volatile(&raw const (*self.raw()).$($path).+) }
        }
    };
}

impl TlsContext {
    field!(
        /// The number of the protocol version; 0 as long as there is none.
        set_version, version, prot_info.version: u16
    );
    field!(
        /// The number of the cipher suite; 0 as long as there is none.
        set_cipher, cipher, prot_info.cipher_type: u16
    );
    field!(
        /// The most bytes of payload in a record.
        set_max_payload, max_payload, tx_max_payload_len: u16
    );

    /// The structure, of which only the fields within the first `LEN` bytes are there.
    #[inline]
    fn raw(&self) -> *mut bindings::tls_context {
        self.0.get().cast()
    }

    /// The byte of bit fields: who sends, who receives, and two options.
    #[inline]
    fn bits(&self) -> *mut u8 {
        // SAFETY: The field is valid.
        unsafe { (&raw mut (*self.raw())._bitfield_1).cast() }
    }

    #[inline]
    fn load(&self) -> u8 {
        // SAFETY: The byte is valid, and read with a single load.
        unsafe { core::ptr::read_volatile(self.bits()) }
    }

    #[inline]
    fn update(&self, mask: u8, value: u8) {
        let byte = (self.load() & !mask) | value;
        // SAFETY: The byte is valid, and written with a single store.
        unsafe { core::ptr::write_volatile(self.bits(), byte) };
    }

    /// Sets who does the work for senders. Callers hold the socket's lock.
    #[inline]
    pub fn set_tx_conf(&self, conf: Conf) {
        self.update(TX_CONF, conf as u8);
        // C only asks whether there is something behind the pointer.
        let ptr = match conf {
            Conf::Base => core::ptr::null_mut(),
            Conf::Software => self.0.get().cast(),
        };
        // SAFETY: The field is valid, and written with a single store.
        unsafe { core::ptr::write_volatile(&raw mut (*self.raw()).priv_ctx_tx, ptr) };
    }

    /// Sets who does the work for receivers. Callers hold the socket's lock.
    #[inline]
    pub fn set_rx_conf(&self, conf: Conf) {
        self.update(RX_CONF, (conf as u8) << 3);
        let ptr = match conf {
            Conf::Base => core::ptr::null_mut(),
            Conf::Software => self.0.get().cast(),
        };
        // SAFETY: The field is valid, and written with a single store.
        unsafe { core::ptr::write_volatile(&raw mut (*self.raw()).priv_ctx_rx, ptr) };
    }

    /// Whether the kernel does the work for senders.
    #[inline]
    pub fn tx_is_software(&self) -> bool {
        self.load() & TX_CONF == Conf::Software as u8
    }

    /// Whether the kernel does the work for receivers.
    #[inline]
    pub fn rx_is_software(&self) -> bool {
        self.load() & RX_CONF == (Conf::Software as u8) << 3
    }

    /// Sets whether a device may send pages without a copy. Callers hold the socket's lock.
    pub fn set_zerocopy_sendfile(&self, on: bool) {
        self.update(ZEROCOPY, if on { ZEROCOPY } else { 0 });
    }

    /// Whether a device may send pages without a copy.
    #[inline]
    pub fn zerocopy_sendfile(&self) -> bool {
        self.load() & ZEROCOPY != 0
    }

    /// Sets whether the receiver does not expect padding. Callers hold the socket's lock.
    pub fn set_no_pad(&self, on: bool) {
        self.update(NO_PAD, if on { NO_PAD } else { 0 });
    }

    /// Whether the receiver does not expect padding.
    #[inline]
    pub fn no_pad(&self) -> bool {
        self.load() & NO_PAD != 0
    }
}
