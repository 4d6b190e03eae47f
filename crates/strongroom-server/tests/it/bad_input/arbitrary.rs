//! Anything at all, at every route: never a fault of the server, always the contract's answer (which the client checks).

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRng, TestRunner};
use serde_json::{Map, Value, json};
use strongroom_api::{Operation, OperationSpec};
use strongroom_testkit::{Answer, Cast, TestApp, encode};

use crate::support::{SECRETS, updates};

/// Texts that mean something somewhere, and texts that don't.
fn any_text() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "",
        "shared",
        "K",
        "..",
        "secret-group",
        "user:shared-owner@example.com",
        "team:everyone",
        "secret-group-admin",
        "default:shared",
        "default:shared:K",
        "tfy-secret://default:shared:K:1",
        "default:truefoundry:default:secret-store:db",
        "virtual-account",
        "2030-01-01",
        "\u{0}",
        "0192f0c1-2b3c-7d4e-8f50-112233445566",
        "-1",
        "shared-owner@example.com",
    ]);
    prop_oneof![known.prop_map(str::to_owned), any::<String>(), "[a-z]{1,8}", "\\PC{0,20}"]
}

/// Field names of all bodies, and others.
fn any_name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "name",
        "integrationId",
        "secrets",
        "key",
        "value",
        "manifest",
        "dryRun",
        "type",
        "integration_fqn",
        "collaborators",
        "subject",
        "role_id",
        "ownedBy",
        "limit",
        "offset",
        "withValue",
        "secretFqns",
        "secretGroupId",
        "email",
        "userEmail",
        "expirationDate",
        "permissions",
        "resource_type",
        "resource_fqn",
        "skipIfUserExists",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => any::<String>()]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any_name(), inner), 0..6).prop_map(|fields| Value::from(Map::from_iter(fields))),
        ]
    })
}

/// A right body of each operation.
fn right_body(app: &TestApp, operation: Operation) -> Value {
    match operation {
        Operation::CreateSecretGroup => {
            json!({"name": "new", "integrationId": app.integration_id(), "secrets": [{"key": "A", "value": "a"}, {"key": "B", "value": ""}]})
        }
        Operation::UpdateSecretGroup => updates(&[("K", Some("x")), ("J", None)]),
        Operation::ListSecrets => {
            json!({"limit": 5, "offset": 0, "withValue": true, "secretFqns": ["default:shared:K"], "secretGroupId": "x"})
        }
        Operation::RegisterUser => json!({"email": "new@example.com", "skipIfUserExists": true, "dryRun": false}),
        Operation::CreateTokenForUser => {
            json!({"name": "token", "userEmail": "shared-editor@example.com", "expirationDate": "2030-01-01"})
        }
        Operation::ApplyVirtualAccount => {
            let permissions = json!([{"resource_type": "secret-group", "resource_fqn": "default:shared", "role_id": "secret-group-viewer"}]);
            json!({"manifest": {"type": "virtual-account", "name": "machine", "permissions": permissions}, "dryRun": false})
        }
        Operation::RestoreSecret => json!({"key": "ANOTHER"}),
        Operation::RestoreSecretGroup => json!({"name": "another"}),
        _ => {
            let mut manifest = app.manifest(
                "shared",
                &[("team:everyone", "secret-group-viewer"), ("user:shared-editor@example.com", "secret-group-editor")],
            );
            manifest["ownedBy"] = json!({"account": "root"});
            json!({"manifest": manifest, "dryRun": true})
        }
    }
}

/// Puts something else in one place of a body: the place is chosen by counting through it.
fn replace(body: &mut Value, place: &mut usize, other: &Value) {
    if *place == 0 {
        *body = other.clone();
    }
    *place = place.wrapping_sub(1);
    match body {
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, place, other)),
        Value::Object(fields) => fields.iter_mut().for_each(|(_, item)| replace(item, place, other)),
        _ => {}
    }
}

