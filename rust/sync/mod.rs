// SPDX-License-Identifier: GPL-2.0

//! Locks and queues that the kernel crate does not have.

mod mutex;
mod wait;

pub use mutex::{
    IntrMutex,
    IntrMutexGuard, //
};
pub use wait::{
    Flag,
    WaitQueue, //
};
