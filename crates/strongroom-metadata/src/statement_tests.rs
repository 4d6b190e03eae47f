//! Rules that every statement keeps, and one run of each of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::Connection;

use crate::sql::{Sql, Value};
use crate::{audit, changes, groups, history, identity, instance, integrations, migrations, purge, secrets, trash};

/// Statements that a batch may run without a count of rows.
const ANY: &[&str] = &[
    "DELETE_GRANTS",
    "DELETE_GRANTS_OF_GROUP",
    "DELETE_GRANTS_OF_SUBJECT",
    "PURGE_SECRETS_OF_GROUP",
    "PURGE_VERSIONS_OF_GROUP",
    "PURGE_VERSIONS_OF_SECRET",
];

/// Statements that may walk a whole table or index, and why. Every other one finds its rows by a key.
const MAY_SCAN: &[(&str, &str)] = &[
    ("COUNT_EVENTS", "an index would cost each reveal a page"),
    ("SELECT_EVENTS", "an index would cost each reveal a page"),
    ("GROUP_COUNT_ALL", "a total"),
    ("SECRET_COUNT_ALL", "a total"),
    ("GROUP_PAGE_ALL", "walks the page itself, which is its subquery's answer"),
    ("GROUP_PAGE_MEMBER", "walks the page itself, which is its subquery's answer"),
    ("SELECT_ACCOUNTS", "few"),
    ("SELECT_INTEGRATIONS", "few"),
    ("SELECT_SLOTS", "few"),
];

/// Words of SQLite that PostgreSQL doesn't know or reads otherwise, and such as hide a second statement in one.
const NOT_PORTABLE: &[&str] = &[
    "REPLACE",
    "IGNORE",
    "INSTR",
    "JSON_EACH",
    "JSON_EXTRACT",
    "ROWID",
    "GLOB",
    "IFNULL",
    "DATETIME",
    "STRFTIME",
    "PRINTF",
    "GROUP_CONCAT",
    "TOTAL",
    "AUTOINCREMENT",
    "PRAGMA",
    "RANDOMBLOB",
    "HEX",
    "TYPEOF",
    "INDEXED",
    "NOCASE",
    "RETURNING",
    "CONFLICT",
    "ILIKE",
    "UNIXEPOCH",
    "JULIANDAY",
    "MATCH",
    "REGEXP",
    "ISNULL",
    "NOTNULL",
    "CHANGES",
];

/// A list of any length, so that lists of different lengths stand in one table.
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$(Value::from($value)),*] };
}

const ID: &str = "0192f0c1-2b3c-7d4e-8f50-112233445566";

fn all() -> Vec<&'static Sql> {
    let lists = [
        audit::ALL,
        changes::ALL,
        groups::ALL,
        history::ALL,
        identity::ALL,
        instance::ALL,
        integrations::ALL,
        purge::ALL,
        secrets::ALL,
        trash::ALL,
    ];
    lists.into_iter().flatten().copied().collect()
}

fn is_read(sql: &Sql) -> bool {
    sql.text.starts_with("SELECT ")
}

fn migrated() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    connection.pragma_update(None, "foreign_keys", true).unwrap();
    migrations::sqlite::migrate(&mut connection, Path::new("memory")).unwrap();
    connection
}

fn words(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_uppercase).collect()
}

/// The numbers of the parameters as they stand in the text; `None` for a parameter without a number.
fn parameters(text: &str) -> BTreeSet<Option<usize>> {
    let digits = |rest: &str| rest.chars().take_while(char::is_ascii_digit).collect::<String>();
    text.split('?').skip(1).map(|rest| digits(rest).parse().ok()).collect()
}

#[test]
fn the_lists_are_whole_and_names_are_unique() {
    let names: BTreeSet<_> = all().iter().map(|sql| sql.name).collect();
    assert_eq!(names.len(), all().len());
    let sources = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap();
    let declaring = sources.filter(|entry| {
        let path = entry.as_ref().unwrap().path();
        path.is_file() && std::fs::read_to_string(path).unwrap().contains("\nstatements! {")
    });
    assert_eq!(declaring.count(), 10, "a module with statements is missing from `all`");
}

#[test]
fn every_statement_prepares() {
    let connection = migrated();
    for sql in all() {
        let prepared = connection.prepare(sql.sqlite());
        let statement = prepared.unwrap_or_else(|error| panic!("{}: {error}", sql.name));
        assert_eq!(statement.readonly(), is_read(sql), "{}", sql.name);
        assert_eq!(statement.parameter_count(), parameters(sql.sqlite()).len(), "{}", sql.name);
    }
}

