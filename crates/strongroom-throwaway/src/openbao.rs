//! OpenBao, the free fork of `HashiCorp`'s Vault: what people keep secrets in already.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    daemon::{Daemon, GLANCE},
    folders::Folders,
    reaper::Reaper,
};

/// Starting takes a second, on a busy machine many.
const LIMIT: Duration = Duration::from_mins(1);
/// Of one request.
const PATIENCE: Duration = Duration::from_secs(20);
/// Somebody else may take the port between its choice and its use.
const TRIES: u32 = 5;

/// OpenBao in development mode on a free loopback port: in memory, unsealed, a KV engine of version 2 at `secret`.
/// Dropped, it is killed and its folder removed.
pub struct OpenBao {
    port: u16,
    token: String,
    daemon: Option<Daemon>,
    // Dropped before the folders, which it would remove.
    _reaper: Reaper,
    folders: Folders,
}

impl OpenBao {
    /// Starts the program `bao` and waits until it answers.
    pub fn start(program: &Path) -> Result<Self, String> {
        let mut error = String::new();
        for _ in 0..TRIES {
            match Self::try_start(program) {
                Ok(started) => return Ok(started),
                Err(failed) => error = failed,
            }
        }
        Err(error)
    }

    fn try_start(program: &Path) -> Result<Self, String> {
        let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
        let port = probe.map_err(|error| format!("no free port: {error}"))?.port();
        // It refuses no user, so it runs as the present one.
        let folders = Folders::make(None, None)?;
        // Known to nobody else, so that whoever takes it is the one that was started.
        let name = folders.base().file_name().unwrap_or_default().to_string_lossy().into_owned();
        let token = format!("root-of-{name}");
        let mut command = Command::new(program);
        command.args(["server", "-dev", "-dev-no-store-token"]);
        command.arg(format!("-dev-root-token-id={token}"));
        command.arg(format!("-dev-listen-address=127.0.0.1:{port}"));
        // Nothing of what the outer world has set for Vault's own command.
        command.env_clear().env("HOME", folders.base()).current_dir("/");
        let mut reaper = Reaper::over(&folders);
        let daemon = Daemon::spawn(command, &folders)?;
        reaper.watch(Some(daemon.id()));
        let mut server = Self { port, token, daemon: Some(daemon), _reaper: reaper, folders };
        server.wait()?;
        Ok(server)
    }

    /// Where it is, like `http://127.0.0.1:8200`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The token that may do everything.
    #[must_use]
    pub fn root_token(&self) -> &str {
        &self.token
    }

    /// Its process, as long as it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.daemon.as_ref().map(Daemon::id)
    }

    /// Asks it something as root and gives the answer's body; another status than 2xx is an error that has it. `path`
    /// is what comes after `/v1/`, `headers` are whole lines.
    pub fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Result<String, String> {
        let (status, answer) = self.exchange(method, path, headers, body)?;
        if (200..300).contains(&status) {
            Ok(answer)
        } else {
            Err(format!("{method} {path}: status {status}: {answer}"))
        }
    }

    /// Stops it where it is: it holds connections open and answers nothing.
    pub fn pause(&self) {
        self.daemon.iter().for_each(Daemon::pause);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.daemon.iter().for_each(Daemon::resume);
    }

    fn wait(&mut self) -> Result<(), String> {
        let deadline = Instant::now() + LIMIT;
        loop {
            // The KV engine is mounted a moment after the server answers, and refuses everything for another.
            if self.ask("GET", "secret/config", &[], "").is_ok() {
                return Ok(());
            }
            if self.daemon.as_mut().is_none_or(Daemon::has_ended) {
                self.daemon = None;
                return Err(format!("OpenBao ended at its start:\n{}", self.folders.end_of_log()));
            }
            if Instant::now() > deadline {
                return Err(format!("OpenBao doesn't answer:\n{}", self.folders.end_of_log()));
            }
            thread::sleep(GLANCE);
        }
    }

    fn exchange(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Result<(u16, String), String> {
        let failed = |error: std::io::Error| format!("{method} {path}: {error}");
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).map_err(failed)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        let mut more = headers.join("\r\n");
        if !more.is_empty() {
            more.push_str("\r\n");
        }
        // Of HTTP 1.0, so that the answer ends with the connection and has no chunks.
        let request = format!(
            "{method} /v1/{path} HTTP/1.0\r\nHost: 127.0.0.1\r\nX-Vault-Token: {}\r\n{more}Content-Length: {}\r\n\r\n{body}",
            self.token,
            body.len(),
        );
        stream.write_all(request.as_bytes()).map_err(failed)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map_err(failed)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(|| format!("{method} {path}: no HTTP answer"))?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok((status.ok_or_else(|| format!("{method} {path}: no HTTP status"))?, body.to_owned()))
    }
}

impl Drop for OpenBao {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take()
            && !daemon.has_ended()
        {
            // It keeps nothing that could be lost.
            daemon.end(Signal::KILL, PATIENCE);
        }
    }
}
