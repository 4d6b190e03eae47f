//! A change of a group while it is drawn up: the state after it, and what is written for it.

use serde_json::{Value, json};
use strongroom_domain::role::GroupRole;
use strongroom_domain::{GroupId, SecretId, Timestamp};
use strongroom_metadata::{
    Grant, GroupChange, GroupState, GroupUpdate, KeyState, NewLifetime, NewSecret, NewVersion, RevisionRow, SecretState,
};

use super::Context;
use super::changes::{Action, Plan};
use crate::audit::{Event, Target};

/// A change while it is drawn up.
pub(super) struct Draft {
    pub(super) at: Timestamp,
    retention_days: u32,
    expected_revision: i64,
    pub(super) after: GroupState,
    pub(super) secrets: Vec<NewSecret>,
    states: Vec<KeyState>,
    versions: Vec<NewVersion>,
    ended: Vec<SecretId>,
    all_ended: Option<u64>,
    began: Vec<NewLifetime>,
    told: Told,
}

/// What the event tells of the keys.
#[derive(Default)]
struct Told {
    created: Vec<Value>,
    updated: Vec<Value>,
    deleted: Vec<Value>,
    restored: Vec<Value>,
}

impl Draft {
    pub(super) fn new(before: GroupState, plan: &Plan<'_>, at: Timestamp, retention_days: u32) -> Self {
        let expected_revision = before.group.revision;
        let mut after = before;
        let (mut all_ended, mut began) = (None, Vec::new());
        after.group.revision += 1;
        after.group.updated_at = at;
        if let Some(name) = &plan.name {
            name.as_str().clone_into(&mut after.group.name);
        }
        if let Some(manifest) = &plan.manifest {
            after.group.manifest.clone_from(manifest);
        }
        if let Some(integration) = &plan.integration {
            after.group.integration_id = integration.id;
            after.group.integration_fqn.clone_from(&integration.fqn);
        }
        match plan.action {
            Action::Delete => {
                after.group.deleted_at = Some(at);
                after.group.purge_at = Some(at.plus_days(retention_days));
                all_ended = Some(after.secrets.len() as u64);
            }
            Action::Restore => {
                after.group.deleted_at = None;
                after.group.purge_at = None;
                began = after.secrets.iter().map(lifetime).collect();
            }
            _ => {}
        }
        Self {
            at,
            retention_days,
            expected_revision,
            after,
            secrets: Vec::new(),
            states: Vec::new(),
            versions: Vec::new(),
            ended: Vec::new(),
            all_ended,
            began,
            told: Told::default(),
        }
    }

    pub(super) fn position(&self, id: SecretId) -> Option<usize> {
        self.after.secrets.iter().position(|secret| secret.id == id)
    }

    pub(super) fn add(&mut self, context: &Context, version: NewVersion, key: String) {
        self.told.created.push(json!({"id": version.secret_id.to_string(), "name": key, "version": 1}));
        let state = SecretState {
            id: version.secret_id,
            key,
            version: 1,
            created_by: context.caller().actor.clone(),
            created_at: self.at,
            updated_at: self.at,
            version_id: version.id,
            digest: version.digest.to_vec(),
            store_version: version.store_version.clone(),
            version_created_at: self.at,
            sealed: None,
        };
        self.began.push(lifetime(&state));
        self.versions.push(version);
        self.after.secrets.push(state);
    }

    pub(super) fn set(&mut self, at: usize, version: NewVersion) {
        let secret = &mut self.after.secrets[at];
        self.told.updated.push(json!({"id": secret.id.to_string(), "name": secret.key, "version": version.version}));
        self.states.push(KeyState {
            id: secret.id,
            expected_version: secret.version,
            version: version.version,
            key: secret.key.clone(),
            deleted: None,
        });
        secret.version = version.version;
        secret.updated_at = self.at;
        secret.version_id = version.id;
        secret.digest = version.digest.to_vec();
        secret.store_version.clone_from(&version.store_version);
        secret.version_created_at = self.at;
        self.ended.push(secret.id);
        self.began.push(lifetime(secret));
        self.versions.push(version);
    }

    pub(super) fn drop_secret(&mut self, id: SecretId) {
        let Some(at) = self.position(id) else { return };
        let secret = self.after.secrets.remove(at);
        self.told.deleted.push(json!({"id": id.to_string(), "name": secret.key, "version": secret.version}));
        self.states.push(KeyState {
            id,
            expected_version: secret.version,
            version: secret.version,
            key: secret.key,
            deleted: Some((self.at, self.at.plus_days(self.retention_days))),
        });
        self.ended.push(id);
    }

    pub(super) fn revive(&mut self, mut secret: SecretState, key: String) {
        self.told.restored.push(json!({"id": secret.id.to_string(), "name": key, "version": secret.version}));
        secret.key.clone_from(&key);
        secret.updated_at = self.at;
        self.states.push(KeyState {
            id: secret.id,
            expected_version: secret.version,
            version: secret.version,
            key,
            deleted: None,
        });
        self.began.push(lifetime(&secret));
        self.after.secrets.push(secret);
    }

    pub(super) fn finish(
        self,
        context: &Context,
        action: Action,
        grants: Option<Vec<Share>>,
        mac: [u8; 32],
    ) -> (GroupChange, GroupState) {
        let group = &self.after.group;
        let event = Event {
            action: action.event(),
            revision: Some(group.revision),
            detail: self.told.into_json(grants.as_deref()).to_string(),
            ..Event::of(Target::group(&context.app().tenant, group.id, &group.name))
        };
        let revision = RevisionRow {
            revision: group.revision,
            at: self.at,
            actor: context.caller().actor.clone(),
            action: action.name().into(),
            source: context.request().operation.into(),
            request_id: context.request().id.clone(),
            name: group.name.clone(),
            integration_id: group.integration_id,
            manifest: group.manifest.clone(),
            mac,
        };
        let update = GroupUpdate {
            id: group.id,
            expected_revision: self.expected_revision,
            folded_name: group.name.to_ascii_lowercase(),
            deleted: group.deleted_at.zip(group.purge_at),
        };
        let grants = grants.map(|shares| shares.iter().map(|share| share.on(update.id)).collect());
        let change = GroupChange {
            group: update,
            revision,
            secrets: self.secrets,
            states: self.states,
            versions: self.versions,
            ended: self.ended,
            all_ended: self.all_ended,
            began: self.began,
            grants,
            event: context.event(event),
        };
        (change, self.after)
    }
}

impl Told {
    fn into_json(self, grants: Option<&[Share]>) -> Value {
        let mut out = json!({});
        for (word, keys) in [
            ("created", self.created),
            ("updated", self.updated),
            ("deleted", self.deleted),
            ("restored", self.restored),
        ] {
            if !keys.is_empty() {
                out[word] = keys.into();
            }
        }
        if let Some(grants) = grants {
            out["collaborators"] = shares_json(grants);
        }
        out
    }
}

/// Who shares a group, as an event tells it.
pub(crate) fn shares_json(shares: &[Share]) -> Value {
    shares.iter().map(|share| json!({"subject": share.subject, "role_id": share.role.id()})).collect()
}

/// A role of somebody on a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) subject: String,
    pub(crate) role: GroupRole,
    pub(crate) expires_at: Option<Timestamp>,
}

impl Share {
    pub(crate) fn on(&self, group_id: GroupId) -> Grant {
        Grant { group_id, subject: self.subject.clone(), role: self.role, expires_at: self.expires_at }
    }
}

fn lifetime(secret: &SecretState) -> NewLifetime {
    NewLifetime { secret_id: secret.id, version: secret.version, key: secret.key.clone() }
}
