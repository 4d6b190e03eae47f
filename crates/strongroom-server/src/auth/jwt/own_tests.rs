use proptest::{collection::vec, prelude::*};

use super::{super::test_support::*, *};

const ISSUER: &str = "https://secrets.example";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn key() -> SigningKey {
    SigningKey::from_seed(&[7; 32])
}

fn claims() -> OwnClaims {
    OwnClaims {
        tenant_name: "acme".to_owned(),
        issuer: ISSUER.to_owned(),
        sub: "0190-user".to_owned(),
        subject_type: "user".to_owned(),
        token_id: "0190-token".to_owned(),
        issued_at: at(NOW),
        expires_at: at(NOW + 600),
        username: None,
        email: Some("a@example.com".to_owned()),
    }
}

fn verified(token: &str) -> Result<OwnClaims, TokenError> {
    let ours = |id: &str| (id == "k1").then(|| *key().public_key());
    verify_own(&Compact::parse(token)?, ours, ISSUER, at(NOW))
}

#[test]
fn what_is_issued_verifies() {
    assert_eq!(verified(&issue(&claims(), &key(), "k1")), Ok(claims()));
}

#[test]
fn the_same_claims_give_the_same_text() {
    let token = issue(&claims(), &key(), "k1");
    assert_eq!(token, issue(&claims(), &key(), "k1"));
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    assert_eq!(parts.next().unwrap(), br#"{"alg":"EdDSA","typ":"JWT","kid":"k1"}"#);
    let expected = br#"{"tenantName":"acme","iss":"https://secrets.example","sub":"0190-user","subjectType":"user","jti":"0190-token","iat":1800000000,"exp":1800000600,"email":"a@example.com"}"#;
    assert_eq!(parts.next().unwrap(), expected);
    assert_eq!(parts.next().unwrap().len(), 64);
}

#[test]
fn what_is_not_ours_now_is_refused() {
    let issue = |change: fn(&mut OwnClaims)| {
        let mut claims = claims();
        change(&mut claims);
        issue(&claims, &key(), "k1")
    };
    assert_eq!(verified(&issue(|claims| claims.expires_at = at(NOW))), Err(TokenError::Expired));
    assert_eq!(verified(&issue(|claims| claims.issued_at = at(NOW + 61))), Err(TokenError::NotYetValid));
    let mismatch = Err(TokenError::Mismatch("iss".to_owned()));
    assert_eq!(verified(&issue(|claims| claims.issuer = "https://other.example".to_owned())), mismatch);
}

#[test]
fn only_our_keys_sign() {
    let stranger = SigningKey::from_seed(&[8; 32]);
    assert_eq!(verified(&issue(&claims(), &stranger, "k1")), Err(TokenError::Signature));
    assert_eq!(verified(&issue(&claims(), &key(), "k2")), Err(TokenError::UnknownKey));
    let [header, claims, signature]: [&str; 3] =
        issue(&self::claims(), &key(), "k1").leak().split('.').collect::<Vec<_>>().try_into().unwrap();
    assert!(verified(&format!("{header}.{claims}.{signature}")).is_ok());
    let header = |text: &str| base64url(text);
    for (head, error) in [
        (r#"{"alg":"EdDSA"}"#, TokenError::UnknownKey),
        (r#"{"alg":"none","kid":"k1"}"#, TokenError::Algorithm),
        (r#"{"alg":"HS256","kid":"k1"}"#, TokenError::Algorithm),
        (r#"{"alg":"EdDSA","kid":"k1"}"#, TokenError::Signature),
    ] {
        assert_eq!(verified(&format!("{}.{claims}.{signature}", header(head))), Err(error), "{head}");
    }
    assert_eq!(verified(&format!("{}.{claims}.", header(r#"{"alg":"none","kid":"k1"}"#))), Err(TokenError::Algorithm));
}

#[test]
fn a_provider_signs_no_tokens_of_ours() {
    let token = Signer::of("EdDSA").token(Some("k1"));
    assert_eq!(verified(&token), Err(TokenError::Signature));
}

#[tokio::test]
async fn others_can_verify_with_the_published_keys() {
    let public = *key().public_key();
    let document = jwks(&[("k0", *SigningKey::from_seed(&[9; 32]).public_key()), ("k1", public)]);
    assert_eq!(
        document["keys"][1],
        json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(public), "kid": "k1", "use": "sig", "alg": "EdDSA"})
    );
    let keys = super::super::key_set::KeySet::parse(document.to_string().as_bytes()).unwrap();
    let token = issue(&claims(), &key(), "k1");
    assert_eq!(keys.verify(&Compact::parse(&token).unwrap()), Ok(()));
}

proptest! {
    #[test]
    fn any_claims_come_back(
        texts in prop::array::uniform5("\\PC{0,20}"), username in prop::option::of("\\PC{0,20}"), seconds in 1_i64..1_000_000_000
    ) {
        let [tenant_name, sub, subject_type, token_id, email] = texts;
        let claims = OwnClaims {
            tenant_name, sub, subject_type, token_id, username, email: Some(email),
            expires_at: at(NOW + seconds), issued_at: at(NOW - seconds), ..claims()
        };
        let token = issue(&claims, &key(), "k1");
        prop_assert_eq!(verified(&token), Ok(claims.clone()));
        prop_assert_eq!(token, issue(&claims, &key(), "k1"));
    }

    #[test]
    fn no_changed_token_verifies(at in any::<prop::sample::Index>(), byte in 0x21_u8..0x7f) {
        let mut token = issue(&claims(), &key(), "k1").into_bytes();
        let at = at.index(token.len());
        prop_assume!(token[at] != byte);
        token[at] = byte;
        prop_assert!(verified(std::str::from_utf8(&token).unwrap()).is_err());
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(verified(&String::from_utf8_lossy(&bytes)).is_err());
    }
}
