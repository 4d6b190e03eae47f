//! The one thread that writes.
//!
//! It takes every batch that waits, runs each in its savepoint inside one transaction, commits them with one fsync, and
//! only then answers: not even a conflict is told before the COMMIT of the transaction in which it was judged.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::oneshot;

use super::grants::Grants;
use super::queue::{self, Receiver, Sender};
use crate::stamps::Stamps;
use crate::{Batch, CommitError, Guard, WriterStats, dialect};

/// At most this many batches share a transaction: it bounds how long the first of them waits.
const SHARED: usize = 256;
/// With so many batches waiting, nothing more is handed over without waiting for it.
const UNWAITED: usize = 10_000;
/// The longest that a batch waits for others to share its fsync with.
const PATIENCE: Duration = Duration::from_millis(1);

type Outcome = Result<(), CommitError>;

pub(super) struct Writer {
    queue: Sender<Job>,
    stamps: Arc<Stamps>,
    grants: Arc<Grants>,
    stats: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    batches: AtomicU64,
    transactions: AtomicU64,
    reruns: AtomicU64,
}

enum Job {
    Commit(Batch, Option<oneshot::Sender<Outcome>>),
    TruncateLog(oneshot::Sender<Outcome>),
    LoadGrants(oneshot::Sender<Outcome>),
}

impl Writer {
    pub(super) fn start(connection: Connection, grants: Arc<Grants>, path: PathBuf) -> std::io::Result<Self> {
        let (queue, jobs) = queue::queue();
        let stats = Arc::new(Counters::default());
        let stamps = Arc::new(Stamps::new());
        let mut thread = Thread {
            connection: Some(connection),
            path,
            stamps: stamps.clone(),
            grants: grants.clone(),
            keeps_grants: false,
            stats: stats.clone(),
        };
        std::thread::Builder::new().name("metadata-writer".into()).spawn(move || thread.run(&jobs))?;
        Ok(Self { queue, stamps, grants, stats })
    }

    pub(super) async fn commit(&self, batch: Batch) -> Outcome {
        let (answer, answered) = oneshot::channel();
        self.ask(Job::Commit(batch, Some(answer)), answered).await
    }

    pub(super) async fn commit_unwaited(&self, batch: Batch) {
        if self.queue.len() >= UNWAITED {
            // Who makes events faster than they can be written waits like everybody else.
            let written = self.commit(batch).await;
            return report_unwaited(&written);
        }
        // Without a writer the process is ending, and nobody waits for this batch.
        self.queue.push(Job::Commit(batch, None));
    }

    pub(super) async fn truncate_log(&self) -> Outcome {
        let (answer, answered) = oneshot::channel();
        self.ask(Job::TruncateLog(answer), answered).await
    }

    pub(super) async fn load_grants(&self) -> Outcome {
        let (answer, answered) = oneshot::channel();
        self.ask(Job::LoadGrants(answer), answered).await
    }

    pub(super) fn stats(&self) -> WriterStats {
        WriterStats {
            batches: self.stats.batches.load(Ordering::Relaxed),
            transactions: self.stats.transactions.load(Ordering::Relaxed),
            reruns: self.stats.reruns.load(Ordering::Relaxed),
        }
    }

    pub(super) fn stamps(&self) -> &Stamps {
        &self.stamps
    }

    pub(super) fn grants(&self) -> &Grants {
        &self.grants
    }

    async fn ask(&self, job: Job, answered: oneshot::Receiver<Outcome>) -> Outcome {
        if !self.queue.push(job) {
            return Err(stopped());
        }
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }
}

/// Why a transaction failed.
struct Failed {
    error: CommitError,
    /// Whether its batches may run again one by one. Not after an I/O error: the COMMIT may have reached the disk, and
    /// a batch that runs twice would be told of a conflict with itself.
    rerun: bool,
}

struct Thread {
    /// `None` after an I/O error, until the database can be opened again.
    connection: Option<Connection>,
    path: PathBuf,
    stamps: Arc<Stamps>,
    grants: Arc<Grants>,
    /// Whether grants are to be kept in memory.
    keeps_grants: bool,
    stats: Arc<Counters>,
}

