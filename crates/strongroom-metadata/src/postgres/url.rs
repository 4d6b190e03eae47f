//! A URL of PostgreSQL, taken apart as libpq does it.
//!
//! Not by `tokio_postgres::Config`: that takes any `@` for the end of the credentials, adds up what is given twice, has
//! other units and names for some parameters, and quotes in its errors what may be a piece of a password.

use std::collections::BTreeMap;

/// What a URL says, under libpq's names. Lists of hosts and ports are joined by commas.
#[derive(Default)]
pub(super) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Errors never repeat a value.
    pub(super) fn read(url: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        let mut rest = rest.ok_or("must begin with postgres:// or postgresql://")?;
        let mut read = Self::default();
        if let Some(end) = rest.find(['@', '/'])
            && let (credentials, [b'@', ..]) = (&rest[..end], &rest.as_bytes()[end..])
        {
            rest = &rest[end + 1..];
            read.add_credentials(credentials)?;
        }
        // Where a password has such a character, all behind it would be taken for something that may be shown.
        if rest.contains('@') {
            return Err(
                "has an @ that ends no user and password; in these and in parameters write @ as %40, / as %2F, : as \
                        %3A, ? as %3F and % as %25"
                    .to_owned(),
            );
        }
        let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = before.split_once('/').unwrap_or((before, ""));
        read.add_hosts(authority)?;
        read.add("dbname", decoded(database)?)?;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or("has a parameter without =")?;
            read.add(&decoded(name)?, decoded(value)?)?;
        }
        Ok(read)
    }

    /// Takes a parameter out.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// A whole number from `least` to `most`.
    pub(super) fn take_number(&mut self, name: &str, least: u32, most: u32) -> Result<Option<u32>, String> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let number = whole(&text).filter(|number| (least..=most).contains(number));
        number.map(Some).ok_or_else(|| format!("the parameter {name} must be a whole number from {least} to {most}"))
    }

    /// One of the texts, as the value beside it.
    pub(super) fn take_choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Result<Option<T>, String> {
        let Some(text) = self.take(name) else { return Ok(None) };
        let chosen = choices.iter().find(|(choice, _)| *choice == text).map(|(_, value)| *value);
        let names = || choices.iter().map(|(choice, _)| *choice).collect::<Vec<_>>().join(", ");
        chosen.map(Some).ok_or_else(|| format!("the parameter {name} must be one of: {}", names()))
    }

    /// To be called when all that is known was taken out.
    pub(super) fn finish(self) -> Result<(), String> {
        let Some(name) = self.0.into_keys().next() else { return Ok(()) };
        Err(format!("has {}, which strongroom doesn't know", named(&name)))
    }

    fn add_credentials(&mut self, credentials: &str) -> Result<(), String> {
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        self.add("user", decoded(user)?)?;
        self.add("password", decoded(password)?)
    }

    fn add_hosts(&mut self, authority: &str) -> Result<(), String> {
        let (mut hosts, mut ports) = (Vec::new(), Vec::new());
        for item in authority.split(',') {
            let (host, port) = host_and_port(item)?;
            hosts.push(decoded(host)?);
            ports.push(decoded(port)?);
        }
        // Without any port or host: a parameter may say it.
        for (name, list) in [("host", hosts), ("port", ports)] {
            if list.iter().any(|item| !item.is_empty()) {
                self.add(name, list.join(","))?;
            }
        }
        Ok(())
    }

    /// An empty value counts as not given.
    fn add(&mut self, name: &str, value: String) -> Result<(), String> {
        if value.is_empty() || self.0.insert(name.to_owned(), value).is_none() {
            Ok(())
        } else {
            Err(format!("has {} twice", named(name)))
        }
    }
}

/// What has another form is no name but a piece of something else.
fn named(parameter: &str) -> String {
    if parameter.len() <= 40 && parameter.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
        format!("the parameter {parameter}")
    } else {
        "a parameter".to_owned()
    }
}

/// Digits only: `parse` would take a sign.
pub(super) fn whole(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `part` with everything percent-encoded that isn't plain in a URL.
pub(super) fn encoded(part: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(part.len());
    for &byte in part.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a `String` can't fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The port is empty where there is none.
fn host_and_port(item: &str) -> Result<(&str, &str), String> {
    let (host, port) = match item.strip_prefix('[') {
        Some(inner) => inner.split_once(']').unwrap_or((inner, "no end")),
        None => item.split_at(item.find(':').unwrap_or(item.len())),
    };
    match port.strip_prefix(':') {
        None if port.is_empty() => Ok((host, "")),
        Some(port) if !port.contains(':') => Ok((host, port)),
        _ => Err("an IPv6 address must stand in [ ], with nothing but :PORT behind it".to_owned()),
    }
}

fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let pair = digit().zip(digit()).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
            pair.ok_or("has a % without two hexadecimal digits behind it; write % itself as %25")?
        } else {
            byte
        });
    }
    if bytes.contains(&0) {
        return Err("has a character U+0000, which PostgreSQL can't take".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "has percent-encoded bytes that are not UTF-8".to_owned())
}
