//! Virtual accounts, agents' identities, and their tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use strongroom_crypto::verify_ed25519;
use strongroom_testkit::{Client, TestApp};

use crate::support::{ABSENT, GROUPS, TOKENS, column, count_events, events, list, reference_path, text};

const ACCOUNTS: &str = "/api/svc/v1/virtual-accounts";
const AGENTS: &str = "/api/svc/v1/agents";
const INFO: &str = "/api/svc/v1/x/users/info";

pub(crate) fn manifest(name: &str, more: &Value) -> Value {
    let mut manifest = json!({"type": "virtual-account", "name": name});
    manifest.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    manifest
}

/// Writes into the key `TOKEN` of a group.
pub(crate) fn target(group: &str) -> Value {
    json!({"type": "tfy-secrets", "secret_group": group, "key": "TOKEN"})
}

pub(crate) async fn apply(app: &TestApp, name: &str, more: Value) -> Value {
    app.admin().put(ACCOUNTS, json!({"manifest": manifest(name, &more)})).await.expect(200)
}

pub(crate) async fn get(app: &TestApp, id: &str) -> Value {
    app.admin().get(&format!("{ACCOUNTS}/{id}")).await.expect(200)["data"].take()
}

/// What a token's group has.
pub(crate) async fn written(app: &TestApp, group: &str) -> String {
    let found = app.admin().get(&reference_path(&format!("default:{group}:TOKEN"))).await.expect(200);
    text(&found, "/value").to_owned()
}

pub(crate) async fn works(app: &TestApp, token: &str) -> bool {
    let answer = app.client("somebody", Some(token)).get(INFO).await;
    assert!([200, 401].contains(&answer.status), "{}", answer.text);
    answer.status == 200
}

pub(crate) async fn regenerate(app: &TestApp, id: &str, minutes: Value) -> String {
    let body = json!({"gracePeriodInMinutes": minutes});
    let made = app.admin().post(&format!("{ACCOUNTS}/{id}/regenerate-token"), body).await.expect(200);
    text(&made, "/token").to_owned()
}

fn part(token: &str, at: usize) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(token.split('.').nth(at).expect("a part")).unwrap()
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&part(token, 1)).unwrap()
}

fn is_jwt(token: &str) -> bool {
    token.split('.').count() == 3
}

#[tokio::test]
async fn a_virtual_account_acts_by_its_token_and_its_roles() {
    let app = TestApp::start().await;
    app.group(&app.admin(), "shared", &[("K", "v")]).await;
    let roles =
        |role: &str| json!([{"resource_type": "secret-group", "resource_fqn": "default:shared", "role_id": role}]);
    let refused = json!({"manifest": manifest("ci-bot", &json!({"permissions": []}))});
    assert_eq!(app.admin().put(ACCOUNTS, refused).await.faults(), ["manifest.permissions"]);
    let made = apply(&app, "ci-bot", json!({"permissions": roles("secret-group-viewer")})).await;
    let token = text(&made, "/token");
    assert!(token.starts_with("tfy_"));
    let machine = app.client("ci-bot", Some(token));
    let info = machine.get(INFO).await.expect(200);
    assert_eq!((text(&info, "/subjectType"), text(&info, "/subjectSlug")), ("serviceaccount", "ci-bot"));
    machine.get(&reference_path("default:shared:K")).await.refused(403, "forbidden");
    let again = apply(&app, "ci-bot", json!({"permissions": roles("secret-group-editor")})).await;
    assert_eq!((again.get("token"), &again["data"]["id"]), (None, &made["data"]["id"]), "the token comes once");
    assert_eq!(text(&machine.get(&reference_path("default:shared:K")).await.expect(200), "/value"), "v");
    let data = get(&app, text(&made, "/data/id")).await;
    assert_eq!(column(&data, "/rolesWithResource", "/roleId"), ["secret-group-editor"]);
    assert_eq!(data["roleIds"], json!(["secret-group-editor"]));
    let jwts = list(&data, "/jwts");
    assert_eq!((jwts.len(), text(&data, "/jwtId")), (1, text(&jwts[0], "/id")));
    assert_eq!((text(&jwts[0], "/tokenType"), text(&jwts[0], "/expiry")), ("opaque", "9999-01-01T00:00:00.000Z"));
    assert_eq!(data["isExpired"], false);
}

