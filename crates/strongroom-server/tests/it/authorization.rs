//! Every operation as everybody, against an oracle that knows nothing of the policy.

use std::fmt::Write as _;

use serde_json::{Value, json};
use strongroom_api::{Access, Operation};
use strongroom_testkit::{Answer, Cast, Client, TestApp};

use crate::support::{ABSENT, GROUPS, SECRETS, TRASH, group_path, reference_path, secret_id, text, updates};

const VALUE: &str = "the-value-nobody-should-see";

/// What a request is aimed at: a group of its own for each request, shared as the cast's group is.
struct Target {
    name: String,
    group_id: String,
    secret_id: String,
}

/// What everybody may do, written from the contract and the design: first the eight who have a token, in the order of
/// [`Cast::all`]. `+` says that the answer names the target, `=` that it gives the value.
#[expect(clippy::match_same_arms, reason = "a line for each operation")]
fn oracle(operation: Operation, values_hidden: bool) -> &'static str {
    match operation {
        //                                 admin  owner  editor viewer strngr m-edit m-view m-stranger
        Operation::ListSecretGroups => "200+ 200+ 200+ 200+ 200 200+ 200+ 200",
        Operation::CreateSecretGroup => "200 200 200 200 200 403 403 403",
        Operation::ApplySecretGroup => "200+ 200+ 403 403 409 403 403 403",
        Operation::GetSecretGroup => "200+ 200+ 200+ 200+ 404 200+ 200+ 404",
        Operation::UpdateSecretGroup => "200+ 200+ 200+ 403 404 200+ 403 404",
        Operation::DeleteSecretGroup => "200 200 403 403 404 403 403 404",
        Operation::ListSecrets | Operation::GetSecret if values_hidden => "200+ 200+ 200+ 200+ 404 200+= 200+ 404",
        Operation::ListSecrets | Operation::GetSecret => "200+= 200+= 200+= 200+ 404 200+= 200+ 404",
        Operation::DeleteSecret => "200 200 200 403 404 200 403 404",
        Operation::ListSecretVersions => "200+ 200+ 200+ 200+ 404 200+ 200+ 404",
        Operation::GetControlPlaneSecret if values_hidden => "403 403 403 403 404 200= 403 404",
        Operation::GetControlPlaneSecret => "200= 200= 200= 403 404 200= 403 404",
        Operation::ListProviderAccounts | Operation::ListProviderIntegrations => "200 200 200 200 200 200 200 200",
        Operation::Apply => "200+ 200+ 403 403 409 403 403 403",
        Operation::DeleteManifest => "200 200 403 403 404 403 403 404",
        Operation::GetSession | Operation::GetUserInfo => "200 200 200 200 200 200 200 200",
        Operation::RegisterUser
        | Operation::CreateTokenForUser
        | Operation::RevokeTokensOfUser
        | Operation::ApplyVirtualAccount => "200 403 403 403 403 403 403 403",
        Operation::ListAuditLogs => "200+ 403 403 403 403 403 403 403",
        Operation::ListTrash => "200+ 200+ 200+ 200 200 200+ 200 200",
        // Who can't bring a group back doesn't learn that it was ever there.
        Operation::RestoreSecretGroup => "200+ 200+ 404 404 404 404 404 404",
        Operation::RestoreSecret => "200+ 200+ 200+ 403 404 200+ 403 404",
        Operation::MinCliVersion
        | Operation::TenantId
        | Operation::Healthz
        | Operation::Readyz
        | Operation::OpenApi => "200 200 200 200 200 200 200 200",
    }
}

