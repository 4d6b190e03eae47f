//! The database, changed from outside: what an attacker with the disk, a failing disk or a careless hand does.

use std::path::Path;

use rusqlite::{Connection, types::ValueRef};

/// A connection of its own to the database of a server that runs or is stopped.
pub struct Tamper(Connection);

/// A stored blob, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// The condition that finds its row.
    pub row: String,
    /// The content.
    pub bytes: Vec<u8>,
}

/// A column: its name, its type, and its place in the primary key or 0.
pub type Column = (String, String, i64);

impl Tamper {
    pub(crate) fn open(path: &Path) -> Self {
        let connection = Connection::open(path).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        Self(connection)
    }

    /// Runs statements.
    #[track_caller]
    pub fn run(&self, sql: &str) {
        self.0.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// The first column of the first row, as text.
    #[track_caller]
    pub fn text(&self, sql: &str) -> String {
        self.0.query_row(sql, [], |row| row.get_ref(0).map(show)).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The number that a query gives.
    #[track_caller]
    pub fn number(&self, sql: &str) -> i64 {
        self.0.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Every table with its columns.
    #[must_use]
    pub fn schema(&self) -> Vec<(String, Vec<Column>)> {
        let tables =
            self.list("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY 1");
        tables
            .into_iter()
            .map(|table| {
                let mut columns = self.0.prepare(&format!("PRAGMA table_info({table})")).unwrap();
                let columns = columns.query_map([], |row| Ok((row.get(1)?, row.get(2)?, row.get(5)?)));
                let columns = columns.unwrap().collect::<Result<_, _>>().unwrap();
                (table, columns)
            })
            .collect()
    }

    /// All blobs of a column, in the order of their primary key. Nulls are left out.
    #[must_use]
    pub fn blobs(&self, table: &str, column: &str) -> Vec<Blob> {
        let schema = self.schema();
        let columns = &schema.iter().find(|(name, _)| name == table).expect("a table").1;
        let key: Vec<&str> = columns.iter().filter(|(_, _, key)| *key > 0).map(|(name, ..)| name.as_str()).collect();
        // A blob that is its own key moves away when it changes: its row is then found by the id.
        let key = if key == [column] { vec!["id"] } else { key };
        let row =
            key.iter().map(|name| format!("'{name} = ' || quote({name})")).collect::<Vec<_>>().join(" || ' AND ' || ");
        let order = key.join(", ");
        let sql = format!("SELECT {row}, {column} FROM {table} WHERE {column} IS NOT NULL ORDER BY {order}");
        let mut statement = self.0.prepare(&sql).unwrap();
        let blobs = statement.query_map([], |found| {
            Ok(Blob { table: table.into(), column: column.into(), row: found.get(0)?, bytes: found.get(1)? })
        });
        blobs.unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// Writes other bytes where a blob stands.
    #[track_caller]
    pub fn put(&self, place: &Blob, bytes: &[u8]) {
        let sql = format!("UPDATE {} SET {} = ?1 WHERE {}", place.table, place.column, place.row);
        assert_eq!(self.0.execute(&sql, [bytes]).unwrap(), 1, "{sql}");
    }

    /// Flips one bit of a blob; counts bytes from its end when the place is negative.
    #[track_caller]
    pub fn flip(&self, place: &Blob, at: isize) {
        let mut bytes = place.bytes.clone();
        let at = if at < 0 { bytes.len() - at.unsigned_abs() } else { at.unsigned_abs() };
        bytes[at] ^= 1 << (at % 8);
        self.put(place, &bytes);
    }

    /// Puts each blob in the other's place.
    #[track_caller]
    pub fn swap(&self, one: &Blob, other: &Blob) {
        assert_ne!(one.bytes, other.bytes, "nothing would change");
        self.put(one, &other.bytes);
        self.put(other, &one.bytes);
    }

    /// Writes a blob back.
    #[track_caller]
    pub fn undo(&self, place: &Blob) {
        self.put(place, &place.bytes);
    }

    /// Ends every token of a person or machine.
    pub fn revoke_tokens_of(&self, name: &str) {
        let sql = "UPDATE tokens SET revoked_at = created_at WHERE subject_id IN \
            (SELECT id FROM users WHERE email = ?1 UNION SELECT id FROM virtual_accounts WHERE name = ?1)";
        assert!(self.0.execute(sql, [name]).unwrap() > 0, "{name} has no token");
    }

    /// From now on no audit event can be written.
    pub fn refuse_events(&self) {
        self.run(
            "CREATE TRIGGER refuse_events BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'refused'); END",
        );
    }

    /// Audit events can be written again.
    pub fn take_events(&self) {
        self.run("DROP TRIGGER refuse_events");
    }

    fn list(&self, sql: &str) -> Vec<String> {
        let mut statement = self.0.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }
}

fn show(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
    }
}
