//! Role bindings that are made without a name, and those that are written down from what is granted.

use serde_json::{Value, json};
use strongroom_testkit::{Client, TestApp};

use crate::support::{ABSENT, GROUPS, SECRETS, USERS, column, count_events, list, text};

const BINDINGS: &str = "/api/svc/v1/role-bindings";
const INLINE: &str = "/api/svc/v1/role-bindings/inline";
const GENERATE: &str = "/api/svc/v1/role-bindings/generate-manifest";

fn on_group(group: &str, subject: &str, role: &str) -> Value {
    json!({
        "resourceType": "secret-group",
        "resourceFqn": format!("default:{group}"),
        "subjectFqn": subject,
        "role": format!("secret-group-{role}"),
    })
}

async fn total(client: &Client) -> Value {
    client.get(BINDINGS).await.expect(200)["pagination"]["total"].clone()
}

#[tokio::test]
async fn each_role_becomes_a_binding_of_its_own() {
    let mut app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "v")]).await;
    app.apply(&json!({"type": "team", "name": "crew", "members": []})).await;
    let stranger = format!("user:{}", cast.stranger.name());
    let machine = format!("serviceaccount:{}", cast.drone.name());
    let asked = json!({"roleBindings": [
        on_group("shared", &stranger, "viewer"),
        on_group("shared", &machine, "manager"),
        on_group("shared", "team:crew", "reader"),
    ]});
    let made = cast.owner.post(INLINE, asked.clone()).await.expect(200);
    let manifests: Vec<&Value> = list(&made, "/data").iter().map(|row| &row["manifest"]).collect();
    let name = format!("virtualaccount:{}", cast.drone.name());
    for (manifest, (subject, role)) in
        manifests.iter().zip([(stranger.as_str(), "viewer"), (&name, "admin"), ("team:crew", "reader")])
    {
        let (kind, subject) = subject.split_once(':').unwrap();
        assert_eq!(manifest["subjects"], json!([{"type": kind, "name": subject}]));
        let role_id = format!("secret-group-{role}");
        let permission = json!({"resourceType": "secret-group", "resourceFqn": "default:shared", "role": role_id});
        assert_eq!(manifest["permissions"], json!([permission]));
        assert!(text(manifest, "/name").starts_with(&format!("sg-shared-{role}-")), "{manifest}");
    }
    // They hold, and are bindings like any other.
    cast.stranger.get(&cast.group_path()).await.expect(200);
    cast.drone.put(&cast.group_path(), json!({"secrets": [{"key": "K", "value": "w"}]})).await.expect(200);
    assert_eq!(total(&cast.owner).await, 3);
    for row in list(&made, "/data") {
        let id = text(row, "/id");
        assert_eq!(&cast.owner.get(&format!("{BINDINGS}/{id}")).await.expect(200)["data"], row);
        assert_eq!(count_events(&app, &format!("action=CREATE_ROLE_BINDING&resourceId={id}")).await, 1);
    }
    // Asked for again they are the same, and hold again where they were taken away meanwhile.
    app.tamper().run("DELETE FROM grants WHERE source = 'role-binding'");
    app.restart().await;
    let again = cast.owner.post(INLINE, asked).await.expect(200);
    assert_eq!(column(&again, "/data", "/id"), column(&made, "/data", "/id"));
    assert_eq!(total(&cast.owner).await, 3);
    assert_eq!(app.tamper().number("SELECT COUNT(*) FROM grants WHERE source = 'role-binding'"), 3);
    let id = text(&made, "/data/0/id");
    cast.owner.delete(&format!("{BINDINGS}/{id}")).await.expect(200);
    cast.stranger.get(&cast.group_path()).await.refused(404, "secret_group_not_found");

    // Whether a name is taken is told to everybody: so it can't be put together from what such a one knows.
    cast.owner.delete(&cast.group_path()).await.expect(200);
    app.group(&cast.owner, "shared", &[]).await;
    let other = json!({"roleBindings": [on_group("shared", &stranger, "viewer")]});
    let other = cast.owner.post(INLINE, other).await.expect(200);
    assert_eq!(text(&other, "/data/0/name").len(), text(&made, "/data/0/name").len());
    assert_ne!(text(&other, "/data/0/name"), text(&made, "/data/0/name"));
}

