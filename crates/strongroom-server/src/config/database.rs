//! The settings that say where the metadata database is.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use strongroom_metadata::{PostgresAddress, PostgresOptions};

use super::{
    error::SettingsError,
    parse::{self, Parsed},
    settings::Reader,
    sources::Given,
};

/// The metadata database.
#[derive(Clone, Debug)]
pub enum Database {
    /// An SQLite file.
    Sqlite(PathBuf),
    /// PostgreSQL.
    Postgres(Box<PostgresOptions>),
}

impl Database {
    /// For messages: the file, or the address without its password.
    #[must_use]
    pub fn shown(&self) -> String {
        match self {
            Self::Sqlite(file) => file.display().to_string(),
            Self::Postgres(options) => options.address.shown(),
        }
    }

    pub(super) fn read(values: &mut Reader<'_>, data_dir: &Path) -> Result<Self, SettingsError> {
        const MOST_CONNECTIONS: usize = 1_000;
        let connections = values.required("database-connections", |text| parse::number(text, 2, MOST_CONNECTIONS))?;
        let timeout = values.required("database-timeout", |text| parse::seconds(text, 1))?;
        let prepared_statements = values.required("database-prepared-statements", parse::boolean)?;
        let url = values.0.take("database-url");
        let password = values.0.take("database-password");
        let direct = values.0.take("database-direct-url");

        let address = |name, given: Given| {
            let beside = password.as_ref().map(|password| password.text.as_str());
            PostgresAddress::parse(&given.text, beside).map_err(|problem| invalid(name, given, problem))
        };
        match url {
            Some(url) if is_postgres(&url.text) => Ok(Self::Postgres(Box::new(PostgresOptions {
                address: address("database-url", url)?,
                direct: direct.map(|direct| address("database-direct-url", direct)).transpose()?,
                connections,
                timeout,
                prepared_statements,
            }))),
            url => {
                let file = match url {
                    Some(url) => sqlite_file(&url.text).map_err(|problem| invalid("database-url", url, problem))?,
                    None => data_dir.join("strongroom.db"),
                };
                let strays = [("database-password", password), ("database-direct-url", direct)];
                if let Some((name, given)) = strays.into_iter().find_map(|(name, given)| Some((name, given?))) {
                    let problem =
                        "is for PostgreSQL only; set database-url to postgres://USER@HOST/DATABASE, or leave it out";
                    return Err(invalid(name, given, problem.to_owned()));
                }
                Ok(Self::Sqlite(file))
            }
        }
    }

    /// How long load balancers need to notice that one of several servers is going; one alone has nobody to wait for.
    pub(super) fn drain_delay(&self) -> Duration {
        Duration::from_secs(match self {
            Self::Sqlite(_) => 0,
            Self::Postgres(_) => 3,
        })
    }
}

fn invalid(name: &'static str, given: Given, problem: String) -> SettingsError {
    SettingsError::Invalid { name, origin: given.origin, problem }
}

pub(crate) fn is_postgres(url: &str) -> bool {
    url.starts_with("postgres:") || url.starts_with("postgresql:")
}

pub(crate) fn sqlite_file(url: &str) -> Parsed<PathBuf> {
    match url.strip_prefix("sqlite:") {
        Some(path) if path.starts_with("//") && !path.starts_with("///") => {
            Err("write sqlite:PATH without slashes before the path".to_owned())
        }
        Some(path) if path.is_empty() || path.starts_with(':') => {
            Err("must name a file, like sqlite:/var/lib/strongroom/strongroom.db".to_owned())
        }
        Some(path) => Ok(PathBuf::from(path)),
        None => Err("must begin with sqlite: or postgres://, like sqlite:/var/lib/strongroom/strongroom.db or \
                     postgres://strongroom@host/strongroom"
            .to_owned()),
    }
}
