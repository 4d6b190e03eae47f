//! What the tests of several modules share.

pub(crate) use crate::primitives::hex;
use crate::{OpenError, key_bytes::KeyBytes};

/// The key 32 times `byte`.
pub(crate) fn key_bytes(byte: u8) -> KeyBytes {
    let mut bytes = KeyBytes::zeroed();
    bytes.as_mut().fill(byte);
    bytes
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Tries a good blob with each single bit flipped, cut at each length, and one byte longer.
pub(crate) fn assert_rejects_every_change(good: &[u8], open: impl Fn(&[u8]) -> Result<(), OpenError>) {
    assert_eq!(open(good), Ok(()));
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut blob = good.to_vec();
            blob[at] ^= 1 << bit;
            let expected = match at {
                0 => OpenError::Format(blob[0]),
                1 => OpenError::Algorithm(blob[1]),
                _ => OpenError::Authentication,
            };
            assert_eq!(open(&blob), Err(expected), "byte {at}, bit {bit}");
        }
    }
    for length in 0..good.len() {
        let error = open(&good[..length]).unwrap_err();
        if length < 30 {
            assert_eq!(error, OpenError::Truncated, "length {length}");
        }
    }
    let longer = [good, &[0]].concat();
    assert_eq!(open(&longer), Err(OpenError::Authentication));
}
