// SPDX-License-Identifier: GPL-2.0

//! Per-namespace counters of TLS (`struct linux_tls_mib`).
//!
//! C headers: [`include/uapi/linux/snmp.h`](srctree/include/uapi/linux/snmp.h),
//! [`include/net/snmp.h`](srctree/include/net/snmp.h)

use super::ns::Net;
use crate::bindings;
use kernel::prelude::*;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident = $field:ident, $label:literal;)*) => {
        /// A counter.
        #[derive(Clone, Copy)]
        #[repr(u32)]
        pub enum Counter {
            $($(#[$doc])* $name = bindings::$field,)*
        }

        /// All counters, in the order of `/proc/net/tls_stat`, with their names there.
        pub const COUNTERS: &[(Counter, &str)] = &[$((Counter::$name, $label),)*];
    };
}

counters! {
    /// Connections that send through software now.
    CurrTxSw = LINUX_MIB_TLSCURRTXSW, "TlsCurrTxSw";
    /// Connections that receive through software now.
    CurrRxSw = LINUX_MIB_TLSCURRRXSW, "TlsCurrRxSw";
    /// Connections that send through a device now.
    CurrTxDevice = LINUX_MIB_TLSCURRTXDEVICE, "TlsCurrTxDevice";
    /// Connections that receive through a device now.
    CurrRxDevice = LINUX_MIB_TLSCURRRXDEVICE, "TlsCurrRxDevice";
    /// Connections that ever sent through software.
    TxSw = LINUX_MIB_TLSTXSW, "TlsTxSw";
    /// Connections that ever received through software.
    RxSw = LINUX_MIB_TLSRXSW, "TlsRxSw";
    /// Connections that ever sent through a device.
    TxDevice = LINUX_MIB_TLSTXDEVICE, "TlsTxDevice";
    /// Connections that ever received through a device.
    RxDevice = LINUX_MIB_TLSRXDEVICE, "TlsRxDevice";
    /// Records that did not decrypt.
    DecryptError = LINUX_MIB_TLSDECRYPTERROR, "TlsDecryptError";
    /// Times that a device was told where a record begins.
    RxDeviceResync = LINUX_MIB_TLSRXDEVICERESYNC, "TlsRxDeviceResync";
    /// Records that had to be decrypted again.
    DecryptRetry = LINUX_MIB_TLSDECRYPTRETRY, "TlsDecryptRetry";
    /// Records with padding, or not with data, where none were expected.
    RxNoPadViolation = LINUX_MIB_TLSRXNOPADVIOL, "TlsRxNoPadViolation";
    /// Keys of receivers replaced.
    RxRekeyOk = LINUX_MIB_TLSRXREKEYOK, "TlsRxRekeyOk";
    /// Keys of receivers that could not be replaced.
    RxRekeyError = LINUX_MIB_TLSRXREKEYERROR, "TlsRxRekeyError";
    /// Keys of senders replaced.
    TxRekeyOk = LINUX_MIB_TLSTXREKEYOK, "TlsTxRekeyOk";
    /// Keys of senders that could not be replaced.
    TxRekeyError = LINUX_MIB_TLSTXREKEYERROR, "TlsTxRekeyError";
    /// Key updates received.
    RxRekeyReceived = LINUX_MIB_TLSRXREKEYRECEIVED, "TlsRxRekeyReceived";
}

impl Net {
    /// Adds one to a counter.
    #[inline]
    pub fn inc(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Takes one from a counter.
    #[inline]
    pub fn dec(&self, counter: Counter) {
        self.add(counter, -1);
    }

    #[inline]
    fn add(&self, counter: Counter, n: c_int) {
        // SAFETY: The namespace is valid. `Pernet` has allocated its counters before any socket
        // could be attached, and frees them after the last one is gone.
        unsafe { bindings::knet_tls_mib_add(self.as_raw(), counter as c_int, n) };
    }

    /// The sum of a counter over all CPUs.
    pub(crate) fn sum(&self, counter: Counter) -> usize {
        // SAFETY: The namespace is valid, and has its counters as long as it has the file that this
        // is for.
        unsafe { bindings::knet_tls_mib_sum(self.as_raw(), counter as c_int) }
    }

    /// Allocates the counters.
    ///
    /// # Safety
    ///
    /// The namespace is being set up, and has no counters.
    pub(super) unsafe fn alloc_counters(&self) -> Result {
        // SAFETY: This allocates, nothing else.
        let mib = unsafe { bindings::knet_alloc_tls_mib() };
        if mib.is_null() {
            return Err(ENOMEM);
        }
        // SAFETY: The caller promises that nobody uses the field yet.
        unsafe { (*self.as_raw()).mib.tls_statistics = mib };
        Ok(())
    }

    /// Frees the counters.
    ///
    /// # Safety
    ///
    /// The namespace is being taken down, has counters, and no sockets.
    pub(super) unsafe fn free_counters(&self) {
        // SAFETY: The caller promises that the namespace has counters, which were allocated by
        // `alloc_counters()`, and no sockets that could use them.
        unsafe {
            bindings::knet_free_tls_mib((*self.as_raw()).mib.tls_statistics);
            (*self.as_raw()).mib.tls_statistics = core::ptr::null_mut();
        }
    }
}
