//! What is altered from outside is an error that names it: never a wrong value, never a panic.

mod keys;

use std::collections::HashSet;

use serde_json::{Value, json};
use strongroom_testkit::{Answer, Blob, Cast, Client, Tamper, TestApp};

use crate::support::{GROUPS, SECRETS, list, reference_path, secret_id, secret_path, text, updates, value_of};

/// What shall be unreadable once a blob of a column is altered. A new column of blobs needs a line here.
#[derive(Debug, PartialEq, Eq)]
enum Stake {
    /// The server doesn't start.
    Start,
    /// Every value of one group.
    Group,
    /// One version of a secret: its value, when it is the current one also through the lists.
    Version,
    /// The page of the audit log that the event is on.
    Event,
    /// Whoever had the token.
    Token,
    /// Nobody reads it yet but the history that is to come; the newest revision's is also on the group.
    Nothing,
    /// The scene has none.
    Absent,
}

fn stake(table: &str, column: &str) -> Stake {
    match (table, column) {
        ("root_key_slots", "wrapped") => Stake::Start,
        ("secret_groups", "data_key" | "revision_mac") => Stake::Group,
        ("secret_versions", "sealed" | "digest") => Stake::Version,
        ("audit_events", "mac") => Stake::Event,
        ("tokens", "hash") => Stake::Token,
        ("group_revisions", "mac") => Stake::Nothing,
        // Nobody is invited, nothing is signed, and nothing is kept elsewhere in the scene.
        ("operation_puts", "digest")
        | ("provider_accounts", "credentials")
        | ("invitations", "hash")
        | ("signing_keys", "public" | "sealed") => Stake::Absent,
        _ => panic!("{table}.{column} holds blobs: say what is at stake when one is altered"),
    }
}

/// Two groups, the first with two secrets, one of them with two versions.
struct Scene {
    app: TestApp,
    cast: Cast,
    other: Value,
}

/// Every way to get each value: the request, whose it is, and the value.
struct Reading {
    path: String,
    body: Option<Value>,
    group: &'static str,
    values: Vec<&'static str>,
}

impl Scene {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let cast = app.cast("first", &[("K", "first-k-1"), ("J", "first-j-1")]).await;
        cast.editor.put(&cast.group_path(), updates(&[("K", Some("first-k-2")), ("J", None)])).await.expect(200);
        let other = app.group(&cast.owner, "second", &[("K", "second-k-1"), ("J", "second-j-1")]).await;
        Self { app, cast, other }
    }

    fn readings(&self) -> Vec<Reading> {
        let get = |path: String, group, value| Reading { path, body: None, group, values: vec![value] };
        let post = |body, group, values| Reading { path: SECRETS.into(), body: Some(body), group, values };
        let second = |key| secret_path(secret_id(&self.other, key));
        vec![
            get(self.cast.secret_path("K"), "first", "first-k-2"),
            get(self.cast.secret_path("J"), "first", "first-j-1"),
            get(second("K"), "second", "second-k-1"),
            get(second("J"), "second", "second-j-1"),
            get(reference_path("default:first:K"), "first", "first-k-2"),
            get(reference_path("default:first:J"), "first", "first-j-1"),
            get(reference_path("default:first:K:1"), "first", "first-k-1"),
            get(reference_path("default:first:K:2"), "first", "first-k-2"),
            get(reference_path("default:second:K"), "second", "second-k-1"),
            get(reference_path("default:second:J"), "second", "second-j-1"),
            post(
                json!({"withValue": true, "secretGroupId": self.cast.group_id}),
                "first",
                vec!["first-k-2", "first-j-1"],
            ),
            post(
                json!({"withValue": true, "secretGroupId": self.other["id"]}),
                "second",
                vec!["second-k-1", "second-j-1"],
            ),
            post(json!({"withValue": true, "secretFqns": ["default:first:K"]}), "first", vec!["first-k-2"]),
            post(json!({"withValue": true, "secretFqns": ["default:second:J"]}), "second", vec!["second-j-1"]),
        ]
    }

    /// Reads everything in every way: what is given is right, and what isn't given says why. Gives the groups that
    /// something could not be read of, and the errors.
    async fn read_all(&self, client: &Client, what: &str) -> (Vec<&'static str>, Vec<Answer>) {
        let (mut unreadable, mut errors) = (Vec::new(), Vec::new());
        for reading in self.readings() {
            let answer = match &reading.body {
                None => client.get(&reading.path).await,
                Some(body) => client.post(&reading.path, body.clone()).await,
            };
            if answer.status == 200 {
                let named: Vec<(String, Value)> = match (&answer.json["data"], answer.json.get("value")) {
                    (Value::Array(all), _) => {
                        all.iter().map(|one| (text(one, "/name").into(), one["value"].clone())).collect()
                    }
                    (_, Some(value)) => vec![(reading.path.clone(), value.clone())],
                    (one, None) => vec![(text(one, "/name").into(), one["value"].clone())],
                };
                assert_eq!(named.len(), reading.values.len(), "{what}: {} {}", reading.path, answer.text);
                for (name, value) in named {
                    let value = value.as_str().unwrap_or_else(|| panic!("{what}: no value in {}", answer.text));
                    assert!(
                        reading.values.contains(&value),
                        "{what}: a WRONG VALUE from {}: {}",
                        reading.path,
                        answer.text
                    );
                    let key = value.rsplit('-').nth(1).unwrap().to_uppercase();
                    assert!(name.len() > 1 || name == key, "{what}: {name} has the value of {key}");
                }
            } else {
                assert_eq!((answer.status, answer.code()), (500, "integrity"), "{what}: {}", answer.text);
                let all = ["first-k", "first-j", "second-k", "second-j"];
                assert!(all.iter().all(|value| !answer.text.contains(value)), "{what}: {}", answer.text);
                unreadable.push(reading.group);
                errors.push(answer);
            }
        }
        unreadable.dedup();
        (unreadable, errors)
    }

    async fn assert_whole(&self, what: &str) {
        let (unreadable, errors) = self.read_all(&self.cast.admin, what).await;
        assert!(unreadable.is_empty(), "{what}: {errors:?}");
        self.cast.admin.get("/api/svc/v1/audit-logs?metric=list").await.expect(200);
    }

    /// Of which group a blob is.
    fn group_of(&self, tamper: &Tamper, blob: &Blob) -> &'static str {
        let id = match blob.table.as_str() {
            "secret_groups" => tamper.text(&format!("SELECT id FROM secret_groups WHERE {}", blob.row)),
            _ => tamper.text(&format!(
                "SELECT group_id FROM secrets WHERE id IN (SELECT secret_id FROM secret_versions WHERE {})",
                blob.row
            )),
        };
        if id == self.cast.group_id { "first" } else { "second" }
    }
}

