//! The server ends or cancels what a batch does, and sessions have other settings than the engine would like.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use strongroom_metadata::{Metadata, PostgresAddress};

use super::writes::{Kind, Seen, Told, Write, told};
use super::{ask, client, database, started, until, within};
use crate::behind::TestDatabase;
use crate::world::{World, event};

/// Sessions end and statements are cancelled at random, and each writer checks what it was told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_end_at_random() {
    const EACH: usize = 50;
    let Some(mut world) = started().await else { return };
    let url = database(&world).url();
    world.metadata = Metadata::connect(&within(&url, Duration::from_secs(5))).await.unwrap();
    let (direct, killer) = (client(&url).await, client(&url).await);
    // A batch takes long enough to be met anywhere, also between its last write and its COMMIT.
    let slow = "CREATE FUNCTION test_slow() RETURNS trigger LANGUAGE plpgsql AS \
        $$ BEGIN PERFORM pg_sleep(random() * 0.01); RETURN NEW; END $$; \
        CREATE TRIGGER test_slow BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION test_slow(); \
        CREATE TRIGGER test_slow AFTER INSERT ON batches FOR EACH ROW EXECUTE FUNCTION test_slow()";
    direct.batch_execute(slow).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let kills = tokio::spawn(async move {
        let (mut ended, mut turn) = (0, 0_u64);
        while !stopped.load(SeqCst) {
            turn += 1;
            let how = if turn.is_multiple_of(2) { "pg_terminate_backend" } else { "pg_cancel_backend" };
            let sql = format!(
                "SELECT {how}(pid) FROM pg_stat_activity WHERE datname = current_database() AND \
                 application_name = 'strongroom writes' AND state <> 'idle' AND random() < 0.3"
            );
            ended += killer.query(&sql, &[]).await.unwrap().len();
            tokio::time::sleep(Duration::from_millis(5 + turn * 7 % 20)).await;
        }
        ended
    });
    let writers = Kind::ALL.map(|kind| {
        let (world, direct) = (&world, &direct);
        async move {
            let mut tally = [0; 2];
            let mut left = Vec::new();
            for _ in 0..EACH {
                let write = loop {
                    // Making the group that is changed may fail, too.
                    if kind != Kind::ChangeGroup {
                        break Write::new(kind, world).await;
                    }
                    if let Some(write) = Write::try_change(world).await {
                        break write;
                    }
                };
                let outcome = write.run(&world.metadata).await;
                let seen = write.seen(direct).await;
                match told(&outcome) {
                    Told::Written => assert_eq!(seen, Seen::Whole, "{kind:?}"),
                    Told::NotWritten => assert_eq!(seen, Seen::Nothing, "{kind:?}: {outcome:?}"),
                    Told::Unknown => panic!("{kind:?}: the database could be asked: {outcome:?}"),
                }
                tally[usize::from(outcome.is_ok())] += 1;
                left.push((write, seen));
            }
            (tally, left)
        }
    });
    let all = futures_util::future::join_all(writers).await;
    stop.store(true, SeqCst);
    let ended = kills.await.unwrap();
    let [failed, written] = [0, 1].map(|at| all.iter().map(|(tally, _)| tally[at]).sum::<usize>());
    assert!(ended > 20 && failed > 3 && written > 20, "{ended} ended, {failed} failed, {written} written");
    assert!(world.metadata.writer_stats().reruns > 3);
    for (write, seen) in all.iter().flat_map(|(_, left)| left) {
        assert_eq!(write.seen(&direct).await, *seen);
    }
    Write::new(Kind::ChangeGroup, &world).await.run(&world.metadata).await.unwrap();
}

/// A statement takes longer than the limit: nothing is written, then or later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_takes_too_long() {
    let Some(mut world) = started().await else { return };
    let url = database(&world).url();
    let direct = client(&url).await;
    world.metadata = Metadata::connect(&within(&url, Duration::from_millis(300))).await.unwrap();
    let slow = "CREATE FUNCTION test_slow() RETURNS trigger LANGUAGE plpgsql AS \
        $$ BEGIN PERFORM pg_sleep(0.8); RETURN NEW; END $$; \
        CREATE TRIGGER test_slow BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION test_slow()";
    direct.batch_execute(slow).await.unwrap();
    for kind in [Kind::CreateGroup, Kind::CreateUser, Kind::Event] {
        let write = Write::new(kind, &world).await;
        let outcome = write.run(&world.metadata).await;
        assert_eq!(told(&outcome), Told::NotWritten, "{kind:?}: {outcome:?}");
        until(
            &direct,
            "(SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active') = 1",
        )
        .await;
        assert_eq!(write.seen(&direct).await, Seen::Nothing);
    }
    direct.batch_execute("DROP TRIGGER test_slow ON audit_events").await.unwrap();
    let write = Write::new(Kind::Event, &world).await;
    write.run(&world.metadata).await.unwrap();
}

