use strongroom_crypto::{Binding, DataKey};
use strongroom_domain::SecretId;
use uuid::Uuid;

use super::*;
use crate::store::{Condition, Seal};

fn entry(secret: u128) -> Entry<'static> {
    Entry {
        tenant: "acme",
        group: "pay",
        key: "KEY",
        secret_id: SecretId::from(Uuid::from_u128(secret)),
        beside: false,
    }
}

struct Wanted<'a> {
    secret: u128,
    value: &'a str,
    number: i64,
    condition: Condition<'a>,
    mark: Option<&'a str>,
    staged: bool,
    beside: bool,
}

fn wanted(value: &str, number: i64) -> Wanted<'_> {
    Wanted { secret: 1, value, number, condition: Condition::Always, mark: Some("op"), staged: false, beside: false }
}

async fn put(store: &ModelStore, wanted: Wanted<'_>) -> Result<StoreVersion, (StoreErrorKind, bool)> {
    let Wanted { secret, value, number, condition, mark, staged, beside } = wanted;
    let (value, key, binding) = (SecretValue::new(value.to_owned()), DataKey::make(), Binding::new("test"));
    let (entry, seal) = (Entry { beside, ..entry(secret) }, Seal { key: &key, binding: &binding });
    let put = Put { entry, value: &value, version: number, seal, condition, mark, staged };
    let placed = store.put(put).await.map_err(|error| (error.kind, error.may_have_happened))?;
    Ok(placed.version)
}

fn states(control: &ModelControl) -> Vec<(String, VersionState)> {
    let versions = control.entries().into_iter().flat_map(|entry| entry.versions);
    versions.map(|version| (version.value.unwrap_or_default(), version.state)).collect()
}

#[tokio::test]
async fn faults_differ_in_what_they_do_and_what_they_say() {
    use StoreErrorKind::{Integrity, PermissionDenied, Throttled, Unavailable};
    for (fault, kind, is_unclear, happened) in [
        (Fault::fails(PermissionDenied), PermissionDenied, false, false),
        (Fault::throttles(), Throttled, false, false),
        (Fault::answer_lost(), Unavailable, true, true),
        (Fault::fails_after(Throttled), Throttled, true, true),
        (Fault::request_lost(), Unavailable, true, false),
        (Fault::wrong_body(), Integrity, true, true),
        (Fault::late(0), Unavailable, true, true),
        (Fault::late(1), Unavailable, true, false),
        (Fault::late_when_told(), Unavailable, true, false),
    ] {
        let store = ModelStore::new(ModelKind::checked());
        let control = store.control();
        control.spare(Call::Put, 1);
        control.next(Call::Put, fault);
        put(&store, wanted("one", 1)).await.unwrap();
        assert_eq!(put(&store, wanted("two", 2)).await, Err((kind, is_unclear)), "{fault:?}");
        assert_eq!(control.entries()[0].versions.len() == 2, happened, "{fault:?}");
        // Of a read nothing is unclear.
        control.next(Call::Latest, fault);
        let error = store.latest(&entry(1)).await.unwrap_err();
        assert_eq!((error.kind, error.may_have_happened), (kind, false), "{fault:?}");
        assert_eq!((control.calls(Call::Put), control.calls(Call::Latest)), (2, 1));
    }
}

#[tokio::test]
async fn what_is_late_comes_on_its_condition_then() {
    let store = ModelStore::new(ModelKind::checked());
    let control = store.control();
    let one = put(&store, wanted("one", 1)).await.unwrap();
    let conditional = || Wanted { condition: Condition::LatestIs(&one), ..wanted("two", 2) };
    control.next(Call::Put, Fault::late(2));
    put(&store, conditional()).await.unwrap_err();
    let name = name(&entry(1));
    for _ in 0..2 {
        assert_eq!(control.direct_latest(&name).as_deref(), Some("one"));
        store.latest(&entry(1)).await.unwrap();
    }
    assert_eq!(control.direct_latest(&name).as_deref(), Some("two"));
    // Overtaken: the condition doesn't hold any more.
    control.next(Call::Put, Fault::late_when_told());
    let two = StoreVersion("2".to_owned());
    put(&store, Wanted { condition: Condition::LatestIs(&two), ..wanted("three", 3) }).await.unwrap_err();
    control.write_outside(&name, "theirs");
    assert_eq!((control.late(), control.let_late_happen(), control.late()), (1, 1, 0));
    assert_eq!(control.direct_latest(&name).as_deref(), Some("theirs"));
    assert_eq!(control.entries()[0].versions.len(), 3);
}

