//! Teams: who manages them, and what they have.

use serde_json::{Value, json};
use strongroom_testkit::{Client, TestApp};

use crate::support::{ABSENT, GROUPS, column, events, list, text};

const TEAMS: &str = "/api/svc/v1/teams";

/// A team of nobody but those who manage it.
async fn team(app: &TestApp, name: &str, managers: &[&str]) -> String {
    let made = app.apply(&json!({"type": "team", "name": name, "members": [], "managers": managers})).await;
    text(&made, "/data/id").to_owned()
}

/// Binds a role on a resource to a subject.
async fn bind(app: &TestApp, name: &str, subject: &str, on: (&str, &str, &str), until: Option<&str>) {
    let (kind, subject) = subject.split_once(':').unwrap();
    let mut permission = json!({"resourceType": on.0, "resourceFqn": on.1, "role": on.2});
    if let Some(until) = until {
        permission["expires_at"] = until.into();
    }
    app.apply(&json!({
        "type": "role-binding", "name": name,
        "subjects": [{"type": kind, "name": subject}], "permissions": [permission],
    }))
    .await;
}

async fn role(app: &TestApp, name: &str, permissions: &[&str]) {
    app.apply(&json!({
        "type": "role", "name": name, "displayName": name, "description": "Of the test.",
        "resourceType": "team", "permissions": permissions,
    }))
    .await;
}

async fn managed(client: &Client, query: &str) -> (Vec<String>, Value) {
    let page = client.get(&format!("{TEAMS}/user?role=manager&{query}")).await.expect(200);
    let names = column(&page, "/data", "/teamName").into_iter().map(str::to_owned).collect();
    (names, page["pagination"]["total"].clone())
}

#[tokio::test]
async fn managed_teams_are_those_whose_members_one_chooses() {
    let app = TestApp::start().await;
    let lead = app.person("lead@example.com").await;
    role(&app, "leads", &["team:read", "team:manage-members"]).await;
    role(&app, "guests", &["team:read"]).await;
    let names = ["named", "bound", "custom", "by-team", "ending", "read-only", "foreign"];
    for name in names {
        team(&app, name, if name == "named" { &["lead@example.com"] } else { &[] }).await;
    }
    app.apply(&json!({"type": "team", "name": "crew", "members": [lead.name()]})).await;
    let me = "user:lead@example.com";
    bind(&app, "b-bound", me, ("team", "bound", "team-manager"), None).await;
    bind(&app, "b-again", me, ("team", "bound", "leads"), None).await;
    bind(&app, "b-custom", me, ("team", "custom", "leads"), None).await;
    bind(&app, "b-by-team", "team:crew", ("team", "by-team", "team-manager"), None).await;
    bind(&app, "b-ending", me, ("team", "ending", "team-manager"), Some("2026-11-25T00:00:00.000Z")).await;
    bind(&app, "b-read-only", me, ("team", "read-only", "guests"), None).await;

    // What is listed is what they may change.
    let chooses = async |name: &str| {
        let managers: &[&str] = if name == "named" { &["lead@example.com"] } else { &[] };
        let manifest = json!({"type": "team", "name": name, "members": [], "managers": managers});
        let answer = lead.put(TEAMS, json!({"manifest": manifest, "dryRun": true})).await;
        assert!([200, 403].contains(&answer.status), "{}", answer.text);
        answer.status == 200
    };
    let mut expected = vec!["ending", "by-team", "custom", "bound", "named"];
    for until_it_ends in [true, false] {
        for name in names {
            assert_eq!(chooses(name).await, expected.contains(&name), "{name}");
        }
        let total = expected.len();
        let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(managed(&lead, "").await, (strings(&expected), json!(total)));
        for offset in 0..=total {
            let page = &expected[offset..total.min(offset + 2)];
            assert_eq!(managed(&lead, &format!("limit=2&offset={offset}")).await, (strings(page), json!(total)));
        }
        if until_it_ends {
            app.clock.advance_days(2);
            expected.remove(0);
        }
    }
    // Admins of the tenant manage all.
    assert_eq!(managed(&app.admin(), "").await.1, json!(names.len() + 1));
    assert_eq!(managed(&app.person("nobody@example.com").await, "").await, (vec![], json!(0)));
}

