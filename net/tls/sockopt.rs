// SPDX-License-Identifier: GPL-2.0

//! The socket options of `SOL_TLS`.
//!
//! What comes from user space is parsed once, here, and is of a type of its own from then on.
//! Nothing of the socket changes before everything has succeeded.
//!
//! UAPI header: `include/uapi/linux/tls.h`

use crate::{
    cipher::{
        Suite,
        Version,
        INFO_LEN,
        MAX_KEYS_LEN,
        TAG_LEN, //
    },
    context::{
        Direction,
        Keys,
        Locked,
        Tls,
        TlsSock,
        Unlocked, //
    },
    record::{
        Protection,
        MAX_PAYLOAD,
        MIN_SIZE_LIMIT, //
    },
    rx::{
        self,
        Rx, //
    },
    tx::{
        self,
        Tx, //
    }, //
};
use kernel::{
    alloc::Flags,
    prelude::*, //
};
use knet::{
    crypto::{
        Request,
        Secret, //
    },
    net::{
        mib::Counter,
        sockopt::{
            OptOut,
            OptVal, //
        },
        tls_abi::Conf,
        ulp::{
            Exclusive,
            Half, //
        }, //
    }, //
};

const TLS_TX: c_int = 1;
const TLS_RX: c_int = 2;
const TLS_TX_ZEROCOPY_RO: c_int = 3;
const TLS_RX_EXPECT_NO_PAD: c_int = 4;
const TLS_TX_MAX_PAYLOAD_LEN: c_int = 5;

/// `setsockopt()`.
pub(crate) fn set(sk: &Unlocked<'_>, name: c_int, value: &OptVal<'_>) -> Result {
    match name {
        TLS_TX => set_tx(sk, value),
        TLS_RX => set_rx(sk, value),
        TLS_TX_ZEROCOPY_RO => set_zerocopy(sk, value),
        TLS_RX_EXPECT_NO_PAD => set_no_pad(sk, value),
        TLS_TX_MAX_PAYLOAD_LEN => set_max_payload(sk, value),
        _ => Err(ENOPROTOOPT),
    }
}

/// `getsockopt()`.
pub(crate) fn get(sk: &Unlocked<'_>, name: c_int, out: &mut OptOut) -> Result {
    match name {
        TLS_TX => get_keys(out, sk.lock().data().tx.as_ref()),
        TLS_RX => get_keys(out, sk.lock().data().rx.as_ref().map(Rx::keys)),
        TLS_TX_ZEROCOPY_RO => get_zerocopy(sk, out),
        TLS_RX_EXPECT_NO_PAD => get_no_pad(sk, out),
        TLS_TX_MAX_PAYLOAD_LEN => get_max_payload(sk, out),
        _ => Err(ENOPROTOOPT),
    }
}

/// A key structure of the UAPI: what user space passes, and gets back.
type Info = Secret<MAX_KEYS_LEN>;

/// New keys, and a request for the cipher that was made with them.
struct NewKeys<'a> {
    info: &'a Info,
    protection: Protection,
    request: Request,
}

/// Reads a key structure whose version and suite are yet to be learned. They have to be those of
/// all `others`.
fn read_keys<'a>(
    value: &OptVal<'_>,
    others: [Option<&Protection>; 2],
    info: &'a mut Info,
    flags: Flags,
) -> Result<NewKeys<'a>> {
    let len = value.len().min(MAX_KEYS_LEN);
    let bytes = info.as_mut_slice().get_mut(..len).ok_or(EINVAL)?;
    let read = value.read(0, bytes);
    let mut head = [0; INFO_LEN];
    match bytes.first_chunk() {
        Some(first) if read.is_ok() => head = *first,
        // What is wrong with the head comes before what is wrong behind it.
        _ => value.read(0, &mut head)?,
    }
    let [v0, v1, c0, c1] = head;
    let version_id = u16::from_ne_bytes([v0, v1]);
    let suite_id = u16::from_ne_bytes([c0, c1]);

    let version = Version::from_id(version_id).ok_or(EINVAL)?;
    let suite = Suite::from_id(suite_id).ok_or(EINVAL)?;
    let same = others
        .iter()
        .flatten()
        .all(|p| p.version() == version && p.suite().id == suite.id);
    if !same || !suite.allows(version) || value.len() != suite.keys_len() {
        return Err(EINVAL);
    }

    read?;
    let fields = suite.split(bytes).ok_or(EINVAL)?;
    let request = Request::new(suite.algorithm, fields.key, TAG_LEN, flags)?;
    let nonce = fields.nonce_base().ok_or(EINVAL)?;
    let protection = Protection::new(version, suite, nonce, fields.seq);
    Ok(NewKeys {
        info,
        protection,
        request,
    })
}

