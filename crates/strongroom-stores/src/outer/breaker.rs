//! Stops asking a store that keeps failing, and asks again carefully.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// When a store isn't asked any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// So many failures in a row open it.
    pub failures: u32,
    /// How long it stays open the first time; doubled each time that the probe fails.
    pub open: Duration,
    /// It isn't open for longer.
    pub longest_open: Duration,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self { failures: 5, open: Duration::from_secs(5), longest_open: Duration::from_mins(1) }
    }
}

/// For operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything is asked.
    Closed,
    /// Nothing is asked.
    Open,
    /// One request is under way; what becomes of it decides.
    HalfOpen,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant, lasts: Duration },
    HalfOpen { lasted: Duration },
}

#[derive(Debug)]
struct Inner {
    state: State,
    /// Counts changes of state: what was begun before one says nothing about the time after it.
    generation: u64,
}

impl Inner {
    fn turn(&mut self, state: State) {
        self.state = state;
        self.generation += 1;
    }
}

/// One for each integration.
#[derive(Debug)]
pub(super) struct Breaker {
    policy: BreakerPolicy,
    inner: Mutex<Inner>,
}

/// The store isn't asked; in so long it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotAsked {
    pub(super) wait: Duration,
}

/// Leave for one request. Dropped without a word, as when the caller goes away, it says nothing about the store.
#[derive(Debug)]
pub(super) struct Ticket<'a> {
    breaker: &'a Breaker,
    generation: u64,
}

impl Breaker {
    pub(super) fn new(policy: BreakerPolicy) -> Self {
        Self { policy, inner: Mutex::new(Inner { state: State::Closed { failures: 0 }, generation: 0 }) }
    }

    pub(super) fn state(&self) -> BreakerState {
        match self.lock().state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Whether a request may be had now, without taking it.
    pub(super) fn glance(&self) -> Result<(), NotAsked> {
        match self.lock().state {
            State::Closed { .. } => Ok(()),
            State::Open { until, .. } if until <= Instant::now() => Ok(()),
            State::Open { until, .. } => Err(NotAsked { wait: until - Instant::now() }),
            State::HalfOpen { .. } => Err(NotAsked { wait: Duration::ZERO }),
        }
    }

    /// Leave for a request; the first one after an open time is the probe, and the only one until it has ended.
    pub(super) fn admit(&self) -> Result<Ticket<'_>, NotAsked> {
        let (mut inner, now) = (self.lock(), Instant::now());
        match inner.state {
            State::Closed { .. } => {}
            State::Open { until, lasts } if until <= now => inner.turn(State::HalfOpen { lasted: lasts }),
            State::Open { until, .. } => return Err(NotAsked { wait: until - now }),
            State::HalfOpen { .. } => return Err(NotAsked { wait: Duration::ZERO }),
        }
        Ok(Ticket { breaker: self, generation: inner.generation })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing below panics while it holds the lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket<'_> {
    /// The store answered, whatever it said.
    pub(super) fn succeeded(self) {
        let mut inner = self.breaker.lock();
        if inner.generation == self.generation {
            match &mut inner.state {
                State::Closed { failures } => *failures = 0,
                State::HalfOpen { .. } => inner.turn(State::Closed { failures: 0 }),
                State::Open { .. } => {}
            }
        }
    }

    /// It didn't.
    pub(super) fn failed(self) {
        let policy = self.breaker.policy;
        let mut inner = self.breaker.lock();
        if inner.generation != self.generation {
            return;
        }
        let now = Instant::now();
        match &mut inner.state {
            State::Closed { failures } => {
                *failures += 1;
                if *failures >= policy.failures {
                    inner.turn(State::Open { until: now + policy.open, lasts: policy.open });
                }
            }
            State::HalfOpen { lasted } => {
                let lasts = lasted.saturating_mul(2).min(policy.longest_open);
                inner.turn(State::Open { until: now + lasts, lasts });
            }
            State::Open { .. } => {}
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut inner = self.breaker.lock();
        if let (true, State::HalfOpen { lasted }) = (inner.generation == self.generation, inner.state) {
            // The probe told nothing: the next one may ask.
            inner.turn(State::Open { until: Instant::now(), lasts: lasted });
        }
    }
}

#[cfg(test)]
#[path = "breaker_tests.rs"]
mod tests;
