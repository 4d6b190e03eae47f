//! The unlocked key-encryption keys.

use std::{fmt, sync::Arc};

use crate::{KeyEncryptionKey, KeyId};

/// The unlocked key-encryption keys: new data keys are wrapped under the primary one, older ones
/// still unwrap. Cloning shares the keys. `Debug` prints the ids only.
#[derive(Clone)]
pub struct KeyRing {
    /// By ascending id, without repetition, never empty.
    keys: Arc<[KeyEncryptionKey]>,
}

impl KeyRing {
    /// A ring of `keys` in any order, or `None` if there are none. Ids are meant to be unique; of
    /// two keys with one id the first is kept.
    #[must_use]
    pub fn new(mut keys: Vec<KeyEncryptionKey>) -> Option<Self> {
        keys.sort_by_key(KeyEncryptionKey::id);
        keys.dedup_by_key(|key| key.id());
        (!keys.is_empty()).then(|| Self { keys: keys.into() })
    }

    /// The key with the highest id.
    #[must_use]
    pub fn primary(&self) -> &KeyEncryptionKey {
        self.keys.last().expect("a ring is never empty")
    }

    /// The key of this version, if the ring has it.
    #[must_use]
    pub fn key(&self, id: KeyId) -> Option<&KeyEncryptionKey> {
        let at = self.keys.binary_search_by_key(&id, KeyEncryptionKey::id).ok()?;
        Some(&self.keys[at])
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing")?;
        f.debug_list().entries(self.keys.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Binding, DataKey};

    #[test]
    fn no_keys_no_ring() {
        assert!(KeyRing::new(Vec::new()).is_none());
    }

    #[test]
    fn the_highest_id_is_primary_whatever_the_order() {
        let ring = KeyRing::new([2, 9, 4].map(KeyEncryptionKey::make).into()).unwrap();
        assert_eq!(ring.primary().id(), 9);
        for id in [2, 4, 9] {
            assert_eq!(ring.key(id).unwrap().id(), id);
        }
        for id in [0, 1, 3, 10] {
            assert!(ring.key(id).is_none());
        }
        assert_eq!(
            format!("{:?}", ring.clone()),
            "KeyRing[KeyEncryptionKey(2, ..), KeyEncryptionKey(4, ..), KeyEncryptionKey(9, ..)]"
        );
    }

    #[test]
    fn of_two_keys_with_one_id_the_first_is_kept() {
        let binding = Binding::new("test");
        let (first, second) = (KeyEncryptionKey::make(1), KeyEncryptionKey::make(1));
        let blob = first.wrap(&binding, &DataKey::make());
        let ring = KeyRing::new(vec![first, second]).unwrap();
        assert!(ring.key(1).unwrap().unwrap(&binding, &blob).is_ok());
    }
}
