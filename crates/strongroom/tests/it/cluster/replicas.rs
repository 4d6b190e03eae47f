//! The servers under test: identical replicas over one database.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use strongroom_throwaway::Postgres;

use super::wire::Ports;
use crate::support::{Client, Launch, Server};

/// For what must happen; no test passes by waiting for it.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
/// The name of the database on the database server.
const DATABASE: &str = "strongroom";

/// Where the replicas keep everything.
pub(super) enum Database {
    /// A file of the one replica.
    Sqlite(PathBuf),
    Postgres {
        /// What the replicas connect to.
        url: String,
        /// The one that takes writes.
        server: Box<Mutex<Postgres>>,
    },
}

pub(super) struct Cluster {
    pub(super) ports: Ports,
    pub(super) database: Database,
    replicas: Vec<Replica>,
    token: String,
    folder: PathBuf,
}

struct Replica {
    number: usize,
    launch: Launch,
    /// `None` while it is killed.
    server: Mutex<Option<Server>>,
}

impl Database {
    /// On a server of its own, which all connect to.
    pub(super) fn on(server: Postgres) -> Self {
        server.create_database(DATABASE).unwrap();
        Self::Postgres { url: server.url(DATABASE), server: Box::new(Mutex::new(server)) }
    }

    /// On the first of two servers; the replicas know both, and use the one that takes writes.
    pub(super) fn on_pair(server: Postgres, standby: &Postgres) -> Self {
        server.create_database(DATABASE).unwrap();
        let both = [&server, standby];
        let hosts = both.map(|server| server.socket_dir().to_str().unwrap().replace('/', "%2F")).join(",");
        let ports = both.map(|server| server.port().to_string()).join(",");
        let url = format!("postgres://postgres@/{DATABASE}?host={hosts}&port={ports}&target_session_attrs=read-write");
        Self::Postgres { url, server: Box::new(Mutex::new(server)) }
    }

    /// Rows of text columns; no column has a `|` in it.
    pub(super) fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        match self {
            Self::Sqlite(file) => {
                let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
                let connection = rusqlite::Connection::open_with_flags(file, flags).unwrap();
                let mut statement = connection.prepare(sql).unwrap();
                let columns = statement.column_count();
                let text = |value: rusqlite::types::Value| match value {
                    rusqlite::types::Value::Integer(number) => number.to_string(),
                    rusqlite::types::Value::Text(text) => text,
                    _ => String::new(),
                };
                let row = |row: &rusqlite::Row<'_>| (0..columns).map(|at| row.get(at).map(text)).collect();
                statement.query_map([], row).unwrap().map(Result::unwrap).collect()
            }
            Self::Postgres { server, .. } => {
                let printed = server.lock().unwrap().execute(DATABASE, sql).unwrap();
                printed.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect()
            }
        }
    }

    pub(super) fn postgres(&self) -> Option<&Mutex<Postgres>> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres { server, .. } => Some(server),
        }
    }
}

impl Cluster {
    /// Starts so many replicas, with folders of their own below this one.
    pub(super) fn start(folder: &Path, database: Database, replicas: usize) -> Self {
        let root_key = folder.join("root.key");
        strongroom(&["keys", "init", "--root-key-file", root_key.to_str().unwrap()]);
        let token = strongroom(&["token", "new"]).trim().to_owned();
        let replicas: Vec<Replica> = (0..replicas)
            .map(|number| {
                let launch = Launch::on(&folder.join(format!("replica-{number}")))
                    .arg("root-key-file", root_key.to_str().unwrap())
                    .arg("log-level", "warn")
                    .env("STRONGROOM_ADMIN_TOKEN", &token);
                let launch = match &database {
                    Database::Sqlite(file) => launch.arg("database-url", &format!("sqlite:{}", file.display())),
                    Database::Postgres { url, .. } => launch.arg("database-url", url),
                };
                Replica { number, launch, server: Mutex::new(None) }
            })
            .collect();
        let ports = replicas.iter().map(|_| AtomicU16::new(0)).collect();
        let cluster = Self { ports, database, replicas, token, folder: folder.to_owned() };
        for number in 0..cluster.replicas.len() {
            cluster.restart(number);
        }
        cluster
    }

    pub(super) fn len(&self) -> usize {
        self.replicas.len()
    }

    /// An administrator's client of a replica.
    pub(super) fn admin(&self, number: usize) -> Client {
        let port = self.ports[number].load(Ordering::SeqCst);
        Client::new((std::net::Ipv4Addr::LOCALHOST, port).into(), &self.token)
    }

