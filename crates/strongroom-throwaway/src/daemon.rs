//! A server as a process of ours, with its own children.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::folders::Folders;

/// How often something that gives no notice is looked at.
pub(crate) const GLANCE: Duration = Duration::from_millis(3);
/// Longer than a killed process needs to go, or a stopped one to stop, on the busiest machine.
const LIMIT: Duration = Duration::from_secs(20);

/// Not yet waited for, so that its process id is nobody else's.
pub(crate) struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts it in a group of its own, so that what is meant for the owner's group doesn't reach it.
    pub(crate) fn spawn(mut command: Command, folders: &Folders) -> Result<Self, String> {
        let log = folders.log()?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        command.process_group(0).stdin(Stdio::null()).stdout(log).stderr(errors);
        let spawned = command.spawn();
        Ok(Self { child: spawned.map_err(|error| format!("{}: {error}", command.get_program().display()))? })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it is gone. Once it is, nothing else may be asked of it.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Stops it and its children where they are. None of them does anything any more when this returns.
    pub(crate) fn pause(&self) {
        let mut stopped = vec![Pid::from_child(&self.child)];
        stop(&stopped);
        // Stopped, it makes no more children.
        loop {
            let new: Vec<Pid> = children(self.id()).into_iter().filter(|child| !stopped.contains(child)).collect();
            if new.is_empty() {
                return;
            }
            stop(&new);
            stopped.extend(new);
        }
    }

    /// Lets it and its children go on.
    pub(crate) fn resume(&self) {
        for child in children(self.id()) {
            send(child, Signal::CONT);
        }
        self.signal(Signal::CONT);
    }

    /// Kills it and its children, and waits until all are gone.
    pub(crate) fn kill(mut self) {
        self.pause();
        let children = children(self.id());
        self.signal(Signal::KILL);
        for &child in &children {
            send(child, Signal::KILL);
        }
        let _ = self.child.wait();
        wait_while(|| children.iter().any(|&child| is_alive(child)));
    }

    /// Asks it to end by this signal, and kills it if it hasn't within `limit`.
    pub(crate) fn end(mut self, signal: Signal, limit: Duration) {
        self.resume();
        self.signal(signal);
        let deadline = Instant::now() + limit;
        while !self.has_ended() {
            if Instant::now() > deadline {
                return self.kill();
            }
            thread::sleep(GLANCE);
        }
    }

    fn signal(&self, signal: Signal) {
        send(Pid::from_child(&self.child), signal);
    }
}

/// Stops processes and waits until each stands still, which takes the system a moment.
fn stop(pids: &[Pid]) {
    for &pid in pids {
        send(pid, Signal::STOP);
    }
    wait_while(|| pids.iter().any(|&pid| state(pid).is_some_and(|state| !"TZ".contains(state))));
}

fn wait_while(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while condition() && Instant::now() < deadline {
        thread::sleep(GLANCE);
    }
}

fn send(pid: Pid, signal: Signal) {
    // It may be gone already, which is as good.
    let _ = kill_process(pid, signal);
}

/// The processes whose parent this one is, as far as Linux tells; elsewhere none, and what is left of a killed server's
/// children ends by itself.
fn children(parent: u32) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let pids = numbers.filter(|number| status(*number).is_some_and(|(_, its_parent)| its_parent == parent));
    pids.filter_map(Pid::from_raw).collect()
}

/// Whether it is there and not merely waiting for its end to be noticed.
fn is_alive(pid: Pid) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

fn state(pid: Pid) -> Option<char> {
    status(pid.as_raw_nonzero().get()).map(|(state, _)| state)
}

/// A process's state and its parent.
fn status(pid: i32) -> Option<(char, u32)> {
    parse_status(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name stands in brackets and may have any letter; after it come the state and the parent.
fn parse_status(line: &str) -> Option<(char, u32)> {
    let (_, rest) = line.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_read_whatever_the_name() {
        assert_eq!(parse_status("12 (postgres) S 7 12 0"), Some(('S', 7)));
        assert_eq!(parse_status("12 (a) Z 1 (b) Z 9 0"), Some(('Z', 9)));
        assert_eq!(parse_status("12"), None);
    }

    #[test]
    fn own_children_are_found_until_they_are_gone() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let pid = Pid::from_child(&child);
        assert!(children(std::process::id()).contains(&pid) && is_alive(pid));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!children(std::process::id()).contains(&pid) && !is_alive(pid));
    }
}
