//! A whole instance is copied from one database to another, whichever engines keep them.
//!
//! The source is made read-only first, for every process and inside the database. Then everything is copied in one
//! transaction of the target, read back in it, and compared. What is sealed stays sealed: no key is asked for. When the
//! copy is on the target's disk the source is marked, so that nobody goes on with it.

mod digest;
mod error;
mod postgres;
mod run;
mod side;
mod sqlite;
mod tables;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use crate::PostgresAddress;
pub use error::CopyError;

/// A database that an instance is copied from or to.
#[derive(Debug, Clone)]
pub enum Location {
    /// An SQLite file. Who calls holds its lock.
    Sqlite(PathBuf),
    /// PostgreSQL; not a pooler.
    Postgres(Box<PostgresAddress>),
}

impl Location {
    /// For messages, and noted in the source: no password.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Postgres(address) => address.shown(),
        }
    }
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The source is read-only from now on.
    Marked,
    /// Rows go to the target.
    Copying,
    /// They are read again and compared.
    Comparing,
    /// The target has everything, on its disk; the source isn't marked yet.
    Committed,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// With which table.
    pub table: &'static str,
    /// Rows done in this phase.
    pub rows: u64,
    /// Of so many.
    pub total: u64,
}

/// What both databases hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyReport {
    /// Table by table.
    pub tables: Vec<TableReport>,
    /// Whether an earlier run had copied everything already, and this one compared it only.
    pub was_complete: bool,
}

/// A table that is the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableReport {
    /// Its name.
    pub name: &'static str,
    /// How many rows it has.
    pub rows: u64,
    /// SHA-256 over them, in hexadecimal digits.
    pub hash: String,
}

/// Copies the instance, all or nothing, and marks the source as moved.
///
/// After an interruption the same call goes on: before the target has everything it has nothing, and the copy begins
/// anew; after it, both are compared and the source is marked.
pub async fn copy_database(
    from: &Location,
    to: &Location,
    progress: impl FnMut(Progress),
) -> Result<CopyReport, CopyError> {
    use {Location::Postgres, Location::Sqlite};
    let note = to.shown();
    match (from, to) {
        (Sqlite(from), Sqlite(to)) => run::copy::<sqlite::File, sqlite::File>(from, to, &note, progress).await,
        (Sqlite(from), Postgres(to)) => run::copy::<sqlite::File, postgres::Server>(from, to, &note, progress).await,
        (Postgres(from), Sqlite(to)) => run::copy::<postgres::Server, sqlite::File>(from, to, &note, progress).await,
        (Postgres(from), Postgres(to)) => {
            run::copy::<postgres::Server, postgres::Server>(from, to, &note, progress).await
        }
    }
}

/// Makes a source live again whose copying was begun and given up.
pub async fn undo_copy(from: &Location, to: &Location) -> Result<(), CopyError> {
    use {Location::Postgres, Location::Sqlite};
    let note = to.shown();
    match (from, to) {
        (Sqlite(from), Sqlite(to)) => run::undo::<sqlite::File, sqlite::File>(from, to, &note).await,
        (Sqlite(from), Postgres(to)) => run::undo::<sqlite::File, postgres::Server>(from, to, &note).await,
        (Postgres(from), Sqlite(to)) => run::undo::<postgres::Server, sqlite::File>(from, to, &note).await,
        (Postgres(from), Postgres(to)) => run::undo::<postgres::Server, postgres::Server>(from, to, &note).await,
    }
}
