use schemars::JsonSchema;
use serde::Serialize;

use super::Pagination;
use super::common::plain_enum;
use super::secret_group::optional_time;

/// Whether somebody may do something to a secret group, and why.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExplainAccessResponse {
    /// Whether they may
    pub allowed: bool,
    /// Why, for people to read
    pub reason: String,
    /// What a request of theirs would meet
    pub decision: AccessDecision,
    /// Id of the role on the group that counts; null when they have none
    pub role: Option<String>,
    /// Everything that gives them a role on the group
    pub through: Vec<AccessGrant>,
}

/// What a request would meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = plain_enum)]
pub enum AccessDecision {
    /// It would be done.
    Allowed,
    /// 403: they may know that the group exists.
    Forbidden,
    /// For them the group does not exist, or they may not act at all.
    Invisible,
}

/// Something that gives somebody a role on a secret group.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessGrant {
    /// What it stands in
    pub source: AccessSource,
    /// The name of the role in the tenant, of the role binding, of the virtual account, or of the group
    pub name: String,
    /// Whom it is given to: the subject, or a team that they are in
    pub subject: String,
    /// Id of the role on the group
    pub role: String,
    /// When it ends
    #[schemars(schema_with = "optional_time")]
    pub expires_at: Option<String>,
    /// Whether it alone is enough
    pub suffices: bool,
}

/// What a grant stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = plain_enum)]
pub enum AccessSource {
    /// A role in the tenant.
    TenantRole,
    /// The group's collaborators.
    Manifest,
    /// The permissions of a virtual account.
    VirtualAccount,
    /// A role binding.
    RoleBinding,
}

/// Who can read the values of a secret group.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListReadersResponse {
    /// By name
    pub data: Vec<Reader>,
    /// Whether `DISABLE_SECRET_VALUE_VIEW` hides values from people, so that only machines are here
    pub values_hidden_from_people: bool,
    /// Which part
    pub pagination: Pagination,
}

/// Somebody who can read the values of a secret group.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reader {
    /// `<type>:<name>`
    pub subject: String,
    /// Id of the strongest role of those that are listed
    pub role: String,
    /// False for a person who was deactivated: they can read again when they are activated
    pub active: bool,
    /// How many people are in it, for `team:everyone`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<i64>,
    /// All that lets them read
    pub through: Vec<AccessGrant>,
}
