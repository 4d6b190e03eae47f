//! People: who is there, what they may do in the tenant, how they come in and go.

use serde_json::{Value, json};
use strongroom_testkit::{Answer, Client, TestApp};

use crate::support::{
    ABSENT, GROUPS, INVITATIONS, TOKENS, USERS, column, count_events, events, group_path, list, text,
};

const ADMIN: &str = "admin@example.com";
const PAGE: &str = "https://console.example.com/welcome";

async fn set_role(client: &Client, email: &str, role: &str) -> Answer {
    client.request("PATCH", &format!("{USERS}/roles")).json(&json!({"email": email, "roles": [role]})).send().await
}

async fn set_active(client: &Client, email: &str, active: bool) -> Answer {
    let path = format!("{USERS}/{}", if active { "activate" } else { "deactivate" });
    client.request("PATCH", &path).json(&json!({"email": email})).send().await
}

async fn info(client: &Client) -> Value {
    client.get("/api/svc/v1/x/users/info").await.expect(200)
}

async fn id_of(client: &Client) -> String {
    text(&info(client).await, "/id").to_owned()
}

/// The code of a new invitation.
async fn invite(app: &TestApp, email: &str) -> String {
    let wanted = json!({"email": email, "acceptInviteClientUrl": PAGE});
    let link = app.admin().post(&format!("{USERS}/invite"), wanted).await.expect(200);
    text(&link, "/link").strip_prefix(&format!("{PAGE}#invitation=")).expect("the code in the fragment").to_owned()
}

async fn accept(app: &TestApp, code: &str) -> Answer {
    app.client("guest", None).post(INVITATIONS, json!({"code": code})).await
}

/// Makes a role of the tenant's own from behind.
fn custom_role(app: &TestApp, name: &str, resource_type: &str, permissions: &[&str]) {
    let permissions = json!(permissions).to_string();
    app.tamper().run(&format!(
        "INSERT INTO roles (id, name, resource_type, permissions, manifest, created_by, created_at, updated_at) \
         VALUES ('{name}', '{name}', '{resource_type}', '{permissions}', '{{}}', '{{}}', 1, 1)"
    ));
}

#[tokio::test]
async fn people_are_listed_newest_first_and_found_by_address() {
    let app = TestApp::start().await;
    let (one, two) = (app.person("one@example.com").await, app.person("two_x@example.com").await);
    let all = one.get(USERS).await.expect(200);
    assert_eq!(column(&all, "/data", "/email"), ["two_x@example.com", "one@example.com", ADMIN]);
    assert_eq!(all["pagination"]["total"], 3);
    let found = &one.get(&format!("{USERS}?query=TWO_X")).await.expect(200);
    assert_eq!(column(found, "/data", "/email"), ["two_x@example.com"]);
    // What means something to LIKE means itself.
    assert!(list(&one.get(&format!("{USERS}?query=one_e")).await.expect(200), "/data").is_empty());
    // The SDK's pager goes on by what it got until a page is empty; whoever comes meanwhile shifts nothing.
    let mut seen = Vec::new();
    loop {
        let page = one.get(&format!("{USERS}?limit=1&offset={}", seen.len())).await.expect(200);
        let Some(user) = list(&page, "/data").first() else { break };
        seen.push(text(user, "/email").to_owned());
        app.admin()
            .post(&format!("{USERS}/register"), json!({"email": format!("{}@b.c", seen.len())}))
            .await
            .expect(200);
    }
    assert_eq!(seen, ["two_x@example.com", "one@example.com", ADMIN]);
    let id = id_of(&two).await;
    let user = one.get(&format!("{USERS}/{id}")).await.expect(200);
    let user = &user["data"];
    assert_eq!((text(user, "/email"), user["roles"].clone()), ("two_x@example.com", json!(["tenant-member"])));
    assert_eq!((user["active"].clone(), user["isEditable"].clone()), (json!(true), json!(true)));
    for id in [ABSENT, "1"] {
        one.get(&format!("{USERS}/{id}")).await.refused(404, "user_not_found");
    }
}

