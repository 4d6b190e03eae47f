//! Writes over two systems: one is open at a time, its holder alone goes on with it, and what it leaves is not forgotten.

use std::time::Duration;

use futures_util::future::join_all;
use strongroom_domain::operation::{OperationState, PutState};
use strongroom_domain::{GroupId, IntegrationId, OperationId, SecretId, Timestamp};
use strongroom_metadata::{
    CommitError, GroupChange, GroupCreation, GroupWrite, Guard, HeldOperation, IntegrationRow, KeyState, Metadata,
    MovedPointer, NewEntry, NewOperation, NewSecret, NextState, OperationRow, Placed, PruneError, PurgeItem, PutRow,
    Undone,
};

use crate::guards::{Stage, missed, misses};
use crate::world::{NOW, World, actor, admin, change_identities, event, id, lifetime, purge, version};

const MAC: [u8; 32] = [0xab; 32];
const UNTIL: Timestamp = NOW.plus_seconds(60);

pub(crate) fn row(group: GroupId, integration: IntegrationId) -> OperationRow {
    OperationRow {
        id: id(),
        group_id: group,
        claimed_name: None,
        integration_id: integration,
        action: "update".into(),
        state: OperationState::Putting,
        change: "{\"change\":1}".into(),
        reason: None,
        actor: actor("admin@x.io"),
        fence: 1,
        expires_at: UNTIL,
        quiet_at: None,
        created_at: NOW,
        finished_at: None,
    }
}

/// The put of a new value; of a new secret, where nothing is kept.
pub(crate) fn put(secret: SecretId, key: &str, kept: Option<&str>) -> PutRow {
    PutRow {
        secret_id: secret,
        key: key.into(),
        version: if kept.is_some() { 2 } else { 1 },
        digest: vec![7; 32],
        place: format!("live/{key}"),
        before: kept.map(str::to_owned),
        kept: kept.map(str::to_owned),
        placed: None,
        state: PutState::Waiting,
        reason: None,
    }
}

pub(crate) fn entry(put: &PutRow) -> NewEntry {
    let place = &put.place;
    NewEntry { secret_id: put.secret_id, target: "here".into(), name: place.clone(), place: place.clone() }
}

pub(crate) fn next(state: OperationState, finished_at: Option<Timestamp>) -> NextState {
    NextState { state, reason: None, change: String::new(), quiet_at: None, finished_at }
}

/// The puts, as they are when they have come so far.
fn so_far(puts: &[PutRow], state: PutState) -> Vec<PutRow> {
    puts.iter().map(|put| PutRow { state, placed: Some("9".into()), ..put.clone() }).collect()
}

/// An operation of each kind: one that was undone and left something behind, of which an entry is to be removed; one
/// that has happened; and an open one, which makes a group. Every column has a value somewhere.
pub(crate) async fn furnish_operations(
    world: &World,
    (group, name): (GroupId, &str),
    revision: i64,
    secret: SecretId,
) -> [OperationRow; 3] {
    let (metadata, integration) = (&world.metadata, world.new.integration.id);
    let [undone, done] = [row(group, integration), row(group, integration)];
    let puts = vec![put(secret, "A", Some("3")), put(id(), "new", None)];
    let entries = vec![entry(&puts[1])];
    let new = NewOperation { row: undone.clone(), revision: Some(revision), puts, entries };
    let held = metadata.begin_operation(&new, "one").await.unwrap();
    let mut puts = so_far(&new.puts, PutState::Leftover);
    puts[0].reason = Some("ü".into());
    let left = vec![(puts[1].secret_id, NOW)];
    let ended = NextState { quiet_at: Some(NOW), ..next(OperationState::Undone, Some(NOW)) };
    metadata.end_undone(&held, &ended, &Undone { puts, left, ..Undone::default() }).await.unwrap();
    metadata.entry_tried(new.puts[1].secret_id, NOW, "it is down").await.unwrap();

    let puts = vec![put(secret, "A", Some("3"))];
    let new = NewOperation { row: done.clone(), revision: Some(revision), puts, entries: Vec::new() };
    let held = metadata.begin_operation(&new, "one").await.unwrap();
    let write = GroupWrite::Change(Box::new(world.change(group, name, revision)));
    let ended = next(OperationState::Done, Some(NOW));
    metadata.flip_operation(&held, &write, &ended, Placed::All(1)).await.unwrap();

    let open = OperationRow { claimed_name: Some("claimed".into()), ..row(id(), integration) };
    let puts = vec![put(id(), "made", None)];
    let entries = vec![entry(&puts[0])];
    let new = NewOperation { row: open.clone(), revision: None, puts, entries };
    let held = metadata.begin_operation(&new, "one").await.unwrap();
    let undoing = NextState {
        state: OperationState::Undoing,
        reason: Some("it is down".into()),
        change: "{}".into(),
        quiet_at: Some(UNTIL),
        finished_at: None,
    };
    metadata.move_operation(&held, &undoing, &[]).await.unwrap();
    [undone, done, open]
}

