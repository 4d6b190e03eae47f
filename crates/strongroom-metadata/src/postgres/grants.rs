//! Grants in memory over PostgreSQL: as of one number, which moves with each change of any grant or membership.
//!
//! What is kept is never said to be the present state. Whoever used it reads the number in the same statement as the
//! group, and where it is another one everything is read as before. So it may be behind, and nobody notices but by the
//! time that it takes. A task follows: it reads which grants changed and what they are, in one statement.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use quick_cache::sync::Cache;
use strongroom_domain::{GroupId, SecretId, Timestamp};
use tokio::sync::Notify;
use tokio_postgres::types::Type;

use super::Shared;
use super::connect::ConnectSetup;
use super::connection::described;
use super::pool::lock;
use crate::entered::Found;
use crate::grants::{Entrance, Held, Name, Names, Tables, key};
use crate::groups::Viewpoint;
use crate::replicas::{FOLLOW_GRANTS, GRANT_CHANGES_KEPT, LEARN_GRANTS, LOAD_GRANTS};
use crate::sql::{Columns, Row, Value, params};
use crate::{ReadError, dialect};

/// Rows that a connection shared with others may be kept busy with.
const A_FEW: usize = 5_000;
/// Between two attempts to read what is to be kept.
const SOONEST: Duration = Duration::from_millis(500);
const LATEST: Duration = Duration::from_mins(1);
/// How long reading everything may take.
const LOADING: Duration = Duration::from_mins(10);
/// Between two readings of everything lies so many times what the first one took.
const SHARE: u32 = 9;
/// Rows after which whoever else waits has a turn.
const A_TURN: usize = 1_000;
/// Groups that wait for being read.
const WAITING: usize = 256;
/// Of so many secrets and names it is remembered which group they are of.
const HINTS: usize = 50_000;

pub(super) struct Grants {
    names: Names,
    kept: RwLock<Option<Kept>>,
    /// How often it was seen that what is kept is behind, and up to which of these times it was caught up with.
    behind: AtomicU64,
    caught_up: AtomicU64,
    wake: Notify,
    unknown: Mutex<Vec<GroupId>>,
    /// When everything was last read, and how long it took.
    loading: Mutex<Option<(Instant, Duration)>>,
    secrets: Cache<SecretId, GroupId>,
    group_names: Cache<String, GroupId>,
}

struct Kept {
    /// What the tables are exact for.
    number: u64,
    /// How many connections there had been for reads: a new one may lead to another server, which may have lost numbers.
    connections: u64,
    tables: Tables,
}

/// Which group something is of, or was.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hint<'a> {
    Group(GroupId),
    Secret(SecretId),
    Name(&'a str),
}

/// Whose list a row belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Nobody,
    Anything,
    Group(u128),
    Member(Name),
}

#[derive(Default)]
struct Read {
    /// Of all rows; `None` where there were none.
    number: Option<u64>,
    rows: usize,
    anything: bool,
    tables: Tables,
}

impl Grants {
    pub(super) fn new() -> Self {
        Self {
            names: Names::new(),
            kept: RwLock::default(),
            behind: AtomicU64::new(0),
            caught_up: AtomicU64::new(0),
            wake: Notify::new(),
            unknown: Mutex::default(),
            loading: Mutex::default(),
            secrets: Cache::new(HINTS),
            group_names: Cache::new(HINTS),
        }
    }

    /// Whether something is kept, and nobody has seen that it is behind.
    pub(super) fn is_loaded(&self) -> bool {
        self.is_abreast() && self.number().is_some()
    }

    /// Whether everything that was seen to be behind was caught up with.
    fn is_abreast(&self) -> bool {
        self.caught_up.load(SeqCst) == self.behind.load(SeqCst)
    }

    fn number(&self) -> Option<u64> {
        self.kept.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(|kept| kept.number)
    }

