//! SQLite: a file in the data folder, read inline, written by one thread.

mod queue;
mod reader;
mod stamps;
mod writer;

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use strongroom_domain::GroupId;
use tokio::sync::Semaphore;

use crate::reveals::Reveals;
use crate::sql::{Row, Sql, Value};
use crate::{Batch, CommitError, OpenError, ReadError, migrations};

pub(crate) use stamps::Scope;
pub use stamps::Stamp;
pub use writer::WriterStats;

/// How many long scans run at a time.
const SCANS: usize = 4;

/// The metadata database. Cheap to clone; the last clone dropped stops the writer after what waits has been committed.
#[derive(Clone)]
pub struct Metadata(Arc<Inner>);

struct Inner {
    /// Tells this database's connections from another's in the same thread.
    number: u64,
    path: PathBuf,
    writer: writer::Writer,
    reveals: Reveals,
    scans: Arc<Semaphore>,
}

impl Metadata {
    /// Opens the file, makes it when absent, and brings its schema up to date. Blocking: call it at start.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        // For its owner only, and SQLite makes the files beside it like it. Where it can't be made SQLite says why.
        drop(std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path));
        let mut connection = open_writing(path, OpenFlags::SQLITE_OPEN_CREATE)
            .map_err(|source| OpenError::Engine { path: path.to_owned(), source })?;
        migrations::migrate(&mut connection, path)?;
        Ok(Self(Arc::new(Inner {
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            path: path.to_owned(),
            writer: writer::Writer::start(connection, path.to_owned())?,
            reveals: Reveals::new(),
            scans: Arc::new(Semaphore::new(SCANS)),
        })))
    }

    /// Commits a batch: when this returns `Ok`, the batch is on the disk.
    pub async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        self.0.writer.commit(batch).await
    }

    /// Hands a batch over and waits for it only when too many wait already; for events that should not delay an answer.
    pub async fn commit_unwaited(&self, batch: Batch) {
        self.0.writer.commit_unwaited(batch).await;
    }

    /// What the writer has done since the start.
    #[must_use]
    pub fn writer_stats(&self) -> WriterStats {
        self.0.writer.stats()
    }

    /// What was read of users, virtual accounts and tokens holds for as long as the stamp taken *before* the read is the
    /// present one. `None` while it changes: keep nothing, and use nothing that was kept.
    #[must_use]
    pub fn identity_stamp(&self) -> Option<Stamp> {
        self.0.writer.stamps().shared()
    }

    /// The same of a group, its secrets and who may see them.
    pub(crate) fn group_stamp(&self, group: GroupId) -> Option<Stamp> {
        self.0.writer.stamps().group(group)
    }

    pub(crate) fn reveals(&self) -> &Reveals {
        &self.0.reveals
    }

    /// Overwrites what was deleted in the write-ahead log too, by emptying it into the database.
    pub async fn truncate_log(&self) -> Result<(), CommitError> {
        self.0.writer.truncate_log().await
    }

    /// Every row of a statement, read inline in the calling task.
    pub(crate) fn rows<T>(
        &self,
        sql: &'static Sql,
        params: &[Value],
        mut each: impl FnMut(&Row<'_>) -> Result<T, ReadError>,
    ) -> Result<Vec<T>, ReadError> {
        let mut out = Vec::new();
        self.scan(sql, params, |row| {
            out.push(each(row)?);
            Ok(true)
        })?;
        Ok(out)
    }

    /// The first row of a statement, if there is one.
    pub(crate) fn first<T>(
        &self,
        sql: &'static Sql,
        params: &[Value],
        mut each: impl FnMut(&Row<'_>) -> Result<T, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        let mut out = None;
        self.scan(sql, params, |row| {
            out = Some(each(row)?);
            Ok(false)
        })?;
        Ok(out)
    }

    /// Row after row until `each` says `false`.
    pub(crate) fn scan(
        &self,
        sql: &'static Sql,
        params: &[Value],
        each: impl FnMut(&Row<'_>) -> Result<bool, ReadError>,
    ) -> Result<(), ReadError> {
        reader::scan(self.0.number, &self.0.path, sql, params, each)
    }

    /// Runs a read that may be long on a thread of its own, so that it doesn't hold up the tasks beside it.
    pub(crate) async fn aside<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let permit = self.0.scans.clone().acquire_owned().await.map_err(|_| ReadError::Lost)?;
        let metadata = self.clone();
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            read(&metadata)
        })
        .await
        .map_err(|_| ReadError::Lost)?
    }
}

fn open_writing(path: &Path, create: OpenFlags) -> rusqlite::Result<Connection> {
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

fn open_reading(path: &Path) -> rusqlite::Result<Connection> {
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