/// A change of the stage's living group: A gets a new value, and N is new.
fn intent(stage: &Stage) -> NewOperation {
    let puts = vec![put(stage.group.secrets[0].id, "A", Some("1")), put(id(), "N", None)];
    let entries = vec![entry(&puts[1])];
    let row = row(stage.group.id, stage.world.new.integration.id);
    NewOperation { row, revision: Some(2), puts, entries }
}

/// What it flips.
fn change_of(stage: &Stage, new: &NewOperation) -> GroupChange {
    let (a, n) = (new.puts[0].secret_id, new.puts[1].secret_id);
    let mut change = stage.world.change(stage.group.id, "live", 2);
    change.states = vec![KeyState { id: a, expected_version: 1, version: 2, key: "A".into(), deleted: None }];
    change.ended = vec![a];
    change.secrets = vec![NewSecret { id: n, key: "N".into() }];
    change.versions = vec![version(a, "A", 2), version(n, "N", 1)];
    change.began = vec![lifetime(a, "A", 2), lifetime(n, "N", 1)];
    change
}

fn flip_of(stage: &Stage, new: &NewOperation) -> GroupWrite {
    GroupWrite::Change(Box::new(change_of(stage, new)))
}

/// How it ends undone: A's old value was written again, and N may still arrive.
fn undone_of(new: &NewOperation) -> Undone {
    let (a, n) = (new.puts[0].secret_id, new.puts[1].secret_id);
    Undone {
        moved: vec![MovedPointer { secret_id: a, version: 1, store_version: "10".into() }],
        revision: Some((2, MAC)),
        puts: so_far(&new.puts, PutState::Leftover),
        left: vec![(n, UNTIL)],
        never_made: Vec::new(),
    }
}

async fn begin(stage: &Stage, new: &NewOperation) -> HeldOperation {
    stage.world.metadata.begin_operation(new, "one").await.unwrap()
}

async fn refused(metadata: &Metadata, new: &NewOperation, guard: Guard) {
    missed(metadata.begin_operation(new, "two").await.map(drop), guard);
}

/// Ends an operation that has puts in these states.
async fn end(metadata: &Metadata, held: &HeldOperation, at: Timestamp, undone: Undone) {
    metadata.end_undone(held, &next(OperationState::Undone, Some(at)), &undone).await.unwrap();
}

/// An operation of a group that was never made, with these new secrets.
async fn begin_creation(world: &World, keys: &[&str]) -> (NewOperation, HeldOperation) {
    let puts: Vec<_> = keys.iter().map(|key| put(id(), key, None)).collect();
    let entries = puts.iter().map(entry).collect();
    let new = NewOperation { row: row(id(), world.new.integration.id), revision: None, puts, entries };
    let held = world.metadata.begin_operation(&new, "one").await.unwrap();
    (new, held)
}

#[tokio::test]
async fn one_operation_of_a_group_is_open_at_a_time() {
    let stage = Stage::new().await;
    let metadata = &stage.world.metadata;
    let new = intent(&stage);
    let held = begin(&stage, &new).await;
    let before = stage.world.dump();
    // With other entries, so that only the group can be in the way.
    let mut other = intent(&stage);
    other.entries.clear();
    refused(metadata, &other, Guard::OpenOperation).await;
    assert_eq!(stage.world.dump(), before);
    assert_eq!(metadata.open_operation(stage.group.id).await.unwrap().as_ref(), Some(&new.row));
    assert_eq!(metadata.operation(new.row.id).await.unwrap().as_ref(), Some(&new.row));
    let mut puts = metadata.puts_of(new.row.id).await.unwrap();
    puts.sort_by_key(|put| put.secret_id);
    assert_eq!(puts, new.puts);
    let write = flip_of(&stage, &new);
    metadata.flip_operation(&held, &write, &next(OperationState::Done, Some(NOW)), Placed::All(2)).await.unwrap();
    assert_eq!(metadata.open_operation(stage.group.id).await.unwrap(), None);
    let done = metadata.operation(new.row.id).await.unwrap().unwrap();
    assert_eq!((done.state, done.change.as_str(), done.finished_at), (OperationState::Done, "", Some(NOW)));
    assert!(metadata.puts_of(new.row.id).await.unwrap().iter().all(|put| put.state == PutState::Placed));
    other.revision = Some(3);
    metadata.begin_operation(&other, "two").await.unwrap();
}

#[tokio::test]
async fn of_many_that_begin_at_once_one_does() {
    let stage = Stage::new().await;
    let mut news: Vec<_> = (0..8).map(|_| intent(&stage)).collect();
    for new in &mut news {
        new.entries.clear();
    }
    let begun = join_all(news.iter().map(|new| stage.world.metadata.begin_operation(new, "one"))).await;
    let (won, lost): (Vec<_>, Vec<_>) = begun.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 1);
    for outcome in lost {
        missed(outcome.map(drop), Guard::OpenOperation);
    }
}

