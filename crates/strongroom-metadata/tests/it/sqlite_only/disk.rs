//! A disk that fails takes nothing that was acknowledged.

use std::process::Command;

use strongroom_metadata::{AuditFilter, AuditRow, CommitError, GroupCreation, Metadata};

use super::damage::alive;
use crate::world::{World, admin, event};

const DISK: &str = "STRONGROOM_TEST_DISK";

/// Runs one of the tests below that are ignored in a process of its own: `start` begins its command line.
fn in_a_process(test: &str, start: &[&str]) {
    let disk = tempfile::tempdir().unwrap();
    let output = Command::new(start[0])
        .args(&start[1..])
        .arg("start")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env(DISK, disk.path())
        .env("TMPDIR", disk.path())
        .output()
        .unwrap();
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

/// Whether this process was started by `in_a_process`.
fn on_a_disk_of_its_own() -> bool {
    std::env::var_os(DISK).is_some()
}

/// Small batches around a big one, all in one transaction; gives the big one's outcome and the others'.
async fn around_a_big_one(
    world: &World,
    big: usize,
) -> (Result<(), CommitError>, Vec<(AuditRow, Result<(), CommitError>)>) {
    let lock = world.raw();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let before = world.metadata.writer_stats();
    let mut tasks = Vec::new();
    for number in 0..41 {
        let mut new = event("SHARED");
        if number == 20 {
            new.detail = "x".repeat(big);
        }
        let metadata = world.metadata.clone();
        let group = GroupCreation { event: new.clone(), ..world.group(&new.id.to_string(), &[]) };
        tasks.push(tokio::spawn(async move {
            // Half run in a savepoint, half without.
            let outcome =
                if number % 2 == 0 { metadata.create_group(&group).await } else { metadata.record(new.clone()).await };
            (new, outcome)
        }));
    }
    // On this runtime's one thread the others run now until each waits for its answer.
    tokio::task::yield_now().await;
    lock.execute_batch("ROLLBACK").unwrap();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    assert_eq!(outcomes.len(), 41);
    assert!(world.metadata.writer_stats().transactions >= before.transactions);
    let (_, of_big) = outcomes.remove(20);
    (of_big, outcomes)
}

/// Writes until the disk refuses, and says how; what was acknowledged goes to `kept`.
async fn write_until_refused(world: &World, size: usize, kept: &mut Vec<AuditRow>) -> CommitError {
    loop {
        let mut new = event("FILL");
        new.detail = "x".repeat(size);
        match world.metadata.record(new.clone()).await {
            Ok(()) => kept.push(new),
            Err(error) => break error,
        }
        assert!(kept.len() < 10_000, "this disk never fills");
    }
}

/// Every acknowledged event is there, whole, and nothing else; so is every group that came with one.
async fn all_there(metadata: &Metadata, kept: &[AuditRow], refused: &[AuditRow]) {
    let (events, _) = metadata.audit_events(AuditFilter::default(), 0, i64::MAX).await.unwrap();
    let of_test: Vec<_> = events.iter().filter(|event| ["SHARED", "FILL"].contains(&event.action.as_str())).collect();
    for event in kept {
        assert!(of_test.contains(&event), "acknowledged and lost: {}", event.id);
    }
    assert_eq!(of_test.len(), kept.len());
    for event in refused {
        assert!(!events.contains(event));
        assert!(!metadata.group_name_taken(&event.id.to_string()).await.unwrap(), "half of a batch");
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that was skipped must say so")]
fn a_full_disk() {
    let mount = "mount -t tmpfs -o size=16m none \"$TMPDIR\" && exec \"$@\"";
    let ways: [&[&str]; 2] =
        [&["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"], &["unshare", "--mount", "sh", "-c"]];
    let way = ways.into_iter().find(|way| {
        let mut trial = Command::new(way[0]);
        let trial = trial.args(&way[1..]).arg("mount -t tmpfs none /tmp").output();
        trial.is_ok_and(|output| output.status.success())
    });
    let Some(way) = way else {
        eprintln!("skipped: no disk can be made here; the writer's own tests bound the database's pages instead");
        return;
    };
    in_a_process("sqlite_only::disk::on_a_full_disk", &[way, &[mount]].concat());
}

#[tokio::test]
#[ignore = "needs a disk of its own: run by a_full_disk"]
async fn on_a_full_disk() {
    if !on_a_disk_of_its_own() {
        return;
    }
    let world = World::started().await;
    let group = world.create("g", &["A", "B"], &[]).await;
    let filler = world.folder.path().join("filler");
    let mut size = 0;
    while std::fs::write(&filler, vec![1; size + 500_000]).is_ok() {
        size += 500_000;
    }
    // Room for each of the small ones in a transaction of its own, and not for the big one.
    std::fs::write(&filler, vec![1; size - 2_500_000]).unwrap();

    let (big, others) = around_a_big_one(&world, 6_000_000).await;
    assert!(matches!(big, Err(CommitError::StorageFull)), "{big:?}");
    let mut kept = Vec::new();
    for (event, outcome) in others {
        outcome.unwrap();
        kept.push(event);
    }
    assert_eq!(world.metadata.writer_stats().reruns, 1);
    all_there(&world.metadata, &kept, &[]).await;

    let error = write_until_refused(&world, 20_000, &mut kept).await;
    assert!(matches!(error, CommitError::StorageFull), "{error}");
    let mut refused = Vec::new();
    for _ in 0..3 {
        let mut big = event("SHARED");
        big.detail = "x".repeat(50_000);
        let new = GroupCreation { event: big.clone(), ..world.group(&big.id.to_string(), &[]) };
        let outcome = world.metadata.create_group(&new).await;
        assert!(matches!(outcome, Err(CommitError::StorageFull)), "{outcome:?}");
        refused.push(big);
        // Reads go on.
        let state = world.metadata.group_sealed(group.id, &admin()).await.unwrap().unwrap();
        assert!(state.secrets.iter().all(|secret| secret.sealed.is_some()));
    }
    all_there(&world.metadata, &kept, &refused).await;

    // Space comes back, and nothing needs to be opened again.
    std::fs::remove_file(&filler).unwrap();
    let (big, others) = around_a_big_one(&world, 1_000_000).await;
    big.unwrap();
    for (event, outcome) in others {
        outcome.unwrap();
        kept.push(event);
    }
    world.metadata.scrub().await.unwrap();
    let (_, total) = world.metadata.audit_events(AuditFilter::default(), 0, 0).await.unwrap();
    assert_eq!(usize::try_from(total).unwrap(), kept.len() + 3, "the first start, the group, and the big one");
    let check: String = world.raw().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[test]
fn a_disk_with_errors() {
    // A file may not grow beyond about two megabytes; SQLite sees that as an I/O error.
    in_a_process(
        "sqlite_only::disk::on_a_disk_with_errors",
        &["sh", "-c", "trap '' XFSZ; ulimit -f 4096; exec \"$@\""],
    );
}

#[tokio::test]
#[ignore = "needs a limit on its files: run by a_disk_with_errors"]
async fn on_a_disk_with_errors() {
    if !on_a_disk_of_its_own() {
        return;
    }
    let world = World::started().await;
    let group = world.create("g", &["A", "B"], &[]).await;
    let reads = async || {
        let state = world.metadata.group_sealed(group.id, &admin()).await.unwrap().unwrap();
        assert!(state.secrets.iter().all(|secret| secret.sealed.is_some()));
    };
    reads().await;
    let unavailable = |outcome: &Result<(), CommitError>| {
        alive(outcome);
        assert!(matches!(outcome, Err(CommitError::Unavailable(_))), "{outcome:?}");
    };
    // The error comes at the COMMIT that all share. Whether it reached the disk can't be known, so nothing runs again.
    let (big, others) = around_a_big_one(&world, 5_000_000).await;
    unavailable(&big);
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    for (event, outcome) in others {
        if outcome.is_ok() {
            kept.push(event);
        } else {
            unavailable(&outcome);
            refused.push(event);
        }
    }
    // Those that came before the lock was seen may have had a transaction of their own.
    assert!(!refused.is_empty());
    assert_eq!(world.metadata.writer_stats().reruns, 0);
    reads().await;
    all_there(&world.metadata, &kept, &refused).await;

    for _ in 0..2 {
        // The next one opens the database again and is written.
        let error = write_until_refused(&world, 2_000, &mut kept).await;
        unavailable(&Err(error));
        reads().await;
        all_there(&world.metadata, &kept, &refused).await;
        // An emptied log has room again.
        world.metadata.scrub().await.unwrap();
        for _ in 0..5 {
            let new = event("SHARED");
            world.metadata.record(new.clone()).await.unwrap();
            kept.push(new);
        }
    }
    all_there(&world.metadata, &kept, &refused).await;
    let again = Metadata::open(&world.folder.path().join("metadata.db")).unwrap();
    all_there(&again, &kept, &refused).await;
    let check: String = world.raw().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}
