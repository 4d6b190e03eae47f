//! One integration's way to its store.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use strongroom_domain::{Backoff, Entropy};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout_at},
};

use super::{
    Answer, Call, Repeat, Verdict,
    breaker::{Breaker, BreakerPolicy, BreakerState, NotAsked},
    stats::{Counters, Outcome, OuterStats},
};
use crate::{
    StoreError, StoreErrorKind,
    egress::{Bounds, EgressClient, EgressError, EgressUrl},
};

/// What an integration's calls may take.
#[derive(Debug, Clone, Copy)]
pub struct OuterPolicy {
    /// One request, from resolving the name to the end of the answer.
    pub request: Duration,
    /// All requests that belong to one attempt, waits included.
    pub attempt: Duration,
    /// Tries of one request.
    pub tries: u32,
    /// Waits between them, where the store doesn't ask for longer ones.
    pub backoff: Backoff,
    /// Requests at once.
    pub at_once: usize,
    /// When the store isn't asked any more.
    pub breaker: BreakerPolicy,
}

impl Default for OuterPolicy {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(10),
            attempt: Duration::from_secs(20),
            tries: 4,
            backoff: Backoff { base: Duration::from_millis(100), cap: Duration::from_secs(2) },
            at_once: 32,
            breaker: BreakerPolicy::default(),
        }
    }
}

/// What carries requests; a trait so that tests can be the network.
#[async_trait]
pub(crate) trait Transport: Send + Sync {
    async fn send(
        &self,
        url: &EgressUrl,
        request: Request<Bytes>,
        bounds: Bounds,
    ) -> Result<Response<Bytes>, EgressError>;
}

#[async_trait]
impl Transport for EgressClient {
    async fn send(
        &self,
        url: &EgressUrl,
        request: Request<Bytes>,
        bounds: Bounds,
    ) -> Result<Response<Bytes>, EgressError> {
        Self::send(self, url, request, bounds).await
    }
}

/// Calls one store for one integration.
pub struct OuterClient {
    store: &'static str,
    transport: Arc<dyn Transport>,
    entropy: Arc<dyn Entropy>,
    policy: OuterPolicy,
    judge: fn(&Answer) -> Verdict,
    slots: Semaphore,
    breaker: Breaker,
    counters: Counters,
}

impl fmt::Debug for OuterClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OuterClient")
            .field("store", &self.store)
            .field("breaker", &self.breaker.state())
            .finish_non_exhaustive()
    }
}

/// Why one try came to nothing.
struct Failure {
    kind: StoreErrorKind,
    reason: String,
    source: Option<EgressError>,
    /// Whether the store may have done what it was asked.
    unclear: bool,
    /// Whether another try may go better, and not before this.
    again_after: Option<Duration>,
    /// Whether the store was asked at all.
    asked: bool,
}

impl OuterClient {
    /// For the store of this name, as it stands in errors. `judge` tells failures from answers.
    #[must_use]
    pub fn new(
        store: &'static str,
        egress: Arc<EgressClient>,
        entropy: Arc<dyn Entropy>,
        policy: OuterPolicy,
        judge: fn(&Answer) -> Verdict,
    ) -> Self {
        Self::over(store, egress, entropy, policy, judge)
    }

    pub(crate) fn over(
        store: &'static str,
        transport: Arc<dyn Transport>,
        entropy: Arc<dyn Entropy>,
        policy: OuterPolicy,
        judge: fn(&Answer) -> Verdict,
    ) -> Self {
        let (slots, breaker) = (Semaphore::new(policy.at_once), Breaker::new(policy.breaker));
        Self { store, transport, entropy, policy, judge, slots, breaker, counters: Counters::default() }
    }

