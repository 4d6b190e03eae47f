//! A value gets to those who may read it, through three routes, and nowhere else.

use std::path::Path;

use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use serde_json::{Value, json};
use strongroom_testkit::{Answer, Cast, Client, Crowd, FakeIdp, TestApp, encode};

use crate::support::{GROUPS, LOG, SECRETS, TRASH, events, group_path, reference_path, secret_id, updates};

/// Values that would be found again anywhere: what each is, itself, and how it may be spelled.
struct Canaries(Vec<(&'static str, String, Vec<String>)>);

impl Canaries {
    fn new(test: &str) -> Self {
        let all = ["current", "old version", "deleted secret", "deleted group", "refused input"];
        let canary = |what| {
            let canary = format!("cAnArY {test} {what} \"\\/+é= 4711");
            let spelled = spellings(&canary).iter().map(|spelling| searchable(spelling)).collect();
            (what, canary, spelled)
        };
        Self(all.into_iter().map(canary).collect())
    }

    fn get(&self, what: &str) -> &str {
        &self.0.iter().find(|(name, ..)| *name == what).unwrap().1
    }

    /// The canaries that stand in some bytes in any spelling.
    fn found_in(&self, bytes: &[u8]) -> Vec<&'static str> {
        let text = searchable(bytes);
        let found = self.0.iter().filter(|(.., spelled)| spelled.iter().any(|spelling| text.contains(spelling)));
        found.map(|(what, ..)| *what).collect()
    }
}

/// A character a byte: searching text is fast even where tests aren't optimised.
fn searchable(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

pub(crate) fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    searchable(haystack).contains(&searchable(needle))
}

/// As it is, as JSON, as a URL, in hexadecimal, in base64 at each of its three offsets, backwards, as UTF-16. The core of
/// each is enough, so that cut ends don't matter.
pub(crate) fn spellings(text: &str) -> Vec<Vec<u8>> {
    let bytes = text.as_bytes();
    let mut out = vec![bytes.to_vec(), bytes.iter().rev().copied().collect()];
    // Up to where quoting begins: found however often it is quoted.
    out.push(text.split('"').next().unwrap_or_default().as_bytes().to_vec());
    let json = json!(text).to_string();
    out.push(json.trim_matches('"').as_bytes().to_vec());
    out.push(format!("{text:?}").trim_matches('"').as_bytes().to_vec());
    out.push(encode(text).into_bytes());
    let hex = bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    out.push(hex.to_uppercase().into_bytes());
    out.push(hex.into_bytes());
    out.push(bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ").into_bytes());
    out.push(bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(",").into_bytes());
    for offset in 0..3 {
        let padded = [&b"xyz"[..offset], bytes].concat();
        let (from, whole) = (offset.div_ceil(3) * 4, padded.len() / 3 * 4);
        for alphabet in ["+/", "-_"] {
            out.push(base64(&padded, alphabet).as_bytes()[from..whole].to_vec());
        }
    }
    out.push(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    // By a digest, guesses are checked.
    out.push(sha256(text).into_bytes());
    out
}

fn sha256(text: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn base64(bytes: &[u8], last: &str) -> String {
    let letters = format!("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789{last}");
    let digit = |group: u32, place: u32| char::from(letters.as_bytes()[(group >> (18 - 6 * place) & 63) as usize]);
    let groups =
        bytes.chunks(3).map(|chunk| (0..3).fold(0, |sum, at| sum << 8 | u32::from(*chunk.get(at).unwrap_or(&0))));
    groups.flat_map(|group| (0..4).map(move |place| (group, place))).map(|(group, place)| digit(group, place)).collect()
}

#[test]
fn the_spellings_are_right() {
    assert_eq!(base64(b"Man is", "+/"), "TWFuIGlz");
    assert!(spellings("Man is it").contains(&b"TWFuIGlzIGl0".to_vec()));
    assert!(contains(b"....cyBpdA", b"cyBp") && !contains(b"abc", b"abd"));
}

/// Every file below a folder, the key and the lock too.
pub(crate) fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() { files(&path) } else { vec![(path.display().to_string(), std::fs::read(&path).unwrap())] }
        })
        .collect()
}

/// A group whose values are canaries, one version back, one secret deleted; and a deleted group.
async fn plant(app: &TestApp, canaries: &Canaries) -> (Cast, Value) {
    let secrets = [("CANARY_KEY", canaries.get("old version")), ("DEAD", canaries.get("deleted secret"))];
    let cast = app.cast("shared", &secrets).await;
    let gone = age(app, &cast, canaries).await;
    (cast, gone)
}

/// The same with everybody.
async fn plant_among_all(app: &TestApp, canaries: &Canaries) -> (Crowd, Value) {
    let mut crowd = app.crowd().await;
    let secrets = [("CANARY_KEY", canaries.get("old version")), ("DEAD", canaries.get("deleted secret"))]
        .map(|(k, v)| (k, Some(v)));
    let owner = crowd.cast.owner.clone();
    let group = owner.put(&crowd.cast.group_path(), updates(&secrets)).await.expect(200)["data"].take();
    crowd.cast.secret_ids =
        secrets.iter().map(|(key, _)| ((*key).to_owned(), secret_id(&group, key).to_owned())).collect();
    crowd.share(app, "shared").await;
    let gone = age(app, &crowd.cast, canaries).await;
    (crowd, gone)
}

/// Makes versions, and deletes some.
async fn age(app: &TestApp, cast: &Cast, canaries: &Canaries) -> Value {
    let update = updates(&[("CANARY_KEY", Some(canaries.get("current"))), ("DEAD", None)]);
    cast.editor.put(&cast.group_path(), update).await.expect(200);
    cast.editor.delete(&cast.secret_path("DEAD")).await.expect(200);
    let gone = app.group(&cast.owner, "gone", &[("CANARY_KEY", canaries.get("deleted group"))]).await;
    cast.owner.delete(&group_path(&gone)).await.expect(200);
    gone
}

/// Every way to ask for a value: each route, with each parameter that could let one through.
async fn ask_for_everything(app: &TestApp, cast: &Cast, gone: &Value, client: &Client, canary: &str) -> Vec<Answer> {
    let (group, guess) = (cast.group_path(), encode(canary));
    let (secret, dead) = (cast.secret_path("CANARY_KEY"), cast.secret_path("DEAD"));
    let mut paths = Vec::new();
    for tail in [
        "",
        "?limit=1000&offset=0",
        "?withValue=true",
        "?with_value=true",
        "?include=value",
        "?fqn=default:shared",
        "?attributes=value",
        "?attributes=associatedSecrets,value",
        "?attributes=associatedSecrets.value",
        "?attributes=associatedSecrets&attributes=secretVersions&attributes=manifest",
        "?search=CANARY_KEY&attributes=*",
        &format!("?search={guess}"),
        &format!("?search={}", encode(&canary[..8])),
        &format!("?fqn={guess}"),
    ] {
        paths.push(format!("{GROUPS}{tail}"));
        paths.push(format!("{group}{tail}"));
        paths.push(format!("{secret}{tail}"));
        paths.push(format!("{secret}/versions{tail}"));
        paths.push(format!("{dead}{tail}"));
        paths.push(format!("{dead}/versions{tail}"));
        paths.push(format!("{TRASH}{tail}"));
    }
    let (gone_group, gone_secret) = (group_path(gone), secret_id(gone, "CANARY_KEY"));
    paths.extend([gone_group, format!("{SECRETS}/{gone_secret}"), format!("{SECRETS}/{gone_secret}/versions")]);
    for key in ["CANARY_KEY", "DEAD"] {
        for version in ["", ":1", ":2"] {
            paths.push(reference_path(&format!("default:shared:{key}{version}")));
            paths.push(reference_path(&format!("tfy-secret://default:gone:{key}{version}")));
        }
    }
    paths.extend(
        [
            "metric=list&limit=1000",
            "metric=count",
            "metric=list&resourceType=secret",
            &format!("metric=list&resourceName={guess}"),
        ]
        .map(|query| format!("/api/svc/v1/audit-logs?{query}")),
    );
    for other in
        ["provider-accounts", "provider-integrations", "session", "x/users/info", "tenant-id", "min-cli-version"]
    {
        paths.push(format!("/api/svc/v1/{other}"));
    }
    paths.extend(["/healthz", "/readyz", "/openapi.json", "/metrics", "/"].map(str::to_owned));
    // People put values where they don't belong.
    paths.extend([
        format!("{SECRETS}/{guess}"),
        format!("{GROUPS}/{guess}"),
        format!("/{guess}"),
        format!("{secret}?x={guess}"),
    ]);
    let mut answers = Vec::new();
    for path in &paths {
        answers.push(client.get(path).await);
        answers.push(client.request("HEAD", path).send().await);
    }
    let id = &cast.group_id;
    for body in [
        json!({"withValue": true}),
        json!({"withValue": true, "secretGroupId": id}),
        json!({"withValue": true, "secretGroupId": gone["id"]}),
        json!({"withValue": true, "secretFqns": ["default:shared:CANARY_KEY", "default:shared:CANARY_KEY:1", "default:shared:DEAD"]}),
        json!({"withValue": true, "secretFqns": ["tfy-secret://default:gone:CANARY_KEY"], "secretGroupId": id}),
        json!({"withValue": true, "attributes": ["value"], "search": canary}),
    ] {
        answers.push(client.post(SECRETS, body).await);
    }
    for header in [IF_MATCH, HeaderName::from_static("x-user"), HeaderName::from_static("x-forwarded-for")] {
        answers.push(client.request("GET", &secret).header(header, "admin@example.com").send().await);
    }
    // Dry runs show what would be.
    for path in [GROUPS, "/api/svc/v1/apply"] {
        let manifest = app.manifest("shared", &[(&format!("user:{}", client.name()), "secret-group-admin")]);
        answers.push(client.put(path, json!({"manifest": manifest, "dryRun": true})).await);
    }
    answers
}

/// Canaries in the wrong places: what is refused is not repeated.
async fn misplace(cast: &Cast, client: &Client, canary: &str) -> Vec<Answer> {
    let mut answers = Vec::new();
    let integration = "nope";
    for body in [
        json!({"name": "x", "integrationId": integration, "secrets": [{"key": "K", "value": [canary]}]}),
        json!({"name": "x", "integrationId": integration, "secrets": [{"key": "K", "value": {"v": canary}}]}),
        json!({"name": "x", "integrationId": integration, "secrets": [{"key": canary, "value": "x"}]}),
        json!({"name": "x", "integrationId": integration, "secrets": [canary]}),
        json!({"name": "x", "integrationId": integration, "secrets": canary}),
        json!({"name": canary, "integrationId": integration, "secrets": [{"key": "K", "value": canary}]}),
        json!({"name": "x", "integrationId": canary, "secrets": [{"key": "K", "value": canary}]}),
        json!({"name": ["x", canary], "integrationId": 1, "secrets": []}),
        json!({canary: canary}),
        json!([canary]),
        json!(canary),
    ] {
        answers.push(client.post(GROUPS, body.clone()).await);
        answers.push(client.put(&cast.group_path(), body.clone()).await);
        answers.push(client.post(SECRETS, body.clone()).await);
        for path in [GROUPS, "/api/svc/v1/apply", "/api/svc/v1/virtual-accounts"] {
            answers.push(client.put(path, body.clone()).await);
            answers.push(client.put(path, json!({"manifest": body.clone()})).await);
        }
        answers.push(
            client.put(GROUPS, json!({"manifest": {"type": "secret-group", "name": "x", "secrets": body}})).await,
        );
    }
    let quoted = json!(canary).to_string();
    for text in
        [format!("{{\"secrets\": {quoted}"), format!("{quoted} {quoted}"), format!("{{{quoted}}}"), canary.to_owned()]
    {
        let request = client.request("POST", GROUPS).body("application/json", text.clone());
        answers.push(request.send().await);
        answers.push(client.request("POST", GROUPS).body("text/plain", text).send().await);
    }
    answers
}

fn assert_silent(canaries: &Canaries, client: &Client, answers: &[Answer]) {
    for answer in answers {
        let headers = format!("{:?}", answer.headers);
        let found = [canaries.found_in(answer.text.as_bytes()), canaries.found_in(headers.as_bytes())].concat();
        assert!(found.is_empty(), "{} got the {found:?} canary: {answer:?}", client.name());
    }
}

#[tokio::test]
async fn who_may_not_read_a_value_does_not_get_it_anywhere() {
    let _ = &*LOG;
    let canaries = Canaries::new("refused");
    let app = TestApp::start().await;
    let (cast, gone) = plant(&app, &canaries).await;
    let given = cast.editor.get(&cast.secret_path("CANARY_KEY")).await;
    assert_eq!(canaries.found_in(given.text.as_bytes()), ["current"], "what is looked for is found where it is");
    for (role, client) in cast.all() {
        if ["tenant admin", "group admin", "editor", "machine editor"].contains(&role) {
            continue;
        }
        let answers = ask_for_everything(&app, &cast, &gone, client, canaries.get("current")).await;
        assert!(answers.len() > 200);
        assert_silent(&canaries, client, &answers);
    }
}

#[tokio::test]
async fn however_one_came_to_see_a_group_its_values_stay_hidden() {
    let canaries = Canaries::new("viewed");
    let app =
        TestApp::with(FakeIdp::EGRESS.0, FakeIdp::EGRESS.1).set("STRONGROOM_RATE_LIMIT_ADDRESS", "0").start().await;
    let (crowd, gone) = plant_among_all(&app, &canaries).await;
    let cast = &crowd.cast;
    let (path, group) = (cast.secret_path("CANARY_KEY"), cast.group_path());
    for name in ["reader by team", "tenant reader", "machine editor by IdP token", "agent editor by IdP token"] {
        let given = crowd.client(name).get(&path).await;
        assert_eq!(canaries.found_in(given.text.as_bytes()), ["current"], "{name} may read");
    }
    let current = canaries.get("current");
    for name in [
        "viewer",
        "viewer by team",
        "tenant viewer",
        "machine viewer",
        "lapsed editor",
        "editor elsewhere",
        "IdP token of nobody",
        "expired token",
        "deactivated",
    ] {
        let client = crowd.client(name);
        let answers = ask_for_everything(&app, cast, &gone, client, current).await;
        assert_silent(&canaries, client, &answers);
        // A guess that is right is answered as one that is wrong.
        let mut told = Vec::new();
        for guess in [current, "wrong"] {
            let mut answers = Vec::new();
            for tag in ["*", "\"1\"", &format!("\"{}\"", sha256(guess))] {
                let body = updates(&[("CANARY_KEY", Some(guess)), ("DEAD", Some(guess))]);
                answers.push(client.request("PUT", &group).header(IF_MATCH, tag).json(&body).send().await);
                answers.push(client.request("GET", &path).header(IF_NONE_MATCH, tag).send().await);
                answers.push(client.request("DELETE", &path).header(IF_MATCH, tag).send().await);
            }
            assert_silent(&canaries, client, &answers);
            told.push(answers.into_iter().map(|answer| (answer.status, answer.text)).collect::<Vec<_>>());
        }
        assert_eq!(told[0], told[1], "{name}");
    }
}

/// The answers to a viewer are as long for a long value as for a short one.
#[tokio::test]
async fn how_long_a_value_is_does_not_show() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("LONG", &"x".repeat(1_000)), ("TINY", "x")]).await;
    let mut told = Vec::new();
    for key in ["LONG", "TINY"] {
        let path = cast.secret_path(key);
        let mut told_of = Vec::new();
        for client in [&cast.viewer, &cast.watcher] {
            for path in [path.clone(), format!("{path}/versions")] {
                let answer = client.get(&path).await;
                assert!(answer.status == 200 && !answer.text.contains("digest"), "{}", answer.text);
                told_of.push(answer.text.replace(cast.secret_id(key), "ID").len());
            }
        }
        told.push(told_of);
    }
    assert_eq!(told[0], told[1]);
}

