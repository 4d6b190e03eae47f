//! The metadata database of Strongroom.
//!
//! All SQL lives here, written once in a portable subset. A read is one prepared statement, so it sees one state of the
//! database; a write is a [`Batch`] of guarded statements that happens wholly or not at all. Nobody holds a
//! conversation with the database open.
//!
//! On SQLite ([`sqlite`]) reads run inline on a connection of their thread, and writes go to one writer thread that commits
//! many waiting batches with one fsync. On PostgreSQL ([`postgres`]) reads share a few connections, and each batch is one
//! round trip on a connection of its own; any number of replicas may use it at a time.

mod access;
mod audit;
mod batch;
mod changes;
mod copy;
mod dialect;
mod engine;
mod entered;
mod error;
mod examination;
mod grants;
mod groups;
mod history;
mod identity;
mod identity_change;
mod instance;
mod integrations;
mod leases;
mod machines;
mod migrations;
mod operations;
mod policies;
mod postgres;
mod prune;
mod purge;
mod replicas;
mod reveals;
mod secrets;
mod signing_keys;
mod sql;
mod sqlite;
mod stamps;
mod store_entries;
mod trash;
mod users;

#[cfg(test)]
mod statement_tests;

pub use access::{GrantRow, Granted, ReaderRow, ReadersOf, RouteRow};
pub use audit::{AuditFilter, AuditRow};
pub use batch::{Batch, Guard};
pub use changes::{
    Grant, GrantSource, GroupChange, GroupCreation, GroupUpdate, KeyState, NewLifetime, NewSecret, NewVersion,
    RevisionRow,
};
pub use copy::{CopyError, CopyReport, Location, Phase, Progress, TableReport, copy_database, undo_copy};
pub use engine::{Metadata, WriterStats};
pub use error::{CommitError, OpenError, ReadError};
pub use examination::{Examination, Finding, Level, examine_postgres, examine_sqlite};
pub use groups::{GroupFilter, GroupRef, GroupRow, GroupState, Page, SecretState, Viewpoint};
pub use history::{LifetimeRow, RevisionRecord};
pub use identity::{Memberships, NewToken, PersonRow, RoleGrantRow, SubjectRow, TokenPurpose, TokenRow};
pub use identity_change::{IdentityChange, RoleGrant};
pub use instance::{InstanceRow, InstanceState, NewInstance, RootKeySlotRow};
pub use integrations::{AccountRow, IntegrationRow, KeptGroups, SealedCredentials};
pub use leases::{Lease, LeaseError};
pub use machines::{MachineKind, MachineRow, SyncState};
pub use operations::{
    GroupWrite, HeldOperation, MovedPointer, NewEntry, NewOperation, NextState, OperationRow, Placed, PutRow, Undone,
};
pub use policies::{MemberRow, Named, NamedRow};
pub use postgres::{PostgresAddress, PostgresOptions};
pub use prune::PruneError;
pub use purge::PurgeItem;
pub use reveals::SecretToReveal;
pub use secrets::{SecretRow, VersionRow};
pub use signing_keys::SigningKeyRow;
pub use stamps::Stamp;
pub use store_entries::{DueEntry, Leftover, StoreBacklog};
pub use trash::{DeletedGroup, DeletedSecret};
pub use users::{Holdings, OwnedToken, TeamRoleRow, UserRow};
