//! For each rule a short story that is good but for one thing.

use super::story::{Fate, Story};
use super::{begun, passes, rejected, update};
use crate::cluster::history::{Action, Call, Current, Id, Outcome, Refusal, Seen, SeenSecret};

fn group_seen(story: &mut Story, at: usize) -> (&mut Option<i64>, &mut Vec<SeenSecret>) {
    match &mut story.history[at].outcome {
        Outcome::Ok(Seen::Group { revision, secrets, .. }) => (revision, secrets),
        outcome => panic!("{outcome:?}"),
    }
}

/// Two updates of one group, one after the other; gives the group and the places of both.
fn two_updates() -> (Story, Option<Id>, usize, usize) {
    let (mut story, id) = begun();
    let first = story.tell(1, (20, 30), 0, id, update(&[0, 1]));
    let second = story.tell(2, (40, 50), 0, id, update(&[0, 1]));
    passes(&story);
    (story, id, first, second)
}

/// Takes a group's last revision away with all that belongs to it, as if it had never been.
pub(super) fn forget_last(story: &mut Story, place: usize) {
    let group = &mut story.truth.groups[place];
    let last = group.revisions.pop().unwrap();
    group.revision -= 1;
    group.deleted = group.revisions.last().is_some_and(|revision| revision.action == Action::Delete);
    story.truth.changes.retain(|(request, ..)| *request != last.request);
    let before = group.revisions.last().map(|revision| revision.state.clone()).unwrap_or_default();
    let restored = matches!(last.action, Action::Restore | Action::RestoreSecret);
    for current in last.state.iter().filter(|current| !restored && !before.contains(current)) {
        for row in story.truth.secrets.iter_mut().filter(|row| row.id == current.secret) {
            row.versions.pop();
            row.version -= 1;
        }
        story.truth.secrets.retain(|row| row.version > 0);
        story.truth.values.remove(&(current.secret, current.version));
    }
}

#[test]
fn an_acknowledged_write_that_is_not_there() {
    let (mut story, ..) = two_updates();
    forget_last(&mut story, 0);
    rejected(&story, "lost");
}

#[test]
fn an_acknowledged_deletion_that_is_not_there() {
    let (mut story, id) = begun();
    story.tell(1, (20, 30), 0, id, Call::Delete);
    passes(&story);
    forget_last(&mut story, 0);
    rejected(&story, "lost");
}

#[test]
fn an_unknown_write_may_be_there_or_not() {
    for call in [update(&[0, 1]), Call::Delete] {
        for (fate, noise) in [(Fate::Cut, 0), (Fate::Cut, 1), (Fate::Gone, 0), (Fate::Gone, 1)] {
            let (mut story, id) = begun();
            // One of the two has an even number: whether an answer came depends on it.
            for _ in 0..noise {
                story.tell(1, (12, 14), 0, id, Call::Read);
            }
            story.tell_all(2, (20, 30), 0, id, call.clone(), None, fate);
            passes(&story);
        }
    }
}

#[test]
fn an_unknown_write_may_come_late() {
    let (mut story, id) = begun();
    let late = story.tell_all(2, (20, 30), 0, id, update(&[1]), None, Fate::Answered);
    story.history[late].outcome = Outcome::Unknown;
    story.history[late].request = None;
    (story.history[late].start, story.history[late].end) = (20, 21);
    passes(&story);
    // But it can't be seen before it began.
    story.tell(1, (30, 40), 0, id, Call::Read);
    passes(&story);
    (story.history[2].start, story.history[2].end) = (15, 19);
    rejected(&story, "early");
}

#[test]
fn a_revision_that_nobody_made() {
    let (mut story, _, _, second) = two_updates();
    story.history.remove(second);
    rejected(&story, "nobody's");
}

#[test]
fn a_revision_of_another_call_or_client_or_group() {
    let (mut story, _, _, second) = two_updates();
    story.truth.groups[0].revisions[2].client = Some(1);
    rejected(&story, "another's");
    story.truth.groups[0].revisions[2].client = Some(2);
    passes(&story);
    story.truth.groups[0].revisions[2].action = Action::Restore;
    rejected(&story, "another's");
    story.truth.groups[0].revisions[2].action = Action::Update;
    story.history[second].group = Some(Id(77));
    rejected(&story, "another's");
}

