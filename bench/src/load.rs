//! The load: a closed loop over keep-alive connections on this one thread, so that it takes at most one core.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::Result;
use crate::disk::nanoseconds;
use crate::http1::Connection;
use crate::process::{cpu_time, cpu_time_of_all, family_cpu_time, machine_busy};
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

/// Whom to load, and whose time to take.
pub(crate) struct Aim {
    /// Connections are dealt to them in turn.
    pub(crate) addresses: Vec<SocketAddr>,
    /// The processes of the server itself.
    pub(crate) servers: Vec<u32>,
    /// The first process of a database server beside it.
    pub(crate) database: Option<u32>,
}

/// What happened within the measured window.
pub(crate) struct Measured {
    pub(crate) elapsed: Duration,
    /// Nanoseconds of each request that ended with 2xx within the window, ascending.
    pub(crate) latencies: Vec<u64>,
    pub(crate) server_cpu: Duration,
    /// Of the database server's processes; `None` where there is none.
    pub(crate) database_cpu: Option<Duration>,
    pub(crate) client_cpu: Duration,
    /// CPU time used by all but the server, its database and this process, time stolen by the hypervisor included.
    pub(crate) other_cpu: Duration,
    /// Failed requests, those of the warm-up included.
    pub(crate) errors: usize,
    pub(crate) first_error: Option<String>,
}

/// Drives one connection per lane.
pub(crate) async fn run(aim: &Aim, lanes: Vec<Lane>, window: Window) -> Result<Measured> {
    let phase = Arc::new(AtomicU8::new(WARM_UP));
    let places = aim.addresses.iter().copied().cycle();
    let tasks: Vec<_> =
        places.zip(lanes).map(|(address, lane)| tokio::spawn(drive(address, lane, Arc::clone(&phase)))).collect();

    sleep(window.warm_up).await;
    let before = Clocks::read(aim)?;
    let start = Instant::now();
    phase.store(MEASURE, Ordering::Relaxed);
    sleep(window.measured).await;
    phase.store(STOP, Ordering::Relaxed);
    let elapsed = start.elapsed();
    let used = Clocks::read(aim)?.since(&before);

    let known = used.server + used.database.unwrap_or_default() + used.client;
    let mut measured = Measured {
        elapsed,
        latencies: Vec::new(),
        server_cpu: used.server,
        database_cpu: used.database,
        client_cpu: used.client,
        other_cpu: used.machine.saturating_sub(known),
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

/// CPU time, used so far or between two looks.
struct Clocks {
    server: Duration,
    database: Option<Duration>,
    client: Duration,
    machine: Duration,
}

impl Clocks {
    fn read(aim: &Aim) -> std::io::Result<Self> {
        Ok(Self {
            server: cpu_time_of_all(&aim.servers)?,
            database: aim.database.map(family_cpu_time).transpose()?,
            client: cpu_time(std::process::id())?,
            machine: machine_busy()?,
        })
    }

    fn since(&self, earlier: &Self) -> Self {
        Self {
            server: self.server.saturating_sub(earlier.server),
            database: self.database.zip(earlier.database).map(|(later, earlier)| later.saturating_sub(earlier)),
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
    use std::net::TcpStream;
    use std::sync::mpsc::{Sender, channel};

    /// A server that answers every third request of a connection with 503, and tells of each connection.
    fn flaky_server(accepted: Sender<SocketAddr>) -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // The test may have ended.
                let _ = accepted.send(address);
                std::thread::spawn(move || answer(stream.unwrap()));
            }
        });
        address
    }

    fn answer(mut stream: TcpStream) {
        let mut request = [0; 1024];
        for number in 1.. {
            if !matches!(stream.read(&mut request), Ok(length) if length > 0) {
                return;
            }
            let status = if number % 3 == 0 { "503 Service Unavailable" } else { "200 OK" };
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 4\r\n\r\nbody").unwrap();
        }
    }

    fn at(addresses: Vec<SocketAddr>, database: Option<u32>) -> Aim {
        Aim { addresses, servers: vec![std::process::id()], database }
    }

    #[tokio::test]
    async fn connections_are_dealt_to_all_addresses() {
        let lane = |seed| Lane::new(vec![Template::new("GET", "/", &[], None)], seed);
        let window = Window { warm_up: Duration::ZERO, measured: Duration::from_millis(30) };
        let (accepted, seen) = channel();
        let addresses: Vec<_> = (0..3).map(|_| flaky_server(accepted.clone())).collect();
        let aim = at(addresses.clone(), Some(std::process::id()));
        let measured = run(&aim, (0..7).map(lane).collect(), window).await.unwrap();
        let seen: Vec<SocketAddr> = seen.try_iter().collect();
        let connections = addresses.iter().map(|address| seen.iter().filter(|place| *place == address).count());
        assert_eq!(connections.collect::<Vec<_>>(), [3, 2, 2]);
        assert!(measured.database_cpu.is_some());
    }

    #[tokio::test]
    async fn only_successes_count_and_failures_are_told() {
        let lanes = vec![Lane::new(vec![Template::new("GET", "/", &[], None)], 1)];
        let window = Window { warm_up: Duration::ZERO, measured: Duration::from_millis(100) };
        let (accepted, _seen) = channel();
        let measured = run(&at(vec![flaky_server(accepted)], None), lanes, window).await.unwrap();
        assert!(measured.errors > 0 && measured.database_cpu.is_none());
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
        let measured = run(&at(vec![address], None), lanes, window).await.unwrap();
        assert!(measured.errors >= 2 && measured.latencies.is_empty());
    }
}
