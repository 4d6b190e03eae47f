//! What comes out: all raw runs for a file, and tables of medians for people.

use std::fmt::Write as _;

use serde::Serialize;

use crate::disk::DiskRate;
use crate::machine::Machine;
use crate::options::Options;
use crate::pgbench::{INSERTING, InsertRate};
use crate::stats::{median, spread};
use crate::targets::{Kind, Operation};

/// Everything about one run of the lab.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(crate) settings: Settings,
    pub(crate) machine: Machine,
    pub(crate) disk: Vec<DiskRate>,
    /// PostgreSQL's own pace; empty without one.
    pub(crate) inserts: Vec<InsertRate>,
    pub(crate) targets: Vec<TargetFacts>,
    pub(crate) skipped: Vec<String>,
    pub(crate) cells: Vec<Cell>,
}

/// How it was measured.
#[derive(Serialize)]
pub(crate) struct Settings {
    seconds: u64,
    runs: usize,
    connections: Vec<usize>,
}

/// What holds for a server whatever the load.
#[derive(Serialize)]
pub(crate) struct TargetFacts {
    pub(crate) target: Kind,
    pub(crate) version: String,
    /// From the start of the process to its first good answer.
    pub(crate) start_up_ms: f64,
    pub(crate) resting_mib: f64,
    pub(crate) resident_at_end_mib: f64,
    pub(crate) reveal_answer_bytes: usize,
}

/// One operation at one number of connections on one server.
#[derive(Serialize)]
pub(crate) struct Cell {
    pub(crate) operation: Operation,
    pub(crate) connections: usize,
    pub(crate) target: Kind,
    /// One a repetition, in their order.
    pub(crate) runs: Vec<Run>,
}

/// One measured window.
#[derive(Serialize)]
pub(crate) struct Run {
    pub(crate) seconds: f64,
    pub(crate) requests: usize,
    pub(crate) requests_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    /// CPU time of the server's process per request, microseconds; of all replicas together.
    pub(crate) server_cpu_us: f64,
    /// The same of PostgreSQL's processes.
    pub(crate) database_cpu_us: Option<f64>,
    pub(crate) server_cores: f64,
    pub(crate) database_cores: Option<f64>,
    /// What the load itself used: near 1 it is the limit, not the server.
    pub(crate) client_cores: f64,
    /// Used by everything else on the machine, time stolen by the hypervisor included.
    pub(crate) other_cores: f64,
    pub(crate) resident_mib: f64,
    pub(crate) errors: usize,
    pub(crate) first_error: Option<String>,
}

type Figure = fn(&Run) -> f64;

impl Settings {
    pub(crate) fn of(options: &Options) -> Self {
        Self { seconds: options.window.as_secs(), runs: options.runs, connections: options.connections.clone() }
    }
}

impl Cell {
    pub(crate) fn new(operation: Operation, connections: usize, target: Kind) -> Self {
        Self { operation, connections, target, runs: Vec::new() }
    }

    fn values(&self, figure: Figure) -> Vec<f64> {
        self.runs.iter().map(figure).collect()
    }

    fn median(&self, figure: Figure) -> f64 {
        median(&self.values(figure)).unwrap_or(f64::NAN)
    }

    /// Empty for a server that has no such figure.
    fn optional(&self, figure: fn(&Run) -> Option<f64>, digits: usize) -> String {
        let values: Option<Vec<f64>> = self.runs.iter().map(figure).collect();
        values.and_then(|values| median(&values)).map(|median| format!("{median:.digits$}")).unwrap_or_default()
    }

    fn errors(&self) -> usize {
        self.runs.iter().map(|run| run.errors).sum()
    }
}

impl Report {
    /// Failed requests of all runs.
    pub(crate) fn errors(&self) -> usize {
        self.cells.iter().map(Cell::errors).sum()
    }

    /// Conditions, tables and ratios as Markdown.
    pub(crate) fn markdown(&self) -> String {
        let mut page = self.conditions();
        page.push_str(&self.table());
        page.push('\n');
        page.push_str(&self.ratios());
        page
    }

