//! How a call goes wrong.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::{StoreErrorKind, faulty::Call};

/// A call as rules and hooks see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelCall {
    /// Which call.
    pub call: Call,
    /// Its number among all calls, from 1.
    pub number: usize,
    /// Its number among calls of its kind, from 1.
    pub nth: usize,
    /// The entry's name in the store, or the prefix of a list.
    pub name: String,
    /// The mark of a put or a find.
    pub mark: Option<String>,
    /// What the store calls the version that is read, promoted or removed.
    pub version: Option<String>,
    /// Our own number of the version that is put or looked for.
    pub put_version: Option<i64>,
    /// Whether a put is staged.
    pub staged: bool,
}

/// How a call goes wrong. What an error says of its effect is said of writes only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub(super) effect: Effect,
    pub(super) reply: Reply,
}

/// Whether it is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Never,
    Now,
    Later(When),
}

/// When a late effect comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    AfterCalls(usize),
    WhenTold,
}

/// What the caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reply {
    Error { kind: StoreErrorKind, is_unclear: bool },
    Hang,
}

impl Fault {
    const fn unclear(effect: Effect, kind: StoreErrorKind) -> Self {
        Self { effect, reply: Reply::Error { kind, is_unclear: true } }
    }

    /// It does nothing and says so.
    #[must_use]
    pub const fn fails(kind: StoreErrorKind) -> Self {
        Self { effect: Effect::Never, reply: Reply::Error { kind, is_unclear: false } }
    }

    /// It does nothing, and asks to come back later.
    #[must_use]
    pub const fn throttles() -> Self {
        Self::fails(StoreErrorKind::Throttled)
    }

    /// It is done, but the answer is lost: the error leaves open what happened.
    #[must_use]
    pub const fn answer_lost() -> Self {
        Self::unclear(Effect::Now, StoreErrorKind::Unavailable)
    }

    /// It is done, and the error that leaves this open is of this kind.
    #[must_use]
    pub const fn fails_after(kind: StoreErrorKind) -> Self {
        Self::unclear(Effect::Now, kind)
    }

    /// It never arrives, and the error leaves open what happened.
    #[must_use]
    pub const fn request_lost() -> Self {
        Self::unclear(Effect::Never, StoreErrorKind::Unavailable)
    }

    /// The error leaves open what happened. It is done when so many more calls are over, on its condition then: a
    /// promotion's is that nobody has made another version the latest meanwhile.
    #[must_use]
    pub const fn late(calls: usize) -> Self {
        Self::unclear(Effect::Later(When::AfterCalls(calls)), StoreErrorKind::Unavailable)
    }

    /// The same, done when [`ModelControl::let_late_happen`](super::ModelControl::let_late_happen) is called.
    #[must_use]
    pub const fn late_when_told() -> Self {
        Self::unclear(Effect::Later(When::WhenTold), StoreErrorKind::Unavailable)
    }

    /// It is done, but its answer is not what the store would say.
    #[must_use]
    pub const fn wrong_body() -> Self {
        Self::unclear(Effect::Now, StoreErrorKind::Integrity)
    }

    /// There is no answer until it is released, and it isn't done before.
    #[must_use]
    pub const fn hangs() -> Self {
        Self { effect: Effect::Never, reply: Reply::Hang }
    }

    /// It is done at once, and there is no answer until it is released.
    #[must_use]
    pub const fn hangs_after() -> Self {
        Self { effect: Effect::Now, reply: Reply::Hang }
    }

    /// There is no answer until it is released, which is then unclear. It is done when
    /// [`ModelControl::let_late_happen`](super::ModelControl::let_late_happen) is called, also when its caller has
    /// given up.
    #[must_use]
    pub const fn hangs_and_late() -> Self {
        Self { effect: Effect::Later(When::WhenTold), reply: Reply::Hang }
    }
}

pub(super) type Rule = Box<dyn FnMut(&ModelCall) -> Option<Fault> + Send>;

/// Which calls go wrong.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) is_down: bool,
    pub(super) is_revoked: bool,
    pub(super) denied: HashSet<Call>,
    pub(super) queued: HashMap<Call, VecDeque<Option<Fault>>>,
    pub(super) rule: Option<Rule>,
}

impl Plan {
    pub(super) fn fault(&mut self, call: &ModelCall) -> Option<Fault> {
        if self.is_down {
            return Some(Fault::fails(StoreErrorKind::Unavailable));
        }
        if self.is_revoked {
            return Some(Fault::fails(StoreErrorKind::Unauthenticated));
        }
        let is_denied = match call.call {
            Call::Probe => !self.denied.is_empty(),
            Call::Answers => self.denied.contains(&Call::Answers) || self.denied.contains(&Call::Remove),
            call => self.denied.contains(&call),
        };
        if is_denied {
            return Some(Fault::fails(StoreErrorKind::PermissionDenied));
        }
        match self.queued.get_mut(&call.call).and_then(VecDeque::pop_front) {
            Some(queued) => queued,
            None => self.rule.as_mut().and_then(|rule| rule(call)),
        }
    }
}
