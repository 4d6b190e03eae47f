//! What tests are told of the servers that they may use.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    path::Path,
    process::{Command, Stdio},
};

use strongroom_throwaway::{PgBouncer, Postgres, PostgresOptions, find_program, postgres_programs};

/// Variables for the tests' processes.
pub(super) type Environment = BTreeMap<&'static str, OsString>;

const POSTGRES: &str = "STRONGROOM_TEST_POSTGRES";
const PSQL: &str = "STRONGROOM_TEST_PSQL";

/// Tests of the whole workspace run at once, each with connections of its own.
const CONNECTIONS: u32 = 400;

/// Why no PostgreSQL server could be had.
pub(super) enum NoPostgres {
    /// It isn't installed, which is no failure but where everything must run.
    NotInstalled(String),
    Failed(String),
}

/// For tests that start servers of their own.
pub(super) fn basic() -> Environment {
    if is_ci() && PgBouncer::program().is_none() {
        install_pgbouncer();
    }
    let pgbouncer = PgBouncer::program().map(|program| ("STRONGROOM_TEST_PGBOUNCER", program.into_os_string()));
    pgbouncer.into_iter().collect()
}

/// A server for all the tests that make databases of their own on it.
pub(super) fn postgres() -> Result<Postgres, NoPostgres> {
    let has_psql =
        || postgres_programs().is_some_and(|folder| folder.join("psql").is_file()) || find_program("psql").is_some();
    if postgres_programs().is_none() || !has_psql() {
        let error = "no PostgreSQL programs found (install PostgreSQL 14 or newer)".to_owned();
        return Err(if is_ci() { NoPostgres::Failed(error) } else { NoPostgres::NotInstalled(error) });
    }
    let options =
        PostgresOptions { durable: false, tcp: true, max_connections: CONNECTIONS, ..PostgresOptions::default() };
    Postgres::start(options).map_err(NoPostgres::Failed)
}

/// `basic`, and where the server is.
pub(super) fn with_postgres(basic: &Environment, server: &Postgres) -> Environment {
    let mut environment = basic.clone();
    environment.insert(POSTGRES, server.url("postgres").into());
    if let Some(psql) = server.psql() {
        environment.insert(PSQL, psql.into_os_string());
    }
    environment
}

/// Gives it to a command, and nothing of the kind from the outer world: what is to run on SQLite runs there.
pub(super) fn give<'a>(command: &'a mut Command, environment: &Environment) -> &'a mut Command {
    command.env_remove(POSTGRES).env_remove(PSQL).envs(environment)
}

fn is_ci() -> bool {
    env::var_os("CI").is_some_and(|ci| ci == "true")
}

/// As good as it goes: tests that need it say that they are skipped.
fn install_pgbouncer() {
    let Some(apt) = find_program("apt-get").filter(|_| rustix::process::geteuid().is_root()) else { return };
    if !(quietly(&apt, &["update"]) && quietly(&apt, &["install", "-y", "--no-install-recommends", "pgbouncer"])) {
        println!("note: apt-get can't install pgbouncer; tests that need it are skipped");
    }
}

fn quietly(program: &Path, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_worlds_server_is_not_ours() {
        let set = |environment: &Environment| {
            let mut command = Command::new("env");
            command.env(POSTGRES, "theirs").env(PSQL, "theirs");
            let given = give(&mut command, environment).get_envs();
            given.filter_map(|(_, value)| value.map(OsString::from)).collect::<Vec<_>>()
        };
        assert_eq!(set(&Environment::new()), Vec::<OsString>::new());
        assert_eq!(set(&Environment::from([(POSTGRES, "ours".into())])), ["ours"]);
    }
}