#[tokio::test]
async fn a_late_promotion_doesnt_undo_a_later_one() {
    let store = ModelStore::new(ModelKind::staging());
    let control = store.control();
    let staged = |value, number| Wanted { staged: true, ..wanted(value, number) };
    put(&store, staged("one", 1)).await.unwrap();
    let two = put(&store, staged("two", 2)).await.unwrap();
    let three = put(&store, staged("three", 3)).await.unwrap();
    let latest = || control.direct_latest(&name(&entry(1)));
    for (overtaken, expected) in [(false, "two"), (true, "three")] {
        control.promote_outside(&name(&entry(1)), "op-op-v1");
        control.next(Call::Promote, Fault::late_when_told());
        store.promote(&entry(1), &two).await.unwrap_err();
        if overtaken {
            store.promote(&entry(1), &three).await.unwrap();
        }
        control.let_late_happen();
        assert_eq!(latest().as_deref(), Some(expected));
    }
}

#[tokio::test]
async fn what_hangs_goes_on_when_released_and_not_before() {
    let store = Arc::new(ModelStore::new(ModelKind::checked()));
    let control = store.control();
    for (fault, before, after) in
        [(Fault::hangs(), 0, 1), (Fault::hangs_after(), 2, 2), (Fault::hangs_and_late(), 2, 2)]
    {
        control.next(Call::Put, fault);
        let task = tokio::spawn({
            let store = store.clone();
            async move { put(&store, wanted("x", 1)).await }
        });
        control.until_hanging(1).await;
        let count = || control.entries().iter().map(|entry| entry.versions.len()).sum::<usize>();
        assert_eq!(count(), before, "{fault:?}");
        control.release();
        assert_eq!(task.await.unwrap().is_ok(), fault != Fault::hangs_and_late(), "{fault:?}");
        assert_eq!((count(), control.hanging()), (after, 0), "{fault:?}");
    }
    assert_eq!(control.let_late_happen(), 1);
    // One whose caller gives up is never done.
    control.next(Call::Put, Fault::hangs());
    let task = tokio::spawn({
        let store = store.clone();
        async move { put(&store, wanted("never", 1)).await }
    });
    control.until_hanging(1).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!((control.hanging(), control.entries()[0].versions.len()), (0, 3));
}

#[tokio::test]
async fn it_can_be_down_or_not_know_us_or_not_let_us() {
    let store = ModelStore::new(ModelKind::plain());
    let control = store.control();
    let told = async || (store.answers().await.map_err(|error| error.kind), put(&store, wanted("x", 1)).await);
    control.take_down();
    let down = StoreErrorKind::Unavailable;
    assert_eq!(told().await, (Err(down), Err((down, false))));
    control.bring_up();
    control.revoke_credentials();
    let unknown = StoreErrorKind::Unauthenticated;
    assert_eq!(told().await, (Err(unknown), Err((unknown, false))));
    control.restore_credentials();
    control.deny(Call::Remove);
    assert_eq!(told().await.0, Err(StoreErrorKind::PermissionDenied));
    assert_eq!(store.probe().await.unwrap_err().kind, StoreErrorKind::PermissionDenied);
    control.allow(Call::Remove);
    control.set(|call| (call.call == Call::Put && call.put_version == Some(2)).then_some(Fault::throttles()));
    assert!(put(&store, wanted("x", 1)).await.is_ok());
    assert_eq!(put(&store, wanted("x", 2)).await, Err((StoreErrorKind::Throttled, false)));
    control.heal();
    assert!(put(&store, wanted("x", 2)).await.is_ok());
}

#[tokio::test]
async fn hooks_run_around_a_call() {
    let store = ModelStore::new(ModelKind::checked());
    let control = store.control();
    put(&store, wanted("one", 1)).await.unwrap();
    let (within, name) = (control.clone(), name(&entry(1)));
    control.before(move |call| {
        let within = within.clone();
        async move {
            if call.call == Call::Latest {
                within.write_outside(&call.name, "before");
            }
        }
    });
    let within = control.clone();
    control.after(move |call| {
        let within = within.clone();
        async move { within.write_outside(&call.name, "after") }
    });
    let latest = store.latest(&entry(1)).await.unwrap().unwrap();
    assert_eq!((latest.value.expose(), latest.mark), ("before", None));
    assert_eq!(control.direct_latest(&name).as_deref(), Some("after"));
    control.unhook();
    let log = control.take_log();
    assert_eq!(
        log.iter().map(|call| (call.call, call.number)).collect::<Vec<_>>(),
        [(Call::Put, 1), (Call::Latest, 2)]
    );
}

