//! The whole server in process, for tests: a real instance in a folder of its own, behind its real router.
//!
//! ```ignore
//! let app = TestApp::start().await;
//! let cast = app.cast("payments", &[("API_KEY", "s3cret")]).await;
//! let answer = cast.viewer.get(&format!("/api/svc/v1/secret-groups/{}", cast.group_id)).await;
//! assert_eq!(answer.status, 200);
//! ```
//!
//! * [`TestApp`] opens, stops and reopens the instance; [`Setup`] says with which settings.
//! * [`Client`] speaks as one subject. It checks the contract's error body in every answer that is not a success.
//! * [`Cast`] has a client for every role on one group, [`Crowd`] one for every way to have a role or none.
//! * [`FakeIdp`] makes tokens as an identity provider does.
//! * [`TestClock`] is the time, [`SeededEntropy`] repeatable randomness, `TestApp::faults` the store's failures.
//! * [`Tamper`] changes the database behind the server's back.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test that can't go on says so by panicking")]
#![allow(clippy::must_use_candidate, reason = "what checks an answer is called for its panic")]

mod app;
mod cast;
mod client;
mod crowd;
mod idp;
mod tamper;
mod world;

pub use app::{Setup, TestApp};
pub use cast::Cast;
pub use client::{Answer, Client, Request, encode};
pub use crowd::{Caller, Crowd};
pub use idp::FakeIdp;
pub use tamper::{Blob, Column, Tamper};
pub use world::{SeededEntropy, TestClock};
