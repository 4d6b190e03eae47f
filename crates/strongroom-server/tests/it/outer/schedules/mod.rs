//! Schedules of faults over writes to outer stores, from seeds: whatever happens, what was acknowledged is there, nobody
//! sees what wasn't, and nothing is left that isn't listed.
//!
//! `STRONGROOM_TEST_SCHEDULES` says how many are played, `STRONGROOM_TEST_SEED` from which seed on.

mod checks;
mod oracle;
mod plan;
mod real;
mod run;
mod stage;

use std::time::Duration;

use futures_util::StreamExt;

use self::plan::all_kinds;
use self::real::Real;
use self::run::Run;
use self::stage::Stage;

pub(super) const KEYS: [&str; 4] = ["A", "B", "C", "D"];

/// A server plays so many before its database is thrown away.
const A_STAGE: usize = 100;
const DEFAULT: u64 = 520;
const REAL: u64 = 40;
/// Nothing takes so long, even where writers wait for each other.
const LONGEST: Duration = Duration::from_mins(1);

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

/// The first of the seeds.
fn first_seed() -> u64 {
    number("STRONGROOM_TEST_SEED").unwrap_or(1)
}

/// Over PostgreSQL each takes several times as long, most of which is making databases.
fn is_slow() -> bool {
    std::env::var_os("STRONGROOM_TEST_POSTGRES").is_some()
}

#[tokio::test]
async fn whatever_happens_nothing_is_lost_mixed_or_left() {
    let count = number("STRONGROOM_TEST_SCHEDULES").unwrap_or(if is_slow() { DEFAULT / 4 } else { DEFAULT });
    let first = first_seed();
    let kinds = all_kinds();
    let workers = kinds.into_iter().enumerate().map(|(at, (name, kind))| {
        let every = all_kinds().len() as u64;
        let seeds: Vec<u64> = (first..first + count).filter(|seed| seed % every == at as u64).collect();
        async move {
            let mut failed = Vec::new();
            for seeds in seeds.chunks(A_STAGE) {
                let stage = Stage::open(kind.clone()).await;
                for seed in seeds {
                    let mut run = Run::new(&stage, *seed);
                    let played = tokio::time::timeout(LONGEST, run.play()).await;
                    let problems = played.unwrap_or_else(|_| vec!["it doesn't come to its end".to_owned()]);
                    if !problems.is_empty() {
                        failed.push((*seed, name, problems, stage.play.told()));
                        break;
                    }
                }
            }
            failed
        }
    });
    // Over PostgreSQL tests ask the database themselves, for which everything else stands still.
    let at_once = if is_slow() { 1 } else { all_kinds().len() };
    let workers = futures_util::stream::iter(workers).buffered(at_once);
    let failed: Vec<_> = workers.collect::<Vec<_>>().await.into_iter().flatten().collect();
    report(&failed, count);
}

/// Over one that is not a model.
async fn play_on(stage: &Stage, name: &'static str) {
    let (first, count) =
        (first_seed(), number("STRONGROOM_TEST_REAL_SCHEDULES").unwrap_or(if is_slow() { REAL / 4 } else { REAL }));
    let mut failed = Vec::new();
    for seed in first..first + count {
        let mut run = Run::new(stage, seed);
        let played = tokio::time::timeout(LONGEST, run.play()).await;
        let problems = played.unwrap_or_else(|_| vec!["it doesn't come to its end".to_owned()]);
        if !problems.is_empty() {
            failed.push((seed, name, problems, stage.play.told()));
            break;
        }
    }
    report(&failed, count);
}

#[tokio::test]
async fn nor_over_openbao() {
    let Some(server) = real::openbao() else { return };
    play_on(&Stage::on(Real::on_openbao(&server)).await, "OpenBao").await;
}

#[tokio::test]
async fn nor_over_moto() {
    let Some(server) = real::moto() else { return };
    play_on(&Stage::on(Real::on_moto(&server)).await, "moto").await;
}

type Failed = (u64, &'static str, Vec<String>, String);

fn report(failed: &[Failed], count: u64) {
    for (seed, kind, problems, told) in failed.iter().take(8) {
        eprintln!(
            "\nSTRONGROOM_TEST_SEED={seed} STRONGROOM_TEST_SCHEDULES=1 ({kind}):\n{told}\n  {}",
            problems.join("\n  ")
        );
    }
    let seeds: Vec<_> = failed.iter().map(|(seed, kind, problems, _)| (seed, kind, &problems[0])).collect();
    assert!(failed.is_empty(), "{} of {count} schedules failed: {seeds:#?}", failed.len());
}
