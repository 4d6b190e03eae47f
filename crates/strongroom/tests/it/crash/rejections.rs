//! The checks bite: each is shown what it exists to reject.

use std::collections::{BTreeMap, BTreeSet};

use super::hot::{self, Hot, SeenHot};
use super::model::{Group, Seen, SeenSecret, Versions, Write};
use super::record::{Events, Given};

fn secret(id: &str, version: i64, value: &str) -> SeenSecret {
    SeenSecret {
        id: id.into(),
        version,
        value: Some(value.into()),
        versions: Some(Versions { total: version, newest: (1..=version).rev().collect() }),
        older: BTreeMap::new(),
    }
}

fn seen(revision: i64, secrets: [SeenSecret; 2]) -> Seen {
    let keys = ["A".to_owned(), "B".to_owned()];
    Seen { revision, secrets: keys.into_iter().zip(secrets).collect(), changes: Some(revision) }
}

fn update(a: &str, b: &str) -> Write {
    Write::Update([("A".to_owned(), Some(a.to_owned())), ("B".to_owned(), Some(b.to_owned()))].into())
}

/// Made with a1 and b1, updated to a2 and b2: revision 2.
fn group() -> Group {
    let mut group = Group::new("g".into());
    let create = Write::Create([("A".to_owned(), "a1".to_owned()), ("B".to_owned(), "b1".to_owned())].into());
    group.acknowledge(&create, Some(&seen(1, [secret("a", 1, "a1"), secret("b", 1, "b1")]))).unwrap();
    group.acknowledge(&update("a2", "b2"), Some(&after_update())).unwrap();
    group
}

fn after_update() -> Seen {
    seen(2, [secret("a", 2, "a2"), secret("b", 2, "b2")])
}

#[track_caller]
fn rejected(group: &Group, seen: Option<&Seen>, reason: &str) {
    let error = group.clone().settle(seen).unwrap_err();
    assert!(error.contains(reason), "{error}");
}

#[test]
fn what_is_true_is_taken() {
    group().settle(Some(&after_update())).unwrap();
    let mut in_doubt = group();
    in_doubt.in_doubt = Some(update("a3", "b3"));
    in_doubt.clone().settle(Some(&after_update())).unwrap();
    let mut there = in_doubt;
    there.settle(Some(&seen(3, [secret("a", 3, "a3"), secret("b", 3, "b3")]))).unwrap();
    assert_eq!((there.state.unwrap().revision, there.in_doubt), (3, None));
}

#[test]
fn an_acknowledged_write_that_is_lost_is_rejected() {
    rejected(&group(), Some(&seen(1, [secret("a", 1, "a1"), secret("b", 1, "b1")])), "revision 1 instead of 2");
    rejected(&group(), None, "it is gone");
    let mut in_doubt = group();
    in_doubt.in_doubt = Some(update("a3", "b3"));
    rejected(&in_doubt, Some(&seen(1, [secret("a", 1, "a1"), secret("b", 1, "b1")])), "revision 1 instead of 2");
}

#[test]
fn half_a_write_is_rejected() {
    let mut group = group();
    rejected(&group, Some(&seen(2, [secret("a", 2, "a2"), secret("b", 1, "b1")])), "B: version 1 instead of 2");
    group.in_doubt = Some(update("a3", "b3"));
    rejected(&group, Some(&seen(3, [secret("a", 3, "a3"), secret("b", 2, "b2")])), "B: version 2 instead of 3");
    rejected(&group, Some(&seen(2, [secret("a", 3, "a3"), secret("b", 2, "b2")])), "A: version 3 instead of 2");
    let mut without_key = after_update();
    without_key.secrets.remove("B");
    rejected(&group, Some(&without_key), "keys");
    group.in_doubt = Some(Write::Delete);
    rejected(&group, Some(&seen(3, [secret("a", 2, "a2"), secret("b", 2, "b2")])), "it was deleted and is there");
}

#[test]
fn versions_with_a_gap_or_a_repeat_are_rejected() {
    for (total, newest) in [(2, vec![3, 1]), (3, vec![2, 2, 1]), (1, vec![2]), (3, vec![3, 2, 1]), (2, vec![])] {
        let mut wrong = after_update();
        wrong.secrets.get_mut("A").unwrap().versions = Some(Versions { total, newest });
        rejected(&group(), Some(&wrong), "A: ");
    }
}

