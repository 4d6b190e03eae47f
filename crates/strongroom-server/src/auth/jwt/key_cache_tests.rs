use std::time::Duration;

use tokio::time::timeout;

use super::{super::test_support::*, *};
use crate::auth::jwt::fetch::FetchError;

struct World {
    clock: Arc<SetClock>,
    idp: Arc<FakeIdp>,
    cache: Arc<KeyCache>,
}

fn world() -> World {
    let (clock, idp) = (SetClock::at(NOW), FakeIdp::with_keys(&[key("1")]));
    World { cache: Arc::new(KeyCache::new(clock.clone(), idp.clone())), clock, idp }
}

fn key(id: &str) -> serde_json::Value {
    Signer::of("EdDSA").jwk_with_id(id)
}

impl World {
    /// Whether the keys that the cache gives for this id have it.
    async fn knows(&self, id: &str) -> Result<bool, KeysError> {
        self.cache.keys(URI, Some(id)).await.map(|(keys, _)| keys.may_verify(Some(id)))
    }

    fn say_fresh_for(&self, cache_control: &str) {
        let keys = serde_json::json!({"keys": [key("1")]}).to_string().into_bytes();
        self.idp.set(Ok((keys, Some(cache_control.to_owned()))));
    }
}

fn fetch_failed() -> KeysError {
    KeysError::Fetch(Arc::new(down()))
}

#[tokio::test]
async fn keys_are_fresh_for_ten_minutes() {
    let world = world();
    for _ in 0..3 {
        assert_eq!(world.knows("1").await, Ok(true));
    }
    world.clock.advance(599);
    assert_eq!(world.knows("1").await, Ok(true));
    assert_eq!(world.idp.asked(), 1);
    world.clock.advance(1);
    world.idp.set_keys(&[key("2")]);
    assert_eq!(world.knows("1").await, Ok(false), "withdrawn");
    assert_eq!(world.idp.asked(), 1);
}

#[tokio::test]
async fn a_provider_says_how_long_within_bounds() {
    for (cache_control, seconds) in [
        ("max-age=1000", 1_000),
        ("public, Max-Age=1000, must-revalidate", 1_000),
        ("max-age=0", 300),
        ("max-age=-7", 300),
        ("max-age=9999999", 86_400),
        ("max-age=99999999999999999999", 600),
        ("max-age=x", 600),
        ("s-maxage=1000", 600),
        ("no-store", 600),
    ] {
        let world = world();
        world.say_fresh_for(cache_control);
        assert_eq!(world.knows("1").await, Ok(true));
        world.clock.advance(seconds - 1);
        assert_eq!(world.knows("1").await, Ok(true));
        assert_eq!(world.idp.asked(), 1, "{cache_control}");
        world.clock.advance(1);
        assert_eq!(world.knows("1").await, Ok(true));
        assert_eq!(world.idp.asked(), 1, "{cache_control}");
    }
}

#[tokio::test]
async fn a_new_key_is_fetched_at_once_and_unknown_ones_not_all_the_time() {
    let world = world();
    assert_eq!(world.knows("1").await, Ok(true));
    world.clock.advance(30);
    world.idp.set_keys(&[key("1"), key("2")]);
    assert_eq!(world.knows("2").await, Ok(true));
    assert_eq!(world.idp.asked(), 2);
    for id in 0..100 {
        assert_eq!(world.knows(&format!("made up {id}")).await, Ok(false));
        assert_eq!(world.knows("2").await, Ok(true));
    }
    world.clock.advance(29);
    assert_eq!(world.knows("made up").await, Ok(false));
    assert_eq!(world.idp.asked(), 0);
    world.clock.advance(1);
    for _ in 0..10 {
        assert_eq!(world.knows("made up").await, Ok(false));
    }
    assert_eq!(world.idp.asked(), 1);
}

