//! Beside the contract: revisions, the trash, and what comes back out of it.

use http::header::IF_MATCH;
use serde_json::{Value, json};
use strongroom_testkit::{Answer, Client, TestApp};

use crate::support::{
    GROUPS, TRASH, column, group_path, list, reference_path, secret_id, secret_path, text, updates, value_of,
};

async fn if_match(client: &Client, method: &str, path: &str, tag: &str, body: &Value) -> Answer {
    client.request(method, path).header(IF_MATCH, tag).json(body).send().await
}

fn restore_group(group: &Value) -> String {
    format!("/api/v1/secret-groups/{}/restore", text(group, "/id"))
}

fn restore_secret(id: &str) -> String {
    format!("/api/v1/secrets/{id}/restore")
}

#[tokio::test]
async fn if_match_lets_only_the_named_revision_change() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("K", "1"), ("J", "1")]).await;
    let (path, k) = (group_path(&group), secret_path(secret_id(&group, "K")));
    let restore = restore_secret(secret_id(&group, "K"));
    let two = updates(&[("K", Some("2")), ("J", None)]);
    let manifest = json!({"manifest": {"type": "secret-group", "name": "group", "integration_fqn": app.integration_fqn(),
        "ownedBy": {"account": "x"}}});
    for stale in ["\"0\"", "\"2\"", "W/\"1\"", "\"x\"", "\"1\", \"2\""] {
        for (method, path, body) in [("PUT", path.as_str(), &two), ("PUT", GROUPS, &manifest)] {
            let answer = if_match(&admin, method, path, stale, body).await;
            assert!(answer.refused(412, "other_revision").contains("revision 1"), "{stale}");
        }
        if_match(&admin, "DELETE", &path, stale, &json!({})).await.refused(412, "other_revision");
        if_match(&admin, "PUT", "/api/svc/v1/apply", stale, &manifest).await.refused(412, "other_revision");
        if_match(&admin, "POST", "/api/svc/v1/delete", stale, &manifest).await.refused(412, "other_revision");
        if_match(&admin, "DELETE", &k, stale, &json!({})).await.refused(412, "other_revision");
    }
    assert_eq!(admin.get(&path).await.etag(), "\"1\"");
    assert_eq!(if_match(&admin, "PUT", &path, "\"1\"", &two).await.etag(), "\"2\"");
    if_match(&admin, "PUT", &path, "\"1\"", &two).await.refused(412, "other_revision");
    assert_eq!(if_match(&admin, "PUT", GROUPS, "\"2\"", &manifest).await.etag(), "\"3\"");
    if_match(&admin, "DELETE", &k, "\"3\"", &json!({})).await.expect(200);
    if_match(&admin, "POST", &restore, "\"3\"", &json!({})).await.refused(412, "other_revision");
    assert_eq!(if_match(&admin, "POST", &restore, "\"4\"", &json!({})).await.etag(), "\"5\"");
    if_match(&admin, "DELETE", &path, "\"5\"", &json!({})).await.expect(200);
    if_match(&admin, "POST", &restore_group(&group), "\"5\"", &json!({})).await.refused(412, "other_revision");
    assert_eq!(if_match(&admin, "POST", &restore_group(&group), "*", &json!({})).await.etag(), "\"7\"");
    let mut new = manifest.clone();
    new["manifest"]["name"] = json!("fresh");
    if_match(&admin, "PUT", GROUPS, "\"1\"", &new).await.refused(412, "other_revision");
}

