//! Entries and their versions, and what each call does to them.

use std::collections::BTreeMap;

use strongroom_domain::{SecretId, SecretValue};

use super::{
    EntryView, Foreign, ModelKind, VersionNames, VersionState, VersionView,
    op::{Op, Outcome, OwnedCondition, OwnedPut, Seen, Who},
};
use crate::{
    StoreError, StoreErrorKind,
    store::{KeptVersions, Latest, StoreVersion},
};

/// All entries, and those that were removed and keep their names.
pub(super) struct Entries {
    kind: ModelKind,
    by_name: BTreeMap<String, Kept>,
    trash: BTreeMap<String, Kept>,
    /// Tells apart versions that nothing else does.
    serial: u64,
}

#[derive(Default)]
struct Kept {
    owner: Option<SecretId>,
    made: u64,
    latest: Option<String>,
    /// Oldest first.
    versions: Vec<Version>,
}

struct Version {
    id: String,
    value: Option<SecretValue>,
    mark: Option<String>,
    number: Option<i64>,
    was_latest: bool,
}

impl Kept {
    fn version(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == id && version.value.is_some())
    }

    fn show(&mut self, id: &str) {
        self.latest = Some(id.to_owned());
        for version in &mut self.versions {
            version.was_latest |= version.id == id;
        }
    }

    fn view(&self, name: &str, is_trash: bool) -> EntryView {
        let versions = self.versions.iter().map(|version| VersionView {
            version: version.id.clone(),
            value: version.value.as_ref().map(|value| value.expose().to_owned()),
            mark: version.mark.clone(),
            number: version.number,
            state: match version.value {
                None => VersionState::Removed,
                Some(_) if self.latest.as_ref() == Some(&version.id) => VersionState::Latest,
                Some(_) if version.was_latest => VersionState::Older,
                Some(_) => VersionState::Staged,
            },
        });
        EntryView { name: name.to_owned(), owner: self.owner, is_trash, versions: versions.collect() }
    }
}

impl Entries {
    pub(super) const fn new(kind: ModelKind) -> Self {
        Self { kind, by_name: BTreeMap::new(), trash: BTreeMap::new(), serial: 0 }
    }

    fn error(&self, kind: StoreErrorKind, reason: impl Into<String>) -> StoreError {
        StoreError::new(self.kind.description.name, kind, reason)
    }

    fn no_version(&self) -> StoreError {
        self.error(StoreErrorKind::NotFound, "there is no such version")
    }

    pub(super) fn apply(&mut self, op: Op) -> Result<Outcome, StoreError> {
        match op {
            Op::Put(put) => self.put(put).map(|version| Outcome::Version(Some(version))),
            Op::Get(who, version) => self.get(&who, &version).map(Outcome::Value),
            Op::Latest(who) => self.latest(&who).map(Outcome::Latest),
            Op::Find(who, mark, number) => Ok(Outcome::Version(self.find(&who, &mark, number))),
            Op::Promote(who, version, seen) => self.promote(&who, &version, seen).map(|()| Outcome::Done),
            Op::RemoveVersion(who, version) => self.remove_one(&who, &version).map(|()| Outcome::Done),
            Op::RemoveEntry(who) => self.remove_entry(&who).map(|()| Outcome::Done),
            Op::List { prefix, after, limit } => self.list(&prefix, &after, limit).map(Outcome::Names),
            Op::Ask(_) => Ok(Outcome::Done),
        }
    }

