//! No value without its record, and no change without its event.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use strongroom_testkit::TestApp;

use crate::support::{
    GROUPS, SECRETS, column, count_events, events, group_path, list, reference_path, secret_id, secret_path, text,
    updates,
};

/// What an event says of secrets, as (id, version), sorted.
fn revealed(event: &Value) -> Vec<(String, i64)> {
    let mut all: Vec<_> = list(event, "/metaData/secrets")
        .iter()
        .map(|secret| (text(secret, "/id").to_owned(), secret["version"].as_i64().unwrap()))
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn each_reveal_says_who_saw_which_version_of_what_from_where() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "one"), ("J", "other")]).await;
    cast.editor.put(&cast.group_path(), updates(&[("K", Some("two")), ("J", None)])).await.expect(200);
    let (k, j) = (cast.secret_id("K").to_owned(), cast.secret_id("J").to_owned());
    let before = count_events(&app, "").await;

    cast.editor.get(&cast.secret_path("K")).await.expect(200);
    cast.machine.get(&reference_path("default:shared:K:1")).await.expect(200);
    cast.admin.post(SECRETS, json!({"withValue": true, "secretGroupId": cast.group_id})).await.expect(200);
    cast.editor.post(SECRETS, json!({"withValue": true, "secretFqns": ["default:shared:J"]})).await.expect(200);
    // None of these gives a value.
    cast.viewer.get(&cast.secret_path("K")).await.expect(200);
    cast.editor.post(SECRETS, json!({"secretGroupId": cast.group_id})).await.expect(200);
    cast.viewer.post(SECRETS, json!({"withValue": true})).await.expect(200);
    cast.editor.get(&format!("{}/versions", cast.secret_path("K"))).await.expect(200);
    cast.editor.get(&cast.group_path()).await.expect(200);

    assert_eq!(count_events(&app, "").await - before, 4);
    let newest = events(&app, "").await;
    let mut both = vec![(k.clone(), 2), (j.clone(), 1)];
    both.sort();
    let expected = [
        (&cast.editor, "user", "READ_SECRET_VALUES", vec![(j.clone(), 1)], SECRETS.to_owned(), ""),
        (&cast.admin, "user", "READ_SECRET_VALUES", both, SECRETS.to_owned(), ""),
        (
            &cast.machine,
            "serviceaccount",
            "READ_SECRET_VALUE",
            vec![(k.clone(), 1)],
            "/api/svc/v1/control-plane/secret".into(),
            &k,
        ),
        (&cast.editor, "user", "READ_SECRET_VALUE", vec![(k.clone(), 2)], cast.secret_path("K"), &k),
    ];
    for (event, (client, kind, action, secrets, path, resource)) in newest.iter().zip(expected) {
        assert_eq!((text(event, "/action"), text(event, "/result")), (action, "success"));
        assert_eq!((text(event, "/subject/subjectSlug"), text(event, "/subject/subjectType")), (client.name(), kind));
        assert_eq!(text(event, "/clientAddress"), "192.0.2.7");
        assert_eq!((revealed(event), text(event, "/requestPath")), (secrets, path.as_str()));
        assert_eq!((text(event, "/resourceType"), text(event, "/resourceId")), ("secret", resource));
        assert_eq!(text(event, "/requestId").len(), 36);
    }
    assert_eq!(text(&newest[3], "/subject/subjectPatName"), "test-token");
    assert_eq!(newest[3]["revision"], 3);
    let with_token = "SELECT COUNT(*) FROM audit_events e JOIN tokens t ON t.id = e.token_id \
        WHERE e.action LIKE 'READ_SECRET_VALUE%'";
    assert_eq!(app.tamper().number(with_token), 4, "each names the token that it was done with");
}

