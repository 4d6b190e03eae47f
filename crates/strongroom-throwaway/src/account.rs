//! Whom the servers run as.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::Path,
    process::Command,
};

/// A user other than the present one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// An unprivileged user when the present one is root, which database servers refuse to run as; else `None`: the
    /// present user will do.
    pub(crate) fn needed() -> Result<Option<Self>, String> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").map_err(|error| format!("/etc/passwd: {error}"))?;
        let found = Self::called("postgres", &users).or_else(|| Self::called("nobody", &users));
        found.map(Some).ok_or_else(|| {
            "database servers don't run as root, and there is no user postgres or nobody to run them as".to_owned()
        })
    }

    fn called(name: &str, users: &str) -> Option<Self> {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then_some(())?;
            let uid = fields.nth(1)?.parse().ok()?;
            Some(Self { uid, gid: fields.next()?.parse().ok()? })
        })
    }
}

/// `program`, as `account`, without what the outer world has set for PostgreSQL's clients.
pub(crate) fn command(program: impl AsRef<OsStr>, account: Option<Account>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
    // Messages that can be searched. The present folder may be closed to the account.
    command.env("LC_ALL", "C").current_dir("/");
    if let Some(Account { uid, gid }) = account {
        command.uid(uid).gid(gid);
    }
    command
}

/// Gives a file or folder to `account`.
pub(crate) fn give(path: &Path, account: Option<Account>) -> Result<(), String> {
    account.map_or(Ok(()), |Account { uid, gid }| {
        chown(path, Some(uid), Some(gid)).map_err(|error| format!("{}: {error}", path.display()))
    })
}

/// Whether `account` can go through all folders down to this one.
pub(crate) fn can_reach(folder: &Path, account: Option<Account>) -> bool {
    let Some(account) = account else { return true };
    folder.ancestors().all(|folder| {
        fs::metadata(folder).is_ok_and(|folder| {
            let needed = if folder.uid() == account.uid { 0o100 } else { 0o001 };
            folder.mode() & needed != 0
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_looked_up() {
        let users = "root:x:0:0::/root:/bin/sh\nnobody2:x:7:8::/:\nnobody:x:65534:65533:n:/:/bin/false\nbad:x\n";
        assert_eq!(Account::called("nobody", users), Some(Account { uid: 65534, gid: 65533 }));
        assert_eq!(Account::called("postgres", users), None);
        assert_eq!(Account::called("bad", users), None);
    }

    #[test]
    fn closed_folders_are_seen() {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        let folder = tempfile::Builder::new().permissions(mode).tempdir().unwrap();
        let stranger = Some(Account { uid: 4_000_000, gid: 4_000_000 });
        assert!(can_reach(Path::new("/"), stranger));
        assert!(can_reach(folder.path(), None));
        assert!(!can_reach(folder.path(), stranger));
    }
}
