use serde_json::json;

use super::*;
use crate::manifest::{CREDENTIAL_MASK, Credential};

const AWS: &str = "integration/secret-store/aws/secrets-manager";
const VAULT: &str = "integration/secret-store/hashicorp/vault";

fn paths(manifest: &Value) -> Vec<String> {
    let faults = ProviderAccountManifest::parse(manifest).unwrap_err();
    faults.into_iter().map(|fault| fault.path).collect()
}

fn key(secret: &str) -> Value {
    json!({"type": "access-key-based", "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": secret})
}

fn aws(auth: &Value, integration: &Value) -> Value {
    json!({"type": "provider-account/aws", "name": "main", "aws_account_id": "123456789012", "auth_data": auth,
        "integrations": [integration]})
}

#[test]
fn accounts_read_and_write_back() {
    let written = json!({
        "type": "provider-account/truefoundry", "name": "default",
        "integrations": [
            {"type": "integration/secret-store/truefoundry/db", "name": "db", "authorized_subjects": ["team:everyone"]},
            {"type": "integration/secret-store/truefoundry/db", "name": "closed", "authorized_subjects": []},
            {"type": "integration/secret-store/truefoundry/db", "name": "unsaid"},
        ],
        "ownedBy": {"account": "root"},
    });
    let every_aws = aws(
        &key(CREDENTIAL_MASK),
        &json!({"type": AWS, "name": "prod", "region": "eu-central-1",
            "auth_data": {"type": "assumed-role-based", "assumed_role_arn": "arn:aws:iam::123456789012:role/s",
                "external_id": "x"},
            "kms_arn": "arn:aws:kms:eu-central-1:123456789012:key/1", "tags": {"a": "1", "b": ""},
            "authorized_subjects": ["team:everyone"]}),
    );
    let vaults = json!({
        "type": "provider-account/hashicorp", "name": "vaults",
        "integrations": [
            {"type": VAULT, "name": "a", "vault_url": "https://vault.example.com", "kv_mount_path": "secret",
                "root_path": "x", "namespace": "y",
                "auth_data": {"type": "token", "token": "tfy-secret://acme:stores:token"}},
            {"type": VAULT, "name": "b", "vault_url": "https://vault.example.com", "kv_mount_path": "secret",
                "auth_data": {"type": "approle", "role_id": "r", "secret_id": CREDENTIAL_MASK, "role_path": "p"}},
        ],
    });
    let least = json!({"type": "provider-account/truefoundry", "name": "default"});
    let least_aws = json!({"type": "provider-account/aws", "name": "main", "aws_account_id": "123456789012"});
    for written in [written, every_aws, vaults, least, least_aws] {
        assert_eq!(ProviderAccountManifest::parse(&written).unwrap().to_json(), written);
    }
}

#[test]
fn credentials_are_masked_and_placed() {
    let read = ProviderAccountManifest::parse(&aws(
        &key("tfy-secret://acme:stores:key"),
        &json!({"type": AWS, "name": "prod", "region": "eu-central-1", "auth_data": key("canary")}),
    ))
    .unwrap();
    let written = read.to_json();
    assert_eq!(written["auth_data"]["secret_access_key"], "tfy-secret://acme:stores:key");
    assert_eq!(written["integrations"][0]["auth_data"]["secret_access_key"], CREDENTIAL_MASK);
    assert!(!written.to_string().contains("canary") && !format!("{read:?}").contains("canary"));
    let placed: Vec<_> = read.credentials().into_iter().map(|one| (one.kept_as, one.path, one.integration)).collect();
    let of = |kept: &str, path: &str, at| (kept.to_owned(), format!("manifest.{path}"), at);
    assert_eq!(
        placed,
        [
            of("auth_data.access_key_id", "auth_data.access_key_id", None),
            of("auth_data.secret_access_key", "auth_data.secret_access_key", None),
            of("integrations.prod.auth_data.access_key_id", "integrations[0].auth_data.access_key_id", Some(0)),
            of("integrations.prod.auth_data.secret_access_key", "integrations[0].auth_data.secret_access_key", Some(0)),
        ]
    );
    let again = ProviderAccountManifest::parse(&written).unwrap();
    assert!(again.credentials().iter().any(|one| *one.credential == Credential::Kept));
    assert_eq!(again.to_json(), written);
}

