//! A token taken apart, before anything in it is believed.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use super::{error::TokenError, strict_json};

/// Longer tokens don't fit into the headers of many servers in between.
pub(super) const LONGEST: usize = 8 * 1024;
const LONGEST_KEY_ID: usize = 256;
/// What a token may say that it is. Others (logout tokens, security events, proofs of possession) have the same form
/// and the same keys, and mean something else.
const TYPES: [&str; 2] = ["jwt", "at+jwt"];

/// A token in the compact form of a JSON Web Signature (RFC 7515), not verified.
pub(crate) struct Compact<'a> {
    pub(super) algorithm: String,
    pub(super) key_id: Option<String>,
    pub(super) claims: Map<String, Value>,
    pub(super) signed: &'a str,
    pub(super) signature: Vec<u8>,
}

impl<'a> Compact<'a> {
    /// Takes `token` apart.
    pub(crate) fn parse(token: &'a str) -> Result<Self, TokenError> {
        if token.len() > LONGEST {
            return Err(TokenError::TooLong(LONGEST));
        }
        let parts = || {
            let (signed, signature) = token.rsplit_once('.')?;
            let (header, claims) = signed.split_once('.')?;
            // A further dot would be in the claims, and isn't base64url.
            Some((signed, header, claims, signature))
        };
        let (signed, header, claims, signature) = parts().ok_or(TokenError::Malformed("it must have three parts"))?;
        let header = object(header)?;
        let (algorithm, key_id) = read_header(&header)?;
        Ok(Self { algorithm, key_id, claims: object(claims)?, signed, signature: decode(signature)? })
    }

    /// Who it says that it is from. To choose the provider by whose keys it is then verified, and for nothing else.
    pub(crate) fn issuer_unverified(&self) -> Option<&str> {
        self.claims.get("iss")?.as_str()
    }
}

/// Algorithm and key id. All else in a header is a way to say where to find a key, and isn't looked at.
fn read_header(header: &Map<String, Value>) -> Result<(String, Option<String>), TokenError> {
    // What is critical must be understood, and we understand nothing more.
    if header.contains_key("crit") {
        return Err(TokenError::Malformed("it has critical extensions"));
    }
    let Some(Value::String(algorithm)) = header.get("alg") else {
        return Err(TokenError::Malformed("its header says no algorithm"));
    };
    let key_id = match header.get("kid") {
        None => None,
        Some(Value::String(id)) if id.len() <= LONGEST_KEY_ID => Some(id.clone()),
        Some(_) => return Err(TokenError::Malformed("its key id is no short text")),
    };
    match header.get("typ") {
        None => {}
        Some(Value::String(name)) if is_token(name) => {}
        Some(_) => return Err(TokenError::Malformed("its type isn't JWT")),
    }
    Ok((algorithm.clone(), key_id))
}

/// A media type, whose first half may be left out, and which has no case.
fn is_token(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    TYPES.contains(&name.strip_prefix("application/").unwrap_or(&name))
}

fn object(part: &str) -> Result<Map<String, Value>, TokenError> {
    strict_json::object(&decode(part)?)
        .ok_or(TokenError::Malformed("its header and its claims must be JSON objects without repeated names"))
}

/// Without padding, line ends or stray bits.
fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed("it isn't base64url"))
}
