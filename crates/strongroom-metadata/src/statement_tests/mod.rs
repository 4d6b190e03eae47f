//! Rules that every statement keeps, and one run of each of them.

mod operations;
mod runs;

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::Connection;

use crate::sql::{Sql, Value};
use crate::{
    access, audit, changes, groups, history, identity, identity_change, instance, integrations, leases, machines,
    migrations, operations as operation_statements, policies, prune, purge, replicas, secrets, signing_keys,
    store_entries, trash, users,
};

/// Statements that a batch may run without a count of rows.
const ANY: &[&str] = &[
    "DELETE_EXPIRED_GRANTS_OF",
    "DELETE_EXPIRED_ROLE_GRANTS_OF",
    "DELETE_GRANTS",
    "DELETE_GRANTS_OF_GROUP",
    "DELETE_GRANTS_OF_SOURCE",
    "DELETE_GRANTS_OF_SUBJECT",
    "DELETE_INVITATIONS_OF",
    "DELETE_MANAGERS",
    "DELETE_MANAGER_EVERYWHERE",
    "DELETE_MAPPINGS_OF",
    "DELETE_MEMBERS",
    "DELETE_MEMBER_EVERYWHERE",
    "DELETE_ROLE_GRANTS_OF_SOURCE",
    "DELETE_ROLE_GRANTS_OF_SUBJECT",
    "DELETE_ROLE_GRANTS_ON",
    "END_HOLDS",
    "LEAVE_ENTRIES_OF_GROUP",
    "LEAVE_ENTRY_OF_SECRET",
    "LEAVE_PURGED_GROUPS",
    "MOVE_TOKENS_END",
    "PRUNE_BATCHES",
    "PRUNE_ENDED_TOKENS",
    "PRUNE_GRANTS",
    "PRUNE_GRANT_CHANGES",
    "PRUNE_INVITATIONS",
    "PRUNE_OPERATIONS",
    "PRUNE_PUTS",
    "PRUNE_REVOKED_TOKENS",
    "PRUNE_ROLE_GRANTS",
    "RELEASE_LEASES",
    "REMOVED_LEFTOVERS",
    "REVOKE_TOKENS",
    "SHORTEN_OLDER_TOKENS",
    "SHORTEN_TOKENS",
    "PURGE_SECRETS_OF_GROUP",
    "PURGE_VERSIONS_OF_GROUP",
    "PURGE_VERSIONS_OF_SECRET",
];

/// Statements that may walk a whole table or index, and why. Every other one finds its rows by a key.
const MAY_SCAN: &[(&str, &str)] = &[
    ("COUNT_EVENTS", "an index would cost each reveal a page"),
    ("SELECT_EVENTS", "an index would cost each reveal a page"),
    ("SELECT_ACCOUNTS", "few"),
    ("SELECT_INTEGRATIONS", "few"),
    ("STORE_BACKLOG", "an index that has what is left to do and nothing else"),
    ("SELECT_SLOTS", "few"),
    ("RELEASE_LEASES", "few"),
    ("SELECT_FINGERPRINTS", "few"),
    ("SELECT_SIGNING_KEYS", "few"),
    ("DELETE_ACCOUNT", "the engine looks for integrations, which are few"),
    ("KEPT_GROUPS", "rare"),
    ("LEAVE_PURGED_GROUPS", "rare"),
    ("DELETE_INTEGRATION", "the engine looks for groups that it keeps; rare"),
    ("COUNT_ADMINS", "asked when an admin goes"),
    ("COUNT_USERS", "a total"),
    ("COUNT_MACHINES", "a total"),
    ("COUNT_TEAMS", "a total"),
    ("COUNT_ROLES", "a total"),
    ("COUNT_BINDINGS", "a total"),
    ("COUNT_PROVIDERS", "a total"),
    ("ROLE_HOLDERS", "asked when a role goes"),
    ("ROLE_GRANTED", "asked when a role goes"),
    ("COUNT_PRUNABLE", "once an hour, aside"),
    ("PRUNE_GRANTS", "once an hour, where there are some"),
    ("PRUNE_ROLE_GRANTS", "once an hour, where there are some"),
    ("PRUNE_INVITATIONS", "few"),
    ("FOLLOW_GRANTS", "over PostgreSQL only, and from what is in the log"),
    ("LOAD_GRANTS", "all of them, at start"),
    ("COUNT_READERS", "whoever holds a role in the tenant is among all people; asked by hand"),
    ("READERS", "whoever holds a role in the tenant is among all people; asked by hand"),
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

fn all() -> Vec<&'static Sql> {
    let lists = [
        access::ALL,
        audit::ALL,
        changes::ALL,
        groups::ALL,
        history::ALL,
        identity::ALL,
        identity_change::ALL,
        instance::ALL,
        integrations::ALL,
        leases::ALL,
        machines::ALL,
        operation_statements::ALL,
        policies::ALL,
        prune::ALL,
        purge::ALL,
        replicas::ALL,
        secrets::ALL,
        signing_keys::ALL,
        store_entries::ALL,
        trash::ALL,
        users::ALL,
    ];
    lists.into_iter().flatten().copied().collect()
}

