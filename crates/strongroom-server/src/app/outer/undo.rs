//! Taking back what was put for a write that doesn't happen.
//!
//! Where a put is current at once, the old value is written again as a further version, and our pointer moves to it: so
//! the store's newest is again what was acknowledged, and a put that arrives late finds its condition not met. Only
//! after that is anything removed, by the reaper.

use strongroom_crypto::{Binding, DataKey, constant_time_eq};
use strongroom_domain::SecretValue;
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

/// For so long it may be a passing trouble that the store can't be read or refuses what it has taken before.
const PASSING: i64 = 600;

/// What became of one put.
struct TakenBack {
    put: PutRow,
    /// Where the old value stands now.
    moved: Option<MovedPointer>,
}

/// What is being undone.
struct Undoing<'a> {
    hold: &'a Hold,
    row: &'a OperationRow,
    store: &'a Store,
    key: &'a DataKey,
    /// What its puts are marked with.
    mark: String,
    /// The group as it is.
    state: &'a GroupState,
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
                let undoing = Undoing { hold, row, store, key: &key, mark: row.id.to_string(), state: &state };
                let taken = known.into_iter().map(|put| self.take_one_back(&undoing, put));
                side_by_side(taken.collect()).await
            };
            let failed = back.iter().filter_map(|taken| taken.as_ref().err());
            if !description.conditional_put && failed.clone().any(|(_, error)| error.may_have_happened) {
                let unclear: Vec<PutRow> = failed.map(|(put, _)| put.clone()).collect();
                self.wait_again(hold, row, unclear).await?;
            }
            for taken in back {
                let taken = taken.map_err(|(_, error)| AppError::Store(error))?;
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

    /// What was written again may arrive at any time within a call's: nothing ends before.
    async fn wait_again(&self, hold: &Hold, row: &OperationRow, mut puts: Vec<PutRow>) -> Result<(), AppError> {
        for put in &mut puts {
            put.state = PutState::Waiting;
        }
        let next = NextState {
            state: OperationState::Undoing,
            reason: row.reason.clone(),
            change: String::new(),
            quiet_at: Some(self.all_arrived()),
            finished_at: None,
        };
        Ok(self.metadata.move_operation(&hold.held, &next, &puts).await?)
    }

    /// Takes one put back, or says how far that was known when it failed.
    async fn take_one_back(&self, undoing: &Undoing<'_>, mut put: PutRow) -> Result<TakenBack, (PutRow, StoreError)> {
        if put.state == PutState::Failed {
            return Ok(TakenBack { put, moved: None });
        }
        if undoing.store.store.description().staging {
            // Nobody has seen it.
            put.state = PutState::Leftover;
            return Ok(TakenBack { put, moved: None });
        }
        let secret = undoing.state.secrets.iter().find(|secret| secret.id == put.secret_id);
        let (Some(secret), Some(place)) = (secret, Place::parse(&put.place)) else {
            put.state = PutState::Undone;
            return Ok(TakenBack { put, moved: None });
        };
        match self.write_again(undoing, secret, &place, &mut put).await {
            Ok(stands) => Ok(Self::taken_back(undoing, secret, put, stands)),
            Err(error) => Err((put, error)),
        }
    }

    /// Writes the acknowledged value again on top of whatever is the store's newest, unless it is that; and notes what is
    /// found of the put before that is hidden. Says where the value stands; `None` where nobody can write it any more.
    async fn write_again(
        &self,
        undoing: &Undoing<'_>,
        secret: &SecretState,
        place: &Place,
        put: &mut PutRow,
    ) -> Result<Option<StoreVersion>, StoreError> {
        let Undoing { hold, row, store, key, mark, .. } = undoing;
        let description = store.store.description();
        let entry = place.entry(&self.tenant, put.secret_id);
        let binding = Binding::new("outer");
        let seal = Seal { key, binding: &binding };
        let again_mark = format!("{mark}-u");
        let is = |value: &SecretValue, digest: &[u8]| {
            constant_time_eq(&self.digest(key, row.group_id, put.secret_id, value), digest)
        };
        let is_put = |latest: &Latest| is(&latest.value, &put.digest);
        let is_old = |latest: &Latest| is(&latest.value, &secret.digest);
        let old = pinned(&secret.store_version).map(|spot| spot.version);
        let mut found = put.placed.clone();
        let mut stands = None;
        for _ in 0..OVERTAKEN {
            self.check_hold(hold, store)?;
            let latest = match self.timed(store, store.store.latest(&entry)).await {
                Err(error) if self.is_beyond(undoing, &error) => break,
                latest => latest?,
            };
            let is_before = |latest: &Latest| Some(&latest.version.0) == put.before.as_ref();
            let marked = latest.as_ref().and_then(|latest| latest.mark.as_deref());
            if let Some(latest) = &latest {
                let is_again = if description.marks {
                    marked == Some(again_mark.as_str())
                } else {
                    !is_before(latest) && Some(&latest.version) != old.as_ref()
                };
                // Without conditions nothing has to be kept out: all that could come has come.
                let is_untouched = !description.conditional_put && Some(&latest.version) == old.as_ref();
                if (is_again || is_untouched) && is_old(latest) {
                    stands = Some(latest.version.clone());
                    break;
                }
                let is_ours = if description.marks {
                    marked == Some(mark.as_str())
                } else {
                    !is_before(latest) && is_put(latest)
                };
                if is_ours && found.as_ref() != Some(&latest.version.0) {
                    found = Some(latest.version.0.clone());
                    // Beneath the old value nobody finds it again.
                    let noted = PutRow { placed: found.clone(), state: PutState::Placed, ..put.clone() };
                    if !matches!(self.note(hold, std::slice::from_ref(&noted)).await, Ok(true)) {
                        return Err(StoreError::new(description.name, StoreErrorKind::Unavailable, "it was not noted"));
                    }
                }
            }
            let Some(old) = &old else { break };
            let pin = Pinned { entry, version: old, sealed: None, seal };
            let value = match self.timed(store, store.store.get(pin)).await {
                Ok(value) if is(&value, &secret.digest) => value,
                // Who has removed or altered it has done so outside; readers are told.
                Ok(_) => break,
                Err(error) if self.is_beyond(undoing, &error) => break,
                Err(error) => return Err(error),
            };
            let condition = match &latest {
                Some(latest) if description.conditional_put => Condition::LatestIs(&latest.version),
                _ => Condition::Always,
            };
            let mark = Some(again_mark.as_str());
            let again = Put { entry, value: &value, version: put.version, seal, condition, mark, staged: false };
            self.check_hold(hold, store)?;
            let written = self.timed(store, store.store.put(again)).await;
            self.step(Step::WrittenAgain).await;
            match written {
                Ok(placed) => {
                    stands = Some(placed.version);
                    break;
                }
                Err(error) if error.kind == StoreErrorKind::Precondition && !error.may_have_happened => {}
                Err(error) if self.is_beyond(undoing, &error) && !error.may_have_happened => break,
                Err(error) => {
                    put.placed = found;
                    return Err(error);
                }
            }
        }
        if found.is_none() && put.state == PutState::Waiting && description.marks {
            let looked = self.timed(store, store.store.find(&entry, mark, put.version)).await;
            found = match looked {
                Ok(version) => version.map(|version| version.0),
                Err(error) if self.is_beyond(undoing, &error) => None,
                Err(error) => return Err(error),
            };
        }
        put.placed = found;
        Ok(stands)
    }

    /// Whether what was ours isn't there any more, or is somebody else's now: no patience brings it back.
    fn is_beyond(&self, undoing: &Undoing<'_>, error: &StoreError) -> bool {
        use StoreErrorKind::{AlreadyExists, Integrity, NotFound, NotSupported, Refused};
        match error.kind {
            NotFound | AlreadyExists => true,
            NotSupported | Refused | Integrity => {
                let since = undoing.row.quiet_at.unwrap_or(undoing.row.created_at);
                since.plus_seconds(PASSING) < self.clock.now()
            }
            _ => false,
        }
    }

    fn taken_back(
        undoing: &Undoing<'_>,
        secret: &SecretState,
        mut put: PutRow,
        stands: Option<StoreVersion>,
    ) -> TakenBack {
        let removes = undoing.store.store.description().removes_versions;
        put.state = match (&put.placed, &stands) {
            (None, _) => PutState::Undone,
            (Some(_), Some(_)) if removes => PutState::Leftover,
            (Some(_), _) => PutState::Abandoned,
        };
        if stands.is_none() {
            let reason = "the value that was acknowledged is not in the store any more; somebody has removed it there";
            put.reason = Some(reason.into());
        }
        let moved = stands
            .map(|stands| spot(&put, &stands.0))
            .filter(|at| *at != secret.store_version)
            .map(|store_version| MovedPointer { secret_id: secret.id, version: secret.version, store_version });
        TakenBack { put, moved }
    }
}
