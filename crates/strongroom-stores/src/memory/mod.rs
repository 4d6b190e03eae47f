//! A store in the process's memory, for tests and instances that shall leave nothing behind.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use strongroom_domain::SecretValue;

use crate::store::{
    Condition, Entry, KeptVersions, Latest, Pinned, Placed, Placement, Put, Removal, SecretStore, StoreDescription,
    StoreVersion,
};
use crate::{StoreError, StoreErrorKind, naming};

const NAME: &str = "memory";

/// An honest store in memory that can do everything: conditions, marks, staging, removing versions.
///
/// It is inline: the row that a put yields holds no value but a copy of the version's name, and a get refuses a row
/// that names another version.
#[derive(Debug)]
pub struct MemoryStore {
    description: StoreDescription,
    entries: Mutex<BTreeMap<String, Versions>>,
}

#[derive(Debug, Default)]
struct Versions {
    next: u64,
    latest: Option<u64>,
    kept: BTreeMap<u64, Version>,
}

#[derive(Debug)]
struct Version {
    value: SecretValue,
    mark: Option<String>,
    /// Our own.
    number: i64,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self {
            description: StoreDescription {
                name: NAME,
                placement: Placement::Inline,
                max_value_bytes: 64 * 1024,
                max_key_bytes: 253,
                kept_versions: KeptVersions::All,
                soft_delete: false,
                conditional_put: true,
                marks: true,
                staging: true,
                removes_versions: true,
                enumerates: true,
            },
            entries: Mutex::default(),
        }
    }
}

impl MemoryStore {
    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Versions>> {
        // No code below can panic while it holds the lock half way through a change.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SecretStore for MemoryStore {
    fn description(&self) -> &StoreDescription {
        &self.description
    }

    async fn put(&self, put: Put<'_>) -> Result<Placed, StoreError> {
        if put.value.byte_len() > self.description.max_value_bytes {
            return Err(StoreError::new(NAME, StoreErrorKind::Refused, "a value has at most 65536 bytes"));
        }
        let mut entries = self.entries();
        let name = naming::plain(&put.entry);
        let latest = entries.get(&name).and_then(|versions| versions.latest);
        match put.condition {
            Condition::Always => {}
            Condition::Absent if entries.get(&name).is_none() => {}
            Condition::Absent => {
                return Err(StoreError::new(NAME, StoreErrorKind::AlreadyExists, "the entry is already there"));
            }
            Condition::LatestIs(expected) if latest.is_some() && latest == number(expected) => {}
            Condition::LatestIs(_) => {
                return Err(StoreError::new(NAME, StoreErrorKind::Precondition, "the entry is at another version"));
            }
        }
        let versions = entries.entry(name).or_default();
        versions.next += 1;
        let made = versions.next;
        let (value, mark) = (put.value.clone(), put.mark.map(str::to_owned));
        versions.kept.insert(made, Version { value, mark, number: put.version });
        if !put.staged {
            versions.latest = Some(made);
        }
        Ok(Placed { version: StoreVersion(made.to_string()), sealed: Some(made.to_string().into_bytes()) })
    }

    async fn get(&self, pinned: Pinned<'_>) -> Result<SecretValue, StoreError> {
        if pinned.sealed.is_some_and(|row| row != pinned.version.0.as_bytes()) {
            return Err(StoreError::new(NAME, StoreErrorKind::Integrity, "the row belongs to another version"));
        }
        let entries = self.entries();
        let version = number(pinned.version)
            .and_then(|number| entries.get(&naming::plain(&pinned.entry))?.kept.get(&number))
            .ok_or_else(|| StoreError::new(NAME, StoreErrorKind::NotFound, "there is no such version"))?;
        Ok(version.value.clone())
    }

    async fn latest(&self, entry: &Entry<'_>) -> Result<Option<Latest>, StoreError> {
        let entries = self.entries();
        Ok(entries.get(&naming::plain(entry)).and_then(|versions| {
            let latest = versions.latest?;
            let version = versions.kept.get(&latest)?;
            Some(Latest {
                version: StoreVersion(latest.to_string()),
                value: version.value.clone(),
                mark: version.mark.clone(),
            })
        }))
    }

    async fn find(&self, entry: &Entry<'_>, mark: &str, version: i64) -> Result<Option<StoreVersion>, StoreError> {
        let entries = self.entries();
        let mut kept = entries.get(&naming::plain(entry)).into_iter().flat_map(|versions| versions.kept.iter().rev());
        let found = kept.find(|(_, kept)| kept.mark.as_deref() == Some(mark) && kept.number == version);
        Ok(found.map(|(made, _)| StoreVersion(made.to_string())))
    }

    async fn promote(&self, entry: &Entry<'_>, version: &StoreVersion) -> Result<(), StoreError> {
        let mut entries = self.entries();
        let missing = || StoreError::new(NAME, StoreErrorKind::NotFound, "there is no such version");
        let versions = entries.get_mut(&naming::plain(entry)).ok_or_else(missing)?;
        let number = number(version).filter(|number| versions.kept.contains_key(number)).ok_or_else(missing)?;
        versions.latest = Some(number);
        Ok(())
    }

    async fn remove(&self, entry: &Entry<'_>, removal: Removal<'_>) -> Result<(), StoreError> {
        let mut entries = self.entries();
        match removal {
            Removal::Entry => drop(entries.remove(&naming::plain(entry))),
            Removal::Version(version) => {
                if let (Some(versions), Some(number)) = (entries.get_mut(&naming::plain(entry)), number(version)) {
                    versions.kept.remove(&number);
                    if versions.latest == Some(number) {
                        versions.latest = None;
                    }
                }
            }
        }
        Ok(())
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        let entries = self.entries();
        Ok(entries
            .keys()
            .filter(|name| name.starts_with(prefix) && name.as_str() > after)
            .take(limit)
            .cloned()
            .collect())
    }

    async fn probe(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn number(version: &StoreVersion) -> Option<u64> {
    version.0.parse().ok()
}
