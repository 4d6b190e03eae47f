//! How fast the disk makes an append durable: the bound of every durable write, and it changes from minute to minute.

use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::stats::percentile;

const BLOCK: [u8; 4096] = [0xa5; 4096];

/// What a burst of appends with `fdatasync` after each of them reached.
#[derive(Serialize)]
pub(crate) struct DiskRate {
    /// After which repetition it was measured; 0 is before the first.
    pub(crate) after_repetition: usize,
    pub(crate) fdatasyncs_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
}

/// Appends 4 KiB and calls `fdatasync`, one after the other for `duration`, to a file in `folder` that is removed at the end.
pub(crate) fn measure(folder: &Path, duration: Duration, after_repetition: usize) -> io::Result<DiskRate> {
    let mut file = tempfile::tempfile_in(folder)?;
    let mut latencies = Vec::new();
    let start = Instant::now();
    let mut last = start;
    while last - start < duration {
        file.write_all(&BLOCK)?;
        file.sync_data()?;
        let now = Instant::now();
        latencies.push(nanoseconds(now - last));
        last = now;
    }
    let seconds = (last - start).as_secs_f64();
    latencies.sort_unstable();
    Ok(DiskRate {
        after_repetition,
        fdatasyncs_per_second: count(latencies.len()) / seconds,
        p50_ms: milliseconds(percentile(&latencies, 500)),
        p99_ms: milliseconds(percentile(&latencies, 990)),
    })
}

/// A count as a number to calculate with; exact below 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts of one run are far below 2^53")]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}

/// Nanoseconds, capped at 584 years.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds as milliseconds.
pub(crate) fn milliseconds(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_burst_gives_a_rate_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let rate = measure(folder.path(), Duration::from_millis(20), 3).unwrap();
        assert!(rate.fdatasyncs_per_second > 0.0 && rate.p99_ms >= rate.p50_ms);
        assert_eq!(rate.after_repetition, 3);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
