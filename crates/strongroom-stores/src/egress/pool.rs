//! Connections that wait for the next request to the same host.
//!
//! Each was opened to a checked address. It is kept for a short while only, so that what the DNS says and what is
//! allowed are asked again.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::{EgressUrl, Host, connection::Connection};

/// How long connections are kept, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepAlive {
    /// Without a request, a connection is closed after this.
    pub idle: Duration,
    /// However busy, a connection takes no new request after this.
    pub age: Duration,
    /// To one host; more are closed after their request.
    pub most_per_host: usize,
}

impl Default for KeepAlive {
    fn default() -> Self {
        // Servers and load balancers close idle connections after a minute or more.
        Self { idle: Duration::from_secs(30), age: Duration::from_mins(5), most_per_host: 32 }
    }
}

/// Who is at the other end: what was checked for one is not taken for another.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct End {
    is_plain_text: bool,
    host: Host,
    port: u16,
}

impl End {
    pub(super) fn of(url: &EgressUrl) -> Self {
        Self { is_plain_text: url.is_plain_text(), host: url.host().clone(), port: url.port() }
    }
}

struct Idle {
    connection: Connection,
    since: Instant,
}

#[derive(Default)]
struct State {
    idle: HashMap<End, Vec<Idle>>,
    has_sweeper: bool,
}

/// The waiting connections of one client.
pub(super) struct Pool {
    bounds: KeepAlive,
    state: Arc<Mutex<State>>,
}

impl Pool {
    pub(super) fn new(bounds: KeepAlive) -> Self {
        Self { bounds, state: Arc::default() }
    }

    /// The one that was used last: the others may become old.
    pub(super) fn take(&self, end: &End) -> Option<Connection> {
        let mut state = lock(&self.state);
        let waiting = state.idle.get_mut(end)?;
        let now = Instant::now();
        let fresh = |mut idle: Idle| is_fresh(&mut idle, self.bounds, now).then_some(idle.connection);
        std::iter::from_fn(|| waiting.pop()).find_map(fresh)
    }

    pub(super) fn put(&self, end: End, connection: Connection) {
        let (mut state, now) = (lock(&self.state), Instant::now());
        let waiting = state.idle.entry(end).or_default();
        let mut idle = Idle { connection, since: now };
        if waiting.len() < self.bounds.most_per_host && is_fresh(&mut idle, self.bounds, now) {
            waiting.push(idle);
        }
        if !std::mem::replace(&mut state.has_sweeper, true) {
            tokio::spawn(sweep(Arc::downgrade(&self.state), self.bounds));
        }
    }

    #[cfg(test)]
    pub(super) fn all_closed(&self) -> bool {
        lock(&self.state).idle.values_mut().flatten().all(|idle| idle.connection.is_closed())
    }

    /// One was found dead: its neighbours are of the same server.
    pub(super) fn forget(&self, end: &End) {
        lock(&self.state).idle.remove(end);
    }
}

/// Closes what nobody has asked for; ends when nothing waits any more.
async fn sweep(state: Weak<Mutex<State>>, bounds: KeepAlive) {
    loop {
        sleep_until(Instant::now() + bounds.idle).await;
        let Some(state) = state.upgrade() else { return };
        let (mut state, now) = (lock(&state), Instant::now());
        for waiting in state.idle.values_mut() {
            waiting.retain_mut(|idle| is_fresh(idle, bounds, now));
        }
        state.idle.retain(|_, waiting| !waiting.is_empty());
        if state.idle.is_empty() {
            state.has_sweeper = false;
            return;
        }
    }
}

fn is_fresh(idle: &mut Idle, bounds: KeepAlive, now: Instant) -> bool {
    !idle.connection.is_closed() && now - idle.since < bounds.idle && now - idle.connection.opened < bounds.age
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Nothing below panics while it holds the lock.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
