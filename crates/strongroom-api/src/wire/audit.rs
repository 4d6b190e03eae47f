use schemars::JsonSchema;
use serde::Serialize;

use super::secret_group::time;
use super::{Pagination, Subject};

/// One entry of the audit log. It never holds a value.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEvent {
    /// Id of the event
    pub id: String,
    /// What was done
    pub action: String,
    /// `success`, `denied` or `failed`
    pub result: String,
    /// The path of the request
    pub request_path: String,
    /// Id of the request
    pub request_id: String,
    /// The id of the token that was used; none where nobody called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// The address that the request came from
    pub client_address: String,
    /// Id of the resource
    pub resource_id: String,
    /// Type of the resource
    pub resource_type: String,
    /// Name of the resource
    pub resource_name: String,
    /// FQN of the resource
    pub resource_fqn: String,
    /// The group's revision that was made or read
    pub revision: Option<i64>,
    /// The tenant
    pub tenant_name: String,
    /// Always null: there are no clusters here
    pub cluster_id: Option<String>,
    /// Always null: there are no workspaces here
    pub workspace_id: Option<String>,
    /// Who did it
    pub subject: Subject,
    /// More, such as which secrets at which versions
    #[serde(rename = "metaData")]
    pub metadata: serde_json::Value,
    /// When
    #[schemars(schema_with = "time")]
    pub created_at: String,
    /// When: an event does not change
    #[schemars(schema_with = "time")]
    pub updated_at: String,
}

/// A page of events, newest first.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ListAuditEventsResponse {
    /// The events; empty with `metric=count`
    pub data: Vec<AuditEvent>,
    /// How many match, with `metric=count`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<i64>,
    /// Which part of how many
    pub pagination: Pagination,
}
