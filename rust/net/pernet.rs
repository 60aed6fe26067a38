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
    sync::atomic::{
        Acquire,
        Atomic,
        Release, //
    },
    types::Opaque, //
};

/// Name of the file in `/proc/net`.
const PROC_NAME: &CStr = c"tls_stat";

/// What C knows of us. A namespace has room for one set of counters, so there is one.
static OPS: Ops = Ops {
    in_use: Atomic::new(false),
    ops: Opaque::zeroed(),
};

struct Ops {
    in_use: Atomic<bool>,
    ops: Opaque<bindings::pernet_operations>,
}

// SAFETY: `ops` is only written by the owner of `in_use`, before C gets to see it.
unsafe impl Sync for Ops {}

/// The registration of counters for all namespaces, now and later. There is at most one.
///
/// # Invariants
///
/// `OPS` is registered, and in use by this value.
pub(super) struct Pernet(());

impl Pernet {
    /// Gives all namespaces their counters. Fails with `EEXIST` if they have them.
    pub(super) fn register() -> Result<Self> {
        if OPS.in_use.xchg(true, Acquire) {
            return Err(EEXIST);
        }
        let ops = OPS.ops.get();
        // SAFETY: `in_use` makes the memory ours, and C does not know it yet. It stays.
        let ret = unsafe {
            ops.write(bindings::pernet_operations {
                init: Some(init),
                exit: Some(exit),
                ..Default::default()
            });
            to_result(bindings::register_pernet_subsys(ops))
        };
        match ret {
            // INVARIANT: It was registered just now.
            Ok(()) => Ok(Self(())),
            Err(e) => {
                OPS.in_use.store(false, Release);
                Err(e)
            }
        }
    }
}

impl Drop for Pernet {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it is registered.
        unsafe { bindings::unregister_pernet_subsys(OPS.ops.get()) };
        OPS.in_use.store(false, Release);
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