#[tokio::test]
async fn all_of_them_or_none() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "v")]).await;
    app.group(&app.admin(), "hidden", &[]).await;
    let stranger = format!("user:{}", cast.stranger.name());
    let good = on_group("shared", &stranger, "viewer");
    let account =
        |role: &str| json!({"resourceType": "account", "resourceFqn": "default", "subjectFqn": stranger, "role": role});
    for (bad, status, code) in [
        (on_group("hidden", &stranger, "viewer"), 404, "reference_not_found"),
        (on_group("absent", &stranger, "viewer"), 404, "reference_not_found"),
        (on_group("shared", "user:none@example.com", "viewer"), 404, "reference_not_found"),
        (account("tenant-admin"), 403, "forbidden"),
    ] {
        let asked = json!({"roleBindings": [good, bad]});
        cast.owner.post(INLINE, asked).await.refused(status, code);
        assert_eq!(total(&app.admin()).await, 0);
        assert_eq!(count_events(&app, "action=CREATE_ROLE_BINDING").await, 0);
    }
    cast.viewer.post(INLINE, json!({"roleBindings": [good]})).await.refused(403, "forbidden");
    cast.stranger.get(&cast.group_path()).await.refused(404, "secret_group_not_found");
    // The admin gives what is the tenant's, too.
    let team = json!({"resourceType": "provider-integration", "resourceFqn": app.integration_fqn(),
        "subjectFqn": "team:everyone", "role": "provider-integration-access"});
    let asked = json!({"roleBindings": [account("tenant-admin"), team, good]});
    let made = app.admin().post(INLINE, asked).await.expect(200);
    let names = column(&made, "/data", "/name");
    for (name, start) in
        names.iter().zip(["account-default-tenant-admin-", "pi-default-ss-db-access-", "sg-shared-viewer-"])
    {
        assert!(name.starts_with(start), "{name}");
    }
    assert_eq!(cast.stranger.get(USERS).await.expect(200)["data"].as_array().unwrap().len(), 6);
    cast.stranger.get("/api/svc/v1/virtual-accounts").await.expect(200);
    // What was made so and is about more now is not written over.
    let mut manifest = list(&made, "/data")[2]["manifest"].clone();
    manifest["subjects"] = json!([{"type": "user", "name": cast.viewer.name()}]);
    cast.owner.put(BINDINGS, json!({"manifest": manifest})).await.expect(200);
    cast.owner.post(INLINE, json!({"roleBindings": [good]})).await.refused(409, "name_taken");
}

#[tokio::test]
async fn every_fault_of_an_entry_is_named() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[]).await;
    let good = on_group("shared", "user:shared-viewer@example.com", "viewer");
    let with = |field: &str, value: Value| {
        let mut entry = good.clone();
        entry[field] = value;
        entry
    };
    for (entries, faults) in [
        (json!([]), vec!["roleBindings"]),
        (json!([good, good]), vec!["roleBindings[1]"]),
        (
            json!([
                with("resourceType", json!("workspace")),
                with("role", json!("workspace-admin")),
                good,
                with("resourceFqn", json!("")),
                with("subjectFqn", json!("shared-viewer@example.com")),
                with("subjectFqn", json!("external-identity:x")),
            ]),
            vec![
                "roleBindings[0].resourceType",
                "roleBindings[1].role",
                "roleBindings[3].resourceFqn",
                "roleBindings[4].subjectFqn",
                "roleBindings[5].subjectFqn",
            ],
        ),
        (json!([with("resourceFqn", json!("default:a\u{0}b"))]), vec!["roleBindings[0].resourceFqn"]),
        (json!(vec![good.clone(); 1_001]), vec!["roleBindings"]),
        (json!([with("role", json!(1))]), vec!["roleBindings[0].role"]),
        (json!([["secret-group", "default:shared", "user:a@b.c", "secret-group-viewer"]]), vec!["roleBindings[0]"]),
    ] {
        let answer = cast.owner.post(INLINE, json!({"roleBindings": entries})).await;
        answer.refused(422, "invalid_input");
        assert_eq!(answer.faults(), faults);
    }
    assert_eq!(cast.owner.post(INLINE, json!({})).await.status, 422);
    assert_eq!(total(&app.admin()).await, 0);
}

