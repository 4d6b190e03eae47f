use futures_util::FutureExt;
use std::path::PathBuf;
use std::time::Duration;

use strongroom_domain::{EventId, Timestamp, UserId};

use super::*;
use crate::{AuditRow, Metadata, UserRow, audit, identity_change};

/// A writer's thread without the thread, so that a test decides which batches share a transaction.
struct World {
    thread: Thread,
    metadata: Metadata,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.db");
        let metadata = Metadata::open(&path).unwrap();
        let thread = thread(&path, super::super::open_writing(&path, OpenFlags::empty()).unwrap());
        Self { thread, metadata, path, _folder: folder }
    }

    fn pragma(&self, name: &str, value: i64) {
        let connection = self.thread.connection.as_ref().unwrap();
        connection.pragma_update_and_check(None, name, value, |_| Ok(())).unwrap();
    }

    /// Lets the database grow by `pages` and no more.
    fn room(&self, pages: i64) {
        let connection = self.thread.connection.as_ref().unwrap();
        let used: i64 = connection.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
        self.pragma("max_page_count", used + pages);
    }

    fn events(&self) -> Vec<String> {
        let connection = Connection::open(&self.path).unwrap();
        let mut statement = connection.prepare("SELECT request_id FROM audit_events ORDER BY request_id").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn users(&self) -> i64 {
        let connection = Connection::open(&self.path).unwrap();
        connection.query_row("SELECT COUNT(*) FROM users", [], |row| row.get(0)).unwrap()
    }
}

pub(super) fn thread(path: &Path, connection: Connection) -> Thread {
    let (stamps, grants) = (Arc::new(Stamps::new()), Arc::new(Grants::new()));
    Thread {
        connection: Some(connection),
        path: path.to_owned(),
        stats: Arc::default(),
        stamps,
        grants,
        keeps_grants: true,
    }
}

