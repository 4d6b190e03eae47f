//! Teams, roles, role bindings and identity providers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::object::objects;
use super::secret_group::{object, time};
use super::{Pagination, Subject, SubjectPermission, SubjectType};

/// A team.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Team {
    /// Id of the team
    pub id: String,
    /// Its name
    pub team_name: String,
    /// What it is for
    pub description: String,
    /// The tenant
    pub tenant_name: String,
    /// Id of the tenant's account
    pub account_id: String,
    /// Who made it
    pub created_by_subject: Subject,
    /// Addresses of its members
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<String>>,
    /// Its manifest
    #[schemars(schema_with = "object")]
    pub manifest: Box<RawValue>,
    /// Whether this server keeps the team
    pub is_editable: bool,
    /// How many members it has
    pub total_member_count: i64,
    /// How many managers it has
    pub total_manager_count: i64,
    /// When made
    #[schemars(schema_with = "time")]
    pub created_at: String,
    /// When last changed
    #[schemars(schema_with = "time")]
    pub updated_at: String,
}

/// A page of teams.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ListTeamsResponse {
    /// The teams
    pub data: Vec<Team>,
    /// Which part of how many
    pub pagination: Pagination,
}

/// A team.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GetTeamResponse {
    /// The team
    pub data: Team,
}

/// Somebody in a team.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TeamSubject {
    /// Id of the subject
    pub subject_id: String,
    /// Email or name
    pub subject_slug: String,
    /// Type of the subject
    pub subject_type: SubjectType,
}

/// A page of a team's members or managers.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ListTeamSubjectsResponse {
    /// The people
    pub data: Vec<TeamSubject>,
    /// Which part of how many
    pub pagination: Pagination,
}

/// What a team may do.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GetTeamPermissionsResponse {
    /// Its roles
    pub data: Vec<SubjectPermission>,
}

/// A role of the tenant's own, or a built-in one.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Role {
    /// Id of the role; a built-in one's is its name
    pub id: String,
    /// Its name
    pub name: String,
    /// The tenant
    pub tenant_name: String,
    /// Id of the tenant's account
    pub account_id: String,
    /// What kind of resource it is a role on
    pub resource_type: String,
    /// Its manifest
    #[schemars(schema_with = "object")]
    pub manifest: Box<RawValue>,
    /// Who made it; of a built-in one the server itself
    pub created_by_subject: Subject,
    /// Whether it can be changed
    pub is_editable: bool,
    /// Whether it is built in
    pub is_default: bool,
    /// Whether it is built in
    pub is_reserved: bool,
}

/// The roles.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ListRolesResponse {
    /// The roles
    pub data: Vec<Role>,
    /// Which part of how many
    pub pagination: Pagination,
}

/// A role binding.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleBinding {
    /// Id of the binding
    pub id: String,
    /// Its name
    pub name: String,
    /// Id of the tenant's account
    pub account_id: String,
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
}

/// A page of role bindings.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ListRoleBindingsResponse {
    /// The bindings
    pub data: Vec<RoleBinding>,
    /// Which part of how many
    pub pagination: Pagination,
}

/// A role binding.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GetRoleBindingResponse {
    /// The binding
    pub data: RoleBinding,
}

/// Roles to bind, each on its own.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateInlineRoleBindingsRequest {
    /// Each becomes one role binding
    #[serde(deserialize_with = "objects")]
    #[schemars(length(min = 1))]
    pub role_bindings: Vec<InlineRoleBinding>,
}

/// One role of one subject on one resource.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InlineRoleBinding {
    /// Type of the resource
    pub resource_type: String,
    /// FQN of the resource
    pub resource_fqn: String,
    /// `<type>:<name>`, e.g. `user:alice@example.com`
    pub subject_fqn: String,
    /// Id of the role
    pub role: String,
}

/// The bindings that were asked for.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CreateInlineRoleBindingsResponse {
    /// The bindings, in the order of the request
    pub data: Vec<RoleBinding>,
}

/// Manifests of role bindings.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GenerateRoleBindingManifestsResponse {
    /// The manifests
    #[schemars(schema_with = "manifests")]
    pub data: Vec<serde_json::Value>,
}

fn manifests(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "array", "items": object(generator)})
}

/// Whether a name is in use.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct ExistsResponse {
    /// Whether there is one of this name
    pub exists: bool,
}

/// An identity provider whose tokens are taken.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityProvider {
    /// Id of the provider
    pub id: String,
    /// `<tenant>:identity-provider:<name>`
    pub fqn: String,
    /// Its name
    pub name: String,
    /// The tenant
    pub tenant_name: String,
    /// Id of the tenant's account
    pub account_id: String,
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
}

/// A page of identity providers.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ListIdentityProvidersResponse {
    /// The providers
    pub data: Vec<IdentityProvider>,
    /// Which part of how many
    pub pagination: Pagination,
}

/// An identity provider.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GetIdentityProviderResponse {
    /// The provider
    pub data: IdentityProvider,
}