#[tokio::test]
async fn a_name_is_claimed_once() {
    let stage = Stage::new().await;
    let metadata = &stage.world.metadata;
    let creation = |key: &str, name: &str| {
        let puts = vec![put(id(), key, None)];
        let entries = puts.iter().map(entry).collect();
        let claimed_name = Some(name.to_owned());
        let row = OperationRow { claimed_name, ..row(id(), stage.world.new.integration.id) };
        NewOperation { row, revision: None, puts, entries }
    };
    let (new, other) = (creation("X", "new"), creation("Y", "new"));
    let held = begin(&stage, &new).await;
    let before = stage.world.dump();
    refused(metadata, &other, Guard::OpenOperation).await;
    assert_eq!(stage.world.dump(), before);
    assert_eq!(metadata.claiming_operation("new").await.unwrap().as_ref(), Some(&new.row));
    assert_eq!(metadata.claiming_operation("other").await.unwrap(), None);
    // Nobody is kept from another name.
    metadata.begin_operation(&creation("Z", "other"), "two").await.unwrap();
    let never_made = vec![new.puts[0].secret_id];
    let puts = so_far(&new.puts, PutState::Failed);
    end(metadata, &held, NOW, Undone { puts, never_made, ..Undone::default() }).await;
    assert_eq!(metadata.claiming_operation("new").await.unwrap(), None);
    metadata.begin_operation(&other, "two").await.unwrap();
    assert_eq!(metadata.taken_names("here", "live/").await.unwrap().len(), 2, "X's was never made");
}

#[tokio::test]
async fn a_name_in_a_store_is_one_secrets() {
    let stage = Stage::new().await;
    let metadata = &stage.world.metadata;
    let new = intent(&stage);
    let held = begin(&stage, &new).await;
    let other_group = stage.world.group("other", &["N"]);
    metadata.create_group(&other_group).await.unwrap();
    let before = stage.world.dump();
    let puts = vec![put(id(), "N", None)];
    let entries = vec![entry(&puts[0])];
    let row = row(other_group.id, stage.world.new.integration.id);
    let mut other = NewOperation { row, revision: Some(1), puts, entries };
    refused(metadata, &other, Guard::EntryName).await;
    assert_eq!(stage.world.dump(), before);
    // Elsewhere the name is free, and so is another name here.
    other.entries[0].target = "there".into();
    let second = metadata.begin_operation(&other, "two").await.unwrap();
    let before = stage.world.dump();
    let mut moved = new.puts[1].clone();
    moved.place = "live/N~".into();
    metadata.move_entry(&held, UNTIL, &moved, "live/N~").await.unwrap();
    assert_ne!(stage.world.dump(), before);
    assert_eq!(metadata.taken_names("here", "live/N").await.unwrap(), ["live/N~"]);
    assert_eq!(metadata.taken_names("there", "live/").await.unwrap(), ["live/N"]);
    assert_eq!(metadata.taken_names("here", "live/N~~").await.unwrap(), [""; 0]);
    assert_eq!(metadata.taken_names("here", "liv").await.unwrap().len(), 1);
    assert_eq!(metadata.puts_of(new.row.id).await.unwrap()[1].place, "live/N~");
    end(metadata, &second, NOW, Undone::default()).await;
    // A name that is taken by somebody else can't be moved to.
    let third = NewOperation {
        row: OperationRow { id: id(), ..other.row.clone() },
        entries: vec![NewEntry { secret_id: id(), target: "here".into(), name: "free".into(), place: "free".into() }],
        ..other
    };
    let third_put = PutRow { secret_id: third.entries[0].secret_id, ..third.puts[0].clone() };
    let third = NewOperation { puts: vec![third_put.clone()], ..third };
    let third = metadata.begin_operation(&third, "two").await.unwrap();
    let before = stage.world.dump();
    missed(metadata.move_entry(&third, UNTIL, &third_put, "live/N~").await, Guard::EntryName);
    assert_eq!(stage.world.dump(), before);
}

#[tokio::test]
async fn what_has_moved_on_is_decided_again() {
    let stage = Stage::new().await;
    let metadata = &stage.world.metadata;
    let new = intent(&stage);
    metadata.change_group(&stage.world.change(stage.group.id, "live", 2)).await.unwrap();
    let before = stage.world.dump();
    refused(metadata, &new, Guard::GroupRevision).await;
    assert_eq!(stage.world.dump(), before);
    // A purge makes no revision.
    let due = NOW.plus_days(30);
    let item = PurgeItem::Group { id: stage.deleted.id, name: "dead".into() };
    let restoring = NewOperation {
        row: row(stage.deleted.id, stage.world.new.integration.id),
        revision: Some(2),
        puts: Vec::new(),
        entries: Vec::new(),
    };
    purge(metadata, &item, due, &event("X")).await.unwrap();
    refused(metadata, &restoring, Guard::GroupRevision).await;
}