    fn put(&mut self, put: OwnedPut) -> Result<String, StoreError> {
        let OwnedPut { who, value, number, condition, mark, staged } = put;
        let can = &self.kind.description;
        if value.byte_len() > can.max_value_bytes || who.key_bytes > can.max_key_bytes {
            return Err(self.error(StoreErrorKind::Refused, "the key or the value is too long"));
        }
        if self.trash.contains_key(&who.name) {
            let reason = format!("{} was removed and its name is still taken", who.name);
            return Err(self.error(StoreErrorKind::AlreadyExists, reason));
        }
        let mark = mark.filter(|_| can.marks);
        let condition = if can.conditional_put { condition } else { OwnedCondition::Always };
        let is_staged = staged && can.staging;
        let id = self.version_id(&who.name, mark.as_deref(), number);
        let there = self.by_name.get(&who.name);
        if there.is_some_and(|there| there.owner != Some(who.secret)) {
            return Err(self.error(StoreErrorKind::AlreadyExists, format!("{} is another's", who.name)));
        }
        // The same put once more, where versions are called by their marks.
        let twin = there.and_then(|there| there.version(&id));
        if twin.is_some_and(|twin| twin.value.as_ref().is_none_or(|held| held.expose() != value.expose())) {
            return Err(self.error(StoreErrorKind::AlreadyExists, "this put has already put another value"));
        }
        let is_again = twin.is_some();
        let latest = there.and_then(|there| there.latest.as_ref());
        match condition {
            OwnedCondition::Absent if there.is_some() && !is_again => {
                return Err(self.error(StoreErrorKind::AlreadyExists, format!("{} is already there", who.name)));
            }
            OwnedCondition::LatestIs(expected) if latest != Some(&expected) && latest != Some(&id) => {
                return Err(self.error(StoreErrorKind::Precondition, "the entry is at another version"));
            }
            _ => {}
        }
        let is_first = there.is_none();
        let entry = self.by_name.entry(who.name).or_default();
        entry.owner = Some(who.secret);
        if !is_again {
            entry.made += 1;
            entry.versions.push(Version {
                id: id.clone(),
                value: Some(value),
                mark,
                number: Some(number),
                was_latest: false,
            });
        }
        if !is_staged || (is_first && self.kind.shows_first_version) {
            entry.show(&id);
        }
        Self::drop_old(entry, self.kind.description.kept_versions);
        Ok(id)
    }

    fn version_id(&mut self, name: &str, mark: Option<&str>, number: i64) -> String {
        match (self.kind.version_names, mark) {
            (VersionNames::Counted, _) => (self.by_name.get(name).map_or(0, |entry| entry.made) + 1).to_string(),
            (VersionNames::FromMarks, Some(mark)) => format!("op-{mark}-v{number}"),
            (VersionNames::FromMarks, None) => {
                self.serial += 1;
                format!("id-{}-v{number}", self.serial)
            }
        }
    }

    /// What is the latest stays in any case.
    fn drop_old(entry: &mut Kept, kept: KeptVersions) {
        let KeptVersions::Newest(most) = kept else { return };
        let mut surplus = entry.versions.len().saturating_sub(most);
        let latest = entry.latest.clone();
        entry.versions.retain(|version| {
            let is_dropped = surplus > 0 && latest.as_ref() != Some(&version.id);
            surplus -= usize::from(is_dropped);
            !is_dropped
        });
    }

    /// The entry as far as this secret may see it.
    fn seen(&self, who: &Who) -> Result<Option<&Kept>, StoreError> {
        let Some(entry) = self.by_name.get(&who.name) else { return Ok(None) };
        match self.kind.foreign {
            _ if entry.owner == Some(who.secret) => Ok(Some(entry)),
            Foreign::Served => Ok(Some(entry)),
            Foreign::Unseen => Ok(None),
            Foreign::Refused => Err(self.error(StoreErrorKind::AlreadyExists, format!("{} is another's", who.name))),
        }
    }

    /// What of this secret's may be changed; never another's.
    fn own(&self, who: &Who) -> Result<bool, StoreError> {
        let is_seen = self.seen(who)?.is_some();
        let is_own = self.by_name.get(&who.name).is_some_and(|entry| entry.owner == Some(who.secret));
        if is_seen && !is_own {
            return Err(self.error(StoreErrorKind::AlreadyExists, format!("{} is another's", who.name)));
        }
        Ok(is_own)
    }

    fn get(&self, who: &Who, version: &str) -> Result<SecretValue, StoreError> {
        let entry = self.seen(who).map_err(|error| StoreError { kind: StoreErrorKind::Integrity, ..error })?;
        let found = entry.and_then(|entry| entry.version(version)?.value.clone());
        found.ok_or_else(|| self.no_version())
    }

    fn latest(&self, who: &Who) -> Result<Option<Latest>, StoreError> {
        if !self.kind.description.enumerates {
            return Err(self.error(StoreErrorKind::NotSupported, "nobody reads it directly"));
        }
        Ok(self.seen(who)?.and_then(|entry| {
            let version = entry.version(entry.latest.as_deref()?)?;
            let (value, mark) = (version.value.clone()?, version.mark.clone());
            Some(Latest { version: StoreVersion(version.id.clone()), value, mark })
        }))
    }

