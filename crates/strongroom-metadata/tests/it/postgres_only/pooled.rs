//! Through `PgBouncer` in transaction mode. Skipped where it isn't installed.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use strongroom_domain::role::GroupRole;
use strongroom_metadata::{
    AuditFilter, CommitError, Guard, Level, Metadata, PostgresAddress, PostgresOptions, examine_postgres,
};
use strongroom_throwaway::{PgBouncer, Postgres};
use tokio_postgres::Client;

use super::replicas::noticed;
use super::writes::{Kind, Seen, Told, Write, told};
use super::{ask, client, within};
use crate::world::{World, admin, create_user, event, grant, user};

/// Both servers, and an instance that is reached through the pooler.
struct Pooled {
    world: World,
    direct: Client,
    options: PostgresOptions,
    _bouncer: PgBouncer,
    server: Postgres,
}

impl Pooled {
    async fn start() -> Option<Self> {
        std::env::var_os("STRONGROOM_TEST_POSTGRES")?;
        let named = std::env::var_os("STRONGROOM_TEST_PGBOUNCER").map(PathBuf::from);
        let program = named.or_else(PgBouncer::program)?;
        let made = tokio::task::spawn_blocking(move || {
            let options = strongroom_throwaway::PostgresOptions { durable: false, ..Default::default() };
            let server = Postgres::start(options).unwrap();
            let bouncer = PgBouncer::start(&program, &server).unwrap();
            (server, bouncer)
        });
        let (server, bouncer) = made.await.unwrap();
        let url = server.url("postgres");
        let mut options = within(&bouncer.url("postgres"), Duration::from_secs(5));
        options.direct = Some(PostgresAddress::parse(&url, None).unwrap());
        options.prepared_statements = keeps_prepared_statements(&bouncer.version());
        let world = World {
            metadata: Metadata::connect(&options).await.unwrap(),
            new: World::rows(),
            folder: tempfile::tempdir().unwrap(),
            postgres: None,
        };
        world.metadata.create_instance(&world.new).await.unwrap();
        Some(Self { world, direct: client(&url).await, options, _bouncer: bouncer, server })
    }
}

fn keeps_prepared_statements(version: &str) -> bool {
    let numbers: Vec<u32> = version.split('.').map_while(|part| part.parse().ok()).collect();
    numbers >= vec![1, 21]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_and_writes() {
    let Some(pooled) = Pooled::start().await else { return };
    let (world, metadata) = (&pooled.world, &pooled.world.metadata);
    assert_eq!(metadata.instance().await.unwrap().as_ref(), Some(&world.new.instance));
    let bob = user("bob@x.io");
    create_user(metadata, &bob, &event("CREATE_USER")).await.unwrap();
    assert_eq!(metadata.user_by_email("bob@x.io").await.unwrap().as_ref(), Some(&bob));
    let mut new = world.group("prod", &["A", "B"]);
    new.grants = vec![grant(new.id, "user:bob@x.io", GroupRole::Viewer)];
    metadata.create_group(&new).await.unwrap();
    let state = metadata.group_sealed(new.id, &admin()).await.unwrap().unwrap();
    assert_eq!((state.group.revision, state.secrets.len()), (1, 2));
    assert_eq!(state.secrets[0].sealed.as_deref(), Some(b"A=1".as_slice()));
    // A guard that is missed writes nothing, and the connection goes on.
    let mut again = world.group("prod", &["A"]);
    again.id = crate::world::id();
    let missed = metadata.create_group(&again).await;
    assert!(matches!(missed, Err(CommitError::Missed { guard: Guard::GroupName })), "{missed:?}");
    let late = metadata.change_group(&world.change(new.id, "prod", 7)).await;
    assert!(matches!(late, Err(CommitError::Missed { guard: Guard::GroupRevision })), "{late:?}");
    // Many at a time share the pooler's few sessions.
    let writes = join_all((0..80).map(|turn| Write::new(Kind::ALL[turn % 4], world))).await;
    let (outcomes, reads) = tokio::join!(
        join_all(writes.iter().map(|write| write.run(metadata))),
        join_all((0..80).map(|_| metadata.user_by_email("bob@x.io")))
    );
    assert!(reads.into_iter().all(|read| read.unwrap().as_ref() == Some(&bob)));
    for (write, outcome) in writes.iter().zip(outcomes) {
        assert!(outcome.is_ok(), "{outcome:?}");
        assert_eq!(write.seen(&pooled.direct).await, Seen::Whole);
    }
    let (events, total) = metadata.audit_events(AuditFilter::default(), 0, 1_000).await.unwrap();
    assert_eq!(
        (events.len().to_string(), total > 80),
        (ask(&pooled.direct, "SELECT COUNT(*) FROM audit_events").await, true)
    );
    metadata.scrub().await.unwrap();
    let lease = metadata.lease("job", "one", Duration::from_mins(1)).await.unwrap().expect("it is free");
    metadata.prune_batches(&lease).await.unwrap();
    // What a batch sets is gone with it: the next one on the session is somebody else's.
    let odd = "SELECT COUNT(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'";
    assert_eq!(ask(&pooled.direct, odd).await, "0");
}

/// Without a way past the pooler: nothing counts on what was left on a server, for the next transaction is on another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pooler_is_the_only_way() {
    let Some(mut pooled) = Pooled::start().await else { return };
    pooled.options.direct = None;
    let busy = join_all((0..40).map(|_| pooled.world.metadata.user_by_email("bob@x.io"))).await;
    assert!(busy.into_iter().all(|read| read.is_ok()));
    for _ in 0..3 {
        let opened = Metadata::connect(&pooled.options).await.unwrap();
        assert_eq!(opened.instance().await.unwrap().as_ref(), Some(&pooled.world.new.instance));
        let seen = examine_postgres(&pooled.options).await;
        assert!(seen.findings.iter().all(|finding| finding.level != Level::Failure), "{seen:?}");
        assert_eq!(seen.fingerprints.len(), 1);
    }
}

