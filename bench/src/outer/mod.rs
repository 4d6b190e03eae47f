//! What values in stores of somebody else's cost: the server before a real `OpenBao` and moto, beside the same requests
//! sent there directly; and what requests to other groups notice of a store that hangs.

mod hanging;
mod reveals;
mod setup;
mod updates;

use std::process::Command;

use crate::Result;
use crate::disk::count;
use crate::machine::{Machine, first_line, load_average};
use crate::options::OuterOptions;
use crate::stats::{median, percentile, spread};
use setup::{Lab, Side};

/// The same measured through the server and without it, once a repetition.
#[derive(Default)]
struct Pairs {
    through: Vec<f64>,
    direct: Vec<f64>,
}

impl Pairs {
    fn push(&mut self, side: Side, value: f64) {
        match side {
            Side::Through => self.through.push(value),
            Side::Direct => self.direct.push(value),
        }
    }

    fn ratio(&self) -> String {
        ratio(&self.through, &self.direct)
    }
}

/// Measures and prints.
pub(crate) async fn run(options: &OuterOptions) -> Result<()> {
    let folder = tempfile::tempdir_in(&options.common.folder)?;
    let mut machine = Machine::observe(folder.path());
    let lab = Lab::start(options, folder.path()).await?;
    println!(
        "- {} commit {}, {} runs; {} cores, {}, Linux {}, {}",
        machine.started_at,
        machine.commit,
        options.common.runs,
        machine.cores,
        machine.cpu,
        machine.kernel,
        machine.filesystem
    );
    println!(
        "- {}; {}, once in development mode (in memory, root token) and once durable (raft, a policy, audit log), no TLS; {}",
        first_line(Command::new(&options.common.strongroom).arg("--version")),
        first_line(Command::new(&options.common.bao).arg("version")),
        if lab.moto.is_some() { "moto" } else { "AWS left out: no moto" }
    );
    let is_asked = |part| options.parts.iter().any(|asked| asked == part);
    if is_asked("updates") {
        println!(
            "\nUpdates: all values of one group, and the same writes sent directly, {} at once\n",
            updates::AT_ONCE
        );
        println!(
            "| store | keys | through it ms | directly ms | ratio (min to max) | server CPU µs/key | store CPU µs/key through it | and directly |\n|---|---|---|---|---|---|---|---|"
        );
        for line in updates::measure(&lab, options.common.runs).await? {
            println!("{line}");
        }
    }
    if is_asked("reveals") {
        println!("\nReveals of values in OpenBao\n");
        println!(
            "| store | connections | through it p50, p99 ms | directly p50, p99 ms | ratio of p50 (min to max) | ratio of requests/s | server CPU µs | OpenBao's CPU µs through it | and directly |\n|---|---|---|---|---|---|---|---|---|"
        );
        for line in reveals::measure(&lab, &options.common).await? {
            println!("{line}");
        }
    }
    if is_asked("hanging") {
        println!("\nReveals from the embedded store on {} connections\n", hanging::CONNECTIONS);
        println!(
            "| another store | p50 ms | p99 ms | p99, times that alone (min to max) | answers of the other |\n|---|---|---|---|---|"
        );
        for line in hanging::measure(&lab, &options.common).await? {
            println!("{line}");
        }
    }
    machine.load_after = load_average();
    println!("\n- load average before {}, after {}", machine.load_before, machine.load_after);
    Ok(())
}

/// The median of the ratios within one repetition, and how far they lie apart.
fn ratio(values: &[f64], base: &[f64]) -> String {
    let ratios: Vec<f64> = values.iter().zip(base).map(|(one, other)| one / other).collect();
    let (least, most) = spread(&ratios).unwrap_or_default();
    format!("{:.2} ({least:.2} to {most:.2})", median(&ratios).unwrap_or_default())
}

fn middle(values: &[f64]) -> f64 {
    median(values).unwrap_or_default()
}

/// Of recorded nanoseconds, ascending.
fn milliseconds(sorted: &[u64], permille: usize) -> f64 {
    crate::disk::milliseconds(percentile(sorted, permille))
}

/// Microseconds of processor time for each of so many.
fn each(used: std::time::Duration, number: usize) -> f64 {
    used.as_secs_f64() * 1e6 / count(number.max(1))
}