    fn conditions(&self) -> String {
        let machine = &self.machine;
        let rates: Vec<f64> = self.disk.iter().map(|rate| rate.fdatasyncs_per_second).collect();
        let (slowest, fastest) = spread(&rates).unwrap_or((f64::NAN, f64::NAN));
        let mut lines = vec![
            format!(
                "{} commit {}, {} runs of {} s a cell, medians; servers take turns",
                machine.started_at, machine.commit, self.settings.runs, self.settings.seconds
            ),
            format!("{} cores, {}, Linux {}, {}", machine.cores, machine.cpu, machine.kernel, machine.filesystem),
            format!("load average before {}, after {}", machine.load_before, machine.load_after),
            format!(
                "disk, 4 KiB append and fdatasync, one at a time: {:.0}/s before, {:.0}/s after, {slowest:.0} to {fastest:.0} between the repetitions",
                rates.first().unwrap_or(&f64::NAN),
                rates.last().unwrap_or(&f64::NAN),
            ),
        ];
        if matches!(machine.filesystem.as_str(), "tmpfs" | "ramfs") {
            lines.push(
                "**the data lies in memory: nothing here says anything about durable writes; use --dir**".to_owned(),
            );
        }
        for connections in INSERTING {
            let rates = self.inserts.iter().filter(|rate| rate.connections == connections);
            let rates: Vec<f64> = rates.map(|rate| rate.per_second).collect();
            if let (Some(median), Some((slowest, fastest))) = (median(&rates), spread(&rates)) {
                lines.push(format!(
                    "PostgreSQL by itself, one row inserted and committed, connections {connections}: {median:.0}/s, {slowest:.0} to {fastest:.0} between the repetitions"
                ));
            }
        }
        for facts in &self.targets {
            lines.push(format!(
                "{}: {}; up in {:.0} ms with {:.0} MiB resident, {:.0} MiB at the end",
                facts.target.name(),
                facts.version,
                facts.start_up_ms,
                facts.resting_mib,
                facts.resident_at_end_mib
            ));
        }
        lines.extend(self.skipped.iter().map(|why| format!("skipped {why}")));
        if self.errors() > 0 {
            lines.push(format!("**{} requests failed: the figures marked so can't be used**", self.errors()));
        }
        lines.iter().fold(String::new(), |page, line| page + "- " + line + "\n") + "\n"
    }

    fn table(&self) -> String {
        let mut table = String::from(
            "| operation | connections | server | requests/s | (min to max) | p50 ms | p99 ms | server CPU µs/request | database CPU µs/request | server cores | database cores | load's cores | other cores | resident MiB | errors |\n\
             |---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n",
        );
        for cell in &self.cells {
            let (slowest, fastest) =
                spread(&cell.values(|run| run.requests_per_second)).unwrap_or((f64::NAN, f64::NAN));
            let errors = match cell.errors() {
                0 => "0".to_owned(),
                number => format!("**{number}** ({})", cell.first_error()),
            };
            writeln!(
                table,
                "| {} | {} | {} | {:.0} | {slowest:.0} to {fastest:.0} | {:.2} | {:.2} | {:.1} | {} | {:.2} | {} | {:.2} | {:.2} | {:.0} | {errors} |",
                cell.operation.name(),
                cell.connections,
                cell.target.name(),
                cell.median(|run| run.requests_per_second),
                cell.median(|run| run.p50_ms),
                cell.median(|run| run.p99_ms),
                cell.median(|run| run.server_cpu_us),
                cell.optional(|run| run.database_cpu_us, 1),
                cell.median(|run| run.server_cores),
                cell.optional(|run| run.database_cores, 2),
                cell.median(|run| run.client_cores),
                cell.median(|run| run.other_cores),
                cell.median(|run| run.resident_mib),
            )
            .expect("writing to a String cannot fail");
        }
        table
    }

