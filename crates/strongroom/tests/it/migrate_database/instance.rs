//! An instance with something of everything.

use serde_json::{Value, json};

use super::answers::text;
use crate::support::{Client, Server, integration_id};

const GROUPS: &str = "/api/svc/v1/secret-groups";
const KEYS: usize = 100;

/// Fills it through the API; gives the tokens of those who ask later, the administrator first.
pub(super) fn fill(server: &Server, secrets: usize) -> Vec<(&'static str, String)> {
    let mut admin = server.client();
    let integration = integration_id(&mut admin);
    let mut tokens = vec![("admin", server.token())];
    for (who, email) in [("bob", "bob@example.com"), ("revoked", "revoked@example.com")] {
        admin.post("/api/svc/v1/users/register", &json!({"email": email})).unwrap().success();
        let wanted = json!({"name": "laptop", "userEmail": email});
        let made = admin.post("/api/svc/v1/personal-access-tokens/for-user", &wanted).unwrap().success();
        tokens.push((who, text(&made["token"]).to_owned()));
    }
    for number in 0..secrets / KEYS {
        group(&mut admin, &integration, number);
    }
    let manifest = json!({"type": "virtual-account", "name": "deployer", "permissions": [
        {"resource_type": "secret-group", "resource_fqn": "default:group-1", "role_id": "secret-group-editor"},
    ]});
    let made = admin.put("/api/svc/v1/virtual-accounts", &json!({"manifest": manifest})).unwrap().success();
    tokens.push(("ci", text(&made["token"]).to_owned()));
    let mut bob = Client::new(server.address(), &tokens[1].1);
    let wanted = json!({"name": "bobs", "integrationId": integration, "secrets": [{"key": "K", "value": "bob's own"}]});
    bob.post(GROUPS, &wanted).unwrap().success();
    let revoke = json!({"email": "revoked@example.com"});
    let path = "/api/svc/v1/personal-access-tokens/revoke/all";
    admin.send("DELETE", path, Some(&revoke)).unwrap().success();
    tokens
}

fn value(group: usize, key: usize) -> String {
    match key {
        0 => String::new(),
        1 => "large ".repeat(2_000),
        2 => "Ä – 日本語 🗝 \u{0} \u{1} \u{fffd} \r\n\" \\".to_owned(),
        _ => format!("value-{group}-{key}-{}", "x".repeat(key)),
    }
}

/// A group of a hundred; some are changed, have collaborators, or lie in the trash.
fn group(admin: &mut Client, integration: &str, number: usize) {
    let name = format!("group-{number}");
    let secrets: Value =
        (0..KEYS).map(|key| json!({"key": format!("KEY_{key}"), "value": value(number, key)})).collect();
    let made = admin.post(GROUPS, &json!({"name": name, "integrationId": integration, "secrets": secrets}));
    let made = made.unwrap().success();
    let id = text(&made["data"]["id"]);
    if number % 5 == 1 {
        // Some get a new value, three are left out and deleted, the others stay.
        let secrets: Value = (3..KEYS)
            .map(|key| match key % 10 {
                4 => json!({"key": format!("KEY_{key}"), "value": format!("new-{key}")}),
                _ => json!({"key": format!("KEY_{key}")}),
            })
            .collect();
        admin.put(&format!("{GROUPS}/{id}"), &json!({"secrets": secrets})).unwrap().success();
        let manifest = json!({
            "type": "secret-group", "name": name, "integration_fqn": "default:truefoundry:default:secret-store:db",
            "collaborators": [{"subject": "user:bob@example.com", "role_id": "secret-group-viewer"}],
        });
        admin.put(GROUPS, &json!({"manifest": manifest})).unwrap().success();
    }
    if number % 20 == 7 {
        admin.delete(&format!("{GROUPS}/{id}")).unwrap().success();
        if number % 40 == 7 {
            admin.post(&format!("/api/v1/secret-groups/{id}/restore"), &json!({})).unwrap().success();
        }
    }
}

/// Where it lives it is no copy that is only read.
#[track_caller]
pub(super) fn still_takes_writes(server: &Server, token: &str) {
    let mut admin = Client::new(server.address(), token);
    let found = admin.get("/api/svc/v1/secret-groups?fqn=default:group-0").unwrap().success();
    let id = text(&found["data"][0]["id"]).to_owned();
    let before = found["data"][0]["associatedSecrets"].as_array().unwrap();
    let named = before.iter().map(|secret| json!({"key": secret["name"]}));
    let new = format!("NEW_{}", before.len());
    let secrets: Value = named.chain([json!({"key": new, "value": "written later"})]).collect();
    admin.put(&format!("{GROUPS}/{id}"), &json!({"secrets": secrets})).unwrap().success();
    let read = admin.get(&format!("/api/svc/v1/control-plane/secret?secret_ref=default:group-0:{new}")).unwrap();
    assert!(read.text().contains("written later"), "{}", read.text());
}
