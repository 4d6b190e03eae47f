use std::time::Duration;

use crate::Entropy;

/// Waiting times between attempts: doubling, capped, with full jitter so that rivals spread out.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The first upper bound.
    pub base: Duration,
    /// No wait is longer than this.
    pub cap: Duration,
}

impl Backoff {
    /// The wait before attempt number `attempt` (the first retry is 1): anywhere from zero to the doubled bound.
    #[must_use]
    pub fn wait(&self, attempt: u32, entropy: &dyn Entropy) -> Duration {
        let bound = self.base.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(self.cap);
        let mut random = [0; 4];
        entropy.fill(&mut random);
        bound.mul_f64(f64::from(u32::from_be_bytes(random)) / f64::from(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Full;
    impl Entropy for Full {
        fn fill(&self, out: &mut [u8]) {
            out.fill(255);
        }
    }

    #[test]
    fn doubles_up_to_the_cap() {
        let backoff = Backoff { base: Duration::from_millis(2), cap: Duration::from_millis(10) };
        let waits: Vec<_> = (1..=5).map(|attempt| backoff.wait(attempt, &Full).as_millis()).collect();
        assert_eq!(waits, [2, 4, 8, 10, 10]);
        assert_eq!(backoff.wait(u32::MAX, &Full).as_millis(), 10);
    }
}
