use tokio_postgres::types::Type;
use tokio_postgres::{Client, IsolationLevel};

use super::{APPLIED, Applied, MIGRATIONS, TABLE, pending};
use crate::{OpenError, dialect};

/// Brings a PostgreSQL database to the newest schema, all steps in one transaction. Of several replicas that start at a
/// time one does it, and the others wait for it.
pub(crate) async fn migrate(client: &mut Client, database: &str) -> Result<(), OpenError> {
    migrate_to(client, database, MIGRATIONS).await
}

pub(crate) async fn migrate_to(client: &mut Client, database: &str, migrations: &[&str]) -> Result<(), OpenError> {
    let engine = |error: tokio_postgres::Error| OpenError::Engine {
        database: database.to_owned(),
        reason: crate::postgres::described(&error),
    };
    // Not as the database has it by default: it may be read-only, or show a state from before the lock was had.
    let begin = client.build_transaction().isolation_level(IsolationLevel::ReadCommitted).read_only(false);
    let transaction = begin.start().await.map_err(engine)?;
    transaction.batch_execute(dialect::LOCK_MIGRATIONS).await.map_err(engine)?;
    // A role that may make no tables can use a database that has all of them.
    let there: bool = transaction.query_typed_one(dialect::IS_MIGRATED, &[]).await.map_err(engine)?.get(0);
    if !there {
        transaction.batch_execute(&dialect::postgres(TABLE)).await.map_err(engine)?;
    }
    let rows = transaction.query_typed(APPLIED, &[]).await.map_err(engine)?;
    let applied: Vec<Applied> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    for (version, text, checksum) in pending(&applied, migrations, database)? {
        transaction.batch_execute(&dialect::postgres(text)).await.map_err(engine)?;
        let note = "INSERT INTO schema_migrations (version, checksum) VALUES ($1, $2)";
        transaction.execute_typed(note, &[(&version, Type::INT8), (&checksum, Type::TEXT)]).await.map_err(engine)?;
        tracing::info!(version, "migrated the database's schema");
    }
    transaction.commit().await.map_err(engine)
}
