//! Messages of D-Bus on the wire, see the D-Bus specification, "Marshaling" and "Message Format".
//!
//! As much as a client of systemd's manager needs, in the byte order of x86 and Arm: what it sends is made of
//! [`Value`]s, what it hears is looked through for a few fields.

use std::io::{Error, ErrorKind, Result};

/// A value with its type.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `b`
    Bool(bool),
    /// `i`
    Int32(i32),
    /// `u`
    Uint32(u32),
    /// `x`
    Int64(i64),
    /// `t`
    Uint64(u64),
    /// `s`
    Text(String),
    /// `o`
    Object(String),
    /// `ay`
    Bytes(Vec<u8>),
    /// `au`
    Uint32s(Vec<u32>),
    /// `as`
    Texts(Vec<String>),
    /// `a(ss)`
    Pairs(Vec<(String, String)>),
    /// `a(sv)`
    Properties(Vec<(String, Self)>),
    /// `a(sa(sv))`, of which only the empty one is ever sent: systemd's auxiliary units.
    NoUnits,
}

impl Value {
    fn signature(&self) -> &'static str {
        match self {
            Self::Bool(_) => "b",
            Self::Int32(_) => "i",
            Self::Uint32(_) => "u",
            Self::Int64(_) => "x",
            Self::Uint64(_) => "t",
            Self::Text(_) => "s",
            Self::Object(_) => "o",
            Self::Bytes(_) => "ay",
            Self::Uint32s(_) => "au",
            Self::Texts(_) => "as",
            Self::Pairs(_) => "a(ss)",
            Self::Properties(_) => "a(sv)",
            Self::NoUnits => "a(sa(sv))",
        }
    }
}

/// Bytes in the making; each type starts at a multiple of its size.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn number<const N: usize>(&mut self, bytes: [u8; N]) {
        self.align(N);
        self.0.extend(bytes);
    }

    fn text(&mut self, text: &str) {
        self.number((text.len() as u32).to_le_bytes());
        self.0.extend(text.as_bytes());
        self.0.push(0);
    }

    fn signature(&mut self, signature: &str) {
        self.0.push(signature.len() as u8);
        self.0.extend(signature.as_bytes());
        self.0.push(0);
    }

    /// The length of an array does not count the padding before its first element.
    fn array(&mut self, align: usize, elements: impl FnOnce(&mut Self)) {
        self.number([0; 4]);
        let length = self.0.len() - 4;
        self.align(align);
        let start = self.0.len();
        elements(self);
        let size = (self.0.len() - start) as u32;
        self.0[length..length + 4].copy_from_slice(&size.to_le_bytes());
    }

    fn variant(&mut self, value: &Value) {
        self.signature(value.signature());
        self.value(value);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Bool(value) => self.number(u32::from(*value).to_le_bytes()),
            Value::Int32(value) => self.number(value.to_le_bytes()),
            Value::Uint32(value) => self.number(value.to_le_bytes()),
            Value::Int64(value) => self.number(value.to_le_bytes()),
            Value::Uint64(value) => self.number(value.to_le_bytes()),
            Value::Text(text) | Value::Object(text) => self.text(text),
            Value::Bytes(bytes) => self.array(1, |to| to.0.extend(bytes)),
            Value::Uint32s(all) => {
                self.array(4, |to| all.iter().for_each(|one| to.number(one.to_le_bytes())))
            }
            Value::Texts(all) => self.array(4, |to| all.iter().for_each(|one| to.text(one))),
            Value::Pairs(all) => self.array(8, |to| {
                for (first, second) in all {
                    to.align(8);
                    to.text(first);
                    to.text(second);
                }
            }),
            Value::Properties(all) => self.array(8, |to| {
                for (name, value) in all {
                    to.align(8);
                    to.text(name);
                    to.variant(value);
                }
            }),
            Value::NoUnits => self.array(8, |_| {}),
        }
    }
}

/// Who is called, and what for.
pub(super) struct Call<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
    pub(super) arguments: &'a [Value],
}

// Codes of header fields.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

impl Call<'_> {
    /// The message under a number that its answer will name.
    pub(super) fn write(&self, serial: u32) -> Vec<u8> {
        let mut body = Writer::default();
        self.arguments.iter().for_each(|value| body.value(value));
        let signature: String = self.arguments.iter().map(Value::signature).collect();
        // Little endian, a call, no flags, version 1.
        let mut message = Writer(vec![b'l', 1, 0, 1]);
        message.number((body.0.len() as u32).to_le_bytes());
        message.number(serial.to_le_bytes());
        let texts = [
            (PATH, "o", self.path),
            (DESTINATION, "s", self.destination),
            (INTERFACE, "s", self.interface),
            (MEMBER, "s", self.member),
        ];
        message.array(8, |to| {
            for (code, kind, text) in texts {
                to.align(8);
                to.0.push(code);
                to.signature(kind);
                to.text(text);
            }
            to.align(8);
            to.0.push(SIGNATURE);
            to.signature("g");
            to.signature(&signature);
        });
        message.align(8);
        message.0.extend(body.0);
        message.0
    }
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Return,
    Error,
    Signal,
    Other,
}

