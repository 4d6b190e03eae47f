//! The key of one secret group.

use std::{fmt, sync::OnceLock};

use zeroize::Zeroizing;

use crate::{
    Binding, OpenError,
    binding::value_header,
    key_bytes::{KeyBytes, MacKey},
    sealed::Sealer,
};

/// The key of one secret group: seals its values and authenticates its revisions.
///
/// What is derived from the 32 bytes is derived at first use and kept, so that holding a key costs
/// little and using it again is fast. Wiped on drop; `Debug` prints `DataKey(..)`.
pub struct DataKey {
    bytes: KeyBytes,
    sealer: OnceLock<Sealer>,
    digest: OnceLock<MacKey>,
    revision: OnceLock<MacKey>,
}

impl DataKey {
    /// A new random key.
    #[must_use]
    pub fn make() -> Self {
        Self::from_bytes(KeyBytes::random())
    }

    /// Encrypts `plaintext` and ties it to `binding`. The blob is 30 bytes longer than the plaintext
    /// and different each time.
    #[must_use]
    pub fn seal(&self, binding: &Binding, plaintext: &[u8]) -> Vec<u8> {
        self.sealer().seal(binding, plaintext)
    }

    /// The plaintext of a blob that this key sealed under an equal binding.
    pub fn open(&self, binding: &Binding, blob: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        self.sealer().open(binding, blob)
    }

    /// A keyed digest of `value`, equal for equal values under equal bindings: tells whether a value
    /// changed, and says nothing of the value to who does not hold the key.
    #[must_use]
    pub fn value_digest(&self, binding: &Binding, value: &[u8]) -> [u8; 32] {
        let key = self.digest.get_or_init(|| self.bytes.mac_key("value-digest"));
        key.mac(&[binding.as_bytes(), &value_header(value), value])
    }

    /// The MAC of a revision of the group. Compare it with [`constant_time_eq`](crate::constant_time_eq).
    #[must_use]
    pub fn revision_mac(&self, message: &Binding) -> [u8; 32] {
        let key = self.revision.get_or_init(|| self.bytes.mac_key("revision-mac"));
        key.mac(&[message.as_bytes()])
    }

    pub(crate) fn from_bytes(bytes: KeyBytes) -> Self {
        Self { bytes, sealer: OnceLock::new(), digest: OnceLock::new(), revision: OnceLock::new() }
    }

    pub(crate) fn bytes(&self) -> &KeyBytes {
        &self.bytes
    }

    fn sealer(&self) -> &Sealer {
        self.sealer.get_or_init(|| Sealer::new(&self.bytes, "seal-aes-256-gcm-siv"))
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

#[cfg(test)]
mod tests;