#[tokio::test]
async fn a_jwt_says_who_it_is_and_verifies_with_the_published_key() {
    let app = TestApp::with("STRONGROOM_PUBLIC_URL", "https://secrets.example.com").start().await;
    assert_eq!(app.client("anybody", None).get("/.well-known/jwks.json").await.expect(200), json!({"keys": []}));
    let made = apply(&app, "ci-bot", json!({"token_type": "jwt", "expiration_date": "2027-01-31"})).await;
    let token = text(&made, "/token");
    let header: Value = serde_json::from_slice(&part(token, 0)).unwrap();
    let says = claims(token);
    let keys = app.client("anybody", None).get("/.well-known/jwks.json").await.expect(200);
    assert_eq!(keys, app.client("anybody", None).get("/api/svc/v1/keys/jwks").await.expect(200));
    assert_eq!((list(&keys, "/keys").len(), text(&keys, "/keys/0/kid")), (1, text(&header, "/kid")));
    assert_eq!((text(&header, "/alg"), text(&header, "/typ")), ("EdDSA", "JWT"));
    let public = URL_SAFE_NO_PAD.decode(text(&keys, "/keys/0/x")).unwrap();
    let signed = token.rsplit_once('.').unwrap().0;
    assert!(verify_ed25519(&public, signed.as_bytes(), &part(token, 2)));
    let id = text(&made, "/data/id");
    assert_eq!(
        says,
        json!({
            "tenantName": "default", "iss": "https://secrets.example.com", "sub": id, "subjectType": "serviceaccount",
            "jti": made["data"]["jwtId"], "iat": says["iat"], "exp": 1_801_440_000, "username": "ci-bot",
        })
    );
    assert!(works(&app, token).await);
    // Whoever changes it has another text, and nobody knows that.
    let (head, signature) = token.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    for forged in [format!("{head}.{other}{}", &signature[1..]), format!("{head}."), head.to_owned()] {
        app.client("forger", Some(&forged)).get(INFO).await.refused(401, "unauthenticated");
    }
    // One without an end has one, as a JWT must.
    let endless = apply(&app, "endless", json!({"token_type": "jwt"})).await;
    let says = claims(text(&endless, "/token"));
    assert_eq!(says["exp"].as_i64().unwrap() - says["iat"].as_i64().unwrap(), 3_650 * 86_400);
    // People's, too, and it is listed as one.
    let made = app.admin().post(TOKENS, json!({"name": "laptop", "tokenType": "jwt"})).await.expect(200);
    let says = claims(text(&made, "/token"));
    assert_eq!((text(&says, "/subjectType"), text(&says, "/email")), ("user", "admin@example.com"));
    assert!(works(&app, text(&made, "/token")).await);
    let tokens = app.admin().get(TOKENS).await.expect(200);
    assert_eq!(text(&tokens, "/data/0/manifest/token_type"), "jwt");
    app.admin().delete(&format!("{TOKENS}/{}", text(&tokens, "/data/0/id"))).await.expect(200);
    assert!(!works(&app, text(&made, "/token")).await, "a revoked one ends at once");
    assert_eq!(count_events(&app, "action=CREATE_SIGNING_KEY").await, 1);
}

#[tokio::test]
async fn a_jwt_is_shown_again_and_an_opaque_token_is_not() {
    let mut app = TestApp::start().await;
    let admin = app.admin();
    let made = apply(&app, "jwt-bot", json!({"token_type": "jwt"})).await;
    let path = format!("{ACCOUNTS}/{}/token", text(&made, "/data/id"));
    assert_eq!(admin.get(&path).await.expect(200), json!({"token": made["token"]}));
    app.restart().await;
    assert_eq!(admin.get(&path).await.expect(200), json!({"token": made["token"]}), "nothing is kept in memory");
    let read = events(&app, "action=READ_VIRTUAL_ACCOUNT_TOKEN").await;
    assert_eq!((read.len(), text(&read[0], "/resourceName")), (2, "jwt-bot"));
    // It isn't given without its event.
    app.tamper().refuse_events();
    let refused = admin.get(&path).await;
    assert!(refused.status == 500 && !refused.text.contains(text(&made, "/token")));
    app.tamper().take_events();
    let opaque = apply(&app, "old-bot", json!({})).await;
    let refused = admin.get(&format!("{ACCOUNTS}/{}/token", text(&opaque, "/data/id"))).await;
    assert!(refused.refused(422, "invalid_input").contains("regenerate"));
    // The issuer is in the token: with another one it would be another text.
    app.set("STRONGROOM_PUBLIC_URL", "https://elsewhere.example.com");
    app.restart().await;
    assert!(admin.get(&path).await.refused(422, "invalid_input").contains("public address"));
    assert!(works(&app, text(&made, "/token")).await, "it goes on working");
    for id in [ABSENT, "1"] {
        admin.get(&format!("{ACCOUNTS}/{id}/token")).await.refused(404, "virtual_account_not_found");
    }
}

