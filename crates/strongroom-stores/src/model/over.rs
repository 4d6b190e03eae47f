//! A real store that misbehaves on order.

use std::{
    mem,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use strongroom_crypto::{Binding, DataKey};
use strongroom_domain::{SecretId, SecretValue};

use super::{
    ModelCall, ModelControl, ModelKind,
    control::Shared,
    fault::{Effect, Fault, Reply},
};
use crate::{
    StoreError, StoreErrorKind,
    faulty::Call,
    naming,
    store::{
        Condition, Entry, Latest, Pinned, Placed, Put, Removal, Seal, SecretStore, StoreDescription, StoreVersion,
    },
};

type Late = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Calls of a store go wrong as those of the model do. What its control shows of entries is nothing, and the effects that
/// it may let come late are puts, which come when this is told to let them.
pub struct Misbehaving {
    inner: Arc<dyn SecretStore>,
    shared: Arc<Shared>,
    late: Mutex<Vec<Late>>,
}

impl Misbehaving {
    /// Around a store.
    #[must_use]
    pub fn over(inner: Arc<dyn SecretStore>) -> Self {
        Self { inner, shared: Arc::new(Shared::new(ModelKind::plain())), late: Mutex::default() }
    }

    /// The handle by which a test plays with it.
    #[must_use]
    pub fn control(&self) -> ModelControl {
        ModelControl::over(self.shared.clone())
    }

    /// All late effects happen now; says how many there were.
    pub async fn let_late_happen(&self) -> usize {
        let late = mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner));
        let count = late.len();
        for effect in late {
            effect.await;
        }
        count
    }

    async fn call<T: Send>(
        &self,
        call: ModelCall,
        happens: impl Future<Output = Result<T, StoreError>> + Send,
        late: Option<Late>,
    ) -> Result<T, StoreError> {
        let call = self.shared.counted(call);
        self.shared.before(&call).await;
        let outcome = self.act(&call, happens, late).await;
        self.shared.after(&call).await;
        outcome
    }

    async fn act<T: Send>(
        &self,
        call: &ModelCall,
        happens: impl Future<Output = Result<T, StoreError>> + Send,
        late: Option<Late>,
    ) -> Result<T, StoreError> {
        let Some(Fault { effect, reply }) = self.shared.fault(call) else { return happens.await };
        let is_write = matches!(call.call, Call::Put | Call::Promote | Call::Remove);
        let failing = |kind: StoreErrorKind, is_unclear: bool| {
            StoreError::new(self.inner.description().name, kind, format!("{kind:?} (an injected fault)"))
                .with_unclear_effect(is_unclear && is_write)
        };
        match effect {
            Effect::Never => {}
            Effect::Now => drop(happens.await),
            Effect::Later(_) => self.late.lock().unwrap_or_else(PoisonError::into_inner).extend(late),
        }
        match reply {
            Reply::Error { kind, is_unclear } => Err(failing(kind, is_unclear)),
            Reply::Hang => {
                self.shared.hang().await;
                Err(failing(StoreErrorKind::Unavailable, true))
            }
        }
    }
}

fn about(call: Call, entry: &Entry<'_>) -> ModelCall {
    ModelCall {
        call,
        number: 0,
        nth: 0,
        name: naming::plain(entry),
        mark: None,
        version: None,
        put_version: None,
        staged: false,
    }
}

fn about_nothing(call: Call) -> ModelCall {
    let secret_id = SecretId::from(uuid::Uuid::nil());
    ModelCall {
        name: String::new(),
        ..about(call, &Entry { tenant: "", group: "", key: "", secret_id, beside: false })
    }
}

/// A put that outlives its call.
fn later(inner: Arc<dyn SecretStore>, put: &Put<'_>) -> Late {
    let Entry { tenant, group, key, secret_id, beside } = put.entry;
    let (tenant, group, key) = (tenant.to_owned(), group.to_owned(), key.to_owned());
    let (value, version, staged) = (put.value.clone(), put.version, put.staged);
    let mark = put.mark.map(str::to_owned);
    let expected = match put.condition {
        Condition::LatestIs(version) => Some(version.clone()),
        _ => None,
    };
    let is_absent = put.condition == Condition::Absent;
    Box::pin(async move {
        let condition = match &expected {
            Some(version) => Condition::LatestIs(version),
            None if is_absent => Condition::Absent,
            None => Condition::Always,
        };
        let entry = Entry { tenant: &tenant, group: &group, key: &key, secret_id, beside };
        // Outer stores seal nothing.
        let (data_key, binding) = (DataKey::make(), Binding::new("late"));
        let seal = Seal { key: &data_key, binding: &binding };
        let put = Put { entry, value: &value, version, seal, condition, mark: mark.as_deref(), staged };
        // Nobody is there to be told.
        drop(inner.put(put).await);
    })
}

#[async_trait]
impl SecretStore for Misbehaving {
    fn description(&self) -> &StoreDescription {
        self.inner.description()
    }

    async fn put(&self, put: Put<'_>) -> Result<Placed, StoreError> {
        let call = ModelCall {
            mark: put.mark.map(str::to_owned),
            put_version: Some(put.version),
            staged: put.staged,
            ..about(Call::Put, &put.entry)
        };
        self.call(call, self.inner.put(put), Some(later(self.inner.clone(), &put))).await
    }

    async fn get(&self, pinned: Pinned<'_>) -> Result<SecretValue, StoreError> {
        let call = ModelCall { version: Some(pinned.version.0.clone()), ..about(Call::Get, &pinned.entry) };
        self.call(call, self.inner.get(pinned), None).await
    }

    async fn latest(&self, entry: &Entry<'_>) -> Result<Option<Latest>, StoreError> {
        self.call(about(Call::Latest, entry), self.inner.latest(entry), None).await
    }

    async fn find(&self, entry: &Entry<'_>, mark: &str, version: i64) -> Result<Option<StoreVersion>, StoreError> {
        let call = ModelCall { mark: Some(mark.to_owned()), put_version: Some(version), ..about(Call::Find, entry) };
        self.call(call, self.inner.find(entry, mark, version), None).await
    }

    async fn promote(&self, entry: &Entry<'_>, version: &StoreVersion) -> Result<(), StoreError> {
        let call = ModelCall { version: Some(version.0.clone()), ..about(Call::Promote, entry) };
        self.call(call, self.inner.promote(entry, version), None).await
    }

    async fn remove(&self, entry: &Entry<'_>, removal: Removal<'_>) -> Result<(), StoreError> {
        let version = match removal {
            Removal::Version(version) => Some(version.0.clone()),
            Removal::Entry => None,
        };
        let call = ModelCall { version, ..about(Call::Remove, entry) };
        self.call(call, self.inner.remove(entry, removal), None).await
    }

    async fn list(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StoreError> {
        self.call(about_nothing(Call::List), self.inner.list(prefix, after, limit), None).await
    }

    async fn probe(&self) -> Result<(), StoreError> {
        self.call(about_nothing(Call::Probe), self.inner.probe(), None).await
    }

    async fn answers(&self) -> Result<(), StoreError> {
        self.call(about_nothing(Call::Answers), self.inner.answers(), None).await
    }
}
