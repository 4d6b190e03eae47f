use std::{error::Error, io, time::Duration};

use super::Refusal;

/// Why there is no answer. The text names the host and the reason, never a path, a header or a body.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EgressError {
    /// An address of the host must not be reached.
    #[error("{host}: {refusal}")]
    Refused {
        /// The host as in the URL.
        host: String,
        /// Why.
        refusal: Refusal,
    },
    /// The host's name has no address, or the DNS didn't say.
    #[error("{host}: the name can't be resolved: {source}")]
    Resolve {
        /// The host as in the URL.
        host: String,
        /// Why.
        source: io::Error,
    },
    /// Nobody answers at any of the host's addresses.
    #[error("{host}: can't connect: {source}")]
    Connect {
        /// The host as in the URL.
        host: String,
        /// What the last attempt said.
        source: io::Error,
    },
    /// No secure connection came about.
    #[error("{host}: TLS failed: {source}")]
    Tls {
        /// The host as in the URL.
        host: String,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The connection broke, or what came over it isn't HTTP.
    #[error("{host}: no valid HTTP answer: {source}")]
    Http {
        /// The host as in the URL.
        host: String,
        /// Whether any of the request may have arrived.
        sent: bool,
        /// Why.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The answer is longer than what was asked for.
    #[error("{host}: the answer is longer than {limit} bytes")]
    TooLarge {
        /// The host as in the URL.
        host: String,
        /// The bound.
        limit: usize,
    },
    /// The whole exchange took too long.
    #[error("{host}: no answer within {} seconds", limit.as_secs_f32())]
    Timeout {
        /// The host as in the URL.
        host: String,
        /// The bound.
        limit: Duration,
        /// Whether any of the request may have arrived.
        sent: bool,
    },
}

impl EgressError {
    /// Whether the other end may have got the request, and done what it says.
    #[must_use]
    pub const fn may_have_arrived(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Resolve { .. } | Self::Connect { .. } | Self::Tls { .. } => false,
            Self::TooLarge { .. } => true,
            Self::Http { sent, .. } | Self::Timeout { sent, .. } => *sent,
        }
    }
}
