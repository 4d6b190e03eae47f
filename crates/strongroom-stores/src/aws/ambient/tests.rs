use std::sync::atomic::{AtomicUsize, Ordering};

use strongroom_domain::SecretValue;

use super::*;

const STORE: &str = "aws/secrets-manager";
const START: i64 = 1_000_000;

/// What is answered the first time, the second time, and so on; the last one ever after.
struct Scripted {
    answers: Vec<Answer>,
    asked: AtomicUsize,
}

#[derive(Clone, Copy)]
enum Answer {
    /// Ends so many seconds after the start.
    Ends(i64),
    NoEnd,
    No,
    Never,
    /// After so many seconds.
    Late(u64),
}

#[async_trait]
impl Fetch for Scripted {
    async fn fetch(&self, trail: &Trail) -> Result<Fetched, Trouble> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        // As any fetch, it takes its time.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let ends = match self.answers[asked.min(self.answers.len() - 1)] {
            Answer::Ends(seconds) => Some(at(seconds)),
            Answer::NoEnd => None,
            Answer::Late(seconds) => {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                None
            }
            Answer::No => {
                return Err(Trouble { kind: StoreErrorKind::Unauthenticated, reason: "no identity".to_owned() });
            }
            Answer::Never => {
                trail.note("169.254.170.23: no answer within 5 seconds".to_owned(), false);
                std::future::pending().await
            }
        };
        let secret = |text: &str| SecretValue::new(format!("canary-{text}"));
        let credentials = Credentials {
            access_key_id: format!("ASIA{asked}"),
            secret_access_key: secret("key"),
            session_token: Some(secret("token")),
        };
        Ok(Fetched { credentials, ends })
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(START * 1_000_000).plus_seconds(seconds)
}

fn ambient(answers: &[Answer]) -> (Ambient, Arc<Scripted>) {
    let scripted = Arc::new(Scripted { answers: answers.to_vec(), asked: AtomicUsize::new(0) });
    (Ambient::of(scripted.clone()), scripted)
}

