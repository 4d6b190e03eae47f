//! At most one living group has a name, and who hears that a name is free or taken hears the truth.

use std::collections::BTreeMap;

use super::Facts;
use super::order::Line;
use crate::cluster::history::{Call, Key, Operation, Outcome, Refusal, Seen};

/// One life of a group, from its creation or restoring to its deletion.
struct Life {
    place: usize,
    /// It lived for sure between these, unless the first is later than the second.
    sure: (u64, u64),
    /// It didn't live outside of these.
    possible: (u64, u64),
}

/// The lives of all groups of a name.
#[derive(Default)]
struct Lives {
    /// Those that surely lasted for a time, in their order.
    long: Vec<Life>,
    /// Those of which it isn't known.
    short: Vec<Life>,
    /// Where lives may begin, and where those that may begin up to there may end at the latest.
    possible: Vec<(u64, u64)>,
}

pub(super) fn check(facts: &Facts<'_>, lines: &[Line], found: &mut Vec<String>) {
    let mut names: BTreeMap<u8, Lives> = BTreeMap::new();
    for (place, group) in facts.truth.groups.iter().enumerate() {
        let of_name = names.entry(group.slot).or_default();
        for life in lives_of(&facts.living[place], &lines[place], place) {
            of_name.possible.push(life.possible);
            if life.sure.0 < life.sure.1 { &mut of_name.long } else { &mut of_name.short }.push(life);
        }
    }
    for (slot, of_name) in &mut names {
        of_name.sort();
        of_name.one_at_a_time(facts, *slot, found);
    }
    let nobody = Lives::default();
    for operation in facts.history {
        let of_name = names.get(&operation.slot).unwrap_or(&nobody);
        let wrong = match (&operation.outcome, &operation.call) {
            (Outcome::Ok(Seen::NoGroup), _) => of_name.throughout(operation).is_some(),
            (Outcome::Refused(Refusal::NotThere), Call::ReadReference { key }) => {
                of_name.throughout(operation).is_some_and(|life| always_has(facts, lines, life.place, operation, *key))
            }
            (Outcome::Refused(Refusal::NameTaken), Call::Create { .. } | Call::Restore) => !of_name.any(operation),
            _ => false,
        };
        if wrong {
            found.push(format!("name: {operation} heard of the name {} what was never so during it", operation.slot));
        }
    }
}

fn lives_of(living: &[bool], line: &Line, place: usize) -> Vec<Life> {
    let mut lives = Vec::new();
    let mut began = None;
    for (revision, living) in living.iter().copied().enumerate().skip(1) {
        match (began, living) {
            (None, true) => began = Some(revision),
            (Some(from), false) => {
                let sure = (line.latest[from - 1], line.earliest[revision]);
                lives.push(Life { place, sure, possible: (line.earliest[from], line.latest[revision - 1]) });
                began = None;
            }
            _ => {}
        }
    }
    if let Some(from) = began {
        let sure = (line.latest[from - 1], u64::MAX);
        lives.push(Life { place, sure, possible: (line.earliest[from], u64::MAX) });
    }
    lives
}

impl Lives {
    fn sort(&mut self) {
        self.long.sort_by_key(|life| life.sure);
        self.possible.sort_unstable();
        let mut end = 0;
        for (_, until) in &mut self.possible {
            end = end.max(*until);
            *until = end;
        }
    }

    /// Two lives must have room one after the other, in one order or the other.
    fn one_at_a_time(&self, facts: &Facts<'_>, slot: u8, found: &mut Vec<String>) {
        let id = |life: &Life| facts.truth.groups[life.place].id;
        for pair in self.long.windows(2) {
            if pair[0].sure.1 > pair[1].sure.0 {
                found.push(format!("one name: {} and {} both had the name {slot}", id(&pair[0]), id(&pair[1])));
            }
        }
        for short in &self.short {
            let (begun, ended) = short.sure;
            if let Some(long) = self.lasting(ended, begun) {
                found.push(format!("one name: {} and {} both had the name {slot}", id(short), id(long)));
            }
        }
    }

    /// The life that surely lasted from before one time to after another.
    fn lasting(&self, from: u64, until: u64) -> Option<&Life> {
        let begun = self.long.partition_point(|life| life.sure.0 < from);
        self.long[..begun].last().filter(|life| life.sure.1 > until)
    }

    fn throughout(&self, operation: &Operation) -> Option<&Life> {
        self.lasting(operation.start, operation.end)
    }

    /// Whether a group may have lived at some moment of the operation.
    fn any(&self, operation: &Operation) -> bool {
        let begun = self.possible.partition_point(|(from, _)| *from <= operation.end);
        self.possible[..begun].last().is_some_and(|(_, until)| *until >= operation.start)
    }
}

/// Whether a group surely had a key during the whole operation.
fn always_has(facts: &Facts<'_>, lines: &[Line], place: usize, operation: &Operation, key: Key) -> bool {
    let has = |revision: usize| facts.state(place, revision).iter().any(|current| current.key == key);
    lines[place].window(operation.start, operation.end).all(|revision| facts.living[place][revision] && has(revision))
}
