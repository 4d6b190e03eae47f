//! PostgreSQL, or a database that speaks its protocol, for one replica or several.

mod address;
mod connect;
mod connection;
mod grants;
mod pool;
mod pulse;
mod recorder;
mod tls;
mod url;
mod values;
mod writer;

#[cfg(test)]
mod address_tests;
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod connect_tests;
#[cfg(test)]
mod server_tests;
#[cfg(test)]
mod tls_tests;

use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt;
use strongroom_domain::{GroupId, Timestamp};
use tokio::task::AbortHandle;

pub use address::PostgresAddress;
pub(crate) use connect::ConnectSetup;
pub(crate) use connection::described;
use connection::{Cause, cause};
use grants::Grants;
pub(crate) use grants::Hint;
use pool::Pool;
pub(crate) use pulse::DatabaseClock;
use pulse::Pulse;
use recorder::Recorder;
use writer::Writer;

use crate::grants::Entrance;
use crate::groups::Viewpoint;
use crate::sql::{Columns, Row, Sql, Value};
use crate::stamps::Stamp;
use crate::{Batch, CommitError, OpenError, ReadError, WriterStats, dialect, migrations};

/// How PostgreSQL is used.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Where it is; may be a pooler in transaction mode.
    pub address: PostgresAddress,
    /// The way past the pooler.
    pub direct: Option<PostgresAddress>,
    /// Connections of this replica; beside them there are two that only listen and migrate.
    pub connections: usize,
    /// How long a statement or a batch may take before it is given up.
    pub timeout: Duration,
    /// Whether statements are prepared by name.
    pub prepared_statements: bool,
}

/// An open database.
pub(crate) struct Database {
    pub(super) shared: Arc<Shared>,
    recorder: Recorder,
    tasks: [AbortHandle; 2],
    /// Keeps grants in memory, where they are to be kept.
    follower: OnceLock<AbortHandle>,
}

/// What requests and tasks share.
pub(crate) struct Shared {
    pool: Pool,
    writer: Writer,
    pulse: Pulse,
    grants: Arc<Grants>,
    direct: PostgresAddress,
}

impl Database {
    /// Connects, and brings the schema up to date.
    pub(crate) async fn open(options: &PostgresOptions) -> Result<Self, OpenError> {
        let (direct, setting) = match &options.direct {
            Some(direct) => (direct, "database-direct-url"),
            None => (&options.address, "database-url"),
        };
        let setup = ConnectSetup { application_name: "strongroom migrations", options: None };
        let mut client = direct.connect(&setup, |_| {}).await.map_err(|error| OpenError::Unreachable {
            database: direct.shown(),
            setting,
            reason: error.to_string(),
        })?;
        let run = check_version(&client, direct).await?;
        migrations::postgres::migrate(&mut client, &direct.shown()).await?;
        drop(client);
        let pool = Pool::new(
            options.address.clone(),
            options.connections,
            options.prepared_statements,
            options.direct.is_none(),
            options.timeout,
        );
        let shared = Arc::new(Shared {
            pool,
            writer: Writer::new(run),
            pulse: Pulse::new(),
            grants: Arc::new(Grants::new()),
            direct: direct.clone(),
        });
        shared.pulse.ask(&shared, options.timeout).await.map_err(|error| OpenError::Unreachable {
            database: options.address.shown(),
            setting: "database-url",
            reason: match &error {
                ReadError::Postgres(error) => described(error),
                error => error.to_string(),
            },
        })?;
        let beat = tokio::spawn(pulse::beat(Arc::downgrade(&shared))).abort_handle();
        let listen = tokio::spawn(pulse::listen(Arc::downgrade(&shared), direct.clone())).abort_handle();
        Ok(Self { recorder: Recorder::start(&shared), shared, tasks: [beat, listen], follower: OnceLock::new() })
    }

