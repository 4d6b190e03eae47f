use super::CopyError;
use super::tables::Table;
use crate::instance::InstanceState;
use crate::migrations::Applied;
use crate::sql::{Field, Value};

pub(super) type Copied<T> = Result<T, CopyError>;

/// The instance that a database holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) instance_id: String,
    pub(super) state: InstanceState,
}

/// Which end of the copy a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Source,
    /// Made where it isn't there.
    Target,
    /// A target that is only looked at; taken for empty where it isn't there.
    Asked,
}

/// One database of a copy. Dropped, it undoes what it didn't commit.
pub(super) trait Side: Sized {
    /// What it is opened by.
    type At: ?Sized;

    /// Opens it, and changes nothing in it.
    async fn open(at: &Self::At, end: End) -> Copied<Self>;

    /// For messages.
    fn shown(&self) -> &str;

    /// The migrations that were applied; empty where it is no database of ours.
    async fn applied(&mut self) -> Copied<Vec<Applied>>;

    /// The instance, if it holds one, whatever its schema is.
    async fn found(&mut self) -> Copied<Option<Found>>;

    /// Brings the schema up to date.
    async fn migrate(&mut self) -> Copied<()>;

    /// The columns of a table, in the order of their definition.
    async fn columns(&mut self, table: &Table) -> Copied<Vec<String>>;

    async fn count(&mut self, table: &Table) -> Copied<u64>;

    /// Makes the database read-only for everybody, in one transaction with the note of where the instance goes. `again`
    /// when an earlier run has done so.
    async fn mark_moving(&mut self, to: &str, again: bool) -> Copied<()>;

    /// From moving to moved; it stays read-only.
    async fn mark_moved(&mut self, to: &str) -> Copied<()>;

    /// From moving to live, and writable again.
    async fn mark_live(&mut self) -> Copied<()>;

    /// From here on everything is read from one state of the database. Nobody else copies it meanwhile.
    async fn begin_reading(&mut self) -> Copied<()>;

    async fn end_reading(&mut self) -> Copied<()>;

    /// Begins the one transaction of the target. No server starts on it meanwhile.
    async fn begin_writing(&mut self) -> Copied<()>;

    /// Removes the row of a table that the migration made.
    async fn clear(&mut self, table: &Table) -> Copied<()>;

    /// When it returns, everything is on the disk.
    async fn commit(&mut self) -> Copied<()>;

    /// Begins to read a table in the order of its key.
    async fn open_rows(&mut self, table: &'static Table, columns: &[String]) -> Copied<()>;

    /// The next rows; none at the end.
    async fn next_rows(&mut self) -> Copied<Vec<Vec<Value>>>;

    /// Begins to fill a table.
    async fn open_table(&mut self, table: &'static Table, columns: &[String]) -> Copied<()>;

    async fn write_rows(&mut self, rows: &[Vec<Value>]) -> Copied<()>;

    async fn close_table(&mut self) -> Copied<()>;
}

/// Rows that are in memory at a time: so many, or until their values have so many bytes.
const ROWS: usize = 1_000;
const BYTES: usize = 1 << 20;

/// Collects rows until there are enough for once.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) rows: Vec<Vec<Value>>,
    bytes: usize,
}

impl Chunk {
    pub(super) fn push(&mut self, row: Vec<Value>) {
        self.bytes += row.iter().map(size).sum::<usize>();
        self.rows.push(row);
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= ROWS || self.bytes >= BYTES
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Int(_) => 8,
        Value::Text(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
    }
}

/// A field as it is kept between the two databases; `None` for what no column of ours holds.
pub(super) fn owned(field: &Field<'_>) -> Option<Value> {
    match *field {
        Field::Null => Some(Value::Null),
        Field::Int(number) => Some(Value::Int(number)),
        Field::Text(text) => Some(Value::Text(text.to_owned())),
        Field::Bytes(bytes) => Some(Value::Bytes(bytes.to_owned())),
        Field::Other => None,
    }
}
