//! Reading a JSON body within its limits, and saying what is wrong with it without repeating it.

use axum::body::{Body, Bytes};
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::{DeserializeOwned, IgnoredAny};
use strongroom_api::wire::Object;

use super::error::ApiError;
use super::transport::BodyTimeout;
use crate::app::AppError;

pub(super) fn json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, AppError> {
    check_type(headers)?;
    parse(body)
}

pub(super) fn optional_json<T: DeserializeOwned + Default>(headers: &HeaderMap, body: &[u8]) -> Result<T, AppError> {
    if body.is_empty() { Ok(T::default()) } else { json(headers, body) }
}

pub(super) fn check_type(headers: &HeaderMap) -> Result<(), AppError> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if media == "application/json" || (media.starts_with("application/") && media.ends_with("+json")) {
        return Ok(());
    }
    let message = "the body must be JSON: send `Content-Type: application/json`";
    Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message))
}

/// The whole body, when it is no longer than that.
pub(super) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, AppError> {
    let too_large = || {
        let message = format!("the body has more than {limit} bytes");
        refused(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
    };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(too_large()),
        Err(error) if BodyTimeout::caused(&*error) => {
            let message = "the body did not arrive in time";
            Err(refused(StatusCode::REQUEST_TIMEOUT, "body_timeout", message))
        }
        Err(_) => Err(AppError::Malformed("the body was cut off".into())),
    }
}

fn refused(status: StatusCode, code: &'static str, message: impl Into<String>) -> AppError {
    AppError::Body(Box::new(ApiError::new(status, code, message)))
}

/// 400 for what is no JSON, 422 with the field's path for JSON of another form.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, AppError> {
    // Checked first, so that the message is about the text and not about some field in it.
    if std::str::from_utf8(bytes).is_err() {
        return Err(AppError::Malformed("the body is not UTF-8".into()));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed: Object<T> = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let (path, error) = (error.path().to_string(), error.into_inner());
        // A fault of form may come before one of syntax; what is no JSON is told as that.
        let whole = serde_json::from_slice::<IgnoredAny>(bytes);
        if let (true, Err(syntax)) = (error.is_data(), &whole) {
            malformed(syntax)
        } else if error.is_data() {
            let message = without_content(&error);
            // A field that isn't there is no part of the path yet.
            let missing = message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'));
            AppError::invalid(
                match (path.as_str(), missing) {
                    (".", None) => "body".to_owned(),
                    (".", Some(field)) => field.to_owned(),
                    (_, None) => path,
                    (_, Some(field)) => format!("{path}.{field}"),
                },
                message,
            )
        } else {
            malformed(&error)
        }
    })?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(parsed.0)
}

/// The parser's complaint about the form names places and never content.
fn malformed(error: &serde_json::Error) -> AppError {
    AppError::Malformed(format!("the body is not valid JSON (line {}, column {})", error.line(), error.column()))
}

/// The parser quotes what it found instead of what was expected: that may be a secret in the wrong place.
fn without_content(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    for known in ["missing field ", "duplicate field ", "expected a string"] {
        if text.starts_with(known) {
            return text.to_owned();
        }
    }
    match text.rsplit_once("expected ") {
        Some((_, expected)) if text.starts_with("invalid type") || text.starts_with("invalid value") => {
            format!("expected {}", in_words_of_json(expected))
        }
        _ => "has the wrong form".to_owned(),
    }
}

/// The parser names types of Rust.
fn in_words_of_json(expected: &str) -> &str {
    match expected {
        "f32" | "f64" => "a number",
        "i64" | "u64" | "i32" | "u32" => "a whole number",
        "a sequence" => "a list",
        "a map" => "an object",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use strongroom_api::wire::{CreateSecretGroupRequest, ListSecretsRequest};

    use super::*;

    fn fault(json: &str) -> (u16, String) {
        match parse::<CreateSecretGroupRequest>(json.as_bytes()) {
            Err(AppError::Invalid(faults)) => (422, format!("{}: {}", faults[0].path, faults[0].message)),
            Err(AppError::Malformed(message)) => (400, message),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn faults_name_the_field_and_never_quote_the_value() {
        let wrong_type = fault(r#"{"name":"a","integrationId":"i","secrets":[{"key":"K","value":4711}]}"#);
        assert_eq!(wrong_type, (422, "secrets[0].value: expected a string".into()));
        let swapped = fault(r#"{"name":"a","integrationId":"i","secrets":[{"key":4711,"value":"x"}]}"#);
        assert_eq!(swapped, (422, "secrets[0].key: expected a string".into()));
        let list = fault(r#"{"name":"a","integrationId":"i","secrets":"hunter2"}"#);
        assert_eq!(list, (422, "secrets: expected a list".into()));
        assert_eq!(fault(r#"{"name":"a","integrationId":"i"}"#), (422, "secrets: missing field `secrets`".into()));
        assert_eq!(fault(r#"["a","i",[]]"#), (422, "body: expected an object".into()));
        let list = fault(r#"{"name":"a","integrationId":"i","secrets":[["K","hunter2"]]}"#);
        assert_eq!(list, (422, "secrets[0]: expected an object".into()));
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for json in ["", "{", "{\"name\":hunter2}", "{} {}", "nul", &"[".repeat(10_000)] {
            let (status, message) = fault(json);
            assert_eq!(status, 400, "{json:.20}");
            assert!(!message.contains("hunter2"));
        }
        assert!(matches!(parse::<ListSecretsRequest>(b"{} {}"), Err(AppError::Malformed(_))));
        assert!(matches!(parse::<ListSecretsRequest>(b"{\"secretGroupId\":\"\xff\"}"), Err(AppError::Malformed(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse::<CreateSecretGroupRequest>(&bytes);
        }
    }
}
