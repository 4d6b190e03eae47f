//! What manifests name: all that is missing is told with its place, and ends that have passed give nothing.

use serde_json::{Value, json};
use strongroom_testkit::{Answer, Client, TestApp};

use crate::machines::target;
use crate::support::{GROUPS, USERS};

const APPLY: &str = "/api/svc/v1/apply";

/// Makes a manifest in which something ends.
type WithEnd<'a> = &'a dyn Fn(&str) -> Value;

/// The places of what isn't there.
#[track_caller]
fn missing(answer: &Answer) -> Vec<&str> {
    let message = answer.refused(404, "reference_not_found");
    let details = answer.json["details"].as_array().expect("each place");
    assert_eq!(details[0]["message"], message);
    details.iter().map(|detail| detail["path"].as_str().unwrap()).collect()
}

async fn apply(client: &Client, manifest: &Value) -> Answer {
    client.put(APPLY, json!({"manifest": manifest})).await
}

#[tokio::test]
async fn all_that_is_missing_is_told_with_its_place() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let people = json!(["none@example.com", "admin@example.com", "nobody@example.com"]);
    let team = json!({"type": "team", "name": "devs", "members": people, "managers": ["none@example.com"]});
    let store = "integration/secret-store/truefoundry/db";
    let account = json!({"type": "provider-account/truefoundry", "name": "main", "integrations": [
        {"type": store, "name": "a", "authorized_subjects": ["team:everyone", "team:none"]},
        {"type": store, "name": "b", "authorized_subjects": ["user:none@example.com"]},
    ]});
    let group =
        app.manifest("prod", &[("user:admin@example.com", "secret-group-admin"), ("team:none", "secret-group-viewer")]);
    let on = |kind: &str, fqn: &str, role: &str| json!({"resource_type": kind, "resource_fqn": fqn, "role_id": role});
    let mut machine = json!({"type": "virtual-account", "name": "bot", "permissions": [
        on("secret-group", "default:none", "secret-group-viewer"),
        on("account", "default", "auditor"),
        on("team", "none", "team-manager"),
    ]});
    machine["secret_store_config"] = target("none");
    machine["identity_provider_mapping"] = json!([{"identity_provider": "okta", "value": "x"}]);
    let agent = json!({"type": "agent-identity", "name": "helper", "identity": {
        "type": "identity-provider-backed", "identity_provider_mapping": [{"identity_provider": "okta", "value": "x"}],
    }});
    let binding = json!({"type": "role-binding", "name": "readers",
    "subjects": [{"type": "user", "name": "none@example.com"}],
    "permissions": [
        {"resourceType": "provider-integration", "resourceFqn": app.integration_fqn(), "role": "provider-integration-access"},
        {"resourceType": "provider-account", "resourceFqn": "default:none", "role": "provider-account-access"},
        {"resourceType": "account", "resourceFqn": "default", "role": "auditor"},
    ]});
    // Who there is, is told to those only who may give what is there.
    let whom = json!({"type": "role-binding", "name": "readers",
        "subjects": [{"type": "user", "name": "none@example.com"}],
        "permissions": [{"resourceType": "account", "resourceFqn": "default", "role": "tenant-member"}]});
    app.group(&admin, "there", &[]).await;
    for (manifest, paths) in [
        (team, &["manifest.members[0]", "manifest.members[2]", "manifest.managers[0]"][..]),
        (
            account,
            &["manifest.integrations[0].authorized_subjects[1]", "manifest.integrations[1].authorized_subjects[0]"],
        ),
        (group, &["manifest.collaborators[1].subject"]),
        (
            json!({"type": "secret-group", "name": "prod", "integration_fqn": "default:none"}),
            &["manifest.integration_fqn"],
        ),
        (
            machine,
            &[
                "manifest.permissions[0].resource_fqn",
                "manifest.permissions[1].role_id",
                "manifest.permissions[2].resource_fqn",
                "manifest.identity_provider_mapping[0].identity_provider",
                "manifest.secret_store_config.secret_group",
            ],
        ),
        (agent, &["manifest.identity.identity_provider_mapping[0].identity_provider"]),
        (binding, &["manifest.permissions[1].resourceFqn", "manifest.permissions[2].role"]),
        (whom, &["manifest.subjects[0].name"]),
    ] {
        assert_eq!(missing(&apply(&admin, &manifest).await), paths, "{manifest}");
    }
    let inline = |group: &str, subject: &str| {
        let fqn = format!("default:{group}");
        json!({"resourceType": "secret-group", "resourceFqn": fqn, "subjectFqn": subject, "role": "secret-group-viewer"})
    };
    let asked = json!({"roleBindings": [inline("none", "team:everyone"), inline("none", "team:none")]});
    let answer = admin.post("/api/svc/v1/role-bindings/inline", asked).await;
    assert_eq!(missing(&answer), ["roleBindings[0].resourceFqn", "roleBindings[1].resourceFqn"]);
    let asked = json!({"roleBindings": [inline("there", "team:everyone"), inline("there", "team:none")]});
    let answer = admin.post("/api/svc/v1/role-bindings/inline", asked).await;
    assert_eq!(missing(&answer), ["roleBindings[1].subjectFqn"]);
    let role = json!({"email": "admin@example.com", "roles": ["no-such-role"]});
    let answer = admin.request("PATCH", &format!("{USERS}/roles")).json(&role).send().await;
    assert_eq!(missing(&answer), ["roles[0]"]);
    assert!(answer.json["message"].as_str().unwrap().contains("`no-such-role`"));
}

