use proptest::prelude::*;

use super::*;

fn faults(manifest: &Value) -> Vec<String> {
    SecretGroupManifest::parse(manifest, NameRule::Strict)
        .expect_err("a faulty manifest")
        .into_iter()
        .map(|fault| fault.path)
        .collect()
}

#[test]
fn a_full_manifest_reads_and_writes_back() {
    let written = json!({
        "type": "secret-group", "name": "prod-db", "integration_fqn": "acme:truefoundry:default:secret-store:db",
        "collaborators": [{"subject": "user:alice@x.io", "role_id": "secret-group-admin"}],
        "ownedBy": {"account": "root"},
    });
    assert_eq!(SecretGroupManifest::parse(&written, NameRule::Strict).unwrap().to_json(), written);
}

#[test]
fn unknown_fields_are_ignored_but_secrets_are_refused() {
    let mut manifest = json!({"type": "secret-group", "name": "prod", "integration_fqn": "x", "workspace_fqn": "w"});
    assert!(SecretGroupManifest::parse(&manifest, NameRule::Strict).is_ok());
    manifest["secrets"] = json!({"K": "v"});
    assert_eq!(faults(&manifest), ["manifest.secrets"]);
}

#[test]
fn every_fault_is_named_with_its_path() {
    let manifest = json!({
        "type": "secret-groups", "name": "P", "ownedBy": 1,
        "collaborators": [
            {"subject": "alice", "role_id": "secret-group-admin"}, {"subject": "user:a@b.c", "role_id": "workspace-admin"}, 7,
            {"subject": "user:d@b.c", "role_id": "secret-group-viewer"}, {"subject": "user:D@b.c", "role_id": "secret-group-admin"},
        ],
    });
    assert_eq!(
        faults(&manifest),
        [
            "manifest.type",
            "manifest.name",
            "manifest.integration_fqn",
            "manifest.collaborators[0].subject",
            "manifest.collaborators[1].role_id",
            "manifest.collaborators[2]",
            "manifest.collaborators",
            "manifest.ownedBy",
        ]
    );
    assert_eq!(faults(&json!([])), ["manifest", "manifest.name", "manifest.integration_fqn"]);
    assert!(
        faults(&json!({"type": "secret-group", "name": "ab", "integration_fqn": "x", "collaborators": {}}))
            .contains(&"manifest.collaborators".into())
    );
}

#[test]
fn virtual_accounts() {
    let written = json!({"type": "virtual-account", "name": "ci-bot", "permissions": [
        {"resource_type": "secret-group", "resource_fqn": "acme:prod", "role_id": "secret-group-editor"}]});
    assert_eq!(VirtualAccountManifest::parse(&written).unwrap().to_json(), written);
    assert_eq!(
        VirtualAccountManifest::parse(&json!({"type": "virtual-account", "name": "ci-bot"})).unwrap().permissions,
        None
    );
    for (permissions, path) in [
        (json!([]), "manifest.permissions"),
        (
            json!([{"resource_type": "cluster", "resource_fqn": "c", "role_id": "x"}]),
            "manifest.permissions[0].resource_type",
        ),
    ] {
        let manifest = json!({"type": "virtual-account", "name": "ci-bot", "permissions": permissions});
        assert_eq!(VirtualAccountManifest::parse(&manifest).unwrap_err()[0].path, path);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".*".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let field =
            prop_oneof!["type|name|integration_fqn|collaborators|ownedBy|permissions|subject|role_id", ".{0,4}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((field, inner), 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_taken_or_refused_without_panic(value in any_json()) {
        let _ = SecretGroupManifest::parse(&value, NameRule::Loose);
        let _ = VirtualAccountManifest::parse(&value);
    }
}

#[test]
fn manifests_are_bounded_and_so_is_what_is_said_of_them() {
    let manifest = |field: &str, value: Value| {
        let mut manifest = json!({"type": "secret-group", "name": "pay", "integration_fqn": "a:b:c:secret-store:d"});
        manifest[field] = value;
        SecretGroupManifest::parse(&manifest, NameRule::Strict)
    };
    let told = |result: Result<SecretGroupManifest, Vec<Violation>>| {
        result.unwrap_err().into_iter().map(|fault| fault.path).collect::<Vec<_>>()
    };
    assert_eq!(told(manifest("ownedBy", json!({"account": "x".repeat(MANIFEST_BYTES)}))), ["manifest"]);
    assert_eq!(told(manifest("collaborators", json!(vec![0; 1_001]))), ["manifest.collaborators"]);
    assert_eq!(told(manifest("collaborators", json!(vec![0; 1_000]))).len(), FAULTS);
}

#[test]
fn what_a_token_would_not_do_is_refused() {
    let manifest = |field: &str, value: Value| {
        let mut manifest = json!({"type": "virtual-account", "name": "ci-bot"});
        manifest[field] = value;
        VirtualAccountManifest::parse(&manifest)
    };
    for (field, _) in UNKEPT_PROMISES {
        let faults = manifest(field, json!("2027-01-01")).unwrap_err();
        assert_eq!(faults.iter().map(|fault| fault.path.as_str()).collect::<Vec<_>>(), [format!("manifest.{field}")]);
        assert!(manifest(field, Value::Null).is_ok());
    }
    assert!(manifest("token_type", json!("jwt")).is_err());
    assert!(manifest("token_type", json!("opaque")).is_ok());
}