#[tokio::test]
async fn with_hidden_values_no_person_gets_one() {
    let _ = &*LOG;
    let canaries = Canaries::new("hidden");
    let app = TestApp::with("DISABLE_SECRET_VALUE_VIEW", "true").start().await;
    let (cast, gone) = plant(&app, &canaries).await;
    let given = cast.machine.get(&cast.secret_path("CANARY_KEY")).await;
    assert_eq!(canaries.found_in(given.text.as_bytes()), ["current"]);
    for client in [&cast.admin, &cast.owner, &cast.editor] {
        assert_silent(
            &canaries,
            client,
            &ask_for_everything(&app, &cast, &gone, client, canaries.get("current")).await,
        );
    }
}

#[tokio::test]
async fn those_who_may_get_it_through_the_revealing_routes_only() {
    let _ = &*LOG;
    let canaries = Canaries::new("revealed");
    let app = TestApp::start().await;
    let (cast, gone) = plant(&app, &canaries).await;
    let answers = ask_for_everything(&app, &cast, &gone, &cast.editor, canaries.get("current")).await;
    for answer in answers {
        let found = canaries.found_in(answer.text.as_bytes());
        let versions = answer.json.pointer("/data/secretVersions/0/value").is_some();
        let revealing = answer.json.get("value").is_some()
            || answer.json.pointer("/data/value").is_some()
            || answer.json.pointer("/data/0/value").is_some();
        assert!(found.is_empty() || revealing, "{answer:?}");
        assert!(!versions && !found.contains(&"deleted secret") && !found.contains(&"deleted group"), "{answer:?}");
    }
}

