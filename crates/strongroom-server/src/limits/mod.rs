//! How many requests a second are answered. One bucket a subject, for everything that its tokens ask. Of a client address
//! one for what is asked without a token, and one for tokens that are none. Many may come from one address, so these don't
//! keep a good token out: only who tries far more tokens than that at once may not try more, as each try costs a look-up,
//! or a signature's verification.
//!
//! Buckets are few bytes each and of bounded number. What is asked least recently is forgotten first, and a forgotten
//! bucket is a full one: so a flood from many addresses takes no memory and can't make the limits stricter.

mod gcra;

use std::convert::Infallible;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quick_cache::Equivalent;
use quick_cache::sync::Cache;
use strongroom_domain::Clock;

use self::gcra::Gcra;

/// A bucket holds what ten seconds bring.
const BURST_SECONDS: u32 = 10;

/// So many tokens may be looked up for one that may fail: at the default 2,000 a second, which take some hundredths of a
/// core.
const LOOK_UPS: u32 = 100;
/// And so many may be verified, which takes five times as long.
const VERIFICATIONS: u32 = 20;

/// How many subjects, and how many addresses, are remembered.
const BUCKETS: usize = 65_536;

/// Too many requests; there may be one after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RetryAfter(pub(crate) Duration);

/// How many requests were refused since the start, by what they were too many for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// For their subject.
    pub by_subject: u64,
    /// For their client address.
    pub by_address: u64,
}

/// The limits of a server; each server counts for itself.
pub(crate) struct RateLimits {
    clock: Arc<dyn Clock>,
    subjects: Option<Limit<String>>,
    /// Requests that take no token.
    public: Option<Limit<IpAddr>>,
    /// Tokens that are none.
    failures: Option<Limit<IpAddr>>,
    /// Tokens that aren't known, to be looked up.
    look_ups: Option<Limit<IpAddr>>,
    /// Tokens whose signature is to be verified.
    verifications: Option<Limit<IpAddr>>,
}

impl RateLimits {
    /// With so many requests a second; 0 is without limit.
    pub(crate) fn new(clock: Arc<dyn Clock>, by_subject: u32, by_address: u32) -> Self {
        Self {
            clock,
            subjects: Limit::new(by_subject, BUCKETS),
            public: Limit::new(by_address, BUCKETS),
            failures: Limit::new(by_address, BUCKETS),
            look_ups: Limit::new(by_address.saturating_mul(LOOK_UPS), BUCKETS),
            verifications: Limit::new(by_address.saturating_mul(VERIFICATIONS), BUCKETS),
        }
    }

    /// Counts a request of an authenticated subject.
    pub(crate) fn subject(&self, id: &str) -> Result<(), RetryAfter> {
        self.subjects.as_ref().map_or(Ok(()), |limit| limit.count(id, self.now()))
    }

    /// Counts a request that takes no token.
    pub(crate) fn public(&self, address: IpAddr) -> Result<(), RetryAfter> {
        self.count(self.public.as_ref(), address)
    }

    /// Counts a token that isn't known. To be asked before the database is.
    pub(crate) fn look_up(&self, address: IpAddr) -> Result<(), RetryAfter> {
        self.count(self.look_ups.as_ref(), address)
    }

    /// Counts a token that an identity provider may have made. To be asked before its signature is verified.
    pub(crate) fn verify(&self, address: IpAddr) -> Result<(), RetryAfter> {
        self.count(self.verifications.as_ref(), address)
    }

    /// Counts a failed authentication.
    pub(crate) fn failed(&self, address: IpAddr) -> Result<(), RetryAfter> {
        self.count(self.failures.as_ref(), address)
    }

    fn count(&self, limit: Option<&Limit<IpAddr>>, address: IpAddr) -> Result<(), RetryAfter> {
        limit.map_or(Ok(()), |limit| limit.count(&network(address), self.now()))
    }