#[tokio::test]
async fn each_change_leaves_exactly_one_event() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "one"), ("J", "x")]).await;
    let (group, k) = (cast.group_path(), cast.secret_path("K"));
    let restore = format!("/api/v1/secrets/{}/restore", cast.secret_id("K"));
    let restore_group = format!("/api/v1/secret-groups/{}/restore", cast.group_id);
    let manifest = json!({"manifest": app.manifest("shared", &[("team:everyone", "secret-group-viewer")])});
    let machine = json!({"manifest": {"type": "virtual-account", "name": "new-machine"}});
    let tagged = json!({"manifest": {"type": "virtual-account", "name": "new-machine", "tags": {"a": "b"}}});
    let token = json!({"name": "more", "userEmail": cast.stranger.name()});
    let steps = [
        (
            "POST",
            GROUPS,
            json!({"name": "new", "integrationId": app.integration_id(), "secrets": [{"key": "A", "value": "a"}]}),
            "CREATE_SECRET_GROUP",
        ),
        ("PUT", &group, updates(&[("K", Some("two")), ("J", None), ("N", Some("n"))]), "UPDATE_SECRET_GROUP"),
        ("PUT", GROUPS, manifest.clone(), "UPDATE_SECRET_GROUP"),
        ("PUT", "/api/svc/v1/apply", json!({"manifest": app.manifest("applied", &[])}), "CREATE_SECRET_GROUP"),
        ("DELETE", &k, json!({}), "DELETE_SECRET"),
        ("POST", &restore, json!({}), "RESTORE_SECRET"),
        ("DELETE", &group, json!({}), "DELETE_SECRET_GROUP"),
        ("POST", &restore_group, json!({}), "RESTORE_SECRET_GROUP"),
        ("POST", "/api/svc/v1/delete", manifest, "DELETE_SECRET_GROUP"),
        ("POST", "/api/svc/v1/users/register", json!({"email": "new@example.com"}), "REGISTER_USER"),
        ("POST", "/api/svc/v1/personal-access-tokens/for-user", token, "CREATE_PERSONAL_ACCESS_TOKEN"),
        ("PUT", "/api/svc/v1/virtual-accounts", machine, "CREATE_VIRTUAL_ACCOUNT"),
        ("PUT", "/api/svc/v1/virtual-accounts", tagged, "UPDATE_VIRTUAL_ACCOUNT"),
    ];
    for (method, path, body, action) in steps {
        let before = count_events(&app, "").await;
        cast.admin.request(method, path).json(&body).send().await.expect(200);
        let after = events(&app, "").await;
        assert_eq!(after.len() as i64 - before, 1, "{action}");
        let event = &after[0];
        assert_eq!((text(event, "/action"), text(event, "/result")), (action, "success"));
        assert_eq!(text(event, "/subject/subjectSlug"), cast.admin.name());
        assert_eq!(text(event, "/requestPath"), path);
        assert!(!text(event, "/resourceId").is_empty() && !text(event, "/resourceName").is_empty(), "{event}");
    }
    let update = &events(&app, &format!("action=UPDATE_SECRET_GROUP&resourceId={}", cast.group_id)).await[1];
    assert_eq!(column(update, "/metaData/created", "/name"), ["N"]);
    assert_eq!(column(update, "/metaData/updated", "/name"), ["K"]);
    assert_eq!((&update["metaData"]["updated"][0]["version"], &update["revision"]), (&json!(2), &json!(3)));
    // What changes nothing leaves nothing.
    let group = app.group(&cast.admin, "same", &[("K", "v")]).await;
    let before = count_events(&app, "").await;
    cast.admin.put(&group_path(&group), updates(&[("K", Some("v"))])).await.expect(200);
    cast.admin.put(&group_path(&group), updates(&[])).await.expect(422);
    assert_eq!(count_events(&app, "").await, before);
}

#[tokio::test]
async fn refusals_are_on_record_with_who_was_refused_what() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "one")]).await;
    let before = count_events(&app, "").await;
    cast.viewer.get(&reference_path("default:shared:K")).await.refused(403, "forbidden");
    cast.viewer.put(&cast.group_path(), updates(&[("K", Some("x"))])).await.refused(403, "forbidden");
    cast.editor.delete(&cast.group_path()).await.refused(403, "forbidden");
    // Looking at what one may see is no attempt at its value.
    cast.viewer.get(&cast.secret_path("K")).await.expect(200);
    let all = events(&app, "").await;
    assert_eq!(all.len() as i64 - before, 3);
    let seen: Vec<_> = all[..3]
        .iter()
        .map(|event| (text(event, "/action"), text(event, "/result"), text(event, "/subject/subjectSlug")))
        .collect();
    let (viewer, editor) = (cast.viewer.name(), cast.editor.name());
    assert_eq!(
        seen,
        [
            ("MANAGE_SECRET_GROUP", "denied", editor),
            ("WRITE_SECRETS", "denied", viewer),
            ("READ_SECRET_VALUE", "denied", viewer),
        ]
    );
    assert_eq!(text(&all[0], "/resourceId"), cast.group_id);
    assert_eq!(text(&all[2], "/resourceFqn"), "default:shared:K");
}