#[tokio::test]
async fn a_moved_signing_key_is_an_error_and_no_wrong_token() {
    let mut app = TestApp::start().await;
    let made = apply(&app, "jwt-bot", json!({"token_type": "jwt"})).await;
    let path = format!("{ACCOUNTS}/{}/token", text(&made, "/data/id"));
    for column in ["sealed", "public"] {
        let tamper = app.tamper();
        let blob = tamper.blobs("signing_keys", column).remove(0);
        tamper.flip(&blob, -1);
        app.restart().await;
        let refused = app.admin().get(&path).await;
        assert!(refused.refused(500, "integrity").contains("signing key"), "{column}");
        app.client("anybody", None).get("/.well-known/jwks.json").await.refused(500, "integrity");
        app.tamper().undo(&blob);
    }
    app.restart().await;
    app.admin().get(&path).await.expect(200);
}

#[tokio::test]
async fn regenerating_ends_older_tokens_after_the_grace_at_most() {
    for kind in ["opaque", "jwt"] {
        let app = TestApp::start().await;
        let made = apply(&app, "bot", json!({"token_type": kind})).await;
        let (id, first) = (text(&made, "/data/id"), text(&made, "/token"));
        let second = regenerate(&app, id, json!(10)).await;
        assert_eq!(is_jwt(&second), kind == "jwt");
        assert!(works(&app, first).await && works(&app, &second).await);
        app.clock.advance_seconds(599);
        assert!(works(&app, first).await);
        app.clock.advance_seconds(1);
        assert!(!works(&app, first).await && works(&app, &second).await, "{kind}");
        let third = regenerate(&app, id, json!(0)).await;
        assert!(!works(&app, &second).await && works(&app, &third).await);
        // A longer grace than what is left gives nothing back.
        let fourth = regenerate(&app, id, json!(1)).await;
        let fifth = regenerate(&app, id, json!(1000.5)).await;
        app.clock.advance_seconds(61);
        assert!(!works(&app, &third).await && works(&app, &fourth).await && works(&app, &fifth).await);
        assert_eq!(list(&get(&app, id).await, "/jwts").len(), 5);
        let path = format!("{ACCOUNTS}/{id}/regenerate-token");
        for bad in [json!(-1), json!(525_601), json!("1")] {
            let answer = app.admin().post(&path, json!({"gracePeriodInMinutes": bad})).await;
            assert!([400, 422].contains(&answer.status), "{}", answer.text);
        }
        assert_eq!(count_events(&app, "action=REGENERATE_VIRTUAL_ACCOUNT_TOKEN").await, 4);
    }
}