#[test]
fn references_name_a_secret() {
    let token = |token: &str| {
        json!({"type": "provider-account/hashicorp", "name": "v", "integrations": [
            {"type": VAULT, "name": "a", "vault_url": "https://v", "kv_mount_path": "s",
                "auth_data": {"type": "token", "token": token}}]})
    };
    for good in ["tfy-secret://acme:stores:token", "tfy-secret://acme:stores:token:3", "hvs.abc"] {
        assert!(ProviderAccountManifest::parse(&token(good)).is_ok(), "{good}");
    }
    for bad in ["", "tfy-secret://acme:stores", "tfy-secret://x", &"x".repeat(16_385), "a\0b"] {
        assert_eq!(paths(&token(bad)), ["manifest.integrations[0].auth_data.token"], "{bad}");
    }
}

#[test]
fn who_we_are_to_aws_may_be_left_to_the_server() {
    let role = json!({"type": "assumed-role-based", "assumed_role_arn": "arn:aws:iam::123456789012:role/s"});
    let plain = json!({"type": AWS, "name": "prod", "region": "eu-central-1"});
    let with = |auth: &Value| {
        let mut integration = plain.clone();
        integration["auth_data"] = auth.clone();
        integration
    };
    for good in [
        aws(&key("k"), &plain),
        aws(&key("k"), &with(&role)),
        aws(&Value::Null, &with(&key("k"))),
        aws(&role, &with(&key("k"))),
        // Whether it has an identity of its own to lend isn't the manifest's matter.
        aws(&Value::Null, &plain),
        aws(&role, &plain),
        aws(&Value::Null, &with(&role)),
        aws(&role, &with(&role)),
    ] {
        assert!(ProviderAccountManifest::parse(&good).is_ok(), "{good}");
    }
    // One fault is told once.
    assert_eq!(paths(&aws(&json!({"type": "ambient"}), &plain)), ["manifest.auth_data.type"]);
    assert_eq!(paths(&aws(&key("k"), &with(&json!({"type": "x"})))), ["manifest.integrations[0].auth_data.type"]);
}

#[test]
fn every_fault_is_named_with_its_path() {
    let manifest = json!({
        "type": "provider-account/truefoundry", "name": "a:b", "collaborators": [],
        "integrations": [
            {"type": "integration/secret-store/aws/secrets-manager", "name": "a"},
            {"type": "integration/secret-store/truefoundry/db", "name": "db", "authorized_subjects": ["everyone"]},
            {"type": "integration/secret-store/truefoundry/db", "name": "db"},
        ],
    });
    assert_eq!(
        paths(&manifest),
        [
            "manifest.name",
            "manifest.integrations[0].type",
            "manifest.integrations[1].authorized_subjects[0]",
            "manifest.integrations",
            "manifest.collaborators",
        ]
    );
    let manifest = aws(
        &key("k"),
        &json!({"type": AWS, "name": "a", "auth_data": {"type": "access-key-based"}, "kms_arn": 1, "tags": {"a": 1}}),
    );
    let of = |field: &str| format!("manifest.integrations[0].{field}");
    assert_eq!(
        paths(&manifest),
        ["region", "auth_data.access_key_id", "auth_data.secret_access_key", "kms_arn", "tags.a"].map(of)
    );
    let manifest =
        json!({"type": "provider-account/hashicorp", "name": "a", "integrations": [{"type": VAULT, "name": "a"}]});
    assert_eq!(paths(&manifest), ["vault_url", "kv_mount_path", "auth_data"].map(of));
    let account = json!({"type": "provider-account/aws", "name": "main", "aws_account_id": "12"});
    assert_eq!(paths(&account), ["manifest.aws_account_id"]);
    for to_come in ["aws/parameter-store", "gcp/gsm"] {
        let store = json!({"type": format!("integration/secret-store/{to_come}"), "name": "a"});
        let faults = ProviderAccountManifest::parse(&aws(&key("k"), &store)).unwrap_err();
        assert!(faults[0].message.contains("not supported yet"));
    }
}
