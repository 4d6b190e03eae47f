//! The metadata database through its public interface, on real files.
#![allow(clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod audit;
mod behind;
mod copy;
mod guards;
mod history;
mod identities;
mod identity_guards;
mod memberships;
mod migration;
mod operations;
mod pages;
mod postgres_only;
mod reads;
mod sqlite_only;
mod teams;
mod world;
mod writes;
