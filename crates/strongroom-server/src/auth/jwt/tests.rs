//! The whole way of a token, and what a forger may try.

use aws_lc_rs::hmac;
use http::StatusCode;
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};
use strongroom_stores::egress::{AddressPolicy, EgressClient};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{key_set::KeySet, test_support::*, *};

async fn verify_with(keys: &[Value], token: &str) -> Result<VerifiedToken, TokenError> {
    let verifier = Verifier::new(SetClock::at(NOW), FakeIdp::with_keys(keys));
    verifier.verify(&Compact::parse(token)?, &provider()).await.map(|(verified, _)| verified)
}

fn key_set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).unwrap()
}

/// What a forger reaches: the token taken apart, and its signature held against these keys.
fn signed_by(keys: &[Value], token: &str) -> Result<(), TokenError> {
    key_set(keys).verify(&Compact::parse(token)?)
}

#[tokio::test]
async fn each_algorithm_verifies_with_and_without_key_ids() {
    for algorithm in ALGORITHMS {
        let signer = Signer::of(algorithm);
        for (jwk, token) in [
            (signer.jwk_with_id("a"), signer.token(Some("a"))),
            (signer.jwk_with_id("a"), signer.token(None)),
            (signer.jwk(), signer.token(None)),
        ] {
            assert_eq!(verify_with(&[jwk], &token).await.unwrap().subject_value, "subject", "{algorithm}");
        }
        assert_eq!(verify_with(&[signer.jwk()], &signer.token(Some("a"))).await, Err(TokenError::UnknownKey));
    }
}

#[test]
fn the_algorithm_is_the_keys() {
    for algorithm in ALGORITHMS {
        let signer = Signer::of(algorithm);
        for said in [
            "RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA", "HS256", "none", "None", "",
            "rs256",
        ] {
            let token = signer.sign(&json!({"alg": said, "kid": "a"}), &claims());
            let expected = if said == algorithm { Ok(()) } else { Err(TokenError::Algorithm) };
            assert_eq!(signed_by(&[signer.jwk_with_id("a")], &token), expected, "{algorithm} as {said}");
        }
    }
    // Without `alg` an RSA key is one of RS256, whatever its owner does with it.
    let mut jwk = Signer::of("RS384").jwk();
    jwk.as_object_mut().unwrap().remove("alg");
    assert_eq!(signed_by(&[jwk.clone()], &Signer::of("RS384").token(None)), Err(TokenError::Algorithm));
    let mut jwk = Signer::of("RS256").jwk();
    jwk.as_object_mut().unwrap().remove("alg");
    assert_eq!(signed_by(&[jwk], &Signer::of("RS256").token(None)), Ok(()));
}

#[test]
fn a_public_key_is_no_secret_of_an_hmac() {
    let rsa = Signer::of("RS256");
    let (n, e) = rsa.rsa_components();
    let jwk = rsa.jwk_with_id("a");
    let secrets = [n.to_vec(), [n, e].concat(), base64url(n).into_bytes(), jwk.to_string().into_bytes(), Vec::new()];
    for said in ["HS256", "RS256", "HS384", "none"] {
        let signed =
            format!("{}.{}", base64url(json!({"alg": said, "kid": "a"}).to_string()), base64url(claims().to_string()));
        for secret in &secrets {
            let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), signed.as_bytes());
            let token = format!("{signed}.{}", base64url(mac));
            // Even where the provider itself lists it as one.
            let symmetric = json!({"kty": "oct", "kid": "a", "alg": said, "k": base64url(secret)});
            let result = signed_by(&[jwk.clone(), symmetric], &token);
            assert!(matches!(result, Err(TokenError::Algorithm | TokenError::Signature)), "{said}: {result:?}");
        }
        assert!(signed_by(std::slice::from_ref(&jwk), &format!("{signed}.")).is_err());
    }
}

#[test]
fn keys_in_a_token_are_not_looked_at() {
    let (ours, forger) = (Signer::of("ES256"), Signer::of("EdDSA"));
    for header in [
        json!({"alg": "EdDSA", "jwk": forger.jwk()}),
        json!({"alg": "EdDSA", "jku": "https://forger.example/keys", "x5u": "https://forger.example/x", "x5c": ["AA=="]}),
    ] {
        assert_eq!(signed_by(&[ours.jwk()], &forger.sign(&header, &claims())), Err(TokenError::Algorithm));
    }
}