#[tokio::test]
async fn a_token_is_written_into_its_group() {
    for kind in ["opaque", "jwt"] {
        let app = TestApp::start().await;
        let admin = app.admin();
        let missing = json!({"manifest": manifest("bot", &json!({"secret_store_config": target("vault")}))});
        admin.put(ACCOUNTS, missing).await.refused(404, "reference_not_found");
        app.group(&admin, "vault", &[("OTHER", "x")]).await;
        let terms = json!({"token_type": kind, "secret_store_config": target("vault")});
        let made = apply(&app, "bot", terms.clone()).await;
        let id = text(&made, "/data/id");
        assert_eq!(written(&app, "vault").await, text(&made, "/token"));
        let data = get(&app, id).await;
        assert_eq!(data["syncTokenInSecretStoreInfo"]["jwtId"], data["jwtId"]);
        let second = regenerate(&app, id, json!(5)).await;
        assert_eq!(written(&app, "vault").await, second);
        let sync = |force: bool| format!("{ACCOUNTS}/{id}/sync-to-secret-store?force={force}");
        let synced = admin.post(&sync(false), json!({})).await.expect(200);
        assert_eq!(synced["syncTokenInSecretStoreInfo"]["jwtId"], get(&app, id).await["jwtId"]);
        assert_eq!(synced["syncTokenInSecretStoreInfo"].get("error"), None);
        // The store is down: the token is made, the older ones end as was asked, and the failure is told.
        app.faults.take_down();
        let third = regenerate(&app, id, json!(5)).await;
        assert!(works(&app, &third).await);
        assert!(text(&get(&app, id).await, "/syncTokenInSecretStoreInfo/error").contains("truefoundry/db"));
        app.faults.bring_up();
        assert_eq!(written(&app, "vault").await, second);
        let answer = admin.post(&sync(false), json!({})).await;
        if kind == "jwt" {
            answer.expect(200);
            assert_eq!(written(&app, "vault").await, third);
        } else {
            assert!(answer.refused(422, "invalid_input").contains("force=true"));
            admin.post(&sync(true), json!({})).await.expect(200);
            let fourth = written(&app, "vault").await;
            assert!(fourth != third && works(&app, &fourth).await && works(&app, &third).await);
            app.clock.advance_days(30);
            assert!(!works(&app, &third).await && works(&app, &fourth).await);
        }
        // Elsewhere from now on.
        app.group(&admin, "other", &[]).await;
        let current = written(&app, "vault").await;
        let moved = json!({"token_type": kind, "secret_store_config": target("other")});
        let moved = apply(&app, "bot", moved).await;
        if kind == "jwt" {
            assert_eq!(written(&app, "other").await, current);
        } else {
            assert!(text(&moved, "/data/syncTokenInSecretStoreInfo/error").contains("sync"));
            admin.post(&sync(false), json!({})).await.refused(422, "invalid_input");
        }
        let bare = apply(&app, "bare", json!({"token_type": kind})).await;
        let path = format!("{ACCOUNTS}/{}/sync-to-secret-store", text(&bare, "/data/id"));
        assert_eq!(admin.post(&path, json!({})).await.faults(), ["manifest.secret_store_config"]);
    }
}

#[tokio::test]
async fn writing_the_same_token_makes_no_version() {
    let app = TestApp::start().await;
    let group = app.group(&app.admin(), "vault", &[]).await;
    let terms = json!({"token_type": "jwt", "secret_store_config": target("vault")});
    let made = apply(&app, "bot", terms).await;
    let path = format!("{ACCOUNTS}/{}/sync-to-secret-store?force=true", text(&made, "/data/id"));
    let group = format!("{GROUPS}/{}", text(&group, "/id"));
    let before = app.admin().get(&group).await;
    app.admin().post(&path, json!({})).await.expect(200);
    assert_eq!(app.admin().get(&group).await.etag(), before.etag());
}

#[tokio::test]
async fn accounts_are_listed_looked_for_and_deleted() {
    let app = TestApp::start().await;
    let admin = app.admin();
    admin
        .put("/api/svc/v1/teams", json!({"manifest": {"type": "team", "name": "devs", "members": []}}))
        .await
        .expect(200);
    let names = |found: &Value| -> Vec<String> {
        column(found, "/data", "/manifest/name").into_iter().map(str::to_owned).collect()
    };
    let first = apply(&app, "bot-a", json!({"ownedBy": {"account": "root", "team": "devs"}})).await;
    apply(&app, "bot-b", json!({"expiration_date": "2026-11-24"})).await;
    apply(&app, "tool", json!({})).await;
    let agent = json!({"type": "agent-identity", "name": "helper", "identity": {"type": "truefoundry-backed"}});
    admin.put(AGENTS, json!({"manifest": agent})).await.expect(200);
    app.clock.advance_days(2);
    for (query, expected, total) in [
        ("", vec!["tool", "bot-b", "bot-a"], 3),
        ("?limit=1&offset=1", vec!["bot-b"], 3),
        ("?offset=3", vec![], 3),
        ("?nameSearchQuery=BOT", vec!["bot-b", "bot-a"], 2),
        ("?isExpired=true", vec!["bot-b"], 1),
        ("?isExpired=false&nameSearchQuery=bot", vec!["bot-a"], 1),
        ("?ownedByTeams=devs&ownedByTeams=ops", vec!["bot-a"], 1),
        ("?ownedByTeams=ops,others", vec![], 0),
        ("?isExpired=false&limit=1&offset=1", vec!["bot-a"], 2),
    ] {
        let found = admin.get(&format!("{ACCOUNTS}{query}")).await.expect(200);
        assert_eq!(
            (names(&found), &found["pagination"]["total"]),
            (expected.into_iter().map(str::to_owned).collect(), &json!(total)),
            "{query}"
        );
    }
    let exists = |name: &str| format!("{ACCOUNTS}/exists?name={name}");
    let person = app.person("one@example.com").await;
    assert_eq!(person.get(&exists("bot-a")).await.expect(200), json!({"exists": true}));
    assert_eq!(person.get(&exists("helper")).await.expect(200), json!({"exists": false}));
    let token = text(&first, "/token").to_owned();
    app.client("bot-a", Some(&token)).get(&exists("bot-a")).await.refused(403, "forbidden");
    let path = format!("{ACCOUNTS}/{}", text(&first, "/data/id"));
    admin.delete(&path).await.expect(200);
    assert!(!works(&app, &token).await);
    admin.delete(&path).await.refused(404, "virtual_account_not_found");
    admin.get(&path).await.refused(404, "virtual_account_not_found");
    assert_eq!(person.get(&exists("bot-a")).await.expect(200), json!({"exists": false}));
    assert_eq!(count_events(&app, "action=DELETE_VIRTUAL_ACCOUNT").await, 1);
}

