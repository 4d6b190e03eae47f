//! A store that remembers when it wasn't known any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use strongroom_domain::SecretValue;
use strongroom_stores::outer::OuterStats;
use strongroom_stores::{
    Entry, Latest, Pinned, Placed, Put, Removal, SecretStore, StoreDescription, StoreError, StoreErrorKind,
    StoreVersion,
};

/// Whoever makes stores of credentials that change elsewhere looks there again after one was refused.
pub(super) struct WatchedStore {
    store: Arc<dyn SecretStore>,
    refused: Arc<AtomicBool>,
}

impl WatchedStore {
    pub(super) const fn new(store: Arc<dyn SecretStore>, refused: Arc<AtomicBool>) -> Self {
        Self { store, refused }
    }

    fn look<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if result.as_ref().is_err_and(|error| error.kind == StoreErrorKind::Unauthenticated) {
            self.refused.store(true, Ordering::SeqCst);
        }
        result
    }
}

#[async_trait]
impl SecretStore for WatchedStore {
    fn description(&self) -> &StoreDescription {
        self.store.description()
    }

    fn check(&self, entry: &Entry<'_>, value_bytes: usize) -> Result<(), StoreError> {
        self.store.check(entry, value_bytes)
    }

    async fn put(&self, put: Put<'_>) -> Result<Placed, StoreError> {
        self.look(self.store.put(put).await)
    }

    async fn get(&self, pinned: Pinned<'_>) -> Result<SecretValue, StoreError> {
        self.look(self.store.get(pinned).await)
    }

    async fn latest(&self, entry: &Entry<'_>) -> Result<Option<Latest>, StoreError> {
        self.look(self.store.latest(entry).await)
    }

    async fn find(&self, entry: &Entry<'_>, mark: &str, version: i64) -> Result<Option<StoreVersion>, StoreError> {
        self.look(self.store.find(entry, mark, version).await)
    }

    async fn promote(&self, entry: &Entry<'_>, version: &StoreVersion) -> Result<(), StoreError> {
        self.look(self.store.promote(entry, version).await)
    }

    async fn remove(&self, entry: &Entry<'_>, removal: Removal<'_>) -> Result<(), StoreError> {
        self.look(self.store.remove(entry, removal).await)
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        self.look(self.store.list(prefix, after, limit).await)
    }

    fn stats(&self) -> Option<OuterStats> {
        self.store.stats()
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.look(self.store.probe().await)
    }

    async fn answers(&self) -> Result<(), StoreError> {
        self.look(self.store.answers().await)
    }
}
