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
        TAG_LEN, //
    },
    context::{
        Keys,
        State,
        TlsSock, //
    },
    record::{
        Protection,
        MAX_PAYLOAD,
        MIN_SIZE_LIMIT, //
    },
    tx::Tx, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};
use knet::{
    crypto::{
        Aead,
        Secret, //
    },
    net::{
        mib::Counter,
        sockopt::{
            OptOut,
            OptVal, //
        },
        tls_abi::Conf,
        ulp::Half, //
    }, //
};

const TLS_TX: c_int = 1;
const TLS_RX: c_int = 2;
const TLS_TX_ZEROCOPY_RO: c_int = 3;
const TLS_RX_EXPECT_NO_PAD: c_int = 4;
const TLS_TX_MAX_PAYLOAD_LEN: c_int = 5;

/// `setsockopt()`.
pub(crate) fn set(sk: &TlsSock<'_>, name: c_int, value: &OptVal<'_>) -> Result {
    match name {
        TLS_TX => set_tx(sk, value),
        TLS_RX => Err(EOPNOTSUPP),
        TLS_TX_ZEROCOPY_RO => set_zerocopy(sk, value),
        TLS_RX_EXPECT_NO_PAD => Err(EINVAL),
        TLS_TX_MAX_PAYLOAD_LEN => set_max_payload(sk, value),
        _ => Err(ENOPROTOOPT),
    }
}

/// `getsockopt()`.
pub(crate) fn get(sk: &TlsSock<'_>, name: c_int, out: &mut OptOut) -> Result {
    match name {
        TLS_TX => get_keys(out, sk.lock().data().tx.as_deref()),
        TLS_RX => get_keys(out, None),
        TLS_TX_ZEROCOPY_RO => get_zerocopy(sk, out),
        TLS_RX_EXPECT_NO_PAD => Err(EINVAL),
        TLS_TX_MAX_PAYLOAD_LEN => get_max_payload(sk, out),
        _ => Err(ENOPROTOOPT),
    }
}

/// Reads a key structure whose version and suite are yet to be learned.
///
/// `current` is the protection that it is to replace, `other` that of the other direction.
fn read_keys(
    value: &OptVal<'_>,
    current: Option<&Protection>,
    other: Option<&Protection>,
) -> Result<(KBox<Keys>, Aead)> {
    let mut head = [0; INFO_LEN];
    value.read(0, &mut head)?;
    let [v0, v1, c0, c1] = head;
    let version_id = u16::from_ne_bytes([v0, v1]);
    let suite_id = u16::from_ne_bytes([c0, c1]);
    let same = |p: &Protection| p.version().id() == version_id && p.suite().id == suite_id;

    let version = Version::from_id(version_id).ok_or(EINVAL)?;
    let suite = Suite::from_id(suite_id).ok_or(EINVAL)?;
    if !suite.allows(version)
        || !current.is_none_or(same)
        || !other.is_none_or(same)
        || value.len() != suite.keys_len()
    {
        return Err(EINVAL);
    }

    // The whole structure is kept, as `getsockopt()` gives it back.
    let mut info = KBox::new(Secret::zeroed(), GFP_KERNEL)?;
    let bytes = info.as_mut_slice().get_mut(..value.len()).ok_or(EINVAL)?;
    value.read(INFO_LEN, bytes.get_mut(INFO_LEN..).ok_or(EINVAL)?)?;
    bytes.get_mut(..INFO_LEN).ok_or(EINVAL)?.copy_from_slice(&head);

    let fields = suite.split(bytes).ok_or(EINVAL)?;
    let aead = Aead::new(suite.algorithm, fields.key, TAG_LEN)?;
    let protection = Protection::new(version, suite, fields.nonce_base(), fields.seq);
    Ok((KBox::new(Keys { info, protection }, GFP_KERNEL)?, aead))
}

