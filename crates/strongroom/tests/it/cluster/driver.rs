//! One client: calls without pause, on whichever replica listens, and a record of all of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::board::{Board, Known};
use super::history::{Call, Id, Key, Operation, Outcome, Tag};
use super::wire::{Sent, Wire, outcome};
use crate::support::random::Random;

/// Keys of a group are `K0` and so on.
const KEYS: u64 = 5;
/// More than a client makes.
const TAGS_A_CLIENT: Tag = 10_000_000;
/// So much of a strange answer is kept.
const STRANGE: usize = 500;
/// Who hears that it can't be done now doesn't ask again at once: that would take the time of those who can.
const PAUSE: Duration = Duration::from_millis(30);
/// The name that most write to.
pub(super) const HOT: u8 = 0;

/// What clients do.
#[derive(Clone, Copy)]
pub(super) struct Workload {
    pub(super) slots: u8,
    /// How many writes of a hundred go to the hot name.
    pub(super) hot: u64,
    /// How many calls of a hundred write.
    pub(super) writes: u64,
    /// Whether writes change the set of keys, delete, and bring back.
    pub(super) varied: bool,
    /// How many writes of a thousand are hung up on.
    pub(super) hang_ups: u64,
}

/// What all clients share.
pub(super) struct Shared {
    pub(super) workload: Workload,
    pub(super) integration: String,
    pub(super) board: Board,
    /// All times count from here.
    pub(super) began: Instant,
    pub(super) stop: AtomicBool,
    /// Acknowledged writes of each client.
    pub(super) acknowledged: Vec<AtomicU64>,
}

pub(super) struct Client<'a> {
    number: u16,
    random: Random,
    wire: Wire,
    shared: &'a Shared,
    pub(super) record: Record,
}

/// What a client brings home.
#[derive(Default)]
pub(super) struct Record {
    pub(super) history: Vec<Operation>,
    /// Answers that the server must not give.
    pub(super) strange: Vec<String>,
    /// How often each kind of answer came.
    pub(super) answers: BTreeMap<String, u64>,
}

impl Shared {
    pub(super) fn new(workload: Workload, integration: String, clients: u16) -> Self {
        Self {
            workload,
            integration,
            board: Board::new(workload.slots),
            began: Instant::now(),
            stop: AtomicBool::new(false),
            acknowledged: (0..clients).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap()
    }
}

impl<'a> Client<'a> {
    pub(super) fn new(number: u16, seed: u64, wire: Wire, shared: &'a Shared) -> Self {
        let random = Random::new(seed ^ u64::from(number) << 32);
        Self { number, random, wire, shared, record: Record::default() }
    }

    /// Works until told to stop.
    pub(super) fn run(mut self) -> Record {
        while !self.shared.stop.load(Ordering::SeqCst) {
            self.call();
        }
        self.record
    }

    fn call(&mut self) {
        if !self.wire.connect(&mut self.random) {
            thread::sleep(PAUSE);
            self.count("not connected");
            return;
        }
        let (slot, group, call, if_match) = self.choose();
        let writes = call.action().is_some();
        let by_name = matches!(call, Call::ReadByName | Call::ReadReference { .. });
        let mut operation = Operation {
            tag: Tag::from(self.number) * TAGS_A_CLIENT + self.record.history.len() as Tag,
            client: self.number,
            slot,
            group: group.filter(|_| !by_name),
            call,
            if_match,
            start: 0,
            end: 0,
            request: None,
            outcome: Outcome::Unknown,
        };
        let leaves = writes && self.random.below(1000) < self.shared.workload.hang_ups;
        // Half of those that hang up have sent everything.
        let hang_up = leaves.then(|| if self.random.percent(50) { 100 } else { self.random.index(100) });
        operation.start = self.shared.now();
        let sent = self.wire.send(&operation, &self.shared.integration, hang_up);
        operation.end = self.shared.now();
        match &sent {
            Sent::Answered(answer) => {
                operation.request = answer.header("x-request-id").and_then(Id::parse);
                let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
                self.count(&format!("{} {code}", answer.status));
                match outcome(&operation, answer) {
                    Ok(outcome) => operation.outcome = outcome,
                    Err(strange) => self.record.strange.push(strange.chars().take(STRANGE).collect()),
                }
            }
            Sent::Cut => self.count(if leaves { "hung up" } else { "cut" }),
            Sent::Nothing => return,
        }
        self.shared.board.learn(&operation);
        if writes && matches!(operation.outcome, Outcome::Ok(_)) {
            self.shared.acknowledged[usize::from(self.number)].fetch_add(1, Ordering::SeqCst);
        }
        if matches!(&sent, Sent::Answered(answer) if answer.status == 503) {
            thread::sleep(PAUSE);
        }
        self.record.history.push(operation);
    }

