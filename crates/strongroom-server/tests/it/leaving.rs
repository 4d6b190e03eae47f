//! Whoever goes is gone: nobody who gets the name later has what it had, and no manifest goes on naming them.

use serde_json::{Value, json};
use strongroom_testkit::{Client, TestApp};

use crate::support::{GROUPS, USERS, count_events, list, text};

const BINDINGS: &str = "/api/svc/v1/role-bindings";
const APPLY: &str = "/api/svc/v1/apply";
const DELETE: &str = "/api/svc/v1/delete";

fn account(authorized: &[&str]) -> Value {
    let store = "integration/secret-store/truefoundry/db";
    json!({"type": "provider-account/truefoundry", "name": "shop", "integrations": [
        {"type": store, "name": "db", "authorized_subjects": authorized},
    ]})
}

/// Whether somebody may make a group on the integration; the group is only tried.
async fn may_use(client: &Client) -> bool {
    let manifest = json!({
        "type": "secret-group", "name": format!("tried-by-{}", client.name().split('@').next().unwrap()),
        "integration_fqn": "default:truefoundry:shop:secret-store:db",
    });
    let answer = client.put(APPLY, json!({"manifest": manifest, "dryRun": true})).await;
    assert!([200, 403].contains(&answer.status), "{}", answer.text);
    answer.status == 200
}

fn team(name: &str, members: &[&str]) -> Value {
    json!({"type": "team", "name": name, "members": members})
}

fn binding(name: &str, subjects: &[(&str, &str)], group: &str) -> Value {
    let subjects: Vec<_> = subjects.iter().map(|(kind, name)| json!({"type": kind, "name": name})).collect();
    json!({"type": "role-binding", "name": name, "subjects": subjects, "permissions": [
        {"resourceType": "secret-group", "resourceFqn": format!("default:{group}"), "role": "secret-group-viewer"},
    ]})
}

async fn delete(app: &TestApp, kind: &str, name: &str) {
    app.admin().post(DELETE, json!({"manifest": {"type": kind, "name": name}})).await.expect(200);
}

#[tokio::test]
async fn an_integration_serves_nobody_who_gets_an_authorized_name_later() {
    let app = TestApp::start().await;
    let (bob, eve) = (app.person("bob@example.com").await, app.person("eve@example.com").await);
    app.apply(&team("ops", &[bob.name()])).await;
    app.apply(&json!({"type": "virtual-account", "name": "deployer"})).await;
    let authorized = ["team:ops", "user:bob@example.com", "virtualaccount:deployer", "user:eve@example.com"];
    app.apply(&account(&authorized)).await;
    assert!(may_use(&bob).await && may_use(&eve).await);

    delete(&app, "team", "ops").await;
    delete(&app, "virtual-account", "deployer").await;
    // It is a role, so that a person who has it isn't removed by mistake.
    let users = app.admin().get(&format!("{USERS}?query=bob")).await.expect(200);
    let path = format!("{USERS}/{}", text(&users, "/data/0/id"));
    let forced = format!("{path}?tenantName=default&forceDelete=true");
    app.admin().delete(&format!("{path}?tenantName=default&forceDelete=false")).await.refused(422, "in_use");
    app.admin().delete(&forced).await.expect(200);

    let bob = app.person("bob@example.com").await;
    app.apply(&team("ops", &[bob.name()])).await;
    let machine = app.machine("deployer", &[]).await;
    assert!(!may_use(&bob).await && !may_use(&machine).await && may_use(&eve).await);
    // The manifests say so: of the account, the integration, and before a change.
    for path in ["provider-accounts", "provider-integrations"] {
        let answer = app.admin().get(&format!("/api/svc/v1/{path}")).await;
        assert!(answer.text.contains("user:eve@") && !answer.text.contains("user:bob@"), "{}", answer.text);
        assert!(!answer.text.contains("team:ops") && !answer.text.contains(":deployer\""), "{}", answer.text);
    }
    // Applied again it means those who have the names now.
    app.apply(&account(&authorized)).await;
    assert!(may_use(&bob).await && may_use(&machine).await);
}