#[tokio::test]
async fn the_log_is_narrowed_by_each_filter() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "one")]).await;
    app.clock.advance_days(1);
    let other = app.cast("other", &[("K", "one")]).await;
    cast.editor.get(&cast.secret_path("K")).await.expect(200);
    other.editor.get(&other.secret_path("K")).await.expect(200);
    cast.machine.get(&reference_path("default:shared:K")).await.expect(200);
    let count = async |query: &str| {
        let counted = count_events(&app, query).await;
        assert_eq!(events(&app, query).await.len() as i64, counted, "{query}");
        counted
    };
    let (mine, machine) = (cast.editor.name(), cast.machine.name());
    assert_eq!(count("action=READ_SECRET_VALUE").await, 3);
    assert_eq!(count(&format!("resourceId={}", cast.secret_id("K"))).await, 2);
    assert_eq!(count("resourceFqn=default:shared:K").await, 2);
    assert_eq!(count("resourceName=K").await, 3);
    assert_eq!(count("resourceType=secret&action=READ_SECRET_VALUE").await, 3);
    assert_eq!(count("resourceType=secret-group&resourceName=shared").await, 2);
    assert_eq!(count(&format!("subjectSlug={mine}")).await, 1);
    assert_eq!(count(&format!("subjectSlug={mine},{machine}")).await, 2);
    assert_eq!(count(&format!("subjectSlug={mine}&subjectSlug={machine}&action=READ_SECRET_VALUE")).await, 2);
    assert_eq!(count("action=NOPE").await, 0);
    assert_eq!(count("end=2026-11-24&resourceName=other").await, 0);
    assert_eq!(count("start=2026-11-24&resourceName=other").await, 2);
    assert_eq!(count("start=2026-11-24T00:00:00Z&end=2026-11-25&action=READ_SECRET_VALUE").await, 3);
    assert_eq!(count("clusterId=x&workspaceId=y&action=READ_SECRET_VALUE").await, 3, "unknown filters narrow nothing");

    let path = "/api/svc/v1/audit-logs?metric=list&action=READ_SECRET_VALUE&limit=2";
    let (first, second) =
        (cast.admin.get(path).await.expect(200), cast.admin.get(&format!("{path}&offset=2")).await.expect(200));
    assert_eq!((list(&first, "/data").len(), list(&second, "/data").len()), (2, 1));
    assert_eq!(first["pagination"], json!({"total": 3, "offset": 0, "limit": 2}));
    assert!(text(&first, "/data/0/createdAt") > text(&first, "/data/1/createdAt"), "newest first");
    for (query, field) in [
        ("", "query.metric"),
        ("metric=sum", "query.metric"),
        ("metric=list&start=noon", "query.start"),
        ("metric=list&limit=0", "query.limit"),
    ] {
        assert_eq!(cast.admin.get(&format!("/api/svc/v1/audit-logs?{query}")).await.faults(), [field]);
    }
}