#[test]
fn a_refused_write_that_is_there() {
    for refusal in [Refusal::NotThere, Refusal::OtherRevision(1), Refusal::Busy] {
        let (mut story, _, _, second) = two_updates();
        story.history[second].outcome = Outcome::Refused(refusal);
        rejected(&story, "refused");
    }
}

#[test]
fn one_write_that_is_there_twice() {
    let (mut story, _, _, second) = two_updates();
    let group = &mut story.truth.groups[0];
    let mut again = group.revisions[2].clone();
    (again.number, group.revision) = (4, 4);
    story.truth.changes.push((again.request, group.id, 4));
    group.revisions.push(again);
    rejected(&story, "twice");
    // Without an answer it has only one revision to give.
    story.history[second].outcome = Outcome::Unknown;
    story.history[second].request = None;
    rejected(&story, "nobody's");
}

#[test]
fn revisions_with_a_gap() {
    let (mut story, ..) = two_updates();
    story.truth.groups[0].revisions[2].number = 4;
    rejected(&story, "numbers");
}

#[test]
fn half_of_an_update() {
    let (mut story, ..) = two_updates();
    story.truth.groups[0].revisions[2].state[1].version -= 1;
    rejected(&story, "content");
}

#[test]
fn an_update_that_skips_a_version() {
    let (mut story, ..) = two_updates();
    story.truth.groups[0].revisions[2].state[1].version += 1;
    rejected(&story, "content");
}

#[test]
fn an_update_that_forgets_to_drop_a_key() {
    let (mut story, id) = begun();
    story.tell(1, (20, 30), 0, id, update(&[0]));
    passes(&story);
    let dropped = story.truth.groups[0].revisions[0].state[1];
    story.truth.groups[0].revisions[1].state.push(dropped);
    rejected(&story, "content");
}

#[test]
fn an_update_that_changes_what_was_to_stay() {
    let (mut story, id) = begun();
    story.tell(1, (20, 30), 0, id, Call::Update { given: vec![0], kept: vec![1] });
    passes(&story);
    story.truth.groups[0].revisions[1].state[1].version += 1;
    rejected(&story, "content");
}

#[test]
fn a_key_made_again_that_is_the_old_secret() {
    let (mut story, id) = begun();
    story.tell(1, (20, 30), 0, id, update(&[0]));
    story.tell(1, (40, 50), 0, id, update(&[0, 1]));
    passes(&story);
    story.truth.groups[0].revisions[2].state[1].secret = story.truth.groups[0].revisions[0].state[1].secret;
    rejected(&story, "content");
}

#[test]
fn a_restore_of_something_else() {
    let (mut story, id) = begun();
    story.tell(1, (20, 30), 0, id, Call::Delete);
    story.tell(1, (40, 50), 0, id, Call::Restore);
    passes(&story);
    story.truth.groups[0].revisions[2].state.pop();
    rejected(&story, "content");
}

#[test]
fn a_secret_restored_at_another_version() {
    let (mut story, id) = begun();
    let secret = story.state(0)[1].secret;
    story.tell(1, (20, 30), 0, id, Call::DeleteSecret { secret });
    story.tell(1, (40, 50), 0, id, Call::RestoreSecret { secret });
    passes(&story);
    story.truth.groups[0].revisions[2].state[1].version += 1;
    rejected(&story, "content");
}

#[test]
fn an_update_of_a_deleted_group() {
    let (mut story, id) = begun();
    story.tell(1, (20, 30), 0, id, update(&[0, 1]));
    story.truth.groups[0].revisions[0].action = Action::Delete;
    rejected(&story, "content");
}

#[test]
fn an_if_match_that_did_not_hold() {
    let (mut story, id) = begun();
    let update = story.tell_all(1, (20, 30), 0, id, update(&[0, 1]), Some(1), Fate::Answered);
    passes(&story);
    story.history[update].if_match = Some(2);
    rejected(&story, "if-match");
}

#[test]
fn an_if_match_refused_at_its_revision() {
    let (mut story, id) = begun();
    let refused = story.tell_all(1, (20, 30), 0, id, update(&[0, 1]), Some(7), Fate::Answered);
    passes(&story);
    story.history[refused].if_match = Some(1);
    rejected(&story, "read");
}

