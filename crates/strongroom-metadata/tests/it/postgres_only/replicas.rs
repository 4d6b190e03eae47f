//! Several replicas over one database: what one changes the others know of within a second, and a job is one's only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use strongroom_metadata::{CommitError, Guard, KeyState, Metadata, PurgeItem};
use strongroom_throwaway::{Postgres, PostgresOptions};

use super::proxy::Proxy;
use super::writes::{Kind, Write};
use super::{ask, client, database, started, until, within};
use crate::world::{NOW, World, event};

const LIMIT: Duration = Duration::from_secs(10);
/// What the engine promises.
const WITHIN: Duration = Duration::from_secs(1);

/// One replica changes, and the other's stamp of before is not in use any more a second later. Gives how soon it moved.
pub(crate) async fn noticed(world: &World, other: &Metadata) -> Duration {
    let before = known(other).await;
    let own = known(&world.metadata).await;
    Write::new(Kind::CreateUser, world).await.run(&world.metadata).await.unwrap();
    assert_ne!(world.metadata.identity_stamp(), Some(own), "who made the change knows at once");
    let changed = Instant::now();
    while other.identity_stamp() == Some(before) {
        assert!(changed.elapsed() < WITHIN, "still in use {:?} after the change", changed.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let after = changed.elapsed();
    assert_ne!(known(other).await, before);
    after
}

/// Waits until a replica knows where it stands.
async fn known(metadata: &Metadata) -> strongroom_metadata::Stamp {
    let started = Instant::now();
    loop {
        if let Some(stamp) = metadata.identity_stamp() {
            return stamp;
        }
        assert!(started.elapsed() < Duration::from_secs(5), "it doesn't find its way back");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_noticed() {
    let Some(world) = started().await else { return };
    let other = world.opened_again().await;
    let direct = client(&database(&world).url()).await;
    let listeners = "(SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() \
        AND application_name = 'strongroom listener' AND query LIKE 'LISTEN%' AND state = 'idle')";
    until(&direct, &format!("{listeners} = 2")).await;
    let mut soon = 0;
    for _ in 0..6 {
        soon += u32::from(noticed(&world, &other).await < Duration::from_millis(200));
    }
    assert!(soon >= 5, "nobody listens: {soon} of 6 were heard of");
    // Nobody can listen, and asking is enough.
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let killing = tokio::spawn(async move {
        while !stopped.load(SeqCst) {
            let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE datname = current_database() AND application_name = 'strongroom listener'";
            direct.execute(kill, &[]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        direct
    });
    for _ in 0..4 {
        noticed(&world, &other).await;
    }
    stop.store(true, SeqCst);
    let direct = killing.await.unwrap();
    until(&direct, &format!("{listeners} = 2")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_changes_nothing_is_kept() {
    let Some(world) = started().await else { return };
    let (url, before) = (database(&world).url(), known(&world.metadata).await);
    let (holder, direct) = (client(&url).await, client(&url).await);
    holder.batch_execute("BEGIN; UPDATE change_number SET number = number").await.unwrap();
    let write = Write::new(Kind::CreateUser, &world).await;
    let beside = async {
        let waits = "(SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock') = 1";
        until(&direct, waits).await;
        assert_eq!(world.metadata.identity_stamp(), None);
        // A change of a group or an event keeps nobody waiting, and says nothing of identities.
        for kind in [Kind::CreateGroup, Kind::Event] {
            Write::new(kind, &world).await.run(&world.metadata).await.unwrap();
        }
        holder.batch_execute("COMMIT").await.unwrap();
    };
    let (outcome, ()) = tokio::join!(write.run(&world.metadata), beside);
    outcome.unwrap();
    let after = known(&world.metadata).await;
    assert_ne!(after, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_and_events_move_nothing() {
    let Some(mut world) = started().await else { return };
    // This one knows of the first start from its first question on.
    world.metadata = world.opened_again().await;
    let before = known(&world.metadata).await;
    for kind in [Kind::CreateGroup, Kind::ChangeGroup, Kind::Event] {
        Write::new(kind, &world).await.run(&world.metadata).await.unwrap();
    }
    assert_eq!(known(&world.metadata).await, before);
    // And what is known may be used nearly all the time.
    let mut used = 0;
    for _ in 0..100 {
        used += u32::from(world.metadata.identity_stamp() == Some(before));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(used > 75, "only {used} times of 100");
}

/// The way of one replica to the database goes silent: it must not go on with what it knew, and finds another way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_cut_off() {
    let Some(world) = started().await else { return };
    let proxy = Proxy::start(&database(&world).url());
    let other = Metadata::connect(&within(&proxy.url(), LIMIT)).await.unwrap();
    for _ in 0..2 {
        // All connections of its reads are in use.
        join_all((0..8).map(|_| other.user_by_email("admin@x.io"))).await;
        known(&other).await;
        proxy.freeze();
        noticed(&world, &other).await;
        assert!(other.is_ready().await.is_ok());
        noticed(&world, &other).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_stands_still() {
    if std::env::var_os("STRONGROOM_TEST_POSTGRES").is_none() {
        return;
    }
    let started = || Postgres::start(PostgresOptions { durable: false, ..PostgresOptions::default() }).unwrap();
    let server = tokio::task::spawn_blocking(started).await.unwrap();
    let metadata = Metadata::connect(&within(&server.url("postgres"), LIMIT)).await.unwrap();
    for _ in 0..2 {
        let before = known(&metadata).await;
        tokio::task::block_in_place(|| server.pause());
        let paused = Instant::now();
        while metadata.identity_stamp().is_some() {
            assert!(paused.elapsed() < WITHIN, "it is used for {:?}", paused.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(WITHIN).await;
        assert_eq!(metadata.identity_stamp(), None);
        assert!(metadata.is_ready().await.is_err());
        server.resume();
        assert_eq!(known(&metadata).await, before, "nothing changed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_one_replicas_only() {
    let Some(world) = started().await else { return };
    let (one, two) = (&world.metadata, world.opened_again().await);
    let direct = client(&database(&world).url()).await;
    let item = trash(&world).await;
    let purge_at = NOW.plus_days(30);
    let short = Duration::from_secs(1);
    let stale = one.lease("purge", "one", short).await.unwrap().expect("it is free");
    assert_eq!(two.lease("purge", "two", short).await.unwrap(), None);
    let renewed = one.lease("purge", "one", short).await.unwrap().expect("it is its own");
    assert_eq!(renewed.fence(), stale.fence());
    // The first one stands still for too long, and the other one takes its place.
    until(&direct, "(SELECT expires_at FROM leases) <= EXTRACT(EPOCH FROM clock_timestamp()) * 1000000").await;
    let expired = one.purge(&stale, &item, purge_at, &event("PURGE")).await;
    assert!(matches!(expired, Err(CommitError::Missed { guard: Guard::Lease })), "{expired:?}");
    let taken = two.lease("purge", "two", Duration::from_mins(5)).await.unwrap().expect("it has ended");
    assert!(taken.fence() > stale.fence());
    let refused = one.purge(&stale, &item, purge_at, &event("PURGE")).await;
    assert!(matches!(refused, Err(CommitError::Missed { guard: Guard::Lease })), "{refused:?}");
    assert_eq!(one.lease("purge", "one", short).await.unwrap(), None);
    // The times are the database's, whatever this machine's clock says.
    let left = "SELECT expires_at - (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT FROM leases";
    let left: i64 = ask(&direct, left).await.parse().unwrap();
    assert!((270_000_000..=300_000_000).contains(&left), "{left}");
    let now: i64 = ask(&direct, "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::BIGINT").await.parse().unwrap();
    let apart = one.clock().unwrap().now().micros() - now;
    assert!(apart.abs() < 500_000, "{apart} apart");
    // The second one stops, and nobody waits for the end of its time.
    two.release_leases("two").await.unwrap();
    let again = one.lease("purge", "one", short).await.unwrap().expect("it was given back");
    assert!(again.fence() > taken.fence());
    let late = two.purge(&taken, &item, purge_at, &event("PURGE")).await;
    assert!(matches!(late, Err(CommitError::Missed { guard: Guard::Lease })), "{late:?}");
    assert_eq!(ask(&direct, "SELECT COUNT(*) FROM audit_events WHERE action = 'PURGE'").await, "0");
    two.release_leases("somebody else").await.unwrap();
    let again = one.lease("purge", "one", Duration::from_mins(1)).await.unwrap().expect("it is its own");
    one.purge(&again, &item, purge_at, &event("PURGE")).await.unwrap();
}

/// A secret in the trash.
async fn trash(world: &World) -> PurgeItem {
    let new = world.group("old", &["A"]);
    world.metadata.create_group(&new).await.unwrap();
    let (id, purge_at) = (new.secrets[0].id, NOW.plus_days(30));
    let mut change = world.change(new.id, "old", 1);
    let deleted = Some((NOW, purge_at));
    change.states = vec![KeyState { id, expected_version: 1, version: 1, key: "A".into(), deleted }];
    change.ended = vec![id];
    world.metadata.change_group(&change).await.unwrap();
    PurgeItem::Secret { id, key: "A".into(), group_id: new.id, group_name: "old".into() }
}

/// Many want the same lease for a very short time, and write under what they think they have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_under_a_rush() {
    let Some(world) = started().await else { return };
    let direct = client(&database(&world).url()).await;
    let log = "CREATE TABLE test_held (at BIGSERIAL, holder TEXT, fence BIGINT, writes BOOL, lasts BOOL); \
        CREATE FUNCTION test_note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        INSERT INTO test_held (holder, fence, writes, lasts) VALUES (NEW.holder, NEW.fence, \
        NEW.fence = OLD.fence AND NEW.expires_at = OLD.expires_at, \
        NEW.expires_at > EXTRACT(EPOCH FROM clock_timestamp()) * 1000000); RETURN NULL; END $$; \
        CREATE TRIGGER test_note AFTER UPDATE ON leases FOR EACH ROW EXECUTE FUNCTION test_note()";
    direct.batch_execute(log).await.unwrap();
    let mut replicas = Vec::new();
    for holder in ["one", "two", "three"] {
        replicas.push((holder, world.opened_again().await));
    }
    let rush = replicas.iter().map(async |(holder, metadata)| {
        let (mut written, mut refused) = (0, 0);
        while written < 10 {
            // They last longer from one to the next, so that in the end a machine under any load is fast enough; and
            // who holds one for as long as it lasts is too late.
            let held = written + refused;
            let length = Duration::from_millis(10 + held);
            let Some(lease) = metadata.lease("prune", holder, length).await.unwrap() else {
                tokio::time::sleep(Duration::from_millis(2)).await;
                continue;
            };
            let too_late = held % 3 == 2;
            tokio::time::sleep(if too_late { length } else { length / 4 }).await;
            match metadata.prune_batches(&lease).await {
                Ok(()) if too_late => panic!("{holder} wrote under a lease that had ended"),
                Ok(()) => written += 1,
                Err(CommitError::Missed { guard: Guard::Lease }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
        written
    });
    let counts = join_all(rush).await;
    // Who waits for a row sees the others' notes in their order.
    let falls =
        "SELECT COUNT(*) FROM (SELECT fence < LAG(fence) OVER (ORDER BY at) AS falls FROM test_held) t WHERE falls";
    assert_eq!(ask(&direct, falls).await, "0");
    let shared =
        "SELECT COUNT(*) FROM (SELECT fence FROM test_held GROUP BY fence HAVING COUNT(DISTINCT holder) > 1) t";
    assert_eq!(ask(&direct, shared).await, "0");
    let counted: u64 = counts.iter().sum();
    assert_eq!(ask(&direct, "SELECT COUNT(*) FROM test_held WHERE writes").await, counted.to_string());
}
