//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command, value_parser};

use crate::Result;
use crate::targets::Kind;

/// What to do.
pub(crate) enum Action {
    /// The bench.
    Measure(Options),
    /// Who may do what, at scale.
    Access(AccessOptions),
    /// Whether response times tell what exists.
    Timing { options: Options, samples: usize },
    /// What values in stores of somebody else's cost.
    Outer(OuterOptions),
    /// The floor's own process.
    ServeFloor { listen: SocketAddr, body_bytes: usize },
}

/// How to measure.
pub(crate) struct Options {
    /// The measured window of each run.
    pub(crate) window: Duration,
    pub(crate) runs: usize,
    pub(crate) connections: Vec<usize>,
    pub(crate) targets: Vec<Kind>,
    pub(crate) json: Option<PathBuf>,
    /// The `bao` program, a bare name when it is looked for on PATH.
    pub(crate) bao: PathBuf,
    pub(crate) strongroom: PathBuf,
    /// Where the servers' data goes for the time of the run.
    pub(crate) folder: PathBuf,
}

/// How to measure access at scale.
pub(crate) struct AccessOptions {
    /// Percent of the whole population.
    pub(crate) percent: usize,
    pub(crate) strongroom: PathBuf,
    pub(crate) folder: PathBuf,
}

/// How to measure outer stores.
pub(crate) struct OuterOptions {
    pub(crate) common: Options,
    /// moto's server; AWS is left out without it.
    pub(crate) moto: Option<PathBuf>,
    /// `updates`, `reveals`, `hanging`.
    pub(crate) parts: Vec<String>,
}

/// Reads the process's arguments; prints and ends the process for `--help` and for what it can't understand.
pub(crate) fn from_arguments() -> Result<Action> {
    read(&command().get_matches())
}

fn command() -> Command {
    let number = |name, default| {
        Arg::new(name).long(name).default_value(default).value_parser(value_parser!(u32).range(1..=100_000))
    };
    let path = |name| Arg::new(name).long(name).value_name("PATH").value_parser(value_parser!(PathBuf));
    Command::new("strongroom-bench")
        .about("Measures Strongroom over SQLite and PostgreSQL beside the bare HTTP floor of its stack and OpenBao, in one run")
        .args_conflicts_with_subcommands(true)
        .arg(number("seconds", "5").help("Length of each measured window"))
        .arg(number("runs", "5").help("Repetitions; medians are reported"))
        .arg(
            Arg::new("connections")
                .long("connections")
                .default_value("1,32,128")
                .value_delimiter(',')
                .value_parser(value_parser!(u32).range(1..=500))
                .help("Numbers of keep-alive connections"),
        )
        .arg(
            Arg::new("only")
                .long("only")
                .value_delimiter(',')
                .value_parser(Kind::ALL.map(Kind::name))
                .help("Measure these alone"),
        )
        .arg(path("json").help("File for all raw runs and the conditions"))
        .arg(path("bao").help("The `bao` program [default: $BAO, else the one on PATH]"))
        .arg(path("strongroom").help("The release binary [default: the one beside this program]"))
        .arg(path("dir").help("Existing folder on the disk to measure [default: this program's own folder]"))
        .subcommand(
            Command::new("access")
                .about("Measures who may do what with 100,000 users, 10,000 teams and 1,000,000 grants")
                .arg(
                    Arg::new("percent")
                        .long("percent")
                        .default_value("100")
                        .value_parser(value_parser!(u32).range(1..=100))
                        .help("Of that population"),
                )
                .arg(path("strongroom").help("The release binary [default: the one beside this program]"))
                .arg(path("dir").help("Existing folder on the disk to measure [default: this program's own folder]")),
        )
        .subcommand(
            Command::new("timing")
                .about("Compares the response times of what is hidden with those of what isn't there")
                .arg(number("samples", "3000").help("Answers of each kind on each route"))
                .arg(path("strongroom").help("The release binary [default: the one beside this program]"))
                .arg(path("dir").help("Existing folder on the disk to use [default: this program's own folder]")),
        )
        .subcommand(
            Command::new("outer")
                .about("Measures values in OpenBao and moto beside the same requests sent there directly")
                .arg(number("seconds", "3").help("Length of each measured window"))
                .arg(number("runs", "5").help("Repetitions; medians are reported"))
                .arg(path("bao").help("The `bao` program [default: $BAO, else $STRONGROOM_TEST_BAO, else the one on PATH]"))
                .arg(
                    Arg::new("only")
                        .long("only")
                        .value_delimiter(',')
                        .value_parser(["updates", "reveals", "hanging"])
                        .default_value("updates,reveals,hanging")
                        .help("Measure only these"),
                )
                .arg(path("moto").help("The `moto_server` program [default: $STRONGROOM_TEST_MOTO, else AWS is left out]"))
                .arg(path("strongroom").help("The release binary [default: the one beside this program]"))
                .arg(path("dir").help("Existing folder on the disk to measure [default: this program's own folder]")),
        )
        .subcommand(
            Command::new("floor")
                .about("Serves the HTTP floor; the bench starts it itself")
                .arg(Arg::new("listen").long("listen").required(true).value_parser(value_parser!(SocketAddr)))
                .arg(Arg::new("body-bytes").long("body-bytes").default_value("700").value_parser(value_parser!(usize))),
        )
}

