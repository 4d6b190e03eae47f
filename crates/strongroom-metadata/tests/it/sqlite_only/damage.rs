//! Damaged files are errors, never panics and never other values.

use std::path::{Path, PathBuf};

use rusqlite::Connection;
use strongroom_domain::subject::SubjectName;
use strongroom_domain::{GroupId, SecretId, UserId};
use strongroom_metadata::{
    AuditFilter, CommitError, GroupFilter, MachineKind, MachineRow, Metadata, Named, NamedRow, OpenError, OperationRow,
    Page, PurgeItem, ReadError, UserRow,
};

use crate::operations::furnish_operations;
use crate::world::{NOW, admin, create_user, event, furnish, member, purge, user};

/// A database at rest, in one file, with a row in every table.
struct Sample {
    bytes: Vec<u8>,
    living: GroupId,
    secrets: [SecretId; 2],
    admin: UserId,
    user: UserRow,
    machine: MachineRow,
    /// A team, a role, a binding and a provider.
    named: [NamedRow; 4],
    /// One undone, one done, one open.
    operations: [OperationRow; 3],
    folder: tempfile::TempDir,
}

/// Everything that there is.
const fn all<Id>() -> Page<Id> {
    Page { before: None, offset: 0, limit: 100 }
}

impl Sample {
    async fn new() -> Self {
        let world = crate::audit::stage().await;
        let living = world.metadata.group_by_name("living", &admin()).await.unwrap().unwrap();
        let trashed = world.metadata.deleted_secrets(admin(), 1).await.unwrap();
        let secrets = [living.secrets[0].id, trashed[0].id];
        let group = living.group.id;
        let raw = world.raw();
        for (email, role) in [("1@x.io", 10), ("2@x.io", 20)] {
            let sql = "INSERT INTO grants VALUES (?1, ?2, 'manifest', '', ?3, NULL)";
            raw.execute(sql, (group.to_string(), format!("user:{email}"), role)).unwrap();
        }
        let (bob, bot) = (user("1@x.io"), world.metadata.machine_by_name("old-bot").await.unwrap().unwrap());
        create_user(&world.metadata, &bob, &event("X")).await.unwrap();
        let named = furnish(&world.metadata, group, &bob, &bot).await;
        // Its future is large.
        let operations = Box::pin(furnish_operations(&world, (group, "living"), 2, secrets[0])).await;
        // Whatever may be null has a value somewhere.
        raw.execute_batch(
            "UPDATE tokens SET revoked_at = 1 WHERE subject_type <> 'user'; \
             UPDATE tokens SET signing_key = id WHERE subject_type = 'user'; \
             UPDATE audit_events SET token_id = id",
        )
        .unwrap();
        raw.execute("UPDATE secret_versions SET gone_at = 1 WHERE secret_id = ?1", [secrets[1].to_string()]).unwrap();
        world.metadata.scrub().await.unwrap();
        let bytes = std::fs::read(world.folder.path().join("metadata.db")).unwrap();
        let admin = world.new.admin.id;
        Self { bytes, living: group, secrets, admin, user: bob, machine: bot, named, operations, folder: world.folder }
    }