fn event(number: u32, size: usize) -> AuditRow {
    AuditRow {
        id: EventId::parse(&format!("0192f0c1-2b3c-7d4e-8f50-{number:012}")).unwrap(),
        at: Timestamp::from_micros(1),
        action: "A".into(),
        result: "success".into(),
        actor: serde_json::from_str(r#"{"id":"i","type":"user","slug":"s"}"#).unwrap(),
        token_id: None,
        address: String::new(),
        request_id: format!("{number:03}"),
        request_path: "/".into(),
        resource_type: "t".into(),
        resource_id: "r".into(),
        resource_name: "n".into(),
        resource_fqn: "f".into(),
        revision: None,
        detail: "x".repeat(size),
        mac_key: 1,
        mac: vec![1; 32],
    }
}

/// A batch of one INSERT, which runs without a savepoint.
fn lone(number: u32, size: usize) -> Batch {
    let mut batch = Batch::default();
    audit::insert(&mut batch, &event(number, size));
    batch
}

/// A batch of two statements, which runs in a savepoint.
fn pair(number: u32, size: usize) -> Batch {
    let mut batch = Batch::default();
    let at = Timestamp::from_micros(1);
    identity_change::insert_user(
        &mut batch,
        &UserRow {
            id: UserId::parse(&format!("0192f0c1-2b3c-7d4e-8f50-{number:012}")).unwrap(),
            email: format!("{number}@x.io"),
            tenant_role: strongroom_domain::role::TenantRole::Member.id().into(),
            active: true,
            created_at: at,
            updated_at: at,
        },
    );
    audit::insert(&mut batch, &event(number, size));
    batch
}

/// `.` committed, `F` full, `U` unavailable, `M` missed.
fn told(outcomes: &[Outcome]) -> String {
    let letter = |outcome: &Outcome| match outcome {
        Ok(()) => '.',
        Err(CommitError::StorageFull) => 'F',
        Err(CommitError::Unavailable(_)) => 'U',
        Err(CommitError::ReadOnly) => 'R',
        Err(CommitError::Missed { .. }) => 'M',
    };
    outcomes.iter().map(letter).collect()
}

#[test]
fn a_full_disk_fails_only_the_batch_that_does_not_fit() {
    for big in [lone as fn(u32, usize) -> Batch, pair] {
        let mut world = World::new();
        world.room(30);
        let batches = [pair(1, 10), lone(2, 10), big(3, 1_000_000), lone(4, 10), pair(5, 10)];
        assert_eq!(told(&world.thread.commit_all(&batches)), "..F..");
        assert_eq!(world.events(), ["001", "002", "004", "005"], "each neighbour once");
        assert_eq!(world.users(), 2, "nothing of the big batch");
        assert_eq!(world.thread.stats.reruns.load(Ordering::Relaxed), 1);
        assert_eq!(world.thread.stats.batches.load(Ordering::Relaxed), 4);
        // Reads go on, alone it doesn't fit either, and small ones do.
        assert_eq!(
            world.metadata.user_by_email("1@x.io").now_or_never().unwrap().unwrap().map(|user| user.active),
            Some(true)
        );
        assert_eq!(told(&world.thread.commit_all(&[big(3, 1_000_000)])), "F");
        assert_eq!(told(&world.thread.commit_all(&[lone(6, 10)])), ".");
        world.pragma("max_page_count", 1_000_000);
        assert_eq!(told(&world.thread.commit_all(&[big(3, 1_000_000), lone(7, 10)])), "..");
        assert_eq!(world.events(), ["001", "002", "003", "004", "005", "006", "007"]);
    }
}

#[test]
fn a_disk_without_any_room_answers_everyone_and_recovers() {
    let mut world = World::new();
    world.room(0);
    let batches: Vec<_> = (1..=8).map(|number| pair(number, 20_000)).collect();
    assert_eq!(told(&world.thread.commit_all(&batches)), "FFFFFFFF");
    assert_eq!((world.events().len(), world.users()), (0, 0));
    world.pragma("max_page_count", 1_000_000);
    assert_eq!(told(&world.thread.commit_all(&batches)), "........");
    assert_eq!((world.events().len(), world.users()), (8, 8));
}

/// Here the engine undoes one statement and keeps the transaction, so the writer itself must roll back.
#[test]
fn a_full_disk_that_leaves_the_transaction_open_rolls_the_neighbours_back_too() {
    static SPREAD: crate::sql::Sql =
        crate::sql::Sql::new("SPREAD", "UPDATE users SET email = email || hex(zeroblob(?1))");
    let mut world = World::new();
    assert_eq!(told(&world.thread.commit_all(&(1..=8).map(|n| pair(n, 1)).collect::<Vec<_>>())), "........");
    world.room(20);
    {
        let connection = world.thread.connection.as_ref().unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert!(connection.execute(SPREAD.text, [100_000]).is_err());
        assert!(!connection.is_autocommit(), "the case of this test: the transaction is still open");
        connection.execute_batch("ROLLBACK").unwrap();
    }
    let mut spread = Batch::default();
    spread.any(Guard::Fresh, &SPREAD, [100_000.into()]);
    spread.any(Guard::Fresh, &SPREAD, [1.into()]);
    assert_eq!(told(&world.thread.commit_all(&[lone(11, 1), spread, pair(12, 1)])), ".F.");
    assert_eq!(world.events().len(), 10);
    assert!(world.metadata.user_by_email("1@x.io").now_or_never().unwrap().unwrap().is_some(), "no user was renamed");
    assert!(world.thread.connection.as_ref().unwrap().is_autocommit());
}

#[test]
fn a_missed_guard_leaves_its_neighbours_in_the_transaction_alone() {
    let mut world = World::new();
    // The second 1 misses at its first statement, the second 2 at its last: after a user that must not stay.
    let mut late = pair(9, 1);
    late.steps[1] = lone(2, 1).steps.remove(0);
    let batches = [pair(1, 1), lone(2, 1), pair(1, 1), late, lone(2, 1), pair(3, 1)];
    assert_eq!(told(&world.thread.commit_all(&batches)), "..MMM.");
    assert_eq!((world.events().len(), world.users()), (3, 2));
    let stats = &world.thread.stats;
    assert_eq!((stats.transactions.load(Ordering::Relaxed), stats.reruns.load(Ordering::Relaxed)), (1, 0));
    assert_eq!(stats.batches.load(Ordering::Relaxed), 3);
}

#[test]
fn after_an_io_error_the_database_is_opened_again() {
    let mut world = World::new();
    world.thread.connection = None;
    let away = world.path.with_extension("away");
    std::fs::rename(&world.path, &away).unwrap();
    assert_eq!(told(&world.thread.commit_all(&[lone(1, 1), lone(2, 1)])), "UU");
    assert!(!world.path.exists(), "a lost database must not come back empty");
    std::fs::rename(&away, &world.path).unwrap();
    assert_eq!(told(&world.thread.commit_all(&[lone(1, 1), pair(1, 1), pair(2, 1)])), ".M.");
    assert_eq!((world.events().len(), world.users()), (2, 1));
}

/// What the connection believes of the file is wrong then: here its log was cut under it.
#[test]
fn an_io_error_takes_the_connection_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata.db");
    let mut connection = super::super::open_writing(&path, OpenFlags::SQLITE_OPEN_CREATE).unwrap();
    crate::migrations::sqlite::migrate(&mut connection, &path).unwrap();
    let mut thread = thread(&path, connection);
    assert_eq!(told(&[thread.truncate_log()]), ".");
    assert_eq!(told(&thread.commit_all(&[pair(1, 100_000)])), ".");
    thread.connection.as_ref().unwrap().execute_batch("PRAGMA shrink_memory").unwrap();
    std::fs::File::options().write(true).open(path.with_extension("db-wal")).unwrap().set_len(0).unwrap();
    assert_eq!(told(&thread.commit_all(&[pair(2, 1), lone(3, 1)])), "UU");
    assert!(thread.connection.is_none());
    assert_eq!(thread.stats.reruns.load(Ordering::Relaxed), 0, "the COMMIT may have reached the disk");
    assert_eq!(told(&thread.commit_all(&[pair(4, 1), lone(5, 1)])), "..");
}