#[tokio::test]
async fn every_guard_of_a_beginning() {
    let expected = [Guard::GroupRevision, Guard::OpenOperation, Guard::Fresh, Guard::Fresh, Guard::EntryName];
    misses(&expected, |stage| {
        Box::pin(async { stage.world.metadata.begin_operation(&intent(stage), "one").await.map(drop) })
    })
    .await;
    // Of what puts nothing: the change, and that nothing is open.
    let expected = [Guard::GroupRevision, Guard::GroupRevision, Guard::Fresh, Guard::OpenOperation, Guard::Fresh];
    misses(&expected, |stage| {
        Box::pin(async {
            let change = stage.world.change(stage.group.id, "live", 2);
            let between = row(stage.group.id, stage.world.new.integration.id);
            stage.world.metadata.change_group_between(&change, &between).await
        })
    })
    .await;
}

/// As [`misses`], of what is done with an operation that was begun before.
async fn held_misses(
    expected: &[Guard],
    write: impl AsyncFn(&Stage, &NewOperation, &HeldOperation) -> Result<(), CommitError>,
) {
    for silently in [true, false] {
        let mut at = 0;
        loop {
            at += 1;
            let stage = Box::pin(Stage::new()).await;
            let new = intent(&stage);
            let held = begin(&stage, &new).await;
            stage.sabotage(at, silently);
            let before = stage.world.dump();
            let outcome = write(&stage, &new, &held).await;
            let Some(guard) = expected.get(at - 1) else {
                assert!(outcome.is_ok(), "all rows are written: {outcome:?}");
                assert_ne!(stage.world.dump(), before);
                break;
            };
            match outcome {
                Err(CommitError::Missed { guard: missed }) => assert_eq!(missed, *guard, "row {at}"),
                other => panic!("row {at}: {other:?}"),
            }
            assert_eq!(stage.world.dump(), before, "row {at} was refused");
            stage.world.behind().run("UPDATE test_calls SET calls = -1000");
            write(&stage, &new, &held).await.unwrap();
        }
    }
}

type HeldWrite = (&'static str, &'static [Guard]);

/// Whatever is done with an operation, and the guards of its rows in their order.
const HELD_WRITES: [HeldWrite; 7] = [
    ("hold", &[Guard::Operation]),
    ("note", &[Guard::Operation; 3]),
    ("move the entry", &[Guard::Operation, Guard::EntryName, Guard::Operation]),
    ("move", &[Guard::Operation; 3]),
    (
        "flip",
        &[
            Guard::GroupRevision,
            Guard::GroupRevision,
            Guard::SecretState,
            Guard::SecretState,
            Guard::SecretKey,
            Guard::Fresh,
            Guard::Fresh,
            Guard::Fresh,
            Guard::Fresh,
            Guard::Fresh,
            Guard::Operation,
            Guard::Operation,
            Guard::Operation,
        ],
    ),
    (
        "end",
        &[
            Guard::GroupRevision,
            Guard::GroupRevision,
            Guard::Operation,
            Guard::SecretState,
            Guard::Operation,
            Guard::Operation,
            Guard::Operation,
        ],
    ),
    ("end what was never made", &[Guard::Operation; 2]),
];

async fn held_write(what: &str, stage: &Stage, new: &NewOperation, held: &HeldOperation) -> Result<(), CommitError> {
    let metadata = &stage.world.metadata;
    let puts = so_far(&new.puts, PutState::Placed);
    let (done, undone) = (next(OperationState::Done, Some(NOW)), next(OperationState::Undone, Some(NOW)));
    match what {
        "hold" => metadata.hold_operation(held, NOW).await,
        "note" => metadata.note_puts(held, NOW, &puts).await,
        "move the entry" => metadata.move_entry(held, NOW, &puts[1], "live/N~").await,
        "move" => metadata.move_operation(held, &next(OperationState::Undoing, None), &puts).await,
        "flip" => metadata.flip_operation(held, &flip_of(stage, new), &done, Placed::All(2)).await,
        "end" => metadata.end_undone(held, &undone, &undone_of(new)).await,
        _ => {
            let never_made = vec![new.puts[1].secret_id];
            metadata.end_undone(held, &undone, &Undone { never_made, ..Undone::default() }).await
        }
    }
}

#[tokio::test]
async fn every_guard_of_what_follows() {
    for (what, expected) in HELD_WRITES {
        held_misses(expected, async |stage, new, held| held_write(what, stage, new, held).await).await;
    }
}

