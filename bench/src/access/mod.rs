//! Who may do what, at scale: a database with 100,000 users, 10,000 teams and 1,000,000 grants, and how long the questions
//! take that each request asks of it. One after the other, in one process, on `SQLite` and PostgreSQL.

mod callers;
mod fill;
mod measure;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use strongroom_metadata::{Location, Metadata, PostgresAddress, PostgresOptions, copy_database};
use strongroom_throwaway::Postgres;

use crate::Result;
use crate::disk::count;
use crate::machine::{Machine, load_average};
use crate::options::AccessOptions;
use crate::stats::percentile;
use fill::Scale;

const DATABASE: &str = "strongroom";

/// What was measured of one thing.
pub(super) struct Line {
    what: String,
    /// Nanoseconds, ascending.
    took: Vec<u64>,
}

impl Line {
    pub(super) fn new(what: impl Into<String>, mut took: Vec<u64>) -> Self {
        took.sort_unstable();
        Self { what: what.into(), took }
    }

    fn microseconds(&self, permille: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a measurement are far below 2^53")]
        let nanoseconds = percentile(&self.took, permille) as f64;
        nanoseconds / 1e3
    }
}

/// Fills, measures and prints.
pub(crate) async fn run(options: &AccessOptions) -> Result<()> {
    if !options.strongroom.is_file() {
        return Err("no binary beside the bench; build it with `cargo build --release -p strongroom`".into());
    }
    let folder = tempfile::Builder::new()
        .prefix("strongroom-access-")
        .permissions(Permissions::from_mode(0o711))
        .tempdir_in(&options.folder)?;
    let mut machine = Machine::observe(folder.path());
    let data = folder.path().join("data");
    callers::start(options, folder.path(), &data).await?.stop()?;
    let file = data.join("strongroom.db");

    let scale = Scale::of(options.percent);
    let began = Instant::now();
    let metadata = Metadata::open(&file)?;
    let mut population = fill::fill(&metadata, scale).await?;
    let filled = began.elapsed();
    drop(metadata);
    let copied = folder.path().join("copied.db");
    std::fs::copy(&file, &copied)?;
    let bytes = std::fs::metadata(&file)?.len();
    println!(
        "- {} commit {}, {} cores, {}, Linux {}, {}",
        machine.started_at, machine.commit, machine.cores, machine.cpu, machine.kernel, machine.filesystem
    );
    println!(
        "- {} users, {} teams, {} groups, {} bindings, {} grants; SQLite's file has {} MiB ({} bytes a grant, all in all), filled in {:.0} s",
        scale.users,
        scale.teams,
        scale.groups,
        scale.bindings,
        population.granted,
        bytes >> 20,
        bytes / population.granted as u64,
        filled.as_secs_f64()
    );

    let metadata = Metadata::open(&file)?;
    let sqlite = measure::all(&metadata, &mut population).await?;
    drop(metadata);
    print("SQLite", &sqlite);
    for line in callers::measure(options, folder.path(), &data, &population).await? {
        println!("- {line}");
    }
    match postgres(folder.path(), &copied).await {
        Ok((_server, metadata, size)) => {
            println!("\n- PostgreSQL: {size}");
            let lines = measure::all(&metadata, &mut population).await?;
            print("PostgreSQL", &lines);
        }
        Err(why) => println!("- PostgreSQL was left out: {why}"),
    }
    machine.load_after = load_average();
    println!("- load average before {}, after {}", machine.load_before, machine.load_after);
    Ok(())
}

/// The same population on a PostgreSQL of one's own.
async fn postgres(folder: &Path, copied: &Path) -> Result<(Postgres, Metadata, String)> {
    let wanted = strongroom_throwaway::PostgresOptions {
        parent: Some(folder.to_owned()),
        ..strongroom_throwaway::PostgresOptions::default()
    };
    let server = Postgres::start(wanted)?;
    server.create_database(DATABASE)?;
    let address = PostgresAddress::parse(&server.url(DATABASE), None)?;
    let options = PostgresOptions {
        address: address.clone(),
        direct: None,
        connections: 10,
        timeout: Duration::from_mins(5),
        prepared_statements: true,
    };
    let began = Instant::now();
    copy_database(&Location::Sqlite(copied.to_owned()), &Location::Postgres(Box::new(address)), |_| {}).await?;
    let copy_took = began.elapsed();
    server.execute(DATABASE, "VACUUM ANALYZE")?;
    let size = server.mebibytes(DATABASE)?;
    let metadata = Metadata::connect(&options).await?;
    let told =
        format!("version {}, {} MiB, copied and compared in {:.0} s", server.version(), size, copy_took.as_secs_f64());
    Ok((server, metadata, told))
}

fn print(engine: &str, lines: &[Line]) {
    println!("\n| {engine} | times | p50 µs | p99 µs | mean µs |\n|---|---|---|---|---|");
    for line in lines {
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a measurement are far below 2^53")]
        let mean = line.took.iter().sum::<u64>() as f64 / 1e3 / count(line.took.len().max(1));
        println!(
            "| {} | {} | {:.2} | {:.2} | {mean:.2} |",
            line.what,
            line.took.len(),
            line.microseconds(500),
            line.microseconds(990)
        );
    }
    println!();
}
