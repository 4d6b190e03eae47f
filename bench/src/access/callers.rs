//! A real server over the population: what its known callers take.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::fill::Population;
use crate::Result;
use crate::http1::Connection;
use crate::options::AccessOptions;
use crate::process::{Server, free_port, resident_kib};
use crate::stats::percentile;
use crate::template::{Random, Template};

const LIMIT: Duration = Duration::from_mins(1);
/// Asks who one is, and nothing more.
const PATH: &str = "/api/svc/v1/session";

pub(super) struct Running {
    server: Server,
    address: SocketAddr,
}

impl Running {
    /// Ends it in order, so that the database is whole in its file.
    pub(super) fn stop(self) -> Result<()> {
        let pid = self.server.pid();
        Command::new("kill").args(["-TERM", &pid.to_string()]).status()?;
        let began = Instant::now();
        let mut server = self.server;
        while server.check_alive().is_ok() {
            if began.elapsed() > LIMIT {
                return Err("the server doesn't end".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

pub(super) async fn start(options: &AccessOptions, folder: &Path, data: &Path) -> Result<Running> {
    let address = free_port()?;
    let mut command = Command::new(&options.strongroom);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("STRONGROOM_")) {
        command.env_remove(name);
    }
    command
        .arg("serve")
        .env("STRONGROOM_LISTEN", address.to_string())
        .env("STRONGROOM_DATA_DIR", data)
        .env("STRONGROOM_RATE_LIMIT_SUBJECT", "0")
        .env("STRONGROOM_RATE_LIMIT_ADDRESS", "0")
        .env("STRONGROOM_LOG_LEVEL", "warn");
    let mut server = Server::spawn(&mut command, folder.join("server.log"))?;
    let began = Instant::now();
    loop {
        server.check_alive()?;
        if let Ok(mut connection) = Connection::open(address).await {
            let mut ready = Template::new("GET", "/readyz", &[], None);
            if connection.exchange(ready.fill(&mut Random::new(0))).await.is_ok_and(|answer| answer.status == 200) {
                return Ok(Running { server, address });
            }
        }
        if began.elapsed() > LIMIT {
            return Err(format!("the server isn't ready; its log ends:\n{}", server.log_tail()).into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What ten thousand callers take, and how long the first and the next request of each.
pub(super) async fn measure(
    options: &AccessOptions,
    folder: &Path,
    data: &Path,
    population: &Population,
) -> Result<Vec<String>> {
    let running = start(options, folder, data).await?;
    let mut connection = Connection::open(running.address).await?;
    let one = &population.tokens[..1];
    // What the process takes for so many requests anyway.
    for _ in 0..population.tokens.len() {
        visit(&mut connection, one).await?;
    }
    let before = resident_kib(running.server.pid())?;
    let first = visit(&mut connection, &population.tokens).await?;
    let after = resident_kib(running.server.pid())?;
    let next = visit(&mut connection, &population.tokens).await?;
    let again = resident_kib(running.server.pid())?;
    running.stop()?;
    let callers = population.tokens.len() as u64;
    Ok(vec![
        format!(
            "(e) resident memory of a server: {before} KiB with one known caller, {after} KiB with {callers}, {again} KiB after they came again: {} bytes a caller",
            (again.saturating_sub(before)) * 1024 / callers
        ),
        format!(
            "(e) a request that asks who one is, 1 connection: p50 {} µs of a new caller, {} µs of a known one",
            first, next
        ),
    ])
}

/// A request with each token; the median in microseconds.
async fn visit(connection: &mut Connection, tokens: &[String]) -> Result<u64> {
    let mut random = Random::new(0);
    let mut took = Vec::with_capacity(tokens.len());
    for token in tokens {
        let mut request = Template::new("GET", PATH, &[&format!("authorization: Bearer {token}")], None);
        let began = Instant::now();
        let answer = connection.exchange(request.fill(&mut random)).await?;
        took.push(u64::try_from(began.elapsed().as_micros())?);
        if answer.status != 200 {
            return Err(format!("{PATH} answered {}", answer.status).into());
        }
    }
    took.sort_unstable();
    Ok(percentile(&took, 500))
}
