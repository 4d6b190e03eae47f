//! One client: writes and reads without pause until the server is killed under it.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::json;

use super::api::{self, Failure, Result};
use super::hot::{self, Hot};
use super::model::{Group, State, Write};
use super::record::Given;
use crate::support::Client;
use crate::support::random::Random;

/// How many groups of its own a worker has at a time.
const GROUPS: usize = 3;

pub(crate) struct Worker {
    number: usize,
    random: Random,
    /// Numbers the writes, so that no two values are alike.
    writes: u64,
    pub(crate) groups: Vec<Group>,
    /// Whether the group was written or read since the last check.
    pub(crate) touched: Vec<bool>,
    /// Deleted for good, as far as this worker is concerned.
    pub(crate) retired: Vec<Group>,
    /// What must be on record since the last check.
    pub(crate) given: Vec<Given>,
    pub(crate) acknowledged: u64,
}

impl Worker {
    pub(crate) fn new(number: usize, seed: u64) -> Self {
        let mut worker = Self {
            number,
            random: Random::new(seed ^ (number as u64) << 32),
            writes: 0,
            groups: Vec::new(),
            touched: vec![false; GROUPS],
            retired: Vec::new(),
            given: Vec::new(),
            acknowledged: 0,
        };
        worker.groups = (0..GROUPS).map(|_| worker.new_group()).collect();
        worker
    }

    /// Works until the connection is cut; an error is a broken promise.
    pub(crate) fn run(
        &mut self,
        client: &mut Client,
        integration: &str,
        hot: &[Mutex<Hot>],
    ) -> std::result::Result<(), String> {
        loop {
            let hot = &hot[self.random.index(hot.len())];
            let done = match self.random.below(100) {
                0..12 => self.write_hot(client, hot),
                12..20 => self.read_hot(client, hot),
                20..48 => self.read(client),
                _ => self.write(client, integration),
            };
            match done {
                Ok(()) => {}
                Err(Failure::Cut(_)) => return Ok(()),
                Err(Failure::Broken(error)) => return Err(format!("client {}: {error}", self.number)),
            }
        }
    }

    fn new_group(&mut self) -> Group {
        let made = self.next_write();
        Group::new(format!("g{}-{made}", self.number))
    }

    fn next_write(&mut self) -> u64 {
        self.writes += 1;
        self.writes
    }

    /// A value that no other write gives any key; some are long.
    fn value(&mut self, write: u64, key: &str) -> String {
        let length = if self.random.percent(5) { 8_000 } else { self.random.index(64) };
        format!("{}-{write}/{key}/{}", self.number, "x".repeat(length))
    }

    fn write_hot(&mut self, client: &mut Client, hot: &Mutex<Hot>) -> Result<()> {
        let number = self.next_write();
        let write = format!("{}-{number}", self.number);
        let (id, keys) = {
            let mut hot = hot.lock().unwrap();
            hot.in_doubt.insert(write.clone());
            (hot.id.clone(), hot.keys.clone())
        };
        let secrets: Vec<_> = keys.iter().map(|key| json!({"key": key, "value": hot::value(&write, key)})).collect();
        let answer = client.put(&format!("/api/svc/v1/secret-groups/{id}"), &json!({"secrets": secrets}))?;
        let answer = api::good(answer)?;
        let revision = answer.revision().ok_or_else(|| "an update without ETag".to_owned())?;
        self.given.push(api::changed(&answer));
        self.acknowledged += 1;
        let mut hot = hot.lock().unwrap();
        hot.in_doubt.remove(&write);
        Ok(hot.acknowledge(revision, write)?)
    }

    /// What is read of a group is one cut, whoever writes meanwhile.
    fn read_hot(&mut self, client: &mut Client, hot: &Mutex<Hot>) -> Result<()> {
        let id = hot.lock().unwrap().id.clone();
        let (opened, given) = api::values(client, &id)?;
        self.given.push(given);
        let values = opened.iter().map(|secret| (secret.key.clone(), secret.value.clone())).collect();
        hot::write_of(&values).map_err(|error| format!("read while others write: {error}"))?;
        Ok(())
    }

