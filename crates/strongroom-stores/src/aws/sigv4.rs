//! AWS' signature version 4, as far as services with one address need it: requests to `/` without a query.

use std::fmt::Write as _;

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac,
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header};
use strongroom_domain::{SecretValue, Timestamp};
use zeroize::Zeroizing;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// An identity of AWS. The token comes with those that last for a while only.
#[derive(Debug, Clone)]
pub(super) struct Credentials {
    pub(super) access_key_id: String,
    pub(super) secret_access_key: SecretValue,
    pub(super) session_token: Option<SecretValue>,
}

/// What a signature is good for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) region: &'a str,
    pub(super) service: &'a str,
}

/// Signs all headers that `request` has, and `host`, which is sent later. Signing again replaces the signature.
/// `None` when a credential has a character that no header takes.
pub(super) fn sign(
    request: &mut Request<Bytes>,
    host: &str,
    credentials: &Credentials,
    scope: Scope<'_>,
    now: Timestamp,
) -> Option<()> {
    let at = basic_format(now);
    let headers = request.headers_mut();
    headers.remove(header::AUTHORIZATION);
    headers.insert(DATE, HeaderValue::try_from(&at).ok()?);
    headers.remove(TOKEN);
    if let Some(token) = &credentials.session_token {
        headers.insert(TOKEN, sensitive(token.expose())?);
    }
    let (canonical, signed_names) = canonical_form(request, host)?;
    let day = &at[..8];
    let scope_text = format!("{day}/{}/{}/aws4_request", scope.region, scope.service);
    let hashed = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
    let to_sign = format!("{ALGORITHM}\n{at}\n{scope_text}\n{hashed}");
    let secret = Zeroizing::new(format!("AWS4{}", credentials.secret_access_key.expose()));
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    for part in [day, scope.region, scope.service, "aws4_request"] {
        key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
    }
    let signature = hex(hmac::sign(&key, to_sign.as_bytes()).as_ref());
    let id = &credentials.access_key_id;
    let authorization =
        format!("{ALGORITHM} Credential={id}/{scope_text}, SignedHeaders={signed_names}, Signature={signature}");
    request.headers_mut().insert(header::AUTHORIZATION, sensitive(&authorization)?);
    Some(())
}

/// The canonical request, and the names of what is signed. It holds the session's token, so it is wiped.
fn canonical_form(request: &Request<Bytes>, host: &str) -> Option<(Zeroizing<String>, String)> {
    let mut headers = vec![("host", host.trim().to_owned())];
    for (name, value) in request.headers() {
        headers.push((name.as_str(), one_space_between(value.to_str().ok()?)));
    }
    headers.sort_unstable();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let mut canonical = Zeroizing::new(format!("{}\n/\n\n", request.method()));
    for (name, value) in &headers {
        writeln!(canonical, "{name}:{value}").ok()?;
    }
    write!(canonical, "\n{names}\n{}", hex(digest(&SHA256, request.body()).as_ref())).ok()?;
    Some((canonical, names))
}

fn one_space_between(value: &str) -> String {
    value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A header whose `Debug` shows nothing.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Like `20150830T123600Z`.
fn basic_format(time: Timestamp) -> String {
    let wire = time.to_wire();
    let (seconds, _) = wire.split_once('.').unwrap_or((&wire, ""));
    let mut basic: String = seconds.chars().filter(|letter| !matches!(letter, '-' | ':')).collect();
    basic.push('Z');
    basic
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
#[path = "sigv4_tests.rs"]
mod tests;
