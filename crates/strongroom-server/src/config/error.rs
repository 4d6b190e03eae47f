//! What can be wrong with settings, and where they came from.

use std::{fmt, io, path::PathBuf};

/// Where a setting came from, as its owner would look for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag, without its dashes.
    Flag(&'static str),
    /// An environment variable.
    Environment(String),
    /// A line of the TOML file, counted from 1.
    File(PathBuf, usize),
    /// The compiled-in `default.toml`.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "flag --{name}"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::File(path, line) => write!(f, "{}, line {line}", path.display()),
            Self::Default => f.write_str("built-in default"),
        }
    }
}

/// Why settings can't be loaded. Names the setting and where it came from; never shows the value of a secret.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A value isn't what its setting takes.
    #[error("setting {name} ({origin}): {problem}")]
    Invalid {
        /// The setting.
        name: &'static str,
        /// Where it came from.
        origin: Origin,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The file that a secret setting names can't be used.
    #[error("setting {name} ({origin}): file {}: {problem}", file.display())]
    SecretFile {
        /// The setting.
        name: &'static str,
        /// Where the file's name came from.
        origin: Origin,
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A secret setting is given as a value and as a file.
    #[error("setting {name} is given twice: as a value ({value}) and as a file ({file}); give one of them")]
    ValueAndFile {
        /// The setting.
        name: &'static str,
        /// Where the value came from.
        value: Origin,
        /// Where the file's name came from.
        file: Origin,
    },
    /// A setting needs another one.
    #[error("setting {name} ({origin}) needs {missing} too")]
    Incomplete {
        /// The setting that is there.
        name: &'static str,
        /// Where it came from.
        origin: Origin,
        /// The setting that isn't.
        missing: &'static str,
    },
    /// An environment variable looks like a setting and is none.
    #[error("environment variable {variable} is no setting of strongroom{}", hint(suggestion.as_ref()))]
    UnknownVariable {
        /// The variable.
        variable: String,
        /// A setting's variable with nearly that name.
        suggestion: Option<String>,
    },
    /// An environment variable that is a setting isn't UTF-8.
    #[error("setting {name} (environment variable {variable}): is not valid UTF-8")]
    NotUtf8 {
        /// The setting.
        name: &'static str,
        /// The variable.
        variable: String,
    },
    /// A key of the TOML file is no setting.
    #[error("{}, line {line}: {key} is no setting of strongroom{}", file.display(), hint(suggestion.as_ref()))]
    UnknownKey {
        /// The TOML file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The key.
        key: String,
        /// A setting with nearly that name.
        suggestion: Option<String>,
    },
    /// The TOML file can't be read.
    #[error("settings file {} (flag --config): {source}", file.display())]
    ReadFile {
        /// The TOML file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The TOML file is no TOML.
    #[error("{}, line {line}: {problem}", file.display())]
    Syntax {
        /// The TOML file.
        file: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
}

fn hint(suggestion: Option<&String>) -> String {
    suggestion.map_or_else(String::new, |name| format!("; did you mean {name}?"))
}
