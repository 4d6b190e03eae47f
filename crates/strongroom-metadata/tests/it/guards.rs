//! A missed guard writes nothing, wherever in its batch it stands.

use std::future::Future;
use std::pin::Pin;

use strongroom_domain::role::GroupRole;
use strongroom_domain::subject::SubjectKind;
use strongroom_metadata::{CommitError, GroupCreation, Guard, KeyState, MachineRow, NewSecret, PurgeItem};

use crate::world::{
    NOW, World, change_identities, create_machine, create_token, create_user, event, grant, id, lifetime, machine,
    purge, token, update_machine, user, version,
};

pub(crate) type Outcome<'a> = Pin<Box<dyn Future<Output = Result<(), CommitError>> + 'a>>;

/// A started instance with what the writes below speak of.
pub(crate) struct Stage {
    pub(crate) world: World,
    /// Living, at revision 2: A (at version 1) and B; C in the trash. Shared with one subject.
    pub(crate) group: GroupCreation,
    /// Deleted, with two secrets.
    pub(crate) deleted: GroupCreation,
    pub(crate) machine: MachineRow,
    /// Another one, to which nothing is granted.
    pub(crate) idle: MachineRow,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let world = World::started().await;
        world.know(&["user:bob@x.io"]).await;
        let trash = Some((NOW, NOW.plus_days(30)));
        let mut group = world.group("live", &["A", "B", "C"]);
        group.grants = vec![grant(group.id, "user:bob@x.io", GroupRole::Editor)];
        world.metadata.create_group(&group).await.unwrap();
        let c = group.secrets[2].id;
        let mut change = world.change(group.id, "live", 1);
        change.states = vec![KeyState { id: c, expected_version: 1, version: 1, key: "C".into(), deleted: trash }];
        change.ended = vec![c];
        world.metadata.change_group(&change).await.unwrap();
        let deleted = world.group("dead", &["D", "E"]);
        world.metadata.create_group(&deleted).await.unwrap();
        let mut change = world.change(deleted.id, "dead", 1);
        change.group.deleted = trash;
        change.all_ended = Some(2);
        world.metadata.change_group(&change).await.unwrap();
        let machine = machine("bot");
        let secret = token(2, SubjectKind::VirtualAccount, machine.id);
        let grants = [grant(group.id, "virtualaccount:bot", GroupRole::Viewer)];
        create_machine(&world.metadata, &machine, &secret, &grants, &event("X")).await.unwrap();
        let idle = crate::world::machine("idle");
        change_identities(&world.metadata, &event("X"), |change| change.add_machine(&idle, "virtualaccount:idle"))
            .await
            .unwrap();
        Self { world, group, deleted, machine, idle }
    }

    /// From now on the write of the row number `at` (from 1, in a transaction) does not happen: silently, so that the
    /// statement touches too few rows, or with the error of a broken constraint.
    pub(crate) fn sabotage(&self, at: usize, silently: bool) {
        let behind = self.world.behind();
        behind.sabotage(&behind.tables(), at, silently);
    }
}

