use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use strongroom_domain::SecretValue;

use super::Subject;
use super::secret_group::{object, time};
use super::tokens::exposed_if;

/// Which command line versions the server takes.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MinCliVersion {
    /// The oldest version of the old command line
    pub min_version: String,
    /// The oldest version of `tfy`
    pub truefoundry_cli_min_version: String,
    /// Whether logins go through this server
    #[serde(rename = "useSFYServerAuthAPIs")]
    pub use_sfy_server_auth_apis: bool,
}

/// The tenant of a host.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TenantId {
    /// The tenant
    #[serde(rename = "tenantName")]
    pub tenant_name: String,
    /// Where logins go; the contract spells it this way
    pub auth_server_url: String,
}

/// Whom the token belongs to, as the command line asks.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionResponse {
    /// The subject
    pub user: SessionUser,
    /// Its tenant
    pub tenant_info: SessionTenant,
}

/// The subject of a session.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionUser {
    /// The tenant
    pub tenant_name: String,
    /// The address, for a person
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Who
    pub subject: SessionSubject,
    /// Roles in the tenant
    pub roles: Vec<String>,
    /// Teams
    pub teams: Vec<SessionAccount>,
    /// More
    pub metadata: SessionUserMetadata,
}

/// Who, in short.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionSubject {
    /// Email or name
    pub subject_slug: String,
    /// The personal access token, if it is one
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_pat_name: Option<String>,
}

/// More about a session's subject.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionUserMetadata {
    /// As it is shown
    pub user_object: SessionUserObject,
}

/// A session's subject as it is shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SessionUserObject {
    /// The name
    pub username: String,
}

/// The tenant of a session.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionTenant {
    /// The tenant
    pub tenant_name: String,
}

/// Whom the token belongs to, as the SDK asks.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserInfo {
    /// Id of the subject
    pub id: String,
    /// Email or name
    pub subject_slug: String,
    /// Type of the subject
    pub subject_type: super::SubjectType,
    /// The personal access token, if it is one
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_pat_name: Option<String>,
    /// The address, for a person
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The tenant
    pub tenant_name: String,
    /// Roles in the tenant
    pub roles: Vec<String>,
    /// Teams
    pub teams: Vec<SessionAccount>,
    /// Accounts
    pub accounts: Vec<SessionAccount>,
    /// Id of the subject that permissions are taken from
    pub effective_user_id: String,
}

/// A named thing of a session.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SessionAccount {
    /// Name
    pub name: String,
    /// Id
    pub id: String,
}

/// A machine.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VirtualAccount {
    /// Id of the account
    pub id: String,
    /// `serviceaccount`
    #[serde(rename = "type")]
    pub kind: String,
    /// The tenant
    pub tenant_name: String,
    /// Its manifest
    #[schemars(schema_with = "object")]
    pub manifest: Box<RawValue>,
    /// Who made it
    pub created_by_subject: Subject,
    /// When made
    #[schemars(schema_with = "time")]
    pub created_at: String,
    /// When last changed
    #[schemars(schema_with = "time")]
    pub updated_at: String,
    /// Id of the tenant's account
    pub account_id: String,
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