#[tokio::test]
async fn without_its_event_no_value_is_given_and_nothing_is_changed() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "the-value"), ("J", "x")]).await;
    let group = cast.owner.get(&cast.group_path()).await;
    let tamper = app.tamper();
    let tables =
        ["secret_groups", "group_revisions", "secrets", "secret_versions", "lifetimes", "grants", "users", "tokens"];
    let rows = || tables.map(|table| tamper.number(&format!("SELECT COUNT(*) FROM {table}")));
    let before = rows();
    tamper.refuse_events();

    for client in [&cast.editor, &cast.admin, &cast.machine] {
        for answer in [
            client.get(&cast.secret_path("K")).await,
            client.get(&reference_path("default:shared:K")).await,
            client.post(SECRETS, json!({"withValue": true})).await,
            client.post(SECRETS, json!({"withValue": true, "secretFqns": ["default:shared:K"]})).await,
        ] {
            assert!(answer.status >= 500 && !answer.text.contains("the-value"), "{}", answer.text);
        }
    }
    // What gives no value goes on.
    cast.viewer.get(&cast.secret_path("K")).await.expect(200);
    cast.editor.post(SECRETS, json!({})).await.expect(200);
    cast.viewer.put(&cast.group_path(), updates(&[("K", Some("x"))])).await.refused(403, "forbidden");

    let manifest = json!({"manifest": app.manifest("shared", &[("team:everyone", "secret-group-viewer")])});
    for answer in [
        cast.owner.put(&cast.group_path(), updates(&[("K", Some("new")), ("J", None)])).await,
        cast.owner.put(GROUPS, manifest).await,
        cast.owner.delete(&cast.secret_path("J")).await,
        cast.owner.delete(&cast.group_path()).await,
        cast.owner.post(GROUPS, json!({"name": "new", "integrationId": app.integration_id(), "secrets": []})).await,
        cast.admin.post("/api/svc/v1/users/register", json!({"email": "new@example.com"})).await,
        cast.admin
            .put("/api/svc/v1/virtual-accounts", json!({"manifest": {"type": "virtual-account", "name": "new"}}))
            .await,
    ] {
        assert!(answer.status >= 400, "{}", answer.text);
    }
    assert_eq!(rows(), before);
    assert_eq!(cast.owner.get(&cast.group_path()).await.text, group.text);

    tamper.take_events();
    let read = cast.editor.get(&cast.secret_path("K")).await.expect(200);
    assert_eq!(text(&read, "/data/value"), "the-value");
    let updated = cast.owner.put(&cast.group_path(), updates(&[("K", Some("new")), ("J", None)])).await.expect(200);
    assert_eq!(secret_id(&updated["data"], "K"), cast.secret_id("K"));
}

#[tokio::test]
async fn the_server_itself_is_on_record_too() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("K", "x")]).await;
    let other = app.group(&admin, "other", &[("K", "x"), ("J", "x")]).await;
    admin.delete(&group_path(&group)).await.expect(200);
    admin.delete(&secret_path(secret_id(&other, "K"))).await.expect(200);
    app.clock.advance_days(31);
    assert_eq!(app.instance().purge_now().await.unwrap(), 2);
    let purged = events(&app, "subjectSlug=strongroom").await;
    let mut told: Vec<_> = purged.iter().map(|event| (text(event, "/action"), text(event, "/resourceFqn"))).collect();
    told.sort_unstable();
    assert_eq!(told, [("PURGE_SECRET", "default:other:K"), ("PURGE_SECRET_GROUP", "default:group")]);
    let first = events(&app, "action=CREATE_INSTANCE").await;
    assert_eq!(first.len(), 1);
}

#[test]
fn the_documentation_lists_every_action() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let documented = std::fs::read_to_string(root.join("../../docs/api.md")).unwrap();
    let (_, listed) = documented.split_once("Actions:").unwrap();
    let listed: BTreeSet<&str> = listed
        .lines()
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect();
    let mut written = BTreeSet::new();
    let mut folders = vec![root.join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(path).unwrap();
                written.extend(text.split('"').filter(|word| is_action(word)).map(str::to_owned));
            }
        }
    }
    assert!(written.len() > 50, "{written:?}");
    let listed: BTreeSet<_> = listed.into_iter().filter(|word| is_action(word)).map(str::to_owned).collect();
    assert_eq!(listed, written);
}

/// Words in capitals, but those of settings, and of the operators of filters.
fn is_action(text: &str) -> bool {
    let others = ["STRONGROOM_", "DISABLE_", "CARGO_", "STRING_", "NOT_", "STARTS_", "ENDS_"];
    text.contains('_')
        && !text.starts_with('_')
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        && !others.iter().any(|other| text.starts_with(other))
}