/// What can happen to a blob.
fn damages(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let flip = |at: usize| {
        let mut flipped = bytes.to_vec();
        flipped[at] ^= 1 << (at % 8);
        (format!("bit flipped in byte {at}"), flipped)
    };
    let last = bytes.len() - 1;
    let mut places = vec![0, 1, 2, 3, 5, 9, 14, last / 2, last - 16, last];
    places.sort_unstable();
    places.dedup();
    let mut all: Vec<_> = places.into_iter().map(flip).collect();
    all.push(("cut off".into(), bytes[..last].to_vec()));
    all.push(("emptied".into(), Vec::new()));
    all.push(("lengthened".into(), [bytes, &[0]].concat()));
    all
}

#[tokio::test]
async fn any_damage_to_any_sealed_blob_is_found() {
    let mut scene = Scene::new().await;
    let tamper = scene.app.tamper();
    let (mut tried, mut columns, mut seen) = (0, 0, HashSet::new());
    for (table, all) in tamper.schema() {
        for (column, ..) in all.iter().filter(|(_, kind, _)| kind == "BLOB") {
            columns += 1;
            let stake = stake(&table, column);
            let mut blobs = tamper.blobs(&table, column);
            assert_eq!(blobs.is_empty(), stake == Stake::Absent, "{table}.{column}");
            if stake == Stake::Event || stake == Stake::Token {
                blobs.truncate(2);
            }
            for blob in blobs {
                // The first blob of a column gets all of it, the others a part.
                let step = if seen.insert((table.clone(), column.clone())) { 1 } else { 5 };
                for (number, (damage, bytes)) in damages(&blob.bytes).into_iter().enumerate().step_by(step) {
                    let what = format!("{table}.{column} where {}: {damage}", blob.row);
                    // Both while everything is remembered and when nothing is. Keys are remembered until the next start.
                    let cold = number % 5 == 0 || (column == "data_key" && number > 1) || stake == Stake::Start;
                    tamper.put(&blob, &bytes);
                    if cold {
                        scene.app.stop().await;
                        let started = scene.app.try_start().await;
                        assert_eq!(started.is_err(), stake == Stake::Start, "{what}: {:?}", started.err());
                    }
                    if stake == Stake::Start {
                        tamper.undo(&blob);
                        scene.app.try_start().await.unwrap();
                    } else {
                        inspect(&scene, &tamper, &blob, &stake, cold, &what).await;
                        tamper.undo(&blob);
                    }
                    tried += 1;
                }
            }
            scene.app.restart().await;
            scene.assert_whole(&format!("after {table}.{column}")).await;
        }
    }
    assert!(columns == 13 && tried > 120, "{columns} columns, {tried} damages");
}

