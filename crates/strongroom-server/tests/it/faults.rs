//! A secret store that fails: rows 24 and 25 of the checklist, and what else must hold then.

use serde_json::{Value, json};
use strongroom_stores::{Call, StoreErrorKind};
use strongroom_testkit::TestApp;

use crate::support::{
    GROUPS, SECRETS, column, count_events, list, reference_path, secret_id, secret_path, text, updates, value_of,
};

const TABLES: [&str; 5] = ["secret_groups", "group_revisions", "secrets", "secret_versions", "grants"];

fn rows(app: &TestApp) -> [i64; 5] {
    let tamper = app.tamper();
    TABLES.map(|table| tamper.number(&format!("SELECT COUNT(*) FROM {table}")))
}

fn three_secrets(app: &TestApp, name: &str) -> Value {
    let secrets = json!([{"key": "A", "value": "a"}, {"key": "B", "value": "b"}, {"key": "C", "value": "c"}]);
    json!({"name": name, "integrationId": app.integration_id(), "secrets": secrets})
}

#[tokio::test]
async fn while_the_store_is_down_nothing_is_half_done() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "v1"), ("J", "x")]).await;
    let (before, events) = (rows(&app), count_events(&app, "").await);
    app.faults.take_down();

    let created = cast.owner.post(GROUPS, three_secrets(&app, "new")).await;
    assert!(created.refused(424, "secret_store_failed").contains("truefoundry/db"), "the store is named");
    assert_eq!(list(&cast.owner.get(&format!("{GROUPS}?fqn=default:new")).await.expect(200), "/data").len(), 0);
    cast.editor
        .put(&cast.group_path(), updates(&[("K", Some("v2")), ("J", None)]))
        .await
        .refused(424, "secret_store_failed");
    cast.editor.delete(&cast.secret_path("K")).await.refused(424, "secret_store_failed");
    cast.owner.delete(&cast.group_path()).await.refused(424, "secret_store_failed");
    let manifest = json!({"manifest": app.manifest("shared", &[])});
    cast.owner.post("/api/svc/v1/delete", manifest).await.refused(424, "secret_store_failed");

    for client in [&cast.editor, &cast.machine, &cast.admin] {
        for answer in [
            client.get(&cast.secret_path("K")).await,
            client.get(&reference_path("default:shared:K")).await,
            client.post(SECRETS, json!({"withValue": true})).await,
            client.post(SECRETS, json!({"withValue": true, "secretFqns": ["default:shared:K"]})).await,
        ] {
            assert!(!answer.refused(424, "secret_store_failed").contains("v1"));
        }
    }
    // Who may not do it is told so, store or no store.
    cast.viewer.delete(&cast.group_path()).await.refused(403, "forbidden");
    cast.stranger.delete(&cast.group_path()).await.refused(404, "secret_group_not_found");
    cast.stranger.delete(&cast.secret_path("K")).await.refused(404, "secret_not_found");
    // What needs no value goes on.
    cast.editor.get(&cast.group_path()).await.expect(200);
    cast.viewer.get(&cast.secret_path("K")).await.expect(200);
    cast.editor.post(SECRETS, json!({})).await.expect(200);
    cast.editor.get(&format!("{}/versions", cast.secret_path("K"))).await.expect(200);
    cast.editor.put(&cast.group_path(), updates(&[("K", None), ("J", None)])).await.expect(200);
    assert_eq!((rows(&app), count_events(&app, "").await - events), (before, 1), "only the one refusal");

    app.faults.bring_up();
    assert_eq!(value_of(&cast.editor, cast.secret_id("K")).await, "v1");
    cast.editor.put(&cast.group_path(), updates(&[("K", Some("v2")), ("J", None)])).await.expect(200);
    let made = cast.owner.post(GROUPS, three_secrets(&app, "new")).await.expect(200);
    assert_eq!(value_of(&cast.owner, secret_id(&made["data"], "B")).await, "b");
    cast.editor.delete(&cast.secret_path("J")).await.expect(200);
}

