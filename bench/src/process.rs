//! Child processes that never outlive the bench, and what the kernel says about a process.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Result;

/// A running server; killed and reaped when dropped, also while a panic unwinds.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts the command with its output appended to the file `log`.
    pub(crate) fn spawn(command: &mut Command, log: PathBuf) -> Result<Self> {
        let out = File::create(&log)?;
        let err = out.try_clone()?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", command.get_program().display()))?;
        Ok(Self { child, log })
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An error with the end of its log when the process has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("the server ended ({status}); its log ends:\n{}", self.log_tail()).into()),
        }
    }

    /// The last 2,000 bytes that the server wrote.
    pub(crate) fn log_tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(2000)..]).into_owned()
    }

    /// What the server printed so far.
    pub(crate) fn log(&self) -> io::Result<String> {
        fs::read_to_string(&self.log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A loopback port that was free a moment ago. Callers must check that it is their own server that answers there.
pub(crate) fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// User and system time that a process has used, all its threads counted, in the kernel's steps (mostly 10 ms).
pub(crate) fn cpu_time(pid: u32) -> io::Result<Duration> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"))?;
    cpu_ticks(&stat).map(ticks).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unreadable /proc/PID/stat"))
}

/// Resident memory in KiB.
pub(crate) fn resident_kib(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix("kB")?.trim().parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no VmRSS in /proc/PID/status"))
}

/// Time that all cores together did not idle, time stolen by the hypervisor included.
pub(crate) fn machine_busy() -> io::Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    busy_ticks(&stat).map(ticks).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unreadable /proc/stat"))
}

fn ticks(count: u64) -> Duration {
    Duration::from_micros(count.saturating_mul(1_000_000) / rustix::param::clock_ticks_per_second())
}

fn cpu_ticks(stat: &str) -> Option<u64> {
    // The command's name stands in parentheses and may hold anything, also parentheses and spaces.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn busy_ticks(stat: &str) -> Option<u64> {
    let fields: Vec<u64> = stat
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_ascii_whitespace()
        .filter_map(|field| field.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal; what follows (guest) is part of user already.
    let [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] = fields[..] else { return None };
    Some(user + nice + system + irq + softirq + steal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_ticks_are_user_plus_system_whatever_the_name() {
        let stat = "42 (a) (b c) S 1 42 42 0 -1 4194560 900 800 7 6 1200 34 5 4 20 0 3 0 999 0 0";
        assert_eq!(cpu_ticks(stat), Some(1234));
        assert_eq!(cpu_ticks("no parentheses"), None);
    }

    #[test]
    fn busy_ticks_leave_out_idle_and_waiting() {
        assert_eq!(busy_ticks("cpu  1 20 300 9999 8888 4000 50000 600000 1 1\ncpu0 1"), Some(654_321));
        assert_eq!(busy_ticks("cpu0 1 2 3"), None);
    }

    #[test]
    fn the_kernel_tells_about_this_very_process() {
        assert!(cpu_time(std::process::id()).is_ok());
        assert!(resident_kib(std::process::id()).unwrap() > 100);
    }

    #[test]
    fn a_dropped_server_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::spawn(Command::new("sleep").arg("60"), folder.path().join("log")).unwrap();
        let pid = server.pid();
        assert!(cpu_time(pid).is_ok());
        let start = std::time::Instant::now();
        drop(server);
        assert!(cpu_time(pid).is_err());
        assert!(start.elapsed() < Duration::from_secs(30), "killed, not waited for");
    }

    #[test]
    fn a_server_that_ended_is_told_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such setting; exit 3"]);
        let mut server = Server::spawn(&mut command, folder.path().join("log")).unwrap();
        server.child.wait().unwrap();
        assert!(server.check_alive().unwrap_err().to_string().contains("no such setting"));
    }
}