/// Manifests as one line each: subjects, role, resources, and until when.
async fn generated(client: &Client, query: &str) -> Vec<String> {
    let found = client.get(&format!("{GENERATE}?{query}")).await.expect(200);
    let lines = list(&found, "/data").iter().map(|manifest| {
        let subjects =
            list(manifest, "/subjects").iter().map(|one| format!("{}:{}", text(one, "/type"), text(one, "/name")));
        let permissions = list(manifest, "/permissions").iter().map(|one| {
            let until = one["expires_at"].as_str().map_or_else(String::new, |until| format!(" until {until}"));
            format!("{} {}{until}", text(one, "/resourceFqn"), text(one, "/role"))
        });
        format!("{}: {}", subjects.collect::<Vec<_>>().join(", "), permissions.collect::<Vec<_>>().join(", "))
    });
    lines.collect()
}

async fn apply_all(client: &Client, query: &str) {
    let found = client.get(&format!("{GENERATE}?{query}")).await.expect(200);
    for manifest in list(&found, "/data") {
        client.put(BINDINGS, json!({"manifest": manifest})).await.expect(200);
    }
}

async fn names(client: &Client, query: &str) -> Vec<String> {
    let found = client.get(&format!("{GENERATE}?{query}")).await.expect(200);
    column(&found, "/data", "/name").into_iter().map(str::to_owned).collect()
}

const SOON: &str = "2026-11-25T00:00:00.000Z";

fn collaborator(subject: &str, role: &str) -> Value {
    json!({"subject": subject, "role_id": format!("secret-group-{role}")})
}

fn ending(subject: &str, role: &str) -> Value {
    let mut one = collaborator(subject, role);
    one["expires_at"] = SOON.into();
    one
}

#[tokio::test]
async fn a_group_s_roles_as_bindings_give_the_same_roles() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "v")]).await;
    app.group(&app.admin(), "other", &[]).await;
    app.apply(&json!({"type": "team", "name": "crew", "members": []})).await;
    let bound = [on_group("shared", "team:crew", "viewer"), on_group("shared", "team:everyone", "viewer")];
    let bound = cast.owner.post(INLINE, json!({"roleBindings": bound})).await.expect(200);
    let mut manifest = app.manifest("shared", &[]);
    manifest["collaborators"] = json!([
        collaborator("user:shared-owner@example.com", "admin"),
        collaborator("user:shared-viewer@example.com", "viewer"),
        ending("user:shared-editor@example.com", "viewer"),
        ending("user:shared-stranger@example.com", "viewer"),
        // The machine has the same by its own manifest, and the team by a binding, without an end.
        ending("virtualaccount:shared-machine", "editor"),
        ending("team:crew", "viewer"),
    ]);
    cast.owner.put(GROUPS, json!({"manifest": manifest})).await.expect(200);
    let query = format!("resourceType=secret-group&resourceId={}", cast.group_id);
    let on = "default:shared secret-group";
    let expected = [
        format!("user:shared-owner@example.com: {on}-admin"),
        format!("virtualaccount:shared-machine: {on}-editor"),
        format!("team:crew, team:everyone, user:shared-viewer@example.com: {on}-viewer"),
        format!("user:shared-editor@example.com, user:shared-stranger@example.com: {on}-viewer until {SOON}"),
    ];
    assert_eq!(generated(&cast.owner, &query).await, expected);
    apply_all(&cast.owner, &query).await;
    let named = names(&cast.owner, &query).await;
    // With everything else that gives roles taken away, they give the same.
    manifest["collaborators"] = json!([]);
    app.admin().put(GROUPS, json!({"manifest": manifest})).await.expect(200);
    let elsewhere =
        json!([{"resource_type": "secret-group", "resource_fqn": "default:other", "role_id": "secret-group-viewer"}]);
    app.apply(&json!({"type": "virtual-account", "name": "shared-machine", "permissions": elsewhere})).await;
    for row in list(&bound, "/data") {
        app.admin().delete(&format!("{BINDINGS}/{}", text(row, "/id"))).await.expect(200);
    }
    let path = format!(
        "/api/v1/access/explain?subject=virtualaccount:shared-machine&action=write-secrets&resource={}",
        cast.group_id
    );
    let through = cast.owner.get(&path).await.expect(200);
    assert_eq!(column(&through, "/through", "/source"), ["role-binding"], "nothing else gives the role");
    assert_eq!(generated(&app.admin(), &query).await, expected);
    cast.machine.put(&cast.group_path(), json!({"secrets": [{"key": "K", "value": "w"}]})).await.expect(200);
    // The same roles have the same names, however often they are written down; so applying them again changes nothing.
    assert_eq!(names(&cast.owner, &query).await, named);
    apply_all(&cast.owner, &query).await;
    assert_eq!(total(&cast.owner).await, expected.len());
    app.clock.advance_days(2);
    assert_eq!(generated(&app.admin(), &query).await, expected[..3]);
}

