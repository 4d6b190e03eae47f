//! Reading secrets: rows 2, 18 to 21 and 38 of the checklist, versions, and keys that are made again.

use serde_json::json;
use strongroom_testkit::TestApp;

use crate::support::{
    ABSENT, SECRETS, column, group_path, list, reference_path, secret_id, secret_path, text, updates, value_of,
};

#[tokio::test]
async fn a_list_has_values_only_when_asked_and_allowed() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("A", "value-a"), ("B", "value-b")]).await;
    let listed = cast.editor.post(SECRETS, json!({"secretGroupId": cast.group_id})).await.expect(200);
    assert_eq!(listed["pagination"], json!({"total": 2, "offset": 0, "limit": 100}));
    assert!(list(&listed, "/data").iter().all(|secret| secret.get("value").is_none()));
    let fqns =
        json!(["tfy-secret://default:shared:B", "default:shared:A", "default:shared:A", "default:shared:NOPE", "junk"]);
    for (client, values) in [(&cast.editor, json!(["value-b", "value-a"])), (&cast.viewer, json!([null, null]))] {
        let body = json!({"secretFqns": fqns, "withValue": true, "limit": 100, "offset": 0});
        let named = client.post(SECRETS, body).await.expect(200);
        let found: Vec<_> = list(&named, "/data").iter().map(|secret| secret["value"].clone()).collect();
        assert_eq!(column(&named, "/data", "/name"), ["B", "A"], "in the order asked for, each once");
        assert_eq!((json!(found), named["pagination"]["total"].clone()), (values, json!(2)));
    }
    cast.editor.post(SECRETS, json!({"secretGroupId": ABSENT})).await.refused(404, "secret_group_not_found");
    let other = app.group(&cast.owner, "other", &[("A", "other-a")]).await;
    let narrowed = json!({"secretFqns": ["default:shared:A", "default:other:A"], "secretGroupId": other["id"]});
    let narrowed = cast.owner.post(SECRETS, narrowed).await.expect(200);
    assert_eq!(column(&narrowed, "/data", "/fqn"), ["default:other:A"]);
    let none = cast.owner.post(SECRETS, json!({"secretFqns": []})).await.expect(200);
    assert_eq!(none["data"], json!([]), "an empty list names nothing");
}

#[tokio::test]
async fn a_name_with_a_version_never_gives_another_versions_value() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("K", "one")]).await;
    admin.put(&group_path(&group), updates(&[("K", Some("two"))])).await.expect(200);
    let body = json!({"secretFqns": ["default:group:K:1"], "withValue": true});
    let named = admin.post(SECRETS, body).await;
    assert!(!named.text.contains("two"), "{}", named.text);
}

#[tokio::test]
async fn a_reference_gives_the_value_now_or_at_a_version() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "one")]).await;
    cast.editor.put(&cast.group_path(), updates(&[("K", Some("two"))])).await.expect(200);
    for client in [&cast.machine, &cast.editor, &cast.admin] {
        for (reference, value) in [
            ("tfy-secret://default:shared:K", "two"),
            ("default:shared:K", "two"),
            ("default:shared:K:1", "one"),
            ("tfy-secret://default:shared:K:2", "two"),
        ] {
            let answer = client.get(&reference_path(reference)).await.expect(200);
            assert_eq!(answer, json!({"value": value}), "{reference}");
        }
    }
    let raw =
        cast.machine.get("/api/svc/v1/control-plane/secret?secret_ref=tfy-secret://default:shared:K").await.expect(200);
    assert_eq!(raw["value"], "two");
    for missing in [
        "default:shared:K:3",
        "default:shared:K:0",
        "other:shared:K",
        "default:shared",
        "default:shared:k",
        "x",
        "tfy-secret://",
    ] {
        cast.machine.get(&reference_path(missing)).await.refused(404, "secret_not_found");
    }
    for none in ["/api/svc/v1/control-plane/secret", "/api/svc/v1/control-plane/secret?secret_ref="] {
        assert_eq!(cast.machine.get(none).await.faults(), ["query.secret_ref"]);
    }
}

