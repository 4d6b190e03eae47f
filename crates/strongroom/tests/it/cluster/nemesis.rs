//! What goes wrong, at random times: at most one replica at a time, and the database beside it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use strongroom_throwaway::Postgres;

use super::replicas::Cluster;
use crate::support::random::Random;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    KillReplica,
    PauseReplica,
    KillDatabase,
    RestartDatabase,
    PauseDatabase,
    FailOver,
}

/// How often each fault happened.
pub(super) type Faults = BTreeMap<Fault, u64>;

/// Makes things go wrong until a time, and leaves everything running.
pub(super) fn run(cluster: &Cluster, seed: u64, until: Instant) -> Faults {
    thread::scope(|scope| {
        let replicas = scope.spawn(|| replicas(cluster, Random::new(seed), until));
        let database = cluster.database.postgres();
        let database = database.map(|server| scope.spawn(|| database_faults(server, Random::new(!seed), until)));
        let mut faults = replicas.join().unwrap();
        faults.extend(database.map(|database| database.join().unwrap()).unwrap_or_default());
        faults
    })
}

/// Each fault once in the beginning, so that short runs see all of them, then any.
fn next(faults: &Faults, all: &[Fault], random: &mut Random) -> Fault {
    let missing = all.iter().find(|fault| !faults.contains_key(fault));
    missing.copied().unwrap_or_else(|| all[random.index(all.len())])
}

fn replicas(cluster: &Cluster, mut random: Random, until: Instant) -> Faults {
    let mut faults = Faults::new();
    while rest(&mut random, 200, 2_000, until) {
        let number = random.index(cluster.len());
        let fault = next(&faults, &[Fault::KillReplica, Fault::PauseReplica], &mut random);
        match fault {
            Fault::KillReplica => {
                cluster.kill(number);
                if random.percent(30) {
                    thread::sleep(Duration::from_millis(random.below(2_000)));
                }
                cluster.restart(number);
            }
            // Mostly short: a long one is as long as many faults of other kinds.
            _ => cluster.pause(number, Duration::from_millis(100 + random.below(100) * random.below(100))),
        }
        *faults.entry(fault).or_default() += 1;
    }
    faults
}

fn database_faults(server: &Mutex<Postgres>, mut random: Random, until: Instant) -> Faults {
    let all = [Fault::KillDatabase, Fault::PauseDatabase, Fault::RestartDatabase];
    let mut faults = Faults::new();
    while rest(&mut random, 1_000, 5_000, until) {
        let fault = next(&faults, &all, &mut random);
        let mut server = server.lock().unwrap();
        match fault {
            Fault::KillDatabase => {
                server.kill();
                // Connections are refused meanwhile.
                thread::sleep(Duration::from_millis(random.below(1_500)));
                server.restart().unwrap();
            }
            Fault::PauseDatabase => {
                server.pause();
                thread::sleep(Duration::from_millis(100 + random.below(70) * random.below(70)));
                server.resume();
            }
            _ => server.restart().unwrap(),
        }
        *faults.entry(fault).or_default() += 1;
    }
    faults
}

/// Sleeps for a random time; false when the end would come before.
fn rest(random: &mut Random, least: u64, most: u64, until: Instant) -> bool {
    let time = Duration::from_millis(least + random.below(most - least));
    let goes_on = Instant::now() + time < until;
    if goes_on {
        thread::sleep(time);
    }
    goes_on
}
