//! Parsers of what strangers send, with far more random inputs than the unit tests take: tokens, key sets, manifests, names.

use std::path::Path;
use std::time::{Duration, Instant};

use super::environment::{self, Environment};
use crate::process::{self, Closing, Ended};

/// The tests by their names: properties of parsers, each of which takes its number of cases from the environment.
const TESTS: [&str; 2] = ["property_tests::", "panic"];
/// Random inputs that each of them takes in a round: some seconds.
const CASES: &str = "1000";

/// Runs rounds, each with other inputs, until the time is over or one of them fails.
pub(crate) fn run(root: &Path, time: Duration, environment: &Environment) -> Result<Ended, String> {
    let (started, mut rounds) = (Instant::now(), 0);
    loop {
        let args = [&["test", "--workspace", "--lib", "--quiet", "--"], &TESTS[..]].concat();
        let mut cargo = process::cargo(root, &args);
        environment::give(&mut cargo, environment).env("PROPTEST_CASES", CASES);
        let ended = process::watch(&mut cargo, Closing::Each("test result:"))?;
        rounds += 1;
        if !ended.succeeded {
            return Ok(ended);
        }
        if started.elapsed() >= time {
            let told = format!("{rounds} rounds of {CASES} random inputs a test, in {} s", started.elapsed().as_secs());
            return Ok(Ended { succeeded: true, closing: vec![told] });
        }
    }
}