#[test]
fn a_key_id_chooses_and_none_means_any() {
    let (one, other) = (Signer::of("RS256"), Signer::of("PS256"));
    let keys = [one.jwk_with_id("one"), other.jwk_with_id("other"), Signer::of("EdDSA").jwk_with_id("one")];
    assert_eq!(signed_by(&keys, &other.token(Some("other"))), Ok(()));
    assert_eq!(signed_by(&keys, &other.token(None)), Ok(()));
    assert_eq!(signed_by(&keys, &Signer::of("EdDSA").token(Some("one"))), Ok(()), "two keys of one id");
    assert_eq!(signed_by(&keys, &other.token(Some("one"))), Err(TokenError::Algorithm));
    assert_eq!(signed_by(&keys, &other.token(Some("another"))), Err(TokenError::UnknownKey));
    assert_eq!(signed_by(&[], &other.token(None)), Err(TokenError::UnknownKey));
    // The same algorithm, another key.
    let mut stranger = other.jwk_with_id("other");
    stranger["n"] = one.jwk()["n"].clone();
    assert_eq!(signed_by(&[stranger], &other.token(Some("other"))), Err(TokenError::Signature));
}

#[test]
fn at_most_sixteen_keys_are_tried() {
    let (wrong, right) = (Signer::of("ES256"), Signer::of("EdDSA"));
    let keys = |before: usize| {
        let mut keys = vec![wrong.jwk(); before];
        keys.push(right.jwk());
        keys
    };
    assert_eq!(signed_by(&keys(15), &right.token(None)), Ok(()));
    assert_eq!(signed_by(&keys(16), &right.token(None)), Err(TokenError::Algorithm));
}

#[test]
fn what_is_no_signing_key_is_left_out() {
    let changed = |algorithm: &str, name: &str, value: Value| {
        let mut jwk = Signer::of(algorithm).jwk();
        if value.is_null() {
            jwk.as_object_mut().unwrap().remove(name)
        } else {
            jwk.as_object_mut().unwrap().insert(name.to_owned(), value)
        };
        jwk
    };
    for (algorithm, name, value) in [
        ("RS256", "use", json!("sig")),
        ("RS256", "key_ops", json!(["verify"])),
        ("RS256", "x5c", json!(["AA=="])),
        ("ES256", "alg", Value::Null),
        ("EdDSA", "alg", Value::Null),
        ("ES384", "alg", Value::Null),
    ] {
        assert!(key_set(&[changed(algorithm, name, value.clone())]).may_verify(None), "{algorithm} {name} {value}");
    }
    for (algorithm, name, value) in [
        ("RS256", "use", json!("enc")),
        ("RS256", "use", json!(["sig"])),
        ("RS256", "use", json!("SIG")),
        ("RS256", "key_ops", json!(["encrypt"])),
        ("RS256", "key_ops", json!([])),
        ("RS256", "key_ops", json!("verify")),
        ("RS256", "alg", json!("HS256")),
        ("RS256", "alg", json!("none")),
        ("RS256", "alg", json!("RSA-OAEP")),
        ("RS256", "alg", json!("ES256")),
        ("RS256", "alg", json!(7)),
        ("RS256", "kid", json!(7)),
        ("RS256", "n", json!(base64url([0xff; 128]))),
        ("RS256", "n", json!("!")),
        ("RS256", "n", Value::Null),
        ("RS256", "e", Value::Null),
        ("RS256", "kty", json!("oct")),
        ("RS256", "kty", json!("rsa")),
        ("RS256", "kty", Value::Null),
        ("ES256", "crv", json!("P-384")),
        ("ES256", "crv", json!("P-521")),
        ("ES256", "crv", json!("secp256k1")),
        ("ES256", "crv", Value::Null),
        ("ES256", "alg", json!("ES384")),
        ("ES256", "alg", json!("EdDSA")),
        ("ES256", "y", json!(base64url([1; 32]))),
        ("ES256", "x", Value::Null),
        ("EdDSA", "crv", json!("X25519")),
        ("EdDSA", "crv", json!("Ed448")),
        ("EdDSA", "alg", json!("RS256")),
        ("EdDSA", "x", json!(base64url([1; 31]))),
    ] {
        let keys = key_set(&[changed(algorithm, name, value.clone())]);
        assert!(!keys.may_verify(None), "{algorithm} {name} {value}");
        let beside = key_set(&[changed(algorithm, name, value), json!(7), Signer::of("ES256").jwk()]);
        assert!(beside.may_verify(None), "a strange key doesn't spoil the others");
    }
}

