use std::path::Path;

use crate::Guard;

/// Why a database could not be opened. The text names what to look at.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The engine refused.
    #[error(
        "can't open the database {database} (setting database-url): {reason}; where it is damaged, restore it from a backup"
    )]
    Engine {
        /// The file or address.
        database: String,
        /// The engine's reason.
        reason: String,
    },
    /// The database can't be reached or used over the network.
    #[error("can't use the database {database} (setting {setting}): {reason}")]
    Unreachable {
        /// The address.
        database: String,
        /// The setting that names it.
        setting: &'static str,
        /// Why.
        reason: String,
    },
    /// The database was written by a newer release.
    #[error(
        "the database {database} has schema {found}, but this release knows only {known}: it was written by a newer release; \
         start that one, or restore a backup made before the upgrade"
    )]
    NewerSchema {
        /// The file or address.
        database: String,
        /// Its schema.
        found: i64,
        /// The newest schema that this release knows.
        known: i64,
    },
    /// An applied migration differs from the one in this binary.
    #[error(
        "the database {database} was migrated with another text of migration {version}: it belongs to a different build"
    )]
    AlteredMigration {
        /// The file or address.
        database: String,
        /// Which migration.
        version: i64,
    },
    /// The writer thread could not be started.
    #[error("can't start the database writer: {0}")]
    Thread(#[from] std::io::Error),
}

impl OpenError {
    pub(crate) fn engine(path: &Path, source: &rusqlite::Error) -> Self {
        Self::Engine { database: path.display().to_string(), reason: source.to_string() }
    }
}

/// Why a read gave nothing. "Not found" is no error but `None`.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// SQLite failed.
    #[error("the database can't be read")]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL failed.
    #[error("the database can't be read")]
    Postgres(#[from] tokio_postgres::Error),
    /// There is no connection to the database, or it didn't answer in time.
    #[error("the database can't be read: {0}")]
    Unreachable(String),
    /// A stored field has a form that it can't have: the row was damaged.
    #[error("column {column} of {statement} holds what it can't hold")]
    Damaged {
        /// The statement that read it.
        statement: &'static str,
        /// The column's position in it, from 0.
        column: usize,
    },
    /// A scan's thread was lost.
    #[error("the reading thread was lost")]
    Lost,
}

/// Why a batch was not committed. Nothing of it was written, but for `Unavailable`, where that may be unknown.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// A guard was missed: somebody else was first. The batch wrote nothing.
    #[error("guard {guard:?} was missed")]
    Missed {
        /// Which one.
        guard: Guard,
    },
    /// The disk is full. The batch wrote nothing.
    #[error("the database's disk is full")]
    StorageFull,
    /// The database takes no writes: it is being copied to another one, or is itself a copy.
    #[error("the database takes no writes")]
    ReadOnly,
    /// The engine failed, or the server is stopping.
    #[error("the database can't be written: {0}")]
    Unavailable(String),
}
