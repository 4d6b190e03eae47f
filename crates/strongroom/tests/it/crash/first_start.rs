//! Kills during the very first start.

use std::time::Duration;

use crate::support::random::Random;
use crate::support::{Launch, integration_id};

/// Wherever the first start is cut, the next one ends it: with one key, one token, one instance.
#[test]
fn a_first_start_that_was_killed_is_finished_by_the_next() {
    let mut random = Random::new(1);
    for attempt in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let launch = Launch::on(&folder.path().join("data"));
        let time = Duration::from_micros(random.below(80_000));
        launch.start_and_kill_after(time);
        let server = launch.try_start();
        let server =
            server.unwrap_or_else(|refused| panic!("attempt {attempt}, killed after {time:?}: {}", refused.output));
        integration_id(&mut server.client());
    }
}
