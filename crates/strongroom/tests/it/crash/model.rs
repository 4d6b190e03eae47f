//! What one client knows of a group of its own, and whether what is seen after a crash can be true.
//!
//! A client waits for each answer, so that after a crash at most one write is in doubt: the group must be as it was
//! acknowledged, or that write further. Anything else is a broken promise.

use std::collections::{BTreeMap, BTreeSet};

/// A secret: who it is, and every value that it ever had; the position, from 1, is the version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Secret {
    /// `None` until an answer names it.
    pub(crate) id: Option<String>,
    pub(crate) values: Vec<String>,
    /// How many of the values were read back after a crash.
    pub(crate) verified: usize,
}

/// A group at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) revision: i64,
    pub(crate) deleted: bool,
    pub(crate) secrets: BTreeMap<String, Secret>,
    /// Deleted secrets with the keys that they had.
    pub(crate) trash: Vec<(String, Secret)>,
}

/// A write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Create(BTreeMap<String, String>),
    /// The complete set of keys; without a value a key stays as it is.
    Update(BTreeMap<String, Option<String>>),
    DeleteSecret(String),
    /// The position in the trash.
    RestoreSecret(usize),
    Delete,
    Restore,
}

/// What is seen of a group that is there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) revision: i64,
    pub(crate) secrets: BTreeMap<String, SeenSecret>,
    /// How many events of changes name the group, when they were counted.
    pub(crate) changes: Option<i64>,
}

/// What is seen of a secret. What wasn't looked at is empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct SeenSecret {
    pub(crate) id: String,
    pub(crate) version: i64,
    pub(crate) value: Option<String>,
    pub(crate) versions: Option<Versions>,
    /// Values by version.
    pub(crate) older: BTreeMap<i64, String>,
}

/// What is seen of a secret's list of versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Versions {
    /// How many there are.
    pub(crate) total: i64,
    /// The numbers of the newest of them, newest first.
    pub(crate) newest: Vec<i64>,
}

impl Versions {
    /// Whether these are 1 to `newest`, without gap or repeat.
    pub(crate) fn check(&self, newest: i64) -> Result<(), String> {
        let expected = (1..=newest).rev().take(self.newest.len());
        if self.total == newest && !self.newest.is_empty() && expected.eq(self.newest.iter().copied()) {
            return Ok(());
        }
        Err(format!("{} versions {:?} at version {newest}", self.total, self.newest))
    }
}

/// A group of one client.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) id: Option<String>,
    /// As acknowledged; `None` before it is.
    pub(crate) state: Option<State>,
    /// The write that got no answer.
    pub(crate) in_doubt: Option<Write>,
}

impl Secret {
    fn new(value: &str) -> Self {
        Self { id: None, values: vec![value.to_owned()], verified: 0 }
    }

    pub(crate) fn version(&self) -> i64 {
        i64::try_from(self.values.len()).unwrap()
    }

    /// The versions before the current one that were not read back yet.
    pub(crate) fn unread(&self) -> impl Iterator<Item = i64> + use<> {
        i64::try_from(self.verified).unwrap() + 1..self.version()
    }
}

impl State {
    /// The state after a write.
    pub(crate) fn after(before: Option<&Self>, write: &Write) -> Self {
        let mut state = before.cloned().unwrap_or_default();
        state.revision += 1;
        match write {
            Write::Create(values) => {
                state.secrets = values.iter().map(|(key, value)| (key.clone(), Secret::new(value))).collect();
            }
            Write::Update(values) => state.update(values),
            Write::DeleteSecret(key) => {
                let dropped = state.secrets.remove_entry(key).unwrap();
                state.trash.push(dropped);
            }
            Write::RestoreSecret(position) => {
                let (key, secret) = state.trash.remove(*position);
                state.secrets.insert(key, secret);
            }
            Write::Delete => state.deleted = true,
            Write::Restore => state.deleted = false,
        }
        state
    }

    fn update(&mut self, values: &BTreeMap<String, Option<String>>) {
        let dropped: Vec<String> = self.secrets.keys().filter(|key| !values.contains_key(*key)).cloned().collect();
        self.trash.extend(dropped.iter().map(|key| self.secrets.remove_entry(key).unwrap()));
        for (key, value) in values {
            let Some(value) = value else { continue };
            match self.secrets.get_mut(key) {
                Some(secret) => secret.values.push(value.clone()),
                None => drop(self.secrets.insert(key.clone(), Secret::new(value))),
            }
        }
    }

