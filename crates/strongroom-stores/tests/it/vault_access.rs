//! Roles, policies and what the connection check says, against a real OpenBao.

use strongroom_domain::SecretValue;
use strongroom_stores::{
    Condition, Removal, SecretStore, StoreErrorKind, VaultAuth, VaultSettings, VaultStore, conformance,
};
use strongroom_throwaway::OpenBao;

use crate::support::{entry, get, openbao, put, settings, store, token};

/// What people paste.
const DOCUMENT: &str = include_str!("../../../../docs/reference/stores/hashicorp-vault.md");

/// The document's policy, for the tests' tenant.
fn policy() -> String {
    let (_, rest) = DOCUMENT.split_once("```hcl\n").unwrap();
    rest.split_once("```").unwrap().0.replace("/default/", "/acme/")
}

/// The text in quotes of a JSON field.
fn field(json: &str, name: &str) -> String {
    let (_, rest) = json.split_once(&format!("\"{name}\":\"")).unwrap_or_else(|| panic!("{json}"));
    rest.split('"').next().unwrap().to_owned()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\\\"").replace('\n', "\\n"))
}

/// A role that may do what the policy says and nothing else.
fn role(server: &OpenBao, policy: &str) -> VaultAuth {
    let _ = server.ask("POST", "sys/auth/approle", &[], r#"{"type":"approle"}"#);
    server.ask("PUT", "sys/policies/acl/test", &[], &format!(r#"{{"policy":{}}}"#, quoted(policy))).unwrap();
    let role = r#"{"token_policies":["test"],"token_no_default_policy":true,"token_ttl":"1h"}"#;
    server.ask("POST", "auth/approle/role/strongroom", &[], role).unwrap();
    let role_id = field(&server.ask("GET", "auth/approle/role/strongroom/role-id", &[], "").unwrap(), "role_id");
    let secret_id = server.ask("POST", "auth/approle/role/strongroom/secret-id", &[], "").unwrap();
    let secret_id = SecretValue::new(field(&secret_id, "secret_id"));
    VaultAuth::AppRole { role_id, secret_id, role_path: "approle".to_owned() }
}

fn as_role(server: &OpenBao, policy: &str) -> VaultStore {
    store(&settings(server.url(), role(server, policy)))
}

#[tokio::test]
async fn the_documents_policy_is_enough() {
    let Some(server) = openbao() else { return };
    assert_eq!(conformance::run(&as_role(&server, &policy()), 1).await.len(), 2);
}

#[tokio::test]
async fn the_documents_policy_is_no_more_than_is_needed() {
    let Some(server) = openbao() else { return };
    let whole = policy();
    let mut checked = 0;
    for (path, capability, said) in [
        ("secret/data/", "create", "create on secret/data/tfy-secret/acme/"),
        ("secret/data/", "read", "read on secret/data/tfy-secret/acme/"),
        ("secret/data/", "update", "update on secret/data/tfy-secret/acme/"),
        ("secret/metadata/", "create", "create on secret/metadata/tfy-secret/acme/"),
        ("secret/metadata/", "read", "read on secret/metadata/tfy-secret/acme/"),
        ("secret/metadata/", "update", "update on secret/metadata/tfy-secret/acme/"),
        ("secret/metadata/", "delete", "delete on secret/metadata/tfy-secret/acme/"),
        ("secret/metadata/", "list", "list on secret/metadata/tfy-secret/acme/"),
        ("secret/destroy/", "update", "update on secret/destroy/tfy-secret/acme/"),
    ] {
        let blocks = whole.split_inclusive("}\n").map(|block| {
            if block.contains(path) {
                block.replace(&format!("\"{capability}\""), "\"sudo\"")
            } else {
                block.to_owned()
            }
        });
        let narrower: String = blocks.collect();
        assert_ne!(narrower, whole);
        let store = as_role(&server, &narrower);
        // Removing takes less than writing.
        let is_for_removing = [("secret/data/", "read"), ("secret/metadata/", "read"), ("secret/metadata/", "delete")];
        let answers = store.answers().await;
        assert_eq!(answers.is_err(), is_for_removing.contains(&(path, capability)), "{capability} on {path}");
        assert!(answers.err().is_none_or(|error| error.reason.contains(said)));
        let error = store.probe().await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::PermissionDenied);
        assert!(error.reason.contains(said), "without {capability} on {path}: {error}");
        assert!(!error.reason.contains("; nor"), "and nothing else: {error}");
        checked += 1;
    }
    assert_eq!(checked, 9);
    // Without the check's own.
    let narrower = whole.replace("sys/capabilities-self", "sys/else");
    let error = as_role(&server, &narrower).probe().await.unwrap_err();
    assert!(error.reason.contains("the policy must allow update on sys/capabilities-self"), "{error}");
}

#[tokio::test]
async fn what_a_policy_forbids_names_the_path_and_the_capability() {
    let Some(server) = openbao() else { return };
    let reads_only = policy().replace("\"create\", \"read\", \"update\"", "\"read\"");
    let store = as_role(&server, &reads_only);
    let error = put(&store, entry("g", "KEY"), "value-canary", Condition::Absent, Some("o")).await.unwrap_err();
    assert_eq!((error.kind, error.may_have_happened), (StoreErrorKind::PermissionDenied, false));
    let words = "the policy must allow create and update on secret/data/tfy-secret/acme/g/KEY";
    assert!(error.reason.contains(words), "{error}");
    // Of another tenant nothing is seen.
    let other = strongroom_stores::Entry { tenant: "other", ..entry("g", "KEY") };
    assert_eq!(store.latest(&other).await.unwrap_err().kind, StoreErrorKind::PermissionDenied);
}

#[tokio::test]
async fn a_role_whose_token_was_revoked_logs_in_again() {
    let Some(server) = openbao() else { return };
    let store = as_role(&server, &policy());
    let entry = entry("g", "KEY");
    let first = put(&store, entry, "one", Condition::Absent, None).await.unwrap();
    server.ask("POST", "sys/leases/revoke-prefix/auth/approle", &[], "").unwrap();
    assert_eq!(get(&store, entry, &first).await.as_deref(), Ok("one"));
    server.ask("POST", "sys/leases/revoke-prefix/auth/approle", &[], "").unwrap();
    put(&store, entry, "two", Condition::LatestIs(&first), None).await.unwrap();
    // The role itself is gone.
    server.ask("DELETE", "auth/approle/role/strongroom", &[], "").unwrap();
    server.ask("POST", "sys/leases/revoke-prefix/auth/approle", &[], "").unwrap();
    let error = store.latest(&entry).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Unauthenticated);
    assert!(error.reason.contains("auth/approle/login"), "{error}");
}

#[tokio::test]
async fn a_given_token_that_was_revoked_is_told() {
    let Some(server) = openbao() else { return };
    let made = server.ask("POST", "auth/token/create", &[], r#"{"policies":["root"],"ttl":"1h"}"#).unwrap();
    let given = field(&made, "client_token");
    let store = store(&settings(server.url(), token(&given)));
    store.probe().await.unwrap();
    server.ask("POST", "auth/token/revoke", &[], &format!(r#"{{"token":"{given}"}}"#)).unwrap();
    for error in [store.probe().await, store.answers().await, store.remove(&entry("g", "KEY"), Removal::Entry).await] {
        let error = error.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Unauthenticated);
        assert!(!error.to_string().contains(&given), "{error}");
    }
}

#[tokio::test]
async fn the_check_says_what_is_wrong_with_the_settings() {
    let Some(server) = openbao() else { return };
    server.ask("POST", "sys/mounts/old", &[], r#"{"type":"kv","options":{"version":"1"}}"#).unwrap();
    let root = settings(server.url(), token(server.root_token()));
    let mounted = |path: &str| VaultSettings { kv_mount_path: path.to_owned(), ..root.clone() };
    let namespaced = VaultSettings { namespace: Some("nowhere".into()), ..root.clone() };
    let elsewhere = VaultSettings { vault_url: format!("{}/sub", server.url()), ..root.clone() };
    for (settings, words) in [
        (mounted("old"), "what is mounted at old (kv_mount_path) is not a KV engine of version 2"),
        (mounted("cubbyhole"), "is not a KV engine of version 2"),
        (mounted("nothing"), "nothing that the policy allows to see is mounted at nothing (kv_mount_path)"),
        (namespaced, "there is no such namespace"),
        (elsewhere, "is vault_url right?"),
    ] {
        let error = store(&settings).probe().await.unwrap_err();
        assert!(error.reason.contains(words), "{error}");
    }
    // And what isn't there is not taken for a missing entry.
    for settings in [mounted("nothing"), VaultSettings { namespace: Some("nowhere".into()), ..root.clone() }] {
        let error = store(&settings).latest(&entry("g", "KEY")).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Unavailable, "{error}");
    }
}
