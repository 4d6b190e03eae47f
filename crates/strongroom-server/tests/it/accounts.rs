//! Provider accounts: their manifests, their credentials, and the stores that these lead to.

mod connection;
mod on_moto;
mod on_openbao;
mod referring;
mod silence;

use std::sync::Arc;

use serde_json::{Value, json};
use strongroom_server::OuterStores;
use strongroom_stores::{FaultPlan, Faulty, MemoryStore, SecretStore};
use strongroom_testkit::{Client, Setup, TestApp};

use crate::support::{GROUPS, count_events, events, group_path, list, text};

pub(super) const ACCOUNTS: &str = "/api/svc/v1/provider-accounts";
pub(super) const INTEGRATIONS: &str = "/api/svc/v1/provider-integrations";
pub(super) const MASK: &str = "********";
const APPLY: &str = "/api/svc/v1/apply";
const DELETE: &str = "/api/svc/v1/delete";

/// A Vault that nobody asks, as the tests' own stores stand in its place.
pub(super) fn vault(name: &str, token: &str) -> Value {
    json!({
        "type": "integration/secret-store/hashicorp/vault", "name": name,
        "vault_url": "https://vault.example.com:8200", "kv_mount_path": "secret",
        "auth_data": {"type": "token", "token": token},
    })
}

pub(super) fn account(integrations: &[Value]) -> Value {
    json!({"type": "provider-account/hashicorp", "name": "vaults", "integrations": integrations})
}

pub(super) fn fqn(name: &str) -> String {
    format!("default:hashicorp:vaults:secret-store:{name}")
}

/// With a store in memory in the place of every Vault of the account.
pub(super) async fn start(faults: &FaultPlan) -> TestApp {
    let store: Arc<dyn SecretStore> = Arc::new(Faulty::new(MemoryStore::default(), faults.clone()));
    let stores: OuterStores = Arc::new(move |fqn| fqn.starts_with("default:hashicorp:").then(|| store.clone()));
    Setup::default().outer(stores).start().await
}

pub(super) async fn put(client: &Client, manifest: &Value) -> Value {
    client.put(ACCOUNTS, json!({"manifest": manifest})).await.expect(200)["data"].take()
}

fn token_of(account: &Value) -> &str {
    text(account, "/manifest/integrations/0/auth_data/token")
}

#[tokio::test]
async fn an_account_comes_back_with_the_mask_and_is_kept_by_it() {
    let app = start(&FaultPlan::default()).await;
    let (admin, member) = (app.admin(), app.person("member@example.com").await);
    let made = put(&admin, &account(&[vault("prod", "hvs.canary")])).await;
    assert_eq!((text(&made, "/fqn"), text(&made, "/provider")), ("default:hashicorp:vaults", "hashicorp"));
    assert_eq!(text(&made, "/integrations/0/fqn"), fqn("prod"));
    assert_eq!(text(&made, "/integrations/0/manifest/auth_data/token"), MASK);
    assert_eq!(token_of(&made), MASK);
    // Members see that it is there, and no more.
    let seen = member.get(&format!("{ACCOUNTS}?fqn=default:hashicorp:vaults")).await.expect(200);
    let shown = json!({"type": "provider-account/hashicorp", "name": "vaults", "integrations": [
        {"type": "integration/secret-store/hashicorp/vault", "name": "prod"}]});
    assert_eq!(seen["data"][0]["manifest"], shown);

    let sealed = || app.tamper().blobs("provider_accounts", "credentials").remove(0).bytes;
    let (first, changes) = (sealed(), "action=UPDATE_PROVIDER_ACCOUNT");
    // The same again, by the mask, in the clear, or by `apply`, changes nothing.
    for token in [MASK, "hvs.canary"] {
        put(&admin, &account(&[vault("prod", token)])).await;
        let manifest = account(&[vault("prod", token)]);
        let answer = admin.put(APPLY, json!({"manifest": manifest})).await.expect(200);
        assert_eq!(text(&answer, "/action"), "UPDATE");
        assert_eq!(text(&answer, "/existingManifest/integrations/0/auth_data/token"), MASK);
    }
    assert_eq!((sealed() == first, count_events(&app, changes).await), (true, 0));
    let mut more = account(&[vault("prod", MASK), vault("other", "hvs.other")]);
    more["ownedBy"] = json!({"account": "root"});
    put(&admin, &more).await;
    assert!(sealed() != first);
    let told = events(&app, changes).await;
    assert_eq!(told[0]["metaData"]["changedCredentials"], json!(["integrations.other.auth_data.token"]));

    // Where there was nothing, the mask keeps nothing.
    for (manifest, path) in [
        (account(&[vault("new", MASK)]), "manifest.integrations[0].auth_data.token"),
        (
            json!({"type": "provider-account/aws", "name": "new", "aws_account_id": "123456789012", "auth_data":
            {"type": "access-key-based", "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": MASK}}),
            "manifest.auth_data.secret_access_key",
        ),
    ] {
        let refused = admin.put(ACCOUNTS, json!({"manifest": manifest})).await;
        assert_eq!(refused.faults(), [path]);
    }
}