#[test]
fn an_answer_that_is_not_the_revision() {
    let (mut story, _, _, second) = two_updates();
    *group_seen(&mut story, second).0 = Some(2);
    rejected(&story, "answer");
    *group_seen(&mut story, second).0 = Some(3);
    passes(&story);
    group_seen(&mut story, second).1[0].current.version = 2;
    rejected(&story, "answer");
}

#[test]
fn rows_that_differ_from_the_revisions() {
    let (mut story, ..) = two_updates();
    story.truth.groups[0].revision = 4;
    rejected(&story, "row");
    story.truth.groups[0].revision = 3;
    story.truth.groups[0].deleted = true;
    rejected(&story, "row");
}

#[test]
fn versions_with_a_gap_or_twice() {
    for versions in [vec![1, 3], vec![1, 2, 2, 3], vec![2, 3], vec![1, 2]] {
        let (mut story, ..) = two_updates();
        story.truth.secrets[0].versions = versions;
        rejected(&story, "versions");
    }
}

#[test]
fn a_version_of_no_revision_and_a_revision_without_its_version() {
    let (mut story, ..) = two_updates();
    story.truth.secrets[0].versions.push(4);
    story.truth.secrets[0].version = 4;
    rejected(&story, "half");
    story.truth.secrets[0].versions = vec![1, 2];
    story.truth.secrets[0].version = 2;
    rejected(&story, "half");
}

#[test]
fn a_version_with_another_value() {
    let (mut story, _, first, _) = two_updates();
    let secret = story.state(0)[0].secret;
    story.truth.values.insert((secret, 3), first as u64);
    rejected(&story, "value");
}

#[test]
fn events_that_are_missing_or_too_many() {
    let (mut story, ..) = two_updates();
    let event = story.truth.changes.pop().unwrap();
    rejected(&story, "event");
    story.truth.changes.extend([event, event]);
    rejected(&story, "event");
}

#[test]
fn a_value_without_its_event() {
    let (mut story, id) = begun();
    let secret = story.state(0)[1].secret;
    story.tell(1, (20, 30), 0, id, Call::ReadValue { secret });
    story.tell(1, (40, 50), 0, id, Call::ReadValues);
    story.tell(1, (60, 70), 0, None, Call::ReadReference { key: 0 });
    passes(&story);
    for at in 0..story.truth.reveals.len() {
        let event = story.truth.reveals.remove(at);
        rejected(&story, "reveal");
        story.truth.reveals.insert(at, event);
    }
}

#[test]
fn an_order_against_real_time() {
    let (mut story, _, first, _) = two_updates();
    (story.history[first].start, story.history[first].end) = (51, 60);
    rejected(&story, "real time");
    // Had they overlapped, either order would be right.
    story.history[first].start = 50;
    passes(&story);
}

#[test]
fn a_stale_read() {
    for call in [Call::Read, Call::ReadByName, Call::ReadValues] {
        let (mut story, id) = begun();
        let read = story.tell(1, (12, 15), 0, id, call);
        story.tell(2, (20, 30), 0, id, update(&[0, 1]));
        story.history[read].end = 45;
        passes(&story);
        story.history[read].start = 40;
        rejected(&story, "stale");
    }
}

#[test]
fn a_stale_read_of_one_value() {
    let (mut story, id) = begun();
    let secret = story.state(0)[0].secret;
    let read = story.tell(1, (12, 15), 0, id, Call::ReadValue { secret });
    let referenced = story.tell(3, (12, 15), 0, None, Call::ReadReference { key: 0 });
    story.tell(2, (20, 30), 0, id, update(&[0, 1]));
    for (at, rule) in [(read, "stale"), (referenced, "not then")] {
        (story.history[at].start, story.history[at].end) = (30, 45);
        passes(&story);
        (story.history[at].start, story.history[at].end) = (31, 45);
        rejected(&story, rule);
        (story.history[at].start, story.history[at].end) = (12, 15);
    }
}

#[test]
fn a_read_of_what_had_not_begun() {
    let (mut story, id) = begun();
    story.tell(2, (20, 30), 0, id, update(&[0, 1]));
    let read = story.tell(1, (32, 35), 0, id, Call::Read);
    (story.history[read].start, story.history[read].end) = (11, 20);
    passes(&story);
    (story.history[read].start, story.history[read].end) = (11, 19);
    rejected(&story, "early");
}

