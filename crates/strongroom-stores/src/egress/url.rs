//! URLs that requests go to.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use http::uri::PathAndQuery;

/// Longer than any that the stores have.
const LONGEST: usize = 2_048;

/// A web address, taken apart strictly: what two parsers could read differently is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EgressUrl {
    is_plain_text: bool,
    host: Host,
    port: u16,
    path: PathAndQuery,
}

/// Where a URL points.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name of the DNS, in lower case, without a dot at the end.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// Why a text is no URL to send requests to. Never repeats any of the text: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum UrlError {
    #[error("a URL must begin with https://")]
    Scheme,
    #[error("a URL must have at most {LONGEST} characters")]
    Length,
    #[error("a URL must not have a user or a password in it")]
    UserInfo,
    #[error("a URL must not have a fragment (#)")]
    Fragment,
    #[error(
        "the host of a URL must be a DNS name, an IPv4 address of four decimal numbers, or an IPv6 address in brackets"
    )]
    Host,
    #[error("the port of a URL must be a number from 1 to 65535")]
    Port,
    #[error("the path of a URL must be of visible ASCII characters, others percent-encoded")]
    Path,
    #[error("a part of a URL's path must not be empty, `.` or `..`")]
    Segment,
    #[error("a URL that others are built on must not have a query (?)")]
    Query,
}

impl EgressUrl {
    /// Where it points.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The port given, or the scheme's.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is `http://`.
    #[must_use]
    pub fn is_plain_text(&self) -> bool {
        self.is_plain_text
    }

    /// The path, at least `/`, and the query.
    #[must_use]
    pub fn path_and_query(&self) -> &PathAndQuery {
        &self.path
    }

    /// The URL below this one with these path segments and this query, each percent-encoded.
    ///
    /// Refuses what a server might take for another path: segments that are empty or mean "here" or "up". That the
    /// result says what was asked for is checked by taking it apart again.
    pub fn below(&self, segments: &[&str], query: &[(&str, &str)]) -> Result<Self, UrlError> {
        if self.path.query().is_some() {
            return Err(UrlError::Query);
        }
        let base = self.path.path().trim_end_matches('/');
        let mut text = base.to_owned();
        for segment in segments {
            text.push('/');
            encode(segment, &mut text);
        }
        let path_length = text.len();
        for (index, (name, value)) in query.iter().enumerate() {
            text.push(if index == 0 { '?' } else { '&' });
            encode(name, &mut text);
            text.push('=');
            encode(value, &mut text);
        }
        let of_segments = text[base.len()..path_length].split('/').skip(1).map(decode);
        let is_asked_for = of_segments.eq(segments.iter().map(|segment| Some((*segment).to_owned())));
        if !is_asked_for || segments.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
            return Err(UrlError::Segment);
        }
        if text.len() > LONGEST {
            return Err(UrlError::Length);
        }
        Ok(Self { path: parse_path(&text)?, ..self.clone() })
    }

    /// The host, and the port where it isn't the scheme's: what the header `Host` says.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == default_port(self.is_plain_text) {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for EgressUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text.len() > LONGEST {
            return Err(UrlError::Length);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let is_plain_text = match scheme.to_ascii_lowercase().as_str() {
            "https" => false,
            "http" => true,
            _ => return Err(UrlError::Scheme),
        };
        if rest.contains('#') {
            return Err(UrlError::Fragment);
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(UrlError::UserInfo);
        }
        let (host, port) = split_port(authority)?;
        Ok(Self {
            is_plain_text,
            host: host.parse()?,
            port: port.map_or(Ok(default_port(is_plain_text)), parse_port)?,
            path: parse_path(path)?,
        })
    }
}

impl fmt::Display for EgressUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_plain_text { "http" } else { "https" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

impl FromStr for Host {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if let Some(bracketed) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let address: Ipv6Addr = bracketed.parse().map_err(|_| UrlError::Host)?;
            return Ok(Self::Address(address.into()));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Self::Address(address.into()));
        }
        if is_name(text) { Ok(Self::Name(text.to_ascii_lowercase())) } else { Err(UrlError::Host) }
    }
}

/// As in a URL.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// Leaves what RFC 3986 calls unreserved, which no server changes.
fn encode(text: &str, into: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            let digit = |nibble: u8| char::from(HEX[usize::from(nibble)]);
            into.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// As a server reads a segment; `None` where it couldn't.
fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [first, after @ ..] = rest {
        rest = if *first == b'%' {
            let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
            bytes.push(u8::try_from(digit(0)? << 4 | digit(1)?).ok()?);
            &after[2..]
        } else {
            bytes.push(*first);
            after
        };
    }
    String::from_utf8(bytes).ok()
}

fn default_port(is_plain_text: bool) -> u16 {
    if is_plain_text { 80 } else { 443 }
}

/// The colons of an IPv6 address stand within brackets.
fn split_port(authority: &str) -> Result<(&str, Option<&str>), UrlError> {
    let after_address = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let (address, rest) = authority.split_at(after_address);
    match rest.split_once(':') {
        // Something between the bracket and the colon is no host.
        Some((between, port)) if address.is_empty() || between.is_empty() => {
            Ok((&authority[..after_address + between.len()], Some(port)))
        }
        Some(_) => Err(UrlError::Host),
        None => Ok((authority, None)),
    }
}

fn parse_port(digits: &str) -> Result<u16, UrlError> {
    // `parse` would take a sign.
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|port| is_number && *port != 0).ok_or(UrlError::Port)
}

fn parse_path(text: &str) -> Result<PathAndQuery, UrlError> {
    // A backslash is a slash to some.
    if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
        return Err(UrlError::Path);
    }
    let path = if text.starts_with('/') { text.parse() } else { format!("/{text}").parse() };
    path.map_err(|_| UrlError::Path)
}

/// Whether `text` is a DNS name that nobody reads as an address: resolvers take `2130706433`, `127.1` and `0x7f.1`,
/// and all of these end in a number.
fn is_name(text: &str) -> bool {
    const LONGEST_LABEL: usize = 63;
    const LONGEST_NAME: usize = 253;
    let is_label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = text.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x") || last.starts_with("0X");
    text.len() <= LONGEST_NAME && text.split('.').all(is_label) && !is_number
}

#[cfg(test)]
#[path = "url_tests.rs"]
mod tests;