#[tokio::test]
async fn a_kept_credential_is_sent_to_nobody_else() {
    let app = start(&FaultPlan::default()).await;
    let admin = app.admin();
    put(&admin, &account(&[vault("prod", "hvs.canary")])).await;
    let mut moved = vault("prod", MASK);
    moved["vault_url"] = json!("https://evil.example.com");
    let refused = admin.put(ACCOUNTS, json!({"manifest": account(&[moved.clone()])})).await;
    assert_eq!(refused.faults(), ["manifest.integrations[0].auth_data.token"]);
    // Who knows it may.
    moved["auth_data"]["token"] = json!("hvs.canary");
    put(&admin, &account(&[moved])).await;
    // The same address in another spelling is no other.
    let mut spelled = vault("prod", MASK);
    spelled["vault_url"] = json!("https://EVIL.example.com:443/");
    put(&admin, &account(&[spelled])).await;
}

#[tokio::test]
async fn what_cannot_be_a_store_is_refused_with_its_place() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let faults = async |integration: Value| {
        let answer = admin.put(ACCOUNTS, json!({"manifest": account(&[integration])})).await;
        answer.faults().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    for (field, value) in [
        ("vault_url", json!("vault.example.com")),
        ("vault_url", json!("https://admin:canary@vault.example.com")),
        ("vault_url", json!("http://127.0.0.1:8200")),
        ("vault_url", json!("https://169.254.169.254")),
        ("kv_mount_path", json!("a/../b")),
        ("namespace", json!("\u{e9}")),
        ("root_path", json!("a//b")),
        ("auth_data", json!({"type": "token", "token": "with blank"})),
    ] {
        let mut integration = vault("prod", "hvs.canary");
        integration[field] = value;
        assert_eq!(faults(integration).await, [format!("manifest.integrations[0].{field}")]);
    }
    let aws = |integration: Value| {
        json!({"type": "provider-account/aws", "name": "main", "aws_account_id": "123456789012", "auth_data":
            {"type": "access-key-based", "access_key_id": "AKIAIOSFODNN7EXAMPLE", "secret_access_key": "x"},
            "integrations": [integration]})
    };
    for (field, value) in [
        ("region", json!("Frankfurt")),
        ("kms_arn", json!("key/1")),
        ("tags", json!({"aws:x": "y"})),
        ("auth_data", json!({"type": "assumed-role-based", "assumed_role_arn": "admin"})),
    ] {
        let store = "integration/secret-store/aws/secrets-manager";
        let mut integration = json!({"type": store, "name": "prod", "region": "eu-central-1"});
        integration[field] = value;
        let refused = admin.put(ACCOUNTS, json!({"manifest": aws(integration)})).await;
        assert_eq!(refused.faults(), [format!("manifest.integrations[0].{field}")]);
    }
    // Types of the contract that are to come say so.
    for to_come in ["gcp", "azure", "custom"] {
        let manifest = json!({"type": format!("provider-account/{to_come}"), "name": "main"});
        let refused = admin.put(APPLY, json!({"manifest": manifest})).await;
        assert!(refused.refused(422, "invalid_input").contains("aren't built yet"), "{}", refused.text);
    }
    let parameters =
        json!({"type": "integration/secret-store/aws/parameter-store", "name": "p", "region": "eu-central-1"});
    let refused = admin.put(ACCOUNTS, json!({"manifest": aws(parameters)})).await;
    assert!(refused.refused(422, "invalid_input").contains("not supported yet"), "{}", refused.text);
    assert_eq!(app.tamper().number("SELECT COUNT(*) FROM provider_accounts"), 1);
}

#[tokio::test]
async fn accounts_of_providers_are_apart_and_go() {
    let app = start(&FaultPlan::default()).await;
    let admin = app.admin();
    let made = put(&admin, &account(&[vault("prod", "hvs.canary")])).await;
    let embedded = json!({"type": "provider-account/truefoundry", "name": "vaults", "integrations": []});
    let other = put(&admin, &embedded).await;
    assert!(made["id"] != other["id"]);
    admin.delete(&format!("{ACCOUNTS}/{}", text(&made, "/id"))).await.expect(200);
    admin.delete(&format!("{ACCOUNTS}/{}", text(&made, "/id"))).await.refused(404, "provider_account_not_found");
    admin.delete(&format!("{ACCOUNTS}/nonsense")).await.refused(404, "provider_account_not_found");
    assert_eq!(app.tamper().number("SELECT COUNT(*) FROM provider_accounts WHERE credentials IS NOT NULL"), 0);
    put(&admin, &account(&[vault("prod", "hvs.canary")])).await;
    let manifest = json!({"type": "provider-account/hashicorp", "name": "vaults"});
    admin.post(DELETE, json!({"manifest": manifest})).await.expect(200);
    let left = admin.get(ACCOUNTS).await.expect(200);
    assert_eq!(list(&left, "/data").len(), 2);
}

