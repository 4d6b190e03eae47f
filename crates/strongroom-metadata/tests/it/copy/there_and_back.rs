use super::{Engine, Place, copy, engines, pairs};

#[tokio::test]
async fn every_row_comes_back_as_it_was() {
    for engine in engines() {
        let first = Place::filled(engine).await;
        let (rows, number) = (first.dump(), first.behind().number("SELECT number FROM change_number"));
        assert!(rows.len() > 3_400);
        let mut from = first;
        let mut hashes = Vec::new();
        for engine in engines().into_iter().chain(engines()).chain([engine]) {
            let to = Place::new(engine);
            let report = copy(&from, &to).await.unwrap();
            assert!(!report.was_complete);
            assert_eq!(report.tables.iter().map(|table| table.rows).sum::<u64>(), rows.len() as u64 + 2);
            hashes.push(report.tables.into_iter().filter(|table| table.name != "change_number").collect::<Vec<_>>());
            assert_eq!((from.state(), to.state()), ("moved".into(), "live".into()));
            assert!(from.is_read_only().await);
            from = to;
        }
        assert_eq!(from.dump(), rows, "{engine:?}");
        assert!(hashes.windows(2).all(|pair| pair[0] == pair[1]), "the same rows have the same hash on each engine");
        let moves = i64::try_from(hashes.len()).unwrap();
        assert_eq!(from.behind().number("SELECT number FROM change_number"), number + moves);
        assert!(!from.is_read_only().await);
    }
}

#[tokio::test]
async fn what_serves_is_told_apart_by_the_note() {
    for (from, to) in pairs() {
        let (from, to) = (Place::filled(from).await, Place::new(to));
        copy(&from, &to).await.unwrap();
        let old = from.open().await.instance().await.unwrap().unwrap();
        assert_eq!(old.state.to_string(), format!("was moved to {}: start with that one", to.location().shown()));
        let new = to.open().await.instance().await.unwrap().unwrap();
        assert_eq!((new.instance_id, new.state.to_string()), (old.instance_id, "is in use".to_owned()));
    }
}

#[tokio::test]
async fn a_new_file_is_its_owners() {
    use std::os::unix::fs::PermissionsExt;
    let (from, to) = (Place::filled(Engine::Sqlite).await, Place::new(Engine::Sqlite));
    copy(&from, &to).await.unwrap();
    let mode = std::fs::metadata(to.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