    fn find(&self, who: &Who, mark: &str, number: i64) -> Option<String> {
        let is_it = |version: &&Version| {
            version.value.is_some() && version.mark.as_deref() == Some(mark) && version.number == Some(number)
        };
        // Among another's there is none of ours.
        let entry = self.by_name.get(&who.name).filter(|entry| entry.owner == Some(who.secret));
        entry.and_then(|entry| entry.versions.iter().rev().find(is_it)).map(|version| version.id.clone())
    }

    fn promote(&mut self, who: &Who, version: &str, seen: Option<Seen>) -> Result<(), StoreError> {
        if !self.kind.description.staging {
            return Err(self.error(StoreErrorKind::NotSupported, "versions are not staged"));
        }
        let is_own = self.own(who)?;
        let latest = self.latest_id(&who.name);
        if seen.is_some_and(|seen| seen != latest && latest.as_deref() != Some(version)) {
            return Err(self.error(StoreErrorKind::Precondition, "somebody else has changed the entry"));
        }
        let missing = self.no_version();
        let entry = self.by_name.get_mut(&who.name).filter(|entry| is_own && entry.version(version).is_some());
        entry.ok_or(missing)?.show(version);
        Ok(())
    }

    pub(super) fn latest_id(&self, name: &str) -> Seen {
        self.by_name.get(name)?.latest.clone()
    }

    fn remove_one(&mut self, who: &Who, version: &str) -> Result<(), StoreError> {
        if !self.kind.description.removes_versions {
            return Err(self.error(StoreErrorKind::NotSupported, "single versions are not removed"));
        }
        if self.own(who)? {
            self.remove_version(&who.name, version);
        }
        Ok(())
    }

    fn remove_entry(&mut self, who: &Who) -> Result<(), StoreError> {
        if self.own(who)?
            && let Some(entry) = self.by_name.remove(&who.name)
            && self.kind.description.soft_delete
        {
            self.trash.insert(who.name.clone(), entry);
        }
        Ok(())
    }

    fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        if !self.kind.description.enumerates {
            return Err(self.error(StoreErrorKind::NotSupported, "it has no lists"));
        }
        let names = self.by_name.keys().filter(|name| name.starts_with(prefix) && name.as_str() > after);
        Ok(names.take(limit).cloned().collect())
    }
}

/// What somebody else does.
impl Entries {
    pub(super) fn write_outside(&mut self, name: &str, value: SecretValue) {
        self.serial += 1;
        let (serial, kind) = (self.serial, &self.kind);
        let entry = self.by_name.entry(name.to_owned()).or_default();
        entry.made += 1;
        let id = match kind.version_names {
            VersionNames::Counted => entry.made.to_string(),
            VersionNames::FromMarks => format!("outside-{serial}"),
        };
        entry.versions.push(Version {
            id: id.clone(),
            value: Some(value),
            mark: None,
            number: None,
            was_latest: false,
        });
        entry.show(&id);
        Self::drop_old(entry, kind.description.kept_versions);
    }

    pub(super) fn delete_outside(&mut self, name: &str) {
        self.by_name.remove(name);
        self.trash.remove(name);
    }

    /// Where it was the latest there is none until the next is put.
    pub(super) fn remove_version(&mut self, name: &str, version: &str) {
        let versions = self.by_name.get_mut(name).into_iter().flat_map(|entry| &mut entry.versions);
        for removed in versions.filter(|found| found.id == version) {
            removed.value = None;
        }
    }

    pub(super) fn promote_outside(&mut self, name: &str, version: &str) {
        if let Some(entry) = self.by_name.get_mut(name) {
            entry.show(version);
        }
    }

    pub(super) fn tamper(&mut self, name: &str, version: &str, value: SecretValue) {
        let versions = self.by_name.get_mut(name).into_iter().flat_map(|entry| &mut entry.versions);
        if let Some(tampered) = versions.into_iter().find(|found| found.id == version) {
            tampered.value = Some(value);
        }
    }

    pub(super) fn purge_trash(&mut self) {
        self.trash.clear();
    }

    pub(super) fn direct_latest(&self, name: &str) -> Option<String> {
        let entry = self.by_name.get(name)?;
        let version = entry.version(entry.latest.as_deref()?)?;
        version.value.as_ref().map(|value| value.expose().to_owned())
    }

    pub(super) fn views(&self) -> Vec<EntryView> {
        let there = self.by_name.iter().map(|(name, entry)| entry.view(name, false));
        there.chain(self.trash.iter().map(|(name, entry)| entry.view(name, true))).collect()
    }
}
