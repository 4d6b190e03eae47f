//! Names, roles, policy and manifests of Strongroom.
//!
//! Everything here is a pure function or a plain value: no I/O, no async, no database, no HTTP. What a name may look
//! like, who may do what, and what a manifest says is decided here and nowhere else.

mod clock;
mod entropy;
pub mod fqn;
mod ids;
pub mod manifest;
pub mod names;
mod network;
pub mod operation;
pub mod policy;
mod retry;
pub mod rights;
pub mod role;
mod secret_value;
pub mod subject;
pub mod token;
mod violation;
mod with_ids;

pub use clock::{Clock, Day, SystemClock, Timestamp};
pub use entropy::Entropy;
pub use ids::{
    AccountId, AgentIdentityId, EventId, GroupId, IdentityProviderId, Ids, IntegrationId, OperationId, RoleBindingId,
    RoleId, SecretId, SigningKeyId, TeamId, TokenId, UserId, VersionId, VirtualAccountId,
};
pub use network::{Network, NetworkError};
pub use retry::Backoff;
pub use secret_value::SecretValue;
pub use violation::Violation;
