//! JSON bodies that leave no copies behind, and errors that quote nothing.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::wiped::WipedBuffer;

/// An answer's body isn't the JSON that was expected. What serde has to say may quote a value, so it isn't kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer isn't the JSON that was expected")]
pub struct NotJson;

/// A body that is wiped when its last clone is dropped.
///
/// # Panics
///
/// When `body` can't be JSON, like a map with keys that aren't text.
#[must_use]
pub fn to_json(body: &impl Serialize) -> Bytes {
    let mut buffer = WipedBuffer::with_capacity(512);
    serde_json::to_writer(&mut buffer, body).expect("what is sent can be written as JSON");
    buffer.into_bytes()
}

/// Reads a body.
pub fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, NotJson> {
    serde_json::from_slice(body).map_err(|_| NotJson)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn errors_quote_nothing() {
        let error = parse_json::<BTreeMap<String, u8>>(br#"{"a": "canary"}"#).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"));
        let body = to_json(&BTreeMap::from([("a", 1)]));
        assert_eq!(parse_json::<BTreeMap<String, u8>>(&body), Ok(BTreeMap::from([("a".to_owned(), 1)])));
    }
}
