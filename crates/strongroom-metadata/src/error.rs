use std::path::PathBuf;

use crate::Guard;

/// Why a database could not be opened. The text names what to look at.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The engine refused.
    #[error(
        "can't open the database {} (setting database-url): {source}; where it is damaged, restore it from a backup",
        path.display()
    )]
    Engine {
        /// The file.
        path: PathBuf,
        /// The engine's reason.
        source: rusqlite::Error,
    },
    /// The file was written by a newer release.
    #[error(
        "the database {} has schema {found}, but this release knows only {known}: it was written by a newer release; \
         start that one, or restore a backup made before the upgrade",
        path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this release knows.
        known: i64,
    },
    /// An applied migration differs from the one in this binary.
    #[error("the database {} was migrated with another text of migration {version}: it belongs to a different build", path.display())]
    AlteredMigration {
        /// The file.
        path: PathBuf,
        /// Which migration.
        version: i64,
    },
    /// The writer thread could not be started.
    #[error("can't start the database writer: {0}")]
    Thread(#[from] std::io::Error),
}

/// Why a read gave nothing. "Not found" is no error but `None`.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The engine failed.
    #[error("the database can't be read")]
    Engine(#[from] rusqlite::Error),
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
    /// The engine failed, or the server is stopping.
    #[error("the database can't be written: {0}")]
    Unavailable(String),
}
