//! Settling what its writer could not finish. It has no values: it flips when everything is there, else it takes back.

use std::sync::Arc;
use std::time::Duration;

use strongroom_crypto::{DataKey, constant_time_eq};
use strongroom_domain::operation::{OperationState, PutState};
use strongroom_metadata::{
    CommitError, GroupState, GroupWrite, HeldOperation, NextState, OperationRow, PutRow, Viewpoint,
};
use strongroom_stores::{StoreError, StoreErrorKind, StoreVersion};

use super::super::{App, AppError, Standing, Store, after};
use super::Place;
use super::calls::{Hold, side_by_side};
use super::sealed_write::read_write;
use crate::instance::Step;

/// How often it is looked for what nobody finished.
const EVERY: Duration = Duration::from_secs(1);
/// What can't be settled now is tried again after this.
const AGAIN: Duration = Duration::from_secs(5);
/// How long somebody who waits for an answer waits for the rest.
const SOON: Duration = Duration::from_secs(2);
const OPERATIONS: i64 = 100;

/// What became of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It has happened.
    Done,
    /// It has not happened, and nothing of it is current anywhere.
    Undone,
    /// That isn't known yet, or something is left to do.
    Later,
}

/// Settles for as long as the server runs. Every replica does: an operation is somebody's by its fence.
pub(crate) async fn run_settling(app: Arc<App>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = app.settle_all_due().await {
            tracing::debug!(?error, "what is to be settled could not be read");
        }
    }
}

impl App {
    /// Settles every operation whose holder's time has passed, and says how many are settled.
    pub(crate) async fn settle_all_due(&self) -> Result<usize, AppError> {
        let due = self.metadata.due_operations(self.clock.now(), OPERATIONS).await?;
        // Side by side: a store that hangs doesn't keep the others waiting.
        let settled = side_by_side(due.iter().map(|row| self.settle_due(row)).collect()).await;
        for error in settled.iter().filter_map(|settled| settled.as_ref().err()) {
            tracing::warn!(?error, "an operation could not be settled; it is tried again");
        }
        Ok(settled.iter().filter(|settled| matches!(settled, Ok(Settled::Done | Settled::Undone))).count())
    }

    /// Takes over an operation whose holder's time has passed, and settles it.
    pub(super) async fn settle_due(&self, row: &OperationRow) -> Result<Settled, AppError> {
        let until = self.hold_until();
        let taken = self.metadata.take_operation(row, &self.replica, until, self.clock.now()).await?;
        let Some(ours) = taken else { return Ok(Settled::Later) };
        let hold = Hold::new(ours, until);
        let settled = Box::pin(self.holding(&hold, self.settle(&hold))).await;
        let settled = match settled {
            Ok(Some(settled)) => settled,
            Ok(None) => return Ok(Settled::Later),
            Err(error) => Err(error),
        };
        if !matches!(settled, Ok(Settled::Done | Settled::Undone)) {
            self.leave(&hold.held, AGAIN).await;
        }
        settled
    }

    /// Settles an operation that is ours, as far as that goes in a moment.
    pub(super) async fn settle_soon(&self, hold: &Hold, store: &Store) -> Settled {
        let ours = &hold.held;
        match tokio::time::timeout(SOON, self.settle(hold)).await {
            Ok(Ok(settled @ (Settled::Done | Settled::Undone))) => return settled,
            // What is under way may arrive after what others do next; nothing but time keeps it out.
            Err(_) if !store.store.description().conditional_put => return Settled::Later,
            Ok(Ok(Settled::Later)) | Err(_) => {}
            Ok(Err(error)) => tracing::warn!(?error, operation = %ours.id, "an operation is left to be settled"),
        }
        self.leave(ours, EVERY).await;
        Settled::Later
    }

    /// Lets anybody take an operation after a while.
    async fn leave(&self, held: &HeldOperation, wait: Duration) {
        if let Err(error) = self.metadata.hold_operation(held, self.later(wait)).await {
            // Its time passes by itself.
            tracing::debug!(%error, operation = %held.id, "an operation was not given back");
        }
    }

    async fn settle(&self, hold: &Hold) -> Result<Settled, AppError> {
        // At most from putting to showing to done.
        for _ in 0..3 {
            let id = hold.held.id;
            let Some(row) = self.metadata.operation(id).await? else { return Ok(Settled::Undone) };
            match row.state {
                OperationState::Done => return Ok(Settled::Done),
                OperationState::Undone => return Ok(Settled::Undone),
                _ => {}
            }
            let store = self.store_of(row.integration_id).await?;
            let puts = self.metadata.puts_of(id).await?;
            let goes_on = match row.state {
                OperationState::Putting => self.look_for_all(hold, &row, &store, puts).await?,
                OperationState::Showing => self.show(hold, &store, puts).await?,
                _ => self.undo(hold, &row, &store, puts).await?,
            };
            if !goes_on {
                return Ok(Settled::Later);
            }
        }
        Ok(Settled::Later)
    }

