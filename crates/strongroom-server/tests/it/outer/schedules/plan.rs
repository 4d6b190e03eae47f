//! What a schedule does to its group, and what goes wrong meanwhile: all of it from a seed.

use strongroom_domain::Entropy;
use strongroom_server::Step;
use strongroom_stores::model::{Fault, Foreign, ModelKind, VersionNames};
use strongroom_stores::{Call, KeptVersions, StoreErrorKind};
use strongroom_testkit::SeededEntropy;

use super::super::kinds;

/// The kinds of store, and what else there might be.
pub(super) fn all_kinds() -> Vec<(&'static str, ModelKind)> {
    let mut kinds = kinds();
    kinds.extend([
        ("checked, removing nothing", ModelKind::checked().with(|can| can.removes_versions = false)),
        ("plain, removing versions", ModelKind::plain().with(|can| can.removes_versions = true)),
        ("plain with marks", ModelKind::plain().with(|can| can.marks = true)),
        ("checked without marks", ModelKind::checked().with(|can| can.marks = false)),
        ("plain with conditions", ModelKind::plain().with(|can| can.conditional_put = true)),
        ("checked, versions from marks", ModelKind { version_names: VersionNames::FromMarks, ..ModelKind::checked() }),
        (
            "checked, soft delete, unseen",
            ModelKind { foreign: Foreign::Unseen, ..ModelKind::checked().with(|can| can.soft_delete = true) },
        ),
        ("checked, few versions", ModelKind::checked().with(|can| can.kept_versions = KeptVersions::Newest(12))),
        ("staging, soft delete", ModelKind::staging().with(|can| can.soft_delete = true)),
    ]);
    kinds
}

/// Repeatable dice.
pub(super) struct Dice(SeededEntropy);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    pub(super) fn below(&self, count: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % count as u64).unwrap()
    }

    /// One time in so many.
    pub(super) fn once_in(&self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub(super) fn pick<'a, T>(&self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// What somebody else does to an entry.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outside {
    Write,
    Delete,
    Recreate,
}

/// What happens when a call arrives.
#[derive(Debug, Clone, Copy)]
pub(super) enum Arrival {
    /// Somebody else does something to the entry of a key, counted among those that are there.
    Outside(Outside, usize),
    Revoke,
    Restore,
    Down,
    Up,
    /// Whoever calls is killed; the call doesn't leave.
    Kill,
}

/// What goes wrong during one act. Numbers count from its beginning.
#[derive(Debug, Clone, Copy)]
pub(super) enum Upset {
    /// The call of this kind and number goes wrong so.
    Store(Call, usize, Fault),
    /// When the call of this number arrives, of all but reads.
    At(usize, Arrival),
    /// The writer is killed after the step of this kind and number.
    Kill(Step, usize),
    /// It stands still there, and goes on when others have settled what it began.
    Stop(Step, usize),
}

const STEPS: [Step; 8] = [
    Step::Begun,
    Step::Put,
    Step::AllPut,
    Step::Flipped,
    Step::GivenUp,
    Step::WrittenAgain,
    Step::TakenBack,
    Step::Shown,
];

/// What a put may be refused with, besides. What would say something untrue of an entry is not among them.
const REFUSALS: [StoreErrorKind; 3] =
    [StoreErrorKind::Precondition, StoreErrorKind::Refused, StoreErrorKind::NotSupported];

/// Errors that a store may answer at any time, whatever is in it.
const TROUBLES: [StoreErrorKind; 5] = [
    StoreErrorKind::PermissionDenied,
    StoreErrorKind::Unauthenticated,
    StoreErrorKind::Throttled,
    StoreErrorKind::Unavailable,
    StoreErrorKind::Integrity,
];

/// What goes wrong in one act, before there is an outcome.
pub(super) fn upsets(dice: &Dice, outside: bool) -> Vec<Upset> {
    (0..*dice.pick(&[0, 1, 1, 1, 2, 2, 3])).flat_map(|_| upset(dice, outside)).collect()
}

fn upset(dice: &Dice, outside: bool) -> Vec<Upset> {
    let nth = 1 + dice.below(4);
    match dice.below(14) {
        0..=4 => vec![Upset::Store(Call::Put, nth, write_fault(dice))],
        5 => vec![Upset::Store(*dice.pick(&[Call::Latest, Call::Find, Call::Get]), nth, read_fault(dice))],
        6 => vec![Upset::Store(*dice.pick(&[Call::Promote, Call::Remove]), nth, prompt_fault(dice))],
        7 => {
            let first = 1 + dice.below(6);
            vec![Upset::At(first, Arrival::Revoke), Upset::At(first + 1 + dice.below(4), Arrival::Restore)]
        }
        8 => {
            let first = 1 + dice.below(6);
            vec![Upset::At(first, Arrival::Down), Upset::At(first + 1 + dice.below(4), Arrival::Up)]
        }
        9 => vec![Upset::At(1 + dice.below(8), Arrival::Kill)],
        10 if outside => {
            let what = *dice.pick(&[Outside::Write, Outside::Write, Outside::Delete, Outside::Recreate]);
            vec![Upset::At(1 + dice.below(7), Arrival::Outside(what, dice.below(4)))]
        }
        10 | 11 => vec![Upset::Stop(*dice.pick(&STEPS), 1 + dice.below(3))],
        _ => vec![Upset::Kill(*dice.pick(&STEPS), 1 + dice.below(3))],
    }
}

fn write_fault(dice: &Dice) -> Fault {
    match dice.below(14) {
        0 => Fault::late(dice.below(6)),
        1 | 2 => Fault::late_when_told(),
        3 if dice.once_in(3) => Fault::hangs_and_late(),
        4 => Fault::fails(*dice.pick(&REFUSALS)),
        _ => prompt_fault(dice),
    }
}

/// One whose effect, if it comes, comes at once.
fn prompt_fault(dice: &Dice) -> Fault {
    match dice.below(12) {
        0..=2 => Fault::fails(*dice.pick(&TROUBLES)),
        3 => Fault::throttles(),
        4 | 5 => Fault::answer_lost(),
        6 | 7 => Fault::request_lost(),
        8 => Fault::fails_after(*dice.pick(&TROUBLES)),
        9 if dice.once_in(3) => Fault::hangs(),
        10 if dice.once_in(3) => Fault::hangs_after(),
        _ => Fault::wrong_body(),
    }
}

fn read_fault(dice: &Dice) -> Fault {
    if dice.once_in(8) { Fault::hangs() } else { Fault::fails(*dice.pick(&TROUBLES)) }
}