impl Scripted {
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Ambient {
    /// The key's id, `seconds` after the start.
    async fn id(&self, seconds: i64) -> Result<String, StoreError> {
        let deadline = Instant::now() + Duration::from_secs(20);
        Ok(self.credentials(STORE, at(seconds), deadline).await?.access_key_id.clone())
    }
}

/// Until what is under way has ended.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// Until another fetch may be begun.
async fn rest() {
    tokio::time::sleep(REST).await;
}

#[tokio::test(start_paused = true)]
async fn one_fetch_serves_all_and_is_renewed_before_its_end() {
    let (ambient, scripted) = ambient(&[Answer::Ends(3_600), Answer::Ends(7_200)]);
    let ambient = Arc::new(ambient);
    assert_eq!(scripted.asked(), 0, "nobody needed it yet");
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let ambient = ambient.clone();
        all.spawn(async move { ambient.id(0).await });
    }
    for id in all.join_all().await {
        assert_eq!(id.unwrap(), "ASIA0");
    }
    assert_eq!(ambient.id(3_600 - EARLY_SECONDS - 1).await.unwrap(), "ASIA0");
    assert_eq!(scripted.asked(), 1);
    rest().await;
    // Nobody waits for the next one.
    let begun = Instant::now();
    assert_eq!(ambient.id(3_600 - EARLY_SECONDS).await.unwrap(), "ASIA0");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    settle().await;
    assert_eq!(ambient.id(3_600 - EARLY_SECONDS).await.unwrap(), "ASIA1");
    assert_eq!(scripted.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_lasts_is_used_while_no_other_can_be_had_and_not_longer() {
    let (ambient, scripted) = ambient(&[Answer::Ends(3_600), Answer::No]);
    ambient.id(0).await.unwrap();
    rest().await;
    for _ in 0..20 {
        assert_eq!(ambient.id(3_400).await.unwrap(), "ASIA0");
    }
    settle().await;
    for _ in 0..20 {
        assert_eq!(ambient.id(3_400).await.unwrap(), "ASIA0");
    }
    assert_eq!(scripted.asked(), 2, "a failed fetch is not repeated at once");
    rest().await;
    assert_eq!(ambient.id(3_400).await.unwrap(), "ASIA0");
    settle().await;
    assert_eq!(scripted.asked(), 3);
    let error = ambient.id(3_600 - SPARE_SECONDS).await.unwrap_err();
    assert_eq!((error.store, error.reason.as_str()), (STORE, "no identity"));
}

#[tokio::test(start_paused = true)]
async fn silence_ends_at_the_limit_and_is_remembered_for_a_moment() {
    let (ambient, scripted) = ambient(&[Answer::Never]);
    let begun = Instant::now();
    let error = ambient.id(0).await.unwrap_err();
    assert_eq!(begun.elapsed(), LIMIT);
    assert_eq!(error.kind, StoreErrorKind::Unavailable);
    let expected = "secret store aws/secrets-manager: the server's AWS identity can't be had within 8 seconds \
                    (169.254.170.23: no answer within 5 seconds)";
    assert_eq!(error.to_string(), expected);
    // Others don't wait for the same again.
    assert_eq!(ambient.id(0).await.unwrap_err().to_string(), expected);
    assert_eq!((begun.elapsed(), scripted.asked()), (LIMIT, 1));
    rest().await;
    // It is still under way: a second one would be one more program that hangs.
    assert_eq!(ambient.id(0).await.unwrap_err().to_string(), expected);
    assert_eq!((begun.elapsed(), scripted.asked()), (LIMIT + REST, 1));
}

#[tokio::test(start_paused = true)]
async fn what_comes_late_is_used_and_others_may_follow() {
    let (ambient, scripted) = ambient(&[Answer::Late(30), Answer::Ends(9_000)]);
    ambient.id(0).await.unwrap_err();
    assert_eq!(scripted.asked(), 1);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(ambient.id(0).await.unwrap(), "ASIA0");
    rest().await;
    ambient.id(LOOK_AGAIN_SECONDS).await.unwrap();
    assert_eq!(scripted.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_has_less_time_is_not_held_up() {
    let (ambient, _) = ambient(&[Answer::Never]);
    let (begun, time) = (Instant::now(), Duration::from_secs(1));
    let error = ambient.credentials(STORE, at(0), begun + time).await.unwrap_err();
    assert_eq!((begun.elapsed(), error.kind), (time, StoreErrorKind::Unavailable));
}

#[tokio::test(start_paused = true)]
async fn who_hangs_up_takes_nothing_from_the_others() {
    let (ambient, scripted) = ambient(&[Answer::Ends(3_600)]);
    let hung_up = timeout(Duration::from_millis(10), ambient.id(0)).await;
    assert!(hung_up.is_err());
    assert_eq!(ambient.id(0).await.unwrap(), "ASIA0");
    assert_eq!(scripted.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_aws_calls_ended_is_fetched_anew_at_once() {
    let (ambient, scripted) = ambient(&[Answer::Ends(3_600)]);
    let deadline = Instant::now() + Duration::from_secs(20);
    let first = ambient.credentials(STORE, at(0), deadline).await.unwrap();
    ambient.forget(&first);
    let second = ambient.credentials(STORE, at(0), deadline).await.unwrap();
    assert_eq!(second.access_key_id, "ASIA1");
    // Somebody else has fetched new ones before.
    ambient.forget(&first);
    assert_eq!(ambient.id(0).await.unwrap(), "ASIA1");
    assert_eq!(scripted.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_has_no_end_is_looked_at_again_and_what_has_ended_is_none() {
    let (ambient, scripted) = ambient(&[Answer::NoEnd, Answer::Ends(1_000)]);
    ambient.id(0).await.unwrap();
    rest().await;
    ambient.id(LOOK_AGAIN_SECONDS - EARLY_SECONDS - 1).await.unwrap();
    assert_eq!(scripted.asked(), 1);
    let error = ambient.id(1_000).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Unauthenticated);
    assert!(error.reason.contains("has ended, at 1970-01-12T"), "{error}");
    assert_eq!(scripted.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_shown() {
    let (ambient, _) = ambient(&[Answer::Ends(3_600)]);
    let credentials = ambient.credentials(STORE, at(0), Instant::now() + LIMIT).await.unwrap();
    let shown = format!("{ambient:?} {credentials:?}");
    assert!(!shown.contains("canary"), "{shown}");
}
