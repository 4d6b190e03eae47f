use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use strongroom_domain::SecretValue;

use super::{Pagination, Subject};

/// One key of a group, as it is now.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    /// Id of the secret
    pub id: String,
    /// `<tenant>:<group>:<key>`
    pub fqn: String,
    /// The key
    pub name: String,
    /// Id of its group
    pub secret_group_id: String,
    /// The value, where the answer carries values and the caller may read it
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
    #[schemars(with = "Option<String>")]
    pub value: Option<SecretValue>,
    /// Who made it
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by_subject: Option<Subject>,
    /// When made
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::secret_group::optional_time")]
    pub created_at: Option<String>,
    /// When last changed
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::secret_group::optional_time")]
    pub updated_at: Option<String>,
    /// Its versions, newest first, without values
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_versions: Option<Vec<SecretVersion>>,
    /// How many active deployments name it
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_deployments_count: Option<i64>,
    /// Who made it, as a slug
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
}

/// One version of a secret.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretVersion {
    /// Id of the version
    pub id: String,
    /// `<tenant>:<group>:<key>:<version>`
    pub fqn: String,
    /// The value, where the answer carries values and the caller may read it
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exposed")]
    #[schemars(with = "Option<String>")]
    pub value: Option<SecretValue>,
    /// Its number, from 1
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "optional_number")]
    pub version: Option<i64>,
    /// The secret that it is a version of
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Box<Secret>>,
    /// Id of the secret that it is a version of
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_id: Option<String>,
    /// When made
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::secret_group::optional_time")]
    pub created_at: Option<String>,
    /// When made: a version does not change
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "super::secret_group::optional_time")]
    pub updated_at: Option<String>,
    /// Set when its store no longer holds its value
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schemars(skip)]
    pub gone: bool,
}

/// Which secrets to list.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ListSecretsRequest {
    /// How many at most: 1 to 1000
    #[schemars(extend("default" = 100))]
    pub limit: Option<i64>,
    /// How many to skip
    #[schemars(extend("default" = 0))]
    pub offset: Option<i64>,
    /// Whether to give the values that the caller may read
    pub with_value: Option<bool>,
    /// Only these, by FQN or `tfy-secret://` reference
    pub secret_fqns: Option<Vec<String>>,
    /// Only those of this group
    pub secret_group_id: Option<String>,
}

/// A page of secrets.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ListSecretsResponse {
    /// The secrets
    pub data: Vec<Secret>,
    /// Which part of how many
    pub pagination: Pagination,
}

/// One secret.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GetSecretResponse {
    /// The secret
    pub data: Secret,
}

/// A page of versions.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ListSecretVersionsResponse {
    /// The versions, newest first, without values
    pub data: Vec<SecretVersion>,
    /// Which part of how many
    pub pagination: Pagination,
}

/// What the External Secrets webhook reads.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ControlPlaneSecret {
    /// The value
    #[serde(serialize_with = "exposed_always")]
    #[schemars(with = "String")]
    pub value: SecretValue,
}

/// The one way of a value into an answer.
#[expect(clippy::ref_option, reason = "serde hands the field over by reference")]
fn exposed<S: Serializer>(value: &Option<SecretValue>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => exposed_always(value, serializer),
        None => serializer.serialize_none(),
    }
}

fn exposed_always<S: Serializer>(value: &SecretValue, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(value.expose())
}

fn optional_number(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": ["number", "null"]})
}
