//! Order statistics over small samples and over recorded latencies.

/// The median: the middle value, or the mean of the two middle ones. `None` for no values.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    if sorted.len() % 2 == 1 { Some(upper) } else { Some(f64::midpoint(sorted[middle - 1], upper)) }
}

/// The smallest recorded value that at least `permille` thousandths of all values don't exceed (nearest rank, exact).
/// `sorted` must be ascending; 0 for no values.
pub(crate) fn percentile(sorted: &[u64], permille: usize) -> u64 {
    let rank = (sorted.len() * permille).div_ceil(1000).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

/// The smallest and the largest value; `None` for no values.
pub(crate) fn spread(values: &[f64]) -> Option<(f64, f64)> {
    let smallest = values.iter().copied().min_by(f64::total_cmp)?;
    let largest = values.iter().copied().max_by(f64::total_cmp)?;
    Some((smallest, largest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(left: Option<f64>, right: f64) -> bool {
        left.is_some_and(|value| (value - right).abs() < 1e-9)
    }

    #[test]
    fn the_median_does_not_depend_on_order_and_averages_an_even_middle() {
        assert!(close(median(&[5.0, 1.0, 3.0]), 3.0));
        assert!(close(median(&[9.0, 1.0, 3.0, 4.0]), 3.5));
        assert!(close(median(&[7.0]), 7.0));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn one_outlier_does_not_move_the_median_of_five() {
        assert!(close(median(&[10.0, 11.0, 12.0, 13.0, 90_000.0]), 12.0));
    }

    #[test]
    fn percentiles_are_the_nearest_rank_of_recorded_values() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(percentile(&hundred, 500), 50);
        assert_eq!(percentile(&hundred, 990), 99);
        assert_eq!(percentile(&hundred, 1000), 100);
        assert_eq!(percentile(&hundred, 0), 1);
        assert_eq!(percentile(&[10, 20, 30], 500), 20);
        assert_eq!(percentile(&[10, 20, 30], 990), 30);
        assert_eq!(percentile(&[42], 500), 42);
        assert_eq!(percentile(&[], 500), 0);
    }

    #[test]
    fn the_spread_holds_the_extremes() {
        assert_eq!(spread(&[3.0, -1.0, 8.0]), Some((-1.0, 8.0)));
        assert_eq!(spread(&[]), None);
    }
}
