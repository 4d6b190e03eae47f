//! One run: start, work while things fail, heal, read what is true, check.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::checker;
use super::driver::{Client, HOT, Record, Shared, Workload};
use super::history::{Operation, Outcome, Refusal, Truth};
use super::nemesis::{self, Fault, Faults};
use super::replicas::{Cluster, Database, PATIENCE};
use super::wire::Wire;
use super::{Alone, setting, truth};
use crate::support::integration_id;

pub(super) const CLIENTS: u16 = 64;
/// How many violations are shown; all are in the file.
const SHOWN: usize = 20;

pub(super) struct Run {
    title: &'static str,
    folder: TempDir,
    seed: u64,
    _alone: Alone,
}

/// What was seen, for a test to say whether it was enough.
pub(super) struct Report {
    faults: Faults,
    acknowledged: u64,
    unknown: u64,
    /// Writes that others were faster than too often.
    busy: u64,
    /// Each client's acknowledged writes of the hot name.
    hot: Vec<u64>,
}

impl Run {
    pub(super) fn new(title: &'static str) -> Self {
        let seed = setting("CLUSTER_SEED", 20_260_101);
        Self { title, folder: tempfile::tempdir().unwrap(), seed, _alone: Alone::wait() }
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs with faults of all kinds.
    pub(super) fn go(self, database: Database, replicas: usize, workload: Workload, time: Duration) -> Report {
        let seed = self.seed;
        self.go_under(database, replicas, workload, |cluster| nemesis::run(cluster, seed, Instant::now() + time))
    }

    /// Runs under what `fail` does; when it returns, everything must be able to serve again.
    pub(super) fn go_under(
        self,
        database: Database,
        replicas: usize,
        workload: Workload,
        fail: impl FnOnce(&Cluster) -> Faults,
    ) -> Report {
        let cluster = Cluster::start(self.folder(), database, replicas);
        let tokens = cluster.tokens(CLIENTS);
        let shared = Shared::new(workload, integration_id(&mut cluster.admin(0)), CLIENTS);
        let (faults, records) = thread::scope(|scope| {
            let stop = Stop(&shared.stop);
            let working: Vec<_> = (0..CLIENTS)
                .zip(tokens)
                .map(|(number, token)| {
                    let wire = Wire::new(cluster.ports.clone(), token);
                    let client = Client::new(number, self.seed, wire, &shared);
                    scope.spawn(move || client.run())
                })
                .collect();
            let faults = fail(&cluster);
            cluster.until_ready();
            until_all_write(&shared);
            drop(stop);
            (faults, working.into_iter().map(|client| client.join().unwrap()).collect::<Vec<Record>>())
        });
        let mut wrong = cluster.ended();
        cluster.stop();
        wrong.extend(cluster.faults());
        let mut history = Vec::new();
        let mut answers = std::collections::BTreeMap::<String, u64>::new();
        for record in records {
            history.extend(record.history);
            wrong.extend(record.strange.iter().map(|strange| format!("strange: {strange}")));
            for (answer, count) in record.answers {
                *answers.entry(answer).or_default() += count;
            }
        }
        let began = Instant::now();
        let mut truth = truth::read(&cluster.database, workload.slots);
        let read = began.elapsed();
        for number in 0..cluster.len() {
            cluster.restart(number);
        }
        let others = usize::try_from(setting("CLUSTER_VALUES", 1_000)).unwrap();
        truth::open_values(&cluster, &mut truth, &history, others, self.seed);
        let opened = began.elapsed();
        let violations = checker::check(&history, &truth);
        let checked = began.elapsed();
        wrong.extend(violations);
        let report = Report::of(faults, &history);
        self.say(&format!(
            "{} operations, {} writes acknowledged, {} unknown, {} busy, {} revisions of {} groups, {} values opened; \
             {:?}; {answers:?}; hot writes a client {}..{}; truth read in {read:.1?}, with values {opened:.1?}, checked {checked:.1?}",
            history.len(),
            report.acknowledged,
            report.unknown,
            report.busy,
            truth.groups.iter().map(|group| group.revisions.len()).sum::<usize>(),
            truth.groups.len(),
            truth.values.len(),
            report.faults,
            report.hot.iter().min().unwrap(),
            report.hot.iter().max().unwrap(),
        ));
        if !wrong.is_empty() {
            self.fail(&wrong, &history, &truth);
        }
        report
    }

    fn say(&self, text: &str) {
        let _ = writeln!(std::io::stderr(), "{}: {text}", self.title);
    }

    /// Keeps everything that helps to find out why.
    fn fail(self, wrong: &[String], history: &[Operation], truth: &Truth) -> ! {
        let lines = |texts: Vec<String>| texts.join("\n");
        let (seed, folder) = (self.seed, self.folder.keep());
        fs::write(folder.join("violations.txt"), lines(wrong.to_vec())).unwrap();
        let mut history: Vec<&Operation> = history.iter().collect();
        history.sort_by_key(|operation| operation.start);
        let history = history.iter().map(|operation| format!("{operation:?}")).collect();
        fs::write(folder.join("history.txt"), lines(history)).unwrap();
        let groups = truth.groups.iter().flat_map(|group| {
            let of_group = move |revision| format!("{} {} {revision:?}", group.id, group.slot);
            group.revisions.iter().map(of_group)
        });
        fs::write(folder.join("truth.txt"), lines(groups.collect())).unwrap();
        panic!(
            "CLUSTER_SEED={seed}: {} things are wrong; violations, history and truth are kept in {}:\n{}",
            wrong.len(),
            folder.display(),
            lines(wrong.iter().take(SHOWN).cloned().collect())
        );
    }
}

/// Ends what goes on until it is told to stop, also when a check fails: the scope around them waits for them.
pub(super) struct Stop<'a>(pub(super) &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// After everything is healed each client gets a write through.
fn until_all_write(shared: &Shared) {
    let before: Vec<u64> = shared.acknowledged.iter().map(|count| count.load(Ordering::SeqCst)).collect();
    let end = Instant::now() + PATIENCE;
    let all = || shared.acknowledged.iter().zip(&before).all(|(count, before)| count.load(Ordering::SeqCst) > *before);
    while !all() && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
    }
    assert!(all(), "not every client gets a write through when everything is healed");
}

