use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use strongroom_domain::SecretValue;

use super::object::objects;
use super::{Pagination, Secret, Subject};

/// A named set of secrets.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretGroup {
    /// Id of the group; null for one that a dry run would make
    pub id: Option<String>,
    /// `<tenant>:<group>`
    pub fqn: Option<String>,
    /// Not in the contract's schema, but sent by its older servers and read by its clients.
    #[schemars(skip)]
    pub name: String,
    /// The tenant
    pub tenant_name: String,
    /// Who made it
    pub created_by_subject: Subject,
    /// Its secrets, without values
    pub associated_secrets: Vec<Secret>,
    /// Id of the integration that keeps its values
    pub integration_id: Option<String>,
    /// Its manifest
    #[schemars(schema_with = "optional_object")]
    pub manifest: Option<Box<RawValue>>,
    /// Id of the account that owns it
    pub account_id: String,
    /// When made
    #[schemars(schema_with = "time")]
    pub created_at: String,
    /// When last changed
    #[schemars(schema_with = "time")]
    pub updated_at: String,
    /// Who made it, as a slug
    pub created_by: Option<String>,
}

/// A group to make.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateSecretGroupRequest {
    /// Name of the secret group.
    pub name: String,
    /// Id of the provider integration.
    pub integration_id: String,
    /// The secrets to be associated with the secret group
    #[serde(deserialize_with = "objects")]
    pub secrets: Vec<SecretInput>,
}

/// A key and its value.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SecretInput {
    /// Key of the secret.
    pub key: String,
    /// Value of the secret.
    #[schemars(with = "String")]
    pub value: SecretValue,
}

/// A key that shall be there, and its value where it shall change.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct UpdateSecretInput {
    /// Key of the secret.
    pub key: String,
    /// New value of the secret; left out or null, the value stays as it is.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub value: Option<SecretValue>,
}

/// The complete set of keys that the group shall have.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct UpdateSecretGroupRequest {
    /// Every key that shall be there. A key left out is deleted (and can be brought back).
    #[serde(deserialize_with = "objects")]
    pub secrets: Vec<UpdateSecretInput>,
}

/// A manifest of type `secret-group` to apply.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplySecretGroupRequest {
    /// The manifest
    pub manifest: serde_json::Value,
    /// Only check; change nothing
    #[serde(default)]
    pub dry_run: Option<bool>,
}

/// One group.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GetSecretGroupResponse {
    /// Secret Group
    pub data: SecretGroup,
}

/// The group after an update, and what the update dropped.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateSecretGroupResponse {
    /// Secret Group
    pub data: SecretGroup,
    /// The keys that the update left out, and how to bring them back
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dropped_secrets: Vec<DroppedSecret>,
}

/// A secret that an update left out.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DroppedSecret {
    /// Id of the secret
    pub id: String,
    /// Its key
    pub name: String,
    /// Until when it can be brought back
    #[schemars(schema_with = "time")]
    pub restorable_until: String,
    /// The request that brings it back, with all its versions
    pub restore: String,
}

/// A page of groups.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ListSecretGroupsResponse {
    /// The groups
    pub data: Vec<SecretGroup>,
    /// Which part of how many
    pub pagination: Pagination,
}

pub(super) fn time(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "string", "format": "date-time"})
}

pub(super) fn optional_time(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": ["string", "null"], "format": "date-time"})
}

pub(super) fn optional_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": ["object", "null"]})
}

pub(super) fn object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "object"})
}