#[tokio::test]
async fn a_deactivated_person_stops_at_once_and_keeps_everything() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "v")]).await;
    let email = cast.editor.name().to_owned();
    let off = set_active(&cast.admin, &email, false).await.expect(200);
    assert_eq!(off["data"]["active"], false);
    cast.editor.get(&cast.secret_path("K")).await.refused(401, "unauthenticated");
    let seen = |query: &str| format!("{USERS}?query=shared-editor{query}");
    assert!(list(&cast.owner.get(&seen("")).await.expect(200), "/data").is_empty());
    assert_eq!(list(&cast.owner.get(&seen("&showInvalidUsers=true")).await.expect(200), "/data").len(), 1);
    // Nothing new is nothing to record.
    set_active(&cast.admin, &email, false).await.expect(200);
    assert_eq!(count_events(&app, "action=DEACTIVATE_USER").await, 1);
    set_active(&cast.admin, &email, true).await.expect(200);
    cast.editor.get(&cast.secret_path("K")).await.expect(200);
    assert_eq!(count_events(&app, "action=ACTIVATE_USER").await, 1);
    set_active(&cast.admin, "none@example.com", false).await.refused(404, "reference_not_found");
    let elsewhere = json!({"email": email, "tenantName": "other"});
    let elsewhere = cast.admin.request("PATCH", &format!("{USERS}/deactivate")).json(&elsewhere).send().await;
    elsewhere.refused(404, "reference_not_found");
}

#[tokio::test]
async fn a_role_counts_at_once_and_must_be_one_of_the_tenant() {
    let app = TestApp::start().await;
    let (admin, person) = (app.admin(), app.person("one@example.com").await);
    let audit = "/api/svc/v1/audit-logs?metric=count";
    person.get(audit).await.refused(403, "forbidden");
    let given = set_role(&admin, "One@Example.com", "tenant-admin").await.expect(200);
    assert_eq!(given["data"]["roles"], json!(["tenant-admin"]));
    person.get(audit).await.expect(200);
    assert_eq!(info(&person).await["roles"], json!(["tenant-admin"]));
    set_role(&admin, "one@example.com", "tenant-member").await.expect(200);
    person.get(audit).await.refused(403, "forbidden");

    custom_role(&app, "registrar", "account", &["user:register"]);
    custom_role(&app, "captain", "team", &["team:manage-members"]);
    for role in ["captain", "nothing", "secret-group-admin", ""] {
        set_role(&admin, "one@example.com", role).await.refused(404, "reference_not_found");
    }
    let path = format!("{USERS}/roles");
    for (body, fault) in [
        (json!({"email": "one@example.com", "roles": []}), "roles"),
        (json!({"email": "one@example.com", "roles": ["tenant-admin", "tenant-member"]}), "roles"),
        (json!({"email": "one@example.com", "roles": ["tenant-admin"], "resourceType": "team"}), "resourceType"),
    ] {
        assert_eq!(admin.request("PATCH", &path).json(&body).send().await.faults(), [fault]);
    }
    let told = events(&app, "action=UPDATE_USER_ROLES").await;
    assert_eq!(told.len(), 2);
    assert_eq!(told[1]["metaData"], json!({"role": {"before": "tenant-member", "after": "tenant-admin"}}));

    // What a role of one's own allows, and no more.
    let (register, two) = (format!("{USERS}/register"), json!({"email": "two@example.com"}));
    let told = person.post(&register, two.clone()).await;
    assert!(told.refused(403, "forbidden").contains("user:register"));
    set_role(&admin, "one@example.com", "registrar").await.expect(200);
    person.post(&register, two).await.expect(200);
    let wanted = json!({"email": "two@example.com", "acceptInviteClientUrl": PAGE});
    person.post(&format!("{USERS}/invite"), wanted).await.refused(403, "forbidden");
    assert_eq!(
        count_events(&app, "action=USE_OPERATION&resourceName=User.register").await,
        1,
        "the refusal is on record"
    );
}

#[tokio::test]
async fn an_active_admin_is_always_left() {
    let app = TestApp::start().await;
    let (admin, id) = (app.admin(), id_of(&app.admin()).await);
    let refused = set_role(&admin, ADMIN, "tenant-member").await;
    assert!(refused.refused(422, "last_admin").contains("tenant-admin"));
    set_active(&admin, ADMIN, false).await.refused(422, "last_admin");
    for force in ["", "?forceDelete=true"] {
        admin.delete(&format!("{USERS}/{id}{force}")).await.refused(422, "last_admin");
    }
    // One who can't act is none.
    app.person("two@example.com").await;
    set_active(&admin, "two@example.com", false).await.expect(200);
    set_role(&admin, "two@example.com", "tenant-admin").await.expect(200);
    set_active(&admin, ADMIN, false).await.refused(422, "last_admin");
    set_active(&admin, "two@example.com", true).await.expect(200);
    set_active(&admin, ADMIN, false).await.expect(200);
}

