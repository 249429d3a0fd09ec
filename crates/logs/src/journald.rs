//! systemd's journal: its native protocol, with docker's fields. See systemd.journal-fields(7) and "Native Journal
//! Protocol".

use crate::line::Piece;
use crate::option::Choice;
use crate::remote::Place;
use crate::{Kind, Result, Stream, Subject, tag};
use fault::Context;
use jiff::Timestamp;
use rustix::rand::{GetRandomFlags, getrandom};
use std::fmt::Write;

const SOCKET: &str = "/run/systemd/journal/socket";

/// What each message begins with.
#[derive(Debug)]
pub(crate) struct Journal {
    fields: Vec<u8>,
    epoch: String,
    ordinal: u64,
}

impl Journal {
    pub(crate) fn place() -> Place {
        Place::Datagram(SOCKET.into())
    }

    pub(crate) fn new(choice: &Choice, subject: &Subject) -> Result<Self> {
        let tag = tag::tag(choice, subject, "{{.ID}}")?;
        let mut fields = Vec::new();
        let own = [
            ("CONTAINER_ID", subject.short_id()),
            ("CONTAINER_ID_FULL", &subject.id),
            ("CONTAINER_NAME", &subject.name),
            ("CONTAINER_TAG", &tag),
            ("IMAGE_NAME", &subject.image_name),
            ("SYSLOG_IDENTIFIER", &tag),
        ];
        own.iter().for_each(|(name, value)| field(&mut fields, name, value.as_bytes()));
        for (name, value) in tag::attributes(choice, subject)? {
            field(&mut fields, &allowed(&name), value.as_bytes());
        }
        Ok(Self { fields, epoch: random()?, ordinal: 0 })
    }

    pub(crate) fn message(&mut self, time: Timestamp, piece: Piece<'_>) -> Vec<u8> {
        self.ordinal += 1;
        let mut message = self.fields.clone();
        let priority = if piece.stream == Stream::Output { "6" } else { "3" };
        field(&mut message, "PRIORITY", priority.as_bytes());
        field(&mut message, "SYSLOG_TIMESTAMP", time.to_string().as_bytes());
        field(&mut message, "CONTAINER_LOG_EPOCH", self.epoch.as_bytes());
        field(&mut message, "CONTAINER_LOG_ORDINAL", self.ordinal.to_string().as_bytes());
        if let Some((line, ordinal)) = piece.part {
            if !piece.ends {
                field(&mut message, "CONTAINER_PARTIAL_MESSAGE", b"true");
            }
            field(&mut message, "CONTAINER_PARTIAL_ID", format!("{}{line:016x}", self.epoch).as_bytes());
            field(&mut message, "CONTAINER_PARTIAL_ORDINAL", ordinal.to_string().as_bytes());
            field(&mut message, "CONTAINER_PARTIAL_LAST", piece.ends.to_string().as_bytes());
        }
        field(&mut message, "MESSAGE", piece.text);
        message
    }
}

fn field(into: &mut Vec<u8>, name: &str, value: &[u8]) {
    into.extend(name.bytes());
    if value.contains(&b'\n') {
        into.push(b'\n');
        into.extend((value.len() as u64).to_le_bytes());
    } else {
        into.push(b'=');
    }
    into.extend(value);
    into.push(b'\n');
}

/// A field's name has capitals, digits and underscores, and does not begin with one.
fn allowed(name: &str) -> String {
    let letters = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' });
    letters.collect::<String>().trim_start_matches('_').to_owned()
}

fn random() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom(&mut bytes, GetRandomFlags::empty()).or_err(Kind::Failed, || "draw a random number".into())?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_fields_as_the_journal_wants_them() {
        let mut message = Vec::new();
        field(&mut message, "A", b"x=y");
        field(&mut message, "B", b"1\n2");
        assert_eq!(message, b"A=x=y\nB\n\x03\0\0\0\0\0\0\x001\n2\n");
        assert_eq!((allowed("_my-label.x").as_str(), allowed("a1").as_str()), ("MY_LABEL_X", "A1"));
    }
}
