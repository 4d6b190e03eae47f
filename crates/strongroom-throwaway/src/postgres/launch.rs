//! How it is made and started.

use std::{
    collections::hash_map::RandomState,
    fs,
    hash::BuildHasher as _,
    io::Write as _,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{Postgres, PostgresOptions};
use crate::{
    account::{Account, command},
    daemon::{Daemon, GLANCE},
    folders::Folders,
    programs::{beside, postgres_programs, postgres_version},
    reaper::Reaper,
};

const OLDEST: u32 = 14;
/// Where only the socket needs a name.
const USUAL_PORT: u16 = 5432;
/// Others may take a free port between our look and the server's.
const PORT_TRIES: usize = 5;
/// After a kill it may have much to go through again.
const START_LIMIT: Duration = Duration::from_mins(2);

impl Postgres {
    /// Makes a server and starts it. Returns when it answers.
    pub fn start(options: PostgresOptions) -> Result<Self, String> {
        let mut server = Self::prepare(options)?;
        server.initialise()?;
        server.configure()?;
        server.launch_on_free_port()?;
        Ok(server)
    }

    /// Folders and no more.
    pub(super) fn prepare(options: PostgresOptions) -> Result<Self, String> {
        let needed = format!("install PostgreSQL {OLDEST} or newer (Debian, Ubuntu: apt-get install postgresql)");
        let programs = postgres_programs().ok_or_else(|| format!("no PostgreSQL programs found; {needed}"))?;
        let version = postgres_version(&programs).unwrap_or(0);
        if version < OLDEST {
            return Err(format!("{} has PostgreSQL {version}; {needed}", programs.display()));
        }
        let account = Account::needed()?;
        let folders = Folders::make(options.parent.as_deref(), account)?;
        let reaper = Reaper::over(&folders);
        let data = folders.base().join("data");
        Ok(Self { programs, version, account, options, port: USUAL_PORT, daemon: None, reaper, data, folders })
    }

    fn initialise(&self) -> Result<(), String> {
        let initdb = |more: &[&str]| {
            let mut command = self.program("initdb");
            command.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]);
            run(command.args(more).arg("--pgdata").arg(self.data_dir())).map(drop)
        };
        // Real servers sort by the rules of a language: a forgotten COLLATE "C" should show in tests. Not every build
        // can, and before 15 none.
        let with_language = if self.version >= 15 {
            initdb(&["--locale-provider=icu", "--icu-locale=en-US"])
        } else {
            Err("no ICU".to_owned())
        };
        match with_language {
            Err(error) if error.contains("ICU") => initdb(&[]),
            other => other,
        }
    }

    fn configure(&self) -> Result<(), String> {
        let mut lines = format!("\nmax_connections = {}\n", self.options.max_connections);
        // In the folder it goes with the folder, however the server ends.
        lines += "dynamic_shared_memory_type = mmap\n";
        if !self.options.durable {
            lines += "fsync = off\nfull_page_writes = off\n";
        }
        for line in &self.options.conf {
            lines += line;
            lines.push('\n');
        }
        let path = self.data_dir().join("postgresql.conf");
        let file = fs::File::options().append(true).open(&path);
        file.and_then(|mut file| file.write_all(lines.as_bytes()))
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    pub(super) fn launch_on_free_port(&mut self) -> Result<(), String> {
        let mut tries = 0;
        loop {
            if self.options.tcp {
                self.port = free_port()?;
            }
            tries += 1;
            match self.launch() {
                Err(error) if error.contains("TCP/IP") && tries < PORT_TRIES => {}
                ended => return ended,
            }
        }
    }

    /// Starts the server and waits until it answers. What differs between the servers of one folder's copies is given as
    /// arguments, which count more than the folder's `postgresql.conf`.
    pub(super) fn launch(&mut self) -> Result<(), String> {
        self.forget_former();
        let mut command = self.program("postgres");
        command.arg("-D").arg(self.data_dir());
        command.arg("-c").arg(format!("port={}", self.port));
        command.arg("-c").arg(format!("unix_socket_directories={}", self.socket_dir().display()));
        command.args(["-c", if self.options.tcp { "listen_addresses=127.0.0.1" } else { "listen_addresses=" }]);
        let daemon = Daemon::spawn(command, &self.folders)?;
        let pid = daemon.id();
        self.daemon = Some(daemon);
        self.reaper.watch(Some(pid));
        let deadline = Instant::now() + START_LIMIT;
        while !self.answers(pid) {
            if !self.is_running() {
                return Err(format!("PostgreSQL ended at its start:\n{}", self.folders.end_of_log()));
            }
            if Instant::now() > deadline {
                self.kill();
                return Err(format!("PostgreSQL doesn't answer:\n{}", self.folders.end_of_log()));
            }
            thread::sleep(GLANCE);
        }
        Ok(())
    }

    /// What the server says of itself in its lock file, where `pg_ctl` looks too.
    fn answers(&self, pid: u32) -> bool {
        let lock = fs::read_to_string(self.data_dir().join("postmaster.pid")).unwrap_or_default();
        let mut lines = lock.lines();
        lines.next().is_some_and(|line| line.trim() == pid.to_string())
            && lines.nth(6).is_some_and(|line| line.trim() == "ready")
    }

    /// Removes what a killed server left: its small shared memory, and lock files with process ids that may be another
    /// server's by now, which would keep this one from starting.
    pub(super) fn forget_former(&self) {
        let lock = self.data_dir().join("postmaster.pid");
        if let Ok(text) = fs::read_to_string(&lock) {
            if let Some(memory) = text.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)) {
                // Without the program a few bytes stay until the machine restarts.
                let _ = run(command("ipcrm", self.account).args(["-m", memory]));
            }
            let _ = fs::remove_file(lock);
        }
        let _ = fs::remove_file(self.socket_dir().join(format!(".s.PGSQL.{}.lock", self.port)));
    }

    /// One of the server's programs, or of its clients' where they are found elsewhere.
    pub(super) fn program(&self, name: &str) -> Command {
        command(beside(&self.programs, name).unwrap_or_else(|| Path::new(name).to_owned()), self.account)
    }
}

/// Runs to the end and gives what was printed; the error has what went wrong in the program's own words.
pub(super) fn run(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().display().to_string();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{program} can't be run: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned());
    }
    Err(format!("{program}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}

/// One that a restart will find free too: from below those that systems give to outgoing connections.
fn free_port() -> Result<u16, String> {
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    // Its keys are random; nothing needs to repeat which port it was.
    let random = RandomState::new().hash_one(());
    let begin = u16::try_from(random % u64::from(COUNT)).unwrap_or(0);
    let mut ports = (0..COUNT).map(|step| FIRST + (begin + step) % COUNT);
    ports.find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok()).ok_or_else(|| "no port is free".to_owned())
}
