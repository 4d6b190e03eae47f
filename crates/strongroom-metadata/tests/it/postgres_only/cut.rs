//! The connection ends, or stands still, at every place of a batch. What the engine says must be what is there.

use std::time::Duration;

use super::proxy::Fault;
use super::writes::{Kind, Seen, Told, Write, told};
use super::{LIMIT, Stage, ask};
use crate::world::event;
use futures_util::future::join_all;

/// Makes a write that meets a fault and compares what is said with what is there. `None` when the fault was too late for
/// the batch.
async fn meet(stage: &Stage, kind: Kind, fault: Fault, refuse: Duration) -> Option<(Told, Write, Seen)> {
    let write = Write::new(kind, &stage.world).await;
    let numbers = async || {
        let number: i64 = ask(&stage.direct, "SELECT number FROM change_number").await.parse().unwrap();
        let committed = ask(&stage.direct, "SELECT COUNT(*) FROM batches WHERE committed = 1").await;
        (number, committed.parse::<i64>().unwrap())
    };
    let before = numbers().await;
    stage.proxy.arm(fault, refuse);
    let outcome = write.run(&stage.world.metadata).await;
    let fired = stage.proxy.disarm();
    let seen = write.seen(&stage.direct).await;
    let told = told(&outcome);
    match told {
        Told::Written => assert_eq!(seen, Seen::Whole, "{kind:?} {fault:?}"),
        Told::NotWritten => assert_eq!(seen, Seen::Nothing, "{kind:?} {fault:?}: {outcome:?}"),
        Told::Unknown => assert!(!refuse.is_zero(), "{kind:?} {fault:?}: the database could be asked: {outcome:?}"),
    }
    let after = numbers().await;
    let batches = i64::from(seen == Seen::Whole);
    assert_eq!(after.1 - before.1, batches, "{kind:?} {fault:?}: committed ids");
    assert_eq!(after.0 - before.0, if kind == Kind::CreateUser { batches } else { 0 }, "{kind:?} {fault:?}");
    fired.then_some((told, write, seen))
}

