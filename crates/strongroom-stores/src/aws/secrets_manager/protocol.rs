//! The JSON of AWS Secrets Manager: the fields that we use of the calls that we make.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use strongroom_domain::SecretValue;

use crate::outer::Repeat;

/// An empty value: AWS takes none, neither as text nor as bytes. Every other value is text, so bytes can't be mistaken
/// for one. It is the Base64 of `strongroom:empty`.
pub(super) const EMPTY: &str = "c3Ryb25ncm9vbTplbXB0eQ==";

/// A call: what AWS calls it, what goes in, what comes out.
pub(super) trait Call: Serialize {
    const ACTION: &'static str;
    /// The permission that it needs.
    const PERMISSION: &'static str;
    const REPEAT: Repeat;
    type Output: for<'de> Deserialize<'de>;
}

macro_rules! call {
    ($input:ty, $action:literal, $repeat:ident, $output:ty) => {
        impl Call for $input {
            const ACTION: &'static str = concat!("secretsmanager.", $action);
            const PERMISSION: &'static str = concat!("secretsmanager:", $action);
            const REPEAT: Repeat = Repeat::$repeat;
            type Output = $output;
        }
    };
}

/// A value as AWS takes it: text, or bytes for the empty one.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Content<'a> {
    Text {
        #[serde(rename = "SecretString")]
        text: &'a str,
    },
    Bytes {
        #[serde(rename = "SecretBinary")]
        base64: &'static str,
    },
}

impl<'a> From<&'a SecretValue> for Content<'a> {
    fn from(value: &'a SecretValue) -> Self {
        if value.expose().is_empty() { Self::Bytes { base64: EMPTY } } else { Self::Text { text: value.expose() } }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateSecret<'a> {
    pub(super) name: &'a str,
    pub(super) client_request_token: &'a str,
    #[serde(flatten)]
    pub(super) content: Content<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kms_key_id: Option<&'a str>,
    pub(super) tags: &'a [Tag],
}
call!(CreateSecret<'_>, "CreateSecret", Idempotent, Made);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PutSecretValue<'a> {
    pub(super) secret_id: &'a str,
    pub(super) client_request_token: &'a str,
    #[serde(flatten)]
    pub(super) content: Content<'a>,
    pub(super) version_stages: [&'a str; 1],
}
call!(PutSecretValue<'_>, "PutSecretValue", Idempotent, Made);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UpdateSecretVersionStage<'a> {
    pub(super) secret_id: &'a str,
    pub(super) version_stage: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) move_to_version_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remove_from_version_id: Option<&'a str>,
}
call!(UpdateSecretVersionStage<'_>, "UpdateSecretVersionStage", Idempotent, Named);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetSecretValue<'a> {
    pub(super) secret_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version_stage: Option<&'a str>,
}
call!(GetSecretValue<'_>, "GetSecretValue", Read, Held);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DescribeSecret<'a> {
    pub(super) secret_id: &'a str,
}
call!(DescribeSecret<'_>, "DescribeSecret", Read, Description);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DeleteSecret<'a> {
    pub(super) secret_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) recovery_window_in_days: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) force_delete_without_recovery: Option<bool>,
}
call!(DeleteSecret<'_>, "DeleteSecret", Idempotent, Named);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListSecrets<'a> {
    pub(super) max_results: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_token: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub(super) filters: &'a [Filter<'a>],
}
call!(ListSecrets<'_>, "ListSecrets", Read, Page);

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Filter<'a> {
    pub(super) key: &'static str,
    pub(super) values: [&'a str; 1],
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tag {
    pub(super) key: String,
    pub(super) value: String,
}

/// An answer that says nothing but that it is one.
#[derive(Deserialize)]
pub(super) struct Named {
    #[serde(rename = "ARN")]
    _arn: String,
}

#[derive(Deserialize)]
pub(super) struct Made {
    #[serde(rename = "VersionId")]
    _version_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Held {
    pub(super) version_id: String,
    pub(super) secret_string: Option<SecretValue>,
    pub(super) secret_binary: Option<SecretValue>,
}

#[derive(Deserialize)]
pub(super) struct Description {
    #[serde(rename = "ARN")]
    pub(super) arn: String,
    /// Set while the entry waits for its end.
    #[serde(rename = "DeletedDate")]
    pub(super) deleted: Option<serde::de::IgnoredAny>,
    #[serde(rename = "Tags", default)]
    pub(super) tags: Option<Vec<Tag>>,
    /// Those with labels; the others aren't told.
    #[serde(rename = "VersionIdsToStages", default)]
    pub(super) versions: Option<BTreeMap<String, Vec<String>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Page {
    #[serde(default)]
    pub(super) secret_list: Vec<Listed>,
    pub(super) next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Listed {
    pub(super) name: String,
}

impl Description {
    pub(super) fn tag(&self, key: &str) -> Option<&str> {
        let mut tags = self.tags.iter().flatten();
        tags.find(|tag| tag.key == key).map(|tag| tag.value.as_str())
    }

    /// The version that direct readers get.
    pub(super) fn current(&self) -> Option<&str> {
        let mut versions = self.versions.iter().flatten();
        versions.find(|(_, labels)| labels.iter().any(|label| label == CURRENT)).map(|(id, _)| id.as_str())
    }

    pub(super) fn labels(&self, version_id: &str) -> &[String] {
        self.versions.as_ref().and_then(|versions| versions.get(version_id)).map_or(&[], Vec::as_slice)
    }
}

/// The label of the version that direct readers get.
pub(super) const CURRENT: &str = "AWSCURRENT";

impl Held {
    /// The value; `None` when somebody else put bytes.
    pub(super) fn value(self) -> Option<SecretValue> {
        match (self.secret_string, self.secret_binary) {
            (Some(text), _) => Some(text),
            (None, Some(base64)) if base64.expose() == EMPTY => Some(SecretValue::new(String::new())),
            (None, _) => None,
        }
    }
}
