//! Where schedules are played: a server over one kind of store, hooks at each step and call, and readers there.

use std::collections::HashMap;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures_util::FutureExt;
use serde_json::json;
use strongroom_domain::SecretId;
use strongroom_server::Step;
use strongroom_stores::model::{EntryView, ModelCall, ModelControl, ModelKind};
use strongroom_stores::{Call, Entry};
use strongroom_testkit::{Client, Setup, TestApp};
use tokio::sync::{Notify, Semaphore};

use super::super::{Outer, entry_name};
use super::oracle::{Cut, Oracle};
use super::plan::{Arrival, Dice, Outside, Upset};
use super::real::Real;
use crate::support::{SECRETS, list, reference_path, text};

/// A hanging call costs so much of the test's time.
const CALL: std::time::Duration = std::time::Duration::from_millis(60);

const REAL_CALL: std::time::Duration = std::time::Duration::from_millis(1_500);

pub(super) struct Stage {
    /// Another replica, whose jobs run, where there can be one; it ends before the first.
    pub(super) other: Option<TestApp>,
    pub(super) outer: Outer,
    pub(super) play: Arc<Play>,
    pub(super) kind: ModelKind,
    pub(super) real: Option<Arc<Real>>,
}

/// What hooks and the schedule share.
pub(super) struct Play {
    script: Mutex<Script>,
    pub(super) oracle: Mutex<Oracle>,
    others: OnceLock<(Client, ModelControl)>,
    real: Option<Arc<Real>>,
    /// Somebody stands still.
    pub(super) stopped: Notify,
    /// So many of them may go on.
    pub(super) gate: Semaphore,
}

#[derive(Default)]
struct Script {
    upsets: Vec<Upset>,
    steps: HashMap<Step, usize>,
    calls: usize,
    of_kind: HashMap<Call, usize>,
    /// The group's name.
    group: String,
    /// For the readers.
    dice: Option<Dice>,
    trace: Vec<String>,
    outside: usize,
}

/// What a killed process unwinds with.
struct Killed;

impl Stage {
    pub(super) async fn open(kind: ModelKind) -> Self {
        Self::over(kind, None).await
    }

    pub(super) async fn on(real: Real) -> Self {
        let kind = ModelKind { description: real.inner.description().clone(), ..ModelKind::checked() };
        Self::over(kind, Some(Arc::new(real))).await
    }

    async fn over(kind: ModelKind, real: Option<Arc<Real>>) -> Self {
        let play = Arc::new(Play {
            script: Mutex::default(),
            oracle: Mutex::default(),
            others: OnceLock::new(),
            real: real.clone(),
            stopped: Notify::new(),
            gate: Semaphore::new(0),
        });
        let hook = play.clone();
        // Readers stand in the calls' way, and theirs take longer over PostgreSQL.
        let is_slow = real.is_some() || std::env::var_os("STRONGROOM_TEST_POSTGRES").is_some();
        let setup = Setup::default()
            .set("STRONGROOM_RATE_LIMIT_SUBJECT", "0")
            .patience(if is_slow { REAL_CALL } else { CALL })
            .steps(Arc::new(move |step| {
                let play = hook.clone();
                async move { play.step(step).await }.boxed()
            }));
        let outer = match &real {
            Some(real) => Outer::with(real.misbehaving.control(), real.misbehaving.clone(), setup).await,
            None => Outer::over(kind.clone(), setup).await,
        };
        assert!(play.others.set((outer.admin.clone(), outer.store.clone())).is_ok());
        let other = outer.app.replica().await;
        let stage = Self { other, outer, play, kind, real };
        stage.hook();
        stage
    }

    /// Hears of every call; `heal` takes rules away, and `unhook` this.
    fn hook(&self) {
        let play = self.play.clone();
        self.outer.store.before(move |call| {
            let play = play.clone();
            async move { play.arrived(call).await }
        });
    }

