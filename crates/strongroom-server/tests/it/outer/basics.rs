//! What goes well: everything that a group can do, on every kind of store.

use serde_json::json;
use strongroom_stores::model::{Fault, ModelKind};
use strongroom_stores::{Call, StoreErrorKind};

use super::{Outer, kinds};

const READ_BEFORE: &str = "x-strongroom-read-before-seconds";
use crate::support::{SECRETS, events, group_path, list, secret_id, secret_path, text, updates};

#[tokio::test]
async fn a_group_lives_in_another_system() {
    for (kind, model) in kinds() {
        let outer = Outer::start(model).await;
        let group = outer.group("pay", &[("A", "a1"), ("B", "b1")]).await;
        assert_eq!(
            (outer.value(&group, "A").await, outer.value(&group, "B").await),
            ("a1".into(), "b1".into()),
            "{kind}"
        );
        assert_eq!(outer.direct("pay", "A").as_deref(), Some("a1"), "{kind}");
        assert_eq!(outer.app.tamper().number("SELECT COUNT(*) FROM secret_versions WHERE sealed IS NOT NULL"), 0);

        let changes = updates(&[("A", Some("a2")), ("B", None), ("C", Some("c1"))]);
        outer.admin.put(&group_path(&group), changes).await.expect(200);
        let group = outer.again(&group).await;
        for (key, value) in [("A", "a2"), ("B", "b1"), ("C", "c1")] {
            assert_eq!(outer.value(&group, key).await, value, "{kind}");
            assert_eq!(outer.direct("pay", key).as_deref(), Some(value), "{kind}");
        }
        let listed = outer.admin.post(SECRETS, json!({"secretGroupId": text(&group, "/id"), "withValue": true})).await;
        let listed = listed.expect(200);
        let mut values: Vec<_> = list(&listed, "/data").iter().map(|secret| text(secret, "/value")).collect();
        values.sort_unstable();
        assert_eq!(values, ["a2", "b1", "c1"], "{kind}");
        let old = outer.admin.get(&crate::support::reference_path("default:pay:A:1")).await.expect(200);
        assert_eq!(text(&old, "/value"), "a1", "{kind}: the pinned older version");
        assert_eq!(outer.open(), 0, "{kind}");
    }
}

#[tokio::test]
async fn what_is_deleted_stays_until_its_time_has_come() {
    for (kind, model) in kinds() {
        let outer = Outer::start(model).await;
        let group = outer.group("pay", &[("A", "a1"), ("B", "b1")]).await;
        let id = secret_id(&group, "A").to_owned();
        outer.admin.delete(&secret_path(&id)).await.expect(200);
        assert_eq!(outer.direct("pay", "A").as_deref(), Some("a1"), "{kind}: its value is untouched");
        outer.admin.post(&format!("/api/v1/secrets/{id}/restore"), json!({})).await.expect(200);
        assert_eq!(outer.value(&group, "A").await, "a1", "{kind}");

        outer.admin.delete(&group_path(&group)).await.expect(200);
        let group_id = text(&group, "/id");
        outer.admin.post(&format!("/api/v1/secret-groups/{group_id}/restore"), json!({})).await.expect(200);
        assert_eq!(outer.value(&group, "A").await, "a1", "{kind}");

        outer.admin.delete(&group_path(&group)).await.expect(200);
        outer.app.clock.advance_days(31);
        outer.app.instance().purge_now().await.unwrap();
        outer.settle().await;
        assert_eq!(outer.held(), [], "{kind}: nothing is left");
        assert_eq!(outer.app.tamper().number("SELECT COUNT(*) FROM store_entries"), 0, "{kind}");
    }
}