#[tokio::test]
async fn roles_on_everything_else_as_bindings_give_the_same_roles() {
    let app = TestApp::start().await;
    let (alice, bob) = (app.person("alice@example.com").await, app.person("bob@example.com").await);
    app.machine("robot", &[]).await;
    let account = |subjects: &[&str]| {
        let integration =
            json!({"type": "integration/secret-store/truefoundry/db", "name": "db", "authorized_subjects": subjects});
        json!({"type": "provider-account/truefoundry", "name": "shop", "integrations": [integration]})
    };
    let made = app.apply(&account(&["team:everyone", "virtualaccount:robot"])).await;
    let (account_id, integration_id) = (text(&made, "/data/id"), text(&made, "/data/integrations/0/id"));
    let team = |managers: &[&str]| json!({"type": "team", "name": "crew", "members": [], "managers": managers});
    let crew = app.apply(&team(&[alice.name()])).await;
    app.apply(&json!({
        "type": "role", "name": "auditor", "displayName": "x", "description": "Of the test.",
        "resourceType": "account", "permissions": ["audit-log:read"],
    }))
    .await;
    let granted = |kind: &str, fqn: &str, role: &str| json!({"resourceType": kind, "resourceFqn": fqn, "subjectFqn": "user:bob@example.com", "role": role});
    let bound = json!({"roleBindings": [
        granted("provider-account", "default:truefoundry:shop", "provider-account-manager"),
        granted("account", "default", "auditor"),
    ]});
    app.admin().post(INLINE, bound).await.expect(200);
    app.set_role(&alice, "tenant-admin").await;

    let tenant = app.admin().get("/api/svc/v1/x/users/info").await.expect(200);
    let tenant = text(&tenant, "/accounts/0/id").to_owned();
    let of = |kind: &str, id: &str| format!("resourceType={kind}&resourceId={id}");
    let queries = [
        of("provider-integration", integration_id),
        of("provider-account", account_id),
        of("team", text(&crew, "/data/id")),
        of("account", &tenant),
    ];
    let (store, manager) = ("default:truefoundry:shop:secret-store:db", "provider-account-manager");
    let expected: [&[String]; 4] = [
        &[format!("team:everyone, virtualaccount:robot: {store} provider-integration-access")],
        &[format!("user:bob@example.com: default:truefoundry:shop {manager}")],
        &["user:alice@example.com: crew team-manager".to_owned()],
        &[
            "user:bob@example.com: default auditor".to_owned(),
            "user:admin@example.com, user:alice@example.com: default tenant-admin".to_owned(),
            "user:bob@example.com: default tenant-member".to_owned(),
        ],
    ];
    for (query, expected) in queries.iter().zip(expected) {
        assert_eq!(generated(&app.admin(), query).await, expected, "{query}");
        bob.get(&format!("{GENERATE}?{query}")).await.refused(403, "forbidden");
        apply_all(&app.admin(), query).await;
    }
    assert_eq!(generated(&app.admin(), &of("tenant", &tenant)).await, expected[3]);
    app.apply(&account(&[])).await;
    app.apply(&team(&[])).await;
    app.set_role(&alice, "tenant-member").await;
    for (query, expected) in queries[..3].iter().zip(expected) {
        assert_eq!(generated(&app.admin(), query).await, expected, "{query}");
    }
    // What gave them the roles is gone, and they have them.
    alice.get("/api/svc/v1/virtual-accounts").await.expect(200);
    alice.put("/api/svc/v1/teams", json!({"manifest": team(&[])})).await.expect(200);
    let group = json!({"name": "new", "integrationId": integration_id, "secrets": []});
    bob.post(GROUPS, group).await.expect(200);
}

