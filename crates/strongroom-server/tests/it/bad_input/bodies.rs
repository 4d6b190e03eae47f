use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use serde_json::{Value, json};
use strongroom_api::Operation;
use strongroom_testkit::{Client, Request, TestApp};

use super::with_secret;
use crate::support::{ABSENT, GROUPS, SECRETS, group_path, secret_id, value_of};

const MIB: usize = 1 << 20;

/// A request for each operation with a body, without the body.
fn writes(client: &Client) -> Vec<(&'static str, Request)> {
    let with_body = Operation::ALL.iter().map(|operation| operation.spec()).filter(|spec| spec.request.is_some());
    with_body.map(|spec| (spec.id, client.request(spec.method.name(), &spec.path.replace("{id}", ABSENT)))).collect()
}

#[tokio::test]
async fn what_is_no_json_is_400_everywhere() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let invalid: Vec<Vec<u8>> = vec![
        b"{".to_vec(),
        b"nul".to_vec(),
        b"{\"a\":}".to_vec(),
        b"{'a':1}".to_vec(),
        b"{\"a\":1,}".to_vec(),
        b"// c\n{}".to_vec(),
        b"NaN".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        b"{\"a\":\"\xff\"}".to_vec(),
        b"\xff\xfe{\0}\0".to_vec(),
        b"{\"a\":\"\xc0\x80\"}".to_vec(),
        b"{\"a\":\"\xed\xa0\x80\"}".to_vec(),
        b"{\"a\":\"\n\"}".to_vec(),
        b"{\"a\":\"\\x\"}".to_vec(),
        b"\0".to_vec(),
        b"[".repeat(10_000),
        b"{\"a\":".repeat(10_000),
        [b"[".repeat(10_000), b"]".repeat(10_000)].concat(),
    ];
    for body in &invalid {
        for (id, request) in writes(&admin) {
            let answer = request.body("application/json", body.clone()).send().await;
            // Where the outermost thing is no object, that may be said first.
            let right =
                answer.status == 400 && answer.code() == "malformed_request" || answer.status == 422 && body[0] == b'[';
            assert!(right, "{id} {:?}: {}", String::from_utf8_lossy(&body[..body.len().min(40)]), answer.text);
        }
    }
    for (id, request) in writes(&admin) {
        let answer = request.body("application/json", "").send().await;
        let optional = id.ends_with(".restore") || id == "Agent.createToken";
        assert_eq!(answer.status, if optional { 404 } else { 400 }, "{id}: {}", answer.text);
    }
    // What is ignored is ignored to any depth; what is read is not.
    for field in ["unknown", "manifest", "secrets"] {
        let nested =
            [format!("{{\"{field}\":").into_bytes(), b"[".repeat(10_000), b"]".repeat(10_000), b"}".to_vec()].concat();
        for (id, request) in writes(&admin) {
            let answer = request.body("application/json", nested.clone()).send().await;
            let reads_it = field == "manifest"
                && ["SecretGroup.put", "Apply.put", "Apply.delete", "VirtualAccount.put"].contains(&id);
            assert!(if reads_it { answer.status == 400 } else { answer.status < 500 }, "{id} {field}: {}", answer.text);
        }
    }
    // Half a character in a value can't be kept, so it isn't taken.
    for half in [r"\ud800", r"\udc00", r"\ud800x", r"\ud800\ud800"] {
        let body = format!(
            r#"{{"name":"new","integrationId":"{}","secrets":[{{"key":"K","value":"{half}"}}]}}"#,
            app.integration_id()
        );
        let answer = admin.request("POST", GROUPS).body("application/json", body).send().await;
        assert!([400, 422].contains(&answer.status), "{half}: {}", answer.text);
    }
    for trailing in ["{} {}", "{}x", "{}\u{0}"] {
        let request = admin.request("POST", SECRETS).body("application/json", trailing);
        request.send().await.refused(400, "malformed_request");
    }
}

#[tokio::test]
async fn a_body_has_a_largest_size() {
    let app = TestApp::start().await;
    let admin = app.admin();
    for (id, request) in writes(&admin) {
        let answer = request.body("application/json", vec![b' '; 9 * MIB]).send().await;
        assert_eq!((answer.status, answer.code()), (413, "body_too_large"), "{id}");
    }
    // What is announced as too large is not waited for.
    for (id, request) in writes(&admin) {
        let answer = request.header(CONTENT_LENGTH, &(9 * MIB).to_string()).body("application/json", "{}").send().await;
        assert_eq!((answer.status, answer.code()), (413, "body_too_large"), "{id}");
    }
    let padded = |size: usize| {
        let mut body = with_secret(&app, "group", "K", "v").to_string().into_bytes();
        body.resize(size, b' ');
        admin.request("POST", GROUPS).body("application/json", body)
    };
    padded(8 * MIB + 1).send().await.refused(413, "body_too_large");
    padded(8 * MIB).send().await.expect(200);
    // Who has no token is told so before anything is read.
    let nobody = app.client("nobody", None);
    let answer = nobody.request("POST", GROUPS).body("application/json", vec![b' '; 9 * MIB]).send().await;
    answer.refused(401, "unauthenticated");
}

