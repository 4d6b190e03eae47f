//! How many requests a second are answered. One bucket a subject, for everything that its tokens ask; one a client
//! address, for what is asked without a token and for tokens that are none.
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
    addresses: Option<Limit<IpAddr>>,
}

impl RateLimits {
    /// With so many requests a second; 0 is without limit.
    pub(crate) fn new(clock: Arc<dyn Clock>, by_subject: u32, by_address: u32) -> Self {
        Self { clock, subjects: Limit::new(by_subject, BUCKETS), addresses: Limit::new(by_address, BUCKETS) }
    }

    /// Counts a request of an authenticated subject.
    pub(crate) fn subject(&self, id: &str) -> Result<(), RetryAfter> {
        self.subjects.as_ref().map_or(Ok(()), |limit| limit.count(id, self.now()))
    }

    /// Counts a request that takes no token.
    pub(crate) fn public(&self, address: IpAddr) -> Result<(), RetryAfter> {
        self.addresses.as_ref().map_or(Ok(()), |limit| limit.count(&network(address), self.now()))
    }

    /// Whether an address may try a token that isn't known. To be asked before the database is.
    pub(crate) fn may_try(&self, address: IpAddr) -> Result<(), RetryAfter> {
        self.addresses.as_ref().map_or(Ok(()), |limit| limit.look(&network(address), self.now()))
    }

    /// Counts a failed authentication. Many that were tried at once can be too many only now.
    pub(crate) fn failed(&self, address: IpAddr) -> Result<(), RetryAfter> {
        self.public(address)
    }

    pub(crate) fn refusals(&self) -> Refusals {
        let refused = |limit: &AtomicU64| limit.load(Ordering::Relaxed);
        Refusals {
            by_subject: self.subjects.as_ref().map_or(0, |limit| refused(&limit.refused)),
            by_address: self.addresses.as_ref().map_or(0, |limit| refused(&limit.refused)),
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
        self.answer(self.gcra.check(&bucket, now))
    }

    /// Whether there is one in it. A key that is only looked for takes no room.
    fn look<Q: Hash + Equivalent<K> + ?Sized>(&self, key: &Q, now: i64) -> Result<(), RetryAfter> {
        self.answer(self.buckets.get(key).map_or(Ok(()), |bucket| self.gcra.peek(&bucket, now)))
    }

    fn answer(&self, checked: Result<(), Duration>) -> Result<(), RetryAfter> {
        checked.map_err(|wait| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            RetryAfter(wait)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

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
    fn a_million_keys_take_no_more_room_than_the_table_has() {
        let limit = Limit::new(1, BUCKETS).unwrap();
        let (attacker, mut refused) = (address(0), 0);
        for number in 1..=1_000_000 {
            limit.count(&address(number), 0).unwrap();
            limit.look(&address(!number), 0).unwrap();
            // Who goes on asking isn't forgotten for all the others.
            if number % 1_000 == 0 {
                refused += u32::from(limit.count(&attacker, 0).is_err());
            }
        }
        let (held, most) = (limit.buckets.len(), BUCKETS + limit.buckets.num_shards());
        assert!((BUCKETS / 2..=most).contains(&held), "{held}");
        assert_eq!(refused, 1_000 - 10);
        assert_eq!(limit.refused.into_inner(), u64::from(refused));
    }

    #[test]
    fn keys_are_counted_apart_and_zero_is_off() {
        assert!(Limit::<String>::new(0, BUCKETS).is_none());
        let limit = Limit::<String>::new(2, BUCKETS).unwrap();
        for _ in 0..20 {
            limit.count("one", 0).unwrap();
        }
        assert_eq!(limit.count("one", 0), Err(RetryAfter(Duration::from_millis(500))));
        assert_eq!(limit.look("one", 0), Err(RetryAfter(Duration::from_millis(500))));
        assert_eq!(limit.count("other", 0), Ok(()));
        assert_eq!(limit.count("one", SECOND / 2), Ok(()));
    }
}
