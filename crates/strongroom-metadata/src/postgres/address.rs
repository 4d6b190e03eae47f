//! Where PostgreSQL is, and as whom to log in there.

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio_postgres::config::{ChannelBinding, Config, SslMode, SslNegotiation, TargetSessionAttrs};

use super::{
    tls::{Connector, TlsPlan},
    url::{Parameters, encoded, whole},
};

const DEFAULT_PORT: u32 = 5432;

/// Per address: a host that is gone shouldn't keep from the next one for long.
const DEFAULT_CONNECT_TIMEOUT: u32 = 5;

/// A URL of PostgreSQL, understood. [`Debug`](fmt::Debug) and [`PostgresAddress::shown`] have no password.
#[derive(Clone)]
pub struct PostgresAddress {
    /// All but the host.
    pub(super) config: Config,
    pub(super) hosts: Vec<Host>,
    pub(super) connect_timeout: Duration,
    pub(super) tls: TlsPlan,
    /// Made once, and shared by all clones.
    connector: Arc<OnceLock<Connector>>,
}

/// One of the servers.
#[derive(Clone, Debug)]
pub(super) struct Host {
    /// A name or an address, or a path: then it is the folder of a Unix socket.
    pub(super) name: String,
    /// Where the name shouldn't be looked up.
    pub(super) address: Option<IpAddr>,
    pub(super) port: u16,
}

impl PostgresAddress {
    /// Understands `postgres://` and `postgresql://` as libpq does. `password` is one that doesn't stand in the URL.
    ///
    /// `sslmode` is `disable`, `require`, `verify-ca` or `verify-full`. Without it that is `verify-full`, but `disable`
    /// where nothing leaves the machine. The error says what would be right and repeats nothing of what was given, but
    /// for the name of a parameter.
    pub fn parse(url: &str, password: Option<&str>) -> Result<Self, String> {
        let mut parameters = Parameters::read(url)?;
        let mut config = Config::new();
        let user = parameters.take("user");
        config.user(user.ok_or("names no user; write it before the host, like postgres://strongroom@host/strongroom")?);
        match (parameters.take("password"), password) {
            (Some(_), Some(_)) => {
                return Err(
                    "has a password, and another one is set beside it (database-password); give one of them".to_owned()
                );
            }
            (None, Some(password)) if password.contains('\0') => {
                return Err(
                    "the password (database-password) has a character U+0000, which PostgreSQL can't take".to_owned()
                );
            }
            (Some(inside), None) => _ = config.password(inside),
            (None, Some(beside)) => _ = config.password(beside),
            (None, None) => {}
        }
        if let Some(database) = parameters.take("dbname") {
            config.dbname(database);
        }
        let hosts = hosts(&mut parameters)?;
        let tls = TlsPlan::read(&mut parameters, &hosts)?;
        session(&mut config, &mut parameters, hosts.len())?;
        keepalives(&mut config, &mut parameters)?;
        let seconds = parameters.take_number("connect_timeout", 1, 3_600)?.unwrap_or(DEFAULT_CONNECT_TIMEOUT);
        let connect_timeout = Duration::from_secs(seconds.into());
        parameters.finish()?;
        if tls.negotiates_directly() {
            config.ssl_negotiation(SslNegotiation::Direct);
        }
        Ok(Self { config, hosts, connect_timeout, tls, connector: Arc::default() })
    }

    /// For messages: no password and no parameters.
    #[must_use]
    pub fn shown(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
        let user = self.config.get_user().unwrap_or_default();
        // PostgreSQL takes the user's name where no database is named.
        let database = self.config.get_dbname().unwrap_or(user);
        format!("postgres://{}@{}/{}", encoded(user), hosts.join(","), encoded(database))
    }

    /// Reads the files that TLS needs. Called at the start, it makes a wrong file stop that; else it is done when the
    /// first connection is made. The error names the parameter.
    pub fn prepare(&self) -> Result<(), String> {
        self.connector().map(drop)
    }

    /// How to begin with a host. PostgreSQL has no TLS over Unix sockets.
    pub(super) fn ssl_mode(&self, host: &Host) -> SslMode {
        if self.tls.is_on() && !host.is_socket() { SslMode::Require } else { SslMode::Disable }
    }

    /// What does TLS.
    pub(super) fn connector(&self) -> Result<Connector, String> {
        if let Some(connector) = self.connector.get() {
            return Ok(connector.clone());
        }
        let made = self.tls.connector()?;
        // Whoever was faster has read the same files.
        Ok(self.connector.get_or_init(|| made).clone())
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresAddress").field(&self.shown()).finish()
    }
}

