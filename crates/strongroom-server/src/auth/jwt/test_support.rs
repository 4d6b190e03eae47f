//! Providers that sign in every way, and the network that they are reached over.

use std::sync::{
    Arc, LazyLock, Mutex,
    atomic::{AtomicI64, Ordering},
};

use async_trait::async_trait;
use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PSS_SHA256,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use strongroom_domain::{Clock, Timestamp};
use tokio::sync::Semaphore;

use super::*;

pub(super) const ALGORITHMS: [&str; 6] = ["RS256", "RS384", "PS256", "ES256", "ES384", "EdDSA"];
pub(super) const NOW: i64 = 1_800_000_000;
pub(super) const URI: &str = "https://idp.example/keys";

pub(super) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// One key of a provider.
pub(super) struct Signer {
    pub(super) algorithm: &'static str,
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(EcdsaKeyPair, usize),
    Ed(Ed25519KeyPair),
}

impl Signer {
    fn make(algorithm: &'static str) -> Self {
        let pair = match algorithm {
            "ES256" => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(), 32),
            "ES384" => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(), 48),
            "EdDSA" => Pair::Ed(Ed25519KeyPair::generate().unwrap()),
            _ => Pair::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())),
        };
        Self { algorithm, pair }
    }

    /// One for each algorithm, the same in all tests of a process: RSA keys take a while to make.
    pub(super) fn of(algorithm: &str) -> &'static Self {
        static ALL: LazyLock<Vec<Signer>> = LazyLock::new(|| ALGORITHMS.into_iter().map(Signer::make).collect());
        ALL.iter().find(|signer| signer.algorithm == algorithm).unwrap()
    }

    /// The public key, with `alg` and without an id.
    pub(super) fn jwk(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(_) => {
                let (n, e) = self.rsa_components();
                json!({"kty": "RSA", "n": base64url(n), "e": base64url(e)})
            }
            Pair::Ec(pair, size) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(*size);
                json!({"kty": "EC", "crv": format!("P-{}", size * 8), "x": base64url(x), "y": base64url(y)})
            }
            Pair::Ed(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(pair.public_key())}),
        };
        jwk["alg"] = self.algorithm.into();
        jwk
    }

    pub(super) fn jwk_with_id(&self, id: &str) -> Value {
        let mut jwk = self.jwk();
        jwk["kid"] = id.into();
        jwk
    }

    /// Everything that a public RSA key is written as: what a confused verifier could take for an HMAC key.
    pub(super) fn rsa_components(&self) -> (&[u8], &[u8]) {
        let Pair::Rsa(pair) = &self.pair else { panic!("no RSA key") };
        // PKCS#1 in DER: two headers of four bytes, the modulus after a zero, a header of two bytes, the exponent.
        let der = pair.public_key().as_ref();
        (&der[9..265], &der[267..])
    }

    /// A token with this header and these claims, whatever they say, truly signed.
    pub(super) fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_texts(&header.to_string(), &claims.to_string())
    }

    pub(super) fn sign_texts(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", base64url(header), base64url(claims));
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let message = signed.as_bytes();
                match self.algorithm {
                    "RS256" => pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature),
                    "RS384" => pair.sign(&RSA_PKCS1_SHA384, &random, message, &mut signature),
                    _ => pair.sign(&RSA_PSS_SHA256, &random, message, &mut signature),
                }
                .unwrap();
                signature
            }
            Pair::Ec(pair, _) => pair.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(signed.as_bytes()).as_ref().to_vec(),
        };
        format!("{signed}.{}", base64url(signature))
    }

    /// A good token.
    pub(super) fn token(&self, key_id: Option<&str>) -> String {
        let mut header = json!({"alg": self.algorithm, "typ": "JWT"});
        if let Some(id) = key_id {
            header["kid"] = id.into();
        }
        self.sign(&header, &claims())
    }
}

/// Of a good token.
pub(super) fn claims() -> Value {
    json!({
        "iss": "https://idp.example", "aud": ["strongroom", "other"], "sub": "subject", "iat": NOW, "exp": NOW + 600,
        "email": "a@example.com",
    })
}

pub(super) fn provider() -> ProviderConfig {
    ProviderConfig {
        id: "1".to_owned(),
        name: "idp".to_owned(),
        issuer: Some("https://idp.example".to_owned()),
        jwks_uri: URI.to_owned(),
        audiences: vec!["strongroom".to_owned()],
        subject_claim: "sub".to_owned(),
        email_claim: "email".to_owned(),
        required_claims: Vec::new(),
    }
}

/// A clock that stands until it is set, in seconds.
pub(super) struct SetClock(AtomicI64);

impl SetClock {
    pub(super) fn at(seconds: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(seconds)))
    }

    pub(super) fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst) * 1_000_000)
    }
}

/// A body and the header `Cache-Control`.
type Answer = Result<(Vec<u8>, Option<String>), FetchError>;

/// Answers as it is told, and counts.
pub(super) struct FakeIdp {
    answer: Mutex<Answer>,
    asked: AtomicI64,
    /// Each answer takes one.
    permits: Semaphore,
}

impl FakeIdp {
    pub(super) fn with_keys(keys: &[Value]) -> Arc<Self> {
        let fake =
            Self { answer: Mutex::new(Err(down())), asked: AtomicI64::new(0), permits: Semaphore::new(1_000_000) };
        fake.set_keys(keys);
        Arc::new(fake)
    }

    pub(super) fn set_keys(&self, keys: &[Value]) {
        self.set(Ok((json!({"keys": keys}).to_string().into_bytes(), None)));
    }

    pub(super) fn set(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// How often it was asked since the last time that this was called.
    pub(super) fn asked(&self) -> i64 {
        self.asked.swap(0, Ordering::SeqCst)
    }

    /// Lets no answer through from now on.
    pub(super) fn hold(&self) {
        self.permits.forget_permits(1_000_000);
    }

    pub(super) fn release(&self) {
        self.permits.add_permits(1_000_000);
    }
}

pub(super) fn down() -> FetchError {
    FetchError::Status(http::StatusCode::BAD_GATEWAY)
}

#[async_trait]
impl FetchKeys for FakeIdp {
    fn check(&self, _: &str) -> Result<(), FetchError> {
        Ok(())
    }

    async fn fetch(&self, uri: &str) -> Result<Fetched, FetchError> {
        assert_eq!(uri, URI);
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        let answer = self.answer.lock().unwrap().clone();
        answer.map(|(body, cache_control)| Fetched { body: body.into(), cache_control })
    }
}
