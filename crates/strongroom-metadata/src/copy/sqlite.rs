//! An SQLite file as one side of a copy. Everything runs at once, in the calling task.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params_from_iter};

use super::CopyError;
use super::side::{Chunk, Copied, End, Found, Side, owned};
use super::tables::{REFUSAL, Table, guarded};
use crate::instance::InstanceState;
use crate::migrations::{self, APPLIED, Applied};
use crate::sql::Value;
use crate::{OpenError, dialect, sqlite};

pub(super) struct File {
    path: PathBuf,
    shown: String,
    connection: Connection,
    reading: Option<Reading>,
    /// The table that is filled, and how.
    filling: (&'static str, String),
}

/// A table that is being read: in pages, each from behind the last row of the one before.
struct Reading {
    table: &'static Table,
    columns: Vec<String>,
    /// The key of the last row.
    last: Option<Vec<Value>>,
    is_done: bool,
}

impl Side for File {
    type At = Path;

    async fn open(path: &Path, end: End) -> Copied<Self> {
        let shown = format!("sqlite:{}", path.display());
        let is_there = has_content(path);
        let connection = match end {
            End::Source if !is_there => return Err(CopyError::NoFile(shown)),
            End::Asked if !is_there => Connection::open_in_memory(),
            End::Source | End::Asked => sqlite::open_writing(path, OpenFlags::empty()),
            End::Target => {
                if is_there {
                    check_ours(path, &shown)?;
                }
                sqlite::make_file(path);
                sqlite::open_writing(path, OpenFlags::SQLITE_OPEN_CREATE)
            }
        };
        let connection = connection.map_err(|error| OpenError::engine(path, &error))?;
        let side = Self { path: path.to_owned(), shown, connection, reading: None, filling: ("", String::new()) };
        if end == End::Target {
            // The pages of one large transaction stay in memory as far as they fit.
            side.connection.pragma_update(None, "cache_size", -65_536).map_err(side.engine(""))?;
        }
        Ok(side)
    }

    fn shown(&self) -> &str {
        &self.shown
    }

