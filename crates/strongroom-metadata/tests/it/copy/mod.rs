//! Copying an instance: from each engine to each; those with PostgreSQL only where the test command names a server.

mod interrupted;
mod refused;
mod there_and_back;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::FutureExt;
use rusqlite::Connection;
use strongroom_domain::role::GroupRole;
use strongroom_domain::subject::SubjectKind;
use strongroom_metadata::{
    CommitError, CopyError, CopyReport, Location, Metadata, Phase, PostgresAddress, copy_database,
};

use crate::behind::{Behind, TestDatabase, connect};
use crate::operations::furnish_operations;
use crate::world::{
    World, create_machine, create_user, event, furnish, grant, id, lifetime, machine, token, user, version,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    Sqlite,
    Postgres,
}

/// Tables of which the target has its own, or other rows.
const OWN: [&str; 3] = ["instance: ", "change_number: ", "schema_migrations: "];

/// The engines that there are.
pub(super) fn engines() -> Vec<Engine> {
    if std::env::var_os("STRONGROOM_TEST_POSTGRES").is_some() {
        vec![Engine::Sqlite, Engine::Postgres]
    } else {
        vec![Engine::Sqlite]
    }
}

/// Each from each.
pub(super) fn pairs() -> Vec<(Engine, Engine)> {
    let engines = engines();
    engines.iter().flat_map(|from| engines.iter().map(|to| (*from, *to))).collect()
}

/// A place for a database, which need not be there yet.
pub(super) struct Place {
    folder: tempfile::TempDir,
    postgres: Option<TestDatabase>,
}

impl Place {
    /// With nothing in it.
    pub(super) fn new(engine: Engine) -> Self {
        let postgres = (engine == Engine::Postgres).then(|| TestDatabase::create().unwrap());
        Self { folder: tempfile::tempdir().unwrap(), postgres }
    }

    /// With an instance that has rows in all tables, more than are copied at a time.
    pub(super) async fn filled(engine: Engine) -> Self {
        let World { metadata, folder, postgres, .. } = filled(Self::new(engine).postgres).await;
        // The last of it is in the file before another process takes it.
        metadata.flush().await.unwrap();
        Self { folder, postgres }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("metadata.db")
    }

    pub(super) fn location(&self) -> Location {
        match &self.postgres {
            Some(database) => Location::Postgres(Box::new(PostgresAddress::parse(&database.url(), None).unwrap())),
            None => Location::Sqlite(self.path()),
        }
    }

    /// As a server does it.
    pub(super) async fn open(&self) -> Metadata {
        match &self.postgres {
            Some(database) => connect(database.url()).await,
            None => Metadata::open(&self.path()).unwrap(),
        }
    }

    pub(super) fn behind(&self) -> Behind<'_> {
        match &self.postgres {
            Some(database) => Behind::Postgres(database),
            None => Behind::Sqlite(Connection::open(self.path()).unwrap()),
        }
    }

    /// All that is copied as it is.
    pub(super) fn dump(&self) -> Vec<String> {
        let rows = self.behind().dump().into_iter();
        rows.filter(|row| !OWN.iter().any(|table| row.starts_with(table))).collect()
    }

    pub(super) fn state(&self) -> String {
        let behind = self.behind();
        let states = ["live", "moving", "moved"];
        let is = |state: &&&str| behind.number(&format!("SELECT COUNT(*) FROM instance WHERE state = '{state}'")) == 1;
        states.iter().find(is).map_or("none", |state| *state).to_owned()
    }

    /// Whether it holds anything of an instance.
    pub(super) fn is_empty(&self) -> bool {
        if self.postgres.is_none() && !self.path().exists() {
            return true;
        }
        let behind = self.behind();
        behind
            .tables()
            .iter()
            .filter(|table| !["schema_migrations", "change_number", "subjects"].contains(&table.as_str()))
            .all(|table| behind.number(&format!("SELECT COUNT(*) FROM {table}")) == 0)
    }

    /// Waits until the server has noticed that a copying process is gone.
    pub(super) async fn abandoned(&self) {
        let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() \
            AND application_name = 'strongroom migrate-database'";
        while self.postgres.is_some() && self.behind().number(sql) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) async fn is_read_only(&self) -> bool {
        let metadata = self.open().await;
        let event = event("CREATE_USER");
        let written = create_user(&metadata, &user(&format!("{}@x.io", id::<uuid::Uuid>())), &event).await;
        match written {
            Ok(()) => false,
            Err(CommitError::ReadOnly) => true,
            Err(error) => panic!("{error}"),
        }
    }
}