async fn inspect(scene: &Scene, tamper: &Tamper, blob: &Blob, stake: &Stake, cold: bool, what: &str) {
    let admin = &scene.cast.admin;
    match stake {
        Stake::Group | Stake::Version => {
            let (unreadable, errors) = scene.read_all(admin, what).await;
            let group = scene.group_of(tamper, blob);
            assert!(unreadable.iter().all(|unreadable| *unreadable == group), "{what}: others are hit: {unreadable:?}");
            // What is in memory may hide damage to a key until the next start, but to nothing else.
            assert!(!unreadable.is_empty() || (!cold && blob.column == "data_key"), "{what} was not noticed");
            for error in errors {
                let message = text(&error.json, "/message");
                let named = blob.row.split('\'').filter(|part| part.len() == 36).any(|id| message.contains(id));
                let group_id = if group == "first" { &scene.cast.group_id } else { text(&scene.other, "/id") };
                assert!(named || message.contains(group_id), "{what}: the message names nothing: {message}");
            }
            if cold && *stake == Stake::Group {
                // Nothing is built upon what is damaged.
                let path = format!(
                    "{GROUPS}/{}",
                    if group == "first" { &scene.cast.group_id } else { text(&scene.other, "/id") }
                );
                let update = updates(&[("K", Some("overwritten")), ("J", Some("overwritten"))]);
                admin.put(&path, update).await.refused(500, "integrity");
                admin.delete(&path).await.refused(500, "integrity");
            }
        }
        Stake::Event => {
            let id = blob.row.split('\'').nth(1).unwrap();
            let about = tamper.text(&format!("SELECT resource_id FROM audit_events WHERE id = '{id}'"));
            let answer = admin.get(&format!("/api/svc/v1/audit-logs?metric=list&resourceId={about}")).await;
            assert!(answer.refused(500, "integrity").contains(id), "{what}: {}", answer.text);
            assert!(scene.read_all(admin, what).await.0.is_empty());
        }
        Stake::Token => {
            let statuses = [&scene.cast.owner, &scene.cast.editor, &scene.cast.viewer, &scene.cast.stranger, admin];
            let mut refused = 0;
            for client in statuses {
                refused += usize::from(client.get(GROUPS).await.status == 401);
            }
            assert!(refused <= 1, "{what}: {refused} tokens are gone");
        }
        Stake::Nothing | Stake::Start | Stake::Absent => {
            assert!(scene.read_all(admin, what).await.0.is_empty(), "{what}");
        }
    }
}

#[tokio::test]
async fn blobs_that_changed_places_are_found() {
    let mut scene = Scene::new().await;
    let tamper = scene.app.tamper();
    let mut swaps = 0;
    for (table, column) in [
        ("audit_events", "mac"),
        ("secret_versions", "sealed"),
        ("secret_versions", "digest"),
        ("secret_groups", "data_key"),
        ("secret_groups", "revision_mac"),
    ] {
        let blobs = tamper.blobs(table, column);
        let pairs: Vec<_> = (0..blobs.len().min(6)).flat_map(|one| (0..one).map(move |other| (one, other))).collect();
        for (one, other) in pairs {
            let (one, other) = (&blobs[one], &blobs[other]);
            let what = format!("{table}.{column} of {} and {}", one.row, other.row);
            for cold in [false, true] {
                tamper.swap(one, other);
                if cold {
                    scene.app.restart().await;
                }
                let (unreadable, _) = scene.read_all(&scene.cast.admin, &what).await;
                if table == "audit_events" {
                    scene
                        .cast
                        .admin
                        .get("/api/svc/v1/audit-logs?metric=list&limit=1000")
                        .await
                        .refused(500, "integrity");
                } else {
                    assert!(
                        !unreadable.is_empty() || (!cold && column == "data_key"),
                        "{what} (cold: {cold}) was not noticed"
                    );
                }
                tamper.undo(one);
                tamper.undo(other);
                swaps += 1;
            }
        }
    }
    scene.assert_whole("in the end").await;
    assert!(swaps > 60, "{swaps}");
}

