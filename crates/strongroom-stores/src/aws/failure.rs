//! What AWS says when it says no, and what we make of it.

use std::fmt;

use http::StatusCode;
use serde::Deserialize;
use strongroom_domain::SecretValue;

use super::{sigv4::Credentials, xml};
use crate::{StoreError, StoreErrorKind, outer::Answer};

/// Of AWS' own words, in characters.
const LONGEST_QUOTE: usize = 400;

/// Why a call came to nothing.
pub(super) enum Failure {
    /// There is no answer, or it came to no question.
    Store(StoreError),
    /// AWS refused.
    Refused(Refusal),
    /// AWS agreed, but in a form that isn't the documented one.
    Unreadable,
}

/// A refusal. Its message may hold anything, session tokens too, so it is shown with care.
pub(super) struct Refusal {
    status: StatusCode,
    /// Like `ResourceNotFoundException`; empty when there is none.
    pub(super) code: String,
    message: Option<SecretValue>,
    /// Whether the message may be told, as far as credentials go.
    is_quotable: bool,
    /// Whether an earlier try of the same may have been carried out.
    pub(super) after_unclear: bool,
}

/// What was tried, for the error's text.
#[derive(Clone, Copy)]
pub(super) struct Tried<'a> {
    /// The store's name in errors.
    pub(super) store: &'static str,
    /// The permission that the call needs, like `secretsmanager:CreateSecret`.
    pub(super) permission: &'a str,
    /// Whether it changes anything.
    pub(super) is_write: bool,
    /// What it was about.
    pub(super) target: &'a str,
    /// The value that was sent, which must not be shown, should AWS repeat it.
    pub(super) hidden: Option<&'a SecretValue>,
}

#[derive(Deserialize)]
struct JsonError {
    #[serde(rename = "__type")]
    code: Option<String>,
    #[serde(alias = "Message")]
    message: Option<SecretValue>,
}

impl Refusal {
    /// From the JSON of Secrets Manager, the XML of STS, or whatever stands before them.
    pub(super) fn read(answer: &Answer) -> Self {
        let header = answer.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
        let (code, message) = parse_json(&answer.body).or_else(|| parse_xml(&answer.body)).unwrap_or_default();
        let code = Some(code).filter(|code| !code.is_empty()).or_else(|| header.map(str::to_owned));
        let code = code.map(|code| bare(&code)).unwrap_or_default();
        Self { status: answer.status, code, message, is_quotable: true, after_unclear: answer.after_unclear }
    }

    /// Whether it is the time of the signature that AWS doesn't like.
    pub(super) fn is_about_time(&self) -> bool {
        match self.code.as_str() {
            "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture" => true,
            "InvalidSignatureException" | "SignatureDoesNotMatch" | "AccessDenied" | "AccessDeniedException" => {
                ["Signature expired", "Signature not yet current"].iter().any(|words| self.words().contains(words))
            }
            _ => false,
        }
    }

    /// Whether these credentials have ended.
    pub(super) fn is_about_expiry(&self) -> bool {
        matches!(self.code.as_str(), "ExpiredToken" | "ExpiredTokenException")
    }

    fn is_about_trash(&self) -> bool {
        self.code == "InvalidRequestException"
            && ["scheduled for deletion", "marked deleted", "marked for deletion"]
                .iter()
                .any(|words| self.words().contains(words))
    }

    /// Whether the service did nothing for want of room.
    pub(super) fn is_throttling(&self) -> bool {
        self.kind() == StoreErrorKind::Throttled
    }

    /// The message isn't told where it repeats a credential or a signature.
    pub(super) fn without(mut self, credentials: &Credentials) -> Self {
        let secrets = std::iter::once(&credentials.secret_access_key).chain(&credentials.session_token);
        let repeats = secrets.into_iter().any(|secret| self.words().contains(secret.expose()));
        self.is_quotable = !repeats && !self.words().contains("Signature=");
        self
    }

    fn kind(&self) -> StoreErrorKind {
        match self.code.as_str() {
            "ResourceNotFoundException" => StoreErrorKind::NotFound,
            "ResourceExistsException" => StoreErrorKind::AlreadyExists,
            "AccessDenied"
            | "AccessDeniedException"
            | "NotAuthorized"
            | "OptInRequired"
            | "EncryptionFailure"
            | "DecryptionFailure"
            | "EncryptionFailureException"
            | "DecryptionFailureException"
            | "RegionDisabledException" => StoreErrorKind::PermissionDenied,
            "UnrecognizedClientException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "SignatureDoesNotMatch"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "AuthFailure"
            | "RequestTimeTooSkewed"
            | "RequestExpired"
            | "RequestInTheFuture" => StoreErrorKind::Unauthenticated,
            "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "TooManyRequestsException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "SlowDown"
            | "PriorRequestNotComplete"
            | "ProvisionedThroughputExceededException" => StoreErrorKind::Throttled,
            "InvalidParameterException"
            | "InvalidRequestException"
            | "ValidationException"
            | "ValidationError"
            | "LimitExceededException"
            | "InvalidNextTokenException"
            | "MalformedPolicyDocumentException"
            | "PreconditionNotMetException"
            | "SerializationException" => StoreErrorKind::Refused,
            _ => match self.status.as_u16() {
                401 => StoreErrorKind::Unauthenticated,
                403 => StoreErrorKind::PermissionDenied,
                429 => StoreErrorKind::Throttled,
                400..=499 if !self.code.is_empty() => StoreErrorKind::Refused,
                // Codes of the service's own trouble, and pages of whatever stands before it.
                _ => StoreErrorKind::Unavailable,
            },
        }
    }