#[tokio::test]
async fn an_integration_that_keeps_groups_stays_where_it_is() {
    let app = start(&FaultPlan::default()).await;
    let admin = app.admin();
    let made = put(&admin, &account(&[vault("prod", "hvs.canary")])).await;
    let integration = text(&made, "/integrations/0/id");
    let (_, target) = app.instance().store_of(integration).await.unwrap();
    assert_eq!(target, fqn("prod"), "the tests' own");
    let body = json!({"name": "group", "integrationId": integration, "secrets": []});
    let group = admin.post(GROUPS, body).await.expect(200)["data"].take();
    let moves = |field: &str, value: &str| {
        let mut moved = vault("prod", "hvs.canary");
        moved[field] = json!(value);
        json!({"manifest": account(&[moved])})
    };
    let places = [
        ("vault_url", "https://other.example.com"),
        ("kv_mount_path", "other"),
        ("root_path", "below"),
        ("namespace", "team"),
    ];
    for moment in ["used", "in the trash"] {
        for (field, value) in places {
            let refused = admin.put(ACCOUNTS, moves(field, value)).await;
            assert_eq!(refused.faults(), ["manifest.integrations[0]"], "{field}, {moment}");
        }
        let gone = admin.put(ACCOUNTS, json!({"manifest": account(&[])})).await;
        gone.refused(422, "in_use");
        admin.delete(&format!("{ACCOUNTS}/{}", text(&made, "/id"))).await.refused(422, "in_use");
        // Credentials may change, and so may spelling.
        for (field, value) in [("vault_url", "https://VAULT.example.com:8200/"), ("root_path", "/")] {
            admin.put(ACCOUNTS, moves(field, value)).await.expect(200);
        }
        put(&admin, &account(&[vault("prod", &format!("hvs.{}", moment.len()))])).await;
        if moment == "used" {
            admin.delete(&group_path(&group)).await.expect(200);
        }
    }
    app.clock.advance_days(31);
    app.instance().purge_now().await.unwrap();
    for (field, value) in places {
        let there = admin.put(ACCOUNTS, moves(field, value)).await.expect(200);
        assert_eq!(text(&there, "/data/integrations/0/id"), integration, "it is still the same");
    }
    put(&admin, &account(&[])).await;
}

#[tokio::test]
async fn who_manages_an_account_changes_it_and_nobody_else() {
    let app = start(&FaultPlan::default()).await;
    let (admin, manager) = (app.admin(), app.person("manager@example.com").await);
    let made = put(&admin, &account(&[vault("prod", "hvs.canary")])).await;
    let manifest = account(&[vault("prod", "hvs.other")]);
    let integration = text(&made, "/integrations/0/id").to_owned();
    let test = format!("/api/v1/provider-integrations/{integration}/test");
    for dry_run in [true, false] {
        manager.put(ACCOUNTS, json!({"manifest": manifest, "dryRun": dry_run})).await.refused(403, "forbidden");
    }
    manager.post(&test, json!({})).await.refused(403, "forbidden");
    assert_eq!(count_events(&app, "action=TEST_PROVIDER_INTEGRATION&subjectSlug=manager@example.com").await, 1);
    app.apply(&json!({"type": "role-binding", "name": "managers",
        "subjects": [{"type": "user", "name": manager.name()}],
        "permissions": [{"resourceType": "provider-account", "resourceFqn": "default:hashicorp:vaults",
            "role": "provider-account-manager"}]}))
        .await;
    assert_eq!(token_of(&put(&manager, &manifest).await), MASK);
    assert_eq!(manager.post(&test, json!({})).await.expect(200)["data"]["ok"], true);
    let listed = manager.get(INTEGRATIONS).await.expect(200);
    let own = list(&listed, "/data").iter().find(|one| one["id"] == integration.as_str()).unwrap();
    assert_eq!(text(own, "/manifest/auth_data/token"), MASK);
    manager.delete(&format!("{ACCOUNTS}/{}", text(&made, "/id"))).await.refused(403, "forbidden");
    for id in [crate::support::ABSENT, "nonsense"] {
        let path = format!("/api/v1/provider-integrations/{id}/test");
        manager.post(&path, json!({})).await.refused(404, "provider_integration_not_found");
    }
}