#[tokio::test]
async fn one_token_of_several_is_ended() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let made = apply(&app, "bot", json!({})).await;
    let (id, first) = (text(&made, "/data/id"), text(&made, "/token"));
    let second = regenerate(&app, id, json!(1000)).await;
    let path = |jwt: &str| format!("{ACCOUNTS}/{id}/jwt/{jwt}");
    let other = apply(&app, "other", json!({})).await;
    for missing in [text(&other, "/data/jwtId"), ABSENT, "x"] {
        admin.delete(&path(missing)).await.refused(404, "token_not_found");
    }
    let newest = text(&get(&app, id).await, "/jwtId").to_owned();
    admin.delete(&path(&newest)).await.expect(200);
    assert!(works(&app, first).await && !works(&app, &second).await);
    assert_eq!(text(&get(&app, id).await, "/jwtId"), text(&made, "/data/jwtId"));
    admin.delete(&path(&newest)).await.refused(404, "token_not_found");
    admin.delete(&path(text(&made, "/data/jwtId"))).await.expect(200);
    let data = get(&app, id).await;
    assert_eq!((data.get("jwtId"), &data["isExpired"]), (None, &json!(true)));
}

#[tokio::test]
async fn who_is_mapped_has_no_tokens_from_here() {
    let app = TestApp::start().await;
    let provider = json!({"type": "identity-provider", "name": "okta", "issuer": "https://idp.example.com", "jwks_uri": "https://idp.example.com/keys"});
    app.admin().put("/api/v1/identity-providers", json!({"manifest": provider})).await.expect(200);
    let before = apply(&app, "bot", json!({"token_type": "jwt"})).await;
    let mapping = json!([{"identity_provider": "okta", "value": "bot@example.com"}]);
    let mapped = apply(&app, "bot", json!({"token_type": "jwt", "identity_provider_mapping": mapping})).await;
    assert!(!works(&app, text(&before, "/token")).await);
    assert_eq!((mapped.get("token"), &mapped["data"]["isExpired"]), (None, &json!(false)));
    let path = format!("{ACCOUNTS}/{}", text(&mapped, "/data/id"));
    let body = json!({"gracePeriodInMinutes": 1});
    for answer in [
        app.admin().post(&format!("{path}/regenerate-token"), body).await,
        app.admin().post(&format!("{path}/sync-to-secret-store?force=true"), json!({})).await,
        app.admin().get(&format!("{path}/token")).await,
    ] {
        assert_eq!(answer.faults(), ["manifest.identity_provider_mapping"]);
    }
}

