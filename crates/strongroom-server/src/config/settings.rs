//! The settings, typed.

use std::{
    ffi::OsString,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::ArgMatches;
use strongroom_domain::Network;
use strongroom_stores::egress::EgressUrl;
use zeroize::Zeroizing;

use super::{
    database::Database,
    error::{Origin, SettingsError},
    parse::{self, GroupNameRule, LogFormat, LogLevel, Parsed},
    sources::{Given, Values},
};

/// What `strongroom serve` is told. Each field is the setting of that name; `default.toml` says what it means.
#[derive(Debug)]
#[expect(missing_docs, reason = "default.toml documents each setting, and the table there is checked against it")]
pub struct Settings {
    pub listen: SocketAddr,
    /// Without a slash at the end; see [`Settings::public_url`] for what holds without it.
    pub public_url: Option<String>,
    pub tls: Option<TlsFiles>,
    pub trusted_proxies: Vec<Network>,
    pub egress_allow: Vec<Network>,
    pub egress_deny_private: bool,
    pub store_endpoint_aws_secrets_manager: Option<EgressUrl>,
    pub store_endpoint_aws_sts: Option<EgressUrl>,
    pub ambient_identity: bool,
    pub data_dir: PathBuf,
    pub database: Database,
    /// `None`: `root.key` in `data_dir`, which may be made; a named file may not.
    pub root_key_file: Option<PathBuf>,
    pub tenant: String,
    pub admin_email: String,
    /// As given: not yet known to be well-formed.
    pub admin_token: Option<SecretText>,
    pub disable_secret_value_view: bool,
    pub group_name_rule: GroupNameRule,
    pub retention_days: usize,
    pub max_value_bytes: usize,
    pub max_body_bytes: usize,
    pub max_connections: usize,
    pub rate_limit_subject: u32,
    pub rate_limit_address: u32,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
    pub drain_timeout: Duration,
    pub drain_delay: Duration,
    pub log_format: LogFormat,
    pub log_level: LogLevel,
}

/// The files that TLS is set up from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain of certificates, PEM.
    pub cert: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

/// A text that isn't shown, and is overwritten when dropped.
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(..)")
    }
}

