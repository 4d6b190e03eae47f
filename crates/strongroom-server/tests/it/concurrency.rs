//! Many at once: nothing is lost, nothing is half, and one wins where only one can.

use std::future::Future;
use std::task::{Context, Poll, Waker};

use http::header::IF_MATCH;
use serde_json::{Value, json};
use strongroom_testkit::{Answer, Client, TestApp};

use crate::support::{
    GROUPS, SECRETS, column, count_events, group_path, list, reference_path, secret_id, secret_path, text, updates,
};

const TASKS: usize = 32;

/// Runs a request of each of many tasks at the same time; the answers come in the order of the tasks.
async fn all<F: Future<Output = Answer> + Send + 'static>(request: impl Fn(usize) -> F) -> Vec<Answer> {
    let running: Vec<_> = (0..TASKS).map(|task| tokio::spawn(request(task))).collect();
    let mut answers = Vec::new();
    for task in running {
        answers.push(task.await.unwrap());
    }
    answers
}

/// How many answers have which status.
fn statuses(answers: &[Answer]) -> Vec<(u16, usize)> {
    let mut found: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    found.sort_unstable();
    found.chunk_by(|a, b| a == b).map(|same| (same[0], same.len())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_update_of_a_group_is_lost_and_no_number_is_given_twice() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("K", "start")]).await;
    let (path, client) = (group_path(&group), admin.clone());
    let answers = all(move |task| {
        let (client, path) = (client.clone(), path.clone());
        async move { client.put(&path, updates(&[("K", Some(&format!("value-{task}")))])).await }
    })
    .await;
    assert_eq!(statuses(&answers), [(200, TASKS)]);
    let mut seen = Vec::new();
    for (task, answer) in answers.iter().enumerate() {
        let version = answer.json["data"]["associatedSecrets"][0]["secretVersions"][0]["version"].as_i64().unwrap();
        assert_eq!(answer.etag(), format!("\"{version}\""), "one revision each");
        let read = admin.get(&reference_path(&format!("default:group:K:{version}"))).await.expect(200);
        assert_eq!(text(&read, "/value"), format!("value-{task}"), "the answer names the version that it made");
        seen.push(version);
    }
    seen.sort_unstable();
    assert_eq!(seen, (2..=TASKS as i64 + 1).collect::<Vec<_>>());
    assert_eq!(admin.get(&group_path(&group)).await.etag(), format!("\"{}\"", TASKS + 1));
    let updates = count_events(&app, &format!("action=UPDATE_SECRET_GROUP&resourceId={}", text(&group, "/id"))).await;
    assert_eq!(updates, TASKS as i64);
    let revisions = "SELECT COUNT(*) FROM group_revisions WHERE group_id = (SELECT id FROM secret_groups)";
    assert_eq!(app.tamper().number(revisions), TASKS as i64 + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_all_who_change_one_revision_one_wins() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("K", "start")]).await;
    let path = group_path(&group);
    for round in 1..=3 {
        let (client, path) = (admin.clone(), path.clone());
        let answers = all(move |task| {
            let body = updates(&[("K", Some(&format!("{round}-{task}")))]);
            let request = client.request("PUT", &path).header(IF_MATCH, &format!("\"{round}\"")).json(&body);
            async move { request.send().await }
        })
        .await;
        assert_eq!(statuses(&answers), [(200, 1), (412, TASKS - 1)]);
    }
    assert_eq!(admin.get(&path).await.etag(), "\"4\"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_name_is_given_once() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let integration = app.integration_id().to_owned();
    let create = |name: &'static str, different: bool| {
        let (client, integration) = (admin.clone(), integration.clone());
        all(move |task| {
            let value = if different { task.to_string() } else { "same".to_owned() };
            let body = json!({"name": name, "integrationId": integration, "secrets": [{"key": "K", "value": value}]});
            let client = client.clone();
            async move { client.post(GROUPS, body).await }
        })
    };
    let answers = create("contested", true).await;
    assert_eq!(statuses(&answers), [(200, 1), (409, TASKS - 1)]);
    let winner = answers.iter().position(|answer| answer.status == 200).unwrap();
    let id = secret_id(&answers[winner].json["data"], "K").to_owned();
    let read = admin.get(&secret_path(&id)).await.expect(200);
    assert_eq!(text(&read, "/data/value"), winner.to_string());

    let repeated = create("repeated", false).await;
    assert_eq!(statuses(&repeated), [(200, TASKS)]);
    assert!(repeated.iter().all(|answer| answer.json["data"]["id"] == repeated[0].json["data"]["id"]), "one group");

    let manifest = app.manifest("applied", &[]);
    let client = admin.clone();
    let applied = all(move |_| {
        let (client, body) = (client.clone(), json!({"manifest": manifest.clone()}));
        async move { client.put(GROUPS, body).await }
    })
    .await;
    assert!(applied.iter().all(|answer| [200, 409].contains(&answer.status)), "{:?}", statuses(&applied));

    let client = admin.clone();
    let registered = all(move |_| {
        let client = client.clone();
        async move { client.post("/api/svc/v1/users/register", json!({"email": "one@example.com"})).await }
    })
    .await;
    assert_eq!(statuses(&registered), [(200, 1), (409, TASKS - 1)]);
    let names = admin.get(GROUPS).await.expect(200);
    let mut names = column(&names, "/data", "/name");
    names.sort_unstable();
    assert_eq!(names, ["applied", "contested", "repeated"]);
    assert_eq!(app.tamper().number("SELECT COUNT(*) FROM secrets"), 2, "the losers left nothing behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thing_is_deleted_and_restored_once() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("K", "x"), ("J", "x")]).await;
    let run = |method: &'static str, path: String| {
        let client = admin.clone();
        all(move |_| {
            let request = client.request(method, &path);
            async move { request.send().await }
        })
    };
    let secret = secret_id(&group, "K");
    assert_eq!(statuses(&run("DELETE", secret_path(secret)).await), [(200, 1), (404, TASKS - 1)]);
    assert_eq!(statuses(&run("POST", format!("/api/v1/secrets/{secret}/restore")).await), [(200, 1), (409, TASKS - 1)]);
    assert_eq!(statuses(&run("DELETE", group_path(&group)).await), [(200, 1), (404, TASKS - 1)]);
    let restore = format!("/api/v1/secret-groups/{}/restore", text(&group, "/id"));
    assert_eq!(statuses(&run("POST", restore).await), [(200, 1), (409, TASKS - 1)]);
    assert_eq!(admin.get(&group_path(&group)).await.etag(), "\"5\"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_see_a_group_before_or_after_a_change_never_between() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("A", "0"), ("B", "0")]).await;
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let id = text(&group, "/id").to_owned();
    let readers: Vec<_> = [
        json!({"withValue": true, "secretGroupId": id}),
        json!({"withValue": true, "secretFqns": ["default:group:A", "default:group:B"]}),
    ]
    .into_iter()
    .map(|body| {
        let (client, done) = (admin.clone(), done.clone());
        tokio::spawn(async move {
            let mut reads = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) || reads == 0 {
                let read = client.post(SECRETS, body.clone()).await.expect(200);
                let values = column(&read, "/data", "/value");
                assert!(values.len() == 2 && values[0] == values[1], "half an update: {values:?}");
                reads += 1;
                tokio::task::yield_now().await;
            }
            reads
        })
    })
    .collect();
    for round in 1..=60 {
        let value = round.to_string();
        admin.put(&group_path(&group), updates(&[("A", Some(&value)), ("B", Some(&value))])).await.expect(200);
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
}

