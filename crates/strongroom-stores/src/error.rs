use std::error::Error;

/// What went wrong at a store, by meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The entry or version isn't there.
    NotFound,
    /// The name is taken, by us or by somebody else.
    AlreadyExists,
    /// The entry isn't at the version that the put was conditioned on.
    Precondition,
    /// The store doesn't let us do this.
    PermissionDenied,
    /// The store doesn't know us.
    Unauthenticated,
    /// The store asks to come back later.
    Throttled,
    /// The store can't be reached or failed.
    Unavailable,
    /// The store's own rule forbids this name or value.
    Refused,
    /// The store has no such operation.
    NotSupported,
    /// What the store holds is not what was put there.
    Integrity,
}

/// An error of a store. Its text names the store and the reason, never a value.
#[derive(Debug, thiserror::Error)]
#[error("secret store {store}: {reason}")]
pub struct StoreError {
    /// The store's name.
    pub store: &'static str,
    /// The meaning.
    pub kind: StoreErrorKind,
    /// What to tell people.
    pub reason: String,
    /// For a write to an outer store: whether it may have happened, or may still happen, all the same.
    pub may_have_happened: bool,
    /// What lay below.
    #[source]
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// An error with nothing below it.
    pub fn new(store: &'static str, kind: StoreErrorKind, reason: impl Into<String>) -> Self {
        Self { store, kind, reason: reason.into(), may_have_happened: false, source: None }
    }

    /// The same, saying whether the write may have happened.
    #[must_use]
    pub fn with_unclear_effect(self, may_have_happened: bool) -> Self {
        Self { may_have_happened, ..self }
    }

    /// The same with its cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
}
