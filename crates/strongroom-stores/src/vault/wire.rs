//! What goes over the wire, and no more of it than is needed.

use std::collections::BTreeMap;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use strongroom_domain::SecretValue;

/// Around every answer.
#[derive(Deserialize)]
pub(super) struct Envelope<T> {
    pub(super) data: Option<T>,
}

/// What an answer without success says; the texts are only compared, never repeated.
#[derive(Deserialize)]
pub(super) struct Errors {
    pub(super) errors: Option<Vec<String>>,
}

#[derive(Serialize)]
pub(super) struct WriteVersion<'a> {
    pub(super) options: WriteOptions,
    pub(super) data: WrittenFields<'a>,
}

#[derive(Serialize)]
pub(super) struct WriteOptions {
    pub(super) cas: u64,
}

/// The fields of a version of ours.
#[derive(Serialize)]
pub(super) struct WrittenFields<'a> {
    pub(super) value: &'a str,
    pub(super) strongroom_secret: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) strongroom_operation: Option<&'a str>,
    /// Our own number of it: an operation may put more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) strongroom_version: Option<String>,
}

/// A version with what it holds.
#[derive(Deserialize)]
pub(super) struct ReadVersion {
    /// None once it is deleted or destroyed.
    pub(super) data: Option<ReadFields>,
    pub(super) metadata: VersionFacts,
}

#[derive(Deserialize)]
pub(super) struct VersionFacts {
    pub(super) version: u64,
    #[serde(default)]
    pub(super) destroyed: bool,
    /// When it was deleted or will be; empty for never.
    #[serde(default)]
    pub(super) deletion_time: String,
    pub(super) custom_metadata: Option<CustomMetadata>,
}

/// Whoever wrote it: a field that isn't text counts as missing.
#[derive(Default, Deserialize)]
pub(super) struct ReadFields {
    #[serde(default)]
    pub(super) value: Loose,
    #[serde(default)]
    pub(super) strongroom_secret: Loose,
    #[serde(default)]
    pub(super) strongroom_operation: Loose,
    #[serde(default)]
    pub(super) strongroom_version: Loose,
}

#[derive(Serialize)]
pub(super) struct WriteEntry {
    pub(super) max_versions: u64,
    pub(super) custom_metadata: CustomMetadata,
}

#[derive(Deserialize)]
pub(super) struct ReadEntry {
    pub(super) custom_metadata: Option<CustomMetadata>,
    #[serde(default)]
    pub(super) versions: BTreeMap<String, VersionState>,
}

#[derive(Deserialize)]
pub(super) struct VersionState {
    #[serde(default)]
    pub(super) destroyed: bool,
}

pub(super) type CustomMetadata = BTreeMap<String, String>;

#[derive(Serialize)]
pub(super) struct Destroy {
    pub(super) versions: [u64; 1],
}

#[derive(Deserialize)]
pub(super) struct Keys {
    pub(super) keys: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct AskCapabilities<'a> {
    pub(super) paths: Vec<&'a str>,
}

pub(super) type Capabilities = BTreeMap<String, Vec<String>>;

/// A mounted engine.
#[derive(Deserialize)]
pub(super) struct Mount {
    #[serde(rename = "type")]
    pub(super) engine: String,
    pub(super) options: Option<MountOptions>,
}

#[derive(Deserialize)]
pub(super) struct MountOptions {
    pub(super) version: Option<String>,
}

/// The engine's own settings.
#[derive(Deserialize)]
pub(super) struct EngineConfig {
    #[serde(default)]
    pub(super) delete_version_after: String,
}

#[derive(Serialize)]
pub(super) struct Login<'a> {
    pub(super) role_id: &'a str,
    pub(super) secret_id: &'a str,
}

/// The answer to a login and to a renewal.
#[derive(Deserialize)]
pub(super) struct LoggedIn {
    pub(super) auth: Option<TokenFacts>,
}

#[derive(Deserialize)]
pub(super) struct TokenFacts {
    pub(super) client_token: SecretValue,
    /// In seconds; 0 for ever.
    pub(super) lease_duration: u64,
    #[serde(default)]
    pub(super) renewable: bool,
}

/// Text, or anything else. Serde's own ways of saying so would copy values into buffers that nobody wipes.
#[derive(Default)]
pub(super) struct Loose(pub(super) Option<SecretValue>);

impl Loose {
    pub(super) fn is(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|value| value.expose() == text)
    }
}

impl<'de> Deserialize<'de> for Loose {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("anything")
    }

    fn visit_str<E>(self, text: &str) -> Result<Loose, E> {
        Ok(Loose(Some(SecretValue::new(text.to_owned()))))
    }

    fn visit_string<E>(self, text: String) -> Result<Loose, E> {
        Ok(Loose(Some(SecretValue::new(text))))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Loose, E> {
        Ok(Loose(None))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Loose, E> {
        Ok(Loose(None))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Loose, E> {
        Ok(Loose(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Loose, E> {
        Ok(Loose(None))
    }

    fn visit_unit<E>(self) -> Result<Loose, E> {
        Ok(Loose(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Loose, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Loose, A::Error> {
        while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Loose(None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_is_read_and_only_text_is_kept() {
        for other in ["1", "-1", "1.5", "true", "null", "[1,[2]]", r#"{"a":{"b":1}}"#] {
            let fields: ReadFields = serde_json::from_str(&format!(r#"{{"value":{other},"more":{other}}}"#)).unwrap();
            assert!(fields.value.0.is_none(), "{other}");
        }
        let fields: ReadFields = serde_json::from_str(r#"{"value":"a\u0000b"}"#).unwrap();
        assert!(fields.value.is("a\0b") && fields.strongroom_operation.0.is_none());
    }
}
