use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strongroom_domain::SecretValue;

use super::Pagination;
use super::secret_group::time;
use super::tokens::exposed;

/// A person to register.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RegisterUserRequest {
    /// The address
    pub email: String,
    /// Taken and not acted on: this server sends no mail
    #[serde(default)]
    pub send_invite_email: Option<bool>,
    /// Answer with success when the person is registered already
    #[serde(default)]
    pub skip_if_user_exists: Option<bool>,
    /// Only check; change nothing
    #[serde(default)]
    pub dry_run: Option<bool>,
}

/// The registered person.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RegisterUserResponse {
    /// The person
    pub data: User,
}

/// A person.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// Id of the person; null for one that a dry run would make
    pub id: Option<String>,
    /// The address
    pub email: String,
    /// The tenant
    pub tenant_name: String,
    /// More
    pub metadata: UserMetadata,
    /// Roles in the tenant
    pub roles: Vec<String>,
    /// Whether the person may act at all
    pub active: bool,
    /// Whether this server keeps the person
    pub is_editable: bool,
    /// When registered
    #[schemars(schema_with = "time")]
    pub created_at: String,
    /// When last changed
    #[schemars(schema_with = "time")]
    pub updated_at: String,
}

/// More about a person.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserMetadata {
    /// As it is shown
    pub display_name: String,
}

/// A page of the tenant's people.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ListUsersResponse {
    /// The people, newest first
    pub data: Vec<User>,
    /// Which part of how many
    pub pagination: Pagination,
}

/// A person.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GetUserResponse {
    /// The person
    pub data: User,
}

/// The role that a person shall have in the tenant.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UpdateUserRolesRequest {
    /// The person's address
    pub email: String,
    /// Exactly one: `tenant-admin`, `tenant-member` or a role of the tenant's own for `account`
    pub roles: Vec<String>,
    /// `account` (or `tenant`): other things are granted by role bindings
    #[serde(default)]
    pub resource_type: Option<String>,
}

/// A person who shall act again, or no more.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserActivationRequest {
    /// The person's address
    pub email: String,
    /// The tenant; this server has one
    #[serde(default)]
    pub tenant_name: Option<String>,
}

/// A registered person who shall get their first token, or another one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InviteUserRequest {
    /// The page that the link leads to: `https`, or `http` on this computer
    pub accept_invite_client_url: String,
    /// The person's address
    pub email: String,
}

/// The way in for an invited person.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct InviteUserResponse {
    /// The link, with the code in its fragment; shown this once
    #[serde(serialize_with = "exposed")]
    #[schemars(with = "String")]
    pub link: SecretValue,
}

/// An invitation to be used up.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AcceptInvitationRequest {
    /// What follows `#invitation=` in the link
    #[schemars(with = "String")]
    pub code: SecretValue,
    /// Name of the token that it is traded for; left out: `invitation`, with a number where that is taken
    #[serde(default)]
    pub token_name: Option<String>,
}

/// What names a person as a collaborator.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GetUserResourcesResponse {
    /// The resources, each with the role
    pub data: Vec<UserResource>,
}

/// A resource that names a person as a collaborator.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserResource {
    /// Type of the resource
    pub resource_type: String,
    /// Id of the resource
    pub resource_id: String,
    /// Id of the role
    pub role_id: String,
    /// Name of the resource
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
}

/// What a person may do, and through whom.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GetUserPermissionsResponse {
    /// The person's own roles and those of their teams
    pub data: Vec<SubjectPermission>,
}

/// A role that a person or team has on something.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SubjectPermission {
    /// Type of the resource
    pub resource_type: String,
    /// Id of the resource
    pub resource_id: String,
    /// Name of the resource
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
    /// FQN of the resource
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_fqn: Option<String>,
    /// Id of the role
    pub role_id: String,
    /// Name of the role
    pub role_name: String,
    /// Id of the person or team
    pub subject_id: String,
    /// `user` or `team`
    pub subject_type: String,
}

/// The teams of a person.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GetUserTeamsResponse {
    /// The teams
    pub data: Vec<UserTeam>,
}

/// A team of a person.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UserTeam {
    /// Name of the team
    pub team_name: String,
    /// `team-member`, `team-manager` or both
    pub roles: Vec<String>,
}