#[tokio::test]
async fn bindings_stop_naming_whoever_went() {
    let app = TestApp::start().await;
    let bob = app.person("bob@example.com").await;
    app.person("carol@example.com").await;
    app.group(&app.admin(), "shared", &[]).await;
    app.apply(&team("ops", &[bob.name()])).await;
    let both = binding("both", &[("team", "ops"), ("user", "carol@example.com")], "shared");
    app.apply(&both).await;
    app.apply(&binding("alone", &[("team", "ops")], "shared")).await;
    delete(&app, "team", "ops").await;
    app.apply(&team("ops", &[bob.name()])).await;

    let found = app.admin().get(BINDINGS).await.expect(200);
    let subjects: Vec<_> = list(&found, "/data").iter().map(|row| row["manifest"]["subjects"].clone()).collect();
    assert_eq!(subjects, [json!([{"type": "user", "name": "carol@example.com"}])], "the other had nobody left");
    let before = app.admin().put(APPLY, json!({"manifest": both, "dryRun": true})).await.expect(200);
    assert_eq!(before["existingManifest"]["subjects"], subjects[0], "a dry run shows what applying would give");
    let total = async || bob.get(GROUPS).await.expect(200)["pagination"]["total"].clone();
    assert_eq!(total().await, 0);
    app.apply(&both).await;
    assert_eq!(total().await, 1);
    // Of groups the same is true, but for the manifest: it names a group that is there.
    delete(&app, "secret-group", "shared").await;
    app.group(&app.admin(), "shared", &[]).await;
    assert_eq!(total().await, 0);
    app.apply(&both).await;
    assert_eq!(total().await, 1);
}

#[tokio::test]
async fn a_machine_s_permissions_mean_the_group_that_is_there_now() {
    let app = TestApp::start().await;
    app.group(&app.admin(), "shared", &[]).await;
    let machine = app.machine("deployer", &[("shared", "secret-group-viewer")]).await;
    let total = async || machine.get(GROUPS).await.expect(200)["pagination"]["total"].clone();
    assert_eq!(total().await, 1);
    let accounts = app.admin().get("/api/svc/v1/virtual-accounts").await.expect(200);
    let manifest = accounts["data"][0]["manifest"].clone();
    delete(&app, "secret-group", "shared").await;
    app.group(&app.admin(), "shared", &[]).await;
    assert_eq!(total().await, 0);
    app.apply(&manifest).await;
    assert_eq!(total().await, 1);
}

#[tokio::test]
async fn a_dry_run_shows_which_collaborators_have_nothing() {
    let app = TestApp::start().await;
    let bob = app.person("bob@example.com").await;
    app.apply(&team("ops", &[bob.name()])).await;
    let manifest = app.manifest("shared", &[("team:ops", "secret-group-viewer")]);
    app.apply(&manifest).await;
    let shown = async || {
        let answer = app.admin().put(APPLY, json!({"manifest": manifest, "dryRun": true})).await.expect(200);
        answer["existingManifest"]["collaborators"].to_string().contains("team:ops")
    };
    assert!(shown().await);
    delete(&app, "team", "ops").await;
    app.apply(&team("ops", &[bob.name()])).await;
    assert!(!shown().await);
    app.apply(&manifest).await;
    assert!(shown().await);
}