/// Whoever takes an operation over has it alone.
#[tokio::test]
async fn after_the_fence_was_raised_nothing_is_written() {
    let stage = Stage::new().await;
    let metadata = &stage.world.metadata;
    let new = intent(&stage);
    let held = begin(&stage, &new).await;
    let taken = metadata.take_operation(&new.row, "one", UNTIL, UNTIL).await.unwrap().unwrap();
    let before = stage.world.dump();
    for (what, _) in HELD_WRITES {
        let outcome = held_write(what, &stage, &new, &held).await;
        assert!(matches!(outcome, Err(CommitError::Missed { guard: Guard::Operation })), "{what}: {outcome:?}");
        assert_eq!(stage.world.dump(), before, "{what}");
    }
    // By somebody of another name with the right fence neither.
    let other = HeldOperation { holder: "three".into(), ..taken.clone() };
    missed(held_write("note", &stage, &new, &other).await, Guard::Operation);
    held_write("flip", &stage, &new, &taken).await.unwrap();
    // What has ended stays so.
    let before = stage.world.dump();
    for what in ["hold", "note", "move", "end what was never made"] {
        missed(held_write(what, &stage, &new, &taken).await, Guard::Operation);
    }
    assert_eq!(stage.world.dump(), before);
    assert_eq!(metadata.take_operation(&new.row, "two", UNTIL, NOW.plus_days(9)).await.unwrap(), None);
}

#[tokio::test]
async fn an_operation_is_taken_when_its_time_has_passed_and_once() {
    let stage = Stage::new().await;
    let metadata = &stage.world.metadata;
    let new = intent(&stage);
    let held = begin(&stage, &new).await;
    let early = Timestamp::from_micros(UNTIL.micros() - 1);
    assert_eq!(metadata.due_operations(early, 9).await.unwrap(), []);
    assert_eq!(metadata.take_operation(&new.row, "two", UNTIL, early).await.unwrap(), None);
    let due = metadata.due_operations(UNTIL, 9).await.unwrap();
    assert_eq!(due, std::slice::from_ref(&new.row));
    let later = UNTIL.plus_seconds(9);
    let holders = ["a", "b", "c", "d"];
    let taken = join_all(holders.map(|holder| metadata.take_operation(&due[0], holder, later, UNTIL))).await;
    let taken: Vec<_> = taken.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0], HeldOperation { holder: taken[0].holder.clone(), fence: 2, ..held.clone() });
    assert_eq!(metadata.operation(new.row.id).await.unwrap().unwrap().fence, 2);
    assert_eq!(metadata.due_operations(UNTIL, 9).await.unwrap(), [], "it has time again");
    // Given back before its time.
    metadata.hold_operation(&taken[0], NOW).await.unwrap();
    let again = metadata.due_operations(NOW, 9).await.unwrap();
    let third = metadata.take_operation(&again[0], "e", later, NOW).await.unwrap().unwrap();
    assert_eq!(third.fence, 3);
}

#[tokio::test]
async fn what_puts_nothing_waits_for_what_is_open() {
    let stage = Stage::new().await;
    let metadata = &stage.world.metadata;
    let new = intent(&stage);
    let held = begin(&stage, &new).await;
    let between = row(stage.group.id, stage.world.new.integration.id);
    let change = stage.world.change(stage.group.id, "renamed", 2);
    let before = stage.world.dump();
    missed(metadata.change_group_between(&change, &between).await, Guard::OpenOperation);
    assert_eq!(stage.world.dump(), before);
    end(metadata, &held, NOW, undone_of(&new)).await;
    metadata.change_group_between(&change, &between).await.unwrap();
    assert_eq!(metadata.operation(between.id).await.unwrap(), None, "nothing of the guard stays");
    assert_eq!(metadata.group_by_name("renamed", &admin()).await.unwrap().unwrap().group.revision, 3);
}

#[tokio::test]
async fn moved_pointers_and_their_mac_are_one() {
    let stage = Stage::new().await;
    let metadata = &stage.world.metadata;
    let new = intent(&stage);
    let held = begin(&stage, &new).await;
    end(metadata, &held, NOW, undone_of(&new)).await;
    let found = metadata.group(stage.group.id, &admin()).await.unwrap().unwrap();
    assert_eq!((found.group.revision, found.group.revision_mac.as_slice()), (2, MAC.as_slice()));
    let of = |id| found.secrets.iter().find(|secret| secret.id == id).unwrap().store_version.clone();
    assert_eq!((of(stage.group.secrets[0].id), of(stage.group.secrets[1].id)), ("10".into(), "1".into()));
    let macs: Vec<_> = metadata.revisions(stage.group.id, 0, 9).await.unwrap().into_iter().map(|row| row.mac).collect();
    assert_eq!(macs, [vec![1; 32], MAC.to_vec()]);
    // Where the group has moved on the MAC is not this one.
    let new = NewOperation { entries: Vec::new(), ..intent(&stage) };
    let held = begin(&stage, &new).await;
    metadata.change_group(&stage.world.change(stage.group.id, "live", 2)).await.unwrap();
    let before = stage.world.dump();
    let (next, undone) = (next(OperationState::Undone, Some(NOW)), undone_of(&new));
    missed(metadata.end_undone(&held, &next, &undone).await, Guard::GroupRevision);
    assert_eq!(stage.world.dump(), before);
}