#[test]
fn a_lock_held_elsewhere_is_waited_for_once_and_not_once_a_batch() {
    let mut world = World::new();
    world.thread.connection.as_ref().unwrap().busy_timeout(Duration::from_millis(100)).unwrap();
    let other = Connection::open(&world.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let begin = std::time::Instant::now();
    let batches: Vec<_> = (1..=50).map(|number| lone(number, 1)).collect();
    assert_eq!(told(&world.thread.commit_all(&batches)), "U".repeat(50));
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(told(&world.thread.commit_all(&batches)), ".".repeat(50));
}

#[test]
fn a_log_that_is_still_read_is_not_called_truncated() {
    let mut world = World::new();
    world.thread.connection.as_ref().unwrap().busy_timeout(Duration::from_millis(50)).unwrap();
    assert_eq!(told(&world.thread.commit_all(&[lone(1, 1)])), ".");
    let reader = Connection::open(&world.path).unwrap();
    reader.execute_batch("BEGIN; SELECT COUNT(*) FROM users").unwrap();
    assert_eq!(told(&world.thread.commit_all(&[lone(2, 1)])), ".");
    assert_eq!(told(&[world.thread.truncate_log()]), "U");
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(told(&[world.thread.truncate_log()]), ".");
    assert_eq!(std::fs::metadata(world.path.with_extension("db-wal")).unwrap().len(), 0);
}

#[test]
fn connections_are_set_up_as_the_promises_need() {
    let world = World::new();
    let writing = world.thread.connection.as_ref().unwrap();
    let reading = super::super::open_reading(&world.path).unwrap();
    let pragma = |connection: &Connection, name: &str| -> String {
        let shown = |row: &rusqlite::Row<'_>| row.get_ref(0).map(|value| value.as_i64().map(|n| n.to_string()));
        let number = connection.query_row(&format!("PRAGMA {name}"), [], shown).unwrap();
        number.unwrap_or_else(|_| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).unwrap())
    };
    for (name, value) in [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1"), ("secure_delete", "1")]
    {
        assert_eq!(pragma(writing, name), value, "{name}");
    }
    for connection in [writing, &reading] {
        for (name, value) in
            [("mmap_size", "0"), ("temp_store", "2"), ("trusted_schema", "0"), ("busy_timeout", "5000")]
        {
            assert_eq!(pragma(connection, name), value, "{name}");
        }
    }
    assert!(reading.execute("DELETE FROM users", []).is_err(), "who reads can't write");
}
