// SPDX-License-Identifier: GPL-2.0

//! The kernel crypto API.

mod aead;
mod inflight;
mod secret;
mod sg;

pub use aead::{
    Aad,
    Aead,
    Cipher,
    Request, //
};
pub use inflight::{
    InFlight,
    Notify,
    Prepared, //
};
pub use secret::Secret;
pub use sg::Text;