    /// The number, unless there have been more connections since.
    fn number_of(&self, connections: u64) -> Option<u64> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|kept| kept.connections == connections).map(|kept| kept.number)
    }

    /// The group that is meant, and what grants give somebody on it: to be read with the number. `None` where they give
    /// nothing, too: what is hidden is read as what isn't there is.
    pub(super) fn entrance(
        &self,
        hint: Hint<'_>,
        viewpoint: &Viewpoint,
        now: Timestamp,
    ) -> Option<(GroupId, Entrance)> {
        let group = match hint {
            Hint::Group(id) => Some(id),
            Hint::Secret(id) => self.secrets.get(&id),
            Hint::Name(name) => self.group_names.get(name),
        };
        if !self.is_abreast() {
            return None;
        }
        let own = self.names.name(&viewpoint.subject);
        let found = group.map_or(Found::NOTHING, |id| Found::of((id, true)));
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let kept = kept.as_ref()?;
        let entrance = self.names.look(&kept.tables, found, own, now, kept.number);
        let entrance = Entrance { connections: kept.connections, ..entrance };
        let known = |id| kept.tables.groups.contains_key(&key(id));
        let group = group.filter(|id| entrance.role.is_some() || (viewpoint.sees_all() && known(*id)))?;
        Some((group, entrance))
    }

    /// Whether what was read with this number is of the moment of an entrance.
    pub(super) fn holds(&self, entrance: Entrance, number: Option<u64>, shared: &Shared) -> bool {
        let Some(number) = number else { return false };
        if number != entrance.as_of {
            self.saw(number);
            return false;
        }
        let same = entrance.connections == shared.pool.connected();
        if !same {
            self.fall_behind();
        }
        same
    }

    /// Takes note of a number that was read just now.
    pub(super) fn saw(&self, number: u64) {
        if self.number().is_some_and(|kept| kept != number) {
            self.fall_behind();
        }
    }

    /// Nothing that is kept is used before the task has asked again.
    pub(super) fn fall_behind(&self) {
        self.behind.fetch_add(1, SeqCst);
        self.wake.notify_one();
    }

    /// Remembers what somebody was shown. If grants let them see it and none are known, the group is a new one: they are read.
    pub(super) fn shown(&self, hint: Hint<'_>, group: GroupId, is_granted: bool) {
        match hint {
            Hint::Group(_) => {}
            Hint::Secret(id) => self.secrets.insert(id, group),
            Hint::Name(name) => self.group_names.insert(name.to_owned(), group),
        }
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        let is_new = is_granted && kept.as_ref().is_some_and(|kept| !kept.tables.groups.contains_key(&key(group)));
        drop(kept);
        let mut unknown = lock(&self.unknown);
        if is_new && unknown.len() < WAITING && !unknown.contains(&group) {
            unknown.push(group);
            drop(unknown);
            self.wake.notify_one();
        }
    }

    /// A name was looked for in the group that had it, and isn't there any more: looked for again it costs no more than one
    /// that never was there.
    pub(super) fn forget_name(&self, name: &str) {
        self.group_names.remove(name);
    }

    fn forget(&self) {
        let kept = self.kept.write().unwrap_or_else(PoisonError::into_inner).take();
        drop(kept);
    }

    /// What there is to do: read everything, or what changed, or new groups.
    async fn catch_up(&self, shared: &Shared) -> Result<(), ReadError> {
        let behind = self.behind.load(SeqCst);
        let connections = shared.pool.connected();
        match self.number_of(connections) {
            Some(_) if behind == self.caught_up.load(SeqCst) => {}
            Some(number) => {
                // What can't be followed in time is too much to be followed.
                if !self.follow(shared, number).await.unwrap_or(false) {
                    self.load(shared).await?;
                }
            }
            None => self.load(shared).await?,
        }
        self.caught_up.store(behind, SeqCst);
        loop {
            let Some(group) = lock(&self.unknown).pop() else { return Ok(()) };
            self.learn(shared, group).await?;
        }
    }

    /// Reads what changed since a number. `false` where that can't be told.
    async fn follow(&self, shared: &Shared, number: u64) -> Result<bool, ReadError> {
        let mut read = Read::default();
        let asked = |limit: usize| params![number.cast_signed(), i64::try_from(limit).unwrap_or(i64::MAX)];
        let each = |row: &Row<'_>| read.add(&self.names, row).map(|()| true);
        shared.scan(&FOLLOW_GRANTS, &asked(A_FEW), shared.pool.limit(), each).await?;
        if read.rows >= A_FEW {
            read = Read::default();
            let each = |row: &Row<'_>| read.add(&self.names, row).map(|()| true);
            shared.scan_alone(&FOLLOW_GRANTS, &asked(usize::MAX), each).await?;
        }
        let Some(present) = read.number else { return Ok(false) };
        let since = present.checked_sub(number);
        if read.anything || since.is_none_or(|since| since > GRANT_CHANGES_KEPT) {
            return Ok(false);
        }
        read.sort();
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        let Some(kept) = kept.as_mut().filter(|kept| kept.number == number) else { return Ok(false) };
        replace(&mut kept.tables.groups, read.tables.groups);
        replace(&mut kept.tables.teams, read.tables.teams);
        kept.number = present;
        Ok(true)
    }

    /// Reads the grants on a group that is not known, and keeps them if nothing has changed since.
    async fn learn(&self, shared: &Shared, group: GroupId) -> Result<(), ReadError> {
        let mut read = Read::default();
        let each = |row: &Row<'_>| read.add(&self.names, row).map(|()| true);
        shared.scan(&LEARN_GRANTS, &params![group], shared.pool.limit(), each).await?;
        let Some(number) = read.number else { return Ok(()) };
        read.sort();
        {
            let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
            // If it is not of the same moment, who is shown the group the next time asks again.
            if let Some(kept) = kept.as_mut().filter(|kept| kept.number == number) {
                replace(&mut kept.tables.groups, read.tables.groups);
            }
        }
        self.saw(number);
        Ok(())
    }

    /// Reads everything in one statement, on a connection of its own: it takes longer than any other may.
    async fn load(&self, shared: &Shared) -> Result<(), ReadError> {
        self.forget();
        let last = *lock(&self.loading);
        if let Some((began, took)) = last {
            // Where connections come and go, a database that is busy isn't kept busy by this.
            tokio::time::sleep_until((began + took + SHARE * took).into()).await;
        }
        let began = Instant::now();
        shared.pool.fill().await.map_err(ReadError::Unreachable)?;
        let connections = shared.pool.connected();
        let loading = async {
            let setup = ConnectSetup { application_name: "strongroom grants", options: None };
            let client = shared.direct.connect(&setup, |_| {}).await;
            let client = client.map_err(|error| ReadError::Unreachable(error.to_string()))?;
            client.batch_execute(dialect::BEGIN_LONG_READ).await?;
            // Unnamed, as all that may go through a pooler.
            let none: [(&Value, Type); 0] = [];
            let mut rows = pin!(client.query_typed_raw(LOAD_GRANTS.postgres(), none).await?);
            let mut read = Read::default();
            while let Some(row) = rows.next().await {
                read.add(&self.names, &Row { statement: LOAD_GRANTS.name, inner: Columns::Postgres(&row?) })?;
                if read.rows.is_multiple_of(A_TURN) {
                    tokio::task::yield_now().await;
                }
            }
            Ok::<_, ReadError>(read)
        };
        let late = |_| ReadError::Unreachable("all grants were not read in time".into());
        let mut read = tokio::time::timeout(LOADING, loading).await.map_err(late)??;
        let Some(number) = read.number else {
            return Err(ReadError::Damaged { statement: LOAD_GRANTS.name, column: 0 });
        };
        let sorted = tokio::task::spawn_blocking(move || {
            read.sort();
            read.tables
        });
        let tables = sorted.await.map_err(|_| ReadError::Lost)?;
        tracing::info!(groups = tables.groups.len(), members = tables.teams.len(), "grants are kept in memory");
        *lock(&self.loading) = Some((began, began.elapsed()));
        *self.kept.write().unwrap_or_else(PoisonError::into_inner) = Some(Kept { number, connections, tables });
        Ok(())
    }
}

