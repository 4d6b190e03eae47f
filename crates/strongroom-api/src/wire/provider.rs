use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::secret_group::{object, time};
use super::{Pagination, Subject};

/// An account with a provider of secret stores.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderAccount {
    /// Id of the account
    pub id: String,
    /// Its name
    pub name: String,
    /// `<tenant>:<provider>:<account>`
    pub fqn: String,
    /// `truefoundry`, `aws`, …
    pub provider: String,
    /// Its manifest, without credentials
    #[schemars(schema_with = "object")]
    pub manifest: Box<RawValue>,
    /// Its integrations
    pub integrations: Vec<ProviderIntegration>,
    /// Who made it
    pub created_by_subject: Subject,
    /// Id of the tenant's account
    pub account_id: String,
    /// When made
    #[schemars(schema_with = "time")]
    pub created_at: String,
    /// When last changed
    #[schemars(schema_with = "time")]
    pub updated_at: String,
}

/// One integration of an account, such as a secret store.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderIntegration {
    /// Id of the integration: what `integrationId` means when a group is made
    pub id: String,
    /// Its name
    pub name: String,
    /// `<tenant>:<provider>:<account>:<type>:<name>`
    pub fqn: String,
    /// `secret-store`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Its manifest, without credentials
    #[schemars(schema_with = "object")]
    pub manifest: Box<RawValue>,
    /// FQN of its account
    pub provider_account_fqn: String,
    /// The tenant
    pub tenant_name: String,
    /// Who made it
    pub created_by_subject: Subject,
    /// When made
    #[schemars(schema_with = "time")]
    pub created_at: String,
    /// When last changed
    #[schemars(schema_with = "time")]
    pub updated_at: String,
}

/// A page of accounts.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ListProviderAccountsResponse {
    /// The accounts
    pub data: Vec<ProviderAccount>,
    /// Which part of how many
    pub pagination: Pagination,
}

/// A page of integrations.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ListProviderIntegrationsResponse {
    /// The integrations
    pub data: Vec<ProviderIntegration>,
    /// Which part of how many
    pub pagination: Pagination,
}

/// An account.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GetProviderAccountResponse {
    /// The account
    pub data: ProviderAccount,
}

/// Whether a store can be used.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionCheck {
    /// Whether it can
    pub ok: bool,
    /// What is missing where it can't
    pub reason: Option<String>,
    /// What that means, like `permission_denied`, `unauthenticated` or `unavailable`
    pub kind: Option<String>,
    /// When it was asked
    #[schemars(schema_with = "time")]
    pub checked_at: String,
}

/// The outcome of a connection check.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TestProviderIntegrationResponse {
    /// The outcome
    pub data: ConnectionCheck,
}
