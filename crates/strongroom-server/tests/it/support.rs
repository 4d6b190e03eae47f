//! What several modules use.

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};

use serde_json::{Value, json};
use strongroom_testkit::{Client, TestApp, encode};
use tracing_subscriber::layer::SubscriberExt;

pub(crate) const GROUPS: &str = "/api/svc/v1/secret-groups";
pub(crate) const SECRETS: &str = "/api/svc/v1/secrets";
pub(crate) const TRASH: &str = "/api/v1/trash";
pub(crate) const USERS: &str = "/api/svc/v1/users";
pub(crate) const TOKENS: &str = "/api/svc/v1/personal-access-tokens";
pub(crate) const INVITATIONS: &str = "/api/v1/invitations/accept";

/// An id that nothing has.
pub(crate) const ABSENT: &str = "0192f0c1-2b3c-7d4e-8f50-112233445566";

/// The text of a field.
#[track_caller]
pub(crate) fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {pointer} in {value}"))
}

/// A list.
#[track_caller]
pub(crate) fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("no list at {pointer} in {value}"))
}

/// One field of every entry of a list.
#[track_caller]
pub(crate) fn column<'a>(value: &'a Value, pointer: &str, field: &str) -> Vec<&'a str> {
    list(value, pointer).iter().map(|entry| text(entry, field)).collect()
}

/// The path of a secret.
pub(crate) fn secret_path(id: &str) -> String {
    format!("{SECRETS}/{id}")
}

/// The path of a group.
pub(crate) fn group_path(group: &Value) -> String {
    format!("{GROUPS}/{}", text(group, "/id"))
}

/// The id of a key of a group.
#[track_caller]
pub(crate) fn secret_id<'a>(group: &'a Value, key: &str) -> &'a str {
    let found = list(group, "/associatedSecrets").iter().find(|secret| secret["name"] == key);
    text(found.unwrap_or_else(|| panic!("no key {key} in {group}")), "/id")
}

/// A complete list of keys for an update: `None` leaves a value as it is.
pub(crate) fn updates(entries: &[(&str, Option<&str>)]) -> Value {
    let entries: Value = entries
        .iter()
        .map(|(key, value)| match value {
            Some(value) => json!({"key": key, "value": value}),
            None => json!({"key": key}),
        })
        .collect();
    json!({"secrets": entries})
}

/// A value as a client reads it.
pub(crate) async fn value_of(client: &Client, secret_id: &str) -> String {
    let secret = client.get(&secret_path(secret_id)).await.expect(200);
    text(&secret, "/data/value").to_owned()
}

/// A value by its reference.
pub(crate) fn reference_path(reference: &str) -> String {
    format!("/api/svc/v1/control-plane/secret?secret_ref={}", encode(reference))
}

/// How many events match a query of the audit log, refusals included.
pub(crate) async fn count_events(app: &TestApp, query: &str) -> i64 {
    app.settle().await;
    let path = format!("/api/svc/v1/audit-logs?metric=count&{query}");
    app.admin().get(&path).await.expect(200)["count"].as_i64().unwrap()
}

/// The events that match a query of the audit log, newest first.
pub(crate) async fn events(app: &TestApp, query: &str) -> Vec<Value> {
    app.settle().await;
    let path = format!("/api/svc/v1/audit-logs?metric=list&limit=1000&{query}");
    list(&app.admin().get(&path).await.expect(200), "/data").to_vec()
}

/// Everything that this process logs, at the finest level.
pub(crate) static LOG: LazyLock<Log> = LazyLock::new(|| {
    let log = Log::default();
    let writer = log.clone();
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || writer.clone());
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).expect("the only one");
    log
});

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
