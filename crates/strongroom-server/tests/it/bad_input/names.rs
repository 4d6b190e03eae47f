use serde_json::json;
use strongroom_testkit::{TestApp, encode};

use super::with_secret;
use crate::support::{GROUPS, group_path, reference_path, secret_id, secret_path, text, updates, value_of};

#[tokio::test]
async fn group_names_at_and_beyond_their_limits() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let longest = "a".repeat(50);
    for good in ["ab", "a1", "a-b", "a--b", &longest] {
        let made = admin.post(GROUPS, with_secret(&app, good, "K", "v")).await.expect(200);
        assert_eq!(text(&made, "/data/name"), good);
    }
    let too_long = "a".repeat(51);
    for bad in [
        "",
        "a",
        &too_long,
        "A",
        "Ab",
        "aB",
        "1a",
        "-a",
        "a-",
        "a_b",
        "a.b",
        "a b",
        " ab",
        "ab ",
        "a/b",
        "a%2Fb",
        "a:b",
        ".",
        "..",
        "..a",
        "a\u{0}b",
        "ab\u{0}",
        "a\nb",
        "\u{e9}a",
        "a\u{301}b",
        "\u{1F511}",
        "\u{FF41}b",
        "a\u{202E}b",
        &"a".repeat(1 << 20),
    ] {
        assert_eq!(admin.post(GROUPS, with_secret(&app, bad, "K", "v")).await.faults(), ["name"], "{bad:.60?}");
        for path in [GROUPS, "/api/svc/v1/apply"] {
            let manifest = json!({"manifest": app.manifest(bad, &[])});
            assert_eq!(admin.put(path, manifest).await.faults(), ["manifest.name"], "{bad:.60?}");
        }
    }
    let count = admin.get(GROUPS).await.expect(200);
    assert_eq!(count["pagination"]["total"], 5);
}

#[tokio::test]
async fn loose_names_at_and_beyond_their_limits() {
    let app = TestApp::with("STRONGROOM_GROUP_NAME_RULE", "loose").start().await;
    let admin = app.admin();
    let longest = "A".repeat(127);
    for good in ["A", "0", "a.b", "a_b", "a..", "9-.-_", &longest] {
        let group = app.group(&admin, good, &[("K", "v")]).await;
        assert_eq!(value_of(&admin, secret_id(&group, "K")).await, "v");
        let read = admin.get(&reference_path(&format!("default:{good}:K"))).await.expect(200);
        assert_eq!(read["value"], "v");
    }
    let too_long = "a".repeat(128);
    for bad in ["", ".", "..", "..a", "-a", "_a", "a b", "a/b", "a:b", "a\u{0}", "\u{e9}", &too_long] {
        assert_eq!(admin.post(GROUPS, with_secret(&app, bad, "K", "v")).await.faults(), ["name"], "{bad:.60?}");
    }
}

#[tokio::test]
async fn keys_at_and_beyond_their_limits() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("K", "v")]).await;
    let longest = "k".repeat(253);
    for (number, good) in ["a", "0", "_", "-", ".a", "a..b", "A.B_C-d", "a..", &longest].into_iter().enumerate() {
        let made = app.group(&admin, &format!("group-{number}"), &[(good, good)]).await;
        let secret = &made["associatedSecrets"][0];
        assert_eq!(
            (text(secret, "/name"), text(secret, "/fqn")),
            (good, format!("default:group-{number}:{good}").as_str())
        );
        assert_eq!(value_of(&admin, text(secret, "/id")).await, good);
        let read = admin.get(&reference_path(text(secret, "/fqn"))).await.expect(200);
        assert_eq!(read["value"], good);
    }
    let too_long = "k".repeat(254);
    for bad in [
        "",
        ".",
        "..",
        "..a",
        "...",
        "a/b",
        "/",
        "../x",
        "a:b",
        "a b",
        " a",
        "a\u{0}",
        "\u{0}",
        "a\n",
        "a\\b",
        "\u{e9}",
        "\u{1F511}",
        "a%2Fb",
        "a\u{ad}",
        &too_long,
    ] {
        assert_eq!(
            admin.post(GROUPS, with_secret(&app, "new", bad, "v")).await.faults(),
            ["secrets[0].key"],
            "{bad:.60?}"
        );
        let update = updates(&[("K", None), (bad, Some("v"))]);
        assert_eq!(admin.put(&group_path(&group), update).await.faults(), ["secrets[1].key"], "{bad:.60?}");
        let restored =
            admin.post(&format!("/api/v1/secrets/{}/restore", secret_id(&group, "K")), json!({"key": bad})).await;
        assert_eq!(restored.faults(), ["key"], "{bad:.60?}");
    }
    assert_eq!(admin.get(&group_path(&group)).await.etag(), "\"1\"");
}

