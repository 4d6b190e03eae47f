//! Where the programs are.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Below each version of Debian's and Red Hat's packages is a folder of this name.
const VERSIONED: [(&str, &str); 2] = [("/usr/lib/postgresql", "bin"), ("/usr", "bin")];
const NEEDED: [&str; 3] = ["initdb", "pg_ctl", "postgres"];

/// The folder that holds `initdb`, `pg_ctl` and `postgres`: of all found on `PATH` and in the ordinary places, the
/// newest version's.
#[must_use]
pub fn postgres_programs() -> Option<PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOUND.get_or_init(|| newest(postgres_folders())).clone()
}

/// A program on `PATH`, or where those of administrators are.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    let admin = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    on_path().into_iter().chain(admin).map(|folder| folder.join(name)).find(|program| program.is_file())
}

/// A PostgreSQL program: beside the server's others, or else on `PATH`.
pub(crate) fn beside(folder: &Path, name: &str) -> Option<PathBuf> {
    Some(folder.join(name)).filter(|program| program.is_file()).or_else(|| find_program(name))
}

/// The major version that the folder's server says it has.
pub(crate) fn postgres_version(folder: &Path) -> Option<u32> {
    let output = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    major(&String::from_utf8_lossy(&output.stdout))
}

/// From what `postgres --version` prints, like `postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)`.
fn major(printed: &str) -> Option<u32> {
    let (_, version) = printed.split_once("(PostgreSQL) ")?;
    let digits = version.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

fn newest(folders: Vec<PathBuf>) -> Option<PathBuf> {
    let versions = folders.into_iter().filter_map(|folder| Some((postgres_version(&folder)?, folder)));
    // The first of equals: what comes first on PATH is what its owner means.
    let best = versions.reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.map(|(_, folder)| folder)
}

fn postgres_folders() -> Vec<PathBuf> {
    let mut folders = on_path();
    for (parent, below) in VERSIONED {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        folders.extend(entries.map(|entry| entry.path().join(below)));
    }
    folders.push("/usr/local/pgsql/bin".into());
    let mut found: Vec<PathBuf> = Vec::new();
    for folder in folders.iter().filter(|folder| NEEDED.iter().all(|program| folder.join(program).is_file())) {
        // A link on PATH leads to the folder that has the other programs too.
        let real = fs::canonicalize(folder.join("postgres")).ok();
        let real = real.as_deref().and_then(Path::parent).unwrap_or(folder).to_owned();
        if !found.contains(&real) {
            found.push(real);
        }
    }
    found
}

fn on_path() -> Vec<PathBuf> {
    env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(major("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n"), Some(15));
        assert_eq!(major("postgres (PostgreSQL) 19devel\n"), Some(19));
        assert_eq!(major("postgres: error\n"), None);
    }

    #[test]
    fn programs_are_found() {
        assert!(find_program("sh").is_some_and(|program| program.is_absolute()));
        assert_eq!(find_program("no-such-program-here"), None);
        assert_eq!(newest(vec!["/no/such/folder".into()]), None);
    }
}
