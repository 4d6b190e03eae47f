//! What is refused, and that nothing was changed then.

use std::path::PathBuf;

use strongroom_metadata::{CopyError, Location, Metadata, OpenError, Phase, copy_database, undo_copy};

use crate::behind::Behind;

use super::{Engine, Place, copy, engines, killed, pairs};

#[tokio::test]
async fn another_schema_than_this_releases() {
    for engine in engines() {
        let (from, to) = (Place::filled(engine).await, Place::new(Engine::Sqlite));
        let behind = from.behind();
        behind.run("INSERT INTO schema_migrations VALUES (99, 'x')");
        let refused = copy(&from, &to).await;
        assert!(matches!(refused, Err(CopyError::Open(OpenError::NewerSchema { found: 99, .. }))), "{refused:?}");
        behind.run("DELETE FROM schema_migrations WHERE version > 1");
        let refused = copy(&from, &to).await;
        assert!(matches!(refused, Err(CopyError::OlderSchema { found: 1, .. })), "{refused:?}");
        behind.run("UPDATE schema_migrations SET checksum = 'x'");
        let refused = copy(&from, &to).await;
        assert!(matches!(refused, Err(CopyError::Open(OpenError::AlteredMigration { .. }))), "{refused:?}");
        assert_eq!((from.state(), to.path().exists()), ("live".into(), false));
    }
}

#[tokio::test]
async fn a_source_without_an_instance() {
    for engine in engines() {
        let (from, to) = (Place::new(engine), Place::new(Engine::Sqlite));
        let refused = copy(&from, &to).await;
        assert!(matches!(refused, Err(CopyError::NoFile(_) | CopyError::NoInstance(_))), "{refused:?}");
        drop(from.open().await);
        let refused = copy(&from, &to).await;
        assert!(matches!(refused, Err(CopyError::NoInstance(_))), "{refused:?}");
        assert!(!to.path().exists());
    }
}

#[tokio::test]
async fn a_target_that_is_not_empty() {
    for (from, to) in pairs() {
        let (from, to) = (Place::filled(from).await, Place::filled(to).await);
        let (here, there) = (from.dump(), to.dump());
        let refused = copy(&from, &to).await;
        assert!(matches!(refused, Err(CopyError::NotEmpty { .. })), "{refused:?}");
        assert_eq!((from.dump(), to.dump()), (here, there));
        // Without its instance it is still no empty one.
        to.behind().run("DELETE FROM instance");
        let refused = copy(&from, &to).await;
        assert!(
            matches!(&refused, Err(CopyError::NotEmpty { what, .. }) if what == "rows in the table root_key_slots"),
            "{refused:?}"
        );
        assert_eq!((from.state(), to.state()), ("live".into(), "none".into()));
        assert!(!from.is_read_only().await);
    }
}

#[tokio::test]
async fn a_file_of_something_else() {
    let (from, to) = (Place::filled(Engine::Sqlite).await, Place::new(Engine::Sqlite));
    let other = rusqlite::Connection::open(to.path()).unwrap();
    other.execute_batch("CREATE TABLE songs (name TEXT)").unwrap();
    drop(other);
    for content in [std::fs::read(to.path()).unwrap(), b"my diary, which is no database at all".to_vec()] {
        std::fs::write(to.path(), &content).unwrap();
        let refused = copy(&from, &to).await;
        assert!(matches!(refused, Err(CopyError::NotEmpty { .. })), "{refused:?}");
        assert_eq!(std::fs::read(to.path()).unwrap(), content);
    }
    assert_eq!(from.state(), "live");
}

#[tokio::test]
async fn what_was_moved_or_is_being_moved_elsewhere() {
    for (from, to) in pairs() {
        let (from, to, other) = (Place::filled(from).await, Place::new(to), Place::new(Engine::Sqlite));
        killed(&from, &to, Phase::Copying).await;
        let refused = copy(&from, &other).await;
        assert!(matches!(&refused, Err(CopyError::Elsewhere { to: noted, .. }) if *noted == to.location().shown()));
        copy(&from, &to).await.unwrap();
        for to in [&to, &other] {
            let refused = copy(&from, to).await;
            assert!(matches!(refused, Err(CopyError::Moved { .. })), "{refused:?}");
        }
        // Back only to a new one.
        let refused = copy(&to, &from).await;
        assert!(matches!(refused, Err(CopyError::NotEmpty { .. })), "{refused:?}");
        assert_eq!((from.state(), to.state()), ("moved".into(), "live".into()));
        copy(&to, &other).await.unwrap();
    }
}

#[tokio::test]
async fn places_that_are_not_there() {
    let from = Place::filled(Engine::Sqlite).await;
    let nowhere = Location::Sqlite(PathBuf::from("/nowhere/at/all.db"));
    for refused in [
        copy_database(&from.location(), &nowhere, |_| {}).await.map(drop),
        copy_database(&nowhere, &from.location(), |_| {}).await.map(drop),
        undo_copy(&nowhere, &from.location()).await,
    ] {
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("/nowhere/at/all.db"), "{refused}");
    }
    assert_eq!(from.state(), "live");
    drop(Metadata::open(&from.path()).unwrap());
}
/// By any process, in any table; but for batches, by which a replica finds out what became of its last one.
#[tokio::test]
async fn every_kind_of_write_to_every_table() {
    for engine in engines() {
        let (from, to) = (Place::filled(engine).await, Place::new(Engine::Sqlite));
        from.behind().run("INSERT INTO leases VALUES ('purge', 'holder', 1, 1)");
        let tables: Vec<String> =
            from.behind().tables().into_iter().chain(["leases", "grant_number"].map(str::to_owned)).collect();
        assert_eq!(tables.len(), 32);
        for phase in ["moving", "moved"] {
            match phase {
                "moving" => killed(&from, &to, Phase::Copying).await,
                _ => drop(copy(&from, &to).await.unwrap()),
            }
            assert_eq!(from.state(), phase);
            for table in &tables {
                let column = first_column(&from, table);
                for write in [
                    format!("INSERT INTO {table} SELECT * FROM {table}"),
                    format!("UPDATE {table} SET {column} = {column}"),
                    format!("DELETE FROM {table}"),
                ] {
                    let refused = from.behind().try_run(&write).expect_err(&write);
                    assert!(refused.contains("takes no writes"), "{write}: {refused}");
                }
            }
            from.behind().run("INSERT INTO batches VALUES ('claimed', 0, 1); DELETE FROM batches");
        }
    }
}

fn first_column(place: &Place, table: &str) -> String {
    match place.behind() {
        Behind::Sqlite(connection) => {
            let sql = format!("SELECT name FROM pragma_table_info('{table}') WHERE cid = 0");
            connection.query_row(&sql, [], |row| row.get(0)).unwrap()
        }
        Behind::Postgres(database) => {
            let sql = "SELECT attname FROM pg_attribute WHERE attnum = 1 AND attrelid =";
            database.ask(&format!("{sql} '{table}'::regclass")).trim().to_owned()
        }
    }
}