#[tokio::test]
async fn another_end_is_another_jwt() {
    let app = TestApp::start().await;
    let terms = |day: &str| json!({"token_type": "jwt", "expiration_date": day});
    let made = apply(&app, "bot", terms("2027-01-31")).await;
    let later = apply(&app, "bot", terms("2027-02-28")).await;
    let path = format!("{ACCOUNTS}/{}/token", text(&made, "/data/id"));
    assert_eq!(app.admin().get(&path).await.expect(200)["token"], later["token"]);
    assert_eq!(claims(text(&later, "/token"))["exp"], 1_803_859_200);
    let sooner = apply(&app, "bot", terms("2026-11-30")).await;
    app.clock.advance_days(6);
    for token in [&made, &later] {
        assert!(works(&app, text(token, "/token")).await);
    }
    app.clock.advance_days(2);
    for token in [&made, &later, &sooner] {
        assert!(!works(&app, text(token, "/token")).await, "none outlives the account's date");
    }
    let refused =
        app.admin().post(&path.replace("/token", "/regenerate-token"), json!({"gracePeriodInMinutes": 1})).await;
    assert_eq!(refused.faults(), ["manifest.expiration_date"]);
}

#[tokio::test]
async fn agents_have_identities_with_tokens() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let agent = |name: &str| json!({"manifest": {"type": "agent-identity", "name": name, "identity": {"type": "truefoundry-backed"}}});
    let made = admin.put(AGENTS, agent("helper")).await.expect(200);
    let (id, token) = (text(&made, "/data/id"), text(&made, "/token"));
    assert_eq!((text(&made, "/data/type"), text(&made, "/data/fqn")), ("agent-identity", "default:agent:helper"));
    assert!(works(&app, token).await && is_jwt(token));
    let info = app.client("helper", Some(token)).get(INFO).await.expect(200);
    assert_eq!(text(&info, "/subjectType"), "agent-identity");
    admin.put(AGENTS, json!({"manifest": {"type": "virtual-account", "name": "x-bot"}})).await.expect(400);
    admin.put(AGENTS, agent("helper-two")).await.expect(200);
    apply(&app, "bot", json!({})).await;
    for (query, expected) in [
        ("", vec!["helper-two", "helper"]),
        ("?name=helper", vec!["helper"]),
        ("?namePrefix=helper-", vec!["helper-two"]),
        ("?type=remote-agent", vec![]),
        ("?attributes=id&attributes=name&limit=1", vec!["helper-two"]),
    ] {
        assert_eq!(column(&admin.get(&format!("{AGENTS}{query}")).await.expect(200), "/data", "/name"), expected);
    }
    let path = format!("{AGENTS}/{id}");
    assert_eq!(admin.get(&format!("{path}/token")).await.expect(200), json!({"token": token}));
    admin.post(&format!("{path}/token"), json!({})).await.refused(409, "name_taken");
    let body = json!({"gracePeriodInMinutes": 0, "expirationDate": "2026-11-30"});
    let second = admin.post(&format!("{path}/regenerate-token"), body).await.expect(200);
    assert!(!works(&app, token).await && works(&app, text(&second, "/token")).await);
    assert_eq!(text(&admin.get(&path).await.expect(200), "/data/tokenExpiry"), "2026-12-01T00:00:00.000Z");
    app.clock.advance_days(10);
    admin.get(&format!("{path}/token")).await.refused(404, "token_not_found");
    let bad = admin.post(&format!("{path}/token"), json!({"expirationDate": "2026-11-30"})).await;
    assert_eq!(bad.faults(), ["expirationDate"]);
    let third = admin.post(&format!("{path}/token"), json!({})).await.expect(200);
    assert!(works(&app, text(&third, "/token")).await);
    // Neither kind is reached as the other.
    admin.get(&format!("{ACCOUNTS}/{id}")).await.refused(404, "virtual_account_not_found");
    admin.delete(&path).await.expect(200);
    admin.get(&path).await.refused(404, "agent_not_found");
    assert!(!works(&app, text(&third, "/token")).await);
}

/// What only one of two writers may leave behind: the newest token.
#[tokio::test]
async fn of_many_who_regenerate_at_once_the_newest_token_is_in_the_group() {
    let app = TestApp::start().await;
    app.group(&app.admin(), "vault", &[]).await;
    let made = apply(&app, "bot", json!({"secret_store_config": target("vault")})).await;
    let id = text(&made, "/data/id");
    let many = (0..8).map(|_| async { regenerate(&app, id, json!(0)).await });
    let tokens = futures_util::future::join_all(many).await;
    let there = written(&app, "vault").await;
    assert!(tokens.contains(&there) && works(&app, &there).await);
    let data = get(&app, id).await;
    assert_eq!(data["syncTokenInSecretStoreInfo"]["jwtId"], data["jwtId"]);
    let mut living = 0;
    for token in &tokens {
        living += usize::from(works(&app, token).await);
    }
    assert_eq!(living, 1);
}

