//! Personal access tokens: made, listed, ended.

use serde_json::{Value, json};
use strongroom_server::{Instance, StartError, World};
use strongroom_testkit::{Client, TestApp};

use crate::support::{ABSENT, GROUPS, INVITATIONS, TOKENS, USERS, column, count_events, list, text};

#[tokio::test]
async fn people_make_tokens_but_not_by_such_tokens() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let made = admin.post(TOKENS, json!({"name": "laptop", "accountName": "root", "teamName": "x"})).await.expect(200);
    let laptop = app.client("laptop", made["token"].as_str());
    assert_eq!(laptop.get("/api/svc/v1/x/users/info").await.expect(200)["subjectPatName"], "laptop");
    let refused = laptop.post(TOKENS, json!({"name": "more"})).await;
    assert!(refused.refused(403, "forbidden").contains("personal access token"));
    // The person is a tenant admin with it, too, and makes them and invitations for others; not for themselves.
    let other = app.person("other@example.com").await;
    let for_user = |email: &str| json!({"name": "more", "userEmail": email});
    let invited = |email: &str| json!({"email": email, "acceptInviteClientUrl": "https://console.example.com"});
    laptop.post(&format!("{TOKENS}/for-user"), for_user("Admin@example.com")).await.refused(403, "forbidden");
    laptop.post(&format!("{USERS}/invite"), invited("Admin@example.com")).await.refused(403, "forbidden");
    laptop.post(&format!("{TOKENS}/for-user"), for_user(other.name())).await.expect(200);
    laptop.post(&format!("{USERS}/invite"), invited(other.name())).await.expect(200);
    // That of the first start is the way in that others can be made by.
    admin.post(&format!("{TOKENS}/for-user"), for_user("admin@example.com")).await.expect(200);
    admin.post(&format!("{USERS}/invite"), invited("admin@example.com")).await.expect(200);
    let machine = app.machine("robot", &[]).await;
    machine.post(TOKENS, json!({"name": "more"})).await.refused(403, "forbidden");
    machine.get(TOKENS).await.refused(403, "forbidden");
    assert_eq!(count_events(&app, "action=CREATE_PERSONAL_ACCESS_TOKEN").await, 4);
    assert_eq!(count_events(&app, "action=USE_OPERATION").await, 5);
}

#[tokio::test]
async fn a_name_is_one_living_token_s() {
    let app = TestApp::start().await;
    let (admin, other) = (app.admin(), app.person("other@example.com").await);
    let short = json!({"name": "short", "expirationDate": "2026-11-24"});
    admin.post(TOKENS, short.clone()).await.expect(200);
    admin.post(TOKENS, short).await.refused(409, "name_taken");
    let for_user = |email: &str| json!({"name": "short", "userEmail": email});
    let path = format!("{TOKENS}/for-user");
    admin.post(&path, for_user("admin@example.com")).await.refused(409, "name_taken");
    admin.post(&path, for_user(other.name())).await.expect(200);
    // What has ended holds no name.
    app.clock.advance_days(1);
    admin.post(TOKENS, json!({"name": "short"})).await.expect(200);
    let tokens = admin.get(TOKENS).await.expect(200);
    admin.delete(&format!("{TOKENS}/{}", text(&tokens, "/data/0/id"))).await.expect(200);
    admin.post(TOKENS, json!({"name": "short"})).await.expect(200);
}

#[tokio::test]
async fn what_is_asked_for_is_checked() {
    let app = TestApp::start().await;
    for (body, fault) in [
        (json!({"name": "x"}), "name"),
        (json!({"name": "Not Good"}), "name"),
        (json!({"name": "good", "expirationDate": "2020-01-01"}), "expirationDate"),
        (json!({"name": "good", "expirationDate": "soon"}), "expirationDate"),
        (json!({"name": "good", "tokenType": "x"}), "tokenType"),
    ] {
        assert_eq!(app.admin().post(TOKENS, body.clone()).await.faults(), [fault], "{body}");
        let mut for_user = body;
        for_user["userEmail"] = json!("admin@example.com");
        assert_eq!(app.admin().post(&format!("{TOKENS}/for-user"), for_user).await.faults(), [fault]);
    }
    app.admin().post(TOKENS, json!({"name": "good", "tokenType": "opaque", "expirationDate": ""})).await.expect(200);
}

