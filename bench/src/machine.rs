//! The conditions of a run: without them its numbers mean nothing on another day.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

/// What the machine is and how busy it was.
#[derive(Serialize)]
pub(crate) struct Machine {
    pub(crate) started_at: String,
    pub(crate) cores: usize,
    pub(crate) cpu: String,
    pub(crate) kernel: String,
    /// Type of the file system that holds the servers' data.
    pub(crate) filesystem: String,
    /// The commit of the working tree that the bench ran in, `-dirty` when it had changes.
    pub(crate) commit: String,
    pub(crate) load_before: String,
    pub(crate) load_after: String,
}

impl Machine {
    /// Reads the conditions; what can't be read is `unknown`.
    pub(crate) fn observe(data: &Path) -> Self {
        let now = time::OffsetDateTime::now_utc();
        Self {
            started_at: now.format(&time::format_description::well_known::Rfc3339).unwrap_or_else(|_| unknown()),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            cpu: fs::read_to_string("/proc/cpuinfo").ok().as_deref().and_then(cpu_model).unwrap_or_else(unknown),
            kernel: read_line("/proc/sys/kernel/osrelease"),
            filesystem: filesystem_of(data).unwrap_or_else(unknown),
            commit: first_line(Command::new("git").args(["describe", "--always", "--dirty", "--abbrev=10"])),
            load_before: load_average(),
            load_after: String::new(),
        }
    }
}

/// The load averages of 1, 5 and 15 minutes.
pub(crate) fn load_average() -> String {
    read_line("/proc/loadavg").split_ascii_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// The first line that a command prints, `unknown` when it can't be run or fails.
pub(crate) fn first_line(command: &mut Command) -> String {
    let output = command.output().ok().filter(|output| output.status.success());
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or("").to_owned());
    text.filter(|line| !line.is_empty()).unwrap_or_else(unknown)
}

fn read_line(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| unknown(), |text| text.trim().to_owned())
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn filesystem_of(folder: &Path) -> Option<String> {
    filesystem_in(&fs::read_to_string("/proc/self/mountinfo").ok()?, &folder.canonicalize().ok()?)
}

/// The type of the innermost mount that holds `folder`; of two on the same point the later one, which hides the other.
fn filesystem_in(mountinfo: &str, folder: &Path) -> Option<String> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        let point = Path::new(mount.split(' ').nth(4)?);
        let kind = source.split(' ').next()?;
        folder.starts_with(point).then(|| (point.components().count(), kind.to_owned()))
    });
    mounts.max_by_key(|(depth, _)| *depth).map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_decides() {
        let mounts = "22 1 254:0 / / rw - ext4 /dev/vda rw\n\
                      30 22 0:26 / /tmp rw shared:9 - tmpfs tmpfs rw\n\
                      31 22 0:27 / /tmp/disk rw - xfs /dev/vdb rw";
        assert_eq!(filesystem_in(mounts, Path::new("/home/x")).as_deref(), Some("ext4"));
        assert_eq!(filesystem_in(mounts, Path::new("/tmp/x")).as_deref(), Some("tmpfs"));
        assert_eq!(filesystem_in(mounts, Path::new("/tmp/disk/x")).as_deref(), Some("xfs"));
        assert_eq!(filesystem_in(mounts, Path::new("/tmpfile")).as_deref(), Some("ext4"));
    }

    #[test]
    fn the_model_is_what_stands_behind_the_colon() {
        assert_eq!(cpu_model("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n").as_deref(), Some("Some CPU @ 2 GHz"));
    }

    #[test]
    fn a_command_that_fails_is_unknown() {
        assert_eq!(first_line(&mut Command::new("false")), "unknown");
        assert_eq!(first_line(Command::new("echo").arg("one\ntwo")), "one");
    }
}
