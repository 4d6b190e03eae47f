//! Speaking to a server of which only the URL is known.

use std::process::Command;

use crate::programs::{beside, find_program, postgres_programs};

/// Runs SQL through `psql`, several statements as one transaction, and gives the rows, with `|` between columns.
pub fn psql(url: &str, sql: &str) -> Result<String, String> {
    let program = postgres_programs().and_then(|folder| beside(&folder, "psql")).or_else(|| find_program("psql"));
    let program = program.ok_or("psql was not found; install PostgreSQL's client programs")?;
    let mut command = Command::new(program);
    command.args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql]);
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// A URL of the same server with another database.
#[must_use]
pub fn with_database(url: &str, database: &str) -> String {
    let (way, query) = url.split_once('?').map_or((url, None), |(way, query)| (way, Some(query)));
    let way = way.rsplit_once('/').map_or(way, |(server, _)| server);
    match query {
        Some(query) => format!("{way}/{database}?{query}"),
        None => format!("{way}/{database}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_is_replaced() {
        assert_eq!(with_database("postgres://u@/a?host=%2Ftmp&port=1", "b"), "postgres://u@/b?host=%2Ftmp&port=1");
        assert_eq!(with_database("postgres://u@127.0.0.1:7/a", "b"), "postgres://u@127.0.0.1:7/b");
    }
}
