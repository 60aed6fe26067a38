// SPDX-License-Identifier: GPL-2.0

//! TCP upper layer protocols.
//!
//! A protocol implements [`Ulp`] and registers with [`Registration::new`]. What it gets to see of
//! a socket says in which context it is called:
//!
//! * [`UnlockedSock`]: in a task, without the socket's lock, which it can take;
//! * [`LockedSock`](super::sock::LockedSock): in a task, with the lock; a [`UlpSock`] beside it is
//!   the socket itself;
//! * [`Handle`]: anywhere, also in a callback of TCP, where it must not sleep.
//!
//! The data of a socket has three parts to match: [`Ulp::Context`] with locks of its own,
//! [`Ulp::State`] under the socket's lock, and [`Ulp::Shared`] for everybody.
//!
//! C headers: [`include/net/tcp.h`](srctree/include/net/tcp.h) (`struct tcp_ulp_ops`),
//! [`include/net/sock.h`](srctree/include/net/sock.h) (`struct proto`),
//! [`include/linux/net.h`](srctree/include/linux/net.h) (`struct proto_ops`)

mod attach;
mod attached;
mod below;
mod io;
mod proto;
mod registration;
mod task;
mod vtable;

use super::{
    diag::Nest,
    msg::{
        Flags,
        RecvMsg,
        SendMsg, //
    },
    pipe::Pipe,
    reader::Reader,
    sock::{
        Guarded,
        LockedSock, //
    },
    sockopt::{
        OptOut,
        OptVal, //
    },
    tls_abi::TlsContext, //
};
use kernel::prelude::*;

pub use attached::Handle;
pub use proto::Half;
pub use registration::{
    Registration,
    Registry,
    RegistryRef, //
};
pub use task::{
    Exclusive,
    UlpSock,
    UnlockedSock, //
};

/// A TCP upper layer protocol.
pub trait Ulp: Sized + 'static {
    /// The name for `TCP_ULP`.
    const NAME: &'static CStr;

    /// The level of the protocol's socket options.
    const LEVEL: c_int;

    /// The attribute of `ss -i` that holds the protocol's own.
    const INFO: u16;

    /// What callbacks may look at, at any time, as long as the socket is attached. Must not need
    /// to be dropped.
    type Shared: Send + Sync;

    /// What the socket's lock protects.
    type State: Send;

    /// What has locks of its own.
    type Context: Send + Sync;

    /// The protocol's static memory.
    const REGISTRY: RegistryRef<Self>;

    /// The shared data of a new socket.
    fn shared() -> Self::Shared;

    /// The state of a new socket.
    fn state() -> Self::State;

    /// The context of a new socket.
    fn context() -> impl PinInit<Self::Context, Error>;

    /// Sets an option.
    fn setsockopt(sk: &UnlockedSock<'_, Self>, name: c_int, value: &OptVal<'_>) -> Result;

    /// Writes the value of an option.
    fn getsockopt(sk: &UnlockedSock<'_, Self>, name: c_int, out: &mut OptOut) -> Result;

    /// Sends a message; returns how many bytes were accepted. Called when [`Half::Send`] is on.
    fn sendmsg(sk: &UnlockedSock<'_, Self>, msg: &mut SendMsg<'_>) -> Result<usize>;

    /// The source of a splice has come to its end. Called when [`Half::Send`] is on.
    fn splice_eof(sk: &UnlockedSock<'_, Self>);

    /// There is room to send again. A callback of TCP's; called when [`Half::Send`] is on.
    fn write_space(sk: &Handle<Self>);

    /// Nothing more is to be sent. Returns whether TCP may send the end at once; otherwise
    /// [`UlpSock::end`] has to be called later, when [`LockedSock::owes_end`] says so. Called
    /// when [`Half::Send`] is on.
    fn shutdown(sk: &UlpSock<'_, Self>, locked: &mut LockedSock<'_, Self::State>) -> bool;

    /// Receives into a message; returns how many bytes. Called when [`Half::Receive`] is on, as
    /// are all that follow.
    fn recvmsg(sk: &UnlockedSock<'_, Self>, msg: &mut RecvMsg<'_>, flags: Flags) -> Result<usize>;

    /// Moves what is received into a pipe; returns how many bytes.
    fn splice_read(
        sk: &UnlockedSock<'_, Self>,
        pipe: &mut Pipe<'_>,
        len: usize,
        nonblock: bool,
    ) -> Result<usize>;

    /// Passes what is received to a reader in the kernel, which has the lock; returns how many
    /// bytes it has taken.
    fn read_sock(
        sk: &UlpSock<'_, Self>,
        locked: &mut LockedSock<'_, Self::State>,
        reader: &mut Reader<'_>,
    ) -> Result<usize>;

    /// A reader in the kernel was told of something, and may not sleep where it is: receivers are
    /// to be told again, by the work.
    fn read_later(sk: &Handle<Self>);

    /// Packets have arrived. A callback of TCP's. Returns whether receivers are to be told.
    fn data_ready(sk: &Handle<Self>, guarded: &mut Guarded<'_, Self::State>) -> bool;

    /// Whether there is something to be received.
    fn is_readable(shared: &Self::Shared) -> bool;

    /// Does in a task what [`Handle::schedule`] was called for.
    fn work(sk: &UnlockedSock<'_, Self>);

    /// The socket is being closed; no other call is under way or will come, but for callbacks.
    /// What has to be done with a lock is done here. Afterwards state and context are dropped,
    /// without any.
    ///
    /// Returns the socket's lock, under which it is then detached.
    fn close<'a>(sk: &UnlockedSock<'a, Self>) -> LockedSock<'a, Self::State>;

    /// Writes what netlink shows of the socket.
    fn info(abi: &TlsContext, nest: &mut Nest<'_>) -> Result;

    /// The most bytes of message that [`Ulp::info`] needs.
    fn info_size() -> usize;
}
