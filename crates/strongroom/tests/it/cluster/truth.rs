//! What is in the database when nobody writes any more, and the values that its versions open to.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use super::history::{Action, Current, Id, Key, Operation, Tag, TrueGroup, TrueRevision, TrueSecret, Truth};
use super::replicas::{Cluster, Database};
use super::wire::{name, tag_of};
use crate::support::Client;
use crate::support::random::Random;

/// So many clients read values.
const READERS: usize = 8;

/// Groups of other names are not the clients'.
const FOREIGN: &str = "(SELECT id FROM secret_groups WHERE name NOT LIKE 'group-%')";

/// Reads all tables that the checker compares with.
pub(super) fn read(database: &Database, slots: u8) -> Truth {
    let slot_of: HashMap<String, u8> = (0..slots).map(|slot| (name(slot), slot)).collect();
    let mut groups: BTreeMap<Id, TrueGroup> = BTreeMap::new();
    let sql = format!("SELECT id, name, revision, deleted_at FROM secret_groups WHERE id NOT IN {FOREIGN}");
    for row in database.rows(&sql) {
        let (id, slot, revision) = (id(&row[0]), slot_of[&row[1]], number(&row[2]));
        groups.insert(id, TrueGroup { id, slot, revision, deleted: !row[3].is_empty(), revisions: Vec::new() });
    }
    read_revisions(database, &mut groups);
    let sql = format!(
        "SELECT request_id, resource_id, revision FROM audit_events \
         WHERE resource_type = 'secret-group' AND revision IS NOT NULL AND resource_id NOT IN {FOREIGN}"
    );
    let changes = database.rows(&sql).iter().map(|row| (id(&row[0]), id(&row[1]), number(&row[2]))).collect();
    let secrets = read_secrets(database);
    Truth {
        groups: groups.into_values().collect(),
        secrets,
        values: BTreeMap::new(),
        changes,
        reveals: read_reveals(database),
    }
}

fn read_revisions(database: &Database, groups: &mut BTreeMap<Id, TrueGroup>) {
    let sql = format!(
        "SELECT group_id, revision, action, request_id, actor FROM group_revisions WHERE group_id NOT IN {FOREIGN} \
         ORDER BY group_id, revision"
    );
    for row in database.rows(&sql) {
        let actor: Value = serde_json::from_str(&row[4]).unwrap();
        let client = actor["token_name"].as_str().and_then(|name| name.strip_prefix("client-")?.parse().ok());
        let revision = TrueRevision {
            number: number(&row[1]),
            action: action(&row[2]),
            request: id(&row[3]),
            client,
            state: Vec::new(),
        };
        groups.get_mut(&id(&row[0])).expect("a revision of no group").revisions.push(revision);
    }
    let sql = format!(
        "SELECT group_id, secret_id, from_revision, to_revision, version, key FROM lifetimes \
         WHERE group_id NOT IN {FOREIGN}"
    );
    for row in database.rows(&sql) {
        let group = groups.get_mut(&id(&row[0])).expect("a lifetime of no group");
        let current = Current { key: key(&row[5]), secret: id(&row[1]), version: number(&row[4]) };
        let from = number(&row[2]);
        let to = if row[3].is_empty() { i64::MAX } else { number(&row[3]) };
        for revision in group.revisions.iter_mut().filter(|revision| (from..to).contains(&revision.number)) {
            revision.state.push(current);
        }
    }
    for revision in groups.values_mut().flat_map(|group| &mut group.revisions) {
        revision.state.sort_unstable();
    }
}

fn read_secrets(database: &Database) -> Vec<TrueSecret> {
    let mut secrets: BTreeMap<Id, TrueSecret> = BTreeMap::new();
    for row in database.rows(&format!("SELECT id, version FROM secrets WHERE group_id NOT IN {FOREIGN}")) {
        let (id, version) = (id(&row[0]), number(&row[1]));
        secrets.insert(id, TrueSecret { id, version, versions: Vec::new() });
    }
    let sql = format!(
        "SELECT secret_id, version FROM secret_versions \
         WHERE secret_id NOT IN (SELECT id FROM secrets WHERE group_id IN {FOREIGN})"
    );
    for row in database.rows(&sql) {
        secrets.get_mut(&id(&row[0])).expect("a version of no secret").versions.push(number(&row[1]));
    }
    secrets.into_values().collect()
}

fn read_reveals(database: &Database) -> Vec<(Id, Id, i64)> {
    let mut reveals = Vec::new();
    for row in database.rows("SELECT request_id, detail FROM audit_events WHERE action LIKE 'READ_SECRET_VALUE%'") {
        let detail: Value = serde_json::from_str(&row[1]).unwrap();
        for secret in detail["secrets"].as_array().unwrap() {
            let of = Id::parse(secret["id"].as_str().unwrap()).unwrap();
            reveals.push((id(&row[0]), of, secret["version"].as_i64().unwrap()));
        }
    }
    reveals
}