#[test]
fn parameters_are_numbered_from_one_without_gaps() {
    for sql in all() {
        let found = parameters(sql.sqlite());
        let expected: BTreeSet<_> = (1..=found.len()).map(Some).collect();
        assert_eq!(found, expected, "{}", sql.name);
    }
}

#[test]
fn statements_keep_to_the_portable_subset() {
    for sql in all() {
        let found: Vec<_> =
            words(sql.sqlite()).into_iter().filter(|word| NOT_PORTABLE.contains(&word.as_str())).collect();
        assert!(found.is_empty(), "{} uses {found:?}", sql.name);
        for mark in ["\"", "`", "[", ";", "==", "||", "--", "INSERT OR", "UPDATE OR", "$", ":"] {
            assert!(!sql.text.contains(mark), "{} contains {mark}", sql.name);
        }
        assert!(!sql.text.contains("  "), "{} has a stray line break", sql.name);
    }
}

#[test]
fn writes_have_one_of_three_forms() {
    for sql in all().into_iter().filter(|sql| !is_read(sql)) {
        let right = match sql.text.split(' ').next() {
            Some("INSERT") => {
                sql.text.starts_with("INSERT INTO ") && sql.text.contains(") VALUES (") && sql.text.ends_with(')')
            }
            Some("UPDATE") => sql.text.contains(" SET ") && sql.text.contains(" WHERE "),
            Some("DELETE") => sql.text.starts_with("DELETE FROM ") && sql.text.contains(" WHERE "),
            _ => false,
        };
        assert!(right, "{}: {}", sql.name, sql.sqlite());
    }
}

/// Under READ COMMITTED a condition on another row that is only read guards nothing.
#[test]
fn no_counted_write_reads_another_row() {
    for sql in all().into_iter().filter(|sql| !is_read(sql) && !ANY.contains(&sql.name)) {
        for word in ["SELECT", "EXISTS", "FROM", "JOIN"] {
            let deletes = word == "FROM" && sql.text.starts_with("DELETE FROM ");
            assert!(deletes || !words(sql.sqlite()).contains(word), "{} contains {word}", sql.name);
        }
    }
}

/// The constant above is what the code does: `batch.any` is called with these statements and no others.
#[test]
fn the_uncounted_statements_are_the_listed_ones() {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_file() || path.ends_with("statement_tests.rs") {
            continue;
        }
        let source = std::fs::read_to_string(path).unwrap();
        for call in source.split("batch.any(").skip(1) {
            let name = call.split('&').nth(1).unwrap().split(',').next().unwrap();
            found.insert(name.to_owned());
        }
    }
    assert_eq!(found, ANY.iter().map(|name| (*name).to_owned()).collect());
}