#[tokio::test]
async fn force_deletes_without_the_store_and_it_comes_back_all_the_same() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "v1"), ("J", "x")]).await;
    app.faults.take_down();
    for flag in ["false", ""] {
        cast.editor.delete(&format!("{}?forceDelete={flag}", cast.secret_path("K"))).await.expect(424);
        cast.owner.delete(&format!("{}?forceDelete={flag}", cast.group_path())).await.expect(424);
    }
    assert_eq!(
        cast.owner.delete(&format!("{}?forceDelete=maybe", cast.group_path())).await.faults(),
        ["query.forceDelete"]
    );
    assert_eq!(cast.editor.delete(&format!("{}?forceDelete=true", cast.secret_path("K"))).await.expect(200), json!(1));
    assert_eq!(cast.owner.delete(&format!("{}?forceDelete=true", cast.group_path())).await.expect(200), json!({}));
    cast.owner.get(&cast.group_path()).await.refused(404, "secret_group_not_found");

    app.faults.bring_up();
    cast.owner.post(&format!("/api/v1/secret-groups/{}/restore", cast.group_id), json!({})).await.expect(200);
    cast.editor.post(&format!("/api/v1/secrets/{}/restore", cast.secret_id("K")), json!({})).await.expect(200);
    assert_eq!(value_of(&cast.editor, cast.secret_id("K")).await, "v1");
}

#[tokio::test]
async fn a_store_that_fails_in_the_middle_leaves_nothing() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("A", "a1"), ("B", "b1"), ("C", "c1")]).await;
    let before = rows(&app);
    for healthy in 0..3 {
        let mut puts = 0;
        app.faults.set(move |call| {
            puts += i32::from(call == Call::Put);
            (call == Call::Put && puts > healthy).then_some(StoreErrorKind::Unavailable)
        });
        cast.owner.post(GROUPS, three_secrets(&app, "new")).await.refused(424, "secret_store_failed");
        let all = updates(&[("A", Some("a2")), ("B", Some("b2")), ("C", Some("c2"))]);
        cast.editor.put(&cast.group_path(), all).await.refused(424, "secret_store_failed");
        assert_eq!(rows(&app), before, "{healthy} puts went well");
    }
    app.faults.bring_up();
    for (key, value) in [("A", "a1"), ("B", "b1"), ("C", "c1")] {
        assert_eq!(value_of(&cast.editor, cast.secret_id(key)).await, value);
    }
    let made = cast.owner.post(GROUPS, three_secrets(&app, "new")).await.expect(200);
    let mut keys = column(&made, "/data/associatedSecrets", "/name");
    keys.sort_unstable();
    assert_eq!(keys, ["A", "B", "C"]);
}

#[tokio::test]
async fn every_failure_of_a_store_is_424_but_its_own_rule_and_what_was_altered() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "v1")]).await;
    for kind in [
        StoreErrorKind::NotFound,
        StoreErrorKind::AlreadyExists,
        StoreErrorKind::Precondition,
        StoreErrorKind::PermissionDenied,
        StoreErrorKind::Unauthenticated,
        StoreErrorKind::Throttled,
        StoreErrorKind::Unavailable,
        StoreErrorKind::Refused,
        StoreErrorKind::NotSupported,
        StoreErrorKind::Integrity,
    ] {
        app.faults.set(move |_| Some(kind));
        let created = cast.owner.post(GROUPS, three_secrets(&app, "new")).await;
        let updated = cast.editor.put(&cast.group_path(), updates(&[("K", Some("v2"))])).await;
        for answer in [&created, &updated] {
            if kind == StoreErrorKind::Refused {
                assert!(!answer.faults().is_empty());
            } else {
                answer.refused(424, "secret_store_failed");
            }
        }
        cast.owner.delete(&cast.group_path()).await.refused(424, "secret_store_failed");
        let read = cast.editor.get(&cast.secret_path("K")).await;
        if kind == StoreErrorKind::Integrity {
            assert!(read.refused(500, "integrity").contains(cast.secret_id("K")));
        } else {
            read.refused(424, "secret_store_failed");
        }
    }
    app.faults.bring_up();
    let secret = cast.editor.get(&secret_path(cast.secret_id("K"))).await.expect(200);
    assert_eq!((text(&secret, "/data/value"), list(&secret, "/data/secretVersions").len()), ("v1", 1));
}
