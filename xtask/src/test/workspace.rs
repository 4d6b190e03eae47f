//! What cargo tests.

use std::path::Path;

use super::environment::{self, Environment};
use crate::process::{self, Closing, Ended};

/// Those that speak with the database, themselves or through others.
const ON_POSTGRES: [&str; 3] = ["strongroom-metadata", "strongroom-server", "strongroom"];
/// Modules of tests that are about SQLite, that start their own database servers, or that run a process on a file: once is
/// enough for them.
const ON_SQLITE_ONLY: [&str; 9] =
    ["sqlite_only", "cluster", "crash", "full_disk", "hang_up", "outer_kill", "outer_stop", "shutdown", "tls"];

/// Where what is behind the feature `cloud-credentials` is tested, in modules of this name.
const WITH_CLOUD: [&str; 6] =
    ["-p", "strongroom-stores", "-p", "strongroom", "--features", "strongroom/cloud-credentials"];
const OF_CLOUD: &str = "ambient";

/// Which tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    All,
    /// Those that come to something else on PostgreSQL than on SQLite.
    OnPostgres,
    /// Those of what only a build with the feature `cloud-credentials` has.
    WithCloud,
}

/// Runs them with nextest where that is installed.
pub(super) fn run(root: &Path, which: Which, environment: &Environment) -> Result<Ended, String> {
    // Asking tells; the answer itself is of no interest.
    let has_nextest =
        process::cargo(root, &["nextest", "--version"]).output().is_ok_and(|asked| asked.status.success());
    let (args, closing) = if has_nextest {
        (nextest(which), Closing::From("Summary ["))
    } else {
        (plain(which), Closing::Each("test result:"))
    };
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    process::watch(environment::give(&mut process::cargo(root, &args), environment), closing)
}

fn nextest(which: Which) -> Vec<String> {
    if which == Which::WithCloud {
        let mut args = words("nextest run --no-fail-fast");
        args.extend(WITH_CLOUD.map(str::to_owned));
        args.extend(["-E".to_owned(), format!("test(/(^|::){OF_CLOUD}::/)")]);
        return args;
    }
    let mut args = words("nextest run --workspace --no-fail-fast");
    if which == Which::OnPostgres {
        // Picked from the whole workspace, not named by -p: alone they would be built anew, with other features.
        let packages = ON_POSTGRES.map(|name| format!("package(={name})")).join(" | ");
        let modules = ON_SQLITE_ONLY.join("|");
        args.extend(["-E".to_owned(), format!("({packages}) & not test(/(^|::)({modules})::/)")]);
    }
    args
}

fn plain(which: Which) -> Vec<String> {
    if which == Which::All {
        return words("test --workspace --no-fail-fast");
    }
    let mut args = words("test --no-fail-fast");
    if which == Which::WithCloud {
        args.extend(WITH_CLOUD.map(str::to_owned));
        args.extend(["--".to_owned(), format!("{OF_CLOUD}::")]);
        return args;
    }
    args.extend(ON_POSTGRES.iter().flat_map(|name| ["-p".to_owned(), (*name).to_owned()]));
    args.push("--".to_owned());
    args.extend(ON_SQLITE_ONLY.iter().flat_map(|module| ["--skip".to_owned(), format!("{module}::")]));
    args
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_postgres_fewer_tests_run() {
        assert_eq!(nextest(Which::All), ["nextest", "run", "--workspace", "--no-fail-fast"]);
        let filter = "(package(=strongroom-metadata) | package(=strongroom-server) | package(=strongroom)) \
                      & not test(/(^|::)(sqlite_only|cluster|crash|full_disk|hang_up|outer_kill|outer_stop|shutdown|tls)::/)";
        assert_eq!(nextest(Which::OnPostgres)[4..], ["-E", filter]);
        let expected = "test --no-fail-fast -p strongroom-metadata -p strongroom-server -p strongroom \
                        -- --skip sqlite_only:: --skip cluster:: --skip crash:: --skip full_disk:: --skip hang_up:: \
                        --skip outer_kill:: --skip outer_stop:: --skip shutdown:: --skip tls::";
        assert_eq!(plain(Which::OnPostgres).join(" "), expected);
        assert_eq!(plain(Which::All).join(" "), "test --workspace --no-fail-fast");
        let with_cloud = "-p strongroom-stores -p strongroom --features strongroom/cloud-credentials";
        let expected = format!("nextest run --no-fail-fast {with_cloud} -E test(/(^|::)ambient::/)");
        assert_eq!(nextest(Which::WithCloud).join(" "), expected);
        let expected = format!("test --no-fail-fast {with_cloud} -- ambient::");
        assert_eq!(plain(Which::WithCloud).join(" "), expected);
    }
}