/// Runs a write with each of its rows refused once, and expects the guards in this order; then unhindered.
pub(crate) async fn misses(expected: &[Guard], write: impl for<'a> Fn(&'a Stage) -> Outcome<'a>) {
    for silently in [true, false] {
        let mut at = 0;
        loop {
            at += 1;
            // Its future is large.
            let stage = Box::pin(Stage::new()).await;
            stage.sabotage(at, silently);
            let before = stage.world.dump();
            let outcome = write(&stage).await;
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
            // The writer goes on, and the same write would, too.
            stage.world.behind().run("UPDATE test_calls SET calls = -1000");
            write(&stage).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_user_a_token_an_event() {
    let expected = [Guard::ChangeNumber, Guard::UserEmail, Guard::UserEmail, Guard::UserEmail, Guard::Fresh];
    misses(&expected, |stage| {
        Box::pin(async { create_user(&stage.world.metadata, &user("new@x.io"), &event("X")).await })
    })
    .await;
    misses(&[Guard::ChangeNumber, Guard::Token, Guard::Fresh], |stage| {
        Box::pin(async {
            let new = token(9, SubjectKind::User, stage.world.new.admin.id);
            create_token(&stage.world.metadata, &new, &event("X")).await
        })
    })
    .await;
    misses(&[Guard::Fresh], |stage| Box::pin(async { stage.world.metadata.record(event("X")).await })).await;
}

#[tokio::test]
async fn a_virtual_account() {
    let expected = [
        Guard::ChangeNumber,
        Guard::SubjectName,
        Guard::SubjectName,
        Guard::Token,
        Guard::SubjectName,
        Guard::SubjectName,
        Guard::Fresh,
    ];
    misses(&expected, |stage| {
        Box::pin(async {
            let bot = machine("new");
            let secret = token(9, SubjectKind::VirtualAccount, bot.id);
            let own = "virtualaccount:new";
            let grants =
                [grant(stage.group.id, own, GroupRole::Viewer), grant(stage.deleted.id, own, GroupRole::Viewer)];
            create_machine(&stage.world.metadata, &bot, &secret, &grants, &event("X")).await
        })
    })
    .await;
    let expected = [Guard::ChangeNumber, Guard::MachineState, Guard::SubjectName, Guard::Fresh];
    misses(&expected, |stage| {
        Box::pin(async {
            let grants = [grant(stage.group.id, "virtualaccount:idle", GroupRole::Admin)];
            update_machine(&stage.world.metadata, &stage.idle, Some(&grants), &event("X")).await
        })
    })
    .await;
}

#[tokio::test]
async fn a_new_group() {
    let expected = [
        Guard::GroupName,
        Guard::GroupRevision,
        Guard::SecretKey,
        Guard::SecretKey,
        Guard::Fresh,
        Guard::Fresh,
        Guard::Fresh,
        Guard::Fresh,
        Guard::SubjectName,
        Guard::Fresh,
    ];
    misses(&expected, |stage| {
        Box::pin(async {
            let mut new = stage.world.group("new", &["A", "B"]);
            new.grants = vec![grant(new.id, "team:everyone", GroupRole::Viewer)];
            stage.world.metadata.create_group(&new).await
        })
    })
    .await;
}

#[tokio::test]
async fn a_change_of_a_group() {
    let expected = [
        Guard::GroupRevision,
        Guard::GroupRevision,
        Guard::SecretState,
        Guard::SecretState,
        Guard::SecretState,
        Guard::SecretState,
        Guard::SecretKey,
        Guard::Fresh,
        Guard::Fresh,
        Guard::Fresh,
        Guard::Fresh,
        Guard::Fresh,
    ];
    misses(&expected, |stage| {
        Box::pin(async {
            let [a, b] = [0, 1].map(|at| stage.group.secrets[at].id);
            let new = NewSecret { id: id(), key: "N".into() };
            let mut change = stage.world.change(stage.group.id, "renamed", 2);
            change.states = vec![
                KeyState { id: a, expected_version: 1, version: 2, key: "A".into(), deleted: None },
                KeyState {
                    id: b,
                    expected_version: 1,
                    version: 1,
                    key: "B".into(),
                    deleted: Some((NOW, NOW.plus_days(30))),
                },
            ];
            change.ended = vec![a, b];
            change.versions = vec![version(a, "A", 2), version(new.id, "N", 1)];
            change.began = vec![lifetime(a, "A", 2), lifetime(new.id, "N", 1)];
            change.secrets = vec![new];
            change.event = event("X");
            stage.world.metadata.change_group(&change).await
        })
    })
    .await;
}

#[tokio::test]
async fn deleting_a_group_and_taking_its_grants() {
    let expected = [Guard::GroupRevision, Guard::GroupRevision, Guard::SecretState, Guard::SecretState, Guard::Fresh];
    misses(&expected, |stage| {
        Box::pin(async {
            let mut change = stage.world.change(stage.group.id, "live", 2);
            change.group.deleted = Some((NOW, NOW.plus_days(30)));
            change.all_ended = Some(2);
            stage.world.metadata.change_group(&change).await
        })
    })
    .await;
}

#[tokio::test]
async fn the_first_start() {
    let world = World::started().await;
    let before = world.dump();
    let mut again = World::empty().await.new;
    again.instance.tenant = "other".into();
    missed(world.metadata.create_instance(&again).await, Guard::Instance);
    assert_eq!(world.dump(), before);
    let parts = [
        ("root_key_slots", Guard::Instance),
        ("users", Guard::UserEmail),
        ("subjects", Guard::UserEmail),
        ("team_members", Guard::UserEmail),
        ("tokens", Guard::Token),
        ("provider_accounts", Guard::Instance),
        ("provider_integrations", Guard::Instance),
        ("audit_events", Guard::Fresh),
        ("change_number", Guard::ChangeNumber),
    ];
    for (table, guard) in parts {
        let world = World::empty().await;
        world.behind().sabotage(&[table.to_owned()], 1, true);
        let before = world.dump();
        missed(world.metadata.create_instance(&world.new).await, guard);
        assert_eq!(world.dump(), before, "{table}");
        world.behind().run("UPDATE test_calls SET calls = -1000");
        world.metadata.create_instance(&world.new).await.unwrap();
    }
}

/// The guards as they are really missed: somebody else was first.
#[tokio::test]
async fn what_somebody_else_did_first() {
    let stage = Stage::new().await;
    let Stage { world, group, deleted, machine: bot, .. } = &stage;
    let metadata = &world.metadata;
    let before = world.dump();
    let [a, b, c] = [0, 1, 2].map(|at| group.secrets[at].id);
    let trash = Some((NOW, NOW.plus_days(30)));
    let key_state =
        |id, expected_version, key: &str| KeyState { id, expected_version, version: 2, key: key.into(), deleted: None };

    missed(create_user(metadata, &user("admin@x.io"), &event("X")).await, Guard::UserEmail);
    missed(create_token(metadata, &token(1, SubjectKind::User, "x"), &event("X")).await, Guard::Token);
    missed(metadata.record(world.new.event.clone()).await, Guard::Fresh);
    let double = machine("bot");
    let secret = token(9, SubjectKind::VirtualAccount, double.id);
    missed(create_machine(metadata, &double, &secret, &[], &event("X")).await, Guard::SubjectName);
    missed(update_machine(metadata, &double, Some(&[]), &event("X")).await, Guard::MachineState);
    let lost = [grant(id(), "virtualaccount:bot", GroupRole::Admin)];
    missed(update_machine(metadata, bot, Some(&lost), &event("X")).await, Guard::SubjectName);

    missed(metadata.create_group(&world.group("LIVE", &["A"])).await, Guard::GroupName);
    let mut homeless = world.group("new", &[]);
    homeless.revision.integration_id = id();
    missed(metadata.create_group(&homeless).await, Guard::GroupName);
    missed(metadata.create_group(&world.group("new", &["A", "A"])).await, Guard::SecretKey);

    missed(metadata.change_group(&world.change(group.id, "live", 1)).await, Guard::GroupRevision);
    missed(metadata.change_group(&world.change(group.id, "live", 3)).await, Guard::GroupRevision);
    missed(metadata.change_group(&world.change(id(), "live", 2)).await, Guard::GroupRevision);
    let mut taken = world.change(deleted.id, "live", 2);
    missed(metadata.change_group(&taken).await, Guard::GroupRevision);
    taken = world.change(group.id, "live", 2);
    taken.states = vec![key_state(a, 2, "A")];
    missed(metadata.change_group(&taken).await, Guard::SecretState);
    taken.states = vec![key_state(a, 1, "B")];
    missed(metadata.change_group(&taken).await, Guard::SecretState);
    taken.states = vec![];
    taken.ended = vec![c];
    missed(metadata.change_group(&taken).await, Guard::SecretState);
    taken.ended = vec![];
    taken.all_ended = Some(3);
    missed(metadata.change_group(&taken).await, Guard::SecretState);
    taken.all_ended = None;
    taken.secrets = vec![NewSecret { id: id(), key: "B".into() }];
    missed(metadata.change_group(&taken).await, Guard::SecretKey);
    taken.secrets = vec![];
    taken.versions = vec![version(a, "A", 1)];
    missed(metadata.change_group(&taken).await, Guard::Fresh);
    taken.versions = vec![];
    taken.began = vec![lifetime(id(), "X", 1)];
    missed(metadata.change_group(&taken).await, Guard::Fresh);

    let early = NOW.plus_days(29);
    let item = PurgeItem::Group { id: deleted.id, name: "dead".into() };
    missed(purge(metadata, &item, early, &event("X")).await, Guard::GroupRevision);
    let item = PurgeItem::Group { id: group.id, name: "live".into() };
    missed(purge(metadata, &item, NOW.plus_days(99), &event("X")).await, Guard::GroupRevision);
    let item = |id| PurgeItem::Secret { id, key: "C".into(), group_id: group.id, group_name: "live".into() };
    missed(purge(metadata, &item(c), early, &event("X")).await, Guard::SecretState);
    missed(purge(metadata, &item(b), NOW.plus_days(99), &event("X")).await, Guard::SecretState);
    assert_eq!(world.dump(), before, "none of all that left a trace");

    // The name and the key of what was deleted are free.
    metadata.create_group(&world.group("dead", &[])).await.unwrap();
    let mut change = world.change(group.id, "live", 2);
    change.secrets = vec![NewSecret { id: id(), key: "C".into() }];
    metadata.change_group(&change).await.unwrap();
    let mut restore = world.change(group.id, "live", 3);
    restore.states = vec![KeyState { id: c, expected_version: 1, version: 1, key: "C".into(), deleted: None }];
    missed(metadata.change_group(&restore).await, Guard::SecretState);
    missed(metadata.change_group(&world.change(deleted.id, "dead", 2)).await, Guard::GroupRevision);
    assert!(trash.is_some());
}

/// A purge makes no revision: a restore that was decided before it must miss all the same.
#[tokio::test]
async fn nothing_brings_back_what_was_purged_meanwhile() {
    let stage = Stage::new().await;
    let Stage { world, group, deleted, .. } = &stage;
    let due = NOW.plus_days(30);
    for item in world.metadata.due_for_purge(due, 10).await.unwrap() {
        purge(&world.metadata, &item, due, &event("PURGE")).await.unwrap();
    }
    let before = world.dump();
    let c = group.secrets[2].id;
    let mut restore = world.change(group.id, "live", 2);
    restore.states = vec![KeyState { id: c, expected_version: 1, version: 1, key: "C".into(), deleted: None }];
    restore.began = vec![lifetime(c, "C", 1)];
    missed(world.metadata.change_group(&restore).await, Guard::SecretState);
    let mut restore = world.change(deleted.id, "dead", 2);
    restore.began = deleted.secrets.iter().map(|secret| lifetime(secret.id, &secret.key, 1)).collect();
    missed(world.metadata.change_group(&restore).await, Guard::GroupRevision);
    assert_eq!(world.dump(), before);
    for item in [
        PurgeItem::Group { id: deleted.id, name: "dead".into() },
        PurgeItem::Secret { id: c, key: "C".into(), group_id: group.id, group_name: "live".into() },
    ] {
        assert!(matches!(purge(&world.metadata, &item, due, &event("X")).await, Err(CommitError::Missed { .. })));
    }
    assert_eq!(world.dump(), before, "and it is purged once");
}

/// And the other way round: what was brought back is not purged.
#[tokio::test]
async fn a_purge_misses_what_was_brought_back() {
    let stage = Stage::new().await;
    let Stage { world, group, deleted, .. } = &stage;
    let due = NOW.plus_days(30);
    let items = world.metadata.due_for_purge(due, 10).await.unwrap();
    assert_eq!(items.len(), 2);
    let c = group.secrets[2].id;
    let mut restore = world.change(group.id, "live", 2);
    restore.states = vec![KeyState { id: c, expected_version: 1, version: 1, key: "C".into(), deleted: None }];
    restore.began = vec![lifetime(c, "C", 1)];
    world.metadata.change_group(&restore).await.unwrap();
    world.metadata.change_group(&world.change(deleted.id, "dead", 2)).await.unwrap();
    let before = world.dump();
    for item in &items {
        assert!(matches!(purge(&world.metadata, item, due, &event("X")).await, Err(CommitError::Missed { .. })));
    }
    assert_eq!(world.dump(), before);
}

pub(crate) fn missed(outcome: Result<(), CommitError>, expected: Guard) {
    match outcome {
        Err(CommitError::Missed { guard }) => assert_eq!(guard, expected),
        other => panic!("{expected:?} was expected, not {other:?}"),
    }
}
