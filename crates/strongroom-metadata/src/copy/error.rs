use crate::OpenError;

/// Why an instance was not copied. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A database can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// PostgreSQL can't be reached.
    #[error("{0}")]
    Unreachable(String),
    /// The engine failed.
    #[error("{database}: {reason}{}", within(table))]
    Engine {
        /// Which database.
        database: String,
        /// At which table; empty where it was at none.
        table: &'static str,
        /// The engine's reason.
        reason: String,
    },
    /// There is no source.
    #[error("{0} is no file")]
    NoFile(String),
    /// The source is no instance's database.
    #[error("{0} holds no instance of Strongroom")]
    NoInstance(String),
    /// The source's schema is not the newest.
    #[error(
        "{database} has schema {found}, and this release copies only schema {known}: start this release's server on it \
         once, stop it, and run this again"
    )]
    OlderSchema {
        /// Which database.
        database: String,
        /// Its schema.
        found: usize,
        /// The schema that this release knows.
        known: usize,
    },
    /// The source isn't where the instance lives any more.
    #[error("{database} was moved to {to}: the instance lives there now; nothing was changed")]
    Moved {
        /// Which database.
        database: String,
        /// Where to.
        to: String,
    },
    /// The source is being copied to another target.
    #[error(
        "{database} is being moved to {to}: give that one with --to to go on, or with --undo to stay; nothing was changed"
    )]
    Elsewhere {
        /// Which database.
        database: String,
        /// Where to.
        to: String,
    },
    /// The target is not empty.
    #[error(
        "{database} is not empty: it holds {what}. The copy needs a database of its own: give a new one, or empty this one; nothing was changed"
    )]
    NotEmpty {
        /// Which database.
        database: String,
        /// What is in it.
        what: String,
    },
    /// Another process is copying.
    #[error("another process is moving {0} at present")]
    Busy(String),
    /// Writers didn't let go of the source in time.
    #[error("{0} could not be made read-only: its tables are in use all the time; nothing was changed, try again")]
    NoPause(String),
    /// The source was changed by somebody else in the meantime.
    #[error(
        "{0} is not marked as it was a moment ago: another process has changed that; look at both databases and run this again"
    )]
    Marks(String),
    /// The engines' tables differ.
    #[error("the table {table} has other columns in {from} than in {to}: one of them was altered by hand")]
    Columns {
        /// Which table.
        table: &'static str,
        /// The source.
        from: String,
        /// The target.
        to: String,
    },
    /// A field that can't be copied.
    #[error(
        "the table {table} in {database} has a field of a kind that Strongroom doesn't write: it was altered or damaged"
    )]
    Field {
        /// Which database.
        database: String,
        /// Which table.
        table: &'static str,
    },
    /// What was read back isn't what was copied.
    #[error(
        "the table {table} is not the same on both sides ({rows} rows in the source, {copied} in the target{}): nothing was \
         kept in the target; the source stays read-only until this is run again, or with --undo",
        contents(*rows, *copied)
    )]
    Differs {
        /// Which table.
        table: &'static str,
        /// Rows of the source.
        rows: u64,
        /// Rows of the target.
        copied: u64,
    },
    /// An earlier run's copy has been changed since.
    #[error(
        "{to} holds this instance since an earlier run, but its table {table} isn't that of {from} any more: a server has \
         written there. Go on with {to}; {from} stays read-only and no server starts on it"
    )]
    Used {
        /// The source.
        from: String,
        /// The target.
        to: String,
        /// Which table.
        table: &'static str,
    },
    /// There is nothing to undo.
    #[error("{0} is not being moved: there is nothing to undo")]
    NothingToUndo(String),
    /// The target has the instance already.
    #[error(
        "{to} holds the whole instance already, so there is nothing to undo: run this again without --undo to finish, and \
         to come back afterwards move it from {to} to a new database"
    )]
    Complete {
        /// The target.
        to: String,
    },
    /// Undoing comes too late.
    #[error(
        "{database} was moved to {to}, and that can't be undone. To come back, run migrate-database --from {to} and --to a \
         new, empty database (this one would have to be emptied first); nothing was changed"
    )]
    TooLate {
        /// The source.
        database: String,
        /// Where to.
        to: String,
    },
}

fn within(table: &str) -> String {
    if table.is_empty() { String::new() } else { format!(" (table {table})") }
}

fn contents(rows: u64, copied: u64) -> &'static str {
    if rows == copied { ", but other contents" } else { "" }
}