/// Neither status, nor words, nor place tell what one may not see from what isn't there.
#[tokio::test]
async fn what_may_not_be_seen_is_missing_in_the_same_words() {
    let app = TestApp::start().await;
    app.group(&app.admin(), "hidden", &[]).await;
    let stranger = app.person("stranger@example.com").await;
    let binding = |group: &str| {
        json!({"type": "role-binding", "name": "mine", "subjects": [{"type": "team", "name": "everyone"}],
               "permissions": [{"resourceType": "secret-group", "resourceFqn": format!("default:{group}"),
                                "role": "secret-group-viewer"}]})
    };
    let (hidden, absent) = (apply(&stranger, &binding("hidden")).await, apply(&stranger, &binding("absent")).await);
    assert_eq!(missing(&hidden), missing(&absent));
    assert_eq!(hidden.text.replace("hidden", "absent"), absent.text);
}

#[tokio::test]
async fn an_end_that_has_passed_is_no_end_to_give() {
    let app = TestApp::start().await;
    let admin = app.admin();
    app.group(&admin, "shared", &[]).await;
    let group = |end: &str| {
        let mut manifest = app.manifest("prod", &[("team:everyone", "secret-group-viewer")]);
        manifest["collaborators"][0]["expires_at"] = json!(end);
        manifest
    };
    let machine = |end: &str| {
        json!({"type": "virtual-account", "name": "bot", "permissions": [
            {"resource_type": "secret-group", "resource_fqn": "default:shared", "role_id": "secret-group-viewer",
             "expires_at": end}]})
    };
    let binding = |end: &str| {
        json!({"type": "role-binding", "name": "viewers", "subjects": [{"type": "team", "name": "everyone"}],
               "permissions": [{"resourceType": "secret-group", "resourceFqn": "default:shared",
                                "role": "secret-group-viewer", "expiresAt": end}]})
    };
    let kinds: [(WithEnd<'_>, &str); 3] =
        [(&group, "collaborators"), (&machine, "permissions"), (&binding, "permissions")];
    for (manifest, list) in kinds {
        let path = format!("manifest.{list}[0].expires_at");
        assert_eq!(apply(&admin, &manifest("2020-01-31")).await.faults(), [path.as_str()]);
        apply(&admin, &manifest("2026-12-01")).await.expect(200);
        assert_eq!(apply(&admin, &manifest("2020-01-31")).await.faults(), [path.as_str()]);
    }
    // What has ended since may be applied again, as it stands in somebody's repository.
    app.clock.advance_days(30);
    for (manifest, list) in kinds {
        apply(&admin, &manifest("2026-12-01")).await.expect(200);
        let path = format!("manifest.{list}[0].expires_at");
        assert_eq!(apply(&admin, &manifest("2026-12-02")).await.faults(), [path.as_str()]);
    }
    app.person("one@example.com").await.get(GROUPS).await.expect(200);
}