#[tokio::test]
async fn an_outage_is_survived_for_a_day() {
    let world = world();
    assert_eq!(world.knows("1").await, Ok(true));
    world.idp.set(Err(down()));
    for _ in 0..23 {
        world.clock.advance(3_600);
        assert_eq!(world.knows("1").await, Ok(true));
        assert_eq!(world.knows("2").await, Ok(false));
    }
    world.clock.advance(3_599);
    assert_eq!(world.knows("1").await, Ok(true));
    world.clock.advance(1);
    assert_eq!(world.knows("1").await, Err(KeysError::TooOld(Box::new(fetch_failed()))));
    world.idp.set_keys(&[key("1")]);
    world.clock.advance(30);
    assert_eq!(world.knows("1").await, Ok(true));
}

#[tokio::test]
async fn what_never_answered_is_told_and_tried_again_after_a_while() {
    let world = world();
    world.idp.set(Err(down()));
    for _ in 0..10 {
        assert_eq!(world.knows("1").await, Err(fetch_failed()));
    }
    assert_eq!(world.idp.asked(), 1);
    world.idp.set_keys(&[key("1")]);
    world.clock.advance(29);
    assert_eq!(world.knows("1").await, Err(fetch_failed()));
    world.clock.advance(1);
    assert_eq!(world.knows("1").await, Ok(true));
}

#[tokio::test]
async fn an_answer_that_is_no_key_set_is_a_failure() {
    let world = world();
    assert_eq!(world.knows("1").await, Ok(true));
    world.clock.advance(600);
    world.idp.set(Ok((b"<html>".to_vec(), None)));
    assert_eq!(world.knows("1").await, Ok(true), "the old ones");
    let other = self::world();
    other.idp.set(Ok((b"<html>".to_vec(), None)));
    assert!(matches!(other.knows("1").await, Err(KeysError::Malformed(_))));
}

#[tokio::test]
async fn many_at_once_are_one_attempt() {
    let world = Arc::new(world());
    world.idp.hold();
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let world = world.clone();
            tokio::spawn(async move { world.knows("1").await })
        })
        .collect();
    while world.idp.asked() == 0 {
        tokio::task::yield_now().await;
    }
    world.idp.release();
    for one in asking {
        assert_eq!(one.await.unwrap(), Ok(true));
    }
    assert_eq!(world.idp.asked(), 0);
}

#[tokio::test]
async fn who_asks_and_goes_away_stops_nothing() {
    let world = Arc::new(world());
    world.idp.hold();
    let asking = tokio::spawn({
        let world = world.clone();
        async move { world.knows("1").await }
    });
    while world.idp.asked() == 0 {
        tokio::task::yield_now().await;
    }
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    world.idp.release();
    assert_eq!(world.knows("1").await, Ok(true));
    assert_eq!(world.idp.asked(), 0);
}

#[tokio::test]
async fn nobody_waits_for_a_provider_that_is_down() {
    let world = world();
    assert_eq!(world.knows("1").await, Ok(true));
    world.idp.set(Err(down()));
    world.clock.advance(600);
    assert_eq!(world.knows("1").await, Ok(true));
    assert_eq!(world.idp.asked(), 2);
    world.clock.advance(30);
    world.idp.hold();
    world.idp.set_keys(&[key("1"), key("2")]);
    let known = timeout(Duration::from_secs(20), world.knows("1")).await;
    assert_eq!(known.expect("it waits for what never comes"), Ok(true));
    world.idp.release();
    assert_eq!(world.knows("2").await, Ok(true));
    assert_eq!(world.idp.asked(), 1);
}

#[tokio::test]
async fn a_clock_that_was_put_back_does_no_harm() {
    let world = world();
    assert_eq!(world.knows("1").await, Ok(true));
    world.clock.advance(-1_000_000);
    world.idp.set_keys(&[key("2")]);
    assert_eq!(world.knows("2").await, Ok(true));
    assert_eq!(world.knows("1").await, Ok(false));
}

#[tokio::test]
async fn errors_are_for_an_operator() {
    let refused = FetchError::Egress("idp.example: the address 127.0.0.1 is a loopback address".to_owned());
    let text = KeysError::TooOld(Box::new(KeysError::Fetch(Arc::new(refused)))).to_string();
    assert!(text.contains("too old") && text.contains("127.0.0.1"), "{text}");
}
