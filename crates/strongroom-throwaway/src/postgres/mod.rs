//! A PostgreSQL server of one's own.

mod launch;
mod sql;
mod standby;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Signal;

use crate::{account::Account, daemon::Daemon, folders::Folders, reaper::Reaper, url};

/// How long it may take to end its sessions and write its last checkpoint.
const STOP_LIMIT: Duration = Duration::from_mins(1);
/// Without a checkpoint there is little to do.
const DROP_LIMIT: Duration = Duration::from_secs(5);

/// A PostgreSQL server in a temporary folder. Dropped, it is killed and its folder removed. If this process ends without
/// dropping it, whether killed or because it is kept in a `static`, a small shell beside it does the same.
pub struct Postgres {
    programs: PathBuf,
    version: u32,
    account: Option<Account>,
    options: PostgresOptions,
    port: u16,
    daemon: Option<Daemon>,
    reaper: Reaper,
    data: PathBuf,
    folders: Folders,
}

/// What a [`Postgres`] is to be like.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// Whether it survives power loss. Without, it survives being killed all the same, and is faster.
    pub durable: bool,
    /// Whether it also listens on a free port of 127.0.0.1.
    pub tcp: bool,
    /// More lines for `postgresql.conf`.
    pub conf: Vec<String>,
    /// How many connections it takes.
    pub max_connections: u32,
    /// Where its folder is made; `None`: where temporary files are. Under root, the user `postgres` must be able to
    /// enter it.
    pub parent: Option<PathBuf>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { durable: true, tcp: false, conf: Vec::new(), max_connections: 200, parent: None }
    }
}

impl Postgres {
    /// The URL of a database, over the Unix socket.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        url::over_socket(self.socket_dir(), self.port, database)
    }

    /// The URL of a database over TCP, if the server listens there.
    #[must_use]
    pub fn tcp_url(&self, database: &str) -> Option<String> {
        self.options.tcp.then(|| url::over_tcp(self.port, database))
    }

    /// The folder of the Unix socket.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        self.folders.sockets()
    }

    /// The TCP port, or what merely names the Unix socket.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's own folder.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data
    }

    /// The major version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The id of its first process, whose children all others are; `None` when it was killed or stopped.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.daemon.as_ref().map(Daemon::id)
    }

    /// Whether it runs, though perhaps paused.
    pub fn is_running(&mut self) -> bool {
        if self.daemon.as_mut().is_some_and(Daemon::has_ended) {
            self.daemon = None;
            self.reaper.watch(None);
        }
        self.daemon.is_some()
    }

    /// Kills the server with all its processes at once. Returns when they are gone.
    pub fn kill(&mut self) {
        self.close(Daemon::kill);
    }

    /// Ends it in order: sessions are ended, what was written is kept.
    pub fn stop(&mut self) {
        self.close(|daemon| daemon.end(Signal::INT, STOP_LIMIT));
    }

    /// Starts it again on the same folder, port and socket, and waits until it answers.
    pub fn restart(&mut self) -> Result<(), String> {
        self.stop();
        self.launch()
    }

    /// Stops the server with all its processes where they are: as a machine that doesn't answer any more.
    pub fn pause(&self) {
        if let Some(daemon) = &self.daemon {
            daemon.pause();
        }
    }

    /// Lets it go on.
    pub fn resume(&self) {
        if let Some(daemon) = &self.daemon {
            daemon.resume();
        }
    }

    fn close(&mut self, end: impl FnOnce(Daemon)) {
        if self.is_running()
            && let Some(daemon) = self.daemon.take()
        {
            end(daemon);
            self.reaper.watch(None);
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // At once and without a checkpoint, but with its shared memory given back.
        self.close(|daemon| daemon.end(Signal::QUIT, DROP_LIMIT));
        self.forget_former();
    }
}