#[tokio::test]
async fn a_subject_s_roles_as_bindings_give_the_same_roles() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "v")]).await;
    let (bob, lead) = (app.person("bob@example.com").await, app.person("lead@example.com").await);
    let crew = app
        .apply(
            &json!({"type": "team", "name": "crew", "members": ["bob@example.com"], "managers": ["bob@example.com"]}),
        )
        .await;
    app.group(&app.admin(), "other", &[]).await;
    app.group(&app.admin(), "of-the-team", &[]).await;
    let share = async |group: &str, collaborators: Value| {
        let mut manifest = app.manifest(group, &[]);
        manifest["collaborators"] = collaborators;
        app.admin().put(GROUPS, json!({"manifest": manifest})).await.expect(200);
    };
    share("other", json!([ending("user:bob@example.com", "viewer")])).await;
    share("of-the-team", json!([collaborator("team:crew", "editor")])).await;
    let asked = |kind: &str, fqn: &str, subject: &str, role: &str| json!({"resourceType": kind, "resourceFqn": fqn, "subjectFqn": subject, "role": role});
    let me = "user:bob@example.com";
    let bound = json!({"roleBindings": [
        on_group("shared", me, "viewer"),
        on_group("shared", me, "editor"),
        asked("team", "crew", "team:crew", "team-manager"),
        asked("account", "default", "team:crew", "tenant-member"),
        asked("provider-integration", &app.integration_fqn(), me, "provider-integration-access"),
    ]});
    app.admin().post(INLINE, bound).await.expect(200);
    let account = "default:truefoundry:default";
    app.apply(&json!({
        "type": "role-binding", "name": "ending", "subjects": [{"type": "user", "name": bob.name()}],
        "permissions": [{
            "resourceType": "provider-account", "resourceFqn": account, "role": "provider-account-access", "expires_at": SOON,
        }],
    }))
    .await;
    let info = bob.get("/api/svc/v1/x/users/info").await.expect(200);
    let query = format!("subjectType=user&subjectId={}", text(&info, "/id"));
    let expected = [
        format!("{me}: {account} provider-account-access until {SOON}"),
        format!("{me}: {} provider-integration-access", app.integration_fqn()),
        format!("{me}: default:shared secret-group-editor"),
        format!("{me}: default:other secret-group-viewer until {SOON}, default:shared secret-group-viewer"),
        format!("{me}: crew team-manager"),
        format!("{me}: default tenant-member"),
    ];
    assert_eq!(generated(&app.admin(), &query).await, expected, "not what their team has");
    assert_eq!(generated(&bob, &query).await, expected);
    assert_eq!(generated(&bob, &format!("{query}&includeOnlyTenantRoles=true")).await, expected[5..]);
    let of_team = format!("subjectType=team&subjectId={}", text(&crew, "/data/id"));
    let of_the_team = [
        "team:crew: default:of-the-team secret-group-editor",
        "team:crew: crew team-manager",
        "team:crew: default tenant-member",
    ];
    assert_eq!(generated(&app.admin(), &of_team).await, of_the_team);
    assert_eq!(generated(&app.admin(), &format!("{of_team}&includeOnlyTenantRoles=true")).await, of_the_team[2..]);
    let everyone = generated(&app.admin(), "subjectType=team&subjectId=everyone").await;
    assert_eq!(everyone, [format!("team:everyone: {} provider-integration-access", app.integration_fqn())]);
    let machine = cast.machine.get("/api/svc/v1/x/users/info").await.expect(200);
    let machine = text(&machine, "/id");
    for kind in ["virtualaccount", "serviceaccount"] {
        let of_machine = format!("subjectType={kind}&subjectId={machine}");
        let has = ["virtualaccount:shared-machine: default:shared secret-group-editor"];
        assert_eq!(generated(&cast.machine, &of_machine).await, has);
        assert_eq!(generated(&app.admin(), &of_machine).await, has);
        lead.get(&format!("{GENERATE}?{of_machine}")).await.refused(403, "forbidden");
    }

    apply_all(&app.admin(), &query).await;
    share("other", json!([])).await;
    app.apply(&json!({"type": "team", "name": "crew", "members": [], "managers": []})).await;
    assert_eq!(generated(&app.admin(), &query).await, expected);
    app.clock.advance_days(2);
    let later = generated(&app.admin(), &query).await;
    assert_eq!(later[..2], expected[1..3], "what has ended is none of them");
    assert_eq!(later[2], format!("{me}: default:shared secret-group-viewer"));
    // Of others one is told nothing, whether they are there or not.
    for other in [text(&info, "/id"), ABSENT, "x"] {
        for client in [&lead, &cast.owner, &cast.machine] {
            let path = format!("{GENERATE}?subjectType=user&subjectId={other}");
            client.get(&path).await.refused(403, "forbidden");
        }
    }
    for (kind, id) in [("user", ABSENT), ("team", text(&info, "/id")), ("agent", machine), ("user", "x")] {
        let path = format!("{GENERATE}?subjectType={kind}&subjectId={id}");
        app.admin().get(&path).await.refused(404, "reference_not_found");
    }
}

