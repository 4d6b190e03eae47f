//! Schema changes, in order, frozen once released: the checksum of each applied text is kept beside its number.

use std::path::Path;

use rusqlite::Connection;

use crate::{OpenError, dialect};

/// Every migration; the position in the list, from 1, is its version.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_initial.sql")];

/// Brings a SQLite database to the newest schema, each step in its own transaction.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    migrate_to(connection, path, MIGRATIONS)
}

fn migrate_to(connection: &mut Connection, path: &Path, migrations: &[&str]) -> Result<(), OpenError> {
    let engine = |source| OpenError::Engine { path: path.to_owned(), source };
    connection
        .execute_batch(
            "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER NOT NULL PRIMARY KEY, checksum TEXT NOT NULL)",
        )
        .map_err(engine)?;
    let applied = applied(connection).map_err(engine)?;
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    if let Some((found, _)) = applied.last().filter(|(version, _)| *version > known) {
        return Err(OpenError::NewerSchema { path: path.to_owned(), found: *found, known });
    }
    for (version, text) in (1..).zip(migrations) {
        let checksum = checksum(text);
        match applied.iter().find(|(applied, _)| *applied == version) {
            Some((_, kept)) if *kept == checksum => {}
            Some(_) => return Err(OpenError::AlteredMigration { path: path.to_owned(), version }),
            None => apply(connection, version, text, &checksum).map_err(engine)?,
        }
    }
    Ok(())
}

fn applied(connection: &Connection) -> rusqlite::Result<Vec<(i64, String)>> {
    connection
        .prepare("SELECT version, checksum FROM schema_migrations ORDER BY version")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

fn apply(connection: &mut Connection, version: i64, text: &str, checksum: &str) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(&dialect::sqlite(text))?;
    transaction.execute("INSERT INTO schema_migrations (version, checksum) VALUES (?1, ?2)", (version, checksum))?;
    transaction.commit()
}

/// FNV-1a of 64 bits: it tells an edited file from the released one; nobody forges migrations with it.
fn checksum(text: &str) -> String {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
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

    /// A merged migration is never edited: this list only grows.
    #[test]
    fn released_migrations_are_frozen() {
        let checksums: Vec<_> = MIGRATIONS.iter().map(|text| checksum(text)).collect();
        assert_eq!(checksums, include_str!("../migrations/checksums.txt").lines().collect::<Vec<_>>());
    }
}