/// A team's roles as a client is told of them, and the subject of each.
async fn roles(client: &Client, id: &str) -> Vec<String> {
    let found = client.get(&format!("{TEAMS}/{id}/permissions")).await.expect(200);
    let drawn = list(&found, "/data").iter().map(|row| {
        assert_eq!((text(row, "/subjectId"), text(row, "/subjectType")), (id, "team"));
        assert_eq!(text(row, "/roleName"), text(row, "/roleId"));
        assert!(row["resourceId"].is_string());
        let fqn = row["resourceFqn"].as_str().unwrap_or("-");
        format!("{} {fqn} {}", text(row, "/resourceType"), text(row, "/roleId"))
    });
    drawn.collect()
}

#[tokio::test]
async fn a_team_s_roles_are_told_as_far_as_one_sees_what_they_are_on() {
    let app = TestApp::start().await;
    let cast = app.cast("seen", &[("K", "v")]).await;
    let (insider, lead) = (app.person("insider@example.com").await, app.person("lead@example.com").await);
    let crew = app.apply(&json!({"type": "team", "name": "crew", "members": [insider.name()]})).await;
    let crew = text(&crew, "/data/id").to_owned();
    app.group(&app.admin(), "hidden", &[("K", "v")]).await;
    let integration = app.integration_fqn();
    bind(&app, "b-seen", "team:crew", ("secret-group", "default:seen", "secret-group-editor"), None).await;
    // Twice the same is one permission, another role is another.
    bind(&app, "b-seen-2", "team:crew", ("secret-group", "default:seen", "secret-group-editor"), None).await;
    bind(&app, "b-seen-3", "team:crew", ("secret-group", "default:seen", "secret-group-viewer"), None).await;
    bind(&app, "b-hidden", "team:crew", ("secret-group", "default:hidden", "secret-group-viewer"), None).await;
    bind(&app, "b-store", "team:crew", ("provider-integration", &integration, "provider-integration-access"), None)
        .await;
    let soon = Some("2026-11-25T00:00:00.000Z");
    bind(&app, "b-ending", "team:crew", ("account", "default", "tenant-member"), soon).await;
    // The roles of others are not the team's: not those of its members, nor of everyone.
    bind(&app, "b-other", "user:insider@example.com", ("secret-group", "default:seen", "secret-group-admin"), None)
        .await;
    bind(&app, "b-everyone", "team:everyone", ("account", "default", "tenant-member"), None).await;

    let hidden = ["secret-group default:hidden secret-group-viewer"];
    let seen = ["secret-group default:seen secret-group-editor", "secret-group default:seen secret-group-viewer"];
    let rest = ["account - tenant-member", "provider-integration - provider-integration-access"];
    let all: Vec<&str> = [&hidden[..], &seen, &rest].concat();
    assert_eq!(roles(&cast.admin, &crew).await, all);
    assert_eq!(roles(&insider, &crew).await, all, "what the team has reaches them");
    for client in [&cast.owner, &cast.viewer] {
        assert_eq!(roles(client, &crew).await, [&seen[..], &rest].concat());
    }
    assert_eq!(roles(&cast.stranger, &crew).await, rest);
    // Nothing in the answer tells how much was left out.
    let told = cast.stranger.get(&format!("{TEAMS}/{crew}/permissions")).await;
    assert!(!told.text.contains("hidden") && !told.text.contains("seen"), "{}", told.text);
    // Who manages the team may join it: they see what it has.
    assert_eq!(roles(&lead, &crew).await, rest);
    bind(&app, "b-lead", "user:lead@example.com", ("team", "crew", "team-manager"), None).await;
    assert_eq!(roles(&lead, &crew).await, all);
    // Who sees all groups sees them here.
    app.set_role(&cast.stranger, "tenant-admin").await;
    assert_eq!(roles(&cast.stranger, &crew).await, all);
    app.set_role(&cast.stranger, "tenant-member").await;
    assert_eq!(roles(&cast.stranger, &crew).await, rest);

    // What has ended, or lies in the trash, is none of them.
    app.clock.advance_days(2);
    cast.owner.delete(&cast.group_path()).await.expect(200);
    assert_eq!(roles(&cast.admin, &crew).await, [hidden[0], rest[1]]);
    for id in [ABSENT, "x", "everyone"] {
        cast.admin.get(&format!("{TEAMS}/{id}/permissions")).await.refused(404, "team_not_found");
        cast.machine.get(&format!("{TEAMS}/{id}/permissions")).await.refused(403, "forbidden");
    }
    let empty = team(&app, "empty", &[]).await;
    assert_eq!(roles(&cast.viewer, &empty).await, [""; 0]);
    cast.viewer.get(GROUPS).await.expect(200);
}

