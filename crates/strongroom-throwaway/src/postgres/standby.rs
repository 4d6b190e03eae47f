//! A second server that has everything the first has acknowledged.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{Postgres, launch::run};

/// For what takes a moment on an idle server.
const LIMIT: Duration = Duration::from_mins(1);
/// A question is a process.
const PACE: Duration = Duration::from_millis(20);

impl Postgres {
    /// A streaming copy, made this server's synchronous standby: from now on a commit is acknowledged when the standby
    /// has it too, and waits while there is none. It has caught up when this returns.
    pub fn synchronous_standby(&mut self) -> Result<Postgres, String> {
        let mut standby = Self::prepare(self.options.clone())?;
        let mut command = self.program("pg_basebackup");
        command.args(["--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf", "--no-sync"]);
        command.arg("--dbname").arg(self.url("postgres")).arg("--pgdata").arg(standby.data_dir());
        run(&mut command)?;
        standby.launch_on_free_port()?;
        self.wait_for_standby("state = 'streaming'")?;
        // After the copy: the standby must not wait for one of its own when it is promoted.
        self.execute("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'")?;
        self.execute("postgres", "SELECT pg_reload_conf()")?;
        self.wait_for_standby("sync_state = 'sync' AND replay_lsn >= pg_current_wal_lsn()")?;
        // It is the checkpointer that tells the sessions to wait for the standby, when it reads the new setting; it reads
        // that before it takes orders.
        self.execute("postgres", "CHECKPOINT")?;
        Ok(standby)
    }

    /// Makes a standby a server that takes writes. Returns when it does.
    pub fn promote(&mut self) -> Result<(), String> {
        match self.execute("postgres", "SELECT pg_promote(true, 60)")?.as_str() {
            "t" => Ok(()),
            _ => Err(format!("the standby wasn't promoted:\n{}", self.folders.end_of_log())),
        }
    }

    fn wait_for_standby(&self, condition: &str) -> Result<(), String> {
        let deadline = Instant::now() + LIMIT;
        let question = format!("SELECT count(*) FROM pg_stat_replication WHERE {condition}");
        while self.execute("postgres", &question)? == "0" {
            if Instant::now() > deadline {
                return Err(format!("the standby doesn't come to {condition}:\n{}", self.folders.end_of_log()));
            }
            thread::sleep(PACE);
        }
        Ok(())
    }
}
