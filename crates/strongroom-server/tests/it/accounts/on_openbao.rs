//! Vault integrations over a real OpenBao.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use strongroom_crypto::{Binding, DataKey};
use strongroom_domain::{SecretId, SecretValue};
use strongroom_stores::{Condition, Entry, Pinned, Put, Seal, SecretStore, StoreError, StoreErrorKind, StoreVersion};
use strongroom_testkit::{Client, TestApp};
use strongroom_throwaway::OpenBao;

use super::{ACCOUNTS, MASK, account, put};
use crate::support::{GROUPS, count_events, group_path, secret_id, secret_path, text, updates, value_of};

/// A server, unless the test command has installed none.
pub(super) fn openbao() -> Option<OpenBao> {
    let Some(program) = std::env::var_os("STRONGROOM_TEST_BAO").map(PathBuf::from) else {
        eprintln!("SKIPPED: STRONGROOM_TEST_BAO names no OpenBao");
        return None;
    };
    Some(OpenBao::start(&program).unwrap())
}

pub(super) async fn app() -> TestApp {
    TestApp::with("STRONGROOM_EGRESS_ALLOW", "127.0.0.0/8").start().await
}

pub(super) fn vault(url: &str, token: &str) -> Value {
    json!({
        "type": "integration/secret-store/hashicorp/vault", "name": "prod", "vault_url": url, "kv_mount_path": "secret",
        "auth_data": {"type": "token", "token": token},
    })
}

fn entry(key: &str) -> Entry<'_> {
    let secret_id = SecretId::from(uuid::Uuid::from_u128(7));
    Entry { tenant: "default", group: "group", key, secret_id, beside: false }
}

async fn write(store: &Arc<dyn SecretStore>, name: &str, text: &str) -> Result<StoreVersion, StoreError> {
    let (value, key, binding) = (SecretValue::new(text.to_owned()), DataKey::make(), Binding::new("test"));
    let seal = Seal { key: &key, binding: &binding };
    let entry = entry(name);
    let put =
        Put { entry, value: &value, version: 1, seal, condition: Condition::Always, mark: Some("m"), staged: false };
    store.put(put).await.map(|placed| placed.version)
}

async fn read(store: &Arc<dyn SecretStore>, name: &str, version: &StoreVersion) -> Result<String, StoreErrorKind> {
    let (key, binding) = (DataKey::make(), Binding::new("test"));
    let seal = Seal { key: &key, binding: &binding };
    let read = store.get(Pinned { entry: entry(name), version, sealed: None, seal }).await;
    read.map(|value| value.expose().to_owned()).map_err(|error| error.kind)
}

async fn store_of(app: &TestApp, made: &Value) -> (Arc<dyn SecretStore>, String) {
    app.instance().store_of(text(made, "/integrations/0/id")).await.unwrap()
}

/// A token with a policy of this text.
fn token(server: &OpenBao, name: &str, policy: &str) -> String {
    let body = json!({"policy": policy}).to_string();
    server.ask("PUT", &format!("sys/policies/acl/{name}"), &[], &body).unwrap();
    let body = json!({"policies": [name], "no_default_policy": true}).to_string();
    let made: Value = serde_json::from_str(&server.ask("POST", "auth/token/create", &[], &body).unwrap()).unwrap();
    text(&made, "/auth/client_token").to_owned()
}

async fn check(app: &TestApp, client: &Client, made: &Value) -> Value {
    let path = format!("/api/v1/provider-integrations/{}/test", text(made, "/integrations/0/id"));
    app.settle().await;
    client.post(&path, json!({})).await.expect(200)["data"].take()
}