/// The official SDK fails on a whole list when one owner in it has no account.
#[tokio::test]
async fn an_owner_that_clients_cannot_read_is_neither_taken_nor_shown() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let team = json!({"type": "team", "name": "devs", "members": [], "ownedBy": {"account": "root"}});
    app.apply(&team).await;
    let account = json!({"type": "provider-account/truefoundry", "name": "spare", "ownedBy": {"account": "root"}});
    app.apply(&account).await;
    let group = json!({"type": "secret-group", "name": "prod", "integration_fqn": app.integration_fqn()});
    for (path, manifest) in [(TEAMS, team), ("/api/svc/v1/apply", account), (GROUPS, group)] {
        for owner in [json!({}), json!({"account": 5}), json!({"account": null}), json!({"team": "devs"})] {
            let mut manifest = manifest.clone();
            manifest["ownedBy"] = owner;
            let answer = admin.put(path, json!({"manifest": manifest})).await;
            assert_eq!(answer.faults(), ["manifest.ownedBy.account"]);
        }
    }
    // As earlier releases took it.
    let owned = |list: &Value| list[0]["manifest"].get("ownedBy").cloned();
    let lists = async || {
        let teams = admin.get(&format!("{TEAMS}/user")).await.expect(200);
        let accounts = admin.get("/api/svc/v1/provider-accounts?fqn=default:truefoundry:spare").await.expect(200);
        [owned(&teams["data"]), owned(&accounts["data"])]
    };
    assert_eq!(lists().await, [Some(json!({"account": "root"})), Some(json!({"account": "root"}))]);
    for table in ["teams", "provider_accounts"] {
        app.tamper().run(&format!("UPDATE {table} SET manifest = replace(manifest, '\"root\"', '5')"));
    }
    app.tamper().run("UPDATE change_number SET number = number + 1");
    assert_eq!(lists().await, [None, None]);
    let again = admin
        .put("/api/svc/v1/apply", json!({"manifest": {"type": "team", "name": "devs", "members": []}, "dryRun": true}))
        .await
        .expect(200);
    assert_eq!(again["existingManifest"], json!({"type": "team", "name": "devs", "members": []}));
}

#[tokio::test]
async fn the_people_of_a_team_are_filtered_as_the_sdk_documents_it() {
    let app = TestApp::start().await;
    for name in ["anna@x.io", "bob@x.io", "carl@y.io"] {
        app.person(name).await;
    }
    let people = json!(["anna@x.io", "bob@x.io", "carl@y.io"]);
    let team = app.apply(&json!({"type": "team", "name": "devs", "members": people, "managers": people})).await;
    let id = text(&team, "/data/id");
    for list in ["members", "managers"] {
        let ask = async |filter: &Value, page: &str| {
            let filter = strongroom_testkit::encode(&filter.to_string());
            app.admin().get(&format!("{TEAMS}/{id}/{list}?filter={filter}{page}")).await
        };
        let at_x = json!({"type": "AND", "children": [{"column": "email", "op": "STRING_CONTAINS", "value": "@x.io"}]});
        let found = ask(&at_x, "&limit=1&offset=1").await.expect(200);
        assert_eq!(column(&found, "/data", "/subjectSlug"), ["bob@x.io"]);
        assert_eq!(found["pagination"]["total"], 2);
        let by_id = json!({"column": "userId", "op": "IN", "value": [text(&found, "/data/0/subjectId")]});
        let found = ask(&by_id, "").await.expect(200);
        assert_eq!(column(&found, "/data", "/subjectSlug"), ["bob@x.io"]);
        assert_eq!(ask(&json!({"column": "name", "op": "EQUAL", "value": "x"}), "").await.faults(), ["query.filter"]);
    }
    assert_eq!(app.admin().get(&format!("{TEAMS}/user?role=owner")).await.faults(), ["query.role"]);
}