/// Polls a request so many times and then drops it, as a server does whose client hangs up.
async fn hang_up(request: impl Future<Output = Answer>, after: usize) -> Option<u16> {
    let mut request = Box::pin(request);
    for _ in 0..after {
        if let Poll::Ready(answer) = request.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(answer.status);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// Lets abandoned writes come to their end, and waits for their batches.
async fn come_to_rest(app: &TestApp) {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    app.settle().await;
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    app.settle().await;
}

#[tokio::test]
async fn a_write_whose_client_hangs_up_goes_on() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("K", "v1"), ("J", "j1")]).await;
    let path = group_path(&group);
    if app.is_on_postgres() {
        // Once the replica has heard of its own first start, it knows who calls without asking.
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
        admin.get(&path).await.expect(200);
    }
    // Polled once it has the whole request, and is a task of its own.
    let answered = hang_up(admin.put(&path, updates(&[("K", Some("v2")), ("J", Some("j2"))])), 1).await;
    assert_eq!(answered, None, "it was cut before its answer");
    come_to_rest(&app).await;
    let after = admin.get(&path).await;
    assert_eq!(after.etag(), "\"2\"", "the write was finished");
}

#[tokio::test]
async fn wherever_clients_hang_up_writes_are_whole_or_absent() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("A", "0"), ("B", "0")]).await;
    let path = group_path(&group);
    let mut cut = 0;
    for after in 0..12 {
        let value = format!("v{after}");
        let name = format!("made-{after}");
        let secrets = json!([{"key": "A", "value": value}, {"key": "B", "value": value}]);
        let body = json!({"name": name, "integrationId": app.integration_id(), "secrets": secrets});
        let created = hang_up(admin.post(GROUPS, body), after).await;
        let updated = hang_up(admin.put(&path, updates(&[("A", Some(&value)), ("B", Some(&value))])), after).await;
        cut += usize::from(created.is_none()) + usize::from(updated.is_none());
        // A read may stop; it must not take a lock, a connection or the server with it.
        hang_up(admin.post(SECRETS, json!({"withValue": true})), after).await;
        come_to_rest(&app).await;

        let read = admin.post(SECRETS, json!({"withValue": true, "secretGroupId": group["id"]})).await.expect(200);
        let values = column(&read, "/data", "/value");
        assert_eq!(values[0], values[1], "half an update");
        assert!(updated != Some(200) || values[0] == value, "acknowledged and lost");
        let found = admin.get(&format!("{GROUPS}?fqn=default:{name}")).await.expect(200);
        let made: &[Value] = list(&found, "/data");
        assert!(created != Some(200) || made.len() == 1, "acknowledged and lost");
        assert!(made.iter().all(|group| list(group, "/associatedSecrets").len() == 2), "half a group");
    }
    assert!(cut >= 4, "only {cut} were cut");
    let events = "SELECT COUNT(*) FROM group_revisions r WHERE NOT EXISTS \
        (SELECT 1 FROM audit_events e WHERE e.resource_id = r.group_id AND e.revision = r.revision)";
    assert_eq!(app.tamper().number(events), 0, "each revision has its event");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn different_groups_do_not_wait_for_each_other_and_share_commits() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[]).await;
    let before = app.instance().writer_stats();
    let (client, integration): (Client, _) = (cast.owner.clone(), app.integration_id().to_owned());
    let answers = all(move |task| {
        let body = json!({"name": format!("group-{task}"), "integrationId": integration, "secrets": [{"key": "K", "value": "x"}]});
        let client = client.clone();
        async move { client.post(GROUPS, body).await }
    })
    .await;
    assert_eq!(statuses(&answers), [(200, TASKS)]);
    let after = app.instance().writer_stats();
    assert_eq!(after.batches - before.batches, TASKS as u64);
    assert!(after.transactions - before.transactions <= TASKS as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_manifest_applied_by_many_at_once_is_one_group() {
    let app = TestApp::start().await;
    let (client, manifest) = (app.person("lead@example.com").await, app.manifest("fresh", &[]));
    let apply = |client: Client| {
        let manifest = manifest.clone();
        move |_| {
            let (client, body) = (client.clone(), json!({"manifest": manifest}));
            async move { client.put(GROUPS, body).await }
        }
    };
    assert_eq!(statuses(&all(apply(client)).await), [(200, TASKS)]);
    assert_eq!(count_events(&app, "action=CREATE_SECRET_GROUP").await, 1);
    // The name stays taken for whoever doesn't manage the group.
    let stranger = app.person("stranger@example.com").await;
    assert_eq!(statuses(&all(apply(stranger)).await), [(409, TASKS)]);
}

/// The manifest names so many that its first collaborator is gone before the last is looked up.
#[tokio::test]
async fn a_collaborator_who_goes_while_the_manifest_is_applied_is_missing() {
    let app = TestApp::start().await;
    let admin = app.admin();
    app.group(&admin, "old", &[]).await;
    let mut names = vec!["team:crew".to_owned()];
    for number in 0..400 {
        let email = format!("u{number}@example.com");
        admin.post("/api/svc/v1/users/register", json!({"email": email})).await.expect(200);
        names.push(format!("user:{email}"));
    }
    let collaborators: Vec<_> = names.iter().map(|name| (name.as_str(), "secret-group-viewer")).collect();
    for group in ["old", "new"] {
        app.apply(&json!({"type": "team", "name": "crew", "members": []})).await;
        let found = admin.get("/api/svc/v1/teams/user").await.expect(200);
        let team = found["data"].as_array().unwrap().iter().find(|team| team["teamName"] == "crew").unwrap();
        let delete = format!("/api/svc/v1/teams/{}", text(team, "/id"));
        let manifest = app.manifest(group, &collaborators);
        let (applied, deleted) = tokio::join!(admin.put(GROUPS, json!({"manifest": manifest})), admin.delete(&delete));
        deleted.expect(200);
        let message = applied.refused(404, "reference_not_found");
        assert!(message.contains("team:crew"), "{message}");
    }
}
