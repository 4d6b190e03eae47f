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
    Ok(ticks(Stat::read(pid)?.own))
}

/// The same of several processes together.
pub(crate) fn cpu_time_of_all(pids: &[u32]) -> io::Result<Duration> {
    pids.iter().map(|&pid| cpu_time(pid)).sum()
}

/// User and system time of a process and its children, those that have ended included.
pub(crate) fn family_cpu_time(parent: u32) -> io::Result<Duration> {
    let mut before = Stat::read(parent)?;
    loop {
        let children = living_children(parent)?;
        let after = Stat::read(parent)?;
        // A child that ended meanwhile would be counted twice, or not at all.
        if after.ended_children == before.ended_children {
            return Ok(ticks(after.own + after.ended_children + children));
        }
        before = after;
    }
}

/// Ticks of the processes whose parent this is; of one that ended too, as long as the parent hasn't noticed.
fn living_children(parent: u32) -> io::Result<u64> {
    let entries = fs::read_dir("/proc")?.flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // Of all the machine's processes, some go while they are looked at.
    let stats = pids.filter_map(|pid| Stat::read(pid).ok());
    Ok(stats.filter(|stat| stat.parent == parent).map(|stat| stat.own).sum())
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

/// What `/proc/PID/stat` says, times in ticks of user and system time together.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    own: u64,
    /// Of children that have ended, and that the process has waited for.
    ended_children: u64,
}

impl Stat {
    fn read(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"))?;
        Self::parse(&stat).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unreadable /proc/PID/stat"))
    }

    fn parse(stat: &str) -> Option<Self> {
        // The command's name stands in parentheses and may hold anything, also parentheses and spaces.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace().skip(1);
        let parent = fields.next()?.parse().ok()?;
        let mut fields = fields.skip(9).map_while(|field| field.parse::<u64>().ok());
        let mut both = || Some(fields.next()? + fields.next()?);
        Some(Self { parent, own: both()?, ended_children: both()? })
    }
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
        assert_eq!(Stat::parse(stat), Some(Stat { parent: 1, own: 1234, ended_children: 9 }));
        assert_eq!(Stat::parse("no parentheses"), None);
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
    fn children_count_while_they_live_and_after_their_end() {
        // The shell's child works, ends and is waited for; then another one works until it is killed.
        let folder = tempfile::tempdir().unwrap();
        let work = "n=0; while [ $n -lt 200000 ]; do n=$((n+1)); done";
        let script = format!("sh -c '{work}'; echo done; sh -c '{work}; {work}; sleep 60'; true");
        let server = Server::spawn(Command::new("sh").args(["-c", &script]), folder.path().join("log")).unwrap();
        let pid = server.pid();
        let wait_until = |holds: &dyn Fn() -> bool| {
            while !holds() {
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        wait_until(&|| server.log().unwrap() == "done\n");
        let ended = family_cpu_time(pid).unwrap();
        assert!(ended > cpu_time(pid).unwrap(), "the one that ended is missing");
        wait_until(&|| living_children(pid).unwrap() > 0);
        assert!(family_cpu_time(pid).unwrap() > ended, "the one that lives is missing");
        assert_eq!(cpu_time_of_all(&[pid, pid]).unwrap(), 2 * cpu_time(pid).unwrap());
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