impl Report {
    fn of(faults: Faults, history: &[Operation]) -> Self {
        let writes = || history.iter().filter(|operation| operation.call.action().is_some());
        let count = |fits: fn(&Outcome) -> bool| writes().filter(|operation| fits(&operation.outcome)).count() as u64;
        let mut hot = vec![0; usize::from(CLIENTS)];
        for write in writes().filter(|write| write.slot == HOT && matches!(write.outcome, Outcome::Ok(_))) {
            hot[usize::from(write.client)] += 1;
        }
        Self {
            faults,
            acknowledged: count(|outcome| matches!(outcome, Outcome::Ok(_))),
            unknown: count(|outcome| *outcome == Outcome::Unknown),
            busy: count(|outcome| *outcome == Outcome::Refused(Refusal::Busy)),
            hot,
        }
    }

    /// A run in which little happened shows nothing.
    pub(super) fn saw(&self, faults: &[Fault], acknowledged: u64, unknown: u64) {
        for fault in faults {
            assert!(self.faults.contains_key(fault), "{fault:?} never happened");
        }
        assert!(self.acknowledged >= acknowledged, "only {} writes were acknowledged", self.acknowledged);
        assert!(self.unknown >= unknown, "only {} writes ended unknown", self.unknown);
        assert!(self.hot.iter().all(|count| *count > 0), "a client never wrote the hot group: {:?}", self.hot);
    }

    /// Fewer than one write of a hundred had to be told to try again.
    pub(super) fn was_seldom_busy(&self) {
        assert!(self.busy * 100 <= self.acknowledged, "{} busy of {} writes", self.busy, self.acknowledged);
    }
}
