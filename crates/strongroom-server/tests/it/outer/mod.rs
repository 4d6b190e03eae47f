//! Groups whose values are kept in another system, which is a model that misbehaves on order.

mod basics;
mod failures;
mod records;
mod schedules;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_stores::SecretStore;
use strongroom_stores::model::{EntryView, ModelControl, ModelKind, ModelStore, VersionState};
use strongroom_testkit::{Answer, Client, Setup, TestApp};

use crate::support::{GROUPS, group_path, list, secret_id, text, value_of};

/// The kinds of store that there are.
pub(crate) fn kinds() -> Vec<(&'static str, ModelKind)> {
    vec![
        ("checked", ModelKind::checked()),
        ("staging", ModelKind::staging()),
        ("plain", ModelKind::plain()),
        ("soft delete", ModelKind::soft_delete()),
    ]
}

/// What the plain entry of a key is called in the store.
pub(crate) fn entry_name(group: &str, key: &str) -> String {
    strongroom_stores::model::name(&strongroom_stores::Entry {
        tenant: "default",
        group,
        key,
        secret_id: strongroom_domain::SecretId::from(uuid::Uuid::nil()),
        beside: false,
    })
}

/// A server with an integration whose store is a model.
pub(crate) struct Outer {
    pub(crate) app: TestApp,
    pub(crate) store: ModelControl,
    pub(crate) admin: Client,
    pub(crate) integration: String,
}

const CALL: Duration = Duration::from_millis(300);

/// An account whose integration the model stands in for.
fn manifest() -> Value {
    json!({
        "type": "provider-account/hashicorp", "name": "elsewhere",
        "integrations": [{
            "type": "integration/secret-store/hashicorp/vault", "name": "model",
            "vault_url": "https://vault.example.com", "kv_mount_path": "secret",
            "auth_data": {"type": "token", "token": "credential-canary"},
            "authorized_subjects": ["team:everyone"],
        }],
    })
}

impl Outer {
    pub(crate) async fn start(kind: ModelKind) -> Self {
        Self::over(kind, Setup::default().patience(CALL)).await
    }

    pub(crate) async fn over(kind: ModelKind, setup: Setup) -> Self {
        let model = Arc::new(ModelStore::new(kind));
        Self::with(model.control(), model, setup).await
    }

    pub(crate) async fn with(store: ModelControl, kept: Arc<dyn SecretStore>, setup: Setup) -> Self {
        let stores = move |fqn: &str| fqn.ends_with(":model").then(|| kept.clone());
        let app = setup.outer(Arc::new(stores)).start().await;
        let admin = app.admin();
        let applied = admin.put("/api/svc/v1/apply", json!({"manifest": manifest()})).await.expect(200);
        let integration = text(&list(&applied, "/data/integrations")[0], "/id").to_owned();
        Self { app, store, admin, integration }
    }

    /// Lets values be given from memory for so many minutes.
    pub(crate) async fn serve_cached(&self, minutes: u32) {
        let mut manifest = manifest();
        manifest["integrations"][0]["serve_cached_minutes"] = minutes.into();
        self.admin.put("/api/svc/v1/apply", json!({"manifest": manifest})).await.expect(200);
    }

    pub(crate) async fn create(&self, name: &str, secrets: &[(&str, &str)]) -> Answer {
        let secrets: Value = secrets.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        self.admin.post(GROUPS, json!({"name": name, "integrationId": self.integration, "secrets": secrets})).await
    }

    pub(crate) async fn group(&self, name: &str, secrets: &[(&str, &str)]) -> Value {
        self.create(name, secrets).await.expect(200)["data"].clone()
    }

    /// The group as it is.
    pub(crate) async fn again(&self, group: &Value) -> Value {
        self.admin.get(&group_path(group)).await.expect(200)["data"].clone()
    }

    pub(crate) async fn value(&self, group: &Value, key: &str) -> String {
        value_of(&self.admin, secret_id(group, key)).await
    }

    /// What somebody gets who reads the store directly.
    pub(crate) fn direct(&self, group: &str, key: &str) -> Option<String> {
        self.store.direct_latest(&entry_name(group, key))
    }

    /// Lets the time pass after which nothing can arrive any more and what is due is removed, and does all that jobs do.
    pub(crate) async fn settle(&self) {
        self.store.heal();
        for _ in 0..4 {
            self.app.clock.advance_seconds(120);
            self.app.instance().settle_now().await.unwrap();
            self.app.instance().reap_now().await.unwrap();
        }
    }

    /// Versions whose values are still there, of all entries that are not in the store's own trash.
    pub(crate) fn held(&self) -> Vec<(String, String)> {
        let held = |entry: EntryView| {
            let name = entry.name;
            let there = entry.versions.into_iter().filter(|version| version.state != VersionState::Removed);
            there.filter_map(move |version| Some((name.clone(), version.value?))).collect::<Vec<_>>()
        };
        self.store.entries().into_iter().filter(|entry| !entry.is_trash).flat_map(held).collect()
    }

    /// How many operations are not at their end.
    pub(crate) fn open(&self) -> i64 {
        self.app.tamper().number("SELECT COUNT(*) FROM operations WHERE finished_at IS NULL")
    }
}
