//! What the clients did, when, and what they were told; and what turned out to be true in the end.

use std::collections::BTreeMap;
use std::fmt;

/// An id of the server: a UUID as a number, so that half a million operations are small.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Id(pub(crate) u128);

/// The key `K<n>`.
pub(crate) type Key = u8;

/// An operation's number; every value that it writes carries it.
pub(crate) type Tag = u64;

/// One call of one client.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) tag: Tag,
    pub(crate) client: u16,
    /// Which of the names.
    pub(crate) slot: u8,
    /// The group called by its id.
    pub(crate) group: Option<Id>,
    pub(crate) call: Call,
    /// The revision in `If-Match`.
    pub(crate) if_match: Option<i64>,
    /// Nanoseconds on the one clock of the process that runs all clients.
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// The answer's `x-request-id`; a revision keeps the same.
    pub(crate) request: Option<Id>,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Call {
    Create {
        keys: Vec<Key>,
    },
    /// Keys that get a value, and keys that stay as they are; all others are dropped.
    Update {
        given: Vec<Key>,
        kept: Vec<Key>,
    },
    DeleteSecret {
        secret: Id,
    },
    RestoreSecret {
        secret: Id,
    },
    Delete,
    Restore,
    /// The group by its id, without values.
    Read,
    /// The group by its name, without values.
    ReadByName,
    /// The group's secrets with their values.
    ReadValues,
    ReadValue {
        secret: Id,
    },
    /// A value by the group's name and the key.
    ReadReference {
        key: Key,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok(Seen),
    /// A definite no.
    Refused(Refusal),
    /// Cut, timed out, or the server itself doesn't know: it happened, will happen or never happens.
    Unknown,
}

/// What an answer shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A deletion shows nothing.
    Done,
    Group {
        group: Id,
        revision: Option<i64>,
        secrets: Vec<SeenSecret>,
    },
    /// One secret of the group at a revision.
    Secret {
        revision: i64,
        secret: SeenSecret,
    },
    /// A value alone: which operation wrote it.
    Value(Tag),
    /// No group has the name.
    NoGroup,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SeenSecret {
    pub(crate) current: Current,
    /// Of a value that was shown.
    pub(crate) tag: Option<Tag>,
}

/// A version that is current under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Current {
    pub(crate) key: Key,
    pub(crate) secret: Id,
    pub(crate) version: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 404.
    NotThere,
    /// 409.
    NameTaken,
    /// 412, and the revision that the group was at.
    OtherRevision(i64),
    /// 422: a key that was to stay isn't there.
    Invalid,
    /// 503 `busy`: others were faster ten times in a row.
    Busy,
}

/// What the database holds in the end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Truth {
    pub(crate) groups: Vec<TrueGroup>,
    pub(crate) secrets: Vec<TrueSecret>,
    /// Which operation wrote a version's value, for the versions that were read.
    pub(crate) values: BTreeMap<(Id, i64), Tag>,
    /// The events of changes: request, group and revision.
    pub(crate) changes: Vec<(Id, Id, i64)>,
    /// The events of reveals: request, secret and version.
    pub(crate) reveals: Vec<(Id, Id, i64)>,
}

#[derive(Debug, Clone)]
pub(crate) struct TrueGroup {
    pub(crate) id: Id,
    pub(crate) slot: u8,
    /// The revision and the deletion mark of the group's own row.
    pub(crate) revision: i64,
    pub(crate) deleted: bool,
    /// By number.
    pub(crate) revisions: Vec<TrueRevision>,
}

#[derive(Debug, Clone)]
pub(crate) struct TrueRevision {
    pub(crate) number: i64,
    pub(crate) action: Action,
    pub(crate) request: Id,
    /// Whose token it was.
    pub(crate) client: Option<u16>,
    /// What was current after it, by key.
    pub(crate) state: Vec<Current>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Create,
    Update,
    DeleteSecret,
    RestoreSecret,
    Delete,
    Restore,
}

/// A secret's row and its versions' rows.
#[derive(Debug, Clone)]
pub(crate) struct TrueSecret {
    pub(crate) id: Id,
    pub(crate) version: i64,
    pub(crate) versions: Vec<i64>,
}

impl Call {
    /// What a revision made by this call is called; `None` for reads.
    pub(crate) const fn action(&self) -> Option<Action> {
        match self {
            Self::Create { .. } => Some(Action::Create),
            Self::Update { .. } => Some(Action::Update),
            Self::DeleteSecret { .. } => Some(Action::DeleteSecret),
            Self::RestoreSecret { .. } => Some(Action::RestoreSecret),
            Self::Delete => Some(Action::Delete),
            Self::Restore => Some(Action::Restore),
            Self::Read | Self::ReadByName | Self::ReadValues | Self::ReadValue { .. } | Self::ReadReference { .. } => {
                None
            }
        }
    }
}

impl Operation {
    /// When it was over for sure: what is unknown may happen at any time after its start.
    pub(crate) const fn latest(&self) -> u64 {
        if matches!(self.outcome, Outcome::Unknown) { u64::MAX } else { self.end }
    }
}

impl Id {
    /// From a UUID's text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        u128::from_str_radix(&text.replace('-', ""), 16).ok().filter(|_| text.len() == 36).map(Self)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = format!("{:032x}", self.0);
        write!(f, "{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, end) = (self.start / 1_000, self.end / 1_000);
        write!(f, "#{} of client {} at {start}..{end} us: {:?} -> ", self.tag, self.client, self.call)?;
        match &self.outcome {
            Outcome::Ok(Seen::Group { revision: Some(revision), .. } | Seen::Secret { revision, .. }) => {
                write!(f, "revision {revision}")
            }
            outcome => write!(f, "{outcome:?}"),
        }
    }
}