    /// The store's name in errors.
    #[must_use]
    pub fn store(&self) -> &'static str {
        self.store
    }

    /// Whether the store is asked at all.
    #[must_use]
    pub fn breaker_state(&self) -> BreakerState {
        self.breaker.state()
    }

    /// What became of its requests so far.
    #[must_use]
    pub fn stats(&self) -> OuterStats {
        self.counters.snapshot(self.breaker.state())
    }

    fn not_asked(&self, closed: NotAsked) -> Failure {
        self.counters.count(Outcome::NotAsked);
        Failure::not_asked(closed.wait)
    }

    fn crowded(&self, kind: StoreErrorKind, reason: String) -> Failure {
        self.counters.count(Outcome::Crowded);
        Failure::local(kind, reason)
    }

    /// Begins what one caller wants of the store, in however many requests. Its time runs from now.
    #[must_use]
    pub fn attempt(&self) -> Attempt<'_> {
        Attempt { client: self, deadline: Instant::now() + self.policy.attempt }
    }

    /// An error with this store's name.
    pub fn error(&self, kind: StoreErrorKind, reason: impl Into<String>) -> StoreError {
        StoreError::new(self.store, kind, reason)
    }

    async fn try_once(&self, call: Call, deadline: Instant) -> Result<Answer, Failure> {
        // First of all, so that nobody waits in line for a store that isn't asked.
        self.breaker.glance().map_err(|closed| self.not_asked(closed))?;
        let slot = timeout_at(deadline, self.slots.acquire()).await;
        let Ok(Ok(_slot)) = slot else {
            let reason = format!("{} requests are under way and none ended in time", self.policy.at_once);
            return Err(self.crowded(StoreErrorKind::Throttled, reason));
        };
        let ticket = self.breaker.admit().map_err(|closed| self.not_asked(closed))?;
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(self.crowded(StoreErrorKind::Unavailable, "no time was left to ask it".to_owned()));
        }
        let bounds = Bounds { time: self.policy.request.min(left), bytes: call.max_answer_bytes };
        let Call { method, url, headers, body, .. } = call;
        let mut request = Request::new(body);
        *request.method_mut() = method;
        *request.headers_mut() = headers;
        let under_way = self.counters.begin();
        let answer = match self.transport.send(&url, request, bounds).await {
            Ok(answer) => answer,
            Err(error) => {
                under_way.ended(match error {
                    // The store was not asked, or answers more than we take: neither is a failure of its.
                    EgressError::Refused { .. } => {
                        drop(ticket);
                        Outcome::Rejected
                    }
                    EgressError::TooLarge { .. } => {
                        ticket.succeeded();
                        Outcome::Rejected
                    }
                    _ => {
                        ticket.failed();
                        Outcome::Unreachable
                    }
                });
                return Err(Failure::transport(error));
            }
        };
        let (head, body) = answer.into_parts();
        let answer = Answer { status: head.status, headers: head.headers, body, after_unclear: false };
        match (self.judge)(&answer) {
            Verdict::Answered => {
                under_way.ended(Outcome::Answered);
                ticket.succeeded();
                Ok(answer)
            }
            Verdict::Throttled(wait) => {
                under_way.ended(Outcome::Throttled);
                ticket.succeeded();
                Err(Failure {
                    kind: StoreErrorKind::Throttled,
                    reason: format!("{} asks to come back later (status {})", url.authority(), answer.status.as_u16()),
                    source: None,
                    unclear: false,
                    again_after: Some(wait.unwrap_or_default()),
                    asked: true,
                })
            }
            Verdict::Failed(wait) => {
                under_way.ended(Outcome::Failed);
                ticket.failed();
                Err(Failure {
                    kind: StoreErrorKind::Unavailable,
                    reason: format!("{} failed (status {})", url.authority(), answer.status.as_u16()),
                    source: None,
                    unclear: true,
                    again_after: Some(wait.unwrap_or_default()),
                    asked: true,
                })
            }
        }
    }
}

/// The requests that one caller's wish needs, under one deadline.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    client: &'a OuterClient,
    deadline: Instant,
}

impl Attempt<'_> {
    /// When its time is over.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Sends a request until there is an answer, no time, or no sense in it. `make` is asked for each try.
    pub async fn send(
        &self,
        repeat: Repeat,
        make: &(dyn Fn() -> Result<Call, StoreError> + Send + Sync),
    ) -> Result<Answer, StoreError> {
        let OuterClient { policy, entropy, store, .. } = self.client;
        let (mut unclear, mut last) = (false, None::<Failure>);
        for tried in 1.. {
            let call = make().map_err(|error| {
                let may_have_happened = error.may_have_happened || unclear;
                error.with_unclear_effect(may_have_happened)
            })?;
            let mut failure = match self.client.try_once(call, self.deadline).await {
                Ok(answer) => return Ok(Answer { after_unclear: unclear, ..answer }),
                Err(failure) => failure,
            };
            unclear |= failure.unclear && repeat != Repeat::Read;
            if !failure.asked {
                // What it said when it was asked tells more.
                failure = last.take().unwrap_or(failure);
                return Err(failure.into_error(store, unclear));
            }
            let wait = failure.again_after.map(|least| least.max(policy.backoff.wait(tried, &**entropy)));
            let Some(wait) = wait.filter(|_| tried < policy.tries && (repeat != Repeat::Never || !failure.unclear))
            else {
                return Err(failure.into_error(store, unclear));
            };
            if Instant::now() + wait >= self.deadline {
                return Err(failure.into_error(store, unclear));
            }
            last = Some(failure);
            sleep(wait).await;
            self.client.counters.retry();
        }
        unreachable!("the loop ends by a return")
    }

    /// Waits before a whole sequence of requests is begun anew, as after a lost race; `false` when there is no time.
    pub async fn pause(&self, tried: u32) -> bool {
        let wait = self.client.policy.backoff.wait(tried, &*self.client.entropy);
        let is_time = Instant::now() + wait < self.deadline;
        if is_time {
            sleep(wait).await;
        }
        is_time
    }
}

impl Failure {
    fn local(kind: StoreErrorKind, reason: String) -> Self {
        Self { kind, reason, source: None, unclear: false, again_after: None, asked: false }
    }

    fn not_asked(wait: Duration) -> Self {
        let reason = format!("it kept failing and is not asked for another {} s", wait.as_secs_f32().ceil());
        Self::local(StoreErrorKind::Unavailable, reason)
    }

    fn transport(error: EgressError) -> Self {
        let (kind, again) = match error {
            // Asked again it would say the same.
            EgressError::Refused { .. } => (StoreErrorKind::Unavailable, false),
            EgressError::TooLarge { .. } => (StoreErrorKind::Integrity, false),
            _ => (StoreErrorKind::Unavailable, true),
        };
        Self {
            kind,
            reason: error.to_string(),
            unclear: error.may_have_arrived(),
            again_after: again.then_some(Duration::ZERO),
            source: Some(error),
            asked: true,
        }
    }

    fn into_error(self, store: &'static str, unclear: bool) -> StoreError {
        let error = StoreError::new(store, self.kind, self.reason).with_unclear_effect(unclear);
        match self.source {
            Some(source) => error.caused_by(source),
            None => error,
        }
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
