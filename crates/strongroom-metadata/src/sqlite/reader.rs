use std::cell::RefCell;
use std::path::Path;

use rusqlite::Connection;

use crate::ReadError;
use crate::sql::{Columns, Row, Sql, Value};

/// Connections kept per thread: one process has one database, but tests open many.
const KEPT: usize = 4;

thread_local! {
    static CONNECTIONS: RefCell<Vec<(u64, Connection)>> = const { RefCell::new(Vec::new()) };
}

/// Runs one statement on this thread's read-only connection.
pub(super) fn scan(
    number: u64,
    path: &Path,
    sql: &'static Sql,
    params: &[Value],
    mut each: impl FnMut(&Row<'_>) -> Result<bool, ReadError>,
) -> Result<(), ReadError> {
    CONNECTIONS.with_borrow_mut(|connections| {
        let at = connections.iter().position(|(kept, _)| *kept == number);
        let at = if let Some(at) = at {
            at
        } else {
            let connection = super::open_reading(path)?;
            if connections.len() == KEPT {
                connections.remove(0);
            }
            connections.push((number, connection));
            connections.len() - 1
        };
        let mut statement = connections[at].1.prepare_cached(sql.sqlite())?;
        let mut rows = statement.query(rusqlite::params_from_iter(params))?;
        while let Some(row) = rows.next()? {
            if !each(&Row { statement: sql.name, inner: Columns::Sqlite(row) })? {
                break;
            }
        }
        Ok(())
    })
}
