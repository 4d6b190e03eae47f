//! Creating, updating and deleting groups: rows 1 to 9, 13, 22 and 23 of the checklist.

use serde_json::json;
use strongroom_testkit::TestApp;

use crate::support::{
    ABSENT, GROUPS, SECRETS, column, group_path, list, secret_id, secret_path, text, updates, value_of,
};

#[tokio::test]
async fn a_group_is_made_without_giving_its_values_back() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let secrets = json!([{"key": "K", "value": "v1"}]);
    let body =
        json!({"name": "first", "integrationId": app.integration_id(), "secrets": secrets, "workspaceFqn": "ignored"});
    let answer = admin.post(GROUPS, body).await;
    assert_eq!(answer.etag(), "\"1\"");
    let group = &answer.expect(200)["data"];
    assert_eq!(text(group, "/fqn"), "default:first");
    assert_eq!(text(group, "/name"), "first");
    assert_eq!(text(group, "/tenantName"), "default");
    assert_eq!(text(group, "/integrationId"), app.integration_id());
    assert_eq!(text(group, "/createdBySubject/subjectType"), "user");
    assert_eq!(text(group, "/createdBySubject/subjectSlug"), "admin@example.com");
    assert_eq!(text(group, "/manifest/integration_fqn"), app.integration_fqn());
    assert!(!text(group, "/accountId").is_empty());
    let at = text(group, "/createdAt");
    assert!(at.starts_with("2026-11-23T08:00:") && at.len() == 24 && at.ends_with('Z'), "{at}");
    let secret = &group["associatedSecrets"][0];
    assert_eq!((text(secret, "/name"), text(secret, "/fqn")), ("K", "default:first:K"));
    assert_eq!((secret.get("value"), &secret["activeDeploymentsCount"]), (None, &json!(0)));
    assert_eq!(secret["secretVersions"][0]["version"], 1);
    let read = admin.get(&secret_path(text(secret, "/id"))).await;
    assert_eq!(read.etag(), "\"1\"");
    let read = read.expect(200);
    assert_eq!((text(&read, "/data/value"), list(&read, "/data/secretVersions").len()), ("v1", 1));
    assert_eq!(text(&read, "/data/secretVersions/0/fqn"), "default:first:K:1");
    assert_eq!(read["data"]["secretVersions"][0]["version"], 1);
    assert_eq!(read["data"]["secretVersions"][0].get("value"), None);
}

#[tokio::test]
async fn an_integration_goes_by_its_fqn_too_and_an_unknown_one_is_424() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let body = |integration: &str| json!({"name": "by-fqn", "integrationId": integration, "secrets": []});
    for unknown in ["nope", "", ABSENT, "default:truefoundry:default"] {
        admin.post(GROUPS, body(unknown)).await.refused(424, "integration_not_found");
    }
    let made = admin.post(GROUPS, body(&app.integration_fqn())).await.expect(200);
    assert_eq!(list(&made, "/data/associatedSecrets").len(), 0);
}

#[tokio::test]
async fn an_update_is_the_complete_list_of_keys() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("K", "v1")]).await;
    let (path, k) = (group_path(&group), secret_id(&group, "K").to_owned());
    let version = |body: &serde_json::Value, key: &str| {
        let secrets = list(body, "/data/associatedSecrets").to_vec();
        secrets.into_iter().find(|secret| secret["name"] == key).unwrap()["secretVersions"][0]["version"].clone()
    };

    let same = admin.put(&path, updates(&[("K", Some("v1"))])).await;
    assert_eq!(same.etag(), "\"1\"", "an equal value makes no revision");
    assert_eq!(version(&same.expect(200), "K"), 1);

    let changed = admin.put(&path, updates(&[("K", Some("v2"))])).await;
    assert_eq!(changed.etag(), "\"2\"");
    assert_eq!(version(&changed.expect(200), "K"), 2);
    assert_eq!(value_of(&admin, &k).await, "v2");

    let added = admin.put(&path, updates(&[("K", None), ("J", Some("x"))])).await.expect(200);
    assert_eq!((version(&added, "K"), version(&added, "J")), (json!(2), json!(1)));
    assert_eq!(added.get("droppedSecrets"), None);
    let null = json!({"secrets": [{"key": "K", "value": null}, {"key": "J"}]});
    assert_eq!(admin.put(&path, null).await.etag(), "\"3\"", "null is as if left out");
    assert_eq!(value_of(&admin, &k).await, "v2");

    let dropped = admin.put(&path, updates(&[("J", None)])).await.expect(200);
    assert_eq!(column(&dropped, "/data/associatedSecrets", "/name"), ["J"]);
    admin.get(&secret_path(&k)).await.refused(404, "secret_not_found");

    let empty = admin.put(&path, updates(&[("J", Some(""))])).await.expect(200);
    assert_eq!(version(&empty, "J"), 2, "an empty text is a value");
    assert_eq!(value_of(&admin, secret_id(&empty["data"], "J")).await, "");
}

