//! Each revision has its one event, and each value that was given has one.

use std::collections::BTreeMap;

use super::Facts;
use crate::cluster::history::{Call, Current, Id, Operation, Outcome, Seen};

pub(super) fn check(facts: &Facts<'_>, found: &mut Vec<String>) {
    let mut changes: BTreeMap<(Id, Id, i64), i32> = BTreeMap::new();
    for change in &facts.truth.changes {
        *changes.entry(*change).or_default() += 1;
    }
    for group in &facts.truth.groups {
        for revision in &group.revisions {
            *changes.entry((revision.request, group.id, revision.number)).or_default() -= 1;
        }
    }
    for ((request, group, revision), _) in changes.into_iter().filter(|(_, count)| *count != 0) {
        found.push(format!("event: revision {revision} of {group} by {request} has no event, or more than one"));
    }
    let mut reveals = facts.truth.reveals.clone();
    reveals.sort_unstable();
    for operation in facts.history {
        let Some(request) = operation.request else { continue };
        for current in given(facts, operation) {
            if reveals.binary_search(&(request, current.secret, current.version)).is_err() {
                found.push(format!("reveal: {operation} was given {current:?} without an event"));
            }
        }
    }
}

/// The versions whose values an answer gave.
fn given(facts: &Facts<'_>, operation: &Operation) -> Vec<Current> {
    let Outcome::Ok(seen) = &operation.outcome else { return Vec::new() };
    match (seen, &operation.call) {
        (Seen::Group { secrets, .. }, _) => {
            secrets.iter().filter(|secret| secret.tag.is_some()).map(|secret| secret.current).collect()
        }
        (Seen::Secret { secret, .. }, _) => vec![secret.current],
        (Seen::Value(tag), Call::ReadReference { key }) => {
            facts.values.get(&(*tag, *key)).map(|(_, current)| *current).into_iter().collect()
        }
        _ => Vec::new(),
    }
}
