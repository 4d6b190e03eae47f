//! Writing groups: each function is one batch, its audit event included.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use strongroom_domain::role::GroupRole;
use strongroom_domain::subject::Actor;
use strongroom_domain::{GroupId, IntegrationId, SecretId, Timestamp, VersionId};

use crate::sql::{params, statements};
use crate::{AuditRow, Batch, CommitError, Guard, Metadata, audit};

statements! {
    INSERT_GROUP = "INSERT INTO secret_groups (id, name, name_search, integration_id, manifest, revision, revision_mac, \
        data_key, data_key_kek, seals, created_by, created_at, updated_at) \
        VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?8, ?9, ?10, ?11, ?11)";
    // The first statement of every change of a group: it locks the row and is the guard of the whole change. A purge
    // makes no revision, so the key that it takes away must be asked for by name.
    UPDATE_GROUP = "UPDATE secret_groups SET revision = ?3, revision_mac = ?4, name = ?5, name_search = ?6, \
        integration_id = ?7, manifest = ?8, seals = seals + ?9, updated_at = ?10, deleted_at = ?11, purge_at = ?12 \
        WHERE id = ?1 AND revision = ?2 AND data_key IS NOT NULL";
    INSERT_REVISION = "INSERT INTO group_revisions (group_id, revision, at, actor, action, source, request_id, name, \
        integration_id, manifest, mac) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    INSERT_SECRET = "INSERT INTO secrets (id, group_id, key, key_search, version, created_by, created_at, updated_at) \
        VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?6)";
    // Deleted without an end of its time in the trash means purged: nothing brings that back.
    UPDATE_SECRET = "UPDATE secrets SET version = ?3, key = ?4, key_search = ?5, updated_at = ?6, deleted_at = ?7, \
        purge_at = ?8 WHERE id = ?1 AND group_id = ?9 AND version = ?2 AND (deleted_at IS NULL OR purge_at IS NOT NULL)";
    INSERT_VERSION = "INSERT INTO secret_versions (secret_id, version, id, digest, store_version, sealed, created_by, \
        created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    INSERT_LIFETIME = "INSERT INTO lifetimes (group_id, secret_id, from_revision, version, key) \
        VALUES (?1, ?2, ?3, ?4, ?5)";
    END_LIFETIME =
        "UPDATE lifetimes SET to_revision = ?3 WHERE group_id = ?1 AND secret_id = ?2 AND to_revision IS NULL";
    END_LIFETIMES = "UPDATE lifetimes SET to_revision = ?2 WHERE group_id = ?1 AND to_revision IS NULL";
    DELETE_GRANTS_OF_GROUP = "DELETE FROM grants WHERE group_id = ?1 AND source = ?2";
    INSERT_GRANT = "INSERT INTO grants (group_id, subject, source, source_id, role, expires_at) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
}

/// Who maintains a grant, and so may take it away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantSource {
    /// The collaborators of the group's manifest.
    Manifest,
    /// The permissions of a virtual account's manifest.
    VirtualAccount,
    /// A role binding.
    RoleBinding,
    /// The `authorized_subjects` of an integration's manifest.
    Integration,
}

/// A role of a subject on a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// The group.
    pub group_id: GroupId,
    /// `<type>:<name>`, canonical.
    pub subject: String,
    /// The role.
    pub role: GroupRole,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// One accepted change of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionRow {
    /// Its number, from 1.
    pub revision: i64,
    /// When; never earlier than the revision before.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What: `create`, `update`, `apply`, `delete_secret`, `delete`, `restore`, `restore_secret`.
    pub action: Cow<'static, str>,
    /// From where: the operation's id.
    pub source: Cow<'static, str>,
    /// The request.
    pub request_id: String,
    /// The group's name after it.
    pub name: String,
    /// The group's integration after it.
    pub integration_id: IntegrationId,
    /// The group's manifest after it.
    pub manifest: String,
    /// The MAC over what is current after it.
    pub mac: [u8; 32],
}

/// A secret that begins to exist, at version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSecret {
    /// Id.
    pub id: SecretId,
    /// Key.
    pub key: String,
}

/// A version that begins to exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewVersion {
    /// Its secret.
    pub secret_id: SecretId,
    /// Its number.
    pub version: i64,
    /// Its id.
    pub id: VersionId,
    /// The keyed digest of its value.
    pub digest: [u8; 32],
    /// What the store calls it.
    pub store_version: String,
    /// The sealed value, when it lives here.
    pub sealed: Option<Vec<u8>>,
}

