use std::sync::Arc;

use super::fetch::FetchError;

/// Why a token isn't taken. For the log and for whoever sets a provider up; a caller is told no more than that the token
/// is invalid. Never repeats anything of the token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("the token is longer than {0} bytes")]
    TooLong(usize),
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// It says another algorithm than its key has.
    #[error("the token's algorithm isn't that of its key")]
    Algorithm,
    /// No key of the provider has its `kid`.
    #[error("no key of the provider has the token's key id")]
    UnknownKey,
    #[error("the token's signature isn't by a key of the provider")]
    Signature,
    #[error("the token has expired")]
    Expired,
    #[error("the token isn't valid yet")]
    NotYetValid,
    /// A claim that must be there isn't, or has another type.
    #[error("the token has no usable claim {0}")]
    Claim(String),
    #[error("the token's claim {0} isn't what it must be")]
    Mismatch(String),
    #[error(transparent)]
    Keys(#[from] KeysError),
}

/// Why the keys of a provider aren't known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeysError {
    /// The text is for an operator.
    #[error("the provider's keys can't be fetched: {0}")]
    Fetch(Arc<FetchError>),
    #[error("the provider's answer is no key set: {0}")]
    Malformed(&'static str),
    /// They couldn't be fetched for a day.
    #[error("the provider's keys are too old: {0}")]
    TooOld(Box<KeysError>),
}
