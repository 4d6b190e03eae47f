//! What a verified token says, and whether that is enough.

use serde_json::{Map, Value};
use strongroom_domain::Timestamp;

use super::{error::TokenError, provider::ProviderConfig};

/// How far the clock of whoever made a token may be ahead of ours.
const LEEWAY_SECONDS: i64 = 60;

/// What is known of the bearer of a verified token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VerifiedToken {
    /// The value of the provider's `subject_claim`: what a subject is found by.
    pub(crate) subject_value: String,
    /// Only where the provider says that it has checked it, or says nothing of that.
    pub(crate) email: Option<String>,
    pub(crate) sub: Option<String>,
    pub(crate) expires_at: Timestamp,
}

/// Reads the claims of a token whose signature is the provider's.
pub(super) fn check(
    claims: &Map<String, Value>,
    provider: &ProviderConfig,
    now: Timestamp,
) -> Result<VerifiedToken, TokenError> {
    let expires_at = check_times(claims, now)?;
    if let Some(issuer) = &provider.issuer
        && claims.get("iss").and_then(Value::as_str) != Some(issuer)
    {
        return Err(TokenError::Mismatch("iss".to_owned()));
    }
    if !provider.audiences.is_empty() && !is_for_one_of(claims.get("aud"), &provider.audiences) {
        return Err(TokenError::Mismatch("aud".to_owned()));
    }
    for (path, expected) in &provider.required_claims {
        let found = find(claims, path).ok_or_else(|| TokenError::Claim(path.clone()))?;
        if !is_written_as(found, expected) {
            return Err(TokenError::Mismatch(path.clone()));
        }
    }
    let text = |path: &str| find(claims, path).and_then(Value::as_str).filter(|text| !text.is_empty());
    let subject_value =
        text(&provider.subject_claim).ok_or_else(|| TokenError::Claim(provider.subject_claim.clone()))?;
    // Some write it as a text, and some don't say: then the provider's word for the address is all there is.
    let is_verified = claims
        .get("email_verified")
        .is_none_or(|verified| verified.as_bool() == Some(true) || verified.as_str() == Some("true"));
    Ok(VerifiedToken {
        subject_value: subject_value.to_owned(),
        email: text(&provider.email_claim).filter(|_| is_verified).map(str::to_owned),
        sub: claims.get("sub").and_then(Value::as_str).map(str::to_owned),
        expires_at,
    })
}

/// When the token expires, if now lies within its times.
pub(super) fn check_times(claims: &Map<String, Value>, now: Timestamp) -> Result<Timestamp, TokenError> {
    let expires_at = time(claims, "exp")?.ok_or_else(|| TokenError::Claim("exp".to_owned()))?;
    if expires_at <= now {
        return Err(TokenError::Expired);
    }
    for name in ["nbf", "iat"] {
        if time(claims, name)?.is_some_and(|begins_at| begins_at > now.plus_seconds(LEEWAY_SECONDS)) {
            return Err(TokenError::NotYetValid);
        }
    }
    Ok(expires_at)
}

/// Seconds since 1970, which may have a fraction. One that isn't a number is as bad as a wrong one.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, TokenError> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let unusable = || TokenError::Claim(name.to_owned());
    if let Some(seconds) = value.as_i64() {
        return Ok(Some(Timestamp::from_micros(0).plus_seconds(seconds)));
    }
    let seconds = value.as_f64().ok_or_else(unusable)?;
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and a fraction of a microsecond doesn't matter")]
    let micros = (seconds * 1e6) as i64;
    Ok(Some(Timestamp::from_micros(micros)))
}

/// `aud` is a text or a list of them.
fn is_for_one_of(aud: Option<&Value>, audiences: &[String]) -> bool {
    let is_ours = |value: &Value| value.as_str().is_some_and(|text| audiences.iter().any(|audience| audience == text));
    match aud {
        Some(Value::Array(list)) => list.iter().any(is_ours),
        Some(value) => is_ours(value),
        None => false,
    }
}

/// Settings are texts, so `true` and `7` are compared as they are written.
fn is_written_as(value: &Value, expected: &str) -> bool {
    match value {
        Value::String(text) => text == expected,
        Value::Bool(truth) => expected == if *truth { "true" } else { "false" },
        Value::Number(number) => number.to_string() == expected,
        _ => false,
    }
}

/// The claim of this name; else dots lead into objects. Names have dots themselves (`kubernetes.io`), so at each step
/// the longest name that is there wins.
fn find<'a>(claims: &'a Map<String, Value>, path: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    path.rmatch_indices('.').find_map(|(at, _)| find(claims.get(&path[..at])?.as_object()?, &path[at + 1..]))
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
