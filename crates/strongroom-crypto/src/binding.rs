//! What a blob or a MAC is about, as bytes with exactly one reading.

use std::fmt;

const FORMAT: u8 = 1;
const KIND_PURPOSE: u8 = 1;
const KIND_BYTES: u8 = 2;
const KIND_NUMBER: u8 = 3;
const KIND_VALUE: u8 = 4;

/// A purpose and a sequence of fields, encoded so that different sequences give different bytes.
/// It is the associated data of everything sealed and the message of every MAC.
///
/// Layout: the format byte 1, then each part as a kind byte (1 purpose, 2 bytes, 3 number), a
/// big-endian `u64` length in bytes, and the bytes; a number is eight big-endian bytes.
///
/// Use ids as fields, not names, and leave secrets out: a binding is neither encrypted nor wiped.
#[derive(Clone, PartialEq, Eq)]
pub struct Binding(Vec<u8>);

impl Binding {
    /// An empty sequence for `purpose`: one string for each use in the program, e.g. `"secret-value"`.
    #[must_use]
    pub fn new(purpose: &'static str) -> Self {
        // A purpose and four or five ids fit without growing.
        let mut bytes = Vec::with_capacity(192);
        bytes.push(FORMAT);
        Self(bytes).part(KIND_PURPOSE, purpose.as_bytes())
    }

    /// The sequence with `bytes` as one more field. An empty field is a field.
    #[must_use]
    pub fn field(self, bytes: &[u8]) -> Self {
        self.part(KIND_BYTES, bytes)
    }

    /// The sequence with a number as one more field; it differs from the same eight bytes as a field.
    #[must_use]
    pub fn number(self, n: u64) -> Self {
        self.part(KIND_NUMBER, &n.to_be_bytes())
    }

    /// The encoding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn part(mut self, kind: u8, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(&part_header(kind, bytes));
        self.0.extend_from_slice(bytes);
        self
    }
}

/// Shows the size only: fields may be long, and a log is no place for them.
impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Binding({} bytes)", self.0.len())
    }
}

/// The header of a secret value that follows a binding in a MAC message. Its own kind keeps a value
/// from being read as further fields; it is apart from the binding so that the value is not copied.
pub(crate) fn value_header(value: &[u8]) -> [u8; 9] {
    part_header(KIND_VALUE, value)
}

fn part_header(kind: u8, bytes: &[u8]) -> [u8; 9] {
    let mut header = [kind; 9];
    header[1..].copy_from_slice(&(bytes.len() as u64).to_be_bytes());
    header
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::primitives::hex;

    #[derive(Clone, Debug, PartialEq)]
    enum Part {
        Bytes(Vec<u8>),
        Number(u64),
    }

    fn encode(purpose: &'static str, parts: &[Part]) -> Binding {
        parts.iter().fold(Binding::new(purpose), |binding, part| match part {
            Part::Bytes(bytes) => binding.field(bytes),
            Part::Number(n) => binding.number(*n),
        })
    }

    /// Reads an encoding back: that this is possible for every sequence is what injective means.
    fn decode(bytes: &[u8]) -> (Vec<u8>, Vec<Part>) {
        assert_eq!(bytes[0], FORMAT);
        let mut rest = &bytes[1..];
        let mut purpose = None;
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let kind = rest[0];
            let length = u64::from_be_bytes(rest[1..9].try_into().unwrap());
            let (content, tail) = rest[9..].split_at(usize::try_from(length).unwrap());
            match kind {
                KIND_PURPOSE => assert!(purpose.replace(content.to_vec()).is_none()),
                KIND_BYTES => parts.push(Part::Bytes(content.to_vec())),
                KIND_NUMBER => parts.push(Part::Number(u64::from_be_bytes(content.try_into().unwrap()))),
                other => panic!("kind {other}"),
            }
            rest = tail;
        }
        (purpose.unwrap(), parts)
    }

    fn parts() -> impl Strategy<Value = Vec<Part>> {
        // Few byte values and short fields, so that near-collisions are likely to be tried.
        let bytes = vec(prop_oneof![0_u8..5, any::<u8>()], 0..12).prop_map(Part::Bytes);
        vec(prop_oneof![bytes, (0_u64..5).prop_map(Part::Number), any::<u64>().prop_map(Part::Number)], 0..5)
    }

    proptest! {
        #[test]
        fn every_sequence_reads_back(parts in parts()) {
            let encoded = encode("a purpose", &parts);
            prop_assert_eq!(decode(encoded.as_bytes()), (b"a purpose".to_vec(), parts));
        }

        #[test]
        fn different_sequences_give_different_bytes(a in parts(), b in parts()) {
            prop_assert_eq!(a == b, encode("p", &a).as_bytes() == encode("p", &b).as_bytes());
            prop_assert_ne!(encode("p", &a), encode("q", &a));
        }
    }

    #[test]
    fn neighbours_that_a_careless_encoding_would_confuse() {
        let binding = || Binding::new("p");
        let all = [
            binding(),
            Binding::new(""),
            binding().field(b""),
            binding().field(b"").field(b""),
            binding().field(b"ab").field(b"c"),
            binding().field(b"a").field(b"bc"),
            binding().field(b"abc"),
            binding().number(1),
            binding().field(&1_u64.to_be_bytes()),
        ];
        for (i, a) in all.iter().enumerate() {
            for b in &all[i + 1..] {
                assert_ne!(a.as_bytes(), b.as_bytes());
            }
        }
    }

    #[test]
    fn the_layout_is_fixed() {
        let binding = Binding::new("test").field(b"\xff\x00").number(258);
        assert_eq!(
            hex(binding.as_bytes()),
            concat!("01", "01000000000000000474657374", "020000000000000002ff00", "0300000000000000080000000000000102",)
        );
        assert_eq!(hex(&value_header(b"abc")), "040000000000000003");
        assert_eq!(format!("{binding:?}"), "Binding(42 bytes)");
    }
}
