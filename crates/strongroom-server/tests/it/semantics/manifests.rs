//! Groups by manifest: rows 10 to 12 and 33 of the checklist.

use serde_json::{Value, json};
use strongroom_testkit::{Client, TestApp};

use crate::support::{GROUPS, column, count_events, group_path, list, secret_id, text, updates, value_of};

const APPLY: &str = "/api/svc/v1/apply";

async fn total(client: &Client) -> Value {
    client.get(GROUPS).await.expect(200)["pagination"]["total"].clone()
}

#[tokio::test]
async fn applying_creates_and_then_updates_the_same_group() {
    let app = TestApp::start().await;
    let owner = app.person("owner@example.com").await;
    let manifest = json!({"type": "secret-group", "name": "group", "integration_fqn": app.integration_fqn()});
    let made = owner.put(GROUPS, json!({"manifest": manifest, "dryRun": false})).await.expect(200);
    owner.put(&group_path(&made["data"]), updates(&[("K", Some("v"))])).await.expect(200);

    let mut changed = app.manifest("group", &[("team:everyone", "secret-group-viewer")]);
    changed["ownedBy"] = json!({"account": "root"});
    let updated = owner.put(GROUPS, json!({"manifest": changed})).await.expect(200);
    assert_eq!(updated["data"]["id"], made["data"]["id"]);
    assert_eq!(text(&updated, "/data/manifest/collaborators/0/subject"), "team:everyone");
    assert_eq!(text(&updated, "/data/manifest/ownedBy/account"), "root");
    assert_eq!(value_of(&owner, secret_id(&updated["data"], "K")).await, "v", "secrets are untouched");
    // What a manifest doesn't speak of stays.
    let silent = owner.put(GROUPS, json!({"manifest": manifest})).await.expect(200);
    assert_eq!(text(&silent, "/data/manifest/collaborators/0/subject"), "team:everyone");
}

#[tokio::test]
async fn the_same_manifest_again_makes_no_revision() {
    let app = TestApp::start().await;
    let owner = app.person("owner@example.com").await;
    let manifest = app.manifest("group", &[("team:everyone", "secret-group-viewer")]);
    let first = owner.put(GROUPS, json!({"manifest": manifest})).await;
    assert_eq!(first.etag(), "\"1\"");
    for path in [GROUPS, APPLY] {
        owner.put(path, json!({"manifest": manifest})).await.expect(200);
    }
    let id = first.expect(200)["data"]["id"].clone();
    let after = owner.get(&format!("{GROUPS}/{}", id.as_str().unwrap())).await;
    assert_eq!(after.etag(), "\"1\"");
    let events = count_events(&app, &format!("resourceId={}", id.as_str().unwrap())).await;
    assert_eq!(events, 1, "nothing happened, so nothing is on record");
}

#[tokio::test]
async fn a_dry_run_checks_everything_and_writes_nothing() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "v")]).await;
    let (groups, events) = (total(&cast.admin).await, count_events(&app, "").await);
    for path in [GROUPS, APPLY] {
        let new = json!({"manifest": app.manifest("fresh", &[]), "dryRun": true});
        let shown = cast.owner.put(path, new).await.expect(200);
        assert_eq!((shown["data"]["id"].clone(), text(&shown, "/data/fqn")), (Value::Null, "default:fresh"));
        for required in ["tenantName", "createdBySubject", "associatedSecrets", "accountId", "createdAt", "updatedAt"] {
            assert!(!shown["data"][required].is_null(), "{required}");
        }
        let bad = app.manifest("fresh", &[("user:nobody-knows@example.com", "secret-group-viewer")]);
        cast.owner.put(path, json!({"manifest": bad, "dryRun": true})).await.refused(404, "reference_not_found");
        let existing =
            json!({"manifest": app.manifest("shared", &[("team:everyone", "secret-group-viewer")]), "dryRun": true});
        let shown = cast.owner.put(path, existing).await.expect(200);
        assert_eq!(text(&shown, "/data/manifest/collaborators/0/subject"), "team:everyone");
        cast.editor
            .put(path, json!({"manifest": app.manifest("shared", &[]), "dryRun": true}))
            .await
            .refused(403, "forbidden");
    }
    assert_eq!(total(&cast.admin).await, groups);
    assert_eq!(cast.stranger.get(&cast.group_path()).await.status, 404, "nobody was let in");
    assert_eq!(count_events(&app, "").await - events, 2, "only the refusals of the editor");
    let stored = cast.owner.get(&cast.group_path()).await;
    assert_eq!(stored.etag(), "\"2\"");
}

