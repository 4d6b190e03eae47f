//! Removing from outer stores what nobody needs any more: entries whose time has ended, and what operations left behind.

use std::sync::Arc;
use std::time::Duration;

use strongroom_crypto::{Binding, constant_time_eq};
use strongroom_domain::operation::PutState;
use strongroom_metadata::{CommitError, DueEntry, Leftover};
use strongroom_stores::{Entry, Pinned, Removal, Seal, StoreError, StoreErrorKind, StoreVersion};

use super::super::{App, AppError, Store};
use super::Place;
use super::calls::side_by_side;
use super::settle::server_viewpoint;
use super::write::spot;

const NAME: &str = "reaper";
const EVERY: Duration = Duration::from_secs(10);
/// What couldn't be removed is tried again after this.
const AGAIN: i64 = 60;
const ROUND: i64 = 100;

/// Reaps for as long as the server runs.
pub(crate) async fn run_reaping(app: Arc<App>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match app.reap_if_ours().await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "removed from outer stores what nobody needs any more"),
            Err(error) => tracing::warn!(?error, "removing from outer stores failed; it is tried again"),
        }
    }
}

impl App {
    /// Removes what is due, unless another replica does, and says how many entries and versions that were.
    pub(crate) async fn reap_if_ours(&self) -> Result<usize, AppError> {
        let mut removed = 0;
        loop {
            // What it does is right whoever does it; so the lease only keeps replicas from doing it twice.
            if self.job(NAME).await?.is_none() {
                return Ok(removed);
            }
            let now = self.clock.now();
            let due = self.metadata.due_entries(now, now.plus_seconds(-AGAIN), ROUND).await?;
            let round = i64::try_from(due.len()).unwrap_or(i64::MAX);
            let done = due.iter().map(|entry| self.remove_entry(entry));
            for done in side_by_side(done.collect()).await {
                removed += usize::from(done?);
            }
            if round < ROUND {
                break;
            }
        }
        let ended = self.clock.now().plus_seconds(-seconds(self.patience.hold));
        let mut after = None;
        loop {
            let leftovers = self.metadata.leftovers(ended, after, ROUND).await?;
            let done = leftovers.iter().map(|leftover| self.destroy(leftover));
            for done in side_by_side(done.collect()).await {
                removed += usize::from(done?);
            }
            // What couldn't be destroyed is met again the next time.
            match leftovers.last() {
                Some(last) if i64::try_from(leftovers.len()).is_ok_and(|count| count == ROUND) => {
                    after = Some((last.operation, last.put.secret_id));
                }
                _ => break,
            }
        }
        Ok(removed)
    }

    async fn remove_entry(&self, due: &DueEntry) -> Result<bool, AppError> {
        let gone = match Place::parse(&due.place) {
            None => Ok(()),
            Some(place) => match self.store_of(due.integration_id).await {
                Ok(store) => {
                    let entry = place.entry(&self.tenant, due.secret_id);
                    match self.timed(&store, store.store.remove(&entry, Removal::Entry)).await {
                        // Somebody else's has taken its place: so ours is gone.
                        Err(error) if error.kind == StoreErrorKind::AlreadyExists && !error.may_have_happened => Ok(()),
                        removed => removed.map_err(|error| error.reason),
                    }
                }
                Err(error) => Err(format!("{error:?}")),
            },
        };
        let noted = match &gone {
            Ok(()) => self.metadata.entry_removed(due.secret_id).await,
            Err(problem) => {
                tracing::debug!(problem, secret = %due.secret_id, "an entry could not be removed yet");
                self.metadata.entry_tried(due.secret_id, self.clock.now(), problem).await
            }
        };
        noted_or_gone(noted).map(|noted| noted && gone.is_ok())
    }

    /// Destroys a version that was taken back.
    async fn destroy(&self, leftover: &Leftover) -> Result<bool, AppError> {
        let mut leftover = leftover.clone();
        let state = match self.store_of(leftover.integration_id).await {
            // The integration is gone, and with it all entries.
            Err(AppError::NoIntegration) => Some(PutState::Undone),
            Err(_) => None,
            Ok(store) => match self.destroy_in(&store, &mut leftover).await {
                Ok(()) => Some(PutState::Undone),
                Err(error) if error.kind == StoreErrorKind::NotSupported => Some(PutState::Abandoned),
                Err(error) => {
                    tracing::debug!(%error, secret = %leftover.put.secret_id, "a version could not be destroyed yet");
                    None
                }
            },
        };
        let Some(state) = state else { return Ok(false) };
        noted_or_gone(self.metadata.leftover_done(&leftover, state).await)
            .map(|noted| noted && state == PutState::Undone)
    }

    async fn destroy_in(&self, store: &Store, leftover: &mut Leftover) -> Result<(), StoreError> {
        let Some(place) = Place::parse(&leftover.put.place) else { return Ok(()) };
        let entry = place.entry(&self.tenant, leftover.put.secret_id);
        // An entry that was made again has the same names for other versions, and one of them may be what is current.
        let found = if store.store.description().marks {
            let mark = leftover.operation.to_string();
            self.timed(store, store.store.find(&entry, &mark, leftover.put.version)).await
        } else {
            self.as_placed(store, &entry, leftover).await
        };
        let version = match found {
            Ok(version) => version,
            // Somebody else's has taken its place: so ours is gone.
            Err(error) if matches!(error.kind, StoreErrorKind::AlreadyExists | StoreErrorKind::NotFound) => None,
            Err(error) => return Err(error),
        };
        let Some(version) = version else { return Ok(()) };
        leftover.put.placed = Some(version.0.clone());
        match self.timed(store, store.store.remove(&entry, Removal::Version(&version))).await {
            Err(error) if error.kind == StoreErrorKind::AlreadyExists && !error.may_have_happened => Ok(()),
            removed => removed,
        }
    }

    /// The version that was noted, if it holds what was put there, and nothing of ours is kept in it since.
    async fn as_placed(
        &self,
        store: &Store,
        entry: &Entry<'_>,
        leftover: &Leftover,
    ) -> Result<Option<StoreVersion>, StoreError> {
        let put = &leftover.put;
        let Some(placed) = &put.placed else { return Ok(None) };
        let unreadable =
            |_| StoreError::new(store.store.description().name, StoreErrorKind::Unavailable, "its group can't be read");
        let is_pinned = self.metadata.is_pinned(put.secret_id, &spot(put, placed)).await.map_err(unreadable)?;
        let state = self.metadata.group(leftover.group_id, &server_viewpoint()).await.map_err(unreadable)?;
        // What has no key any more is removed with its entry.
        let Some(key) = state.and_then(|state| self.key_of(&state).ok()).filter(|_| !is_pinned) else {
            return Ok(None);
        };
        let (version, binding) = (StoreVersion(placed.clone()), Binding::new("outer"));
        let pin =
            Pinned { entry: *entry, version: &version, sealed: None, seal: Seal { key: &key, binding: &binding } };
        let value = match self.timed(store, store.store.get(pin)).await {
            Err(error) if error.kind == StoreErrorKind::Integrity => return Ok(None),
            value => value?,
        };
        let is_it = constant_time_eq(&self.digest(&key, leftover.group_id, put.secret_id, &value), &put.digest);
        Ok(is_it.then_some(version))
    }
}

/// Another replica may have done it meanwhile.
fn noted_or_gone(noted: Result<(), CommitError>) -> Result<bool, AppError> {
    match noted {
        Ok(()) => Ok(true),
        Err(CommitError::Missed { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}
