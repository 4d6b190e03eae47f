//! `strongroom admin-token`: a new token for a tenant admin who has none that works.

use std::ffi::OsString;
use std::io::Write;

use clap::{Arg, ArgMatches, Command};

use crate::config::{Settings, serve_command};
use crate::instance::{Instance, World};
use crate::run::{RunError, harden};

const ADDRESS: &str = "address";

/// `strongroom admin-token`
#[must_use]
pub fn admin_token_command() -> Command {
    let address = Arg::new(ADDRESS).value_name("ADDRESS").required(true).help("E-mail address of a tenant admin.");
    serve_command()
        .name("admin-token")
        .about(
            "Make a tenant admin a new token, and print it this once, where no token of theirs works any more; needs the \
             database and the root key, and over SQLite a stopped server; takes the settings of serve",
        )
        .arg(address)
}

/// Runs `strongroom admin-token`.
pub async fn run_admin_token(
    matches: &ArgMatches,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), RunError> {
    let settings = Settings::load(matches, environment)?;
    let address = matches.get_one::<String>(ADDRESS).map(String::as_str).unwrap_or_default();
    harden();
    let instance = Instance::open_existing(&settings, World::default()).await?;
    let made = instance.make_admin_token(address).await;
    instance.close().await;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", made.map_err(RunError::Refused)?.expose())?;
    Ok(out.flush()?)
}
