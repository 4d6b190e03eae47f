//! Credentials that are secrets of this server.

use serde_json::{Value, json};
use strongroom_stores::FaultPlan;

use super::{ACCOUNTS, MASK, account, put, start, vault};
use crate::support::{GROUPS, count_events, group_path, text, updates};

const TOKEN: &str = "tfy-secret://default:tokens:VAULT";

#[tokio::test]
async fn a_reference_stays_readable_and_must_be_there() {
    let app = start(&FaultPlan::default()).await;
    let admin = app.admin();
    let manifest = account(&[vault("prod", TOKEN)]);
    for dry_run in [true, false] {
        let missing = admin.put(ACCOUNTS, json!({"manifest": manifest, "dryRun": dry_run})).await;
        assert_eq!(missing.faults(), ["manifest.integrations[0].auth_data.token"]);
    }
    let group = app.group(&admin, "tokens", &[("VAULT", "hvs.canary")]).await;
    let made = put(&admin, &manifest).await;
    assert_eq!(text(&made, "/manifest/integrations/0/auth_data/token"), TOKEN);
    assert_eq!(app.tamper().number("SELECT COUNT(*) FROM provider_accounts WHERE credentials IS NOT NULL"), 0);
    // The server read it for the check, and said so.
    assert_eq!(count_events(&app, "action=READ_SECRET_VALUE&subjectSlug=strongroom").await, 1);
    for elsewhere in
        ["tfy-secret://other:tokens:VAULT", "tfy-secret://default:tokens:NONE", "tfy-secret://default:tokens:VAULT:2"]
    {
        let refused = admin.put(ACCOUNTS, json!({"manifest": account(&[vault("prod", elsewhere)])})).await;
        assert_eq!(refused.faults(), ["manifest.integrations[0].auth_data.token"], "{elsewhere}");
    }
    // A mask in its place keeps nothing: nothing is kept.
    let masked = admin.put(ACCOUNTS, json!({"manifest": account(&[vault("prod", MASK)])})).await;
    assert_eq!(masked.faults(), ["manifest.integrations[0].auth_data.token"]);
    admin.delete(&group_path(&group)).await.expect(200);
    let gone = admin.put(ACCOUNTS, json!({"manifest": account(&[vault("prod", TOKEN), vault("x", "y")])})).await;
    assert_eq!(gone.faults(), ["manifest.integrations[0].auth_data.token"]);
}

#[tokio::test]
async fn nobody_uses_what_they_may_not_read() {
    let app = start(&FaultPlan::default()).await;
    let (admin, manager) = (app.admin(), app.person("manager@example.com").await);
    app.group(&admin, "tokens", &[("VAULT", "hvs.canary")]).await;
    put(&admin, &account(&[vault("prod", "hvs.a")])).await;
    app.apply(&json!({"type": "role-binding", "name": "managers",
        "subjects": [{"type": "user", "name": manager.name()}],
        "permissions": [{"resourceType": "provider-account", "resourceFqn": "default:hashicorp:vaults",
            "role": "provider-account-manager"}]}))
        .await;
    let body = json!({"manifest": account(&[vault("prod", TOKEN)])});
    let absent = json!({"manifest": account(&[vault("prod", "tfy-secret://default:nothing:VAULT")])});
    let (unseen, nothing) = (manager.put(ACCOUNTS, body.clone()).await, manager.put(ACCOUNTS, absent).await);
    assert_eq!(unseen.faults(), ["manifest.integrations[0].auth_data.token"]);
    assert_eq!(unseen.text.replace(":tokens:", ":nothing:"), nothing.text, "what one may not see isn't there");
    let share = async |role: &str| {
        let manifest = app.manifest("tokens", &[("user:manager@example.com", role)]);
        admin.put(GROUPS, json!({"manifest": manifest})).await.expect(200);
    };
    share("secret-group-viewer").await;
    manager.put(ACCOUNTS, body.clone()).await.refused(403, "forbidden");
    share("secret-group-reader").await;
    manager.put(ACCOUNTS, body.clone()).await.expect(200);
    // Nor what another has put there: the address may be their own.
    share("secret-group-viewer").await;
    let mut elsewhere = vault("prod", TOKEN);
    elsewhere["vault_url"] = json!("https://evil.example.com");
    let answer = manager.put(ACCOUNTS, json!({"manifest": account(&[elsewhere])})).await;
    answer.refused(403, "forbidden");
}

#[tokio::test]
async fn references_have_one_level() {
    let app = start(&FaultPlan::default()).await;
    let admin = app.admin();
    let named = |name: &str, integrations: &[Value]| {
        let mut account = account(integrations);
        account["name"] = json!(name);
        account
    };
    let group_on = async |name: &str, integration: &str| {
        let body = json!({"name": name, "integrationId": integration, "secrets": [{"key": "VAULT", "value": "hvs.x"}]});
        admin.post(GROUPS, body).await.expect(200)["data"].take()
    };
    let of = |group: &str| format!("tfy-secret://default:{group}:VAULT");
    app.group(&admin, "tokens", &[("VAULT", "hvs.canary")]).await;
    let plain = put(&admin, &named("plain", &[vault("a", "hvs.a")])).await;
    let second = put(&admin, &named("second", &[vault("a", TOKEN)])).await;
    group_on("on-plain", text(&plain, "/integrations/0/id")).await;
    group_on("on-second", text(&second, "/integrations/0/id")).await;
    let path = ["manifest.integrations[0].auth_data.token"];
    // Of itself, of one that has references.
    for (account, group) in [("plain", "on-plain"), ("second", "on-second"), ("third", "on-second")] {
        let body = json!({"manifest": named(account, &[vault("a", &of(group))])});
        assert_eq!(admin.put(ACCOUNTS, body).await.faults(), path, "{account} of {group}");
    }
    put(&admin, &named("third", &[vault("a", &of("on-plain"))])).await;
    // What others refer to gets no references itself.
    let body = json!({"manifest": named("plain", &[vault("a", TOKEN)])});
    assert_eq!(admin.put(ACCOUNTS, body).await.faults(), ["manifest.integrations"]);
    put(&admin, &named("third", &[])).await;
    put(&admin, &named("plain", &[vault("a", TOKEN)])).await;
    let group = app.group(&admin, "unused", &[]).await;
    admin.put(&group_path(&group), updates(&[("K", Some("v"))])).await.expect(200);
}