#[tokio::test]
async fn many_roles_are_several_manifests() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "shared", &[]).await;
    let subjects: Vec<String> = (0..151).map(|number| format!("team:team-{number:03}")).collect();
    for subject in &subjects {
        let name = subject.strip_prefix("team:").unwrap();
        app.tamper().run(&format!("INSERT INTO subjects (name, id) VALUES ('{subject}', '{name}')"));
    }
    let collaborators: Vec<_> = subjects.iter().map(|subject| (subject.as_str(), "secret-group-viewer")).collect();
    admin.put(GROUPS, json!({"manifest": app.manifest("shared", &collaborators)})).await.expect(200);
    let query = format!("resourceType=secret-group&resourceId={}", text(&group, "/id"));
    let lines = generated(&admin, &query).await;
    let viewers: Vec<_> = lines.iter().filter(|line| line.ends_with("secret-group-viewer")).collect();
    assert_eq!(viewers.iter().map(|line| line.matches("team:").count()).collect::<Vec<_>>(), [150, 1]);
    apply_all(&admin, &query).await;
    admin.put(GROUPS, json!({"manifest": app.manifest("shared", &[])})).await.expect(200);
    assert_eq!(generated(&admin, &query).await.iter().filter(|line| line.ends_with("viewer")).count(), 2);
}

#[tokio::test]
async fn what_is_asked_for_is_one_resource_or_one_subject() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "v")]).await;
    let group = &cast.group_id;
    for (query, path) in [
        (String::new(), "query"),
        ("resourceType=secret-group".into(), "query"),
        (format!("resourceId={group}"), "query"),
        (format!("resourceType=secret-group&subjectId={group}"), "query"),
        (format!("resourceType=secret-group&resourceId={group}&subjectType=user"), "query"),
        (format!("resourceType=workspace&resourceId={group}"), "query.resourceType"),
        (format!("subjectType=robot&subjectId={group}"), "query.subjectType"),
        (format!("subjectType=user&subjectId={group}&includeOnlyTenantRoles=maybe"), "query.includeOnlyTenantRoles"),
    ] {
        let answer = cast.owner.get(&format!("{GENERATE}?{query}")).await;
        answer.refused(422, "invalid_input");
        assert_eq!(answer.faults(), [path], "{query}");
    }
    for id in [ABSENT, "x"] {
        for (kind, code) in [
            ("secret-group", "secret_group_not_found"),
            ("provider-integration", "reference_not_found"),
            ("provider-account", "provider_account_not_found"),
            ("team", "team_not_found"),
            ("account", "reference_not_found"),
        ] {
            let path = format!("{GENERATE}?resourceType={kind}&resourceId={id}");
            cast.admin.get(&path).await.refused(404, code);
        }
    }
    cast.owner.get(&format!("{SECRETS}/{}", cast.secret_id("K"))).await.expect(200);
    cast.owner.delete(&cast.group_path()).await.expect(200);
    let path = format!("{GENERATE}?resourceType=secret-group&resourceId={group}");
    cast.admin.get(&path).await.refused(404, "secret_group_not_found");
}

