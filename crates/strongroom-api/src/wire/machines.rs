use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use strongroom_domain::SecretValue;

use super::secret_group::{object, time};
use super::tokens::exposed_if;
use super::{Pagination, Subject};

/// A machine.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualAccount {
    /// Id of the account
    pub id: String,
    /// `serviceaccount`, or `agent-identity`
    #[serde(rename = "type")]
    pub kind: String,
    /// The tenant
    pub tenant_name: String,
    /// Its manifest
    #[schemars(schema_with = "object")]
    pub manifest: Box<RawValue>,
    /// Id of its current token, of either kind
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt_id: Option<String>,
    /// Who made it
    pub created_by_subject: Subject,
    /// When made
    #[schemars(schema_with = "time")]
    pub created_at: String,
    /// When last changed
    #[schemars(schema_with = "time")]
    pub updated_at: String,
    /// Whether it had tokens and none of them works any more
    pub is_expired: bool,
    /// Its tokens of either kind that were not deleted, newest first; never the tokens themselves
    pub jwts: Vec<Jwt>,
    /// Id of the tenant's account
    pub account_id: String,
    /// Ids of the roles that it has
    pub role_ids: Vec<String>,
    /// The roles that it has, with what they are on
    pub roles_with_resource: Vec<RoleWithResource>,
    /// Who made it, by address or name
    pub created_by: String,
    /// When its token is changed by itself
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_scheduled_rotation: Option<String>,
    /// How writing its token into a secret group went the last time
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_token_in_secret_store_info: Option<SyncTokenInfo>,
}

/// A token of a machine, of either kind; never the token itself.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Jwt {
    /// Id of the token
    pub id: String,
    /// Type of whom it is for
    pub subject_type: String,
    /// Id of whom it is for
    pub subject_id: String,
    /// When it ends; in the year 9999 where it doesn't
    #[schemars(schema_with = "time")]
    pub expiry: String,
    /// `opaque` or `jwt`
    pub token_type: String,
    /// When made
    #[schemars(schema_with = "time")]
    pub created_at: String,
    /// When made
    #[schemars(schema_with = "time")]
    pub updated_at: String,
}

/// A role on something.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleWithResource {
    /// Id of the role
    pub role_id: String,
    /// Type of what it is on
    pub resource_type: String,
    /// Id of what it is on
    pub resource_id: String,
    /// Name of the role
    pub role_name: String,
}

/// A machine and, when it was just made, its token.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GetVirtualAccountResponse {
    /// The virtual account
    pub data: VirtualAccount,
    /// Its token, shown this once
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exposed_if")]
    #[schemars(with = "Option<String>")]
    pub token: Option<SecretValue>,
}

/// A page of the virtual accounts.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ListVirtualAccountsResponse {
    /// The accounts, newest first
    pub data: Vec<VirtualAccount>,
    /// Which part of how many
    pub pagination: Pagination,
}

/// A new token in the place of those that there are.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegenerateTokenRequest {
    /// For how many minutes the older tokens go on working, at most
    #[schemars(with = "f64")]
    pub grace_period_in_minutes: Option<f64>,
    /// When the new token ends, as `yyyy-mm-dd`; agents only
    #[serde(default)]
    pub expiration_date: Option<String>,
}

/// An agent's token to make.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateAgentTokenRequest {
    /// When it ends, as `yyyy-mm-dd`
    #[serde(default)]
    pub expiration_date: Option<String>,
}

/// How writing a token into a secret group went.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncTokenResponse {
    /// When, which token, and the error
    pub sync_token_in_secret_store_info: SyncTokenInfo,
}

/// How writing a token into a secret group went.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncTokenInfo {
    /// When a token was written last
    #[schemars(schema_with = "time")]
    pub updated_at: String,
    /// The id of the token that was written last; empty when none was
    pub jwt_id: String,
    /// Why the last attempt failed, if it did
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// An agent's identity, in the shape in which the contract has agents and their versions.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Agent {
    /// Id of the agent
    pub id: String,
    /// The same
    pub agent_id: String,
    /// The same
    pub agent_identity_id: String,
    /// Name
    pub name: String,
    /// Its full name
    pub fqn: String,
    /// `agent-identity`
    #[serde(rename = "type")]
    pub kind: String,
    /// The tenant
    pub tenant_name: String,
    /// Id of the tenant's account
    pub account_id: String,
    /// 1: identities have no versions
    pub version: u32,
    /// 1: identities have no versions
    pub latest_version: u32,
    /// Its manifest
    #[schemars(schema_with = "object")]
    pub manifest: Box<RawValue>,
    /// Who made it
    pub created_by_subject: Subject,
    /// Who made it, by address or name
    pub created_by: String,
    /// When made
    #[schemars(schema_with = "time")]
    pub created_at: String,
    /// When last changed
    #[schemars(schema_with = "time")]
    pub updated_at: String,
    /// Id of its current token
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// When that ends
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_expiry: Option<String>,
}

/// A page of the agents' identities.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ListAgentsResponse {
    /// The agents, newest first
    pub data: Vec<Agent>,
    /// Which part of how many
    pub pagination: Pagination,
}

/// An agent's identity and, when it was just made, its token.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GetAgentResponse {
    /// The agent
    pub data: Agent,
    /// Its token
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exposed_if")]
    #[schemars(with = "Option<String>")]
    pub token: Option<SecretValue>,
}
