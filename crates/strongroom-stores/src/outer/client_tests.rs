//! The network is a script and time stands still until everyone waits.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::time::advance;

use super::*;
use crate::{
    egress::{AddressPolicy, Refusal},
    outer::judge_by_status,
};

const CANARY: &str = "hunter2-canary";

#[derive(Clone, Copy)]
enum Then {
    Status(u16),
    /// A status with `Retry-After`.
    Later(u16, &'static str),
    /// Nobody listens.
    NotSent,
    /// The connection breaks after the request.
    Broken,
    /// Nothing comes until the time is over.
    Silence,
    /// An answer after a second.
    Slow,
    Refused,
    TooLarge,
}

/// Does what the script says; after its end, the last again and again.
struct Script {
    steps: Mutex<VecDeque<Then>>,
    asked: AtomicUsize,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
}

impl Script {
    fn of(steps: &[Then]) -> Arc<Self> {
        let steps = Mutex::new(steps.iter().copied().collect());
        Arc::new(Self { steps, asked: 0.into(), under_way: 0.into(), most_under_way: 0.into() })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

struct UnderWay<'a>(&'a Script);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Transport for Script {
    async fn send(
        &self,
        url: &EgressUrl,
        _request: Request<Bytes>,
        bounds: Bounds,
    ) -> Result<Response<Bytes>, EgressError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_under_way.fetch_max(now, Ordering::SeqCst);
        let _under_way = UnderWay(self);
        let step = {
            let mut steps = self.steps.lock().unwrap();
            if steps.len() > 1 { steps.pop_front().unwrap() } else { steps[0] }
        };
        let host = url.authority();
        let answer = |status, wait: Option<&'static str>| {
            let mut answer = Response::new(Bytes::from_static(CANARY.as_bytes()));
            *answer.status_mut() = StatusCode::from_u16(status).unwrap();
            answer.headers_mut().extend(wait.map(|wait| (header::RETRY_AFTER, HeaderValue::from_static(wait))));
            Ok(answer)
        };
        match step {
            Then::Status(status) => answer(status, None),
            Then::Later(status, wait) => answer(status, Some(wait)),
            Then::NotSent => Err(EgressError::Connect { host, source: io::ErrorKind::ConnectionRefused.into() }),
            Then::Broken => Err(EgressError::Http { host, sent: true, source: "broken".into() }),
            Then::Silence => {
                sleep(bounds.time).await;
                Err(EgressError::Timeout { host, limit: bounds.time, sent: true })
            }
            Then::Slow => {
                sleep(Duration::from_secs(1)).await;
                answer(200, None)
            }
            Then::Refused => {
                let refusal = AddressPolicy::default().check("127.0.0.1".parse().unwrap()).unwrap_err();
                assert!(matches!(refusal, Refusal::Address { .. }));
                Err(EgressError::Refused { host, refusal })
            }
            Then::TooLarge => Err(EgressError::TooLarge { host, limit: bounds.bytes }),
        }
    }
}

/// The longest wait each time.
struct Longest;

impl Entropy for Longest {
    fn fill(&self, out: &mut [u8]) {
        out.fill(255);
    }
}

fn client(script: &Arc<Script>) -> OuterClient {
    with_policy(script, OuterPolicy::default())
}

fn with_policy(script: &Arc<Script>, policy: OuterPolicy) -> OuterClient {
    OuterClient::over("test", script.clone(), Arc::new(Longest), policy, judge_by_status)
}

fn call() -> Call {
    let mut headers = HeaderMap::new();
    headers.insert("x-token", HeaderValue::from_static(CANARY));
    let url = format!("https://vault.example/{CANARY}").parse().unwrap();
    Call { method: Method::GET, url, headers, body: Bytes::from(CANARY), max_answer_bytes: 100 }
}

async fn send(client: &OuterClient, repeat: Repeat) -> Result<Answer, StoreError> {
    client.attempt().send(repeat, &|| Ok(call())).await
}

#[tokio::test(start_paused = true)]
async fn reads_are_asked_again_with_growing_waits() {
    let script = Script::of(&[Then::Status(503), Then::Broken, Then::NotSent, Then::Status(200)]);
    let (client, begun) = (client(&script), Instant::now());
    let answer = send(&client, Repeat::Read).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.after_unclear), (200, false));
    assert_eq!(begun.elapsed().as_millis(), 100 + 200 + 400);
}