    async fn applied(&mut self) -> Copied<Vec<Applied>> {
        if !self.has_table("schema_migrations")? {
            return Ok(Vec::new());
        }
        let read = || -> rusqlite::Result<Vec<Applied>> {
            let mut statement = self.connection.prepare(APPLIED)?;
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        read().map_err(self.engine("schema_migrations"))
    }

    async fn found(&mut self) -> Copied<Option<Found>> {
        const TABLE: &str = "instance";
        if !self.has_table(TABLE)? {
            return Ok(None);
        }
        // Before migration 2 there was no other state.
        let has_state = self.names(TABLE)?.iter().any(|column| column == "state");
        let state = if has_state { "state, note" } else { "'live', ''" };
        let sql = format!("SELECT instance_id, {state} FROM instance WHERE id = 1");
        let row = self.connection.query_row(&sql, [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        });
        let Some((instance_id, state, note)) = row.optional().map_err(self.engine(TABLE))? else { return Ok(None) };
        match InstanceState::parse(&state, &note) {
            Some(state) => Ok(Some(Found { instance_id, state })),
            None => Err(CopyError::Field { database: self.shown.clone(), table: TABLE }),
        }
    }

    async fn migrate(&mut self) -> Copied<()> {
        Ok(migrations::sqlite::migrate(&mut self.connection, &self.path)?)
    }

    async fn columns(&mut self, table: &Table) -> Copied<Vec<String>> {
        self.names(table.name)
    }

    async fn count(&mut self, table: &Table) -> Copied<u64> {
        let sql = format!("SELECT COUNT(*) FROM {}", table.name);
        let count = self.connection.query_row(&sql, [], |row| row.get::<_, i64>(0));
        count.map(i64::unsigned_abs).map_err(self.engine(table.name))
    }

    async fn mark_moving(&mut self, to: &str, again: bool) -> Copied<()> {
        self.immediate(|connection| {
            let marked = again
                || connection
                    .execute("UPDATE instance SET state = 'moving', note = ?1 WHERE id = 1 AND state = 'live'", [to])?
                    == 1;
            if marked {
                guarded().try_for_each(|table| guard(connection, table))?;
            }
            Ok(marked)
        })
    }

    async fn mark_moved(&mut self, to: &str) -> Copied<()> {
        self.immediate(|connection| {
            unguard(connection, "instance")?;
            let sql = "UPDATE instance SET state = 'moved' WHERE id = 1 AND state = 'moving' AND note = ?1";
            let marked = connection.execute(sql, [to])? == 1;
            guard(connection, "instance")?;
            Ok(marked)
        })
    }

    async fn mark_live(&mut self) -> Copied<()> {
        self.immediate(|connection| {
            guarded().try_for_each(|table| unguard(connection, table))?;
            let sql = "UPDATE instance SET state = 'live', note = '' WHERE id = 1 AND state = 'moving'";
            Ok(connection.execute(sql, [])? == 1)
        })
    }

    async fn begin_reading(&mut self) -> Copied<()> {
        // The state that is read is fixed by the first read.
        self.run("BEGIN; SELECT COUNT(*) FROM instance")
    }

    async fn end_reading(&mut self) -> Copied<()> {
        self.run("COMMIT")
    }

    async fn begin_writing(&mut self) -> Copied<()> {
        self.run("BEGIN IMMEDIATE")
    }

    async fn clear(&mut self, table: &Table) -> Copied<()> {
        self.run(&format!("DELETE FROM {}", table.name))
    }

    async fn commit(&mut self) -> Copied<()> {
        self.run("COMMIT")?;
        // The file may be new, and its name must be on the disk like its content.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
        synced.map_err(|error| self.failed("", error.to_string()))?;
        self.run("PRAGMA wal_checkpoint(TRUNCATE)")
    }

    async fn open_rows(&mut self, table: &'static Table, columns: &[String]) -> Copied<()> {
        self.reading = Some(Reading { table, columns: columns.to_vec(), last: None, is_done: false });
        Ok(())
    }

    async fn next_rows(&mut self) -> Copied<Vec<Vec<Value>>> {
        let Some(mut reading) = self.reading.take().filter(|reading| !reading.is_done) else { return Ok(Vec::new()) };
        let table = reading.table.name;
        let page = reading.page(&self.connection).map_err(self.engine(table))?;
        let Some(rows) = page else { return Err(CopyError::Field { database: self.shown.clone(), table }) };
        self.reading = Some(reading);
        Ok(rows)
    }

    async fn open_table(&mut self, table: &'static Table, columns: &[String]) -> Copied<()> {
        let places: Vec<String> = (1..=columns.len()).map(|place| format!("?{place}")).collect();
        let sql = format!("INSERT INTO {} ({}) VALUES ({})", table.name, columns.join(", "), places.join(", "));
        self.filling = (table.name, sql);
        Ok(())
    }

    async fn write_rows(&mut self, rows: &[Vec<Value>]) -> Copied<()> {
        let (table, sql) = &self.filling;
        let write = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            rows.iter().try_for_each(|row| statement.execute(params_from_iter(row)).map(drop))
        };
        write().map_err(self.engine(table))
    }

    async fn close_table(&mut self) -> Copied<()> {
        Ok(())
    }
}

impl File {
    fn failed(&self, table: &'static str, reason: String) -> CopyError {
        CopyError::Engine { database: self.shown.clone(), table, reason }
    }

    fn engine(&self, table: &'static str) -> impl Fn(rusqlite::Error) -> CopyError {
        move |error| self.failed(table, error.to_string())
    }

    fn run(&self, sql: &str) -> Copied<()> {
        self.connection.execute_batch(sql).map_err(self.engine(""))
    }

