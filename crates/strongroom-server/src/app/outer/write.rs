//! The writer's part: the intent, the puts, the flip.

use std::time::{Duration, Instant};

use strongroom_crypto::DataKey;
use strongroom_domain::operation::OperationState;
use strongroom_domain::{GroupId, OperationId, SecretValue, Timestamp};
use strongroom_metadata::{
    CommitError, GroupState, GroupWrite, Guard, HeldOperation, NewEntry, NewOperation, NextState, OperationRow, Placed,
    PutRow,
};
use strongroom_stores::StoreError;

use super::super::revision::Subject;
use super::super::{App, AppError, Context, OuterWriteFailed, Resource, Store};
use super::calls::Hold;
use super::settle::Settled;
use super::{LOOK, Place, Spot, WAIT};
use crate::instance::Step;

/// A value that is to be put.
pub(crate) struct Intent<'a> {
    pub(crate) put: PutRow,
    pub(crate) place: Place,
    pub(crate) value: &'a SecretValue,
}

/// A write to an outer store, as it was decided.
pub(crate) struct Drafted<'a> {
    pub(crate) write: GroupWrite,
    /// The group as it will be, but for where its new values are.
    pub(crate) after: GroupState,
    pub(crate) intents: Vec<Intent<'a>>,
    /// The group's revision that it was decided on.
    pub(crate) revision: Option<i64>,
    /// The folded name of a group that is being made.
    pub(crate) claimed_name: Option<String>,
    /// What it does, as its revision says.
    pub(crate) action: String,
}

/// What became of a write.
pub(crate) enum Outcome {
    /// It has happened; so the group is from now on.
    Written(Box<GroupState>),
    /// Somebody else was first: it is to be decided anew.
    Overtaken,
    /// The same, and for that somebody it has waited already.
    Waited,
    /// The batch missed this guard, and nothing has happened.
    Missed(Guard),
}

