//! What the tests have in common.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use strongroom_crypto::{Binding, DataKey};
use strongroom_domain::{Clock as _, Entropy, SecretId, SecretValue, SystemClock};
use strongroom_stores::{
    Condition, Entry, Pinned, Placed, Put, Seal, SecretStore, StoreError, StoreVersion,
    aws::{
        AwsAuthData, AwsEndpoints, AwsRegion, AwsSecretsManagerSettings, AwsSecretsManagerStore, EntryRemoval,
        ProcessIdentity,
    },
    egress::{AddressPolicy, EgressClient},
    outer::OuterPolicy,
};
use uuid::Uuid;

pub(super) const REGION: &str = "eu-central-1";

/// Never twice the same.
pub(super) struct Counter(AtomicU64);

impl Entropy for Counter {
    fn fill(&self, out: &mut [u8]) {
        let next = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        out.iter_mut().rev().zip(next.iter().rev()).for_each(|(to, from)| *to = *from);
    }
}

pub(super) fn access_key(id: &str, secret: &str) -> AwsAuthData {
    AwsAuthData::AccessKey { access_key_id: id.to_owned(), secret_access_key: SecretValue::new(secret.to_owned()) }
}

/// With everything at `url`.
pub(super) fn settings(url: &str, auth: AwsAuthData) -> AwsSecretsManagerSettings {
    let url = Some(url.parse().unwrap());
    AwsSecretsManagerSettings {
        region: AwsRegion::parse(REGION).unwrap(),
        account_auth: Some(auth),
        integration_auth: None,
        process: ProcessIdentity::refused("not lent"),
        kms_arn: None,
        tags: BTreeMap::from([("team".to_owned(), "payments".to_owned())]),
        instance: "instance-1".to_owned(),
        removal: EntryRemoval::AtOnce,
        endpoints: AwsEndpoints { secrets_manager: url.clone(), sts: url },
    }
}

pub(super) fn client() -> EgressClient {
    EgressClient::new(AddressPolicy { deny_private: false, allow: vec!["127.0.0.0/8".parse().unwrap()] })
}

pub(super) fn store(settings: AwsSecretsManagerSettings) -> AwsSecretsManagerStore {
    store_under(settings, OuterPolicy::default())
}

pub(super) fn store_under(settings: AwsSecretsManagerSettings, policy: OuterPolicy) -> AwsSecretsManagerStore {
    let entropy = Arc::new(Counter(AtomicU64::new(1)));
    AwsSecretsManagerStore::new(settings, Arc::new(client()), Arc::new(SystemClock), entropy, policy).unwrap()
}

/// What AWS can't do.
pub(super) const SKIPPED: [&str; 3] =
    ["a_row_opens_only_where_it_belongs", "one_version_can_be_removed", "an_entry_without_its_newest_takes_another"];

/// Since 1970.
pub(super) fn seconds_now() -> i64 {
    SystemClock.now().micros() / 1_000_000
}

pub(super) fn entry(key: &str, secret: u128) -> Entry<'_> {
    Entry { tenant: "acme", group: "pay", key, secret_id: SecretId::from(Uuid::from_u128(secret)), beside: false }
}

/// The calls of a store, without what only inline stores look at.
pub(super) struct Bench<S> {
    pub(super) store: S,
    key: DataKey,
    binding: Binding,
}

/// A put, with the ordinary for what isn't said.
pub(super) struct Wanted<'a> {
    pub(super) value: &'a str,
    pub(super) version: i64,
    pub(super) condition: Condition<'a>,
    pub(super) mark: Option<&'a str>,
    pub(super) staged: bool,
}

impl<'a> Wanted<'a> {
    pub(super) fn first(value: &'a str) -> Self {
        Self { value, version: 1, condition: Condition::Absent, mark: None, staged: false }
    }

    pub(super) fn staged(value: &'a str, version: i64) -> Self {
        Self { value, version, condition: Condition::Always, mark: None, staged: true }
    }
}

impl<S: SecretStore> Bench<S> {
    pub(super) fn new(store: S) -> Self {
        Self { store, key: DataKey::make(), binding: Binding::new("test") }
    }

    fn seal(&self) -> Seal<'_> {
        Seal { key: &self.key, binding: &self.binding }
    }

    pub(super) async fn put(&self, entry: Entry<'_>, wanted: Wanted<'_>) -> Result<StoreVersion, StoreError> {
        let Wanted { value, version, condition, mark, staged } = wanted;
        let value = SecretValue::new(value.to_owned());
        let put = Put { entry, value: &value, version, seal: self.seal(), condition, mark, staged };
        let Placed { version, sealed } = self.store.put(put).await?;
        assert!(sealed.is_none());
        Ok(version)
    }

    pub(super) async fn get(&self, entry: Entry<'_>, version: &StoreVersion) -> Result<String, StoreError> {
        let value = self.store.get(Pinned { entry, version, sealed: None, seal: self.seal() }).await?;
        Ok(value.expose().to_owned())
    }

    pub(super) async fn latest(&self, entry: Entry<'_>) -> Option<String> {
        self.store.latest(&entry).await.unwrap().map(|latest| latest.value.expose().to_owned())
    }
}