#[test]
fn what_is_kept_of_grants_and_teams_can_be_followed() {
    let changes = |sql: &&Sql| crate::grants::Change::of(sql) == crate::grants::Change::Other;
    let odd: Vec<_> = all().into_iter().filter(changes).map(|sql| sql.name).collect();
    assert_eq!(odd, [""; 0]);
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
    assert_eq!(declaring.count(), 21, "a module with statements is missing from `all`");
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
        let found: Vec<_> = words(sql.text).into_iter().filter(|word| NOT_PORTABLE.contains(&word.as_str())).collect();
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
        if !path.is_file() || path.is_dir() {
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

/// What a plan walks from end to end, but for what its own subqueries answer.
fn scans(plan: &[String]) -> Vec<&str> {
    let answered = |name: &str| ["CO-ROUTINE", "MATERIALIZE"].iter().any(|how| plan.contains(&format!("{how} {name}")));
    let walked = plan.iter().filter_map(|step| step.strip_prefix("SCAN "));
    walked.filter(|walked| *walked != "CONSTANT ROW" && !answered(walked)).collect()
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
        if scans(&plan).is_empty() {
            assert!(plan.iter().any(|step| step.starts_with("SEARCH")), "{}: {plan:#?}", sql.name);
        } else {
            scanning.insert(sql.name);
        }
    }
    assert_eq!(scanning, MAY_SCAN.iter().map(|(name, _)| *name).collect());
    // A page of groups begins at its bound, or with those that somebody sees, and its groups are chosen and counted in
    // what is small: an index. What belongs to them is found by keys.
    for (sql, begin) in [(&groups::GROUP_PAGE_ALL, "id<?"), (&groups::GROUP_PAGE_MEMBER, "id=?")] {
        let plan = plan(sql);
        assert!(scans(&plan).is_empty(), "{plan:#?}");
        let begin = format!("SEARCH g USING COVERING INDEX secret_groups_live (deleted_at=? AND {begin})");
        assert!(plan.contains(&begin), "{plan:#?}");
        assert!(plan.iter().any(|step| step.starts_with("SEARCH x USING COVERING INDEX")), "{plan:#?}");
    }
    for sql in [&groups::GROUP_COUNT_ALL, &groups::GROUP_COUNT_MEMBER] {
        let plan = plan(sql);
        let covered = |alias: &str| plan.iter().any(|step| step.starts_with(&format!("SEARCH {alias} USING COVERING")));
        assert!(covered("g") && covered("x"), "{plan:#?}");
    }
    // Who has a role on a group is found without walking what others have there, however many share it; what somebody
    // sees is found from them, without walking the groups. Their teams are found from them, too.
    let on_a_group = "PRIMARY KEY (group_id=? AND subject=?)";
    let of_somebody = "INDEX grants_subject (subject=?)";
    let mut looks = BTreeSet::new();
    for sql in all().into_iter().filter(|sql| is_read(sql) && sql.text.contains("FROM team_members t")) {
        let plan = plan(sql);
        let by = |alias: &str| -> BTreeSet<_> {
            // `EXISTS`: it stops at the first row.
            let begins = [format!("SEARCH {alias} USING "), format!("SEARCH {alias} EXISTS USING ")];
            let steps = plan.iter().filter_map(|step| begins.iter().find_map(|begin| step.strip_prefix(begin)));
            steps.map(|step| step.strip_prefix("COVERING ").unwrap_or(step).to_owned()).collect()
        };
        assert_eq!(by("t"), ["INDEX team_members_member (member=?)".to_owned()].into(), "{}", sql.name);
        let expected: [&[&str]; 2] = match sql.name {
            "ROLES_OF" => [&["PRIMARY KEY (subject=?)"], &[]],
            "GROUP_GRANTS_OF_SUBJECT" => [&[of_somebody], &[]],
            "GROUP_GRANTS_SEEN" => [&[of_somebody], &[on_a_group]],
            // Of roles on teams; these are few.
            "TEAM_PAGE_MANAGED" | "COUNT_TEAMS_MANAGED" => [&[], &[]],
            "GROUP_PAGE_MEMBER" => [&[on_a_group], &["INDEX grants_subject (subject=? AND group_id<?)"]],
            "GROUP_COUNT_MEMBER" | "SECRET_COUNT_MEMBER" => [&[], &[of_somebody]],
            name if name.contains("_MEMBER") || name.starts_with("DELETED_") || name.ends_with("_MANAGED") => {
                [&[on_a_group], &[of_somebody]]
            }
            _ => [&[on_a_group], &[]],
        };
        let expected = expected.map(|steps| steps.iter().map(|step| (*step).to_owned()).collect());
        assert_eq!([by("r"), by("m")], expected, "{}: {plan:#?}", sql.name);
        looks.insert(sql.name);
    }
    assert_eq!(looks.len(), 28, "{looks:?}");
}