impl Host {
    pub(super) fn is_socket(&self) -> bool {
        self.name.starts_with('/')
    }

    /// Whether nothing leaves the machine on the way there.
    pub(super) fn is_local(&self) -> bool {
        let address = self.address.or_else(|| self.name.parse().ok());
        let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
        self.is_socket() || address.map_or_else(|| self.name.eq_ignore_ascii_case("localhost"), is_loopback)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            _ => write!(f, "{}:{}", encoded(&self.name), self.port),
        }
    }
}

fn hosts(parameters: &mut Parameters) -> Result<Vec<Host>, String> {
    let names = parameters.take("host").ok_or(
        "names no host; write it behind the user, like postgres://strongroom@host/strongroom, or as \
         ?host=/run/postgresql for a Unix socket",
    )?;
    let names: Vec<&str> = names.split(',').collect();
    let ports = parameters.take("port").unwrap_or_default();
    let ports = ports.split(',').map(|port| match port {
        "" => Ok(DEFAULT_PORT),
        port => whole(port).filter(|port| *port != 0).ok_or(()),
    });
    let ports = ports.map(|port| port.and_then(|port| u16::try_from(port).map_err(|_| ())));
    let ports = ports.collect::<Result<Vec<u16>, ()>>().map_err(|()| {
        "each port must be a number from 1 to 65535 (an IPv6 address stands in [ ], and a password's / is written %2F)"
    })?;
    let addresses = match parameters.take("hostaddr") {
        Some(list) => list.split(',').map(|address| address.parse().map(Some)).collect(),
        None => Ok(vec![None; names.len()]),
    };
    let addresses: Vec<Option<IpAddr>> =
        addresses.map_err(|_| "the parameter hostaddr must be IP addresses, separated by commas")?;
    if addresses.len() != names.len() || (ports.len() != 1 && ports.len() != names.len()) {
        return Err("must name as many ports (or one) and hostaddr (or none) as hosts".to_owned());
    }
    let host = |(at, (name, address)): (usize, (&&str, Option<IpAddr>))| {
        let host = Host { name: (*name).to_owned(), address, port: *ports.get(at).unwrap_or(&ports[0]) };
        let is_name = !name.is_empty() && !name.contains(|char: char| char.is_whitespace() || char.is_control());
        if host.is_socket() && address.is_some() {
            Err("the parameter hostaddr can't go with a Unix socket".to_owned())
        } else if host.is_socket() || is_name {
            Ok(host)
        } else {
            Err("each host must be a name, an address or a path".to_owned())
        }
    };
    names.iter().zip(addresses).enumerate().map(host).collect()
}

fn session(config: &mut Config, parameters: &mut Parameters, hosts: usize) -> Result<(), String> {
    if let Some(name) = parameters.take("application_name") {
        config.application_name(name);
    }
    if let Some(options) = parameters.take("options") {
        config.options(options);
    }
    let choices = [
        ("read-write", TargetSessionAttrs::ReadWrite),
        ("primary", TargetSessionAttrs::ReadWrite),
        ("any", TargetSessionAttrs::Any),
    ];
    // One of several may be a standby, where every write fails.
    let default = if hosts > 1 { TargetSessionAttrs::ReadWrite } else { TargetSessionAttrs::Any };
    config.target_session_attrs(parameters.take_choice("target_session_attrs", &choices)?.unwrap_or(default));
    let choices = [
        ("disable", ChannelBinding::Disable),
        ("prefer", ChannelBinding::Prefer),
        ("require", ChannelBinding::Require),
    ];
    if let Some(channel_binding) = parameters.take_choice("channel_binding", &choices)? {
        config.channel_binding(channel_binding);
    }
    Ok(())
}

/// A server that vanished, or a firewall that forgot the connection, is noticed in a quarter of a minute rather than in
/// the two hours of most systems.
fn keepalives(config: &mut Config, parameters: &mut Parameters) -> Result<(), String> {
    const DAY: u32 = 86_400;
    let seconds = |given: Option<u32>, default| Duration::from_secs(given.unwrap_or(default).into());
    config.keepalives(parameters.take_number("keepalives", 0, 1)? != Some(0));
    config.keepalives_idle(seconds(parameters.take_number("keepalives_idle", 1, DAY)?, 10));
    config.keepalives_interval(seconds(parameters.take_number("keepalives_interval", 1, DAY)?, 5));
    config.keepalives_retries(parameters.take_number("keepalives_count", 1, 127)?.unwrap_or(2));
    let milliseconds = parameters.take_number("tcp_user_timeout", 1, 1_000 * DAY)?.unwrap_or(15_000);
    config.tcp_user_timeout(Duration::from_millis(milliseconds.into()));
    Ok(())
}