#[tokio::test]
async fn values_are_in_no_file_no_event_no_log_and_no_error() {
    let log = &*LOG;
    let canaries = Canaries::new("stored");
    let mut app = TestApp::start().await;
    let (cast, gone) = plant(&app, &canaries).await;
    for client in [&cast.admin, &cast.owner, &cast.machine, &cast.viewer, &cast.stranger, &cast.nobody] {
        assert_silent(&canaries, client, &misplace(&cast, client, canaries.get("refused input")).await);
        ask_for_everything(&app, &cast, &gone, client, canaries.get("refused input")).await;
        ask_for_everything(&app, &cast, &gone, client, canaries.get("current")).await;
    }
    // Errors of the store and of the audit log.
    app.faults.take_down();
    cast.editor
        .put(&cast.group_path(), updates(&[("CANARY_KEY", Some(canaries.get("refused input")))]))
        .await
        .expect(424);
    let failed = cast.editor.get(&cast.secret_path("CANARY_KEY")).await;
    assert_silent(&canaries, &cast.editor, &[failed]);
    app.faults.bring_up();
    app.tamper().refuse_events();
    let failed = cast.editor.get(&cast.secret_path("CANARY_KEY")).await;
    assert_silent(&canaries, &cast.editor, &[failed]);
    app.tamper().take_events();

    let told = Value::from(events(&app, "").await).to_string();
    assert_eq!(canaries.found_in(told.as_bytes()), [""; 0]);
    assert!(told.contains("CANARY_KEY"), "the events are there");
    let tokens: Vec<&str> = cast.all().into_iter().filter_map(|(_, client)| client.token()).collect();
    for moment in ["running", "stopped"] {
        let files = [files(app.folder()), app.tamper().everything()].concat();
        assert!(
            files.iter().any(|(_, bytes)| contains(bytes, b"CANARY_KEY")),
            "what is looked for is found where it is"
        );
        for (name, bytes) in &files {
            assert_eq!(canaries.found_in(bytes), [""; 0], "{name} ({moment})");
            let token = tokens.iter().find(|token| contains(bytes, token.as_bytes()));
            assert!(token.is_none(), "{name} holds a token ({moment})");
        }
        app.stop().await;
    }
    let log = log.bytes();
    assert!(
        contains(&log, b"secret_store_failed") && contains(&log, b"/api/svc/v1/secrets/{id}"),
        "the log is captured"
    );
    assert_eq!(canaries.found_in(&log), [""; 0], "in the log");
    assert!(tokens.iter().all(|token| !contains(&log, token.as_bytes())), "a token in the log");
}

