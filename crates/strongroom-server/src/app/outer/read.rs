//! Reading values from outer stores: the pinned version, and no other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use strongroom_crypto::{Binding, DataKey, constant_time_eq};
use strongroom_domain::{SecretId, SecretValue};
use strongroom_metadata::SecretRow;
use strongroom_stores::{Pinned, Seal, StoreError, StoreErrorKind};

use super::super::{App, AppError, Store};
use super::pinned;

/// What a call of a store gave; shared between those who asked for the same.
type Read = Result<Arc<SecretValue>, Arc<StoreError>>;
type Flight = Shared<BoxFuture<'static, Read>>;
type Known = HashMap<(SecretId, String), WeakShared<BoxFuture<'static, Read>>>;

/// Reads under way, by secret and by where its version is: who asks for the same meanwhile gets the same answer.
#[derive(Default)]
pub(crate) struct Flights(Mutex<Known>);

impl Flights {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The read under way, or the one that `make` begins.
    fn join(&self, asked: (SecretId, String), make: impl FnOnce() -> BoxFuture<'static, Read>) -> Flight {
        let mut flights = self.lock();
        if let Some(flight) = flights.get(&asked).and_then(WeakShared::upgrade) {
            return flight;
        }
        flights.retain(|_, flight| flight.upgrade().is_some());
        let flight = make().shared();
        flights.extend(flight.downgrade().map(|weak| (asked, weak)));
        flight
    }
}

impl App {
    /// The value of a version in an outer store, which must be the one that was put there.
    pub(crate) async fn read_outer(
        &self,
        store: &Store,
        row: &SecretRow,
        key: &Arc<DataKey>,
    ) -> Result<SecretValue, AppError> {
        let version = &row.version;
        let altered = |what: String| AppError::ChangedOutside { store: store.fqn.to_string(), what };
        let Some(spot) = pinned(&version.store_version) else {
            return Err(AppError::Integrity {
                public: format!("version {} of secret {} has no place in its store", version.version, row.id),
                internal: "its store version does not read".into(),
            });
        };
        let flight = self.caches.flights.join((row.id, version.store_version.clone()), || {
            let (store, tenant, key, secret) = (store.clone(), self.tenant.clone(), key.clone(), row.id);
            let patience = self.patience;
            async move {
                let binding = Binding::new("outer");
                let entry = spot.place.entry(&tenant, secret);
                let seal = Seal { key: &key, binding: &binding };
                let pin = Pinned { entry, version: &spot.version, sealed: None, seal };
                let value = super::calls::timed(patience.call, &store, store.store.get(pin)).await;
                value.map(Arc::new).map_err(Arc::new)
            }
            .boxed()
        });
        match flight.await {
            Ok(value) if constant_time_eq(&self.digest(key, row.group_id, row.id, &value), &version.digest) => {
                Ok((*value).clone())
            }
            Ok(_) => Err(altered(format!("`{}` holds another value than was put there", row.key))),
            Err(error) => match error.kind {
                StoreErrorKind::NotFound if version.version < row.current_version => Err(altered(format!(
                    "version {} of `{}` is gone: the store has dropped it",
                    version.version, row.key
                ))),
                StoreErrorKind::NotFound | StoreErrorKind::Integrity | StoreErrorKind::AlreadyExists => {
                    Err(altered(format!("`{}`: {}", row.key, error.reason)))
                }
                _ => Err(AppError::Store(copied(&error))),
            },
        }
    }
}

/// Several wait for one answer, and each gets its own.
fn copied(error: &StoreError) -> StoreError {
    StoreError::new(error.store, error.kind, error.reason.clone())
}
