// SPDX-License-Identifier: GPL-2.0

//! What every network namespace has: counters, and a file in `/proc/net` that shows them.
//!
//! C headers: [`include/net/net_namespace.h`](srctree/include/net/net_namespace.h),
//! [`include/linux/proc_fs.h`](srctree/include/linux/proc_fs.h)

use super::{
    mib::COUNTERS,
    ns::Net, //
};
use crate::bindings;
use kernel::{
    error::to_result,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    types::Opaque, //
};

/// Name of the file in `/proc/net`.
const PROC_NAME: &CStr = c"tls_stat";

/// The registration of counters for all namespaces, now and later.
///
/// # Invariants
///
/// `ops` is registered, and pinned.
#[pin_data(PinnedDrop)]
pub(super) struct Pernet {
    #[pin]
    ops: Opaque<bindings::pernet_operations>,
}

// SAFETY: There is nothing to be done with it but drop it, which any thread may do.
unsafe impl Send for Pernet {}
// SAFETY: As above.
unsafe impl Sync for Pernet {}

impl Pernet {
    /// Gives all namespaces their counters.
    pub(super) fn register() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            // SAFETY: `slot` is valid for writes, and stays where it is: it is pinned.
            ops <- Opaque::try_ffi_init(|slot: *mut bindings::pernet_operations| unsafe {
                slot.write(bindings::pernet_operations {
                    init: Some(init),
                    exit: Some(exit),
                    ..Default::default()
                });
                to_result(bindings::register_pernet_subsys(slot))
            }),
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Pernet {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant it is registered.
        unsafe { bindings::unregister_pernet_subsys(self.ops.get()) };
    }
}

/// # Safety
///
/// C calls this once for each namespace, before it is used.
unsafe extern "C" fn init(net: *mut bindings::net) -> c_int {
    // SAFETY: C passes a valid namespace.
    let ns = unsafe { Net::from_raw(net) };
    // SAFETY: The namespace is being set up.
    if let Err(e) = unsafe { ns.alloc_counters() } {
        return e.to_errno();
    }
    // SAFETY: The namespace has its `/proc/net`. The name is a valid string, and `show()` is what
    // the C function wants.
    let file = unsafe {
        bindings::proc_create_net_single(
            PROC_NAME.as_char_ptr(),
            0o444,
            (*net).proc_net,
            Some(show),
            core::ptr::null_mut(),
        )
    };
    if cfg!(CONFIG_PROC_FS) && file.is_null() {
        // SAFETY: Nobody uses the counters yet.
        unsafe { ns.free_counters() };
        return ENOMEM.to_errno();
    }
    0
}

/// # Safety
///
/// C calls this once for each namespace for which `init()` succeeded, when it is used no more.
unsafe extern "C" fn exit(net: *mut bindings::net) {
    // SAFETY: C passes a valid namespace, which has the file and the counters.
    unsafe {
        bindings::remove_proc_entry(PROC_NAME.as_char_ptr(), (*net).proc_net);
        Net::from_raw(net).free_counters();
    }
}

/// # Safety
///
/// C calls this for the file that `init()` has created.
unsafe extern "C" fn show(seq: *mut kernel::bindings::seq_file, _: *mut c_void) -> c_int {
    // SAFETY: A file made by `proc_create_net_single()` holds its namespace.
    let net = unsafe { Net::from_raw(bindings::knet_seq_file_net(seq)) };
    // SAFETY: C passes a valid file, and nobody else uses it meanwhile.
    let seq = unsafe { SeqFile::from_raw(seq) };
    for (counter, name) in COUNTERS {
        seq_print!(seq, "{:<32}\t{}\n", name, net.sum(*counter));
    }
    0
}
