//! The one test command: what cargo tests, then what real clients do with the binary, each on both databases.

mod clients;
mod environment;
mod parsers;
mod python;
mod servers;
mod workspace;

use std::path::Path;
use std::time::Duration;

use self::{
    environment::{Environment, NoPostgres},
    workspace::Which,
};
use crate::process::Ended;

/// What is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    clients: bool,
    postgres: bool,
}

impl Extent {
    /// From the command's flags; `None` when one is unknown.
    pub(crate) fn from_flags(flags: &[&str]) -> Option<Self> {
        let mut extent = Self { clients: true, postgres: true };
        for flag in flags {
            match *flag {
                "--no-clients" => extent.clients = false,
                "--no-postgres" => extent.postgres = false,
                _ => return None,
            }
        }
        Some(extent)
    }
}

/// How a part ended; without an end, it never ran.
enum Outcome {
    Ended(Ended),
    Failed(String),
    Skipped(String),
}

type Run = fn(&Path, &Environment) -> Result<Ended, String>;

const A_MINUTE: Duration = Duration::from_mins(1);

/// The parsers of what strangers send, with random inputs for a time.
pub(crate) fn fuzz(root: &Path, seconds: u64) -> bool {
    let outcome = ended(parsers::run(root, Duration::from_secs(seconds), &environment::basic()));
    outcome.report("parsers").iter().for_each(|line| println!("{line}"));
    outcome.is_good()
}

/// Runs all parts, whatever becomes of each, prints how each ended and says whether all were good.
pub(crate) fn run(root: &Path, extent: Extent) -> bool {
    let basic = environment::basic();
    let mut parts = Vec::new();
    // In the workspace's tests once, as those have nothing to do with the database; the clients need both together.
    let with_servers = if extent.clients { servers::with_servers(root, &basic) } else { Ok(basic.clone()) };
    let with_servers = with_servers.unwrap_or_else(|error| {
        parts.push(("servers of the stores' tests", Outcome::Failed(error)));
        basic.clone()
    });
    parts.push(("workspace", ended(workspace::run(root, Which::All, &with_servers))));
    let with_cloud = workspace::run(root, Which::WithCloud, &with_servers);
    parts.push(("with cloud-credentials", ended(with_cloud)));
    parts.push(("parsers", ended(parsers::run(root, A_MINUTE, &basic))));
    // It runs as long as any part needs it.
    let server = extent.postgres.then(environment::postgres);
    let on_postgres = |run: Run, environment: &Environment| match &server {
        None => None,
        Some(Ok(server)) => Some(ended(run(root, &environment::with_postgres(environment, server)))),
        Some(Err(NoPostgres::NotInstalled(reason))) => Some(Outcome::Skipped(reason.clone())),
        Some(Err(NoPostgres::Failed(error))) => Some(Outcome::Failed(error.clone())),
    };
    let workspace = on_postgres(|root, environment| workspace::run(root, Which::OnPostgres, environment), &basic);
    parts.extend(workspace.map(|outcome| ("workspace on PostgreSQL", outcome)));
    if extent.clients {
        parts.push(("clients", ended(clients::run(root, &with_servers))));
        parts.extend(on_postgres(clients::run, &with_servers).map(|outcome| ("clients on PostgreSQL", outcome)));
    }
    println!();
    for (name, outcome) in &parts {
        for line in outcome.report(name) {
            println!("{line}");
        }
    }
    parts.iter().all(|(_, outcome)| outcome.is_good())
}

fn ended(ended: Result<Ended, String>) -> Outcome {
    ended.map_or_else(Outcome::Failed, Outcome::Ended)
}

impl Outcome {
    fn is_good(&self) -> bool {
        match self {
            Self::Ended(ended) => ended.succeeded,
            Self::Failed(_) => false,
            Self::Skipped(_) => true,
        }
    }

    fn report(&self, name: &str) -> Vec<String> {
        let line = |word: &str, rest: &str| format!("{word:7} {name}{rest}");
        match self {
            Self::Ended(ended) => {
                let first = line(if ended.succeeded { "ok" } else { "FAILED" }, "");
                let closing = ended.closing.iter().map(|line| format!("        {line}"));
                std::iter::once(first).chain(closing).collect()
            }
            Self::Failed(error) => vec![line("FAILED", &format!(": {error}"))],
            Self::Skipped(reason) => vec![line("SKIPPED", &format!(": {reason}"))],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_leave_parts_out() {
        assert_eq!(Extent::from_flags(&[]), Some(Extent { clients: true, postgres: true }));
        let flags = ["--no-postgres", "--no-clients"];
        assert_eq!(Extent::from_flags(&flags), Some(Extent { clients: false, postgres: false }));
        assert_eq!(Extent::from_flags(&["--no-client"]), None);
    }

    #[test]
    fn only_what_failed_is_bad() {
        let of = |succeeded| Outcome::Ended(Ended { succeeded, closing: vec!["1 passed".to_owned()] });
        assert!(of(true).is_good() && Outcome::Skipped("none found".to_owned()).is_good());
        assert!(!of(false).is_good() && !Outcome::Failed("not there".to_owned()).is_good());
        assert_eq!(of(false).report("clients"), ["FAILED  clients", "        1 passed"]);
        assert_eq!(Outcome::Skipped("none found".to_owned()).report("x"), ["SKIPPED x: none found"]);
    }
}