    pub(crate) async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        if batch.is_events() {
            return self.recorder.record(batch).await;
        }
        let shared = self.shared.clone();
        // On a task of its own: a batch on its way is not dropped with whoever waits for it.
        let committed = tokio::spawn(async move {
            let _changing = batch.is_shared().then(|| shared.pulse.changing());
            let outcome = shared.writer.commit(&shared.pool, &batch).await;
            shared.writer.count(u64::from(outcome.is_ok()));
            if batch.changes_grants() {
                shared.grants.fall_behind();
            }
            outcome
        });
        committed.await.unwrap_or_else(|_| Err(CommitError::Unavailable("the batch's task was lost".into())))
    }

    pub(crate) async fn commit_unwaited(&self, batch: Batch) {
        self.recorder.record_unwaited(batch).await;
    }

    pub(crate) async fn flush(&self) {
        self.recorder.flush().await;
    }

    pub(crate) fn writer_stats(&self) -> WriterStats {
        self.shared.writer.stats()
    }

    pub(crate) fn identity_stamp(&self) -> Option<Stamp> {
        self.shared.pulse.stamp()
    }

    /// Begins to keep all grants in memory. Until they are there each check reads them.
    pub(crate) fn keep_grants(&self) {
        self.follower.get_or_init(|| {
            tokio::spawn(grants::follow(Arc::downgrade(&self.shared), self.shared.grants.clone())).abort_handle()
        });
    }

    pub(crate) fn keeps_grants(&self) -> bool {
        self.shared.grants.is_loaded()
    }

    /// What grants give somebody on a group, as far as that is kept: it holds for what is read with its number.
    pub(crate) fn entrance(
        &self,
        hint: Hint<'_>,
        viewpoint: &Viewpoint,
        now: Timestamp,
    ) -> Option<(GroupId, Entrance)> {
        self.shared.grants.entrance(hint, viewpoint, now)
    }

    /// Whether what was read with this number is of the moment of an entrance.
    pub(crate) fn holds(&self, entrance: Entrance, number: Option<u64>) -> bool {
        self.shared.grants.holds(entrance, number, &self.shared)
    }

    /// Remembers that somebody was shown something of a group.
    pub(crate) fn forget_name(&self, name: &str) {
        self.shared.grants.forget_name(name);
    }

    pub(crate) fn shown(&self, hint: Hint<'_>, group: GroupId, is_granted: bool) {
        self.shared.grants.shown(hint, group, is_granted);
    }

    pub(crate) fn is_ready(&self) -> Result<(), &'static str> {
        self.shared.pulse.is_ready()
    }

    pub(crate) fn clock(&self) -> DatabaseClock {
        DatabaseClock(self.shared.clone())
    }

    /// Has the place of what was purged written over. What the write-ahead log and its archives hold is theirs.
    pub(crate) async fn vacuum(&self) -> Result<(), CommitError> {
        let setup = ConnectSetup { application_name: "strongroom vacuum", options: None };
        let client = self.shared.direct.connect(&setup, |_| {}).await;
        let client = client.map_err(|error| CommitError::Unavailable(error.to_string()))?;
        client.batch_execute(dialect::VACUUM_PURGED).await.map_err(|error| CommitError::Unavailable(described(&error)))
    }

    /// Reads on a shared connection, or `aside` on one of its own.
    pub(crate) async fn scan(
        &self,
        sql: &'static Sql,
        params: &[Value],
        aside: bool,
        each: impl FnMut(&Row<'_>) -> Result<bool, ReadError> + Send,
    ) -> Result<(), ReadError> {
        // No text here holds a NUL, so what is asked for with one isn't there; the server would call it an error.
        if params.iter().any(|value| matches!(value, Value::Text(text) if text.contains('\0'))) {
            return Ok(());
        }
        if aside {
            self.shared.scan_alone(sql, params, each).await
        } else {
            self.shared.scan(sql, params, self.shared.pool.limit(), each).await
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        for task in self.tasks.iter().chain(self.follower.get()) {
            task.abort();
        }
    }
}

impl Shared {
    /// Reads on a connection of one's own.
    async fn scan_alone(
        &self,
        sql: &'static Sql,
        params: &[Value],
        each: impl FnMut(&Row<'_>) -> Result<bool, ReadError> + Send,
    ) -> Result<(), ReadError> {
        let pool = &self.pool;
        let leased = pool.own().await.map_err(ReadError::Unreachable)?;
        let mut rows = 0;
        let read = stream(leased.connection(), sql, params, each, &mut rows);
        let outcome = tokio::time::timeout(pool.limit(), read).await.map_err(|_| late())?;
        // Not after an end before the last row: its answer may still be on the way.
        if matches!(outcome, Ok(true)) {
            leased.answered();
        }
        outcome.map(|_| ())
    }
    /// Reads on a shared connection. When that is lost before the first row, once more on another.
    async fn scan(
        &self,
        sql: &'static Sql,
        params: &[Value],
        limit: Duration,
        mut each: impl FnMut(&Row<'_>) -> Result<bool, ReadError> + Send,
    ) -> Result<(), ReadError> {
        let mut again = true;
        loop {
            let connection = self.pool.shared().await.map_err(ReadError::Unreachable)?;
            let mut rows = 0;
            let read = stream(&connection, sql, params, &mut each, &mut rows);
            let Ok(outcome) = tokio::time::timeout(limit, read).await else {
                self.pool.give_up(&connection);
                return Err(late());
            };
            match outcome {
                Err(ReadError::Postgres(error)) if cause(&error) == Cause::Connection => {
                    self.pool.give_up(&connection);
                    if !std::mem::take(&mut again) || rows > 0 {
                        return Err(error.into());
                    }
                }
                outcome => return outcome.map(|_| ()),
            }
        }
    }
}

/// Whether the answer was read to its end.
async fn stream(
    connection: &connection::Connection,
    sql: &'static Sql,
    params: &[Value],
    mut each: impl FnMut(&Row<'_>) -> Result<bool, ReadError> + Send,
    rows: &mut u64,
) -> Result<bool, ReadError> {
    let mut answer = pin!(connection.run(sql.postgres(), params).await?);
    while let Some(row) = answer.next().await {
        *rows += 1;
        if !each(&Row { statement: sql.name, inner: Columns::Postgres(&row?) })? {
            // Enough was mostly all there is; a connection that isn't read to the end would have to be closed.
            return Ok(answer.next().await.transpose()?.is_none());
        }
    }
    Ok(true)
}

fn late() -> ReadError {
    ReadError::Unreachable("it did not answer in time (setting database-timeout)".into())
}

/// The texts that a query gives, from a database that is not opened: nothing is migrated.
pub(crate) async fn first_column(options: &PostgresOptions, sql: &str) -> Option<Vec<String>> {
    let setup = ConnectSetup { application_name: "strongroom", options: None };
    let client = options.direct.as_ref().unwrap_or(&options.address).connect(&setup, |_| {}).await.ok()?;
    let rows = client.query_typed(sql, &[]).await.ok()?;
    rows.iter().map(|row| row.try_get(0).ok()).collect()
}

/// Whether the server is new enough; gives a text that no other run of any process has.
pub(crate) async fn check_version(
    client: &tokio_postgres::Client,
    address: &PostgresAddress,
) -> Result<String, OpenError> {
    const OLDEST: i32 = 140_000;
    let unfit = |reason: String| OpenError::Engine { database: address.shown(), reason };
    // Unnamed, as all that may go through a pooler: the next server it gives would not know a statement by its name.
    let asked = client.query_typed_one(dialect::VERSION_AND_RUN, &[]).await;
    let asked = asked.and_then(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    let (version, run): (i32, String) = asked.map_err(|error| unfit(described(&error)))?;
    if version >= OLDEST {
        Ok(run)
    } else {
        Err(unfit(format!("it is PostgreSQL {}, and 14 is the oldest that works", version / 10_000)))
    }
}
