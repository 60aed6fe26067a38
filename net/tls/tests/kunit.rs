// SPDX-License-Identifier: GPL-2.0

//! The unit tests of the host as KUnit suites: a module that runs them when it is loaded.
//!
//! They are the same tests. `kunit.awk` makes a crate of them (`kunit_tests`) and a list, which is
//! included here. A test that fails panics, and says where.

use kernel::prelude::*;

module! {
    type: Tests,
    name: "tls_kunit",
    authors: ["The Rust kTLS authors"],
    description: "KUnit tests of Transport Layer Security support (Rust)",
    license: "GPL",
}

/// The loaded module; KUnit finds the suites by itself.
struct Tests;

impl kernel::Module for Tests {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Tests)
    }
}

include!(env!("TLS_KUNIT_SUITES"));
