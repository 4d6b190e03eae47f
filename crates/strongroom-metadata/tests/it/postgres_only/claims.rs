//! A batch waits for another session's lock when its connection ends: its fate is settled when it is known.

use std::time::Duration;

use strongroom_metadata::{CommitError, Guard};
use tokio_postgres::Client;

use super::writes::{Kind, Seen, Told, Write, told};
use super::{Stage, client, database, until};

const LIMIT: Duration = Duration::from_secs(3);
const WAITING: &str = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' \
    AND application_name = 'strongroom writes'";

/// A batch that another session's lock holds up, on a connection that ends meanwhile.
struct Held {
    stage: Stage,
    holder: Client,
}

impl Held {
    async fn new(limit: Duration, prepare: &str) -> Option<Self> {
        let stage = Stage::new(limit).await?;
        stage.direct.batch_execute(prepare).await.unwrap();
        let holder = client(&database(&stage.world).url()).await;
        Some(Self { stage, holder })
    }

    async fn hold(&self, sql: &str) {
        self.holder.batch_execute("BEGIN").await.unwrap();
        self.holder.batch_execute(sql).await.unwrap();
    }

    /// Runs the write; once it waits its connection is cut, and once `then_waiting` sessions wait, the rest is done.
    async fn cut(&self, write: &Write, then_waiting: u32, rest: impl AsyncFnOnce()) -> Result<(), CommitError> {
        let beside = async {
            until(&self.stage.direct, &format!("(SELECT COUNT(*) {WAITING}) = 1")).await;
            self.stage.proxy.cut();
            until(&self.stage.direct, &format!("(SELECT COUNT(*) {WAITING}) = {then_waiting}")).await;
            rest().await;
        };
        tokio::join!(write.run(&self.stage.world.metadata), beside).0
    }

    async fn seen(&self, write: &Write) -> Seen {
        // The batch of the lost connection is at its end, too.
        until(&self.stage.direct, &format!("(SELECT COUNT(*) {WAITING}) = 0")).await;
        write.seen(&self.stage.direct).await
    }

    fn reruns(&self) -> u64 {
        self.stage.world.metadata.writer_stats().reruns
    }
}

const LOCK_GROUPS: &str = "SELECT id FROM secret_groups FOR UPDATE";
/// Holds a batch between its last write and its COMMIT.
const LAST: &str = "CREATE FUNCTION wait_for_test() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
    IF NEW.committed = 1 THEN PERFORM pg_advisory_xact_lock_shared(77); END IF; RETURN NULL; END $$; \
    CREATE TRIGGER test_wait AFTER INSERT ON batches FOR EACH ROW EXECUTE FUNCTION wait_for_test()";
const HOLD_LAST: &str = "SELECT pg_advisory_xact_lock(77)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_row_is_free_again() {
    let Some(held) = Held::new(LIMIT, "").await else { return };
    let write = Write::new(Kind::ChangeGroup, &held.stage.world).await;
    held.hold(LOCK_GROUPS).await;
    // The lost batch and the one that takes its place.
    let outcome = held.cut(&write, 2, async || held.holder.batch_execute("ROLLBACK").await.unwrap()).await;
    assert!(outcome.is_ok(), "{outcome:?}");
    assert_eq!((held.seen(&write).await, held.reruns()), (Seen::Whole, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_row_has_changed() {
    let Some(held) = Held::new(LIMIT, "").await else { return };
    let write = Write::new(Kind::ChangeGroup, &held.stage.world).await;
    held.hold("UPDATE secret_groups SET revision = 9").await;
    let outcome = held.cut(&write, 2, async || held.holder.batch_execute("COMMIT").await.unwrap()).await;
    assert!(matches!(outcome, Err(CommitError::Missed { guard: Guard::GroupRevision })), "{outcome:?}");
    held.stage.direct.batch_execute("UPDATE secret_groups SET revision = 1").await.unwrap();
    assert_eq!(held.seen(&write).await, Seen::Nothing);
}

/// The claim waits for the batch, and finds it committed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_is_written_but_not_committed_and_then_it_is() {
    let Some(held) = Held::new(LIMIT, LAST).await else { return };
    for kind in Kind::ALL {
        let write = Write::new(kind, &held.stage.world).await;
        held.hold(HOLD_LAST).await;
        let outcome = held.cut(&write, 2, async || held.holder.batch_execute("COMMIT").await.unwrap()).await;
        assert!(outcome.is_ok(), "{kind:?}: {outcome:?}");
        assert_eq!((held.seen(&write).await, held.reruns()), (Seen::Whole, 0), "{kind:?}");
    }
}

/// The claim waits for the batch, and finds that it was rolled back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_is_written_but_not_committed_and_then_it_is_not() {
    let Some(held) = Held::new(LIMIT, LAST).await else { return };
    for kind in Kind::ALL {
        let write = Write::new(kind, &held.stage.world).await;
        held.hold(HOLD_LAST).await;
        let reruns = held.reruns();
        let outcome = held.cut(&write, 2, async || {
            let kill = format!("SELECT pg_terminate_backend(pid) {WAITING} AND wait_event = 'advisory'");
            held.holder.batch_execute(&kill).await.unwrap();
            until(&held.stage.direct, "(SELECT COUNT(*) FROM batches WHERE committed = 0) > 0").await;
            held.holder.batch_execute("COMMIT; DELETE FROM batches WHERE committed = 0").await.unwrap();
        });
        let outcome = outcome.await;
        assert!(outcome.is_ok(), "{kind:?}: {outcome:?}");
        assert_eq!((held.seen(&write).await, held.reruns()), (Seen::Whole, reruns + 1), "{kind:?}");
    }
}

/// Nobody can say in time what will become of it: it may be either, and nothing else is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lock_outlives_all_patience() {
    let Some(held) = Held::new(Duration::from_millis(400), LAST).await else { return };
    let write = Write::new(Kind::CreateUser, &held.stage.world).await;
    held.hold(HOLD_LAST).await;
    let outcome = write.run(&held.stage.world.metadata).await;
    // The server's own limit ends the batch, so that its fate is known mostly; but whatever is said is true.
    assert_ne!(told(&outcome), Told::Written, "{outcome:?}");
    held.holder.batch_execute("COMMIT").await.unwrap();
    let seen = held.seen(&write).await;
    assert!(told(&outcome) == Told::Unknown || seen == Seen::Nothing, "{outcome:?}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(held.seen(&write).await, seen, "nothing comes late");
}
