//! The list of tables is the schema's, on both engines.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::Connection;
use strongroom_throwaway::{psql, with_database};

use super::tables::{BATCHES, NOT_COPIED, TABLES, guarded};
use crate::migrations;
use crate::postgres::{ConnectSetup, PostgresAddress};

fn listed() -> BTreeSet<String> {
    TABLES.iter().map(|table| table.name).chain(NOT_COPIED.iter().copied()).map(str::to_owned).collect()
}

fn keys() -> BTreeMap<String, Vec<String>> {
    let key = |key: &[&str]| key.iter().map(|&column| column.to_owned()).collect();
    TABLES.iter().map(|table| (table.name.to_owned(), key(table.key))).collect()
}

fn migrated() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    migrations::sqlite::migrate(&mut connection, Path::new("memory")).unwrap();
    connection
}

fn column(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[test]
fn every_table_of_sqlite_is_copied_by_its_key_or_left_out_knowingly() {
    let connection = migrated();
    let tables = column(&connection, "SELECT name FROM sqlite_master WHERE type = 'table'");
    assert_eq!(tables.into_iter().collect::<BTreeSet<_>>(), listed());
    for (table, key) in keys() {
        let sql = format!("SELECT name FROM pragma_table_info('{table}') WHERE pk > 0 ORDER BY pk");
        assert_eq!(column(&connection, &sql), key, "{table}");
    }
}

#[test]
fn what_is_referred_to_is_copied_first() {
    let connection = migrated();
    let place = |name: &str| TABLES.iter().position(|table| table.name == name);
    let mut references = 0;
    for table in TABLES {
        for target in column(&connection, &format!("SELECT \"table\" FROM pragma_foreign_key_list('{}')", table.name)) {
            assert!(place(&target).unwrap() < place(table.name).unwrap(), "{} refers to {target}", table.name);
            references += 1;
        }
    }
    assert!(references > 5);
}

#[test]
fn columns_named_here_exist() {
    let connection = migrated();
    for table in TABLES {
        let columns = column(&connection, &format!("SELECT name FROM pragma_table_info('{}')", table.name));
        for named in table.own.iter().chain(&table.raised) {
            assert!(columns.iter().any(|column| column == named), "{} has no {named}", table.name);
        }
    }
}

#[test]
fn every_table_but_one_takes_no_writes() {
    let open: Vec<_> = listed().into_iter().filter(|table| !guarded().any(|name| name == table)).collect();
    assert_eq!(open, [BATCHES]);
}

#[tokio::test]
async fn the_list_is_that_of_postgres_too() {
    let Ok(server) = std::env::var("STRONGROOM_TEST_POSTGRES") else { return };
    let name = format!("copy_{}", std::process::id());
    psql(&server, &format!("CREATE DATABASE {name}")).unwrap();
    let url = with_database(&server, &name);
    let setup = ConnectSetup { application_name: "test", options: None };
    let mut client = PostgresAddress::parse(&url, None).unwrap().connect(&setup, |_| {}).await.unwrap();
    migrations::postgres::migrate(&mut client, "test").await.unwrap();
    drop(client);
    let tables = psql(&url, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'");
    let keys_there = psql(
        &url,
        "SELECT i.indrelid::regclass, string_agg(a.attname, ',' ORDER BY array_position(i.indkey::INT2[], a.attnum)) \
         FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) \
         JOIN pg_class c ON c.oid = i.indrelid AND c.relnamespace = 'public'::regnamespace \
         WHERE i.indisprimary GROUP BY 1",
    );
    psql(&server, &format!("DROP DATABASE {name} WITH (FORCE)")).unwrap();
    assert_eq!(tables.unwrap().lines().map(str::to_owned).collect::<BTreeSet<_>>(), listed());
    let keys_there = keys_there.unwrap();
    let keys_there: BTreeMap<_, _> = keys_there.lines().filter_map(|line| line.split_once('|')).collect();
    for (table, key) in keys() {
        assert_eq!(keys_there[table.as_str()], key.join(","), "{table}");
    }
}
