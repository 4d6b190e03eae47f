//! The Rust files of the workspace.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// One Rust file.
pub(crate) struct Source {
    /// From the root of the workspace.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    /// Whether the whole file is tests: it stands under `tests/`, or is called `tests.rs` or `…_tests.rs`.
    pub(crate) fn is_test(&self) -> bool {
        let under_tests = self.path.parent().is_some_and(|dir| dir.iter().any(|part| part == "tests"));
        let name = self.path.file_stem().unwrap_or_default().to_string_lossy();
        under_tests || name == "tests" || name.ends_with("_tests")
    }

    /// The text before the tests that stand in the file. `#[cfg(test)]` over anything but a module with a body, like
    /// `mod tests;` near the top, ends nothing.
    pub(crate) fn production(&self) -> &str {
        let mut offset = 0;
        let mut lines = self.text.split_inclusive('\n').peekable();
        while let Some(line) = lines.next() {
            let next = lines.peek().map_or("", |next| next.trim());
            if line.trim() == "#[cfg(test)]" && next.contains("mod ") && next.ends_with('{') {
                break;
            }
            offset += line.len();
        }
        &self.text[..offset]
    }
}

/// All Rust files below the folders `below` of `root`, in order of their paths.
pub(crate) fn collect(root: &Path, below: &[&str]) -> io::Result<Vec<Source>> {
    let mut found = Vec::new();
    let mut folders: Vec<PathBuf> =
        below.iter().map(|folder| root.join(folder)).filter(|folder| folder.is_dir()).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path)?;
                found.push(Source { path: path.strip_prefix(root).unwrap_or(&path).to_owned(), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, text: &str) -> Source {
        Source { path: path.into(), text: text.to_owned() }
    }

    #[test]
    fn test_files_are_known_by_their_name_or_folder() {
        for path in ["crates/a/tests/x.rs", "crates/a/src/tests.rs", "crates/a/src/b/c_tests.rs", "a/tests/b/c.rs"] {
            assert!(source(path, "").is_test(), "{path}");
        }
        for path in ["crates/a/src/lib.rs", "crates/a/src/contests.rs", "xtask/src/test.rs"] {
            assert!(!source(path, "").is_test(), "{path}");
        }
    }

    #[test]
    fn only_a_test_module_with_a_body_ends_the_code() {
        assert_eq!(source("a.rs", "a\n#[cfg(test)]\nmod tests {\nb\n}\n").production(), "a\n");
        let declared = "#[cfg(test)]\nmod tests;\na\n#[cfg(test)]\nuse b;\nc";
        assert_eq!(source("a.rs", declared).production(), declared);
    }
}
