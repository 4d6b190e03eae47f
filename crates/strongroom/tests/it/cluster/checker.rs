//! Compares what the clients were told with what is in the database in the end.
//!
//! Every revision of a group belongs to one operation, so that the order of all writes of a group is known and needs
//! no search. What is left is to see whether that order, with each read between the revision that it saw and the next
//! one, fits to when the operations began and ended. An operation whose outcome nobody knows has no end: it never makes
//! a good history look bad.

mod content;
mod events;
mod names;
mod order;
mod owners;
mod reads;

use std::collections::HashMap;

use super::history::{Action, Current, Id, Key, Operation, Tag, Truth};

/// All that is wrong, each text beginning with the rule that it breaks. Empty for a good history.
pub(crate) fn check(history: &[Operation], truth: &Truth) -> Vec<String> {
    let mut found = Vec::new();
    let owners = owners::find(history, truth, &mut found);
    let mut facts = Facts::new(history, truth, owners);
    content::check(&mut facts, &mut found);
    events::check(&facts, &mut found);
    let reads = reads::place(&facts, &mut found);
    let lines = order::check(&facts, &reads, &mut found);
    names::check(&facts, &lines, &mut found);
    found
}

/// What all rules look things up in.
struct Facts<'a> {
    history: &'a [Operation],
    truth: &'a Truth,
    /// Where a group stands in the truth.
    places: HashMap<Id, usize>,
    /// The operation of each revision of each group; at 0 the group isn't made yet.
    owners: Vec<Vec<Option<usize>>>,
    /// Whether each revision of each group lives; at 0 it doesn't.
    living: Vec<Vec<bool>>,
    /// Who made a version.
    made: HashMap<(Id, i64), Option<Tag>>,
    /// The version that holds an operation's value of a key, and its group's place.
    values: HashMap<(Tag, Key), (usize, Current)>,
}

impl<'a> Facts<'a> {
    fn new(history: &'a [Operation], truth: &'a Truth, owners: Vec<Vec<Option<usize>>>) -> Self {
        let places = truth.groups.iter().enumerate().map(|(place, group)| (group.id, place)).collect();
        let living = truth.groups.iter().map(|group| {
            let mut living = vec![false];
            living.extend(group.revisions.iter().map(|revision| revision.action != Action::Delete));
            living
        });
        let living = living.collect();
        Self { history, truth, places, owners, living, made: HashMap::new(), values: HashMap::new() }
    }

    /// What was current after a revision; nothing before the first.
    fn state(&self, place: usize, revision: usize) -> &'a [Current] {
        match revision {
            0 => &[],
            _ => &self.truth.groups[place].revisions[revision - 1].state,
        }
    }

    /// What is current of a secret at a revision of its living group.
    fn current(&self, place: usize, revision: usize, secret: Id) -> Option<Current> {
        let living = self.living[place][revision];
        self.state(place, revision).iter().find(|current| living && current.secret == secret).copied()
    }
}
