//! Grants in memory, kept exact by the writer: see [`crate::grants`].
//!
//! The writer runs its statements through here. A row that comes is known from the statement's parameters, and of rows
//! that go the engine tells; any other way to change these tables ends what is kept. What a transaction noted is taken
//! over between its COMMIT and its answers. A stamp is odd meanwhile, and then the database is asked: nobody who has seen a commit is told what was
//! before it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use rusqlite::{Connection, Error};
use strongroom_domain::{GroupId, Timestamp};

use crate::batch::Step;
use crate::entered::Found;
use crate::grants::{Change, Entrance, Held, Name, Names, Tables, key};
use crate::sql::Value;

const ALL_GRANTS: &str = "SELECT group_id, subject, role, expires_at FROM grants ORDER BY group_id";
const ALL_MEMBERS: &str = "SELECT member, team FROM team_members ORDER BY member";
/// What a statement that takes rows away gives of each. (A trigger would tell the same, but the engine then makes a
/// savepoint for each statement, which costs the more the more came before it in the batch.)
const TAKEN_GRANTS: &str = "RETURNING group_id, subject, role, expires_at";
const TAKEN_MEMBERS: &str = "RETURNING member, team";

/// All grants on groups and who is in which team.
pub(crate) struct Grants {
    /// Odd while a change of these is committed.
    stamp: AtomicU64,
    loaded: AtomicBool,
    tables: RwLock<Tables>,
    names: Names,
    /// What the transaction that runs has changed.
    notes: Mutex<Vec<Note>>,
}

enum Note {
    Grant {
        came: bool,
        group: u128,
        held: Held,
    },
    Member {
        came: bool,
        member: Name,
        team: Name,
    },
    /// A change that can't be followed: what is kept is not to be trusted any more.
    Unread,
}

impl Grants {
    pub(crate) fn new() -> Self {
        Self {
            stamp: AtomicU64::new(0),
            loaded: AtomicBool::new(false),
            tables: RwLock::default(),
            names: Names::new(),
            notes: Mutex::default(),
        }
    }

    /// What grants give somebody on a group; `None` where it has to be read.
    pub(crate) fn entrance(&self, group: Found, subject: &str, now: Timestamp) -> Option<Entrance> {
        let stamp = self.stamp.load(SeqCst);
        if !stamp.is_multiple_of(2) || !self.loaded.load(SeqCst) {
            return None;
        }
        let own = self.names.name(subject);
        let entrance = {
            let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
            self.names.look(&tables, group, own, now, stamp)
        };
        self.holds(entrance).then_some(entrance)
    }

    /// Whether no grant and no membership has changed since: what was read meanwhile is of the same moment.
    pub(crate) fn holds(&self, entrance: Entrance) -> bool {
        self.stamp.load(SeqCst) == entrance.as_of
    }

    /// Runs a statement, and notes what it changes of what is kept. Gives how many rows it touched.
    pub(super) fn execute(&self, connection: &Connection, step: &Step) -> rusqlite::Result<usize> {
        let (sql, params) = (step.sql.sqlite(), rusqlite::params_from_iter(&step.params));
        let change = if self.is_loaded() { Change::of(step.sql) } else { Change::Nothing };
        let taken = match change {
            Change::TakesGrants => TAKEN_GRANTS,
            Change::TakesMembers => TAKEN_MEMBERS,
            Change::Nothing => return connection.prepare_cached(sql)?.execute(params),
            Change::Grant | Change::Member | Change::Other => {
                let touched = connection.prepare_cached(sql)?.execute(params)?;
                self.note(self.came(change, &step.params));
                return Ok(touched);
            }
        };
        let mut statement = connection.prepare_cached(&format!("{sql} {taken}"))?;
        let (mut rows, mut touched) = (statement.query(params)?, 0);
        while let Some(row) = rows.next()? {
            touched += 1;
            self.note(self.went(change, row));
        }
        Ok(touched)
    }

    /// Reads everything. Only while nothing is written.
    pub(crate) fn load(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut tables = Tables::default();
        let mut statement = connection.prepare(ALL_GRANTS)?;
        let mut rows = statement.query([])?;
        let mut of: (u128, Vec<Held>) = (0, Vec::new());
        while let Some(row) = rows.next()? {
            let group = GroupId::parse(row.get_ref(0)?.as_str()?).ok_or(Error::InvalidQuery)?;
            let held =
                self.names.held(row.get_ref(1)?.as_str()?, row.get(2)?, row.get(3)?).ok_or(Error::InvalidQuery)?;
            gather(&mut of, &mut tables.groups, key(group), held);
        }
        gathered(of, &mut tables.groups);
        let mut statement = connection.prepare(ALL_MEMBERS)?;
        let mut rows = statement.query([])?;
        let mut of: (Name, Vec<Name>) = (0, Vec::new());
        while let Some(row) = rows.next()? {
            let (member, team) =
                (self.names.name(row.get_ref(0)?.as_str()?), self.names.name(row.get_ref(1)?.as_str()?));
            gather(&mut of, &mut tables.teams, member, team);
        }
        gathered(of, &mut tables.teams);
        *self.tables.write().unwrap_or_else(PoisonError::into_inner) = tables;
        self.loaded.store(true, SeqCst);
        Ok(())
    }