/// Reads the keys for `direction`, and has `install` use them.
///
/// Returns the socket, to be switched on, if they are the first ones of the direction.
fn set_keys<'a>(
    sk: &TlsSock<'a>,
    locked: &mut Locked<'_>,
    value: &OptVal<'_>,
    direction: Direction,
    install: impl FnOnce(&mut Locked<'_>, NewKeys<'_>) -> Result,
) -> Result<Option<Exclusive<'a, Tls>>> {
    let net = sk.sock().net();
    let (ok, error) = match direction {
        Direction::Tx => (Counter::TxRekeyOk, Counter::TxRekeyError),
        Direction::Rx => (Counter::RxRekeyOk, Counter::RxRekeyError),
    };
    // A socket in a sockmap has other plans for its data.
    let exclusive = sk.exclusive(locked)?;
    if value.is_null() || value.len() < INFO_LEN {
        return Err(EINVAL);
    }
    let flags = locked.alloc_flags();
    let state = locked.data();
    let version = state.protection(direction).map(Protection::version);
    if version == Some(Version::Tls12) {
        net.inc(error);
        return Err(EBUSY);
    }
    let others = match version {
        // Only the keys of a direction are replaced.
        Some(_) => [state.protection(direction), None],
        None => [
            state.protection(Direction::Tx),
            state.protection(Direction::Rx),
        ],
    };
    let mut info = Info::zeroed();
    let result = read_keys(value, others, &mut info, flags).and_then(|new| {
        let (version, suite) = (new.protection.version(), new.protection.suite());
        install(locked, new)?;
        let abi = &sk.abi();
        abi.set_version(version.id());
        abi.set_cipher(suite.id);
        Ok(())
    });
    if version.is_some() {
        net.inc(if result.is_ok() { ok } else { error });
    }
    result.map(|()| version.is_none().then_some(exclusive))
}

/// Sets the keys for sending, or replaces them.
fn set_tx(sk: &Unlocked<'_>, value: &OptVal<'_>) -> Result {
    // A key is not changed under a send that is under way.
    let mut session = tx::Session::begin(sk)?;
    let (tx, locked) = session.parts();
    let exclusive = set_keys(sk, locked, value, Direction::Tx, |locked, new| {
        match tx.as_mut() {
            Some(tx) => tx.set_request(locked, new.request)?,
            None => *tx = Some(Tx::new(new.request)),
        }
        let keys = locked.data().tx.insert(Keys::new(new.protection));
        keys.set_info(new.info);
        Ok(())
    })?;
    let Some(exclusive) = exclusive else {
        return Ok(());
    };
    sk.abi().set_tx_conf(Conf::Software);
    let net = sk.sock().net();
    net.inc(Counter::TxSw);
    net.inc(Counter::CurrTxSw);
    exclusive.switch_on(locked, Half::Send)
}

/// Sets the keys for receiving, or replaces them.
fn set_rx(sk: &Unlocked<'_>, value: &OptVal<'_>) -> Result {
    let mut locked = sk.lock();
    let exclusive = set_keys(sk, &mut locked, value, Direction::Rx, |locked, new| {
        let state = locked.data();
        let rx = match state.rx.as_mut() {
            Some(rx) => {
                rx.set_keys(new.protection, new.request, sk.shared());
                rx
            }
            None => state.rx.insert(Rx::new(new.protection, new.request)),
        };
        rx.keys_mut().set_info(new.info);
        Ok(())
    })?;
    let Some(exclusive) = exclusive else {
        // Somebody may have been waiting for the new key.
        sk.announce(&mut locked);
        return Ok(());
    };
    sk.abi().set_rx_conf(Conf::Software);
    let net = sk.sock().net();
    net.inc(Counter::RxSw);
    net.inc(Counter::CurrRxSw);
    exclusive.switch_on(&mut locked, Half::Receive)?;
    // Records may have arrived before the keys.
    match rx::look(&mut locked, sk.shared()) {
        Ok(true) => sk.announce(&mut locked),
        Ok(false) => (),
        Err(_) => sk.handle().schedule(0),
    }
    Ok(())
}

