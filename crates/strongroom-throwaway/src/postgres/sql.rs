//! What is said to the server.

use std::path::PathBuf;

use super::{Postgres, launch::run};
use crate::programs::beside;

impl Postgres {
    /// The program that speaks SQL with the server.
    #[must_use]
    pub fn psql(&self) -> Option<PathBuf> {
        beside(&self.programs, "psql")
    }

    /// Makes an empty database.
    pub fn create_database(&self, name: &str) -> Result<(), String> {
        if self.psql().is_some() {
            let quoted = name.replace('"', "\"\"");
            return self.execute("postgres", &format!("CREATE DATABASE \"{quoted}\"")).map(drop);
        }
        let mut command = self.program("createdb");
        command.arg("--host").arg(self.socket_dir()).args(["--username=postgres", &format!("--port={}", self.port)]);
        run(command.args(["--", name])).map(drop)
    }

    /// Runs SQL through `psql`, several statements as one transaction, and gives the rows, with `|` between columns.
    pub fn execute(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut command = self.program("psql");
        command.args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database), "-c", sql]);
        run(&mut command)
    }

    /// How large a database is.
    pub fn mebibytes(&self, database: &str) -> Result<u64, String> {
        let size = self.execute(database, "SELECT pg_database_size(current_database()) >> 20")?;
        size.trim().parse().map_err(|_| format!("a size is a number, not {size}"))
    }
}
