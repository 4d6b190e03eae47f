use std::io::Write;

use clap::{ArgMatches, Command};
use strongroom_domain::{Entropy, token};

pub(crate) fn command() -> Command {
    let new = Command::new("new")
        .about("Print a new well-formed token, for the setting admin-token of a first start; nothing is stored");
    Command::new("token").about("API tokens").subcommand_required(true).subcommand(new)
}

pub(crate) fn run(matches: &ArgMatches, entropy: &dyn Entropy) -> std::io::Result<()> {
    if matches.subcommand_name() == Some("new") {
        writeln!(std::io::stdout().lock(), "{}", token::make(entropy).as_str())?;
    }
    Ok(())
}
