//! `cargo xtask check | fuzz | generate | test`: what is kept beside the code, and the one command that tests it all.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a command: printing is what it does")]

mod check;
mod generate;
mod process;
mod sources;
mod test;

use std::{env, path::PathBuf, process::ExitCode};

const USAGE: &str = "\
usage: cargo xtask <command>

  check     Formatting, lints, licences, file sizes, import arrows, no SQL outside of metadata, fresh references.
  fuzz N    Parsers of what strangers send, with random inputs for N seconds; `test` does so for a minute.
  generate  Writes the references under docs/ that are made from the code.
  test      All tests, on SQLite and on PostgreSQL. Those that need it are skipped where it isn't installed.
            --no-clients   without those of real clients and real secret stores, which need python3
            --no-postgres  on SQLite only";

fn main() -> ExitCode {
    let Some(root) = env::var_os("CARGO_MANIFEST_DIR").and_then(|dir| PathBuf::from(dir).parent().map(PathBuf::from))
    else {
        eprintln!("xtask must be started by cargo: cargo xtask <command>");
        return ExitCode::FAILURE;
    };
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let succeeded = match args[..] {
        ["check"] => Some(check::run(&root)),
        ["fuzz", seconds] => seconds.parse().ok().map(|seconds| test::fuzz(&root, seconds)),
        ["generate"] => Some(generate::run(&root)),
        ["test", ref flags @ ..] => test::Extent::from_flags(flags).map(|extent| test::run(&root, extent)),
        _ => None,
    };
    let succeeded = succeeded.unwrap_or_else(|| {
        eprintln!("{USAGE}");
        false
    });
    if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