#[tokio::test]
async fn events_say_who_came_into_a_team_and_who_went() {
    let app = TestApp::start().await;
    for name in ["anna@x.io", "bob@x.io"] {
        app.person(name).await;
    }
    let team = |members: &[&str], managers: &[&str]| json!({"type": "team", "name": "devs", "members": members, "managers": managers});
    app.apply(&team(&["anna@x.io"], &["anna@x.io"])).await;
    app.apply(&team(&["bob@x.io"], &["anna@x.io"])).await;
    app.admin().post("/api/svc/v1/delete", json!({"manifest": team(&[], &[])})).await.expect(200);
    let told = events(&app, "resourceFqn=default:team:devs").await;
    assert_eq!(column(&json!(told), "", "/action"), ["DELETE_TEAM", "UPDATE_TEAM", "CREATE_TEAM"]);
    let none = json!({"count": 0, "names": []});
    let one = |name: &str| json!({"count": 1, "names": [format!("user:{name}")]});
    assert_eq!(
        told[1]["metaData"],
        json!({
            "members": {"count": 1, "added": one("bob@x.io"), "removed": one("anna@x.io")},
            "managers": {"count": 1, "added": none, "removed": none},
        })
    );
    assert_eq!(told[2]["metaData"]["managers"]["added"], one("anna@x.io"));
    assert_eq!(told[0]["metaData"]["members"]["removed"], one("bob@x.io"));
}

#[tokio::test]
async fn events_say_whom_an_integration_was_opened_to() {
    let app = TestApp::start().await;
    let account = |subjects: &[&str]| {
        let kind = "integration/secret-store/truefoundry/db";
        let integrations = json!([
            {"type": kind, "name": "db", "authorized_subjects": subjects},
            {"type": kind, "name": "same", "authorized_subjects": ["team:everyone"]},
        ]);
        json!({"type": "provider-account/truefoundry", "name": "spare", "integrations": integrations})
    };
    app.apply(&account(&["team:everyone"])).await;
    app.apply(&account(&["user:admin@example.com"])).await;
    let told = events(&app, "action=UPDATE_PROVIDER_ACCOUNT").await;
    let one = |name: &str| json!({"count": 1, "names": [name]});
    let changed = json!({"count": 1, "added": one("user:admin@example.com"), "removed": one("team:everyone")});
    assert_eq!(told[0]["metaData"]["authorizedSubjects"], json!({"db": changed}));
}

#[tokio::test]
async fn built_in_roles_say_what_they_are() {
    let app = TestApp::start().await;
    let found = app.admin().get("/api/svc/v1/roles").await.expect(200);
    for role in list(&found, "/data") {
        assert_eq!(text(role, "/createdBySubject/subjectSlug"), "strongroom");
        assert!(!text(role, "/manifest/description").is_empty());
        let none = list(role, "/manifest/permissions").is_empty();
        assert_eq!(none, role["name"] == "tenant-member", "{role}");
    }
    let reader = list(&found, "/data").iter().find(|role| role["name"] == "secret-group-reader").unwrap();
    assert_eq!(reader["manifest"]["permissions"], json!(["secret-group:view", "secret-group:read-values"]));
}

#[tokio::test]
async fn an_account_goes_when_nothing_of_its_groups_can_come_back() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let kind = "integration/secret-store/truefoundry/db";
    let integrations = json!([{"type": kind, "name": "one"}, {"type": kind, "name": "two"}]);
    let account = json!({"type": "provider-account/truefoundry", "name": "spare", "integrations": integrations});
    let fewer = json!({"type": "provider-account/truefoundry", "name": "spare", "integrations": []});
    app.apply(&account).await;
    let group = json!({"type": "secret-group", "name": "prod", "integration_fqn": "default:truefoundry:spare:secret-store:one"});
    let group = app.apply(&group).await;
    let delete = async || admin.post("/api/svc/v1/delete", json!({"manifest": account})).await;
    assert!(delete().await.refused(422, "in_use").contains("1 that are used and 0 in the trash"));
    admin.delete(&format!("{GROUPS}/{}", text(&group, "/data/id"))).await.expect(200);
    for answer in [delete().await, admin.put("/api/svc/v1/apply", json!({"manifest": fewer})).await] {
        let message = answer.refused(422, "in_use");
        assert!(message.contains("0 that are used and 1 in the trash") && message.contains("2026-12-2"), "{message}");
    }
    app.clock.advance_days(31);
    assert_eq!(app.instance().purge_now().await.unwrap(), 1);
    delete().await.expect(200);
}
