//! New versions of values: sealed for an inline store, and intended for an outer one.

use std::collections::HashSet;

use strongroom_crypto::DataKey;
use strongroom_domain::operation::PutState;
use strongroom_domain::{SecretId, SecretValue, Timestamp};
use strongroom_metadata::{GroupRow, NewVersion, PutRow, SecretState};

use super::outer::{Intent, Place, pinned};
use super::values::Sealing;
use super::{App, AppError, Store};

/// The new versions of one change of a group.
pub(super) struct NewVersions<'a, 'v> {
    app: &'a App,
    store: &'a Store,
    key: &'a DataKey,
    group: GroupRow,
    /// Names in the store that other secrets have.
    taken: HashSet<String>,
    /// What is to be put, for an outer store.
    pub(super) intents: Vec<Intent<'v>>,
}

impl<'a, 'v> NewVersions<'a, 'v> {
    /// Of a group as it will be named. `adds` says whether there will be secrets that weren't there.
    pub(super) async fn of(
        app: &'a App,
        store: &'a Store,
        key: &'a DataKey,
        group: &GroupRow,
        adds: bool,
    ) -> Result<Self, AppError> {
        let taken = if store.is_outer() && adds {
            app.metadata.taken_names(&store.target, &format!("{}/", group.name)).await?
        } else {
            Vec::new()
        };
        Ok(Self { app, store, key, group: group.clone(), taken: taken.into_iter().collect(), intents: Vec::new() })
    }

    /// The first version of a secret.
    pub(super) async fn first(
        &mut self,
        secret_id: SecretId,
        name: &str,
        at: Timestamp,
        value: &'v SecretValue,
    ) -> Result<NewVersion, AppError> {
        let plain = Place::new(&self.group.name, name, false);
        let beside = self.taken.contains(&plain.name(secret_id));
        let place = if beside { Place::new(&self.group.name, name, true) } else { plain };
        self.make(secret_id, name, 1, at, value, (place, None)).await
    }

    /// The version after a secret's present one.
    pub(super) async fn next(
        &mut self,
        secret: &SecretState,
        at: Timestamp,
        value: &'v SecretValue,
    ) -> Result<NewVersion, AppError> {
        let before = match pinned(&secret.store_version).filter(|_| self.store.is_outer()) {
            Some(spot) => (spot.place, Some(spot.version.0)),
            None => (Place::new(&self.group.name, &secret.key, false), None),
        };
        self.make(secret.id, &secret.key, secret.version + 1, at, value, before).await
    }

    async fn make(
        &mut self,
        secret_id: SecretId,
        name: &str,
        version: i64,
        at: Timestamp,
        value: &'v SecretValue,
        (place, before): (Place, Option<String>),
    ) -> Result<NewVersion, AppError> {
        let (app, group) = (self.app, &self.group);
        let digest = app.digest(self.key, group.id, secret_id, value);
        let id = app.ids.at(at);
        if self.store.is_outer() {
            let put = PutRow {
                secret_id,
                key: name.to_owned(),
                version,
                digest: digest.to_vec(),
                place: place.to_string(),
                kept: before.clone(),
                before,
                placed: None,
                state: PutState::Waiting,
                reason: None,
            };
            self.intents.push(Intent { put, place, value });
            return Ok(NewVersion { secret_id, version, id, digest, store_version: String::new(), sealed: None });
        }
        let sealing = Sealing { group_id: group.id, group_name: &group.name, key: name, secret_id, version, value };
        let placed = app.put(self.store, self.key, &sealing).await?;
        Ok(NewVersion { secret_id, version, id, digest, store_version: placed.version.0, sealed: placed.sealed })
    }
}
