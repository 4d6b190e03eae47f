//! Batches: one round trip each, all or nothing, and never an answer that isn't known to be true.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::types::Type;

use super::connection::{Cause, Connection, Request, cause, described, pipelined};
use super::pool::Pool;
use crate::sql::Value;
use crate::{Batch, CommitError, WriterStats, dialect};

/// What is not a number of rows: any will do.
const ANY: i64 = -1;
/// How often a batch that collided with another one runs again.
const COLLISIONS: u32 = 5;
/// Between two attempts to learn what became of a batch.
const SETTLE_EVERY: Duration = Duration::from_millis(100);

pub(super) struct Writer {
    /// Tells this run of this process from every other, for the ids of batches.
    run: String,
    begun: AtomicU64,
    batches: AtomicU64,
    transactions: AtomicU64,
    reruns: AtomicU64,
}

/// What became of one attempt.
enum Verdict {
    /// It is on the disk.
    Committed,
    /// It was rolled back, for this reason.
    Refused(CommitError),
    /// It was rolled back because of another transaction.
    Collided,
    /// Nobody knows yet.
    Unclear(String),
}

impl Writer {
    pub(super) fn new(run: String) -> Self {
        Self {
            run,
            begun: AtomicU64::new(1),
            batches: AtomicU64::new(0),
            transactions: AtomicU64::new(0),
            reruns: AtomicU64::new(0),
        }
    }

    /// Commits a batch. Takes up to twice the pool's time limit when the connection is lost over it.
    pub(super) async fn commit(&self, pool: &Pool, batch: &Batch) -> Result<(), CommitError> {
        let deadline = Instant::now() + 2 * pool.limit();
        let mut collisions = 0;
        loop {
            let id = format!("{}.{}", self.run, self.begun.fetch_add(1, Ordering::Relaxed));
            let outcome = match attempt(pool, batch, &id).await {
                Verdict::Committed => Ok(()),
                Verdict::Refused(error) => Err(error),
                Verdict::Collided if collisions < COLLISIONS => {
                    collisions += 1;
                    continue;
                }
                Verdict::Collided => Err(CommitError::Unavailable("the batch collided with others too often".into())),
                Verdict::Unclear(reason) => {
                    tracing::warn!(batch = id, reason, "the fate of a batch is unclear; asking for it");
                    // Where one connection went silent the others may have, too.
                    pool.forget_idle();
                    match settle(pool, &id, deadline).await {
                        Some(true) => Ok(()),
                        // It never was and never will be: so it may run again.
                        Some(false) if Instant::now() < deadline => {
                            self.reruns.fetch_add(1, Ordering::Relaxed);
                            continue;
                        }
                        Some(false) => Err(CommitError::Unavailable(format!("nothing was written: {reason}"))),
                        None => Err(CommitError::Unavailable(format!("whether it was written is unknown: {reason}"))),
                    }
                }
            };
            if outcome.is_ok() {
                self.transactions.fetch_add(1, Ordering::Relaxed);
            }
            return outcome;
        }
    }

