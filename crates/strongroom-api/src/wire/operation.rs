use schemars::JsonSchema;
use serde::Serialize;

use super::common::Subject;
use super::secret_group::time;

/// How far a write to an outer store is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GetOperationResponse {
    /// The write
    pub data: StoreOperation,
}

/// A write to an outer store.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StoreOperation {
    /// Its id
    pub id: String,
    /// `putting`; `showing`: it has happened, and direct readers of the store may not see all of it yet; `undoing`: it
    /// doesn't happen, and is being taken back; `done`; `undone`
    pub state: String,
    /// What it does to the group: `create`, `update`, …
    pub action: String,
    /// Id of the group
    pub secret_group_id: String,
    /// FQN of the group; null where there is none (any more)
    pub secret_group_fqn: Option<String>,
    /// FQN of the integration
    pub integration_fqn: Option<String>,
    /// Why it doesn't happen
    pub reason: Option<String>,
    /// Who began it
    pub created_by_subject: Subject,
    /// When it began
    #[schemars(schema_with = "time")]
    pub created_at: String,
    /// When it ended
    pub finished_at: Option<String>,
    /// What it does to each secret that gets a value
    pub keys: Vec<OperationKey>,
}

/// What a write does to one secret.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationKey {
    /// Its key
    pub key: String,
    /// Its id
    pub secret_id: String,
    /// The version that it gets
    pub version: i64,
    /// `waiting`: not put, or nobody knows; `placed`: in the store; `failed`: not in the store; `undone`: taken back;
    /// `leftover`: taken back, and an older version in the store is still to be destroyed; `abandoned`: the same, and
    /// the store can't destroy it
    pub state: String,
    /// Why it isn't further
    pub reason: Option<String>,
}