fn read(matches: &ArgMatches) -> Result<Action> {
    if let Some(("floor", floor)) = matches.subcommand() {
        return Ok(Action::ServeFloor {
            listen: *required(floor, "listen"),
            body_bytes: *required(floor, "body-bytes"),
        });
    }
    if let Some(("timing", timing)) = matches.subcommand() {
        let samples = *required::<u32>(timing, "samples") as usize;
        return Ok(Action::Timing { options: defaults(timing)?, samples });
    }
    if let Some(("outer", outer)) = matches.subcommand() {
        let named = |argument, variables: &[&str]| {
            let given = outer.get_one::<PathBuf>(argument).cloned();
            given.or_else(|| variables.iter().find_map(std::env::var_os).map(PathBuf::from))
        };
        let common = Options {
            window: Duration::from_secs(u64::from(*required::<u32>(outer, "seconds"))),
            runs: *required::<u32>(outer, "runs") as usize,
            bao: named("bao", &["BAO", "STRONGROOM_TEST_BAO"]).unwrap_or_else(|| "bao".into()),
            ..defaults(outer)?
        };
        let parts = outer.get_many::<String>("only").into_iter().flatten().cloned().collect();
        return Ok(Action::Outer(OuterOptions { common, moto: named("moto", &["STRONGROOM_TEST_MOTO"]), parts }));
    }
    let program = std::env::current_exe()?;
    let beside = program.parent().ok_or("the bench has no folder of its own")?.to_owned();
    if let Some(("access", access)) = matches.subcommand() {
        let path = |name| access.get_one::<PathBuf>(name).cloned();
        return Ok(Action::Access(AccessOptions {
            percent: *required::<u32>(access, "percent") as usize,
            strongroom: path("strongroom").unwrap_or_else(|| beside.join("strongroom")),
            folder: path("dir").unwrap_or(beside),
        }));
    }
    let path = |name| matches.get_one::<PathBuf>(name).cloned();
    let only: Option<Vec<&String>> = matches.get_many("only").map(Iterator::collect);
    let wanted = |kind: &Kind| only.as_ref().is_none_or(|names| names.iter().any(|name| *name == kind.name()));
    let mut connections: Vec<usize> =
        matches.get_many::<u32>("connections").into_iter().flatten().map(|number| *number as usize).collect();
    connections.sort_unstable();
    connections.dedup();
    Ok(Action::Measure(Options {
        window: Duration::from_secs(u64::from(*required::<u32>(matches, "seconds"))),
        runs: *required::<u32>(matches, "runs") as usize,
        connections,
        targets: Kind::ALL.into_iter().filter(wanted).collect(),
        json: path("json"),
        bao: path("bao").or_else(|| std::env::var_os("BAO").map(PathBuf::from)).unwrap_or_else(|| "bao".into()),
        strongroom: path("strongroom").unwrap_or_else(|| beside.join("strongroom")),
        folder: path("dir").unwrap_or(beside),
    }))
}

/// What is not about the measuring of targets.
fn defaults(matches: &ArgMatches) -> Result<Options> {
    let program = std::env::current_exe()?;
    let beside = program.parent().ok_or("the bench has no folder of its own")?.to_owned();
    let path = |name| matches.get_one::<PathBuf>(name).cloned();
    Ok(Options {
        window: Duration::ZERO,
        runs: 0,
        connections: Vec::new(),
        targets: Vec::new(),
        json: None,
        bao: PathBuf::new(),
        strongroom: path("strongroom").unwrap_or_else(|| beside.join("strongroom")),
        folder: path("dir").unwrap_or(beside),
    })
}

fn required<'a, T: Clone + Send + Sync + 'static>(matches: &'a ArgMatches, name: &str) -> &'a T {
    matches.get_one(name).expect("the argument is required or has a default")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Options {
        let matches = command().try_get_matches_from([&["strongroom-bench"], arguments].concat()).unwrap();
        match read(&matches).unwrap() {
            Action::Measure(options) => options,
            Action::ServeFloor { .. } | Action::Timing { .. } | Action::Access(_) | Action::Outer(_) => {
                panic!("the bench was wanted")
            }
        }
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        command().debug_assert();
        let options = parse(&[]);
        assert_eq!((options.window.as_secs(), options.runs), (5, 5));
        assert_eq!(options.connections, [1, 32, 128]);
        assert!(options.targets == Kind::ALL);
    }

    #[test]
    fn a_choice_of_targets_and_connections_is_kept_in_order() {
        let options = parse(&["--only", "openbao,floor", "--connections", "32,1,32"]);
        assert!(options.targets == [Kind::Floor, Kind::OpenBao]);
        assert_eq!(options.connections, [1, 32]);
    }

    #[test]
    fn replicas_are_a_target_of_their_own() {
        assert!(parse(&["--only", "postgres"]).targets == [Kind::Postgres]);
        assert!(parse(&["--only", "postgres-3,strongroom"]).targets == [Kind::Strongroom, Kind::Postgres3]);
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for arguments in [["--only", "vault"], ["--runs", "0"], ["--connections", "0"]] {
            assert!(command().try_get_matches_from([&["strongroom-bench"], &arguments[..]].concat()).is_err());
        }
    }
}
