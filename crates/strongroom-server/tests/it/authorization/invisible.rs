//! What one may not see looks like what is not there.

use serde_json::{Value, json};
use strongroom_api::{Access, Operation};
use strongroom_testkit::{Answer, FakeIdp, TestApp};

use super::VALUE;
use super::requests::{Person, Target, send, target};
use crate::support::{ABSENT, GROUPS, SECRETS, TRASH, group_path, reference_path, secret_id, text};

/// The answer without what differs from request to request anyway.
fn shape(answer: &Answer, asked: &[&str]) -> String {
    let mut headers = answer.headers.clone();
    headers.remove("x-request-id");
    // That of the body, which says what was asked for.
    headers.remove("content-length");
    let body = asked.iter().fold(answer.text.clone(), |text, id| text.replace(id, "<asked>"));
    format!("{} {headers:?} {body}", answer.status)
}

#[tokio::test]
async fn what_one_may_not_see_looks_like_what_is_not_there() {
    let app =
        TestApp::with(FakeIdp::EGRESS.0, FakeIdp::EGRESS.1).set("STRONGROOM_RATE_LIMIT_ADDRESS", "0").start().await;
    let crowd = app.crowd().await;
    let mut compared = 0;
    for (number, operation) in Operation::ALL.iter().enumerate() {
        // A name that is taken is told to everybody: there the two differ, and may.
        let tells = matches!(operation, Operation::ApplySecretGroup | Operation::Apply | Operation::CreateSecretGroup);
        // People know each other.
        let tells = tells || matches!(operation, Operation::ListUsers | Operation::GetUser);
        // These take no target, and the last one looks at its body alone.
        let spec = operation.spec();
        // People see teams, and everybody sees which stores there are.
        let seen = spec.path.contains("/teams/") || spec.path.contains("/provider-");
        let aimless = spec.access != Access::Authenticated || seen || *operation == Operation::DependencyTree;
        if tells || aimless {
            continue;
        }
        let hidden = target(&app, &crowd, number, *operation).await;
        // Of the same length: an answer that repeats the name is as long.
        let nothing = hidden.name.replace("target", "absent");
        let absent = Target {
            name: nothing.clone(),
            group_id: ABSENT.into(),
            secret_id: ABSENT.into(),
            person: Person::absent(ABSENT),
            other_id: ABSENT.into(),
        };
        let malformed = Target {
            name: nothing.clone(),
            group_id: "1".into(),
            secret_id: "x%2Fy".into(),
            person: Person::absent("1"),
            other_id: "1".into(),
        };
        for name in ["stranger", "editor elsewhere", "lapsed editor", "machine stranger"] {
            let client = crowd.client(name);
            let seen = send(&app, client, *operation, &hidden).await;
            let missing = send(&app, client, *operation, &absent).await;
            let asked = [hidden.name.as_str(), &hidden.group_id, &hidden.secret_id];
            let other = [nothing.as_str(), ABSENT];
            assert_eq!(shape(&seen, &asked), shape(&missing, &other), "{} as {}", operation.spec().id, client.name());
            assert!(seen.status == 404 || !seen.text.contains(&hidden.group_id), "{}", seen.text);
            let unreadable = send(&app, client, *operation, &malformed).await;
            assert_eq!(shape(&missing, &other), shape(&unreadable, &[&nothing]), "{}", operation.spec().id);
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

/// Everything that can be asked about a group by its name or id without making one: method, path, body.
fn questions(name: &str, group: &str, secret: &str) -> Vec<(&'static str, String, Option<Value>)> {
    let fqn = format!("default:{name}");
    let mut all = Vec::new();
    for query in [
        format!("fqn={fqn}"),
        format!("fqn={fqn}:K"),
        format!("fqn=default%3A{name}&attributes=associatedSecrets"),
        format!("search={name}"),
        format!("search={}", &name[..6]),
        format!("search={name}&fqn={fqn}&limit=1&offset=0"),
    ] {
        all.push(("GET", format!("{GROUPS}?{query}"), None));
        all.push(("GET", format!("{TRASH}?{query}"), None));
        all.push(("GET", format!("/api/svc/v1/role-bindings?{query}"), None));
        all.push(("GET", format!("/api/svc/v1/audit-logs?metric=list&{query}"), None));
    }
    for reference in [format!("{fqn}:K"), format!("{fqn}:K:1"), format!("tfy-secret://{fqn}:K"), fqn.clone()] {
        all.push(("GET", reference_path(&reference), None));
    }
    for resource in [fqn.clone(), format!("{fqn}:K"), group.to_owned(), secret.to_owned(), name.to_owned()] {
        for subject in ["user:shared-owner@example.com", "user:none@example.com"] {
            let asked = format!("subject={subject}&action=see&resource={resource}");
            all.push(("GET", format!("/api/v1/access/explain?{asked}"), None));
        }
    }
    for resource in [group, secret, name, &fqn] {
        for kind in ["secret-group", "team", "account", "none"] {
            let asked = format!("resourceType={kind}&resourceId={resource}");
            all.push(("GET", format!("/api/svc/v1/role-bindings/generate-manifest?{asked}"), None));
        }
        let asked = format!("subjectType=user&subjectId={resource}");
        all.push(("GET", format!("/api/svc/v1/role-bindings/generate-manifest?{asked}"), None));
    }
    for body in [
        json!({"secretFqns": [format!("{fqn}:K")], "withValue": true}),
        json!({"secretFqns": [format!("tfy-secret://{fqn}:K:1"), fqn]}),
        json!({"secretFqns": [format!("{fqn}:K")], "secretGroupId": group}),
        json!({"secretGroupId": group, "withValue": true, "limit": 1}),
    ] {
        all.push(("POST", SECRETS.into(), Some(body)));
    }
    for role in ["secret-group-viewer", "secret-group-admin"] {
        let permission = json!({"resourceType": "secret-group", "resourceFqn": fqn, "role": role});
        let subject = json!({"type": "user", "name": "shared-stranger@example.com"});
        let binding =
            json!({"type": "role-binding", "name": "mine", "subjects": [subject], "permissions": [permission]});
        let inline = |role: &str| {
            let subject = "user:shared-viewer@example.com";
            json!({"resourceType": "secret-group", "resourceFqn": fqn, "subjectFqn": subject, "role": role})
        };
        let body = json!({"roleBindings": [inline(role), inline("secret-group-reader")]});
        all.push(("POST", "/api/svc/v1/role-bindings/inline".into(), Some(body)));
        let permission = json!({"resource_type": "secret-group", "resource_fqn": fqn, "role_id": role});
        let machine = json!({"type": "virtual-account", "name": "mine", "permissions": [permission]});
        let store = json!({"type": "tfy-secrets", "secret_group": name, "key": "K"});
        let keeper = json!({"type": "virtual-account", "name": "mine", "secret_store_config": store});
        for manifest in [binding, machine, keeper] {
            for dry_run in [true, false] {
                let body = json!({"manifest": manifest, "dryRun": dry_run});
                all.push(("PUT", "/api/svc/v1/apply".into(), Some(body.clone())));
                all.push(("PUT", "/api/svc/v1/role-bindings".into(), Some(body.clone())));
                all.push(("PUT", "/api/svc/v1/virtual-accounts".into(), Some(body)));
            }
        }
    }
    let manifest = json!({"type": "secret-group", "name": name, "integration_fqn": "x"});
    all.push(("POST", "/api/svc/v1/delete".into(), Some(json!({"manifest": manifest}))));
    all.push(("PUT", format!("{GROUPS}/{group}"), Some(json!({"secrets": []}))));
    all.push(("PUT", format!("{GROUPS}/{group}"), Some(json!({"secrets": [{"key": "", "value": 1}]}))));
    all.push(("DELETE", format!("{GROUPS}/{group}?forceDelete=true"), None));
    all.push(("POST", format!("/api/v1/secrets/{secret}/restore"), Some(json!({"x": 1}))));
    all.push(("POST", format!("/api/v1/secret-groups/{group}/restore"), Some(json!({"x": 1}))));
    all.push(("GET", format!("/api/v1/secret-groups/{group}/access?limit=1"), None));
    all
}

#[tokio::test]
async fn no_question_tells_that_something_hidden_is_there() {
    let app =
        TestApp::with(FakeIdp::EGRESS.0, FakeIdp::EGRESS.1).set("STRONGROOM_RATE_LIMIT_ADDRESS", "0").start().await;
    let crowd = app.crowd().await;
    let hidden = app.group(&crowd.cast.owner, "hidden-group", &[("K", VALUE)]).await;
    crowd.share(&app, "hidden-group").await;
    // A binding whose name is made of what it grants tells nobody else that it is there.
    let inline = json!({"resourceType": "secret-group", "resourceFqn": "default:hidden-group",
        "subjectFqn": "user:shared-viewer@example.com", "role": "secret-group-viewer"});
    let inline = json!({"roleBindings": [inline]});
    crowd.cast.owner.post("/api/svc/v1/role-bindings/inline", inline).await.expect(200);
    let (group, secret) = (text(&hidden, "/id"), secret_id(&hidden, "K"));
    let (there, nothing) = (questions("hidden-group", group, secret), questions("absent-group", ABSENT, ABSENT));
    for name in ["stranger", "editor elsewhere", "lapsed editor", "machine stranger", "nobody", "deactivated"] {
        let client = crowd.client(name);
        for ((method, path, body), (_, other_path, other_body)) in there.iter().zip(&nothing) {
            for tag in ["", "\"1\"", "*"] {
                let ask = |path: &str, body: &Option<Value>| {
                    let mut request = client.request(method, path);
                    if !tag.is_empty() {
                        request = request.header(http::header::IF_MATCH, tag);
                    }
                    match body {
                        Some(body) => request.json(body).send(),
                        None => request.send(),
                    }
                };
                let seen = shape(&ask(path, body).await, &[group, secret, "hidden-group"]);
                let missing = shape(&ask(other_path, other_body).await, &[ABSENT, "absent-group"]);
                assert_eq!(seen, missing, "{method} {path} {body:?} as {name}");
            }
        }
    }
    // The same questions tell those who may see it.
    let answer = crowd.client("viewer by team").get(&there[0].1).await;
    assert!(answer.text.contains(group));
}
