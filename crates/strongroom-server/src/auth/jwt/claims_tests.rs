use proptest::prelude::*;
use serde_json::json;

use super::{super::test_support::*, *};

fn now() -> Timestamp {
    Timestamp::from_micros(NOW * 1_000_000)
}

/// The claims of a good token with some changed; null takes one out.
fn changed(changes: &Value) -> Map<String, Value> {
    let Value::Object(mut all) = claims() else { unreachable!() };
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            all.remove(name)
        } else {
            all.insert(name.clone(), value.clone())
        };
    }
    all
}

fn checked(changes: &Value) -> Result<VerifiedToken, TokenError> {
    check(&changed(changes), &provider(), now())
}

#[test]
fn a_good_token_says_who_bears_it() {
    let expected = VerifiedToken {
        subject_value: "subject".to_owned(),
        email: Some("a@example.com".to_owned()),
        sub: Some("subject".to_owned()),
        expires_at: Timestamp::from_micros((NOW + 600) * 1_000_000),
    };
    assert_eq!(checked(&json!({})), Ok(expected));
}

#[test]
fn a_token_has_an_end() {
    assert_eq!(checked(&json!({"exp": NOW})), Err(TokenError::Expired));
    assert_eq!(checked(&json!({"exp": NOW - 1})), Err(TokenError::Expired));
    assert_eq!(checked(&json!({"exp": -1e300})), Err(TokenError::Expired));
    assert!(checked(&json!({"exp": NOW + 1})).is_ok());
    let fraction = checked(&json!({"exp": 1_800_000_000.5})).unwrap();
    assert_eq!(fraction.expires_at, Timestamp::from_micros(NOW * 1_000_000 + 500_000));
    for far in [json!(1e300), json!(u64::MAX), json!(i64::MAX)] {
        assert_eq!(checked(&json!({"exp": far})).unwrap().expires_at, Timestamp::from_micros(i64::MAX));
    }
    for wrong in [json!(null), json!("1900000000"), json!(true), json!([NOW + 600]), json!({})] {
        assert_eq!(checked(&json!({"exp": wrong})), Err(TokenError::Claim("exp".to_owned())), "{wrong}");
    }
}

#[test]
fn a_token_has_a_beginning_with_a_minute_of_leeway() {
    for name in ["nbf", "iat"] {
        assert!(checked(&json!({name: NOW + 60})).is_ok());
        assert!(checked(&json!({name: null})).is_ok());
        assert_eq!(checked(&json!({name: NOW + 61})), Err(TokenError::NotYetValid));
        assert_eq!(checked(&json!({name: 1e300})), Err(TokenError::NotYetValid));
        assert_eq!(checked(&json!({name: "0"})), Err(TokenError::Claim(name.to_owned())));
    }
}

#[test]
fn the_issuer_is_the_providers_to_the_letter() {
    let mismatch = || Err(TokenError::Mismatch("iss".to_owned()));
    for wrong in
        [json!(null), json!("https://idp.example/"), json!("HTTPS://idp.example"), json!(["https://idp.example"])]
    {
        assert_eq!(checked(&json!({"iss": wrong})), mismatch(), "{wrong}");
    }
    let any = ProviderConfig { issuer: None, ..provider() };
    assert!(check(&changed(&json!({"iss": null})), &any, now()).is_ok());
}

#[test]
fn the_audience_has_one_of_ours() {
    for right in [json!("strongroom"), json!(["strongroom"]), json!(["a", 1, "strongroom"])] {
        assert!(checked(&json!({"aud": right})).is_ok(), "{right}");
    }
    for wrong in [
        json!(null),
        json!("strong"),
        json!("Strongroom"),
        json!([]),
        json!(["a"]),
        json!({"strongroom": 1}),
        json!([["strongroom"]]),
    ] {
        assert_eq!(checked(&json!({"aud": wrong})), Err(TokenError::Mismatch("aud".to_owned())), "{wrong}");
    }
    let any = ProviderConfig { audiences: Vec::new(), ..provider() };
    assert!(check(&changed(&json!({"aud": null})), &any, now()).is_ok());
}

fn with_required(path: &str, value: &str) -> ProviderConfig {
    ProviderConfig { required_claims: vec![(path.to_owned(), value.to_owned())], ..provider() }
}