    /// Ends all that is kept, and what was told by it meanwhile.
    pub(crate) fn forget_all(&self) {
        self.loaded.store(false, SeqCst);
        self.stamp.fetch_add(2, SeqCst);
        *self.tables.write().unwrap_or_else(PoisonError::into_inner) = Tables::default();
    }

    /// Whether checks are answered from here.
    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.load(SeqCst)
    }

    /// How many changes the transaction that runs has noted.
    pub(crate) fn noted(&self) -> usize {
        self.notes().len()
    }

    /// Strikes out what was noted since: it was undone.
    pub(crate) fn strike(&self, noted: usize) {
        self.notes().truncate(noted);
    }

    /// Runs the COMMIT of what was noted.
    pub(crate) fn while_committing<T, E>(&self, commit: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let notes = std::mem::take(&mut *self.notes());
        if notes.is_empty() {
            return commit();
        }
        self.stamp.fetch_add(1, SeqCst);
        let result = commit();
        // A COMMIT that failed may have reached the disk all the same.
        let right = result.is_ok() && {
            let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
            notes.iter().all(|note| take_over(&mut tables, note))
        };
        if !right {
            self.forget_all();
        }
        self.stamp.fetch_add(1, SeqCst);
        result
    }

    fn note(&self, note: Option<Note>) {
        self.notes().push(note.unwrap_or(Note::Unread));
    }

    fn came(&self, change: Change, params: &[Value]) -> Option<Note> {
        match (change, params) {
            (Change::Grant, [Value::Text(group), Value::Text(subject), _, _, Value::Int(role), until]) => {
                let until = match until {
                    Value::Int(until) => Some(*until),
                    Value::Null => None,
                    _ => return None,
                };
                let held = self.names.held(subject, *role, until)?;
                Some(Note::Grant { came: true, group: key(GroupId::parse(group)?), held })
            }
            (Change::Member, [Value::Text(team), Value::Text(member)]) => {
                Some(Note::Member { came: true, member: self.names.name(member), team: self.names.name(team) })
            }
            _ => None,
        }
    }

    fn went(&self, change: Change, row: &rusqlite::Row<'_>) -> Option<Note> {
        let text = |at| row.get_ref(at).ok()?.as_str().ok();
        if matches!(change, Change::TakesMembers) {
            return Some(Note::Member {
                came: false,
                member: self.names.name(text(0)?),
                team: self.names.name(text(1)?),
            });
        }
        let held = self.names.held(text(1)?, row.get(2).ok()?, row.get(3).ok()?)?;
        Some(Note::Grant { came: false, group: key(GroupId::parse(text(0)?)?), held })
    }

    fn notes(&self) -> MutexGuard<'_, Vec<Note>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `false` when it doesn't fit.
fn take_over(tables: &mut Tables, note: &Note) -> bool {
    match *note {
        Note::Grant { came, group, held } => change(&mut tables.groups, came, group, held),
        Note::Member { came, member, team } => change(&mut tables.teams, came, member, team),
        Note::Unread => false,
    }
}

fn change<T: Ord>(lists: &mut HashMap<u128, Vec<T>>, came: bool, of: u128, item: T) -> bool {
    if came {
        let list = lists.entry(of).or_default();
        let at = list.binary_search(&item).unwrap_or_else(|at| at);
        list.insert(at, item);
        return true;
    }
    let Some(list) = lists.get_mut(&of) else { return false };
    let Ok(at) = list.binary_search(&item) else { return false };
    list.remove(at);
    if list.is_empty() {
        lists.remove(&of);
    }
    true
}

/// Adds a row to the list that its neighbours before it are in.
fn gather<T: Ord>(list: &mut (u128, Vec<T>), lists: &mut HashMap<u128, Vec<T>>, of: u128, item: T) {
    if list.0 != of {
        gathered(std::mem::replace(list, (of, Vec::new())), lists);
    }
    list.1.push(item);
}

fn gathered<T: Ord>((of, mut list): (u128, Vec<T>), lists: &mut HashMap<u128, Vec<T>>) {
    if !list.is_empty() {
        list.sort_unstable();
        list.shrink_to_fit();
        lists.insert(of, list);
    }
}
