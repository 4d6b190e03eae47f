//! JSON Web Keys (RFC 7517): which keys a provider signs with, and with which algorithm each.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use strongroom_crypto::{PublicKey, SignatureAlgorithm};

use super::{
    compact::Compact,
    error::{KeysError, TokenError},
    strict_json,
};

/// Large providers have some ten keys with certificates.
pub(super) const LARGEST: usize = 256 * 1024;
const MOST_KEYS: usize = 100;
/// For one token: without a key id any key could be meant.
const MOST_CANDIDATES: usize = 16;

/// The keys of a provider that signatures can be verified with.
#[derive(Debug, Default)]
pub(super) struct KeySet(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    key: PublicKey,
}

impl KeySet {
    /// Reads a key set. What is meant for something else, or isn't known here, is left out: one strange key mustn't
    /// make the others useless.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, KeysError> {
        if bytes.len() > LARGEST {
            return Err(KeysError::Malformed("it is too long"));
        }
        let document = strict_json::object(bytes).ok_or(KeysError::Malformed("it is no JSON object"))?;
        let Some(Value::Array(keys)) = document.get("keys") else {
            return Err(KeysError::Malformed("it has no list of keys"));
        };
        if keys.len() > MOST_KEYS {
            return Err(KeysError::Malformed("it has too many keys"));
        }
        Ok(Self(keys.iter().filter_map(Value::as_object).filter_map(read_key).collect()))
    }

    /// Whether a key has this id; without an id, whether there is a key at all.
    pub(super) fn may_verify(&self, key_id: Option<&str>) -> bool {
        self.candidates(key_id).next().is_some()
    }

    /// Whether one of the keys signed the token, with the algorithm that the key has and the token says.
    pub(super) fn verify(&self, token: &Compact<'_>) -> Result<(), TokenError> {
        let mut error = TokenError::UnknownKey;
        for Key { key, .. } in self.candidates(token.key_id.as_deref()) {
            if token.algorithm != name(key.algorithm()) {
                // That another key fits and didn't sign says more.
                if error == TokenError::UnknownKey {
                    error = TokenError::Algorithm;
                }
            } else if key.verify(token.signed.as_bytes(), &token.signature) {
                return Ok(());
            } else {
                error = TokenError::Signature;
            }
        }
        Err(error)
    }

    fn candidates(&self, key_id: Option<&str>) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(move |key| key_id.is_none() || key.id.as_deref() == key_id).take(MOST_CANDIDATES)
    }
}

/// `None`: not for signatures, not of a known kind, or broken.
fn read_key(jwk: &Map<String, Value>) -> Option<Key> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
    let allows_verifying = match jwk.get("key_ops") {
        None => true,
        Some(operations) => operations.as_array()?.iter().any(|operation| operation == "verify"),
    };
    if !allows_verifying || jwk.get("use").is_some_and(|use_| use_ != "sig") {
        return None;
    }
    let algorithm = match jwk.get("alg") {
        None => None,
        Some(said) => Some(named(said.as_str()?)?),
    };
    let key = match (text("kty")?, text("crv")) {
        ("RSA", _) => PublicKey::rsa(algorithm.unwrap_or(SignatureAlgorithm::Rs256), &bytes("n")?, &bytes("e")?),
        ("EC", Some("P-256")) => PublicKey::p256(&bytes("x")?, &bytes("y")?),
        ("EC", Some("P-384")) => PublicKey::p384(&bytes("x")?, &bytes("y")?),
        ("OKP", Some("Ed25519")) => PublicKey::ed25519(&bytes("x")?),
        _ => None,
    }?;
    let is_as_said = algorithm.is_none_or(|said| said == key.algorithm());
    let id = match jwk.get("kid") {
        None => None,
        Some(id) => Some(id.as_str()?.to_owned()),
    };
    is_as_said.then_some(Key { id, key })
}

const NAMES: [(&str, SignatureAlgorithm); 9] = [
    ("RS256", SignatureAlgorithm::Rs256),
    ("RS384", SignatureAlgorithm::Rs384),
    ("RS512", SignatureAlgorithm::Rs512),
    ("PS256", SignatureAlgorithm::Ps256),
    ("PS384", SignatureAlgorithm::Ps384),
    ("PS512", SignatureAlgorithm::Ps512),
    ("ES256", SignatureAlgorithm::Es256),
    ("ES384", SignatureAlgorithm::Es384),
    ("EdDSA", SignatureAlgorithm::EdDsa),
];

fn named(name: &str) -> Option<SignatureAlgorithm> {
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
}

fn name(algorithm: SignatureAlgorithm) -> &'static str {
    NAMES.iter().find(|(_, known)| *known == algorithm).map_or("", |(name, _)| *name)
}
