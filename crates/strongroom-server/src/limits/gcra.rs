//! The arithmetic of a token bucket that fits into one number.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What one request costs, in the unit of which each microsecond brings `rate_per_second`. So all sums are whole numbers,
/// and no rate is rounded.
const COST: u64 = 1_000_000;

/// How far threads may disagree about the present. A bucket that is in debt by more than this beyond its burst was
/// written before the clock was set back.
const CLOCK_SLACK_SECONDS: u64 = 10;

/// A bucket that holds `burst` requests and gets `rate_per_second` new ones, as the generic cell rate algorithm. What is
/// kept of a client is the time at which its bucket is full again. Times wrap around: only their differences count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gcra {
    pub(super) rate_per_second: u32,
    pub(super) burst: u32,
}

impl Gcra {
    /// A full bucket.
    pub(super) fn full(self, now_micros: i64) -> AtomicU64 {
        AtomicU64::new(self.scaled(now_micros))
    }

    /// Takes one request, or says after which time there is one.
    pub(super) fn check(self, state: &AtomicU64, now_micros: i64) -> Result<(), Duration> {
        let mut full_at = state.load(Ordering::Relaxed);
        loop {
            let next = self.after_one(full_at, now_micros)?;
            match state.compare_exchange_weak(full_at, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => full_at = other,
            }
        }
    }

    /// The same without taking one.
    #[cfg(test)]
    fn peek(self, state: &AtomicU64, now_micros: i64) -> Result<(), Duration> {
        self.after_one(state.load(Ordering::Relaxed), now_micros).map(drop)
    }

    /// When the bucket would be full after one more request.
    fn after_one(self, full_at: u64, now_micros: i64) -> Result<u64, Duration> {
        let (now, rate) = (self.scaled(now_micros), u64::from(self.rate_per_second));
        let size = u64::from(self.burst) * COST;
        let ahead = full_at.wrapping_sub(now);
        // What is past looks far ahead.
        let debt = if ahead <= size + CLOCK_SLACK_SECONDS * COST * rate { ahead } else { 0 };
        match (debt + COST).checked_sub(size) {
            None | Some(0) => Ok(now.wrapping_add(debt + COST)),
            Some(missing) => Err(Duration::from_micros(missing.div_ceil(rate))),
        }
    }

    fn scaled(self, micros: i64) -> u64 {
        micros.cast_unsigned().wrapping_mul(self.rate_per_second.into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;

    use proptest::prelude::*;

    use super::*;

    /// Whether requests at these times keep within burst and rate, in every window that begins and ends with one.
    fn conform(gcra: Gcra, times: &[i64]) -> bool {
        let within = |count: usize, micros: i64| {
            let allowed = i128::from(gcra.burst) * 1_000_000 + i128::from(micros) * i128::from(gcra.rate_per_second);
            count as i128 * 1_000_000 <= allowed
        };
        (0..times.len())
            .all(|first| (first..times.len()).all(|last| within(last - first + 1, times[last] - times[first])))
    }

    /// Any limit, and times at which somebody asks: in a rush, evenly, and after pauses; from any point in time on.
    fn any_arrivals() -> impl Strategy<Value = (Gcra, Vec<i64>)> {
        let gap = prop_oneof![Just(0), 0i64..2_000, 0i64..1_000_000, 0i64..20_000_000];
        let rate = prop_oneof![1u32..10, 1u32..3_000, Just(1_000_000)];
        let arrivals = (any::<i64>(), proptest::collection::vec(gap, 1..120));
        (rate, 1u32..30, arrivals).prop_map(|(rate_per_second, burst, (begin, gaps))| {
            let begin = begin.min(i64::MAX - 120 * 20_000_000);
            let times = gaps.iter().scan(begin, |at, gap| {
                *at += gap;
                Some(*at)
            });
            (Gcra { rate_per_second, burst }, times.collect())
        })
    }

    proptest! {
        #[test]
        fn who_keeps_within_the_limit_is_never_refused((gcra, times) in any_arrivals()) {
            let mut fair = Vec::new();
            for at in times {
                fair.push(at);
                if !conform(gcra, &fair) {
                    fair.pop();
                }
            }
            let state = gcra.full(fair[0]);
            for at in fair {
                prop_assert_eq!(gcra.check(&state, at), Ok(()));
            }
        }

        #[test]
        fn no_window_admits_more_than_burst_and_rate((gcra, times) in any_arrivals()) {
            let state = gcra.full(times[0]);
            let admitted: Vec<_> = times.into_iter().filter(|at| gcra.check(&state, *at).is_ok()).collect();
            prop_assert!(conform(gcra, &admitted), "{:?} {:?}", gcra, admitted);
        }

        #[test]
        fn the_wait_is_neither_too_short_nor_too_long((gcra, times) in any_arrivals()) {
            let state = gcra.full(times[0]);
            for at in times {
                prop_assert_eq!(gcra.peek(&state, at).is_ok(), gcra.check(&state, at).is_ok());
                if let Err(wait) = gcra.peek(&state, at) {
                    let then = at + i64::try_from(wait.as_micros()).unwrap();
                    prop_assert!(gcra.peek(&state, then - 1).is_err());
                    prop_assert!(gcra.peek(&state, then).is_ok());
                }
            }
        }
    }

    #[test]
    fn many_at_once_get_no_more_than_one_after_the_other() {
        const THREADS: usize = 4;
        let gcra = Gcra { rate_per_second: 1_000, burst: 50 };
        let (state, clock) = (gcra.full(0), AtomicI64::new(0));
        let run = || (0..50_000).filter(|_| gcra.check(&state, clock.fetch_add(1, Ordering::Relaxed)).is_ok()).count();
        let admitted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(run)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        // 200 ms have gone by.
        assert!((249..=250).contains(&admitted), "{admitted}");
    }

    #[test]
    fn a_clock_that_is_set_back_shuts_nobody_out() {
        let gcra = Gcra { rate_per_second: 10, burst: 100 };
        let (hour, state) = (3_600_000_000, gcra.full(0));
        for _ in 0..100 {
            gcra.check(&state, hour).unwrap();
        }
        // Threads that are a little behind are refused still.
        assert!(gcra.check(&state, hour - 9_000_000).is_err());
        assert_eq!(gcra.check(&state, 0), Ok(()));
    }
}
