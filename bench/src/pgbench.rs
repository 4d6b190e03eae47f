//! How fast PostgreSQL by itself makes a row durable: what every write through it is bound by, as by the disk.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;
use strongroom_throwaway::{Postgres, find_program, postgres_programs};

use crate::Result;

/// How many connections insert at a time.
pub(crate) const INSERTING: [u32; 2] = [1, 32];

/// Beside Strongroom's own, so that neither is in the other's way.
const DATABASE: &str = "pace";
const TABLE: &str = "CREATE TABLE rows (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, value TEXT NOT NULL)";
const INSERT: &str = "INSERT INTO rows (value) VALUES ('a value of about the usual size');\n";

/// What a burst of single-row transactions reached.
#[derive(Serialize)]
pub(crate) struct InsertRate {
    pub(crate) after_repetition: usize,
    pub(crate) connections: u32,
    pub(crate) per_second: f64,
}

/// The program `pgbench` with a table to insert into.
pub(crate) struct Inserter {
    program: PathBuf,
    script: PathBuf,
    url: String,
}

impl Inserter {
    /// `None` without a PostgreSQL; its script goes into `folder`.
    pub(crate) fn prepare(server: Option<&Postgres>, folder: &Path) -> Result<Option<Self>> {
        let Some(server) = server else { return Ok(None) };
        let beside = postgres_programs().map(|folder| folder.join("pgbench")).filter(|program| program.is_file());
        let program = beside.or_else(|| find_program("pgbench")).ok_or("no `pgbench` found")?;
        server.create_database(DATABASE)?;
        server.execute(DATABASE, TABLE)?;
        let script = folder.join("insert.sql");
        std::fs::write(&script, INSERT)?;
        Ok(Some(Self { program, script, url: server.url(DATABASE) }))
    }

    /// Inserts rows for so many seconds over each number of connections.
    pub(crate) fn measure(&self, seconds: u64, after_repetition: usize) -> Result<Vec<InsertRate>> {
        INSERTING.into_iter().map(|connections| self.burst(seconds, connections, after_repetition)).collect()
    }

    fn burst(&self, seconds: u64, connections: u32, after_repetition: usize) -> Result<InsertRate> {
        let mut command = Command::new(&self.program);
        command.args(["--no-vacuum", "--protocol=prepared", "--file"]).arg(&self.script);
        command.args([format!("--client={connections}"), format!("--time={seconds}"), self.url.clone()]);
        let output = command.env("LC_ALL", "C").output()?;
        let printed = String::from_utf8_lossy(&output.stdout);
        match rate(&printed).filter(|_| output.status.success()) {
            Some(per_second) => Ok(InsertRate { after_repetition, connections, per_second }),
            None => Err(format!("pgbench: {}", String::from_utf8_lossy(&output.stderr).trim()).into()),
        }
    }
}

/// Versions differ in what stands behind it, and old ones tell a second rate that counts the connecting too.
fn rate(printed: &str) -> Option<f64> {
    let mut rates = printed.lines().filter(|line| !line.contains("including"));
    rates.find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_without_connecting_is_read() {
        let new =
            "transaction type: x\nlatency average = 0.5 ms\ntps = 2345.670000 (without initial connection time)\n";
        let old = "tps = 80.5 (including connections establishing)\ntps = 90.25 (excluding connections establishing)\n";
        assert_eq!(rate(new), Some(2345.67));
        assert_eq!(rate(old), Some(90.25));
        assert_eq!(rate("pgbench: error\n"), None);
    }

    #[test]
    fn without_a_server_there_is_nothing_to_measure() {
        assert!(Inserter::prepare(None, &std::env::temp_dir()).unwrap().is_none());
    }
}
