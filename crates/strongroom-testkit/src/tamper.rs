//! The database, changed from outside: what an attacker with the disk, a failing disk or a careless hand does.

use std::path::Path;

use rusqlite::{Connection, types::ValueRef};
use strongroom_throwaway::psql;

/// A way of its own to the database of a server that runs or is stopped.
pub struct Tamper(Way);

enum Way {
    Sqlite(Connection),
    /// The database's URL.
    Postgres(String),
}

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
        Self(Way::Sqlite(connection))
    }

    pub(crate) fn connect(url: &str) -> Self {
        let tamper = Self(Way::Postgres(url.to_owned()));
        // As SQLite's function of this name does: a value as it is written in a statement.
        tamper.run(
            "CREATE OR REPLACE FUNCTION quote(value ANYELEMENT) RETURNS TEXT LANGUAGE SQL \
             AS $$ SELECT quote_nullable(value::TEXT) $$",
        );
        tamper
    }

    /// Runs statements.
    #[track_caller]
    pub fn run(&self, sql: &str) {
        match &self.0 {
            Way::Sqlite(connection) => {
                connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
            }
            Way::Postgres(_) => drop(self.ask(sql)),
        }
    }

    /// The first column of the first row, as text.
    #[track_caller]
    pub fn text(&self, sql: &str) -> String {
        match &self.0 {
            Way::Sqlite(connection) => connection
                .query_row(sql, [], |row| row.get_ref(0).map(show))
                .unwrap_or_else(|error| panic!("{sql}: {error}")),
            Way::Postgres(_) => self.ask(sql).trim_end_matches('\n').to_owned(),
        }
    }

    /// The number that a query gives.
    #[track_caller]
    pub fn number(&self, sql: &str) -> i64 {
        self.text(sql).parse().unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Every table with its columns.
    #[must_use]
    pub fn schema(&self) -> Vec<(String, Vec<Column>)> {
        let columns = match &self.0 {
            Way::Sqlite(_) => {
                "SELECT t.name || ' ' || c.name || ' ' || c.type || ' ' || c.pk FROM sqlite_schema t, pragma_table_info(t.name) c \
                 WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' ORDER BY t.name, c.cid"
            }
            Way::Postgres(_) => {
                "SELECT c.table_name || ' ' || c.column_name || ' ' || CASE c.data_type WHEN 'bytea' THEN 'BLOB' \
                 WHEN 'bigint' THEN 'INTEGER' ELSE 'TEXT' END || ' ' || COALESCE(array_position(i.indkey::INT2[], a.attnum) + 1, 0) \
                 FROM information_schema.columns c JOIN pg_attribute a ON a.attrelid = c.table_name::REGCLASS \
                 AND a.attname = c.column_name JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary \
                 WHERE c.table_schema = 'public' ORDER BY c.table_name, c.ordinal_position"
            }
        };
        let mut schema: Vec<(String, Vec<Column>)> = Vec::new();
        for line in self.lines(columns) {
            let [table, column, kind, key] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            if schema.last().is_none_or(|(last, _)| last != table) {
                schema.push((table.to_owned(), Vec::new()));
            }
            schema.last_mut().unwrap().1.push((column.to_owned(), kind.to_owned(), key.parse().unwrap()));
        }
        schema
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
        let hex = match &self.0 {
            Way::Sqlite(_) => format!("hex({column})"),
            Way::Postgres(_) => format!("encode({column}, 'hex')"),
        };
        let sql = format!("SELECT {hex} || ' ' || {row} FROM {table} WHERE {column} IS NOT NULL ORDER BY {order}");
        let blob = |line: String| {
            let (hex, row) = line.split_once(' ').unwrap();
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            let bytes = (0..hex.len()).step_by(2).map(byte).collect();
            Blob { table: table.into(), column: column.into(), row: row.into(), bytes }
        };
        self.lines(&sql).into_iter().map(blob).collect()
    }

    /// All that stands in the tables: the place of each field, and its bytes.
    #[must_use]
    pub fn everything(&self) -> Vec<(String, Vec<u8>)> {
        let mut all = Vec::new();
        for (table, columns) in self.schema() {
            for (column, kind, _) in columns {
                let place = format!("{table}.{column}");
                if kind == "BLOB" {
                    all.extend(self.blobs(&table, &column).into_iter().map(|blob| (place.clone(), blob.bytes)));
                } else {
                    let text = format!("SELECT CAST({column} AS TEXT) FROM {table} WHERE {column} IS NOT NULL");
                    all.extend(self.lines(&text).into_iter().map(|line| (place.clone(), line.into_bytes())));
                }
            }
        }
        all
    }

    /// Writes other bytes where a blob stands.
    #[track_caller]
    pub fn put(&self, place: &Blob, bytes: &[u8]) {
        let sql = format!("UPDATE {} SET {} = ", place.table, place.column);
        let hex = bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let changed = match &self.0 {
            Way::Sqlite(connection) => {
                connection.execute(&format!("{sql} x'{hex}' WHERE {}", place.row), []).unwrap().to_string()
            }
            Way::Postgres(_) => {
                let update = format!("{sql} '\\x{hex}' WHERE {}", place.row);
                self.text(&format!("WITH changed AS ({update} RETURNING 1) SELECT COUNT(*) FROM changed"))
            }
        };
        assert_eq!(changed, "1", "{sql}");
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

    /// Ends every token of a person or machine, as an operation that does it would.
    pub fn revoke_tokens_of(&self, name: &str) {
        self.set_tokens_of(name, "revoked_at = created_at");
    }

    /// Takes the end of their tokens back, as no operation does.
    pub fn reinstate_tokens_of(&self, name: &str) {
        self.set_tokens_of(name, "revoked_at = NULL");
    }

    fn set_tokens_of(&self, name: &str, change: &str) {
        let of = format!(
            "subject_id IN (SELECT id FROM users WHERE email = '{name}' \
             UNION SELECT id FROM virtual_accounts WHERE name = '{name}')"
        );
        assert!(self.number(&format!("SELECT COUNT(*) FROM tokens WHERE {of}")) > 0, "{name} has no token");
        self.run(&format!("UPDATE tokens SET {change} WHERE {of}; UPDATE change_number SET number = number + 1"));
    }

    /// From now on what stands in no constraint's way may be written.
    pub fn loosen(&self) {
        self.run("DROP INDEX secrets_live_key; DROP INDEX secret_groups_live_name");
        match &self.0 {
            Way::Sqlite(_) => self.run("PRAGMA foreign_keys = OFF"),
            Way::Postgres(_) => self.run(
                "DO $$ DECLARE c RECORD; BEGIN FOR c IN SELECT conname, conrelid::REGCLASS AS of FROM pg_constraint \
                 WHERE contype = 'f' LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.of, c.conname); \
                 END LOOP; END $$",
            ),
        }
    }

    /// From now on no audit event can be written.
    pub fn refuse_events(&self) {
        match &self.0 {
            Way::Sqlite(_) => self.run(
                "CREATE TRIGGER refuse_events BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'refused'); END",
            ),
            Way::Postgres(_) => self.run(
                "CREATE FUNCTION refuse() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN \
                 RAISE 'refused' USING ERRCODE = '23514'; END $$; \
                 CREATE TRIGGER refuse_events BEFORE INSERT ON audit_events EXECUTE FUNCTION refuse()",
            ),
        }
    }

    /// Audit events can be written again.
    pub fn take_events(&self) {
        match &self.0 {
            Way::Sqlite(_) => self.run("DROP TRIGGER refuse_events"),
            Way::Postgres(_) => self.run("DROP TRIGGER refuse_events ON audit_events; DROP FUNCTION refuse"),
        }
    }

    /// The first column of every row.
    #[must_use]
    #[track_caller]
    pub fn lines(&self, sql: &str) -> Vec<String> {
        match &self.0 {
            Way::Sqlite(connection) => {
                let mut statement = connection.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
                let rows = statement.query_map([], |row| row.get(0)).unwrap();
                rows.collect::<Result<_, _>>().unwrap()
            }
            Way::Postgres(_) => self.ask(sql).lines().map(str::to_owned).collect(),
        }
    }

    #[track_caller]
    fn ask(&self, sql: &str) -> String {
        let Way::Postgres(url) = &self.0 else { panic!("no PostgreSQL") };
        psql(url, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
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
