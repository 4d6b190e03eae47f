//! The group as it is after a write, from the group before it and the write itself: what a revision's MAC is taken over.

use strongroom_domain::Timestamp;
use strongroom_domain::subject::Actor;
use strongroom_metadata::{GroupChange, GroupCreation, GroupRow, GroupState, GroupWrite, NewVersion, SecretState};

/// The group after a write.
pub(super) fn after(before: &GroupState, write: &GroupWrite) -> GroupState {
    match write {
        GroupWrite::Create(creation) => made(creation),
        GroupWrite::Change(change) => changed(before, change),
    }
}

/// The group that is made.
pub(super) fn made(creation: &GroupCreation) -> GroupState {
    let revision = &creation.revision;
    let group = GroupRow {
        id: creation.id,
        name: revision.name.clone(),
        integration_id: revision.integration_id,
        integration_fqn: String::new(),
        manifest: revision.manifest.clone(),
        revision: revision.revision,
        revision_mac: revision.mac.to_vec(),
        data_key: Some(creation.data_key.clone()),
        data_key_kek: creation.data_key_kek,
        seals: 0,
        created_by: revision.actor.clone(),
        created_at: revision.at,
        updated_at: revision.at,
        deleted_at: None,
        purge_at: None,
        role: None,
    };
    let key_of = |version: &NewVersion| creation.secrets.iter().find(|secret| secret.id == version.secret_id);
    let secrets = creation.versions.iter().filter_map(|version| {
        let key = key_of(version)?.key.clone();
        Some(first_state(version, key, &revision.actor, revision.at))
    });
    sorted(group, secrets.collect())
}

fn changed(before: &GroupState, change: &GroupChange) -> GroupState {
    let revision = &change.revision;
    let mut group = before.group.clone();
    group.revision = revision.revision;
    group.revision_mac = revision.mac.to_vec();
    group.name.clone_from(&revision.name);
    group.manifest.clone_from(&revision.manifest);
    group.integration_id = revision.integration_id;
    group.updated_at = revision.at;
    group.deleted_at = change.group.deleted.map(|(at, _)| at);
    group.purge_at = change.group.deleted.map(|(_, purge)| purge);
    let mut secrets = before.secrets.clone();
    let gone = |id| change.states.iter().any(|state| state.id == id && state.deleted.is_some());
    secrets.retain(|secret| !gone(secret.id));
    for version in &change.versions {
        if let Some(secret) = secrets.iter_mut().find(|secret| secret.id == version.secret_id) {
            secret.version = version.version;
            secret.version_id = version.id;
            secret.digest = version.digest.to_vec();
            secret.store_version.clone_from(&version.store_version);
            secret.updated_at = revision.at;
            secret.version_created_at = revision.at;
        } else if let Some(new) = change.secrets.iter().find(|secret| secret.id == version.secret_id) {
            secrets.push(first_state(version, new.key.clone(), &revision.actor, revision.at));
        }
    }
    sorted(group, secrets)
}

/// A secret as it is with its first version.
pub(super) fn first_state(version: &NewVersion, key: String, actor: &Actor, at: Timestamp) -> SecretState {
    SecretState {
        id: version.secret_id,
        key,
        version: version.version,
        created_by: actor.clone(),
        created_at: at,
        updated_at: at,
        version_id: version.id,
        digest: version.digest.to_vec(),
        store_version: version.store_version.clone(),
        version_created_at: at,
        sealed: None,
    }
}

fn sorted(group: GroupRow, mut secrets: Vec<SecretState>) -> GroupState {
    secrets.sort_by_key(|secret| secret.id);
    GroupState { group, secrets }
}
