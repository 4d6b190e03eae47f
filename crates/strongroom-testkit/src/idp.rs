//! An identity provider on this machine.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use strongroom_domain::Clock as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::TestClock;

/// Signs tokens and serves its keys over plain HTTP on a port of 127.0.0.1, which takes the setting
/// `STRONGROOM_EGRESS_ALLOW`. It goes when this is dropped.
pub struct FakeIdp {
    clock: TestClock,
    keys_uri: String,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

struct State {
    key: Ed25519KeyPair,
    /// Of the key; each has another.
    key_id: usize,
    down: bool,
    asked: usize,
}

impl Drop for FakeIdp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl FakeIdp {
    /// What the setting `STRONGROOM_EGRESS_ALLOW` must have for its keys to be fetched.
    pub const EGRESS: (&str, &str) = ("STRONGROOM_EGRESS_ALLOW", "127.0.0.0/8");
    /// The audience of its tokens.
    pub const AUDIENCE: &str = "strongroom";
    /// The `iss` of its tokens.
    pub const ISSUER: &str = "https://idp.test";

    /// With a key; its tokens begin at the clock's time.
    pub async fn start(clock: &TestClock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let keys_uri = format!("http://{}/keys", listener.local_addr().unwrap());
        let state = State { key: Ed25519KeyPair::generate().unwrap(), key_id: 1, down: false, asked: 0 };
        let state = Arc::new(Mutex::new(state));
        let server = tokio::spawn(serve(listener, state.clone()));
        Self { clock: clock.clone(), keys_uri, state, server }
    }

    /// Its manifest, for tokens with its issuer and audience.
    #[must_use]
    pub fn manifest(&self, name: &str) -> Value {
        json!({
            "type": "identity-provider",
            "name": name,
            "issuer": Self::ISSUER,
            "audiences": [Self::AUDIENCE],
            "jwks_uri": self.keys_uri,
        })
    }

    /// A token with these claims; issuer, audience and times where they don't say. A claim that is null is left out.
    #[must_use]
    pub fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": self.key_id()});
        self.token_with(&header, claims)
    }

    /// With a header of one's own; truly signed.
    #[must_use]
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let signed = format!("{}.{}", encoded(header.to_string()), encoded(self.claims(claims).to_string()));
        let signature = self.state().key.sign(signed.as_bytes());
        format!("{signed}.{}", encoded(signature))
    }

    /// Not signed at all.
    #[must_use]
    pub fn unsigned_token(&self, claims: &Value) -> String {
        let header = json!({"alg": "none", "typ": "JWT"});
        let signed = format!("{}.{}", encoded(header.to_string()), encoded(self.claims(claims).to_string()));
        format!("{signed}.{}", encoded("x"))
    }

    /// Signed as by HMAC, with the public key, which everybody knows.
    #[must_use]
    pub fn token_by_public_key(&self, claims: &Value) -> String {
        let header = json!({"alg": "HS256", "typ": "JWT", "kid": self.key_id()});
        let signed = format!("{}.{}", encoded(header.to_string()), encoded(self.claims(claims).to_string()));
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.state().key.public_key().as_ref());
        format!("{signed}.{}", encoded(hmac::sign(&key, signed.as_bytes())))
    }

    /// Takes another key; the old one is served no more.
    pub fn rotate(&self) {
        let mut state = self.state();
        state.key = Ed25519KeyPair::generate().unwrap();
        state.key_id += 1;
    }

    /// Answers with an error from now on, or with its keys.
    pub fn set_down(&self, down: bool) {
        self.state().down = down;
    }

    /// How often it was asked for its keys.
    pub fn asked(&self) -> usize {
        self.state().asked
    }

    /// The id of the key that signs.
    #[must_use]
    pub fn key_id(&self) -> String {
        key_id(&self.state())
    }

    fn claims(&self, claims: &Value) -> Value {
        let now = self.clock.now().micros() / 1_000_000;
        let mut all = json!({"iss": Self::ISSUER, "aud": Self::AUDIENCE, "iat": now, "exp": now + 3_600});
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        all.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        all
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key_id(state: &State) -> String {
    format!("key-{}", state.key_id)
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else { return };
        let mut head = Vec::new();
        let mut part = [0; 1024];
        while !head.windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read(&mut part).await {
                Ok(count) if count > 0 => head.extend_from_slice(&part[..count]),
                _ => break,
            }
        }
        let (status, body) = answer(&state);
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        // Whoever went away isn't answered.
        let _ = stream.write_all(answer.as_bytes()).await;
        let _ = stream.shutdown().await;
    }
}

fn answer(state: &Mutex<State>) -> (&'static str, String) {
    let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
    state.asked += 1;
    if state.down {
        return ("503 Service Unavailable", "{}".to_owned());
    }
    let key = json!({
        "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig",
        "kid": key_id(&state), "x": encoded(state.key.public_key()),
    });
    ("200 OK", json!({"keys": [key]}).to_string())
}
