// SPDX-License-Identifier: GPL-2.0

//! Decrypting what a socket has received.
//!
//! C header: [`include/crypto/aead.h`](srctree/include/crypto/aead.h)

use super::{
    aead::{
        Aad,
        Op,
        Request,
        Rooms,
        DST_MAX,
        IV_LEN,
        SRC_MAX, //
    },
    sg::Table, //
};
use crate::{
    bindings,
    mm::FragMut,
    net::recvq::RecvQueue, //
};
use core::mem::MaybeUninit;
use kernel::prelude::*;

/// Where a ciphertext is, and at which offset it begins.
pub enum Cipher<'a, 'q> {
    /// In the receive queue of a socket.
    Queue(&'a mut RecvQueue<'q>, usize),
    /// In memory.
    Memory(&'a [FragMut], usize),
}

impl Request {
    /// Decrypts `len` bytes from `src`, the tag at their end included, into `dst`, from its start.
    /// Leading additional data is in `src`, directly before the ciphertext.
    ///
    /// Sleeps if the implementation completes requests later. Fails with `EBADMSG` if the text is
    /// not authentic, with `EINVAL` if there is not enough of it or too little room, and with
    /// `ENOSPC` if `src` is in too many pieces.
    pub fn open(
        &mut self,
        iv: &[u8; IV_LEN],
        aad: &Aad<'_>,
        src: Cipher<'_, '_>,
        dst: &mut [FragMut],
        len: usize,
    ) -> Result {
        let mut src_room = [const { MaybeUninit::uninit() }; SRC_MAX];
        let mut dst_room = [const { MaybeUninit::uninit() }; DST_MAX];
        self.set_inputs(iv, aad)?;
        let aad_len = aad.len();
        let (from, to) = self.open_tables(
            (aad_len, aad.leading()),
            src,
            dst,
            len,
            (&mut src_room, &mut dst_room),
        )?;
        // SAFETY: `open_tables()` has checked the lengths. `src` and `dst` are borrowed, the
        // latter exclusively, and the request has completed when `run()` returns.
        unsafe { self.run(Op::Open, aad_len, len, from, to) }
    }

    /// Fills the tables for [`Request::start`]: additional data and text, with the tag in the
    /// source. `leading` of the `aad_len` bytes of additional data, all or none, are directly before
    /// the ciphertext.
    #[inline(always)]
    pub(super) fn open_tables(
        &self,
        (aad_len, leading): (usize, usize),
        src: Cipher<'_, '_>,
        dst: &[FragMut],
        len: usize,
        room: Rooms<'_>,
    ) -> Result<(*mut bindings::scatterlist, *mut bindings::scatterlist)> {
        let mut from = Table::new(room.0);
        let mut to = Table::new(room.1);
        let plain = len.checked_sub(self.aead().tag_len()).ok_or(EINVAL)?;

        // Some implementations copy the additional data to the destination, so it has room.
        to.push_buf(self.aad_buf(), aad_len)?;
        to.push_range(dst, 0, plain)?;
        if leading == 0 {
            from.push_buf(self.aad_buf(), aad_len)?;
        }
        let total = len.wrapping_add(leading);
        match src {
            Cipher::Queue(queue, at) => {
                from.push_queue(queue, at.checked_sub(leading).ok_or(EINVAL)?, total)?;
            }
            Cipher::Memory(runs, at) => {
                from.push_range(runs, at.checked_sub(leading).ok_or(EINVAL)?, total)?;
            }
        }
        Ok((from.finish()?, to.finish()?))
    }
}
