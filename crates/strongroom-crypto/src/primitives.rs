//! Randomness, hashing, comparison: what needs no key of ours.

use std::fmt::Write as _;

use aws_lc_rs::{constant_time, digest, rand};

/// Fills `out` with random bytes fit for keys, nonces and tokens.
///
/// # Panics
/// Only if the operating system has no randomness to give, in which case nothing safe is left to do.
pub fn random_fill(out: &mut [u8]) {
    rand::fill(out).expect("the operating system provides randomness");
}

/// The SHA-256 digest of `data`.
#[must_use]
pub fn sha256(data: &[u8]) -> [u8; 32] {
    digest_array(digest::digest(&digest::SHA256, data).as_ref())
}

/// Whether `a` equals `b`, in time that depends on their lengths only. Different lengths are unequal.
#[must_use]
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(a, b).is_ok()
}

/// A SHA-256 sized output of aws-lc as an array.
pub(crate) fn digest_array(bytes: &[u8]) -> [u8; 32] {
    bytes.try_into().expect("SHA-256 and HMAC-SHA256 put out 32 bytes")
}

/// Lowercase hexadecimal digits. Not for secrets: neither constant in time nor wiped.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String does not fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_is_sha256() {
        assert_eq!(hex(&sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn comparison_sees_content_and_length() {
        assert!(constant_time_eq(b"", b""));
        assert!(constant_time_eq(b"same", b"same"));
        assert!(!constant_time_eq(b"same", b"sama"));
        assert!(!constant_time_eq(b"same", b"sam"));
        assert!(!constant_time_eq(b"", b"s"));
    }

    #[test]
    fn random_bytes_fill_the_whole_buffer_and_differ() {
        let (mut first, mut second) = ([0; 64], [0; 64]);
        random_fill(&mut first);
        random_fill(&mut second);
        assert_ne!(first, second);
        assert_ne!(first[32..], [0; 32]);
        random_fill(&mut []);
    }
}