/// Sets the keys for sending, or replaces them.
fn set_tx(sk: &TlsSock<'_>, value: &OptVal<'_>) -> Result {
    // A key is not changed under a send that is under way.
    let mut tx = sk.context().tx.lock_interruptible()?;
    let mut locked = sk.lock();
    let net = sk.sock().net();

    // A socket with a sockmap has other plans for what is sent.
    if sk.sock().has_psock() || value.is_null() || value.len() < INFO_LEN {
        return Err(EINVAL);
    }
    let State { tx: current } = locked.data();
    let current = current.as_ref().map(|keys| keys.protection.clone());
    let rekey = current.is_some();
    if current.as_ref().is_some_and(|p| p.version() != Version::Tls13) {
        net.inc(Counter::TxRekeyError);
        return Err(EBUSY);
    }

    let result = read_keys(value, current.as_ref(), None).and_then(|(keys, aead)| {
        let aead = Arc::new(aead, GFP_KERNEL)?;
        match tx.as_mut() {
            Some(tx) => tx.set_aead(aead)?,
            None => *tx = Some(KBox::new(Tx::new(aead)?, GFP_KERNEL)?),
        }
        Ok(keys)
    });
    let keys = match result {
        Ok(keys) => keys,
        Err(e) => {
            if rekey {
                net.inc(Counter::TxRekeyError);
            }
            return Err(e);
        }
    };

    let abi = &sk.shared().abi;
    abi.set_version(keys.protection.version().id());
    abi.set_cipher(keys.protection.suite().id);
    locked.data().tx = Some(keys);
    if rekey {
        net.inc(Counter::TxRekeyOk);
        return Ok(());
    }
    abi.set_tx_conf(Conf::Software);
    net.inc(Counter::TxSw);
    net.inc(Counter::CurrTxSw);
    sk.switch_on(&mut locked, Half::Send)
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
    let mut copy = Secret::<{ crate::cipher::MAX_KEYS_LEN }>::zeroed();
    copy.as_mut_slice().copy_from_slice(keys.info.as_slice());
    let bytes = copy
        .as_mut_slice()
        .get_mut(..suite.keys_len())
        .ok_or(EINVAL)?;
    keys.protection.save_to(bytes);
    out.write(bytes.get(..len).ok_or(EINVAL)?)
}

fn set_zerocopy(sk: &TlsSock<'_>, value: &OptVal<'_>) -> Result {
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
    sk.shared().abi.set_zerocopy_sendfile(on);
    Ok(())
}

fn get_zerocopy(sk: &TlsSock<'_>, out: &mut OptOut) -> Result {
    if out.len() != size_of::<u32>() {
        return Err(EINVAL);
    }
    out.write(&u32::from(sk.shared().abi.zerocopy_sendfile()).to_ne_bytes())
}

fn set_max_payload(sk: &TlsSock<'_>, value: &OptVal<'_>) -> Result {
    // An open record has been given its size.
    let tx = sk.context().tx.lock_interruptible()?;
    let mut locked = sk.lock();
    if tx.as_ref().is_some_and(|tx| tx.has_open_record()) {
        return Err(EBUSY);
    }
    let mut bytes = [0; size_of::<u16>()];
    if value.is_null() || value.len() != bytes.len() {
        return Err(EINVAL);
    }
    value.read(0, &mut bytes)?;
    let len = u16::from_ne_bytes(bytes);
    // The limit of RFC 8449 counts the inner content type, ours does not.
    let tail = locked
        .data()
        .tx
        .as_ref()
        .map_or(0, |keys| keys.protection.tail_len());
    if !(MIN_SIZE_LIMIT.saturating_sub(tail)..=MAX_PAYLOAD).contains(&usize::from(len)) {
        return Err(EINVAL);
    }
    sk.shared().abi.set_max_payload(len);
    Ok(())
}

fn get_max_payload(sk: &TlsSock<'_>, out: &mut OptOut) -> Result {
    let bytes = sk.shared().abi.max_payload().to_ne_bytes();
    if out.len() < bytes.len() {
        return Err(EINVAL);
    }
    out.write(&bytes)?;
    out.set_len(bytes.len());
    Ok(())
}
