//! Changing a group: read, decide, put what is new, write once; again when somebody else was first.

use std::future::Future;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_domain::names::GroupName;
use strongroom_domain::role::GroupRole;
use strongroom_domain::{Backoff, GroupId, SecretId, SecretValue, Timestamp};
use strongroom_metadata::{
    CommitError, Grant, GroupChange, GroupState, GroupUpdate, IntegrationRow, KeyState, NewLifetime, NewSecret,
    NewVersion, RevisionRow, SecretState,
};

use super::revision::Subject;
use super::values::Sealing;
use super::{AppError, Context};
use crate::audit::{Event, Target};

/// How often a change is decided again when others were faster.
const ATTEMPTS: u32 = 10;
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(1), cap: Duration::from_millis(10) };

/// What a change shall do, decided on one state of the group.
#[derive(Default)]
pub(crate) struct Plan<'a> {
    /// What the revision and the event call it.
    pub(crate) action: Action,
    /// The group's new name.
    pub(crate) name: Option<GroupName>,
    /// The group's new manifest, JSON.
    pub(crate) manifest: Option<String>,
    /// The integration that keeps the group from now on, when that changes; only for a group without secrets.
    pub(crate) integration: Option<IntegrationRow>,
    /// What is done with secrets.
    pub(crate) steps: Vec<Step<'a>>,
    /// Who shares the group from now on, when that changes.
    pub(crate) grants: Option<Vec<(String, GroupRole)>>,
}

/// What a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Action {
    #[default]
    Update,
    Apply,
    Delete,
    Restore,
    DeleteSecret,
    RestoreSecret,
}