    /// Its writer has stopped: what it meant to do is done when every value is there, and is taken back else.
    async fn look_for_all(
        &self,
        hold: &Hold,
        row: &OperationRow,
        store: &Store,
        mut puts: Vec<PutRow>,
    ) -> Result<bool, AppError> {
        let read = read_write(&row.change);
        let before = self.group_before(row, read.as_ref().map(|(write, _)| write)).await?;
        let key = before.as_ref().map(|before| self.key_of(before)).transpose()?;
        let write = match (read, &key) {
            // Nobody but a writer of ours says what is to be flipped.
            (Some((write, mac)), Some(key)) if self.is_sealed(row, &write, &mac, key)? => Some(write),
            _ => None,
        };
        let looks = puts.iter().enumerate().map(|(at, put)| {
            let key = key.as_deref();
            async move { (at, self.look_for(store, row, key, put).await) }
        });
        let looked = side_by_side(looks.collect()).await;
        for (at, found) in looked {
            let put = &mut puts[at];
            match found {
                Ok(Some(version)) => {
                    put.placed = Some(version.0);
                    put.state = PutState::Placed;
                }
                Ok(None) => {}
                // An entry that isn't ours: nothing of ours is in it.
                Err(error) if error.kind == StoreErrorKind::AlreadyExists => put.reason = Some(error.reason),
                Err(error) => return Err(AppError::Store(error)),
            }
        }
        // An operation without its rows has lost them.
        let all_there = !puts.is_empty() && puts.iter().all(|put| put.state == PutState::Placed);
        if let (Some(mut write), Some(before), Some(key), true) = (write, before, key, all_there) {
            let mut after = after::after(&before, &write);
            self.fill(&mut after, &mut write, &puts, &key);
            match self.flip(store, &hold.held, &write, &puts).await {
                Ok(()) => {
                    self.step(Step::Flipped).await;
                    tracing::info!(operation = %row.id, "an operation whose writer had stopped was completed");
                    return Ok(true);
                }
                Err(CommitError::Missed { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let next = NextState {
            state: OperationState::Undoing,
            reason: Some("its writer stopped before everything was in the store".into()),
            change: String::new(),
            quiet_at: Some(self.all_arrived()),
            finished_at: None,
        };
        match self.metadata.move_operation(&hold.held, &next, &puts).await {
            Ok(()) => {
                self.step(Step::GivenUp).await;
                Ok(true)
            }
            Err(CommitError::Missed { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The version that a put made, by its mark, or where the store has no marks by the digest of its value.
    async fn look_for(
        &self,
        store: &Store,
        row: &OperationRow,
        key: Option<&DataKey>,
        put: &PutRow,
    ) -> Result<Option<StoreVersion>, StoreError> {
        let Some(place) = Place::parse(&put.place) else { return Ok(None) };
        let entry = place.entry(&self.tenant, put.secret_id);
        if store.store.description().marks {
            return self.timed(store, store.store.find(&entry, &row.id.to_string(), put.version)).await;
        }
        let latest = self.timed(store, store.store.latest(&entry)).await?;
        let Some(latest) = latest.filter(|latest| Some(&latest.version.0) != put.before.as_ref()) else {
            return Ok(None);
        };
        let is_ours = key.is_some_and(|key| {
            constant_time_eq(&self.digest(key, row.group_id, put.secret_id, &latest.value), &put.digest)
        });
        Ok(is_ours.then_some(latest.version))
    }

    /// The group that the operation was decided on; for one that is being made, what it is made of.
    async fn group_before(
        &self,
        row: &OperationRow,
        write: Option<&GroupWrite>,
    ) -> Result<Option<GroupState>, AppError> {
        if let Some(GroupWrite::Create(creation)) = write {
            return Ok(Some(after::made(creation)));
        }
        let state = self.metadata.group(row.group_id, &server_viewpoint()).await?;
        if let Some(state) = &state {
            self.verify(state)?;
        }
        Ok(state)
    }

    pub(super) fn key_of(&self, state: &GroupState) -> Result<Arc<DataKey>, AppError> {
        let group = &state.group;
        self.data_key(group.id, group.data_key.as_deref(), group.data_key_kek)
    }

    /// Makes what was put the newest for direct readers, too.
    async fn show(&self, hold: &Hold, store: &Store, puts: Vec<PutRow>) -> Result<bool, AppError> {
        // What is new was never unseen.
        let shown = puts.iter().filter(|put| put.kept.is_some()).map(|put| async {
            let (Some(place), Some(version)) = (Place::parse(&put.place), &put.placed) else { return Ok(()) };
            let entry = place.entry(&self.tenant, put.secret_id);
            let version = StoreVersion(version.clone());
            self.check_hold(hold, store)?;
            match self.timed(store, store.store.promote(&entry, &version)).await {
                // Somebody has removed it, or has shown something else; who reads through us is not concerned.
                Err(error) if matches!(error.kind, StoreErrorKind::NotFound | StoreErrorKind::Precondition) => {
                    tracing::warn!(%error, secret = %put.secret_id, "a version can't be made the store's newest");
                    Ok(())
                }
                shown => shown,
            }
        });
        if let Some(error) = side_by_side(shown.collect()).await.into_iter().find_map(Result::err) {
            return Err(AppError::Store(error));
        }
        let next = NextState {
            state: OperationState::Done,
            reason: None,
            change: String::new(),
            quiet_at: None,
            finished_at: Some(self.clock.now()),
        };
        self.step(Step::Shown).await;
        match self.metadata.move_operation(&hold.held, &next, &[]).await {
            Ok(()) => Ok(true),
            Err(CommitError::Missed { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// As the server itself sees groups.
pub(super) fn server_viewpoint() -> Viewpoint {
    Standing::of_server().viewpoint
}