#[tokio::test]
async fn of_two_admins_who_demote_each_other_one_is_left() {
    let app = TestApp::start().await;
    let admin = app.admin();
    for round in 0..10 {
        let name = |which: &str| format!("{which}-{round}@example.com");
        let (left, right) = (app.person(&name("left")).await, app.person(&name("right")).await);
        for client in [&left, &right] {
            set_role(&admin, client.name(), "tenant-admin").await.expect(200);
        }
        // Two are left in the tenant but for the first one, who is out of the way.
        set_active(&left, ADMIN, false).await.expect(200);
        let (one, other) = tokio::join!(
            set_role(&left, right.name(), "tenant-member"),
            set_role(&right, left.name(), "tenant-member")
        );
        let mut answers = [one.status, other.status];
        answers.sort_unstable();
        assert!(answers == [200, 422] || answers == [200, 403], "{answers:?}");
        let (winner, loser) = if one.status == 200 { (&left, &right) } else { (&right, &left) };
        loser.get("/api/svc/v1/audit-logs?metric=count").await.refused(403, "forbidden");
        winner.get("/api/svc/v1/audit-logs?metric=count").await.expect(200);
        set_active(winner, ADMIN, true).await.expect(200);
        set_role(&admin, winner.name(), "tenant-member").await.expect(200);
    }
}

#[tokio::test]
async fn who_goes_leaves_nothing_behind() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "v")]).await;
    let path = format!("{USERS}/{}", id_of(&cast.editor).await);
    let code = invite(&app, cast.editor.name()).await;
    let held = cast.admin.delete(&path).await;
    let told = held.refused(422, "in_use");
    assert!(told.contains("1 secret group ") && told.contains("0 teams") && told.contains("forceDelete"), "{told}");
    cast.editor.get(&cast.secret_path("K")).await.expect(200);
    cast.admin.delete(&format!("{path}?tenantName=other")).await.refused(404, "reference_not_found");
    cast.admin.delete(&format!("{path}?forceDelete=true&tenantName=default")).await.expect(200);
    cast.editor.get(GROUPS).await.refused(401, "unauthenticated");
    accept(&app, &code).await.refused(401, "unauthenticated");
    cast.admin.delete(&path).await.refused(404, "user_not_found");
    let told = &events(&app, "action=DELETE_USER").await[0];
    assert_eq!(told["metaData"], json!({"secretGroups": 1, "teams": 0, "roles": 0}));
    // The manifest shows what was applied; the grant is gone, and stays away from who comes with the same address.
    let group = cast.owner.get(&cast.group_path()).await.expect(200)["data"].take();
    assert!(group["manifest"].to_string().contains(cast.editor.name()));
    let again = app.person(cast.editor.name()).await;
    again.get(&cast.secret_path("K")).await.refused(404, "secret_not_found");
    cast.owner.get(&cast.secret_path("K")).await.expect(200);
    // Who has nothing goes without force.
    let stranger = format!("{USERS}/{}", id_of(&cast.stranger).await);
    cast.admin.delete(&stranger).await.expect(200);
    cast.stranger.get(GROUPS).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn teams_the_trash_and_other_roles_stand_in_the_way_and_what_has_ended_does_not() {
    let app = TestApp::start().await;
    let person = app.person("one@example.com").await;
    let path = format!("{USERS}/{}", id_of(&person).await);
    let group = app.group(&person, "old", &[("K", "v")]).await;
    person.delete(&group_path(&group)).await.expect(200);
    let told = app.admin().delete(&path).await;
    assert!(told.refused(422, "in_use").contains("1 secret group (in the trash, too)"));
    let tamper = app.tamper();
    tamper.run("UPDATE grants SET expires_at = 1 WHERE subject = 'user:one@example.com'");
    tamper.run("INSERT INTO subjects (name, id) VALUES ('team:crew', 'crew-id')");
    tamper.run("INSERT INTO team_managers (team, member) VALUES ('team:crew', 'user:one@example.com')");
    let told = app.admin().delete(&path).await;
    assert!(told.refused(422, "in_use").contains("in 1 team, "));
    tamper.run("DELETE FROM team_managers");
    let grant = "INSERT INTO role_grants (subject, resource_type, resource_id, role, source, source_id, expires_at) \
                 VALUES ('user:one@example.com', 'account', 'x', 'auditor', 'role-binding', 'b'";
    tamper.run(&format!("{grant}, NULL)"));
    let told = app.admin().delete(&path).await;
    assert!(told.refused(422, "in_use").contains("has 1 role elsewhere"));
    tamper.run("UPDATE role_grants SET expires_at = 1");
    app.admin().delete(&path).await.expect(200);
}

