//! What becomes of a database that an earlier release has written.

use std::fmt::Write;

use rusqlite::Connection;
use strongroom_domain::role::GroupRole::{self, Admin, Editor, Viewer};
use strongroom_domain::subject::SubjectName;
use strongroom_domain::{GroupId, UserId, VirtualAccountId};
use strongroom_metadata::{Guard, IdentityChange, MachineKind, Metadata, SyncState, TokenPurpose};

use crate::behind::{TestDatabase, connect};
use crate::world::{NOW, World, change_identities, event, member};

/// Every migration, oldest first.
pub(crate) const MIGRATIONS: [&str; 5] = [
    include_str!("../../migrations/0001_initial.sql"),
    include_str!("../../migrations/0002_replicas.sql"),
    include_str!("../../migrations/0003_identity.sql"),
    include_str!("../../migrations/0004_outer_stores.sql"),
    include_str!("../../migrations/0005_grant_changes.sql"),
];
pub(crate) const CHECKSUMS: &str = include_str!("../../migrations/checksums.txt");

/// As `dialect.rs` spells it.
pub(crate) fn spelled(text: &str, postgres: bool) -> String {
    let mut text = text.to_owned();
    if let (Some(from), Some(to)) = (text.find("{postgres}"), text.find("{/postgres}")) {
        let own = text[from..to].trim_start_matches("{postgres}").to_owned();
        text.replace_range(from..to + "{/postgres}".len(), if postgres { &own } else { "" });
    }
    let kinds = if postgres {
        [("{text}", "TEXT COLLATE \"C\""), ("{bytes}", "BYTEA"), ("{int}", "BIGINT"), (" {clustered}", "")]
    } else {
        [("{text}", "TEXT"), ("{bytes}", "BLOB"), ("{int}", "INTEGER"), ("{clustered}", "WITHOUT ROWID")]
    };
    kinds.into_iter().fold(text, |text, (name, spelled)| text.replace(name, spelled))
}

/// The schema after the first `count` migrations, with the note that they were applied.
pub(crate) fn schema(count: usize, postgres: bool) -> String {
    let mut sql = spelled(
        "CREATE TABLE schema_migrations (version {int} NOT NULL PRIMARY KEY, checksum {text} NOT NULL);",
        postgres,
    );
    for (number, (text, checksum)) in (1..).zip(MIGRATIONS.iter().zip(CHECKSUMS.lines())).take(count) {
        sql.push_str(&spelled(text, postgres));
        write!(sql, ";INSERT INTO schema_migrations VALUES ({number}, '{checksum}');").unwrap();
    }
    sql
}

/// A world over a database of that schema with these rows, opened by this release.
async fn upgraded(count: usize, rows: &str) -> World {
    let (postgres, folder) = (TestDatabase::create(), tempfile::tempdir().unwrap());
    let sql = schema(count, postgres.is_some()) + rows;
    let metadata = if let Some(database) = &postgres {
        database.ask(&sql);
        connect(database.url()).await
    } else {
        let path = folder.path().join("metadata.db");
        Connection::open(&path).unwrap().execute_batch(&sql).unwrap();
        Metadata::open(&path).unwrap()
    };
    World { metadata, new: World::rows(), folder, postgres }
}

const ALICE: &str = "0192f0c1-2b3c-7d4e-8f50-0000000000a1";
const BOB: &str = "0192f0c1-2b3c-7d4e-8f50-0000000000a2";
const CI: &str = "0192f0c1-2b3c-7d4e-8f50-0000000000b1";
const CD: &str = "0192f0c1-2b3c-7d4e-8f50-0000000000b2";
const ONE: &str = "0192f0c1-2b3c-7d4e-8f50-0000000000c1";
const TWO: &str = "0192f0c1-2b3c-7d4e-8f50-0000000000c2";
const STORE: &str = "0192f0c1-2b3c-7d4e-8f50-0000000000d1";

