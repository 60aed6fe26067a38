// SPDX-License-Identifier: GPL-2.0

//! The end of what is sent: `shutdown()` and `close()`.
//!
//! What was accepted goes out before, whatever it waits for: TCP's buffer may be full, a driver
//! still at work, the record open. TCP buffers it from then on, so neither call waits for the
//! peer. `shutdown()` does not wait for anything: the end of the stream is put off if need be, and
//! sent by the task that is sending, or by the work.

use super::{
    Stop,
    Tx,
    Wait,
    RETRY_MS, //
};
use crate::{
    context::{
        Locked,
        TlsSock, //
    },
    record::content_type, //
};

/// Nothing more is to be sent. Returns whether TCP has got everything.
pub(crate) fn shutdown(sk: &TlsSock<'_>, locked: &mut Locked<'_>) -> bool {
    match sk.context().tx.try_lock() {
        Some(mut tx) => tx.as_mut().is_none_or(|tx| tx.finish(sk, locked)),
        // Its owner sends the end when its session ends.
        None => false,
    }
}

impl Tx {
    /// Has TCP send the end, if it has got everything.
    pub(super) fn end(&mut self, sk: &TlsSock<'_>, locked: &mut Locked<'_>) {
        if self.finish(sk, locked) {
            sk.end(locked);
        }
    }

    /// Hands what was accepted to TCP. Returns whether that was all; if not, the work goes on.
    fn finish(&mut self, sk: &TlsSock<'_>, locked: &mut Locked<'_>) -> bool {
        // TCP takes nothing as long as there is an error, which is not ours to report.
        if !locked.owes_end() || locked.sock().error().is_err() {
            return true;
        }
        self.enter(sk);
        match self.push_all(sk, locked, Wait::No) {
            Ok(()) if self.queue.is_empty() => true,
            Ok(()) => {
                self.leave_rest(sk, locked);
                false
            }
            Err(Stop::Full | Stop::Later(_)) => {
                sk.handle().schedule(RETRY_MS);
                false
            }
            // The connection is gone.
            Err(Stop::Gone(_) | Stop::Broken(_)) => true,
        }
    }

    fn push_all(
        &mut self,
        sk: &TlsSock<'_>,
        locked: &mut Locked<'_>,
        wait: Wait,
    ) -> Result<(), Stop> {
        self.close_record(sk, locked, content_type::DATA)?;
        self.reap(locked, wait)?;
        self.push_now(locked)
    }

    /// Hands what was accepted to TCP, and gives everything back. TCP then closes as it would
    /// have, with `SO_LINGER` and all.
    pub(crate) fn close(&mut self, sk: &TlsSock<'_>, locked: &mut Locked<'_>) {
        if self.charge.bytes() == 0 && self.open.is_empty() && self.queue.is_empty() {
            return;
        }
        // The socket is closed: no caller could be told of an error.
        let _ = self.push_all(sk, locked, Wait::Uninterrupted);
        self.clear(locked);
    }
}