#[test]
fn key_sets_have_bounds() {
    let set = |count: usize| json!({"keys": vec![json!({}); count]}).to_string().into_bytes();
    assert!(KeySet::parse(&set(100)).is_ok());
    assert!(KeySet::parse(&set(101)).is_err());
    let mut padded = set(1);
    padded.resize(256 * 1024, b' ');
    assert!(KeySet::parse(&padded).is_ok());
    padded.push(b' ');
    assert!(KeySet::parse(&padded).is_err());
    for text in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, r#"{"keys":[{"kid":"a","kid":"b"}]}"#] {
        assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn tokens_have_one_form() {
    let signer = Signer::of("EdDSA");
    let good = signer.token(None);
    let keys = [signer.jwk()];
    assert_eq!(signed_by(&keys, &good), Ok(()));
    let [header, body, signature]: [&str; 3] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    for bad in [
        String::new(),
        "..".to_owned(),
        "a.b".to_owned(),
        header.to_owned(),
        format!("{header}.{body}"),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.{signature}"),
        format!("{good}="),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{header}..{signature}"),
        format!("{header}.{body}.{signature}.{signature}.{signature}"),
        good.replace('.', ". "),
        format!("{header}.{}.{signature}", base64url("[]")),
        format!("{}.{body}.{signature}", base64url("\"EdDSA\"")),
    ] {
        assert!(matches!(signed_by(&keys, &bad), Err(TokenError::Malformed(_))), "{bad}");
    }
    for header in [
        "{}",
        r#"{"alg":null}"#,
        r#"{"alg":["EdDSA"]}"#,
        r#"{"alg":"EdDSA","kid":7}"#,
        r#"{"alg":"EdDSA","kid":null}"#,
        r#"{"alg":"EdDSA","crit":[]}"#,
        r#"{"alg":"EdDSA","crit":["b64"],"b64":false}"#,
        r#"{"alg":"EdDSA","alg":"EdDSA"}"#,
        r#"{"alg":"EdDSA","typ":"logout+jwt"}"#,
        r#"{"alg":"EdDSA","typ":"dpop+jwt"}"#,
        r#"{"alg":"EdDSA","typ":7}"#,
    ] {
        let token = signer.sign_texts(header, &claims().to_string());
        assert!(matches!(signed_by(&keys, &token), Err(TokenError::Malformed(_))), "{header}");
    }
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt", "application/JWT"] {
        assert_eq!(signed_by(&keys, &signer.sign(&json!({"alg": "EdDSA", "typ": typ}), &claims())), Ok(()), "{typ}");
    }
    let twice = signer.sign_texts(r#"{"alg":"EdDSA"}"#, r#"{"sub":"a","exp":1800000600,"sub":"b"}"#);
    assert!(matches!(signed_by(&keys, &twice), Err(TokenError::Malformed(_))));
}

#[test]
fn tokens_have_bounds() {
    let signer = Signer::of("EdDSA");
    let long = |padding: usize| signer.sign(&json!({"alg": "EdDSA"}), &json!({"a": "x".repeat(padding)}));
    assert_eq!(signed_by(&[signer.jwk()], &long(6_000)), Ok(()));
    assert_eq!(signed_by(&[signer.jwk()], &long(6_100)), Err(TokenError::TooLong(8_192)));
    let id = |length: usize| signer.sign(&json!({"alg": "EdDSA", "kid": "k".repeat(length)}), &claims());
    assert_eq!(signed_by(&[signer.jwk()], &id(256)), Err(TokenError::UnknownKey));
    assert!(matches!(signed_by(&[signer.jwk()], &id(257)), Err(TokenError::Malformed(_))));
}

#[tokio::test]
async fn claims_are_checked_after_the_signature() {
    let signer = Signer::of("ES256");
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        signer.sign(&json!({"alg": "ES256"}), &claims)
    };
    let verify = async |token: String| verify_with(&[signer.jwk()], &token).await;
    assert_eq!(verify(with("exp", json!(NOW))).await, Err(TokenError::Expired));
    assert_eq!(verify(with("aud", json!("other"))).await, Err(TokenError::Mismatch("aud".to_owned())));
    assert_eq!(verify(with("iss", json!("other"))).await, Err(TokenError::Mismatch("iss".to_owned())));
    let expired_and_forged = with("exp", json!(NOW)) + "AA";
    assert_eq!(verify(expired_and_forged).await, Err(TokenError::Signature));
}

