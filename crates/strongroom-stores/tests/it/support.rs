//! What the tests of outer stores share.

use std::{path::PathBuf, sync::Arc};

use strongroom_crypto::{Binding, DataKey};
use strongroom_domain::{Entropy, SecretId, SecretValue};
use strongroom_stores::{
    Condition, Entry, Owner, Pinned, Put, Seal, SecretStore, StoreError, StoreErrorKind, StoreVersion, VaultAuth,
    VaultSettings, VaultStore,
    egress::{AddressPolicy, EgressClient, KeepAlive},
    outer::OuterPolicy,
};
use strongroom_throwaway::OpenBao;
use uuid::Uuid;

pub(crate) const TENANT: &str = "acme";

/// A server, unless the test command has installed none.
pub(crate) fn openbao() -> Option<OpenBao> {
    let Some(program) = std::env::var_os("STRONGROOM_TEST_BAO").map(PathBuf::from) else {
        eprintln!("SKIPPED: STRONGROOM_TEST_BAO names no OpenBao");
        return None;
    };
    Some(OpenBao::start(&program).unwrap())
}

/// No wait between tries.
struct Zeroes;

impl Entropy for Zeroes {
    fn fill(&self, out: &mut [u8]) {
        out.fill(0);
    }
}

pub(crate) fn settings(url: String, auth: VaultAuth) -> VaultSettings {
    VaultSettings { vault_url: url, kv_mount_path: "secret".to_owned(), root_path: None, namespace: None, auth }
}

pub(crate) fn token(token: &str) -> VaultAuth {
    VaultAuth::Token(SecretValue::new(token.to_owned()))
}

/// As root, where the server mounts KV by itself.
pub(crate) fn as_root(server: &OpenBao) -> VaultStore {
    store(&settings(server.url(), token(server.root_token())))
}

pub(crate) fn store(settings: &VaultSettings) -> VaultStore {
    with_policy(settings, OuterPolicy::default())
}

pub(crate) fn with_policy(settings: &VaultSettings, policy: OuterPolicy) -> VaultStore {
    let addresses = AddressPolicy { deny_private: false, allow: vec!["127.0.0.1/32".parse().unwrap()] };
    let egress = Arc::new(EgressClient::new(addresses).keeping_connections(KeepAlive::default()));
    let owner = Owner { instance: "instance-1".to_owned(), tenant: TENANT.to_owned() };
    VaultStore::new(settings, owner, egress, Arc::new(Zeroes), policy).unwrap()
}

pub(crate) fn entry<'a>(group: &'a str, key: &'a str) -> Entry<'a> {
    Entry { tenant: TENANT, group, key, secret_id: SecretId::from(Uuid::from_u128(7)), beside: false }
}

pub(crate) async fn put(
    store: &VaultStore,
    entry: Entry<'_>,
    value: &str,
    condition: Condition<'_>,
    mark: Option<&str>,
) -> Result<StoreVersion, StoreError> {
    let (value, key, binding) = (SecretValue::new(value.to_owned()), DataKey::make(), Binding::new("test"));
    let seal = Seal { key: &key, binding: &binding };
    let put = Put { entry, value: &value, version: 1, seal, condition, mark, staged: false };
    store.put(put).await.map(|placed| placed.version)
}

pub(crate) async fn get(
    store: &VaultStore,
    entry: Entry<'_>,
    version: &StoreVersion,
) -> Result<String, StoreErrorKind> {
    let (key, binding) = (DataKey::make(), Binding::new("test"));
    let pinned = Pinned { entry, version, sealed: None, seal: Seal { key: &key, binding: &binding } };
    store.get(pinned).await.map(|value| value.expose().to_owned()).map_err(|error| error.kind)
}
