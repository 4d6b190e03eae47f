//! `strongroom migrate-database`: the instance goes to another database. No root key is read.

mod progress;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use strongroom_metadata::{CopyError, CopyReport, Location, PostgresAddress, copy_database, undo_copy};

use self::progress::Display;
use crate::config::{is_postgres, read_secret, sqlite_file};
use crate::folder::lock_database;
use crate::instance::StartError;

/// Why the instance was not moved. The text says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// A flag is wrong.
    #[error("--{flag} {problem}")]
    Flag {
        /// Which one.
        flag: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Both are the same database.
    #[error("--from and --to name the same database")]
    Same,
    /// A server has the database.
    #[error(transparent)]
    Lock(#[from] StartError),
    /// The copy.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The copy ended in the middle.
    #[error("{error}; {from} takes no writes now: run the same command again to go on, or with --undo to stay with it")]
    Interrupted {
        /// Why.
        error: CopyError,
        /// The source.
        from: String,
    },
    /// There is nowhere to report to.
    #[error("the instance was moved, but standard output can't be written: {0}")]
    Output(#[from] std::io::Error),
}

/// `strongroom migrate-database …`
#[must_use]
pub fn migrate_database_command() -> Command {
    let url = |name, help| Arg::new(name).long(name).value_name("URL").required(true).help(help);
    let password =
        |name, help| Arg::new(name).long(name).value_name("PATH").value_parser(value_parser!(PathBuf)).help(help);
    Command::new("migrate-database")
        .about("Move the instance to another database, from SQLite to PostgreSQL or back")
        .long_about(
            "Move the instance to another database, from SQLite to PostgreSQL or back.\n\n\
             Stop the server first. The old database is made read-only, everything is copied in one transaction, read back \
             and compared, and the old database is marked so that no server starts on it. What is sealed stays sealed: no \
             root key is read. After an interruption run the same command again.",
        )
        .arg(url("from", "The instance's database: sqlite:PATH or postgres://USER@HOST/DATABASE"))
        .arg(url("to", "An empty database; a file is made"))
        .arg(password("from-password-file", "A file with the password for --from"))
        .arg(password("to-password-file", "A file with the password for --to"))
        .arg(Arg::new("undo").long("undo").action(ArgAction::SetTrue).help(
            "Stay in --from, after a run that was interrupted before --to had everything",
        ))
}

/// Runs `strongroom migrate-database …`.
pub async fn run_migrate_database(matches: &ArgMatches) -> Result<(), MigrateError> {
    crate::run::harden();
    let (from, to) = (location(matches, "from")?, location(matches, "to")?);
    if from.shown() == to.shown() && matches!(from, Location::Sqlite(_)) {
        return Err(MigrateError::Same);
    }
    if let Location::Sqlite(path) = &from
        && !path.exists()
    {
        return Err(CopyError::NoFile(from.shown()).into());
    }
    // Held until the end: no server starts on either meanwhile.
    let _locks = (lock(&from)?, lock(&to)?);
    if matches.get_flag("undo") {
        undo_copy(&from, &to).await?;
        writeln!(std::io::stdout(), "{} is live again: start the server with it.", from.shown())?;
        return Ok(());
    }
    let mut display = Display::new();
    let mut is_marked = false;
    let report = copy_database(&from, &to, |progress| {
        is_marked = true;
        display.show(&progress);
    });
    let report = report.await;
    display.finish();
    match report {
        Ok(report) => Ok(tell(&report, &from, &to)?),
        Err(error @ (CopyError::Engine { .. } | CopyError::Field { .. })) if is_marked => {
            Err(MigrateError::Interrupted { error, from: from.shown() })
        }
        Err(error) => Err(error.into()),
    }
}

fn location(matches: &ArgMatches, flag: &str) -> Result<Location, MigrateError> {
    let wrong = |flag: &str, problem| MigrateError::Flag { flag: flag.to_owned(), problem };
    // The command line has it, or it wasn't taken.
    let url = matches.get_one::<String>(flag).map(String::as_str).unwrap_or_default();
    let password_flag = format!("{flag}-password-file");
    let file = matches.get_one::<PathBuf>(&password_flag);
    if is_postgres(url) {
        let password = file.map(|file| read_secret(file)).transpose();
        let password = password.map_err(|problem| wrong(&password_flag, format!("can't be read: {problem}")))?;
        let address = PostgresAddress::parse(url, password.as_ref().map(|password| password.as_str()));
        return Ok(Location::Postgres(Box::new(address.map_err(|problem| wrong(flag, problem))?)));
    }
    if file.is_some() {
        return Err(wrong(&password_flag, format!("goes with PostgreSQL only, and --{flag} names no such database")));
    }
    let path = sqlite_file(url).map_err(|problem| wrong(flag, problem))?;
    // The old database says where the instance went, also to who asks from another folder.
    let path = std::path::absolute(path).map_err(|error| wrong(flag, error.to_string()))?;
    Ok(Location::Sqlite(path))
}

/// As a server locks it, so that none runs on it.
fn lock(location: &Location) -> Result<Option<File>, StartError> {
    match location {
        Location::Sqlite(path) => lock_database(path).map(Some),
        Location::Postgres(_) => Ok(None),
    }
}

fn tell(report: &CopyReport, from: &Location, to: &Location) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:<22} {:>12}  SHA-256", "table", "rows")?;
    for table in &report.tables {
        writeln!(out, "{:<22} {:>12}  {}", table.name, table.rows, table.hash)?;
    }
    let rows: u64 = report.tables.iter().map(|table| table.rows).sum();
    writeln!(out, "\n{rows} rows in {} tables are the same on both sides.", report.tables.len())?;
    if report.was_complete {
        writeln!(out, "An earlier run had copied them; this one compared them again.")?;
    }
    writeln!(
        out,
        "The instance lives in {} now. {} is marked as moved, and no server starts on it.",
        to.shown(),
        from.shown()
    )?;
    writeln!(out, "\nStart the server with the new database-url. The root key is the same as before:")?;
    match to {
        Location::Postgres(_) => writeln!(
            out,
            "with the data folder of before it is found there; on other machines give a copy of it with root-key-file."
        ),
        Location::Sqlite(_) => {
            writeln!(out, "give it with root-key-file, or put a copy into the data folder as root.key (mode 0600).")
        }
    }
}
