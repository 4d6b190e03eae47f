//! Processes that end anywhere, writers that don't know, and rows that change on the way.

use std::collections::BTreeSet;

use strongroom_metadata::{CommitError, CopyError, Phase, Progress, copy_database, undo_copy};

use super::{Engine, Place, copy, engines, killed, pairs};
use crate::world::{create_user, event, user};

const BEFORE_THE_COMMIT: [Phase; 3] = [Phase::Marked, Phase::Copying, Phase::Comparing];

#[tokio::test]
async fn before_the_commit_nothing_is_there_and_a_second_run_begins_anew() {
    for (from, to) in pairs() {
        let (from, to) = (Place::filled(from).await, Place::new(to));
        let rows = from.dump();
        for phase in BEFORE_THE_COMMIT {
            killed(&from, &to, phase).await;
            assert_eq!(from.state(), "moving");
            assert!(from.is_read_only().await && to.is_empty(), "{phase:?}");
        }
        assert!(!copy(&from, &to).await.unwrap().was_complete);
        assert_eq!(from.dump(), rows);
        assert_eq!((from.state(), to.state()), ("moved".into(), "live".into()));
    }
}

#[tokio::test]
async fn before_the_commit_it_can_be_undone() {
    for (from, to) in pairs() {
        let (from, to) = (Place::filled(from).await, Place::new(to));
        let rows = from.dump();
        killed(&from, &to, Phase::Comparing).await;
        let other = Place::new(Engine::Sqlite);
        let refused = undo_copy(&from.location(), &other.location()).await;
        assert!(matches!(refused, Err(CopyError::Elsewhere { .. })), "{refused:?}");
        undo_copy(&from.location(), &to.location()).await.unwrap();
        assert_eq!((from.state(), from.dump()), ("live".into(), rows));
        assert!(!from.is_read_only().await);
        let refused = undo_copy(&from.location(), &to.location()).await;
        assert!(matches!(refused, Err(CopyError::NothingToUndo(_))), "{refused:?}");
        // And begun again.
        copy(&from, &to).await.unwrap();
        let refused = undo_copy(&from.location(), &to.location()).await;
        assert!(matches!(refused, Err(CopyError::TooLate { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn an_undo_makes_no_file() {
    let (from, to) = (Place::filled(Engine::Sqlite).await, Place::new(Engine::Sqlite));
    killed(&from, &to, Phase::Marked).await;
    std::fs::remove_file(to.path()).unwrap();
    undo_copy(&from.location(), &to.location()).await.unwrap();
    assert!(!to.path().exists());
}

#[tokio::test]
async fn after_the_commit_a_second_run_only_compares_and_marks() {
    for (from, to) in pairs() {
        let (from, to) = (Place::filled(from).await, Place::new(to));
        killed(&from, &to, Phase::Committed).await;
        assert_eq!((from.state(), to.state()), ("moving".into(), "live".into()));
        assert!(from.is_read_only().await);
        let refused = undo_copy(&from.location(), &to.location()).await;
        assert!(matches!(refused, Err(CopyError::Complete { .. })), "{refused:?}");
        let mut phases = BTreeSet::new();
        let note = |progress: Progress| _ = phases.insert(format!("{:?}", progress.phase));
        let report = copy_database(&from.location(), &to.location(), note).await.unwrap();
        assert!(report.was_complete);
        assert_eq!(phases.into_iter().collect::<Vec<_>>(), ["Committed", "Comparing", "Marked"]);
        assert_eq!((from.state(), to.state()), ("moved".into(), "live".into()));
    }
}

#[tokio::test]
async fn a_copy_that_a_server_has_written_to_is_not_the_same() {
    for (from, to) in pairs() {
        let (from, to) = (Place::filled(from).await, Place::new(to));
        killed(&from, &to, Phase::Committed).await;
        assert!(!to.is_read_only().await);
        let refused = copy(&from, &to).await;
        assert!(matches!(refused, Err(CopyError::Used { .. })), "{refused:?}");
        assert!(from.is_read_only().await);
    }
}

/// Every user that was acknowledged is in the copy; whoever comes later is told that nothing is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_loses_nothing_that_was_acknowledged() {
    for (from, to) in pairs() {
        let (from, to) = (Place::filled(from).await, Place::new(to));
        let (started, writing) = tokio::sync::oneshot::channel();
        let metadata = from.open().await;
        let writer = tokio::spawn(async move {
            let (mut kept, mut started) = (Vec::new(), Some(started));
            loop {
                let new = user(&format!("writer-{}@x.io", kept.len()));
                match create_user(&metadata, &new, &event("CREATE_USER")).await {
                    Ok(()) => kept.push(new.email),
                    Err(CommitError::ReadOnly) => return kept,
                    Err(error) => panic!("{error}"),
                }
                if kept.len() == 3
                    && let Some(started) = started.take()
                {
                    started.send(()).unwrap();
                }
            }
        });
        writing.await.unwrap();
        copy(&from, &to).await.unwrap();
        let kept = writer.await.unwrap();
        let there = to.behind().number("SELECT COUNT(*) FROM users WHERE email LIKE 'writer-%'");
        assert_eq!(usize::try_from(there).unwrap(), kept.len());
        let metadata = to.open().await;
        for email in kept {
            assert!(metadata.user_by_email(&email).await.unwrap().is_some(), "{email} was acknowledged");
        }
    }
}

/// One bit of one value is another one in the target.
#[tokio::test]
async fn a_row_that_changes_on_the_way_is_found() {
    for (from, to) in pairs() {
        let (from, to) = (Place::filled(from).await, Place::new(to));
        drop(to.open().await);
        match to.location() {
            strongroom_metadata::Location::Sqlite(_) => to.behind().run(
                "CREATE TRIGGER test_flip AFTER INSERT ON secret_versions WHEN new.version = 2 BEGIN
                 UPDATE secret_versions SET sealed = X'00' WHERE secret_id = new.secret_id AND version = 2; END",
            ),
            strongroom_metadata::Location::Postgres(_) => to.behind().run(
                "CREATE FUNCTION test_flip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF NEW.version = 2 THEN NEW.sealed = '\\x00'::BYTEA; END IF; RETURN NEW; END $$;
                 CREATE TRIGGER test_flip BEFORE INSERT ON secret_versions FOR EACH ROW EXECUTE FUNCTION test_flip()",
            ),
        }
        let refused = copy(&from, &to).await;
        assert!(
            matches!(refused, Err(CopyError::Differs { table: "secret_versions", rows, copied }) if rows == copied),
            "{refused:?}"
        );
        to.abandoned().await;
        assert!(to.is_empty());
        assert_eq!(from.state(), "moving");
    }
}

#[tokio::test]
async fn two_at_a_time_do_not_mix() {
    for engine in engines().into_iter().filter(|engine| *engine == Engine::Postgres) {
        let (from, to) = (Place::filled(engine).await, Place::new(engine));
        let (a, b) = tokio::join!(copy(&from, &to), copy(&from, &to));
        assert!(a.is_ok() || b.is_ok(), "{a:?} {b:?}");
        assert_eq!((from.state(), to.state()), ("moved".into(), "live".into()));
        assert_eq!(from.dump(), to.dump());
    }
}
