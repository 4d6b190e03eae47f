//! Cleans up after an owner that was killed, or that ended without dropping what it keeps in a `static`.

use std::{
    io::Write as _,
    os::unix::process::CommandExt as _,
    process::{Child, ChildStdin, Command, Stdio},
};

use crate::folders::Folders;

/// A shell that waits for this process to end. The signal that Linux sends to the children of an ended parent would not
/// do: it can't be asked for without `unsafe`, comes when the *thread* ends, and leaves the folders.
pub(crate) struct Reaper {
    shell: Option<(Child, ChildStdin)>,
}

impl Reaper {
    /// Without a shell there is no reaper: only what is dropped is cleaned up.
    pub(crate) fn over(folders: &Folders) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", include_str!("reaper.sh"), "strongroom-throwaway-reaper"]);
        command.args([folders.base(), folders.sockets()]).current_dir("/");
        // What ends the owner's group must not end this, and nobody may wait for its output.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let shell = command.spawn().ok().and_then(|mut child| child.stdin.take().map(|stdin| (child, stdin)));
        Self { shell }
    }

    /// Says which process to end; `None`: none any more.
    pub(crate) fn watch(&mut self, pid: Option<u32>) {
        if let Some((_, stdin)) = &mut self.shell {
            let line = pid.map_or_else(|| "none\n".to_owned(), |pid| format!("{pid}\n"));
            // In one call: a line written in part would name another process. Without a reader there is no reaper.
            let _ = stdin.write_all(line.as_bytes());
        }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        if let Some((mut child, _)) = self.shell.take() {
            // Killed before its input ends, it does nothing.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