fn id(text: &str) -> Id {
    Id::parse(text).unwrap_or_else(|| panic!("no id: {text:?}"))
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or_else(|_| panic!("no number: {text:?}"))
}

fn action(text: &str) -> Action {
    match text {
        "create" => Action::Create,
        "update" => Action::Update,
        "delete" => Action::Delete,
        "restore" => Action::Restore,
        "delete_secret" => Action::DeleteSecret,
        "restore_secret" => Action::RestoreSecret,
        other => panic!("a revision by {other:?}"),
    }
}

fn key(text: &str) -> Key {
    text.strip_prefix('K').and_then(|key| key.parse().ok()).unwrap_or_else(|| panic!("a key {text:?}"))
}

/// Opens versions: of all revisions whose operation isn't known by its answer, and so many others at random. What is
/// deleted is brought back for it, so this comes last.
pub(super) fn open_values(cluster: &Cluster, truth: &mut Truth, history: &[Operation], others: usize, seed: u64) {
    let wanted = wanted(truth, history, others, &mut Random::new(seed));
    let values = Mutex::new(BTreeMap::new());
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for reader in 0..READERS {
            let (groups, wanted, values, next) = (&truth.groups, &wanted, &values, &next);
            let mut client = cluster.admin(reader % cluster.len());
            scope.spawn(move || {
                while let Some(group) = groups.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let opened = open_group(&mut client, group, wanted);
                    values.lock().unwrap().extend(opened);
                }
            });
        }
    });
    truth.values = values.into_inner().unwrap();
}

fn wanted(truth: &Truth, history: &[Operation], others: usize, random: &mut Random) -> HashSet<(Id, i64)> {
    let answered: HashSet<Id> = history.iter().filter_map(|operation| operation.request).collect();
    let mut wanted = HashSet::new();
    let mut rest = Vec::new();
    for group in &truth.groups {
        for revision in &group.revisions {
            let versions = revision.state.iter().map(|current| (current.secret, current.version));
            if answered.contains(&revision.request) { rest.extend(versions) } else { wanted.extend(versions) }
        }
    }
    for _ in 0..others.min(rest.len()) {
        wanted.insert(rest[random.index(rest.len())]);
    }
    wanted
}

/// The wanted values of one group.
fn open_group(client: &mut Client, group: &TrueGroup, wanted: &HashSet<(Id, i64)>) -> Vec<((Id, i64), Tag)> {
    // Under which keys its secrets were last current, and which of them still are.
    let mut secrets: BTreeMap<Id, Key> = BTreeMap::new();
    let mut versions: BTreeMap<Id, Vec<i64>> = BTreeMap::new();
    for current in group.revisions.iter().flat_map(|revision| &revision.state) {
        secrets.insert(current.secret, current.key);
        let of_secret = versions.entry(current.secret).or_default();
        if wanted.contains(&(current.secret, current.version)) && !of_secret.contains(&current.version) {
            of_secret.push(current.version);
        }
    }
    if versions.values().all(Vec::is_empty) {
        return Vec::new();
    }
    let mut called = name(group.slot);
    if group.deleted {
        called = format!("back-{}", &group.id.to_string()[14..]);
        let path = format!("/api/v1/secret-groups/{}/restore", group.id);
        client.post(&path, &json!({"name": called})).unwrap().success();
    }
    let living: Vec<&TrueRevision> = group.revisions.iter().filter(|one| one.action != Action::Delete).collect();
    let state = living.last().map(|revision| revision.state.as_slice()).unwrap_or_default();
    let mut opened = Vec::new();
    for (secret, key) in secrets.into_iter().filter(|(secret, _)| !versions[secret].is_empty()) {
        let current = state.iter().any(|current| current.secret == secret);
        let mut name = format!("K{key}");
        if !current {
            "back".clone_into(&mut name);
            let path = format!("/api/v1/secrets/{secret}/restore");
            client.post(&path, &json!({"key": name})).unwrap().success();
        }
        for version in &versions[&secret] {
            let path = format!("/api/svc/v1/control-plane/secret?secret_ref=default:{called}:{name}:{version}");
            let value = client.get(&path).unwrap().success()["value"].as_str().unwrap().to_owned();
            opened.push(((secret, *version), tag_of(&value, key)));
        }
        if !current {
            client.delete(&format!("/api/svc/v1/secrets/{secret}")).unwrap().success();
        }
    }
    opened
}