    /// A new file with these bytes.
    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(format!("{name}.db"));
        for file in [path.clone(), path.with_extension("db-wal"), path.with_extension("db-shm")] {
            let _ = std::fs::remove_file(file);
        }
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Runs every read there is, and gives back what failed.
    async fn read(&self, metadata: &Metadata) -> Vec<ReadError> {
        let (looks, bob) = (admin(), member("user:1@x.io"));
        let mut errors = vec![
            metadata.instance().await.err(),
            metadata.root_key_slots().await.err(),
            metadata.provider_accounts().await.err(),
            metadata.provider_integrations().await.err(),
            metadata.user_by_email("admin@x.io").await.err(),
            metadata.machine_by_name("old-bot").await.err(),
            metadata.token(&[1; 32]).await.err(),
            metadata.token(&[2; 32]).await.err(),
            metadata.group_by_name("living", &bob).await.err(),
            metadata.group_ref_by_name("living", &bob).await.err(),
            metadata.group_sealed(self.living, &bob).await.err(),
            metadata.secret_by_name("living", "A", None, &bob).await.err(),
            metadata.revisions(self.living, 0, 100).await.err(),
            metadata.current_at(self.living, 1).await.err(),
            metadata.due_for_purge(NOW.plus_days(99), 100).await.err(),
            metadata.deleted_groups(looks.clone(), 100).await.err(),
            metadata.deleted_secrets(looks.clone(), 100).await.err(),
            metadata.audit_events(AuditFilter::default(), 0, 100).await.err(),
            metadata.secret_page(looks.clone(), None, all(), Some(usize::MAX)).await.err(),
            metadata.secret_page(bob.clone(), None, all(), None).await.err(),
        ];
        errors.push(metadata.group_page(looks.clone(), GroupFilter::default(), all()).await.err());
        errors.push(metadata.group_page(bob, GroupFilter { search: "a".into() }, all()).await.err());
        errors.extend(self.read_identities(metadata).await);
        errors.extend(self.read_operations(metadata).await);
        for id in self.secrets {
            errors.push(metadata.secret(id, &looks, 100).await.err());
            errors.push(metadata.secret_versions(id, 0, 100).await.err());
        }
        let errors: Vec<_> = errors.into_iter().flatten().collect();
        // A panic on a thread of its own comes back as a lost thread.
        assert!(!errors.iter().any(|error| matches!(error, ReadError::Lost)));
        errors
    }

    /// Those of who may do what, by names that are known from before the damage.
    async fn read_identities(&self, metadata: &Metadata) -> Vec<Option<ReadError>> {
        let mut errors = vec![
            metadata.signing_keys().await.err(),
            metadata.invitation(&[0x80; 32]).await.err(),
            metadata.mapped_subject(&self.named[3].id, "ä sub").await.err(),
            metadata.user(self.user.id).await.err(),
            metadata.user_page("", true, all()).await.err(),
            metadata.count_admins().await.err(),
            metadata.tokens_of(&self.admin.to_string()).await.err(),
            metadata.tokens_of(&self.machine.id.to_string()).await.err(),
            metadata.machine(self.machine.id).await.err(),
            metadata.machine_page(MachineKind::VirtualAccount, "", all()).await.err(),
            metadata.due_rotations(NOW.plus_days(99), 100).await.err(),
            metadata.role_uses("own").await.err(),
            metadata.roles_on("team", &self.named[0].id).await.err(),
            metadata.grants_on(self.living).await.err(),
            metadata.group_grants_of("team:devs").await.err(),
        ];
        for subject in ["user:1@x.io", "user:admin@x.io", "virtualaccount:old-bot", "team:devs"] {
            let subject = SubjectName::parse(subject).unwrap();
            errors.push(metadata.subject(&subject).await.err());
            errors.push(metadata.memberships(&subject).await.err());
            errors.push(metadata.grants_on_for(self.living, subject.as_str()).await.err());
        }
        let kinds = [Named::Team, Named::Role, Named::RoleBinding, Named::IdentityProvider];
        for (what, row) in kinds.into_iter().zip(&self.named) {
            errors.push(metadata.named(what, &row.id).await.err());
            errors.push(metadata.named_by_name(what, &row.name).await.err());
            errors.push(metadata.named_page(what, "", all()).await.err());
        }
        for managers in [false, true] {
            errors.push(metadata.team_people("team:devs", managers, 0, 100).await.err());
        }
        errors
    }

    /// Those of writes over two systems.
    async fn read_operations(&self, metadata: &Metadata) -> Vec<Option<ReadError>> {
        let later = NOW.plus_days(99);
        let mut errors = vec![
            metadata.due_operations(later, 100).await.err(),
            metadata.open_operation(self.operations[2].group_id).await.err(),
            metadata.claiming_operation("claimed").await.err(),
            metadata.taken_names("here", "live/").await.err(),
            metadata.due_entries(later, later, 100).await.err(),
            metadata.leftovers(later, None, 100).await.err(),
            metadata.has_trash(self.living).await.err(),
        ];
        for operation in &self.operations {
            errors.push(metadata.operation(operation.id).await.err());
            errors.push(metadata.puts_of(operation.id).await.err());
        }
        errors
    }

