//! The connection check: on save, on demand, and what it doesn't hold up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use serde_json::{Value, json};
use strongroom_domain::SecretValue;
use strongroom_server::OuterStores;
use strongroom_stores::{
    Call, Entry, FaultPlan, Latest, MemoryStore, Pinned, Placed, Put, Removal, SecretStore, StoreDescription,
    StoreError, StoreErrorKind, StoreVersion,
};
use strongroom_testkit::Setup;
use tokio::sync::Semaphore;

use super::{ACCOUNTS, account, put, start, vault};
use crate::support::{count_events, text};

#[tokio::test]
async fn a_store_that_cannot_be_used_is_not_taken() {
    let faults = FaultPlan::default();
    let app = start(&faults).await;
    let admin = app.admin();
    faults.set(|call| (call == Call::Probe).then_some(StoreErrorKind::PermissionDenied));
    let manifest = account(&[vault("one", "hvs.a"), vault("two", "hvs.b")]);
    let refused = admin.put(ACCOUNTS, json!({"manifest": manifest})).await;
    let told = refused.refused(424, "secret_store_failed");
    assert!(told.starts_with("manifest.integrations[0]: ") && told.contains("PermissionDenied"), "{told}");
    let details: Vec<_> = refused.json["details"].as_array().unwrap().iter().map(|one| text(one, "/path")).collect();
    assert_eq!(details, ["manifest.integrations[0]", "manifest.integrations[1]"]);
    assert_eq!(app.tamper().number("SELECT COUNT(*) FROM provider_accounts"), 1, "nothing is written");
    // A dry run says what is wrong with the manifest, and asks nobody.
    admin.put(ACCOUNTS, json!({"manifest": manifest, "dryRun": true})).await.expect(200);

    faults.bring_up();
    let made = put(&admin, &manifest).await;
    faults.take_down();
    // What is as it was isn't asked, whoever may use it.
    let mut shared = manifest.clone();
    shared["integrations"][0]["authorized_subjects"] = json!(["team:everyone"]);
    put(&admin, &shared).await;
    let changed = account(&[vault("one", "hvs.a"), vault("two", "hvs.new")]);
    let refused = admin.put(ACCOUNTS, json!({"manifest": changed})).await;
    let details: Vec<_> = refused.json["details"].as_array().unwrap().iter().map(|one| text(one, "/path")).collect();
    assert_eq!((refused.status, details), (424, vec!["manifest.integrations[1]"]));

    let test = format!("/api/v1/provider-integrations/{}/test", text(&made, "/integrations/0/id"));
    let found = admin.post(&test, json!({})).await.expect(200)["data"].take();
    assert_eq!((&found["ok"], text(&found, "/kind")), (&json!(false), "unavailable"));
    assert!(text(&found, "/reason").contains("injected fault") && found["checkedAt"].is_string());
    faults.bring_up();
    let found = admin.post(&test, json!({})).await.expect(200)["data"].take();
    assert_eq!((&found["ok"], &found["reason"], &found["kind"]), (&json!(true), &Value::Null, &Value::Null));
    assert_eq!(count_events(&app, "action=TEST_PROVIDER_INTEGRATION").await, 2);
    // The embedded one, too.
    let test = format!("/api/v1/provider-integrations/{}/test", app.integration_id());
    assert_eq!(admin.post(&test, json!({})).await.expect(200)["data"]["ok"], true);
    app.faults.take_down();
    assert_eq!(admin.post(&test, json!({})).await.expect(200)["data"]["ok"], false);
}

/// A store whose probe takes until it is let go.
struct Slow {
    inner: MemoryStore,
    probes: Arc<AtomicUsize>,
    go: Arc<Semaphore>,
}

#[async_trait]
impl SecretStore for Slow {
    fn description(&self) -> &StoreDescription {
        self.inner.description()
    }

    async fn put(&self, put: Put<'_>) -> Result<Placed, StoreError> {
        self.inner.put(put).await
    }

    async fn get(&self, pinned: Pinned<'_>) -> Result<SecretValue, StoreError> {
        self.inner.get(pinned).await
    }

    async fn latest(&self, entry: &Entry<'_>) -> Result<Option<Latest>, StoreError> {
        self.inner.latest(entry).await
    }

    async fn promote(&self, entry: &Entry<'_>, version: &StoreVersion) -> Result<(), StoreError> {
        self.inner.promote(entry, version).await
    }

    async fn remove(&self, entry: &Entry<'_>, removal: Removal<'_>) -> Result<(), StoreError> {
        self.inner.remove(entry, removal).await
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        self.inner.list(prefix, after, limit).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.probes.fetch_add(1, Ordering::SeqCst);
        self.go.acquire().await.unwrap().forget();
        Ok(())
    }
}

#[tokio::test]
async fn nobody_waits_for_a_slow_store_but_who_asked_for_it() {
    let (probes, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let store: Arc<dyn SecretStore> =
        Arc::new(Slow { inner: MemoryStore::default(), probes: probes.clone(), go: go.clone() });
    let stores: OuterStores = Arc::new(move |fqn| fqn.starts_with("default:hashicorp:").then(|| store.clone()));
    let app = Setup::default().outer(stores).start().await;
    let admin = app.admin();
    let asked = async |count: usize| {
        while probes.load(Ordering::SeqCst) < count {
            tokio::task::yield_now().await;
        }
    };
    let client = admin.clone();
    let slow = tokio::spawn(async move { put(&client, &account(&[vault("one", "hvs.a")])).await });
    asked(1).await;
    // Others change identities, and the same account meanwhile.
    app.apply(&json!({"type": "team", "name": "devs", "members": []})).await;
    put(&admin, &account(&[])).await;
    go.add_permits(1);
    // It is decided anew on what there is now, and the store is asked anew.
    asked(2).await;
    go.add_permits(1);
    let made = slow.await.unwrap();
    assert_eq!(text(&made, "/integrations/0/name"), "one");
    assert_eq!(count_events(&app, "action=UPDATE_PROVIDER_ACCOUNT").await, 1);
}
