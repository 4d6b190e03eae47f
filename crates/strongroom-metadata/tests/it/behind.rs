//! The database from behind, on either engine: what an attacker, an accident or another replica does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use strongroom_metadata::{Metadata, PostgresAddress, PostgresOptions};
use strongroom_throwaway::psql;

/// A database of this test's own on the PostgreSQL server that the test command started; dropped with the value.
pub(crate) struct TestDatabase {
    server: String,
    name: String,
}

impl TestDatabase {
    /// `None` where no server is named: then the test runs on SQLite.
    pub(crate) fn create() -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let server = std::env::var("STRONGROOM_TEST_POSTGRES").ok()?;
        let name = format!("it_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        psql(&server, &format!("CREATE DATABASE {name}")).unwrap();
        Some(Self { server, name })
    }

    pub(crate) fn url(&self) -> String {
        strongroom_throwaway::with_database(&self.server, &self.name)
    }

    /// What a query gives, a line a row.
    #[track_caller]
    pub(crate) fn ask(&self, sql: &str) -> String {
        psql(&self.url(), sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let _ = psql(&self.server, &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

/// The way that a server takes to a database.
pub(crate) fn options(url: &str) -> PostgresOptions {
    PostgresOptions {
        address: PostgresAddress::parse(url, None).unwrap(),
        direct: None,
        connections: 12,
        timeout: Duration::from_secs(10),
        prepared_statements: true,
    }
}

pub(crate) async fn connect(url: String) -> Metadata {
    Metadata::connect(&options(&url)).await.unwrap()
}

pub(crate) enum Behind<'a> {
    Sqlite(Connection),
    Postgres(&'a TestDatabase),
}

impl Behind<'_> {
    /// Runs statements that both engines understand.
    #[track_caller]
    pub(crate) fn run(&self, sql: &str) {
        match self {
            Self::Sqlite(connection) => {
                connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
            }
            Self::Postgres(database) => drop(database.ask(sql)),
        }
    }

    /// The same, where it may be refused.
    pub(crate) fn try_run(&self, sql: &str) -> Result<(), String> {
        match self {
            Self::Sqlite(connection) => connection.execute_batch(sql).map_err(|error| error.to_string()),
            Self::Postgres(database) => psql(&database.url(), sql).map(drop),
        }
    }

    #[track_caller]
    pub(crate) fn number(&self, sql: &str) -> i64 {
        match self {
            Self::Sqlite(connection) => connection.query_row(sql, [], |row| row.get(0)).unwrap(),
            Self::Postgres(database) => database.ask(sql).trim().parse().unwrap(),
        }
    }

    /// The tables of the schema. What is not told of anybody is left out: batches, leases, which grants changed.
    pub(crate) fn tables(&self) -> Vec<String> {
        match self {
            Self::Sqlite(connection) => {
                let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'test_%' \
                    AND name NOT IN ('batches', 'leases', 'grant_number', 'grant_changes') ORDER BY name";
                let mut statement = connection.prepare(sql).unwrap();
                statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
            }
            Self::Postgres(database) => {
                let sql = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' \
                    AND table_name NOT LIKE 'test_%' \
                    AND table_name NOT IN ('batches', 'leases', 'grant_number', 'grant_changes') ORDER BY 1";
                database.ask(sql).lines().map(str::to_owned).collect()
            }
        }
    }

    pub(crate) fn dump(&self) -> Vec<String> {
        let tables = self.tables();
        let mut rows: Vec<String> = match self {
            Self::Sqlite(connection) => tables.iter().flat_map(|table| dump_table(connection, table)).collect(),
            Self::Postgres(database) => {
                let each = tables.iter().map(|table| format!("SELECT '{table}: ' || t::TEXT FROM {table} t"));
                database.ask(&each.collect::<Vec<_>>().join(" UNION ALL ")).lines().map(str::to_owned).collect()
            }
        };
        rows.sort();
        rows
    }

    /// From now on the write of the row number `at` (from 1, of those that go to these tables) does not happen:
    /// silently, so that the statement touches too few rows, or with the error of a broken constraint.
    pub(crate) fn sabotage(&self, tables: &[String], at: usize, silently: bool) {
        self.run("CREATE TABLE test_calls (calls BIGINT); INSERT INTO test_calls VALUES (0)");
        let events = tables.iter().flat_map(|table| ["INSERT", "UPDATE", "DELETE"].map(|event| (table, event)));
        match self {
            Self::Sqlite(_) => {
                let raise = if silently { "IGNORE" } else { "ABORT, 'sabotage'" };
                for (table, event) in events {
                    self.run(&format!(
                        "CREATE TRIGGER test_{table}_{event} BEFORE {event} ON {table} BEGIN \
                         UPDATE test_calls SET calls = calls + 1; \
                         SELECT RAISE({raise}) FROM test_calls WHERE calls = {at}; END"
                    ));
                }
            }
            Self::Postgres(_) => {
                let refuse = if silently { "RETURN NULL" } else { "RAISE 'sabotage' USING ERRCODE = '23514'" };
                let mut all = format!(
                    "CREATE FUNCTION test_call() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE now BIGINT; BEGIN \
                     UPDATE test_calls SET calls = calls + 1 RETURNING calls INTO now; \
                     IF now = {at} THEN {refuse}; END IF; \
                     IF TG_OP = 'DELETE' THEN RETURN OLD; ELSE RETURN NEW; END IF; END $$;"
                );
                for (table, event) in events {
                    let trigger = format!("CREATE TRIGGER test_{table}_{event} BEFORE {event} ON {table}");
                    all.push_str(&trigger);
                    all.push_str(" FOR EACH ROW EXECUTE FUNCTION test_call();");
                }
                self.run(&all);
            }
        }
    }
}

fn dump_table(connection: &Connection, table: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
    let columns = statement.column_count();
    let mut found = statement.query([]).unwrap();
    let mut rows = Vec::new();
    while let Some(row) = found.next().unwrap() {
        let fields: Vec<_> = (0..columns).map(|column| show(row.get_ref(column).unwrap())).collect();
        rows.push(format!("{table}: {}", fields.join(", ")));
    }
    rows
}

fn show(field: ValueRef<'_>) -> String {
    match field {
        ValueRef::Null => "null".into(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => format!("{number}r"),
        ValueRef::Text(text) => format!("{:?}", String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => format!("{bytes:?}"),
    }
}