impl Thread {
    fn run(&mut self, jobs: &Receiver<Job>) {
        // Those who were answered last and those who waited then are likely to be back soon: it pays to wait for them,
        // but no longer than what it saves. Who writes alone never waits.
        let (mut expected, mut patience) = (1, Duration::ZERO);
        while let Some(taken) = jobs.take(expected, patience, SHARED) {
            let started = Instant::now();
            let (mut batches, mut answers) = (Vec::with_capacity(taken.len()), Vec::new());
            let (mut truncations, mut loads) = (Vec::new(), Vec::new());
            for job in taken {
                match job {
                    Job::Commit(batch, answer) => {
                        batches.push(batch);
                        answers.push(answer);
                    }
                    Job::TruncateLog(answer) => truncations.push(answer),
                    Job::LoadGrants(answer) => loads.push(answer),
                }
            }
            for (outcome, answer) in self.commit_all(&batches).into_iter().zip(answers) {
                match (answer, outcome) {
                    // Who asked may be gone; the batch stands all the same.
                    (Some(answer), outcome) => drop(answer.send(outcome)),
                    (None, outcome) => report_unwaited(&outcome),
                }
            }
            (expected, patience) = (batches.len() + jobs.len(), PATIENCE.min(2 * started.elapsed()));
            for answer in truncations {
                let _ = answer.send(self.truncate_log());
            }
            self.keeps_grants |= !loads.is_empty();
            self.load_grants();
            for answer in loads {
                let _ = answer.send(Ok(()));
            }
        }
    }

    /// One outcome for each batch, in order.
    fn commit_all(&mut self, batches: &[Batch]) -> Vec<Outcome> {
        if batches.is_empty() {
            return Vec::new();
        }
        match self.transaction(batches) {
            Ok(outcomes) => outcomes,
            Err(Failed { error, rerun: true }) if batches.len() > 1 => {
                // One batch took its neighbours down (a full disk inside a savepoint rolls back everything): each gets
                // its own transaction, so that only the one at fault fails.
                tracing::warn!(%error, "a shared transaction failed; its batches run again one by one");
                self.stats.reruns.fetch_add(1, Ordering::Relaxed);
                batches
                    .iter()
                    .map(|batch| match self.transaction(std::slice::from_ref(batch)) {
                        Ok(mut outcomes) => outcomes.pop().unwrap_or(Ok(())),
                        Err(failed) => Err(failed.error),
                    })
                    .collect()
            }
            Err(Failed { error, .. }) if batches.len() == 1 => vec![Err(error)],
            Err(Failed { error, .. }) => {
                let all = error.to_string();
                batches.iter().map(|_| Err(CommitError::Unavailable(all.clone()))).collect()
            }
        }
    }

    /// Runs the batches in one transaction. `Err` means that nothing of any batch was acknowledged.
    fn transaction(&mut self, batches: &[Batch]) -> Result<Vec<Outcome>, Failed> {
        let (stamps, grants) = (self.stamps.clone(), self.grants.clone());
        let connection = self.connection().map_err(|error| Failed { error, rerun: false })?;
        let result = stamps.while_changing(batches, || attempt(connection, &grants, batches));
        match result {
            Ok(outcomes) => {
                let committed = outcomes.iter().filter(|outcome| outcome.is_ok()).count() as u64;
                self.stats.transactions.fetch_add(1, Ordering::Relaxed);
                self.stats.batches.fetch_add(committed, Ordering::Relaxed);
                Ok(outcomes)
            }
            Err(error) => {
                let rolled_back = connection.is_autocommit() || connection.execute_batch("ROLLBACK").is_ok();
                // After an I/O error the connection's view of the file is not to be trusted.
                let trusted = rolled_back && error.sqlite_error_code() != Some(ErrorCode::SystemIoFailure);
                if !trusted {
                    self.connection = None;
                }
                // Each batch would wait as long for the lock again.
                let locked = error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy);
                Err(Failed { error: classify(&error), rerun: trusted && !locked })
            }
        }
    }

    fn connection(&mut self) -> Result<&mut Connection, CommitError> {
        if self.connection.is_none() {
            tracing::warn!(path = %self.path.display(), "opening the database again after an error");
            self.connection = Some(reopen(&self.path)?);
            // A COMMIT that ended in an I/O error may show only now.
            self.stamps.forget_all();
            self.grants.forget_all();
        }
        self.connection.as_mut().ok_or_else(stopped)
    }

    /// Reads all grants into memory, where they are to be kept and aren't there. If that fails checks read the database.
    fn load_grants(&mut self) {
        if !self.keeps_grants || self.grants.is_loaded() {
            return;
        }
        let grants = self.grants.clone();
        // Without a connection it is tried again after the next write.
        let Ok(connection) = self.connection() else { return };
        if let Err(error) = grants.load(connection) {
            tracing::warn!(%error, "grants can't be kept in memory; each check reads them");
            self.keeps_grants = false;
        }
    }

    fn truncate_log(&mut self) -> Outcome {
        let connection = self.connection()?;
        // A log that is still being read stays as it is, and the engine calls that no error.
        let kept: i64 = connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(|error| classify(&error))?;
        if kept == 0 {
            Ok(())
        } else {
            Err(CommitError::Unavailable("a long read keeps the log from being emptied".into()))
        }
    }
}

