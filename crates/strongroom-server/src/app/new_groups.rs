//! Making a group: everything of its first revision, in one write.

use serde_json::json;
use strongroom_crypto::constant_time_eq;
use strongroom_domain::names::{GroupName, SecretKey};
use strongroom_domain::role::GroupRole;
use strongroom_domain::{GroupId, SecretId, SecretValue, Timestamp};
use strongroom_metadata::{
    CommitError, GroupCreation, GroupRow, GroupState, Guard, IntegrationRow, NewSecret, NewVersion, RevisionRow,
    SecretState,
};

use super::draft::{Share, shares_json};
use super::revision::Subject;
use super::values::Sealing;
use super::{AppError, Context};
use crate::audit::{Event, Target};

/// How long a repeated POST is taken for the same one.
const REPEATED_SECONDS: i64 = 60;

/// A group that shall be made.
pub(crate) struct NewGroup {
    pub(crate) name: GroupName,
    pub(crate) integration: IntegrationRow,
    pub(crate) manifest: String,
    pub(crate) secrets: Vec<(SecretKey, SecretValue)>,
    pub(crate) grants: Vec<Share>,
}

impl NewGroup {
    /// The group that a dry run would make.
    pub(crate) fn preview(&self, context: &Context) -> GroupState {
        let id = GroupId::from(uuid::Uuid::nil());
        GroupState { group: context.new_row(self, id, context.app().clock.now(), Vec::new(), 0), secrets: Vec::new() }
    }
}

impl Context {
    /// Writes a new group; `None` when its name is taken.
    pub(crate) async fn write_new_group(&self, new: &NewGroup) -> Result<Option<GroupState>, AppError> {
        let app = self.app();
        let at = app.clock.now();
        let id: GroupId = app.ids.at(at);
        let (key, wrapped, kek) = app.make_data_key(id);
        let mut state = GroupState { group: self.new_row(new, id, at, wrapped, kek), secrets: Vec::new() };
        let mut versions = Vec::with_capacity(new.secrets.len());
        for (name, value) in &new.secrets {
            let (secret_id, version_id): (SecretId, _) = (app.ids.at(at), app.ids.at(at));
            let (group_name, name) = (new.name.as_str(), name.as_str());
            let sealing = Sealing { group_id: id, group_name, key: name, secret_id, version: 1, value };
            let placed = app.put(&key, &sealing).await?;
            let digest = app.digest(&key, id, secret_id, value);
            state.secrets.push(SecretState {
                id: secret_id,
                key: name.to_owned(),
                version: 1,
                created_by: self.caller().actor.clone(),
                created_at: at,
                updated_at: at,
                version_id,
                digest: digest.to_vec(),
                store_version: placed.version.0.clone(),
                version_created_at: at,
                sealed: None,
            });
            versions.push(NewVersion {
                secret_id,
                version: 1,
                id: version_id,
                digest,
                store_version: placed.version.0,
                sealed: placed.sealed,
            });
        }
        let mac = app.revision_mac(&key, &Subject::of(&state), &state.secrets);
        state.group.revision_mac = mac.to_vec();
        match app.metadata.create_group(&self.creation(new, &state, versions, mac)).await {
            Ok(()) => {
                state.secrets.sort_by_key(|secret| secret.id);
                app.remember_verified(&state);
                Ok(Some(state))
            }
            Err(CommitError::Missed { guard: Guard::GroupName }) => Ok(None),
            // Somebody whom it is shared with has gone.
            Err(CommitError::Missed { guard: Guard::SubjectName }) => Err(AppError::Busy),
            Err(error) => Err(error.into()),
        }
    }

    fn new_row(&self, new: &NewGroup, id: GroupId, at: Timestamp, key: Vec<u8>, kek: u32) -> GroupRow {
        GroupRow {
            id,
            name: new.name.as_str().to_owned(),
            integration_id: new.integration.id,
            integration_fqn: new.integration.fqn.clone(),
            manifest: new.manifest.clone(),
            revision: 1,
            revision_mac: Vec::new(),
            data_key: Some(key),
            data_key_kek: kek,
            seals: 0,
            created_by: self.caller().actor.clone(),
            created_at: at,
            updated_at: at,
            deleted_at: None,
            purge_at: None,
            role: Some(GroupRole::Admin),
        }
    }

    fn creation(&self, new: &NewGroup, state: &GroupState, versions: Vec<NewVersion>, mac: [u8; 32]) -> GroupCreation {
        let group = &state.group;
        let created: Vec<_> = state
            .secrets
            .iter()
            .map(|secret| json!({"id": secret.id.to_string(), "name": secret.key, "version": 1}))
            .collect();
        let event = Event {
            action: "CREATE_SECRET_GROUP",
            revision: Some(1),
            detail: json!({"created": created, "collaborators": shares_json(&new.grants)}).to_string(),
            ..Event::of(Target::group(&self.app().tenant, group.id, &group.name))
        };
        GroupCreation {
            id: group.id,
            folded_name: new.name.folded(),
            data_key: group.data_key.clone().unwrap_or_default(),
            data_key_kek: group.data_key_kek,
            revision: RevisionRow {
                revision: 1,
                at: group.created_at,
                actor: group.created_by.clone(),
                action: "create",
                source: self.request().operation,
                request_id: self.request().id.clone(),
                name: group.name.clone(),
                integration_id: group.integration_id,
                manifest: group.manifest.clone(),
                mac,
            },
            secrets: state.secrets.iter().map(|secret| NewSecret { id: secret.id, key: secret.key.clone() }).collect(),
            versions,
            grants: new.grants.iter().map(|share| share.on(group.id)).collect(),
            event: self.event(event),
        }
    }

    /// Clients repeat a POST whose answer they didn't get: the same one, a moment ago, is answered with what it made.
    pub(crate) async fn repeated(&self, new: &NewGroup) -> Result<GroupState, AppError> {
        let app = self.app();
        let taken =
            || AppError::NameTaken(format!("a secret group named `{}` already exists; use a different name", new.name));
        let existing =
            app.metadata.group_by_name(&new.name.folded(), self.caller().viewpoint()).await?.ok_or_else(taken)?;
        let group = &existing.group;
        let fresh = group.revision == 1 && group.created_at.plus_seconds(REPEATED_SECONDS) > app.clock.now();
        let same_maker =
            group.created_by.id == self.caller().actor.id && group.created_by.kind == self.caller().actor.kind;
        let same_place = group.name == new.name.as_str() && group.integration_id == new.integration.id;
        if !(fresh && same_maker && same_place && existing.secrets.len() == new.secrets.len()) {
            return Err(taken());
        }
        let key = app.data_key(group.id, group.data_key.as_deref(), group.data_key_kek)?;
        let same_values = new.secrets.iter().all(|(name, value)| {
            existing.secrets.iter().any(|secret| {
                secret.key == name.as_str()
                    && constant_time_eq(&secret.digest, &app.digest(&key, group.id, secret.id, value))
            })
        });
        if same_values { Ok(existing) } else { Err(taken()) }
    }
}
