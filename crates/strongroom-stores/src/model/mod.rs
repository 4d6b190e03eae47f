//! An outer store in memory that can be of any kind and misbehave in every way, for tests.
//!
//! A [`ModelKind`] says what kind of store it is. Its [`ModelControl`] makes it misbehave, is somebody else who changes
//! entries behind our back, and shows all that is left in it.

mod control;
mod entries;
mod fault;
mod kind;
mod op;
mod over;
mod views;

use std::sync::Arc;

use async_trait::async_trait;
use strongroom_domain::SecretValue;

use self::{
    control::Shared,
    fault::{Effect, Reply},
    op::{Op, Outcome, OwnedPut, Who},
};
pub use self::{
    control::{Hook, ModelControl},
    fault::{Fault, ModelCall},
    kind::{Foreign, ModelKind, VersionNames},
    over::Misbehaving,
    views::{EntryView, VersionState, VersionView},
};
use crate::{
    StoreError, StoreErrorKind,
    faulty::Call,
    naming,
    store::{Entry, Latest, Pinned, Placed, Put, Removal, SecretStore, StoreDescription, StoreVersion},
};

/// The store. Clones of its control live on when it is dropped, and see the same entries.
pub struct ModelStore {
    description: StoreDescription,
    shared: Arc<Shared>,
}

impl ModelStore {
    /// An empty one of this kind.
    #[must_use]
    pub fn new(kind: ModelKind) -> Self {
        Self { description: kind.description.clone(), shared: Arc::new(Shared::new(kind)) }
    }

    /// The handle by which a test plays with it; as many as wanted.
    #[must_use]
    pub fn control(&self) -> ModelControl {
        ModelControl::over(self.shared.clone())
    }

    async fn run(&self, op: Op) -> Result<Outcome, StoreError> {
        let shared = &self.shared;
        let call = shared.arrived(&op);
        shared.before(&call).await;
        let outcome = self.act(&call, op).await;
        shared.after(&call).await;
        outcome
    }

    async fn act(&self, call: &ModelCall, op: Op) -> Result<Outcome, StoreError> {
        let shared = &self.shared;
        let Some(Fault { effect, reply }) = shared.fault(call) else { return shared.perform(op) };
        let is_write = op.is_write();
        let failing = |kind: StoreErrorKind, is_unclear: bool| {
            StoreError::new(self.description.name, kind, format!("{kind:?} (an injected fault)"))
                .with_unclear_effect(is_unclear && is_write)
        };
        let done = match effect {
            Effect::Never if reply == Reply::Hang => None,
            Effect::Never => {
                shared.skip();
                None
            }
            Effect::Now => Some(shared.perform(op.clone())),
            Effect::Later(when) => {
                shared.postpone(op.clone(), when);
                Some(Err(failing(StoreErrorKind::Unavailable, true)))
            }
        };
        match reply {
            Reply::Error { kind, is_unclear } => Err(failing(kind, is_unclear)),
            Reply::Hang => {
                shared.hang().await;
                done.unwrap_or_else(|| shared.perform(op))
            }
        }
    }

    fn nonsense(&self) -> StoreError {
        StoreError::new(self.description.name, StoreErrorKind::Integrity, "the answer belongs to another call")
    }
}

#[async_trait]
impl SecretStore for ModelStore {
    fn description(&self) -> &StoreDescription {
        &self.description
    }

    async fn put(&self, put: Put<'_>) -> Result<Placed, StoreError> {
        match self.run(Op::Put(OwnedPut::from(&put))).await? {
            Outcome::Version(Some(version)) => Ok(Placed { version: StoreVersion(version), sealed: None }),
            _ => Err(self.nonsense()),
        }
    }

    async fn get(&self, pinned: Pinned<'_>) -> Result<SecretValue, StoreError> {
        match self.run(Op::Get(Who::from(&pinned.entry), pinned.version.0.clone())).await? {
            Outcome::Value(value) => Ok(value),
            _ => Err(self.nonsense()),
        }
    }

    async fn latest(&self, entry: &Entry<'_>) -> Result<Option<Latest>, StoreError> {
        match self.run(Op::Latest(Who::from(entry))).await? {
            Outcome::Latest(latest) => Ok(latest),
            _ => Err(self.nonsense()),
        }
    }

    async fn find(&self, entry: &Entry<'_>, mark: &str, version: i64) -> Result<Option<StoreVersion>, StoreError> {
        match self.run(Op::Find(Who::from(entry), mark.to_owned(), version)).await? {
            Outcome::Version(version) => Ok(version.map(StoreVersion)),
            _ => Err(self.nonsense()),
        }
    }

    async fn promote(&self, entry: &Entry<'_>, version: &StoreVersion) -> Result<(), StoreError> {
        self.run(Op::Promote(Who::from(entry), version.0.clone(), None)).await.map(drop)
    }

    async fn remove(&self, entry: &Entry<'_>, removal: Removal<'_>) -> Result<(), StoreError> {
        let who = Who::from(entry);
        self.run(match removal {
            Removal::Version(version) => Op::RemoveVersion(who, version.0.clone()),
            Removal::Entry => Op::RemoveEntry(who),
        })
        .await
        .map(drop)
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        match self.run(Op::List { prefix: prefix.to_owned(), after: after.to_owned(), limit }).await? {
            Outcome::Names(names) => Ok(names),
            _ => Err(self.nonsense()),
        }
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.run(Op::Ask(Call::Probe)).await.map(drop)
    }

    async fn answers(&self) -> Result<(), StoreError> {
        self.run(Op::Ask(Call::Answers)).await.map(drop)
    }
}

/// What an entry is called in the store.
#[must_use]
pub fn name(entry: &Entry<'_>) -> String {
    naming::plain(entry)
}

#[cfg(test)]
mod tests;
