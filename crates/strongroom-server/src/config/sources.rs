//! Gathers what is given as flags, in the environment, in a file and by default into one value a setting.

use std::{collections::HashMap, ffi::OsString, fs, path::Path};

use clap::ArgMatches;
use zeroize::Zeroizing;

use super::{
    error::{Origin, SettingsError},
    suggest::suggest,
    table::{ROWS, Row},
    toml_file,
};

/// The compiled-in defaults.
pub(super) const DEFAULTS: &str = include_str!("default.toml");

/// The flag that names the TOML file.
pub(super) const CONFIG_FLAG: &str = "config";

/// A token, a URL or a password is far smaller; a device or a log file named by mistake is not.
const LARGEST_SECRET_FILE: u64 = 64 * 1024;

/// A setting, or for a secret one the file that holds it.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) row: &'static Row,
    /// As a flag and in TOML.
    pub(super) name: &'static str,
    pub(super) env: &'static str,
    pub(super) is_file: bool,
}

impl Key {
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::all().find(|key| key.name == name)
    }

    /// All keys, in the table's order.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().flat_map(|row| {
            let value = Self { row, name: row.name, env: row.env, is_file: false };
            let file = row.secret_file.as_ref().map(|file| Self { row, name: file.name, env: file.env, is_file: true });
            std::iter::once(value).chain(file)
        })
    }
}

/// The text given for a setting, and where.
pub(super) struct Given {
    pub(super) text: Zeroizing<String>,
    pub(super) origin: Origin,
}

/// What is given for each setting, from the place that counts.
pub(super) struct Values(HashMap<&'static str, Given>);

impl Values {
    /// Takes the value of a setting out.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Given> {
        self.0.remove(name)
    }

    /// Whether all settings were taken out.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads all four places; what comes first wins.
    pub(super) fn gather(
        flags: &ArgMatches,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, SettingsError> {
        let mut gathered = Gathered::default();
        for key in Key::all() {
            if let Some(text) = flag(flags, key.name) {
                gathered.add(key, text, Origin::Flag(key.name))?;
            }
        }
        for (key, text, origin) in from_environment(environment)? {
            gathered.add(key, text, origin)?;
        }
        if let Some(path) = flag(flags, CONFIG_FLAG) {
            let file = Path::new(path.as_str());
            let read = fs::read_to_string(file).map(Zeroizing::new);
            let text = read.map_err(|source| SettingsError::ReadFile { file: file.into(), source })?;
            for (key, text, origin) in toml_file::read(&text, file)? {
                gathered.add(key, text, origin)?;
            }
        }
        for (key, text, _) in toml_file::read(DEFAULTS, Path::new("default.toml"))? {
            gathered.add(key, text, Origin::Default)?;
        }
        gathered.finish()
    }
}

#[derive(Default)]
struct Gathered {
    values: HashMap<&'static str, Given>,
    files: HashMap<&'static str, Given>,
}

impl Gathered {
    fn add(&mut self, key: Key, text: Zeroizing<String>, origin: Origin) -> Result<(), SettingsError> {
        if text.is_empty() {
            let problem = "is empty; leave it out to get the default".to_owned();
            return Err(SettingsError::Invalid { name: key.row.name, origin, problem });
        }
        let given = if key.is_file { &mut self.files } else { &mut self.values };
        given.entry(key.row.name).or_insert(Given { text, origin });
        Ok(())
    }

    fn finish(self) -> Result<Values, SettingsError> {
        let Self { mut values, mut files } = self;
        for row in ROWS {
            let Some(file) = files.remove(row.name) else { continue };
            // Not by precedence, but always: whoever has both doesn't know which one is used.
            if let Some(value) = values.get(row.name) {
                let value = value.origin.clone();
                return Err(SettingsError::ValueAndFile { name: row.name, value, file: file.origin });
            }
            let path = Path::new(file.text.as_str());
            let text = read_secret(path).map_err(|problem| SettingsError::SecretFile {
                name: row.name,
                origin: file.origin.clone(),
                file: path.into(),
                problem,
            })?;
            values.insert(row.name, Given { text, origin: file.origin });
        }
        Ok(Values(values))
    }
}

fn flag(flags: &ArgMatches, name: &str) -> Option<Zeroizing<String>> {
    flags.try_get_one::<String>(name).ok().flatten().cloned().map(Zeroizing::new)
}

/// An empty variable counts as not set: that is what container tools make of a variable without a value.
fn from_environment(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<(Key, Zeroizing<String>, Origin)>, SettingsError> {
    let by_name: HashMap<&str, Key> = Key::all().map(|key| (key.env, key)).collect();
    let mut entries = Vec::new();
    for (variable, value) in environment {
        let variable = variable.to_string_lossy().into_owned();
        let Some(&key) = by_name.get(variable.as_str()) else {
            if variable.starts_with("STRONGROOM_") && !is_service_link(&variable) {
                let suggestion = suggest(&variable, by_name.keys().copied());
                return Err(SettingsError::UnknownVariable { variable, suggestion });
            }
            continue;
        };
        let Ok(text) = value.into_string().map(Zeroizing::new) else {
            return Err(SettingsError::NotUtf8 { name: key.row.name, variable });
        };
        if !text.is_empty() {
            entries.push((key, text, Origin::Environment(variable)));
        }
    }
    Ok(entries)
}

/// Kubernetes gives every pod such variables for each Service, so also for one that is called `strongroom`.
pub(super) fn is_service_link(variable: &str) -> bool {
    variable.ends_with("_PORT") || variable.contains("_PORT_") || variable.ends_with("_SERVICE_HOST")
}

/// The content without the line end that editors and `echo` put there.
pub(crate) fn read_secret(file: &Path) -> Result<Zeroizing<String>, String> {
    use std::io::Read as _;
    let opened = fs::File::open(file).map_err(|error| error.to_string())?;
    let mut content = Zeroizing::new(Vec::with_capacity(1024));
    opened.take(LARGEST_SECRET_FILE + 1).read_to_end(&mut content).map_err(|error| error.to_string())?;
    if content.len() as u64 > LARGEST_SECRET_FILE {
        return Err(format!("is larger than {LARGEST_SECRET_FILE} bytes"));
    }
    let text = std::str::from_utf8(&content).map_err(|_| "is not valid UTF-8")?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() { Err("is empty".to_owned()) } else { Ok(Zeroizing::new(text.to_owned())) }
}