#[tokio::test]
async fn what_is_made_again_by_others_has_the_same_versions_and_is_not_ours() {
    for (kind, get, latest) in [
        (ModelKind::plain(), Ok("theirs"), Ok(true)),
        (ModelKind::checked(), Err(StoreErrorKind::Integrity), Err(StoreErrorKind::AlreadyExists)),
        (ModelKind::staging(), Err(StoreErrorKind::NotFound), Ok(false)),
    ] {
        let store = ModelStore::new(kind);
        let control = store.control();
        let one = put(&store, wanted("one", 1)).await.unwrap();
        control.recreate_outside(&name(&entry(1)), "theirs");
        let (key, binding) = (DataKey::make(), Binding::new("test"));
        let seal = Seal { key: &key, binding: &binding };
        let got = store.get(Pinned { entry: entry(1), version: &one, sealed: None, seal }).await;
        assert_eq!(got.as_ref().map(SecretValue::expose).map_err(|error| error.kind), get);
        let seen = store.latest(&entry(1)).await.map(|latest| latest.is_some()).map_err(|error| error.kind);
        assert_eq!(seen, latest);
        assert_eq!(put(&store, wanted("x", 2)).await, Err((StoreErrorKind::AlreadyExists, false)));
        let _ = store.remove(&entry(1), Removal::Entry).await;
        assert_eq!(control.direct_latest(&name(&entry(1))).as_deref(), Some("theirs"));
    }
}

#[tokio::test]
async fn staged_versions_are_seen_when_promoted_and_the_same_put_is_one_version() {
    use VersionState::{Latest, Older, Staged};
    let store = ModelStore::new(ModelKind::staging());
    let control = store.control();
    let staged = |value, number| Wanted { staged: true, ..wanted(value, number) };
    put(&store, staged("one", 1)).await.unwrap();
    let two = put(&store, staged("two", 2)).await.unwrap();
    assert_eq!(put(&store, staged("two", 2)).await.unwrap(), two);
    assert_eq!(put(&store, staged("other", 2)).await, Err((StoreErrorKind::AlreadyExists, false)));
    assert_eq!(states(&control), [("one".to_owned(), Latest), ("two".to_owned(), Staged)]);
    assert_eq!(store.find(&entry(1), "op", 2).await.unwrap(), Some(two.clone()));
    store.promote(&entry(1), &two).await.unwrap();
    assert_eq!(states(&control), [("one".to_owned(), Older), ("two".to_owned(), Latest)]);
    let error = store.remove(&entry(1), Removal::Version(&two)).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::NotSupported);
}

#[tokio::test]
async fn marks_are_lost_where_there_is_no_room_for_them() {
    for (kind, is_kept) in [(ModelKind::checked(), true), (ModelKind::plain(), false)] {
        let store = ModelStore::new(kind);
        put(&store, wanted("one", 1)).await.unwrap();
        assert_eq!(store.control().entries()[0].versions[0].mark.is_some(), is_kept);
        assert_eq!(store.find(&entry(1), "op", 1).await.unwrap().is_some(), is_kept);
    }
}

#[tokio::test]
async fn a_removed_name_stays_taken_where_the_store_is_so() {
    let store = ModelStore::new(ModelKind::soft_delete());
    let control = store.control();
    put(&store, wanted("old", 1)).await.unwrap();
    for _ in 0..2 {
        store.remove(&entry(1), Removal::Entry).await.unwrap();
    }
    assert!(control.entries()[0].is_trash && control.entry(&name(&entry(1))).is_none());
    let again = |beside| Wanted { secret: 2, beside, ..wanted("new", 1) };
    assert_eq!(put(&store, again(false)).await, Err((StoreErrorKind::AlreadyExists, false)));
    put(&store, again(true)).await.unwrap();
    control.purge_trash();
    put(&store, again(false)).await.unwrap();
    assert_eq!(control.entries().len(), 2);
}

#[tokio::test]
async fn the_newest_removed_leaves_none_until_the_next() {
    let store = ModelStore::new(ModelKind::checked());
    let control = store.control();
    put(&store, wanted("one", 1)).await.unwrap();
    let two = put(&store, wanted("two", 2)).await.unwrap();
    store.remove(&entry(1), Removal::Version(&two)).await.unwrap();
    assert!(store.latest(&entry(1)).await.unwrap().is_none());
    let absent = Wanted { condition: Condition::Absent, ..wanted("x", 3) };
    assert_eq!(put(&store, absent).await, Err((StoreErrorKind::AlreadyExists, false)));
    put(&store, wanted("one", 3)).await.unwrap();
    assert_eq!(control.direct_latest(&name(&entry(1))).as_deref(), Some("one"));
}

#[tokio::test]
async fn old_versions_are_dropped_and_the_latest_is_not() {
    let store = ModelStore::new(ModelKind::staging().with(|can| can.kept_versions = crate::KeptVersions::Newest(2)));
    let control = store.control();
    put(&store, wanted("one", 1)).await.unwrap();
    for number in 2..5 {
        put(&store, Wanted { staged: true, ..wanted("more", number) }).await.unwrap();
    }
    let left: Vec<_> = control.entries().remove(0).versions.into_iter().map(|version| version.number).collect();
    assert_eq!(left, [Some(1), Some(4)]);
}
