//! Opaque tokens: `tfy_`, 37 random base62 characters, and a checksum of six; and the codes of invitations, `tfyi_` and
//! the same.
//!
//! The checksum lets secret scanners tell a leaked token from random text, and lets a mistyped one fail without a
//! look-up. It protects nothing else; 37 characters of base62 carry 220 bits.

use zeroize::Zeroizing;

use crate::Entropy;

const PREFIX: &str = "tfy_";
/// Neither is the beginning of the other: an invitation's code is never taken for a token.
const INVITATION: &str = "tfyi_";
const RANDOM: usize = 37;
const CHECKSUM: usize = 6;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Makes a new token.
#[must_use]
pub fn make(entropy: &dyn Entropy) -> Zeroizing<String> {
    make_with(PREFIX, entropy)
}

/// Whether the text has the form of a token and its checksum fits.
#[must_use]
pub fn is_well_formed(text: &str) -> bool {
    fits(PREFIX, text)
}

/// Makes the code of a new invitation.
#[must_use]
pub fn make_invitation(entropy: &dyn Entropy) -> Zeroizing<String> {
    make_with(INVITATION, entropy)
}

/// Whether the text has the form of an invitation's code and its checksum fits.
#[must_use]
pub fn is_invitation(text: &str) -> bool {
    fits(INVITATION, text)
}

fn make_with(prefix: &str, entropy: &dyn Entropy) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + RANDOM + CHECKSUM));
    text.push_str(prefix);
    while text.len() < prefix.len() + RANDOM {
        let mut byte = [0];
        entropy.fill(&mut byte);
        // 248 is the largest multiple of 62 in a byte: what lies above would favour the first characters.
        if byte[0] < 248 {
            text.push(char::from(ALPHABET[usize::from(byte[0] % 62)]));
        }
    }
    let checksum = checksum(&text.as_bytes()[prefix.len()..]);
    text.push_str(std::str::from_utf8(&checksum).unwrap_or_default());
    text
}

fn fits(prefix: &str, text: &str) -> bool {
    let Some(body) = text.strip_prefix(prefix) else { return false };
    body.len() == RANDOM + CHECKSUM
        && body.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && body.as_bytes()[RANDOM..] == checksum(&body.as_bytes()[..RANDOM])
}

fn checksum(random: &[u8]) -> [u8; CHECKSUM] {
    let mut rest = crc32(random);
    let mut out = [b'0'; CHECKSUM];
    for place in out.iter_mut().rev() {
        *place = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    out
}

/// CRC-32 (IEEE 802.3), the checksum that scanners of prefixed tokens commonly use.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & 0u32.wrapping_sub(crc & 1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(std::sync::atomic::AtomicU8);
    impl Entropy for Counting {
        fn fill(&self, out: &mut [u8]) {
            for byte in out {
                *byte = self.0.fetch_add(7, std::sync::atomic::Ordering::Relaxed);
            }
        }
    }

    #[test]
    fn crc32_check_value() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn made_tokens_are_well_formed_and_typos_are_not() {
        let token = make(&Counting(std::sync::atomic::AtomicU8::new(3)));
        assert_eq!(token.len(), 47);
        assert!(is_well_formed(&token));
        for at in 4..token.len() {
            let mut typo = token.as_bytes().to_vec();
            typo[at] = if typo[at] == b'x' { b'y' } else { b'x' };
            assert!(!is_well_formed(std::str::from_utf8(&typo).unwrap()), "position {at}");
        }
        assert!(!is_well_formed("") && !is_well_formed("tfy_") && !is_well_formed(&token[1..]));
        assert!(!is_well_formed(&format!("{}é", &token[..45])));
    }

    #[test]
    fn an_invitation_is_no_token() {
        let entropy = Counting(std::sync::atomic::AtomicU8::new(5));
        let (token, code) = (make(&entropy), make_invitation(&entropy));
        assert!(is_invitation(&code) && !is_well_formed(&code));
        assert!(is_well_formed(&token) && !is_invitation(&token));
    }
}
