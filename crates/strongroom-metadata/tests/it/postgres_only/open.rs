//! Opening: migrations by several at a time and from every earlier schema, and databases that can't be used.

use std::time::Duration;

use futures_util::future::join_all;
use strongroom_metadata::{Metadata, OpenError};
use strongroom_throwaway::{Postgres, PostgresOptions};

use super::within;
use crate::behind::{TestDatabase, connect};
use crate::migration::{self, MIGRATIONS};

const LIMIT: Duration = Duration::from_secs(10);
fn database() -> Option<TestDatabase> {
    std::env::var_os("STRONGROOM_TEST_POSTGRES")?;
    TestDatabase::create()
}

async fn opened(url: &str) -> Result<Metadata, String> {
    Metadata::connect(&within(url, LIMIT)).await.map_err(|error| error.to_string())
}

/// The error's text. An open database isn't [`Debug`].
async fn refused(url: &str) -> String {
    opened(url).await.err().expect("it was opened")
}

async fn ten_at_a_time(database: &TestDatabase) {
    let url = database.url();
    let opened = join_all((0..10).map(|_| opened(&url))).await;
    for one in &opened {
        assert!(one.is_ok(), "{:?}", one.as_ref().err());
    }
    assert_eq!(database.ask("SELECT COUNT(*) FROM schema_migrations"), format!("{}\n", MIGRATIONS.len()));
    assert_eq!(database.ask("SELECT COUNT(*) FROM change_number"), "1\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_open_an_empty_database() {
    let Some(database) = database() else { return };
    ten_at_a_time(&database).await;
}

/// Who waited for another's migration must not look at the state from before it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_open_one_with_strict_transactions() {
    let Some(database) = database() else { return };
    let name = database.ask("SELECT current_database()");
    database.ask(&format!("ALTER DATABASE {} SET default_transaction_isolation = 'repeatable read'", name.trim()));
    ten_at_a_time(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_schemas_are_left_alone() {
    let Some(database) = database() else { return };
    let url = database.url();
    drop(connect(url.clone()).await);
    database.ask("INSERT INTO schema_migrations VALUES (99, 'x')");
    let error = refused(&url).await;
    assert!(error.contains("schema 99") && error.contains("newer release"), "{error}");
    database.ask("DELETE FROM schema_migrations WHERE version = 99; UPDATE schema_migrations SET checksum = 'x' WHERE version = 2");
    let error = refused(&url).await;
    assert!(error.contains("another text of migration 2"), "{error}");
    assert!(matches!(
        Metadata::connect(&within(&url, LIMIT)).await,
        Err(OpenError::AlteredMigration { version: 2, .. })
    ));
    // A migration that fails leaves nothing of those before it.
    database.ask("DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE batches (a INT)");
    let error = refused(&url).await;
    assert!(error.contains("batches"), "{error}");
    assert_eq!(database.ask("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'public'"), "1\n");
}

/// Everything that a schema consists of.
fn schema(database: &TestDatabase) -> [String; 4] {
    [
        "SELECT table_name, ordinal_position, column_name, data_type, collation_name, is_nullable, column_default \
         FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2",
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        "SELECT conrelid::regclass::TEXT, conname, pg_get_constraintdef(oid) FROM pg_constraint \
         WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2",
        "SELECT version, checksum FROM schema_migrations ORDER BY 1",
    ]
    .map(|sql| database.ask(sql))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_equals_a_fresh_schema() {
    let Some(fresh) = database() else { return };
    drop(connect(fresh.url()).await);
    for from in 0..MIGRATIONS.len() {
        let old = database().unwrap();
        old.ask(&migration::schema(from, true));
        if from >= 1 {
            old.ask(
                "INSERT INTO instance (id, tenant, instance_id, account_id, created_at) VALUES (1, 'default', 'one', \
                 '0192f0c1-2b3c-7d4e-8f50-112233445501', 5); INSERT INTO users VALUES \
                 ('0192f0c1-2b3c-7d4e-8f50-112233445502', 'old@x.io', 'tenant-member', 1, 5, 6)",
            );
        }
        let metadata = connect(old.url()).await;
        assert_eq!(schema(&old), schema(&fresh), "from {from}");
        assert_eq!(old.ask("SELECT number FROM change_number"), "0\n");
        if from >= 1 {
            assert_eq!(metadata.user_by_email("old@x.io").await.unwrap().unwrap().created_at.micros(), 5);
            assert_eq!(metadata.instance().await.unwrap().unwrap().instance_id, "one");
            assert_eq!(metadata.is_ready().await, Ok(()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_without_rights() {
    let Some(database) = database() else { return };
    let name = format!("nobody_{}", database.ask("SELECT current_database()").trim());
    let url = database.url().replacen("postgres@", &format!("{name}@"), 1);
    database.ask(&format!("CREATE ROLE {name} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC"));
    let error = refused(&url).await;
    assert!(error.contains("permission denied") && error.contains("42501"), "{error}");
    // Nor one who may look only.
    drop(connect(database.url()).await);
    database.ask(&format!("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}"));
    let opened = opened(&url).await;
    if let Ok(metadata) = opened {
        let denied = metadata.record(crate::world::event("X")).await.unwrap_err().to_string();
        assert!(denied.contains("permission denied"), "{denied}");
    }
    database.ask(&format!("DROP OWNED BY {name}; DROP ROLE {name}"));
    let error = refused(&url).await;
    assert!(error.contains(&name), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_cannot_be_used() {
    if std::env::var_os("STRONGROOM_TEST_POSTGRES").is_none() {
        return;
    }
    let made = tokio::task::spawn_blocking(|| {
        let options = PostgresOptions { durable: false, max_connections: 9, ..PostgresOptions::default() };
        let mut server = Postgres::start(options).unwrap();
        let standby = server.synchronous_standby().unwrap();
        (server, standby)
    });
    let (mut server, standby) = made.await.unwrap();
    // A copy takes no writes, whether the schema is there or not.
    for _ in 0..2 {
        let error = refused(&standby.url("postgres")).await;
        assert!(error.contains("recovery") || error.contains("read-only"), "{error}");
        drop(opened(&server.url("postgres")).await.unwrap());
        let at = server.execute("postgres", "SELECT pg_current_wal_lsn()").unwrap();
        let behind = format!("SELECT pg_last_wal_replay_lsn() >= '{at}'::pg_lsn");
        while standby.execute("postgres", &behind).unwrap() != "t" {}
    }
    drop(standby);
    // All places are taken.
    let url = server.url("postgres");
    let mut taken = Vec::new();
    while let Ok((client, connection)) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await {
        tokio::spawn(connection);
        taken.push(client);
    }
    let error = refused(&url).await;
    assert!(error.contains("too many clients") && error.contains("database-url"), "{error}");
    drop(taken);
    tokio::task::block_in_place(|| server.stop());
    let error = refused(&url).await;
    assert!(error.contains("can't connect"), "{error}");
}
