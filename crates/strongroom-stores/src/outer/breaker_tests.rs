use tokio::time::advance;

use super::*;

const POLICY: BreakerPolicy =
    BreakerPolicy { failures: 3, open: Duration::from_secs(5), longest_open: Duration::from_secs(12) };

fn fail(breaker: &Breaker) {
    breaker.admit().expect("leave").failed();
}

fn opened() -> Breaker {
    let breaker = Breaker::new(POLICY);
    (0..3).for_each(|_| fail(&breaker));
    breaker
}

#[tokio::test(start_paused = true)]
async fn so_many_failures_in_a_row_open_it() {
    let breaker = Breaker::new(POLICY);
    fail(&breaker);
    fail(&breaker);
    breaker.admit().unwrap().succeeded();
    fail(&breaker);
    fail(&breaker);
    assert_eq!(breaker.state(), BreakerState::Closed);
    fail(&breaker);
    assert_eq!(breaker.state(), BreakerState::Open);
    assert_eq!(breaker.admit().unwrap_err(), NotAsked { wait: Duration::from_secs(5) });
    advance(Duration::from_secs(4)).await;
    assert_eq!(breaker.glance().unwrap_err(), NotAsked { wait: Duration::from_secs(1) });
}

#[tokio::test(start_paused = true)]
async fn one_probe_decides() {
    let breaker = opened();
    advance(Duration::from_secs(5)).await;
    breaker.glance().unwrap();
    let probe = breaker.admit().unwrap();
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    assert!(breaker.admit().is_err() && breaker.glance().is_err());
    probe.succeeded();
    assert_eq!(breaker.state(), BreakerState::Closed);
    fail(&breaker);
    fail(&breaker);
    assert_eq!(breaker.state(), BreakerState::Closed, "it counts from nought again");
}

#[tokio::test(start_paused = true)]
async fn a_failed_probe_waits_longer_up_to_a_bound() {
    let breaker = opened();
    for (waited, next) in [(5, 10), (10, 12), (12, 12)] {
        advance(Duration::from_secs(waited)).await;
        fail(&breaker);
        assert_eq!(breaker.admit().unwrap_err(), NotAsked { wait: Duration::from_secs(next) });
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_goes_away_leaves_its_place() {
    let breaker = opened();
    advance(Duration::from_secs(5)).await;
    drop(breaker.admit().unwrap());
    breaker.admit().unwrap().succeeded();
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_before_says_nothing_about_now() {
    let breaker = Breaker::new(POLICY);
    let (early, late) = (breaker.admit().unwrap(), breaker.admit().unwrap());
    (0..3).for_each(|_| fail(&breaker));
    early.succeeded();
    assert_eq!(breaker.state(), BreakerState::Open);
    advance(Duration::from_secs(5)).await;
    let probe = breaker.admit().unwrap();
    late.failed();
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    probe.succeeded();
    assert_eq!(breaker.state(), BreakerState::Closed);
}