/// Who applies a manifest keeps their own right, and the stored manifest says so: so the next one takes it away.
#[tokio::test]
async fn a_manifest_without_somebody_takes_their_access() {
    let app = TestApp::start().await;
    let (owner, bob) = (app.person("owner@example.com").await, app.person("bob@example.com").await);
    let manifest = json!({"manifest": app.manifest("group", &[("user:bob@example.com", "secret-group-admin")])});
    let made = owner.put(GROUPS, manifest.clone()).await.expect(200);
    let path = group_path(&made["data"]);
    let subjects = |answer: &Value| column(answer, "/data/manifest/collaborators", "/subject").join(" ");
    assert_eq!(subjects(&made), "user:bob@example.com user:owner@example.com");
    let again = owner.put(GROUPS, manifest.clone()).await;
    assert_eq!(again.etag(), "\"1\"", "the same of the same caller changes nothing");
    let taken = app.admin().put(GROUPS, manifest.clone()).await.expect(200);
    assert_eq!(subjects(&taken), "user:bob@example.com");
    owner.get(&path).await.refused(404, "secret_group_not_found");
    // Named as less, an admin who applies it stays one, and shows as one.
    let less = json!({"manifest": app.manifest("group", &[("user:bob@example.com", "secret-group-viewer")])});
    let kept = bob.put(GROUPS, less).await.expect(200);
    assert_eq!(text(&kept, "/data/manifest/collaborators/0/role_id"), "secret-group-admin");
}

#[tokio::test]
async fn a_manifest_of_another_kind_is_a_bad_request() {
    let app = TestApp::start().await;
    let owner = app.person("owner@example.com").await;
    let role = json!({"manifest": app.manifest("group", &[("team:everyone", "workspace-admin")])});
    owner.put(GROUPS, role).await.refused(400, "invalid_input");
    let kind = json!({"manifest": {"type": "workspace", "name": "group"}});
    owner.put(APPLY, kind).await.refused(400, "invalid_input");
}

#[tokio::test]
async fn what_a_manifest_names_must_be_there() {
    let app = TestApp::start().await;
    let owner = app.person("owner@example.com").await;
    let mut manifest = app.manifest("group", &[]);
    manifest["integration_fqn"] = json!("default:aws:nope:secret-store:nope");
    owner.put(GROUPS, json!({"manifest": manifest})).await.refused(404, "reference_not_found");
    for subject in ["user:x@example.com", "virtualaccount:xyz", "serviceaccount:xyz"] {
        let manifest = app.manifest("group", &[(subject, "secret-group-viewer")]);
        owner.put(GROUPS, json!({"manifest": manifest})).await.refused(404, "reference_not_found");
    }
    assert_eq!(total(&owner).await, 0);
}

#[tokio::test]
async fn apply_and_delete_speak_of_what_was() {
    let app = TestApp::start().await;
    let owner = app.person("owner@example.com").await;
    let manifest = app.manifest("group", &[("user:owner@example.com", "secret-group-manager")]);
    let made = owner.put(APPLY, json!({"manifest": manifest, "dryRun": false, "force": false})).await.expect(200);
    assert_eq!((text(&made, "/action"), &made["existingManifest"]), ("CREATE", &Value::Null));
    assert_eq!(text(&made, "/data/manifest/collaborators/0/role_id"), "secret-group-admin", "manager is another name");
    assert_eq!(list(&made, "/data/associatedSecrets").len(), 0);
    let mut changed = manifest.clone();
    changed["ownedBy"] = json!({"account": "root"});
    let updated = owner.put(APPLY, json!({"manifest": changed})).await.expect(200);
    assert_eq!(text(&updated, "/action"), "UPDATE");
    assert_eq!(updated["existingManifest"], made["data"]["manifest"]);
    let other = json!({"manifest": {"type": "workspace", "name": "group"}});
    assert_eq!(owner.put(APPLY, other.clone()).await.faults(), ["manifest.type"]);
    assert_eq!(owner.post("/api/svc/v1/delete", other).await.faults(), ["manifest.type"]);
    let deleted = owner.post("/api/svc/v1/delete", json!({"manifest": manifest})).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (200, "{}"));
    owner.post("/api/svc/v1/delete", json!({"manifest": manifest})).await.refused(404, "secret_group_not_found");
}
