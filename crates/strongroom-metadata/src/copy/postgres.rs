//! PostgreSQL as one side of a copy.

use std::pin::Pin;

use futures_util::StreamExt;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, RowStream};

use super::CopyError;
use super::side::{Chunk, Copied, End, Found, Side, owned};
use super::tables::{REFUSAL, TABLES, Table, guarded};
use crate::instance::InstanceState;
use crate::migrations::{self, APPLIED, Applied};
use crate::postgres::{ConnectSetup, check_version, described};
use crate::sql::{Field, Value};
use crate::{PostgresAddress, dialect};

/// Held for as long as a source is read or marked: one process copies it.
const LOCK_COPY: &str = "SELECT pg_try_advisory_xact_lock(7305808869232144501)";

/// What ends a long transaction elsewhere must not end this one, and its COMMIT waits for the disk.
const LONG: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
    SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL synchronous_commit = on";

/// So often the tables of a busy source are asked for; each time others wait behind us so long at most.
const TRIES: u32 = 10;
const SHORT: &str = "SET LOCAL lock_timeout = '5s'";

pub(super) struct Server {
    client: Client,
    shown: String,
    reading: Option<Reading>,
    filling: Option<(&'static str, Pin<Box<BinaryCopyInWriter>>)>,
}

/// A table that is being read. The server sends no faster than the rows are taken.
struct Reading {
    table: &'static str,
    rows: Pin<Box<RowStream>>,
    is_done: bool,
}

/// Why the source isn't marked.
enum Unmarked {
    Engine(Error),
    /// It was not in the state that it should be in.
    Marks,
    Busy,
}

impl From<Error> for Unmarked {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}

impl Side for Server {
    type At = PostgresAddress;

    async fn open(address: &PostgresAddress, _: End) -> Copied<Self> {
        let setup = ConnectSetup { application_name: "strongroom migrate-database", options: None };
        let connected = address.connect(&setup, |_| {}).await;
        let client = connected.map_err(|error| CopyError::Unreachable(error.to_string()))?;
        check_version(&client, address).await?;
        Ok(Self { client, shown: address.shown(), reading: None, filling: None })
    }

    fn shown(&self) -> &str {
        &self.shown
    }

    async fn applied(&mut self) -> Copied<Vec<Applied>> {
        const TABLE: &str = "schema_migrations";
        if !self.has_table(TABLE).await? {
            return Ok(Vec::new());
        }
        let rows = self.client.query(APPLIED, &[]).await.map_err(self.engine(TABLE))?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect::<Result<_, _>>()
            .map_err(self.engine(TABLE))
    }

    async fn found(&mut self) -> Copied<Option<Found>> {
        const TABLE: &str = "instance";
        if !self.has_table(TABLE).await? {
            return Ok(None);
        }
        // Before migration 2 there was no other state.
        let has_state = self.described_columns(TABLE).await?.iter().any(|(name, _)| name == "state");
        let state = if has_state { "state, note" } else { "'live', ''" };
        let sql = format!("SELECT instance_id, {state} FROM instance WHERE id = 1");
        let Some(row) = self.client.query_opt(&sql, &[]).await.map_err(self.engine(TABLE))? else { return Ok(None) };
        let text = |column| row.try_get::<_, &str>(column).map_err(self.engine(TABLE));
        match InstanceState::parse(text(1)?, text(2)?) {
            Some(state) => Ok(Some(Found { instance_id: text(0)?.to_owned(), state })),
            None => Err(CopyError::Field { database: self.shown.clone(), table: TABLE }),
        }
    }

    async fn migrate(&mut self) -> Copied<()> {
        Ok(migrations::postgres::migrate(&mut self.client, &self.shown).await?)
    }

    async fn columns(&mut self, table: &Table) -> Copied<Vec<String>> {
        Ok(self.described_columns(table.name).await?.into_iter().map(|(name, _)| name).collect())
    }

    async fn count(&mut self, table: &Table) -> Copied<u64> {
        let sql = format!("SELECT COUNT(*) FROM {}", table.name);
        let count = self.client.query_one(&sql, &[]).await.and_then(|row| row.try_get::<_, i64>(0));
        count.map(i64::unsigned_abs).map_err(self.engine(table.name))
    }