    /// A schedule begins on a group of this name.
    pub(super) fn begin(&self, group: &str, seed: u64) {
        *self.play.oracle() = Oracle::new();
        *self.play.script() =
            Script { group: group.to_owned(), dice: Some(Dice::new(seed ^ 0x5eed)), ..Script::default() };
    }

    /// From now on this goes wrong.
    pub(super) fn upset(&self, upsets: Vec<Upset>) {
        let mut faults = Vec::new();
        self.play.gate.forget_permits(usize::MAX);
        {
            let mut script = self.play.script();
            script.steps.clear();
            script.calls = 0;
            script.of_kind.clear();
            for upset in upsets {
                match upset {
                    Upset::Store(call, nth, fault) => faults.push((call, nth, fault)),
                    upset => script.upsets.push(upset),
                }
            }
        }
        if faults.is_empty() {
            return;
        }
        let mut counts: HashMap<Call, usize> = HashMap::new();
        let play = self.play.clone();
        self.outer.store.set(move |call| {
            let count = counts.entry(call.call).or_default();
            *count += 1;
            let found = faults.iter().position(|(kind, nth, _)| *kind == call.call && nth == count)?;
            let (.., fault) = faults.swap_remove(found);
            play.trace(format!("    {:?} {} of {}: {fault:?}", call.call, count, call.name));
            Some(fault)
        });
    }

    /// Late effects come; says how many.
    pub(super) async fn late(&self) -> usize {
        match &self.real {
            Some(real) => real.misbehaving.let_late_happen().await,
            None => self.outer.store.let_late_happen(),
        }
    }

    /// What the store holds of a group.
    pub(super) fn entries(&self, group: &str) -> Vec<EntryView> {
        match &self.real {
            Some(real) => real.entries(group),
            None => self.outer.store.entries(),
        }
    }

    /// What somebody gets who reads the store directly.
    pub(super) async fn direct(&self, secret: &str, place: &str) -> Option<String> {
        let (plain, beside) = place.strip_suffix('~').map_or((place, false), |plain| (plain, true));
        let (group, key) = plain.split_once('/').unwrap();
        let secret_id = SecretId::parse(secret).unwrap();
        let entry = Entry { tenant: "default", group, key, secret_id, beside };
        match &self.real {
            Some(real) => real.inner.latest(&entry).await.ok()?.map(|latest| latest.value.expose().to_owned()),
            None => self.outer.store.direct_latest(&strongroom_stores::model::name(&entry)),
        }
    }

    /// Nothing goes wrong any more.
    pub(super) fn calm(&self) {
        self.play.script().upsets.clear();
        self.outer.store.heal();
        self.outer.store.release();
    }
}

impl Play {
    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn oracle(&self) -> MutexGuard<'_, Oracle> {
        self.oracle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn trace(&self, line: impl Into<String>) {
        self.script().trace.push(line.into());
    }

    pub(super) fn told(&self) -> String {
        self.script().trace.join("\n")
    }

    async fn step(&self, step: Step) {
        let (is_killed, is_stopped, reads) = {
            let mut script = self.script();
            let nth = script.steps.entry(step).or_default();
            *nth += 1;
            let nth = *nth;
            script.trace.push(format!("    {step:?} {nth}"));
            let here = |upset: &Upset| match upset {
                Upset::Kill(at, number) | Upset::Stop(at, number) => *at == step && *number == nth,
                _ => false,
            };
            let found = script.upsets.iter().position(here).map(|at| script.upsets.remove(at));
            let reads = script.dice.as_ref().is_some_and(|dice| dice.once_in(3));
            (matches!(found, Some(Upset::Kill(..))), matches!(found, Some(Upset::Stop(..))), reads)
        };
        if reads {
            self.read().await;
        }
        if is_killed {
            self.trace("      killed");
            resume_unwind(Box::new(Killed));
        }
        if is_stopped {
            self.trace("      stopped");
            self.stopped.notify_one();
            self.gate.acquire().await.unwrap().forget();
            self.trace("      goes on");
        }
    }

