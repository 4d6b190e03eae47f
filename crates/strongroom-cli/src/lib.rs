//! The commands that people type. They speak HTTP only and can't reach the database.

mod token;

use clap::{ArgMatches, Command};

/// `strongroom token …`
#[must_use]
pub fn token_command() -> Command {
    token::command()
}

/// Runs `strongroom token …`, with randomness from the caller.
pub fn run_token(matches: &ArgMatches, entropy: &dyn strongroom_domain::Entropy) -> std::io::Result<()> {
    token::run(matches, entropy)
}