/// Reports the keys of a direction: version and suite alone, or all with the IV and the sequence
/// number of the next record, as the length of `out` says.
fn get_keys(out: &mut OptOut, keys: Option<&Keys>) -> Result {
    if out.is_null() || out.len() < INFO_LEN {
        return Err(EINVAL);
    }
    let keys = keys.ok_or(EBUSY)?;
    let suite = keys.protection.suite();
    let len = out.len();
    if len != INFO_LEN && len != suite.keys_len() {
        return Err(EINVAL);
    }
    let mut copy = Info::zeroed();
    copy.copy_from(keys.info());
    let bytes = copy
        .as_mut_slice()
        .get_mut(..suite.keys_len())
        .ok_or(EINVAL)?;
    keys.protection.save_to(bytes).ok_or(EINVAL)?;
    out.write(bytes.get(..len).ok_or(EINVAL)?)
}

fn set_zerocopy(sk: &Unlocked<'_>, value: &OptVal<'_>) -> Result {
    let mut bytes = [0; size_of::<u32>()];
    if value.is_null() || value.len() != bytes.len() {
        return Err(EINVAL);
    }
    value.read(0, &mut bytes)?;
    let on = match u32::from_ne_bytes(bytes) {
        0 => false,
        1 => true,
        _ => return Err(EINVAL),
    };
    let _locked = sk.lock();
    sk.abi().set_zerocopy_sendfile(on);
    Ok(())
}

fn get_zerocopy(sk: &Unlocked<'_>, out: &mut OptOut) -> Result {
    if out.len() != size_of::<u32>() {
        return Err(EINVAL);
    }
    out.write(&u32::from(sk.abi().zerocopy_sendfile()).to_ne_bytes())
}

fn set_no_pad(sk: &Unlocked<'_>, value: &OptVal<'_>) -> Result {
    let mut bytes = [0; size_of::<u32>()];
    if sk.abi().version() != Version::Tls13.id() || value.is_null() || value.len() < bytes.len() {
        return Err(EINVAL);
    }
    value.read(0, &mut bytes)?;
    let on = match u32::from_ne_bytes(bytes) {
        0 => false,
        1 => true,
        _ => return Err(EINVAL),
    };
    // What is longer must be zero, for options to come.
    if !value.is_zero_from(bytes.len())? {
        return Err(EINVAL);
    }
    let mut locked = sk.lock();
    if locked.data().rx.is_none() {
        return Err(EINVAL);
    }
    sk.abi().set_no_pad(on);
    Ok(())
}

fn get_no_pad(sk: &Unlocked<'_>, out: &mut OptOut) -> Result {
    if sk.abi().version() != Version::Tls13.id() {
        return Err(EINVAL);
    }
    let mut locked = sk.lock();
    let bytes = i32::from(sk.abi().no_pad()).to_ne_bytes();
    if out.len() < bytes.len() || locked.data().rx.is_none() {
        return Err(EINVAL);
    }
    out.write(&bytes)?;
    out.set_len(bytes.len());
    Ok(())
}

fn set_max_payload(sk: &Unlocked<'_>, value: &OptVal<'_>) -> Result {
    // An open record has been given its size.
    let mut session = tx::Session::begin(sk)?;
    let (tx, _) = session.parts();
    if tx.as_ref().is_some_and(Tx::has_open_record) {
        return Err(EBUSY);
    }
    let mut bytes = [0; size_of::<u16>()];
    if value.is_null() || value.len() != bytes.len() {
        return Err(EINVAL);
    }
    value.read(0, &mut bytes)?;
    let len = u16::from_ne_bytes(bytes);
    // The limit of RFC 8449 counts the inner content type, ours does not.
    let tail = usize::from(sk.abi().version() == Version::Tls13.id());
    if !(MIN_SIZE_LIMIT.saturating_sub(tail)..=MAX_PAYLOAD).contains(&usize::from(len)) {
        return Err(EINVAL);
    }
    sk.abi().set_max_payload(len);
    Ok(())
}

fn get_max_payload(sk: &Unlocked<'_>, out: &mut OptOut) -> Result {
    let bytes = sk.abi().max_payload().to_ne_bytes();
    if out.len() < bytes.len() {
        return Err(EINVAL);
    }
    out.write(&bytes)?;
    out.set_len(bytes.len());
    Ok(())
}
