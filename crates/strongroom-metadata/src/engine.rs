//! The database, whichever engine keeps it.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt;
use strongroom_domain::{Clock, GroupId, SystemClock, Timestamp};
use tokio::sync::Semaphore;

use crate::entered::Found;
use crate::grants::Entrance;
use crate::groups::Viewpoint;
use crate::reveals::Reveals;
use crate::sql::{Row, Sql, Value};
use crate::stamps::Stamp;
use crate::{Batch, CommitError, IdentityChange, OpenError, PostgresOptions, ReadError, postgres, replicas, sqlite};

/// How many long reads run at a time.
const SCANS: usize = 4;
/// So many rows take about as long as the least read does.
const ROWS_A_TURN: usize = 16;

/// The metadata database. Cheap to clone.
#[derive(Clone)]
pub struct Metadata {
    inner: Arc<Inner>,
    /// Whether what is read through this may be long, and must not hold up others.
    aside: bool,
    /// By which grants end.
    clock: Arc<dyn Clock>,
}

struct Inner {
    engine: Engine,
    reveals: Reveals,
    scans: Arc<Semaphore>,
}

enum Engine {
    Sqlite(sqlite::Database),
    Postgres(postgres::Database),
}

/// What the writer has done since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriterStats {
    /// Batches committed.
    pub batches: u64,
    /// Transactions committed, each with one fsync.
    pub transactions: u64,
    /// Transactions that failed and were run again batch by batch.
    pub reruns: u64,
}