#[tokio::test]
async fn an_invitation_is_traded_once() {
    let app = TestApp::start().await;
    app.admin().post(&format!("{USERS}/register"), json!({"email": "new@example.com"})).await.expect(200);
    let code = invite(&app, "New@example.com").await;
    let made = accept(&app, &code).await.expect(200);
    let new = app.client("new@example.com", made["token"].as_str());
    let session = new.get("/api/svc/v1/session").await.expect(200);
    assert_eq!(
        (text(&session, "/user/email"), text(&session, "/user/subject/subjectPatName")),
        ("new@example.com", "invitation")
    );
    let used = accept(&app, &code).await;
    let wrong = accept(&app, "tfyi_0000000000000000000000000000000000000000000").await;
    let token = accept(&app, made["token"].as_str().unwrap()).await;
    for refused in [&used, &wrong, &token] {
        assert_eq!(refused.refused(401, "unauthenticated"), used.refused(401, "unauthenticated"));
    }
    // The event is of the person, not of the server.
    let told = &events(&app, "action=ACCEPT_INVITATION").await[0];
    assert_eq!(
        (text(told, "/subject/subjectSlug"), text(told, "/metaData/tokenName")),
        ("new@example.com", "invitation")
    );
    assert_eq!(count_events(&app, "action=INVITE_USER").await, 1);
    // A code is no token.
    let code = invite(&app, "new@example.com").await;
    app.client("code", Some(&code)).get(GROUPS).await.refused(401, "unauthenticated");
    // The usual name is taken now; a taken name that was asked for leaves the code as it is.
    let named = json!({"code": code, "tokenName": "invitation"});
    app.client("guest", None).post(INVITATIONS, named).await.refused(409, "name_taken");
    let made = accept(&app, &code).await.expect(200);
    let again = app.client("again", made["token"].as_str());
    assert_eq!(info(&again).await["subjectPatName"], "invitation-2");
}

#[tokio::test]
async fn of_many_who_accept_one_invitation_one_gets_the_token() {
    let app = TestApp::start().await;
    app.person("new@example.com").await;
    let code = invite(&app, "new@example.com").await;
    let answers = futures_util::future::join_all((0..8).map(|_| accept(&app, &code))).await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(200), count(401)), (1, 7));
}

#[tokio::test]
async fn an_invitation_ends() {
    let app = TestApp::start().await;
    let person = app.person("new@example.com").await;
    let older = invite(&app, "new@example.com").await;
    let newer = invite(&app, "new@example.com").await;
    accept(&app, &older).await.refused(401, "unauthenticated");
    app.clock.advance_days(6);
    set_active(&app.admin(), person.name(), false).await.expect(200);
    accept(&app, &newer).await.refused(401, "unauthenticated");
    let wanted = json!({"email": person.name(), "acceptInviteClientUrl": PAGE});
    assert_eq!(app.admin().post(&format!("{USERS}/invite"), wanted).await.faults(), ["email"]);
    set_active(&app.admin(), person.name(), true).await.expect(200);
    app.clock.advance_days(1);
    accept(&app, &newer).await.refused(401, "unauthenticated");
    let code = invite(&app, "new@example.com").await;
    accept(&app, &code).await.expect(200);
    for (body, status, code) in [
        (json!({"email": "none@example.com", "acceptInviteClientUrl": PAGE}), 404, "reference_not_found"),
        (json!({"email": person.name(), "acceptInviteClientUrl": "http://console.example.com"}), 422, "invalid_input"),
        (json!({"email": person.name()}), 422, "invalid_input"),
    ] {
        app.admin().post(&format!("{USERS}/invite"), body).await.refused(status, code);
    }
    let long = "x".repeat(70_000);
    accept(&app, &long).await.refused(413, "body_too_large");
}

#[tokio::test]
async fn codes_are_kept_as_hashes_only() {
    let app = TestApp::start().await;
    app.person("new@example.com").await;
    let code = invite(&app, "new@example.com").await;
    let made = accept(&app, &code).await.expect(200);
    let newer = invite(&app, "new@example.com").await;
    app.settle().await;
    let kept = app.tamper().everything();
    for text in [code.as_str(), made["token"].as_str().unwrap(), &newer] {
        let found = kept.iter().find(|(_, bytes)| bytes.windows(text.len()).any(|part| part == text.as_bytes()));
        assert_eq!(found.map(|(place, _)| place), None);
    }
}