#[tokio::test]
async fn a_put_that_drops_keys_names_them_and_how_to_bring_them_back() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("A", "a1"), ("B", "b1"), ("C", "c1")]).await;
    let path = cast.group_path();
    cast.editor.put(&path, updates(&[("A", Some("a2")), ("B", None), ("C", None)])).await.expect(200);
    let answer = cast.editor.put(&path, updates(&[("B", None)])).await.expect(200);
    let mut dropped = column(&answer, "/droppedSecrets", "/name");
    dropped.sort_unstable();
    assert_eq!(dropped, ["A", "C"]);
    assert!(
        column(&answer, "/droppedSecrets", "/restorableUntil").iter().all(|at| at.starts_with("2026-12-23T08:00:"))
    );
    for entry in list(&answer, "/droppedSecrets") {
        let (method, path) = text(entry, "/restore").split_once(' ').unwrap();
        cast.editor.request(method, path).send().await.expect(200);
    }
    let back = cast.editor.get(&path).await.expect(200);
    let mut keys = column(&back, "/data/associatedSecrets", "/name");
    keys.sort_unstable();
    assert_eq!(keys, ["A", "B", "C"]);
    assert_eq!(value_of(&cast.editor, cast.secret_id("A")).await, "a2", "at the version that it had");
    assert_eq!(
        cast.machine.get(&reference_path("default:shared:A:1")).await.expect(200)["value"],
        "a1",
        "with all versions"
    );
    let next = cast.editor.put(&path, updates(&[("A", Some("a3")), ("B", None), ("C", None)])).await.expect(200);
    let a = list(&next, "/data/associatedSecrets").iter().find(|secret| secret["name"] == "A").unwrap();
    assert_eq!(a["secretVersions"][0]["version"], 3, "numbers go on");
}

#[tokio::test]
async fn a_restored_secret_needs_a_free_key() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "old"), ("KEEP", "x")]).await;
    let (path, old) = (cast.group_path(), cast.secret_id("K"));
    cast.editor.post(&restore_secret(old), json!({})).await.refused(409, "name_taken");
    cast.editor.delete(&secret_path(old)).await.expect(200);
    cast.editor.put(&path, updates(&[("K", Some("new")), ("KEEP", None)])).await.expect(200);
    cast.editor.post(&restore_secret(old), json!({})).await.refused(409, "name_taken");
    cast.editor.post(&restore_secret(old), json!({"key": "KEEP"})).await.refused(409, "name_taken");
    assert_eq!(cast.editor.post(&restore_secret(old), json!({"key": "../x"})).await.faults(), ["key"]);
    let back = cast.editor.post(&restore_secret(old), json!({"key": "K_OLD"})).await.expect(200);
    assert_eq!(secret_id(&back["data"], "K_OLD"), old);
    assert_eq!(value_of(&cast.editor, old).await, "old");
    assert_eq!(cast.editor.get(&reference_path("default:shared:K")).await.expect(200)["value"], "new");
    assert_eq!(cast.editor.get(&reference_path("default:shared:K_OLD")).await.expect(200)["value"], "old");
}

#[tokio::test]
async fn a_deleted_group_comes_back_whole() {
    let mut app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "one"), ("DEAD", "x")]).await;
    cast.editor.put(&cast.group_path(), updates(&[("K", Some("two")), ("DEAD", None)])).await.expect(200);
    cast.editor.delete(&cast.secret_path("DEAD")).await.expect(200);
    let group = cast.owner.get(&cast.group_path()).await.expect(200)["data"].take();
    cast.owner.delete(&cast.group_path()).await.expect(200);
    cast.machine.get(&reference_path("default:shared:K")).await.refused(404, "secret_not_found");
    let trash = cast.owner.get(TRASH).await.expect(200);
    assert_eq!(column(&trash, "/secretGroups", "/name"), ["shared"]);
    assert_eq!(list(&trash, "/secrets").len(), 0, "secrets of a deleted group come back with it");
    assert_eq!(list(&cast.editor.get(TRASH).await.expect(200), "/secretGroups").len(), 0, "only who may restore it");

    app.restart().await;
    let taken = app.group(&cast.stranger, "shared", &[]).await;
    cast.owner.post(&restore_group(&group), json!({})).await.refused(409, "name_taken");
    cast.owner.post(&restore_group(&group), json!({"name": "shared"})).await.refused(409, "name_taken");
    assert_eq!(cast.owner.post(&restore_group(&group), json!({"name": "No Good"})).await.faults(), ["name"]);
    let back = cast.owner.post(&restore_group(&group), json!({"name": "shared-again"})).await.expect(200);
    assert_eq!((text(&back, "/data/name"), text(&back, "/data/fqn")), ("shared-again", "default:shared-again"));
    assert_eq!(text(&back, "/data/manifest/name"), "shared-again");
    assert_eq!(back["data"]["id"], group["id"]);
    assert_eq!(column(&back, "/data/associatedSecrets", "/name"), ["K"], "what was dead before stays so");
    assert_eq!(value_of(&cast.editor, cast.secret_id("K")).await, "two", "collaborators are back, too");
    assert_eq!(cast.machine.get(&reference_path("default:shared-again:K:1")).await.expect(200)["value"], "one");
    cast.owner.post(&restore_group(&group), json!({})).await.refused(409, "name_taken");
    let trash = cast.editor.get(TRASH).await.expect(200);
    assert_eq!(column(&trash, "/secrets", "/name"), ["DEAD"]);
    cast.editor.post(&restore_secret(cast.secret_id("DEAD")), json!({})).await.expect(200);
    assert_eq!(value_of(&cast.editor, cast.secret_id("DEAD")).await, "x");
    assert_eq!(text(&taken, "/name"), "shared");
}

