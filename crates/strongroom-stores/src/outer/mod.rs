//! How outer stores are called: one client for all of them, with one policy.
//!
//! An [`OuterClient`] belongs to one integration. It bounds how many requests are under way at once, how long one takes
//! and how long all that one call needs takes together; it asks again with growing waits; it stops asking a store that
//! keeps failing. An adapter brings the requests and reads the answers.
//!
//! A write is the delicate part: whether it happened may stay unknown. [`Repeat`] says what may be sent again, an answer
//! says whether an earlier try may have arrived, and an error whether the write may have happened.
//!
//! No error has more of an exchange in it than the host and the status: answers may repeat what was sent.

mod breaker;
mod call;
mod client;
mod json;
mod retry_after;
mod stats;

pub use breaker::{BreakerPolicy, BreakerState};
pub use call::{Answer, Call, Repeat, Verdict, judge_by_status};
#[cfg(test)]
pub(crate) use client::Transport;
pub use client::{Attempt, OuterClient, OuterPolicy};
pub use json::{NotJson, parse_json, to_json};
pub use stats::{Outcome, OuterStats};
