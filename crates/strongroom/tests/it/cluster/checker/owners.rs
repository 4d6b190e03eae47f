//! Which operation made which revision: each acknowledged write exactly one, each unknown one at most one, each
//! refused one none.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::cluster::history::{Action, Call, Current, Id, Operation, Outcome, Tag, TrueRevision, Truth};

/// Writes without an answer, by what can be recognised of them.
#[derive(Default)]
struct Silent {
    /// Those that carry values.
    tagged: HashMap<Tag, usize>,
    /// Those that don't, in the order in which they began. Two of one client with the same aim are alike, and the
    /// earlier revision takes the one that began earlier: if any assignment is right, this one is.
    others: HashMap<(Option<u16>, Action, Id), VecDeque<usize>>,
}

impl Silent {
    fn add(&mut self, at: usize, operation: &Operation) {
        let aim = match (&operation.call, operation.group) {
            (Call::Create { .. } | Call::Update { .. }, _) => {
                self.tagged.insert(operation.tag, at);
                return;
            }
            (Call::DeleteSecret { secret } | Call::RestoreSecret { secret }, _) => *secret,
            (Call::Delete | Call::Restore, Some(group)) => group,
            _ => return,
        };
        if let Some(action) = operation.call.action() {
            self.others.entry((Some(operation.client), action, aim)).or_default().push_back(at);
        }
    }

    /// The operation behind a revision that no answer names.
    fn take(&mut self, truth: &Truth, group: Id, before: &[Current], revision: &TrueRevision) -> Option<usize> {
        let after = &revision.state;
        let mut came = after.iter().filter(|current| !before.contains(current));
        let aim = match revision.action {
            Action::Create | Action::Update => {
                let tag = came.find_map(|current| truth.values.get(&(current.secret, current.version)));
                return tag.and_then(|tag| self.tagged.remove(tag));
            }
            Action::RestoreSecret => came.map(|current| current.secret).next()?,
            Action::DeleteSecret => before.iter().find(|current| !after.contains(current))?.secret,
            Action::Delete | Action::Restore => group,
        };
        self.others.get_mut(&(revision.client, revision.action, aim))?.pop_front()
    }
}

/// The operations of all revisions of all groups, as [`super::Facts`] keeps them.
pub(super) fn find(history: &[Operation], truth: &Truth, found: &mut Vec<String>) -> Vec<Vec<Option<usize>>> {
    let mut by_request = HashMap::new();
    let mut silent = Silent::default();
    let mut starts: Vec<usize> = (0..history.len()).collect();
    starts.sort_by_key(|&at| history[at].start);
    for at in starts {
        let operation = &history[at];
        if let Some(request) = operation.request {
            by_request.insert(request, at);
        } else if operation.outcome == Outcome::Unknown {
            silent.add(at, operation);
        }
    }
    let mut used = HashSet::new();
    let mut owners = Vec::with_capacity(truth.groups.len());
    for group in &truth.groups {
        let mut of_group = vec![None];
        let mut before: &[Current] = &[];
        for revision in &group.revisions {
            let answered = by_request.get(&revision.request).copied();
            let owner = answered.or_else(|| silent.take(truth, group.id, before, revision));
            before = &revision.state;
            let name = format!("revision {} of {} ({:?})", revision.number, group.id, revision.action);
            match owner.map(|at| (at, &history[at])) {
                None => found.push(format!(
                    "nobody's: {name} of client {:?}, request {}, belongs to no operation",
                    revision.client, revision.request
                )),
                Some((at, owner)) => {
                    let right_group = owner.group.map_or(owner.slot == group.slot, |called| called == group.id);
                    let right_client = revision.client.is_none_or(|client| client == owner.client);
                    if owner.call.action() != Some(revision.action) || !right_group || !right_client {
                        found.push(format!("another's: {name} can't be of {owner}"));
                    }
                    if matches!(owner.outcome, Outcome::Refused(_)) {
                        found.push(format!("refused: {name} is of {owner}"));
                    }
                    if !used.insert(at) {
                        found.push(format!("twice: {name} is one more of {owner}"));
                    }
                }
            }
            of_group.push(owner);
        }
        owners.push(of_group);
    }
    for (at, operation) in history.iter().enumerate() {
        let acknowledged = operation.call.action().is_some() && matches!(operation.outcome, Outcome::Ok(_));
        if acknowledged && !used.contains(&at) {
            found.push(format!("lost: {operation} is no revision"));
        }
    }
    owners
}