/// Who may not give what they ask for gets one answer, whether what they name is there or not.
#[tokio::test]
async fn who_may_not_give_a_role_is_not_told_who_and_what_there_is() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[]).await;
    app.apply(&json!({"type": "team", "name": "crew", "members": []})).await;
    let there = format!("user:{}", cast.stranger.name());
    let subjects = [there.as_str(), "user:nobody@example.com", "team:crew", "team:none", "virtualaccount:none"];
    let integration = app.integration_fqn();
    let account = integration.trim_end_matches(":secret-store:db").to_owned();
    let others = [
        ("team", "crew", "team-manager"),
        ("team", "none", "team-manager"),
        ("team", "crew", "custom"),
        ("provider-integration", integration.as_str(), "provider-integration-access"),
        ("provider-integration", "default:truefoundry:none:secret-store:db", "provider-integration-access"),
        ("provider-account", account.as_str(), "provider-account-access"),
        ("provider-account", "default:truefoundry:none", "provider-account-access"),
        ("account", "default", "tenant-admin"),
        ("account", "elsewhere", "tenant-admin"),
    ];
    let ask = async |client: &Client, subject: &str, (kind, fqn, role): (&str, &str, &str)| {
        let (subject_kind, name) = subject.split_once(':').unwrap();
        let binding = json!({
            "type": "role-binding", "name": "asked", "subjects": [{"type": subject_kind, "name": name}],
            "permissions": [{"resourceType": kind, "resourceFqn": fqn, "role": role}],
        });
        let inline = json!({"resourceType": kind, "resourceFqn": fqn, "subjectFqn": subject, "role": role});
        let inline = client.post(INLINE, json!({"roleBindings": [inline]})).await;
        // Each names its own field.
        let mut answers = vec![(inline.status, inline.text.replace("roleBindings[0]", "manifest.permissions[0]"))];
        for dry_run in [true, false] {
            let answer = client.put("/api/svc/v1/apply", json!({"manifest": binding, "dryRun": dry_run})).await;
            answers.push((answer.status, answer.text));
        }
        answers
    };
    for client in [&cast.drone, &cast.stranger, &cast.viewer, &cast.owner] {
        let mut refusals = Vec::new();
        for subject in subjects {
            for other in others {
                refusals.extend(ask(client, subject, other).await);
            }
        }
        refusals.dedup();
        assert_eq!(refusals.len(), 1, "{} is told {refusals:?}", client.name());
        assert_eq!(refusals[0].0, 403);
    }
    for (client, status) in [(&cast.drone, 404), (&cast.stranger, 404), (&cast.viewer, 403)] {
        let mut refusals = Vec::new();
        for subject in subjects {
            refusals.extend(ask(client, subject, ("secret-group", "default:shared", "secret-group-viewer")).await);
        }
        refusals.dedup();
        assert_eq!(refusals.len(), 1, "{} is told {refusals:?}", client.name());
        assert_eq!(refusals[0].0, status);
    }
    // Who may give it is told what is wrong.
    for (status, _) in
        ask(&cast.owner, "user:nobody@example.com", ("secret-group", "default:shared", "secret-group-viewer")).await
    {
        assert_eq!(status, 404);
    }
    assert_eq!(app.tamper().number("SELECT COUNT(*) FROM role_bindings"), 0);
}