#[tokio::test]
async fn what_is_purged_leaves_the_store_too() {
    let stage = Stage::new().await;
    let metadata = &stage.world.metadata;
    let mut new = intent(&stage);
    // Those of the secrets that are there already.
    let there = stage.group.secrets.iter().map(|secret| entry(&put(secret.id, &secret.key, None)));
    new.entries.extend(there);
    let held = begin(&stage, &new).await;
    let write = flip_of(&stage, &new);
    metadata.flip_operation(&held, &write, &next(OperationState::Done, Some(NOW)), Placed::All(2)).await.unwrap();
    let due = NOW.plus_days(30);
    let entries = async |at| {
        let due = metadata.due_entries(at, at, 99).await.unwrap();
        due.into_iter().map(|entry| entry.secret_id).collect::<Vec<_>>()
    };
    assert_eq!(entries(due).await, []);
    assert!(metadata.has_trash(stage.group.id).await.unwrap());
    let c = stage.group.secrets[2].id;
    let item = PurgeItem::Secret { id: c, key: "C".into(), group_id: stage.group.id, group_name: "live".into() };
    purge(metadata, &item, due, &event("X")).await.unwrap();
    assert!(!metadata.has_trash(stage.group.id).await.unwrap());
    assert_eq!(entries(Timestamp::from_micros(due.micros() - 1)).await, []);
    assert_eq!(entries(due).await, [c]);
    let mut change = stage.world.change(stage.group.id, "live", 3);
    change.group.deleted = Some((NOW, due));
    change.all_ended = Some(3);
    metadata.change_group(&change).await.unwrap();
    let later = due.plus_days(1);
    let item = PurgeItem::Group { id: stage.group.id, name: "live".into() };
    purge(metadata, &item, later, &event("X")).await.unwrap();
    assert_eq!(entries(due).await, [c], "C's time is what it was");
    assert_eq!(entries(later).await.len(), 4);
}

#[tokio::test]
async fn only_what_was_deleted_and_not_purged_is_trash() {
    let stage = Stage::new().await;
    let metadata = &stage.world.metadata;
    assert!(metadata.has_trash(stage.group.id).await.unwrap());
    let other = stage.world.group("other", &["C"]);
    metadata.create_group(&other).await.unwrap();
    assert!(!metadata.has_trash(other.id).await.unwrap());
    assert!(!metadata.has_trash(id()).await.unwrap());
    let mut restore = stage.world.change(stage.group.id, "live", 2);
    let c = stage.group.secrets[2].id;
    restore.states = vec![KeyState { id: c, expected_version: 1, version: 1, key: "C".into(), deleted: None }];
    restore.began = vec![lifetime(c, "C", 1)];
    metadata.change_group(&restore).await.unwrap();
    assert!(!metadata.has_trash(stage.group.id).await.unwrap());
}

#[tokio::test]
async fn the_entry_that_was_not_tried_for_the_longest_time_comes_first() {
    let world = World::started().await;
    let metadata = &world.metadata;
    let (new, held) = begin_creation(&world, &["a", "b", "c", "d"]).await;
    let [a, b, c, d] = [0, 1, 2, 3].map(|at: usize| new.puts[at].secret_id);
    let at = |seconds| NOW.plus_seconds(seconds);
    let left = vec![(a, at(1)), (b, at(2)), (c, at(3)), (d, at(4))];
    end(metadata, &held, NOW, Undone { left, ..Undone::default() }).await;
    metadata.entry_tried(a, at(12), "it is down").await.unwrap();
    metadata.entry_tried(b, at(11), "it is down").await.unwrap();
    let due = async |now, tried, limit| {
        let due = metadata.due_entries(now, tried, limit).await.unwrap();
        due.into_iter().map(|entry| entry.secret_id).collect::<Vec<_>>()
    };
    assert_eq!(due(at(20), at(20), 9).await, [c, d, b, a]);
    // Those that can't be removed don't hold up the others, however many there are.
    assert_eq!(due(at(20), at(20), 1).await, [c]);
    assert_eq!(due(at(20), at(11), 9).await, [c, d, b]);
    assert_eq!(due(at(3), at(20), 9).await, [c, b, a]);
    missed(metadata.entry_tried(id(), at(1), "it is down").await, Guard::Operation);
}

/// Operations of the groups named, each with these keys, all of them left behind.
async fn leave(world: &World, keys: &[&str], at: Timestamp) -> NewOperation {
    let (new, held) = begin_creation(world, keys).await;
    let left = new.puts.iter().map(|put| (put.secret_id, NOW.plus_days(99))).collect();
    let puts = so_far(&new.puts, PutState::Leftover);
    end(&world.metadata, &held, at, Undone { puts, left, ..Undone::default() }).await;
    new
}