    async fn arrived(&self, call: ModelCall) {
        if matches!(call.call, Call::Get | Call::Probe | Call::Answers | Call::List) {
            return;
        }
        let (arrivals, reads) = {
            let mut script = self.script();
            script.calls += 1;
            let number = script.calls;
            script.trace.push(format!("    call {number}: {:?} {} {:?}", call.call, call.name, call.version));
            let mut arrivals = Vec::new();
            script.upsets.retain(|upset| match upset {
                Upset::At(at, arrival) if *at == number => {
                    arrivals.push(*arrival);
                    false
                }
                _ => true,
            });
            (arrivals, script.dice.as_ref().is_some_and(|dice| dice.once_in(6)))
        };
        if reads {
            self.read().await;
        }
        let (_, store) = self.others.get().unwrap();
        for arrival in arrivals {
            self.trace(format!("      {arrival:?}"));
            match arrival {
                Arrival::Outside(what, at) => self.change_outside(what, at),
                Arrival::Revoke => store.revoke_credentials(),
                Arrival::Restore => store.restore_credentials(),
                Arrival::Down => store.take_down(),
                Arrival::Up => store.bring_up(),
                Arrival::Kill => resume_unwind(Box::new(Killed)),
            }
        }
    }

    /// Somebody else is at the entry of a key.
    pub(super) fn change_outside(&self, what: Outside, at: usize) {
        let (_, store) = self.others.get().unwrap();
        let (name, value) = {
            let mut script = self.script();
            script.outside += 1;
            (script.group.clone(), format!("outside-{}-{name}", script.outside, name = script.group))
        };
        let key = super::KEYS[at % super::KEYS.len()];
        let name = entry_name(&name, key);
        if self.real.is_none() && store.entry(&name).is_none() {
            self.trace("      nothing is there");
            return;
        }
        {
            let mut oracle = self.oracle();
            oracle.touched.insert(key.to_owned());
            if !matches!(what, Outside::Write) {
                oracle.lost.insert(key.to_owned());
            }
        }
        self.trace(format!("      {what:?} {name}"));
        if let Some(real) = &self.real {
            real.change_outside(what, &name, &value);
            return;
        }
        match what {
            Outside::Write => store.write_outside(&name, &value),
            Outside::Delete => store.delete_outside(&name),
            Outside::Recreate => store.recreate_outside(&name, &value),
        }
    }

    /// A reader, in one of the ways to read.
    pub(super) async fn read(&self) {
        let (admin, _) = self.others.get().unwrap();
        let (since, id, way) = {
            let oracle = self.oracle();
            let script = self.script();
            let way = script.dice.as_ref().map_or(0, |dice| dice.below(6));
            (oracle.since(), oracle.present().id.clone(), way)
        };
        let group = self.script().group.clone();
        match id {
            Some(id) if way < 3 => {
                let body = json!({"secretGroupId": id, "withValue": true});
                let answer = admin.post(SECRETS, body).await;
                match answer.status {
                    200 => {
                        let cut: Cut = list(&answer.json, "/data")
                            .iter()
                            .map(|secret| (text(secret, "/name").to_owned(), text(secret, "/value").to_owned()))
                            .collect();
                        self.oracle().saw_all(since, &id, Some(&cut));
                    }
                    404 => self.oracle().saw_all(since, &id, None),
                    424 => {}
                    _ => self.oracle().problem(format!("a list answers {} {}", answer.status, answer.text)),
                }
            }
            _ => {
                let key = super::KEYS[way % super::KEYS.len()];
                let answer = admin.get(&reference_path(&format!("default:{group}:{key}"))).await;
                match answer.status {
                    200 => self.oracle().saw_one(since, key, Some(text(&answer.json, "/value"))),
                    404 => self.oracle().saw_one(since, key, None),
                    424 => {}
                    _ => self.oracle().problem(format!("a reference answers {} {}", answer.status, answer.text)),
                }
            }
        }
    }
}
