//! Many clients on few groups while everything under them fails, and a check of all that they were told.

mod board;
mod checker;
mod checker_tests;
mod driver;
mod history;
mod nemesis;
mod replicas;
mod run;
mod truth;
mod wire;

use std::time::Duration;

use driver::Workload;
use nemesis::Fault;
use replicas::Database;
use run::Run;

/// A number from the environment of the test.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Everything that clients do, on twenty names.
const EVERYTHING: Workload = Workload { slots: 20, hot: 25, writes: 55, varied: true, hang_ups: 20 };

/// One replica over a file: what the replicas do over PostgreSQL, and what shows that the driver itself is right where
/// there is no PostgreSQL.
#[test]
fn one_replica_survives_everything() {
    let run = Run::new("one replica");
    let database = Database::Sqlite(run.folder().join("strongroom.db"));
    let seconds = Duration::from_secs(setting("CLUSTER_SECONDS", 60).min(20));
    let report = run.go(database, 1, EVERYTHING, seconds);
    report.saw(&[Fault::KillReplica, Fault::PauseReplica], 500, 20);
}