impl Metadata {
    /// Opens a SQLite file, makes it when absent, and brings its schema up to date. Blocking: call it at start.
    ///
    /// The last clone dropped stops the writer after what waits has been committed.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Ok(Self::with(Engine::Sqlite(sqlite::Database::open(path)?)))
    }

    /// Connects to PostgreSQL and brings the schema up to date.
    pub async fn connect(options: &PostgresOptions) -> Result<Self, OpenError> {
        // Connecting is a large future, and nobody else should be.
        let database = Box::pin(postgres::Database::open(options)).await?;
        Ok(Self::with(Engine::Postgres(database)))
    }

    fn with(engine: Engine) -> Self {
        let clock: Arc<dyn Clock> = match &engine {
            Engine::Sqlite(_) => Arc::new(SystemClock),
            Engine::Postgres(database) => Arc::new(database.clock()),
        };
        let inner = Inner { engine, reveals: Reveals::new(), scans: Arc::new(Semaphore::new(SCANS)) };
        Self { inner: Arc::new(inner), aside: false, clock }
    }

    /// The same database, where grants end by another clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The time by which grants end.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Commits a batch: when this returns `Ok`, the batch is on the disk.
    pub async fn commit(&self, mut batch: Batch) -> Result<(), CommitError> {
        if batch.is_shared() && !batch.is_decided() {
            replicas::bump(&mut batch);
        }
        match &self.inner.engine {
            Engine::Sqlite(database) => database.commit(batch).await,
            Engine::Postgres(database) => {
                if !batch.is_shared() && batch.changes_grants() {
                    replicas::move_grants(&mut batch);
                }
                database.commit(batch).await
            }
        }
    }

    /// Hands a batch over and waits for it only when too many wait already; for events that should not delay an answer.
    pub async fn commit_unwaited(&self, batch: Batch) {
        match &self.inner.engine {
            Engine::Sqlite(database) => database.commit_unwaited(batch).await,
            Engine::Postgres(database) => database.commit_unwaited(batch).await,
        }
    }

    /// What the writer has done since the start.
    #[must_use]
    pub fn writer_stats(&self) -> WriterStats {
        match &self.inner.engine {
            Engine::Sqlite(database) => database.writer_stats(),
            Engine::Postgres(database) => database.writer_stats(),
        }
    }

    /// What was read of users, virtual accounts and tokens holds for as long as the stamp taken *before* the read is the
    /// present one. `None` while it changes: keep nothing, and use nothing that was kept.
    #[must_use]
    pub fn identity_stamp(&self) -> Option<Stamp> {
        match &self.inner.engine {
            Engine::Sqlite(database) => database.stamps().shared(),
            Engine::Postgres(database) => database.identity_stamp(),
        }
    }

    /// The present stamp, where it is known to be no older than the state that a change is decided on.
    #[must_use]
    pub fn stamp_of(&self, change: &IdentityChange) -> Option<Stamp> {
        match &self.inner.engine {
            // What this process has not written did not happen.
            Engine::Sqlite(database) => database.stamps().shared(),
            Engine::Postgres(database) => database.identity_stamp().filter(|stamp| stamp.is_of(change.as_of)),
        }
    }

    /// Whether anything that is read of groups may be kept: not where they change on other replicas.
    pub(crate) fn keeps_groups(&self) -> bool {
        matches!(self.inner.engine, Engine::Sqlite(_))
    }

    /// The same of a group, its secrets and who may see them.
    pub(crate) fn group_stamp(&self, group: GroupId) -> Option<Stamp> {
        match &self.inner.engine {
            Engine::Sqlite(database) => database.stamps().group(group),
            // Groups change on other replicas, and no number is asked for that tells of it.
            Engine::Postgres(_) => None,
        }
    }

    /// Keeps all grants on groups in memory from now on: for who serves requests. Over PostgreSQL they are read meanwhile.
    pub async fn keep_grants(&self) -> Result<(), CommitError> {
        match &self.inner.engine {
            Engine::Sqlite(database) => database.load_grants().await,
            Engine::Postgres(database) => {
                database.keep_grants();
                Ok(())
            }
        }
    }

    /// Whether checks are answered from memory at present: over PostgreSQL they are once all grants were read, but for
    /// the moments in which a change of them is followed.
    #[must_use]
    pub fn checks_in_memory(&self) -> bool {
        match &self.inner.engine {
            Engine::Sqlite(database) => database.grants().is_loaded(),
            Engine::Postgres(database) => database.keeps_grants(),
        }
    }

    /// What grants give somebody on a group, where that is kept in memory.
    pub(crate) fn entrance(&self, group: Found, viewpoint: &Viewpoint) -> Option<Entrance> {
        match &self.inner.engine {
            Engine::Sqlite(database) => database.grants().entrance(group, &viewpoint.subject, self.now()),
            Engine::Postgres(_) => None,
        }
    }

    /// Whether grants on groups are kept in memory by who writes all of them.
    pub(crate) fn keeps_grants(&self) -> bool {
        match &self.inner.engine {
            Engine::Sqlite(database) => database.grants().is_loaded(),
            Engine::Postgres(_) => false,
        }
    }

    /// Whether what was read since is of the same moment.
    pub(crate) fn holds(&self, entrance: Entrance) -> bool {
        match &self.inner.engine {
            Engine::Sqlite(database) => database.grants().holds(entrance),
            Engine::Postgres(_) => false,
        }
    }

    /// The database where others write it, too.
    pub(crate) fn postgres(&self) -> Option<&postgres::Database> {
        match &self.inner.engine {
            Engine::Sqlite(_) => None,
            Engine::Postgres(database) => Some(database),
        }
    }

    pub(crate) fn reveals(&self) -> &Reveals {
        &self.inner.reveals
    }

    /// Overwrites what was deleted wherever the engine still has it outside of its tables.
    pub async fn scrub(&self) -> Result<(), CommitError> {
        match &self.inner.engine {
            Engine::Sqlite(database) => database.truncate_log().await,
            Engine::Postgres(database) => database.vacuum().await,
        }
    }

    /// Waits until everything is written that was handed over without waiting.
    pub async fn flush(&self) -> Result<(), CommitError> {
        match &self.inner.engine {
            Engine::Sqlite(database) => database.truncate_log().await,
            Engine::Postgres(database) => {
                database.flush().await;
                Ok(())
            }
        }
    }

    /// Whether requests can be served, and if not, why.
    pub async fn is_ready(&self) -> Result<(), &'static str> {
        match &self.inner.engine {
            Engine::Sqlite(_) => match self.instance().await {
                Ok(Some(_)) => Ok(()),
                _ => Err("the database can't be read"),
            },
            Engine::Postgres(database) => database.is_ready(),
        }
    }

    /// The database's own clock, which all replicas share; SQLite has none but the machine's.
    #[must_use]
    pub fn clock(&self) -> Option<Arc<dyn Clock>> {
        match &self.inner.engine {
            Engine::Sqlite(_) => None,
            Engine::Postgres(database) => Some(Arc::new(database.clock())),
        }
    }

    /// Every row of a statement.
    pub(crate) async fn rows<T: Send>(
        &self,
        sql: &'static Sql,
        params: &[Value],
        mut each: impl FnMut(&Row<'_>) -> Result<T, ReadError> + Send,
    ) -> Result<Vec<T>, ReadError> {
        let mut out = Vec::new();
        self.scan(sql, params, |row| {
            out.push(each(row)?);
            Ok(true)
        })
        .await?;
        Ok(out)
    }

    /// The first row of a statement, if there is one.
    pub(crate) async fn first<T: Send>(
        &self,
        sql: &'static Sql,
        params: &[Value],
        mut each: impl FnMut(&Row<'_>) -> Result<T, ReadError> + Send,
    ) -> Result<Option<T>, ReadError> {
        let mut out = None;
        self.scan(sql, params, |row| {
            out = Some(each(row)?);
            Ok(false)
        })
        .await?;
        Ok(out)
    }

    /// Row after row until `each` says `false`. On SQLite this happens at once, in the calling task, which then lets
    /// others run if it has had its share: a loop of such reads never waits for anything that would.
    pub(crate) async fn scan(
        &self,
        sql: &'static Sql,
        params: &[Value],
        mut each: impl FnMut(&Row<'_>) -> Result<bool, ReadError> + Send,
    ) -> Result<(), ReadError> {
        match &self.inner.engine {
            Engine::Sqlite(database) => {
                let mut rows = 0;
                database.scan(sql, params, |row| {
                    rows += 1;
                    each(row)
                })?;
                // A thread of its own holds up nobody.
                for _ in 0..if self.aside { 0 } else { 1 + rows / ROWS_A_TURN } {
                    tokio::task::coop::consume_budget().await;
                }
                Ok(())
            }
            Engine::Postgres(database) => database.scan(sql, params, self.aside, each).await,
        }
    }

    /// Runs reads that may be long where they don't hold up others: on a thread or a connection of their own.
    pub(crate) async fn aside<T: Send + 'static, F: Future<Output = Result<T, ReadError>> + Send>(
        &self,
        read: impl FnOnce(Self) -> F + Send + 'static,
    ) -> Result<T, ReadError> {
        let permit = self.inner.scans.clone().acquire_owned().await.map_err(|_| ReadError::Lost)?;
        let metadata = Self { aside: true, ..self.clone() };
        match &self.inner.engine {
            Engine::Sqlite(_) => tokio::task::spawn_blocking(move || {
                let _permit = permit;
                // A read of SQLite never waits for anything but the disk.
                read(metadata).now_or_never().unwrap_or(Err(ReadError::Lost))
            })
            .await
            .map_err(|_| ReadError::Lost)?,
            Engine::Postgres(_) => {
                let _permit = permit;
                read(metadata).await
            }
        }
    }
}
