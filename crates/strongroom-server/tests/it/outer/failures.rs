//! What goes wrong: each way in which one call fails, and what is left of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use strongroom_server::{Step, StepHook};
use strongroom_stores::model::{Fault, ModelKind};
use strongroom_stores::{Call, StoreErrorKind};

use strongroom_testkit::Setup;

use super::{Outer, kinds};
use crate::support::{GROUPS, group_path, list, text, updates};

#[tokio::test]
async fn a_store_that_is_down_keeps_writes_from_happening() {
    for (kind, model) in kinds() {
        let outer = Outer::start(model).await;
        let group = outer.group("pay", &[("A", "a1")]).await;
        outer.store.take_down();
        let refused = outer.create("new", &[("K", "v")]).await;
        let message = refused.refused(424, "secret_store_failed");
        assert!(message.contains("nothing was changed"), "{kind}: {message}");
        let changes = updates(&[("A", Some("a2")), ("B", Some("b1"))]);
        outer.admin.put(&group_path(&group), changes).await.refused(424, "secret_store_failed");
        outer.admin.delete(&group_path(&group)).await.refused(424, "secret_store_failed");
        let listed = outer.admin.get(&format!("{GROUPS}?fqn=default:new")).await.expect(200);
        assert_eq!(list(&listed, "/data").len(), 0, "{kind}");
        assert_eq!(outer.open(), 0, "{kind}: nothing to take back");
        outer.store.bring_up();
        assert_eq!(outer.value(&group, "A").await, "a1", "{kind}");
        outer.group("new", &[("K", "v")]).await;
        outer.store.take_down();
        outer.admin.delete(&format!("{}?forceDelete=true", group_path(&group))).await.expect(200);
        outer.store.bring_up();
        outer.app.clock.advance_days(31);
        outer.app.instance().purge_now().await.unwrap();
        outer.settle().await;
        assert_eq!(outer.held().len(), 1, "{kind}: what the deletion left was removed");
    }
}

#[tokio::test]
async fn half_of_an_update_is_taken_back() {
    for (kind, model) in kinds() {
        for fault in [
            Fault::fails(StoreErrorKind::Unavailable),
            Fault::answer_lost(),
            Fault::request_lost(),
            Fault::late_when_told(),
            Fault::late(3),
            Fault::hangs(),
            Fault::hangs_after(),
            Fault::hangs_and_late(),
            Fault::wrong_body(),
            Fault::throttles(),
            Fault::fails(StoreErrorKind::PermissionDenied),
        ] {
            let outer = Outer::start(model.clone()).await;
            let group = outer.group("pay", &[("A", "a1"), ("B", "b1"), ("C", "c1")]).await;
            outer.store.spare(Call::Put, 2);
            outer.store.next(Call::Put, fault);
            let changes = updates(&[("A", Some("a2")), ("B", Some("b2")), ("C", Some("c2")), ("D", Some("d1"))]);
            let refused = outer.admin.put(&group_path(&group), changes).await;
            refused.refused(424, "secret_store_failed");
            for (key, value) in [("A", "a1"), ("B", "b1"), ("C", "c1")] {
                assert_eq!(outer.value(&group, key).await, value, "{kind} {fault:?}");
            }
            if !model.description.conditional_put {
                // Nothing but time keeps out what is still under way: then it must have come.
                outer.store.let_late_happen();
            }
            outer.settle().await;
            outer.store.let_late_happen();
            outer.store.release();
            outer.settle().await;
            assert_eq!(outer.open(), 0, "{kind} {fault:?}");
            for (key, value) in [("A", "a1"), ("B", "b1"), ("C", "c1")] {
                assert_eq!(outer.value(&group, key).await, value, "{kind} {fault:?}");
                assert_eq!(outer.direct("pay", key).as_deref(), Some(value), "{kind} {fault:?}: {key}");
            }
            let changes = updates(&[("A", Some("a3")), ("B", Some("b3")), ("C", Some("c3")), ("D", Some("d3"))]);
            outer.admin.put(&group_path(&group), changes).await.expect(200);
            let group = outer.again(&group).await;
            for (key, value) in [("A", "a3"), ("B", "b3"), ("C", "c3"), ("D", "d3")] {
                assert_eq!(outer.value(&group, key).await, value, "{kind} {fault:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_was_changed_outside_is_never_given() {
    let outer = Outer::start(ModelKind::checked()).await;
    let group = outer.group("pay", &[("A", "a1")]).await;
    let name = outer.store.entries()[0].name.clone();
    outer.store.write_outside(&name, "theirs");
    assert_eq!(outer.value(&group, "A").await, "a1", "the pinned version");
    outer.store.recreate_outside(&name, "made again");
    let secret = crate::support::secret_path(crate::support::secret_id(&group, "A"));
    let refused = outer.admin.get(&secret).await;
    let message = refused.refused(424, "changed_outside");
    assert!(!message.contains("made again"), "{message}");
    let refused = outer.admin.put(&group_path(&group), updates(&[("A", Some("a2"))])).await;
    assert!(text(&refused.json, "/message").contains("model"));
}

/// Whoever settles a write signs only what a writer of ours had meant to do.
#[tokio::test]
async fn what_waits_to_be_flipped_is_not_taken_from_somebody_else() {
    for (altered, expected) in [(false, "a2"), (true, "a1")] {
        let armed = Arc::new(AtomicBool::new(false));
        let hook = armed.clone();
        // The writer stops for good once everything is in the store.
        let steps: StepHook = Arc::new(move |step| {
            let stops = step == Step::AllPut && hook.load(Ordering::SeqCst);
            Box::pin(async move {
                if stops {
                    std::future::pending::<()>().await;
                }
            })
        });
        let setup = Setup::default().patience(Duration::from_millis(300)).steps(steps);
        let outer = Outer::over(ModelKind::checked(), setup).await;
        let group = outer.group("pay", &[("A", "a1")]).await;
        armed.store(true, Ordering::SeqCst);
        let path = group_path(&group);
        let writing = outer.admin.put(&path, updates(&[("A", Some("a2"))]));
        assert!(tokio::time::timeout(Duration::from_secs(2), writing).await.is_err(), "it should hang");
        armed.store(false, Ordering::SeqCst);
        let tamper = outer.app.tamper();
        let kept = "SELECT COUNT(*) FROM operations WHERE change LIKE '%SecretGroup.update%'";
        assert_eq!(tamper.number(kept), 1);
        if altered {
            tamper.run("UPDATE operations SET change = REPLACE(change, 'SecretGroup.update', 'SecretGroup.another')");
        }
        outer.settle().await;
        assert_eq!((outer.open(), outer.value(&group, "A").await), (0, expected.into()));
    }
}
