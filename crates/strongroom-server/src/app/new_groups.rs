//! Making a group: everything of its first revision, in one write.

use serde_json::json;
use strongroom_crypto::constant_time_eq;
use strongroom_domain::names::{GroupName, SecretKey};
use strongroom_domain::role::GroupRole;
use strongroom_domain::{GroupId, SecretValue, Timestamp};
use strongroom_metadata::{
    CommitError, GroupCreation, GroupRow, GroupState, GroupWrite, Guard, IntegrationRow, NewSecret, NewVersion,
    RevisionRow,
};

use super::after::first_state;
use super::draft::{Share, shares_json};
use super::new_versions::NewVersions;
use super::outer::{Drafted, Outcome, Waiting};
use super::revision::Subject;
use super::{AppError, Context, Store};
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

/// What became of making a group.
enum Made {
    New(Box<GroupState>),
    NameTaken,
    /// Somebody else was writing, and it is to be tried again.
    Overtaken,
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
        let store = app.store_of(new.integration.id).await?;
        let waiting = Waiting::default();
        loop {
            match self.try_to_make(new, &store, &waiting).await? {
                Made::New(state) => return Ok(Some(*state)),
                Made::NameTaken => return Ok(None),
                Made::Overtaken => {
                    // Who was in the way may have made the group meanwhile.
                    if app.metadata.group_name_taken(&new.name.folded()).await? {
                        return Ok(None);
                    }
                    self.still_stands(app.metadata.identity_stamp()).await?;
                }
            }
        }
    }

    async fn try_to_make(&self, new: &NewGroup, store: &Store, waiting: &Waiting) -> Result<Made, AppError> {
        let app = self.app();
        let at = app.clock.now();
        let id: GroupId = app.ids.at(at);
        let (key, wrapped, kek) = app.make_data_key(id);
        let mut state = GroupState { group: self.new_row(new, id, at, wrapped, kek), secrets: Vec::new() };
        let mut made = NewVersions::of(app, store, &key, &state.group, !new.secrets.is_empty()).await?;
        let mut versions = Vec::with_capacity(new.secrets.len());
        for (name, value) in &new.secrets {
            let secret_id = app.ids.at(at);
            let version = made.first(secret_id, name.as_str(), at, value).await?;
            state.secrets.push(first_state(&version, name.as_str().to_owned(), &self.caller().actor, at));
            versions.push(version);
        }
        let intents = made.intents;
        let mac = app.revision_mac(&key, &Subject::of(&state), &state.secrets);
        state.group.revision_mac = mac.to_vec();
        let creation = self.creation(new, &state, versions, mac);
        let missed = if intents.is_empty() {
            match app.metadata.create_group(&creation).await {
                Ok(()) => None,
                Err(CommitError::Missed { guard }) => Some(guard),
                Err(error) => return Err(error.into()),
            }
        } else {
            let drafted = Drafted {
                revision: None,
                claimed_name: Some(new.name.folded()),
                action: creation.revision.action.to_string(),
                write: GroupWrite::Create(Box::new(creation)),
                after: state.clone(),
                intents,
            };
            match Box::pin(self.write_outer(store, drafted, &key, waiting)).await? {
                Outcome::Written(after) => {
                    state = *after;
                    None
                }
                Outcome::Overtaken | Outcome::Waited => return Ok(Made::Overtaken),
                Outcome::Missed(guard) => Some(guard),
            }
        };
        match missed {
            None => {
                state.secrets.sort_by_key(|secret| secret.id);
                app.remember_verified(&state);
                Ok(Made::New(Box::new(state)))
            }
            Some(Guard::GroupName) => Ok(Made::NameTaken),
            // Somebody whom it is shared with has gone.
            Some(Guard::SubjectName) => Err(AppError::Busy),
            Some(guard) => Err(CommitError::Missed { guard }.into()),
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
                action: "create".into(),
                source: self.request().operation.into(),
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
