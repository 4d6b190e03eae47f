//! `PgBouncer`, the pooler that most put before PostgreSQL.

use std::{
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    account::{Account, command, give},
    daemon::{Daemon, GLANCE},
    folders::Folders,
    postgres::Postgres,
    programs::find_program,
    reaper::Reaper,
    url,
};

/// It merely names the Unix socket.
const PORT: u16 = 6432;
const LIMIT: Duration = Duration::from_secs(20);

/// `PgBouncer` in transaction mode before a [`Postgres`], on a Unix socket of its own. It asks nobody for a password.
/// While the server is gone, those who ask wait for it, for two minutes at most. Dropped, it is killed and its folder removed.
pub struct PgBouncer {
    version: String,
    daemon: Option<Daemon>,
    // Dropped before the folders, which it would remove.
    _reaper: Reaper,
    folders: Folders,
}

impl PgBouncer {
    /// Where it is installed.
    #[must_use]
    pub fn program() -> Option<PathBuf> {
        find_program("pgbouncer")
    }

    /// Starts it and waits until it takes connections.
    pub fn start(program: &Path, before: &Postgres) -> Result<Self, String> {
        let printed = Command::new(program).arg("--version").output();
        let printed = printed.map_err(|error| format!("{} can't be run: {error}", program.display()))?;
        let version = parse_version(&String::from_utf8_lossy(&printed.stdout))
            .ok_or_else(|| format!("{} doesn't tell PgBouncer's version", program.display()))?;
        let account = Account::needed()?;
        let folders = Folders::make(None, account)?;
        let file = folders.base().join("pgbouncer.ini");
        let written = fs::write(&file, settings(before, folders.sockets()));
        written.map_err(|error| format!("{}: {error}", file.display()))?;
        give(&file, account)?;
        let mut reaper = Reaper::over(&folders);
        let mut command = command(program, account);
        command.arg(file);
        let daemon = Daemon::spawn(command, &folders)?;
        reaper.watch(Some(daemon.id()));
        let mut bouncer = Self { version, daemon: Some(daemon), _reaper: reaper, folders };
        bouncer.wait()?;
        Ok(bouncer)
    }

    /// The URL of a database through it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        url::over_socket(self.folders.sockets(), PORT, database)
    }

    /// Its version, like `1.18.0`.
    #[must_use]
    pub fn version(&self) -> String {
        self.version.clone()
    }

    fn wait(&mut self) -> Result<(), String> {
        let socket = self.folders.sockets().join(format!(".s.PGSQL.{PORT}"));
        let deadline = Instant::now() + LIMIT;
        while UnixStream::connect(&socket).is_err() {
            if self.daemon.as_mut().is_none_or(Daemon::has_ended) {
                self.daemon = None;
                return Err(format!("PgBouncer ended at its start:\n{}", self.folders.end_of_log()));
            }
            if Instant::now() > deadline {
                return Err(format!("PgBouncer doesn't answer:\n{}", self.folders.end_of_log()));
            }
            thread::sleep(GLANCE);
        }
        Ok(())
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take()
            && !daemon.has_ended()
        {
            daemon.end(Signal::TERM, LIMIT);
        }
    }
}

fn settings(before: &Postgres, sockets: &Path) -> String {
    let (host, port, sockets) = (before.socket_dir().display(), before.port(), sockets.display());
    format!(
        "[databases]\n\
         * = host={host} port={port} user=postgres\n\
         [pgbouncer]\n\
         listen_addr =\n\
         listen_port = {PORT}\n\
         unix_socket_dir = {sockets}\n\
         auth_type = any\n\
         pool_mode = transaction\n\
         max_client_conn = 1000\n\
         default_pool_size = 20\n\
         ; Each transaction on another server: what is left on one is not found again by luck.\n\
         server_round_robin = 1\n\
         ignore_startup_parameters = extra_float_digits,options\n\
         ; A server that was killed and is back is tried again soon.\n\
         server_login_retry = 1\n"
    )
}

/// From what `pgbouncer --version` prints first, like `PgBouncer 1.18.0`.
fn parse_version(printed: &str) -> Option<String> {
    Some(printed.lines().next()?.strip_prefix("PgBouncer ")?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read() {
        assert_eq!(parse_version("PgBouncer 1.18.0\nlibevent 2.1.12\n").as_deref(), Some("1.18.0"));
        assert_eq!(parse_version("oops"), None);
    }
}
