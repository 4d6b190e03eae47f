//! Input that must be refused well, or taken as it is.

mod arbitrary;
mod bodies;
mod names;
mod values;

use serde_json::{Value, json};
use strongroom_api::Operation;
use strongroom_testkit::{TestApp, encode};

use crate::support::{GROUPS, SECRETS, TRASH, list};

/// A group to make with one secret.
fn with_secret(app: &TestApp, name: &str, key: &str, value: &str) -> Value {
    json!({"name": name, "integrationId": app.integration_id(), "secrets": [{"key": key, "value": value}]})
}

#[tokio::test]
async fn pages_have_bounds_everywhere() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "v")]).await;
    let versions = format!("{}/versions", cast.secret_path("K"));
    let lists = [
        GROUPS,
        &versions,
        "/api/svc/v1/audit-logs",
        "/api/svc/v1/provider-accounts",
        "/api/svc/v1/provider-integrations",
    ];
    let too_large = "99999999999999999999999999999999";
    for path in lists {
        for limit in ["0", "-1", "1001", "1000000000000000000", too_large, "abc", "1.5", "1e3", "%20", "0x10", "1%00"] {
            let answer = cast.admin.get(&format!("{path}?metric=list&limit={limit}")).await;
            assert_eq!(answer.faults(), ["query.limit"], "{path} limit={limit}");
        }
        for offset in ["-1", too_large, "abc", "1.5"] {
            let answer = cast.admin.get(&format!("{path}?metric=list&offset={offset}")).await;
            assert_eq!(answer.faults(), ["query.offset"], "{path} offset={offset}");
        }
        for page in ["limit=1", "limit=1000", "limit=", "offset=", "limit=1&offset=9223372036854775807"] {
            let body = cast.admin.get(&format!("{path}?metric=list&{page}")).await.expect(200);
            assert!(!page.ends_with('7') || list(&body, "/data").is_empty(), "beyond the end is an empty page");
        }
    }
    for limit in ["0", "-1", "1001", "x"] {
        assert_eq!(cast.admin.get(&format!("{TRASH}?limit={limit}")).await.faults(), ["query.limit"]);
    }
    for (field, wrong) in [
        ("limit", json!(0)),
        ("limit", json!(1001)),
        ("limit", json!(-1)),
        ("offset", json!(-1)),
        ("limit", json!("5")),
        ("limit", json!(1.5)),
        ("offset", json!(1e300)),
    ] {
        assert_eq!(cast.admin.post(SECRETS, json!({field: wrong})).await.faults(), [field], "{wrong}");
    }
    let beyond = cast.admin.post(SECRETS, json!({"limit": 1000, "offset": i64::MAX})).await.expect(200);
    assert_eq!(beyond["data"], json!([]));
    let many: Vec<String> = (0..1_001).map(|number| format!("default:shared:K{number}")).collect();
    assert_eq!(cast.admin.post(SECRETS, json!({"secretFqns": many})).await.faults(), ["secretFqns"]);
    cast.admin.post(SECRETS, json!({"secretFqns": &many[1..]})).await.expect(200);
}

#[tokio::test]
async fn what_is_no_id_is_the_id_of_nothing() {
    let app = TestApp::start().await;
    let cast = app.cast("shared", &[("K", "v")]).await;
    let id = &cast.group_id;
    let ids = [
        "x".into(),
        "1".into(),
        "-".into(),
        "null".into(),
        id.to_uppercase(),
        id.replace('-', ""),
        format!("%7B{id}%7D"),
        format!("{id}%00"),
        format!("{id}%20"),
        format!("%2F{id}"),
        format!("{id}%2Fversions"),
        "..%2F..".into(),
        "%2e%2e".into(),
        "%ff".into(),
        "%".into(),
        "%zz".into(),
        encode("\u{1F511}"),
        "a".repeat(4_000),
        format!("{id};x=y"),
        "default:shared".into(),
    ];
    for operation in Operation::ALL.iter().filter(|operation| operation.spec().path.contains("{id}")) {
        let spec = operation.spec();
        for id in &ids {
            let request = cast.admin.request(spec.method.name(), &spec.path.replace("{id}", id));
            let body =
                if spec.request.is_some() { json!({"secrets": [{"key": "K", "value": "v"}]}) } else { Value::Null };
            let answer = request.json(&body).send().await;
            let codes = [
                ("secret-groups", "secret_group_not_found"),
                ("secrets", "secret_not_found"),
                ("teams", "team_not_found"),
                ("role-bindings", "role_binding_not_found"),
                ("identity-providers", "identity_provider_not_found"),
                ("provider-accounts", "provider_account_not_found"),
                ("provider-integrations", "provider_integration_not_found"),
                ("personal-access-tokens", "token_not_found"),
                ("virtual-accounts", "virtual_account_not_found"),
                ("agents", "agent_not_found"),
                ("operations", "operation_not_found"),
                ("users", "user_not_found"),
            ];
            let of_path = codes.into_iter().find(|(part, _)| spec.path.contains(&format!("/{part}/")));
            let code = of_path.unwrap_or_else(|| panic!("{}: say what is missing", spec.id)).1;
            assert!(
                answer.status == 404 && [code, "no_route"].contains(&answer.code()),
                "{} {id}: {}",
                spec.id,
                answer.text
            );
        }
    }
    for (field, wrong) in [("secretGroupId", "x"), ("secretGroupId", ""), ("secretGroupId", "../..")] {
        cast.admin.post(SECRETS, json!({field: wrong})).await.refused(404, "secret_group_not_found");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_have_the_error_body_too() {
    let app = TestApp::start().await;
    let admin = app.admin();
    for path in [
        "/api",
        "/api/",
        "/api/svc/v1",
        "/api/svc/v1/nope",
        "/api/v1/nope",
        "/api/svc/v1/secret-groups/",
        "/api/svc/v1//secrets",
        "/api/svc/v1/secrets/a/b/c",
        "/api/svc/v2/secrets",
        "/api/%2e%2e/healthz",
    ] {
        for method in ["GET", "POST", "DELETE"] {
            admin.request(method, path).send().await.refused(404, "no_route");
        }
    }
    for (method, path) in [
        ("PATCH", GROUPS),
        ("DELETE", GROUPS),
        ("GET", SECRETS),
        ("PUT", SECRETS),
        ("POST", "/api/svc/v1/session"),
        ("GET", "/api/svc/v1/apply"),
        ("OPTIONS", GROUPS),
        ("TRACE", GROUPS),
        ("BREW", GROUPS),
        ("POST", "/api/v1/trash"),
    ] {
        let answer = admin.request(method, path).send().await;
        answer.refused(405, "method_not_allowed");
        assert!(answer.headers.contains_key("allow"), "{method} {path}");
    }
    assert_eq!(admin.get("/nope").await.status, 404);
    assert_eq!(admin.request("POST", "/healthz").send().await.status, 405);
    // Without a token one learns only that there is nothing, which the document says anyway.
    app.client("nobody", None).get("/api/svc/v1/nope").await.refused(404, "no_route");
}
