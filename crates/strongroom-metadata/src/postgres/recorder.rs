//! Events are committed together: those that come while one transaction is on its way share the next one.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};

use super::Shared;
use crate::{Batch, CommitError};

/// At most this many events share a transaction.
const SHARED: usize = 256;
/// Transactions of events that are on their way at a time.
const AT_A_TIME: usize = 2;
/// With so many events waiting, nothing more is handed over without waiting for it.
const WAITING: usize = 10_000;

type Outcome = Result<(), CommitError>;

pub(super) struct Recorder(mpsc::Sender<Job>);

enum Job {
    Record(Batch, Option<oneshot::Sender<Outcome>>),
    /// Answered when everything before it is written.
    Flush(oneshot::Sender<()>),
}

impl Recorder {
    /// Starts the tasks; they end when this is dropped and what waits is written.
    pub(super) fn start(shared: &Arc<Shared>) -> Self {
        let (sender, jobs) = mpsc::channel(WAITING);
        tokio::spawn(record(shared.clone(), jobs));
        Self(sender)
    }

    pub(super) async fn record(&self, batch: Batch) -> Outcome {
        let (answer, answered) = oneshot::channel();
        self.0.send(Job::Record(batch, Some(answer))).await.map_err(|_| stopped())?;
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }

    pub(super) async fn record_unwaited(&self, batch: Batch) {
        // Who makes events faster than they can be written waits here, like everybody else.
        let _ = self.0.send(Job::Record(batch, None)).await;
    }

    pub(super) async fn flush(&self) {
        let (answer, answered) = oneshot::channel();
        if self.0.send(Job::Flush(answer)).await.is_ok() {
            let _ = answered.await;
        }
    }
}

async fn record(shared: Arc<Shared>, mut jobs: mpsc::Receiver<Job>) {
    let mut running = tokio::task::JoinSet::new();
    let mut taken = Vec::with_capacity(SHARED);
    while jobs.recv_many(&mut taken, SHARED).await > 0 {
        let (mut batches, mut answers, mut flushes) = (Vec::new(), Vec::new(), Vec::new());
        for job in taken.drain(..) {
            match job {
                Job::Record(batch, answer) => {
                    batches.push(batch);
                    answers.push(answer);
                }
                Job::Flush(answer) => flushes.push(answer),
            }
        }
        if !batches.is_empty() {
            let shared = shared.clone();
            running.spawn(async move { write(&shared, batches, answers).await });
        }
        while running.len() >= AT_A_TIME || (!flushes.is_empty() && !running.is_empty()) {
            running.join_next().await;
        }
        while running.join_next().now_or_never().flatten().is_some() {}
        for answer in flushes {
            let _ = answer.send(());
        }
    }
    while running.join_next().await.is_some() {}
}

async fn write(shared: &Shared, mut batches: Vec<Batch>, answers: Vec<Option<oneshot::Sender<Outcome>>>) {
    let count = batches.len() as u64;
    if batches.len() == 1 {
        let Some(batch) = batches.pop() else { return };
        let outcome = shared.writer.commit(&shared.pool, &batch).await;
        shared.writer.count(u64::from(outcome.is_ok()));
        for answer in answers {
            tell(answer, again(&outcome));
        }
        return;
    }
    let lengths: Vec<usize> = batches.iter().map(|batch| batch.steps.len()).collect();
    let merged = Batch::merged(batches);
    match shared.writer.commit(&shared.pool, &merged).await {
        // One of them is at fault: each is written by itself, so that only that one fails.
        Err(CommitError::Missed { .. }) => {
            let mut steps = merged.steps.into_iter();
            for (length, answer) in lengths.into_iter().zip(answers) {
                let batch = Batch::of_steps(steps.by_ref().take(length).collect());
                let outcome = shared.writer.commit(&shared.pool, &batch).await;
                shared.writer.count(u64::from(outcome.is_ok()));
                tell(answer, outcome);
            }
        }
        outcome => {
            shared.writer.count(if outcome.is_ok() { count } else { 0 });
            for answer in answers {
                tell(answer, again(&outcome));
            }
        }
    }
}

fn tell(answer: Option<oneshot::Sender<Outcome>>, outcome: Outcome) {
    match (answer, outcome) {
        // Who asked may be gone; the event stands all the same.
        (Some(answer), outcome) => drop(answer.send(outcome)),
        (None, Err(error)) => tracing::warn!(%error, "an event was not written"),
        (None, Ok(())) => {}
    }
}

/// The same outcome for another one who shared the transaction.
fn again(outcome: &Outcome) -> Outcome {
    match outcome {
        Ok(()) => Ok(()),
        Err(CommitError::Missed { guard }) => Err(CommitError::Missed { guard: *guard }),
        Err(CommitError::StorageFull) => Err(CommitError::StorageFull),
        Err(CommitError::ReadOnly) => Err(CommitError::ReadOnly),
        Err(CommitError::Unavailable(reason)) => Err(CommitError::Unavailable(reason.clone())),
    }
}

fn stopped() -> CommitError {
    CommitError::Unavailable("the recorder has stopped".into())
}