    /// Whether this is what was seen; else what differs.
    fn fits(&self, seen: Option<&Seen>) -> Result<(), String> {
        let Some(seen) = seen.filter(|_| !self.deleted) else {
            return match (self.deleted, seen) {
                (true, Some(_)) => Err("it was deleted and is there".into()),
                (false, None) => Err(format!("it is gone, and was at revision {}", self.revision)),
                _ => Ok(()),
            };
        };
        if seen.revision != self.revision {
            return Err(format!("revision {} instead of {}", seen.revision, self.revision));
        }
        if let Some(changes) = seen.changes.filter(|changes| *changes != self.revision) {
            return Err(format!("{changes} events of changes for {} revisions", self.revision));
        }
        let keys: BTreeSet<&String> = self.secrets.keys().collect();
        if keys != seen.secrets.keys().collect() {
            return Err(format!("keys {:?} instead of {keys:?}", seen.secrets.keys()));
        }
        let all = self.secrets.iter().zip(seen.secrets.values());
        all.into_iter()
            .try_for_each(|((key, secret), seen)| secret.fits(seen).map_err(|error| format!("{key}: {error}")))
    }

    /// Takes over the ids that were seen. No id may be used twice.
    fn learn(&mut self, seen: &Seen) -> Result<(), String> {
        let known: BTreeSet<String> = self
            .secrets
            .values()
            .chain(self.trash.iter().map(|(_, secret)| secret))
            .filter_map(|secret| secret.id.clone())
            .collect();
        for (key, secret) in &mut self.secrets {
            let seen = &seen.secrets[key];
            if secret.id.is_none() && known.contains(&seen.id) {
                return Err(format!("{key}: a new secret has the id of an old one"));
            }
            secret.id = Some(seen.id.clone());
            if seen.value.is_some() && secret.unread().all(|version| seen.older.contains_key(&version)) {
                secret.verified = secret.values.len();
            }
        }
        Ok(())
    }
}

impl Secret {
    fn fits(&self, seen: &SeenSecret) -> Result<(), String> {
        if self.id.as_ref().is_some_and(|id| *id != seen.id) {
            return Err("it is another secret".into());
        }
        if seen.version != self.version() {
            return Err(format!("version {} instead of {}", seen.version, self.version()));
        }
        if let Some(versions) = &seen.versions {
            versions.check(self.version())?;
        }
        let current = seen.value.iter().map(|value| (seen.version, value));
        for (version, value) in current.chain(seen.older.iter().map(|(version, value)| (*version, value))) {
            let expected = usize::try_from(version - 1).ok().and_then(|at| self.values.get(at));
            if expected != Some(value) {
                return Err(format!("version {version} holds another value than was written"));
            }
        }
        Ok(())
    }
}

impl Group {
    pub(crate) const fn new(name: String) -> Self {
        Self { name, id: None, state: None, in_doubt: None }
    }

    /// A write was answered with success, and with this where the answer shows the group.
    pub(crate) fn acknowledge(&mut self, write: &Write, seen: Option<&Seen>) -> Result<(), String> {
        let mut after = State::after(self.state.as_ref(), write);
        if let Some(seen) = seen {
            let fits = after.fits(Some(seen)).and_then(|()| after.learn(seen));
            fits.map_err(|error| format!("group {}: the answer to {write:?}: {error}", self.name))?;
        }
        self.state = Some(after);
        Ok(())
    }

    /// Settles what is in doubt by what is seen after a crash.
    pub(crate) fn settle(&mut self, seen: Option<&Seen>) -> Result<(), String> {
        let in_doubt = self.in_doubt.take();
        let absent = match &self.state {
            Some(state) => state.fits(seen),
            None if seen.is_none() => Ok(()),
            None => Err("it is there without having been made".into()),
        };
        if let Err(unlike_before) = absent {
            let Some(write) = in_doubt else {
                return Err(format!("group {}: not what was acknowledged: {unlike_before}", self.name));
            };
            let after = State::after(self.state.as_ref(), &write);
            if let Err(unlike_after) = after.fits(seen) {
                return Err(format!(
                    "group {}: not what was acknowledged ({unlike_before}), nor that and the write in doubt ({unlike_after})",
                    self.name
                ));
            }
            self.state = Some(after);
        }
        match (&mut self.state, seen) {
            (Some(state), Some(seen)) => state.learn(seen).map_err(|error| format!("group {}: {error}", self.name)),
            _ => Ok(()),
        }
    }
}
