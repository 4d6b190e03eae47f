//! What somebody may do is what they may do when it is done: not when the head of their request came, nor when they
//! began to wait for others.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_testkit::{Answer, Client, FakeIdp, TestApp};

use crate::support::{SECRETS, TOKENS, USERS, count_events};

const TEAMS: &str = "/api/svc/v1/teams";

fn roles_path() -> String {
    format!("{USERS}/roles")
}

fn role(person: &Client, role: &str) -> Value {
    json!({"email": person.name(), "roles": [role]})
}

fn activity(person: &Client) -> Value {
    json!({"email": person.name()})
}

/// Takes from somebody what they may do, once their request has been let in and before its body comes.
async fn late(client: &Client, (method, path, body): (&str, &str, &Value), admin: &Client, taken: Taken) -> Answer {
    let (admin, person) = (admin.clone(), client.clone());
    let meanwhile = async move {
        let (method, path, body) = match taken {
            Taken::Role => ("PATCH", roles_path(), role(&person, "tenant-member")),
            Taken::Activity => ("PATCH", format!("{USERS}/deactivate"), activity(&person)),
            Taken::Tokens => ("DELETE", format!("{TOKENS}/revoke/all"), activity(&person)),
        };
        admin.request(method, &path).json(&body).send().await.expect(200);
    };
    client.request(method, path).json(body).meanwhile(meanwhile).send().await
}

#[derive(Clone, Copy)]
enum Taken {
    Role,
    Activity,
    Tokens,
}

#[tokio::test]
async fn an_admin_who_is_none_by_the_end_of_the_body_does_nothing() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let (mallory, other) = (app.person("mallory@example.com").await, app.person("other@example.com").await);
    let token = json!({"name": "back-door", "userEmail": other.name()});
    let (roles, for_user) = (roles_path(), format!("{TOKENS}/for-user"));
    let activate = format!("{USERS}/activate");
    for (request, taken, status) in [
        (("PATCH", roles.as_str(), &role(&mallory, "tenant-admin")), Taken::Role, 403),
        (("PATCH", activate.as_str(), &activity(&mallory)), Taken::Activity, 401),
        (("POST", for_user.as_str(), &token), Taken::Role, 403),
        (("POST", for_user.as_str(), &token), Taken::Activity, 401),
        (("POST", for_user.as_str(), &token), Taken::Tokens, 401),
    ] {
        admin.request("PATCH", &activate).json(&activity(&mallory)).send().await.expect(200);
        app.set_role(&mallory, "tenant-admin").await;
        late(&mallory, request, &admin, taken).await.expect(status);
    }
    mallory.get(USERS).await.refused(401, "unauthenticated");
    assert_eq!(count_events(&app, "action=USE_TENANT_ADMIN_OPERATION").await, 2);
    assert_eq!(app.tamper().number("SELECT COUNT(*) FROM tokens WHERE name = 'back-door'"), 0);
}

#[tokio::test]
async fn who_is_deactivated_by_the_end_of_the_body_neither_writes_nor_reads() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "hidden-4711")]).await;
    let read = json!({"secretGroupId": cast.group_id, "withValue": true});
    let write = json!({"secrets": [{"key": "K", "value": "theirs"}]});
    for taken in [Taken::Activity, Taken::Tokens] {
        for request in [("PUT", cast.group_path().as_str(), &write), ("POST", SECRETS, &read)] {
            let answer = late(&cast.editor, request, &cast.admin, taken).await;
            assert!(!answer.text.contains("hidden-4711"));
            answer.refused(401, "unauthenticated");
            let activate = format!("{USERS}/activate");
            cast.admin.request("PATCH", &activate).json(&activity(&cast.editor)).send().await.expect(200);
        }
    }
    let group = cast.admin.get(&cast.group_path()).await;
    assert_eq!(group.etag(), "\"2\"");
}

#[tokio::test]
async fn a_provider_s_token_is_asked_again_too() {
    let app = TestApp::with(FakeIdp::EGRESS.0, FakeIdp::EGRESS.1).start().await;
    let idp = FakeIdp::start(&app.clock).await;
    let mut provider = idp.manifest("idp");
    provider["users"] = true.into();
    app.apply(&provider).await;
    app.person("anna@example.com").await;
    let anna = app.client("anna@example.com", Some(&idp.token(&json!({"sub": "00u1", "email": "anna@example.com"}))));
    app.set_role(&anna, "tenant-admin").await;
    let promote = role(&anna, "tenant-admin");
    late(&anna, ("PATCH", &roles_path(), &promote), &app.admin(), Taken::Role).await.expect(403);
    app.set_role(&anna, "tenant-admin").await;
    late(&anna, ("PATCH", &roles_path(), &promote), &app.admin(), Taken::Activity)
        .await
        .refused(401, "unauthenticated");
}