/// The parts of the contract's row 36 and 37 that a client sees.
#[tokio::test]
async fn answers_have_every_field_that_the_sdk_requires() {
    let app = TestApp::start().await;
    app.group(&app.admin(), "vault", &[]).await;
    let made = apply(&app, "bot", json!({"token_type": "jwt", "secret_store_config": target("vault")})).await;
    let account = &made["data"];
    for field in ["id", "type", "tenantName", "createdBySubject", "createdAt", "updatedAt", "accountId"] {
        assert!(!account[field].is_null(), "{field}");
    }
    for field in ["id", "subjectType", "subjectId", "expiry", "tokenType", "createdAt", "updatedAt"] {
        assert!(account["jwts"][0][field].is_string(), "{field}");
    }
    let path = format!("{ACCOUNTS}/{}/sync-to-secret-store", text(account, "/id"));
    let synced = app.admin().post(&path, json!({})).await.expect(200);
    for field in ["updatedAt", "jwtId"] {
        assert!(synced["syncTokenInSecretStoreInfo"][field].is_string(), "{field}");
    }
    let machine: Client = app.client("bot", Some(&written(&app, "vault").await));
    assert_eq!(text(&machine.get(INFO).await.expect(200), "/subjectType"), "serviceaccount");
}

#[tokio::test]
async fn a_secret_has_the_token_of_one_machine() {
    let app = TestApp::start().await;
    let admin = app.admin();
    app.group(&admin, "vault", &[("HAND_MADE", "x")]).await;
    let terms = json!({"secret_store_config": target("vault")});
    apply(&app, "bot", terms.clone()).await;
    // The same again is the machine's own.
    apply(&app, "bot", terms.clone()).await;
    let other = json!({"manifest": manifest("other", &terms)});
    for dry_run in [true, false] {
        let mut other = other.clone();
        other["dryRun"] = dry_run.into();
        let answer = admin.put(ACCOUNTS, other).await;
        assert_eq!(answer.faults(), ["manifest.secret_store_config.key"]);
        assert!(answer.text.contains("`bot`"), "{}", answer.text);
    }
    let mut identity = terms.clone();
    identity["type"] = json!("truefoundry-backed");
    let agent = json!({"type": "agent-identity", "name": "helper", "identity": identity});
    let answer = admin.put("/api/svc/v1/apply", json!({"manifest": agent})).await;
    assert_eq!(answer.faults(), ["manifest.identity.secret_store_config.key"]);
    // One that is there already may not move there either; but it may where nobody writes any more.
    apply(&app, "other", json!({})).await;
    assert_eq!(admin.put(ACCOUNTS, other.clone()).await.faults(), ["manifest.secret_store_config.key"]);
    apply(&app, "bot", json!({})).await;
    admin.put(ACCOUNTS, other).await.expect(200);
}

#[tokio::test]
async fn an_agent_that_is_missing_is_called_one() {
    let app = TestApp::start().await;
    let delete = async |kind: &str| {
        app.admin().post("/api/svc/v1/delete", json!({"manifest": {"type": kind, "name": "nobody"}})).await
    };
    delete("agent-identity").await.refused(404, "agent_not_found");
    delete("virtual-account").await.refused(404, "virtual_account_not_found");
}

#[tokio::test]
async fn virtual_accounts_are_filtered_by_name() {
    let app = TestApp::start().await;
    for name in ["bot-one", "bot-two", "other"] {
        app.machine(name, &[]).await;
    }
    let list = async |filter: Value| {
        let filter = strongroom_testkit::encode(&filter.to_string());
        app.admin().get(&format!("{ACCOUNTS}?filter={filter}")).await
    };
    let bots = json!({"type": "AND", "children": [{"column": "name", "op": "STRING_CONTAINS", "value": "bot"}]});
    let found = list(bots).await.expect(200);
    assert_eq!(column(&found, "/data", "/manifest/name"), ["bot-two", "bot-one"]);
    let tags = json!({"column": "manifest.tags", "op": "EQUAL", "value": "x"});
    assert_eq!(list(tags).await.faults(), ["query.filter"]);
}
