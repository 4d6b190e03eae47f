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
use crate::process::{family_cpu_time, resident_kib};
use crate::stats::percentile;
use fill::Scale;

const DATABASE: &str = "strongroom";

/// What was measured of one thing.
pub(super) struct Line {
    what: String,
    /// Nanoseconds, ascending.
    took: Vec<u64>,
    /// Processor time of all of them together: of this process, and of PostgreSQL's.
    own: Duration,
    database: Option<Duration>,
}

/// Counts processor time, on which busy neighbours have little influence.
pub(super) struct Meter {
    postgres: Option<u32>,
    own: Duration,
    database: Option<Duration>,
}

impl Meter {
    pub(super) fn start(postgres: Option<u32>) -> Result<Self> {
        Ok(Self { postgres, own: own_cpu_time()?, database: postgres.map(family_cpu_time).transpose()? })
    }

    pub(super) fn line(self, what: impl Into<String>, mut took: Vec<u64>) -> Result<Line> {
        let now = Self::start(self.postgres)?;
        took.sort_unstable();
        let database = now.database.zip(self.database).map(|(after, before)| after.saturating_sub(before));
        Ok(Line { what: what.into(), took, own: now.own.saturating_sub(self.own), database })
    }
}

/// What all threads of this process have had, to the nanosecond.
fn own_cpu_time() -> Result<Duration> {
    let mut sum = 0;
    for thread in std::fs::read_dir("/proc/self/task")?.flatten() {
        let stat = std::fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        sum += stat.split_ascii_whitespace().next().and_then(|time| time.parse().ok()).unwrap_or(0_u64);
    }
    Ok(Duration::from_nanos(sum))
}

impl Line {
    fn microseconds(&self, permille: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a measurement are far below 2^53")]
        let nanoseconds = percentile(&self.took, permille) as f64;
        nanoseconds / 1e3
    }
}

/// Fills, measures and prints.
pub(crate) async fn run(options: &AccessOptions) -> Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("strongroom-access-")
        .permissions(Permissions::from_mode(0o711))
        .tempdir_in(&options.folder)?;
    let mut machine = Machine::observe(folder.path());
    let data = folder.path().join("data");
    let with_server = options.strongroom.is_file();
    if with_server {
        callers::start(options, folder.path(), &data).await?.stop()?;
    } else {
        std::fs::create_dir(&data)?;
    }
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
    let (before, cpu, began) = (resident_kib(std::process::id())?, own_cpu_time()?, Instant::now());
    metadata.keep_grants().await?;
    println!(
        "- SQLite: all grants and memberships are read into memory in {:.2} s ({:.2} s of CPU) and take {} MiB there",
        began.elapsed().as_secs_f64(),
        own_cpu_time()?.saturating_sub(cpu).as_secs_f64(),
        resident_kib(std::process::id())?.saturating_sub(before) >> 10
    );
    let sqlite = measure::all(&metadata, &mut population, None).await?;
    drop(metadata);
    print("SQLite", &sqlite);
    if with_server {
        for line in callers::measure(options, folder.path(), &data, &population).await? {
            println!("- {line}");
        }
    } else {
        println!("- (e) was left out: no binary beside the bench; build it with `cargo build --release -p strongroom`");
    }
    match postgres(folder.path(), &copied).await {
        Ok((server, metadata, size)) => {
            println!("\n- PostgreSQL: {size}");
            let lines = measure::reads(&metadata, &population, server.process_id()).await?;
            print("PostgreSQL, grants read with the group", &lines);
            let (before, cpu) = (resident_kib(std::process::id())?, own_cpu_time()?);
            let meter = Meter::start(server.process_id())?;
            let began = Instant::now();
            metadata.keep_grants().await?;
            while !metadata.checks_in_memory() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let took = began.elapsed();
            let of_database = meter.line("", Vec::new())?.database.unwrap_or_default();
            println!(
                "- PostgreSQL: all grants and memberships are read into memory in {:.2} s ({:.2} s of CPU, and {:.2} s of \
                 the database's) and take {} MiB there",
                took.as_secs_f64(),
                own_cpu_time()?.saturating_sub(cpu).as_secs_f64(),
                of_database.as_secs_f64(),
                resident_kib(std::process::id())?.saturating_sub(before) >> 10
            );
            let lines = measure::all(&metadata, &mut population, server.process_id()).await?;
            print("PostgreSQL, grants in memory", &lines);
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
    println!("\n| {engine} | times | p50 µs | p99 µs | CPU µs | database CPU µs |\n|---|---|---|---|---|---|");
    for line in lines {
        let each = |time: Duration| time.as_secs_f64() * 1e6 / count(line.took.len().max(1));
        println!(
            "| {} | {} | {:.2} | {:.2} | {:.2} | {} |",
            line.what,
            line.took.len(),
            line.microseconds(500),
            line.microseconds(990),
            each(line.own),
            line.database.map(|time| format!("{:.0}", each(time))).unwrap_or_default()
        );
    }
    println!();
}