/// What becomes of an existing secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyState {
    /// The secret.
    pub id: SecretId,
    /// The version that the decision was made on.
    pub expected_version: i64,
    /// The version that is current afterwards (or was last, when deleted).
    pub version: i64,
    /// The key afterwards.
    pub key: String,
    /// Since when and until when it lies in the trash; `None` when it lives.
    pub deleted: Option<(Timestamp, Timestamp)>,
}

/// A version that is current from this revision on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewLifetime {
    /// The secret.
    pub secret_id: SecretId,
    /// The version.
    pub version: i64,
    /// The key under which it is current.
    pub key: String,
}

/// A new group, at revision 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupCreation {
    /// Id.
    pub id: GroupId,
    /// The name as it is compared: folded.
    pub folded_name: String,
    /// The data key, wrapped.
    pub data_key: Vec<u8>,
    /// Which key-encryption key wraps it.
    pub data_key_kek: u32,
    /// The first revision.
    pub revision: RevisionRow,
    /// Its secrets.
    pub secrets: Vec<NewSecret>,
    /// Their versions.
    pub versions: Vec<NewVersion>,
    /// Who shares it.
    pub grants: Vec<Grant>,
    /// The event.
    pub event: AuditRow,
}

/// A change of a group: what its row becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupUpdate {
    /// The group.
    pub id: GroupId,
    /// The revision that the decision was made on.
    pub expected_revision: i64,
    /// The name as it is compared: folded.
    pub folded_name: String,
    /// Since when and until when it lies in the trash; `None` when it lives.
    pub deleted: Option<(Timestamp, Timestamp)>,
}

/// A change of a group, with everything that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupChange {
    /// The group's row.
    pub group: GroupUpdate,
    /// The revision that this change makes.
    pub revision: RevisionRow,
    /// Secrets that begin.
    pub secrets: Vec<NewSecret>,
    /// Secrets that change.
    pub states: Vec<KeyState>,
    /// Versions that begin.
    pub versions: Vec<NewVersion>,
    /// Secrets whose lifetime ends.
    pub ended: Vec<SecretId>,
    /// Set when every lifetime of the group ends, to their number; `ended` is empty then.
    pub all_ended: Option<u64>,
    /// Lifetimes that begin.
    pub began: Vec<NewLifetime>,
    /// The grants of the manifest, when they are replaced.
    pub grants: Option<Vec<Grant>>,
    /// The event.
    pub event: AuditRow,
}

impl Metadata {
    /// Writes a new group.
    pub async fn create_group(&self, new: &GroupCreation) -> Result<(), CommitError> {
        self.commit(creation_batch(new)).await
    }

    /// Writes a change of a group, unless the group has moved on since the decision.
    pub async fn change_group(&self, change: &GroupChange) -> Result<(), CommitError> {
        self.commit(change_batch(change)).await
    }
}

pub(crate) fn creation_batch(new: &GroupCreation) -> Batch {
    let mut batch = Batch::of_group(new.id);
    let revision = &new.revision;
    batch.one(
        Guard::GroupName,
        &INSERT_GROUP,
        params![
            new.id,
            &revision.name,
            &new.folded_name,
            revision.integration_id,
            &revision.manifest,
            &revision.mac,
            &new.data_key,
            i64::from(new.data_key_kek),
            count(&new.versions),
            actor_json(&revision.actor),
            revision.at
        ],
    );
    insert_revision(&mut batch, new.id, revision);
    insert_secrets(&mut batch, new.id, revision, &new.secrets, &new.versions);
    let lifetimes =
        new.secrets.iter().map(|secret| NewLifetime { secret_id: secret.id, version: 1, key: secret.key.clone() });
    insert_lifetimes(&mut batch, new.id, revision.revision, lifetimes);
    insert_grants(&mut batch, GrantSource::Manifest, "", &new.grants);
    audit::insert(&mut batch, &new.event);
    batch
}

