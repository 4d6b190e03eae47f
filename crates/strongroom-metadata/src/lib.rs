//! The metadata database of Strongroom.
//!
//! All SQL lives here, written once in a portable subset. A read is one prepared statement, so it sees one state of the
//! database; a write is a [`Batch`] of guarded statements that happens wholly or not at all. Nobody holds a
//! conversation with the database open.
//!
//! Today the engine is SQLite ([`sqlite`]): reads run inline on a connection of their thread, writes go to one writer
//! thread that commits many waiting batches with one fsync.

mod audit;
mod batch;
mod changes;
mod dialect;
mod error;
mod groups;
mod history;
mod identity;
mod instance;
mod integrations;
mod migrations;
mod postgres;
mod purge;
mod reveals;
mod secrets;
mod sql;
mod sqlite;
mod trash;

#[cfg(test)]
mod statement_tests;

pub use audit::{AuditFilter, AuditRow};
pub use batch::{Batch, Guard};
pub use changes::{
    Grant, GrantSource, GroupChange, GroupCreation, GroupUpdate, KeyState, NewLifetime, NewSecret, NewVersion,
    RevisionRow,
};
pub use error::{CommitError, OpenError, ReadError};
pub use groups::{GroupFilter, GroupRow, GroupState, Page, SecretState, Viewpoint};
pub use history::{LifetimeRow, RevisionRecord};
pub use identity::{NewToken, SubjectRow, TokenRow, UserRow, VirtualAccountRow};
pub use instance::{InstanceRow, NewInstance, RootKeySlotRow};
pub use integrations::{AccountRow, IntegrationRow};
pub use postgres::PostgresAddress;
pub use purge::PurgeItem;
pub use reveals::SecretToReveal;
pub use secrets::{SecretRow, VersionRow};
pub use sqlite::{Metadata, Stamp, WriterStats};
pub use trash::{DeletedGroup, DeletedSecret};
