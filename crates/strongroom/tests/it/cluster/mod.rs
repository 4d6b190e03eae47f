//! Many clients on few groups while everything under them fails, and a check of all that they were told.

mod board;
mod checker;
mod checker_tests;
mod driver;
mod fail_over;
mod hang;
mod history;
mod nemesis;
mod replicas;
mod revoked;
mod run;
mod truth;
mod wire;

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use strongroom_throwaway::{Postgres, PostgresOptions, postgres_programs};

use driver::Workload;
use nemesis::{Fault, Faults};
use replicas::Database;
use run::Run;

/// Held by a test that needs the machine for itself: times are promised, and several of these at a time show only that
/// the machine is too small. The system gives it back when the process ends.
struct Alone(#[expect(dead_code, reason = "it is there to be dropped")] File);

impl Alone {
    fn wait() -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cluster-tests.lock");
        let file = File::options().create(true).append(true).open(path).unwrap();
        file.lock().unwrap();
        Self(file)
    }
}

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

/// A PostgreSQL server; `None`, and a reason printed, where there are no programs.
fn postgres() -> Option<Postgres> {
    if postgres_programs().is_none() {
        assert!(std::env::var("CI").is_err(), "there is no PostgreSQL, which CI must have");
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no PostgreSQL here");
        return None;
    }
    Some(Postgres::start(PostgresOptions::default()).unwrap())
}

#[test]
fn three_replicas_survive_everything() {
    let run = Run::new("three replicas");
    let Some(server) = postgres() else { return };
    let seconds = Duration::from_secs(setting("CLUSTER_SECONDS", 60));
    let report = run.go(Database::on(server), 3, EVERYTHING, seconds);
    let all =
        [Fault::KillReplica, Fault::PauseReplica, Fault::KillDatabase, Fault::RestartDatabase, Fault::PauseDatabase];
    report.saw(&all, 2_000, 200);
}

#[test]
fn sixty_four_writers_of_one_group_all_progress() {
    let run = Run::new("one group");
    let Some(server) = postgres() else { return };
    let writers = Workload { slots: 1, hot: 100, writes: 95, varied: false, hang_ups: 0 };
    let report = run.go_under(Database::on(server), 3, writers, |_| {
        thread::sleep(Duration::from_secs(10));
        Faults::new()
    });
    report.saw(&[], 500, 0);
    report.was_seldom_busy();
}

#[test]
fn the_database_hangs_for_thirty_seconds() {
    let run = Run::new("hang");
    let Some(server) = postgres() else { return };
    let time = Duration::from_secs(setting("CLUSTER_HANG", 30));
    let report = run.go_under(Database::on(server), 3, EVERYTHING, |cluster| {
        thread::sleep(Duration::from_secs(3));
        hang::hang(cluster, time);
        thread::sleep(Duration::from_secs(2));
        Faults::from([(Fault::PauseDatabase, 1)])
    });
    report.saw(&[Fault::PauseDatabase], 200, 10);
}