    fn count(&mut self, kind: &str) {
        *self.record.answers.entry(kind.trim().to_owned()).or_default() += 1;
    }

    fn choose(&mut self) -> (u8, Option<Id>, Call, Option<i64>) {
        let workload = self.shared.workload;
        let others = u64::from(workload.slots) - 1;
        let slot = if others == 0 || self.random.percent(workload.hot) {
            HOT
        } else {
            1 + u8::try_from(self.random.below(others)).unwrap()
        };
        let guard = self.shared.board.slot(slot);
        let known = guard.group.clone();
        let past = self.random.pick(&guard.buried).copied();
        let dropped = self.random.pick(&guard.dropped).copied();
        drop(guard);
        let Some(known) = known else {
            return match self.random.below(10) {
                0..6 => (slot, None, Call::Create { keys: vec![0, 1, 2] }, None),
                6..8 => match past {
                    Some(past) => (slot, Some(past), Call::Restore, None),
                    None => (slot, None, Call::ReadByName, None),
                },
                _ => (slot, None, Call::ReadByName, None),
            };
        };
        if !self.random.percent(workload.writes) {
            // Now and then what is known to be deleted: it must stay so.
            if let Some(past) = past.filter(|_| self.random.percent(5)) {
                let call = if self.random.percent(50) { Call::Read } else { Call::ReadValues };
                return (slot, Some(past), call, None);
            }
            return (slot, Some(known.id), self.read(&known), None);
        }
        if let Some((group, secret)) = dropped.filter(|_| workload.varied && self.random.percent(4)) {
            return (slot, Some(group), Call::RestoreSecret { secret }, None);
        }
        let if_match = Some(known.revision).filter(|_| workload.varied && self.random.percent(8));
        let call = if workload.varied {
            self.write(slot, &known)
        } else {
            Call::Update { given: keys_of(&known), kept: Vec::new() }
        };
        (slot, Some(known.id), call, if_match)
    }

    fn read(&mut self, known: &Known) -> Call {
        let secret = self.random.pick(&known.state).map(|current| current.secret);
        match self.random.below(100) {
            0..35 => Call::Read,
            35..50 => Call::ReadByName,
            50..75 => Call::ReadValues,
            75..90 => secret.map_or(Call::Read, |secret| Call::ReadValue { secret }),
            _ => Call::ReadReference { key: self.key() },
        }
    }

    fn write(&mut self, slot: u8, known: &Known) -> Call {
        let keys = keys_of(known);
        match self.random.below(100) {
            0..4 if !keys.is_empty() => {
                Call::DeleteSecret { secret: known.state[self.random.index(keys.len())].secret }
            }
            // The hot group has all of its history in one piece.
            4..7 if slot != HOT => Call::Delete,
            7..26 if keys.len() > 1 => {
                let (mut given, mut kept) = (vec![self.key()], Vec::new());
                for key in keys.into_iter().filter(|key| *key != given[0]).collect::<Vec<_>>() {
                    match self.random.below(8) {
                        0 => {}
                        1..4 => kept.push(key),
                        _ => given.push(key),
                    }
                }
                Call::Update { given, kept }
            }
            _ if keys.is_empty() => Call::Update { given: vec![0, 1], kept: Vec::new() },
            _ => Call::Update { given: keys, kept: Vec::new() },
        }
    }

    fn key(&mut self) -> Key {
        Key::try_from(self.random.below(KEYS)).unwrap()
    }
}

fn keys_of(known: &Known) -> Vec<Key> {
    known.state.iter().map(|current| current.key).collect()
}