/// The request that does an operation to a target.
fn request(app: &TestApp, operation: Operation, target: &Target) -> (String, Option<Value>) {
    let Target { name, group_id, secret_id } = target;
    let group = format!("{GROUPS}/{group_id}");
    let secret = format!("{SECRETS}/{secret_id}");
    let mut manifest = app.manifest(name, &[]);
    manifest["ownedBy"] = json!({"account": "other"});
    manifest.as_object_mut().unwrap().remove("collaborators");
    match operation {
        Operation::ListSecretGroups => (format!("{GROUPS}?limit=1000"), None),
        Operation::CreateSecretGroup => {
            let body = json!({"name": format!("{name}-new"), "integrationId": app.integration_id(), "secrets": []});
            (GROUPS.into(), Some(body))
        }
        Operation::ApplySecretGroup => (GROUPS.into(), Some(json!({"manifest": manifest}))),
        Operation::GetSecretGroup | Operation::DeleteSecretGroup => (group, None),
        Operation::UpdateSecretGroup => (group, Some(updates(&[("K", Some("another"))]))),
        Operation::ListSecrets => (SECRETS.into(), Some(json!({"secretGroupId": group_id, "withValue": true}))),
        Operation::GetSecret | Operation::DeleteSecret => (secret, None),
        Operation::ListSecretVersions => (format!("{secret}/versions"), None),
        Operation::GetControlPlaneSecret => (reference_path(&format!("tfy-secret://default:{name}:K")), None),
        Operation::ListProviderAccounts => ("/api/svc/v1/provider-accounts".into(), None),
        Operation::ListProviderIntegrations => ("/api/svc/v1/provider-integrations".into(), None),
        Operation::Apply => ("/api/svc/v1/apply".into(), Some(json!({"manifest": manifest}))),
        Operation::DeleteManifest => ("/api/svc/v1/delete".into(), Some(json!({"manifest": manifest}))),
        Operation::MinCliVersion => ("/api/svc/v1/min-cli-version".into(), None),
        Operation::TenantId => ("/api/svc/v1/tenant-id".into(), None),
        Operation::GetSession => ("/api/svc/v1/session".into(), None),
        Operation::GetUserInfo => ("/api/svc/v1/x/users/info".into(), None),
        Operation::RegisterUser => {
            ("/api/svc/v1/users/register".into(), Some(json!({"email": format!("{name}@example.com")})))
        }
        Operation::CreateTokenForUser => {
            let body = json!({"name": "more", "userEmail": "shared-stranger@example.com"});
            ("/api/svc/v1/personal-access-tokens/for-user".into(), Some(body))
        }
        Operation::RevokeTokensOfUser => {
            let body = json!({"email": "shared-revoked@example.com"});
            ("/api/svc/v1/personal-access-tokens/revoke/all".into(), Some(body))
        }
        Operation::ApplyVirtualAccount => {
            let manifest = json!({"type": "virtual-account", "name": format!("{name}-va")});
            ("/api/svc/v1/virtual-accounts".into(), Some(json!({"manifest": manifest})))
        }
        Operation::ListAuditLogs => (format!("/api/svc/v1/audit-logs?metric=list&resourceId={group_id}"), None),
        Operation::ListTrash => (format!("{TRASH}?limit=1000"), None),
        Operation::RestoreSecretGroup => (format!("/api/v1/secret-groups/{group_id}/restore"), Some(json!({}))),
        Operation::RestoreSecret => (format!("/api/v1/secrets/{secret_id}/restore"), Some(json!({}))),
        Operation::Healthz => ("/healthz".into(), None),
        Operation::Readyz => ("/readyz".into(), None),
        Operation::OpenApi => ("/openapi.json".into(), None),
    }
}

async fn send(app: &TestApp, client: &Client, operation: Operation, target: &Target) -> Answer {
    let (path, body) = request(app, operation, target);
    let request = client.request(operation.spec().method.name(), &path);
    match body {
        Some(body) => request.json(&body).send().await,
        None => request.send().await,
    }
}

