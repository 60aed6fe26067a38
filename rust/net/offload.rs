// SPDX-License-Identifier: GPL-2.0

//! Symbols for drivers of devices that do TLS themselves.
//!
//! Bonding and some drivers of network cards import these from the module, and compare a socket's
//! pointers with their addresses. No socket is handed to a device here, so none has such a
//! pointer, and the drivers find out that there is nothing to do.
//!
//! C header: [`include/net/tls.h`](srctree/include/net/tls.h)

use crate::bindings;

/// Called before a packet of an offloaded socket goes to a device. There is none: any other
/// packet goes as it is.
///
/// # Safety
///
/// None: the packet is passed on.
#[no_mangle]
unsafe extern "C" fn tls_validate_xmit_skb(
    _sk: *mut bindings::sock,
    _dev: *mut bindings::net_device,
    skb: *mut bindings::sk_buff,
) -> *mut bindings::sk_buff {
    skb
}

/// Encrypts a packet of an offloaded socket that the device could not. There is no such packet;
/// whatever this one is, it must not leave in the clear.
///
/// # Safety
///
/// `skb` is a packet that belongs to the caller, who gives it away.
#[no_mangle]
unsafe extern "C" fn tls_encrypt_skb(skb: *mut bindings::sk_buff) -> *mut bindings::sk_buff {
    // SAFETY: The packet was given to this function.
    unsafe { bindings::knet_kfree_skb(skb) };
    core::ptr::null_mut()
}

/// Looks for the record at a TCP sequence number. No record is kept for devices.
///
/// # Safety
///
/// None: the arguments are not used.
#[no_mangle]
unsafe extern "C" fn tls_get_record(
    _context: *mut bindings::tls_offload_context_tx,
    _seq: u32,
    _record_sn: *mut u64,
) -> *mut bindings::tls_record_info {
    core::ptr::null_mut()
}

/// The destructor of offloaded sockets. Its address tells them from others; it is never called.
///
/// # Safety
///
/// None: the argument is not used.
#[no_mangle]
unsafe extern "C" fn tls_device_sk_destruct(_sk: *mut bindings::sock) {}

/// A device has lost track of an offloaded socket. There is none.
///
/// # Safety
///
/// None: the arguments are not used.
#[no_mangle]
unsafe extern "C" fn tls_offload_tx_resync_request(
    _sk: *mut bindings::sock,
    _got: u32,
    _expected: u32,
) {
}
