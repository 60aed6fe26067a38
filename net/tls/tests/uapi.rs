// SPDX-License-Identifier: GPL-2.0

//! What the UAPI header says, read from its text.

/// The header.
const TEXT: &str = include_str!("../../../include/uapi/linux/tls.h");

/// A cipher suite.
pub(crate) struct UapiSuite {
    /// Its name, between `TLS_CIPHER_` and nothing.
    pub(crate) name: &'static str,
    /// Its number.
    pub(crate) id: u16,
    /// Fields of its key structure, in order: name, offset, and length in bytes.
    pub(crate) fields: Vec<(&'static str, usize, usize)>,
    /// Length of the structure in bytes.
    pub(crate) len: usize,
}

impl UapiSuite {
    /// Offset and end of the field `name`.
    pub(crate) fn field(&self, name: &str) -> (usize, usize) {
        let field = self.fields.iter().find(|f| f.0 == name);
        let (_, at, len) = field.unwrap_or_else(|| panic!("{}: no {name}", self.name));
        (*at, at + len)
    }
}

/// All `#define`s of a plain number.
fn constants() -> impl Iterator<Item = (&'static str, usize)> {
    TEXT.lines().filter_map(|line| {
        let mut words = line.strip_prefix("#define")?.split_whitespace();
        let (name, value) = (words.next()?, words.next()?);
        let number = match value.strip_prefix("0x") {
            Some(digits) => usize::from_str_radix(digits, 16),
            None => value.parse(),
        };
        Some((name, number.ok()?))
    })
}

/// The value of a `#define`.
pub(crate) fn constant(name: &str) -> usize {
    let found = constants().find(|c| c.0 == name);
    found.unwrap_or_else(|| panic!("no {name}")).1
}

/// The fields of `struct name`, and its length. None of them needs padding.
fn structure(name: &str) -> (Vec<(&'static str, usize, usize)>, usize) {
    let begin = format!("struct {name} {{");
    let lines = TEXT.lines().skip_while(|line| *line != begin).skip(1);
    let mut fields = Vec::new();
    let mut at = 0;
    for line in lines.take_while(|line| *line != "};") {
        let (kind, field) = line.trim().trim_end_matches(';').rsplit_once(' ').unwrap();
        let (field, len) = match (kind, field.split_once('[')) {
            ("__u16", None) => (field, 2),
            ("struct tls_crypto_info", None) => (field, structure("tls_crypto_info").1),
            ("unsigned char", Some((field, len))) => (field, constant(len.trim_end_matches(']'))),
            _ => panic!("{name}: what is {line}?"),
        };
        fields.push((field, at, len));
        at += len;
    }
    assert!(!fields.is_empty(), "no struct {name}");
    (fields, at)
}

/// The length of `struct tls_crypto_info`.
pub(crate) fn info_len() -> usize {
    structure("tls_crypto_info").1
}

/// All suites.
pub(crate) fn suites() -> Vec<UapiSuite> {
    const PARTS: [&str; 5] = ["IV", "KEY", "SALT", "TAG", "REC_SEQ"];
    let mut all = Vec::new();
    for (define, id) in constants() {
        let Some(name) = define.strip_prefix("TLS_CIPHER_") else {
            continue;
        };
        if PARTS
            .iter()
            .any(|part| name.ends_with(&format!("_{part}_SIZE")))
        {
            continue;
        }
        let (fields, len) = structure(&format!("tls12_crypto_info_{}", name.to_lowercase()));
        all.push(UapiSuite {
            name,
            id: u16::try_from(id).unwrap(),
            fields,
            len,
        });
    }
    all
}
