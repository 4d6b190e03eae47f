//! Calls of outer stores, each within its time; and an operation held for as long as something goes on under it.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use strongroom_domain::Timestamp;
use strongroom_metadata::{CommitError, HeldOperation, PutRow};
use strongroom_stores::{StoreError, StoreErrorKind};

use super::super::{App, AppError, Store};
use super::AT_ONCE;
use crate::instance::Step;

/// An operation that is ours, as far as we know.
pub(super) struct Hold {
    pub(super) held: HeldOperation,
    /// When that was last confirmed, and until when it holds.
    seen: Mutex<(Instant, Timestamp)>,
}

impl Hold {
    pub(super) fn new(held: HeldOperation, until: Timestamp) -> Self {
        Self { held, seen: Mutex::new((Instant::now(), until)) }
    }

    fn confirmed(&self, until: Timestamp) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = (Instant::now(), until);
    }
}

impl App {
    /// A call within its time; a write that ran out of it may have happened.
    pub(super) async fn timed<T>(
        &self,
        store: &Store,
        call: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        timed(self.patience.call, store, call).await
    }

    /// Tells a test that a step is done.
    pub(super) async fn step(&self, step: Step) {
        if let Some(hook) = &self.steps {
            hook(step).await;
        }
    }

    /// Whether a write may begin under an operation: it would end before anybody else could take that over. Who stood
    /// still for a while is told so here, by the clock too: the other one stands still with a machine that sleeps.
    pub(super) fn may_begin(&self, hold: &Hold) -> bool {
        let (seen, until) = *hold.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.elapsed() + self.patience.call < self.patience.hold && self.later(self.patience.call) < until
    }

    /// The same as an error.
    pub(super) fn check_hold(&self, hold: &Hold, store: &Store) -> Result<(), StoreError> {
        if self.may_begin(hold) {
            return Ok(());
        }
        let reason = "this server stood still for too long to go on with it";
        Err(StoreError::new(store.store.description().name, StoreErrorKind::Unavailable, reason))
    }

    /// Does something under an operation, which stays held meanwhile. `None` when somebody else has taken it over.
    pub(super) async fn holding<T>(
        &self,
        hold: &Hold,
        work: impl Future<Output = T> + Send,
    ) -> Result<Option<T>, AppError> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(Some(done)),
                () = tokio::time::sleep(self.patience.sign) => {}
            }
            if !self.note(hold, &[]).await? {
                return Ok(None);
            }
        }
    }

    /// Notes what is known of puts, and holds the operation; `false` when somebody else has taken it over.
    pub(super) async fn note(&self, hold: &Hold, puts: &[PutRow]) -> Result<bool, AppError> {
        let until = self.hold_until();
        match self.metadata.note_puts(&hold.held, until, puts).await {
            Ok(()) => {
                hold.confirmed(until);
                Ok(true)
            }
            Err(CommitError::Missed { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The end of a hold that begins now.
    pub(super) fn hold_until(&self) -> Timestamp {
        self.later(self.patience.hold)
    }

    pub(super) fn later(&self, wait: Duration) -> Timestamp {
        let micros = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX);
        Timestamp::from_micros(self.clock.now().micros().saturating_add(micros))
    }
}

/// A call within a time.
pub(super) async fn timed<T>(
    limit: Duration,
    store: &Store,
    call: impl Future<Output = Result<T, StoreError>> + Send,
) -> Result<T, StoreError> {
    tokio::time::timeout(limit, call).await.unwrap_or_else(|_| {
        let reason = format!("no answer within {} seconds", limit.as_secs_f32());
        let name = store.store.description().name;
        Err(StoreError::new(name, StoreErrorKind::Unavailable, reason).with_unclear_effect(true))
    })
}

/// Runs what is independent of each other side by side, but not more than stores like; gives the results in their order.
pub(crate) async fn side_by_side<F: Future>(work: Vec<F>) -> Vec<F::Output> {
    // One that takes long keeps its place and nobody else's.
    let mut numbered = Vec::with_capacity(work.len());
    for (at, one) in work.into_iter().enumerate() {
        numbered.push(async move { (at, one.await) });
    }
    let mut done: Vec<(usize, F::Output)> =
        futures_util::stream::iter(numbered).buffer_unordered(AT_ONCE).collect().await;
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, output)| output).collect()
}
