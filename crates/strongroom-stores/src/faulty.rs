//! A decorator that makes a store fail on order.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use strongroom_domain::SecretValue;

use crate::store::{Entry, Latest, Pinned, Placed, Put, Removal, SecretStore, StoreDescription, StoreVersion};
use crate::{StoreError, StoreErrorKind, outer::OuterStats};

/// Which call of a store is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    /// `put`
    Put,
    /// `get`
    Get,
    /// `latest`
    Latest,
    /// `find`
    Find,
    /// `promote`
    Promote,
    /// `remove`
    Remove,
    /// `list`
    List,
    /// `probe`
    Probe,
    /// `answers`
    Answers,
}

type Rule = Box<dyn FnMut(Call) -> Option<StoreErrorKind> + Send>;

/// Says for each call whether it fails and how; shared between a test and the store that it plagues.
#[derive(Clone, Default)]
pub struct FaultPlan(Arc<Mutex<Option<Rule>>>);

impl FaultPlan {
    /// Every call fails as if the store could not be reached.
    pub fn take_down(&self) {
        self.set(|_| Some(StoreErrorKind::Unavailable));
    }

    /// No call fails.
    pub fn bring_up(&self) {
        self.set(|_| None);
    }

    /// Asks `rule` before each call.
    pub fn set(&self, rule: impl FnMut(Call) -> Option<StoreErrorKind> + Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(rule));
    }

    fn check(&self, call: Call, store: &'static str) -> Result<(), StoreError> {
        let mut rule = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match rule.as_mut().and_then(|rule| rule(call)) {
            None => Ok(()),
            Some(kind) => Err(StoreError::new(store, kind, format!("{kind:?} (an injected fault)"))),
        }
    }
}

/// A store with faults.
pub struct Faulty<S> {
    inner: S,
    plan: FaultPlan,
}

impl<S: SecretStore> Faulty<S> {
    /// Around a store, on a plan.
    pub const fn new(inner: S, plan: FaultPlan) -> Self {
        Self { inner, plan }
    }

    fn check(&self, call: Call) -> Result<(), StoreError> {
        self.plan.check(call, self.inner.description().name)
    }
}

#[async_trait]
impl<S: SecretStore> SecretStore for Faulty<S> {
    fn description(&self) -> &StoreDescription {
        self.inner.description()
    }

    fn check(&self, entry: &Entry<'_>, value_bytes: usize) -> Result<(), StoreError> {
        self.inner.check(entry, value_bytes)
    }

    async fn put(&self, put: Put<'_>) -> Result<Placed, StoreError> {
        self.check(Call::Put)?;
        self.inner.put(put).await
    }

    async fn get(&self, pinned: Pinned<'_>) -> Result<SecretValue, StoreError> {
        self.check(Call::Get)?;
        self.inner.get(pinned).await
    }

    async fn latest(&self, entry: &Entry<'_>) -> Result<Option<Latest>, StoreError> {
        self.check(Call::Latest)?;
        self.inner.latest(entry).await
    }

    async fn find(&self, entry: &Entry<'_>, mark: &str, version: i64) -> Result<Option<StoreVersion>, StoreError> {
        self.check(Call::Find)?;
        self.inner.find(entry, mark, version).await
    }

    async fn promote(&self, entry: &Entry<'_>, version: &StoreVersion) -> Result<(), StoreError> {
        self.check(Call::Promote)?;
        self.inner.promote(entry, version).await
    }

    async fn remove(&self, entry: &Entry<'_>, removal: Removal<'_>) -> Result<(), StoreError> {
        self.check(Call::Remove)?;
        self.inner.remove(entry, removal).await
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        self.check(Call::List)?;
        self.inner.list(prefix, after, limit).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.check(Call::Probe)?;
        self.inner.probe().await
    }

    async fn answers(&self) -> Result<(), StoreError> {
        self.check(Call::Answers)?;
        self.inner.answers().await
    }

    fn stats(&self) -> Option<OuterStats> {
        self.inner.stats()
    }
}
