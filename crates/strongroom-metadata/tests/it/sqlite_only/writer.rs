//! Many who write at a time.

use std::future::Future;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use strongroom_metadata::{AuditFilter, CommitError, Guard, Metadata};

use crate::world::{World, admin, change_identities, event, user};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_at_a_time_share_transactions_and_each_gets_its_own_answer() {
    let world = World::started().await;
    let group = world.group("g", &[]);
    world.metadata.create_group(&group).await.unwrap();
    // Whoever holds the lock for a while makes the others queue.
    let lock = world.raw();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let before = world.metadata.writer_stats();
    let mut tasks = Vec::new();
    for number in 0..200_i64 {
        let metadata = world.metadata.clone();
        // A quarter decides on one change number, a quarter fights for one revision, one for a name; the others are alone.
        let identities = world.metadata.begin_identity_change().await.unwrap();
        let change = world.change(group.id, "g", 1);
        let new = world.group(&if number % 4 == 2 { "same".into() } else { number.to_string() }, &[]);
        tasks.push(tokio::spawn(async move {
            let outcome = match number % 4 {
                0 => {
                    let mut identities = identities;
                    identities.add_user(&user(&format!("{number}@x.io")));
                    metadata.commit_identity_change(identities, &event("X")).await
                }
                1 => metadata.change_group(&change).await,
                _ => metadata.create_group(&new).await,
            };
            (number, outcome)
        }));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.metadata.writer_stats(), before, "nothing is answered while nothing can be committed");
    lock.execute_batch("ROLLBACK").unwrap();
    let (mut wins, mut misses) = ([0; 4], [0; 4]);
    for task in tasks {
        let (number, outcome) = task.await.unwrap();
        let class = usize::try_from(number % 4).unwrap();
        match outcome {
            Ok(()) => wins[class] += 1,
            Err(CommitError::Missed { guard: Guard::ChangeNumber }) if class == 0 => misses[class] += 1,
            Err(CommitError::Missed { guard: Guard::GroupRevision }) if class == 1 => misses[class] += 1,
            Err(CommitError::Missed { guard: Guard::GroupName }) if class == 2 => misses[class] += 1,
            Err(error) => panic!("{number}: {error}"),
        }
    }
    assert_eq!((wins, misses), ([1, 1, 1, 50], [49, 49, 49, 0]));
    let stats = world.metadata.writer_stats();
    assert_eq!(stats.batches - before.batches, 53);
    assert!(stats.transactions - before.transactions <= 20, "{stats:?}");
    assert_eq!(stats.reruns, 0);
    let count = |table: &str| world.behind().number(&format!("SELECT COUNT(*) FROM {table}"));
    assert_eq!((count("users"), count("subjects"), count("secret_groups")), (1 + 1, 2 + 1, 1 + 1 + 50));
    assert_eq!(world.metadata.group(group.id, &admin()).await.unwrap().unwrap().group.revision, 2);
    let (_, events) = world.metadata.audit_events(AuditFilter::default(), 0, 1).await.unwrap();
    assert_eq!(events, 2 + 53, "an event for each that was written and none for the others");
}

#[tokio::test]
async fn an_answer_that_nobody_waits_for_changes_nothing() {
    let world = World::started().await;
    let lock = world.raw();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    {
        let (user, event) = (user("gone@x.io"), event("X"));
        let commit = std::pin::pin!(change_identities(&world.metadata, &event, |change| change.add_user(&user)));
        assert!(commit.poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    lock.execute_batch("ROLLBACK").unwrap();
    // What is handed over later is written later.
    world.metadata.record(event("Y")).await.unwrap();
    assert!(world.metadata.user_by_email("gone@x.io").await.unwrap().is_some());
}

#[tokio::test]
async fn unwaited_events_are_written_though_the_database_is_dropped() {
    let world = World::started().await;
    let lock = world.raw();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    for _ in 0..50 {
        world.metadata.record_unwaited(event("X")).await;
    }
    let World { metadata, folder, new: _new, postgres: _ } = world;
    drop(metadata);
    lock.execute_batch("ROLLBACK").unwrap();
    let again = Metadata::open(&folder.path().join("metadata.db")).unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let (_, total) = again.audit_events(AuditFilter::default(), 0, 1).await.unwrap();
        if total == 51 {
            break;
        }
        assert!(Instant::now() < end, "{total} of 51");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_on_while_writing_is_held_up() {
    let world = World::started().await;
    let lock = world.raw();
    lock.execute_batch("BEGIN IMMEDIATE; DELETE FROM users").unwrap();
    let begin = Instant::now();
    assert!(world.metadata.user_by_email("admin@x.io").await.unwrap().is_some(), "what is not committed is not seen");
    assert!(begin.elapsed() < Duration::from_secs(1));
}

/// One statement reads a group and its secrets, so no reader ever sees half of a change.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_group_is_read_in_one_cut() {
    use strongroom_metadata::KeyState;

    use crate::world::{lifetime, version};

    let world = World::started().await;
    let group = world.group("g", &["A", "B"]);
    world.metadata.create_group(&group).await.unwrap();
    let (metadata, id) = (world.metadata.clone(), group.id);
    let reader = tokio::task::spawn_blocking(move || {
        let mut seen = 0;
        while seen < 40 {
            let state = metadata.group(id, &admin()).now_or_never().unwrap().unwrap().unwrap();
            assert_eq!(state.secrets.len(), 2);
            for secret in &state.secrets {
                assert_eq!(
                    (secret.version, i64::from(state.group.revision_mac[0])),
                    (state.group.revision, secret.version)
                );
            }
            seen = state.group.revision;
        }
    });
    for revision in 1..40 {
        let mut change = world.change(group.id, "g", revision);
        for secret in &group.secrets {
            let (expected, next) = (revision, revision + 1);
            change.ended.push(secret.id);
            change.states.push(KeyState {
                id: secret.id,
                expected_version: expected,
                version: next,
                key: secret.key.clone(),
                deleted: None,
            });
            change.versions.push(version(secret.id, &secret.key, next));
            change.began.push(lifetime(secret.id, &secret.key, next));
        }
        world.metadata.change_group(&change).await.unwrap();
    }
    reader.await.unwrap();
}
