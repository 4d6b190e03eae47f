//! Tells whether what was read still holds, without asking the database.
//!
//! SQLite drops what a reading connection has cached whenever somebody writes, and here every reveal writes its event.
//! So rows that are read again and again are kept in memory beside a stamp. All writing goes through one process and one
//! thread, which moves the stamps of what it changes: to an odd number before the COMMIT, to the next even one after it
//! and before anybody is answered. While a number is odd nothing is kept and nothing kept is used; so nobody who has
//! seen a commit, their own or another's, is given what was before it.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use strongroom_domain::GroupId;

use crate::Batch;

/// Groups share this many numbers: a group's neighbours are read again with it.
const SLOTS: usize = 256;

pub(crate) struct Stamps {
    /// Moves with every change that is not of one group alone: identities, integrations, grants of machines.
    shared: AtomicU64,
    groups: [AtomicU64; SLOTS],
}

/// As of when something was read. It holds for as long as the present stamp equals it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    shared: u64,
    group: u64,
}

impl Stamp {
    /// Of one of several replicas: how often it changed something itself, and the change number that all share.
    pub(crate) const fn of_replica(own: u64, number: u64) -> Self {
        Self { shared: own, group: number }
    }

    /// Whether a replica's stamp is of this change number.
    pub(crate) fn is_of(self, number: i64) -> bool {
        u64::try_from(number) == Ok(self.group)
    }
}

impl Stamps {
    pub(crate) fn new() -> Self {
        Self { shared: AtomicU64::new(0), groups: [const { AtomicU64::new(0) }; SLOTS] }
    }

    /// Of what is no group's; `None` while it changes.
    pub(crate) fn shared(&self) -> Option<Stamp> {
        let shared = self.shared.load(SeqCst);
        shared.is_multiple_of(2).then_some(Stamp { shared, group: 0 })
    }

    /// Of a group and its secrets as anybody sees them; `None` while they change.
    pub(crate) fn group(&self, id: GroupId) -> Option<Stamp> {
        let group = self.groups[slot(id)].load(SeqCst);
        let stamp = self.shared()?;
        group.is_multiple_of(2).then_some(Stamp { group, ..stamp })
    }

    /// Ends all that is kept: the database may be another than it was.
    pub(crate) fn forget_all(&self) {
        self.shared.fetch_add(2, SeqCst);
    }

    /// Runs what commits the batches, whatever becomes of it.
    pub(crate) fn while_changing<R>(&self, batches: &[Batch], commit: impl FnOnce() -> R) -> R {
        let mut moving: Vec<&AtomicU64> = Vec::new();
        for batch in batches {
            let number = match batch.scope() {
                Scope::Record => continue,
                Scope::Group(id) => &self.groups[slot(id)],
                Scope::Shared => &self.shared,
            };
            if !moving.iter().any(|moved| std::ptr::eq(*moved, number)) {
                moving.push(number);
            }
        }
        for number in &moving {
            number.fetch_add(1, SeqCst);
        }
        let result = commit();
        for number in &moving {
            number.fetch_add(1, SeqCst);
        }
        result
    }
}

/// What a batch may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The audit log only.
    Record,
    /// One group, its secrets and its grants.
    Group(GroupId),
    /// Anything.
    Shared,
}

fn slot(id: GroupId) -> usize {
    // The last bytes of an id are random.
    usize::from(id.as_bytes()[15])
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "0192f0c1-2b3c-7d4e-8f50-112233445501";
    const OTHER: &str = "0192f0c1-2b3c-7d4e-8f50-112233445502";

    fn id(text: &str) -> GroupId {
        GroupId::parse(text).unwrap()
    }

    #[test]
    fn a_group_moves_alone_and_is_unknown_while_it_does() {
        let stamps = Stamps::new();
        let (one, other, shared) = (stamps.group(id(ONE)), stamps.group(id(OTHER)), stamps.shared());
        // Two batches of one group move it once: twice would make the number even in between.
        let batches = [Batch::of_group(id(ONE)), Batch::of_group(id(ONE))];
        stamps.while_changing(&batches, || {
            assert_eq!(stamps.group(id(ONE)), None);
            assert_eq!((stamps.group(id(OTHER)), stamps.shared()), (other, shared));
        });
        assert!(stamps.group(id(ONE)).is_some() && stamps.group(id(ONE)) != one);
        assert_eq!((stamps.group(id(OTHER)), stamps.shared()), (other, shared));
    }

    #[test]
    fn what_is_no_groups_moves_everything() {
        let stamps = Stamps::new();
        let before = (stamps.group(id(ONE)), stamps.shared());
        let mut batch = Batch::default();
        batch.one(crate::Guard::Token, &crate::identity_change::INSERT_TOKEN, crate::sql::params![1]);
        stamps.while_changing(&[batch], || assert_eq!((stamps.group(id(ONE)), stamps.shared()), (None, None)));
        assert!(stamps.group(id(ONE)) != before.0 && stamps.shared() != before.1);
    }

    #[test]
    fn records_move_nothing() {
        let stamps = Stamps::new();
        let before = stamps.group(id(ONE));
        let mut batch = Batch::default();
        batch.one(crate::Guard::Fresh, &crate::audit::INSERT_EVENT, crate::sql::params![1]);
        stamps.while_changing(&[batch], || assert_eq!(stamps.group(id(ONE)), before));
        assert_eq!(stamps.group(id(ONE)), before);
    }
}