/// A group of the owner with the secret `K`, shared with the cast; and, where the operation needs it, deleted.
async fn target(app: &TestApp, cast: &Cast, number: usize, operation: Operation) -> Target {
    let name = format!("target-{number}");
    let group = app.group(&cast.owner, &name, &[("K", VALUE), ("OTHER", "x")]).await;
    let user = |client: &Client| format!("user:{}", client.name());
    let machine = |client: &Client| format!("virtualaccount:{}", client.name());
    let manifest = app.manifest(
        &name,
        &[
            (&user(&cast.editor), "secret-group-editor"),
            (&user(&cast.revoked), "secret-group-admin"),
            (&user(&cast.viewer), "secret-group-viewer"),
            (&machine(&cast.machine), "secret-group-editor"),
            (&machine(&cast.watcher), "secret-group-viewer"),
        ],
    );
    cast.owner.put(GROUPS, json!({"manifest": manifest})).await.expect(200);
    let secret = secret_id(&group, "K").to_owned();
    match operation {
        Operation::RestoreSecretGroup => {
            cast.owner.delete(&group_path(&group)).await.expect(200);
        }
        Operation::RestoreSecret | Operation::ListTrash => {
            cast.owner.delete(&format!("{SECRETS}/{secret}")).await.expect(200);
        }
        _ => {}
    }
    Target { name, group_id: text(&group, "/id").into(), secret_id: secret }
}

/// Everything that an administrator can see of a target, and what was decided about it.
async fn state(cast: &Cast, target: &Target) -> [String; 3] {
    let Target { group_id, secret_id, .. } = target;
    let events = format!("/api/svc/v1/audit-logs?metric=list&resourceId={group_id}");
    [
        cast.admin.get(&format!("{GROUPS}/{group_id}")).await.text,
        cast.admin.get(&format!("{SECRETS}/{secret_id}/versions")).await.text,
        // Refusals are on record, too; they change nothing.
        cast.admin.get(&events).await.json["data"]
            .as_array()
            .map_or(0, |events| events.iter().filter(|event| event["result"] == "success").count())
            .to_string(),
    ]
}

async fn walk(values_hidden: bool) {
    let app = TestApp::with("DISABLE_SECRET_VALUE_VIEW", if values_hidden { "true" } else { "false" }).start().await;
    let cast = app.cast("shared", &[]).await;
    let (mut picture, mut wrong, mut number) = (String::new(), Vec::new(), 0);
    for operation in Operation::ALL {
        let spec = operation.spec();
        let mut drawn = Vec::new();
        let without_token = if spec.access == Access::Public { "200" } else { "401" };
        let expected: Vec<&str> = oracle(*operation, values_hidden).split(' ').chain([without_token; 3]).collect();
        assert_eq!(expected.len(), cast.all().len(), "{}", spec.id);
        for ((role, client), expected) in cast.all().into_iter().zip(expected) {
            number += 1;
            let target = target(&app, &cast, number, *operation).await;
            let before = state(&cast, &target).await;
            let answer = send(&app, client, *operation, &target).await;
            let named = answer.text.contains(&target.group_id) || answer.text.contains(&target.secret_id);
            let plus = if named { "+" } else { "" };
            let value = if answer.text.contains(VALUE) { "=" } else { "" };
            let found = format!("{}{plus}{value}", answer.status);
            if found != expected {
                wrong.push(format!("{} as {role}: {found}, not {expected}: {}", spec.id, answer.text));
            }
            if answer.status >= 400 && state(&cast, &target).await != before {
                wrong.push(format!("{} as {role} was refused and changed something", spec.id));
            }
            drawn.push(found);
        }
        let cells = drawn.iter().fold(String::new(), |line, cell| format!("{line} {cell:<5}"));
        writeln!(picture, "{:<43}{}", spec.id, cells.trim_end()).unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let kept = part(if values_hidden { "hidden" } else { "shown" });
    assert_eq!(picture, kept, "authorization.txt must say\n{picture}");
}

#[tokio::test]
async fn everybody_may_do_what_the_oracle_says_and_nothing_else() {
    walk(false).await;
}

#[tokio::test]
async fn with_hidden_values_only_machines_get_them() {
    walk(true).await;
}

/// One half of the checked-in picture.
fn part(which: &str) -> String {
    let picture = include_str!("authorization.txt");
    let begin = picture.split_once(&format!("# values {which}\n")).expect("a heading").1;
    let lines = begin.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with('#'));
    lines.fold(String::new(), |part, line| part + line + "\n")
}

/// The answer without what differs from request to request anyway.
fn shape(answer: &Answer, asked: &[&str]) -> String {
    let mut headers = answer.headers.clone();
    headers.remove("x-request-id");
    let body = asked.iter().fold(answer.text.clone(), |text, id| text.replace(id, "<asked>"));
    format!("{} {headers:?} {body}", answer.status)
}