/// Persons, machines, their tokens, and grants of both sources, as schema 2 had them.
fn old_rows(postgres: bool) -> String {
    let bytes = |byte: u8| {
        let hex = format!("{byte:02x}").repeat(32);
        if postgres { format!("'\\x{hex}'") } else { format!("X'{hex}'") }
    };
    let actor = r#"{"id":"i","type":"user","slug":"s"}"#;
    let group = |id: &str, name: &str| {
        format!(
            "INSERT INTO secret_groups VALUES ('{id}', '{name}', '{name}', '{STORE}', '{{}}', 1, {mac}, {mac}, 1, 0, \
             '{actor}', 1, 1, NULL, NULL);",
            mac = bytes(9)
        )
    };
    format!(
        "INSERT INTO users VALUES ('{ALICE}', 'alice@x.io', 'tenant-admin', 1, 1, 2),
             ('{BOB}', 'bob@x.io', 'tenant-member', 0, 3, 4);
         INSERT INTO virtual_accounts VALUES ('{CI}', 'ci-bot', '{{\"a\":1}}', '{actor}', 5, 6),
             ('{CD}', 'cd-bot', '{{}}', '{actor}', 7, 8);
         INSERT INTO tokens VALUES ({first}, '{ONE}', 'user', '{ALICE}', 'admin', 1, NULL, NULL),
             ({own}, '{TWO}', 'user', '{BOB}', 'laptop', 1, 9, 8),
             ({machine}, '{CI}', 'serviceaccount', '{CI}', 'admin', 1, NULL, NULL);
         INSERT INTO provider_accounts VALUES ('{STORE}', 'default', 'truefoundry', 'd:t:d', '{{}}', '{actor}', 1, 1);
         INSERT INTO provider_integrations VALUES ('{STORE}', '{STORE}', 'db', 'secret-store', 'd:t:d:s:db', '{store}',
             '{actor}', 1, 1);
         {one} {two}
         INSERT INTO grants VALUES ('{ONE}', 'user:alice@x.io', 'manifest', 3), ('{ONE}', 'user:bob@x.io', 'manifest', 1),
             ('{ONE}', 'virtualaccount:ci-bot', 'manifest', 1), ('{ONE}', 'virtualaccount:ci-bot', 'virtual-account', 2),
             ('{TWO}', 'virtualaccount:cd-bot', 'virtual-account', 3), ('{TWO}', 'team:everyone', 'manifest', 2),
             ('{TWO}', 'user:gone@x.io', 'manifest', 3);",
        store = r#"{"name":"db","authorized_subjects":["team:everyone","virtualaccount:ci-bot","user:bo_@x.io"]}"#,
        first = bytes(1),
        own = bytes(2),
        machine = bytes(3),
        one = group(ONE, "one"),
        two = group(TWO, "two"),
    )
}

async fn old() -> World {
    upgraded(2, &old_rows(std::env::var_os("STRONGROOM_TEST_POSTGRES").is_some())).await
}

#[tokio::test]
async fn everybody_has_what_they_had() {
    let world = old().await;
    let metadata = &world.metadata;
    let role = async |own: &str, name: &str| {
        metadata.group_by_name(name, &member(own)).await.unwrap().and_then(|state| state.group.role)
    };
    let expected: [(&str, Option<GroupRole>, Option<GroupRole>); 5] = [
        ("user:alice@x.io", Some(Admin), Some(Editor)),
        ("user:bob@x.io", Some(Viewer), Some(Editor)),
        ("virtualaccount:ci-bot", Some(Editor), None),
        ("virtualaccount:cd-bot", None, Some(Admin)),
        ("user:gone@x.io", None, None),
    ];
    for (own, one, two) in expected {
        assert_eq!((role(own, "one").await, role(own, "two").await), (one, two), "{own}");
    }
    // Each with who maintains it, and by which machine's id; what was granted to nobody went.
    let grants = async |group| {
        let rows = metadata.grants_on(GroupId::parse(group).unwrap()).await.unwrap();
        let row = |row: strongroom_metadata::GrantRow| {
            assert_eq!(row.expires_at, None);
            (row.subject, row.role, row.source, row.source_id, row.source_name)
        };
        rows.into_iter().map(row).collect::<Vec<_>>()
    };
    let row = |subject: &str, role, source: &str, id: &str, name: &str| {
        (subject.to_owned(), role, source.to_owned(), id.to_owned(), name.to_owned())
    };
    let one = [
        row("user:alice@x.io", Admin, "manifest", "", ""),
        row("user:bob@x.io", Viewer, "manifest", "", ""),
        row("virtualaccount:ci-bot", Viewer, "manifest", "", ""),
        row("virtualaccount:ci-bot", Editor, "virtual-account", CI, "ci-bot"),
    ];
    assert_eq!(grants(ONE).await, one);
    let two = [
        row("team:everyone", Editor, "manifest", "", ""),
        row("virtualaccount:cd-bot", Admin, "virtual-account", CD, "cd-bot"),
    ];
    assert_eq!(grants(TWO).await, two);
}