#[tokio::test]
async fn one_answer_names_every_fault() {
    let app = TestApp::start().await;
    let body = json!({"name": "No", "integrationId": app.integration_id(), "secrets": [
        {"key": "A", "value": "fine"}, {"key": "..", "value": "x"}, {"key": "B", "value": "x".repeat(65_537)},
        {"key": "A", "value": "again"}, {"key": "", "value": "x".repeat(65_537)},
    ]});
    let answer = app.admin().post(GROUPS, body).await;
    assert_eq!(
        answer.faults(),
        ["name", "secrets[1].key", "secrets[2].value", "secrets[3].key", "secrets[4].value", "secrets[4].key"]
    );
}

#[tokio::test]
async fn a_group_has_a_thousand_keys_and_no_more() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let secrets = |count: usize| -> serde_json::Value {
        (0..count).map(|number| json!({"key": format!("KEY_{number}"), "value": format!("value {number}")})).collect()
    };
    let body = |count| json!({"name": "many", "integrationId": app.integration_id(), "secrets": secrets(count)});
    assert_eq!(admin.post(GROUPS, body(1_001)).await.faults(), ["secrets"]);
    let made = admin.post(GROUPS, body(1_000)).await.expect(200);
    let group = &made["data"];
    assert_eq!(group["associatedSecrets"].as_array().unwrap().len(), 1_000);
    assert_eq!(value_of(&admin, secret_id(group, "KEY_999")).await, "value 999");
    let all = json!({"secretGroupId": group["id"], "withValue": true, "limit": 1000});
    let all = admin.post("/api/svc/v1/secrets", all).await.expect(200);
    for secret in all["data"].as_array().unwrap() {
        assert_eq!(text(secret, "/value"), text(secret, "/name").replace("KEY_", "value "));
    }
    assert_eq!(all["data"].as_array().unwrap().len(), 1_000);
    let path = group_path(group);
    assert_eq!(admin.put(&path, json!({"secrets": secrets(1_001)})).await.faults(), ["secrets"]);
    // One out, another in, and the first has no room to come back.
    let first = secret_id(group, "KEY_0").to_owned();
    admin.delete(&secret_path(&first)).await.expect(200);
    let mut next = secrets(1_000);
    next[0]["key"] = json!("ANOTHER");
    admin.put(&path, json!({"secrets": next})).await.expect(200);
    assert_eq!(admin.post(&format!("/api/v1/secrets/{first}/restore"), json!({})).await.faults(), ["secrets"]);
}

#[tokio::test]
async fn names_of_people_and_machines_are_checked() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let register = |email: &str| admin.post("/api/svc/v1/users/register", json!({"email": email}));
    register("Someone@Example.COM").await.expect(200);
    register("someone@example.com").await.refused(409, "name_taken");
    let too_long = format!("{}@example.com", "a".repeat(250));
    for bad in ["", "@", "a@", "@b", "a", "a@b@c", "a b@c", "a@b\u{0}", "a:b@c", "a@b,c@d", "a@b\n", "\u{0}", &too_long]
    {
        assert_eq!(register(bad).await.faults(), ["email"], "{bad:.60?}");
    }
    let longest = "a".repeat(36);
    for good in ["abc", "a-1", &longest] {
        app.machine(good, &[]).await;
    }
    let too_long = "a".repeat(37);
    for bad in ["", "ab", &too_long, "Abc", "1bc", "ab-", "a_c", "a c", "abc\u{0}", "a/c", "..."] {
        let manifest = json!({"manifest": {"type": "virtual-account", "name": bad}});
        assert_eq!(admin.put("/api/svc/v1/virtual-accounts", manifest).await.faults(), ["manifest.name"], "{bad:?}");
        let token = json!({"name": bad, "userEmail": "someone@example.com"});
        assert_eq!(
            admin.post("/api/svc/v1/personal-access-tokens/for-user", token).await.faults(),
            ["name"],
            "{bad:?}"
        );
    }
    let token = |email: &str, until: &str| {
        let body = json!({"name": "token", "userEmail": email, "expirationDate": until});
        admin.post("/api/svc/v1/personal-access-tokens/for-user", body)
    };
    token("nobody@example.com", "2030-01-01").await.refused(404, "reference_not_found");
    for bad in ["yesterday", "2020-01-01", "2030-13-01", "2030-02-30", "9999999-01-01", "2030-01-01\u{0}"] {
        assert_eq!(token("someone@example.com", bad).await.faults(), ["expirationDate"], "{bad}");
    }
    token("SOMEONE@example.com", "2030-01-31").await.expect(200);
}

