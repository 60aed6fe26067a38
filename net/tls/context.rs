// SPDX-License-Identifier: GPL-2.0

//! What a TLS socket has.
//!
//! A direction that user space has not given keys for does not exist: it is `None`.

use crate::{
    cipher::MAX_KEYS_LEN,
    diag,
    record::{
        Protection,
        MAX_PAYLOAD, //
    },
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
            Ulp,
            UlpSock, //
        }, //
    },
    sync::{
        IntrMutex,
        WaitQueue, //
    }, //
};

/// The "tls" upper layer protocol.
pub(crate) struct Tls;

/// A socket with TLS, in a task without its lock.
pub(crate) type TlsSock<'a> = UlpSock<'a, Tls>;

/// A socket with TLS, with its lock.
pub(crate) type Locked<'a> = LockedSock<'a, State>;

/// What anybody may look at, C code included.
#[repr(C)]
pub(crate) struct Shared {
    /// First, since C code takes a pointer to this for a pointer to that.
    pub(crate) abi: TlsContext,
    pub(crate) tx: tx::Flags,
    pub(crate) rx: rx::Flags,
}

const _: () = assert!(core::mem::offset_of!(Shared, abi) == 0);

/// What the socket's lock protects.
pub(crate) struct State {
    /// The keys for sending.
    pub(crate) tx: Option<KBox<Keys>>,
    /// The receiver.
    pub(crate) rx: Option<KBox<Rx>>,
}

impl State {
    /// What protects a direction, if it has keys.
    pub(crate) fn protection(&self, direction: Direction) -> Option<&Protection> {
        let keys = match direction {
            Direction::Tx => self.tx.as_deref(),
            Direction::Rx => self.rx.as_deref().map(Rx::keys),
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
    pub(crate) info: KBox<Secret<MAX_KEYS_LEN>>,
    /// The state of the next record.
    pub(crate) protection: Protection,
}

/// What has its own locks. They are taken before the socket's lock.
#[pin_data]
pub(crate) struct Context {
    /// The sender, which one task at a time uses, for as long as a send takes.
    #[pin]
    pub(crate) tx: IntrMutex<Option<KBox<Tx>>>,
    /// Readers who wait for another one to be done.
    #[pin]
    pub(crate) readers: WaitQueue,
}

static REGISTRY: Registry<Tls> = Registry::new();

impl Ulp for Tls {
    const NAME: &'static CStr = c"tls";
    const LEVEL: c_int = SOL_TLS;
    const INFO: u16 = diag::INFO;

    type Shared = Shared;
    type State = State;
    type Context = Context;

    fn registry() -> &'static Registry<Self> {
        &REGISTRY
    }

    fn shared() -> Shared {
        let abi = TlsContext::default();
        abi.set_max_payload(MAX_PAYLOAD as u16);
        Shared {
            abi,
            tx: tx::Flags::new(),
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

    fn setsockopt(sk: &TlsSock<'_>, name: c_int, value: &OptVal<'_>) -> Result {
        sockopt::set(sk, name, value)
    }

    fn getsockopt(sk: &TlsSock<'_>, name: c_int, out: &mut OptOut) -> Result {
        sockopt::get(sk, name, out)
    }

    fn sendmsg(sk: &TlsSock<'_>, msg: &mut SendMsg<'_>) -> Result<usize> {
        tx::sendmsg(sk, msg)
    }

    fn splice_eof(sk: &TlsSock<'_>) {
        tx::splice_eof(sk);
    }

    fn write_space(sk: &Handle<Self>) {
        tx::write_space(sk);
    }

    fn work(sk: &TlsSock<'_>) {
        tx::work(sk);
        rx::work(sk);
    }

    fn recvmsg(sk: &TlsSock<'_>, msg: &mut RecvMsg<'_>, flags: Flags) -> Result<usize> {
        rx::recvmsg(sk, msg, flags)
    }

    fn splice_read(
        sk: &TlsSock<'_>,
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

    fn close(sk: &mut Locked<'_>, context: &Context, shared: &Shared) {
        if let Some(tx) = context.tx.lock().as_mut() {
            tx.close(sk);
        }
        if shared.abi.tx_is_software() {
            sk.sock().net().dec(Counter::CurrTxSw);
        }
        if shared.abi.rx_is_software() {
            sk.sock().net().dec(Counter::CurrRxSw);
        }
    }

    fn info(shared: &Shared, nest: &mut Nest<'_>) -> Result {
        diag::info(shared, nest)
    }

    fn info_size() -> usize {
        diag::info_size()
    }
}