    fn has_table(&self, table: &str) -> Copied<bool> {
        let sql = "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?1";
        self.connection
            .query_row(sql, [table], |row| row.get::<_, i64>(0))
            .map(|found| found > 0)
            .map_err(self.engine(""))
    }

    fn names(&self, table: &'static str) -> Copied<Vec<String>> {
        let statement = self.connection.prepare(&format!("SELECT * FROM {table}")).map_err(self.engine(table))?;
        Ok(statement.column_names().map(str::to_owned).collect())
    }

    /// A transaction that is kept when it says so.
    fn immediate(&mut self, change: impl FnOnce(&Connection) -> rusqlite::Result<bool>) -> Copied<()> {
        let run = |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            if !change(&transaction)? {
                return Ok(false);
            }
            transaction.commit().map(|()| true)
        };
        match run(&mut self.connection) {
            Ok(true) => Ok(()),
            Ok(false) => Err(CopyError::Marks(self.shown.clone())),
            Err(error) => Err(self.engine("")(error)),
        }
    }
}

impl Reading {
    /// The next rows; `None` when there is a field that can't be.
    fn page(&mut self, connection: &Connection) -> rusqlite::Result<Option<Vec<Vec<Value>>>> {
        let key = self.table.key;
        let mut sql = self.table.select(&self.columns);
        if self.last.is_some() {
            let places: Vec<String> = (1..=key.len()).map(|place| format!("?{place}")).collect();
            let behind = format!(" WHERE ({}) > ({}) ORDER BY ", key.join(", "), places.join(", "));
            sql = sql.replacen(" ORDER BY ", &behind, 1);
        }
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(self.last.iter().flatten()))?;
        let mut chunk = Chunk::default();
        while !chunk.is_full() {
            let Some(row) = rows.next()? else {
                self.is_done = true;
                break;
            };
            let mut values = Vec::with_capacity(self.columns.len());
            for column in 0..self.columns.len() {
                match owned(&sqlite::field(row.get_ref(column)?)) {
                    Some(value) => values.push(value),
                    None => return Ok(None),
                }
            }
            chunk.push(values);
        }
        if let Some(row) = chunk.rows.last() {
            let place = |name: &&str| self.columns.iter().position(|column| column == name);
            self.last = Some(key.iter().filter_map(place).map(|place| row[place].clone()).collect());
        }
        Ok(Some(chunk.rows))
    }
}

/// As SQLite does: a file of one byte is an empty one.
fn has_content(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.len() > 1)
}

/// What an earlier run left is taken; a database of something else is not touched.
fn check_ours(path: &Path, shown: &str) -> Copied<()> {
    let other = |what: String| CopyError::NotEmpty { database: shown.to_owned(), what };
    let read = |connection: Connection| {
        let sql = "SELECT COUNT(*), COUNT(CASE WHEN name = 'schema_migrations' THEN 1 END) FROM sqlite_master";
        connection.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
    };
    match sqlite::open_reading(path).and_then(read) {
        Ok((0, _) | (_, 1)) => Ok(()),
        Ok(_) => Err(other("tables of something else".to_owned())),
        Err(error) => Err(other(format!("something that is no SQLite database ({error})"))),
    }
}

fn guard(connection: &Connection, table: &str) -> rusqlite::Result<()> {
    let refusal = format!("{} {REFUSAL}", dialect::MOVING);
    ["INSERT", "UPDATE", "DELETE"].into_iter().try_for_each(|event| {
        connection.execute_batch(&format!(
            "CREATE TRIGGER IF NOT EXISTS strongroom_moving_{table}_{event} BEFORE {event} ON {table} \
             BEGIN SELECT RAISE(ABORT, '{refusal}'); END"
        ))
    })
}

fn unguard(connection: &Connection, table: &str) -> rusqlite::Result<()> {
    ["INSERT", "UPDATE", "DELETE"].into_iter().try_for_each(|event| {
        connection.execute_batch(&format!("DROP TRIGGER IF EXISTS strongroom_moving_{table}_{event}"))
    })
}