#[tokio::test]
async fn leftovers_are_paged_through_whatever_operation_they_are_of() {
    let world = World::started().await;
    let metadata = &world.metadata;
    let mut expected = Vec::new();
    for keys in [["a", "b", "c"], ["d", "e", "f"]] {
        let new = leave(&world, &keys, NOW).await;
        expected.extend(new.puts.iter().map(|put| (new.row.id, put.secret_id)));
    }
    leave(&world, &["late"], NOW.plus_seconds(1)).await;
    expected.sort_unstable();
    for limit in 1..8 {
        let mut found: Vec<(OperationId, SecretId)> = Vec::new();
        loop {
            let page = metadata.leftovers(NOW, found.last().copied(), limit).await.unwrap();
            assert!(page.iter().all(|left| left.put.state == PutState::Leftover));
            found.extend(page.iter().map(|left| (left.operation, left.put.secret_id)));
            if i64::try_from(page.len()).unwrap() < limit {
                break;
            }
        }
        assert_eq!(found, expected, "{limit} a page");
    }
    let page = metadata.leftovers(NOW, None, 2).await.unwrap();
    assert_eq!(page[0].integration_id, world.new.integration.id);
    metadata.leftover_done(&page[0], PutState::Undone).await.unwrap();
    metadata.leftover_done(&page[1], PutState::Abandoned).await.unwrap();
    let rest = metadata.leftovers(NOW, None, 9).await.unwrap();
    assert_eq!(rest.iter().map(|left| (left.operation, left.put.secret_id)).collect::<Vec<_>>(), expected[2..]);
}

/// With an entry goes what operations left in it; who was about to destroy that finds out.
#[tokio::test]
async fn what_was_left_in_an_entry_goes_with_it() {
    let stage = Stage::new().await;
    let metadata = &stage.world.metadata;
    let secret = stage.group.secrets[0].id;
    let mut ids = Vec::new();
    for with_entry in [true, false] {
        let puts = vec![put(secret, "A", Some("1")), put(stage.group.secrets[1].id, "B", Some("1"))];
        let entries = if with_entry { puts.iter().map(entry).collect() } else { Vec::new() };
        let row = row(stage.group.id, stage.world.new.integration.id);
        let new = NewOperation { row, revision: Some(2), puts, entries };
        let held = begin(&stage, &new).await;
        let puts = so_far(&new.puts, PutState::Leftover);
        end(metadata, &held, NOW, Undone { puts, ..Undone::default() }).await;
        ids.push(new.row.id);
    }
    let states = async || {
        let mut states = Vec::new();
        for id in &ids {
            states.extend(metadata.puts_of(*id).await.unwrap().into_iter().map(|put| put.state));
        }
        states
    };
    // One that isn't to be removed stays.
    let before = stage.world.dump();
    missed(metadata.entry_removed(secret).await, Guard::Operation);
    assert_eq!(stage.world.dump(), before);
    let leftovers = metadata.leftovers(NOW, None, 9).await.unwrap();
    metadata.leftover_done(&leftovers[2], PutState::Abandoned).await.unwrap();
    stage.world.behind().run(&format!("UPDATE store_entries SET remove_at = 1 WHERE secret_id = '{secret}'"));
    metadata.entry_removed(secret).await.unwrap();
    let (undone, leftover) = (PutState::Undone, PutState::Leftover);
    assert_eq!(states().await, [undone, leftover, undone, leftover]);
    missed(metadata.entry_removed(secret).await, Guard::Operation);
    // Nothing keeps an operation any more that another replica found to be beyond it.
    missed(metadata.leftover_done(&leftovers[0], PutState::Abandoned).await, Guard::Operation);
    assert_eq!(states().await, [undone, leftover, undone, leftover]);
}

/// Who is allowed what is not read again whenever something was removed from a store.
#[tokio::test]
async fn what_is_done_about_leftovers_moves_no_change_number() {
    let world = World::started().await;
    let metadata = &world.metadata;
    let new = leave(&world, &["a", "b"], NOW).await;
    let lease = metadata.lease("prune", "test", Duration::from_hours(1)).await.unwrap().unwrap();
    let number = || world.behind().number("SELECT number FROM change_number");
    let before = number();
    metadata.entry_tried(new.puts[0].secret_id, NOW, "it is down").await.unwrap();
    metadata.entry_removed(new.puts[0].secret_id).await.unwrap();
    let leftovers = metadata.leftovers(NOW, None, 9).await.unwrap();
    metadata.leftover_done(&leftovers[0], PutState::Undone).await.unwrap();
    assert_eq!(metadata.prune_operations(&lease, NOW, 9).await.unwrap(), 1);
    assert_eq!(number(), before);
}