    /// Reads and writes a file that may be damaged; whatever comes of it, nobody panics. Says whether all went well.
    async fn survives(&self, path: &Path) -> bool {
        let Ok(metadata) = Metadata::open(path) else { return false };
        let errors = self.read(&metadata).await;
        let mut fine = errors.is_empty();
        let item = PurgeItem::Secret {
            id: self.secrets[1],
            key: "B".into(),
            group_id: self.living,
            group_name: "living".into(),
        };
        let told = event("PURGE");
        for outcome in [
            create_user(&metadata, &user("new@x.io"), &event("X")).await,
            purge(&metadata, &item, NOW.plus_days(99), &told).await,
            metadata.scrub().await,
            metadata.record(event("X")).await,
        ] {
            fine &= outcome.is_ok();
            alive(&outcome);
        }
        fine
    }
}

/// A panic of the writer shows as a writer that has stopped.
pub(super) fn alive(outcome: &Result<(), CommitError>) {
    if let Err(CommitError::Unavailable(text)) = outcome {
        assert_ne!(text, "the writer has stopped");
    }
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_alone() {
    let sample = Box::pin(Sample::new()).await;
    let mut other = sample.bytes.clone();
    other[..16].copy_from_slice(b"Some other file\0");
    let cases: [(&str, Vec<u8>); 4] = [
        ("text", b"not a database\n".repeat(1_000)),
        ("zeros", vec![0; 8_192]),
        ("half-a-header", sample.bytes[..50].to_vec()),
        ("other-magic", other),
    ];
    for (name, bytes) in cases {
        let path = sample.write(name, &bytes);
        let error = Metadata::open(&path).err().unwrap_or_else(|| panic!("{name} was opened"));
        assert!(matches!(&error, OpenError::Engine { .. }), "{error}");
        assert!(error.to_string().contains(name), "the error names the file: {error}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{name} was written to");
    }
    assert!(Metadata::open(sample.folder.path()).is_err(), "a folder");
    assert!(Metadata::open(&sample.folder.path().join("no/such/folder/x.db")).is_err());
}

#[tokio::test]
async fn a_file_that_was_cut_is_an_error() {
    let sample = Box::pin(Sample::new()).await;
    assert!(sample.survives(&sample.write("whole", &sample.bytes)).await);
    let length = sample.bytes.len();
    assert!(length > 100_000, "{length}");
    for page in 1..length / 4_096 {
        for cut in [page * 4_096, page * 4_096 - 100] {
            assert!(!sample.survives(&sample.write("cut", &sample.bytes[..cut])).await, "cut at {cut}");
        }
    }
    // The end of the last page reads as zeros, which only a MAC can tell from what was there.
    for cut in [length - 1, length - 4_095] {
        sample.survives(&sample.write("cut", &sample.bytes[..cut])).await;
    }
}

#[tokio::test]
async fn flipped_bits_never_end_in_a_panic() {
    let sample = Box::pin(Sample::new()).await;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 32).unwrap()
    };
    let mut refused = 0;
    for round in 0..120 {
        let mut bytes = sample.bytes.clone();
        // Mostly in the first bytes of a page, where its structure is described.
        let page = random() % (bytes.len() / 4_096) * 4_096;
        let at = page + random() % if round % 3 == 0 { 4_096 } else { 24 };
        bytes[at] ^= 1 << (random() % 8);
        refused += u32::from(!sample.survives(&sample.write("flipped", &bytes)).await);
    }
    assert!(refused > 8, "only {refused} of the flips were felt");
}