#[tokio::test]
async fn one_sees_one_s_own_tokens() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let person = app.person("one@example.com").await;
    for (name, ends) in [("laptop-a", json!("2026-11-24")), ("laptop-b", Value::Null), ("phone", Value::Null)] {
        let body = json!({"name": name, "userEmail": "one@example.com", "expirationDate": ends});
        admin.post(&format!("{TOKENS}/for-user"), body).await.expect(200);
    }
    let names = |found: &Value| -> Vec<String> {
        list(found, "/data").iter().map(|token| text(token, "/manifest/name").to_owned()).collect()
    };
    let all = person.get(TOKENS).await.expect(200);
    assert_eq!(names(&all), ["phone", "laptop-b", "laptop-a", "test-token"]);
    assert_eq!((all["pagination"]["total"].clone(), column(&all, "/data", "/type")[0]), (json!(4), "pat"));
    // The SDK reads a virtual account's manifest here, and takes no other type: so there is none.
    assert_eq!(all["data"][0]["manifest"].get("type"), None);
    assert_eq!(text(&all, "/data/2/manifest/expiration_date"), "2026-11-24T00:00:00.000Z");
    let found = person.get(&format!("{TOKENS}?nameSearchQuery=LAPTOP&limit=1&offset=1")).await.expect(200);
    assert_eq!((names(&found), found["pagination"]["total"].clone()), (vec!["laptop-a".to_owned()], json!(2)));
    assert!(names(&person.get(&format!("{TOKENS}?offset=1000000000000")).await.expect(200)).is_empty());
    app.clock.advance_days(1);
    let later = person.get(TOKENS).await.expect(200);
    let expired: Vec<&Value> = list(&later, "/data").iter().map(|token| &token["isExpired"]).collect();
    assert_eq!(expired, [false, false, true, false]);
    assert_eq!(names(&admin.get(TOKENS).await.expect(200)), ["admin"]);
}

#[tokio::test]
async fn a_token_is_ended_by_its_person_or_an_admin() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let (one, other) = (app.person("one@example.com").await, app.person("other@example.com").await);
    let machine = app.machine("robot", &[]).await;
    let path = |found: &Value| format!("{TOKENS}/{}", text(found, "/data/0/id"));
    let own = path(&one.get(TOKENS).await.expect(200));
    for client in [&other, &machine] {
        client.delete(&own).await.refused(404, "token_not_found");
    }
    for id in [ABSENT, "1"] {
        admin.delete(&format!("{TOKENS}/{id}")).await.refused(404, "token_not_found");
    }
    // A machine's token isn't a personal one.
    let machines = app.tamper().text("SELECT id FROM tokens WHERE subject_type = 'serviceaccount'");
    admin.delete(&format!("{TOKENS}/{machines}")).await.refused(404, "token_not_found");
    machine.get(GROUPS).await.expect(200);
    one.delete(&own).await.expect(200);
    one.get(GROUPS).await.refused(401, "unauthenticated");
    admin.delete(&own).await.refused(404, "token_not_found");
    let others = path(&other.get(TOKENS).await.expect(200));
    admin.delete(&others).await.expect(200);
    other.get(GROUPS).await.refused(401, "unauthenticated");
    assert_eq!(count_events(&app, "action=DELETE_PERSONAL_ACCESS_TOKEN").await, 2);
}

#[tokio::test]
async fn all_tokens_of_a_person_end_at_their_word_or_an_admin_s() {
    let app = TestApp::start().await;
    let (one, other) = (app.person("one@example.com").await, app.person("other@example.com").await);
    let path = format!("{TOKENS}/revoke/all");
    let revoke = |email: &str| json!({"email": email});
    let invited = json!({"email": "one@example.com", "acceptInviteClientUrl": "https://console.example.com"});
    let link = app.admin().post(&format!("{USERS}/invite"), invited).await.expect(200);
    let code = text(&link, "/link").rsplit_once('=').unwrap().1;
    other.request("DELETE", &path).json(&revoke("one@example.com")).send().await.refused(403, "forbidden");
    other.request("DELETE", &path).json(&revoke("none@example.com")).send().await.refused(403, "forbidden");
    one.get(GROUPS).await.expect(200);
    one.request("DELETE", &path).json(&revoke("One@example.com")).send().await.expect(200);
    one.get(GROUPS).await.refused(401, "unauthenticated");
    // An open invitation is a token to be.
    app.client("guest", None).post(INVITATIONS, json!({"code": code})).await.refused(401, "unauthenticated");
    other.get(GROUPS).await.expect(200);
    app.admin().request("DELETE", &path).json(&revoke("other@example.com")).send().await.expect(200);
    other.get(GROUPS).await.refused(401, "unauthenticated");
    let missing = app.admin().request("DELETE", &path).json(&revoke("none@example.com")).send().await;
    missing.refused(404, "reference_not_found");
}

