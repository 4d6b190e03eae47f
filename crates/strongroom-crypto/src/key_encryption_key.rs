//! The key that wraps data keys and signing keys, seals credentials, and authenticates the audit log.

use std::{fmt, sync::OnceLock};

use zeroize::Zeroizing;

use crate::{
    Binding, DataKey, OpenError, SigningKey,
    key_bytes::{KeyBytes, MacKey},
    sealed::Sealer,
    signing_key,
};

/// The version of a key-encryption key: 1, 2, …
pub type KeyId = u32;

/// One version of the key that wraps data keys and signing keys, seals credentials for stores and authenticates audit
/// events.
///
/// Wiped on drop; `Debug` prints the id only.
pub struct KeyEncryptionKey {
    id: KeyId,
    bytes: KeyBytes,
    sealer: Sealer,
    signing: OnceLock<Sealer>,
    credentials: OnceLock<Sealer>,
    event: OnceLock<MacKey>,
}

impl KeyEncryptionKey {
    /// A new random key of this version.
    #[must_use]
    pub fn make(id: KeyId) -> Self {
        Self::from_bytes(id, KeyBytes::random())
    }

    /// The version it was made as.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Encrypts a data key, 62 bytes, and ties it to `binding`.
    #[must_use]
    pub fn wrap(&self, binding: &Binding, key: &DataKey) -> Vec<u8> {
        self.sealer.seal(binding, key.bytes().expose())
    }

    /// The data key that this key wrapped under an equal binding.
    pub fn unwrap(&self, binding: &Binding, blob: &[u8]) -> Result<DataKey, OpenError> {
        self.sealer.open_key(binding, blob).map(DataKey::from_bytes)
    }

    /// Encrypts a signing key, 62 bytes, and ties it to the instance and to the id that it is published under.
    #[must_use]
    pub fn wrap_signing_key(&self, instance: &[u8], id: &[u8], key: &SigningKey) -> Vec<u8> {
        self.signing_sealer().seal(&signing_key::binding(instance, id), key.seed().expose())
    }

    /// The signing key that this key wrapped for the same instance and id.
    pub fn unwrap_signing_key(&self, instance: &[u8], id: &[u8], blob: &[u8]) -> Result<SigningKey, OpenError> {
        self.signing_sealer().open_key(&signing_key::binding(instance, id), blob).map(SigningKey::from_bytes)
    }

    /// Encrypts the credentials of an account with a provider of stores, and ties them to the instance and the account.
    #[must_use]
    pub fn seal_credentials(&self, instance: &[u8], account: &[u8], credentials: &[u8]) -> Vec<u8> {
        self.credentials_sealer().seal(&credentials_binding(instance, account), credentials)
    }

    /// The credentials that this key sealed for the same instance and account.
    pub fn open_credentials(
        &self,
        instance: &[u8],
        account: &[u8],
        blob: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        self.credentials_sealer().open(&credentials_binding(instance, account), blob)
    }

    /// The MAC of an audit event. Compare it with [`constant_time_eq`](crate::constant_time_eq).
    #[must_use]
    pub fn event_mac(&self, message: &Binding) -> [u8; 32] {
        let key = self.event.get_or_init(|| self.bytes.mac_key("audit-event"));
        key.mac(&[message.as_bytes()])
    }

    pub(crate) fn from_bytes(id: KeyId, bytes: KeyBytes) -> Self {
        let sealer = Sealer::new(&bytes, "wrap-aes-256-gcm-siv");
        Self { id, bytes, sealer, signing: OnceLock::new(), credentials: OnceLock::new(), event: OnceLock::new() }
    }

    fn signing_sealer(&self) -> &Sealer {
        self.signing.get_or_init(|| Sealer::new(&self.bytes, "wrap-signing-key"))
    }

    fn credentials_sealer(&self) -> &Sealer {
        self.credentials.get_or_init(|| Sealer::new(&self.bytes, "seal-credentials"))
    }

