//! Every operation as everybody, against an oracle that knows nothing of the policy; and what grants and tokens come to.

mod invisible;
mod oracle;
mod requests;
mod walk;

use serde_json::json;
use strongroom_testkit::TestApp;

use crate::support::{GROUPS, group_path, text};

const VALUE: &str = "the-value-nobody-should-see";

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
