use schemars::JsonSchema;
use serde::Serialize;

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
    /// External identity slug (`external_identity_id:sub:email`), where an identity provider's token was shown
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_external_identity_slug: Option<String>,
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