    /// Counts batches that were committed, alone or together.
    pub(super) fn count(&self, batches: u64) {
        self.batches.fetch_add(batches, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> WriterStats {
        WriterStats {
            batches: self.batches.load(Ordering::Relaxed),
            transactions: self.transactions.load(Ordering::Relaxed),
            reruns: self.reruns.load(Ordering::Relaxed),
        }
    }
}

async fn attempt(pool: &Pool, batch: &Batch, id: &str) -> Verdict {
    let leased = match pool.own().await {
        Ok(leased) => leased,
        Err(reason) => return Verdict::Refused(CommitError::Unavailable(reason)),
    };
    // Dropped unanswered, the connection is closed.
    match tokio::time::timeout(pool.limit(), run(leased.connection(), batch, id, pool.limit())).await {
        Ok(verdict) => {
            match &verdict {
                // Another server may take writes by now: whoever comes next looks for it.
                Verdict::Refused(CommitError::ReadOnly) => pool.forget_idle(),
                Verdict::Unclear(_) => {}
                _ => leased.answered(),
            }
            verdict
        }
        Err(_) => Verdict::Unclear("the database did not answer in time".into()),
    }
}

async fn run(connection: &Connection, batch: &Batch, id: &str, limit: Duration) -> Verdict {
    let texts = batch.steps.iter().map(|step| step.sql.postgres_guarded());
    let fixed = [dialect::OPEN_BATCH, dialect::MARK_BATCH, dialect::UNTIMED_COMMIT, dialect::PROVE_BATCH];
    // What is not known to the server yet would be sent behind the COMMIT.
    let notify = batch.is_told().then_some(dialect::NOTIFY_CHANGE);
    for text in texts.chain(fixed).chain(notify) {
        if let Err(error) = connection.prepare(text).await {
            return Verdict::Refused(CommitError::Unavailable(described(&error)));
        }
    }
    connection.take_warning();
    let id = Value::from(id);
    let open = [id.clone(), Value::from(limit.as_millis().to_string())];
    let mark = [id.clone(), Value::Int(1), id.clone()];
    let prove = [id.clone()];
    let guarded: Vec<Vec<Value>> = batch
        .steps
        .iter()
        .map(|step| {
            let rows = step.rows.map_or(ANY, |rows| i64::try_from(rows).unwrap_or(i64::MAX));
            step.params.iter().cloned().chain([Value::Int(rows), id.clone()]).collect()
        })
        .collect();
    let mut requests: Vec<Request<'_>> = Vec::with_capacity(batch.steps.len() + 7);
    requests.push(Box::pin(connection.command(dialect::BEGIN_BATCH)));
    requests.push(Box::pin(connection.finish(dialect::OPEN_BATCH, &open)));
    for (step, params) in batch.steps.iter().zip(&guarded) {
        requests.push(Box::pin(connection.finish(step.sql.postgres_guarded(), params)));
    }
    if batch.is_told() {
        requests.push(Box::pin(connection.finish(dialect::NOTIFY_CHANGE, &[])));
    }
    requests.push(Box::pin(connection.finish(dialect::MARK_BATCH, &mark)));
    requests.push(Box::pin(connection.finish(dialect::UNTIMED_COMMIT, &[])));
    requests.push(Box::pin(connection.command("COMMIT")));
    requests.push(Box::pin(connection.finish(dialect::PROVE_BATCH, &prove)));
    let answers = pipelined(requests).await;
    judge(batch, &answers, connection.take_warning())
}

/// The first error decides: what came after it was refused because of it. Without one, only the proof does.
fn judge(batch: &Batch, answers: &[Result<u64, tokio_postgres::Error>], warned: bool) -> Verdict {
    const BEFORE_STEPS: usize = 2;
    for (place, answer) in answers.iter().enumerate() {
        let Err(error) = answer else { continue };
        let step = place.checked_sub(BEFORE_STEPS).and_then(|step| batch.steps.get(step));
        return match (cause(error), step) {
            (Cause::Connection, _) => Verdict::Unclear(described(error)),
            // After COMMIT was sent, an error of the proof alone says nothing of the batch.
            _ if place + 1 == answers.len() => Verdict::Unclear(described(error)),
            (Cause::Guard, Some(step)) => Verdict::Refused(CommitError::Missed { guard: step.guard }),
            (Cause::Collision, _) => Verdict::Collided,
            (Cause::Full, _) => Verdict::Refused(CommitError::StorageFull),
            (Cause::ReadOnly, _) => Verdict::Refused(CommitError::ReadOnly),
            (Cause::Guard | Cause::Other, _) => Verdict::Refused(CommitError::Unavailable(described(error))),
        };
    }
    match answers.last() {
        Some(Ok(1)) if !warned => Verdict::Committed,
        Some(Ok(1)) => Verdict::Unclear("the server warned at the commit".into()),
        _ => Verdict::Refused(CommitError::Unavailable("the database rolled the batch back".into())),
    }
}

/// Whether a batch was committed; if it wasn't, it never will be. `None` when nobody could be asked in time.
async fn settle(pool: &Pool, id: &str, deadline: Instant) -> Option<bool> {
    // Once in any case: a batch that ran again may be late itself.
    loop {
        match claim(pool, id).await {
            Ok(committed) => return Some(committed),
            Err(reason) => tracing::debug!(batch = id, reason, "the fate of a batch is still unclear"),
        }
        if Instant::now() >= deadline {
            return None;
        }
        tokio::time::sleep(SETTLE_EVERY).await;
    }
}

async fn claim(pool: &Pool, id: &str) -> Result<bool, String> {
    let leased = pool.own().await?;
    let connection = leased.connection();
    let claimed = async {
        // In a transaction of its own, so that its COMMIT waits whatever the connection's settings are.
        let client = connection.client();
        client.batch_execute(dialect::BEGIN_CLAIM).await?;
        let committed: i64 = client.query_typed_one(dialect::CLAIM_BATCH, &[(&id, Type::TEXT)]).await?.try_get(0)?;
        connection.take_warning();
        client.batch_execute("COMMIT").await?;
        Ok::<_, tokio_postgres::Error>(committed == 1)
    };
    let claimed = tokio::time::timeout(pool.limit(), claimed).await;
    let committed = claimed.map_err(|_| "no answer in time".to_owned())?.map_err(|error| described(&error))?;
    if connection.take_warning() {
        return Err("the server warned at the commit".into());
    }
    leased.answered();
    Ok(committed)
}
