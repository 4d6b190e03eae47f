//! Requests that are lost, late, doubled or answered by somebody else.

use proptest::{prelude::*, test_runner::Config};
use serde_json::{Value, json};

use super::{
    model::{Fault, Model},
    *,
};

fn ours() -> Value {
    json!({"value": "before", "strongroom_secret": id().to_string()})
}

/// How often the value of the put stands in the entry, and at which version last.
fn landed(model: &Model, mark: Option<&str>) -> (usize, Option<u64>) {
    let state = model.state.lock().unwrap();
    let versions = state.entries.get(PATH).into_iter().flat_map(|entry| &entry.versions);
    let found: Vec<u64> = versions
        .filter(|(_, data)| {
            let data = data.as_ref().unwrap_or(&Value::Null);
            data["value"] == VALUE && data["strongroom_operation"].as_str() == mark
        })
        .map(|(version, _)| *version)
        .collect();
    (found.len(), found.last().copied())
}

#[tokio::test(start_paused = true)]
async fn a_marked_write_whose_answer_is_lost_is_found_again() {
    for fault in [Fault::Unanswered, Fault::Late, Fault::CutOff, Fault::Nonsense, Fault::TooLarge, Fault::Swallowed] {
        let model = Model::new();
        let store = store(&model, token());
        model.plan(&[fault]);
        let version = put(&store, Condition::Absent, Some("operation-1")).await;
        model.flush();
        assert_eq!(version.unwrap_or_else(|error| panic!("{fault:?}: {error}")), 1);
        assert_eq!(landed(&model, Some("operation-1")), (1, Some(1)), "{fault:?}");
        assert_eq!(get(&store, 1).await.unwrap(), VALUE);
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_operation_wrote_is_not_taken_for_ours() {
    let model = Model::new();
    model.write(PATH, ours());
    let mut same = json!({"value": VALUE, "strongroom_secret": id().to_string()});
    same["strongroom_operation"] = "operation-2".into();
    model.state.lock().unwrap().rival = same;
    // The first try is lost; before the second the other one writes the same value.
    model.plan(&[Fault::Swallowed, Fault::Rival]);
    let latest = StoreVersion("1".into());
    let error = put(&store(&model, token()), Condition::LatestIs(&latest), Some("operation-1")).await.unwrap_err();
    assert_eq!((error.kind, error.may_have_happened), (StoreErrorKind::Precondition, false), "{error}");
}

#[tokio::test(start_paused = true)]
async fn another_version_than_the_one_asked_for_is_an_error() {
    let model = Model::new();
    model.write(PATH, ours());
    let store = store(&model, token());
    model.plan(&[Fault::Body(r#"{"data":{"version":3,"custom_metadata":null}}"#)]);
    let error = put(&store, Condition::LatestIs(&StoreVersion("1".into())), None).await.unwrap_err();
    assert_eq!((error.kind, error.may_have_happened), (StoreErrorKind::Integrity, true), "{error}");
    model.plan(&[Fault::Body(
        r#"{"data":{"data":{"value":"x","strongroom_secret":"00000000-0000-0000-0000-000000000007"},
            "metadata":{"version":3,"custom_metadata":null}}}"#,
    )]);
    let error = get(&store, 1).await.unwrap_err();
    assert!(error.kind == StoreErrorKind::Integrity && error.reason.contains("another version"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_entry_of_another_instance_or_secret_is_not_ours() {
    let ids = [("instance-1", id().to_string()), ("instance-2", id().to_string()), ("instance-1", "other".into())];
    for (nth, (instance, secret)) in ids.into_iter().enumerate() {
        let model = Model::new();
        model.write(PATH, ours());
        let marks = json!({"strongroom_instance": instance, "strongroom_secret": secret});
        model.state.lock().unwrap().entries.get_mut(PATH).unwrap().custom_metadata = marks.as_object().cloned();
        let store = store(&model, token());
        let removed = store.remove(&entry(), Removal::Version(&StoreVersion("1".into()))).await;
        let put = put(&store, Condition::Always, None).await;
        assert_eq!((put.is_ok(), removed.is_ok()), (nth == 0, nth == 0), "{instance} {secret}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_entry_is_ours_still_when_all_that_said_so_was_destroyed() {
    let model = Model::new();
    let store = store(&model, token());
    // A creation that broke off before the entry was marked, and is undone.
    model.write(PATH, ours());
    store.remove(&entry(), Removal::Version(&StoreVersion("1".into()))).await.unwrap();
    assert!(store.latest(&entry()).await.unwrap().is_none());
    assert_eq!(put(&store, Condition::Always, None).await.unwrap(), 2);
    store.remove(&entry(), Removal::Entry).await.unwrap();
    assert_eq!(put(&store, Condition::Absent, None).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_marked_version_is_found_behind_what_others_wrote() {
    let model = Model::new();
    let store = store(&model, token());
    let find = async || store.find(&entry(), "operation-1", 1).await.map_err(|error| error.kind);
    assert_eq!(find().await, Ok(None));
    assert_eq!(model.requests(), 1, "where nothing is there nothing more is asked");
    put(&store, Condition::Absent, Some("operation-1")).await.unwrap();
    let found = Ok(Some(StoreVersion("1".to_owned())));
    for _ in 0..8 {
        assert_eq!(find().await, found);
        model.write(PATH, json!({"value": "theirs", "strongroom_operation": "operation-1"}));
    }
    assert_eq!(find().await, found);
    // What many others were written after isn't looked for.
    model.write(PATH, ours());
    assert_eq!(find().await, Ok(None));
    // Not even what looks like it, of another secret.
    model.write(
        PATH,
        json!({"value": "x", "strongroom_secret": "other", "strongroom_operation": "operation-1",
        "strongroom_version": "1"}),
    );
    assert_eq!(find().await, Ok(None));
    // In an entry of somebody else there is nothing of ours.
    let marks = json!({"strongroom_instance": "another", "strongroom_secret": id().to_string()});
    model.state.lock().unwrap().entries.get_mut(PATH).unwrap().custom_metadata = marks.as_object().cloned();
    model.write(
        PATH,
        json!({"value": "x", "strongroom_secret": id().to_string(), "strongroom_operation": "operation-1",
        "strongroom_version": "1"}),
    );
    assert_eq!(find().await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn a_search_that_is_given_another_version_is_an_error() {
    let model = Model::new();
    let store = store(&model, token());
    model.write(PATH, ours());
    model.write(PATH, ours());
    let other = r#"{"data":{"data":{"value":"x"},"metadata":{"version":7,"custom_metadata":null}}}"#;
    model.plan(&[Fault::None, Fault::Body(other)]);
    let error = store.find(&entry(), "operation-1", 1).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Integrity);
    assert_eq!(model.requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_put_whatever_is_there_looks_again_after_a_race() {
    let model = Model::new();
    model.write(PATH, ours());
    let store = store(&model, token());
    put(&store, Condition::Always, None).await.unwrap();
    // Somebody is faster twice: between looking and writing.
    model.plan(&[Fault::None, Fault::Rival, Fault::None, Fault::Rival]);
    assert_eq!(put(&store, Condition::Always, None).await.unwrap(), 5);
    // And each time.
    model.plan(&[[Fault::None, Fault::Rival]; 20].concat());
    let error = put(&store, Condition::Always, None).await.unwrap_err();
    assert_eq!((error.kind, error.may_have_happened), (StoreErrorKind::Throttled, false), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_was_just_mounted_is_waited_for() {
    let model = Model::new();
    model.plan(&[Fault::Upgrading, Fault::Upgrading]);
    assert_eq!(put(&store(&model, token()), Condition::Absent, None).await.unwrap(), 1);
    model.plan(&[Fault::Upgrading; 4]);
    let error = get(&store(&model, token()), 1).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Throttled, "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_unmarked_write_is_sent_once() {
    for fault in [Fault::Unanswered, Fault::CutOff, Fault::Nonsense, Fault::TooLarge, Fault::Swallowed] {
        let model = Model::new();
        model.plan(&[fault]);
        let error = put(&store(&model, token()), Condition::Absent, None).await.unwrap_err();
        assert_eq!((error.may_have_happened, model.requests()), (true, 1), "{fault:?}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_broke_off_before_its_mark_is_known_as_ours() {
    let model = Model::new();
    let store = store(&model, token());
    model.plan(&[Fault::None, Fault::Status(400)]);
    let error = put(&store, Condition::Absent, Some("operation-1")).await.unwrap_err();
    assert!(error.may_have_happened, "{error}");
    let latest = store.latest(&entry()).await.unwrap().unwrap();
    assert_eq!((latest.version.0.as_str(), latest.mark.as_deref()), ("1", Some("operation-1")));
    assert_eq!(get(&store, 1).await.unwrap(), VALUE);
    // The next write marks it.
    put(&store, Condition::LatestIs(&latest.version), Some("operation-2")).await.unwrap();
    let marked = |model: &Model| {
        let entry = &model.state.lock().unwrap().entries[PATH];
        (entry.max_versions, entry.custom_metadata.as_ref().map(|metadata| metadata["strongroom_secret"].clone()))
    };
    assert_eq!(marked(&model), (100, Some(json!(id().to_string()))));
    // And removing it takes reading.
    model.state.lock().unwrap().entries.get_mut(PATH).unwrap().custom_metadata = None;
    store.remove(&entry(), Removal::Entry).await.unwrap();
    assert!(model.state.lock().unwrap().entries.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_value_does_not_stay_where_somebody_elses_belongs() {
    for metadata in [None, json!({"theirs": "x"}).as_object().cloned()] {
        let model = Model::new();
        model.write(PATH, json!({"value": "theirs"}));
        model.state.lock().unwrap().entries.get_mut(PATH).unwrap().custom_metadata = metadata;
        let store = store(&model, token());
        // Deleted and made again by somebody: at the version that we remember.
        let error = put(&store, Condition::LatestIs(&StoreVersion("1".into())), Some("operation-1")).await.unwrap_err();
        assert_eq!((error.kind, error.may_have_happened), (StoreErrorKind::AlreadyExists, false), "{error}");
        assert!(error.reason.contains(&format!("secret/data/{PATH} is not an entry of this secret")), "{error}");
        assert_eq!(landed(&model, Some("operation-1")).0, 0);
        for error in [
            put(&store, Condition::Always, None).await.map(drop),
            put(&store, Condition::Absent, None).await.map(drop),
            store.latest(&entry()).await.map(drop),
            store.remove(&entry(), Removal::Entry).await,
            store.remove(&entry(), Removal::Version(&StoreVersion("1".into()))).await,
        ] {
            let error = error.unwrap_err();
            assert!(error.kind == StoreErrorKind::AlreadyExists && error.reason.contains(PATH), "{error}");
        }
        assert_eq!(get(&store, 1).await.unwrap_err().kind, StoreErrorKind::Integrity);
        assert_eq!(model.state.lock().unwrap().entries[PATH].versions[&1], Some(json!({"value": "theirs"})));
    }
}

#[tokio::test(start_paused = true)]
async fn every_failure_has_its_meaning() {
    use StoreErrorKind::{Integrity, PermissionDenied, Refused, Throttled, Unavailable};
    for (fault, kind, words) in [
        (Fault::Status(301), Unavailable, "redirects (status 301)"),
        (Fault::Status(307), Unavailable, "redirects (status 307)"),
        (Fault::Status(400), Unavailable, "status 400"),
        (Fault::Status(403), PermissionDenied, "the policy must allow read on secret/data/tfy-secret/acme/pay/KEY"),
        (Fault::Status(404), Unavailable, "is vault_url right?"),
        (Fault::Status(413), Refused, "larger than it takes"),
        (Fault::Status(500), Unavailable, "failed (status 500)"),
        (Fault::Status(503), Unavailable, "failed (status 503)"),
        (Fault::Throttled, Throttled, "asks to come back later"),
        (Fault::Nonsense, Unavailable, "is vault_url right?"),
        (Fault::TooLarge, Integrity, "longer than"),
        (Fault::NotSent, Unavailable, "can't connect"),
        (Fault::Swallowed, Unavailable, "no answer within"),
    ] {
        let model = Model::new();
        // A token that is refused once is asked after.
        model.plan(&if fault == Fault::Status(403) { vec![fault] } else { vec![fault; 4] });
        let error = get(&store(&model, token()), 1).await.unwrap_err();
        assert_eq!(error.kind, kind, "{fault:?}: {error}");
        assert!(error.reason.contains(words) && !error.may_have_happened, "{fault:?}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_the_shape_that_was_put_is_no_value() {
    for value in [json!(1), json!(null), json!({"a": "b"}), json!(["x"]), json!(true)] {
        let model = Model::new();
        let mut data = ours();
        data["value"] = value;
        model.write(PATH, data);
        let store = store(&model, token());
        assert_eq!(get(&store, 1).await.unwrap_err().kind, StoreErrorKind::Integrity);
        assert_eq!(store.latest(&entry()).await.unwrap_err().kind, StoreErrorKind::Integrity);
    }
}

#[tokio::test(start_paused = true)]
async fn one_version_has_one_spelling() {
    let model = Model::new();
    model.write(PATH, ours());
    let (store, sealing) = (store(&model, token()), Sealing::new());
    for bad in ["01", "+1", "", "0", "-1", "1 ", "99999999999999999999999", "a"] {
        let version = StoreVersion(bad.to_owned());
        let pinned = Pinned { entry: entry(), version: &version, sealed: None, seal: sealing.seal() };
        assert_eq!(store.get(pinned).await.unwrap_err().kind, StoreErrorKind::NotFound, "{bad}");
        let error = put(&store, Condition::LatestIs(&version), None).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Precondition, "{bad}");
        store.remove(&entry(), Removal::Version(&version)).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn no_error_tells_a_value_or_a_credential() {
    use std::error::Error as _;
    let faults = [
        Fault::None,
        Fault::NotSent,
        Fault::Swallowed,
        Fault::CutOff,
        Fault::Nonsense,
        Fault::TooLarge,
        Fault::Throttled,
        Fault::Status(302),
        Fault::Status(400),
        Fault::Status(403),
        Fault::Status(404),
        Fault::Status(413),
        Fault::Status(500),
    ];
    let mut told = 0;
    for fault in faults {
        for auth in [token(), role()] {
            let model = Model::new();
            model.write(PATH, json!({"value": VALUE}));
            model.state.lock().unwrap().role_is_good = fault != Fault::None;
            model.plan(&[fault; 30]);
            let store = store(&model, auth);
            let mut texts = vec![format!("{store:?}")];
            for error in [
                put(&store, Condition::Absent, Some("mark")).await.map(drop),
                put(&store, Condition::Always, None).await.map(drop),
                get(&store, 1).await.map(drop),
                store.remove(&entry(), Removal::Entry).await,
                store.probe().await,
            ] {
                let error = error.unwrap_err();
                texts.push(format!("{error} {error:?} {:?}", error.source()));
            }
            told += texts.len();
            assert!(texts.iter().all(|text| !text.contains("canary")), "{texts:?}");
        }
    }
    assert_eq!(told, faults.len() * 2 * 6);
}

fn any_fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => Just(Fault::None),
        1 => Just(Fault::NotSent),
        1 => Just(Fault::Swallowed),
        2 => Just(Fault::Unanswered),
        2 => Just(Fault::Late),
        1 => Just(Fault::CutOff),
        1 => Just(Fault::Nonsense),
        1 => Just(Fault::Status(500)),
        1 => Just(Fault::Status(403)),
        1 => Just(Fault::Throttled),
        1 => Just(Fault::TooLarge),
        2 => Just(Fault::Rival),
    ]
}

proptest! {
    #![proptest_config(Config { cases: 2_000, ..Config::default() })]

    /// What a put says of itself is so, whatever happens to its requests, also after all that was late has arrived.
    #[test]
    fn a_put_lands_once_or_not_and_says_which(
        faults in prop::collection::vec(any_fault(), 0..10),
        versions_before in 0..3_u64,
        is_marked in any::<bool>(),
        condition in 0..3_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let model = Model::new();
            for _ in 0..versions_before {
                model.write(PATH, ours());
            }
            let store = store(&model, token());
            model.plan(&faults);
            let mark = is_marked.then_some("operation-1");
            let latest = StoreVersion(versions_before.to_string());
            let condition = [Condition::Always, Condition::Absent, Condition::LatestIs(&latest)][condition];
            let outcome = put(&store, condition, mark).await;
            let sent = model.requests();
            model.plan(&[]);
            model.flush();
            let (times, at) = landed(&model, mark);
            prop_assert!(times <= 1, "landed {times} times: {outcome:?}");
            match outcome {
                Ok(version) => prop_assert_eq!(at, Some(version)),
                Err(error) => prop_assert!(times == 0 || error.may_have_happened, "{}", error),
            }
            prop_assert!(sent < 60, "{sent} requests");
            Ok(())
        })?;
    }
}