impl Settings {
    /// Reads flags (of [`super::serve_command`]), environment (`std::env::vars_os()`), the file that `--config` names,
    /// and the defaults, in this order of precedence.
    pub fn load(
        flags: &ArgMatches,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, SettingsError> {
        const MOST_CONNECTIONS: usize = 1_000_000;
        const MOST_DAYS: usize = 3_650;
        const MIB: usize = 1 << 20;

        let mut values = Values::gather(flags, environment)?;
        let mut values = Reader(&mut values);
        let tls = values.tls()?;
        let data_dir = values.required("data-dir", parse::path)?;
        let database = Database::read(&mut values, &data_dir)?;
        let drain_delay = values.optional("drain-delay", |text| parse::seconds(text, 0))?;
        let (max_value_bytes, _) = values.with_origin("max-value-bytes", |text| parse::number(text, 1, 16 * MIB))?;
        let (max_body_bytes, body_origin) =
            values.with_origin("max-body-bytes", |text| parse::number(text, 1_024, 1_024 * MIB))?;
        if max_body_bytes < max_value_bytes {
            let problem = format!("must be at least max-value-bytes, which is {max_value_bytes}");
            return Err(SettingsError::Invalid { name: "max-body-bytes", origin: body_origin, problem });
        }
        let settings = Self {
            listen: values.required("listen", parse::listen)?,
            public_url: values.optional("public-url", parse::public_url)?,
            tls,
            trusted_proxies: values.optional("trusted-proxies", parse::networks)?.unwrap_or_default(),
            egress_allow: values.optional("egress-allow", parse::networks)?.unwrap_or_default(),
            egress_deny_private: values.required("egress-deny-private", parse::boolean)?,
            store_endpoint_aws_secrets_manager: values
                .optional("store-endpoint-aws-secrets-manager", parse::endpoint)?,
            store_endpoint_aws_sts: values.optional("store-endpoint-aws-sts", parse::endpoint)?,
            ambient_identity: values.required("ambient-identity", parse::ambient_identity)?,
            drain_delay: drain_delay.unwrap_or_else(|| database.drain_delay()),
            database,
            data_dir,
            root_key_file: values.optional("root-key-file", parse::path)?,
            tenant: values.required("tenant", parse::tenant)?,
            admin_email: values.required("admin-email", parse::email)?,
            admin_token: values.0.take("admin-token").map(|given| SecretText(given.text)),
            disable_secret_value_view: values.required("disable-secret-value-view", parse::boolean)?,
            group_name_rule: values.required("group-name-rule", parse::group_name_rule)?,
            retention_days: values.required("retention-days", |text| parse::number(text, 1, MOST_DAYS))?,
            max_value_bytes,
            max_body_bytes,
            max_connections: values.required("max-connections", |text| parse::number(text, 1, MOST_CONNECTIONS))?,
            rate_limit_subject: values.required("rate-limit-subject", parse::rate)?,
            rate_limit_address: values.required("rate-limit-address", parse::rate)?,
            header_timeout: values.required("header-timeout", |text| parse::seconds(text, 1))?,
            body_timeout: values.required("body-timeout", |text| parse::seconds(text, 1))?,
            drain_timeout: values.required("drain-timeout", |text| parse::seconds(text, 0))?,
            log_format: values.required("log-format", parse::log_format)?,
            log_level: values.required("log-level", parse::log_level)?,
        };
        debug_assert!(values.0.is_empty(), "a setting of the table isn't used");
        Ok(settings)
    }

    /// Where clients reach the server: as set, else by the address that it listens on, without a slash at the end.
    #[must_use]
    pub fn public_url(&self, listening: SocketAddr) -> String {
        if let Some(url) = &self.public_url {
            return url.clone();
        }
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        // "Any address" is nothing that a client can connect to.
        let address = match listening.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
            address => address,
        };
        format!("{scheme}://{}", SocketAddr::new(address, listening.port()))
    }
}

/// Takes settings out and parses them, so that every error says which and from where.
pub(super) struct Reader<'a>(pub(super) &'a mut Values);

impl Reader<'_> {
    pub(super) fn optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Parsed<T>,
    ) -> Result<Option<T>, SettingsError> {
        let Some(Given { text, origin }) = self.0.take(name) else { return Ok(None) };
        parse(&text).map(Some).map_err(|problem| SettingsError::Invalid { name, origin, problem })
    }

    pub(super) fn required<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Parsed<T>,
    ) -> Result<T, SettingsError> {
        self.with_origin(name, parse).map(|(value, _)| value)
    }

    /// The value of a setting that `default.toml` has a value for, and where it came from.
    fn with_origin<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Parsed<T>,
    ) -> Result<(T, Origin), SettingsError> {
        let given = self.0.take(name).expect("default.toml has a value for it, which the tests check");
        match parse(&given.text) {
            Ok(value) => Ok((value, given.origin)),
            Err(problem) => Err(SettingsError::Invalid { name, origin: given.origin, problem }),
        }
    }

    fn tls(&mut self) -> Result<Option<TlsFiles>, SettingsError> {
        let incomplete = |name, origin, missing| Err(SettingsError::Incomplete { name, origin, missing });
        match (self.0.take("tls-cert"), self.0.take("tls-key")) {
            (None, None) => Ok(None),
            (Some(cert), Some(key)) => {
                Ok(Some(TlsFiles { cert: PathBuf::from(cert.text.as_str()), key: PathBuf::from(key.text.as_str()) }))
            }
            (Some(cert), None) => incomplete("tls-cert", cert.origin, "tls-key"),
            (None, Some(key)) => incomplete("tls-key", key.origin, "tls-cert"),
        }
    }
}
