//! Texts to typed values. Each function says in its error what would be right; none repeats what it was given.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use strongroom_domain::Network;
use strongroom_stores::egress::{EgressUrl, UrlError};

/// Which names secret groups may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupNameRule {
    /// Lower-case letters, digits and dashes.
    Strict,
    /// Also upper-case letters, dots and underscores; compared without case.
    Loose,
}

/// Form of the log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The least important events that are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
}

pub(super) type Parsed<T> = Result<T, String>;

pub(super) fn listen(text: &str) -> Parsed<SocketAddr> {
    text.parse().map_err(|_| "must be an IP address and a port, like 127.0.0.1:7700 or [::]:7700".to_owned())
}

/// Without slashes at the end, so that a path can be appended.
pub(super) fn public_url(text: &str) -> Parsed<String> {
    let problem = || "must be a URL with http:// or https://, without user, query or fragment".to_owned();
    let url: http::Uri = text.parse().map_err(|_| problem())?;
    let authority = url.authority().ok_or_else(problem)?;
    let is_web = matches!(url.scheme_str(), Some("http" | "https"));
    let is_plain = !authority.as_str().contains('@') && url.query().is_none() && !text.contains('#');
    if is_web && is_plain && !authority.host().is_empty() {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err(problem())
    }
}

#[expect(clippy::unnecessary_wraps, reason = "has the form of its neighbours")]
pub(super) fn path(text: &str) -> Parsed<PathBuf> {
    Ok(PathBuf::from(text))
}

pub(super) fn tenant(text: &str) -> Parsed<String> {
    const LONGEST: usize = 63;
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = (1..=LONGEST).contains(&text.len()) && text.bytes().all(inner);
    if fits && !text.starts_with('-') && !text.ends_with('-') {
        Ok(text.to_owned())
    } else {
        let rule = "lower-case letters, digits and dashes, no dash at either end";
        Err(format!("must be 1 to {LONGEST} {rule}"))
    }
}

pub(super) fn email(text: &str) -> Parsed<String> {
    const LONGEST: usize = 254;
    let is_plain = text.len() <= LONGEST && !text.chars().any(|char| char.is_whitespace() || char.is_control());
    match text.split_once('@') {
        Some((local, domain)) if is_plain && !local.is_empty() && !domain.is_empty() && !domain.contains('@') => {
            Ok(text.to_owned())
        }
        _ => Err("must be an e-mail address, like admin@example.com".to_owned()),
    }
}

pub(super) fn networks(text: &str) -> Parsed<Vec<Network>> {
    let parse = |part: &str| {
        let example = "must be addresses or networks separated by commas, like 10.0.0.0/8, fd00::/8";
        part.trim().parse().map_err(|error| format!("{example}: {error}"))
    };
    text.split(',').map(parse).collect()
}

/// Where a store is.
pub(super) fn endpoint(text: &str) -> Parsed<EgressUrl> {
    text.parse().map_err(|error: UrlError| error.to_string())
}

pub(super) fn boolean(text: &str) -> Parsed<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err("must be true or false (or 1 or 0)".to_owned()),
    }
}

/// Only what the build can do may be asked of it.
pub(super) fn ambient_identity(text: &str) -> Parsed<bool> {
    let is_on = boolean(text)?;
    if is_on && cfg!(not(feature = "cloud-credentials")) {
        return Err("must be false: this build can't use the identity of the machine itself; build with `--features \
                    cloud-credentials`"
            .to_owned());
    }
    Ok(is_on)
}

/// A whole number from `least` to `most`.
pub(super) fn number(text: &str, least: usize, most: usize) -> Parsed<usize> {
    // `parse` would take a sign.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| is_number && (least..=most).contains(number));
    number.ok_or_else(|| format!("must be a whole number from {least} to {most}"))
}

/// Requests a second; 0 is none.
pub(super) fn rate(text: &str) -> Parsed<u32> {
    let rate = number(text, 0, 1_000_000)?;
    u32::try_from(rate).map_err(|error| error.to_string())
}

/// Seconds from `least` to an hour.
pub(super) fn seconds(text: &str, least: usize) -> Parsed<Duration> {
    let seconds = number(text, least, 3_600).map_err(|problem| format!("{problem}, in seconds"))?;
    Ok(Duration::from_secs(seconds as u64))
}

pub(super) fn group_name_rule(text: &str) -> Parsed<GroupNameRule> {
    match text {
        "strict" => Ok(GroupNameRule::Strict),
        "loose" => Ok(GroupNameRule::Loose),
        _ => Err("must be strict or loose".to_owned()),
    }
}

pub(super) fn log_format(text: &str) -> Parsed<LogFormat> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("must be text or json".to_owned()),
    }
}

pub(super) fn log_level(text: &str) -> Parsed<LogLevel> {
    match text {
        "error" => Ok(LogLevel::Error),
        "warn" => Ok(LogLevel::Warn),
        "info" => Ok(LogLevel::Info),
        "debug" => Ok(LogLevel::Debug),
        _ => Err("must be error, warn, info or debug".to_owned()),
    }
}
