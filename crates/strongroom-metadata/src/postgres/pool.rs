//! Connections: a few that reads share, and some that batches and long reads have for themselves.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::address::PostgresAddress;
use super::connect::ConnectSetup;
use super::connection::{Connection, Warned};

/// Reads are short, and many of them fit on a connection at a time: four of them did twice the reads of eight that each
/// took one at a time.
const LANES: usize = 4;
/// How soon after a failure to connect the next one is tried: from the first to the last, doubling.
const SOONEST: Duration = Duration::from_millis(50);
const LATEST: Duration = Duration::from_secs(1);

pub(super) struct Pool {
    address: PostgresAddress,
    named: bool,
    /// Given to the server at the start of each connection; not through a pooler, which may not take it.
    options: Option<String>,
    limit: Duration,
    lanes: Vec<Lane>,
    turn: AtomicUsize,
    /// How many connections there have been for reads.
    connected: AtomicU64,
    idle: Mutex<Vec<Arc<Connection>>>,
    permits: Semaphore,
    failure: Mutex<Option<Failure>>,
}

/// One shared connection.
#[derive(Default)]
struct Lane {
    connection: Mutex<Option<Arc<Connection>>>,
    /// Whoever finds no connection makes one, and the others wait for it.
    connecting: tokio::sync::Mutex<()>,
}

/// The last failure to connect.
struct Failure {
    at: Instant,
    wait: Duration,
    reason: String,
}

/// A connection that its holder has alone. It goes back only when all that was sent on it is answered.
pub(super) struct Leased<'a> {
    connection: Arc<Connection>,
    pool: &'a Pool,
    answered: bool,
    _permit: SemaphorePermit<'a>,
}

impl Leased<'_> {
    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Says that nothing is in flight: the connection may be used again.
    pub(super) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Leased<'_> {
    fn drop(&mut self) {
        if self.answered && !self.connection.is_closed() {
            lock(&self.pool.idle).push(self.connection.clone());
        }
    }
}

impl Pool {
    pub(super) fn new(
        address: PostgresAddress,
        connections: usize,
        named: bool,
        direct: bool,
        limit: Duration,
    ) -> Self {
        let millis = limit.as_millis();
        // No compiling: a statement here takes some milliseconds at most, and compiling it would take ten times as long.
        let options = direct.then(|| {
            format!(
                "-c statement_timeout={millis} -c lock_timeout={millis} -c idle_in_transaction_session_timeout={millis} \
                 -c synchronous_commit=on -c jit=off"
            )
        });
        let lanes = LANES.min(connections.div_ceil(4));
        Self {
            address,
            named,
            options,
            limit,
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            turn: AtomicUsize::new(0),
            connected: AtomicU64::new(0),
            idle: Mutex::default(),
            permits: Semaphore::new(connections.saturating_sub(lanes).max(1)),
            failure: Mutex::default(),
        }
    }

    pub(super) const fn limit(&self) -> Duration {
        self.limit
    }

    /// A connection that others use, too. Nothing may be sent on it that takes long or begins a transaction.
    pub(super) async fn shared(&self) -> Result<Arc<Connection>, String> {
        self.of(&self.lanes[self.turn.fetch_add(1, Ordering::Relaxed) % self.lanes.len()]).await
    }

    /// Makes those shared connections that are not there yet.
    pub(super) async fn fill(&self) -> Result<(), String> {
        for lane in &self.lanes {
            self.of(lane).await?;
        }
        Ok(())
    }

    /// How many connections there have been for reads. While it stays the same, all reads went to one server.
    pub(super) fn connected(&self) -> u64 {
        self.connected.load(Ordering::SeqCst)
    }

    async fn of(&self, lane: &Lane) -> Result<Arc<Connection>, String> {
        let present = || lock(&lane.connection).clone().filter(|connection| !connection.is_closed());
        if let Some(connection) = present() {
            return Ok(connection);
        }
        let _turn = lane.connecting.lock().await;
        if let Some(connection) = present() {
            return Ok(connection);
        }
        let connection = Arc::new(self.connect("reads").await?);
        self.connected.fetch_add(1, Ordering::SeqCst);
        *lock(&lane.connection) = Some(connection.clone());
        Ok(connection)
    }

    /// Takes a shared connection that doesn't answer out of use.
    pub(super) fn give_up(&self, silent: &Arc<Connection>) {
        for lane in &self.lanes {
            let mut connection = lock(&lane.connection);
            if connection.as_ref().is_some_and(|connection| Arc::ptr_eq(connection, silent)) {
                *connection = None;
            }
        }
    }

    /// Closes what nobody uses at present, so that whoever comes next connects anew.
    pub(super) fn forget_idle(&self) {
        lock(&self.idle).clear();
    }

    /// A connection of one's own.
    pub(super) async fn own(&self) -> Result<Leased<'_>, String> {
        let permit = tokio::time::timeout(self.limit, self.permits.acquire()).await;
        let permit = permit
            .map_err(|_| "all connections are in use (setting database-connections)".to_owned())?
            .map_err(|_| "the database is closed".to_owned())?;
        loop {
            let idle = lock(&self.idle).pop();
            let connection = match idle {
                Some(closed) if closed.is_closed() => continue,
                Some(connection) => connection,
                None => Arc::new(self.connect("writes").await?),
            };
            return Ok(Leased { connection, pool: self, answered: false, _permit: permit });
        }
    }

    /// Connects, unless that has just failed.
    async fn connect(&self, what_for: &str) -> Result<Connection, String> {
        if let Some(failure) = &*lock(&self.failure)
            && failure.at.elapsed() < failure.wait
        {
            return Err(failure.reason.clone());
        }
        let name = format!("strongroom {what_for}");
        let setup = ConnectSetup { application_name: &name, options: self.options.as_deref() };
        let warned = Arc::new(AtomicBool::new(false));
        let watch = Warned(warned.clone());
        match self.address.connect(&setup, move |message| watch.note(&message)).await {
            Ok(client) => {
                *lock(&self.failure) = None;
                Ok(Connection::new(client, self.named, warned))
            }
            Err(error) => {
                let reason = error.to_string();
                let mut failure = lock(&self.failure);
                let wait = failure.as_ref().map_or(SOONEST, |last| (last.wait * 2).min(LATEST));
                tracing::warn!(reason, "can't connect to the database");
                *failure = Some(Failure { at: Instant::now(), wait, reason: reason.clone() });
                Err(reason)
            }
        }
    }
}

/// Nothing panics while it holds one of these locks.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
