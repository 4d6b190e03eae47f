//! Real servers, where they are installed; where not, each test says that it is skipped.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests; one that can't run says so")]

mod moto;
mod openbao;
mod pgbouncer;
mod postgres;
mod support;