#[tokio::test]
async fn persons_machines_and_tokens_are_who_they_were() {
    let world = old().await;
    let metadata = &world.metadata;
    let name = |name: &str| SubjectName::parse(name).unwrap();
    let everyone = &["team:everyone"][..];
    // Whom the integration authorizes, once each: the names are compared whole.
    for (subject, id, teams, authorized) in [
        ("user:alice@x.io", ALICE, everyone, everyone),
        ("user:bob@x.io", BOB, everyone, everyone),
        ("virtualaccount:ci-bot", CI, &[], &["virtualaccount:ci-bot"]),
        ("virtualaccount:cd-bot", CD, &[], &[]),
        ("team:everyone", "everyone", &[], everyone),
    ] {
        let found = metadata.subject(&name(subject)).await.unwrap().unwrap();
        assert_eq!((found.id.as_str(), found.person.is_some()), (id, subject.starts_with("user:")), "{subject}");
        let found = metadata.memberships(&name(subject)).await.unwrap();
        let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!((found.teams, found.manages), (strings(teams), vec![]));
        let roles = found.roles.into_iter().map(|row| {
            let role = (row.resource_type.as_str(), row.resource_id.as_str(), row.role.as_str());
            assert_eq!(role, ("provider-integration", STORE, "provider-integration-access"));
            row.subject
        });
        assert_eq!(roles.collect::<Vec<_>>(), strings(authorized), "{subject}");
    }
    assert_eq!(metadata.subject(&name("user:gone@x.io")).await.unwrap(), None);
    assert_eq!(world.behind().number("SELECT COUNT(*) FROM subjects"), 5);
    let bob = metadata.user(UserId::parse(BOB).unwrap()).await.unwrap().unwrap();
    assert_eq!((bob.email.as_str(), bob.tenant_role.as_str(), bob.active), ("bob@x.io", "tenant-member", false));
    assert_eq!((bob.created_at.micros(), bob.updated_at.micros()), (3, 4));
    let ci = metadata.machine_by_name("ci-bot").await.unwrap().unwrap();
    assert_eq!((ci.id, ci.kind), (VirtualAccountId::parse(CI).unwrap(), MachineKind::VirtualAccount));
    assert_eq!((ci.manifest.as_str(), ci.rotate_at, ci.sync), ("{\"a\":1}", None, SyncState::default()));
    assert_eq!((ci.created_at.micros(), ci.updated_at.micros()), (5, 6));
    for (byte, purpose, subject) in [
        (1, TokenPurpose::First, "user:alice@x.io"),
        (2, TokenPurpose::Personal, "user:bob@x.io"),
        (3, TokenPurpose::Machine, "virtualaccount:ci-bot"),
    ] {
        let found = metadata.token(&[byte; 32]).await.unwrap().unwrap();
        assert_eq!((found.purpose, found.subject.unwrap().name), (purpose, name(subject)));
        assert_eq!(metadata.token_by_id(found.id).await.unwrap().unwrap().signing_key, None);
    }
}

/// What refers to whom is there from the first write on.
#[tokio::test]
async fn it_goes_on_as_a_fresh_one_would() {
    let world = old().await;
    let metadata = &world.metadata;
    let bob = metadata.user_by_email("bob@x.io").await.unwrap().unwrap();
    let used = change_identities(metadata, &event("X"), |change| change.remove_user(&bob, NOW)).await;
    crate::guards::missed(used, Guard::SubjectInUse);
    let remove = |change: &mut IdentityChange| {
        change.take_grants_of("user:bob@x.io");
        change.remove_user(&bob, NOW);
    };
    change_identities(metadata, &event("X"), remove).await.unwrap();
    assert_eq!(metadata.user_by_email("bob@x.io").await.unwrap(), None);
    let granted = format!("INSERT INTO grants VALUES ('{ONE}', 'user:bob@x.io', 'manifest', '', 10, NULL)");
    let behind = world.behind();
    if world.postgres.is_none() {
        behind.run("PRAGMA foreign_keys = ON");
    }
    assert!(behind.try_run(&granted).unwrap_err().to_lowercase().contains("foreign key"));
    behind.run(&granted.replace("bob", "alice").replace("'', 10", "'again', 10"));
}

/// Opened over and over, each migration is applied once.
#[tokio::test]
async fn from_each_schema_without_rows() {
    let fresh = World::empty().await.dump();
    for count in 0..=MIGRATIONS.len() {
        let world = upgraded(count, "").await;
        assert_eq!(world.dump(), fresh, "from {count}");
        drop(world.opened_again().await);
        assert_eq!(world.dump(), fresh, "from {count}");
    }
}