    /// The figures that the project has goals for. A ratio is the median over repetitions of the ratio within one.
    fn ratios(&self) -> String {
        let mut lines = Vec::new();
        let rate: Figure = |run| run.requests_per_second;
        for target in Kind::ALL.into_iter().filter(|target| *target != Kind::Floor) {
            if let Some(ratio) = self.ratio(rate, (Operation::Create, 32, target), (Operation::Create, 1, target)) {
                let goal = if target == Kind::Strongroom { " (goal: at least 5)" } else { "" };
                lines.push(format!("{}: creates/s at 32 connections over 1 connection: {ratio}{goal}", target.name()));
            }
        }
        if let Some(cell) = self.cell((Operation::Reveal, 32, Kind::Strongroom)) {
            let cost = cell.median(|run| run.server_cpu_us);
            lines
                .push(format!("strongroom: server CPU of a reveal at 32 connections: {cost:.1} µs (goal: at most 40)"));
            let floor = (Operation::Reveal, 32, Kind::Floor);
            if let Some(ratio) = self.ratio(|run| run.server_cpu_us, (Operation::Reveal, 32, Kind::Strongroom), floor) {
                // Holds on a slow machine as on a fast one, as the microseconds don't.
                lines.push(format!("strongroom: the same as a multiple of the HTTP floor: {ratio}"));
            }
        }
        for operation in Operation::ALL {
            for &connections in &self.settings.connections {
                let (ours, theirs) =
                    ((operation, connections, Kind::Strongroom), (operation, connections, Kind::OpenBao));
                let rates = self.ratio(rate, ours, theirs);
                let costs = self.ratio(|run| run.server_cpu_us, theirs, ours);
                if let (Some(rates), Some(costs)) = (rates, costs) {
                    lines.push(format!(
                        "{} at {connections}: strongroom over openbao {rates} in requests/s; openbao uses {costs} the CPU of a request",
                        operation.name()
                    ));
                }
            }
        }
        for (above, below) in [(Kind::Postgres, Kind::Strongroom), (Kind::Postgres3, Kind::Postgres)] {
            lines.extend(self.cells.iter().filter(|cell| cell.target == above).filter_map(|cell| {
                let key = |target| (cell.operation, cell.connections, target);
                let ratio = self.ratio(rate, key(above), key(below))?;
                let (name, connections) = (cell.operation.name(), cell.connections);
                Some(format!("{name} at {connections}: {} over {} {ratio} in requests/s", above.name(), below.name()))
            }));
        }
        lines.iter().fold(String::new(), |page, line| page + "- " + line + "\n")
    }

    fn cell(&self, (operation, connections, target): (Operation, usize, Kind)) -> Option<&Cell> {
        self.cells
            .iter()
            .find(|cell| (cell.operation, cell.connections, cell.target) == (operation, connections, target))
    }

    fn ratio(
        &self,
        figure: Figure,
        above: (Operation, usize, Kind),
        below: (Operation, usize, Kind),
    ) -> Option<String> {
        let (above, below) = (self.cell(above)?.values(figure), self.cell(below)?.values(figure));
        let ratios: Vec<f64> = above.iter().zip(&below).map(|(above, below)| above / below).collect();
        let (smallest, largest) = spread(&ratios)?;
        let median = median(&ratios)?;
        let digits = if median < 2.0 { 2 } else { 1 };
        Some(format!("{median:.digits$}x ({smallest:.digits$} to {largest:.digits$})"))
    }
}

