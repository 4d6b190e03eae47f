//! Root keys: what wraps the key-encryption keys, and is kept outside the database.

use std::{
    fmt,
    future::{self, Future},
    pin::Pin,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{
    Binding, KeyEncryptionKey, KeyId, OpenError, key_bytes::KeyBytes, primitives::hex, sealed::Sealer, sha256,
};

/// What a [`RootKey`] answers, once it has: a root key may be a service across a network.
pub type RootKeyFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, RootKeyError>> + Send + 'a>>;

/// Wraps key-encryption keys. Used as `Box<dyn RootKey>`.
pub trait RootKey: Send + Sync {
    /// What kind of root key this is, e.g. `"file"`; stored with what it wraps.
    fn kind(&self) -> &'static str;

    /// Tells this root key from others of its kind; not secret, stored with what it wraps.
    fn fingerprint(&self) -> &str;

    /// Encrypts `key` and ties it to `binding` and to the key's id.
    fn wrap<'a>(&'a self, binding: &'a Binding, key: &'a KeyEncryptionKey) -> RootKeyFuture<'a, Vec<u8>>;

    /// The key of version `id` that this root key wrapped under an equal binding.
    fn unwrap<'a>(&'a self, id: KeyId, binding: &'a Binding, blob: &'a [u8]) -> RootKeyFuture<'a, KeyEncryptionKey>;
}

/// Why a root key did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RootKeyError {
    /// The wrapped key does not open: changed, or wrapped by another root key, or of another id.
    #[error("the wrapped key-encryption key does not open under this root key: {0}")]
    Open(#[from] OpenError),
}

/// Why a text is not a root key. Never repeats any of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RootKeyFormatError {
    /// It starts with something else.
    #[error("a root key starts with \"{PREFIX}\", this text does not")]
    Prefix,
    /// The second colon is missing: most likely the end was cut off.
    #[error("the root key has no checksum at its end, it is not complete")]
    Incomplete,
    /// The middle part is not base64.
    #[error("the root key is not valid base64")]
    Base64,
    /// The middle part decodes to so many bytes.
    #[error("the root key is {0} bytes long, it must be {len}", len = KeyBytes::LEN)]
    Length(usize),
    /// The last part does not fit the middle part.
    #[error("the checksum of the root key does not match, a character was lost or changed")]
    Checksum,
}

/// A root key of 32 bytes that is kept as text in a file or a secret of the platform.
///
/// Text: `strongroom-root-key-v1:`, base64 of the key, `:`, 8 lowercase hexadecimal digits of
/// checksum, a line feed. Wiped on drop; `Debug` prints the fingerprint only.
pub struct FileRootKey {
    bytes: KeyBytes,
    sealer: Sealer,
    fingerprint: String,
}

const PREFIX: &str = "strongroom-root-key-v1:";
/// 32 bytes in base64.
const BASE64_LEN: usize = 44;
const CHECKSUM_LABEL: &[u8] = b"strongroom root key checksum v1\0";
const FINGERPRINT_LABEL: &[u8] = b"strongroom root key fingerprint v1\0";

impl FileRootKey {
    /// A new random root key.
    #[must_use]
    pub fn make() -> Self {
        Self::from_bytes(KeyBytes::random())
    }

    /// Reads what [`to_text`](Self::to_text) wrote. White space at the end is accepted.
    pub fn parse(text: &str) -> Result<Self, RootKeyFormatError> {
        let rest = text.strip_prefix(PREFIX).ok_or(RootKeyFormatError::Prefix)?;
        let (encoded, checksum) = rest.trim_end().split_once(':').ok_or(RootKeyFormatError::Incomplete)?;
        // Room for all of it from the start: a buffer that grows leaves copies behind.
        let mut decoded = Zeroizing::new(Vec::with_capacity(encoded.len()));
        STANDARD.decode_vec(encoded, &mut decoded).map_err(|_| RootKeyFormatError::Base64)?;
        if decoded.len() != KeyBytes::LEN {
            return Err(RootKeyFormatError::Length(decoded.len()));
        }
        let mut bytes = KeyBytes::zeroed();
        bytes.as_mut().copy_from_slice(&decoded);
        if checksum_of(&bytes) != checksum {
            return Err(RootKeyFormatError::Checksum);
        }
        Ok(Self::from_bytes(bytes))
    }

    /// The text to keep. It is the key: whoever reads it can open everything.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut encoded = Zeroizing::new([0; BASE64_LEN]);
        STANDARD.encode_slice(self.bytes.expose(), encoded.as_mut()).expect("32 bytes are 44 characters of base64");
        let encoded = str::from_utf8(encoded.as_ref()).expect("base64 is ASCII");
        // Exactly the room needed, for the same reason as in `parse`.
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + BASE64_LEN + 10));
        for part in [PREFIX, encoded, ":", &checksum_of(&self.bytes), "\n"] {
            text.push_str(part);
        }
        text
    }

    fn from_bytes(bytes: KeyBytes) -> Self {
        let digest = labelled_digest(FINGERPRINT_LABEL, &bytes);
        Self { sealer: Sealer::new(&bytes, "wrap-kek"), fingerprint: format!("rk-{}", hex(&digest[..8])), bytes }
    }
}

impl RootKey for FileRootKey {
    fn kind(&self) -> &'static str {
        "file"
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn wrap<'a>(&'a self, binding: &'a Binding, key: &'a KeyEncryptionKey) -> RootKeyFuture<'a, Vec<u8>> {
        let blob = self.sealer.seal(&with_id(binding, key.id()), key.bytes().expose());
        Box::pin(future::ready(Ok(blob)))
    }

    fn unwrap<'a>(&'a self, id: KeyId, binding: &'a Binding, blob: &'a [u8]) -> RootKeyFuture<'a, KeyEncryptionKey> {
        let key =
            self.sealer.open_key(&with_id(binding, id), blob).map(|bytes| KeyEncryptionKey::from_bytes(id, bytes));
        Box::pin(future::ready(key.map_err(RootKeyError::from)))
    }
}

impl fmt::Debug for FileRootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileRootKey({}, ..)", self.fingerprint)
    }
}

/// The caller's binding and the id, so that a row whose id was changed does not open.
fn with_id(binding: &Binding, id: KeyId) -> Binding {
    binding.clone().number(id.into())
}

/// The first four bytes, in hexadecimal: for typing errors, not against forgery.
fn checksum_of(bytes: &KeyBytes) -> String {
    hex(&labelled_digest(CHECKSUM_LABEL, bytes)[..4])
}

fn labelled_digest(label: &[u8], bytes: &KeyBytes) -> [u8; 32] {
    let mut message = [label, bytes.expose()].concat();
    let digest = sha256(&message);
    message.zeroize();
    digest
}

#[cfg(test)]
mod tests;