/// The server ends sessions while the pooler has them; what the pooler makes of that must not deceive anybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_behind_the_pooler_end() {
    let Some(pooled) = Pooled::start().await else { return };
    let world = &pooled.world;
    // Just before the COMMIT is done and just after are the times that count.
    let slow = "CREATE FUNCTION test_slow() RETURNS trigger LANGUAGE plpgsql AS \
        $$ BEGIN PERFORM pg_sleep(0.004); RETURN NEW; END $$; \
        CREATE CONSTRAINT TRIGGER test_slow AFTER INSERT ON batches DEFERRABLE INITIALLY DEFERRED \
        FOR EACH ROW EXECUTE FUNCTION test_slow()";
    pooled.direct.batch_execute(slow).await.unwrap();
    let killing = async {
        let mut turn = 0_u64;
        loop {
            turn += 1;
            let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
                AND backend_type = 'client backend' AND application_name = 'strongroom writes'";
            pooled.direct.execute(kill, &[]).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20 + turn * 7 % 30)).await;
        }
    };
    let writing = join_all([Kind::CreateGroup, Kind::CreateUser, Kind::Event].map(async |kind| {
        let mut left = Vec::new();
        for _ in 0..40 {
            let write = Write::new(kind, world).await;
            let outcome = write.run(&world.metadata).await;
            left.push((write, told(&outcome), format!("{kind:?}: {outcome:?}")));
        }
        left
    }));
    let all = tokio::select! { all = writing => all, () = killing => unreachable!() };
    let asking = client(&pooled.server.url("postgres")).await;
    for (write, told, what) in all.iter().flatten() {
        match (told, write.seen(&asking).await) {
            (Told::Written, Seen::Whole) | (Told::NotWritten, Seen::Nothing) => {}
            (told, seen) => panic!("{told:?}, but {seen:?}: {what}"),
        }
    }
    assert!(world.metadata.writer_stats().reruns > 0, "nobody was met");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_noticed_through_the_pooler() {
    let Some(pooled) = Pooled::start().await else { return };
    let other = Metadata::connect(&pooled.options).await.unwrap();
    for _ in 0..3 {
        noticed(&pooled.world, &other).await;
    }
}