#[tokio::test]
async fn a_vault_is_used_as_its_manifest_says() {
    let Some(server) = openbao() else { return };
    let mut app = app().await;
    let admin = app.admin();
    let wrong = admin.put(ACCOUNTS, json!({"manifest": account(&[vault(&server.url(), "hvs.wrong")])})).await;
    let told = wrong.refused(424, "secret_store_failed");
    assert!(told.starts_with("manifest.integrations[0]: secret store hashicorp/vault: "), "{told}");

    let root = server.root_token().to_owned();
    let made = put(&admin, &account(&[vault(&server.url(), &root)])).await;
    let (store, target) = store_of(&app, &made).await;
    assert_eq!(target, format!(r#"hashicorp/vault:["{}","","secret",""]"#, server.url().trim_end_matches('/')));
    let version = write(&store, "KEY", "hunter2").await.unwrap();
    assert_eq!(read(&store, "KEY", &version).await.as_deref(), Ok("hunter2"));
    // It is kept, whatever else changes, and by the mask.
    app.apply(&json!({"type": "team", "name": "devs", "members": []})).await;
    let mut shared = vault(&server.url(), MASK);
    shared["authorized_subjects"] = json!(["team:devs"]);
    put(&admin, &account(&[shared])).await;
    assert!(Arc::ptr_eq(&store, &store_of(&app, &made).await.0), "the same store");
    app.restart().await;
    let (store, _) = store_of(&app, &made).await;
    assert_eq!(read(&store, "KEY", &version).await.as_deref(), Ok("hunter2"), "after a restart");
    // Other credentials make another one.
    let mut role = vault(&server.url(), "");
    server.ask("POST", "sys/auth/approle", &[], r#"{"type":"approle"}"#).unwrap();
    server
        .ask(
            "PUT",
            "sys/policies/acl/all",
            &[],
            &json!({"policy": r#"path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }"#})
                .to_string(),
        )
        .unwrap();
    server.ask("POST", "auth/approle/role/strongroom", &[], r#"{"token_policies":"all"}"#).unwrap();
    let id: Value =
        serde_json::from_str(&server.ask("GET", "auth/approle/role/strongroom/role-id", &[], "").unwrap()).unwrap();
    let secret: Value =
        serde_json::from_str(&server.ask("POST", "auth/approle/role/strongroom/secret-id", &[], "").unwrap()).unwrap();
    role["auth_data"] = json!({"type": "approle", "role_id": text(&id, "/data/role_id"),
        "secret_id": text(&secret, "/data/secret_id")});
    let by_role = put(&admin, &account(&[role.clone()])).await;
    assert_eq!(text(&by_role, "/manifest/integrations/0/auth_data/secret_id"), MASK);
    let (other, _) = store_of(&app, &made).await;
    assert!(!Arc::ptr_eq(&store, &other));
    assert_eq!(read(&other, "KEY", &version).await.as_deref(), Ok("hunter2"));
    // In another place.
    let mut below = role;
    below["root_path"] = json!("/below/");
    put(&admin, &account(&[below])).await;
    let (other, target) = store_of(&app, &made).await;
    assert!(target.ends_with(r#","","secret","below"]"#), "{target}");
    write(&other, "KEY", "deeper").await.unwrap();
    let seen = server.ask("GET", "secret/data/below/tfy-secret/default/group/KEY", &[], "").unwrap();
    assert!(seen.contains("deeper"));
}

#[tokio::test]
async fn what_is_missing_is_named_on_save_and_on_demand() {
    let Some(server) = openbao() else { return };
    let app = app().await;
    let admin = app.admin();
    let probing = r#"
        path "sys/capabilities-self" { capabilities = ["update"] }
        path "sys/internal/ui/mounts/secret" { capabilities = ["read"] }
        path "auth/token/lookup-self" { capabilities = ["read"] }
        path "secret/data/tfy-secret/default/*" { capabilities = ["create", "read", "update"] }
        path "secret/metadata/tfy-secret/default/*" { capabilities = ["create", "read", "update", "delete", "list"] }"#;
    let destroying =
        format!("{probing}\npath \"secret/destroy/tfy-secret/default/*\" {{ capabilities = [\"update\"] }}");
    let (less, all) = (token(&server, "less", probing), token(&server, "all", &destroying));
    let refused = admin.put(ACCOUNTS, json!({"manifest": account(&[vault(&server.url(), &less)])})).await;
    let told = refused.refused(424, "secret_store_failed");
    assert!(told.contains("secret/destroy/tfy-secret/default/") && told.contains("update"), "{told}");
    let made = put(&admin, &account(&[vault(&server.url(), &all)])).await;
    assert_eq!(check(&app, &admin, &made).await["ok"], true);
    server.ask("PUT", "sys/policies/acl/all", &[], &json!({"policy": probing}).to_string()).unwrap();
    let found = check(&app, &admin, &made).await;
    assert_eq!((&found["ok"], text(&found, "/kind")), (&json!(false), "permission_denied"));
    assert!(text(&found, "/reason").contains("secret/destroy/tfy-secret/default/"), "{found}");
}

#[tokio::test]
async fn a_referenced_token_is_followed() {
    let Some(server) = openbao() else { return };
    let app = app().await;
    let admin = app.admin();
    let everything = r#"path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }"#;
    let (first, second) = (token(&server, "first", everything), token(&server, "second", everything));
    let group = app.group(&admin, "tokens", &[("VAULT", &first)]).await;
    let reads = async || count_events(&app, "action=READ_SECRET_VALUE&subjectSlug=strongroom").await;
    let made = put(&admin, &account(&[vault(&server.url(), "tfy-secret://default:tokens:VAULT")])).await;
    assert_eq!(reads().await, 1, "for the check");
    let (store, _) = store_of(&app, &made).await;
    let version = write(&store, "KEY", "hunter2").await.unwrap();
    assert_eq!(reads().await, 2, "for the store");
    let same = async |other: &Arc<dyn SecretStore>| Arc::ptr_eq(&store_of(&app, &made).await.0, other);
    app.clock.advance_seconds(31);
    assert!(same(&store).await, "it holds what it held");
    admin.put(&group_path(&group), updates(&[("VAULT", Some(&second))])).await.expect(200);
    assert!(same(&store).await && reads().await == 2, "not looked at again yet");
    app.clock.advance_seconds(31);
    let (newer, _) = store_of(&app, &made).await;
    assert!(!Arc::ptr_eq(&store, &newer));
    assert_eq!(reads().await, 3);
    let revoked = json!({"token": first}).to_string();
    server.ask("POST", "auth/token/revoke", &[], &revoked).unwrap();
    assert_eq!(read(&store, "KEY", &version).await, Err(StoreErrorKind::Unauthenticated));
    assert_eq!(read(&newer, "KEY", &version).await.as_deref(), Ok("hunter2"));

    // Refused, it is looked at again sooner.
    let third = token(&server, "third", everything);
    admin.put(&group_path(&group), updates(&[("VAULT", Some(&third))])).await.expect(200);
    server.ask("POST", "auth/token/revoke", &[], &json!({"token": second}).to_string()).unwrap();
    app.clock.advance_seconds(2);
    assert!(same(&newer).await);
    assert_eq!(read(&newer, "KEY", &version).await, Err(StoreErrorKind::Unauthenticated));
    let (newest, _) = store_of(&app, &made).await;
    assert_eq!(read(&newest, "KEY", &version).await.as_deref(), Ok("hunter2"));

    // One that is gone is named, and stands in nobody else's way.
    admin.delete(&group_path(&group)).await.expect(200);
    app.clock.advance_seconds(31);
    let Err(gone) = app.instance().store_of(text(&made, "/integrations/0/id")).await else { panic!("it is there") };
    assert!(gone.contains("tfy-secret://default:tokens:VAULT") && gone.contains("vaults:secret-store:prod"), "{gone}");
    let found = check(&app, &admin, &made).await;
    assert!(found["ok"] == false && text(&found, "/reason").contains("tokens:VAULT"), "{found}");
    assert!(app.instance().store_of(app.integration_id()).await.is_ok());
}

/// A group as its owner and as a direct reader see it; and a credential in such a group, which takes two stores to read.
#[tokio::test]
async fn a_group_is_kept_there_and_may_keep_another_stores_token() {
    let Some(server) = openbao() else { return };
    let mut app = app().await;
    let admin = app.admin();
    let made = put(&admin, &account(&[vault(&server.url(), server.root_token())])).await;
    let second = token(
        &server,
        "second",
        r#"path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }"#,
    );
    let body = json!({"name": "tokens", "integrationId": made["integrations"][0]["id"],
        "secrets": [{"key": "VAULT", "value": second}]});
    let group = admin.post(GROUPS, body).await.expect(200)["data"].take();
    let seen = server.ask("GET", "secret/data/tfy-secret/default/tokens/VAULT", &[], "").unwrap();
    assert!(seen.contains(&second), "{seen}");
    assert_eq!(value_of(&admin, secret_id(&group, "VAULT")).await, second);
    let mut below = vault(&server.url(), "tfy-secret://default:tokens:VAULT");
    below["root_path"] = json!("below");
    let mut other = account(&[below]);
    other["name"] = json!("other");
    let referring = put(&admin, &other).await;
    let body = json!({"name": "deeper", "integrationId": referring["integrations"][0]["id"],
        "secrets": [{"key": "K", "value": "hunter2"}]});
    let deeper = admin.post(GROUPS, body).await.expect(200)["data"].take();
    app.restart().await;
    assert_eq!(value_of(&admin, secret_id(&deeper, "K")).await, "hunter2");
    // Both are in use.
    for one in [&made, &referring] {
        admin.delete(&format!("{ACCOUNTS}/{}", text(one, "/id"))).await.refused(422, "in_use");
    }
    // Without the store that has the token, the other one can't be made.
    drop(server);
    app.restart().await;
    let answer = admin.get(&secret_path(secret_id(&deeper, "K"))).await;
    let told = answer.refused(424, "secret_store_failed");
    assert!(told.contains("other:secret-store:prod") && told.contains("tfy-secret://default:tokens:VAULT"), "{told}");
}

#[tokio::test]
async fn other_replicas_follow() {
    let Some(server) = openbao() else { return };
    let app = app().await;
    let Some(other) = app.replica().await else { return };
    let made = put(&app.admin(), &account(&[vault(&server.url(), server.root_token())])).await;
    let (_, before) = store_of(&other, &made).await;
    let mut below = vault(&server.url(), MASK);
    below["root_path"] = json!("below");
    put(&app.admin(), &account(&[below])).await;
    while store_of(&other, &made).await.1 == before {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// An integration without a store is an error that names it, and stands in nobody's way.
#[tokio::test]
async fn credentials_that_do_not_open_make_no_store() {
    let Some(server) = openbao() else { return };
    let mut app = app().await;
    let admin = app.admin();
    let made = put(&admin, &account(&[vault(&server.url(), server.root_token())])).await;
    let body = json!({"name": "there", "integrationId": made["integrations"][0]["id"],
        "secrets": [{"key": "K", "value": "v"}]});
    let there = admin.post(GROUPS, body).await.expect(200)["data"].take();
    let here = app.group(&admin, "here", &[("K", "v")]).await;
    app.stop().await;
    let tamper = app.tamper();
    let blob = tamper.blobs("provider_accounts", "credentials").remove(0);
    tamper.flip(&blob, 20);
    app.restart().await;
    let Err(told) = app.instance().store_of(text(&made, "/integrations/0/id")).await else { panic!("it is there") };
    assert!(told.contains("integration `default:hashicorp:vaults:secret-store:prod`"), "{told}");
    let found = check(&app, &admin, &made).await;
    assert!(found["ok"] == false && text(&found, "/reason").contains("do not open"), "{found}");
    let read = admin.get(&secret_path(secret_id(&there, "K"))).await;
    assert_eq!(read.refused(424, "secret_store_failed"), told);
    assert_eq!(value_of(&admin, secret_id(&here, "K")).await, "v");
    admin.put(ACCOUNTS, json!({"manifest": made["manifest"]})).await.refused(500, "integrity");
    put(&admin, &account(&[vault(&server.url(), server.root_token())])).await;
    assert_eq!(check(&app, &admin, &made).await["ok"], true);
    assert_eq!(value_of(&admin, secret_id(&there, "K")).await, "v");
}
