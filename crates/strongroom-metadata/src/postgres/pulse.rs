//! What a replica knows of the others: asked for every half second, and at once when the database says that something
//! changed. What is known is never used when it is older than a second.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use strongroom_domain::{Clock, Timestamp};
use tokio::sync::Notify;
use tokio_postgres::AsyncMessage;

use super::Shared;
use super::address::PostgresAddress;
use super::connect::ConnectSetup;
use super::pool::lock;
use crate::replicas::SELECT_PULSE;
use crate::sql::{Columns, Row};
use crate::stamps::Stamp;
use crate::{ReadError, dialect};

const EVERY: Duration = Duration::from_millis(500);
/// How old what is known may be. Less than a second, for the time between looking and answering.
const FRESH: Duration = Duration::from_millis(950);
/// An answer that takes longer is of no use.
const PATIENCE: Duration = Duration::from_millis(900);
const RECONNECT: Duration = Duration::from_millis(500);

pub(super) struct Pulse {
    known: Mutex<Known>,
    wake: Notify,
    /// Changes of identities that this replica is making, and those that it made.
    changing: AtomicU64,
    changed: AtomicU64,
}

#[derive(Clone)]
struct Known {
    /// When it was asked for; what changed before is known.
    asked: Instant,
    number: u64,
    /// The database's time, and when it was that.
    time: Timestamp,
    at: Instant,
    state: String,
}

impl Pulse {
    pub(super) fn new() -> Self {
        let known = Known {
            asked: Instant::now(),
            number: 0,
            time: Timestamp::from_micros(0),
            at: Instant::now(),
            state: String::new(),
        };
        Self { known: Mutex::new(known), wake: Notify::new(), changing: AtomicU64::new(0), changed: AtomicU64::new(0) }
    }

    /// Of identities, policy and integrations; `None` while this replica changes them, and when nobody could be asked.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        if self.changing.load(SeqCst) > 0 {
            return None;
        }
        let changed = self.changed.load(SeqCst);
        let known = lock(&self.known);
        (known.asked.elapsed() < FRESH).then(|| Stamp::of_replica(changed, known.number))
    }

    /// Whether the database was asked a moment ago, and may be written to.
    pub(super) fn is_ready(&self) -> Result<(), &'static str> {
        let known = lock(&self.known);
        if known.asked.elapsed() >= 2 * FRESH {
            Err("the database can't be asked")
        } else if known.state != "live" {
            Err("the database is being moved, or was")
        } else {
            Ok(())
        }
    }

    /// For the time in which this replica changes identities: nothing that is kept is used meanwhile.
    pub(super) fn changing(&self) -> Changing<'_> {
        self.changing.fetch_add(1, SeqCst);
        Changing(self)
    }

    /// Asks the database. A connection on which no answer comes within `limit` is not used again.
    pub(super) async fn ask(&self, shared: &Shared, limit: Duration) -> Result<(), ReadError> {
        let asked = Instant::now();
        let (mut answer, mut grants) = (None, None);
        shared
            .scan(&SELECT_PULSE, &[], limit, |row: &Row<'_>| {
                let number = u64::try_from(row.int(0)?).map_err(|_| row.damaged(0))?;
                debug_assert!(matches!(row.inner, Columns::Postgres(_)));
                answer = Some((number, row.time(1)?, row.text(2)?));
                grants = u64::try_from(row.int(3)?).ok();
                Ok(false)
            })
            .await?;
        let Some((number, time, state)) = answer else {
            return Err(ReadError::Damaged { statement: SELECT_PULSE.name, column: 0 });
        };
        if let Some(number) = grants {
            shared.grants.saw(number);
        }
        let at = asked + asked.elapsed() / 2;
        let mut known = lock(&self.known);
        // Two may ask at a time: what was asked for later holds.
        if known.state.is_empty() || known.asked <= asked {
            *known = Known { asked, number, time, at, state };
        }
        Ok(())
    }
}

/// Ends when it is dropped.
pub(super) struct Changing<'a>(&'a Pulse);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.0.changed.fetch_add(1, SeqCst);
        self.0.changing.fetch_sub(1, SeqCst);
    }
}

/// The database's clock, as it was when last asked and as far as it has gone on since.
pub(crate) struct DatabaseClock(pub(super) Arc<Shared>);

impl Clock for DatabaseClock {
    fn now(&self) -> Timestamp {
        let known = lock(&self.0.pulse.known);
        let since = i64::try_from(known.at.elapsed().as_micros()).unwrap_or(0);
        Timestamp::from_micros(known.time.micros().saturating_add(since))
    }
}

/// Asks for as long as the database is open.
pub(super) async fn beat(shared: Weak<Shared>) {
    loop {
        let started = Instant::now();
        let Some(present) = shared.upgrade() else { return };
        // Where a connection went silent another one is tried; making it may take as long again.
        match tokio::time::timeout(2 * PATIENCE, present.pulse.ask(&present, PATIENCE)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the change number can't be asked for"),
            Err(_) => tracing::debug!("the change number was not answered in time"),
        }
        let pause = EVERY.saturating_sub(started.elapsed()).max(Duration::from_millis(20));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = present.pulse.wake.notified() => {}
        }
    }
}

/// Hears what the database says, when it can be heard: behind a pooler it can't, and then asking is enough.
pub(super) async fn listen(shared: Weak<Shared>, address: PostgresAddress) {
    loop {
        let woken = shared.clone();
        let setup = ConnectSetup { application_name: "strongroom listener", options: None };
        let heard = move |message: AsyncMessage| {
            if let (AsyncMessage::Notification(_), Some(shared)) = (message, woken.upgrade()) {
                shared.pulse.wake.notify_one();
            }
        };
        if let Ok(client) = address.connect(&setup, heard).await
            && client.batch_execute(dialect::LISTEN_CHANGES).await.is_ok()
        {
            while !client.is_closed() && shared.strong_count() > 0 {
                tokio::time::sleep(RECONNECT).await;
            }
        }
        if shared.strong_count() == 0 {
            return;
        }
        tokio::time::sleep(RECONNECT).await;
    }
}