    fn read(&mut self, client: &mut Client) -> Result<()> {
        let at = self.random.index(GROUPS);
        let group = &self.groups[at];
        let Some((state, id)) = living(group).zip(group.id.as_deref()) else { return Ok(()) };
        self.touched[at] = true;
        if state.secrets.is_empty() || self.random.percent(30) {
            let (opened, given) = api::values(client, id)?;
            self.given.push(given);
            for secret in &opened {
                check_read(state, &secret.key, secret.version, &secret.value)?;
            }
            return if opened.len() == state.secrets.len() {
                Ok(())
            } else {
                Err("a list without all secrets".to_owned().into())
            };
        }
        let (key, secret) = state.secrets.iter().nth(self.random.index(state.secrets.len())).unwrap();
        let secret_id = secret.id.clone().unwrap_or_default();
        if self.random.percent(30) {
            let version = 1 + i64::try_from(self.random.index(secret.values.len())).unwrap();
            let reference = format!("default:{}:{key}:{version}", group.name);
            let (value, given) = api::referenced(client, &reference, (secret_id, version))?;
            self.given.push(given);
            return Ok(check_read(state, key, version, &value)?);
        }
        let (opened, given) = api::value(client, &secret_id)?;
        self.given.push(given);
        if opened.version != secret.version() {
            return Err(format!(
                "read {key} at version {} after {} was acknowledged",
                opened.version,
                secret.version()
            )
            .into());
        }
        Ok(check_read(state, key, opened.version, &opened.value)?)
    }

    fn write(&mut self, client: &mut Client, integration: &str) -> Result<()> {
        let at = self.random.index(GROUPS);
        let write = match &self.groups[at].state {
            None => Some(Write::Create(self.some_values())),
            Some(state) if state.deleted => self.random.percent(60).then_some(Write::Restore),
            Some(state) => Some(self.change(&state.clone())),
        };
        let Some(write) = write else {
            let next = self.new_group();
            self.retired.push(std::mem::replace(&mut self.groups[at], next));
            return Ok(());
        };
        self.touched[at] = true;
        let group = &mut self.groups[at];
        group.in_doubt = Some(write.clone());
        let answer = api::send(client, group, integration, &write)?;
        group.in_doubt = None;
        let shown = api::group_in(&answer);
        if let Some((id, _)) = &shown {
            group.id = Some(id.clone());
        }
        group.acknowledge(&write, shown.as_ref().map(|(_, seen)| seen))?;
        self.given.push(api::changed(&answer));
        self.acknowledged += 1;
        Ok(())
    }

    /// A change of a living group.
    fn change(&mut self, state: &State) -> Write {
        let keys: Vec<&String> = state.secrets.keys().collect();
        let restorable: Vec<usize> =
            (0..state.trash.len()).filter(|at| !state.secrets.contains_key(&state.trash[*at].0)).collect();
        match self.random.below(100) {
            0..8 => Write::Delete,
            8..20 if !keys.is_empty() => Write::DeleteSecret(keys[self.random.index(keys.len())].clone()),
            20..32 if !restorable.is_empty() => Write::RestoreSecret(restorable[self.random.index(restorable.len())]),
            32..60 if !keys.is_empty() => self.mixed_update(&keys),
            _ => {
                let write = self.next_write();
                let new = if keys.is_empty() { Some("K0".to_owned()) } else { None };
                let keys = keys.into_iter().cloned().chain(new);
                Write::Update(keys.map(|key| (key.clone(), Some(self.value(write, &key)))).collect())
            }
        }
    }

    /// Some keys change, some stay, some are left out, a new one may come.
    fn mixed_update(&mut self, keys: &[&String]) -> Write {
        let write = self.next_write();
        let mut update: BTreeMap<String, Option<String>> = BTreeMap::new();
        for key in keys {
            match self.random.below(4) {
                0 => drop(update.insert((*key).clone(), None)),
                1 => {}
                _ => drop(update.insert((*key).clone(), Some(self.value(write, key)))),
            }
        }
        // At least one value is new, so that each update is a revision.
        let key = format!("K{}", self.random.below(6));
        let value = self.value(write, &key);
        update.insert(key, Some(value));
        Write::Update(update)
    }

    fn some_values(&mut self) -> BTreeMap<String, String> {
        let write = self.next_write();
        (0..=self.random.below(4))
            .map(|number| format!("K{number}"))
            .map(|key| (key.clone(), self.value(write, &key)))
            .collect()
    }
}

fn living(group: &Group) -> Option<&State> {
    group.state.as_ref().filter(|state| !state.deleted)
}

fn check_read(state: &State, key: &str, version: i64, value: &str) -> std::result::Result<(), String> {
    let values = state.secrets.get(key).map(|secret| &secret.values);
    let expected = values.zip(usize::try_from(version - 1).ok()).and_then(|(values, at)| values.get(at));
    if expected.is_some_and(|expected| expected == value) {
        Ok(())
    } else {
        Err(format!("read {key} at version {version} with a value that was not written as that"))
    }
}
