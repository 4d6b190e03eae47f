//! Every store against the one suite, and the fault decorator against its promise.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "tests; one that can't run says so"
)]

mod aws;
mod misbehaving;
mod model;
mod support;
mod vault;
mod vault_access;

use strongroom_stores::{EmbeddedStore, FaultPlan, Faulty, MemoryStore, SecretStore, StoreErrorKind, conformance};

#[tokio::test]
async fn the_embedded_store_conforms() {
    let skipped = conformance::run(&EmbeddedStore::new(64 * 1024), 1).await;
    // It keeps nothing itself, so there is nothing to enumerate, condition, mark, find, stage or remove.
    assert_eq!(skipped.len(), 9, "skipped: {skipped:?}");
    assert!(!skipped.contains(&"a_row_opens_only_where_it_belongs"));
}

#[tokio::test]
async fn the_memory_store_conforms_to_everything() {
    assert_eq!(conformance::run(&MemoryStore::default(), 1).await, Vec::<&str>::new());
}

#[tokio::test]
async fn a_healthy_decorator_changes_nothing() {
    assert_eq!(
        conformance::run(&Faulty::new(MemoryStore::default(), FaultPlan::default()), 1).await,
        Vec::<&str>::new()
    );
}

#[tokio::test]
async fn a_store_taken_down_fails_and_comes_back() {
    let plan = FaultPlan::default();
    let store = Faulty::new(MemoryStore::default(), plan.clone());
    let entry = support::entry("g", "KEY");
    plan.take_down();
    for error in [
        store.probe().await,
        store.answers().await,
        store.latest(&entry).await.map(drop),
        store.find(&entry, "operation-1", 1).await.map(drop),
    ] {
        assert_eq!(error.expect_err("down").kind, StoreErrorKind::Unavailable);
    }
    plan.bring_up();
    assert!(store.probe().await.is_ok() && store.answers().await.is_ok());
}