#[tokio::test]
async fn manifests_are_checked_field_by_field() {
    let app = TestApp::start().await;
    let owner = app.person("owner@example.com").await;
    let good = app.manifest("group", &[]);
    let with = |field: &str, value: serde_json::Value| {
        let mut manifest = good.clone();
        manifest[field] = value;
        json!({"manifest": manifest})
    };
    let subject = |subject: &str| json!([{"subject": subject, "role_id": "secret-group-viewer"}]);
    for (body, fault) in [
        (with("secrets", json!({"K": "v"})), "manifest.secrets"),
        (with("secrets", json!([])), "manifest.secrets"),
        (with("secrets", json!({})), "manifest.secrets"),
        (with("type", json!("workspace")), "manifest.type"),
        (with("name", json!(7)), "manifest.name"),
        (with("integration_fqn", json!(null)), "manifest.integration_fqn"),
        (with("collaborators", json!("user:a@b.c")), "manifest.collaborators"),
        (with("collaborators", json!([7])), "manifest.collaborators[0]"),
        (with("collaborators", json!([{"role_id": "secret-group-viewer"}])), "manifest.collaborators[0].subject"),
        (
            with("collaborators", json!([{"subject": "team:everyone", "role_id": "boss"}])),
            "manifest.collaborators[0].role_id",
        ),
        (with("collaborators", subject("everyone")), "manifest.collaborators[0].subject"),
        (with("collaborators", subject("user:a\u{0}@b.c")), "manifest.collaborators[0].subject"),
        (with("collaborators", subject("team:Admins")), "manifest.collaborators[0].subject"),
        (
            with("collaborators", json!([subject("team:everyone")[0], subject("team:everyone")[0]])),
            "manifest.collaborators",
        ),
        (with("ownedBy", json!("root")), "manifest.ownedBy"),
        (json!({"manifest": "x"}), "manifest"),
        (json!({"manifest": [good]}), "manifest"),
    ] {
        for path in [GROUPS, "/api/svc/v1/apply"] {
            let answer = owner.put(path, body.clone()).await;
            let faults = answer.faults();
            let other_type = path != GROUPS && faults == ["manifest.type"];
            assert!(other_type || faults.contains(&fault), "{path} {body}: {faults:?}");
        }
    }
    let nul = with("ownedBy", json!({"account": "a\u{0}b"}));
    assert_eq!(owner.put(GROUPS, nul).await.status, 422, "no text but values has U+0000");
    let future = with("from_a_newer_client", json!({"deep": [1, 2, 3]}));
    let made = owner.put(GROUPS, future).await.expect(200);
    assert_eq!(made["data"]["manifest"].get("from_a_newer_client"), None, "unknown fields are ignored");
}

#[tokio::test]
async fn percent_encoded_slashes_stay_in_their_segment() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("K", "v")]).await;
    for path in [
        format!("{GROUPS}%2F{}", text(&group, "/id")),
        format!("/api/svc/v1/secrets%2F{}", secret_id(&group, "K")),
        format!("/api/svc/v1/secrets/{}%2Fversions", secret_id(&group, "K")),
        format!("/api/svc/v1/x/../secrets/{}", secret_id(&group, "K")),
        format!("/api/svc/v1/secrets/./{}", secret_id(&group, "K")),
    ] {
        assert_eq!(admin.get(&path).await.status, 404, "{path}");
    }
    let read = admin
        .get(&format!("/api/svc/v1/control-plane/secret?secret_ref={}", encode("default:group:K")))
        .await
        .expect(200);
    assert_eq!(read["value"], "v");
}
