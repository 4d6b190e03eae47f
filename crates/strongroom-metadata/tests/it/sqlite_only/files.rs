//! The files themselves.

use strongroom_metadata::{AuditFilter, Metadata};

use crate::audit::{WRITES, stage};
use crate::world::{World, event};

/// What was answered is in the files at that moment: a copy of them holds it, as after a `kill -9`.
#[tokio::test]
async fn what_was_answered_is_in_the_files() {
    let world = stage().await;
    for (name, write) in WRITES {
        let new = event(name);
        write(&world, new.clone()).await.unwrap();
        let copy = tempfile::tempdir().unwrap();
        for file in ["metadata.db", "metadata.db-wal"] {
            std::fs::copy(world.folder.path().join(file), copy.path().join(file)).unwrap();
        }
        let copied = Metadata::open(&copy.path().join("metadata.db")).unwrap();
        let (newest, _) = copied.audit_events(AuditFilter::default(), 0, 1).await.unwrap();
        assert_eq!(newest, [new], "{name}");
    }
}

#[tokio::test]
async fn the_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::started().await;
    let files = std::fs::read_dir(world.folder.path()).unwrap().map(Result::unwrap);
    let files = files.filter(|file| file.file_type().unwrap().is_file()).collect::<Vec<_>>();
    assert!(files.len() >= 3, "the database, its log and the log's index");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
}
