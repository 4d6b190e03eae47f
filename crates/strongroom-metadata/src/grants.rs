//! Every grant on a group and every membership of a team, in memory: a check looks up no row.
//!
//! Here is what both engines keep and how it is looked at. Who keeps it exact differs: on SQLite the writer does, and
//! over PostgreSQL it follows a number.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use strongroom_domain::role::GroupRole;
use strongroom_domain::{GroupId, Timestamp};

use crate::changes::INSERT_GRANT;
use crate::entered::Found;
use crate::identity_change::INSERT_MEMBER;
use crate::sql::Sql;

/// What isn't there is looked for among so many grants, as what is hidden is.
const DECOYS: u128 = 64;
const TABLES: [&str; 2] = ["grants", "team_members"];

/// What grants give somebody on a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entrance {
    /// The strongest role.
    pub(crate) role: Option<GroupRole>,
    /// When the first of the grants ends.
    pub(crate) until: Option<Timestamp>,
    /// The stamp or number of what is kept.
    pub(crate) as_of: u64,
    /// Over PostgreSQL, how many connections there had been for reads.
    pub(crate) connections: u64,
}

/// A subject's name, hashed by keys that nobody knows: two names never meet, and a million take little room.
pub(crate) type Name = u128;

#[derive(Default)]
pub(crate) struct Tables {
    /// The grants on each group, sorted.
    pub(crate) groups: HashMap<u128, Vec<Held>>,
    /// The teams of each member, sorted.
    pub(crate) teams: HashMap<Name, Vec<Name>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Held {
    name: Name,
    /// `i64::MAX` where it doesn't end.
    until: i64,
    role: GroupRole,
}

/// How names are hashed.
pub(crate) struct Names {
    keys: [RandomState; 2],
    decoys: Vec<Held>,
}

/// What a statement does to what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Nothing,
    /// One grant comes, one member.
    Grant,
    Member,
    TakesGrants,
    TakesMembers,
    /// Nothing that can be followed.
    Other,
}

impl Held {
    /// `None` where there is no such role.
    pub(crate) fn new(name: Name, role: i64, until: Option<i64>) -> Option<Self> {
        Some(Self { name, until: until.unwrap_or(i64::MAX), role: GroupRole::from_rank(role)? })
    }
}

impl Names {
    pub(crate) fn new() -> Self {
        Self {
            keys: [RandomState::new(), RandomState::new()],
            decoys: (0..DECOYS)
                .map(|at| at << 121)
                .map(|name| Held { name, until: 0, role: GroupRole::Viewer })
                .collect(),
        }
    }

    pub(crate) fn name(&self, text: &str) -> Name {
        let [high, low] = [0, 1].map(|at| u128::from(self.keys[at].hash_one(text)));
        high << 64 | low
    }

    /// `None` where the row makes no sense.
    pub(crate) fn held(&self, subject: &str, role: i64, until: Option<i64>) -> Option<Held> {
        Held::new(self.name(subject), role, until)
    }

    /// What grants give whoever has a name on a group. Of one that isn't there as much is looked at as of one that is
    /// hidden, and it doesn't count.
    pub(crate) fn look(&self, tables: &Tables, group: Found, own: Name, now: Timestamp, as_of: u64) -> Entrance {
        let mut entrance = Entrance { role: None, until: None, as_of, connections: 0 };
        let held = group.nearest.and_then(|group| tables.groups.get(&key(group))).unwrap_or(&self.decoys);
        let teams = tables.teams.get(&own).map_or(&[][..], Vec::as_slice);
        reach(held, own, teams, |held| {
            if held.until > now.micros() {
                entrance.role = entrance.role.max(Some(held.role));
                let until = (held.until != i64::MAX).then(|| Timestamp::from_micros(held.until));
                entrance.until = [entrance.until, until].into_iter().flatten().min();
            }
        });
        if !group.is_it {
            (entrance.role, entrance.until) = (None, None);
        }
        entrance
    }
}

impl Change {
    /// What a statement does: by how it begins, as all of ours do.
    pub(crate) fn of(sql: &Sql) -> Self {
        let is = |other: &'static Sql| std::ptr::eq(sql, other);
        let text = sql.text;
        match () {
            () if is(&INSERT_GRANT) => Self::Grant,
            () if is(&INSERT_MEMBER) => Self::Member,
            () if text.starts_with("DELETE FROM grants ") => Self::TakesGrants,
            () if text.starts_with("DELETE FROM team_members ") => Self::TakesMembers,
            () if words(text).take(3).any(|word| TABLES.contains(&word)) => Self::Other,
            () => Self::Nothing,
        }
    }
}

/// Every grant of somebody's own and of their teams: the shorter list is looked for in the longer one.
fn reach(held: &[Held], own: Name, teams: &[Name], mut each: impl FnMut(&Held)) {
    let mut named = |name: Name| {
        let first = held.partition_point(|held| held.name < name);
        held[first..].iter().take_while(|held| held.name == name).for_each(&mut each);
    };
    named(own);
    if teams.len() < held.len() {
        teams.iter().copied().for_each(named);
    } else {
        held.iter().filter(|held| teams.binary_search(&held.name).is_ok()).for_each(each);
    }
}

pub(crate) fn key(group: GroupId) -> u128 {
    u128::from_be_bytes(*group.as_bytes())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
}
