//! Calls that outlive their callers.

use strongroom_domain::{SecretId, SecretValue};

use super::{ModelCall, name};
use crate::{
    faulty::Call,
    store::{Condition, Entry, Latest, Put},
};

/// A condition that outlives its call.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum OwnedCondition {
    Always,
    Absent,
    LatestIs(String),
}

impl From<Condition<'_>> for OwnedCondition {
    fn from(condition: Condition<'_>) -> Self {
        match condition {
            Condition::Always => Self::Always,
            Condition::Absent => Self::Absent,
            Condition::LatestIs(version) => Self::LatestIs(version.0.clone()),
        }
    }
}

/// Which entry, and on whose behalf.
#[derive(Clone)]
pub(super) struct Who {
    pub(super) name: String,
    pub(super) secret: SecretId,
    pub(super) key_bytes: usize,
}

impl From<&Entry<'_>> for Who {
    fn from(entry: &Entry<'_>) -> Self {
        Self { name: name(entry), secret: entry.secret_id, key_bytes: entry.key.len() }
    }
}

/// A put that outlives its call.
#[derive(Clone)]
pub(super) struct OwnedPut {
    pub(super) who: Who,
    pub(super) value: SecretValue,
    pub(super) number: i64,
    pub(super) condition: OwnedCondition,
    pub(super) mark: Option<String>,
    pub(super) staged: bool,
}

impl From<&Put<'_>> for OwnedPut {
    fn from(put: &Put<'_>) -> Self {
        Self {
            who: Who::from(&put.entry),
            value: put.value.clone(),
            number: put.version,
            condition: put.condition.into(),
            mark: put.mark.map(str::to_owned),
            staged: put.staged,
        }
    }
}

/// The version that was the latest, if any was.
pub(super) type Seen = Option<String>;

/// What is asked.
#[derive(Clone)]
pub(super) enum Op {
    Put(OwnedPut),
    Get(Who, String),
    Latest(Who),
    Find(Who, String, i64),
    /// From what was the latest when it was asked, where that was remembered.
    Promote(Who, String, Option<Seen>),
    RemoveVersion(Who, String),
    RemoveEntry(Who),
    List {
        prefix: String,
        after: String,
        limit: usize,
    },
    Ask(Call),
}

/// What is answered.
pub(super) enum Outcome {
    Version(Option<String>),
    Value(SecretValue),
    Latest(Option<Latest>),
    Names(Vec<String>),
    Done,
}

impl Op {
    pub(super) const fn is_write(&self) -> bool {
        matches!(self, Self::Put(_) | Self::Promote(..) | Self::RemoveVersion(..) | Self::RemoveEntry(_))
    }

    /// As rules and hooks see it; its numbers come later.
    pub(super) fn as_call(&self) -> ModelCall {
        let about = |call: Call, name: &str| ModelCall {
            call,
            number: 0,
            nth: 0,
            name: name.to_owned(),
            mark: None,
            version: None,
            put_version: None,
            staged: false,
        };
        let of =
            |call, who: &Who, version: &String| ModelCall { version: Some(version.clone()), ..about(call, &who.name) };
        match self {
            Self::Put(put) => ModelCall {
                mark: put.mark.clone(),
                put_version: Some(put.number),
                staged: put.staged,
                ..about(Call::Put, &put.who.name)
            },
            Self::Get(who, version) => of(Call::Get, who, version),
            Self::Latest(who) => about(Call::Latest, &who.name),
            Self::Find(who, mark, number) => {
                ModelCall { mark: Some(mark.clone()), put_version: Some(*number), ..about(Call::Find, &who.name) }
            }
            Self::Promote(who, version, _) => of(Call::Promote, who, version),
            Self::RemoveVersion(who, version) => of(Call::Remove, who, version),
            Self::RemoveEntry(who) => about(Call::Remove, &who.name),
            Self::List { prefix, .. } => about(Call::List, prefix),
            Self::Ask(call) => about(*call, ""),
        }
    }
}
