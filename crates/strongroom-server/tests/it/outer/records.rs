//! What a reveal leaves in the audit log while its store is asked, and when that gives nothing.

use std::time::Duration;

use serde_json::Value;
use strongroom_stores::model::{Fault, ModelKind};
use strongroom_stores::{Call, StoreErrorKind};

use super::Outer;
use crate::support::{count_events, events, secret_id, secret_path, text};

/// The store takes its time with every read.
fn slow(outer: &Outer) {
    outer.store.before(|call| async move {
        if call.call == Call::Get {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

/// The reveals that the log tells of, the oldest first: how each ended, its id, and the event that it corrects.
async fn reveals(outer: &Outer) -> Vec<(String, String, Option<String>)> {
    let told = |event: &Value| {
        let corrects = event.pointer("/metaData/corrects").and_then(Value::as_str).map(str::to_owned);
        (text(event, "/result").to_owned(), text(event, "/id").to_owned(), corrects)
    };
    events(&outer.app, "resourceType=secret").await.iter().rev().map(told).collect()
}

#[tokio::test]
async fn the_event_is_written_while_the_store_is_asked() {
    let outer = Outer::start(ModelKind::checked()).await;
    let group = outer.group("pay", &[("A", "a1")]).await;
    outer.store.next(Call::Get, Fault::hangs());
    let noticed = async {
        outer.store.until_hanging(1).await;
        while count_events(&outer.app, "action=READ_SECRET_VALUE").await == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        outer.store.release();
    };
    let (value, ()) = tokio::join!(outer.value(&group, "A"), noticed);
    assert_eq!(value, "a1");
    assert!(matches!(&reveals(&outer).await[..], [(result, _, None)] if result == "success"));
}

/// Whatever the store does in the end, the log says it.
#[tokio::test]
async fn an_event_of_a_value_that_did_not_come_is_corrected() {
    let outer = Outer::start(ModelKind::checked()).await;
    let group = outer.group("pay", &[("A", "a1"), ("B", "b1")]).await;
    let path = secret_path(secret_id(&group, "A"));
    slow(&outer);
    outer.store.next(Call::Get, Fault::fails(StoreErrorKind::Unavailable));
    outer.admin.get(&path).await.refused(424, "secret_store_failed");
    outer.store.next(Call::Get, Fault::fails(StoreErrorKind::NotFound));
    outer.admin.get(&path).await.refused(424, "changed_outside");
    let told = reveals(&outer).await;
    assert_eq!(told.len(), 4, "{told:?}");
    for pair in told.chunks(2) {
        let [(first, id, None), (second, _, Some(corrects))] = pair else { panic!("{told:?}") };
        assert_eq!((first.as_str(), second.as_str(), corrects), ("success", "failed", id), "{told:?}");
    }
    // One of a list is enough for none to be given.
    outer.store.next(Call::Get, Fault::fails(StoreErrorKind::Unavailable));
    let query = serde_json::json!({"withValue": true, "secretGroupId": text(&group, "/id")});
    outer.admin.post("/api/svc/v1/secrets", query).await.refused(424, "secret_store_failed");
    let told = reveals(&outer).await;
    let [(_, id, None), (result, _, Some(corrects))] = &told[4..] else { panic!("{told:?}") };
    assert_eq!((result.as_str(), corrects), ("failed", id));
    assert_eq!(outer.value(&group, "A").await, "a1");
}

#[tokio::test]
async fn a_store_that_is_not_asked_leaves_no_event() {
    let outer = Outer::start(ModelKind::checked()).await;
    let group = outer.group("pay", &[("A", "a1")]).await;
    outer.store.take_down();
    outer.admin.get(&secret_path(secret_id(&group, "A"))).await.refused(424, "secret_store_failed");
    assert_eq!(reveals(&outer).await, []);
}

#[tokio::test]
async fn a_value_from_memory_is_told_of_when_it_is_known_to_be_one() {
    let outer = Outer::start(ModelKind::checked()).await;
    outer.serve_cached(10).await;
    let group = outer.group("pay", &[("A", "a1")]).await;
    outer.value(&group, "A").await;
    slow(&outer);
    outer.store.take_down();
    outer.app.clock.advance_seconds(60);
    assert_eq!(outer.value(&group, "A").await, "a1");
    let told = events(&outer.app, "action=READ_SECRET_VALUE").await;
    let newest = told.iter().map(|event| event.pointer("/metaData/readBeforeSeconds").is_some());
    assert_eq!(newest.collect::<Vec<_>>(), [true, false, false]);
    assert_eq!(told[0]["metaData"]["corrects"], told[1]["id"]);
}

/// Neither when the event comes first nor when the value does.
#[tokio::test]
async fn without_its_event_a_value_from_a_store_is_not_given() {
    for is_slow in [false, true] {
        let outer = Outer::start(ModelKind::checked()).await;
        let group = outer.group("pay", &[("A", "a1")]).await;
        if is_slow {
            slow(&outer);
        }
        outer.app.tamper().refuse_events();
        let refused = outer.admin.get(&secret_path(secret_id(&group, "A"))).await;
        assert!(refused.status >= 500, "{}", refused.status);
        assert!(!refused.json.to_string().contains("a1"));
        assert!(outer.store.calls(Call::Get) == 1, "it was asked");
    }
}
