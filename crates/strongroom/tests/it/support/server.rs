//! Starting, stopping and killing the built binary.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::http::Client;

/// A start or a stop that takes longer has failed; no test passes by waiting for it.
const PATIENCE: Duration = Duration::from_mins(1);

/// How a server is started. The environment holds nothing but what is given here.
pub(crate) struct Launch {
    data_dir: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    wrapper: Vec<String>,
}

/// A running server. Dropped, it is killed.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    data_dir: PathBuf,
    /// When it can't be read in the data folder.
    token: Option<String>,
    logs: tempfile::TempDir,
    /// Filled to the end of standard output.
    printed: mpsc::Receiver<String>,
}

/// A start that ended by itself.
pub(crate) struct Refused {
    /// Standard output and standard error.
    pub(crate) output: String,
}

impl Launch {
    /// On a folder, on a free port. Without rate limits: these tests ask faster than one client may.
    pub(crate) fn on(data_dir: &Path) -> Self {
        let data = data_dir.to_str().unwrap();
        let args = ["serve", "--listen", "127.0.0.1:0", "--data-dir", data].map(str::to_owned).into();
        let launch = Self { data_dir: data_dir.to_owned(), args, env: Vec::new(), wrapper: Vec::new() };
        launch.arg("rate-limit-subject", "0").arg("rate-limit-address", "0")
    }

    pub(crate) fn arg(mut self, name: &str, value: &str) -> Self {
        self.args.extend([format!("--{name}"), value.to_owned()]);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Another listening address than a free port.
    pub(crate) fn listen(mut self, address: &str) -> Self {
        address.clone_into(&mut self.args[2]);
        self
    }

    /// A program with its arguments that ends by executing what is appended.
    pub(crate) fn wrapped(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|&part| part.to_owned()).collect();
        self
    }

    fn command(&self) -> Command {
        let binary = env!("CARGO_BIN_EXE_strongroom").to_owned();
        let mut line = self.wrapper.iter().chain([&binary]).chain(&self.args);
        let mut command = Command::new(line.next().unwrap());
        command.args(line).env_clear().envs(self.env.iter().cloned()).stdin(Stdio::null());
        if !self.wrapper.is_empty() {
            command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        }
        command
    }

    /// Starts and waits until the server says where it listens.
    #[track_caller]
    pub(crate) fn start(&self) -> Server {
        self.try_start().unwrap_or_else(|refused| panic!("the server did not start:\n{}", refused.output))
    }

    /// Starts; when the process ends instead of listening, says what it said.
    pub(crate) fn try_start(&self) -> Result<Server, Refused> {
        let logs = tempfile::tempdir().unwrap();
        let log = File::create(logs.path().join("stderr")).unwrap();
        let mut child = self.command().stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let printed = lines(child.stdout.take().unwrap());
        let listening = loop {
            match printed.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(" listens on ") => break Some(line),
                Ok(_) => {}
                Err(_) => break None,
            }
        };
        let Some(listening) = listening else {
            let _ = child.kill();
            child.wait().unwrap();
            let output = fs::read_to_string(logs.path().join("stderr")).unwrap();
            return Err(Refused { output });
        };
        let address = listening.rsplit_once("://").and_then(|(_, address)| address.trim().parse().ok());
        let address = address.unwrap_or_else(|| panic!("no address in {listening:?}"));
        Ok(Server { child, address, data_dir: self.data_dir.clone(), token: None, logs, printed })
    }

    /// Starts and kills the process after a time, wherever it is then.
    pub(crate) fn start_and_kill_after(&self, time: Duration) {
        let mut child = self.command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(time);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts what must not start, and gives what it said.
    #[track_caller]
    pub(crate) fn refused(&self) -> Refused {
        let mut child = self.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (out, err) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        let status = wait(&mut child).expect("the start was neither refused nor did it end");
        let output = out.iter().chain(err.iter()).collect::<Vec<_>>().join("\n");
        assert!(!status.success(), "the start was not refused:\n{output}");
        Refused { output }
    }
}

impl Server {
    /// On a folder, with nothing else set.
    #[track_caller]
    pub(crate) fn start(data_dir: &Path) -> Self {
        Launch::on(data_dir).start()
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// With a token from elsewhere than the data folder.
    pub(crate) fn with_token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// The administrator's token.
    pub(crate) fn token(&self) -> String {
        if let Some(token) = &self.token {
            return token.clone();
        }
        fs::read_to_string(self.data_dir.join("admin-token")).unwrap().trim().to_owned()
    }

    /// A client with the administrator's token.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.address, &self.token())
    }

    /// A client with another token.
    pub(crate) fn client_with(&self, token: &str) -> Client {
        Client::new(self.address, token)
    }

    /// What was logged up to now.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.logs.path().join("stderr")).unwrap()
    }

    /// Whether the server still runs or how it ended, and the last lines of its log.
    pub(crate) fn fate(&mut self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n");
        match self.child.try_wait().unwrap() {
            Some(status) => format!("the server ended: {status}; its log ends with:\n{last}"),
            None => format!("the server runs; its log ends with:\n{last}"),
        }
    }

    /// As `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the server to stop, without waiting.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Stops the process where it is, as a machine that hangs.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until the server has ended by itself.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        wait(&mut self.child).unwrap_or_else(|| panic!("the server does not end:\n{}", self.log()))
    }

    /// Asks the server to stop and waits until it has.
    #[track_caller]
    pub(crate) fn stop(self) {
        self.stop_and_read();
    }

    /// Stops, and gives what was printed after the first line, and the log.
    #[track_caller]
    pub(crate) fn stop_and_read(mut self) -> (String, String) {
        self.terminate();
        let status = self.ended();
        assert!(status.success(), "{status}:\n{}", self.log());
        (self.printed.iter().collect::<Vec<_>>().join("\n"), self.log())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The id of the embedded store's integration.
#[track_caller]
pub(crate) fn integration_id(client: &mut Client) -> String {
    let found = client.get("/api/svc/v1/provider-integrations?type=secret-store").unwrap().success();
    found["data"][0]["id"].as_str().unwrap().to_owned()
}

/// The lines of a stream, read as they come so that its writer never waits.
fn lines(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    receive
}

/// How the process ended; `None`, and the process killed, when it doesn't.
fn wait(child: &mut Child) -> Option<ExitStatus> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(5));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}
