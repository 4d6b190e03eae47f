//! The puts of an operation.

use std::sync::atomic::{AtomicBool, Ordering};

use strongroom_crypto::{Binding, DataKey};
use strongroom_domain::Violation;
use strongroom_domain::operation::PutState;
use strongroom_stores::{Condition, Put, Seal, StoreError, StoreErrorKind, StoreVersion};

use super::super::{App, AppError, Store};
use super::calls::{Hold, side_by_side};
use super::write::Intent;
use crate::instance::Step;

/// How often a put is tried anew after somebody else has written the entry in between.
const OVERTAKEN: usize = 3;

impl App {
    /// What the store's own rules forbid is known before anything is written.
    pub(super) fn check_rules(&self, store: &Store, intents: &[Intent<'_>]) -> Result<(), AppError> {
        let broken = intents.iter().filter_map(|intent| {
            let entry = intent.place.entry(&self.tenant, intent.put.secret_id);
            let checked = store.store.check(&entry, intent.value.byte_len());
            checked
                .err()
                .map(|error| Violation::new(intent.put.key.clone(), format!("{}: {}", error.store, error.reason)))
        });
        let broken: Vec<Violation> = broken.collect();
        if broken.is_empty() { Ok(()) } else { Err(AppError::Invalid(broken)) }
    }

    /// Puts everything, or stops at the first failure, which is given back. What is known of each put is noted in it.
    pub(super) async fn put_all(
        &self,
        store: &Store,
        hold: &Hold,
        intents: &mut [Intent<'_>],
        key: &DataKey,
    ) -> Option<StoreError> {
        let stop = AtomicBool::new(false);
        let puts = intents.iter_mut().map(|intent| async {
            if stop.load(Ordering::Relaxed) {
                intent.put.state = PutState::Failed;
                intent.put.reason = Some("not tried, as another key had failed".into());
                return None;
            }
            let put = self.put_one(store, hold, intent, key).await;
            self.step(Step::Put).await;
            match put {
                Ok(version) => {
                    intent.put.placed = Some(version.0);
                    intent.put.state = PutState::Placed;
                    None
                }
                Err(error) => {
                    stop.store(true, Ordering::Relaxed);
                    intent.put.state = if error.may_have_happened { PutState::Waiting } else { PutState::Failed };
                    intent.put.reason = Some(error.reason.clone());
                    Some(error)
                }
            }
        });
        // All that have begun are waited for: what became of them decides how they are taken back.
        let failed = side_by_side(puts.collect()).await.into_iter().flatten();
        // The clearest reason.
        failed.min_by_key(|error| error.may_have_happened)
    }

    async fn put_one(
        &self,
        store: &Store,
        hold: &Hold,
        intent: &mut Intent<'_>,
        key: &DataKey,
    ) -> Result<StoreVersion, StoreError> {
        let description = store.store.description();
        let mark = hold.held.id.to_string();
        // Outer stores seal nothing.
        let binding = Binding::new("outer");
        for _ in 0..OVERTAKEN {
            self.check_hold(hold, store)?;
            let before = intent.put.before.clone().map(StoreVersion);
            let condition = match &before {
                _ if !description.conditional_put => Condition::Always,
                Some(version) => Condition::LatestIs(version),
                // The entry was there, and is so no more in the way that it was.
                None if intent.put.kept.is_some() => Condition::Always,
                None => Condition::Absent,
            };
            let put = Put {
                entry: intent.place.entry(&self.tenant, intent.put.secret_id),
                value: intent.value,
                version: intent.put.version,
                seal: Seal { key, binding: &binding },
                condition,
                mark: Some(&mark),
                staged: description.staging,
            };
            match self.timed(store, store.store.put(put)).await {
                Ok(placed) => return Ok(placed.version),
                // Somebody else has written there. Their value stays a version of the store; ours comes after it.
                Err(error)
                    if matches!(error.kind, StoreErrorKind::Precondition | StoreErrorKind::NotFound)
                        && !error.may_have_happened
                        && before.is_some() =>
                {
                    let entry = intent.place.entry(&self.tenant, intent.put.secret_id);
                    let latest = self.timed(store, store.store.latest(&entry)).await.map_err(read_only)?;
                    intent.put.before = latest.map(|latest| latest.version.0);
                    match self.note(hold, std::slice::from_ref(&intent.put)).await {
                        Ok(true) => {}
                        _ => return Err(error),
                    }
                }
                // A name that was removed stays taken for a while, and what has it can't be seen.
                Err(error)
                    if error.kind == StoreErrorKind::AlreadyExists
                        && description.soft_delete
                        && intent.put.kept.is_none()
                        && !intent.place.is_beside() =>
                {
                    intent.place = intent.place.beside();
                    intent.put.place = intent.place.to_string();
                    let name = intent.place.name(intent.put.secret_id);
                    if self.metadata.move_entry(&hold.held, self.hold_until(), &intent.put, &name).await.is_err() {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let reason = format!("others keep writing to {}", intent.place);
        Err(StoreError::new(description.name, StoreErrorKind::Throttled, reason))
    }
}

fn read_only(error: StoreError) -> StoreError {
    error.with_unclear_effect(false)
}
