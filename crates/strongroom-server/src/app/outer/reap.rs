//! Removing from outer stores what nobody needs any more: entries whose time has ended, and what operations left behind.

use std::sync::Arc;
use std::time::Duration;

use strongroom_domain::operation::PutState;
use strongroom_metadata::{CommitError, DueEntry, Leftover};
use strongroom_stores::{Removal, StoreError, StoreErrorKind, StoreVersion};

use super::super::{App, AppError};
use super::Place;
use super::calls::side_by_side;

const NAME: &str = "reaper";
const EVERY: Duration = Duration::from_secs(10);
/// What couldn't be removed is tried again after this.
const AGAIN: i64 = 60;
const ROUND: i64 = 100;
/// An operation has at most half as many puts.
const LEFTOVERS: i64 = 2_000;

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
        let leftovers = self.metadata.leftovers(ended, None, LEFTOVERS).await?;
        let done = leftovers.iter().map(|leftover| self.destroy(leftover));
        for done in side_by_side(done.collect()).await {
            removed += usize::from(done?);
        }
        Ok(removed)
    }

    async fn remove_entry(&self, due: &DueEntry) -> Result<bool, AppError> {
        let gone = match Place::parse(&due.place) {
            None => Ok(()),
            Some(place) => match self.store_of(due.integration_id).await {
                Ok(store) => {
                    let entry = place.entry(&self.tenant, due.secret_id);
                    self.timed(&store, store.store.remove(&entry, Removal::Entry)).await.map_err(|error| error.reason)
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
        let state = match self.store_of(leftover.integration_id).await {
            // The integration is gone, and with it all entries.
            Err(AppError::NoIntegration) => Some(PutState::Undone),
            Err(_) => None,
            Ok(store) => match self.destroy_in(&store, leftover).await {
                Ok(()) => Some(PutState::Undone),
                Err(error) if error.kind == StoreErrorKind::NotSupported => Some(PutState::Abandoned),
                Err(error) => {
                    tracing::debug!(%error, secret = %leftover.put.secret_id, "a version could not be destroyed yet");
                    None
                }
            },
        };
        let Some(state) = state else { return Ok(false) };
        noted_or_gone(self.metadata.leftover_done(leftover, state).await)
            .map(|noted| noted && state == PutState::Undone)
    }

    async fn destroy_in(&self, store: &super::super::Store, leftover: &Leftover) -> Result<(), StoreError> {
        let Some(place) = Place::parse(&leftover.put.place) else { return Ok(()) };
        let entry = place.entry(&self.tenant, leftover.put.secret_id);
        let version = if let Some(version) = &leftover.put.placed {
            Some(StoreVersion(version.clone()))
        } else {
            // Nobody knew then whether it was put.
            let mark = leftover.operation.to_string();
            self.timed(store, store.store.find(&entry, &mark, leftover.put.version)).await?
        };
        let Some(version) = version else { return Ok(()) };
        self.timed(store, store.store.remove(&entry, Removal::Version(&version))).await
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