    async fn mark_moving(&mut self, to: &str, again: bool) -> Copied<()> {
        let mut tries = 1;
        loop {
            let marked = self.try_mark_moving(to, again).await;
            let Err(Unmarked::Engine(error)) = &marked else { return self.judged(marked) };
            // Writers take locks in other orders than we do, and one of both has to give way.
            if ![Some(&SqlState::T_R_DEADLOCK_DETECTED), Some(&SqlState::LOCK_NOT_AVAILABLE)].contains(&error.code()) {
                return self.judged(marked);
            }
            if tries == TRIES {
                return Err(CopyError::NoPause(self.shown.clone()));
            }
            tries += 1;
        }
    }

    async fn mark_moved(&mut self, to: &str) -> Copied<()> {
        let sql = "UPDATE instance SET state = 'moved' WHERE id = 1 AND state = 'moving' AND note = $1";
        let marked = self.transaction(async |client| {
            client.batch_execute("ALTER TABLE instance DISABLE TRIGGER strongroom_moving").await?;
            let marked = client.execute(sql, &[&to]).await? == 1;
            client.batch_execute("ALTER TABLE instance ENABLE TRIGGER strongroom_moving").await?;
            if marked { Ok(()) } else { Err(Unmarked::Marks) }
        });
        let marked = marked.await;
        self.judged(marked)
    }

    async fn mark_live(&mut self) -> Copied<()> {
        let marked = self.transaction(async |client| {
            for table in guarded() {
                client.batch_execute(&format!("DROP TRIGGER IF EXISTS strongroom_moving ON {table}")).await?;
            }
            client.batch_execute("DROP FUNCTION IF EXISTS strongroom_moving()").await?;
            let sql = "UPDATE instance SET state = 'live', note = '' WHERE id = 1 AND state = 'moving'";
            if client.execute(sql, &[]).await? == 1 { Ok(()) } else { Err(Unmarked::Marks) }
        });
        let marked = marked.await;
        self.judged(marked)
    }

    async fn begin_reading(&mut self) -> Copied<()> {
        self.run(&format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {LONG}")).await?;
        let alone = self.client.query_one(LOCK_COPY, &[]).await.and_then(|row| row.try_get(0));
        if alone.map_err(self.engine(""))? { Ok(()) } else { Err(CopyError::Busy(self.shown.clone())) }
    }

    async fn end_reading(&mut self) -> Copied<()> {
        self.run("COMMIT").await
    }

    async fn begin_writing(&mut self) -> Copied<()> {
        // The lock that a server takes at its start.
        self.run(&format!("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {LONG}; {}", dialect::LOCK_MIGRATIONS))
            .await
    }

    async fn clear(&mut self, table: &Table) -> Copied<()> {
        self.run(&format!("DELETE FROM {}", table.name)).await
    }

    async fn commit(&mut self) -> Copied<()> {
        self.run("COMMIT").await?;
        // The planner knows nothing of tables that were filled a moment ago. Where that fails it only learns later.
        let names: Vec<_> = TABLES.iter().map(|table| table.name).collect();
        if let Err(error) = self.client.batch_execute(&format!("ANALYZE {}", names.join(", "))).await {
            tracing::warn!(error = described(&error), "the new tables were not analysed");
        }
        Ok(())
    }

    async fn open_rows(&mut self, table: &'static Table, columns: &[String]) -> Copied<()> {
        let none: [Value; 0] = [];
        let rows = self.client.query_raw(&table.select(columns), none).await.map_err(self.engine(table.name))?;
        self.reading = Some(Reading { table: table.name, rows: Box::pin(rows), is_done: false });
        Ok(())
    }

    async fn next_rows(&mut self) -> Copied<Vec<Vec<Value>>> {
        let mut chunk = Chunk::default();
        let Some(mut reading) = self.reading.take().filter(|reading| !reading.is_done) else { return Ok(chunk.rows) };
        let (table, engine) = (reading.table, self.engine(reading.table));
        while !chunk.is_full() {
            let Some(row) = reading.rows.next().await else {
                reading.is_done = true;
                break;
            };
            let row = row.map_err(&engine)?;
            let mut values = Vec::with_capacity(row.len());
            for column in 0..row.len() {
                let field: Field<'_> = row.try_get(column).map_err(&engine)?;
                let damaged = || CopyError::Field { database: self.shown.clone(), table };
                values.push(owned(&field).ok_or_else(damaged)?);
            }
            chunk.push(values);
        }
        drop(engine);
        self.reading = Some(reading);
        Ok(chunk.rows)
    }

    async fn open_table(&mut self, table: &'static Table, columns: &[String]) -> Copied<()> {
        let known = self.described_columns(table.name).await?;
        let kind = |column: &String| known.iter().find(|(name, _)| name == column).map(|(_, kind)| kind.clone());
        let kinds: Vec<Type> = columns.iter().filter_map(kind).collect();
        let sql = format!("COPY {} ({}) FROM STDIN BINARY", table.name, columns.join(", "));
        let sink = self.client.copy_in(&sql).await.map_err(self.engine(table.name))?;
        self.filling = Some((table.name, Box::pin(BinaryCopyInWriter::new(sink, &kinds))));
        Ok(())
    }

    async fn write_rows(&mut self, rows: &[Vec<Value>]) -> Copied<()> {
        let Some((table, mut writer)) = self.filling.take() else { return Ok(()) };
        for row in rows {
            writer.as_mut().write_raw(row).await.map_err(self.engine(table))?;
        }
        self.filling = Some((table, writer));
        Ok(())
    }

    async fn close_table(&mut self) -> Copied<()> {
        let Some((table, mut writer)) = self.filling.take() else { return Ok(()) };
        writer.as_mut().finish().await.map(drop).map_err(self.engine(table))
    }
}

impl Server {
    fn engine(&self, table: &'static str) -> impl Fn(Error) -> CopyError {
        move |error| CopyError::Engine { database: self.shown.clone(), table, reason: described(&error) }
    }