#[tokio::test]
async fn a_token_says_who_made_it_whoever_asks_with_what() {
    let app = TestApp::start().await;
    let one = app.person("one@example.com").await;
    let wanted = json!({"name": "second", "userEmail": "one@example.com"});
    let made = app.admin().post(&format!("{TOKENS}/for-user"), wanted).await.expect(200);
    let second = app.client("one@example.com", made["token"].as_str());
    app.admin().post(TOKENS, json!({"name": "own"})).await.expect(200);
    let makers = async |client: &Client| {
        let found = client.get(TOKENS).await.expect(200);
        let maker = |token: &Value| {
            let by = &token["createdBySubject"];
            format!("{}: {} {}", text(token, "/manifest/name"), text(by, "/subjectSlug"), by["subjectPatName"])
        };
        list(&found, "/data").iter().map(maker).collect::<Vec<_>>()
    };
    let expected = [r#"second: admin@example.com "admin""#, r#"test-token: admin@example.com "admin""#];
    assert_eq!(makers(&one).await, expected);
    assert_eq!(makers(&second).await, expected);
    // The first start's, as those of earlier releases, is its person's.
    let expected = [r#"own: admin@example.com "admin""#, "admin: admin@example.com null"];
    assert_eq!(makers(&app.admin()).await, expected);
}

#[tokio::test]
async fn who_is_deactivated_gets_no_token() {
    let app = TestApp::start().await;
    app.person("one@example.com").await;
    app.admin()
        .request("PATCH", "/api/svc/v1/users/deactivate")
        .json(&json!({"email": "one@example.com"}))
        .send()
        .await
        .expect(200);
    let wanted = json!({"name": "new", "userEmail": "one@example.com"});
    assert_eq!(app.admin().post(&format!("{TOKENS}/for-user"), wanted).await.faults(), ["userEmail"]);
}

/// The last admin's tokens may all end. Whoever has the data and the root key has the way back.
#[tokio::test]
async fn an_admin_without_a_token_gets_one_from_whoever_has_the_keys() {
    let mut app = TestApp::start().await;
    let member = app.person("member@example.com").await;
    let admin = app.admin();
    let wanted = json!({"email": "admin@example.com"});
    admin.request("DELETE", &format!("{TOKENS}/revoke/all")).json(&wanted).send().await.expect(200);
    admin.get(GROUPS).await.refused(401, "unauthenticated");
    app.stop().await;
    let world = || World { clock: Some(std::sync::Arc::new(app.clock.clone())), ..World::default() };
    let instance = Instance::open_existing(&app.settings(), world()).await.unwrap();
    for refused in [member.name(), "nobody@example.com"] {
        let error = instance.make_admin_token(refused).await.unwrap_err();
        assert!(error.contains(refused) && error.contains("admin@example.com"), "{error}");
    }
    let mut made = Vec::new();
    for _ in 0..2 {
        made.push(instance.make_admin_token("Admin@example.com").await.unwrap());
    }
    instance.close().await;
    drop(instance);
    app.restart().await;
    for (token, name) in made.iter().zip(["admin", "admin-2"]) {
        let admin = app.client("admin", Some(token.expose()));
        assert_eq!(admin.get("/api/svc/v1/x/users/info").await.expect(200)["subjectPatName"], name);
        // A first token again: others can be made by it.
        admin.post(TOKENS, json!({"name": format!("laptop-{name}")})).await.expect(200);
    }
    app.admin().get(GROUPS).await.refused(401, "unauthenticated");
    let admin = app.client("admin", Some(made[0].expose()));
    app.settle().await;
    let told = admin.get("/api/svc/v1/audit-logs?metric=list&action=RECOVER_ADMIN_TOKEN").await.expect(200);
    assert_eq!(list(&told, "/data").len(), 2);
    assert_eq!(text(&told, "/data/0/subject/subjectControllerName"), "admin-token");
    assert_eq!(text(&told, "/data/0/resourceName"), "admin@example.com");

    // It makes no instance where there is none.
    let empty = tempfile::tempdir().unwrap();
    let data = empty.path().join("data");
    app.stop().await;
    app.set("STRONGROOM_DATA_DIR", data.to_str().unwrap());
    app.set("STRONGROOM_DATABASE_URL", &format!("sqlite:{}", data.join("strongroom.db").display()));
    let refused = Instance::open_existing(&app.settings(), World::default()).await.err();
    assert!(matches!(refused, Some(StartError::NoInstance(_))) && !data.exists());
}
