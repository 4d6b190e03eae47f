//! `strongroom doctor`: looks at everything that a start needs, changes nothing, and says what to do.

use std::ffi::OsString;
use std::io::Write;

use clap::{ArgMatches, Command};
use strongroom_crypto::RootKey;
use strongroom_domain::{Clock, SystemClock};
use strongroom_metadata::{Examination, Finding, Level, examine_postgres, examine_sqlite};

use crate::config::{Database, Settings, serve_command};
use crate::keys::{RootKeySource, load};
use crate::run::RunError;

/// A clock that is further off than this is told of.
const CLOCK_SECONDS: i64 = 5;

/// `strongroom doctor`
#[must_use]
pub fn doctor_command() -> Command {
    serve_command().name("doctor").about(
        "Look at settings, root key and database, change nothing, and say what is wrong; takes the settings of serve",
    )
}

/// Runs `strongroom doctor`; `false` when a server would not start or not work.
pub async fn run_doctor(
    flags: &ArgMatches,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<bool, RunError> {
    let settings = Settings::load(flags, environment)?;
    let seen = match &settings.database {
        Database::Sqlite(file) => examine_sqlite(file),
        Database::Postgres(options) => examine_postgres(options).await,
    };
    let mut findings = seen.findings.clone();
    findings.push(root_key(&settings, &seen));
    findings.extend(tenant(&settings, &seen));
    findings.extend(clock(&seen));
    let mut out = std::io::stdout().lock();
    for finding in &findings {
        let level = match finding.level {
            Level::Ok => "ok",
            Level::Warning => "WARNING",
            Level::Failure => "FAILURE",
        };
        writeln!(out, "{level:8} {:12} {}", finding.subject, finding.text)?;
    }
    Ok(findings.iter().all(|finding| finding.level != Level::Failure))
}

fn root_key(settings: &Settings, seen: &Examination) -> Finding {
    let default = settings.data_dir.join("root.key");
    let path = settings.root_key_file.as_deref().unwrap_or(&default);
    let finding = |level, text: String| Finding { level, subject: "root key", text };
    let made_at_start = settings.root_key_file.is_none() && matches!(settings.database, Database::Sqlite(_));
    match load(&RootKeySource { path, may_make: false }) {
        Err(_) if made_at_start && seen.fingerprints.is_empty() && !path.exists() => {
            finding(Level::Ok, format!("{} is not there yet: the first start makes it", path.display()))
        }
        Err(error) => finding(Level::Failure, error.to_string()),
        Ok(key) if seen.fingerprints.is_empty() => {
            finding(Level::Ok, format!("{} has the fingerprint {}", path.display(), key.fingerprint()))
        }
        Ok(key) if seen.fingerprints.iter().any(|known| known == key.fingerprint()) => {
            finding(Level::Ok, format!("{} opens the database (fingerprint {})", path.display(), key.fingerprint()))
        }
        Ok(key) => finding(
            Level::Failure,
            format!(
                "{} has the fingerprint {}, and the database opens with {} only: bring back that key",
                path.display(),
                key.fingerprint(),
                seen.fingerprints.join(" or ")
            ),
        ),
    }
}

fn tenant(settings: &Settings, seen: &Examination) -> Option<Finding> {
    let stored = seen.tenant.as_ref().filter(|stored| **stored != settings.tenant)?;
    let text = format!("the setting tenant is `{}`, and the database belongs to `{stored}`", settings.tenant);
    Some(Finding { level: Level::Failure, subject: "tenant", text })
}

fn clock(seen: &Examination) -> Option<Finding> {
    let off = (seen.clock_micros? - SystemClock.now().micros()) / 1_000_000;
    Some(if off.abs() > CLOCK_SECONDS {
        let text = format!(
            "this machine's clock is {} s {} the database's; Strongroom goes by the database's, other things may not",
            off.abs(),
            if off > 0 { "behind" } else { "ahead of" }
        );
        Finding { level: Level::Warning, subject: "clock", text }
    } else {
        Finding { level: Level::Ok, subject: "clock", text: "agrees with the database's".to_owned() }
    })
}