/// Columns by which rows are found: what they linked is missing then, which the MAC over a revision or the order of the
/// sealed events shows.
const LINKS: &[&str] = &[
    "audit_events.at",
    "grants.group_id",
    "group_revisions.group_id",
    "identity_mappings.provider_id",
    "identity_mappings.value",
    "invitations.hash",
    "lifetimes.from_revision",
    "lifetimes.group_id",
    "provider_integrations.account_id",
    "secret_groups.name_search",
    "secrets.group_id",
    "secrets.key_search",
    "team_managers.member",
    "team_members.member",
    "tokens.subject_id",
];

/// The same of what is in outer stores. An entry stays there that isn't found, and a name that passes for free is refused
/// by the store, where it is only ever made new. What an operation flips is sealed apart from its puts.
const OUTER_LINKS: &[&str] = &[
    "operation_puts.operation_id",
    "store_entries.group_id",
    "store_entries.name",
    "store_entries.remove_at",
    "store_entries.target",
    "store_entries.tried_at",
];

/// Columns that no read gives back.
const UNREAD: &[&str] = &[
    "audit_events.actor_slug",
    "group_revisions.integration_id",
    "invitations.created_at",
    "operations.holder",
    "roles.resource_type",
    "store_entries.problem",
];

/// A field of another type than the column's is an error that names the statement.
#[tokio::test]
async fn a_field_of_another_type_is_an_error() {
    let sample = Box::pin(Sample::new()).await;
    let raw = Connection::open(sample.write("schema", &sample.bytes)).unwrap();
    let mut silent = Vec::new();
    // What only PostgreSQL's replicas and jobs look at is left out.
    let left_out = ["schema_migrations", "batches", "change_number", "leases", "grant_number", "grant_changes"];
    for table in crate::sqlite_only::tables(&raw).into_iter().filter(|table| !left_out.contains(&table.as_str())) {
        let mut columns = raw.prepare(&format!("SELECT name, type FROM pragma_table_info('{table}')")).unwrap();
        let columns = columns.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let columns: Vec<(String, String)> = columns.map(Result::unwrap).collect();
        for (column, kind) in columns {
            if (table.as_str(), column.as_str()) == ("instance", "id") {
                continue;
            }
            // Unlike before in every row, and unlike each other where they were.
            let wrong = match kind.as_str() {
                "TEXT" => format!("CAST({column} AS BLOB)"),
                "INTEGER" => format!("'x' || {column}"),
                _ => format!("CASE WHEN {column} IS NULL THEN NULL ELSE hex({column}) END"),
            };
            let path = sample.write("field", &sample.bytes);
            let damaged = Connection::open(&path).unwrap();
            damaged
                .execute_batch(&format!("PRAGMA foreign_keys = OFF; UPDATE {table} SET {column} = {wrong}"))
                .unwrap();
            drop(damaged);
            let metadata = Metadata::open(&path).unwrap();
            let errors = sample.read(&metadata).await;
            assert!(
                errors.iter().all(|error| matches!(error, ReadError::Damaged { .. })),
                "{table}.{column}: {errors:?}"
            );
            if errors.is_empty() {
                silent.push(format!("{table}.{column}"));
            }
        }
    }
    silent.sort_unstable();
    let mut expected = [LINKS, OUTER_LINKS, UNREAD].concat();
    expected.sort_unstable();
    assert_eq!(silent, expected);
}

