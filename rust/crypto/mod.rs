// SPDX-License-Identifier: GPL-2.0

//! The kernel crypto API.

mod aead;
mod batch;
mod inflight;
mod open;
mod secret;
mod sg;

pub use aead::{
    Aad,
    Aead,
    Request, //
};
pub use batch::Opening;
pub use inflight::{
    InFlight,
    Notify,
    Prepared, //
};
pub use open::Cipher;
pub use secret::Secret;
pub use sg::Text;
