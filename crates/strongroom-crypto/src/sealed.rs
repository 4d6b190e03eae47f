//! The format of everything encrypted: a blob says how it was made, the rest is AES-256-GCM-SIV.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::{Binding, key_bytes::KeyBytes, random_fill};

const FORMAT: u8 = 1;
const AES_256_GCM_SIV_ID: u8 = 1;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
const CIPHERTEXT_AT: usize = 2 + NONCE_LEN;

/// Why a blob does not open. Never says anything of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The first byte names a format this version does not know.
    #[error("unknown blob format {0}")]
    Format(u8),
    /// The second byte names an algorithm this version does not know.
    #[error("unknown blob algorithm {0}")]
    Algorithm(u8),
    /// The blob is too short to be one.
    #[error("the blob is truncated")]
    Truncated,
    /// The blob was changed, or was sealed under another key or another binding.
    #[error("the blob does not authenticate under this key and binding")]
    Authentication,
}

/// An AES-256-GCM-SIV key, expanded once and used for many blobs.
///
/// Blob: format byte 1, algorithm byte 1, 12 bytes of random nonce, ciphertext, 16 bytes of tag. The
/// two leading bytes need no authentication: each format and algorithm has subkeys of its own.
pub(crate) struct Sealer(LessSafeKey);

impl Sealer {
    /// Of the subkey `label` of `key`. The label names the algorithm or its only use.
    pub(crate) fn new(key: &KeyBytes, label: &'static str) -> Self {
        let key = UnboundKey::new(&AES_256_GCM_SIV, key.subkey(label).as_ref())
            .expect("a subkey has the length of an AES-256 key");
        Self(LessSafeKey::new(key))
    }

    pub(crate) fn seal(&self, binding: &Binding, plaintext: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        random_fill(&mut nonce);
        self.seal_with_nonce(nonce, binding, plaintext)
    }

    pub(crate) fn open(&self, binding: &Binding, blob: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let parts = Parts::parse(blob)?;
        let mut plaintext = Zeroizing::new(vec![0; parts.ciphertext.len()]);
        self.open_into(binding, parts, &mut plaintext)?;
        Ok(plaintext)
    }

    /// Opens a blob whose plaintext is a key, straight into the key's place.
    pub(crate) fn open_key(&self, binding: &Binding, blob: &[u8]) -> Result<KeyBytes, OpenError> {
        let parts = Parts::parse(blob)?;
        let mut key = KeyBytes::zeroed();
        match parts.ciphertext.len() {
            KeyBytes::LEN => self.open_into(binding, parts, key.as_mut())?,
            ..KeyBytes::LEN => return Err(OpenError::Truncated),
            _ => return Err(OpenError::Authentication),
        }
        Ok(key)
    }

    /// `out` has the length of the ciphertext.
    fn open_into(&self, binding: &Binding, parts: Parts<'_>, out: &mut [u8]) -> Result<(), OpenError> {
        let Parts { nonce, ciphertext, tag } = parts;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        self.0
            .open_separate_gather(nonce, Aad::from(binding.as_bytes()), ciphertext, tag, out)
            .map_err(|_| OpenError::Authentication)
    }

    fn seal_with_nonce(&self, nonce: [u8; NONCE_LEN], binding: &Binding, plaintext: &[u8]) -> Vec<u8> {
        let mut blob = vec![0; CIPHERTEXT_AT + plaintext.len() + TAG_LEN];
        let (header, sealed) = blob.split_at_mut(CIPHERTEXT_AT);
        let (ciphertext, tag) = sealed.split_at_mut(plaintext.len());
        header[0] = FORMAT;
        header[1] = AES_256_GCM_SIV_ID;
        header[2..].copy_from_slice(&nonce);
        self.0
            .seal_out_of_place_scatter(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(binding.as_bytes()),
                plaintext,
                ciphertext,
                &[],
                tag,
            )
            .expect("a value is far below the 64 GiB that GCM-SIV can seal");
        blob
    }
}

/// A blob of the known format and algorithm, taken apart.
#[derive(Clone, Copy)]
struct Parts<'a> {
    nonce: &'a [u8; NONCE_LEN],
    ciphertext: &'a [u8],
    tag: &'a [u8; TAG_LEN],
}

impl<'a> Parts<'a> {
    fn parse(blob: &'a [u8]) -> Result<Self, OpenError> {
        let (&format, rest) = blob.split_first().ok_or(OpenError::Truncated)?;
        if format != FORMAT {
            return Err(OpenError::Format(format));
        }
        let (&algorithm, rest) = rest.split_first().ok_or(OpenError::Truncated)?;
        if algorithm != AES_256_GCM_SIV_ID {
            return Err(OpenError::Algorithm(algorithm));
        }
        let (nonce, rest) = rest.split_first_chunk().ok_or(OpenError::Truncated)?;
        let (ciphertext, tag) = rest.split_last_chunk().ok_or(OpenError::Truncated)?;
        Ok(Self { nonce, ciphertext, tag })
    }
}

#[cfg(test)]
mod tests;