pub(super) async fn copy(from: &Place, to: &Place) -> Result<CopyReport, CopyError> {
    copy_database(&from.location(), &to.location(), |_| {}).await
}

/// A process that ends when it comes to this phase.
pub(super) async fn killed(from: &Place, to: &Place, phase: Phase) {
    let (source, target) = (from.location(), to.location());
    let copying = copy_database(&source, &target, |progress| {
        if progress.phase == phase {
            std::panic::resume_unwind(Box::new("killed"));
        }
    });
    assert!(AssertUnwindSafe(copying).catch_unwind().await.is_err(), "it ended before {phase:?}");
    from.abandoned().await;
    to.abandoned().await;
}

async fn filled(postgres: Option<TestDatabase>) -> World {
    let is_postgres = postgres.is_some();
    let world = World::on(postgres).await;
    let metadata = &world.metadata;
    metadata.create_instance(&world.new).await.unwrap();
    let omega = user("ä-Ω-🗝@x.io");
    create_user(metadata, &omega, &event("CREATE_USER")).await.unwrap();
    let ci = machine("ci");
    let mut group = world.group("pay", &["A", "B", "C"]);
    group.grants = vec![grant(group.id, "team:everyone", GroupRole::Viewer)];
    metadata.create_group(&group).await.unwrap();
    create_machine(
        metadata,
        &ci,
        &token(2, SubjectKind::VirtualAccount, ci.id),
        &[grant(group.id, "virtualaccount:ci", GroupRole::Editor)],
        &event("X"),
    )
    .await
    .unwrap();
    furnish(metadata, group.id, &omega, &ci).await;
    let mut change = world.change(group.id, "pay", 1);
    let a = group.secrets[0].id;
    change.versions = vec![version(a, "A", 2)];
    change.ended = vec![a];
    change.began = vec![lifetime(a, "A", 2)];
    metadata.change_group(&change).await.unwrap();
    Box::pin(furnish_operations(&world, (group.id, "pay"), 2, group.secrets[1].id)).await;
    let behind = world.behind();
    let (empty, large) =
        if is_postgres { ("''::BYTEA", "decode(repeat('ab', 400000), 'hex')") } else { ("X''", "zeroblob(400000)") };
    behind.run(&format!(
        "UPDATE secret_versions SET sealed = {empty}, store_version = '' WHERE version = 2;
         UPDATE secret_versions SET sealed = NULL, gone_at = -1 WHERE id = (SELECT MAX(id) FROM secret_versions);
         UPDATE audit_events SET detail = '{{\"ü\":\"日本 \u{1f5dd} \u{fffd} \u{1}\"}}', revision = NULL
             WHERE id = (SELECT MIN(id) FROM audit_events);
         UPDATE tokens SET expires_at = NULL, revoked_at = {min} WHERE name = 'token' AND subject_type = 'user';
         INSERT INTO secret_versions SELECT secret_id, version + 10, id || '-', digest, store_version, {large},
             created_by, {max}, NULL FROM secret_versions;
         WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < 2400)
             INSERT INTO lifetimes SELECT '{group}', '{a}', i, i + 1, 2, 'A' FROM n;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
             INSERT INTO users SELECT 'u' || CAST(i AS TEXT), CAST(i AS TEXT), 'member', 1, i, i FROM n;",
        min = i64::MIN,
        max = i64::MAX,
        group = group.id,
    ));
    for table in behind.tables() {
        assert!(behind.number(&format!("SELECT COUNT(*) FROM {table}")) > 0, "{table} has no rows");
    }
    drop(behind);
    world
}
