//! What only a file can do or suffer: its lock, its log, its damaged bytes.

mod damage;
mod disk;
mod files;
mod writer;

use rusqlite::Connection;

/// The tables that belong to the schema.
fn tables(connection: &Connection) -> Vec<String> {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'test_%' ORDER BY name";
    connection.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}