impl Cell {
    /// Fit to stand in a table's cell.
    fn first_error(&self) -> String {
        let error = self.runs.iter().find_map(|run| run.first_error.as_deref()).unwrap_or_default();
        error.chars().take(120).map(|letter| if matches!(letter, '|' | '\n' | '\r') { ' ' } else { letter }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(requests_per_second: f64, server_cpu_us: f64) -> Run {
        Run {
            seconds: 1.0,
            requests: 1,
            requests_per_second,
            p50_ms: 1.0,
            p99_ms: 2.0,
            max_ms: 3.0,
            server_cpu_us,
            database_cpu_us: None,
            server_cores: 0.5,
            database_cores: None,
            client_cores: 0.25,
            other_cores: 0.0,
            resident_mib: 30.0,
            errors: 0,
            first_error: None,
        }
    }

    fn cell(operation: Operation, connections: usize, target: Kind, rates: &[f64], cpu: f64) -> Cell {
        let runs = rates.iter().map(|rate| run(*rate, cpu)).collect();
        Cell { operation, connections, target, runs }
    }

    fn report(cells: Vec<Cell>) -> Report {
        Report {
            settings: Settings { seconds: 1, runs: 3, connections: vec![1, 32] },
            machine: Machine::observe(&std::env::temp_dir()),
            disk: Vec::new(),
            inserts: Vec::new(),
            targets: Vec::new(),
            skipped: vec!["openbao: not here".to_owned()],
            cells,
        }
    }

    #[test]
    fn ratios_are_taken_within_a_repetition() {
        // The machine was ten times slower in the first repetition: no matter.
        let page = report(vec![
            cell(Operation::Create, 1, Kind::Strongroom, &[10.0, 100.0, 100.0], 50.0),
            cell(Operation::Create, 32, Kind::Strongroom, &[60.0, 600.0, 900.0], 50.0),
            cell(Operation::Create, 32, Kind::OpenBao, &[30.0, 300.0, 300.0], 500.0),
        ])
        .markdown();
        assert!(
            page.contains("strongroom: creates/s at 32 connections over 1 connection: 6.0x (6.0 to 9.0)"),
            "{page}"
        );
        assert!(page.contains("create at 32: strongroom over openbao 2.0x (2.0 to 3.0)"), "{page}");
        assert!(page.contains("openbao uses 10.0x (10.0 to 10.0) the CPU"), "{page}");
        assert!(page.contains("- skipped openbao: not here"), "{page}");
    }

    #[test]
    fn a_reveal_stands_beside_its_goal_and_the_floor() {
        let page = report(vec![
            cell(Operation::Reveal, 32, Kind::Strongroom, &[900.0, 1000.0, 1100.0], 38.0),
            cell(Operation::Reveal, 32, Kind::Floor, &[9000.0, 9000.0, 9000.0], 19.0),
        ])
        .markdown();
        assert!(
            page.contains("| reveal | 32 | strongroom | 1000 | 900 to 1100 | 1.00 | 2.00 | 38.0 |  | 0.50 |  | 0.25 |"),
            "{page}"
        );
        assert!(page.contains("38.0 µs (goal: at most 40)"), "{page}");
        assert!(page.contains("a multiple of the HTTP floor: 2.0x"), "{page}");
        assert!(!page.contains("creates/s at 32"), "what was not measured is not told: {page}");
    }

    #[test]
    fn a_database_has_its_own_column_and_stands_beside_sqlite() {
        let mut one = cell(Operation::Update, 32, Kind::Postgres, &[50.0, 100.0], 70.0);
        for run in &mut one.runs {
            run.database_cpu_us = Some(90.5);
            run.database_cores = Some(1.25);
        }
        let page = report(vec![
            cell(Operation::Update, 32, Kind::Strongroom, &[100.0, 200.0], 50.0),
            one,
            cell(Operation::Update, 32, Kind::Postgres3, &[60.0, 120.0], 80.0),
        ])
        .markdown();
        assert!(page.contains("| 2.00 | 70.0 | 90.5 | 0.50 | 1.25 | 0.25 |"), "{page}");
        assert!(page.contains("update at 32: postgres over strongroom 0.50x (0.50 to 0.50) in requests/s"), "{page}");
        assert!(page.contains("update at 32: postgres-3 over postgres 1.20x (1.20 to 1.20) in requests/s"), "{page}");
    }

    #[test]
    fn failed_requests_stand_out_and_cannot_break_the_table() {
        let mut cells = vec![cell(Operation::Update, 1, Kind::Floor, &[5.0], 1.0)];
        cells[0].runs[0].errors = 3;
        cells[0].runs[0].first_error = Some("503: a|b\nc".to_owned());
        let report = report(cells);
        assert_eq!(report.errors(), 3);
        let page = report.markdown();
        assert!(page.contains("**3 requests failed") && page.contains("| **3** (503: a b c) |"), "{page}");
    }
}
