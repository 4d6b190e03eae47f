//! AWS' published vectors (aws-sig-v4-test-suite): those that are about requests to `/` without a query.

use http::Method;

use super::*;

const SCOPE: Scope<'_> = Scope { region: "us-east-1", service: "service" };
/// The suite's session token of its own vector.
const TOKEN_VECTOR: &str = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
/// The one in AWS' documentation of STS.
const STS_TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTf\
                         lfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HF\
                         vlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr\
                         4rvx3iSIlTJabIQwj2ICCR/oLxBA==";

fn credentials(token: Option<&str>) -> Credentials {
    Credentials {
        access_key_id: "AKIDEXAMPLE".to_owned(),
        secret_access_key: SecretValue::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned()),
        session_token: token.map(|token| SecretValue::new(token.to_owned())),
    }
}

fn moment() -> Timestamp {
    Timestamp::parse("2015-08-30T12:36:00Z").unwrap()
}

fn signed(
    method: &Method,
    headers: &[(&'static str, &'static str)],
    body: &'static str,
    token: Option<&str>,
) -> Request<Bytes> {
    let mut request = Request::new(Bytes::from_static(body.as_bytes()));
    request.method_mut().clone_from(method);
    for (name, value) in headers {
        request.headers_mut().append(*name, HeaderValue::from_static(value));
    }
    sign(&mut request, "example.amazonaws.com", &credentials(token), SCOPE, moment()).unwrap();
    request
}

fn authorization(request: &Request<Bytes>) -> &str {
    request.headers()[header::AUTHORIZATION].to_str().unwrap()
}

#[test]
fn the_published_vectors_are_met() {
    let form = ("content-type", "application/x-www-form-urlencoded");
    for (vector, method, headers, body, token, names, signature) in [
        (
            "get-vanilla",
            Method::GET,
            &[][..],
            "",
            None,
            "host;x-amz-date",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            "post-vanilla",
            Method::POST,
            &[],
            "",
            None,
            "host;x-amz-date",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            "post-header-key-sort",
            Method::POST,
            &[("my-header1", "value1")],
            "",
            None,
            "host;my-header1;x-amz-date",
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
        ),
        (
            "get-header-value-trim",
            Method::GET,
            &[("my-header1", " value1"), ("my-header2", " \"a   b   c\"")],
            "",
            None,
            "host;my-header1;my-header2;x-amz-date",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
        (
            "get-vanilla-with-session-token",
            Method::GET,
            &[],
            "",
            Some(TOKEN_VECTOR),
            "host;x-amz-date;x-amz-security-token",
            "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
        ),
        (
            "post-sts-header-before",
            Method::POST,
            &[],
            "",
            Some(STS_TOKEN),
            "host;x-amz-date;x-amz-security-token",
            "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
        ),
        (
            "post-x-www-form-urlencoded",
            Method::POST,
            &[
                form,
                ("content-length", "13"),
                ("x-amz-content-sha256", "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"),
            ],
            "Param1=value1",
            None,
            "content-length;content-type;host;x-amz-content-sha256;x-amz-date",
            "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
        ),
    ] {
        let expected = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={names}, \
             Signature={signature}"
        );
        assert_eq!(authorization(&signed(&method, headers, body, token)), expected, "{vector}");
    }
}

#[test]
fn signing_again_is_as_signing_once() {
    let once = signed(&Method::POST, &[], "", Some(TOKEN_VECTOR));
    let mut again = signed(&Method::POST, &[], "", Some(STS_TOKEN));
    let later = moment().plus_seconds(60);
    sign(&mut again, "example.amazonaws.com", &credentials(Some(TOKEN_VECTOR)), SCOPE, later).unwrap();
    assert_ne!(authorization(&once), authorization(&again));
    sign(&mut again, "example.amazonaws.com", &credentials(Some(TOKEN_VECTOR)), SCOPE, moment()).unwrap();
    assert_eq!(once.headers(), again.headers());
}

#[test]
fn no_credential_is_shown() {
    let request = signed(&Method::POST, &[], "", Some(TOKEN_VECTOR));
    let shown = format!("{:?} {:?}", request.headers(), credentials(Some(TOKEN_VECTOR)));
    for secret in [TOKEN_VECTOR, "wJalrXUtnFEMI", "Signature="] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_credential_that_fits_into_no_header_is_no_panic() {
    let mut request = Request::new(Bytes::new());
    assert!(sign(&mut request, "h", &credentials(Some("a\nb")), SCOPE, moment()).is_none());
}