#[test]
fn reads_that_go_back() {
    let (mut story, id) = begun();
    let old = story.tell(1, (11, 12), 0, id, Call::Read);
    story.tell(2, (20, 80), 0, id, update(&[0, 1]));
    story.tell(3, (30, 40), 0, id, Call::Read);
    (story.history[old].start, story.history[old].end) = (40, 50);
    passes(&story);
    (story.history[old].start, story.history[old].end) = (41, 50);
    rejected(&story, "back");
}

#[test]
fn a_read_of_two_cuts() {
    for call in [Call::Read, Call::ReadByName, Call::ReadValues] {
        let (mut story, id) = begun();
        story.tell(2, (20, 30), 0, id, update(&[0, 1]));
        let read = story.tell(1, (25, 60), 0, id, call);
        passes(&story);
        group_seen(&mut story, read).1[1].current.version = 1;
        rejected(&story, "read");
    }
}

#[test]
fn a_read_of_a_part() {
    let (mut story, id) = begun();
    let read = story.tell(1, (25, 60), 0, id, Call::ReadValues);
    group_seen(&mut story, read).1.pop();
    rejected(&story, "read");
}

#[test]
fn a_read_with_another_value() {
    let (mut story, id) = begun();
    let update = story.tell(2, (20, 30), 0, id, update(&[0, 1]));
    let read = story.tell(1, (40, 60), 0, id, Call::ReadValues);
    passes(&story);
    let value = &mut group_seen(&mut story, read).1[1].tag;
    assert_eq!(*value, Some(update as u64));
    *value = Some(0);
    rejected(&story, "read");
}

#[test]
fn a_read_of_a_revision_with_anothers_state() {
    let (mut story, _, _, _) = two_updates();
    let id = Some(story.truth.groups[0].id);
    let read = story.tell(1, (60, 70), 0, id, Call::Read);
    *group_seen(&mut story, read).0 = Some(2);
    rejected(&story, "read");
}

#[test]
fn a_value_that_was_never_written() {
    let (mut story, _) = begun();
    let read = story.tell(1, (40, 60), 0, None, Call::ReadReference { key: 1 });
    passes(&story);
    story.history[read].outcome = Outcome::Ok(Seen::Value(99));
    rejected(&story, "read");
}

#[test]
fn a_secret_of_another_revision() {
    let (mut story, id, ..) = two_updates();
    let current = story.state(0)[0];
    let read = story.tell(1, (60, 70), 0, id, Call::ReadValue { secret: current.secret });
    passes(&story);
    let secret = SeenSecret { current: Current { version: 2, ..current }, tag: None };
    story.history[read].outcome = Outcome::Ok(Seen::Secret { revision: 3, secret });
    rejected(&story, "read");
}

#[test]
fn a_living_group_that_is_not_found() {
    let (mut story, id) = begun();
    let secret = story.state(0)[0].secret;
    for call in [Call::Read, Call::ReadValues, update(&[0]), Call::Delete, Call::ReadValue { secret }] {
        let at = story.history.len();
        story.tell(1, (20, 30), 0, Some(Id(0)), call);
        story.history[at].group = id;
        rejected(&story, "not then");
        story.history.pop();
    }
    passes(&story);
}

#[test]
fn a_deleted_group_that_is_read() {
    let (mut story, id) = begun();
    let read = story.tell(1, (12, 15), 0, id, Call::ReadValues);
    story.tell(2, (20, 30), 0, id, Call::Delete);
    (story.history[read].start, story.history[read].end) = (30, 40);
    passes(&story);
    (story.history[read].start, story.history[read].end) = (31, 40);
    rejected(&story, "stale");
    // Brought back, it is there again.
    story.tell(2, (35, 50), 0, id, Call::Restore);
    passes(&story);
}

#[test]
fn a_name_that_has_two_groups() {
    let (mut story, id) = begun();
    let gone = story.tell(1, (20, 30), 0, id, Call::Delete);
    let again = story.tell(2, (40, 50), 0, None, Call::Create { keys: vec![0] });
    passes(&story);
    (story.history[again].start, story.history[again].end) = (11, 19);
    rejected(&story, "one name");
    (story.history[again].start, story.history[again].end) = (40, 50);
    (story.history[gone].start, story.history[gone].end) = (51, 60);
    rejected(&story, "one name");
}