#[tokio::test]
async fn only_json_is_taken() {
    let app = TestApp::start().await;
    let admin = app.admin();
    for media_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/xml",
        "application/jsonx",
        "json",
        "text/json",
        "",
    ] {
        for (id, request) in writes(&admin) {
            let answer = request.body(media_type, "{}").send().await;
            assert_eq!((answer.status, answer.code()), (415, "unsupported_media_type"), "{id} {media_type}");
        }
    }
    let body = json!({}).to_string();
    for media_type in [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
        "application/vnd.api+json",
    ] {
        admin.request("POST", SECRETS).body(media_type, body.clone()).send().await.expect(200);
    }
    let none = admin.request("POST", SECRETS).body("", body);
    none.header(CONTENT_TYPE, "application/json").send().await.refused(415, "unsupported_media_type");
}

#[tokio::test]
async fn wrong_types_are_422_with_the_path_of_the_field() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("K", "v")]).await;
    let path = group_path(&group);
    let integration = app.integration_id();
    let create = |secrets: Value| json!({"name": "new", "integrationId": integration, "secrets": secrets});
    let register = "/api/svc/v1/users/register";
    for (method, path, body, fault) in [
        ("POST", GROUPS, json!({}), "name"),
        ("POST", GROUPS, json!([]), "body"),
        ("POST", GROUPS, json!("x"), "body"),
        ("POST", GROUPS, json!(null), "body"),
        ("POST", GROUPS, json!({"name": "new", "integrationId": integration}), "secrets"),
        ("POST", GROUPS, json!({"name": 1, "integrationId": integration, "secrets": []}), "name"),
        ("POST", GROUPS, json!({"name": null, "integrationId": integration, "secrets": []}), "name"),
        ("POST", GROUPS, json!({"name": "new", "integrationId": {}, "secrets": []}), "integrationId"),
        ("POST", GROUPS, create(json!({})), "secrets"),
        ("POST", GROUPS, create(json!(null)), "secrets"),
        ("POST", GROUPS, create(json!(["x"])), "secrets[0]"),
        ("POST", GROUPS, create(json!([{"key": "A", "value": "a"}, {"key": "B"}])), "secrets[1].value"),
        ("POST", GROUPS, create(json!([{"key": "A", "value": null}])), "secrets[0].value"),
        ("POST", GROUPS, create(json!([{"key": "A", "value": 1}])), "secrets[0].value"),
        ("POST", GROUPS, create(json!([{"key": "A", "value": ["a"]}])), "secrets[0].value"),
        ("POST", GROUPS, create(json!([{"key": 7, "value": "a"}])), "secrets[0].key"),
        ("PUT", &path, json!({"secrets": [{"key": "K", "value": false}]}), "secrets[0].value"),
        ("PUT", &path, json!({"secrets": [{"value": "x"}]}), "secrets[0].key"),
        ("PUT", &path, json!({}), "secrets"),
        ("PUT", GROUPS, json!({"dryRun": true}), "manifest"),
        ("PUT", GROUPS, json!({"manifest": {}, "dryRun": "yes"}), "dryRun"),
        ("POST", SECRETS, json!({"withValue": "true"}), "withValue"),
        ("POST", SECRETS, json!({"secretFqns": "a,b"}), "secretFqns"),
        ("POST", SECRETS, json!({"secretFqns": [1]}), "secretFqns[0]"),
        ("POST", SECRETS, json!({"secretGroupId": 1}), "secretGroupId"),
        ("POST", register, json!({"email": 1}), "email"),
        ("POST", register, json!({}), "email"),
    ] {
        let answer = admin.request(method, path).json(&body).send().await;
        assert_eq!(answer.faults(), [fault], "{method} {path} {body}: {}", answer.text);
    }
    let twice = r#"{"name": "new", "name": "newer", "integrationId": "x", "secrets": []}"#;
    let answer = admin.request("POST", GROUPS).body("application/json", twice).send().await;
    assert_eq!(answer.status, 422, "which of two is meant can't be known: {}", answer.text);
    assert_eq!(admin.get(GROUPS).await.expect(200)["pagination"]["total"], 1);
}

#[tokio::test]
async fn unknown_fields_are_ignored() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let mut body = with_secret(&app, "group", "K", "v");
    body["workspaceFqn"] = json!("a:b");
    body["future"] = json!([1, {"deep": null}]);
    body["secrets"][0]["description"] = json!("what it is for");
    let group = admin.post(GROUPS, body).await.expect(200)["data"].take();
    assert_eq!(value_of(&admin, secret_id(&group, "K")).await, "v");
    let update = json!({"secrets": [{"key": "K", "value": "w", "tags": {}}], "force": true});
    admin.put(&group_path(&group), update).await.expect(200);
    admin.post(SECRETS, json!({"future": {"x": 1}})).await.expect(200);
    admin.get(&format!("{GROUPS}?future=1&future=2&=&&a=b=c")).await.expect(200);
    let manifest =
        json!({"manifest": app.manifest("group", &[]), "dryRun": false, "force": false, "triggerOnBehalf": 1});
    admin.put("/api/svc/v1/apply", manifest).await.expect(200);
}