/// What is done with one secret.
pub(crate) enum Step<'a> {
    /// A key begins.
    Add { key: String, value: &'a SecretValue },
    /// A secret gets a new version.
    Set { id: SecretId, value: &'a SecretValue },
    /// A secret goes into the trash.
    Drop { id: SecretId },
    /// A secret comes out of the trash, under a key.
    Revive { secret: Box<SecretState>, key: String },
}

/// What a decision needs besides the group.
pub(crate) trait Also: Sync {
    type Found: Send;

    fn read(&self, context: &Context, state: &GroupState)
    -> impl Future<Output = Result<Self::Found, AppError>> + Send;
}

impl Also for () {
    type Found = ();

    async fn read(&self, _: &Context, _: &GroupState) -> Result<(), AppError> {
        Ok(())
    }
}

impl Context {
    /// Runs a change until it is written, refused, or has lost against others too often.
    ///
    /// `decide` is called on the present state, deleted or not, and gives `None` when there is nothing to change. The
    /// state that comes back is the one after the change.
    pub(crate) async fn change_group<'a>(
        &self,
        id: GroupId,
        decide: impl Fn(&GroupState) -> Result<Option<Plan<'a>>, AppError>,
    ) -> Result<GroupState, AppError> {
        self.change_group_with(id, &(), |state, ()| decide(state)).await
    }

    /// The same where the decision needs more than the group; it is read after the group, each time anew.
    pub(crate) async fn change_group_with<'a, A: Also>(
        &self,
        id: GroupId,
        also: &A,
        decide: impl Fn(&GroupState, A::Found) -> Result<Option<Plan<'a>>, AppError>,
    ) -> Result<GroupState, AppError> {
        let app = self.app();
        let mut turn = app.caches.queues.turn(id).await;
        for attempt in 1..=ATTEMPTS {
            let Some(state) = app.metadata.group(id, &self.caller().viewpoint).await? else {
                return Err(AppError::NotFound(super::Resource::SecretGroup));
            };
            let also = also.read(self, &state).await?;
            let Some(plan) = decide(&state, also)? else { return Ok(state) };
            // A change vouches for all that is current after it: what was altered from outside must not be signed.
            app.verify(&state)?;
            let (change, after) = self.draft(state, plan).await?;
            match app.metadata.change_group(&change).await {
                Ok(()) => {
                    turn.won();
                    app.remember_verified(&after);
                    return Ok(after);
                }
                Err(CommitError::Missed { .. }) => {
                    turn.lost();
                    tokio::time::sleep(BACKOFF.wait(attempt, &*app.entropy)).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(AppError::Busy)
    }

    /// Puts new values and draws up the batch and the state after it.
    async fn draft(&self, before: GroupState, plan: Plan<'_>) -> Result<(GroupChange, GroupState), AppError> {
        let app = self.app();
        // A clock that went back doesn't make history go back.
        let at = app.clock.now().max(before.group.updated_at);
        let key = app.data_key(before.group.id, before.group.data_key.as_deref(), before.group.data_key_kek)?;
        let mut draft = Draft::new(before, &plan, at, app.limits.retention_days);
        for step in plan.steps {
            match step {
                Step::Add { key: name, value } => {
                    let id = app.ids.at(at);
                    draft.secrets.push(NewSecret { id, key: name.clone() });
                    let version = self.new_version(&key, &draft, id, &name, 1, value).await?;
                    draft.add(self, version, name);
                }
                Step::Set { id, value } => {
                    let Some(at) = draft.position(id) else { continue };
                    let (name, number) = (draft.after.secrets[at].key.clone(), draft.after.secrets[at].version + 1);
                    let version = self.new_version(&key, &draft, id, &name, number, value).await?;
                    draft.set(at, version);
                }
                Step::Drop { id } => draft.drop_secret(id),
                Step::Revive { secret, key } => draft.revive(*secret, key),
            }
        }
        draft.after.secrets.sort_by_key(|secret| secret.id);
        let mac = app.revision_mac(&key, &Subject::of(&draft.after), &draft.after.secrets);
        draft.after.group.revision_mac = mac.to_vec();
        Ok(draft.finish(self, plan.action, plan.grants, mac))
    }

    async fn new_version(
        &self,
        key: &strongroom_crypto::DataKey,
        draft: &Draft,
        secret_id: SecretId,
        name: &str,
        version: i64,
        value: &SecretValue,
    ) -> Result<NewVersion, AppError> {
        let app = self.app();
        let group = &draft.after.group;
        let sealing = Sealing { group_id: group.id, group_name: &group.name, key: name, secret_id, version, value };
        let placed = app.put(key, &sealing).await?;
        Ok(NewVersion {
            secret_id,
            version,
            id: app.ids.at(draft.at),
            digest: app.digest(key, group.id, secret_id, value),
            store_version: placed.version.0,
            sealed: placed.sealed,
        })
    }
}

/// A change while it is drawn up.
struct Draft {
    at: Timestamp,
    retention_days: u32,
    expected_revision: i64,
    after: GroupState,
    secrets: Vec<NewSecret>,
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
    fn new(before: GroupState, plan: &Plan<'_>, at: Timestamp, retention_days: u32) -> Self {
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

    fn position(&self, id: SecretId) -> Option<usize> {
        self.after.secrets.iter().position(|secret| secret.id == id)
    }

    fn add(&mut self, context: &Context, version: NewVersion, key: String) {
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

    fn set(&mut self, at: usize, version: NewVersion) {
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

    fn drop_secret(&mut self, id: SecretId) {
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

    fn revive(&mut self, mut secret: SecretState, key: String) {
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

    fn finish(
        self,
        context: &Context,
        action: Action,
        grants: Option<Vec<(String, GroupRole)>>,
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
            action: action.name(),
            source: context.request().operation,
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
        let grants = grants.map(|grants| {
            grants.into_iter().map(|(subject, role)| Grant { group_id: update.id, subject, role }).collect()
        });
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
    fn into_json(self, grants: Option<&[(String, GroupRole)]>) -> Value {
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
            out["collaborators"] = grants_json(grants);
        }
        out
    }
}

impl Action {
    const fn name(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Apply => "apply",
            Self::Delete => "delete",
            Self::Restore => "restore",
            Self::DeleteSecret => "delete_secret",
            Self::RestoreSecret => "restore_secret",
        }
    }

    const fn event(self) -> &'static str {
        match self {
            Self::Update | Self::Apply => "UPDATE_SECRET_GROUP",
            Self::Delete => "DELETE_SECRET_GROUP",
            Self::Restore => "RESTORE_SECRET_GROUP",
            Self::DeleteSecret => "DELETE_SECRET",
            Self::RestoreSecret => "RESTORE_SECRET",
        }
    }
}

/// Who shares a group, as an event tells it.
pub(crate) fn grants_json(grants: &[(String, GroupRole)]) -> Value {
    grants.iter().map(|(subject, role)| json!({"subject": subject, "role_id": role.id()})).collect()
}

fn lifetime(secret: &SecretState) -> NewLifetime {
    NewLifetime { secret_id: secret.id, version: secret.version, key: secret.key.clone() }
}
