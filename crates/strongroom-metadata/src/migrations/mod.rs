//! Schema changes, in order, frozen once released: the checksum of each applied text is kept beside its number.

pub(crate) mod postgres;
pub(crate) mod sqlite;

use crate::OpenError;

/// Every migration; the position in the list, from 1, is its version.
pub(crate) const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/0001_initial.sql"),
    include_str!("../../migrations/0002_replicas.sql"),
    include_str!("../../migrations/0003_identity.sql"),
    include_str!("../../migrations/0004_outer_stores.sql"),
    include_str!("../../migrations/0005_grant_changes.sql"),
];

/// Keeps what was applied; `{text}` and `{int}` are spelled by the dialect.
const TABLE: &str =
    "CREATE TABLE IF NOT EXISTS schema_migrations (version {int} NOT NULL PRIMARY KEY, checksum {text} NOT NULL)";
pub(crate) const APPLIED: &str = "SELECT version, checksum FROM schema_migrations ORDER BY version";

/// A migration that was applied: its version, and the checksum of its text.
pub(crate) type Applied = (i64, String);

/// Those migrations that are still to be applied, with their versions and checksums, oldest first.
pub(crate) fn pending<'a>(
    applied: &[Applied],
    migrations: &[&'a str],
    database: &str,
) -> Result<Vec<(i64, &'a str, String)>, OpenError> {
    let known = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    if let Some((found, _)) = applied.last().filter(|(version, _)| *version > known) {
        return Err(OpenError::NewerSchema { database: database.to_owned(), found: *found, known });
    }
    let mut pending = Vec::new();
    for (version, text) in (1..).zip(migrations) {
        let checksum = checksum(text);
        match applied.iter().find(|(applied, _)| *applied == version) {
            Some((_, kept)) if *kept == checksum => {}
            Some(_) => return Err(OpenError::AlteredMigration { database: database.to_owned(), version }),
            None => pending.push((version, *text, checksum)),
        }
    }
    Ok(pending)
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

    /// A merged migration is never edited: this list only grows.
    #[test]
    fn released_migrations_are_frozen() {
        let checksums: Vec<_> = MIGRATIONS.iter().map(|text| checksum(text)).collect();
        assert_eq!(checksums, include_str!("../../migrations/checksums.txt").lines().collect::<Vec<_>>());
    }
}
