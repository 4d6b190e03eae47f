//! Ed25519 signatures: what vouches to others, who hold no key of ours.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::{Binding, key_bytes::KeyBytes};

/// A key that signs with Ed25519. Signing is deterministic: the same message gives the same signature.
///
/// Kept as its seed, sealed by [`KeyEncryptionKey::wrap_signing_key`](crate::KeyEncryptionKey::wrap_signing_key).
/// Wiped on drop; `Debug` prints `SigningKey(..)`.
pub struct SigningKey {
    seed: KeyBytes,
    pair: Ed25519KeyPair,
    public: [u8; 32],
}

impl SigningKey {
    /// A new random key.
    #[must_use]
    pub fn make() -> Self {
        Self::from_bytes(KeyBytes::random())
    }

    /// The key of this seed (RFC 8032, 5.1.5). Every seed is a key.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let mut bytes = KeyBytes::zeroed();
        bytes.as_mut().copy_from_slice(seed);
        Self::from_bytes(bytes)
    }

    /// The public key, as RFC 8032 encodes it.
    #[must_use]
    pub fn public_key(&self) -> &[u8; 32] {
        &self.public
    }

    /// The signature of `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.pair.sign(message).as_ref().try_into().expect("an Ed25519 signature has 64 bytes")
    }

    pub(crate) fn from_bytes(seed: KeyBytes) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose()).expect("any 32 bytes are an Ed25519 seed");
        let public = pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes");
        Self { seed, pair, public }
    }

    pub(crate) fn seed(&self) -> &KeyBytes {
        &self.seed
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// Whether `signature` is one of `message` by the key whose public half is `public`. What is no key or no signature at
/// all is just not one.
#[must_use]
pub fn verify_ed25519(public: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(message, signature).is_ok()
}

/// What a wrapped signing key is bound to: whose it is and under which id it is published.
pub(crate) fn binding(instance: &[u8], id: &[u8]) -> Binding {
    Binding::new("signing-key").field(instance).field(id)
}

#[cfg(test)]
mod tests;
