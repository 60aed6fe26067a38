// SPDX-License-Identifier: GPL-2.0

//! What a TLS socket has.
//!
//! A direction that user space has not given keys for does not exist: it is `None`.

use crate::{
    cipher::MAX_KEYS_LEN,
    diag,
    record::Protection,
    rx::{
        self,
        Rx, //
    },
    sockopt,
    tx::{
        self,
        Tx, //
    }, //
};
use kernel::{
    prelude::*,
    sync::static_lock_class, //
};
use knet::{
    crypto::Secret,
    net::{
        diag::Nest,
        mib::Counter,
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
        tls_abi::{
            TlsContext,
            SOL_TLS, //
        },
        ulp::{
            Handle,
            Registry,
            RegistryRef,
            Ulp,
            UlpSock,
            UnlockedSock, //
        }, //
    },
    sync::{
        IntrMutex,
        WaitQueue, //
    }, //
};

/// The "tls" upper layer protocol.
pub(crate) struct Tls;

/// A socket with TLS, in a task.
pub(crate) type TlsSock<'a> = UlpSock<'a, Tls>;

/// A socket with TLS, in a task without its lock.
pub(crate) type Unlocked<'a> = UnlockedSock<'a, Tls>;

/// A socket with TLS, with its lock.
pub(crate) type Locked<'a> = LockedSock<'a, State>;

/// What callbacks may look at.
pub(crate) struct Shared {
    pub(crate) tx: tx::Flags,
    pub(crate) rx: rx::Flags,
}

/// What the socket's lock protects.
pub(crate) struct State {
    /// The keys for sending.
    pub(crate) tx: Option<Keys>,
    /// The receiver.
    pub(crate) rx: Option<Rx>,
}

impl State {
    /// What protects a direction, if it has keys.
    pub(crate) fn protection(&self, direction: Direction) -> Option<&Protection> {
        let keys = match direction {
            Direction::Tx => self.tx.as_ref(),
            Direction::Rx => self.rx.as_ref().map(Rx::keys),
        };
        keys.map(|keys| &keys.protection)
    }
}

/// A direction of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// What is sent.
    Tx,
    /// What is received.
    Rx,
}

/// One direction's keys as user space has passed them, and the protection made from them.
pub(crate) struct Keys {
    /// The key structure of the UAPI. Its IV and sequence number are the initial ones.
    info: Secret<MAX_KEYS_LEN>,
    /// The state of the next record.
    pub(crate) protection: Protection,
}

impl Keys {
    /// The keys for `protection`. Their structure is yet to be put in its place.
    pub(crate) fn new(protection: Protection) -> Self {
        Self {
            info: Secret::zeroed(),
            protection,
        }
    }

    /// The key structure of the UAPI.
    pub(crate) fn info(&self) -> &Secret<MAX_KEYS_LEN> {
        &self.info
    }

    /// Takes over the key structure. From here on the keys stay where they are: what moves leaves
    /// a copy behind.
    pub(crate) fn set_info(&mut self, info: &Secret<MAX_KEYS_LEN>) {
        self.info.copy_from(info);
    }
}

/// What has its own locks. They are taken before the socket's lock.
#[pin_data]
pub(crate) struct Context {
    /// The sender, which one task at a time uses, for as long as a send takes.
    #[pin]
    pub(crate) tx: IntrMutex<Option<Tx>>,
    /// Readers who wait for another one to be done.
    #[pin]
    pub(crate) readers: WaitQueue,
}

static REGISTRY: Registry<Tls> = Registry::new();

impl Ulp for Tls {
    const NAME: &'static CStr = c"tls";
    const LEVEL: c_int = SOL_TLS;
    const INFO: u16 = diag::INFO;
    const REGISTRY: RegistryRef<Self> = RegistryRef::new(&REGISTRY);

    type Shared = Shared;
    type State = State;
    type Context = Context;

    fn shared() -> Shared {
        Shared {
            tx: tx::Flags::default(),
            rx: rx::Flags::default(),
        }
    }

    fn state() -> State {
        State { tx: None, rx: None }
    }

    fn context() -> impl PinInit<Context, Error> {
        try_pin_init!(Context {
            tx <- IntrMutex::new(None, c"tls_tx", static_lock_class!()),
            readers <- WaitQueue::new(c"tls_readers", static_lock_class!()),
        })
    }

    fn setsockopt(sk: &Unlocked<'_>, name: c_int, value: &OptVal<'_>) -> Result {
        sockopt::set(sk, name, value)
    }

    fn getsockopt(sk: &Unlocked<'_>, name: c_int, out: &mut OptOut) -> Result {
        sockopt::get(sk, name, out)
    }

    fn sendmsg(sk: &Unlocked<'_>, msg: &mut SendMsg<'_>) -> Result<usize> {
        tx::sendmsg(sk, msg)
    }

    fn splice_eof(sk: &Unlocked<'_>) {
        tx::splice_eof(sk);
    }

    fn write_space(sk: &Handle<Self>) {
        tx::write_space(sk);
    }

    fn shutdown(sk: &TlsSock<'_>, locked: &mut Locked<'_>) -> bool {
        tx::shutdown(sk, locked)
    }

    fn work(sk: &Unlocked<'_>) {
        tx::work(sk);
        rx::work(sk);
    }

    fn recvmsg(sk: &Unlocked<'_>, msg: &mut RecvMsg<'_>, flags: Flags) -> Result<usize> {
        rx::recvmsg(sk, msg, flags)
    }

    fn splice_read(
        sk: &Unlocked<'_>,
        pipe: &mut Pipe<'_>,
        len: usize,
        nonblock: bool,
    ) -> Result<usize> {
        rx::splice_read(sk, pipe, len, nonblock)
    }

    fn read_sock(
        sk: &TlsSock<'_>,
        locked: &mut Locked<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<usize> {
        rx::read_sock(sk, locked, reader)
    }

    fn data_ready(sk: &Handle<Self>, guarded: &mut Guarded<'_, State>) -> bool {
        rx::data_ready(sk, guarded)
    }

    fn is_readable(shared: &Shared) -> bool {
        shared.rx.is_readable()
    }

    fn read_later(sk: &Handle<Self>) {
        rx::read_later(sk, 0);
    }

    fn close<'a>(sk: &Unlocked<'a>) -> Locked<'a> {
        let mut tx = sk.context().tx.lock();
        let mut locked = sk.lock();
        if let Some(tx) = tx.as_mut() {
            tx.close(sk, &mut locked);
        }
        let (state, mut queue) = locked.parts();
        if let Some(rx) = state.rx.as_mut() {
            rx.close(&mut queue);
        }
        let net = sk.sock().net();
        if sk.abi().tx_is_software() {
            net.dec(Counter::CurrTxSw);
        }
        if sk.abi().rx_is_software() {
            net.dec(Counter::CurrRxSw);
        }
        locked
    }

    fn info(abi: &TlsContext, nest: &mut Nest<'_>) -> Result {
        diag::info(abi, nest)
    }

    fn info_size() -> usize {
        diag::info_size()
    }
}
