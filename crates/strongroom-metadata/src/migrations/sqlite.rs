use std::path::Path;

use rusqlite::Connection;

use super::{APPLIED, Applied, MIGRATIONS, TABLE, pending};
use crate::{OpenError, dialect};

/// Brings a SQLite database to the newest schema, each step in its own transaction.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    migrate_to(connection, path, MIGRATIONS)
}

fn migrate_to(connection: &mut Connection, path: &Path, migrations: &[&str]) -> Result<(), OpenError> {
    let engine = |source: rusqlite::Error| OpenError::engine(path, &source);
    connection.execute_batch(&dialect::sqlite(TABLE)).map_err(engine)?;
    let applied = applied(connection).map_err(engine)?;
    for (version, text, checksum) in pending(&applied, migrations, &path.display().to_string())? {
        apply(connection, version, text, &checksum).map_err(engine)?;
    }
    Ok(())
}

fn applied(connection: &Connection) -> rusqlite::Result<Vec<Applied>> {
    connection.prepare(APPLIED)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn apply(connection: &mut Connection, version: i64, text: &str, checksum: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(&dialect::sqlite(text))?;
    transaction.execute("INSERT INTO schema_migrations (version, checksum) VALUES (?1, ?2)", (version, checksum))?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    #[test]
    fn applying_twice_changes_nothing() {
        let mut connection = memory();
        migrate(&mut connection, Path::new("x")).unwrap();
        migrate(&mut connection, Path::new("x")).unwrap();
        assert_eq!(applied(&connection).unwrap().len(), MIGRATIONS.len());
    }

    #[test]
    fn a_newer_schema_stops_the_start() {
        let mut connection = memory();
        migrate(&mut connection, Path::new("x")).unwrap();
        connection.execute("INSERT INTO schema_migrations VALUES (99, 'x')", []).unwrap();
        assert!(matches!(migrate(&mut connection, Path::new("x")), Err(OpenError::NewerSchema { found: 99, .. })));
    }

    #[test]
    fn an_altered_migration_stops_the_start() {
        let mut connection = memory();
        migrate(&mut connection, Path::new("x")).unwrap();
        connection.execute("UPDATE schema_migrations SET checksum = 'x'", []).unwrap();
        assert!(matches!(
            migrate(&mut connection, Path::new("x")),
            Err(OpenError::AlteredMigration { version: 1, .. })
        ));
    }

    /// From every schema that was ever released the newest one comes out, to the letter.
    #[test]
    fn an_upgraded_schema_equals_a_fresh_one() {
        let schema = |connection: &Connection| -> Vec<(String, String)> {
            let mut statement =
                connection.prepare("SELECT name, COALESCE(sql, '') FROM sqlite_master ORDER BY type, name").unwrap();
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
        };
        let mut fresh = memory();
        migrate(&mut fresh, Path::new("x")).unwrap();
        for released in 0..=MIGRATIONS.len() {
            let mut old = memory();
            migrate_to(&mut old, Path::new("x"), &MIGRATIONS[..released]).unwrap();
            assert_eq!(applied(&old).unwrap().len(), released);
            migrate(&mut old, Path::new("x")).unwrap();
            assert_eq!(schema(&old), schema(&fresh), "from schema {released}");
            assert_eq!(applied(&old).unwrap(), applied(&fresh).unwrap());
        }
        assert!(schema(&fresh).len() > 20);
    }

    #[test]
    fn a_migration_that_fails_leaves_nothing() {
        let mut connection = memory();
        let broken = [MIGRATIONS[0], "CREATE TABLE half (a {int}); CREATE TABLE half (a {int})"];
        assert!(matches!(migrate_to(&mut connection, Path::new("x"), &broken), Err(OpenError::Engine { .. })));
        assert_eq!(applied(&connection).unwrap().len(), 1);
        assert!(connection.prepare("SELECT * FROM half").is_err());
    }
}