#[tokio::test]
async fn a_name_is_used_again_at_once() {
    for (kind, model) in kinds() {
        let outer = Outer::start(model).await;
        let first = outer.group("pay", &[("A", "old")]).await;
        outer.admin.delete(&group_path(&first)).await.expect(200);
        let second = outer.group("pay", &[("A", "new")]).await;
        assert_eq!(outer.value(&second, "A").await, "new", "{kind}");
        // A key of a living group, too.
        outer.admin.put(&group_path(&second), updates(&[("B", Some("b1"))])).await.expect(200);
        outer.admin.put(&group_path(&second), updates(&[("A", Some("newer"))])).await.expect(200);
        let second = outer.again(&second).await;
        assert_eq!(outer.value(&second, "A").await, "newer", "{kind}");
        // The old one is still what it was.
        let id = text(&first, "/id");
        outer.admin.post(&format!("/api/v1/secret-groups/{id}/restore"), json!({"name": "pay-old"})).await.expect(200);
        assert_eq!(outer.value(&first, "A").await, "old", "{kind}");
        // And when its time has come, the others stay.
        outer.admin.delete(&group_path(&first)).await.expect(200);
        outer.app.clock.advance_days(31);
        outer.app.instance().purge_now().await.unwrap();
        outer.settle().await;
        assert_eq!(outer.value(&second, "A").await, "newer", "{kind}");
        outer.admin.put(&group_path(&second), updates(&[("A", Some("newest"))])).await.expect(200);
        assert_eq!(outer.value(&second, "A").await, "newest", "{kind}");
    }
}

#[tokio::test]
async fn readers_who_ask_for_the_same_share_one_call() {
    let outer = Outer::start(ModelKind::checked()).await;
    let group = outer.group("pay", &[("A", "a1")]).await;
    outer.store.next(Call::Get, Fault::hangs());
    let readers = (0..20).map(|_| outer.value(&group, "A"));
    let release = async {
        outer.store.until_hanging(1).await;
        // Those who come later find the call under way.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        outer.store.release();
    };
    let (values, ()) = tokio::join!(futures_util::future::join_all(readers), release);
    assert_eq!(values, vec!["a1".to_owned(); 20]);
    assert_eq!(outer.store.calls(Call::Get), 1);
}

#[tokio::test]
async fn values_are_given_from_memory_only_where_the_integration_says_so() {
    let outer = Outer::start(ModelKind::checked()).await;
    let group = outer.group("pay", &[("A", "a1")]).await;
    let path = secret_path(secret_id(&group, "A"));
    outer.admin.get(&path).await.expect(200);
    outer.store.take_down();
    outer.admin.get(&path).await.refused(424, "secret_store_failed");
    outer.store.bring_up();

    outer.serve_cached(10).await;
    let fresh = outer.admin.get(&path).await;
    assert!(fresh.headers.get(READ_BEFORE).is_none(), "it was asked");
    outer.store.take_down();
    outer.app.clock.advance_seconds(300);
    let kept = outer.admin.get(&path).await;
    let age: i64 = kept.headers[READ_BEFORE].to_str().unwrap().parse().unwrap();
    assert!((300..310).contains(&age), "{age}");
    assert_eq!(text(&kept.expect(200), "/data/value"), "a1");
    let event = &events(&outer.app, "action=READ_SECRET_VALUE").await[0];
    assert!(event.to_string().contains("readBeforeSeconds"), "{event}");
    // Whoever is told that the value was changed outside is not given the old one.
    outer.store.bring_up();
    outer.store.next(Call::Get, Fault::fails(StoreErrorKind::NotFound));
    outer.admin.get(&path).await.refused(424, "changed_outside");
    outer.store.take_down();
    outer.app.clock.advance_seconds(301);
    outer.admin.get(&path).await.refused(424, "secret_store_failed");
}

#[tokio::test]
async fn a_group_with_secrets_in_the_trash_stays_where_they_are() {
    let outer = Outer::start(ModelKind::checked()).await;
    let group = outer.group("pay", &[("A", "a1")]).await;
    outer.admin.delete(&secret_path(secret_id(&group, "A"))).await.expect(200);
    let manifest = json!({"manifest": outer.app.manifest("pay", &[])});
    outer.admin.put(crate::support::GROUPS, manifest.clone()).await.refused(422, "invalid_input");
    // Until they are gone for good.
    outer.app.clock.advance_days(31);
    outer.app.instance().purge_now().await.unwrap();
    outer.admin.put(crate::support::GROUPS, manifest).await.expect(200);
}