#[test]
fn values_that_were_not_written_are_rejected() {
    rejected(&group(), Some(&seen(2, [secret("a", 2, "a1"), secret("b", 2, "b2")])), "version 2 holds another value");
    let mut older = after_update();
    older.secrets.get_mut("B").unwrap().older.insert(1, "a1".into());
    rejected(&group(), Some(&older), "B: version 1 holds another value");
}

#[test]
fn another_secret_in_the_place_of_one_is_rejected() {
    rejected(&group(), Some(&seen(2, [secret("x", 2, "a2"), secret("b", 2, "b2")])), "another secret");
    let mut again = group();
    again.acknowledge(&Write::DeleteSecret("A".into()), None).unwrap();
    again.in_doubt = Some(update("a3", "b3"));
    rejected(&again, Some(&seen(4, [secret("a", 1, "a3"), secret("b", 3, "b3")])), "the id of an old one");
}

#[test]
fn a_change_without_its_event_is_rejected() {
    let mut silent = after_update();
    silent.changes = Some(1);
    rejected(&group(), Some(&silent), "1 events of changes for 2 revisions");
}

#[test]
fn a_group_that_nobody_made_is_rejected() {
    rejected(&Group::new("g".into()), Some(&after_update()), "without having been made");
}

/// At revision 1; two writes acknowledged since, one in doubt.
fn hot_group() -> Hot {
    Hot {
        name: "hot".into(),
        id: "h".into(),
        keys: vec!["A".into(), "B".into()],
        settled: vec!["w1".into()],
        acknowledged: [(2, "w2".to_owned()), (3, "w3".to_owned())].into(),
        in_doubt: BTreeSet::from(["w4".to_owned()]),
    }
}

fn seen_hot(writes: &[(&str, &str)]) -> SeenHot {
    let revision = i64::try_from(writes.len()).unwrap() + 1;
    let versions = Versions { total: revision, newest: (1..=revision).rev().collect() };
    let values = |(a, b): &(&str, &str)| {
        BTreeMap::from([("A".to_owned(), hot::value(a, "A")), ("B".to_owned(), hot::value(b, "B"))])
    };
    SeenHot {
        revision,
        versions: [("A".to_owned(), versions.clone()), ("B".to_owned(), versions)].into(),
        values: (2..).zip(writes.iter().map(values)).collect(),
        changes: revision,
    }
}

#[test]
fn a_hot_group_is_what_was_acknowledged_and_perhaps_what_is_in_doubt() {
    hot_group().settle(&seen_hot(&[("w2", "w2"), ("w3", "w3")])).unwrap();
    hot_group().settle(&seen_hot(&[("w2", "w2"), ("w3", "w3"), ("w4", "w4")])).unwrap();
    for (writes, reason) in [
        (&[("w2", "w2")][..], "revision 3 was acknowledged and is lost"),
        (&[("w2", "w2"), ("w4", "w4")], "was acknowledged to w3 and is of w4"),
        (&[("w2", "w2"), ("w3", "w2")], "half of a write"),
        (&[("w2", "w2"), ("w3", "w3"), ("w4", "w3")], "half of a write"),
        (&[("w2", "w2"), ("w3", "w3"), ("w9", "w9")], "which was not in doubt"),
        (&[("w2", "w2"), ("w3", "w3"), ("w4", "w4"), ("w4", "w4")], "which was not in doubt"),
    ] {
        let error = hot_group().settle(&seen_hot(writes)).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }
    assert!(hot_group().acknowledge(3, "w5".into()).is_err(), "one revision, two writes");
}

#[test]
fn a_value_without_its_event_is_rejected() {
    let given = |request: &str| {
        [Given { request: request.into(), values: vec![("a".into(), 2), ("b".into(), 1)], change: false }]
    };
    let mut events = Events::default();
    events.add("r1", [("a".to_owned(), 2), ("b".to_owned(), 1)]);
    events.add("r2", [("a".to_owned(), 1), ("b".to_owned(), 1)]);
    events.cover(&given("r1")).unwrap();
    assert!(events.cover(&given("r2")).unwrap_err().contains("does not name"), "another version");
    assert!(events.cover(&given("r3")).unwrap_err().contains("no event"));
    assert!(events.cover(&given("")).is_err(), "an answer without x-request-id can't be found");
    let answer = |change| [Given { request: "r3".into(), values: Vec::new(), change }];
    assert!(events.cover(&answer(true)).is_err() && events.cover(&answer(false)).is_ok());
}