#[tokio::test]
async fn what_one_may_not_see_looks_like_what_is_not_there() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[]).await;
    let mut compared = 0;
    for (number, operation) in Operation::ALL.iter().enumerate() {
        // A name that is taken is told to everybody: there the two differ, and may.
        let tells = matches!(operation, Operation::ApplySecretGroup | Operation::Apply | Operation::CreateSecretGroup);
        // These take no target.
        let aimless = operation.spec().access != Access::Authenticated;
        if tells || aimless {
            continue;
        }
        let hidden = target(&app, &cast, number, *operation).await;
        let absent = Target { name: "nothing-here".into(), group_id: ABSENT.into(), secret_id: ABSENT.into() };
        let malformed = Target { name: "nothing-here".into(), group_id: "1".into(), secret_id: "x%2Fy".into() };
        for client in [&cast.stranger, &cast.drone] {
            let seen = send(&app, client, *operation, &hidden).await;
            let missing = send(&app, client, *operation, &absent).await;
            let asked = [hidden.name.as_str(), &hidden.group_id, &hidden.secret_id];
            let other = ["nothing-here", ABSENT];
            assert_eq!(shape(&seen, &asked), shape(&missing, &other), "{} as {}", operation.spec().id, client.name());
            assert!(seen.status == 404 || !seen.text.contains(&hidden.group_id), "{}", seen.text);
            let unreadable = send(&app, client, *operation, &malformed).await;
            assert_eq!(shape(&missing, &other), shape(&unreadable, &["nothing-here"]), "{}", operation.spec().id);
            compared += 1;
        }
    }
    assert!(compared >= 20, "{compared} compared");
}

#[tokio::test]
async fn a_deleted_thing_looks_like_one_that_never_was() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", VALUE)]).await;
    let other = app.group(&cast.owner, "other", &[("K", VALUE)]).await;
    cast.owner.delete(&cast.secret_path("K")).await.expect(200);
    cast.owner.delete(&group_path(&other)).await.expect(200);
    for (deleted, absent) in [
        (cast.secret_path("K"), format!("{SECRETS}/{ABSENT}")),
        (group_path(&other), format!("{GROUPS}/{ABSENT}")),
        (format!("{SECRETS}/{}", secret_id(&other, "K")), format!("{SECRETS}/{ABSENT}")),
    ] {
        for (_, client) in cast.all() {
            let (gone, never) = (client.get(&deleted).await, client.get(&absent).await);
            assert_eq!(shape(&gone, &[]), shape(&never, &[]), "{deleted} as {}", client.name());
            let (gone, never) = (client.delete(&deleted).await, client.delete(&absent).await);
            assert_eq!(shape(&gone, &[]), shape(&never, &[]), "{deleted} as {}", client.name());
        }
    }
}

#[tokio::test]
async fn lists_hold_what_one_may_see_and_count_no_more() {
    let app = TestApp::start().await;
    let cast = app.cast("mine", &[("MY_KEY", VALUE)]).await;
    let _theirs = app.cast("theirs", &[("THEIR_KEY", VALUE)]).await;
    for client in [&cast.owner, &cast.editor, &cast.viewer, &cast.machine, &cast.watcher] {
        let groups = client.get(GROUPS).await.expect(200);
        assert_eq!((groups["pagination"]["total"].clone(), text(&groups, "/data/0/name")), (json!(1), "mine"));
        for search in ["their", "THEIR_KEY", "theirs"] {
            let found = client.get(&format!("{GROUPS}?search={search}")).await.expect(200);
            assert_eq!((found["data"].clone(), found["pagination"]["total"].clone()), (json!([]), json!(0)));
        }
        let by_fqn = client.get(&format!("{GROUPS}?fqn=default:theirs")).await.expect(200);
        assert_eq!((by_fqn["data"].clone(), by_fqn["pagination"]["total"].clone()), (json!([]), json!(0)));
        let secrets = client.post(SECRETS, json!({"withValue": true})).await.expect(200);
        assert_eq!((secrets["pagination"]["total"].clone(), text(&secrets, "/data/0/name")), (json!(1), "MY_KEY"));
        let named = json!({"secretFqns": ["default:theirs:THEIR_KEY", "default:mine:MY_KEY"], "withValue": true});
        let named = client.post(SECRETS, named).await.expect(200);
        assert_eq!((named["pagination"]["total"].clone(), text(&named, "/data/0/name")), (json!(1), "MY_KEY"));
    }
    let all = cast.admin.get(GROUPS).await.expect(200);
    assert_eq!(all["pagination"]["total"], 2);
}