#[tokio::test]
async fn the_trash_is_kept_for_thirty_days_and_then_emptied() {
    let mut app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "one"), ("KEEP", "x")]).await;
    let doomed = app.group(&cast.owner, "doomed", &[("K", "one")]).await;
    cast.editor.delete(&cast.secret_path("K")).await.expect(200);
    cast.owner.delete(&group_path(&doomed)).await.expect(200);
    let trash = cast.owner.get(TRASH).await.expect(200);
    assert!(text(&trash, "/secretGroups/0/restorableUntil").starts_with("2026-12-23T08:00:"));

    app.clock.advance_days(30);
    app.clock.advance_seconds(-60);
    assert_eq!(app.instance().purge_now().await.unwrap(), 0, "not a minute early");
    app.restart().await;
    cast.editor.post(&restore_secret(cast.secret_id("K")), json!({})).await.expect(200);
    cast.owner.post(&restore_group(&doomed), json!({})).await.expect(200);
    assert_eq!(value_of(&cast.editor, cast.secret_id("K")).await, "one");
    cast.editor.delete(&cast.secret_path("K")).await.expect(200);
    cast.owner.delete(&group_path(&doomed)).await.expect(200);

    app.clock.advance_days(30);
    assert_eq!(app.instance().purge_now().await.unwrap(), 2);
    cast.editor.post(&restore_secret(cast.secret_id("K")), json!({})).await.refused(404, "secret_not_found");
    for client in [&cast.owner, &cast.admin] {
        client.post(&restore_group(&doomed), json!({})).await.refused(404, "secret_group_not_found");
    }
    assert_eq!(cast.owner.get(TRASH).await.expect(200), json!({"secretGroups": [], "secrets": []}));
    let tamper = app.tamper();
    let left = "SELECT COUNT(*) FROM secret_versions WHERE sealed IS NOT NULL";
    assert_eq!(tamper.number(left), 1, "only what is kept has a value");
    assert_eq!(tamper.number("SELECT COUNT(*) FROM secret_groups WHERE data_key IS NOT NULL"), 1);
    assert_eq!(value_of(&cast.editor, cast.secret_id("KEEP")).await, "x");
    assert_eq!(app.instance().purge_now().await.unwrap(), 0);
    // The key and the name are free.
    cast.editor.put(&cast.group_path(), updates(&[("K", Some("new")), ("KEEP", None)])).await.expect(200);
    app.group(&cast.owner, "doomed", &[]).await;
}

#[tokio::test]
async fn retention_is_a_setting() {
    let app = TestApp::with("STRONGROOM_RETENTION_DAYS", "2").start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("K", "x")]).await;
    admin.delete(&group_path(&group)).await.expect(200);
    app.clock.advance_days(1);
    assert_eq!(app.instance().purge_now().await.unwrap(), 0);
    app.clock.advance_days(1);
    assert_eq!(app.instance().purge_now().await.unwrap(), 1);
}

#[tokio::test]
async fn a_clock_that_goes_back_makes_no_history_go_back() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("K", "1")]).await;
    app.clock.advance_days(-10);
    let updated = admin.put(&group_path(&group), updates(&[("K", Some("2"))])).await.expect(200);
    assert!(text(&updated, "/data/updatedAt") >= text(&group, "/updatedAt"));
    assert_eq!(value_of(&admin, secret_id(&group, "K")).await, "2");
    let backwards = "SELECT COUNT(*) FROM group_revisions a JOIN group_revisions b \
        ON a.group_id = b.group_id AND b.revision = a.revision + 1 AND b.at < a.at";
    assert_eq!(app.tamper().number(backwards), 0);
}
