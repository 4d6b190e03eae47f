//! What goes out and what comes back.

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};

use crate::egress::EgressUrl;

/// A request to a store. Made anew for each try, as signatures age.
#[derive(Clone)]
pub struct Call {
    /// `GET`, `POST`, `PUT`, `DELETE`, `LIST` …
    pub method: Method,
    /// Where.
    pub url: EgressUrl,
    /// Beside `Host` and `User-Agent`.
    pub headers: HeaderMap,
    /// Nothing, or what [`to_json`](super::to_json) made.
    pub body: Bytes,
    /// The longest answer, in bytes.
    pub max_answer_bytes: usize,
}

/// Neither headers nor bodies nor paths: these hold credentials, values and names.
impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Call({} {})", self.method, self.url.authority())
    }
}

/// What may be done with a request whose fate is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It changes nothing.
    Read,
    /// Done twice it comes to the same, or the caller finds out by reading back.
    Idempotent,
    /// It must not happen twice: sent again only where the store surely did nothing.
    Never,
}

/// A store's answer.
#[derive(Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// Wiped when the last clone is dropped.
    pub body: Bytes,
    /// Whether an earlier try of the same write may have been carried out, so that this answer may be its echo.
    pub after_unclear: bool,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({})", self.status)
    }
}

/// What an answer says about the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It answered, well or badly: the caller reads it.
    Answered,
    /// It did nothing and asks to come again later, in so long if it says so.
    Throttled(Option<Duration>),
    /// It failed, and may have done what it was asked.
    Failed(Option<Duration>),
}

/// For stores that keep to HTTP's meanings; others judge on top of it.
#[must_use]
pub fn judge_by_status(answer: &Answer) -> Verdict {
    let wait = || super::retry_after::seconds(&answer.headers);
    match answer.status {
        StatusCode::TOO_MANY_REQUESTS => Verdict::Throttled(wait()),
        StatusCode::REQUEST_TIMEOUT => Verdict::Failed(wait()),
        status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => Verdict::Failed(wait()),
        _ => Verdict::Answered,
    }
}
