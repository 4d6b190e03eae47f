//! Whether the order of a group's revisions, with the reads between them, agrees with real time.

use std::ops::Range;

use super::Facts;
use super::reads::Reads;

/// When each revision of a group was current, as far as the operations around it tell.
pub(super) struct Line {
    /// It was made no earlier; grows with the revision.
    pub(super) earliest: Vec<u64>,
    /// The next one was made no later; grows with the revision.
    pub(super) latest: Vec<u64>,
}

impl Line {
    /// The revisions that can have been current at some moment of a time.
    pub(super) fn window(&self, start: u64, end: u64) -> Range<usize> {
        let from = self.latest.partition_point(|latest| *latest < start);
        let to = self.earliest.partition_point(|earliest| *earliest <= end);
        from..to
    }
}

/// An operation at its place in the order.
#[derive(Clone, Copy)]
struct Item {
    operation: usize,
    revision: usize,
    writes: bool,
}

pub(super) fn check(facts: &Facts<'_>, reads: &Reads, found: &mut Vec<String>) -> Vec<Line> {
    let groups = facts.owners.iter().map(Vec::len);
    let mut seen: Vec<Vec<Vec<usize>>> = groups.map(|revisions| vec![Vec::new(); revisions]).collect();
    // First each read against the writes alone: one that is wrong must not make all others look wrong.
    let lines = check_groups(facts, &seen, true, found);
    for (place, revision, at) in &reads.exact {
        let operation = &facts.history[*at];
        let window = lines[*place].window(operation.start, operation.end);
        if window.contains(revision) {
            seen[*place][*revision].push(*at);
        } else {
            let rule = if *revision < window.start { "stale" } else { "early" };
            let group = facts.truth.groups[*place].id;
            found.push(format!("{rule}: {operation} saw revision {revision} of {group}, in the time of {window:?}"));
        }
    }
    // Then the reads among each other; what is said of the writes is known.
    let lines = check_groups(facts, &seen, false, found);
    for (place, claim, at) in &reads.vague {
        let operation = &facts.history[*at];
        let mut window = lines[*place].window(operation.start, operation.end);
        if !window.any(|revision| claim.holds(facts, *place, revision)) {
            let window = lines[*place].window(operation.start, operation.end);
            found.push(format!("not then: {operation} shows what wasn't so during it, at revisions {window:?}"));
        }
    }
    lines
}

fn check_groups(facts: &Facts<'_>, seen: &[Vec<Vec<usize>>], first: bool, found: &mut Vec<String>) -> Vec<Line> {
    seen.iter().enumerate().map(|(place, seen)| check_group(facts, place, seen, first, found)).collect()
}

/// Goes through a group in its order. Whatever stands earlier must have begun before what stands later ended; it is
/// enough to compare with the one that began last.
fn check_group(facts: &Facts<'_>, place: usize, seen: &[Vec<usize>], first: bool, found: &mut Vec<String>) -> Line {
    let owners = &facts.owners[place];
    let start = |item: Option<Item>| item.map_or(0, |item| facts.history[item.operation].start);
    let mut last: Option<Item> = None;
    let mut earliest = vec![0; owners.len()];
    let mut compare = |before: Option<Item>, item: Item| {
        if start(before) > facts.history[item.operation].latest()
            && let Some(before) = before
            && (first || !(before.writes && item.writes))
        {
            found.push(against_time(facts, place, before, item));
        }
    };
    for revision in 1..owners.len() {
        if let Some(operation) = owners[revision] {
            let item = Item { operation, revision, writes: true };
            compare(last, item);
            last = if start(Some(item)) > start(last) { Some(item) } else { last };
        }
        earliest[revision] = start(last);
        let before = last;
        for operation in &seen[revision] {
            let item = Item { operation: *operation, revision, writes: false };
            compare(before, item);
            last = if start(Some(item)) > start(last) { Some(item) } else { last };
        }
    }
    let mut latest = vec![u64::MAX; owners.len()];
    let mut end = u64::MAX;
    for revision in (0..owners.len()).rev() {
        latest[revision] = end;
        for operation in owners[revision].iter().chain(&seen[revision]) {
            end = end.min(facts.history[*operation].latest());
        }
    }
    Line { earliest, latest }
}

fn against_time(facts: &Facts<'_>, place: usize, first: Item, second: Item) -> String {
    let rule = if first.writes && second.writes { "real time" } else { "back" };
    let did = |item: Item| format!("{} revision {}", if item.writes { "made" } else { "saw" }, item.revision);
    format!(
        "{rule}: of group {} {} {}, but before that began {} had ended, which {}",
        facts.truth.groups[place].id,
        facts.history[first.operation],
        did(first),
        facts.history[second.operation],
        did(second),
    )
}