    async fn run(&self, sql: &str) -> Copied<()> {
        self.client.batch_execute(sql).await.map_err(self.engine(""))
    }

    async fn has_table(&self, table: &str) -> Copied<bool> {
        let row = self.client.query_one("SELECT to_regclass($1::TEXT) IS NOT NULL", &[&table]).await;
        row.and_then(|row| row.try_get(0)).map_err(self.engine(""))
    }

    async fn described_columns(&self, table: &'static str) -> Copied<Vec<(String, Type)>> {
        let statement = self.client.prepare(&format!("SELECT * FROM {table}")).await.map_err(self.engine(table))?;
        Ok(statement.columns().iter().map(|column| (column.name().to_owned(), column.type_().clone())).collect())
    }

    async fn try_mark_moving(&self, to: &str, again: bool) -> Result<(), Unmarked> {
        self.transaction(async |client| {
            // Waits for the writers that run, and lets no others begin.
            let tables: Vec<_> = guarded().collect();
            let lock = format!("{SHORT}; LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", tables.join(", "));
            client.batch_execute(&lock).await?;
            let sql = "UPDATE instance SET state = 'moving', note = $1 WHERE id = 1 AND state = 'live'";
            if !again && client.execute(sql, &[&to]).await? != 1 {
                return Err(Unmarked::Marks);
            }
            let function = format!(
                "CREATE OR REPLACE FUNCTION strongroom_moving() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = '{}'; END $$",
                dialect::MOVING
            );
            client.batch_execute(&function).await?;
            for table in tables {
                let trigger = format!(
                    "CREATE OR REPLACE TRIGGER strongroom_moving BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE \
                     ON {table} FOR EACH STATEMENT EXECUTE FUNCTION strongroom_moving()"
                );
                client.batch_execute(&trigger).await?;
            }
            Ok(())
        })
        .await
    }

    /// Marks the source in one transaction, while nobody else copies it.
    async fn transaction(&self, change: impl AsyncFnOnce(&Client) -> Result<(), Unmarked>) -> Result<(), Unmarked> {
        self.client.batch_execute(&format!("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; {LONG}")).await?;
        let changed = async {
            let alone: bool = self.client.query_one(LOCK_COPY, &[]).await?.try_get(0)?;
            if alone { change(&self.client).await } else { Err(Unmarked::Busy) }
        };
        let changed = changed.await;
        // A transaction that failed is not kept; an error of that is the one that is there already.
        let ended = self.client.batch_execute(if changed.is_ok() { "COMMIT" } else { "ROLLBACK" }).await;
        changed?;
        Ok(ended?)
    }

    fn judged(&self, marked: Result<(), Unmarked>) -> Copied<()> {
        marked.map_err(|unmarked| match unmarked {
            Unmarked::Engine(error) => self.engine("")(error),
            Unmarked::Marks => CopyError::Marks(self.shown.clone()),
            Unmarked::Busy => CopyError::Busy(self.shown.clone()),
        })
    }
}