#[tokio::test]
async fn hidden_values_are_hidden_from_people_and_served_to_machines() {
    let app = TestApp::with("DISABLE_SECRET_VALUE_VIEW", "true").start().await;
    let cast = app.cast("shared", &[("K", "value")]).await;
    for client in [&cast.admin, &cast.owner, &cast.editor] {
        let secret = client.get(&cast.secret_path("K")).await.expect(200);
        assert_eq!(secret["data"].get("value"), None);
        let listed = client.post(SECRETS, json!({"withValue": true})).await.expect(200);
        assert_eq!(listed["data"][0].get("value"), None);
        client.get(&reference_path("default:shared:K")).await.refused(403, "forbidden");
    }
    assert_eq!(value_of(&cast.machine, cast.secret_id("K")).await, "value");
    assert_eq!(cast.machine.get(&reference_path("default:shared:K")).await.expect(200)["value"], "value");
    // Who may not read may still write.
    cast.editor.put(&cast.group_path(), updates(&[("K", Some("new"))])).await.expect(200);
    assert_eq!(value_of(&cast.machine, cast.secret_id("K")).await, "new");
}

#[tokio::test]
async fn versions_are_listed_newest_first_and_without_values() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("K", "v1")]).await;
    for number in 2..=5 {
        admin.put(&group_path(&group), updates(&[("K", Some(&format!("v{number}")))])).await.expect(200);
    }
    let path = format!("{}/versions", secret_path(secret_id(&group, "K")));
    let all = admin.get(&path).await.expect(200);
    let numbers: Vec<_> = list(&all, "/data").iter().map(|version| version["version"].as_i64().unwrap()).collect();
    assert_eq!((numbers, all["pagination"]["total"].clone()), (vec![5, 4, 3, 2, 1], json!(5)));
    assert!(list(&all, "/data").iter().all(|version| version.get("value").is_none()));
    assert_eq!(text(&all, "/data/0/fqn"), "default:group:K:5");
    let some = admin.get(&format!("{path}?limit=2&offset=3")).await.expect(200);
    assert_eq!(column(&some, "/data", "/fqn"), ["default:group:K:2", "default:group:K:1"]);
    assert_eq!(some["pagination"], json!({"total": 5, "offset": 3, "limit": 2}));
}

#[tokio::test]
async fn a_key_made_again_is_another_secret() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("K", "old-1"), ("KEEP", "x")]).await;
    let path = group_path(&group);
    admin.put(&path, updates(&[("K", Some("old-2")), ("KEEP", None)])).await.expect(200);
    let old = secret_id(&group, "K").to_owned();
    admin.delete(&secret_path(&old)).await.expect(200);
    let again = admin.put(&path, updates(&[("K", Some("new-1")), ("KEEP", None)])).await.expect(200);
    let new = secret_id(&again["data"], "K");
    assert_ne!(new, old);
    let read = admin.get(&secret_path(new)).await.expect(200);
    assert_eq!(text(&read, "/data/value"), "new-1");
    assert_eq!(list(&read, "/data/secretVersions").len(), 1, "versions from 1, the old one's are its own");
    assert_eq!(read["data"]["secretVersions"][0]["version"], 1);
    admin.get(&secret_path(&old)).await.refused(404, "secret_not_found");
    admin.get(&reference_path("default:group:K:2")).await.refused(404, "secret_not_found");

    // Two secrets of one key in one request: the list is of keys, so the living one is meant.
    let updated = admin.put(&path, updates(&[("K", Some("new-2")), ("KEEP", None)])).await.expect(200);
    assert_eq!(secret_id(&updated["data"], "K"), new);
    assert_eq!(value_of(&admin, new).await, "new-2");
}

#[tokio::test]
async fn what_was_written_is_read_after_a_restart() {
    let mut app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "one")]).await;
    cast.editor.put(&cast.group_path(), updates(&[("K", Some("two")), ("J", Some("x"))])).await.expect(200);
    let before = cast.viewer.get(&cast.group_path()).await;
    app.restart().await;
    let after = cast.viewer.get(&cast.group_path()).await;
    assert_eq!((before.text, before.headers["etag"].clone()), (after.text, after.headers["etag"].clone()));
    assert_eq!(value_of(&cast.editor, cast.secret_id("K")).await, "two");
    assert_eq!(cast.machine.get(&reference_path("default:shared:K:1")).await.expect(200)["value"], "one");
    let again = cast.editor.put(&cast.group_path(), updates(&[("K", Some("two")), ("J", Some("x"))])).await;
    assert_eq!(again.etag(), "\"3\"", "equal values are still known to be equal");
}
