//! What `strongroom doctor` finds in the database: read only, whether or not a server runs on it.

use std::path::Path;

use crate::postgres::{ConnectSetup, described};
use crate::{PostgresOptions, dialect, migrations};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// As it should be.
    Ok,
    /// It works, and a promise may not hold.
    Warning,
    /// A server would not start, or not work.
    Failure,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was looked at.
    pub subject: &'static str,
    /// What was seen, and what to do about it.
    pub text: String,
}

/// A database as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Examination {
    /// All that was looked at.
    pub findings: Vec<Finding>,
    /// The fingerprints of the root keys that open it; empty before the first start.
    pub fingerprints: Vec<String>,
    /// The tenant, once there is one.
    pub tenant: Option<String>,
    /// The database's clock, microseconds since 1970, where it has one.
    pub clock_micros: Option<i64>,
}

impl Examination {
    fn note(&mut self, level: Level, subject: &'static str, text: impl Into<String>) {
        self.findings.push(Finding { level, subject, text: text.into() });
    }

    fn schema(&mut self, found: Option<i64>) {
        let known = i64::try_from(migrations::MIGRATIONS.len()).unwrap_or(i64::MAX);
        match found {
            None => self.note(Level::Ok, "schema", "empty: the first start makes it"),
            Some(found) if found > known => self.note(
                Level::Failure,
                "schema",
                format!("{found}, written by a newer release; this one knows {known}: run the newer release"),
            ),
            Some(found) if found < known => {
                self.note(Level::Ok, "schema", format!("{found}; the next start brings it to {known}"));
            }
            Some(found) => self.note(Level::Ok, "schema", format!("{found}, the newest")),
        }
    }

    fn state(&mut self, state: &str, note: &str) {
        match state {
            "live" => {}
            "moving" => self.note(
                Level::Failure,
                "instance",
                format!(
                    "being moved to {note}: finish it with `strongroom migrate-database`, or give it up with --undo"
                ),
            ),
            _ => self.note(Level::Failure, "instance", format!("moved to {note}: use that database")),
        }
    }
}

/// Looks at a SQLite file without touching it.
#[must_use]
pub fn examine_sqlite(path: &Path) -> Examination {
    let mut seen = Examination::default();
    if !path.exists() {
        seen.note(Level::Ok, "database", format!("{} is not there yet: the first start makes it", path.display()));
        return seen;
    }
    let looked = crate::sqlite::open_untouched(path).and_then(|connection| {
        let schema: Option<i64> = connection.query_row(dialect::SCHEMA_VERSION, [], |row| row.get(0))?;
        let mut slots = connection.prepare(crate::instance::SELECT_FINGERPRINTS.sqlite())?;
        let slots: Vec<String> = slots.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let newest = schema.is_some_and(|schema| schema > 1);
        let instance = if newest { dialect::INSTANCE_FACTS } else { dialect::FIRST_INSTANCE_FACTS };
        let mut facts = connection.prepare(instance)?;
        let facts = facts.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.next().transpose()?;
        Ok((schema, slots, facts))
    });
    match looked {
        Ok((schema, slots, facts)) => {
            seen.note(Level::Ok, "database", format!("{} can be read", path.display()));
            seen.schema(schema);
            seen.fingerprints = slots;
            if let Some((tenant, state, note)) = facts {
                let (tenant, state, note): (String, String, String) = (tenant, state, note);
                seen.state(&state, &note);
                seen.tenant = Some(tenant);
            }
        }
        Err(error) => seen.note(Level::Failure, "database", format!("{} can't be read: {error}", path.display())),
    }
    seen
}

/// Looks at a PostgreSQL database, past the pooler where a way is given.
pub async fn examine_postgres(options: &PostgresOptions) -> Examination {
    let mut seen = Examination::default();
    let (address, setting) = match &options.direct {
        Some(direct) => (direct, "database-direct-url"),
        None => (&options.address, "database-url"),
    };
    let setup = ConnectSetup { application_name: "strongroom doctor", options: None };
    let client = match address.connect(&setup, |_| {}).await {
        Ok(client) => client,
        Err(error) => {
            seen.note(Level::Failure, "database", format!("{error} (setting {setting})"));
            return seen;
        }
    };
    seen.note(Level::Ok, "database", format!("{} answers (setting {setting})", address.shown()));
    if options.direct.is_some() {
        match options.address.connect(&setup, |_| {}).await {
            Ok(_) => {
                seen.note(Level::Ok, "pooler", format!("{} answers (setting database-url)", options.address.shown()));
            }
            Err(error) => seen.note(Level::Failure, "pooler", format!("{error} (setting database-url)")),
        }
    }
    if let Err(error) = look(&client, &mut seen, options).await {
        seen.note(Level::Failure, "database", described(&error));
    }
    seen
}

async fn look(
    client: &tokio_postgres::Client,
    seen: &mut Examination,
    options: &PostgresOptions,
) -> Result<(), tokio_postgres::Error> {
    let facts = client.query_typed_one(dialect::SERVER_FACTS, &[]).await?;
    let text = |at: usize| facts.try_get::<_, String>(at);
    let version: i32 = facts.try_get(0)?;
    let major = version / 10_000;
    let fit = if major >= 14 { Level::Ok } else { Level::Failure };
    seen.note(fit, "version", format!("PostgreSQL {major}; 14 or newer is needed"));
    if facts.try_get(1)? {
        seen.note(
            Level::Failure,
            "server",
            "a copy that takes no writes: name the primary too, and target_session_attrs=read-write",
        );
    }
    for (at, name) in [(2, "fsync"), (3, "full_page_writes")] {
        if text(at)? != "on" {
            seen.note(
                Level::Warning,
                "durability",
                format!("{name} is off: what was acknowledged can be lost with the power"),
            );
        }
    }
    let copies = text(4)?;
    if copies.is_empty() {
        seen.note(
            Level::Warning,
            "fail-over",
            "no synchronous copy (synchronous_standby_names is empty): when another server takes over, what was \
             acknowledged last can be lost",
        );
    } else {
        seen.note(Level::Ok, "fail-over", format!("COMMIT waits for synchronous copies: {copies}"));
    }
    let most: i32 = facts.try_get(5)?;
    let own = i32::try_from(options.connections).unwrap_or(i32::MAX).saturating_add(2);
    let level = if own.saturating_mul(2) > most { Level::Warning } else { Level::Ok };
    seen.note(
        level,
        "connections",
        format!("a replica takes up to {own}, and PostgreSQL gives {most} to all (max_connections)"),
    );
    seen.clock_micros = Some(facts.try_get(6)?);
    let migrated: bool = facts.try_get(7)?;
    if !migrated {
        seen.schema(None);
        return Ok(());
    }
    let schema: Option<i64> = client.query_typed_one(dialect::SCHEMA_VERSION, &[]).await?.try_get(0)?;
    seen.schema(schema);
    for row in client.query_typed(crate::instance::SELECT_FINGERPRINTS.postgres(), &[]).await? {
        seen.fingerprints.push(row.try_get(0)?);
    }
    let newest = schema.is_some_and(|schema| schema > 1);
    let instance = if newest { dialect::INSTANCE_FACTS } else { dialect::FIRST_INSTANCE_FACTS };
    if let Some(row) = client.query_typed_opt(instance, &[]).await? {
        let (state, note): (String, String) = (row.try_get(1)?, row.try_get(2)?);
        seen.state(&state, &note);
        seen.tenant = Some(row.try_get(0)?);
    }
    Ok(())
}