    pub(crate) fn refusals(&self) -> Refusals {
        let by_address = [&self.public, &self.failures, &self.look_ups, &self.verifications];
        Refusals {
            by_subject: self.subjects.as_ref().map_or(0, Limit::refused),
            by_address: by_address.into_iter().flatten().map(Limit::refused).sum(),
        }
    }

    fn now(&self) -> i64 {
        self.clock.now().micros()
    }
}

/// What counts as one client: networks give a whole /64 to each of theirs.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

/// Buckets by key.
struct Limit<K> {
    gcra: Gcra,
    buckets: Cache<K, Arc<AtomicU64>>,
    refused: AtomicU64,
}

impl<K> Limit<K> {
    fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

impl<K: Hash + Eq> Limit<K> {
    fn new(rate_per_second: u32, buckets: usize) -> Option<Self> {
        let gcra = Gcra { rate_per_second, burst: rate_per_second.saturating_mul(BURST_SECONDS) };
        (rate_per_second > 0).then(|| Self { gcra, buckets: Cache::new(buckets), refused: AtomicU64::new(0) })
    }

    /// Takes one request out of the key's bucket.
    fn count<Q>(&self, key: &Q, now: i64) -> Result<(), RetryAfter>
    where
        Q: Hash + Equivalent<K> + ToOwned<Owned = K> + ?Sized,
    {
        let Ok(bucket) = self.buckets.get_or_insert_with(key, || Ok::<_, Infallible>(Arc::new(self.gcra.full(now))));
        self.gcra.check(&bucket, now).map_err(|wait| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            RetryAfter(wait)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> strongroom_domain::Timestamp {
            strongroom_domain::Timestamp::from_micros(SECOND)
        }
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn an_address_is_a_network_that_one_client_has() {
        let network = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(network("203.0.113.9"), "203.0.113.9");
        assert_eq!(network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(network("2001:db8:1:2:ffff:ffff:ffff:ffff"), network("2001:db8:1:2::"));
        assert_ne!(network("2001:db8:1:3::"), network("2001:db8:1:2::"));
    }

    #[test]
    fn what_an_address_fails_at_keeps_out_neither_tries_nor_what_takes_no_token() {
        let limits = RateLimits::new(Arc::new(Stopped), 1, 1);
        let here = address(1);
        let most = |count: &dyn Fn() -> Result<(), RetryAfter>| (0..10_000).take_while(|_| count().is_ok()).count();
        assert_eq!(most(&|| limits.failed(here)), 10);
        assert_eq!(most(&|| limits.verify(here)), 200);
        assert_eq!(most(&|| limits.look_up(here)), 1_000);
        assert_eq!(most(&|| limits.public(here)), 10);
        assert_eq!(limits.refusals(), Refusals { by_subject: 0, by_address: 4 });
    }

    #[test]
    fn a_million_keys_take_no_more_room_than_the_table_has() {
        let limit = Limit::new(1, BUCKETS).unwrap();
        let (attacker, mut refused) = (address(0), 0);
        for number in 1..=1_000_000 {
            limit.count(&address(number), 0).unwrap();
            // Who goes on asking isn't forgotten for all the others.
            if number % 1_000 == 0 {
                refused += u32::from(limit.count(&attacker, 0).is_err());
            }
        }
        let (held, most) = (limit.buckets.len(), BUCKETS + limit.buckets.num_shards());
        assert!((BUCKETS / 2..=most).contains(&held), "{held}");
        assert_eq!(refused, 1_000 - 10);
        assert_eq!(limit.refused(), u64::from(refused));
    }

    #[test]
    fn keys_are_counted_apart_and_zero_is_off() {
        assert!(Limit::<String>::new(0, BUCKETS).is_none());
        let limit = Limit::<String>::new(2, BUCKETS).unwrap();
        for _ in 0..20 {
            limit.count("one", 0).unwrap();
        }
        assert_eq!(limit.count("one", 0), Err(RetryAfter(Duration::from_millis(500))));
        assert_eq!(limit.count("other", 0), Ok(()));
        assert_eq!(limit.count("one", SECOND / 2), Ok(()));
    }
}