fn reopen(path: &Path) -> Result<Connection, CommitError> {
    // A file that is gone must not come back empty.
    super::open_writing(path, OpenFlags::empty()).map_err(|error| classify(&error))
}

/// An `Err` is a failure of the whole transaction; a missed guard is an outcome of its batch alone.
fn attempt(connection: &Connection, grants: &Grants, batches: &[Batch]) -> rusqlite::Result<Vec<Outcome>> {
    connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    // Of a transaction that failed.
    grants.strike(0);
    let mut outcomes = Vec::with_capacity(batches.len());
    for batch in batches {
        let noted = grants.noted();
        let outcome = run(connection, grants, batch)?;
        if outcome.is_err() {
            grants.strike(noted);
        }
        outcomes.push(outcome);
    }
    grants.while_committing(|| connection.prepare_cached("COMMIT")?.execute([]))?;
    Ok(outcomes)
}

fn run(connection: &Connection, grants: &Grants, batch: &Batch) -> rusqlite::Result<Outcome> {
    if batch.is_single_insert() {
        return Ok(steps(connection, grants, batch)?.map_or(Ok(()), |guard| Err(CommitError::Missed { guard })));
    }
    connection.prepare_cached("SAVEPOINT batch")?.execute([])?;
    let outcome = match steps(connection, grants, batch)? {
        None => Ok(()),
        Some(guard) => {
            connection.prepare_cached("ROLLBACK TO batch")?.execute([])?;
            Err(CommitError::Missed { guard })
        }
    };
    connection.prepare_cached("RELEASE batch")?.execute([])?;
    Ok(outcome)
}

/// Runs the statements; `Some` is the guard that was missed.
fn steps(connection: &Connection, grants: &Grants, batch: &Batch) -> rusqlite::Result<Option<Guard>> {
    for step in &batch.steps {
        match grants.execute(connection, step) {
            Ok(rows) if step.rows.is_none_or(|expected| rows as u64 == expected) => {}
            Ok(_) => return Ok(Some(step.guard)),
            // A unique index, a foreign key or a check refused the row: that is a guard, too.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) && !is_moving(&error) => {
                return Ok(Some(step.guard));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

fn classify(error: &rusqlite::Error) -> CommitError {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) if is_moving(error) => CommitError::ReadOnly,
        Some(ErrorCode::DiskFull) => CommitError::StorageFull,
        _ => CommitError::Unavailable(error.to_string()),
    }
}

/// Whether the write was refused because the instance is being copied.
fn is_moving(error: &rusqlite::Error) -> bool {
    matches!(error, rusqlite::Error::SqliteFailure(_, Some(message)) if message.starts_with(dialect::MOVING))
}

fn report_unwaited(outcome: &Outcome) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "an event was not written");
    }
}

fn stopped() -> CommitError {
    CommitError::Unavailable("the writer has stopped".into())
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "grants_tests.rs"]
mod grants_tests;
