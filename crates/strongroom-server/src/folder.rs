//! The data folder: one process at a time, and a note of the instance that was made in it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::instance::StartError;

/// The locked data folder. The lock file holds the id of the folder's instance once there is one: a database that is
/// missing later was lost, and is never made anew beside the key of the old one.
pub(crate) struct Folder {
    path: PathBuf,
    /// Held for as long as the instance lives: one process a folder.
    lock: File,
    /// The same, of the database.
    database_lock: Option<File>,
    owner: String,
}

fn take(
    lock: &File,
    in_use: impl FnOnce() -> StartError,
    io: impl FnOnce(std::io::Error) -> StartError,
) -> Result<(), StartError> {
    match lock.try_lock() {
        Ok(()) => Ok(()),
        Err(std::fs::TryLockError::WouldBlock) => Err(in_use()),
        Err(std::fs::TryLockError::Error(source)) => Err(io(source)),
    }
}

/// Locks a SQLite database until the file is dropped: one process has it.
pub(crate) fn lock_database(database: &Path) -> Result<File, StartError> {
    let mut name = database.as_os_str().to_owned();
    name.push("-lock");
    let io = |source| StartError::DatabaseLock { path: name.clone().into(), source };
    let lock = File::options().create(true).append(true).mode(0o600).open(&name).map_err(io)?;
    take(&lock, || StartError::DatabaseInUse(database.to_owned()), io)?;
    Ok(lock)
}

impl Folder {
    /// Locks the folder; makes it when there is none.
    pub(crate) fn lock(path: &Path) -> Result<Self, StartError> {
        let io = |source| StartError::DataDir { path: path.to_owned(), source };
        if !path.exists() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        }
        let mut lock =
            File::options().create(true).read(true).append(true).mode(0o600).open(path.join("lock")).map_err(io)?;
        take(&lock, || StartError::InUse(path.to_owned()), io)?;
        let mut owner = String::new();
        lock.read_to_string(&mut owner).map_err(io)?;
        Ok(Self { path: path.to_owned(), lock, database_lock: None, owner })
    }

    /// Locks the database, which may be in another folder: what is kept in memory of it holds for one writer only.
    pub(crate) fn lock_database(&mut self, database: &Path) -> Result<(), StartError> {
        self.database_lock = Some(lock_database(database)?);
        Ok(())
    }

    /// Refuses to make a database where an instance had one.
    pub(crate) fn check_database(&self, database: &Path) -> Result<(), StartError> {
        // SQLite takes a file of one byte for an empty one.
        let has_content = std::fs::metadata(database).is_ok_and(|file| file.len() > 1);
        if has_content || self.owner.is_empty() {
            Ok(())
        } else {
            Err(self.database_lost(&database.display().to_string()))
        }
    }

    /// A database without an instance: right at the first start, else the wrong one.
    pub(crate) fn check_first_start(&self, database: &str) -> Result<(), StartError> {
        if self.owner.is_empty() { Ok(()) } else { Err(self.database_lost(database)) }
    }

    /// Notes the instance, once it is in the database.
    pub(crate) fn note(&mut self, instance_id: &str) -> Result<(), StartError> {
        if !self.owner.is_empty() {
            return Ok(());
        }
        instance_id.clone_into(&mut self.owner);
        let written = self.lock.write_all(instance_id.as_bytes()).and_then(|()| self.lock.sync_all());
        written.map_err(|source| StartError::DataDir { path: self.path.clone(), source })
    }

    fn database_lost(&self, database: &str) -> StartError {
        let (folder, instance) = (self.path.clone(), self.owner.trim().to_owned());
        StartError::DatabaseLost { folder, instance, database: database.to_owned() }
    }
}
