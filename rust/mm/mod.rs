// SPDX-License-Identifier: GPL-2.0

//! Memory.

mod frag;

pub use frag::{
    Frag,
    FragMut, //
};
