//! Small files: most are read in one look, none is a burden.

use crate::sources::Source;

const HARD_LIMIT: usize = 600;
const SOFT_LIMIT: usize = 400;
const LARGEST_MEDIAN: usize = 150;

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) problems: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// Counts lines without tests.
pub(super) fn check(sources: &[Source]) -> Report {
    let mut report = Report::default();
    let mut sizes = Vec::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        let lines = source.production().lines().count();
        let path = source.path.display();
        if lines > HARD_LIMIT {
            report.problems.push(format!("{path} has {lines} lines without its tests; {HARD_LIMIT} is the limit"));
        } else if lines > SOFT_LIMIT {
            report.warnings.push(format!("{path} has {lines} lines without its tests; split it before {HARD_LIMIT}"));
        }
        sizes.push(lines);
    }
    sizes.sort_unstable();
    let median = sizes.get(sizes.len() / 2).copied().unwrap_or(0);
    if median > LARGEST_MEDIAN {
        report.problems.push(format!("the median file has {median} lines; {LARGEST_MEDIAN} is the limit"));
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, lines: usize, test_lines: usize) -> Source {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(test_lines));
        Source { path: path.into(), text: format!("{}{tests}", "x\n".repeat(lines)) }
    }

    #[test]
    fn large_files_are_found_and_their_tests_are_free() {
        let small = || file("s.rs", 10, 0);
        assert_eq!(check(&[small(), file("a.rs", 400, 900), small()]), Report::default());
        let report = check(&[small(), small(), file("a.rs", 601, 0), file("b.rs", 401, 0), file("c.rs", 10, 0)]);
        assert_eq!(report.problems, ["a.rs has 601 lines without its tests; 600 is the limit"]);
        assert_eq!(report.warnings, ["b.rs has 401 lines without its tests; split it before 600"]);
        assert_eq!(check(&[small(), small(), file("src/tests.rs", 900, 0)]), Report::default());
    }

    #[test]
    fn a_median_that_is_too_large_is_found() {
        let report = check(&[file("a.rs", 10, 0), file("b.rs", 151, 0), file("c.rs", 151, 0)]);
        assert_eq!(report.problems, ["the median file has 151 lines; 150 is the limit"]);
    }
}
