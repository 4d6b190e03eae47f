//! The adapter against a model, so that time stands still and everything can go wrong.

mod faults;
mod model;
mod tokens;

use std::sync::Arc;

use strongroom_crypto::{Binding, DataKey};
use strongroom_domain::{Entropy, SecretId, SecretValue};
use uuid::Uuid;

use self::model::{Model, SECRET_ID, TOKEN};
use super::*;
use crate::store::{Condition, Seal};

const PATH: &str = "tfy-secret/acme/pay/KEY";
const VALUE: &str = "value-canary";

struct Half;

impl Entropy for Half {
    fn fill(&self, out: &mut [u8]) {
        out.fill(127);
    }
}

fn token() -> VaultAuth {
    VaultAuth::Token(SecretValue::new(TOKEN.to_owned()))
}

fn role() -> VaultAuth {
    let secret_id = SecretValue::new(SECRET_ID.to_owned());
    VaultAuth::AppRole { role_id: "role".to_owned(), secret_id, role_path: "approle".to_owned() }
}

fn store(model: &Arc<Model>, auth: VaultAuth) -> VaultStore {
    let settings = VaultSettings {
        vault_url: "https://vault.example".to_owned(),
        kv_mount_path: "secret".to_owned(),
        root_path: None,
        namespace: None,
        auth,
    };
    let owner = Owner { instance: "instance-1".to_owned(), tenant: "acme".to_owned() };
    let client = OuterClient::over(NAME, model.clone(), Arc::new(Half), OuterPolicy::default(), judge);
    VaultStore::over(&settings, owner, client).unwrap()
}

fn id() -> SecretId {
    SecretId::from(Uuid::from_u128(7))
}

fn entry() -> Entry<'static> {
    Entry { tenant: "acme", group: "pay", key: "KEY", secret_id: id(), beside: false }
}

/// What sealing needs, which an outer store doesn't do.
struct Sealing(DataKey, Binding);

impl Sealing {
    fn new() -> Self {
        Self(DataKey::make(), Binding::new("test"))
    }

    fn seal(&self) -> Seal<'_> {
        Seal { key: &self.0, binding: &self.1 }
    }
}

async fn put(store: &VaultStore, condition: Condition<'_>, mark: Option<&str>) -> Result<u64, StoreError> {
    let (value, sealing) = (SecretValue::new(VALUE.to_owned()), Sealing::new());
    let put = Put { entry: entry(), value: &value, version: 1, seal: sealing.seal(), condition, mark, staged: false };
    store.put(put).await.map(|placed| placed.version.0.parse().unwrap())
}

async fn get(store: &VaultStore, version: u64) -> Result<String, StoreError> {
    let (sealing, version) = (Sealing::new(), StoreVersion(version.to_string()));
    let pinned = Pinned { entry: entry(), version: &version, sealed: None, seal: sealing.seal() };
    store.get(pinned).await.map(|value| value.expose().to_owned())
}

#[tokio::test(start_paused = true)]
async fn an_update_is_one_request_and_a_creation_two() {
    let model = Model::new();
    let store = store(&model, token());
    assert_eq!(put(&store, Condition::Absent, None).await.unwrap(), 1);
    assert_eq!(model.requests(), 2);
    put(&store, Condition::LatestIs(&StoreVersion("1".into())), None).await.unwrap();
    get(&store, 2).await.unwrap();
    assert_eq!(model.requests(), 4);
    assert_eq!(store.stats().map(|stats| stats.sent()), Some(4));
}

#[tokio::test(start_paused = true)]
async fn names_and_sizes_are_checked_before_anything_is_sent() {
    let model = Model::new();
    let (store, sealing) = (store(&model, token()), Sealing::new());
    let long = "k".repeat(254);
    let of = |group: &'static str, key: &str, size: usize, rule: &'static str| {
        (group, key.to_owned(), SecretValue::new("x".repeat(size)), rule)
    };
    for (group, key, value, rule) in [
        of("g", &long, 1, "a key in Vault has at most 253 bytes here"),
        of("g", "..", 1, "\"..\" can't be part of a path in Vault: it must not be empty, `.` or `..`"),
        of("a/b", "k", 1, "nor have slashes"),
        of("g", "", 1, "must not be empty"),
        of("g", "k~00000000000000000000000000000007", 1, "a key in Vault has no `~` here"),
        of("g", "k", LARGEST_VALUE + 1, "a value in Vault has at most 131072 bytes"),
    ] {
        let entry = Entry { tenant: "acme", group, key: &key, secret_id: id(), beside: false };
        let (value, condition) = (&value, Condition::Absent);
        let put = Put { entry, value, version: 1, seal: sealing.seal(), condition, mark: None, staged: false };
        let error = store.put(put).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Refused);
        assert!(error.reason.contains(rule), "{error}");
    }
    assert_eq!(model.requests(), 0);
}