#[test]
fn required_claims_are_equal() {
    let claims = changed(&json!({
        "org": "acme", "admin": true, "team": 7, "kubernetes.io": {"namespace": "prod", "pod": {"name": "a"}}, "list": ["x"],
    }));
    for (path, value) in [
        ("org", "acme"),
        ("admin", "true"),
        ("team", "7"),
        ("kubernetes.io.namespace", "prod"),
        ("kubernetes.io.pod.name", "a"),
    ] {
        assert!(check(&claims, &with_required(path, value), now()).is_ok(), "{path}");
    }
    for (path, value) in [("org", "acm"), ("org", "ACME"), ("admin", "1"), ("list", "x"), ("kubernetes.io", "prod")] {
        let mismatch = Err(TokenError::Mismatch(path.to_owned()));
        assert_eq!(check(&claims, &with_required(path, value), now()), mismatch, "{path}");
    }
    for path in ["missing", "org.name", "kubernetes.io.missing", "kubernetes", ""] {
        assert_eq!(check(&claims, &with_required(path, ""), now()), Err(TokenError::Claim(path.to_owned())), "{path}");
    }
}

#[test]
fn the_subject_is_a_text_found_by_its_path() {
    let claims = changed(&json!({"a.b": "literal", "a": {"b": "nested", "c.d": "dotted"}, "empty": "", "number": 7}));
    let subject = |path: &str| {
        let provider = ProviderConfig { subject_claim: path.to_owned(), ..provider() };
        check(&claims, &provider, now()).map(|token| token.subject_value)
    };
    assert_eq!(subject("a.b"), Ok("literal".to_owned()));
    assert_eq!(subject("a.c.d"), Ok("dotted".to_owned()));
    for path in ["empty", "number", "a", "a.c", "missing", "a..b", "."] {
        assert_eq!(subject(path), Err(TokenError::Claim(path.to_owned())), "{path}");
    }
    let claims = changed(&json!({"a": {"b.c": "short"}, "a.b": {"c": "long"}}));
    let provider_of = |path: &str| ProviderConfig { subject_claim: path.to_owned(), ..provider() };
    assert_eq!(check(&claims, &provider_of("a.b.c"), now()).unwrap().subject_value, "long");
    let without_sub = ProviderConfig { subject_claim: "a.b".to_owned(), ..provider() };
    let claims = changed(&json!({"a": {"b": "x"}, "sub": null}));
    assert_eq!(check(&claims, &without_sub, now()).unwrap().sub, None);
}

#[test]
fn an_email_that_the_provider_has_not_verified_is_none() {
    for (verified, expected) in [
        (json!(null), true),
        (json!(true), true),
        (json!("true"), true),
        (json!(false), false),
        (json!("false"), false),
        (json!("False"), false),
        (json!("no"), false),
        (json!(""), false),
        (json!(0), false),
        (json!(1), false),
        (json!([true]), false),
        (json!({}), false),
    ] {
        let email = checked(&json!({"email_verified": verified})).unwrap().email;
        assert_eq!(email.is_some(), expected, "{verified}");
    }
    let mut unsaid = changed(&json!({}));
    unsaid.insert("email_verified".to_owned(), Value::Null);
    assert_eq!(check(&unsaid, &provider(), now()).unwrap().email, None);
    assert_eq!(checked(&json!({"email": 7})).unwrap().email, None);
    let other = ProviderConfig { email_claim: "profile.mail".to_owned(), ..provider() };
    let claims = changed(&json!({"profile": {"mail": "b@example.com"}}));
    assert_eq!(check(&claims, &other, now()).unwrap().email.as_deref(), Some("b@example.com"));
}

proptest! {
    #[test]
    fn no_path_panics(path in "[a.]{0,12}|\\PC{0,12}", deep in 0_usize..8) {
        let nested = (0..deep).fold(json!("x"), |inner, _| json!({"a": inner, "a.a": "y"}));
        let claims = changed(&json!({"a": nested}));
        let provider = ProviderConfig { subject_claim: path.clone(), email_claim: path.clone(), ..with_required(&path, "x") };
        let _ = check(&claims, &provider, now());
    }

    #[test]
    fn no_number_panics(exp: f64, nbf: i64) {
        let claims = changed(&json!({"exp": exp, "nbf": nbf}));
        if let Ok(token) = check(&claims, &provider(), now()) {
            prop_assert!(token.expires_at > now() && nbf <= NOW + 60);
        }
    }
}
