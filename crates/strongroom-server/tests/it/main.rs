//! The server in process: its promises, one module each.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_wrap,
    clippy::too_many_lines,
    clippy::print_stderr,
    reason = "a test says what went wrong by panicking, and that it was skipped by printing"
)]

mod access;
mod accounts;
mod audit;
mod authorization;
mod bad_input;
mod bindings;
mod concurrency;
mod fairness;
mod faults;
mod identity_providers;
mod integrity;
mod leaving;
mod limits;
mod machines;
mod outer;
mod policy;
mod references;
mod rotation;
mod secrecy;
mod semantics;
mod standing;
mod support;
mod teams;
mod tokens;
mod users;