#[tokio::test]
async fn an_outage_is_told_apart_from_a_bad_token() {
    let idp = FakeIdp::with_keys(&[]);
    idp.set(Err(down()));
    let verifier = Verifier::new(SetClock::at(NOW), idp);
    let token = Signer::of("ES256").token(None);
    let error = verifier.verify(&Compact::parse(&token).unwrap(), &provider()).await.unwrap_err();
    assert!(matches!(error, TokenError::Keys(KeysError::Fetch(_))), "{error}");
}

#[tokio::test]
async fn a_key_made_later_is_found() {
    let (clock, idp) = (SetClock::at(NOW), FakeIdp::with_keys(&[Signer::of("ES256").jwk_with_id("old")]));
    let verifier = Verifier::new(clock.clone(), idp.clone());
    let [old, new] = [Signer::of("ES256").token(Some("old")), Signer::of("EdDSA").token(Some("new"))];
    let verify = async |token: &str| verifier.verify(&Compact::parse(token).unwrap(), &provider()).await.map(drop);
    assert_eq!(verify(&old).await, Ok(()));
    assert_eq!(verify(&new).await, Err(TokenError::UnknownKey));
    idp.set_keys(&[Signer::of("EdDSA").jwk_with_id("new")]);
    clock.advance(30);
    assert_eq!(verify(&new).await, Ok(()));
    assert_eq!(verify(&old).await, Err(TokenError::UnknownKey), "it was withdrawn");
}

#[tokio::test]
async fn key_sets_come_through_the_egress_policy() {
    let fetcher = HttpKeys(EgressClient::new(AddressPolicy::default()));
    for (uri, part) in [
        ("http://127.0.0.1/", "STRONGROOM_EGRESS_ALLOW"),
        ("https://169.254.169.254/", "link-local"),
        ("ftp://a", "https://"),
    ] {
        let error = fetcher.fetch(uri).await.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn key_sets_come_over_http() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/keys", listener.local_addr().unwrap());
    let allow = vec!["127.0.0.0/8".parse().unwrap()];
    let fetcher = HttpKeys(EgressClient::new(AddressPolicy { deny_private: false, allow }));
    let answers =
        ["200 OK\r\ncache-control: max-age=900", "404 Not Found", "302 Found\r\nlocation: /", "204 No Content"];
    let serve = async {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1_024]).await.unwrap();
            let body = if answer.starts_with("204") { "" } else { "content-length: 2\r\n\r\n{}" };
            stream.write_all(format!("HTTP/1.1 {answer}\r\n{body}\r\n").as_bytes()).await.unwrap();
        }
    };
    let fetch = async {
        let answer = fetcher.fetch(&uri).await.unwrap();
        assert_eq!((&answer.body[..], answer.cache_control.as_deref()), (&b"{}"[..], Some("max-age=900")));
        for status in [StatusCode::NOT_FOUND, StatusCode::FOUND, StatusCode::NO_CONTENT] {
            assert_eq!(fetcher.fetch(&uri).await.unwrap_err(), FetchError::Status(status));
        }
    };
    tokio::join!(serve, fetch);
}

#[test]
fn the_issuer_is_read_before_anything_is_believed() {
    let token = Signer::of("EdDSA").token(None);
    assert_eq!(Compact::parse(&token).unwrap().issuer_unverified(), Some("https://idp.example"));
    let other = Signer::of("EdDSA").sign(&json!({"alg": "EdDSA"}), &json!({"iss": ["a"]}));
    assert_eq!(Compact::parse(&other).unwrap().issuer_unverified(), None);
}

#[test]
fn errors_never_repeat_the_token() {
    let signer = Signer::of("EdDSA");
    let canary = json!({"alg": "canary", "kid": "canary", "typ": "canary"});
    for token in [
        signer.sign(&canary, &claims()),
        "canary".to_owned(),
        signer.sign(&json!({"alg": "EdDSA", "kid": "canary"}), &claims()),
    ] {
        let error = signed_by(&[signer.jwk()], &token).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"));
    }
}