    pub(crate) fn bytes(&self) -> &KeyBytes {
        &self.bytes
    }
}

fn credentials_binding(instance: &[u8], account: &[u8]) -> Binding {
    Binding::new("provider-credentials").field(instance).field(account)
}

impl fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyEncryptionKey({}, ..)", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{assert_rejects_every_change, hex, key_bytes, unhex};

    fn binding() -> Binding {
        Binding::new("test").field(b"group").number(3)
    }

    #[test]
    fn a_wrapped_data_key_comes_back_as_itself() {
        let (kek, key) = (KeyEncryptionKey::make(7), DataKey::make());
        let blob = kek.wrap(&binding(), &key);
        assert_eq!((kek.id(), blob.len()), (7, 62));
        let sealed = key.seal(&binding(), b"value");
        let back = kek.unwrap(&binding(), &blob).unwrap();
        assert_eq!(*back.open(&binding(), &sealed).unwrap(), b"value");
    }

    #[test]
    fn only_the_same_key_and_binding_unwrap() {
        let (kek, key) = (KeyEncryptionKey::make(1), DataKey::make());
        let blob = kek.wrap(&binding(), &key);
        for (kek, binding) in [(&kek, binding().number(0)), (&KeyEncryptionKey::make(1), binding())] {
            let error = kek.unwrap(&binding, &blob).unwrap_err();
            assert_eq!(error, OpenError::Authentication);
        }
    }

    #[test]
    fn every_change_of_a_wrapped_key_is_an_error() {
        let kek = KeyEncryptionKey::make(1);
        let blob = kek.wrap(&binding(), &DataKey::make());
        assert_rejects_every_change(&blob, |blob| kek.unwrap(&binding(), blob).map(drop));
    }

    #[test]
    fn credentials_open_where_they_were_sealed_only() {
        let kek = KeyEncryptionKey::make(1);
        let blob = kek.seal_credentials(b"instance", b"account", b"canary");
        assert_eq!(*kek.open_credentials(b"instance", b"account", &blob).unwrap(), b"canary");
        for (kek, instance, account) in [
            (&kek, b"instance", b"accoun_"),
            (&kek, b"instanc_", b"account"),
            (&KeyEncryptionKey::make(1), b"instance", b"account"),
        ] {
            assert_eq!(kek.open_credentials(instance, account, &blob).unwrap_err(), OpenError::Authentication);
        }
        assert_rejects_every_change(&blob, |blob| kek.open_credentials(b"instance", b"account", blob).map(drop));
    }

    #[test]
    fn what_is_no_key_long_is_no_key() {
        let kek = KeyEncryptionKey::make(1);
        for (length, expected) in
            [(0, OpenError::Truncated), (31, OpenError::Truncated), (33, OpenError::Authentication)]
        {
            let blob = kek.sealer.seal(&binding(), &vec![1; length]);
            assert_eq!(kek.unwrap(&binding(), &blob).unwrap_err(), expected);
        }
    }

    // Computed with another implementation (Python's cryptography and hmac).
    #[test]
    fn wrapping_and_event_macs_are_fixed() {
        let kek = KeyEncryptionKey::from_bytes(1, key_bytes(1));
        let blob = unhex(
            "0101090909090909090909090909587cc49118c480db1035caf426203be7d3ef8a698153fc0ecde5180657531b50b824b9fedd839d80fdb7b32d5c810e3a",
        );
        let key = kek.unwrap(&binding(), &blob).unwrap();
        assert_eq!(key.bytes().expose(), key_bytes(2).expose());
        assert_eq!(hex(&kek.event_mac(&binding())), "b2b6e693acfeb0c44ec0658fd2a710a1b01204e27e87e52779d09369cdee6b39");
    }

    #[test]
    fn debug_prints_the_id_only() {
        assert_eq!(format!("{:?}", KeyEncryptionKey::make(12)), "KeyEncryptionKey(12, ..)");
    }
}