#[tokio::test(start_paused = true)]
async fn there_are_so_many_tries() {
    let script = Script::of(&[Then::Status(502)]);
    let error = send(&client(&script), Repeat::Read).await.unwrap_err();
    assert_eq!((error.kind, error.may_have_happened, script.asked()), (StoreErrorKind::Unavailable, false, 4));
    assert!(error.to_string().contains("status 502"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_honoured_where_there_is_time() {
    let script = Script::of(&[Then::Later(429, "7"), Then::Status(200)]);
    let begun = Instant::now();
    send(&client(&script), Repeat::Never).await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 7);

    let script = Script::of(&[Then::Later(429, "3600")]);
    let begun = Instant::now();
    let error = send(&client(&script), Repeat::Read).await.unwrap_err();
    assert_eq!((error.kind, script.asked(), begun.elapsed().as_secs()), (StoreErrorKind::Throttled, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_write_of_unknown_fate_is_not_sent_again() {
    for step in [Then::Status(500), Then::Broken, Then::Silence, Then::TooLarge] {
        let script = Script::of(&[step, Then::Status(200)]);
        let error = send(&client(&script), Repeat::Never).await.unwrap_err();
        assert_eq!((script.asked(), error.may_have_happened), (1, true), "{error}");
    }
    // Surely not done.
    for step in [Then::NotSent, Then::Later(429, "0")] {
        let script = Script::of(&[step, Then::Status(200)]);
        let answer = send(&client(&script), Repeat::Never).await.unwrap();
        assert_eq!((script.asked(), answer.after_unclear), (2, false));
    }
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_write_is_sent_again_and_says_so() {
    let script = Script::of(&[Then::Broken, Then::NotSent, Then::Status(400)]);
    let answer = send(&client(&script), Repeat::Idempotent).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.after_unclear), (400, true));
    // What an early try may have done is not forgotten over what a late one surely didn't.
    let script = Script::of(&[Then::Broken, Then::NotSent]);
    assert!(send(&client(&script), Repeat::Idempotent).await.unwrap_err().may_have_happened);
    let script = Script::of(&[Then::NotSent]);
    assert!(!send(&client(&script), Repeat::Idempotent).await.unwrap_err().may_have_happened);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_cannot_be_made_again_leaves_the_first_one_open() {
    let script = Script::of(&[Then::Broken]);
    let client = client(&script);
    let make = || match script.asked() {
        0 => Ok(call()),
        _ => Err(client.error(StoreErrorKind::Unauthenticated, "no credentials any more")),
    };
    let error = client.attempt().send(Repeat::Idempotent, &make).await.unwrap_err();
    assert_eq!((error.kind, error.may_have_happened), (StoreErrorKind::Unauthenticated, true));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_costs_the_attempts_time_and_no_more() {
    let script = Script::of(&[Then::Silence]);
    let policy = OuterPolicy { attempt: Duration::from_secs(15), ..OuterPolicy::default() };
    let (client, begun) = (with_policy(&script, policy), Instant::now());
    let attempt = client.attempt();
    attempt.send(Repeat::Never, &|| Ok(call())).await.unwrap_err();
    assert_eq!(begun.elapsed().as_secs(), 10, "one request");
    let error = attempt.send(Repeat::Read, &|| Ok(call())).await.unwrap_err();
    assert_eq!((error.kind, begun.elapsed().as_secs()), (StoreErrorKind::Unavailable, 15));
}

#[tokio::test(start_paused = true)]
async fn so_many_requests_are_under_way_at_once() {
    let script = Script::of(&[Then::Slow]);
    let client = Arc::new(with_policy(&script, OuterPolicy { at_once: 3, ..OuterPolicy::default() }));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let client = client.clone();
        calls.spawn(async move { send(&client, Repeat::Read).await.unwrap() });
    }
    calls.join_all().await;
    assert_eq!((script.asked(), script.most_under_way.load(Ordering::SeqCst)), (10, 3));
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_line_in_vain_has_sent_nothing() {
    let script = Script::of(&[Then::Slow]);
    let policy = OuterPolicy { at_once: 1, attempt: Duration::from_millis(1500), ..OuterPolicy::default() };
    let client = with_policy(&script, policy);
    let (first, second, third) =
        tokio::join!(send(&client, Repeat::Never), send(&client, Repeat::Never), send(&client, Repeat::Never));
    // The second got its turn with half a second left, in which the script doesn't answer; it's the script that is slow.
    assert!(first.is_ok() && second.is_ok());
    let error = third.unwrap_err();
    assert_eq!((error.kind, error.may_have_happened, script.asked()), (StoreErrorKind::Throttled, false, 2));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_goes_away_frees_its_place() {
    let script = Script::of(&[Then::Silence, Then::Status(200)]);
    let client = with_policy(&script, OuterPolicy { at_once: 1, ..OuterPolicy::default() });
    tokio::time::timeout(Duration::from_secs(1), send(&client, Repeat::Read)).await.unwrap_err();
    send(&client, Repeat::Read).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_keeps_failing_is_left_alone_for_a_while() {
    let script = Script::of(&[Then::Broken]);
    let client = client(&script);
    send(&client, Repeat::Read).await.unwrap_err();
    // The fifth failure opens it; whoever caused it is told what happened.
    let error = send(&client, Repeat::Read).await.unwrap_err();
    assert_eq!((script.asked(), client.breaker_state()), (5, BreakerState::Open));
    assert!(error.to_string().contains("no valid HTTP answer"), "{error}");
    let (begun, error) = (Instant::now(), send(&client, Repeat::Never).await.unwrap_err());
    assert_eq!((script.asked(), error.may_have_happened, begun.elapsed()), (5, false, Duration::ZERO));
    assert!(error.to_string().contains("it kept failing and is not asked for another 5 s"), "{error}");

    advance(Duration::from_secs(5)).await;
    *script.steps.lock().unwrap() = [Then::Slow].into();
    let (first, second) = tokio::join!(send(&client, Repeat::Read), send(&client, Repeat::Read));
    // One asked, the other was told at once.
    assert!(first.is_ok() && second.is_err());
    assert_eq!((script.asked(), client.breaker_state()), (6, BreakerState::Closed));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_failure_of_the_store_leaves_the_breaker_alone() {
    for (step, kind) in [
        (Then::Refused, StoreErrorKind::Unavailable),
        (Then::TooLarge, StoreErrorKind::Integrity),
        (Then::Later(429, "999"), StoreErrorKind::Throttled),
    ] {
        let script = Script::of(&[step]);
        let client = client(&script);
        for asked in 1..=10 {
            let error = send(&client, Repeat::Read).await.unwrap_err();
            // Once each time: another try would say the same.
            assert_eq!((error.kind, script.asked()), (kind, asked), "{error}");
        }
        assert_eq!(client.breaker_state(), BreakerState::Closed);
    }
}

/// The outcomes that were counted, and how often.
fn counted(client: &OuterClient) -> Vec<(&'static str, u64)> {
    let stats = client.stats();
    let told = Outcome::ALL.into_iter().map(|outcome| (outcome.name(), stats.tries(outcome)));
    told.filter(|(_, count)| *count > 0).collect()
}

#[tokio::test(start_paused = true)]
async fn what_became_of_tries_is_counted() {
    for (step, outcome, tries) in [
        (Then::Status(200), "answered", 1),
        (Then::Status(404), "answered", 1),
        (Then::Later(429, "999"), "throttled", 1),
        (Then::Status(500), "failed", 4),
        (Then::NotSent, "unreachable", 4),
        (Then::Broken, "unreachable", 4),
        (Then::Refused, "rejected", 1),
        (Then::TooLarge, "rejected", 1),
    ] {
        let script = Script::of(&[step]);
        let client = client(&script);
        let _ = send(&client, Repeat::Read).await;
        assert_eq!(counted(&client), [(outcome, tries)]);
        let stats = client.stats();
        assert_eq!((stats.retries, stats.under_way, stats.sent()), (tries - 1, 0, tries), "{outcome}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_of_requests_is_counted_without_the_waits() {
    let script = Script::of(&[Then::Status(503), Then::Slow]);
    let client = client(&script);
    send(&client, Repeat::Read).await.unwrap();
    assert_eq!((client.stats().time, client.stats().retries), (Duration::from_secs(1), 1));
    // One whose caller goes away took the time until then.
    let mut call = Box::pin(send(&client, Repeat::Read));
    tokio::time::timeout(Duration::from_millis(300), &mut call).await.unwrap_err();
    assert_eq!(client.stats().under_way, 1);
    drop(call);
    assert_eq!((client.stats().under_way, client.stats().time), (0, Duration::from_millis(1300)));
    assert_eq!(counted(&client), [("answered", 1), ("failed", 1), ("abandoned", 1)]);
}

#[tokio::test(start_paused = true)]
async fn what_isnt_sent_is_counted_apart() {
    let script = Script::of(&[Then::Broken]);
    let client = client(&script);
    for _ in 0..3 {
        send(&client, Repeat::Read).await.unwrap_err();
    }
    // The second request's second try was not sent, nor was the third request.
    assert_eq!(counted(&client), [("unreachable", 5), ("not_asked", 2)]);
    assert_eq!((client.stats().breaker, client.stats().sent()), (BreakerState::Open, 5));

    let script = Script::of(&[Then::Slow]);
    let policy = OuterPolicy { at_once: 1, attempt: Duration::from_millis(1500), ..OuterPolicy::default() };
    let client = with_policy(&script, policy);
    let sent = || send(&client, Repeat::Never);
    let _ = tokio::join!(sent(), sent(), sent());
    assert_eq!(counted(&client), [("answered", 2), ("crowded", 1)]);
}

#[tokio::test(start_paused = true)]
async fn nothing_of_an_exchange_is_told() {
    use std::error::Error as _;
    let steps =
        [Then::Status(500), Then::Later(429, "999"), Then::Broken, Then::Silence, Then::TooLarge, Then::Refused];
    for step in steps {
        let script = Script::of(&[step]);
        let client = client(&script);
        let error = send(&client, Repeat::Never).await.unwrap_err();
        let told = format!("{error} {error:?} {:?} {client:?} {:?}", error.source(), call());
        assert!(!told.contains(CANARY) && told.contains("test"), "{told}");
    }
    let answer = send(&client(&Script::of(&[Then::Status(200)])), Repeat::Read).await.unwrap();
    assert!(answer.body == CANARY && !format!("{answer:?}").contains(CANARY));
}
