//! What the app answers against what the model says.

use std::collections::BTreeSet;

use futures_util::future::{join_all, join4};
use serde_json::{Value, json};
use strongroom_domain::Timestamp;
use strongroom_testkit::{Client, encode};

use super::model::{ACTIONS, Line, ReaderLine, machine_name, person_name};
use super::world::World;
use crate::support::{GROUPS, column, list, reference_path, text};

const ADMIN: &str = "user:admin@example.com";

/// Everything that anybody can ask. All at once: over a network that is many times faster.
pub(super) async fn check(world: &World<'_>, step: usize) {
    let ghosts = world.ghosts.iter().map(async |ghost| {
        ghost.get(GROUPS).await.refused(401, "unauthenticated");
    });
    join4(explanations(world, step), readers(world), requests(world), join_all(ghosts)).await;
}

/// Each subject, action and group, as it is explained.
async fn explanations(world: &World<'_>, step: usize) {
    let admin = world.app.admin();
    let mut all = Vec::new();
    for group in world.model.living_groups() {
        // A group has several names.
        let fqn = text(&world.groups[group], "/fqn");
        let resource = match step % 3 {
            0 => world.group_id(group).to_owned(),
            1 => fqn.to_owned(),
            _ => format!("tfy-secret://{fqn}:K"),
        };
        for subject in world.model.subjects() {
            let asking =
                ACTIONS.map(|action| explanation(world, &admin, subject.clone(), action, group, resource.clone()));
            all.extend(asking);
        }
    }
    join_all(all).await;
}

async fn explanation(world: &World<'_>, admin: &Client, subject: String, action: &str, group: usize, resource: String) {
    let asked = format!("subject={}&action={action}&resource={}", encode(&subject), encode(&resource));
    let told = admin.get(&format!("/api/v1/access/explain?{asked}")).await.expect(200);
    let now = world.now();
    let about = || format!("{subject} {action} {resource}: {told}");
    let decision = world.model.decision(&subject, action, group, now);
    assert_eq!(told["decision"], decision, "{}", about());
    assert_eq!(told["allowed"], decision == "allowed", "{}", about());
    assert_eq!(told["role"].as_str(), world.model.role(&subject, group, now), "{}", about());
    let line = |line: &Value| -> Line {
        let field = |name: &str| text(line, name).to_owned();
        let until = line["expiresAt"].as_str().map(|at| Timestamp::parse(at).unwrap().micros());
        let suffices = line["suffices"].as_bool().unwrap();
        (field("/source"), field("/name"), field("/subject"), field("/role"), until, suffices)
    };
    let through: BTreeSet<Line> = list(&told, "/through").iter().map(line).collect();
    assert_eq!(through, world.model.lines(&subject, action, group, now), "{}", about());
}

/// Who reads each group, in pages.
async fn readers(world: &World<'_>) {
    let admin = world.app.admin();
    for group in world.model.living_groups() {
        let mut expected = world.model.readers(group, world.now());
        if !world.model.values_hidden {
            expected.push((ADMIN.to_owned(), "secret-group-admin".to_owned(), true));
            expected.sort();
        }
        let mut found: Vec<ReaderLine> = Vec::new();
        loop {
            let path = format!("/api/v1/secret-groups/{}/access?limit=4&offset={}", world.group_id(group), found.len());
            let page = admin.get(&path).await.expect(200);
            assert_eq!(page["pagination"]["total"], expected.len(), "{page} {expected:?}");
            let rows = list(&page, "/data");
            for row in rows {
                assert!(!list(row, "/through").is_empty(), "{page}");
                let line = (text(row, "/subject"), text(row, "/role"), row["active"].as_bool().unwrap());
                found.push((line.0.to_owned(), line.1.to_owned(), line.2));
            }
            if rows.len() < 4 {
                break;
            }
        }
        assert_eq!(found, expected);
    }
}

/// What requests of everybody who can make them meet.
async fn requests(world: &World<'_>) {
    let persons =
        world.persons.iter().enumerate().filter_map(|(slot, one)| Some((person_name(slot), &one.as_ref()?.1)));
    let machines =
        world.machines.iter().enumerate().filter_map(|(slot, one)| Some((machine_name(slot), one.as_ref()?)));
    let actors = persons.chain(machines);
    join_all(actors.map(|(subject, client)| requests_of(world, subject, client))).await;
}

async fn requests_of(world: &World<'_>, subject: String, client: &Client) {
    if !world.model.is_active(&subject) {
        client.get(GROUPS).await.refused(401, "unauthenticated");
        return;
    }
    let mut visible = BTreeSet::new();
    for (group, made) in world.groups.iter().enumerate() {
        let lives = world.model.living_groups().contains(&group);
        let status = |action: &str| match world.model.decision(&subject, action, group, world.now()) {
            _ if !lives => 404,
            "allowed" => 200,
            "forbidden" => 403,
            _ => 404,
        };
        let path = format!("{GROUPS}/{}", world.group_id(group));
        let seen = client.get(&path).await;
        assert_eq!(seen.status, status("see"), "{subject} sees {path}: {}", seen.text);
        if seen.status == 200 {
            visible.insert(world.group_id(group).to_owned());
        }
        let read = client.get(&reference_path(&format!("{}:K", text(made, "/fqn")))).await;
        assert_eq!(read.status, status("read-values"), "{subject} reads {path}: {}", read.text);
        assert_eq!(read.text.contains("\"value\":\"value\""), read.status == 200, "{}", read.text);
        let written = client.put(&path, json!({"secrets": [{"key": "K"}]})).await;
        assert_eq!(written.status, status("write-secrets"), "{subject} writes {path}: {}", written.text);
        let managed = client.get(&format!("/api/v1/secret-groups/{}/access", world.group_id(group))).await;
        assert_eq!(managed.status, status("manage"), "{subject} manages {path}: {}", managed.text);
    }
    let listed = client.get(GROUPS).await.expect(200);
    let ids: BTreeSet<String> = column(&listed, "/data", "/id").into_iter().map(str::to_owned).collect();
    assert_eq!(ids, visible, "{subject} lists");
    assert_eq!(listed["pagination"]["total"], visible.len(), "{subject} counts");
}
