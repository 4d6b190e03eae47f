//! Settings: one table of them, four places they come from.
//!
//! A flag beats an environment variable, that beats the TOML file named by `--config`, and that beats `default.toml`,
//! which is compiled in and documents them all. [`table`] has one row a setting; flags, environment names, TOML keys,
//! help and the reference page are made from it.

mod database;
mod error;
mod parse;
mod reference;
mod settings;
mod sources;
mod suggest;
mod table;
mod toml_file;

pub(crate) use self::{
    database::{is_postgres, sqlite_file},
    sources::read_secret,
};

#[cfg(test)]
mod tests;

pub use self::{
    database::Database,
    error::{Origin, SettingsError},
    parse::{GroupNameRule, LogFormat, LogLevel},
    reference::{serve_command, settings_reference},
    settings::{SecretText, Settings, TlsFiles},
};