#[tokio::test]
async fn equal_values_look_different_in_the_database() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("A", "same"), ("B", "same")]).await;
    app.group(&admin, "other", &[("A", "same")]).await;
    for value in ["else", "same"] {
        admin.put(&group_path(&group), updates(&[("A", Some(value)), ("B", None)])).await.expect(200);
    }
    let tamper = app.tamper();
    let sealed = tamper.blobs("secret_versions", "sealed");
    assert_eq!(sealed.len(), 5);
    let mut bodies: Vec<_> = sealed.into_iter().map(|blob| blob.bytes).collect();
    bodies.sort();
    bodies.dedup();
    assert_eq!(bodies.len(), 5);
    // The digest tells versions of one secret apart, and nothing across secrets.
    let digests = "SELECT COUNT(*) FROM (SELECT digest FROM secret_versions GROUP BY digest HAVING COUNT(DISTINCT secret_id) > 1) d";
    assert_eq!(tamper.number(digests), 0);
}

#[tokio::test]
async fn what_is_purged_is_in_no_file() {
    let canaries = Canaries::new("purged");
    let mut app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("K", canaries.get("deleted group"))]).await;
    let tamper = app.tamper();
    let blobs = [tamper.blobs("secret_versions", "sealed"), tamper.blobs("secret_groups", "data_key")].concat();
    drop(tamper);
    admin.delete(&group_path(&group)).await.expect(200);
    app.settle().await;
    let holds = |app: &TestApp, bytes: &[u8]| {
        // What a PostgreSQL server's files still hold is its vacuum's and its archive's matter.
        let stored = if app.is_on_postgres() { app.tamper().everything() } else { files(app.folder()) };
        stored.iter().any(|(_, file)| contains(file, bytes))
    };
    assert!(blobs.iter().all(|blob| holds(&app, &blob.bytes)), "in the trash it is kept");
    app.clock.advance_days(31);
    assert_eq!(app.instance().purge_now().await.unwrap(), 1);
    assert!(
        blobs.iter().all(|blob| !holds(&app, &blob.bytes)),
        "sealed values and keys are overwritten, not only forgotten"
    );
    app.stop().await;
    assert!(blobs.iter().all(|blob| !holds(&app, &blob.bytes)));
}

