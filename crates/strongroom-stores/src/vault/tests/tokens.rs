//! Tokens that end, die, and are wanted by many at once.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::{task::JoinSet, time::advance};

use super::{
    model::{Fault, Model},
    *,
};

async fn many(store: &Arc<VaultStore>) -> Vec<Option<StoreErrorKind>> {
    let mut callers = JoinSet::new();
    for _ in 0..20 {
        let store = store.clone();
        callers.spawn(async move { store.latest(&entry()).await.err().map(|error| error.kind) });
    }
    callers.join_all().await
}

fn revoke_all(model: &Model) {
    model.state.lock().unwrap().tokens.clear();
}

#[tokio::test(start_paused = true)]
async fn many_callers_need_one_login() {
    let model = Model::new();
    let store = Arc::new(store(&model, role()));
    assert_eq!(many(&store).await, [None; 20]);
    assert_eq!(model.logins(), 1);
    // All of them are refused, one logs in, and all go on.
    revoke_all(&model);
    assert_eq!(many(&store).await, [None; 20]);
    assert_eq!(model.logins(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_fails_fails_once_for_all_who_wait() {
    let model = Model::new();
    model.state.lock().unwrap().role_is_good = false;
    let store = Arc::new(store(&model, role()));
    assert_eq!(many(&store).await, [Some(StoreErrorKind::Unauthenticated); 20]);
    assert_eq!(model.logins(), 1);
    // Whoever comes later tries anew.
    model.state.lock().unwrap().role_is_good = true;
    assert_eq!(many(&store).await, [None; 20]);
    assert_eq!(model.logins(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_it_ends() {
    let model = Model::new();
    let store = Arc::new(store(&model, role()));
    many(&store).await;
    advance(Duration::from_secs(39)).await;
    many(&store).await;
    assert_eq!(model.renewals.load(Ordering::SeqCst), 0);
    for (renewals, later) in [(1, 2), (2, 41), (3, 41)] {
        advance(Duration::from_secs(later)).await;
        assert_eq!(many(&store).await, [None; 20]);
        assert_eq!((model.renewals.load(Ordering::SeqCst), model.logins()), (renewals, 1));
    }
    // Nobody asked for a long time.
    advance(Duration::from_secs(61)).await;
    assert_eq!(many(&store).await, [None; 20]);
    assert_eq!((model.renewals.load(Ordering::SeqCst), model.logins()), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_not_renewed_any_more_is_replaced() {
    let model = Model::new();
    model.state.lock().unwrap().renewable = false;
    let store = Arc::new(store(&model, role()));
    many(&store).await;
    advance(Duration::from_secs(41)).await;
    assert_eq!(many(&store).await, [None; 20]);
    assert_eq!((model.renewals.load(Ordering::SeqCst), model.logins()), (0, 2));
    // Its greatest age is near: a renewal gives no more time than is left.
    let model = Model::new();
    let store = Arc::new(super::store(&model, role()));
    many(&store).await;
    model.state.lock().unwrap().lease = 10;
    advance(Duration::from_secs(41)).await;
    assert_eq!(many(&store).await, [None; 20]);
    assert_eq!((model.renewals.load(Ordering::SeqCst), model.logins()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_costs_nothing_while_the_token_is_good() {
    let model = Model::new();
    let store = Arc::new(store(&model, role()));
    many(&store).await;
    advance(Duration::from_secs(41)).await;
    model.plan(&[Fault::Status(400), Fault::Status(500), Fault::Status(500), Fault::Status(500), Fault::Status(500)]);
    assert_eq!(store.latest(&entry()).await.err().map(|error| error.to_string()), None);
}

#[tokio::test(start_paused = true)]
async fn what_a_policy_forbids_is_no_reason_to_log_in() {
    let model = Model::new();
    model.state.lock().unwrap().forbidden = vec!["secret/data"];
    let store = Arc::new(store(&model, role()));
    assert_eq!(many(&store).await, [Some(StoreErrorKind::PermissionDenied); 20]);
    assert_eq!(model.logins(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_given_token_that_died_is_told_from_what_a_policy_forbids() {
    let model = Model::new();
    let store = Arc::new(store(&model, token()));
    revoke_all(&model);
    let error = store.latest(&entry()).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Unauthenticated);
    assert!(error.reason.contains("the token isn't valid"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_write_goes_on_with_a_new_token() {
    let model = Model::new();
    let store = store(&model, role());
    put(&store, Condition::Absent, Some("operation-1")).await.unwrap();
    revoke_all(&model);
    let latest = StoreVersion("1".to_owned());
    assert_eq!(put(&store, Condition::LatestIs(&latest), Some("operation-2")).await.unwrap(), 2);
}