    /// Kills a replica where it is.
    pub(super) fn kill(&self, number: usize) {
        let replica = &self.replicas[number];
        let server = replica.server.lock().unwrap().take();
        if let Some(mut server) = server {
            self.keep_log(replica, &mut server);
            server.kill();
        }
    }

    /// Starts a killed replica, again and again while its database can't be used.
    #[track_caller]
    pub(super) fn restart(&self, number: usize) {
        let replica = &self.replicas[number];
        let end = Instant::now() + PATIENCE;
        loop {
            match replica.launch.try_start() {
                Ok(server) => {
                    self.ports[number].store(server.address().port(), Ordering::SeqCst);
                    *replica.server.lock().unwrap() = Some(server);
                    return;
                }
                Err(refused) if Instant::now() > end => panic!("replica {number} does not start: {}", refused.output),
                Err(_) => {}
            }
        }
    }

    /// Stops a replica where it is for a time.
    pub(super) fn pause(&self, number: usize, time: Duration) {
        let guard = self.replicas[number].server.lock().unwrap();
        if let Some(server) = &*guard {
            server.pause();
            std::thread::sleep(time);
            server.resume();
        }
    }

    /// Asks all replicas to stop, and waits until they have.
    pub(super) fn stop(&self) {
        for replica in &self.replicas {
            let server = replica.server.lock().unwrap().take();
            if let Some(mut server) = server {
                self.keep_log(replica, &mut server);
                server.stop();
            }
        }
    }

    /// Waits until all replicas say that they can serve.
    pub(super) fn until_ready(&self) {
        let end = Instant::now() + PATIENCE;
        for number in 0..self.len() {
            while !self.admin(number).get("/readyz").is_ok_and(|answer| answer.status == 200) {
                assert!(Instant::now() < end, "replica {number} does not become ready");
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    /// A token for each client, known to all replicas.
    pub(super) fn tokens(&self, clients: u16) -> Vec<String> {
        let mut admin = self.admin(0);
        let email = admin.get("/api/svc/v1/session").unwrap().success()["user"]["email"].as_str().unwrap().to_owned();
        let mut token = |number| {
            let body = json!({"name": format!("client-{number}"), "userEmail": email});
            let made = admin.post("/api/svc/v1/personal-access-tokens/for-user", &body).unwrap().success();
            made["token"].as_str().unwrap().to_owned()
        };
        let tokens: Vec<String> = (0..clients).map(&mut token).collect();
        let end = Instant::now() + PATIENCE;
        for port in &*self.ports {
            let address = (std::net::Ipv4Addr::LOCALHOST, port.load(Ordering::SeqCst)).into();
            for token in &tokens {
                while Client::new(address, token).get("/api/svc/v1/session").unwrap().status != 200 {
                    assert!(Instant::now() < end, "a new token does not come to be known everywhere");
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }
        tokens
    }

    /// How replicas fared that ended by themselves.
    pub(super) fn ended(&self) -> Vec<String> {
        let fate = |replica: &Replica| {
            let mut guard = replica.server.lock().unwrap();
            let fate = guard.as_mut().map(Server::fate);
            fate.filter(|fate| fate.starts_with("the server ended"))
                .map(|fate| format!("replica {}: {fate}", replica.number))
        };
        self.replicas.iter().filter_map(fate).collect()
    }

    /// Appends what a process said to its replica's log in the folder.
    fn keep_log(&self, replica: &Replica, server: &mut Server) {
        use std::io::Write as _;
        let path = self.log(replica.number);
        let mut file = fs::File::options().create(true).append(true).open(path).unwrap();
        writeln!(file, "{}\n{}", server.log(), server.fate().lines().next().unwrap_or_default()).unwrap();
    }

    fn log(&self, number: usize) -> PathBuf {
        self.folder.join(format!("replica-{number}.log"))
    }

    /// Lines of the kept logs that tell of faults of the server's own.
    pub(super) fn faults(&self) -> Vec<String> {
        let bad =
            |line: &&str| ["panicked", "integrity", "is damaged", "was missed"].iter().any(|word| line.contains(word));
        let logs = (0..self.len()).map(|number| fs::read_to_string(self.log(number)).unwrap_or_default());
        logs.flat_map(|log| log.lines().filter(bad).map(|line| format!("log: {line}")).collect::<Vec<_>>()).collect()
    }
}

/// Runs a command of the binary and gives what it prints.
fn strongroom(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_strongroom")).args(args).env_clear().output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
