//! The MAC over what is current of a group, and the memory of what it was found right for.

use std::collections::HashMap;
use std::sync::Arc;

use quick_cache::Weighter;
use strongroom_crypto::{Binding, DataKey, constant_time_eq};
use strongroom_domain::{GroupId, IntegrationId, SecretId};
use strongroom_metadata::{GroupState, SecretState};

use super::{App, AppError};

/// The current secrets of a group at a revision whose MAC was right.
pub(crate) struct Verified {
    pub(crate) revision: i64,
    pub(crate) mac: Vec<u8>,
    pub(crate) name: String,
    pub(crate) pointers: HashMap<SecretId, Pointer>,
}

/// Under which key a secret is current, in which version, and the digest of its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pointer {
    pub(crate) key: String,
    pub(crate) version: i64,
    pub(crate) digest: Vec<u8>,
}

impl Verified {
    /// Whether this is of exactly that revision.
    pub(crate) fn is(&self, revision: i64, mac: &[u8]) -> bool {
        self.revision == revision && self.mac == mac
    }
}

/// Weighs an entry of the cache by the pointers that it holds.
#[derive(Clone)]
pub(crate) struct ByPointers;

impl Weighter<GroupId, Arc<Verified>> for ByPointers {
    fn weight(&self, _: &GroupId, verified: &Arc<Verified>) -> u64 {
        verified.pointers.len() as u64 + 1
    }
}

/// What a revision's MAC speaks of, besides the secrets.
pub(crate) struct Subject<'a> {
    pub(crate) group: GroupId,
    pub(crate) revision: i64,
    pub(crate) name: &'a str,
    pub(crate) integration: IntegrationId,
    pub(crate) manifest: &'a str,
    pub(crate) deleted: bool,
}

impl<'a> Subject<'a> {
    pub(crate) fn of(state: &'a GroupState) -> Self {
        let group = &state.group;
        Self {
            group: group.id,
            revision: group.revision,
            name: &group.name,
            integration: group.integration_id,
            manifest: &group.manifest,
            deleted: group.deleted_at.is_some(),
        }
    }
}

impl App {
    /// The MAC of a revision.
    pub(crate) fn revision_mac(&self, key: &DataKey, subject: &Subject<'_>, secrets: &[SecretState]) -> [u8; 32] {
        let mut ordered: Vec<&SecretState> = secrets.iter().collect();
        ordered.sort_by_key(|secret| secret.id);
        let message = Binding::new("revision")
            .field(self.instance_id.as_bytes())
            .field(subject.group.as_bytes())
            .number(subject.revision.unsigned_abs())
            .field(subject.name.as_bytes())
            .field(subject.integration.as_bytes())
            .field(subject.manifest.as_bytes())
            .number(u64::from(subject.deleted))
            .number(ordered.len() as u64);
        let message = ordered.into_iter().fold(message, |message, secret| {
            message
                .field(secret.id.as_bytes())
                .field(secret.key.as_bytes())
                .number(secret.version.unsigned_abs())
                .field(&secret.digest)
                .field(secret.store_version.as_bytes())
        });
        key.revision_mac(&message)
    }

    /// Checks that what the database gives as current of a group is what its newest revision wrote.
    pub(crate) fn verify(&self, state: &GroupState) -> Result<Arc<Verified>, AppError> {
        let group = &state.group;
        let key = self.data_key(group.id, group.data_key.as_deref(), group.data_key_kek)?;
        let mac = self.revision_mac(&key, &Subject::of(state), &state.secrets);
        if !constant_time_eq(&mac, &group.revision_mac) {
            return Err(AppError::Integrity {
                public: format!("the record of secret group {} was altered outside this server", group.id),
                internal: format!("the MAC of revision {} does not fit", group.revision),
            });
        }
        Ok(self.remember_verified(state))
    }

    /// Keeps the pointers of a state that is known to be right.
    pub(crate) fn remember_verified(&self, state: &GroupState) -> Arc<Verified> {
        let pointer = |secret: &SecretState| Pointer {
            key: secret.key.clone(),
            version: secret.version,
            digest: secret.digest.clone(),
        };
        let group = &state.group;
        let verified = Arc::new(Verified {
            revision: group.revision,
            mac: group.revision_mac.clone(),
            name: group.name.clone(),
            pointers: state.secrets.iter().map(|secret| (secret.id, pointer(secret))).collect(),
        });
        self.caches.verified.insert(state.group.id, verified.clone());
        verified
    }

    /// The remembered pointers of exactly this revision.
    pub(crate) fn verified(&self, group: GroupId, revision: i64, mac: &[u8]) -> Option<Arc<Verified>> {
        self.caches.verified.get(&group).filter(|verified| verified.is(revision, mac))
    }
}