#[tokio::test]
async fn nobody_without_a_token_and_no_member_makes_the_server_read_an_admin_s_body() {
    let app = TestApp::start().await;
    let member = app.person("member@example.com").await;
    for (client, status) in [(&member, 403), (&app.client("nobody", None), 401)] {
        let unread = async { panic!("the body was asked for") };
        let request = client.request("PATCH", &roles_path()).json(&role(&member, "tenant-admin"));
        request.meanwhile(unread).send().await.expect(status);
    }
}

/// On one thread requests begin in the order in which they are polled, and a change of identities waits for the one
/// before it.
#[tokio::test]
async fn a_change_that_waited_its_turn_is_decided_on_what_its_caller_may_do_then() {
    let app = TestApp::start().await;
    if app.is_on_postgres() {
        return; // There each look-up yields.
    }
    let admin = app.admin();
    let (mallory, other) = (app.person("mallory@example.com").await, app.person("other@example.com").await);
    let demote = || async {
        let body = role(&mallory, "tenant-member");
        admin.request("PATCH", &roles_path()).json(&body).send().await.expect(200)
    };
    app.set_role(&mallory, "tenant-admin").await;
    let promote = role(&mallory, "tenant-admin");
    let promote = mallory.request("PATCH", &roles_path()).json(&promote);
    let for_user = format!("{TOKENS}/for-user");
    let token = mallory.post(&for_user, json!({"name": "back-door", "userEmail": other.name()}));
    let (_, promoted, issued) = tokio::join!(demote(), promote.send(), token);
    promoted.expect(403);
    issued.expect(403);
    mallory.get(USERS).await.expect(200);

    // What is taken from others doesn't matter to it.
    let mut crew = json!({"type": "team", "name": "crew", "members": [], "managers": [other.name()]});
    app.apply(&crew).await;
    app.set_role(&mallory, "tenant-admin").await;
    crew["members"] = json!([other.name()]);
    let (_, applied) = tokio::join!(demote(), other.put(TEAMS, json!({"manifest": crew})));
    applied.expect(200);
}

/// Many changes at once, each of which changes where their caller stands: none is refused for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_changes_their_own_teams_many_at_a_time_is_not_refused() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let teams: Vec<String> = (0..30).map(|number| format!("team-{number}")).collect();
    for delete in [false, true] {
        let running: Vec<_> = teams
            .iter()
            .map(|name| {
                let (admin, name) = (admin.clone(), name.clone());
                let manifest = json!({"type": "team", "name": name, "members": [admin.name()]});
                let (method, path) = if delete { ("POST", "/api/svc/v1/delete") } else { ("PUT", "/api/svc/v1/apply") };
                tokio::spawn(
                    async move { admin.request(method, path).json(&json!({"manifest": manifest})).send().await },
                )
            })
            .collect();
        for answer in running {
            answer.await.unwrap().expect(200);
        }
        let left = admin.get("/api/svc/v1/teams/user").await.expect(200)["pagination"]["total"].as_i64();
        assert_eq!(left, Some(if delete { 0 } else { 30 }));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_writer_who_waited_for_others_writes_only_if_they_may_still_act() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "v")]).await;
    let (let_go, gate) = mpsc::channel::<()>();
    let (arrived, there) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    app.faults.set(move |_| {
        let _ = arrived.send(());
        let _ = gate.lock().unwrap().recv_timeout(Duration::from_secs(10));
        None
    });
    let write = |client: &Client, value: &str| {
        let (client, path) = (client.clone(), cast.group_path());
        let body = json!({"secrets": [{"key": "K", "value": value}]});
        tokio::spawn(async move { client.put(&path, body).await })
    };
    let first = write(&cast.owner, "first");
    there.recv().unwrap();
    let second = write(&cast.editor, "second");
    // It waits behind the first by then; if not, it is refused the earlier.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let deactivate = format!("{USERS}/deactivate");
    cast.admin.request("PATCH", &deactivate).json(&activity(&cast.editor)).send().await.expect(200);
    drop(let_go);
    first.await.unwrap().expect(200);
    second.await.unwrap().refused(401, "unauthenticated");
}
