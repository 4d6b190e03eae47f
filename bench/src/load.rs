//! The load: a closed loop over keep-alive connections on this one thread, so that it takes at most one core.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::Result;
use crate::disk::nanoseconds;
use crate::http1::Connection;
use crate::process::{cpu_time, machine_busy};
use crate::template::Lane;

const WARM_UP: u8 = 0;
const MEASURE: u8 = 1;
const STOP: u8 = 2;

/// How long the last requests may take to come back once time is up.
const GRACE: Duration = Duration::from_secs(30);

/// How long to load, and how much of it to look at.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// What happened within the measured window.
pub(crate) struct Measured {
    pub(crate) elapsed: Duration,
    /// Nanoseconds of each request that ended with 2xx within the window, ascending.
    pub(crate) latencies: Vec<u64>,
    pub(crate) server_cpu: Duration,
    pub(crate) client_cpu: Duration,
    /// CPU time used by all but the server and this process, time stolen by the hypervisor included.
    pub(crate) other_cpu: Duration,
    /// Failed requests, those of the warm-up included.
    pub(crate) errors: usize,
    pub(crate) first_error: Option<String>,
}

/// Drives one connection per lane against `address`, the server being the process `pid`.
pub(crate) async fn run(address: SocketAddr, pid: u32, lanes: Vec<Lane>, window: Window) -> Result<Measured> {
    let phase = Arc::new(AtomicU8::new(WARM_UP));
    let tasks: Vec<_> = lanes.into_iter().map(|lane| tokio::spawn(drive(address, lane, Arc::clone(&phase)))).collect();

    sleep(window.warm_up).await;
    let before = Clocks::read(pid)?;
    phase.store(MEASURE, Ordering::Relaxed);
    sleep(window.measured).await;
    phase.store(STOP, Ordering::Relaxed);
    let used = Clocks::read(pid)?.since(&before);

    let mut measured = Measured {
        elapsed: used.elapsed,
        latencies: Vec::new(),
        server_cpu: used.server,
        client_cpu: used.client,
        other_cpu: used.machine.saturating_sub(used.server + used.client),
        errors: 0,
        first_error: None,
    };
    let deadline = tokio::time::Instant::now() + GRACE;
    for task in tasks {
        let lane = tokio::time::timeout_at(deadline, task).await.map_err(|_| "a request got no answer")??;
        measured.latencies.extend(lane.latencies);
        measured.errors += lane.errors;
        measured.first_error = measured.first_error.or(lane.first_error);
    }
    measured.latencies.sort_unstable();
    Ok(measured)
}

#[derive(Default)]
struct LaneResult {
    latencies: Vec<u64>,
    errors: usize,
    first_error: Option<String>,
}

impl LaneResult {
    fn fail(&mut self, what: impl FnOnce() -> String) {
        self.errors += 1;
        self.first_error.get_or_insert_with(what);
    }
}

async fn drive(address: SocketAddr, mut lane: Lane, phase: Arc<AtomicU8>) -> LaneResult {
    let mut result = LaneResult { latencies: Vec::with_capacity(4096), ..LaneResult::default() };
    while phase.load(Ordering::Relaxed) != STOP {
        if let Err(error) = drive_connection(address, &mut lane, &phase, &mut result).await {
            result.fail(|| error.to_string());
            // Lets a server that refuses connections breathe, and this thread see the end.
            sleep(Duration::from_millis(10)).await;
        }
    }
    result
}

/// Until the end, or until the connection breaks.
async fn drive_connection(
    address: SocketAddr,
    lane: &mut Lane,
    phase: &AtomicU8,
    result: &mut LaneResult,
) -> std::io::Result<()> {
    let mut connection = Connection::open(address).await?;
    let mut sent = Instant::now();
    loop {
        let response = connection.exchange(lane.next()).await?;
        let answered = Instant::now();
        let phase = phase.load(Ordering::Relaxed);
        if !(200..300).contains(&response.status) {
            result.fail(|| format!("{}: {}", response.status, String::from_utf8_lossy(response.body)));
        } else if phase == MEASURE {
            result.latencies.push(nanoseconds(answered - sent));
        }
        if phase == STOP {
            return Ok(());
        }
        sent = answered;
    }
}

struct Clocks {
    wall: Instant,
    server: Duration,
    client: Duration,
    machine: Duration,
}

struct Used {
    elapsed: Duration,
    server: Duration,
    client: Duration,
    machine: Duration,
}

impl Clocks {
    fn read(pid: u32) -> std::io::Result<Self> {
        let (server, client) = (cpu_time(pid)?, cpu_time(std::process::id())?);
        Ok(Self { wall: Instant::now(), server, client, machine: machine_busy()? })
    }

    fn since(&self, earlier: &Self) -> Used {
        Used {
            elapsed: self.wall - earlier.wall,
            server: self.server.saturating_sub(earlier.server),
            client: self.client.saturating_sub(earlier.client),
            machine: self.machine.saturating_sub(earlier.machine),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Template;
    use std::io::{Read, Write};

    /// A server that answers every third request with 503, for one connection.
    fn flaky_server() -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            for number in 1.. {
                if !matches!(stream.read(&mut request), Ok(length) if length > 0) {
                    return;
                }
                let status = if number % 3 == 0 { "503 Service Unavailable" } else { "200 OK" };
                write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\nbody").unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn only_successes_count_and_failures_are_told() {
        let lanes = vec![Lane::new(vec![Template::new("GET", "/", &[], None)], 1)];
        let window = Window { warm_up: Duration::ZERO, measured: Duration::from_millis(100) };
        let measured = run(flaky_server(), std::process::id(), lanes, window).await.unwrap();
        assert!(measured.errors > 0);
        assert!(
            measured.latencies.len() >= 2 * measured.errors - 2,
            "{} {}",
            measured.latencies.len(),
            measured.errors
        );
        assert_eq!(measured.first_error.as_deref(), Some("503: body"));
        assert!(measured.latencies.is_sorted() && measured.elapsed >= window.measured);
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_an_error_for_each_try() {
        let address = crate::process::free_port().unwrap();
        let lanes = vec![Lane::new(vec![Template::new("GET", "/", &[], None)], 1)];
        let window = Window { warm_up: Duration::ZERO, measured: Duration::from_millis(60) };
        let measured = run(address, std::process::id(), lanes, window).await.unwrap();
        assert!(measured.errors >= 2 && measured.latencies.is_empty());
    }
}