#[tokio::test]
async fn people_see_what_they_have() {
    let mut app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "v")]).await;
    let id = id_of(&cast.editor).await;
    let tamper = app.tamper();
    tamper.run("INSERT INTO subjects (name, id) VALUES ('team:crew', 'crew-id')");
    for table in ["team_members", "team_managers"] {
        tamper.run(&format!("INSERT INTO {table} (team, member) VALUES ('team:crew', 'user:{}')", cast.editor.name()));
    }
    tamper.run(
        "INSERT INTO role_grants (subject, resource_type, resource_id, role, source, source_id, expires_at) \
         VALUES ('team:crew', 'provider-integration', 'i', 'provider-integration-access', 'role-binding', 'b', NULL)",
    );
    app.restart().await;
    let manifest = app.manifest("other", &[("team:crew", "secret-group-viewer")]);
    let group = cast.owner.put(GROUPS, json!({"manifest": manifest})).await.expect(200);
    let of = |what: &str| format!("/api/svc/v1/x/users/{id}/{what}");
    for client in [&cast.editor, &cast.admin] {
        let found = client.get(&of("permissions")).await.expect(200);
        let drawn: Vec<String> = list(&found, "/data")
            .iter()
            .map(|row| {
                let name = row["resourceName"].as_str().unwrap_or("-");
                let fields = ["/resourceType", "/roleId", "/subjectType"].map(|field| text(row, field));
                format!("{name} {}", fields.join(" "))
            })
            .collect();
        assert_eq!(
            drawn,
            [
                "- account tenant-member user",
                "other secret-group secret-group-viewer team",
                "shared secret-group secret-group-editor user",
                // By everyone's, and by the one above.
                "- provider-integration provider-integration-access team",
                "- provider-integration provider-integration-access team",
            ]
        );
        assert_eq!(text(&found, "/data/1/resourceFqn"), "default:other");
        assert_eq!(text(&found, "/data/1/resourceId"), text(&group, "/data/id"));
        assert_eq!(text(&found, "/data/1/subjectId"), "crew-id");
        assert_eq!(text(&found, "/data/2/subjectId"), id);
        let found = client.get(&of("resources")).await.expect(200);
        assert_eq!(column(&found, "/data", "/resourceName"), ["shared"]);
        let found = client.get(&of("teams")).await.expect(200);
        let teams = json!([
            {"teamName": "crew", "roles": ["team-member", "team-manager"]},
            {"teamName": "everyone", "roles": ["team-member"]},
        ]);
        assert_eq!(found["data"], teams);
    }
    for what in ["permissions", "resources", "teams"] {
        cast.owner.get(&of(what)).await.refused(403, "forbidden");
        for nobody in [ABSENT, "x"] {
            let path = format!("/api/svc/v1/x/users/{nobody}/{what}");
            cast.owner.get(&path).await.refused(403, "forbidden");
            cast.admin.get(&path).await.refused(404, "user_not_found");
        }
        let machine = id_of(&cast.machine).await;
        cast.machine.get(&format!("/api/svc/v1/x/users/{machine}/{what}")).await.refused(403, "forbidden");
    }
    let teams = json!([{"name": "crew", "id": "crew-id"}, {"name": "everyone", "id": "everyone"}]);
    assert_eq!(info(&cast.editor).await["teams"], teams);
    assert_eq!(cast.editor.get("/api/svc/v1/session").await.expect(200)["user"]["teams"], teams);
    assert_eq!(info(&cast.machine).await["teams"], json!([]));
    let other = cast.editor.get(&format!("{GROUPS}?fqn=default:other")).await.expect(200);
    assert_eq!(list(&other, "/data").len(), 1, "what is shown is what counts");
}

#[tokio::test]
async fn a_field_that_is_left_out_is_named_and_numbers_are_called_so() {
    let app = TestApp::start().await;
    let nobody = app.client("nobody", None);
    for (body, path) in [(json!({}), "code"), (json!({"code": 7}), "code")] {
        let answer = nobody.post(INVITATIONS, body).await;
        assert_eq!(answer.faults(), [path], "{}", answer.text);
    }
    let wanted = json!({"userEmail": "admin@example.com"});
    assert_eq!(app.admin().post(&format!("{TOKENS}/for-user"), wanted).await.faults(), ["name"]);
    let path = format!("/api/svc/v1/virtual-accounts/{ABSENT}/regenerate-token");
    let answer = app.admin().post(&path, json!({"gracePeriodInMinutes": "x"})).await;
    assert_eq!(answer.faults(), ["gracePeriodInMinutes"]);
    assert!(answer.text.contains("expected a number"), "{}", answer.text);
}