/// A message that was heard.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) kind: Kind,
    /// The call it answers.
    pub(super) answers: u32,
    pub(super) member: String,
    pub(super) error: String,
    body: Vec<u8>,
}

/// The fixed part of a header: what tells how long the rest is.
pub(super) const FIXED: usize = 16;

/// The sizes of the fields, padded, and of the body.
pub(super) fn sizes(fixed: &[u8; FIXED]) -> Result<(usize, usize)> {
    let word = |at: usize| u32::from_le_bytes([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
    let (body, fields) = (word(4) as usize, word(12) as usize);
    // The specification's limits: 64 MiB of array, 128 MiB in all.
    match fixed[0] == b'l' && fields <= 1 << 26 && body <= 1 << 27 {
        true => Ok((fields.next_multiple_of(8), body)),
        false => Err(malformed()),
    }
}

fn malformed() -> Error {
    Error::new(ErrorKind::InvalidData, "the bus sent what is no message")
}

/// Bytes being read.
struct Reader<'a>(&'a [u8], usize);

impl<'a> Reader<'a> {
    fn take(&mut self, align: usize, length: usize) -> Result<&'a [u8]> {
        let start = self.1.next_multiple_of(align);
        let bytes = self.0.get(start..start.saturating_add(length)).ok_or_else(malformed)?;
        self.1 = start + length;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u32> {
        let bytes = self.take(4, 4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn text(&mut self) -> Result<String> {
        let length = self.number()? as usize;
        let text = self.take(1, length)?;
        self.take(1, 1)?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn signature(&mut self) -> Result<String> {
        let length = self.take(1, 1)?[0];
        let text = self.take(1, usize::from(length))?;
        self.take(1, 1)?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }
}

impl Heard {
    pub(super) fn read(kind: u8, fields: &[u8], body: Vec<u8>) -> Result<Self> {
        let kind = match kind {
            2 => Kind::Return,
            3 => Kind::Error,
            4 => Kind::Signal,
            _ => Kind::Other,
        };
        let mut heard = Self { kind, answers: 0, member: String::new(), error: String::new(), body };
        let mut reader = Reader(fields, 0);
        // What is left at the end is padding.
        while fields.len().saturating_sub(reader.1.next_multiple_of(8)) >= 8 {
            let code = reader.take(8, 1)?[0];
            match reader.signature()?.as_str() {
                "u" => {
                    let number = reader.number()?;
                    heard.answers = if code == REPLY_SERIAL { number } else { heard.answers };
                }
                "s" | "o" => heard.text(code, reader.text()?),
                "g" => _ = reader.signature()?,
                _ => return Err(malformed()),
            }
        }
        Ok(heard)
    }

    fn text(&mut self, code: u8, text: String) {
        match code {
            MEMBER => self.member = text,
            ERROR_NAME => self.error = text,
            _ => {}
        }
    }

    /// The body, if it is one text, e.g. an object or the words of an error.
    pub(super) fn one_text(&self) -> Result<String> {
        Reader(&self.body, 0).text()
    }

    /// `uoss` of the signal JobRemoved: the job, and how it ended.
    pub(super) fn job(&self) -> Result<(String, String)> {
        let mut reader = Reader(&self.body, 0);
        reader.number()?;
        let job = reader.text()?;
        reader.text()?;
        Ok((job, reader.text()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_call_is_laid_out_as_specified() {
        let arguments = [Value::Text("x".into()), Value::Properties(vec![("P".into(), Value::Uint64(7))])];
        let call = Call { destination: "d", path: "/p", interface: "i", member: "m", arguments: &arguments };
        let bytes = call.write(9);
        let (fields, body) = sizes(bytes[..FIXED].try_into().unwrap()).unwrap();
        assert_eq!(bytes.len(), FIXED + fields + body);
        // s: length, "x", 0; a(sv): length at 8, the struct at 16: "P" … variant `t` … the number at 32.
        let body = &bytes[FIXED + fields..];
        assert_eq!(body[..6], [1, 0, 0, 0, b'x', 0]);
        assert_eq!(body[8..12], 24u32.to_le_bytes());
        assert_eq!(body[22..25], [1, b't', 0]);
        assert_eq!(body[32..40], 7u64.to_le_bytes());
    }

    #[test]
    fn the_end_of_a_job_is_read() {
        let mut body = Writer::default();
        body.number(3u32.to_le_bytes());
        ["/job/3", "x.scope", "done"].iter().for_each(|text| body.text(text));
        let heard = Heard::read(4, &[], body.0).unwrap();
        assert_eq!(heard.job().unwrap(), ("/job/3".into(), "done".into()));
    }

    proptest! {
        #[test]
        fn what_a_bus_sends_never_panics(fields: Vec<u8>, body: Vec<u8>, kind: u8) {
            if let Ok(heard) = Heard::read(kind, &fields, body) {
                let _ = (heard.one_text(), heard.job());
            }
        }
    }
}