fn run<S: Strategy>(cases: u32, strategy: &S, mut test: impl FnMut(S::Value)) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    let test = std::cell::RefCell::new(&mut test);
    TestRunner::new_with_rng(config, rng)
        .run(strategy, |value| {
            (test.borrow_mut())(value);
            Ok(())
        })
        .unwrap();
}

fn no_fault_of_the_server(spec: &OperationSpec, answer: &Answer) {
    // That it had no time to ask PostgreSQL for two seconds, on a busy machine, is true and no fault.
    let stood_still = spec.path == "/readyz" && answer.json["status"] == "the database can't be asked";
    assert!(answer.status < 500 || stood_still, "{}: {}", spec.id, answer.text);
}

struct Stage {
    runtime: tokio::runtime::Runtime,
    app: TestApp,
    cast: Cast,
}

impl Stage {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let app = runtime.block_on(TestApp::start());
        let cast = runtime.block_on(app.cast("shared", &[("K", "the value"), ("J", "another")]));
        Self { runtime, app, cast }
    }

    fn send(&self, spec: &OperationSpec, query: &str, body: &[u8]) -> Answer {
        let id = if spec.path.contains("/secrets/") { self.cast.secret_id("K") } else { &self.cast.group_id };
        let request = self.cast.admin.request(spec.method.name(), &format!("{}{query}", spec.path.replace("{id}", id)));
        self.runtime.block_on(request.body("application/json", body).send())
    }

    /// Whatever happened, the server goes on and nothing is damaged.
    fn assert_sound(&self) {
        self.runtime.block_on(async {
            self.cast.admin.post(SECRETS, json!({"withValue": true, "limit": 1000})).await.expect(200);
            self.cast.admin.get("/api/svc/v1/secret-groups?limit=1000").await.expect(200);
            self.cast.admin.get("/api/svc/v1/audit-logs?metric=list&limit=1000").await.expect(200);
            self.cast.admin.get("/api/v1/trash?limit=1000").await.expect(200);
        });
    }
}

fn with_body() -> impl Iterator<Item = Operation> {
    Operation::ALL.iter().copied().filter(|operation| operation.spec().request.is_some())
}

#[test]
fn any_json_at_every_write() {
    let stage = Stage::new();
    for operation in with_body() {
        run(40, &any_json(), |body| {
            no_fault_of_the_server(operation.spec(), &stage.send(operation.spec(), "", body.to_string().as_bytes()));
        });
    }
    stage.assert_sound();
}

#[test]
fn a_right_body_with_one_thing_wrong_at_every_write() {
    let stage = Stage::new();
    for operation in with_body() {
        let right = right_body(&stage.app, operation);
        run(60, &(0..14_usize, any_json()), |(mut place, other)| {
            let mut body = right.clone();
            replace(&mut body, &mut place, &other);
            no_fault_of_the_server(operation.spec(), &stage.send(operation.spec(), "", body.to_string().as_bytes()));
        });
    }
    stage.assert_sound();
}

#[test]
fn any_bytes_at_every_write() {
    let stage = Stage::new();
    for operation in with_body() {
        run(15, &prop::collection::vec(any::<u8>(), 0..200), |bytes| {
            let answer = stage.send(operation.spec(), "", &bytes);
            assert!((400..500).contains(&answer.status), "{}: {}", operation.spec().id, answer.text);
        });
    }
    stage.assert_sound();
}

#[test]
fn any_query_at_every_route() {
    let stage = Stage::new();
    let names = prop::sample::select(vec![
        "limit",
        "offset",
        "search",
        "fqn",
        "attributes",
        "metric",
        "start",
        "end",
        "subjectSlug",
        "secret_ref",
        "type",
        "id",
        "action",
        "x",
    ]);
    let queries = prop::collection::vec((names, any_text()), 0..5);
    for operation in Operation::ALL {
        run(30, &queries, |query| {
            let query: Vec<String> = query.iter().map(|(name, text)| format!("{name}={}", encode(text))).collect();
            let answer = stage.send(operation.spec(), &format!("?{}", query.join("&")), b"{}");
            no_fault_of_the_server(operation.spec(), &answer);
        });
    }
    stage.assert_sound();
}