/// Of two that wait for each other the batch is the one that is ended, and it runs again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock() {
    let Some(mut world) = started().await else { return };
    let (url, name) = (database(&world).url(), "current_database()");
    let (direct, other) = (client(&url).await, client(&url).await);
    let set =
        format!("DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = ''50ms''', {name}); END $$");
    direct.batch_execute(&set).await.unwrap();
    world.metadata = Metadata::connect(&within(&url, Duration::from_secs(5))).await.unwrap();
    let write = Write::new(Kind::ChangeGroup, &world).await;
    other.batch_execute("SET deadlock_timeout = '10s'; BEGIN; UPDATE secrets SET version = version").await.unwrap();
    let crossing = async {
        let waits = "(SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() \
            AND application_name = 'strongroom writes' AND wait_event_type = 'Lock') = 1";
        until(&direct, waits).await;
        other.batch_execute("UPDATE secret_groups SET seals = seals; COMMIT").await.unwrap();
    };
    // The first lock is had at once, and found again within the deadlock's time: or else it is tried again.
    let (outcome, ()) = tokio::join!(write.run(&world.metadata), crossing);
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(write.seen(&direct).await, Seen::Whole);
    let deadlocks = "SELECT COUNT(*) FROM batches WHERE committed = 0";
    assert_eq!(ask(&direct, deadlocks).await, "0", "a collision is no unclear commit");
}

/// The database's own defaults don't reach into a batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn defaults_of_the_database() {
    let Some(database) = std::env::var_os("STRONGROOM_TEST_POSTGRES").and_then(|_| TestDatabase::create()) else {
        return;
    };
    let url = database.url();
    for set in [
        "default_transaction_isolation = serializable",
        "synchronous_commit = off",
        "default_transaction_read_only = on",
    ] {
        let name = database.ask("SELECT current_database()");
        database.ask(&format!("SET default_transaction_read_only = off; ALTER DATABASE {} SET {set}", name.trim()));
    }
    // Before the first migration, as an administrator would.
    let through_options = Metadata::connect(&within(&url, Duration::from_secs(5))).await.unwrap();
    let mut options = within(&url, Duration::from_secs(5));
    // As behind a pooler: the session knows nothing of the engine.
    options.direct = Some(PostgresAddress::parse(&url, None).unwrap());
    let without = Metadata::connect(&options).await.unwrap();
    let world = World {
        metadata: through_options,
        new: World::rows(),
        folder: tempfile::tempdir().unwrap(),
        postgres: Some(database),
    };
    world.metadata.create_instance(&world.new).await.unwrap();
    let direct = client(&url).await;
    direct.batch_execute("SET default_transaction_read_only = off").await.unwrap();
    let watch = "CREATE TABLE test_seen (settings TEXT); \
        CREATE FUNCTION test_see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO test_seen VALUES (concat_ws(' ', \
        current_setting('transaction_isolation'), current_setting('transaction_read_only'), \
        current_setting('synchronous_commit'))); RETURN NULL; END $$; \
        CREATE TRIGGER test_see AFTER INSERT ON batches FOR EACH ROW EXECUTE FUNCTION test_see()";
    direct.batch_execute(watch).await.unwrap();
    for metadata in [&world.metadata, &without] {
        for kind in Kind::ALL {
            let write = Write::new(kind, &world).await;
            write.run(metadata).await.unwrap();
            assert_eq!(write.seen(&direct).await, Seen::Whole);
        }
        metadata.record(event("MORE")).await.unwrap();
    }
    assert_eq!(ask(&direct, "SELECT string_agg(DISTINCT settings, ',') FROM test_seen").await, "read committed off on");
    drop(without);
}