/// All keys at once, without ids: whatever verifies under any of them verifies.
fn all_keys() -> Vec<Value> {
    ALGORITHMS.map(|algorithm| Signer::of(algorithm).jwk()).to_vec()
}

/// A good token as it is taken apart, with one thing done to it.
fn mutated() -> impl Strategy<Value = (String, String)> {
    let good = prop::sample::select(ALGORITHMS.to_vec()).prop_map(|algorithm| Signer::of(algorithm).token(None));
    let change = (0..6_usize, any::<prop::sample::Index>(), any::<u8>(), any::<prop::sample::Index>());
    (good, change, "[A-Za-z0-9_.=-]{1,8}").prop_map(|(good, (kind, at, byte, to), text)| {
        let mut bytes = good.clone().into_bytes();
        let (at, to) = (at.index(bytes.len()), to.index(bytes.len()));
        match kind {
            0 => bytes[at] = byte,
            1 => bytes[at] ^= 1 << (byte % 8),
            2 => drop(bytes.remove(at)),
            3 => drop(bytes.splice(at..at, text.bytes())),
            4 => bytes.truncate(at),
            _ => bytes.swap(at, to),
        }
        (good, String::from_utf8_lossy(&bytes).into_owned())
    })
}

// How many cases: PROPTEST_CASES.
proptest! {
    #[test]
    fn no_changed_token_verifies((good, changed) in mutated()) {
        prop_assume!(good != changed);
        let keys = all_keys();
        prop_assert_eq!(signed_by(&keys, &good), Ok(()));
        prop_assert!(signed_by(&keys, &changed).is_err());
    }

    #[test]
    fn no_text_panics_or_verifies(text in prop_oneof!["\\PC{0,80}", "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,90}"]) {
        prop_assert!(signed_by(&all_keys(), &text).is_err());
    }

    #[test]
    fn no_header_or_claims_panic(
        header in prop_oneof!["\\PC{0,40}", "\\{(\"(alg|kid|typ|crit)\":(\"[A-Za-z0-9]{0,6}\"|[0-9]{1,3}|null|\\[\\]),?){0,3}\\}"],
        claims in prop_oneof!["\\PC{0,60}", "\\{(\"(iss|aud|sub|exp|nbf|iat|email)\":(\"[a-z]{0,6}\"|-?[0-9]{1,25}(e[0-9]{1,3})?|null|\\[\\]),?){0,4}\\}"],
    ) {
        let token = Signer::of("EdDSA").sign_texts(&header, &claims);
        if let Ok(parsed) = Compact::parse(&token) {
            let _ = key_set(&all_keys()).verify(&parsed);
            let now = strongroom_domain::Timestamp::from_micros(NOW * 1_000_000);
            let _ = claims::check(&parsed.claims, &provider(), now);
        }
    }

    #[test]
    fn no_key_set_panics(bytes in vec(any::<u8>(), 0..200)) {
        let _ = KeySet::parse(&bytes);
    }

    #[test]
    fn no_key_panics_and_none_verifies_a_token_of_another(
        algorithm in prop::sample::select(ALGORITHMS.to_vec()),
        member in prop::sample::select(vec!["kty", "crv", "alg", "use", "key_ops", "n", "e", "x", "y", "kid"]),
        value in prop_oneof![
            vec(any::<u8>(), 0..300).prop_map(|bytes| json!(base64url(bytes))),
            prop::sample::select(vec!["RSA", "EC", "OKP", "oct", "P-256", "P-384", "Ed25519", "RS256", "PS512", "HS256", "none", "sig"])
                .prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
            Just(json!(7)), Just(json!(["verify"])), Just(Value::Null),
        ],
    ) {
        let mut jwk = Signer::of(algorithm).jwk();
        jwk[member] = value;
        let keys = key_set(&[jwk.clone()]);
        for other in ALGORITHMS.iter().filter(|other| **other != algorithm) {
            let token = Signer::of(other).token(None);
            prop_assert!(keys.verify(&Compact::parse(&token).unwrap()).is_err(), "{} under {}", other, jwk);
        }
    }
}
