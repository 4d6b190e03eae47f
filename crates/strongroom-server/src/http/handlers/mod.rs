//! Handlers: parse, call, render. No SQL, no store, no role names.

pub(super) mod access;
pub(super) mod accounts;
pub(super) mod agents;
pub(super) mod audit_logs;
pub(super) mod identity;
pub(super) mod keys;
pub(super) mod machines;
pub(super) mod manifests;
pub(super) mod operations;
pub(super) mod policies;
pub(super) mod secret_groups;
pub(super) mod secrets;
pub(super) mod service;
pub(super) mod tokens;
pub(super) mod trash;
pub(super) mod users;
