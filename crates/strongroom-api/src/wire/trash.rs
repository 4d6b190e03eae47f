use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::secret_group::time;

/// What was deleted and the caller may bring back, newest first.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrashResponse {
    /// Deleted groups, with all their secrets
    pub secret_groups: Vec<DeletedGroup>,
    /// Deleted secrets of groups that live
    pub secrets: Vec<DeletedSecret>,
}

/// A deleted group.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeletedGroup {
    /// Id of the group
    pub id: String,
    /// Its name
    pub name: String,
    /// Its FQN
    pub fqn: String,
    /// When deleted
    #[schemars(schema_with = "time")]
    pub deleted_at: String,
    /// Until when it can be brought back
    #[schemars(schema_with = "time")]
    pub restorable_until: String,
}

/// A deleted secret.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeletedSecret {
    /// Id of the secret
    pub id: String,
    /// Its key
    pub name: String,
    /// Its FQN
    pub fqn: String,
    /// Id of its group
    pub secret_group_id: String,
    /// Its last version
    pub version: i64,
    /// When deleted
    #[schemars(schema_with = "time")]
    pub deleted_at: String,
    /// Until when it can be brought back
    #[schemars(schema_with = "time")]
    pub restorable_until: String,
}

/// How to bring a group back.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RestoreSecretGroupRequest {
    /// Another name, when the old one has been taken
    pub name: Option<String>,
}

/// How to bring a secret back.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RestoreSecretRequest {
    /// Another key, when the old one has been taken
    pub key: Option<String>,
}