#[test]
fn rows_are_found_by_an_index() {
    let connection = migrated();
    connection.set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).unwrap();
    let plan = |sql: &Sql| -> Vec<String> {
        let nulls = vec![Value::Null; parameters(sql.sqlite()).len()];
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", sql.sqlite())).unwrap();
        let rows = statement.query_map(rusqlite::params_from_iter(nulls), |row| row.get(3)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let mut scanning = BTreeSet::new();
    for sql in all().into_iter().filter(|sql| !sql.text.starts_with("INSERT ")) {
        let plan = plan(sql);
        if plan.iter().any(|step| step.starts_with("SCAN")) {
            scanning.insert(sql.name);
        } else {
            assert!(plan.iter().any(|step| step.starts_with("SEARCH")), "{}: {plan:#?}", sql.name);
        }
    }
    assert_eq!(scanning, MAY_SCAN.iter().map(|(name, _)| *name).collect());
    // A page of groups begins at its bound, and finds what belongs to its groups by keys.
    for sql in [&groups::GROUP_PAGE_ALL, &groups::GROUP_PAGE_MEMBER] {
        let plan = plan(sql);
        assert_eq!(plan.iter().filter(|step| step.starts_with("SCAN")).collect::<Vec<_>>(), ["SCAN g"], "{plan:#?}");
        assert!(plan.iter().any(|step| step.starts_with("SEARCH g USING PRIMARY KEY (id")), "{plan:#?}");
    }
}

/// Every statement once, in an order in which each finds its rows; this is the list that a second engine runs, too.
#[test]
#[expect(clippy::too_many_lines, reason = "one line or two for each statement")]
fn every_statement_runs() {
    let gone = "0192f0c1-2b3c-7d4e-8f50-112233445577";
    let bytes = &[7_u8; 32];
    let actor = || r#"{"id":"i","type":"user","slug":"s"}"#;
    let secret = |id: &'static str, key: &'static str| params![id, ID, key, key, actor(), 1];
    let update =
        |from: i64, to: i64, purge: Option<i64>| params![ID, from, to, bytes, "g", "g", ID, "{}", 1, 2, purge, purge];
    let look = |rest: Vec<Value>| params!["user:a", ""].into_iter().chain(rest).collect::<Vec<_>>();
    let filter = || params!["", "", "", "", i64::MIN, i64::MAX, "s", "", "", "", ID];
    let filtered = |rest: Vec<Value>| filter().into_iter().chain(rest).collect::<Vec<_>>();
    let runs: Vec<(&str, Vec<Value>, usize)> = vec![
        ("INSERT_INSTANCE", params!["default", "one", ID, 1], 1),
        ("INSERT_SLOT", params![1, "file", "f", bytes, 1], 1),
        ("INSERT_USER", params![ID, "a@x.io", "tenant-admin", 1, 1, 1], 1),
        ("INSERT_TOKEN", params![bytes, ID, "user", ID, "t", 1, None::<i64>], 1),
        ("INSERT_VIRTUAL_ACCOUNT", params![ID, "ci", "{}", actor(), 1, 1], 1),
        ("UPDATE_VIRTUAL_ACCOUNT", params![ID, "{}", 2], 1),
        ("INSERT_ACCOUNT", params![ID, "default", "truefoundry", "d:t:d", "{}", actor(), 1, 1], 1),
        ("INSERT_INTEGRATION", params![ID, ID, "db", "secret-store", "d:t:d:s:db", "{}", actor(), 1, 1], 1),
        ("INSERT_GROUP", params![ID, "g", "g", ID, "{}", bytes, bytes, 1, 1, actor(), 1], 1),
        ("INSERT_REVISION", params![ID, 1, 1, actor(), "create", "put", "r", "g", ID, "{}", bytes], 1),
        ("INSERT_SECRET", secret(ID, "K"), 1),
        ("INSERT_SECRET", secret(gone, "L"), 1),
        ("INSERT_VERSION", params![ID, 1, ID, bytes, "1", bytes, actor(), 1], 1),
        ("INSERT_VERSION", params![gone, 1, gone, bytes, "1", bytes, actor(), 1], 1),
        ("INSERT_LIFETIME", params![ID, ID, 1, 1, "K"], 1),
        ("INSERT_LIFETIME", params![ID, gone, 1, 1, "L"], 1),
        ("INSERT_GRANT", params![ID, "user:a", "manifest", 3], 1),
        ("INSERT_GRANT", params![ID, "user:b", "virtual-account", 1], 1),
        (
            "INSERT_EVENT",
            params![
                ID,
                1,
                "A",
                "success",
                actor(),
                "s",
                None::<i64>,
                "::1",
                "r",
                "/",
                "secret",
                ID,
                "n",
                "f",
                1,
                "{}",
                1,
                bytes
            ],
            1,
        ),
        ("UPDATE_GROUP", update(1, 2, None), 1),
        ("UPDATE_SECRET", params![gone, 1, 1, "L", "l", 2, 2, 9, ID], 1),
        ("END_LIFETIME", params![ID, gone, 2], 1),
        ("DELETE_GRANTS_OF_SUBJECT", params!["user:b", "virtual-account"], 1),
        ("SELECT_INSTANCE", params![], 1),
        ("SELECT_SLOTS", params![], 1),
        ("SELECT_TOKEN", params![bytes], 1),
        ("SELECT_USER_BY_EMAIL", params!["a@x.io"], 1),
        ("SELECT_VIRTUAL_ACCOUNT_BY_NAME", params!["ci"], 1),
        ("SELECT_ACCOUNTS", params![], 1),
        ("SELECT_INTEGRATIONS", params![], 1),
        ("SELECT_REVISIONS", params![ID, 0, 10], 1),
        ("SELECT_CURRENT_AT", params![ID, 1], 2),
        ("SELECT_CURRENT_AT", params![ID, 2], 1),
        ("GROUP_BY_ID", look(params![ID, 1]), 1),
        ("GROUP_BY_ID_SEALED", look(params![ID, 0]), 1),
        ("GROUP_NAME_TAKEN", params!["g"], 1),
        ("GROUP_BY_NAME", look(params!["g", 0]), 1),
        ("GROUP_PAGE_ALL", look(params!["%g%", "~", 10, 0]), 1),
        ("GROUP_PAGE_MEMBER", look(params!["", "f", 10, 0]), 1),
        ("GROUP_COUNT_ALL", look(params!["%k%"]), 1),
        ("GROUP_COUNT_MEMBER", look(params![""]), 1),
        ("SECRET_BY_ID", look(params![ID, 10, 0]), 1),
        ("SECRET_BY_NAME", look(params!["g", "K", None::<i64>, 0]), 1),
        ("SECRET_BY_NAME", look(params!["g", "K", 0, 1]), 0),
        ("SECRET_BY_NAME", look(params!["g", "K", 1, 1]), 1),
        ("SECRET_VERSIONS", params![ID, 10, 0], 1),
        ("COUNT_VERSIONS", params![ID], 1),
        ("SECRET_PAGE_ALL", look(params!["~", 10, 0]), 1),
        ("SECRET_PAGE_MEMBER", look(params!["f", 10, 0]), 1),
        ("SECRET_PAGE_GROUP", look(params!["f", 10, 0, ID, 0]), 1),
        ("SECRET_PAGE_ALL_SEALED", look(params![ID, 10, 0]), 0),
        ("SECRET_PAGE_MEMBER_SEALED", look(params!["~", 10, 0]), 1),
        ("SECRET_PAGE_GROUP_SEALED", look(params!["~", 10, 0, ID, 1]), 1),
        ("SECRET_COUNT_ALL", look(params![]), 1),
        ("SECRET_COUNT_MEMBER", look(params![]), 1),
        ("SECRET_COUNT_GROUP", look(params![ID, 0]), 1),
        ("SELECT_EVENTS", filtered(params![10, 0]), 1),
        ("COUNT_EVENTS", filter(), 1),
        ("DELETED_SECRETS", look(params![0, 2, 10]), 1),
        ("DUE_SECRETS", params![9, 10], 1),
        ("PURGE_SECRET", params![gone, 8], 0),
        ("PURGE_SECRET", params![gone, 9], 1),
        ("PURGE_VERSIONS_OF_SECRET", params![gone, 9], 1),
        ("UPDATE_SECRET", params![gone, 1, 1, "L", "l", 2, None::<i64>, None::<i64>, ID], 0),
        ("UPDATE_SECRET", params![ID, 1, 1, "K", "k", 2, 2, 9, ID], 1),
        ("END_LIFETIMES", params![ID, 3], 1),
        ("UPDATE_GROUP", update(2, 3, Some(9)), 1),
        ("DELETED_GROUPS", look(params![0, 3, 10]), 1),
        ("DUE_GROUPS", params![9, 10], 1),
        ("PURGE_GROUP", params![ID, 8], 0),
        ("PURGE_GROUP", params![ID, 9], 1),
        ("UPDATE_GROUP", update(3, 4, None), 0),
        ("PURGE_SECRETS_OF_GROUP", params![ID], 1),
        ("PURGE_VERSIONS_OF_GROUP", params![ID, 9], 1),
        ("DELETE_GRANTS_OF_GROUP", params![ID, "manifest"], 1),
        ("DELETE_GRANTS", params![ID], 0),
    ];
    let statements: BTreeMap<_, _> = all().into_iter().map(|sql| (sql.name, sql)).collect();
    let connection = migrated();
    for (name, values, rows) in &runs {
        let sql = statements.get(name).unwrap_or_else(|| panic!("no statement {name}"));
        let mut statement = connection.prepare(sql.sqlite()).unwrap();
        let values = rusqlite::params_from_iter(values);
        let touched = if is_read(sql) {
            statement.query(values).and_then(|mut rows| {
                let mut count = 0;
                while rows.next()?.is_some() {
                    count += 1;
                }
                Ok(count)
            })
        } else {
            statement.execute(values)
        };
        assert_eq!(touched.unwrap_or_else(|error| panic!("{name}: {error}")), *rows, "{name}");
    }
    let run: BTreeSet<_> = runs.iter().map(|(name, _, _)| *name).collect();
    assert_eq!(run, statements.keys().copied().collect(), "each statement has a sample");
}