#[tokio::test]
async fn a_machine_s_token_is_in_its_group_and_nowhere_else() {
    let log = &*LOG;
    let mut app = TestApp::start().await;
    let admin = app.admin();
    app.group(&admin, "vault", &[]).await;
    let accounts = "/api/svc/v1/virtual-accounts";
    let mut tokens: Vec<String> = Vec::new();
    for kind in ["opaque", "jwt"] {
        let manifest = json!({
            "type": "virtual-account", "name": format!("bot-{kind}"), "token_type": kind,
            "auto_rotate": {"auto_rotate_interval": 30, "grace_period": 1},
            "secret_store_config": {"type": "tfy-secrets", "secret_group": "vault", "key": kind},
        });
        let made = admin.put(accounts, json!({"manifest": manifest})).await.expect(200);
        let path = format!("{accounts}/{}", made["data"]["id"].as_str().unwrap());
        let regenerate = format!("{path}/regenerate-token");
        tokens.push(made["token"].as_str().unwrap().to_owned());
        app.faults.take_down();
        let again = admin.post(&regenerate, json!({"gracePeriodInMinutes": 9})).await.expect(200);
        tokens.push(again["token"].as_str().unwrap().to_owned());
        app.faults.bring_up();
        admin.post(&format!("{path}/sync-to-secret-store?force=true"), json!({})).await.expect(200);
        app.clock.advance_days(31);
        assert!(app.instance().rotate_now().await.unwrap() >= 1);
        let there = admin.get(&reference_path(&format!("default:vault:{kind}"))).await.expect(200);
        tokens.push(there["value"].as_str().unwrap().to_owned());
        let shown = [admin.get(accounts).await, admin.get(&path).await, admin.get(&format!("{path}/token")).await];
        assert_eq!(shown[2].status, if kind == "jwt" { 200 } else { 422 });
        let shown = shown[..2].iter().map(|answer| answer.text.as_str()).collect::<String>();
        assert!(tokens.iter().all(|token| !shown.contains(token.as_str())));
    }
    let events = Value::from(events(&app, "").await).to_string();
    // A JWT's last part is what makes it one.
    let secret = |token: &String| token.rsplit('.').next().unwrap().to_owned();
    let secrets: Vec<String> = tokens.iter().map(secret).collect();
    assert!(secrets.iter().all(|secret| !events.contains(secret.as_str())), "in the events");
    for moment in ["running", "stopped"] {
        for (name, bytes) in [files(app.folder()), app.tamper().everything()].concat() {
            assert!(secrets.iter().all(|secret| !contains(&bytes, secret.as_bytes())), "{name} ({moment})");
        }
        app.stop().await;
    }
    let log = log.bytes();
    assert!(contains(&log, b"/api/svc/v1/virtual-accounts/{id}/regenerate-token"), "the log is captured");
    assert!(secrets.iter().all(|secret| !contains(&log, secret.as_bytes())), "in the log");
}