impl Read {
    /// A row is the number, whose list it belongs to, and what is in it, if anything.
    fn add(&mut self, names: &Names, row: &Row<'_>) -> Result<(), ReadError> {
        self.rows += 1;
        self.number = Some(u64::try_from(row.int(0)?).map_err(|_| row.damaged(0))?);
        let of = match row.opt_int(1)? {
            None => Of::Nobody,
            Some(0) => Of::Anything,
            Some(1) => Of::Group(key(row.parsed(2, GroupId::parse)?)),
            Some(2) => Of::Member(row.parsed(2, |member| Some(names.name(member)))?),
            Some(_) => return Err(row.damaged(1)),
        };
        let name = row.opt_parsed(3, |name| Some(names.name(name)))?;
        match of {
            Of::Nobody => {}
            Of::Anything => self.anything = true,
            Of::Group(group) => {
                let held = self.tables.groups.entry(group).or_default();
                if let Some(name) = name {
                    held.push(Held::new(name, row.int(4)?, row.opt_int(5)?).ok_or_else(|| row.damaged(4))?);
                }
            }
            Of::Member(member) => self.tables.teams.entry(member).or_default().extend(name),
        }
        Ok(())
    }

    fn sort(&mut self) {
        self.tables.groups.values_mut().for_each(sorted);
        self.tables.teams.values_mut().for_each(sorted);
    }
}

fn sorted<T: Ord>(list: &mut Vec<T>) {
    list.sort_unstable();
    list.shrink_to_fit();
}

/// Puts lists in the place of those that were there; of an empty one nothing is kept.
fn replace<T>(lists: &mut HashMap<u128, Vec<T>>, new: HashMap<u128, Vec<T>>) {
    for (of, list) in new {
        if list.is_empty() {
            lists.remove(&of);
        } else {
            lists.insert(of, list);
        }
    }
}

/// Follows for as long as the database is open.
pub(super) async fn follow(shared: Weak<Shared>, grants: Arc<Grants>) {
    let mut pause = SOONEST;
    loop {
        let Some(present) = shared.upgrade() else { return };
        let outcome = grants.catch_up(&present).await;
        drop(present);
        match outcome {
            Ok(()) => {
                pause = SOONEST;
                grants.wake.notified().await;
            }
            Err(error) => {
                // What is kept may be used again only once it was asked for the number.
                grants.behind.fetch_add(1, SeqCst);
                let reason = match &error {
                    ReadError::Postgres(error) => described(error),
                    error => error.to_string(),
                };
                tracing::warn!(reason, "grants can't be kept in memory for now; each check reads them");
                tokio::time::sleep(pause).await;
                pause = (2 * pause).min(LATEST);
            }
        }
    }
}

#[cfg(test)]
#[path = "grants_tests.rs"]
mod tests;