#[tokio::test]
async fn operations_are_pruned_that_left_nothing() {
    let world = World::started().await;
    let metadata = &world.metadata;
    let lease = metadata.lease("prune", "test", Duration::from_hours(1)).await.unwrap().unwrap();
    let left = leave(&world, &["left", "left too"], NOW).await;
    let abandoned = leave(&world, &["abandoned"], NOW).await;
    let page = metadata.leftovers(NOW, None, 9).await.unwrap();
    let at = page.iter().position(|left| left.operation == abandoned.row.id).unwrap();
    metadata.leftover_done(&page[at], PutState::Abandoned).await.unwrap();
    let (open, _) = begin_creation(&world, &["open"]).await;
    let mut ended = Vec::new();
    for (seconds, key) in [(1, "x"), (2, "y"), (3, "z"), (4, "late")] {
        let (new, held) = begin_creation(&world, &[key, &format!("{key} too")]).await;
        let puts = so_far(&new.puts, PutState::Undone);
        end(metadata, &held, NOW.plus_seconds(seconds), Undone { puts, ..Undone::default() }).await;
        ended.push(new.row.id);
    }
    let before = NOW.plus_seconds(3);
    // Somebody else has the lease meanwhile.
    world.behind().run("UPDATE leases SET fence = fence + 1");
    let outcome = metadata.prune_operations(&lease, before, 2).await;
    assert!(matches!(outcome, Err(PruneError::Write(CommitError::Missed { guard: Guard::Lease }))), "{outcome:?}");
    world.behind().run("UPDATE leases SET fence = fence - 1");
    let there = async || {
        let mut there = Vec::new();
        for id in [left.row.id, abandoned.row.id, open.row.id].iter().chain(&ended) {
            let puts = metadata.puts_of(*id).await.unwrap().len();
            assert_eq!(puts > 0, metadata.operation(*id).await.unwrap().is_some(), "both or neither");
            there.push(puts);
        }
        there
    };
    assert_eq!(there().await, [2, 1, 1, 2, 2, 2, 2]);
    assert_eq!(metadata.prune_operations(&lease, before, 2).await.unwrap(), 2);
    assert_eq!(there().await, [2, 1, 1, 0, 0, 2, 2], "the oldest first");
    assert_eq!(metadata.prune_operations(&lease, before, 2).await.unwrap(), 1);
    assert_eq!(metadata.prune_operations(&lease, before, 2).await.unwrap(), 0);
    assert_eq!(there().await, [2, 1, 1, 0, 0, 0, 2]);
}

#[tokio::test]
async fn an_integration_stays_while_something_is_in_its_store() {
    let world = World::started().await;
    let metadata = &world.metadata;
    let integration =
        IntegrationRow { id: id(), name: "outer".into(), fqn: "outer".into(), ..world.new.integration.clone() };
    change_identities(metadata, &event("X"), |change| change.add_integration(&integration)).await.unwrap();
    let puts = vec![put(id(), "a", None)];
    let entries = vec![entry(&puts[0])];
    let new = NewOperation { row: row(id(), integration.id), revision: None, puts, entries };
    let held = metadata.begin_operation(&new, "one").await.unwrap();
    let left = vec![(new.puts[0].secret_id, NOW)];
    end(metadata, &held, NOW, Undone { left, ..Undone::default() }).await;
    let before = world.dump();
    let removed = change_identities(metadata, &event("X"), |change| change.remove_integration(integration.id)).await;
    missed(removed, Guard::SubjectInUse);
    let moved = change_identities(metadata, &event("X"), |change| change.move_integration(&integration)).await;
    missed(moved, Guard::SubjectInUse);
    assert_eq!(world.dump(), before);
    metadata.entry_removed(new.puts[0].secret_id).await.unwrap();
    change_identities(metadata, &event("X"), |change| change.remove_integration(integration.id)).await.unwrap();
    // And nothing is put where nothing is.
    let new = NewOperation { row: OperationRow { id: id(), ..new.row.clone() }, ..new };
    refused(metadata, &new, Guard::EntryName).await;
}

/// A group that an operation makes is there with its flip.
#[tokio::test]
async fn a_group_is_made_by_the_flip() {
    let world = World::started().await;
    let metadata = &world.metadata;
    let creation: GroupCreation = world.group("made", &["A"]);
    let puts = vec![put(creation.secrets[0].id, "A", None)];
    let entries = vec![entry(&puts[0])];
    let row = OperationRow { claimed_name: Some("made".into()), ..row(creation.id, world.new.integration.id) };
    let new = NewOperation { row, revision: None, puts, entries };
    let held = metadata.begin_operation(&new, "one").await.unwrap();
    let write = GroupWrite::Create(Box::new(creation));
    let showing = next(OperationState::Showing, None);
    let puts = so_far(&new.puts, PutState::Placed);
    // Whoever claims nothing may take the name; then nothing of the flip is written.
    let before = world.dump();
    let late = world.group("made", &[]);
    metadata.create_group(&late).await.unwrap();
    missed(metadata.flip_operation(&held, &write, &showing, Placed::Each(&puts)).await, Guard::GroupName);
    assert_eq!(world.dump().len(), before.len() + 3, "the other group, its revision and its event");
    metadata.change_group(&world.change(late.id, "away", 1)).await.unwrap();
    metadata.flip_operation(&held, &write, &showing, Placed::Each(&puts)).await.unwrap();
    assert!(metadata.group_by_name("made", &admin()).await.unwrap().is_some());
    assert_eq!(metadata.puts_of(new.row.id).await.unwrap(), puts);
    let open = metadata.open_operation(new.row.group_id).await.unwrap().unwrap();
    assert_eq!((open.state, open.finished_at), (OperationState::Showing, None));
}
