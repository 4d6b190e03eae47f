//! All cryptography of Strongroom, on aws-lc-rs alone. This crate knows bytes and key ids: nothing
//! of tenants or groups, no files, no clock.
//!
//! # The key hierarchy
//!
//! ```text
//! RootKey (a file by default)           one per installation, held outside the database
//!   `- wraps KeyEncryptionKey           versions 1, 2, ...; the unlocked ones are the KeyRing
//!        |- wraps DataKey               one per secret group, stored wrapped in the group's row
//!        |    |- seals values           AES-256-GCM-SIV
//!        |    |- value digests          HMAC-SHA256
//!        |    `- revision MACs          HMAC-SHA256
//!        |- wraps SigningKey            stored wrapped; vouches to others
//!        |    `- signatures             Ed25519
//!        |- seals credentials           of accounts with providers of stores
//!        `- audit event MACs            HMAC-SHA256
//! ```
//!
//! No key is used for two things: each use above has its own subkey, derived with HKDF-SHA256 under
//! its own label. Everything sealed, wrapped or authenticated is tied to a [`Binding`] that says what
//! it is and where it belongs, so that a blob copied into another row does not open. Nonces are
//! random; GCM-SIV is chosen because a repeated one (a restored snapshot, two replicas) reveals no
//! more than that two plaintexts under one binding are equal.
//!
//! # What zeroization does and does not do
//!
//! Key bytes live in one heap place each, are never moved, and are overwritten on drop, as are
//! opened values ([`zeroize::Zeroizing`]) and the expanded keys inside aws-lc. It is a reduction of
//! how long secrets lie about, not a promise: subkeys and expanded key schedules pass through the
//! stack and registers, callers may copy what they are given, and pages may be swapped or dumped
//! unless the process forbids it.

mod binding;
mod data_key;
mod key_bytes;
mod key_encryption_key;
mod primitives;
mod public_key;
mod ring;
mod root_key;
mod sealed;
mod signing_key;

pub use binding::Binding;
pub use data_key::DataKey;
pub use key_encryption_key::{KeyEncryptionKey, KeyId};
pub use primitives::{constant_time_eq, random_fill, sha256};
pub use public_key::{PublicKey, SignatureAlgorithm};
pub use ring::KeyRing;
pub use root_key::{FileRootKey, RootKey, RootKeyError, RootKeyFormatError, RootKeyFuture};
pub use sealed::OpenError;
pub use signing_key::{SigningKey, verify_ed25519};

#[cfg(test)]
mod test_support;
