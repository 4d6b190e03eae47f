//! A group that all clients write at the same time: each write sets every key, so that revision `n` of the group is
//! version `n` of each of its secrets, all of one write.

use std::collections::{BTreeMap, BTreeSet};

use super::model::Versions;

/// What is known of a hot group.
#[derive(Clone, Debug)]
pub(crate) struct Hot {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) keys: Vec<String>,
    /// Which write made each revision, from 1, as read back after a crash.
    pub(crate) settled: Vec<String>,
    /// Which write was acknowledged with which revision since.
    pub(crate) acknowledged: BTreeMap<i64, String>,
    /// Writes that got no answer.
    pub(crate) in_doubt: BTreeSet<String>,
}

/// What is seen of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeenHot {
    pub(crate) revision: i64,
    /// The versions of each key.
    pub(crate) versions: BTreeMap<String, Versions>,
    /// The values of all keys, by version, of those that aren't settled yet.
    pub(crate) values: BTreeMap<i64, BTreeMap<String, String>>,
    /// How many events of changes name the group.
    pub(crate) changes: i64,
}

/// The value that a write gives a key.
pub(crate) fn value(write: &str, key: &str) -> String {
    format!("{write}/{key}")
}

/// The one write that gave all of these values; an error when there are several.
pub(crate) fn write_of(values: &BTreeMap<String, String>) -> Result<String, String> {
    let mut writes = BTreeSet::new();
    for (key, value) in values {
        let write = value.strip_suffix(&format!("/{key}")).ok_or_else(|| format!("{key} holds what nobody wrote"))?;
        writes.insert(write);
    }
    match writes.len() {
        1 => Ok(writes.pop_first().unwrap().to_owned()),
        _ => Err(format!("half of a write: the keys come from {writes:?}")),
    }
}

impl Hot {
    /// A write was answered with this revision.
    pub(crate) fn acknowledge(&mut self, revision: i64, write: String) -> Result<(), String> {
        match self.acknowledged.insert(revision, write) {
            Some(other) => Err(format!("{}: revision {revision} was acknowledged to {other} too", self.name)),
            None => Ok(()),
        }
    }

    /// Settles what is in doubt by what is seen after a crash.
    pub(crate) fn settle(&mut self, seen: &SeenHot) -> Result<(), String> {
        self.try_settle(seen).map_err(|error| format!("{}: {error}", self.name))
    }

    fn try_settle(&mut self, seen: &SeenHot) -> Result<(), String> {
        let before = i64::try_from(self.settled.len()).unwrap();
        let newest = self.acknowledged.last_key_value().map_or(before, |(revision, _)| *revision);
        if seen.revision < newest {
            return Err(format!("revision {newest} was acknowledged and is lost: it is at {}", seen.revision));
        }
        if seen.changes != seen.revision {
            return Err(format!("{} events of changes for {} revisions", seen.changes, seen.revision));
        }
        for key in &self.keys {
            let versions = seen.versions.get(key).ok_or_else(|| format!("{key} is gone"))?;
            versions.check(seen.revision).map_err(|error| format!("{key}: {error}"))?;
        }
        for revision in before + 1..=seen.revision {
            let values = seen.values.get(&revision).filter(|values| values.len() == self.keys.len());
            let values = values.ok_or_else(|| format!("version {revision} was not read"))?;
            let write = write_of(values).map_err(|error| format!("version {revision}: {error}"))?;
            match self.acknowledged.remove(&revision) {
                Some(acknowledged) if acknowledged == write => {}
                Some(acknowledged) => {
                    return Err(format!("revision {revision} was acknowledged to {acknowledged} and is of {write}"));
                }
                None if self.in_doubt.remove(&write) => {}
                None => return Err(format!("revision {revision} is of {write}, which was not in doubt")),
            }
            self.settled.push(write);
        }
        if let Some((revision, write)) = self.acknowledged.pop_first() {
            return Err(format!("revision {revision} of {write} was acknowledged before it could be"));
        }
        self.in_doubt.clear();
        Ok(())
    }
}
