use async_trait::async_trait;
use strongroom_crypto::{Binding, DataKey};
use strongroom_domain::{SecretId, SecretValue};

use crate::{StoreError, StoreErrorKind, outer::OuterStats};

/// A place that keeps the values of secrets.
#[async_trait]
pub trait SecretStore: Send + Sync {
    /// What the store can do; the same for its whole life.
    fn description(&self) -> &StoreDescription;

    /// The store's own rule that a name or a value of so many bytes breaks; nothing is asked of the store.
    fn check(&self, entry: &Entry<'_>, value_bytes: usize) -> Result<(), StoreError> {
        let description = self.description();
        let refused = |rule: String| Err(StoreError::new(description.name, StoreErrorKind::Refused, rule));
        if entry.key.len() > description.max_key_bytes {
            return refused(format!("a key has at most {} bytes here", description.max_key_bytes));
        }
        if value_bytes > description.max_value_bytes {
            return refused(format!("a value has at most {} bytes here", description.max_value_bytes));
        }
        Ok(())
    }

    /// Puts a new version and says what the store calls it.
    async fn put(&self, put: Put<'_>) -> Result<Placed, StoreError>;

    /// The value of a given version.
    async fn get(&self, pinned: Pinned<'_>) -> Result<SecretValue, StoreError>;

    /// The version that somebody who reads the store directly gets; `None` when the entry isn't there.
    async fn latest(&self, entry: &Entry<'_>) -> Result<Option<Latest>, StoreError>;

    /// The version that the put of this mark and number made, also where nobody sees it; `None` where it isn't there.
    async fn find(&self, entry: &Entry<'_>, mark: &str, version: i64) -> Result<Option<StoreVersion>, StoreError> {
        let _ = version;
        let latest = self.latest(entry).await?;
        Ok(latest.filter(|latest| latest.mark.as_deref() == Some(mark)).map(|latest| latest.version))
    }

    /// Makes a staged version the latest.
    async fn promote(&self, entry: &Entry<'_>, version: &StoreVersion) -> Result<(), StoreError>;

    /// Removes a version or the whole entry. Removing what isn't there is success.
    async fn remove(&self, entry: &Entry<'_>, removal: Removal<'_>) -> Result<(), StoreError>;

    /// Up to `limit` names under a prefix that sort after `after`.
    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StoreError>;

    /// Whether the store answers and would let us do all that we have to. It may have to try, on an entry of its own
    /// that it removes again.
    async fn probe(&self) -> Result<(), StoreError>;

    /// Whether the store answers and would let us remove, as far as can be told without making anything.
    async fn answers(&self) -> Result<(), StoreError> {
        self.probe().await
    }

    /// What became of its requests so far; `None` where it makes none.
    fn stats(&self) -> Option<OuterStats> {
        None
    }
}

/// What a store can do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent ability")]
pub struct StoreDescription {
    /// Its name in errors.
    pub name: &'static str,
    /// Where what is put ends up.
    pub placement: Placement,
    /// The largest value in bytes.
    pub max_value_bytes: usize,
    /// The longest key in bytes.
    pub max_key_bytes: usize,
    /// Which versions it keeps.
    pub kept_versions: KeptVersions,
    /// Whether a removed name stays taken for a while.
    pub soft_delete: bool,
    /// Whether a put can be conditioned on what is there.
    pub conditional_put: bool,
    /// Whether a version can carry the mark of the operation that put it.
    pub marks: bool,
    /// Whether a version can be put without becoming the latest.
    pub staging: bool,
    /// Whether one version can be removed.
    pub removes_versions: bool,
    /// Whether `latest` and `list` have an answer.
    pub enumerates: bool,
}

/// Where what is put ends up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// In a row that is committed with the change.
    Inline,
    /// In another system.
    Outer,
}

/// Which versions a store keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeptVersions {
    /// Every one until it is removed.
    All,
    /// The newest so many.
    Newest(usize),
}

/// Which secret is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The tenant.
    pub tenant: &'a str,
    /// The group's name.
    pub group: &'a str,
    /// The key.
    pub key: &'a str,
    /// The secret's id, which tells it from an earlier one of the same name.
    pub secret_id: SecretId,
    /// Whether the plain name was taken when the entry was made: then the secret's id stands behind it.
    pub beside: bool,
}

/// What the store calls a version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoreVersion(pub String);

/// The key under which an inline store seals, and what the sealed value is bound to.
#[derive(Debug, Clone, Copy)]
pub struct Seal<'a> {
    /// The group's data key.
    pub key: &'a DataKey,
    /// Which secret, which version, which instance.
    pub binding: &'a Binding,
}

/// A put.
#[derive(Debug, Clone, Copy)]
pub struct Put<'a> {
    /// Where.
    pub entry: Entry<'a>,
    /// What.
    pub value: &'a SecretValue,
    /// Our own number of the version.
    pub version: i64,
    /// How an inline store seals it.
    pub seal: Seal<'a>,
    /// On what condition.
    pub condition: Condition<'a>,
    /// The operation that this put belongs to, for stores with room for it.
    pub mark: Option<&'a str>,
    /// Put it without making it the latest, where the store can.
    pub staged: bool,
}

/// On what condition a put happens; stores that can't check take it as `Always`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition<'a> {
    /// Whatever is there.
    Always,
    /// Only when the entry isn't there.
    Absent,
    /// Only when this is the latest version. For a version that is put unseen a store may leave this to the promotion.
    LatestIs(&'a StoreVersion),
}

/// Where a put ended up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// What the store calls the version.
    pub version: StoreVersion,
    /// For an inline store: the row to commit with the change.
    pub sealed: Option<Vec<u8>>,
}

/// A version to read.
#[derive(Debug, Clone, Copy)]
pub struct Pinned<'a> {
    /// Where.
    pub entry: Entry<'a>,
    /// What the store calls the version.
    pub version: &'a StoreVersion,
    /// For an inline store: the committed row.
    pub sealed: Option<&'a [u8]>,
    /// How an inline store sealed it.
    pub seal: Seal<'a>,
}

/// The latest version of an entry.
#[derive(Debug, Clone)]
pub struct Latest {
    /// What the store calls it.
    pub version: StoreVersion,
    /// Its value.
    pub value: SecretValue,
    /// The mark that it was put with.
    pub mark: Option<String>,
}

/// What to remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal<'a> {
    /// One version.
    Version(&'a StoreVersion),
    /// The entry with all its versions.
    Entry,
}
