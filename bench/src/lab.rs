//! One run of the lab: all servers up, then each repetition visits every cell (operation, connections, server), the servers
//! taking turns within a cell, so that a noisy minute hits them alike.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::disk::{self, count, milliseconds};
use crate::load::{self, Measured, Window};
use crate::machine::{Machine, load_average};
use crate::options::Options;
use crate::pgbench::Inserter;
use crate::report::{Cell, Report, Run, Settings, TargetFacts};
use crate::stats::percentile;
use crate::targets::{self, Kind, Operation, Started, Target};

/// The floor's answer when there is no Strongroom to take the size from.
const USUAL_REVEAL_BYTES: usize = 700;

const DISK_BURST: Duration = Duration::from_secs(1);
const INSERT_BURST: u64 = 1;

/// Starts what is wanted, measures, and leaves nothing behind.
pub(crate) async fn run(options: &Options) -> Result<Report> {
    // Declared first, dropped last: the servers are gone before their folder is.
    let folder = tempfile::Builder::new()
        .prefix("strongroom-bench-")
        // Under root, PostgreSQL runs as another user, who must get to its folder in here.
        .permissions(Permissions::from_mode(0o711))
        .tempdir_in(&options.folder)?;
    let mut report = Report {
        settings: Settings::of(options),
        machine: Machine::observe(folder.path()),
        disk: vec![disk::measure(folder.path(), DISK_BURST, 0)?],
        inserts: Vec::new(),
        targets: Vec::new(),
        skipped: Vec::new(),
        cells: Vec::new(),
    };
    let mut servers = start_all(options, folder.path(), &mut report.skipped).await?;
    if servers.is_empty() {
        return Err(format!("nothing to measure: {}", report.skipped.join("; ")).into());
    }
    for operation in Operation::ALL {
        for &connections in &options.connections {
            report.cells.extend(servers.iter().map(|target| Cell::new(operation, connections, target.kind)));
        }
    }
    let inserter = Inserter::prepare(servers.iter().find_map(|target| target.database.as_ref()), folder.path())
        .unwrap_or_else(|why| {
            report.skipped.push(format!("PostgreSQL's own pace: {why}"));
            None
        });
    for repetition in 1..=options.runs {
        for cell in &mut report.cells {
            let target =
                servers.iter_mut().find(|target| target.kind == cell.target).ok_or("a cell without a server")?;
            let run = visit(target, cell, options.window, repetition).await?;
            eprintln!(
                "{repetition}/{} {:>6} x{:<3} {:<10} {:>9.0} requests/s {:>8.1} CPU us{} {:>3} errors",
                options.runs,
                cell.operation.name(),
                cell.connections,
                cell.target.name(),
                run.requests_per_second,
                run.server_cpu_us,
                run.database_cpu_us.map(|used| format!(" {used:>8.1} database")).unwrap_or_default(),
                run.errors
            );
            cell.runs.push(run);
        }
        report.disk.push(disk::measure(folder.path(), DISK_BURST, repetition)?);
        if let Some(inserter) = &inserter {
            report.inserts.extend(inserter.measure(INSERT_BURST, repetition)?);
        }
    }
    report.machine.load_after = load_average();
    report.targets = servers.iter().map(facts).collect::<Result<_>>()?;
    Ok(report)
}

async fn start_all(options: &Options, folder: &Path, skipped: &mut Vec<String>) -> Result<Vec<Target>> {
    let mut servers: Vec<Target> = Vec::new();
    let mut reveal_bytes = USUAL_REVEAL_BYTES;
    for &kind in &options.targets {
        eprintln!("starting {}", kind.name());
        match targets::start(kind, options, folder, reveal_bytes).await? {
            Started::Running(target) => {
                if kind == Kind::Strongroom {
                    reveal_bytes = target.reveal_bytes;
                }
                servers.push(*target);
            }
            Started::Skipped(why) => {
                eprintln!("skipped {why}");
                skipped.push(why);
            }
        }
    }
    Ok(servers)
}

async fn visit(target: &mut Target, cell: &Cell, measured: Duration, repetition: usize) -> Result<Run> {
    target.check_alive()?;
    let lanes = target.lanes(cell.operation, cell.connections, repetition as u64);
    let window = Window { warm_up: (measured / 5).min(Duration::from_secs(1)), measured };
    let outcome = load::run(&target.aim(), lanes, window).await;
    target.check_alive()?;
    Ok(summarize(&outcome?, target.resident_kib()?))
}

#[expect(clippy::cast_precision_loss, reason = "KiB of memory are far below 2^53")]
fn mebibytes(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

fn summarize(measured: &Measured, resident_kib: u64) -> Run {
    let seconds = measured.elapsed.as_secs_f64();
    let requests = measured.latencies.len();
    let per_request = |used: Duration| used.as_secs_f64() * 1e6 / count(requests.max(1));
    let latency = |permille| milliseconds(percentile(&measured.latencies, permille));
    Run {
        seconds,
        requests,
        requests_per_second: count(requests) / seconds,
        p50_ms: latency(500),
        p99_ms: latency(990),
        max_ms: latency(1000),
        server_cpu_us: per_request(measured.server_cpu),
        database_cpu_us: measured.database_cpu.map(per_request),
        server_cores: measured.server_cpu.as_secs_f64() / seconds,
        database_cores: measured.database_cpu.map(|used| used.as_secs_f64() / seconds),
        client_cores: measured.client_cpu.as_secs_f64() / seconds,
        other_cores: measured.other_cpu.as_secs_f64() / seconds,
        resident_mib: mebibytes(resident_kib),
        errors: measured.errors,
        first_error: measured.first_error.clone(),
    }
}

fn facts(target: &Target) -> Result<TargetFacts> {
    Ok(TargetFacts {
        target: target.kind,
        version: target.version.clone(),
        start_up_ms: target.start_up.as_secs_f64() * 1e3,
        resting_mib: mebibytes(target.resting_kib),
        resident_at_end_mib: mebibytes(target.resident_kib()?),
        reveal_answer_bytes: target.reveal_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_summed_up_per_request_and_per_second() {
        let measured = Measured {
            elapsed: Duration::from_secs(2),
            latencies: (1..=1000).map(|n| n * 1_000_000).collect(),
            server_cpu: Duration::from_millis(40),
            database_cpu: Some(Duration::from_millis(60)),
            client_cpu: Duration::from_secs(1),
            other_cpu: Duration::from_millis(500),
            errors: 0,
            first_error: None,
        };
        let run = summarize(&measured, 2048);
        let expect = |value: f64, wanted: f64| assert!((value - wanted).abs() < 1e-9, "{value} {wanted}");
        expect(run.requests_per_second, 500.0);
        expect(run.p50_ms, 500.0);
        expect(run.p99_ms, 990.0);
        expect(run.server_cpu_us, 40.0);
        expect(run.database_cpu_us.unwrap(), 60.0);
        expect(run.database_cores.unwrap(), 0.03);
        expect(run.client_cores, 0.5);
        expect(run.other_cores, 0.25);
        expect(run.resident_mib, 2.0);
    }
}
