// SPDX-License-Identifier: GPL-2.0

//! Locks that the kernel crate does not have.

mod mutex;

pub use mutex::{
    IntrMutex,
    IntrMutexGuard, //
};