#[tokio::test]
async fn applying_the_same_again_changes_nothing() {
    let app = TestApp::start().await;
    let bob = app.person("bob@example.com").await;
    let store = "integration/secret-store/truefoundry/db";
    let group =
        json!({"resource_type": "secret-group", "resource_fqn": "default:shared", "role_id": "secret-group-reader"});
    let manifests = [
        app.manifest("shared", &[("user:bob@example.com", "secret-group-viewer")]),
        team("ops", &[bob.name()]),
        json!({"type": "role", "name": "auditor", "displayName": "Auditor", "description": "Of the test.",
               "resourceType": "account", "permissions": ["audit-log:read"]}),
        json!({"type": "role-binding", "name": "bound", "subjects": [{"type": "team", "name": "ops"}], "permissions": [
            {"resourceType": "account", "resourceFqn": "default", "role": "auditor"},
            {"resourceType": "team", "resourceFqn": "ops", "role": "team-manager", "expires_at": "2031-01-01T00:00:00Z"},
            {"resourceType": "secret-group", "resourceFqn": "default:shared", "role": "secret-group-editor"}]}),
        json!({"type": "virtual-account", "name": "deployer", "permissions": [group], "token_type": "jwt"}),
        json!({"type": "virtual-account", "name": "bare"}),
        json!({"type": "agent-identity", "name": "agent", "identity": {"type": "truefoundry-backed"}}),
        json!({"type": "provider-account/truefoundry", "name": "shop", "integrations": [
            {"type": store, "name": "db", "authorized_subjects": ["team:ops"]}, {"type": store, "name": "closed"}]}),
        json!({"type": "identity-provider", "name": "ci", "issuer": "https://idp.example.com",
               "jwks_uri": "https://idp.example.com/keys"}),
    ];
    for manifest in &manifests {
        let first = app.apply(manifest).await;
        assert_eq!(first["action"], "CREATE", "{manifest}");
        let before = count_events(&app, "").await;
        app.clock.advance_days(1);
        let again = app.apply(manifest).await;
        assert_eq!((&again["action"], &again["data"]["updatedAt"]), (&json!("UPDATE"), &first["data"]["updatedAt"]));
        // As it comes back, too.
        app.apply(&again["data"]["manifest"]).await;
        assert_eq!(count_events(&app, "").await, before, "{manifest}");
    }
}

#[tokio::test]
async fn a_team_s_managers_choose_its_members_and_no_more() {
    let app = TestApp::start().await;
    let lead = app.person("lead@example.com").await;
    let manifest = |members: &[&str], description: &str| json!({"type": "team", "name": "crew", "members": members, "managers": [lead.name()], "description": description});
    app.apply(&manifest(&[], "Ours")).await;
    let apply = async |manifest: Value| lead.put(APPLY, json!({"manifest": manifest})).await;
    apply(manifest(&[lead.name()], "Ours")).await.expect(200);
    apply(manifest(&[], "Theirs")).await.refused(403, "forbidden");
    let mut tagged = manifest(&[], "Ours");
    tagged["tags"] = json!({"a": "b"});
    apply(tagged).await.refused(403, "forbidden");
    let gone = lead.post(DELETE, json!({"manifest": {"type": "team", "name": "crew"}})).await;
    gone.refused(403, "forbidden");
    delete(&app, "team", "crew").await;
}

#[tokio::test]
async fn roles_are_given_on_what_is_named_exactly() {
    let app = TestApp::start().await;
    app.person("bob@example.com").await;
    app.apply(&team("crew", &[])).await;
    let of = |kind: &str, fqn: &str, role: &str| {
        json!({"manifest": {"type": "role-binding", "name": "bound", "subjects": [{"type": "user", "name": "bob@example.com"}],
               "permissions": [{"resourceType": kind, "resourceFqn": fqn, "role": role}]}})
    };
    for fqn in ["default:checkout", "default:anything:at:all", "default:", "other"] {
        app.admin().put(APPLY, of("account", fqn, "tenant-admin")).await.refused(404, "reference_not_found");
    }
    for fqn in ["garbage:crew", "default:other:crew", "crew:crew", ":crew"] {
        app.admin().put(APPLY, of("team", fqn, "team-manager")).await.refused(404, "reference_not_found");
    }
    for fqn in ["crew", "default:crew", "default:team:crew"] {
        app.admin().put(APPLY, of("team", fqn, "team-manager")).await.expect(200);
    }
    app.admin().put(APPLY, of("team", "crew", "team-member")).await.refused(422, "invalid_input");
}

#[tokio::test]
async fn only_managers_of_an_account_see_its_manifests() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[]).await;
    app.apply(&account(&["team:everyone"])).await;
    for path in ["/api/svc/v1/provider-accounts", "/api/svc/v1/provider-integrations"] {
        for client in [&cast.stranger, &cast.machine] {
            let answer = client.get(path).await;
            assert!(answer.text.contains("shop") && !answer.text.contains("authorized"), "{}", answer.text);
        }
        assert!(app.admin().get(path).await.text.contains("authorized_subjects"));
    }
}