impl Context {
    /// Writes to an outer store, or takes back what was put for it.
    pub(crate) async fn write_outer(
        &self,
        store: &Store,
        mut drafted: Drafted<'_>,
        key: &DataKey,
        waiting: &Waiting,
    ) -> Result<Outcome, AppError> {
        let app = self.app();
        let group = drafted.after.group.id;
        app.check_rules(store, &drafted.intents)?;
        let row = self.new_operation(store, group, &drafted, key)?;
        if drafted.intents.is_empty() {
            return self.write_between(drafted, &row, waiting).await;
        }
        let entries = drafted.intents.iter().filter(|intent| intent.put.kept.is_none()).map(|intent| NewEntry {
            secret_id: intent.put.secret_id,
            target: store.target.to_string(),
            name: intent.place.name(intent.put.secret_id),
            place: intent.place.to_string(),
        });
        let new = NewOperation {
            puts: drafted.intents.iter().map(|intent| intent.put.clone()).collect(),
            entries: entries.collect(),
            revision: drafted.revision,
            row,
        };
        let begun = match app.metadata.begin_operation(&new, &app.replica).await {
            Ok(begun) => begun,
            Err(CommitError::Missed { guard: Guard::OpenOperation }) => {
                app.wait_for_others(group, drafted.claimed_name.as_deref(), waiting).await?;
                return Ok(Outcome::Waited);
            }
            Err(CommitError::Missed { .. }) => return Ok(Outcome::Overtaken),
            Err(error) => return Err(error.into()),
        };
        let hold = Hold::new(begun, new.row.expires_at);
        app.step(Step::Begun).await;
        let mut intents = std::mem::take(&mut drafted.intents);
        let putting = Box::pin(app.put_all(store, &hold, &mut intents, key));
        let Some(failed) = app.holding(&hold, putting).await? else {
            return Box::pin(self.overtaken_by_settler(new.row.id, group)).await;
        };
        let puts: Vec<PutRow> = intents.into_iter().map(|intent| intent.put).collect();
        if let Some(error) = failed {
            return Box::pin(self.give_up(&hold, store, puts, error)).await;
        }
        if let Err(error) = self.still_stands(app.metadata.identity_stamp()).await {
            return match Box::pin(app.take_back(&hold, store, &puts, "the caller's standing changed meanwhile")).await?
            {
                Some(_) => Err(error),
                None => Box::pin(self.overtaken_by_settler(new.row.id, group)).await,
            };
        }
        app.step(Step::AllPut).await;
        app.fill(&mut drafted.after, &mut drafted.write, &puts, key);
        match app.flip(store, &hold.held, &drafted.write, &puts).await {
            Ok(()) => {
                app.step(Step::Flipped).await;
                if store.store.description().staging {
                    // What direct readers get follows; nobody who reads through us waits for it.
                    Box::pin(app.settle_soon(&hold, store)).await;
                }
                Ok(Outcome::Written(Box::new(drafted.after)))
            }
            Err(CommitError::Missed { guard: Guard::Operation }) => {
                Box::pin(self.overtaken_by_settler(new.row.id, group)).await
            }
            Err(CommitError::Missed { guard }) => {
                // Perhaps by whoever flipped in our stead.
                let why = "something that it rests on has changed meanwhile";
                match Box::pin(app.take_back(&hold, store, &puts, why)).await? {
                    Some(_) => Ok(Outcome::Missed(guard)),
                    None => Box::pin(self.overtaken_by_settler(new.row.id, group)).await,
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes what puts nothing: one batch, and no operation may be open.
    async fn write_between(
        &self,
        drafted: Drafted<'_>,
        row: &OperationRow,
        waiting: &Waiting,
    ) -> Result<Outcome, AppError> {
        let app = self.app();
        let GroupWrite::Change(change) = &drafted.write else {
            return Err(AppError::Internal { internal: "a group that is made claims its name".into() });
        };
        match app.metadata.change_group_between(change, row).await {
            Ok(()) => Ok(Outcome::Written(Box::new(drafted.after))),
            Err(CommitError::Missed { guard: Guard::OpenOperation }) => {
                app.wait_for_others(row.group_id, None, waiting).await?;
                Ok(Outcome::Waited)
            }
            Err(CommitError::Missed { guard: Guard::GroupRevision }) => Ok(Outcome::Overtaken),
            Err(CommitError::Missed { guard }) => Ok(Outcome::Missed(guard)),
            Err(error) => Err(error.into()),
        }
    }

    fn new_operation(
        &self,
        store: &Store,
        group: GroupId,
        drafted: &Drafted<'_>,
        key: &DataKey,
    ) -> Result<OperationRow, AppError> {
        let app = self.app();
        let now = app.clock.now();
        let id = app.ids.at(now);
        let change =
            if drafted.intents.is_empty() { String::new() } else { app.seal_write(id, group, &drafted.write, key)? };
        Ok(OperationRow {
            id,
            group_id: group,
            claimed_name: drafted.claimed_name.clone(),
            integration_id: store.integration,
            action: drafted.action.clone(),
            state: OperationState::Putting,
            change,
            reason: None,
            actor: self.caller().actor.clone(),
            fence: 1,
            expires_at: app.hold_until(),
            quiet_at: None,
            created_at: now,
            finished_at: None,
        })
    }

    /// The operation is in other hands: those of whoever thought that we had stopped. How it ends is how it ends for us.
    async fn overtaken_by_settler(&self, id: OperationId, group: GroupId) -> Result<Outcome, AppError> {
        let app = self.app();
        let began = Instant::now();
        while began.elapsed() < WAIT {
            let Some(row) = app.metadata.operation(id).await? else { break };
            match row.state {
                OperationState::Showing | OperationState::Done => {
                    let state = app.metadata.group(group, self.caller().viewpoint()).await?;
                    let gone = AppError::NotFound(Resource::SecretGroup);
                    return state.map(|state| Outcome::Written(Box::new(state))).ok_or(gone);
                }
                OperationState::Undone => return Err(AppError::Busy),
                OperationState::Putting | OperationState::Undoing => tokio::time::sleep(LOOK).await,
            }
        }
        Err(AppError::OperationInProgress(id))
    }

    /// Something could not be put: what was put is taken back, and the caller is told what became of each key.
    async fn give_up(
        &self,
        hold: &Hold,
        store: &Store,
        puts: Vec<PutRow>,
        error: StoreError,
    ) -> Result<Outcome, AppError> {
        let reason = format!("{}: {}", store.fqn, error.reason);
        let Some(settled) = self.app().take_back(hold, store, &puts, &reason).await? else {
            // They may have found what we didn't get an answer to, and completed it.
            return self.overtaken_by_settler(hold.held.id, hold.held.group_id).await;
        };
        Err(AppError::OuterWrite(Box::new(OuterWriteFailed {
            operation: hold.held.id,
            integration: store.fqn.to_string(),
            error,
            puts,
            settled,
        })))
    }
}

/// Since when a writer waits for those before it.
pub(crate) struct Waiting(Instant);

impl Waiting {
    /// How long it may go on.
    pub(crate) fn left(&self) -> Duration {
        WAIT.saturating_sub(self.0.elapsed())
    }
}

impl Default for Waiting {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl App {
    /// Waits a moment for the operation that is in the way, and settles it when its holder's time has passed.
    async fn wait_for_others(&self, group: GroupId, claimed: Option<&str>, waiting: &Waiting) -> Result<(), AppError> {
        let open = match claimed {
            Some(name) => self.metadata.claiming_operation(name).await?,
            None => self.metadata.open_operation(group).await?,
        };
        let Some(open) = open else { return Ok(()) };
        if waiting.left().is_zero() {
            return Err(AppError::OperationInProgress(open.id));
        }
        if open.expires_at <= self.clock.now() {
            // That it can't be settled is no reason not to wait.
            if let Err(error) = self.settle_due(&open).await {
                tracing::debug!(?error, operation = %open.id, "an operation in the way could not be settled");
            }
        }
        tokio::time::sleep(LOOK).await;
        Ok(())
    }

    /// Writes into a write, and into the group as it is after it, where the new values are.
    pub(super) fn fill(&self, after: &mut GroupState, write: &mut GroupWrite, puts: &[PutRow], key: &DataKey) {
        let versions = match write {
            GroupWrite::Create(creation) => &mut creation.versions,
            GroupWrite::Change(change) => &mut change.versions,
        };
        for version in versions {
            let put = puts.iter().find(|put| put.secret_id == version.secret_id);
            if let Some((put, placed)) = put.and_then(|put| Some((put, put.placed.as_ref()?))) {
                version.store_version = spot(put, placed);
                let secret = after.secrets.iter_mut().find(|secret| secret.id == version.secret_id);
                if let Some(secret) = secret {
                    secret.store_version.clone_from(&version.store_version);
                }
            }
        }
        let mac = self.revision_mac(key, &Subject::of(after), &after.secrets);
        after.group.revision_mac = mac.to_vec();
        match write {
            GroupWrite::Create(creation) => creation.revision.mac = mac,
            GroupWrite::Change(change) => change.revision.mac = mac,
        }
    }

    /// Flips our pointers.
    pub(super) async fn flip(
        &self,
        store: &Store,
        held: &HeldOperation,
        write: &GroupWrite,
        puts: &[PutRow],
    ) -> Result<(), CommitError> {
        let shows = store.store.description().staging;
        let now = self.clock.now();
        let next = NextState {
            state: if shows { OperationState::Showing } else { OperationState::Done },
            reason: None,
            change: String::new(),
            quiet_at: None,
            finished_at: (!shows).then_some(now),
        };
        let placed = if shows { Placed::Each(puts) } else { Placed::All(puts.len() as u64) };
        self.metadata.flip_operation(held, write, &next, placed).await
    }

    /// Notes that an operation doesn't happen, and takes back what it can at once. The rest is for the settler. `None`:
    /// it is in other hands, and may have happened.
    pub(super) async fn take_back(
        &self,
        hold: &Hold,
        store: &Store,
        puts: &[PutRow],
        reason: &str,
    ) -> Result<Option<Settled>, AppError> {
        let next = NextState {
            state: OperationState::Undoing,
            reason: Some(reason.to_owned()),
            change: String::new(),
            quiet_at: Some(self.all_arrived()),
            finished_at: None,
        };
        match self.metadata.move_operation(&hold.held, &next, puts).await {
            Ok(()) => {
                self.step(Step::GivenUp).await;
                Ok(Some(self.settle_soon(hold, store).await))
            }
            Err(CommitError::Missed { .. }) => Ok(None),
            Err(error) => {
                tracing::warn!(%error, operation = %hold.held.id, "an operation is left to be settled");
                Err(error.into())
            }
        }
    }

    /// Until when nothing of an operation can still arrive that was sent before now.
    pub(super) fn all_arrived(&self) -> Timestamp {
        self.later(self.patience.hold)
    }
}

/// Where a put's value is, as it is kept beside its version.
pub(super) fn spot(put: &PutRow, version: &str) -> String {
    format!("{}:{version}", put.place)
}

/// What is kept, the other way round.
pub(crate) fn pinned(store_version: &str) -> Option<Spot> {
    Spot::parse(store_version)
}
