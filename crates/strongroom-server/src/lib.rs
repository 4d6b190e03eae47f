//! The Strongroom server.
//!
//! The way of a request: [`http`] (parse, authenticate, render) calls `app` (authorize, decide, write once), which uses
//! the metadata database, a secret store and the keys. `jobs` do what nobody asks for.

mod admin_token;
mod app;
mod audit;
mod auth;
pub mod config;
mod doctor;
mod first_start;
mod folder;
pub mod http;
mod instance;
mod jobs;
mod keys;
mod limits;
mod migrate_database;
mod run;

pub use admin_token::{admin_token_command, run_admin_token};
pub use doctor::{doctor_command, run_doctor};
pub use first_start::FirstStart;
pub use instance::{Instance, OuterStores, StartError, Step, StepHook, SystemEntropy, World};
pub use keys::{KeyFileError, make_root_key_file};
pub use limits::Refusals;
pub use migrate_database::{MigrateError, migrate_database_command, run_migrate_database};
pub use run::{RunError, keys_command, run_keys, serve, serve_in};
