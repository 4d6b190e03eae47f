//! SQLite: a file in the data folder, read inline, written by one thread.

mod grants;
mod queue;
mod reader;
mod writer;

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags};

use grants::Grants;

use crate::sql::{Field, Row, Sql, Value};
use crate::stamps::Stamps;
use crate::{Batch, CommitError, OpenError, ReadError, WriterStats, migrations};

/// A SQLite file.
pub(crate) struct Database {
    /// Tells this database's connections from another's in the same thread.
    number: u64,
    path: PathBuf,
    writer: writer::Writer,
}

impl Database {
    /// Opens the file, makes it when absent, and brings its schema up to date.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        make_file(path);
        let mut connection =
            open_writing(path, OpenFlags::SQLITE_OPEN_CREATE).map_err(|source| OpenError::engine(path, &source))?;
        migrations::sqlite::migrate(&mut connection, path)?;
        let grants = Arc::new(Grants::new());
        Ok(Self {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            path: path.to_owned(),
            writer: writer::Writer::start(connection, grants, path.to_owned())?,
        })
    }

    pub(crate) async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.writer.commit(batch).await
    }

    pub(crate) async fn commit_unwaited(&self, batch: Batch) {
        self.writer.commit_unwaited(batch).await;
    }

    pub(crate) fn writer_stats(&self) -> WriterStats {
        self.writer.stats()
    }

    pub(crate) fn stamps(&self) -> &Stamps {
        self.writer.stamps()
    }

    /// All grants on groups, as far as they are kept in memory.
    pub(crate) fn grants(&self) -> &Grants {
        self.writer.grants()
    }

    /// Reads them, and keeps them from now on.
    pub(crate) async fn load_grants(&self) -> Result<(), CommitError> {
        self.writer.load_grants().await
    }

    /// Overwrites what was deleted in the write-ahead log too, by emptying it into the database.
    pub(crate) async fn truncate_log(&self) -> Result<(), CommitError> {
        self.writer.truncate_log().await
    }

    /// Reads inline on a connection of the calling thread.
    pub(crate) fn scan(
        &self,
        sql: &'static Sql,
        params: &[Value],
        each: impl FnMut(&Row<'_>) -> Result<bool, ReadError>,
    ) -> Result<(), ReadError> {
        reader::scan(self.number, &self.path, sql, params, each)
    }
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// A field as SQLite gives it.
pub(crate) fn field(value: ValueRef<'_>) -> Field<'_> {
    match value {
        ValueRef::Null => Field::Null,
        ValueRef::Integer(number) => Field::Int(number),
        ValueRef::Text(text) => std::str::from_utf8(text).map_or(Field::Other, Field::Text),
        ValueRef::Blob(bytes) => Field::Bytes(bytes),
        ValueRef::Real(_) => Field::Other,
    }
}

/// For its owner only, and SQLite makes the files beside it like it. Where it can't be made SQLite says why.
pub(crate) fn make_file(path: &Path) {
    drop(std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path));
}

pub(crate) fn open_writing(path: &Path, create: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags | create)?;
    configure(&connection)?;
    // Some file systems can't have it; with another journal readers would hold up the writer, and who knows what else.
    let journal: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if journal != "wal" {
        let reason = format!("the file system can't hold a write-ahead log (journal mode is {journal})");
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CANTOPEN),
            Some(reason),
        ));
    }
    // FULL: in WAL mode NORMAL may lose the last commits when power fails.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "cache_size", -4_096)?;
    connection.pragma_update(None, "wal_autocheckpoint", 8_000)?;
    Ok(connection)
}

pub(crate) fn open_reading(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    configure(&connection)?;
    connection.pragma_update(None, "cache_size", -8_192)?;
    Ok(connection)
}

/// Reads what the last checkpoint left, makes no file and takes no lock.
pub(crate) fn open_untouched(path: &Path) -> rusqlite::Result<Connection> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/.-_".contains(&byte);
    let escaped = |byte: &u8| if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
    let name: String = path.as_os_str().as_encoded_bytes().iter().map(escaped).collect();
    let uri = format!("file:{name}?immutable=1");
    Connection::open_with_flags(uri, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(128);
    // Without it a statement is planned anew whenever a parameter that stands beside a partial index changes: that cost
    // more than running it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // No file outside of the data folder: it may be the only place that can be written to.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))
}
