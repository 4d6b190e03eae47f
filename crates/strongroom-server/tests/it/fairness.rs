//! What takes long holds up nobody: above all not those who take somebody's rights away.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::{Value, json};
use strongroom_testkit::{Client, TestApp};

use crate::support::USERS;

const APPLY: &str = "/api/svc/v1/apply";
/// As many subjects as a manifest may have.
const MANY: usize = 1_000;

/// As many people, and a group of somebody's with as many keys.
async fn crowded() -> (TestApp, Client, Vec<String>) {
    let app = TestApp::start().await;
    let admin = app.admin();
    let people: Vec<String> = (0..MANY).map(|number| format!("u{number}@example.com")).collect();
    for email in &people {
        admin.post(&format!("{USERS}/register"), json!({"email": email})).await.expect(200);
    }
    let owner = app.person("owner@example.com").await;
    let secrets: Vec<(String, &str)> = (0..MANY).map(|number| (format!("K{number}"), "v")).collect();
    let secrets: Vec<(&str, &str)> = secrets.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    app.group(&owner, "big", &secrets).await;
    (app, owner, people)
}

fn binding(people: &[String]) -> Value {
    let subjects: Value = people.iter().map(|email| json!({"type": "user", "name": email})).collect();
    let permission =
        json!({"resourceType": "secret-group", "resourceFqn": "default:big", "role": "secret-group-viewer"});
    json!({"type": "role-binding", "name": "hog", "subjects": subjects, "permissions": [permission]})
}

#[tokio::test]
async fn who_previews_a_large_binding_holds_up_no_deactivation() {
    let (app, owner, people) = crowded().await;
    let body = json!({"manifest": binding(&people), "dryRun": true});
    let began = Instant::now();
    owner.put(APPLY, body.clone()).await.expect(200);
    let alone = began.elapsed();
    let previewed = AtomicBool::new(false);
    let previews = async {
        for _ in 0..5 {
            owner.put(APPLY, body.clone()).await.expect(200);
        }
        previewed.store(true, Ordering::Relaxed);
    };
    let deactivates = async {
        let body = json!({"email": people[0]});
        app.admin().request("PATCH", &format!("{USERS}/deactivate")).json(&body).send().await.expect(200);
        assert!(!previewed.load(Ordering::Relaxed), "it waited for all the previews");
    };
    tokio::join!(previews, deactivates);
    // It took half a minute when each subject had the group read with its keys.
    assert!(alone.as_secs() < 3, "{alone:?}");
}

#[tokio::test]
async fn a_large_binding_is_written_at_once_and_taken_away_as_fast() {
    let (app, owner, people) = crowded().await;
    let count = "SELECT COUNT(*) FROM grants WHERE source = 'role-binding'";
    let began = Instant::now();
    app.apply(&binding(&people)).await;
    assert_eq!(app.tamper().number(count), MANY as i64);
    // Who manages what it is about without its keys being read.
    let found = owner.get("/api/svc/v1/role-bindings").await.expect(200);
    let path = format!("/api/svc/v1/role-bindings/{}", found["data"][0]["id"].as_str().unwrap());
    owner.delete(&path).await.expect(200);
    assert_eq!(app.tamper().number(count), 0);
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
}