#[tokio::test]
async fn an_update_is_refused_whole() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("K", "v1")]).await;
    let path = group_path(&group);
    assert_eq!(admin.put(&path, updates(&[])).await.faults(), ["secrets"]);
    assert_eq!(admin.put(&path, updates(&[("K", Some("v2")), ("NEW", None)])).await.faults(), ["secrets[1].value"]);
    assert_eq!(admin.put(&path, updates(&[("K", Some("v2")), ("K", Some("v3"))])).await.faults(), ["secrets[1].key"]);
    let after = admin.get(&path).await;
    assert_eq!(after.etag(), "\"1\"");
    assert_eq!(value_of(&admin, secret_id(&group, "K")).await, "v1");
}

#[tokio::test]
async fn keys_differ_in_case_and_group_names_do_not() {
    let app = TestApp::with("STRONGROOM_GROUP_NAME_RULE", "loose").start().await;
    let admin = app.admin();
    let group = app.group(&admin, "My.Group_1", &[("key", "lower"), ("KEY", "upper")]).await;
    assert_eq!(value_of(&admin, secret_id(&group, "key")).await, "lower");
    assert_eq!(value_of(&admin, secret_id(&group, "KEY")).await, "upper");
    let body = json!({"name": "my.group_1", "integrationId": app.integration_id(), "secrets": []});
    admin.post(GROUPS, body).await.refused(409, "name_taken");
    let found = admin.get(&format!("{GROUPS}?fqn=default:MY.GROUP_1")).await.expect(200);
    assert_eq!(column(&found, "/data", "/name"), ["My.Group_1"]);
}

#[tokio::test]
async fn a_post_repeated_within_a_minute_is_the_same_post() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[]).await;
    let body = |value: &str| {
        let secrets = json!([{"key": "A", "value": value}, {"key": "B", "value": "b"}]);
        json!({"name": "again", "integrationId": app.integration_id(), "secrets": secrets})
    };
    let first = cast.owner.post(GROUPS, body("a")).await.expect(200);
    let second = cast.owner.post(GROUPS, body("a")).await;
    assert_eq!(second.etag(), "\"1\"");
    let second = second.expect(200);
    assert_eq!(second["data"]["id"], first["data"]["id"]);
    assert_eq!(list(&second, "/data/associatedSecrets").len(), 2);
    let mut other_order = body("a");
    other_order["secrets"].as_array_mut().unwrap().reverse();
    assert_eq!(cast.owner.post(GROUPS, other_order).await.expect(200)["data"]["id"], first["data"]["id"]);

    for (why, client, body) in [
        ("another subject", &cast.editor, body("a")),
        ("even an admin", &cast.admin, body("a")),
        ("another value", &cast.owner, body("A")),
        ("fewer keys", &cast.owner, {
            let mut fewer = body("a");
            fewer["secrets"].as_array_mut().unwrap().pop();
            fewer
        }),
        ("more keys", &cast.owner, {
            let mut more = body("a");
            more["secrets"].as_array_mut().unwrap().push(json!({"key": "C", "value": "c"}));
            more
        }),
    ] {
        let answer = client.post(GROUPS, body).await;
        assert_eq!((answer.status, answer.code()), (409, "name_taken"), "{why}: {}", answer.text);
    }
    app.clock.advance_seconds(60);
    cast.owner.post(GROUPS, body("a")).await.refused(409, "name_taken");
    assert_eq!(cast.owner.get(&format!("{GROUPS}?search=again")).await.expect(200)["pagination"]["total"], 1);
}

#[tokio::test]
async fn a_group_that_moved_on_is_not_what_a_repeated_post_made() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let body = json!({"name": "again", "integrationId": app.integration_id(), "secrets": [{"key": "A", "value": "a"}]});
    let made = admin.post(GROUPS, body.clone()).await.expect(200);
    admin.put(&group_path(&made["data"]), updates(&[("A", Some("other"))])).await.expect(200);
    admin.put(&group_path(&made["data"]), updates(&[("A", Some("a"))])).await.expect(200);
    admin.post(GROUPS, body).await.refused(409, "name_taken");
}

#[tokio::test]
async fn deleting_answers_as_the_contract_says() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("A", "a"), ("B", "b")]).await;
    let (path, a) = (group_path(&group), secret_path(secret_id(&group, "A")));
    let answer = admin.delete(&a).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "1"), "a bare number");
    admin.get(&a).await.refused(404, "secret_not_found");
    admin.delete(&a).await.refused(404, "secret_not_found");
    let left = admin.get(&path).await.expect(200);
    assert_eq!(column(&left, "/data/associatedSecrets", "/name"), ["B"]);

    let answer = admin.delete(&format!("{path}?forceDelete=true")).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "{}"), "an empty object");
    admin.get(&path).await.refused(404, "secret_group_not_found");
    admin.get(&secret_path(secret_id(&group, "B"))).await.refused(404, "secret_not_found");
    admin.delete(&path).await.refused(404, "secret_group_not_found");
    let listed = admin.post(SECRETS, json!({"secretGroupId": group["id"]})).await;
    listed.refused(404, "secret_group_not_found");
    // The name is free again.
    let again = app.group(&admin, "group", &[("A", "new")]).await;
    assert_ne!(again["id"], group["id"]);
}