pub(crate) fn change_batch(change: &GroupChange) -> Batch {
    let mut batch = Batch::of_group(change.group.id);
    let (group, revision) = (&change.group, &change.revision);
    let update = params![
        group.id,
        group.expected_revision,
        revision.revision,
        &revision.mac,
        &revision.name,
        &group.folded_name,
        revision.integration_id,
        &revision.manifest,
        count(&change.versions),
        revision.at,
        group.deleted.map(|(at, _)| at),
        group.deleted.map(|(_, purge)| purge)
    ];
    batch.one(Guard::GroupRevision, &UPDATE_GROUP, update);
    insert_revision(&mut batch, group.id, revision);
    if let Some(lifetimes) = change.all_ended {
        batch.exactly(lifetimes, Guard::SecretState, &END_LIFETIMES, params![group.id, revision.revision]);
    }
    for secret in &change.ended {
        batch.one(Guard::SecretState, &END_LIFETIME, params![group.id, *secret, revision.revision]);
    }
    for state in &change.states {
        batch.one(
            Guard::SecretState,
            &UPDATE_SECRET,
            params![
                state.id,
                state.expected_version,
                state.version,
                &state.key,
                state.key.to_lowercase(),
                revision.at,
                state.deleted.map(|(at, _)| at),
                state.deleted.map(|(_, purge)| purge),
                group.id
            ],
        );
    }
    insert_secrets(&mut batch, group.id, revision, &change.secrets, &change.versions);
    insert_lifetimes(&mut batch, group.id, revision.revision, change.began.iter().cloned());
    if let Some(grants) = &change.grants {
        batch.any(Guard::Fresh, &DELETE_GRANTS_OF_GROUP, params![group.id, GrantSource::Manifest.id()]);
        insert_grants(&mut batch, GrantSource::Manifest, "", grants);
    }
    audit::insert(&mut batch, &change.event);
    batch
}

impl GrantSource {
    const ALL: [Self; 4] = [Self::Manifest, Self::VirtualAccount, Self::RoleBinding, Self::Integration];

    /// Reads what [`GrantSource::id`] gives.
    pub(crate) fn parse(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.id() == id)
    }

    pub(crate) const fn id(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::VirtualAccount => "virtual-account",
            Self::RoleBinding => "role-binding",
            Self::Integration => "provider-integration",
        }
    }
}

pub(crate) fn insert_grants(batch: &mut Batch, source: GrantSource, source_id: &str, grants: &[Grant]) {
    for grant in grants {
        batch.one(
            Guard::SubjectName,
            &INSERT_GRANT,
            params![grant.group_id, &grant.subject, source.id(), source_id, grant.role.rank(), grant.expires_at],
        );
    }
}

/// An actor as it is stored.
pub(crate) fn actor_json(actor: &Actor) -> String {
    serde_json::to_string(actor).unwrap_or_default()
}

fn insert_revision(batch: &mut Batch, group: GroupId, revision: &RevisionRow) {
    batch.one(
        Guard::GroupRevision,
        &INSERT_REVISION,
        params![
            group,
            revision.revision,
            revision.at,
            actor_json(&revision.actor),
            &*revision.action,
            &*revision.source,
            &revision.request_id,
            &revision.name,
            revision.integration_id,
            &revision.manifest,
            &revision.mac
        ],
    );
}

fn insert_secrets(
    batch: &mut Batch,
    group: GroupId,
    revision: &RevisionRow,
    secrets: &[NewSecret],
    versions: &[NewVersion],
) {
    let actor = actor_json(&revision.actor);
    for secret in secrets {
        batch.one(
            Guard::SecretKey,
            &INSERT_SECRET,
            params![secret.id, group, &secret.key, secret.key.to_lowercase(), &actor, revision.at],
        );
    }
    for version in versions {
        batch.one(
            Guard::Fresh,
            &INSERT_VERSION,
            params![
                version.secret_id,
                version.version,
                version.id,
                &version.digest,
                &version.store_version,
                version.sealed.as_ref(),
                &actor,
                revision.at
            ],
        );
    }
}

fn insert_lifetimes(batch: &mut Batch, group: GroupId, revision: i64, lifetimes: impl Iterator<Item = NewLifetime>) {
    for lifetime in lifetimes {
        batch.one(
            Guard::Fresh,
            &INSERT_LIFETIME,
            params![group, lifetime.secret_id, revision, lifetime.version, lifetime.key],
        );
    }
}

fn count(versions: &[NewVersion]) -> i64 {
    i64::try_from(versions.iter().filter(|version| version.sealed.is_some()).count()).unwrap_or(i64::MAX)
}
