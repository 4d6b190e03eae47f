//! What was seen of entries, so that an update soon after another needn't ask for it: by a secret's id, which is never
//! used again.
//!
//! An entry is known by its ARN, which one that is made later under the same name doesn't have, and `AWSCURRENT` moves only
//! from where it was seen: where AWS refuses, what was seen is forgotten and asked for. That its tags are still ours AWS
//! doesn't say, nor that its latest version still has our label; so what was seen is believed for a while only.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use strongroom_domain::SecretId;
use tokio::time::Instant;

use super::naming::{LABEL, Place};
use super::protocol::Description;

/// More than are written again and again; a few megabytes.
const MOST: usize = 20_000;
/// How long an entry whose tags were looked at is believed to be ours still.
pub(super) const BELIEVED: Duration = Duration::from_mins(5);

/// An entry whose latest version has a label of ours, and so is kept when another becomes the latest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) arn: String,
    pub(super) place: Place,
    /// The id of the version that is the latest.
    pub(super) current: String,
    /// When its tags and labels were looked at.
    pub(super) looked: Instant,
}

impl Seen {
    /// `None` where there is more to do than to move a label.
    pub(super) fn of(description: &Description, place: Place) -> Option<Self> {
        let current = description.current()?;
        let is_kept = description.labels(current).iter().any(|label| label.starts_with(LABEL));
        is_kept.then(|| Self {
            arn: description.arn.clone(),
            place,
            current: current.to_owned(),
            looked: Instant::now(),
        })
    }
}

#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<SecretId, Seen>>);

impl Known {
    pub(super) fn of(&self, secret: SecretId) -> Option<Seen> {
        self.lock().get(&secret).filter(|seen| seen.looked.elapsed() < BELIEVED).cloned()
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

    #[tokio::test(start_paused = true)]
    async fn what_is_known_is_bounded() {
        let known = Known::default();
        let secret = |number: usize| SecretId::from(Uuid::from_u128(number as u128));
        let (arn, current) = ("arn".to_owned(), "one".to_owned());
        let seen = Seen { arn, place: Place::Plain, current, looked: Instant::now() };
        for number in 0..=MOST {
            known.note(secret(number), Some(seen.clone()));
        }
        assert_eq!(known.lock().len(), 1);
        assert_eq!((known.of(secret(0)), known.of(secret(MOST))), (None, Some(seen)));
        tokio::time::advance(BELIEVED).await;
        assert_eq!(known.of(secret(MOST)), None);
    }
}