#[tokio::test]
async fn a_grant_that_is_taken_away_counts_at_once() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", VALUE)]).await;
    cast.editor.get(&cast.secret_path("K")).await.expect(200);
    let manifest = app.manifest("shared", &[(&format!("user:{}", cast.owner.name()), "secret-group-admin")]);
    cast.owner.put(GROUPS, json!({"manifest": manifest})).await.expect(200);
    for client in [&cast.editor, &cast.viewer, &cast.watcher] {
        client.get(&cast.secret_path("K")).await.refused(404, "secret_not_found");
    }
    // What the machine's own manifest grants isn't the group's to take.
    cast.machine.get(&cast.secret_path("K")).await.expect(200);
    let elsewhere = app.group(&cast.owner, "elsewhere", &[]).await;
    assert!(!text(&elsewhere, "/id").is_empty());
    let permissions = json!([{"resource_type": "secret-group", "resource_fqn": "default:elsewhere", "role_id": "secret-group-viewer"}]);
    let manifest = json!({"type": "virtual-account", "name": cast.machine.name(), "permissions": permissions});
    cast.admin.put("/api/svc/v1/virtual-accounts", json!({"manifest": manifest})).await.expect(200);
    cast.machine.get(&cast.secret_path("K")).await.refused(404, "secret_not_found");
    cast.machine.get(&group_path(&elsewhere)).await.expect(200);
}

#[tokio::test]
async fn nobody_locks_themselves_out_and_everyone_is_a_team() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", VALUE)]).await;
    cast.owner
        .put(GROUPS, json!({"manifest": app.manifest("shared", &[("team:everyone", "secret-group-viewer")])}))
        .await
        .expect(200);
    cast.owner.get(&cast.secret_path("K")).await.expect(200);
    let seen = cast.stranger.get(&cast.secret_path("K")).await.expect(200);
    assert_eq!(seen["data"].get("value"), None);
    cast.drone.get(&cast.secret_path("K")).await.refused(404, "secret_not_found");
    cast.nobody.get(&cast.secret_path("K")).await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn tokens_end_and_headers_are_read_strictly() {
    let app = TestApp::start().await;
    app.person("short@example.com").await;
    let wanted = json!({"name": "short", "userEmail": "short@example.com", "expirationDate": "2026-11-24"});
    let made = app.admin().post("/api/svc/v1/personal-access-tokens/for-user", wanted).await.expect(200);
    let short = app.client("short", made["token"].as_str());
    short.get(GROUPS).await.expect(200);
    app.clock.advance_days(1);
    let ended = short.get(GROUPS).await;
    let unknown = app.client("unknown", Some(&app.unknown_token())).get(GROUPS).await;
    assert_eq!(
        ended.refused(401, "unauthenticated"),
        unknown.refused(401, "unauthenticated"),
        "ended and unknown look alike"
    );
    assert_eq!(unknown.headers["www-authenticate"], "Bearer");
    let token = app.admin().token().unwrap().to_owned();
    let nobody = app.client("nobody", None);
    for header in
        [format!("Basic {token}"), token.clone(), "Bearer".into(), "Bearer ".into(), format!("Bearer {token}x")]
    {
        let answer = nobody.request("GET", GROUPS).header(http::header::AUTHORIZATION, &header).send().await;
        answer.refused(401, "unauthenticated");
    }
    let lower = nobody.request("GET", GROUPS).header(http::header::AUTHORIZATION, &format!("bearer {token}"));
    lower.send().await.expect(200);
}
