use strongroom_crypto::{Binding, KeyEncryptionKey, KeyRing, RootKey};
use strongroom_domain::Timestamp;
use strongroom_metadata::RootKeySlotRow;

/// Why the key-encryption keys could not be unlocked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    /// The root key is another one.
    #[error(
        "the root key {found} opens none of this database's keys, which were locked with {expected}; start with the root key \
         of that fingerprint (setting root-key-file), or bring back the database that belongs to {found}; nothing was changed"
    )]
    WrongRootKey { found: String, expected: String },
    /// A slot that is ours doesn't open.
    #[error(
        "key-encryption key {key_id} does not open with root key {fingerprint}: the database was altered; restore it from a backup"
    )]
    Damaged { key_id: u32, fingerprint: String },
}

/// Wraps a key-encryption key under a root key.
pub(crate) async fn seal_slot(
    root: &dyn RootKey,
    instance_id: &str,
    key: &KeyEncryptionKey,
    now: Timestamp,
) -> Result<RootKeySlotRow, KeysError> {
    let damaged = |_| KeysError::Damaged { key_id: key.id(), fingerprint: root.fingerprint().to_owned() };
    Ok(RootKeySlotRow {
        key_id: key.id(),
        kind: root.kind().to_owned(),
        fingerprint: root.fingerprint().to_owned(),
        wrapped: root.wrap(&binding(root, instance_id), key).await.map_err(damaged)?,
        created_at: now,
    })
}

/// Unlocks every key-encryption key that has a slot for this root key. Every key must have one: else part of what is
/// stored could not be read, and that is better known at the start.
pub(crate) async fn open_ring(
    root: &dyn RootKey,
    instance_id: &str,
    slots: &[RootKeySlotRow],
) -> Result<KeyRing, KeysError> {
    let wrong = || {
        let mut expected: Vec<&str> = slots.iter().map(|slot| slot.fingerprint.as_str()).collect();
        expected.sort_unstable();
        expected.dedup();
        KeysError::WrongRootKey { found: root.fingerprint().to_owned(), expected: expected.join(" or ") }
    };
    let mut key_ids: Vec<u32> = slots.iter().map(|slot| slot.key_id).collect();
    key_ids.dedup();
    let mut keys = Vec::with_capacity(key_ids.len());
    for key_id in key_ids {
        let ours = |slot: &&RootKeySlotRow| slot.key_id == key_id && slot.fingerprint == root.fingerprint();
        let slot = slots.iter().find(ours).ok_or_else(wrong)?;
        let opened = root.unwrap(key_id, &binding(root, instance_id), &slot.wrapped).await;
        keys.push(opened.map_err(|_| KeysError::Damaged { key_id, fingerprint: slot.fingerprint.clone() })?);
    }
    KeyRing::new(keys).ok_or_else(wrong)
}

fn binding(root: &dyn RootKey, instance_id: &str) -> Binding {
    Binding::new("root-key-slot")
        .field(instance_id.as_bytes())
        .field(root.kind().as_bytes())
        .field(root.fingerprint().as_bytes())
}

#[cfg(test)]
mod tests {
    use strongroom_crypto::FileRootKey;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1);

    #[tokio::test]
    async fn the_right_root_key_opens_the_ring_and_no_other() {
        let (root, other) = (FileRootKey::make(), FileRootKey::make());
        let slot = seal_slot(&root, "i", &KeyEncryptionKey::make(1), NOW).await.unwrap();
        assert_eq!(open_ring(&root, "i", std::slice::from_ref(&slot)).await.unwrap().primary().id(), 1);
        let Err(error) = open_ring(&other, "i", std::slice::from_ref(&slot)).await else {
            panic!("the wrong root key")
        };
        assert!(error.to_string().contains(root.fingerprint()) && error.to_string().contains(other.fingerprint()));
    }

    #[tokio::test]
    async fn a_slot_of_another_instance_or_with_a_flipped_bit_is_named() {
        let root = FileRootKey::make();
        let mut slot = seal_slot(&root, "i", &KeyEncryptionKey::make(1), NOW).await.unwrap();
        let moved = open_ring(&root, "j", std::slice::from_ref(&slot)).await;
        assert!(matches!(moved, Err(KeysError::Damaged { key_id: 1, .. })));
        slot.wrapped[20] ^= 1;
        assert!(matches!(open_ring(&root, "i", &[slot]).await, Err(KeysError::Damaged { key_id: 1, .. })));
    }

    #[tokio::test]
    async fn one_of_several_slots_is_enough() {
        let (old, new) = (FileRootKey::make(), FileRootKey::make());
        let key = KeyEncryptionKey::make(1);
        let slots = [seal_slot(&old, "i", &key, NOW).await.unwrap(), seal_slot(&new, "i", &key, NOW).await.unwrap()];
        assert!(open_ring(&old, "i", &slots).await.is_ok() && open_ring(&new, "i", &slots).await.is_ok());
    }
}
