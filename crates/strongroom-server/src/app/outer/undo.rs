//! Taking back what was put for a write that doesn't happen.
//!
//! Where a put is current at once, the old value is written again as a further version, and our pointer moves to it: so
//! the store's newest is again what was acknowledged, and a put that arrives late finds its condition not met. Only
//! after that is anything removed, by the reaper.

use strongroom_crypto::{Binding, DataKey, constant_time_eq};
use strongroom_domain::operation::{OperationState, PutState};
use strongroom_metadata::{
    CommitError, GroupState, MovedPointer, NextState, OperationRow, PutRow, SecretState, Undone,
};
use strongroom_stores::{Condition, Latest, Pinned, Put, Seal, StoreError, StoreErrorKind, StoreVersion};

use super::super::revision::Subject;
use super::super::{App, AppError, Store};
use super::Place;
use super::calls::{Hold, side_by_side};
use super::settle::server_viewpoint;
use super::write::{pinned, spot};
use crate::instance::Step;

/// How often the old value is written again when others write the entry, too.
const OVERTAKEN: usize = 4;

/// What became of one put.
struct TakenBack {
    put: PutRow,
    /// Where the old value stands now.
    moved: Option<MovedPointer>,
}

impl App {
    /// Takes back everything that was put, and ends the operation; `false` when somebody else has taken it over.
    pub(super) async fn undo(
        &self,
        hold: &Hold,
        row: &OperationRow,
        store: &Store,
        puts: Vec<PutRow>,
    ) -> Result<bool, AppError> {
        let now = self.clock.now();
        let description = store.store.description();
        let unclear = |put: &PutRow| put.state == PutState::Waiting && put.kept.is_some();
        // Without conditions a put that is still under way can't be kept out: it is waited for.
        if !description.conditional_put && puts.iter().any(unclear) && row.quiet_at.is_some_and(|quiet| now < quiet) {
            return Ok(false);
        }
        let (new, known): (Vec<PutRow>, Vec<PutRow>) = puts.into_iter().partition(|put| put.kept.is_none());
        let mut undone = Undone::default();
        for mut put in new {
            if put.state == PutState::Failed {
                undone.never_made.push(put.secret_id);
            } else {
                // It may still arrive; so what is there then is removed only then.
                put.state = PutState::Undone;
                undone.left.push((put.secret_id, self.all_arrived()));
            }
            undone.puts.push(put);
        }
        let state = self.metadata.group(row.group_id, &server_viewpoint()).await?;
        if let Some(mut state) = state.filter(|_| !known.is_empty()) {
            self.verify(&state)?;
            let key = self.key_of(&state)?;
            let back = {
                let (state, key, mark) = (&state, &*key, format!("{}-u", row.id));
                let taken = known.into_iter().map(|put| self.take_one_back(store, row, state, key, mark.clone(), put));
                side_by_side(taken.collect()).await
            };
            for taken in back {
                let taken = taken.map_err(AppError::Store)?;
                undone.puts.push(taken.put);
                undone.moved.extend(taken.moved);
            }
            if !undone.moved.is_empty() {
                undone.revision = Some(self.moved(&mut state, &undone.moved, &key));
            }
        }
        let next = NextState {
            state: OperationState::Undone,
            reason: row.reason.clone(),
            change: String::new(),
            quiet_at: row.quiet_at,
            finished_at: Some(self.clock.now()),
        };
        self.step(Step::TakenBack).await;
        match self.metadata.end_undone(&hold.held, &next, &undone).await {
            Ok(()) => Ok(true),
            Err(CommitError::Missed { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The group's revision with moved pointers, and its MAC.
    fn moved(&self, state: &mut GroupState, moved: &[MovedPointer], key: &DataKey) -> (i64, [u8; 32]) {
        for pointer in moved {
            let secret = state.secrets.iter_mut().find(|secret| secret.id == pointer.secret_id);
            if let Some(secret) = secret {
                secret.store_version.clone_from(&pointer.store_version);
            }
        }
        (state.group.revision, self.revision_mac(key, &Subject::of(state), &state.secrets))
    }

    async fn take_one_back(
        &self,
        store: &Store,
        row: &OperationRow,
        state: &GroupState,
        key: &DataKey,
        mark: String,
        mut put: PutRow,
    ) -> Result<TakenBack, StoreError> {
        if put.state == PutState::Failed {
            return Ok(TakenBack { put, moved: None });
        }
        if store.store.description().staging {
            // Nobody has seen it.
            put.state = PutState::Leftover;
            return Ok(TakenBack { put, moved: None });
        }
        let secret = state.secrets.iter().find(|secret| secret.id == put.secret_id);
        let (Some(secret), Some(place)) = (secret, Place::parse(&put.place)) else {
            put.state = PutState::Undone;
            return Ok(TakenBack { put, moved: None });
        };
        self.write_again(store, row, key, &mark, (secret, &place), put).await
    }

    /// Writes the acknowledged value again on top of whatever is the store's newest.
    async fn write_again(
        &self,
        store: &Store,
        row: &OperationRow,
        key: &DataKey,
        mark: &str,
        (secret, place): (&SecretState, &Place),
        mut put: PutRow,
    ) -> Result<TakenBack, StoreError> {
        let description = store.store.description();
        let entry = place.entry(&self.tenant, put.secret_id);
        let binding = Binding::new("outer");
        let seal = Seal { key, binding: &binding };
        let is = |latest: &Latest, digest: &[u8]| {
            constant_time_eq(&self.digest(key, row.group_id, put.secret_id, &latest.value), digest)
        };
        let mut ours: Option<StoreVersion> = put.placed.clone().map(StoreVersion);
        for _ in 0..OVERTAKEN {
            let latest = match self.timed(store, store.store.latest(&entry)).await {
                Err(error) if is_gone(error.kind) => break,
                latest => latest?,
            };
            if let Some(latest) = &latest {
                let marked = latest.mark.as_deref();
                if marked == Some(mark) && is(latest, &secret.digest) {
                    return Ok(taken_back(put, secret, &latest.version, ours, description.removes_versions));
                }
                let by_mark = marked == Some(row.id.to_string().as_str());
                let by_digest =
                    !description.marks && Some(&latest.version.0) != put.before.as_ref() && is(latest, &put.digest);
                if by_mark || by_digest {
                    ours = Some(latest.version.clone());
                }
            }
            let Some(old) = pinned(&secret.store_version) else { break };
            let pin = Pinned { entry, version: &old.version, sealed: None, seal };
            let value = match self.timed(store, store.store.get(pin)).await {
                Ok(value)
                    if constant_time_eq(&self.digest(key, row.group_id, put.secret_id, &value), &secret.digest) =>
                {
                    value
                }
                // Who has removed or altered it has done so outside; readers are told.
                Ok(_) => break,
                Err(error) if is_gone(error.kind) => break,
                Err(error) => return Err(error),
            };
            let condition = match &latest {
                Some(latest) if description.conditional_put => Condition::LatestIs(&latest.version),
                _ => Condition::Always,
            };
            let again =
                Put { entry, value: &value, version: put.version, seal, condition, mark: Some(mark), staged: false };
            let written = self.timed(store, store.store.put(again)).await;
            self.step(Step::WrittenAgain).await;
            match written {
                Ok(placed) => {
                    return Ok(taken_back(put, secret, &placed.version, ours, description.removes_versions));
                }
                Err(error) if error.kind == StoreErrorKind::Precondition && !error.may_have_happened => {}
                Err(error) if is_gone(error.kind) && !error.may_have_happened => break,
                Err(error) => return Err(error),
            }
        }
        put.state = if ours.is_some() { PutState::Abandoned } else { PutState::Undone };
        put.placed = ours.map(|version| version.0);
        put.reason =
            Some("the value that was acknowledged is not in the store any more; somebody has removed it there".into());
        Ok(TakenBack { put, moved: None })
    }
}

/// Whether what was ours isn't there any more, or is somebody else's now: no patience brings it back.
const fn is_gone(kind: StoreErrorKind) -> bool {
    use StoreErrorKind::{AlreadyExists, Integrity, NotFound, NotSupported, Refused};
    matches!(kind, NotFound | AlreadyExists | Integrity | Refused | NotSupported)
}

fn taken_back(
    mut put: PutRow,
    secret: &SecretState,
    stands: &StoreVersion,
    ours: Option<StoreVersion>,
    removes_versions: bool,
) -> TakenBack {
    put.state = match &ours {
        None => PutState::Undone,
        Some(_) if removes_versions => PutState::Leftover,
        Some(_) => PutState::Abandoned,
    };
    put.placed = ours.map(|version| version.0);
    let moved = MovedPointer { secret_id: secret.id, version: secret.version, store_version: spot(&put, &stands.0) };
    TakenBack { put, moved: Some(moved) }
}