    fn reason(&self, kind: StoreErrorKind, tried: &Tried<'_>) -> String {
        let Tried { permission, target, .. } = *tried;
        let quote = self.quote(tried.hidden);
        match kind {
            StoreErrorKind::NotFound => format!("`{target}` isn't there"),
            StoreErrorKind::AlreadyExists => format!("`{target}` is already there"),
            StoreErrorKind::PermissionDenied if self.code.contains("cryptionFailure") => {
                format!("the KMS key can't be used for `{target}`{quote}")
            }
            StoreErrorKind::PermissionDenied => format!("the permission {permission} on `{target}` is missing{quote}"),
            StoreErrorKind::Unauthenticated if self.is_about_time() => {
                "AWS finds the time of our signature wrong, even by its own clock".to_owned()
            }
            StoreErrorKind::Unauthenticated if self.is_about_expiry() => {
                "the session of these credentials has ended".to_owned()
            }
            // Never quoted: AWS explains a wrong signature with the headers that were signed, the session token too.
            StoreErrorKind::Unauthenticated => format!("AWS doesn't accept the credentials ({})", self.shown_code()),
            StoreErrorKind::Throttled => "AWS asks to send fewer requests".to_owned(),
            StoreErrorKind::Refused if self.code == "LimitExceededException" => {
                format!("a quota of AWS is reached at `{target}`{quote}")
            }
            StoreErrorKind::Refused => format!("AWS refuses {permission} on `{target}` ({}){quote}", self.shown_code()),
            _ => format!("AWS failed with status {} ({})", self.status.as_u16(), self.shown_code()),
        }
    }

    fn words(&self) -> &str {
        self.message.as_ref().map_or("", SecretValue::expose)
    }

    fn shown_code(&self) -> &str {
        if self.code.is_empty() { "no code" } else { &self.code }
    }

    /// AWS' own words, where they repeat nothing that must not be shown.
    fn quote(&self, hidden: Option<&SecretValue>) -> String {
        let message = self.words();
        let may_repeat = |value: &SecretValue| {
            // What is wrong with a parameter may be explained with a part of it.
            matches!(self.code.as_str(), "InvalidParameterException" | "ValidationException" | "SerializationException")
                || (!value.expose().is_empty() && message.contains(value.expose()))
        };
        if message.is_empty() || !self.is_quotable || hidden.is_some_and(may_repeat) {
            return String::new();
        }
        let words = message.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
        format!("; AWS says: {}", words.take(LONGEST_QUOTE).collect::<String>())
    }
}

impl Failure {
    /// AWS' code, if it gave one.
    pub(super) fn code(&self) -> &str {
        if let Self::Refused(answer) = self { &answer.code } else { "" }
    }

    /// Whether the entry is in AWS' own trash.
    pub(super) fn is_about_trash(&self) -> bool {
        matches!(self, Self::Refused(answer) if answer.is_about_trash())
    }

    /// The store's error for it.
    pub(super) fn explain(self, tried: &Tried<'_>) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Refused(refusal) => {
                let kind = refusal.kind();
                StoreError::new(tried.store, kind, refusal.reason(kind, tried))
                    .with_unclear_effect(tried.is_write && refusal.after_unclear)
            }
            Self::Unreadable => {
                let reason = format!("the answer to {} isn't what AWS documents", tried.permission);
                StoreError::new(tried.store, StoreErrorKind::Unavailable, reason).with_unclear_effect(tried.is_write)
            }
        }
    }
}

/// Nothing of an answer but its code.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => f.debug_tuple("Store").field(error).finish(),
            Self::Refused(refusal) => f.debug_tuple("Refused").field(&refusal.status).field(&refusal.code).finish(),
            Self::Unreadable => f.write_str("Unreadable"),
        }
    }
}

fn parse_json(body: &[u8]) -> Option<(String, Option<SecretValue>)> {
    let error: JsonError = serde_json::from_slice(body).ok()?;
    Some((error.code.unwrap_or_default(), error.message))
}

/// STS', and that of gateways which speak XML whatever the service speaks.
fn parse_xml(body: &[u8]) -> Option<(String, Option<SecretValue>)> {
    let texts = xml::texts(std::str::from_utf8(body).ok()?)?;
    let field = |name: &str| {
        let paths = ["ErrorResponse/Error", "ErrorResponse/Errors/Error", "Response/Errors/Error", "Error"];
        paths.iter().find_map(|path| xml::only(&texts, &format!("{path}/{name}")))
    };
    Some((field("Code")?.to_owned(), field("Message").map(|message| SecretValue::new(message.to_owned()))))
}

/// Without the namespace before it and the address after it; a code is one word, and anything else is none.
fn bare(code: &str) -> String {
    let code = code.rsplit('#').next().unwrap_or(code);
    let code = code.split(':').next().unwrap_or(code);
    let is_word = code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    if is_word { code.to_owned() } else { String::new() }
}

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;
