use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use strongroom_crypto::{FileRootKey, RootKey};
use zeroize::Zeroizing;

/// A root key's text is far below this.
const LARGEST: u64 = 4096;

/// Why a root key could not be read or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file isn't there, and may not be made.
    #[error(
        "the root key file {} (setting root-key-file) does not exist; if this instance has never started, make one with \
         `strongroom keys init --root-key-file {}`; else bring back the file: without it nothing that is stored can be read",
        .0.display(), .0.display()
    )]
    Missing(PathBuf),
    /// The file is there already.
    #[error("{} exists already; a root key is never overwritten", .0.display())]
    Exists(PathBuf),
    /// The file can't be read or written.
    #[error("the root key file {}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds no root key.
    #[error("the root key file {} holds no root key: {reason}", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Others than its owner may read the file.
    #[error("the root key file {} may be read by others (mode {mode:o}): run `chmod 600` on it", path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
}

/// Where the root key comes from, and whether it may be made.
pub(crate) struct RootKeySource<'a> {
    pub(crate) path: &'a Path,
    /// Set when the path is the default one in the data folder and there is no database yet.
    pub(crate) may_make: bool,
}

/// Reads the root key, or makes it where that is allowed.
pub(crate) fn load(source: &RootKeySource<'_>) -> Result<FileRootKey, KeyFileError> {
    match read(source.path) {
        Err(KeyFileError::Missing(_)) if source.may_make => {
            make_root_key_file(source.path)?;
            read(source.path)
        }
        result => result,
    }
}

/// Makes a new root key file, mode 0600, on the disk when this returns; gives the key's fingerprint.
pub fn make_root_key_file(path: &Path) -> Result<String, KeyFileError> {
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AlreadyExists => KeyFileError::Exists(path.to_owned()),
        _ => KeyFileError::Io { path: path.to_owned(), source },
    };
    let key = FileRootKey::make();
    // Written whole under another name first: a crash leaves either no key or a good one. The link refuses to replace.
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = PathBuf::from(draft);
    let _ = std::fs::remove_file(&draft);
    write_synced(&draft, key.to_text().as_bytes()).map_err(io)?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft).map_err(io)?;
    linked.map_err(io)?;
    sync_folder(path).map_err(io)?;
    Ok(key.fingerprint().to_owned())
}

fn read(path: &Path) -> Result<FileRootKey, KeyFileError> {
    let io = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::NotFound => KeyFileError::Missing(path.to_owned()),
        _ => KeyFileError::Io { path: path.to_owned(), source },
    };
    let format = |reason: String| KeyFileError::Format { path: path.to_owned(), reason };
    let file = File::open(path).map_err(io)?;
    let mode = file.metadata().map_err(io)?.permissions().mode() & 0o777;
    if mode & 0o007 != 0 {
        return Err(KeyFileError::Open { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::with_capacity(256));
    file.take(LARGEST).read_to_string(&mut text).map_err(|error| format(error.to_string()))?;
    FileRootKey::parse(&text).map_err(|error| format(error.to_string()))
}

/// Writes a new file that only its owner reads; file and name are on the disk when this returns.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    write_synced(path, content)?;
    sync_folder(path)
}

fn write_synced(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes a new name in a folder durable.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        assert!(matches!(load(&RootKeySource { path: &path, may_make: false }), Err(KeyFileError::Missing(_))));
        let made = load(&RootKeySource { path: &path, may_make: true }).unwrap();
        let read = load(&RootKeySource { path: &path, may_make: false }).unwrap();
        assert_eq!(made.fingerprint(), read.fingerprint());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(make_root_key_file(&path), Err(KeyFileError::Exists(_))));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_file_that_everybody_reads_or_that_holds_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        make_root_key_file(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read(&path), Err(KeyFileError::Open { mode: 0o644, .. })));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "hunter2").unwrap();
        let Err(error) = read(&path) else { panic!("no key in there") };
        assert!(matches!(error, KeyFileError::Format { .. }) && !error.to_string().contains("hunter2"));
    }
}