/// The pool has not leaked anything, and everything works.
async fn recovers(stage: &Stage) {
    for kind in Kind::ALL {
        let write = Write::new(kind, &stage.world).await;
        write.run(&stage.world.metadata).await.unwrap();
        assert_eq!(write.seen(&stage.direct).await, Seen::Whole);
    }
    let sessions = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()";
    super::until(&stage.direct, &format!("({sessions}) <= 16")).await;
    let odd = "SELECT COUNT(*) FROM batches WHERE committed NOT IN (0, 1)";
    assert_eq!(ask(&stage.direct, odd).await, "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_every_message_to_the_server() {
    let Some(stage) = Stage::new(LIMIT).await else { return };
    for kind in Kind::ALL {
        let mut at = 1;
        while let Some((told, ..)) = meet(&stage, kind, Fault::CutSent(at), Duration::ZERO).await {
            assert_eq!(told, Told::Written, "{kind:?} {at}: it runs again");
            at += 1;
        }
        assert!(at > 15, "{kind:?} has only {at} messages");
    }
    assert!(stage.world.metadata.writer_stats().reruns > 20);
    recovers(&stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_the_middle_of_messages() {
    let Some(stage) = Stage::new(LIMIT).await else { return };
    for (kind, step) in Kind::ALL.into_iter().zip([131, 149, 61, 53]) {
        let mut at = 1;
        while let Some((told, ..)) = meet(&stage, kind, Fault::CutBytes(at), Duration::ZERO).await {
            assert_eq!(told, Told::Written, "{kind:?} {at}: it runs again");
            at += step;
        }
        assert!(at > 800, "{kind:?} has only {at} bytes");
    }
    recovers(&stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_are_lost() {
    let Some(stage) = Stage::new(LIMIT).await else { return };
    for kind in Kind::ALL {
        let mut at = 0;
        while let Some((told, ..)) = meet(&stage, kind, Fault::CutAnswers(at), Duration::ZERO).await {
            assert_eq!(told, Told::Written, "{kind:?} {at}");
            at += 1;
        }
        assert!(at > 15, "{kind:?} has only {at} answers");
    }
    assert_eq!(stage.world.metadata.writer_stats().reruns, 0, "it was there each time");
    recovers(&stage).await;
}

/// A pooler's own error has no severity that is the same in all languages, and none of the codes of the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_loses_the_answers() {
    let Some(stage) = Stage::new(LIMIT).await else { return };
    for kind in [Kind::ChangeGroup, Kind::Event] {
        let mut at = 0;
        while let Some((told, ..)) = meet(&stage, kind, Fault::PoolerGivesUp(at), Duration::ZERO).await {
            assert_eq!(told, Told::Written, "{kind:?} {at}");
            at += 1;
        }
    }
    recovers(&stage).await;
}

/// Databases that speak PostgreSQL's protocol may do that to any question.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_after_the_commit_collides() {
    let Some(stage) = Stage::new(LIMIT).await else { return };
    for kind in Kind::ALL {
        let (told, ..) = meet(&stage, kind, Fault::ProofCollides, Duration::ZERO).await.unwrap();
        assert_eq!(told, Told::Written);
    }
    recovers(&stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_in_for_a_while() {
    let Some(stage) = Stage::new(LIMIT).await else { return };
    let metadata = &stage.world.metadata;
    for (kind, fault) in [(Kind::ChangeGroup, Fault::CutSent(9)), (Kind::Event, Fault::CutAnswers(12))] {
        let (told, ..) = meet(&stage, kind, fault, LIMIT).await.unwrap();
        assert_eq!(told, Told::Written, "{kind:?} {fault:?}");
    }
    let mut left = Vec::new();
    for fault in [Fault::CutSent(9), Fault::CutAnswers(12)] {
        for kind in [Kind::CreateGroup, Kind::Event] {
            let (told, write, seen) = meet(&stage, kind, fault, Duration::from_hours(1)).await.unwrap();
            assert_eq!(told, Told::Unknown, "{kind:?} {fault:?}");
            assert_eq!(seen == Seen::Whole, matches!(fault, Fault::CutAnswers(_)));
            left.push((write, seen));
            // The pool doesn't knock again at once.
            while metadata.record(event("AGAIN")).await.is_err() {}
        }
    }
    recovers(&stage).await;
    for (write, seen) in left {
        assert_eq!(write.seen(&stage.direct).await, seen, "what was there or not stays so");
    }
}

/// The rest of the batch arrives after its fate was settled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_batch_comes_late() {
    const LANES: usize = 8;
    const SHORT: Duration = Duration::from_millis(600);
    let mut lanes = Vec::new();
    for _ in 0..LANES {
        let Some(stage) = Stage::new(SHORT).await else { return };
        lanes.push(stage);
    }
    let places = Kind::ALL.into_iter().flat_map(|kind| (1..48).map(move |at| (kind, at)));
    let mut shares: Vec<Vec<_>> = vec![Vec::new(); LANES];
    places.enumerate().for_each(|(turn, place)| shares[turn % LANES].push(place));
    let late = lanes.iter().zip(shares).map(async |(stage, share)| {
        let (mut left, mut again) = (Vec::new(), 0);
        for (kind, at) in share {
            // Not every batch has as many messages.
            let Some((told, write, seen)) = meet(stage, kind, Fault::Hold(at, SHORT * 3 / 2), Duration::ZERO).await
            else {
                continue;
            };
            // Run again, it may have waited too long for the one that was late.
            again += usize::from(told == Told::Written);
            left.push((write, seen));
        }
        assert!(again > 5);
        left
    });
    let left = join_all(late).await;
    assert!(left.iter().map(Vec::len).sum::<usize>() > 80);
    // Nobody is on the way any more.
    for (stage, left) in lanes.iter().zip(left) {
        let sessions = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND \
            (state <> 'idle' OR wait_event_type = 'Lock') AND pid <> pg_backend_pid()";
        super::until(&stage.direct, &format!("({sessions}) = 0")).await;
        for (write, seen) in left {
            assert_eq!(write.seen(&stage.direct).await, seen, "nothing comes late, and nothing goes");
        }
        recovers(stage).await;
    }
}

/// A firewall has forgotten the connections: nothing comes back on them, and nobody says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connections_of_the_pool_are_dead() {
    let Some(stage) = Stage::new(LIMIT).await else { return };
    let metadata = &stage.world.metadata;
    let several = || async {
        let users = (0..6).map(|_| Write::new(Kind::CreateUser, &stage.world));
        let writes = join_all(users).await;
        let outcomes = join_all(writes.iter().map(|write| write.run(metadata))).await;
        for (write, outcome) in writes.iter().zip(outcomes) {
            assert!(outcome.is_ok(), "a new connection works: {outcome:?}");
            assert_eq!(write.seen(&stage.direct).await, Seen::Whole);
        }
    };
    several().await;
    stage.proxy.freeze();
    let write = Write::new(Kind::Event, &stage.world).await;
    write.run(metadata).await.unwrap();
    assert_eq!(write.seen(&stage.direct).await, Seen::Whole);
    several().await;
    metadata.record(event("LATER")).await.unwrap();
}
