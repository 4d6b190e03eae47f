//! Tokens of our own: made, verified, and the keys for others to verify them with.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use strongroom_crypto::SigningKey;
#[cfg(test)]
use strongroom_crypto::verify_ed25519;
use strongroom_domain::Timestamp;

#[cfg(test)]
use super::{claims::check_times, compact::Compact, error::TokenError};

const ALGORITHM: &str = "EdDSA";

/// What our tokens say. Clients read `tenantName` and `exp` without verifying anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OwnClaims {
    pub(crate) tenant_name: String,
    #[serde(rename = "iss")]
    pub(crate) issuer: String,
    pub(crate) sub: String,
    pub(crate) subject_type: String,
    #[serde(rename = "jti")]
    pub(crate) token_id: String,
    /// To the second.
    #[serde(rename = "iat", with = "seconds")]
    pub(crate) issued_at: Timestamp,
    /// To the second.
    #[serde(rename = "exp", with = "seconds")]
    pub(crate) expires_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) username: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) email: Option<String>,
}

/// The token with these claims. The same claims under the same key give the same text, so a token needn't be kept to be
/// shown again.
pub(crate) fn issue(claims: &OwnClaims, key: &SigningKey, key_id: &str) -> String {
    let header = json!({ "alg": ALGORITHM, "typ": "JWT", "kid": key_id });
    let claims = serde_json::to_string(claims).expect("texts and numbers are JSON");
    let mut token = String::with_capacity(512);
    URL_SAFE_NO_PAD.encode_string(header.to_string(), &mut token);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(claims, &mut token);
    let signature = key.sign(token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    token
}

/// As those verify our tokens who know only the key set. Here a token is looked up by its digest, so that it ends at once
/// when it is revoked.
///
/// What `token` says, if it was issued by `issuer` with the key that `public_key` gives for its id, and is good now.
/// Whether it was revoked, and whose tenant it is of, is for the caller to see.
#[cfg(test)]
pub(crate) fn verify_own(
    token: &Compact<'_>,
    public_key: impl FnOnce(&str) -> Option<[u8; 32]>,
    issuer: &str,
    now: Timestamp,
) -> Result<OwnClaims, TokenError> {
    let key = token.key_id.as_deref().and_then(public_key).ok_or(TokenError::UnknownKey)?;
    if token.algorithm != ALGORITHM {
        return Err(TokenError::Algorithm);
    }
    if !verify_ed25519(&key, token.signed.as_bytes(), &token.signature) {
        return Err(TokenError::Signature);
    }
    check_times(&token.claims, now)?;
    let claims = OwnClaims::deserialize(&token.claims);
    let claims = claims.map_err(|_| TokenError::Malformed("it has other claims than ours have"))?;
    if claims.issuer == issuer { Ok(claims) } else { Err(TokenError::Mismatch("iss".to_owned())) }
}

/// The key set of these ids and public keys (RFC 7517, RFC 8037).
pub(crate) fn jwks(keys: &[(&str, [u8; 32])]) -> Value {
    let jwk = |(id, public): &(&str, [u8; 32])| {
        json!({
            "kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(public),
            "kid": id, "use": "sig", "alg": ALGORITHM,
        })
    };
    json!({ "keys": keys.iter().map(jwk).collect::<Vec<_>>() })
}

mod seconds {
    use serde::{Deserialize as _, Deserializer, Serializer};
    use strongroom_domain::Timestamp;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it like this")]
    pub(super) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(time.micros().div_euclid(1_000_000))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(deserializer).map(|seconds| Timestamp::from_micros(0).plus_seconds(seconds))
    }
}

#[cfg(test)]
#[path = "own_tests.rs"]
mod tests;