#[test]
fn a_free_name_that_is_taken_and_a_taken_one_that_is_free() {
    let (mut story, id) = begun();
    let taken = story.tell(1, (12, 15), 0, None, Call::Create { keys: vec![0] });
    let there = story.tell(1, (16, 18), 0, None, Call::ReadReference { key: 0 });
    story.tell(2, (20, 30), 0, id, Call::Delete);
    let free = story.tell(1, (32, 35), 0, None, Call::ReadByName);
    let gone = story.tell(1, (36, 38), 0, None, Call::ReadReference { key: 0 });
    passes(&story);
    for (at, good, bad, rule) in [
        (taken, (30, 40), (31, 40), "name"),
        (there, (30, 40), (31, 40), "not then"),
        (free, (5, 20), (11, 19), "name"),
        (gone, (5, 20), (11, 19), "name"),
    ] {
        let was = (story.history[at].start, story.history[at].end);
        (story.history[at].start, story.history[at].end) = good;
        passes(&story);
        (story.history[at].start, story.history[at].end) = bad;
        rejected(&story, rule);
        (story.history[at].start, story.history[at].end) = was;
    }
}

#[test]
fn a_key_that_is_there_and_not_found_by_name() {
    let (mut story, id) = begun();
    let missing = story.tell(1, (12, 15), 0, None, Call::ReadReference { key: 2 });
    story.tell(2, (20, 30), 0, id, update(&[0, 1, 2]));
    (story.history[missing].start, story.history[missing].end) = (30, 40);
    passes(&story);
    (story.history[missing].start, story.history[missing].end) = (31, 40);
    rejected(&story, "name");
}

#[test]
fn a_short_life_inside_of_another() {
    let (mut story, id) = begun();
    story.tell(1, (12, 15), 0, id, Call::Delete);
    let made = story.tell(2, (20, 30), 0, None, Call::Create { keys: vec![0] });
    let other = Some(story.truth.groups[1].id);
    let gone = story.tell(3, (22, 40), 0, other, Call::Delete);
    let back = story.tell(1, (50, 60), 0, id, Call::Restore);
    passes(&story);
    // It lived for a moment between 20 and 40, which nobody can tell to be longer.
    story.history[back].start = 16;
    story.history[back].end = 19;
    rejected(&story, "one name");
    // Before the other one came back there is room for it.
    story.history[back].end = 40;
    passes(&story);
    assert!(made < gone);
}

#[test]
fn a_name_taken_by_a_group_that_took_long_to_make() {
    let mut story = Story::default();
    story.tell(1, (10, 20), 0, None, Call::Create { keys: vec![0] });
    let id = Some(story.truth.groups[0].id);
    story.tell(1, (30, 40), 0, id, Call::Delete);
    let slow = story.tell(2, (5, 100), 0, None, Call::Create { keys: vec![0] });
    story.tell(3, (110, 120), 0, None, Call::Create { keys: vec![0] });
    passes(&story);
    story.history[slow].outcome = Outcome::Unknown;
    passes(&story);
}

#[test]
fn two_unknown_writes_that_look_alike() {
    let (mut story, id) = begun();
    for (delete, restore) in [((20, 21), (30, 40)), ((60, 61), (70, 80))] {
        let cut = story.tell(1, delete, 0, id, Call::Delete);
        story.history[cut].outcome = Outcome::Unknown;
        story.history[cut].request = None;
        story.tell(2, restore, 0, id, Call::Restore);
    }
    passes(&story);
}

#[test]
fn a_key_that_was_to_stay_and_did_not() {
    let (mut story, id) = begun();
    let keep = |key| Call::Update { given: vec![0], kept: vec![key] };
    let refused = story.tell(1, (12, 15), 0, id, keep(2));
    story.tell(2, (20, 30), 0, id, update(&[0, 1, 2]));
    (story.history[refused].start, story.history[refused].end) = (30, 40);
    passes(&story);
    (story.history[refused].start, story.history[refused].end) = (31, 40);
    rejected(&story, "not then");
}