#[tokio::test]
async fn rows_that_changed_places_are_found() {
    let mut scene = Scene::new().await;
    let tamper = scene.app.tamper();
    let (k, j) = (scene.cast.secret_id("K").to_owned(), scene.cast.secret_id("J").to_owned());
    let (first, second) = (scene.cast.group_id.clone(), text(&scene.other, "/id").to_owned());
    let second_k = secret_id(&scene.other, "K").to_owned();
    // The statement that exchanges some columns of two rows, and the one that puts them back.
    let swap = |table: &str, columns: &[&str], one: &str, other: &str| {
        let kept =
            |column: &str, id: &str| tamper.text(&format!("SELECT quote({column}) FROM {table} WHERE id = '{id}'"));
        let sets = |first: &str, second: &str| {
            let set = |column: &&str| {
                format!(
                    "{column} = CASE id WHEN '{one}' THEN {} ELSE {} END",
                    kept(column, first),
                    kept(column, second)
                )
            };
            let sets = columns.iter().map(set).collect::<Vec<_>>().join(", ");
            format!("UPDATE {table} SET {sets} WHERE id IN ('{one}', '{other}')")
        };
        (sets(other, one), sets(one, other))
    };
    // The unique indexes stand in the way of a swap in one step; whoever alters the file has no such trouble.
    tamper.loosen();
    let set = |table: &str, column: &str, id: &str, to: &str, back: &str| {
        (
            format!("UPDATE {table} SET {column} = {to} WHERE id = '{id}'"),
            format!("UPDATE {table} SET {column} = {back} WHERE id = '{id}'"),
        )
    };
    let cases = [
        ("the keys of two secrets", swap("secrets", &["key"], &k, &j)),
        ("the names of two groups", swap("secret_groups", &["name", "name_search"], &first, &second)),
        ("the names that two groups are found by", swap("secret_groups", &["name_search"], &first, &second)),
        ("the groups of two secrets", swap("secrets", &["group_id"], &k, &second_k)),
        ("an older version made current", set("secrets", "version", &k, "1", "2")),
        (
            "another revision number",
            set(
                "secret_groups",
                "revision",
                &first,
                "9",
                "(SELECT MAX(revision) FROM group_revisions WHERE group_id = secret_groups.id)",
            ),
        ),
        ("a secret that is gone from the group", set("secrets", "deleted_at", &j, "1", "NULL")),
    ];
    for (what, (there, back)) in cases {
        for cold in [false, true] {
            tamper.run(&there);
            if cold {
                scene.app.restart().await;
            }
            // What isn't found by its name or id any more is refused as unknown; the point is that nothing wrong is given.
            let mut errors = 0;
            for reading in scene.readings() {
                let answer = match &reading.body {
                    None => scene.cast.admin.get(&reading.path).await,
                    Some(body) => scene.cast.admin.post(&reading.path, body.clone()).await,
                };
                if answer.status == 200 {
                    let text = &answer.text;
                    let all = ["first-k-1", "first-k-2", "first-j-1", "second-k-1", "second-j-1"];
                    let wrong: Vec<_> =
                        all.iter().filter(|value| text.contains(*value) && !reading.values.contains(value)).collect();
                    assert!(wrong.is_empty(), "{what} (cold: {cold}): {} gave {wrong:?}", reading.path);
                } else {
                    assert!(answer.status == 404 || answer.code() == "integrity", "{what}: {}", answer.text);
                    errors += 1;
                }
            }
            assert!(errors > 0, "{what} (cold: {cold}) was not noticed");
            tamper.run(&back);
        }
    }
    scene.app.restart().await;
    scene.assert_whole("in the end").await;
}

#[tokio::test]
async fn an_event_that_says_something_else_is_found() {
    let scene = Scene::new().await;
    value_of(&scene.cast.editor, scene.cast.secret_id("K")).await;
    let tamper = scene.app.tamper();
    let id = tamper.text("SELECT id FROM audit_events WHERE action = 'READ_SECRET_VALUE'");
    for (column, forged) in [
        ("at", "at + 1"),
        ("action", "'LIST'"),
        ("result", "'denied'"),
        ("actor", "replace(actor, 'first-editor', 'first-viewer')"),
        ("token_id", "NULL"),
        ("address", "'198.51.100.1'"),
        ("request_id", "'x'"),
        ("request_path", "'/'"),
        ("resource_type", "'x'"),
        ("resource_id", "'x'"),
        ("resource_name", "'x'"),
        ("resource_fqn", "'x'"),
        ("revision", "revision + 1"),
        ("detail", "'{}'"),
        ("mac_key", "7"),
    ] {
        let kept = tamper.text(&format!("SELECT quote({column}) FROM audit_events WHERE id = '{id}'"));
        tamper.run(&format!("UPDATE audit_events SET {column} = {forged} WHERE id = '{id}'"));
        let answer = scene.cast.admin.get("/api/svc/v1/audit-logs?metric=list&limit=1000").await;
        assert!(answer.refused(500, "integrity").contains(&id), "{column}: {}", answer.text);
        tamper.run(&format!("UPDATE audit_events SET {column} = {kept} WHERE id = '{id}'"));
    }
    let whole = scene.cast.admin.get("/api/svc/v1/audit-logs?metric=list&limit=1000").await.expect(200);
    assert!(list(&whole, "/data").len() > 5);
}
