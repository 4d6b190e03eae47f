//! What was seen of entries, so that the next update needn't ask for it: by a secret's id, which is never used again.
//!
//! An entry is known by its ARN, which one that is made later under the same name doesn't have. AWS itself makes sure of
//! the rest: `AWSCURRENT` moves only from where it was seen. Where AWS refuses, what was seen is forgotten and asked for.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use strongroom_domain::SecretId;

use super::naming::{LABEL, Place};
use super::protocol::Description;

/// More than are written again and again; a few megabytes.
const MOST: usize = 20_000;

/// An entry whose latest version has a label of ours, and so is kept when another becomes the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) arn: String,
    pub(super) place: Place,
    /// The id of the version that is the latest.
    pub(super) current: String,
}

impl Seen {
    /// `None` where there is more to do than to move a label.
    pub(super) fn of(description: &Description, place: Place) -> Option<Self> {
        let current = description.current()?;
        let is_kept = description.labels(current).iter().any(|label| label.starts_with(LABEL));
        is_kept.then(|| Self { arn: description.arn.clone(), place, current: current.to_owned() })
    }
}

#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<SecretId, Seen>>);

impl Known {
    pub(super) fn of(&self, secret: SecretId) -> Option<Seen> {
        self.lock().get(&secret).cloned()
    }

    pub(super) fn note(&self, secret: SecretId, seen: Option<Seen>) {
        let mut known = self.lock();
        let Some(seen) = seen else {
            known.remove(&secret);
            return;
        };
        if known.len() >= MOST && !known.contains_key(&secret) {
            // Each is asked for again when it is written again.
            known.clear();
        }
        known.insert(secret, seen);
    }

    pub(super) fn forget(&self, secret: SecretId) {
        self.note(secret, None);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SecretId, Seen>> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_known_is_bounded() {
        let known = Known::default();
        let secret = |number: usize| SecretId::from(Uuid::from_u128(number as u128));
        let seen = Seen { arn: "arn".to_owned(), place: Place::Plain, current: "one".to_owned() };
        for number in 0..=MOST {
            known.note(secret(number), Some(seen.clone()));
        }
        assert_eq!(known.lock().len(), 1);
        assert_eq!((known.of(secret(0)), known.of(secret(MOST))), (None, Some(seen)));
    }
}
