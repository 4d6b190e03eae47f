//! The identity that the process itself has at AWS: fetched when it is first needed, once for all who need it, and anew
//! before it ends.

mod chain;

use std::{
    fmt,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use strongroom_domain::Timestamp;
use tokio::{
    sync::watch,
    time::{Instant, timeout, timeout_at},
};

use self::chain::Chain;
use super::sigv4::Credentials;
use crate::{StoreError, StoreErrorKind, egress::EgressClient};

/// For one fetch, whoever is asked for it. Less than a connection check has, so that its error is told there.
const LIMIT: Duration = Duration::from_secs(8);
/// A new one is fetched when this one has less than this left.
const EARLY_SECONDS: i64 = 300;
/// With less than this left it isn't used any more: the request must still arrive.
const SPARE_SECONDS: i64 = 30;
/// What says nothing of an end, like a key in a file, is looked at again after this.
const LOOK_AGAIN_SECONDS: i64 = 900;
/// For so long after a fetch no other one is begun if it can be helped: whoever is asked may be in trouble.
const REST: Duration = Duration::from_secs(5);

/// The identity, as far as it is known.
pub(super) struct Ambient {
    fetch: Arc<dyn Fetch>,
    state: Arc<Mutex<State>>,
}

/// What finds the identity.
#[async_trait]
trait Fetch: Send + Sync {
    /// Notes in `trail` whom it asks.
    async fn fetch(&self, trail: &Trail) -> Result<Fetched, Trouble>;
}

/// Credentials, and when they end, where that is said.
struct Fetched {
    credentials: Credentials,
    ends: Option<Timestamp>,
}

/// Why there are none. The text has no credential in it, and nothing that an answer said.
#[derive(Debug, Clone)]
struct Trouble {
    kind: StoreErrorKind,
    reason: String,
}

/// Who was asked last over the network, and what came of it.
#[derive(Clone, Default)]
struct Trail(Arc<Mutex<Option<Step>>>);

#[derive(Clone)]
struct Step {
    text: String,
    /// Whether it said something, and not that it failed.
    is_answer: bool,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// When the last fetch ended, and what was the matter.
    last: Option<(Instant, Option<Trouble>)>,
    /// Its other end is dropped when the fetch has ended.
    under_way: Option<watch::Receiver<()>>,
    /// Whether that takes longer than it may. It goes on, since a program that it runs would, too; and while it does there
    /// is no second one.
    is_late: bool,
}

struct Held {
    credentials: Arc<Credentials>,
    ends: Timestamp,
}

/// What there is at the moment.
enum Found {
    Credentials(Arc<Credentials>),
    Nothing(Trouble),
    UnderWay(watch::Receiver<()>),
}

impl Ambient {
    pub(super) fn new(egress: Arc<EgressClient>) -> Self {
        Self::of(Arc::new(Chain::new(egress)))
    }

    fn of(fetch: Arc<dyn Fetch>) -> Self {
        Self { fetch, state: Arc::default() }
    }

    /// The credentials as of `now`. Errors carry the name of the store that needs them.
    pub(super) async fn credentials(
        &self,
        store: &'static str,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Arc<Credentials>, StoreError> {
        // Once more after a fetch: then there is what came of it.
        for _ in 0..2 {
            match self.look(now) {
                Found::Credentials(credentials) => return Ok(credentials),
                Found::Nothing(Trouble { kind, reason }) => return Err(StoreError::new(store, kind, reason)),
                Found::UnderWay(mut fetch) => {
                    // It says nothing but that it has ended.
                    if timeout_at(deadline, fetch.changed()).await.is_err() {
                        break;
                    }
                }
            }
        }
        let reason = "the server's own AWS identity isn't there yet, and there was no time to wait longer";
        Err(StoreError::new(store, StoreErrorKind::Unavailable, reason))
    }

    /// AWS says that these have ended.
    pub(super) fn forget(&self, ended: &Arc<Credentials>) {
        let mut state = lock(&self.state);
        // Another may have fetched new ones meanwhile.
        if state.held.as_ref().is_some_and(|held| Arc::ptr_eq(&held.credentials, ended)) {
            state.held = None;
        }
    }

    fn look(&self, now: Timestamp) -> Found {
        let mut state = lock(&self.state);
        if let Some(credentials) = state.lasting(now, EARLY_SECONDS) {
            return Found::Credentials(credentials);
        }
        let present = state.lasting(now, SPARE_SECONDS);
        let under_way = state.under_way.clone().filter(|fetch| fetch.has_changed().is_ok());
        let under_way = under_way.or_else(|| {
            let is_rested = match &state.last {
                Some((ended, trouble)) => ended.elapsed() >= REST || present.is_none() && trouble.is_none(),
                None => true,
            };
            is_rested.then(|| self.begin(&mut state, now))
        });
        // Whoever has something that still lasts doesn't wait for more, nor anybody for what is late.
        let under_way = under_way.filter(|_| !state.is_late);
        match (present, under_way) {
            (Some(credentials), _) => Found::Credentials(credentials),
            (None, Some(fetch)) => Found::UnderWay(fetch),
            (None, None) => {
                Found::Nothing(state.last.iter().find_map(|(_, trouble)| trouble.clone()).unwrap_or_else(|| Trouble {
                    kind: StoreErrorKind::Unavailable,
                    reason: "the server has no AWS identity".to_owned(),
                }))
            }
        }
    }

    /// In a task of its own: whoever began it may hang up, and the others wait on.
    fn begin(&self, state: &mut State, now: Timestamp) -> watch::Receiver<()> {
        let (done, under_way) = watch::channel(());
        state.under_way = Some(under_way.clone());
        let (fetch, state) = (self.fetch.clone(), self.state.clone());
        tokio::spawn(async move {
            // Dropped last, whatever happens.
            let done = done;
            let trail = Trail::default();
            let mut fetching = pin!(fetch.fetch(&trail));
            let fetched = if let Ok(fetched) = timeout(LIMIT, &mut fetching).await {
                fetched
            } else {
                {
                    let mut state = lock(&state);
                    state.last = Some((Instant::now(), Some(Trouble::late(&trail))));
                    state.is_late = true;
                }
                done.send_replace(());
                fetching.await
            };
            let held = fetched.and_then(|fetched| fetched.held(now));
            let mut state = lock(&state);
            state.is_late = false;
            state.last = Some((Instant::now(), held.as_ref().err().cloned()));
            if let Ok(held) = held {
                state.held = Some(held);
            }
        });
        under_way
    }
}

impl State {
    fn lasting(&self, now: Timestamp, seconds: i64) -> Option<Arc<Credentials>> {
        let held = self.held.as_ref().filter(|held| now.plus_seconds(seconds) < held.ends)?;
        Some(held.credentials.clone())
    }
}

impl Fetched {
    fn held(self, now: Timestamp) -> Result<Held, Trouble> {
        let ends = self.ends.unwrap_or_else(|| now.plus_seconds(LOOK_AGAIN_SECONDS));
        if ends <= now.plus_seconds(SPARE_SECONDS) {
            let reason =
                format!("the server's AWS identity has ended, at {}, and there is no newer one", ends.to_wire());
            return Err(Trouble { kind: StoreErrorKind::Unauthenticated, reason });
        }
        Ok(Held { credentials: Arc::new(self.credentials), ends })
    }
}

impl Trail {
    fn note(&self, text: String, is_answer: bool) {
        *lock(&self.0) = Some(Step { text, is_answer });
    }

    fn last(&self) -> Option<Step> {
        lock(&self.0).clone()
    }

    /// Whoever answers nothing may do so soon; whoever says no will go on saying it.
    fn kind(&self) -> StoreErrorKind {
        match self.last() {
            Some(Step { is_answer: false, .. }) => StoreErrorKind::Unavailable,
            _ => StoreErrorKind::Unauthenticated,
        }
    }

    /// In brackets, behind other words.
    fn aside(&self) -> String {
        self.last().map_or_else(String::new, |step| format!(" ({})", step.text))
    }
}

impl Trouble {
    fn late(trail: &Trail) -> Self {
        let reason =
            format!("the server's AWS identity can't be had within {} seconds{}", LIMIT.as_secs(), trail.aside());
        Self { kind: StoreErrorKind::Unavailable, reason }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ambient")
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
