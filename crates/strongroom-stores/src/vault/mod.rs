//! `HashiCorp` Vault and OpenBao: the KV engine, version 2.
//!
//! A secret is one entry with the field `value`. Ours are known by their custom metadata, and each of their versions
//! names the secret and the operation that it belongs to in fields of its own, as the metadata comes in a second
//! request: a version without it is still known as ours.
//!
//! Every write is a check-and-set on the version that was seen, so it either is the next version or isn't there. A
//! write with a mark whose fate is unclear is sent again; if the first one had landed, the second doesn't, and reading
//! back tells.

mod api;
mod entry;
mod list;
mod paths;
mod probe;
mod settings;
mod tokens;
mod wire;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use strongroom_domain::{Entropy, SecretValue};

pub use self::settings::{VaultAuth, VaultSettings, VaultSettingsError};
use self::{
    api::{Api, Ask, LARGEST_ANSWER, Reply, judge},
    paths::Paths,
    tokens::Tokens,
};
use crate::{
    StoreError, StoreErrorKind,
    egress::EgressClient,
    outer::{Attempt, OuterClient, OuterPolicy, OuterStats, Repeat},
    store::{
        Entry, KeptVersions, Latest, Pinned, Placed, Placement, Put, Removal, SecretStore, StoreDescription,
        StoreVersion,
    },
};

const NAME: &str = "hashicorp/vault";
/// The engine keeps ten if nobody says otherwise, and drops older ones without a word.
const KEPT_VERSIONS: u16 = 100;
/// JSON makes a value up to six times as long, and the storage takes a megabyte an entry.
const LARGEST_VALUE: usize = 128 * 1024;
const LONGEST_KEY: usize = 253;

/// Whose entries a store's are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The instance's id: entries of another instance aren't touched.
    pub instance: String,
    /// The instance's tenant.
    pub tenant: String,
}

/// A KV engine of version 2.
#[derive(Debug)]
pub struct VaultStore {
    description: StoreDescription,
    api: Api,
    owner: Owner,
}

impl VaultStore {
    /// For one integration.
    pub fn new(
        settings: &VaultSettings,
        owner: Owner,
        egress: Arc<EgressClient>,
        entropy: Arc<dyn Entropy>,
        policy: OuterPolicy,
    ) -> Result<Self, VaultSettingsError> {
        Self::over(settings, owner, OuterClient::new(NAME, egress, entropy, policy, judge))
    }

    fn over(settings: &VaultSettings, owner: Owner, client: OuterClient) -> Result<Self, VaultSettingsError> {
        let root = settings.root_path.as_deref().filter(|path| !path.trim_matches('/').is_empty());
        let paths = Paths {
            base: settings::url(&settings.vault_url)?,
            mount: settings::parts("kv_mount_path", &settings.kv_mount_path)?,
            root: root.map_or(Ok(Vec::new()), |path| settings::parts("root_path", path))?,
        };
        let namespace = settings.namespace.as_deref().filter(|path| !path.trim_matches('/').is_empty());
        let api = Api {
            client,
            paths: Arc::new(paths),
            namespace: namespace.map(settings::namespace).transpose()?,
            tokens: Tokens::new(&settings.auth)?,
        };
        Ok(Self { description: description(), api, owner })
    }

    fn error(&self, kind: StoreErrorKind, reason: impl Into<String>) -> StoreError {
        self.api.error(kind, reason)
    }

    /// A request on a name.
    fn ask(
        &self,
        (method, capability): (Method, &'static str),
        api: paths::Api,
        name: &[&str],
        query: &[(&str, &str)],
        body: Bytes,
        repeat: Repeat,
    ) -> Result<Ask, StoreError> {
        let url = self.api.paths.url(api, name, query).map_err(|error| self.api.bad_url(error))?;
        let path = self.api.paths.policy_path(api, name);
        Ok(Ask { method, url, body, repeat, largest: LARGEST_ANSWER, path, capability })
    }

    async fn read(
        &self,
        attempt: &Attempt<'_>,
        api: paths::Api,
        name: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Reply, StoreError> {
        let ask = self.ask((Method::GET, "read"), api, name, query, Bytes::new(), Repeat::Read)?;
        self.api.send(attempt, &ask).await
    }
}

const fn description() -> StoreDescription {
    StoreDescription {
        name: NAME,
        placement: Placement::Outer,
        max_value_bytes: LARGEST_VALUE,
        max_key_bytes: LONGEST_KEY,
        kept_versions: KeptVersions::Newest(KEPT_VERSIONS as usize),
        soft_delete: false,
        conditional_put: true,
        marks: true,
        staging: false,
        removes_versions: true,
        enumerates: true,
    }
}

#[async_trait]
impl SecretStore for VaultStore {
    fn description(&self) -> &StoreDescription {
        &self.description
    }

    fn check(&self, entry: &Entry<'_>, value_bytes: usize) -> Result<(), StoreError> {
        paths::check_name(entry, LONGEST_KEY).map_err(|rule| self.error(StoreErrorKind::Refused, rule))?;
        if value_bytes > LARGEST_VALUE {
            let rule = format!("a value in Vault has at most {LARGEST_VALUE} bytes");
            return Err(self.error(StoreErrorKind::Refused, rule));
        }
        Ok(())
    }

    async fn put(&self, put: Put<'_>) -> Result<Placed, StoreError> {
        self.check(&put.entry, put.value.byte_len())?;
        let version = self.put_version(&put).await?;
        Ok(Placed { version: StoreVersion(version.to_string()), sealed: None })
    }

    async fn get(&self, pinned: Pinned<'_>) -> Result<SecretValue, StoreError> {
        self.pinned(&pinned.entry, pinned.version).await
    }

    async fn latest(&self, entry: &Entry<'_>) -> Result<Option<Latest>, StoreError> {
        let attempt = self.api.client.attempt();
        self.newest(&attempt, entry).await
    }

    async fn find(&self, entry: &Entry<'_>, mark: &str, version: i64) -> Result<Option<StoreVersion>, StoreError> {
        self.marked(entry, mark, version).await
    }

    async fn promote(&self, _entry: &Entry<'_>, _version: &StoreVersion) -> Result<(), StoreError> {
        Err(self.error(StoreErrorKind::NotSupported, "versions are not staged"))
    }

    async fn remove(&self, entry: &Entry<'_>, removal: Removal<'_>) -> Result<(), StoreError> {
        match removal {
            Removal::Entry => self.remove_entry(entry).await,
            Removal::Version(version) => self.destroy(entry, version).await,
        }
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        self.names(prefix, after, limit).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.check_access().await
    }

    async fn answers(&self) -> Result<(), StoreError> {
        self.check_removing().await
    }

    fn stats(&self) -> Option<OuterStats> {
        Some(self.api.client.stats())
    }
}

#[cfg(test)]
mod tests;
