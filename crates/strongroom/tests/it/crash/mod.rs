//! `kill -9` at random points under concurrent clients, again and again on one folder.
//!
//! What a process can be shown to survive this way is the loss of everything that it held in memory. What the operating
//! system holds survives a kill, so that a missing fsync is not seen here.

mod api;
mod checker;
mod first_start;
mod hot;
mod model;
mod record;
mod rejections;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use checker::{Checker, Depth};
use hot::Hot;
use serde_json::json;
use worker::Worker;

use crate::support::random::Random;
use crate::support::{Client, Launch, Server, integration_id};

const WORKERS: usize = 32;
const FEWEST: u64 = 8;
const HOT_GROUPS: usize = 3;
/// How often all groups are checked instead of those that were used.
const FULL_EVERY: u64 = 20;
/// How many deleted groups are brought back at the end.
const RETIRED: usize = 150;

/// A number from the environment of the test.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn what_was_acknowledged_survives_every_kill() {
    let (rounds, seed) = (setting("CRASH_ROUNDS", 200), setting("CRASH_SEED", 20_260_101));
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut test = Test::new(Launch::on(&data), seed);
    for round in 1..=rounds {
        let depth = if round % FULL_EVERY == 0 || round == rounds { Depth::Full } else { Depth::Touched };
        if let Err(error) = test.round(depth) {
            let kept = folder.keep();
            panic!("CRASH_SEED={seed}, round {round} of {rounds}: {error}\nthe folder is kept: {}", kept.display());
        }
    }
    test.finish(rounds);
}

struct Test {
    launch: Launch,
    random: Random,
    server: Option<Server>,
    integration: String,
    workers: Vec<Worker>,
    hot: Vec<Mutex<Hot>>,
    checker: Checker,
}

impl Test {
    fn new(launch: Launch, seed: u64) -> Self {
        let server = launch.start();
        let mut client = server.client();
        let integration = integration_id(&mut client);
        Self {
            launch,
            random: Random::new(seed),
            hot: (0..HOT_GROUPS).map(|number| Mutex::new(make_hot(&mut client, &integration, number))).collect(),
            server: Some(server),
            integration,
            workers: (0..WORKERS).map(|number| Worker::new(number, seed)).collect(),
            checker: Checker::default(),
        }
    }

    /// Clients at work, a kill, a restart, a check.
    fn round(&mut self, depth: Depth) -> Result<(), String> {
        let server = self.server.take().unwrap();
        let active = usize::try_from(FEWEST + self.random.below(WORKERS as u64 - FEWEST + 1)).unwrap();
        let first = self.random.index(WORKERS);
        self.workers.rotate_left(first);
        // Mostly short: the moments right after the start are the rarest otherwise.
        let life = Duration::from_micros(500 + self.random.below(400) * self.random.below(400));
        let (address, token) = (server.address(), server.token());
        let (integration, hot) = (&self.integration, &self.hot);
        let worked = thread::scope(|scope| {
            let working: Vec<_> = self.workers[..active]
                .iter_mut()
                .map(|worker| {
                    let mut client = Client::new(address, &token);
                    scope.spawn(move || worker.run(&mut client, integration, hot))
                })
                .collect();
            thread::sleep(life);
            server.kill();
            working.into_iter().map(|working| working.join().unwrap()).collect::<Result<Vec<()>, _>>()
        });
        worked?;
        if self.random.percent(15) {
            self.launch.start_and_kill_after(Duration::from_micros(self.random.below(60_000)));
        }
        let mut server =
            self.launch.try_start().map_err(|refused| format!("no start after the kill: {}", refused.output))?;
        let checked = self.checker.check(&server, &mut self.workers, &self.hot, depth);
        checked.map_err(|error| format!("{error}\n{}", server.fate()))?;
        self.server = Some(server);
        Ok(())
    }

    /// What was deleted can be brought back whole, and the test tells how much it saw.
    fn finish(mut self, rounds: u64) {
        let server = self.server.take().unwrap();
        let mut client = server.client();
        let retired: Vec<_> = self.workers.iter_mut().flat_map(|worker| worker.retired.drain(..)).collect();
        for mut group in retired.into_iter().take(RETIRED) {
            checker::check_retired(&mut client, &mut group).unwrap();
        }
        let tally = self.checker.tally;
        let acknowledged: u64 = self.workers.iter().map(|worker| worker.acknowledged).sum();
        let _ = writeln!(
            std::io::stderr(),
            "{rounds} kills: {acknowledged} writes acknowledged, {} in doubt and there, {} in doubt and absent, {} values received",
            tally.kept,
            tally.absent,
            tally.values
        );
        // Kills that never hit a write would show nothing.
        assert!(rounds < 100 || (tally.kept > 0 && tally.absent > 0 && acknowledged > rounds && tally.values > rounds));
        server.stop();
    }
}

fn make_hot(client: &mut Client, integration: &str, number: usize) -> Hot {
    let (name, write) = (format!("hot-{number}"), "first".to_owned());
    let keys: Vec<String> = ["A", "B", "C"].map(str::to_owned).into();
    let secrets: Vec<_> = keys.iter().map(|key| json!({"key": key, "value": hot::value(&write, key)})).collect();
    let body = json!({"name": name, "integrationId": integration, "secrets": secrets});
    let made = client.post("/api/svc/v1/secret-groups", &body).unwrap().success();
    let id = made["data"]["id"].as_str().unwrap().to_owned();
    Hot { name, id, keys, settled: vec![write], acknowledged: BTreeMap::new(), in_doubt: BTreeSet::new() }
}
