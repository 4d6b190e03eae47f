//! What one may not see looks like what is not there.

use serde_json::json;
use strongroom_api::{Access, Operation};
use strongroom_testkit::{Answer, TestApp};

use super::VALUE;
use super::requests::{Person, Target, send, target};
use crate::support::{ABSENT, GROUPS, SECRETS, group_path, secret_id, text};

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
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[]).await;
    let mut compared = 0;
    for (number, operation) in Operation::ALL.iter().enumerate() {
        // A name that is taken is told to everybody: there the two differ, and may.
        let tells = matches!(operation, Operation::ApplySecretGroup | Operation::Apply | Operation::CreateSecretGroup);
        // People know each other.
        let tells = tells || matches!(operation, Operation::ListUsers | Operation::GetUser);
        // These take no target, and the last one looks at its body alone.
        let spec = operation.spec();
        // People see teams.
        let seen = spec.path.contains("/teams/");
        let aimless = spec.access != Access::Authenticated || seen || *operation == Operation::DependencyTree;
        if tells || aimless {
            continue;
        }
        let hidden = target(&app, &cast, number, *operation).await;
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
        for client in [&cast.stranger, &cast.drone] {
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
