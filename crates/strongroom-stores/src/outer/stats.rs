//! What became of an integration's requests, for whoever shows it to operators.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use super::BreakerState;

/// What became of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The store answered, well or badly.
    Answered,
    /// It asked to come back later.
    Throttled,
    /// It answered that it failed.
    Failed,
    /// It couldn't be reached, or nothing came.
    Unreachable,
    /// We refused the address or the size of the answer.
    Rejected,
    /// It kept failing, so nothing was sent.
    NotAsked,
    /// Too many were under way already, so nothing was sent in time.
    Crowded,
    /// Whoever wanted to know went away.
    Abandoned,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Answered,
        Self::Throttled,
        Self::Failed,
        Self::Unreachable,
        Self::Rejected,
        Self::NotAsked,
        Self::Crowded,
        Self::Abandoned,
    ];

    /// As a label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Throttled => "throttled",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
            Self::Rejected => "rejected",
            Self::NotAsked => "not_asked",
            Self::Crowded => "crowded",
            Self::Abandoned => "abandoned",
        }
    }
}

/// An integration's requests since its client was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OuterStats {
    tries: [u64; Outcome::ALL.len()],
    /// Tries that were not the first of their request.
    pub retries: u64,
    /// Requests that are under way.
    pub under_way: u64,
    /// How long all that were sent took together.
    pub time: Duration,
    /// Whether the store is asked at all.
    pub breaker: BreakerState,
}

impl OuterStats {
    /// How many tries ended so.
    #[must_use]
    pub const fn tries(&self, outcome: Outcome) -> u64 {
        self.tries[outcome as usize]
    }

    /// How many tries were sent and are over: what [`time`](Self::time) is the sum of.
    #[must_use]
    pub fn sent(&self) -> u64 {
        let unsent = [Outcome::NotAsked, Outcome::Crowded];
        Outcome::ALL.into_iter().filter(|outcome| !unsent.contains(outcome)).map(|outcome| self.tries(outcome)).sum()
    }
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    tries: [AtomicU64; Outcome::ALL.len()],
    retries: AtomicU64,
    under_way: AtomicU64,
    micros: AtomicU64,
}

impl Counters {
    pub(super) fn count(&self, outcome: Outcome) {
        self.tries[outcome as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn retry(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    /// A request is sent now.
    pub(super) fn begin(&self) -> UnderWay<'_> {
        self.under_way.fetch_add(1, Relaxed);
        UnderWay { counters: self, began: Instant::now(), outcome: Outcome::Abandoned }
    }

    pub(super) fn snapshot(&self, breaker: BreakerState) -> OuterStats {
        OuterStats {
            tries: self.tries.each_ref().map(|count| count.load(Relaxed)),
            retries: self.retries.load(Relaxed),
            under_way: self.under_way.load(Relaxed),
            time: Duration::from_micros(self.micros.load(Relaxed)),
            breaker,
        }
    }
}

/// A request that was sent; counted when it is dropped, also where its future is.
pub(super) struct UnderWay<'a> {
    counters: &'a Counters,
    began: Instant,
    outcome: Outcome,
}

impl UnderWay<'_> {
    pub(super) fn ended(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let Self { counters, began, outcome } = self;
        counters.under_way.fetch_sub(1, Relaxed);
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        counters.micros.fetch_add(micros, Relaxed);
        counters.count(*outcome);
    }
}
