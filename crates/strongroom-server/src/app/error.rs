use strongroom_domain::{OperationId, Violation};
use strongroom_metadata::{AuditRow, CommitError, MachineKind, PutRow, ReadError};
use strongroom_stores::StoreError;

use super::outer::Settled;
use crate::http::ApiError;
use crate::limits::RetryAfter;

/// What can be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resource {
    SecretGroup,
    Secret,
    User,
    Token,
    Team,
    Role,
    RoleBinding,
    VirtualAccount,
    Agent,
    ProviderAccount,
    ProviderIntegration,
    IdentityProvider,
    Operation,
}

impl From<MachineKind> for Resource {
    fn from(kind: MachineKind) -> Self {
        match kind {
            MachineKind::VirtualAccount => Self::VirtualAccount,
            MachineKind::AgentIdentity => Self::Agent,
        }
    }
}

/// Why a use case was not done, by meaning. What callers are told and what the log is told are different fields.
#[derive(Debug)]
pub(crate) enum AppError {
    /// No valid token.
    Unauthenticated(&'static str),
    /// Too many requests.
    RateLimited(RetryAfter),
    /// They may know of it, but not do this; with the event that says so, which the router writes.
    Forbidden(&'static str, Box<AuditRow>),
    /// It isn't there, or they may not know that it is.
    NotFound(Resource),
    /// Something that the input names isn't there; with the places that name it. What the caller may not see is told in
    /// the same words.
    MissingReference(Vec<Violation>),
    /// The name is taken.
    NameTaken(String),
    /// Something else refers to it; the text says what to do first.
    InUse(String),
    /// The tenant would have no active admin any more.
    LastAdmin,
    /// The group is at another revision than `If-Match` names.
    OtherRevision { current: i64 },
    /// The body can't be read.
    Malformed(String),
    /// Fields are wrong.
    Invalid(Vec<Violation>),
    /// There is no such secret store integration.
    NoIntegration,
    /// A write to an outer store is under way on the same group, and took too long to wait for.
    OperationInProgress(OperationId),
    /// What an outer store holds is not what was put there.
    ChangedOutside { store: String, what: String },
    /// A write was not done, as a store failed.
    OuterWrite(Box<OuterWriteFailed>),
    /// The store failed.
    Store(StoreError),
    /// Stores can't be used as a manifest describes them; by the place of each.
    StoreCheck(Vec<Violation>),
    /// What is stored is not what was stored; the text names the object.
    Integrity { public: String, internal: String },
    /// Others were faster ten times in a row.
    Busy,
    /// The caller's roles or teams are not what they were when the request was let in: it is to be let in anew.
    StandingChanged,
    /// The database's disk is full.
    StorageFull,
    /// The database takes no writes.
    ReadOnly,
    /// The database can't be used.
    Unavailable { internal: String },
    /// A fault of our own.
    Internal { internal: String },
    /// The body could not be taken, as HTTP says it.
    Body(Box<ApiError>),
}

/// Why a write to an outer store was not done, and what became of it.
#[derive(Debug)]
pub(crate) struct OuterWriteFailed {
    pub(crate) operation: OperationId,
    /// The integration's FQN.
    pub(crate) integration: String,
    pub(crate) error: StoreError,
    /// What was known of each put then.
    pub(crate) puts: Vec<PutRow>,
    pub(crate) settled: Settled,
}

impl AppError {
    /// One wrong field.
    pub(crate) fn invalid(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![Violation::new(path, message)])
    }

    /// One name of something that isn't there.
    pub(crate) fn missing(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::MissingReference(vec![Violation::new(path, message)])
    }
}

impl From<ReadError> for AppError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Damaged { statement, column } => Self::Integrity {
                public: "a record of the metadata database is damaged".into(),
                internal: format!("column {column} of {statement}"),
            },
            error => Self::Unavailable { internal: describe(&error) },
        }
    }
}

impl From<RetryAfter> for AppError {
    fn from(after: RetryAfter) -> Self {
        Self::RateLimited(after)
    }
}

impl From<CommitError> for AppError {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::StorageFull => Self::StorageFull,
            CommitError::ReadOnly => Self::ReadOnly,
            CommitError::Unavailable(internal) => Self::Unavailable { internal },
            // Use cases answer the guards that they know of; any other miss contradicts what was decided on.
            CommitError::Missed { guard } => Self::Internal { internal: format!("guard {guard:?} was missed") },
        }
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// An error with everything below it.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(below) = source {
        text = format!("{text}: {below}");
        source = below.source();
    }
    text
}
