use strongroom_domain::GroupId;

use crate::grants::Change;
use crate::sql::{Sql, Value};
use crate::stamps::Scope;
use crate::{audit, changes, leases, operations, replicas, store_entries};

/// What a missed guard was about; the use case turns it into its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guard {
    /// The instance was not initialised yet.
    Instance,
    /// The group is at the revision that the decision was made on.
    GroupRevision,
    /// No living group has this name.
    GroupName,
    /// No living secret of the group has this key.
    SecretKey,
    /// The secret's state is what the decision was made on.
    SecretState,
    /// No user has this address.
    UserEmail,
    /// The user still exists.
    UserState,
    /// Nobody and nothing of the kind has this name, and whom a row names exists.
    SubjectName,
    /// The machine still exists.
    MachineState,
    /// What has a name and a manifest still exists.
    NamedState,
    /// Nothing refers to what is removed.
    SubjectInUse,
    /// No other machine is mapped to the value.
    Mapping,
    /// The invitation was not used yet.
    Invitation,
    /// The token is new.
    Token,
    /// A row that only this batch can have made.
    Fresh,
    /// No operation of the group, and none that makes a group of the name, is open.
    OpenOperation,
    /// The operation is still its holder's.
    Operation,
    /// No other secret has the name in the store.
    EntryName,
    /// The lease is held as it was when the job began.
    Lease,
    /// Nobody changed identities or policy since this was decided.
    ChangeNumber,
}

/// Statements that happen together or not at all, each with the number of rows that it must touch.
///
/// Every guard takes a lock: it is an UPDATE of the row that it speaks of, an INSERT under a unique index, or a foreign
/// key. A condition that is merely read would guard nothing once several replicas write.
#[derive(Debug, Default)]
pub struct Batch {
    group: Option<GroupId>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) sql: &'static Sql,
    pub(crate) params: Vec<Value>,
    /// How many rows must be touched; `None` where any number is right.
    pub(crate) rows: Option<u64>,
    pub(crate) guard: Guard,
}

impl Step {
    /// Whether it touches nothing that anybody keeps in memory: events, leases, what the database keeps for itself, and
    /// what is done about what operations left in outer stores.
    fn is_record(&self) -> bool {
        let records = [
            &audit::INSERT_EVENT,
            &leases::INSERT_LEASE,
            &leases::TAKE_LEASE,
            &leases::RENEW_LEASE,
            &leases::HOLD_LEASE,
            &leases::RELEASE_LEASES,
            &replicas::PRUNE_BATCHES,
            &replicas::PRUNE_GRANT_CHANGES,
            &operations::END_HOLDS,
            &store_entries::REMOVED_ENTRY,
            &store_entries::REMOVED_LEFTOVERS,
            &store_entries::TRIED_ENTRY,
            &store_entries::END_LEFTOVER,
            &store_entries::PRUNE_PUTS,
            &store_entries::PRUNE_OPERATIONS,
        ];
        records.into_iter().any(|sql| std::ptr::eq(self.sql, sql))
    }
}

impl Batch {
    /// A batch that changes nothing but one group, its secrets, its grants and the audit log.
    pub(crate) fn of_group(group: GroupId) -> Self {
        Self { group: Some(group), steps: Vec::new() }
    }

    /// Adds a statement that must touch exactly one row.
    pub(crate) fn one<const N: usize>(&mut self, guard: Guard, sql: &'static Sql, params: [Value; N]) {
        self.exactly(1, guard, sql, params);
    }

    /// Adds a statement that must touch exactly `rows` rows.
    pub(crate) fn exactly<const N: usize>(&mut self, rows: u64, guard: Guard, sql: &'static Sql, params: [Value; N]) {
        self.steps.push(Step { sql, params: params.into(), rows: Some(rows), guard });
    }

    /// Adds a statement that may touch any number of rows.
    pub(crate) fn any<const N: usize>(&mut self, guard: Guard, sql: &'static Sql, params: [Value; N]) {
        self.steps.push(Step { sql, params: params.into(), rows: None, guard });
    }

    /// What it may change. A batch that forgets to name its group costs time, nothing else.
    pub(crate) fn scope(&self) -> Scope {
        match self.group {
            Some(group) => Scope::Group(group),
            None if self.steps.iter().all(Step::is_record) => Scope::Record,
            None => Scope::Shared,
        }
    }

    /// Whether it changes what is kept in memory of identities, policy and integrations.
    pub(crate) fn is_shared(&self) -> bool {
        self.scope() == Scope::Shared
    }

    /// Whether it changes grants or memberships, but for those that a new group comes with.
    pub(crate) fn changes_grants(&self) -> bool {
        let is_new = self.steps.first().is_some_and(|step| std::ptr::eq(step.sql, &raw const changes::INSERT_GROUP));
        !is_new && self.steps.iter().any(|step| Change::of(step.sql) != Change::Nothing)
    }

    /// Whether other replicas are to hear of it.
    pub(crate) fn is_told(&self) -> bool {
        self.is_shared() || self.changes_grants()
    }

    /// Whether it moves the change number itself.
    pub(crate) fn is_decided(&self) -> bool {
        self.steps.first().is_some_and(|step| std::ptr::eq(step.sql, &raw const replicas::BUMP_CHANGE_NUMBER_FROM))
    }

    /// One batch with the statements of several, for such as can't miss.
    pub(crate) fn merged(batches: impl IntoIterator<Item = Self>) -> Self {
        Self::of_steps(batches.into_iter().flat_map(|batch| batch.steps).collect())
    }

    pub(crate) const fn of_steps(steps: Vec<Step>) -> Self {
        Self { group: None, steps }
    }

    /// Whether it writes audit events and nothing else.
    pub(crate) fn is_events(&self) -> bool {
        self.steps.iter().all(|step| std::ptr::eq(step.sql, &raw const audit::INSERT_EVENT))
    }

    /// Whether the batch undoes itself when its only statement fails: then it needs no savepoint.
    pub(crate) fn is_single_insert(&self) -> bool {
        matches!(&self.steps[..], [step] if step.sql.text.starts_with("INSERT"))
    }
}