/// A field of the right type that can't mean anything.
#[tokio::test]
async fn a_field_without_a_meaning_is_an_error() {
    let sample = Box::pin(Sample::new()).await;
    let cases = [
        ("secret_groups.data_key_kek", "-1"),
        ("secret_groups.data_key_kek", "4294967296"),
        ("audit_events.mac_key", "-1"),
        ("audit_events.mac_key", "9223372036854775807"),
        ("root_key_slots.key_id", "-9223372036854775808"),
        ("grants.role", "0"),
        ("grants.role", "4"),
        ("grants.role", "25"),
        ("virtual_accounts.kind", "'robot'"),
        ("tokens.purpose", "'fun'"),
        ("tokens.signing_key", "'x'"),
        ("subjects.name", "'nobody' || id"),
        ("identity_mappings.subject", "'robot:1'"),
        ("invitations.id", "'x'"),
        ("signing_keys.kek", "-1"),
        ("teams.created_by", "'{}'"),
        ("role_bindings.created_by", "''"),
        ("tokens.subject_type", "'alien'"),
        ("tokens.id", "'x'"),
        ("provider_accounts.created_by", "'{}'"),
        ("provider_accounts.credentials_kek", "-1"),
        ("operations.state", "'gone'"),
        ("operations.actor", "'{}'"),
        ("operations.group_id", "'x' || id"),
        ("operation_puts.state", "'gone'"),
        ("store_entries.integration_id", "'x'"),
        ("secrets.created_by", "''"),
        ("secret_versions.created_by", "'[]'"),
        ("audit_events.actor", "'null'"),
        ("group_revisions.actor", "'{'"),
        ("virtual_accounts.created_by", "'{\"id\":1}'"),
        ("secret_groups.manifest", "CAST(x'ff' AS TEXT)"),
        ("secrets.key", "CAST(x'ff' || id AS TEXT)"),
        ("audit_events.detail", "CAST(x'c080' AS TEXT)"),
    ];
    for (field, value) in cases {
        let (table, column) = field.split_once('.').unwrap();
        let path = sample.write("meaning", &sample.bytes);
        Connection::open(&path)
            .unwrap()
            .execute_batch(&format!("PRAGMA foreign_keys = OFF; UPDATE OR IGNORE {table} SET {column} = {value}"))
            .unwrap();
        let errors = sample.read(&Metadata::open(&path).unwrap()).await;
        assert!(!errors.is_empty(), "{field} = {value}");
        assert!(errors.iter().all(|error| matches!(error, ReadError::Damaged { .. })), "{field}: {errors:?}");
    }
}

/// A role that is none must never pass for another, or for none.
#[tokio::test]
async fn a_damaged_role_is_an_error_wherever_it_is_read() {
    let sample = Box::pin(Sample::new()).await;
    let path = sample.write("role", &sample.bytes);
    Connection::open(&path).unwrap().execute_batch("UPDATE grants SET role = 99").unwrap();
    let metadata = Metadata::open(&path).unwrap();
    let bob = member("user:1@x.io");
    let groups = Page { before: None, offset: 0, limit: 9 };
    let secrets = Page { before: None, offset: 0, limit: 9 };
    let outcomes = [
        metadata.group(sample.living, &bob).await.err(),
        metadata.group_sealed(sample.living, &bob).await.err(),
        metadata.group_by_name("living", &bob).await.err(),
        metadata.group_ref_by_name("living", &bob).await.err(),
        metadata.group_page(bob.clone(), GroupFilter::default(), groups).await.err(),
        metadata.secret(sample.secrets[0], &bob, 9).await.err(),
        metadata.secret_by_name("living", "A", None, &bob).await.err(),
        metadata.secret_page(bob.clone(), None, secrets, None).await.err(),
        metadata.deleted_secrets(bob, 9).await.err(),
    ];
    for (at, outcome) in outcomes.iter().enumerate() {
        assert!(matches!(outcome, Some(ReadError::Damaged { .. })), "{at}: {outcome:?}");
    }
}

/// The file is overwritten under the running server.
#[tokio::test]
async fn damage_under_a_running_server_is_an_error() {
    let sample = Box::pin(Sample::new()).await;
    let path = sample.write("running", &sample.bytes);
    let metadata = Metadata::open(&path).unwrap();
    assert!(sample.read(&metadata).await.is_empty());
    let mut bytes = sample.bytes.clone();
    bytes[4_096..].fill(0xaa);
    std::fs::write(&path, &bytes).unwrap();
    // A new connection, which has no page of the file in memory yet, reads the schema and then nonsense.
    let fresh = Connection::open(&path).unwrap();
    assert!(fresh.query_row("SELECT COUNT(*) FROM audit_events", [], |row| row.get::<_, i64>(0)).is_err());
    sample.read(&metadata).await;
    for _ in 0..3 {
        alive(&metadata.record(event("X")).await);
    }
    drop(metadata);
    assert!(!sample.survives(&path).await, "nor does the next start");
}
