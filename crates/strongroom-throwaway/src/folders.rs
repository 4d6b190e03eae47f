//! The temporary folders of one server.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::account::{Account, can_reach, give};

/// A path to a Unix socket has at most about a hundred bytes, and the socket's own name is among them.
const LONGEST_SOCKET_FOLDER: usize = 70;

/// Both are removed when this is dropped.
pub(crate) struct Folders {
    base: TempDir,
    sockets: TempDir,
}

impl Folders {
    /// Two folders that belong to `account`: one below `parent`, and one with a short path for the sockets.
    pub(crate) fn make(parent: Option<&Path>, account: Option<Account>) -> Result<Self, String> {
        let temporary = std::env::temp_dir();
        let usable = |folder: &PathBuf| can_reach(folder, account);
        let short = |folder: &PathBuf| folder.as_os_str().len() <= LONGEST_SOCKET_FOLDER && usable(folder);
        let base = match parent {
            Some(parent) if !can_reach(parent, account) => {
                let parent = parent.display();
                return Err(format!("{parent}: the unprivileged user that the server runs as can't enter this folder"));
            }
            Some(parent) => parent.to_owned(),
            None => Some(temporary.clone()).filter(usable).unwrap_or_else(|| "/tmp".into()),
        };
        let sockets = Some(temporary).filter(short).unwrap_or_else(|| "/tmp".into());
        Ok(Self { base: folder("strongroom-throwaway-", &base, account)?, sockets: folder("srs-", &sockets, account)? })
    }

    /// Where the server keeps its files.
    pub(crate) fn base(&self) -> &Path {
        self.base.path()
    }

    /// Where the server has its Unix socket.
    pub(crate) fn sockets(&self) -> &Path {
        self.sockets.path()
    }

    /// What the server prints, appended to what it has printed before.
    pub(crate) fn log(&self) -> Result<File, String> {
        let path = self.log_path();
        File::options().create(true).append(true).open(&path).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// The last lines of that, for an error's text.
    pub(crate) fn end_of_log(&self) -> String {
        let log = fs::read(self.log_path()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    fn log_path(&self) -> PathBuf {
        self.base().join("log")
    }
}

fn folder(prefix: &str, parent: &Path, account: Option<Account>) -> Result<TempDir, String> {
    // The server lets everyone in who reaches its socket.
    let private = Permissions::from_mode(0o700);
    let made = tempfile::Builder::new().prefix(prefix).permissions(private).tempdir_in(parent);
    let made = made.map_err(|error| format!("no folder can be made in {}: {error}", parent.display()))?;
    give(made.path(), account)?;
    Ok(made)
}
