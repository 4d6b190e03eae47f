//! What the clients know together of the groups: good guesses at what can be called now, no more.

use std::sync::{Mutex, MutexGuard};

use super::history::{Call, Current, Id, Operation, Outcome, Refusal, Seen};

/// How much of the past is remembered.
const PAST: usize = 20;

#[derive(Default)]
pub(super) struct Slot {
    pub(super) group: Option<Known>,
    /// Deleted groups of the name.
    pub(super) buried: Vec<Id>,
    /// Deleted secrets, with their groups.
    pub(super) dropped: Vec<(Id, Id)>,
}

#[derive(Clone)]
pub(super) struct Known {
    pub(super) id: Id,
    pub(super) revision: i64,
    pub(super) state: Vec<Current>,
}

pub(super) struct Board(Vec<Mutex<Slot>>);

impl Board {
    pub(super) fn new(slots: u8) -> Self {
        Self((0..slots).map(|_| Mutex::default()).collect())
    }

    pub(super) fn slot(&self, slot: u8) -> MutexGuard<'_, Slot> {
        self.0[usize::from(slot)].lock().unwrap()
    }

    /// Takes over what an answer shows where that is news.
    pub(super) fn learn(&self, operation: &Operation) {
        let mut slot = self.slot(operation.slot);
        let called = slot.group.as_ref().is_some_and(|known| Some(known.id) == operation.group);
        match (&operation.outcome, &operation.call) {
            (Outcome::Ok(Seen::Group { group, revision, secrets }), _) => {
                let revision = revision.unwrap_or(0);
                let newer = slot.group.as_ref().is_none_or(|known| known.id != *group || known.revision < revision);
                if newer && (revision > 0 || slot.group.is_none()) {
                    let state: Vec<Current> = secrets.iter().map(|secret| secret.current).collect();
                    let before = slot.group.replace(Known { id: *group, revision, state: state.clone() });
                    let before = before.into_iter().filter(|before| before.id == *group);
                    let gone = before.flat_map(|before| before.state);
                    let gone = gone.filter(|old| !state.iter().any(|current| current.secret == old.secret));
                    remember(&mut slot.dropped, gone.map(|old| (*group, old.secret)));
                }
            }
            (Outcome::Ok(Seen::Done), Call::DeleteSecret { secret }) if called => {
                let group = operation.group.unwrap_or(*secret);
                remember(&mut slot.dropped, Some((group, *secret)));
                if let Some(known) = &mut slot.group {
                    known.state.retain(|current| current.secret != *secret);
                }
            }
            (Outcome::Ok(Seen::Done), Call::Delete) => {
                slot.group = slot.group.take().filter(|_| !called);
                remember(&mut slot.buried, operation.group);
            }
            (Outcome::Ok(Seen::NoGroup), _) => slot.group = None,
            (
                Outcome::Refused(Refusal::NotThere),
                Call::Read | Call::ReadValues | Call::Update { .. } | Call::Delete,
            ) if called => {
                slot.group = None;
            }
            _ => {}
        }
    }
}

fn remember<T>(past: &mut Vec<T>, ids: impl IntoIterator<Item = T>) {
    past.extend(ids);
    let surplus = past.len().saturating_sub(PAST);
    past.drain(..surplus);
}
