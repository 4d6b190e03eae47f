//! The key sets of providers, kept for a while and fetched again when a key is missing.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use quick_cache::sync::Cache;
use strongroom_domain::{Clock, Timestamp};
use tokio::sync::watch;

use super::{
    error::KeysError,
    fetch::{FetchKeys, Fetched},
    key_set::KeySet,
};

/// How long keys are fresh, in seconds, where the provider doesn't say.
const FRESH: i64 = 10 * 60;
/// What it may say.
const SHORTEST_FRESH: i64 = 5 * 60;
const LONGEST_FRESH: i64 = 24 * 60 * 60;
/// How long keys are used while no others can be had.
const LONGEST_USE: i64 = 24 * 60 * 60;
/// No provider is asked more often, whatever tokens say: anybody can write a key id.
const BETWEEN_ATTEMPTS: i64 = 30;
/// Far more than anyone configures; others are fetched again.
const MOST_SETS: usize = 1_000;

/// Key sets by the address that they come from.
pub(super) struct KeyCache {
    clock: Arc<dyn Clock>,
    fetcher: Arc<dyn FetchKeys>,
    entries: Cache<String, Arc<Entry>>,
}

#[derive(Default)]
struct Entry(Mutex<State>);

#[derive(Default)]
struct State {
    held: Option<Held>,
    attempt: Option<Attempt>,
    /// Open as long as an attempt runs.
    running: Option<watch::Receiver<()>>,
}

#[derive(Clone)]
struct Held {
    keys: Arc<KeySet>,
    since: Timestamp,
    /// In seconds.
    fresh_for: i64,
}

/// The last one that began.
struct Attempt {
    at: Timestamp,
    /// Of the last one that ended, if it failed.
    error: Option<KeysError>,
}

impl KeyCache {
    pub(super) fn new(clock: Arc<dyn Clock>, fetcher: Arc<dyn FetchKeys>) -> Self {
        Self { clock, fetcher, entries: Cache::new(MOST_SETS) }
    }

    /// The keys at `uri`, and when they are to be asked for again: those held if they are fresh and may verify `key_id`,
    /// else fetched again if that wasn't tried just now. Old ones rather than none, for a day.
    pub(super) async fn keys(&self, uri: &str, key_id: Option<&str>) -> Result<(Arc<KeySet>, Timestamp), KeysError> {
        let entry = self.entry(uri);
        if let Some(mut attempt) = self.refresh_if_needed(&entry, uri, key_id) {
            // Nothing is ever sent; the end of the attempt closes the channel.
            let _ = attempt.changed().await;
        }
        entry.lock().usable(self.clock.now())
    }

    fn entry(&self, uri: &str) -> Arc<Entry> {
        let Ok(entry) = self.entries.get_or_insert_with(uri, || Ok::<_, Infallible>(Arc::default()));
        entry
    }

    /// Begins an attempt where one is needed and due. What comes back is to be waited for.
    fn refresh_if_needed(&self, entry: &Arc<Entry>, uri: &str, key_id: Option<&str>) -> Option<watch::Receiver<()>> {
        let now = self.clock.now();
        let mut state = entry.lock();
        let is_known = state.held.as_ref().is_some_and(|held| held.keys.may_verify(key_id));
        if is_known && state.held.as_ref().is_some_and(|held| is_within(held.since, now, held.fresh_for)) {
            return None;
        }
        let running = match state.running.clone().filter(|running| running.has_changed().is_ok()) {
            Some(running) => running,
            None if state.attempt.as_ref().is_some_and(|last| is_within(last.at, now, BETWEEN_ATTEMPTS)) => {
                return None;
            }
            None => self.begin(entry, &mut state, uri, now),
        };
        // A provider that was down isn't waited for while its old keys will do.
        let is_down = state.attempt.as_ref().is_some_and(|last| last.error.is_some());
        let will_do = is_down && is_known && state.usable(now).is_ok();
        (!will_do).then_some(running)
    }

    /// In a task of its own: whoever asked may go away, and the next one mustn't wait for nothing.
    fn begin(&self, entry: &Arc<Entry>, state: &mut State, uri: &str, now: Timestamp) -> watch::Receiver<()> {
        let (open, running) = watch::channel(());
        let error = state.attempt.take().and_then(|last| last.error);
        state.attempt = Some(Attempt { at: now, error });
        state.running = Some(running.clone());
        let (entry, fetcher, uri) = (entry.clone(), self.fetcher.clone(), uri.to_owned());
        tokio::spawn(async move {
            let answer = fetcher.fetch(&uri).await.map_err(|error| KeysError::Fetch(Arc::new(error)));
            let read = answer.and_then(|answer| Ok((KeySet::parse(&answer.body)?, fresh_for(&answer))));
            let mut state = entry.lock();
            let error = match read {
                Ok((keys, fresh_for)) => {
                    state.held = Some(Held { keys: Arc::new(keys), since: now, fresh_for });
                    None
                }
                Err(error) => {
                    tracing::warn!(%error, uri, "the keys of an identity provider can't be had");
                    Some(error)
                }
            };
            state.attempt = Some(Attempt { at: now, error });
            drop(state);
            drop(open);
        });
        running
    }
}

impl Entry {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change of the state is one assignment.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn usable(&self, now: Timestamp) -> Result<(Arc<KeySet>, Timestamp), KeysError> {
        let error = || {
            let last = self.attempt.as_ref().and_then(|last| last.error.clone());
            last.unwrap_or(KeysError::Malformed("it wasn't read to its end"))
        };
        match &self.held {
            Some(held) if is_within(held.since, now, LONGEST_USE) => {
                let is_fresh = is_within(held.since, now, held.fresh_for);
                let (from, seconds) = if is_fresh { (held.since, held.fresh_for) } else { (now, BETWEEN_ATTEMPTS) };
                Ok((held.keys.clone(), from.plus_seconds(seconds)))
            }
            Some(_) => Err(KeysError::TooOld(Box::new(error()))),
            None => Err(error()),
        }
    }
}

/// Whether `now` is less than so many seconds after `since`. A clock that was put back makes everything old.
fn is_within(since: Timestamp, now: Timestamp, seconds: i64) -> bool {
    (since..since.plus_seconds(seconds)).contains(&now)
}

/// `max-age` of the header `Cache-Control`, within bounds: a provider can neither have us ask all the time nor have us
/// believe a key for a week that it has withdrawn.
fn fresh_for(answer: &Fetched) -> i64 {
    let directives = answer.cache_control.as_deref().unwrap_or_default().to_ascii_lowercase();
    let max_age = directives.split(',').find_map(|directive| directive.trim().strip_prefix("max-age=")?.parse().ok());
    max_age.map_or(FRESH, |seconds: i64| seconds.clamp(SHORTEST_FRESH, LONGEST_FRESH))
}

#[cfg(test)]
#[path = "key_cache_tests.rs"]
mod tests;
