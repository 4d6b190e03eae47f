//! Each statement runs with the same parameters on both engines, and gives the same rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt;
use rusqlite::Connection;
use tokio_postgres::Client;

use super::{all, is_read, migrated};
use crate::postgres::PostgresAddress;
use crate::sql::{Columns, Field, Row, Sql, Value};
use crate::{dialect, migrations};

/// A list of any length, so that lists of different lengths stand in one table.
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$(Value::from($value)),*] };
}

pub(super) const ID: &str = "0192f0c1-2b3c-7d4e-8f50-112233445566";
pub(super) const GONE: &str = "0192f0c1-2b3c-7d4e-8f50-112233445577";
pub(super) const BYTES: &[u8; 32] = &[7; 32];
pub(super) const ACTOR: &str = r#"{"id":"i","type":"user","slug":"s"}"#;
const A: &str = "user:a@x.io";
const CI: &str = "virtualaccount:ci";
const DEVS: &str = "team:devs";

pub(super) type Runs = Vec<(&'static str, Vec<Value>, usize)>;

/// Every statement once, in an order in which each finds its rows: its name, its parameters, how many rows it touches.
fn runs() -> Runs {
    [identities(), policies(), groups(), numbered(), access(), super::operations::runs(), trash(), endings(), jobs()]
        .concat()
}

/// A person in a team, a machine, and what they were given.
fn identities() -> Runs {
    let named = |id, name| params![id, name, "{}", ACTOR, 1, 1];
    vec![
        ("INSERT_INSTANCE", params!["default", "one", ID, 1], 1),
        ("INSERT_SLOT", params![1, "file", "f", BYTES, 1], 1),
        ("INSERT_USER", params![ID, "a@x.io", "own", 1, 1, 1], 1),
        ("UPDATE_USER", params![ID, "own", 1, 2], 1),
        ("UPDATE_USER", params![GONE, "own", 1, 2], 0),
        ("INSERT_SUBJECT", params![A, ID], 1),
        ("INSERT_SUBJECT", params![CI, "ci"], 1),
        ("INSERT_SUBJECT", params![DEVS, "devs"], 1),
        ("INSERT_TOKEN", params![BYTES, ID, "user", ID, "t", "personal", None::<i64>, ACTOR, 1, None::<i64>], 1),
        ("INSERT_TOKEN", params![&[8; 32], GONE, "user", ID, "t", "first", ID, None::<i64>, 1, 9], 1),
        ("INSERT_INVITATION", params![BYTES, ID, 1, 9], 1),
        ("INSERT_MACHINE", params!["ci", "virtual-account", "ci", "{}", 5, ID, ACTOR, 1, 1], 1),
        ("UPDATE_MACHINE", params!["ci", "{}", 6, "t1", 2, None::<i64>, ID, 2], 1),
        ("SET_SYNC", params!["ci", "t2", 3, "no group"], 1),
        ("SET_ROTATION", params!["ci", 6], 1),
        ("INSERT_TEAM", named("devs", "devs"), 1),
        ("UPDATE_TEAM", params!["devs", "{}", 2], 1),
        ("INSERT_ROLE", params!["own", "own", "account", "[\"x\"]", "{}", ACTOR, 1, 1], 1),
        ("UPDATE_ROLE", params!["own", "[]", "{}", 2], 1),
        ("INSERT_BINDING", named("bind", "bind"), 1),
        ("UPDATE_BINDING", params!["bind", "{}", 2], 1),
        ("INSERT_PROVIDER", named("idp", "idp"), 1),
        ("UPDATE_PROVIDER", params!["idp", "{}", 2], 1),
        ("INSERT_MAPPING", params!["idp", "sub", CI], 1),
        ("INSERT_MEMBER", params!["team:everyone", A], 1),
        ("INSERT_MEMBER", params![DEVS, A], 1),
        ("INSERT_MANAGER", params![DEVS, A], 1),
        ("INSERT_MANAGER", params![DEVS, CI], 1),
        ("INSERT_ROLE_GRANT", params![A, "team", "devs", "team-manager", "role-binding", "bind", None::<i64>], 1),
        ("INSERT_ROLE_GRANT", params![DEVS, "account", ID, "own", "role-binding", "bind", 9], 1),
        ("INSERT_ROLE_GRANT", params![CI, "provider-account", ID, "own", "virtual-account", "ci", None::<i64>], 1),
        ("INSERT_SIGNING_KEY", params![ID, BYTES, BYTES, 1, 1], 1),
        ("SELECT_INSTANCE", params![], 1),
        ("SELECT_SLOTS", params![], 1),
        ("SELECT_FINGERPRINTS", params![], 1),
        ("SELECT_SIGNING_KEYS", params![], 1),
        ("SELECT_TOKEN", params![BYTES], 1),
        ("SELECT_TOKEN_BY_ID", params![GONE], 1),
        ("TOKENS_OF", params![ID], 2),
        ("TOKENS_OF_MACHINES", params!["virtual-account", "a", "z"], 0),
        ("SELECT_SUBJECT", params![A], 1),
        ("SELECT_SUBJECT", params!["user:A@x.io"], 0),
        ("SUBJECT_NAME", params![ID], 1),
        ("SUBJECT_NAME", params![GONE], 0),
        ("TEAMS_OF", params![A], 2),
        ("TEAMS_MANAGED_BY", params![CI], 1),
        ("ROLES_OF", params![A], 2),
        ("ROLES_OF", params![CI], 1),
        ("ROLES_ON", params!["account", ID], 1),
        ("MAPPED_SUBJECT", params!["idp", "sub"], 1),
        ("SELECT_USER_BY_EMAIL", params!["a@x.io"], 1),
        ("SELECT_USER_BY_ID", params![ID], 1),
        ("USER_PAGE", params!["%a@%", 0, "~", 10, 0], 1),
        ("USER_PAGE", params!["", 1, ID, 10, 0], 0),
        ("COUNT_USERS", params!["%a\\_%", 0], 1),
        ("COUNT_ADMINS", params![], 1),
        ("HOLDINGS_OF", params![A, 5, "team:everyone"], 1),
        ("TEAM_ROLES_OF", params![A], 3),
        ("TENANT_ROLE", params!["own"], 1),
        ("TENANT_ROLE", params!["tenant-admin"], 0),
        ("SELECT_INVITATION", params![BYTES], 1),
        ("SELECT_MACHINE_BY_NAME", params!["ci"], 1),
        ("SELECT_MACHINE_BY_ID", params!["ci"], 1),
        ("MACHINE_PAGE", params!["virtual-account", "%c%", "~", 10, 0], 1),
        ("MACHINE_PAGE", params!["agent-identity", "", "~", 10, 0], 0),
        ("COUNT_MACHINES", params!["virtual-account", ""], 1),
        ("DUE_ROTATIONS", params![5, 10], 0),
        ("DUE_ROTATIONS", params![6, 10], 1),
    ]
}

/// What is described by a manifest and no more, as it is read.
fn policies() -> Runs {
    vec![
        ("TEAM_BY_ID", params!["devs"], 1),
        ("TEAM_BY_NAME", params!["devs"], 1),
        ("TEAM_PAGE", params!["", "~", 10, 0], 1),
        ("COUNT_TEAMS", params!["%d%"], 1),
        ("TEAM_PAGE_MANAGED", look(params!["team-manager", "%\"m\"%", "~", 10, 0]), 1),
        ("TEAM_PAGE_MANAGED", look(params!["team-manager", "%\"m\"%", "devs", 10, 0]), 0),
        ("TEAM_PAGE_MANAGED", params![CI, 5, "team-manager", "%\"m\"%", "~", 10, 0], 1),
        ("TEAM_PAGE_MANAGED", params![DEVS, 5, "team-manager", "%\"m\"%", "~", 10, 0], 0),
        ("COUNT_TEAMS_MANAGED", look(params!["team-manager", "%\"m\"%"]), 1),
        ("ROLE_BY_ID", params!["own"], 1),
        ("ROLE_BY_NAME", params!["own"], 1),
        ("ROLE_PAGE", params!["", "~", 10, 0], 1),
        ("COUNT_ROLES", params![""], 1),
        ("BINDING_BY_ID", params!["bind"], 1),
        ("BINDING_BY_NAME", params!["bind"], 1),
        ("BINDING_PAGE", params!["%x%", "~", 10, 0], 0),
        ("BINDING_PAGE_MANAGED", look(params!["", "~", 10, 0]), 0),
        ("COUNT_BINDINGS_MANAGED", look(params!["%x%"]), 1),
        ("GROUPS_OF_BINDING", params!["none"], 0),
        ("COUNT_ROLE_GRANTS_OF_SOURCE", params!["none"], 1),
        ("COUNT_BINDINGS", params![""], 1),
        ("PROVIDER_BY_ID", params!["idp"], 1),
        ("PROVIDER_BY_NAME", params!["idp"], 1),
        ("PROVIDER_PAGE", params!["", "~", 10, 0], 1),
        ("COUNT_PROVIDERS", params![""], 1),
        ("MEMBERS_OF", params![DEVS, 10, 0], 1),
        ("COUNT_MEMBERS", params![DEVS], 1),
        ("MANAGERS_OF", params![DEVS, 10, 0], 2),
        ("COUNT_MANAGERS", params![DEVS], 1),
        ("ROLE_HOLDERS", params!["own"], 1),
        ("ROLE_GRANTED", params!["own"], 1),
    ]
}

/// Who looks, at which time: a member of the team, when what the machine was granted has ended.
fn look(rest: Vec<Value>) -> Vec<Value> {
    params![A, 5].into_iter().chain(rest).collect()
}

/// A group with a living secret and one in the trash, as everybody reads it.
fn groups() -> Runs {
    let secret = |id: &'static str, key: &'static str| params![id, ID, key, key.to_lowercase(), ACTOR, 1];
    let filter = || params!["", "", "", "", i64::MIN, i64::MAX, "s", "", "", "", ID];
    let filtered = |rest: Vec<Value>| filter().into_iter().chain(rest).collect::<Vec<_>>();
    vec![
        ("INSERT_ACCOUNT", params![ID, "default", "truefoundry", "d:t:d", "{}", ACTOR, 1, 1, BYTES, 1], 1),
        (
            "INSERT_ACCOUNT",
            params![GONE, "other", "truefoundry", "d:t:o", "{}", ACTOR, 1, 1, None::<&[u8; 32]>, None::<i64>],
            1,
        ),
        ("UPDATE_ACCOUNT", params![ID, "{}", 2, BYTES, 2], 1),
        ("INSERT_INTEGRATION", params![ID, ID, "db", "secret-store", "d:t:d:s:db", "{}", ACTOR, 1, 1], 1),
        ("INSERT_INTEGRATION", params![GONE, GONE, "db", "secret-store", "d:t:o:s:db", "{}", ACTOR, 1, 1], 1),
        ("UPDATE_INTEGRATION", params![ID, "{}", 2], 1),
        ("INSERT_GROUP", params![ID, "g", "g", ID, "{}", BYTES, BYTES, 1, 1, ACTOR, 1], 1),
        ("INSERT_REVISION", params![ID, 1, 1, ACTOR, "create", "put", "r", "g", ID, "{}", BYTES], 1),
        ("INSERT_SECRET", secret(ID, "K"), 1),
        ("INSERT_SECRET", secret(GONE, "L"), 1),
        ("INSERT_VERSION", params![ID, 1, ID, BYTES, "1", BYTES, ACTOR, 1], 1),
        ("INSERT_VERSION", params![GONE, 1, GONE, BYTES, "1", BYTES, ACTOR, 1], 1),
        ("INSERT_LIFETIME", params![ID, ID, 1, 1, "K"], 1),
        ("INSERT_LIFETIME", params![ID, GONE, 1, 1, "L"], 1),
        ("INSERT_GRANT", params![ID, A, "manifest", "", 20, None::<i64>], 1),
        ("INSERT_GRANT", params![ID, DEVS, "role-binding", "bind", 30, 9], 1),
        ("INSERT_GRANT", params![ID, CI, "virtual-account", "ci", 10, 5], 1),
        (
            "INSERT_EVENT",
            params![
                ID,
                1,
                "A",
                "success",
                ACTOR,
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
                BYTES
            ],
            1,
        ),
        ("UPDATE_GROUP", update(1, 2, None), 1),
        ("UPDATE_SECRET", params![GONE, 1, 1, "L", "l", 2, 2, 9, ID], 1),
        ("END_LIFETIME", params![ID, GONE, 2], 1),
        ("SELECT_ACCOUNTS", params![], 2),
        ("SELECT_INTEGRATIONS", params![], 2),
        ("SELECT_REVISIONS", params![ID, 0, 10], 1),
        ("SELECT_CURRENT_AT", params![ID, 1], 2),
        ("SELECT_CURRENT_AT", params![ID, 2], 1),
        ("GROUP_BY_ID", look(params![ID, 1]), 1),
        ("GROUP_BY_ID", params![CI, 4, ID, 0], 1),
        ("GROUP_BY_ID", params![CI, 5, ID, 0], 0),
        ("GROUP_BY_ID_SEALED", look(params![ID, 0]), 1),
        ("GROUP_NAME_TAKEN", params!["g"], 1),
        ("GROUP_OF_NAME", params!["g"], 1),
        ("GROUP_BY_NAME", look(params!["g", 0]), 1),
        ("GROUP_REF_BY_NAME", look(params!["g", 0]), 1),
        ("GROUP_PAGE_ALL", look(params!["%g%", "~", 10, 0]), 1),
        ("GROUP_PAGE_MEMBER", look(params!["", "f", 10, 0]), 1),
        ("GROUP_PAGE_MEMBER", params![CI, 5, "", "f", 10, 0], 0),
        ("GROUP_COUNT_ALL", look(params!["%k%"]), 1),
        ("GROUP_COUNT_MEMBER", look(params![""]), 1),
        ("GROUP_OF_SECRET", params![ID], 1),
        ("SECRET_ENTERED", params![ID, 10], 1),
        ("GROUP_ENTERED", params![ID], 1),
        ("GROUP_ENTERED_SEALED", params![ID], 1),
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
    ]
}

/// As of the number of grants, and what is read to keep these.
fn numbered() -> Runs {
    vec![
        ("GROUP_NUMBERED", params![ID], 1),
        ("GROUP_NUMBERED_SEALED", params![ID], 1),
        ("GROUP_NUMBERED_BY_NAME", params![ID, "g"], 1),
        ("GROUP_NUMBERED_BY_NAME", params![ID, "h"], 0),
        ("GROUP_REF_NUMBERED", params![ID, "g"], 1),
        ("GROUP_REF_NUMBERED", params![GONE, "g"], 0),
        ("SECRET_NUMBERED", params![ID, 10, ID], 1),
        ("SECRET_NUMBERED", params![ID, 10, GONE], 0),
        ("SECRET_NUMBERED_BY_NAME", params![ID, "g", "K", None::<i64>], 1),
        ("SECRET_NUMBERED_BY_NAME", params![ID, "g", "K", 2], 0),
        ("SECRET_NUMBERED_BY_NAME", params![ID, "h", "K", 1], 0),
        ("LEARN_GRANTS", params![ID], 3),
        ("LEARN_GRANTS", params![GONE], 1),
        ("LOAD_GRANTS", params![], 5),
        ("FOLLOW_GRANTS", params![1_000_000, 10], 1),
    ]
}

fn update(from: i64, to: i64, purge: Option<i64>) -> Vec<Value> {
    params![ID, from, to, BYTES, "g", "g", ID, "{}", 1, 2, purge, purge]
}

/// Who has what on that group.
fn access() -> Runs {
    vec![
        ("GRANTS_ON_GROUP", params![ID, 5], 2),
        ("GRANTS_ON_GROUP", params![ID, 4], 3),
        ("GRANTS_OF_SUBJECT_ON_GROUP", params![ID, 5, A], 2),
        ("GRANTS_OF_SUBJECT_ON_GROUP", params![ID, 9, A], 1),
        ("ROLE_ON_GROUP", params![A, 5, ID], 1),
        ("GROUP_GRANTS_OF_SUBJECT", params![A, 5], 2),
        ("GROUP_GRANTS_OF_SUBJECT", params![CI, 5], 0),
        ("GRANTS_OF_SOURCE", params!["bind"], 1),
        ("GRANTS_OF_SOURCE", params![""], 0),
        ("ROLE_GRANTS_OF_SOURCE", params!["bind"], 2),
        ("SOURCES_OF", params![DEVS], 1),
        ("GROUP_GRANTS_SEEN", look(params![DEVS]), 1),
        ("GROUP_GRANTS_SEEN", params![CI, 4, DEVS], 1),
        ("GROUP_GRANTS_SEEN", params![CI, 5, DEVS], 0),
        ("GROUP_GRANTS_SEEN", params![A, 9, DEVS], 0),
        ("COUNT_READERS", params![ID, 1, 15, "%\"secret-group:read-values\"%", 1, "team:everyone"], 1),
        ("READERS", params![ID, 1, 15, "%\"secret-group:read-values\"%", 1, "team:everyone", 10, 0], 2),
    ]
}

/// First a secret ends for good, then its group.
fn trash() -> Runs {
    vec![
        ("DELETED_SECRETS", look(params![0, 20, 10]), 1),
        ("DELETED_SECRETS", params![CI, 4, 0, 20, 10], 0),
        ("HAS_TRASH", params![ID], 1),
        ("HAS_TRASH", params![GONE], 0),
        ("DUE_SECRETS", params![9, 10], 1),
        ("PURGE_SECRET", params![GONE, 8], 0),
        ("PURGE_SECRET", params![GONE, 9], 1),
        ("PURGE_VERSIONS_OF_SECRET", params![GONE, 9], 1),
        ("UPDATE_SECRET", params![GONE, 1, 1, "L", "l", 2, None::<i64>, None::<i64>, ID], 0),
        ("UPDATE_SECRET", params![ID, 1, 1, "K", "k", 2, 2, 9, ID], 1),
        ("END_LIFETIMES", params![ID, 3], 1),
        ("UPDATE_GROUP", update(2, 3, Some(9)), 1),
        ("DELETED_GROUPS", look(params![0, 30, 10]), 1),
        ("DELETED_GROUPS", params![A, 9, 0, 30, 10], 0),
        ("DUE_GROUPS", params![9, 10], 1),
        ("PURGE_GROUP", params![ID, 8], 0),
        ("PURGE_GROUP", params![ID, 9], 1),
        ("UPDATE_GROUP", update(3, 4, None), 0),
        ("KEPT_GROUPS", params![ID], 1),
        ("LEAVE_PURGED_GROUPS", params![ID], 1),
        ("LEAVE_PURGED_GROUPS", params![GONE], 1),
        ("PURGE_SECRETS_OF_GROUP", params![ID], 1),
        ("PURGE_VERSIONS_OF_GROUP", params![ID, 9], 1),
    ]
}

/// Everybody goes again, after what refers to them.
fn endings() -> Runs {
    vec![
        ("COUNT_PRUNABLE", params![6, 9, 10], 1),
        ("PRUNE_GRANTS", params![5, 10], 0),
        ("PRUNE_GRANTS", params![6, 10], 1),
        ("INSERT_GRANT", params![ID, CI, "virtual-account", "ci", 10, 5], 1),
        ("PRUNE_ROLE_GRANTS", params![9, 10], 0),
        ("PRUNE_ROLE_GRANTS", params![10, 10], 1),
        ("INSERT_ROLE_GRANT", params![DEVS, "account", ID, "own", "role-binding", "bind", 9], 1),
        ("PRUNE_INVITATIONS", params![8, 10], 0),
        ("PRUNE_INVITATIONS", params![9, 10], 1),
        ("INSERT_INVITATION", params![BYTES, ID, 1, 9], 1),
        ("DELETE_EXPIRED_GRANTS_OF", params![A, 0], 0),
        ("INSERT_ROLE_GRANT", params![DEVS, "account", ID, "gone", "role-binding", "bind", 3], 1),
        ("DELETE_EXPIRED_ROLE_GRANTS_OF", params![DEVS, 3], 1),
        ("DELETE_GRANTS_OF_SOURCE", params![""], 0),
        ("DELETE_GRANTS_OF_SOURCE", params!["ci"], 1),
        ("DELETE_GRANTS_OF_SUBJECT", params![DEVS], 1),
        ("DELETE_GRANTS_OF_GROUP", params![ID, "manifest"], 1),
        ("DELETE_GRANTS", params![ID], 0),
        ("DELETE_ROLE_GRANTS_OF_SOURCE", params!["ci"], 1),
        ("DELETE_ROLE_GRANTS_ON", params!["team", "devs"], 1),
        ("DELETE_ROLE_GRANTS_OF_SUBJECT", params![DEVS], 1),
        ("DELETE_MAPPINGS_OF", params![CI], 1),
        ("DELETE_MANAGER_EVERYWHERE", params![CI], 1),
        ("DELETE_MANAGERS", params![DEVS], 1),
        ("DELETE_MEMBERS", params![DEVS], 1),
        ("DELETE_MEMBER_EVERYWHERE", params![A], 1),
        ("SHORTEN_OLDER_TOKENS", params![ID, GONE, 8], 1),
        ("SHORTEN_OLDER_TOKENS", params![ID, ID, 8], 0),
        ("MOVE_TOKENS_END", params![ID, 1, 6], 0),
        ("SHORTEN_TOKENS", params![ID, 7], 2),
        ("SHORTEN_TOKENS", params![ID, 8], 0),
        ("REVOKE_TOKEN", params![GONE, 3], 1),
        ("REVOKE_TOKENS", params![ID, "user", 3], 1),
        ("REVOKE_TOKENS", params![ID, "user", 4], 0),
        ("PRUNE_REVOKED_TOKENS", params![3, 10], 0),
        ("PRUNE_REVOKED_TOKENS", params![4, 1], 1),
        ("PRUNE_ENDED_TOKENS", params![7, 10], 0),
        ("PRUNE_ENDED_TOKENS", params![8, 10], 1),
        ("DELETE_INVITATION", params![BYTES], 1),
        ("DELETE_INVITATION", params![BYTES], 0),
        ("INSERT_INVITATION", params![BYTES, ID, 1, 9], 1),
        ("DELETE_INVITATIONS_OF", params![ID], 1),
        ("DELETE_INTEGRATION", params![GONE], 1),
        ("DELETE_ACCOUNT", params![GONE], 1),
        ("DELETE_PROVIDER", params!["idp"], 1),
        ("DELETE_BINDING", params!["bind"], 1),
        ("DELETE_ROLE", params!["own"], 1),
        ("DELETE_TEAM", params!["devs"], 1),
        ("DELETE_MACHINE", params!["ci"], 1),
        ("DELETE_USER", params![ID], 1),
        ("DELETE_SUBJECT", params![CI], 1),
        ("DELETE_SUBJECT", params![A], 1),
        ("DELETE_SUBJECT", params![A], 0),
    ]
}

/// What replicas tell each other.
fn jobs() -> Runs {
    vec![
        ("SELECT_PULSE", params![], 1),
        ("SELECT_GRANT_NUMBER", params![], 1),
        ("MOVE_GRANT_NUMBER", params![1], 1),
        ("PRUNE_GRANT_CHANGES", params![1_000_000], 0),
        ("BUMP_CHANGE_NUMBER", params![1], 1),
        ("BUMP_CHANGE_NUMBER_FROM", params![1, 0], 0),
        ("BUMP_CHANGE_NUMBER_FROM", params![1, 1], 1),
        ("SELECT_CHANGE_NUMBER", params![], 1),
        ("SELECT_LEASE", params!["job"], 0),
        ("INSERT_LEASE", params!["job", "a", 60_000_000], 1),
        ("SELECT_LEASE", params!["job"], 1),
        ("RENEW_LEASE", params!["job", "a", -1, 1], 1),
        ("RENEW_LEASE", params!["job", "a", 60_000_000, 1], 0),
        ("HOLD_LEASE", params!["job", "a", 1], 0),
        ("TAKE_LEASE", params!["job", "b", 60_000_000, 1], 1),
        ("HOLD_LEASE", params!["job", "a", 1], 0),
        ("HOLD_LEASE", params!["job", "b", 2], 1),
        ("PRUNE_BATCHES", params![0], 0),
        ("RELEASE_LEASES", params!["b"], 1),
        ("HOLD_LEASE", params!["job", "b", 2], 0),
    ]
}

fn shown(row: &Row<'_>, columns: usize) -> String {
    let field = |column| match row.field(column).unwrap() {
        Field::Null => "null".to_owned(),
        Field::Int(number) => number.to_string(),
        Field::Text(text) => format!("{text:?}"),
        Field::Bytes(bytes) => format!("{bytes:?}"),
        Field::Other => panic!("{} gives a type that no column has", row.statement),
    };
    (0..columns).map(field).collect::<Vec<_>>().join(", ")
}

/// The rows that it gives, or the number of those that it touches.
fn on_sqlite(connection: &Connection, sql: &'static Sql, params: &[Value]) -> Vec<String> {
    let mut statement = connection.prepare(sql.sqlite()).unwrap();
    let params = rusqlite::params_from_iter(params);
    if !is_read(sql) {
        return vec![String::new(); statement.execute(params).unwrap_or_else(|error| panic!("{}: {error}", sql.name))];
    }
    let columns = statement.column_count();
    let (mut rows, mut all) = (statement.query(params).unwrap(), Vec::new());
    while let Some(row) = rows.next().unwrap() {
        all.push(shown(&Row { statement: sql.name, inner: Columns::Sqlite(row) }, columns));
    }
    all
}

async fn on_postgres(client: &Client, sql: &'static Sql, params: &[Value]) -> Vec<String> {
    if !is_read(sql) {
        let touched = client.execute_raw(sql.postgres(), params).await;
        let touched = touched.unwrap_or_else(|error| panic!("{}: {}", sql.name, crate::postgres::described(&error)));
        return vec![String::new(); usize::try_from(touched).unwrap()];
    }
    let rows = client.query_raw(sql.postgres(), params).await;
    let mut rows =
        Box::pin(rows.unwrap_or_else(|error| panic!("{}: {}", sql.name, crate::postgres::described(&error))));
    let mut all = Vec::new();
    while let Some(row) = rows.next().await {
        let row = row.unwrap();
        all.push(shown(&Row { statement: sql.name, inner: Columns::Postgres(&row) }, row.len()));
    }
    all
}

#[test]
fn every_statement_runs() {
    let statements: BTreeMap<_, _> = all().into_iter().map(|sql| (sql.name, sql)).collect();
    let connection = migrated();
    for (name, values, rows) in &runs() {
        let sql = statements.get(name).unwrap_or_else(|| panic!("no statement {name}"));
        assert_eq!(on_sqlite(&connection, sql, values).len(), *rows, "{name}");
    }
    let run: BTreeSet<_> = runs().iter().map(|(name, _, _)| *name).collect();
    assert_eq!(run, statements.keys().copied().collect(), "each statement has a sample");
}

#[tokio::test]
async fn every_statement_runs_and_gives_the_same_on_postgres() {
    let Some(database) = TestDatabase::create() else { return };
    let client = database.connect().await;
    let connection = migrated();
    let statements: BTreeMap<_, _> = all().into_iter().map(|sql| (sql.name, sql)).collect();
    for (name, values, _) in &runs() {
        let sql = statements[name];
        // Only PostgreSQL counts changes of grants.
        client.batch_execute("UPDATE grant_number SET number = 0; DELETE FROM grant_changes").await.unwrap();
        let (mut here, mut there) = (on_sqlite(&connection, sql, values), on_postgres(&client, sql, values).await);
        if ["LOAD_GRANTS", "LEARN_GRANTS"].contains(name) {
            here.sort();
            there.sort();
        }
        if *name == "SELECT_PULSE" {
            // It tells the time.
            assert_eq!(here.len(), there.len());
        } else {
            assert_eq!(here, there, "{name}");
        }
    }
}

/// As batches run them: a write that touches another number of rows, or that is outside of its batch, is an error.
#[tokio::test]
async fn every_guarded_statement_raises_inside_the_server() {
    let Some(database) = TestDatabase::create() else { return };
    let client = database.connect().await;
    let statements: BTreeMap<_, _> = all().into_iter().map(|sql| (sql.name, sql)).collect();
    for (name, values, rows) in &runs() {
        let sql = statements[name];
        if is_read(sql) {
            continue;
        }
        let rows = i64::try_from(*rows).unwrap();
        let guarded = async |expected: i64, batch: &str| {
            let params = values.iter().cloned().chain([expected.into(), batch.into()]).collect::<Vec<_>>();
            client.execute_raw(sql.postgres_guarded(), params).await
        };
        let begin = async || {
            client.batch_execute(dialect::BEGIN_BATCH).await.unwrap();
            client.execute(dialect::OPEN_BATCH, &[&"b", &"10000"]).await.unwrap();
        };
        assert!(guarded(rows, "b").await.is_err(), "{name} ran outside of a batch");
        for (expected, batch) in [(rows + 1, "b"), (rows, "another")] {
            begin().await;
            assert!(guarded(expected, batch).await.is_err(), "{name} was not refused");
            client.batch_execute("ROLLBACK").await.unwrap();
        }
        begin().await;
        let outcome = guarded(rows, "b").await;
        outcome.unwrap_or_else(|error| panic!("{name}: {}", crate::postgres::described(&error)));
        client.batch_execute("COMMIT").await.unwrap();
    }
}

/// A database on the server that the test command started; tests on it do nothing without one.
struct TestDatabase(String, String);

impl TestDatabase {
    fn create() -> Option<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let server = std::env::var("STRONGROOM_TEST_POSTGRES").ok()?;
        // Of this process and this test: others may run beside it.
        let name = format!("unit_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        strongroom_throwaway::psql(&server, &format!("CREATE DATABASE {name}")).unwrap();
        Some(Self(server, name))
    }

    async fn connect(&self) -> Client {
        let url = strongroom_throwaway::with_database(&self.0, &self.1);
        let setup = crate::postgres::ConnectSetup { application_name: "test", options: None };
        let mut client = PostgresAddress::parse(&url, None).unwrap().connect(&setup, |_| {}).await.unwrap();
        migrations::postgres::migrate(&mut client, "test").await.unwrap();
        client
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let _ = strongroom_throwaway::psql(&self.0, &format!("DROP DATABASE {} WITH (FORCE)", self.1));
    }
}
