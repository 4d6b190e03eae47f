//! A server whose commits wait for a synchronous standby: nothing is acknowledged that the standby doesn't have.

use std::time::Duration;

use strongroom_metadata::Metadata;
use strongroom_throwaway::{Postgres, PostgresOptions};
use tokio_postgres::Client;

use super::writes::{Kind, Seen, Told, Write, told};
use super::{ask, client, until, within};
use crate::world::World;

const LIMIT: Duration = Duration::from_secs(1);
const SYNC_REP: &str = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

struct Pair {
    world: World,
    direct: Client,
    /// Of the standby.
    copy: Client,
    standby: Postgres,
    _primary: Postgres,
}

impl Pair {
    async fn start() -> Option<Self> {
        std::env::var_os("STRONGROOM_TEST_POSTGRES")?;
        let made = tokio::task::spawn_blocking(|| {
            let mut primary = Postgres::start(PostgresOptions { durable: false, ..PostgresOptions::default() })?;
            primary.create_database("strongroom")?;
            let standby = primary.synchronous_standby()?;
            Ok::<_, String>((primary, standby))
        });
        // Where none can be had, another machine tests this.
        let (primary, standby) = made.await.unwrap().ok()?;
        let url = primary.url("strongroom");
        let metadata = Metadata::connect(&within(&url, LIMIT)).await.unwrap();
        let world = World { metadata, new: World::rows(), folder: tempfile::tempdir().unwrap(), postgres: None };
        world.metadata.create_instance(&world.new).await.unwrap();
        let (direct, copy) = (client(&url).await, client(&standby.url("strongroom")).await);
        Some(Self { world, direct, copy, standby, _primary: primary })
    }

    /// What the standby has. It can't be asked while it is paused.
    async fn copied(&self, write: &Write) -> Seen {
        let at = ask(&self.direct, "pg_current_wal_lsn()").await;
        until(&self.copy, &format!("pg_last_wal_replay_lsn() >= '{at}'::pg_lsn")).await;
        write.seen(&self.copy).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_without_the_copy() {
    let Some(pair) = Pair::start().await else { return };
    let metadata = &pair.world.metadata;

    // A short pause: the write waits, and is acknowledged when the copy has it.
    let write = Write::new(Kind::CreateGroup, &pair.world).await;
    pair.standby.pause();
    let resumed = async {
        until(&pair.direct, &format!("(SELECT COUNT(*) {SYNC_REP}) = 1")).await;
        pair.standby.resume();
    };
    let (outcome, ()) = tokio::join!(write.run(metadata), resumed);
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!(pair.copied(&write).await, Seen::Whole);

    // A long pause: nothing is acknowledged, though the server itself shows it to everybody.
    let mut left = Vec::new();
    pair.standby.pause();
    for kind in [Kind::CreateUser, Kind::Event] {
        let write = Write::new(kind, &pair.world).await;
        let outcome = write.run(metadata).await;
        assert_eq!(told(&outcome), Told::Unknown, "{kind:?}: {outcome:?}");
        left.push(write);
    }
    pair.standby.resume();
    for write in &left {
        assert_eq!(pair.copied(write).await, Seen::Whole, "it was on its way");
    }
    let write = Write::new(Kind::ChangeGroup, &pair.world).await;
    write.run(metadata).await.unwrap();
    assert_eq!(pair.copied(&write).await, Seen::Whole);

    // An administrator cancels the wait. The server then says COMMIT, with a warning; that isn't passed on.
    for kind in Kind::ALL {
        let write = Write::new(kind, &pair.world).await;
        pair.standby.pause();
        let cancelled = async {
            until(&pair.direct, &format!("(SELECT COUNT(*) {SYNC_REP}) = 1")).await;
            pair.direct.execute(&format!("SELECT pg_cancel_backend(pid) {SYNC_REP}"), &[]).await.unwrap();
            // That one is through; its fate is asked for by a transaction that waits itself.
            tokio::time::sleep(LIMIT / 4).await;
            until(&pair.direct, &format!("(SELECT COUNT(*) {SYNC_REP}) = 1")).await;
            pair.standby.resume();
            std::time::Instant::now()
        };
        let timed = async { (write.run(metadata).await, std::time::Instant::now()) };
        let ((outcome, answered), resumed) = tokio::join!(timed, cancelled);
        assert!(outcome.is_ok(), "{kind:?}: {outcome:?}");
        assert!(answered >= resumed, "{kind:?}: acknowledged while the copy stood still");
        assert_eq!(pair.copied(&write).await, Seen::Whole, "{kind:?}");
    }

    // The claim's own wait is cancelled, too, again and again: nobody knows.
    let write = Write::new(Kind::CreateGroup, &pair.world).await;
    pair.standby.pause();
    let cancels = async {
        loop {
            pair.direct.execute(&format!("SELECT pg_cancel_backend(pid) {SYNC_REP}"), &[]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let outcome = tokio::select! { outcome = write.run(metadata) => outcome, () = cancels => unreachable!() };
    assert_eq!(told(&outcome), Told::Unknown, "{outcome:?}");
    pair.standby.resume();
    assert_eq!(pair.copied(&write).await, Seen::Whole);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_standby_is_killed_and_comes_back() {
    let Some(mut pair) = Pair::start().await else { return };
    pair.standby.kill();
    let write = Write::new(Kind::CreateGroup, &pair.world).await;
    let outcome = write.run(&pair.world.metadata).await;
    assert_eq!(told(&outcome), Told::Unknown, "{outcome:?}");
    // A write that waits while it comes back.
    let later = Write::new(Kind::Event, &pair.world).await;
    let metadata = pair.world.metadata.clone();
    let waiting = async {
        loop {
            match later.run(&metadata).await {
                Ok(()) => return,
                // Never twice: what is unknown may be there.
                outcome if told(&outcome) == Told::Unknown => return,
                _ => {}
            }
        }
    };
    let standby = &mut pair.standby;
    let ((), restarted) = tokio::join!(waiting, async { tokio::task::block_in_place(|| standby.restart()) });
    restarted.unwrap();
    pair.copy = client(&pair.standby.url("strongroom")).await;
    assert_eq!(pair.copied(&write).await, Seen::Whole);
    assert_eq!(pair.copied(&later).await, Seen::Whole);
    let write = Write::new(Kind::CreateUser, &pair.world).await;
    write.run(&pair.world.metadata).await.unwrap();
    assert_eq!(pair.copied(&write).await, Seen::Whole);
}
