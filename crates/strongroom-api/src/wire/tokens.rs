use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use strongroom_domain::SecretValue;

use super::secret_group::time;
use super::{Pagination, Subject};

/// A token to make for oneself.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateTokenRequest {
    /// Name of the token
    pub name: String,
    /// When it ends: a date or a time
    #[serde(default)]
    pub expiration_date: Option<String>,
    /// Taken and not acted on: a tenant has one account
    #[serde(default)]
    pub account_name: Option<String>,
    /// Taken and not acted on: a token has no owner but its person
    #[serde(default)]
    pub team_name: Option<String>,
    /// `opaque`, which is the default, or `jwt`
    #[serde(default)]
    pub token_type: Option<String>,
}

/// A token to make for a person.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreateTokenForUserRequest {
    /// Name of the token
    pub name: String,
    /// Whose
    pub user_email: String,
    /// When it ends: a date or a time
    #[serde(default)]
    pub expiration_date: Option<String>,
    /// Taken and not acted on: a token has no owner but its person
    #[serde(default)]
    pub team_name: Option<String>,
    /// `opaque`, which is the default, or `jwt`
    #[serde(default)]
    pub token_type: Option<String>,
}

/// Whose tokens shall end.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct RevokeTokensRequest {
    /// The person's address
    pub email: String,
}

/// A token, shown this once.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TokenResponse {
    /// The token
    #[serde(serialize_with = "exposed")]
    #[schemars(with = "String")]
    pub token: SecretValue,
}

/// A page of one's own tokens.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ListTokensResponse {
    /// The tokens, newest first
    pub data: Vec<PersonalAccessToken>,
    /// Which part of how many
    pub pagination: Pagination,
}

/// A person's token, in the shape in which the contract has virtual accounts.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonalAccessToken {
    /// Id of the token
    pub id: String,
    /// `pat`
    #[serde(rename = "type")]
    pub kind: String,
    /// The tenant
    pub tenant_name: String,
    /// What it was made with
    pub manifest: TokenManifest,
    /// Whose it is
    pub created_by_subject: Subject,
    /// When made
    #[schemars(schema_with = "time")]
    pub created_at: String,
    /// When made
    #[schemars(schema_with = "time")]
    pub updated_at: String,
    /// Id of the tenant's account
    pub account_id: String,
    /// Whether it has ended
    pub is_expired: bool,
}

/// What a person's token was made with. It has no `type`: the SDK reads it as a virtual account's manifest, and would
/// fail on any other.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TokenManifest {
    /// Name
    pub name: String,
    /// When it ends
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration_date: Option<String>,
    /// Whose it is
    pub user_fqn: String,
    /// `opaque` or `jwt`
    pub token_type: String,
}

/// The one way of a new token into an answer.
pub(super) fn exposed<S: Serializer>(token: &SecretValue, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(token.expose())
}

#[expect(clippy::ref_option, reason = "serde hands the field over by reference")]
pub(super) fn exposed_if<S: Serializer>(token: &Option<SecretValue>, serializer: S) -> Result<S::Ok, S::Error> {
    match token {
        Some(token) => exposed(token, serializer),
        None => serializer.serialize_none(),
    }
}
