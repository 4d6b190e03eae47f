//! Bodies as AWS documents them, or as its users have posted them.

use http::HeaderMap;

use super::*;
use crate::{aws::wire::judge, outer::Verdict};

fn answer(status: u16, body: &str) -> Answer {
    Answer {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: body.to_owned().into(),
        after_unclear: false,
    }
}

fn explained(status: u16, body: &str) -> StoreError {
    let tried = Tried {
        store: "aws/secrets-manager",
        permission: "secretsmanager:CreateSecret",
        is_write: true,
        target: "/tfy-secret/a/b/c",
        hidden: None,
    };
    Failure::Refused(Refusal::read(&answer(status, body))).explain(&tried)
}

#[test]
fn each_error_has_its_meaning() {
    use StoreErrorKind::{AlreadyExists, NotFound, PermissionDenied, Refused, Throttled, Unauthenticated, Unavailable};
    for (status, body, kind, words) in [
        (
            400,
            r#"{"__type":"ResourceNotFoundException","Message":"Secrets Manager can't find the specified secret."}"#,
            NotFound,
            "isn't there",
        ),
        (
            400,
            r#"{"__type":"ResourceExistsException","Message":"The operation failed because the secret x already exists."}"#,
            AlreadyExists,
            "already there",
        ),
        (
            400,
            r#"{"__type":"InvalidRequestException","Message":"You can't create this secret because a secret with this name is already scheduled for deletion."}"#,
            Refused,
            "scheduled for deletion",
        ),
        (
            400,
            r#"{"__type":"LimitExceededException","Message":"You've exceeded the number of staging labels"}"#,
            Refused,
            "a quota of AWS is reached",
        ),
        (400, r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#, Throttled, "fewer requests"),
        (
            400,
            r#"{"__type":"AccessDeniedException","Message":"User: arn:aws:iam::1:user/x is not authorized to perform: secretsmanager:CreateSecret on resource: y because no identity-based policy allows it"}"#,
            PermissionDenied,
            "the permission secretsmanager:CreateSecret on `/tfy-secret/a/b/c` is missing; AWS says: User: arn:aws:iam::1:user/x is not",
        ),
        (
            400,
            r#"{"__type":"AccessDeniedException","Message":"Access to KMS is not allowed"}"#,
            PermissionDenied,
            "KMS",
        ),
        (
            400,
            r#"{"__type":"UnrecognizedClientException","message":"The security token included in the request is invalid."}"#,
            Unauthenticated,
            "doesn't accept the credentials (UnrecognizedClientException)",
        ),
        (
            400,
            r#"{"__type":"InvalidSignatureException","message":"The request signature we calculated does not match the signature you provided."}"#,
            Unauthenticated,
            "(InvalidSignatureException)",
        ),
        (
            400,
            r#"{"__type":"ExpiredTokenException","message":"The security token included in the request is expired"}"#,
            Unauthenticated,
            "has ended",
        ),
        (400, r#"{"__type":"DecryptionFailure","Message":"The key is disabled."}"#, PermissionDenied, "KMS key"),
        (
            400,
            r#"{"__type":"EncryptionFailure","Message":"The key is disabled."}"#,
            PermissionDenied,
            "AWS says: The key",
        ),
        (400, r#"{"__type":"com.amazonaws.secretsmanager#ResourceNotFoundException"}"#, NotFound, "isn't there"),
        (400, r#"{"__type":"SomethingNew","message":"what"}"#, Refused, "(SomethingNew)"),
        (
            500,
            r#"{"__type":"InternalServiceError","Message":"oops"}"#,
            Unavailable,
            "status 500 (InternalServiceError)",
        ),
        // moto's, and that of gateways.
        (
            403,
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<ErrorResponse><Errors><Error><Code>AccessDenied</Code><Message>User: x</Message></Error></Errors></ErrorResponse>",
            PermissionDenied,
            "AWS says: User: x",
        ),
        (403, "<html>blocked", PermissionDenied, "is missing"),
        (400, "<html>", Unavailable, "status 400 (no code)"),
        (400, r#"{"__type":"a code with blanks"}"#, Unavailable, "(no code)"),
        (503, "", Unavailable, "status 503"),
    ] {
        let error = explained(status, body);
        assert_eq!(error.kind, kind, "{body}");
        assert!(error.reason.contains(words), "{error}");
    }
}

#[test]
fn the_header_tells_where_the_body_does_not() {
    let mut answer = answer(400, "{}");
    let kind = "ResourceNotFoundException:http://internal.amazon.com/coral/com.amazonaws.x/";
    answer.headers.insert("x-amzn-errortype", kind.parse().unwrap());
    assert_eq!(Refusal::read(&answer).code, "ResourceNotFoundException");
}

#[test]
fn throttling_is_told_from_other_answers_of_its_status() {
    let of = |body: &str| judge(&answer(400, body));
    assert_eq!(of(r#"{"__type":"ThrottlingException"}"#), Verdict::Throttled(None));
    assert_eq!(of(r#"{"__type":"ResourceNotFoundException"}"#), Verdict::Answered);
    assert_eq!(judge(&answer(200, r#"{"__type":"ThrottlingException"}"#)), Verdict::Answered);
    let throttled =
        "<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>";
    assert_eq!(of(throttled), Verdict::Throttled(None));
}

/// AWS explains a wrong signature with all that was signed.
#[test]
fn the_explanation_of_a_wrong_signature_is_not_told() {
    let body = r#"{"__type":"InvalidSignatureException","message":"The Canonical String for this request should have been 'POST\n/\n\nx-amz-security-token:canary\n'"}"#;
    assert!(!explained(400, body).reason.contains("canary"));
}

#[test]
fn long_and_odd_words_are_cut() {
    let message = format!("a\\nb\\u001b[31m{}", "x".repeat(10_000));
    let reason = explained(400, &format!(r#"{{"__type":"LimitExceededException","Message":"{message}"}}"#)).reason;
    assert!(reason.len() < 600 && reason.contains("a b [31mx") && !reason.contains('\n'), "{reason}");
}
