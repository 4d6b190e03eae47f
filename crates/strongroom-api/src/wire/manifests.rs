use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use serde_json::value::RawValue;
use strongroom_domain::SecretValue;

use super::secret_group::{object, time};
use super::{IdentityProvider, ProviderAccount, Role, RoleBinding, SecretGroup, Subject, Team, VirtualAccount};

/// A manifest to apply.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyManifestRequest {
    /// The manifest
    pub manifest: serde_json::Value,
    /// Only check; change nothing
    #[serde(default)]
    pub dry_run: Option<bool>,
}

/// What applying a manifest did.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyResponse {
    /// The manifest that was there before, or null; of an identity provider in a dry run only
    #[schemars(with = "Option<serde_json::Value>")]
    pub existing_manifest: Option<Box<RawValue>>,
    /// `CREATE` or `UPDATE`
    pub action: String,
    /// The resource afterwards
    pub data: Entity,
    /// The token of a machine that was just made, shown this once
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "super::tokens::exposed_if")]
    #[schemars(with = "Option<String>")]
    pub token: Option<SecretValue>,
}

/// A resource, as a manifest of its type describes it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Entity {
    /// A secret group
    SecretGroup(Box<SecretGroup>),
    /// A team
    Team(Team),
    /// An agent's identity
    AgentIdentity(AgentIdentity),
    /// A role
    Role(Role),
    /// A role binding
    RoleBinding(RoleBinding),
    /// An identity provider
    IdentityProvider(IdentityProvider),
    /// A virtual account or an agent's identity
    VirtualAccount(Box<VirtualAccount>),
    /// A provider account
    ProviderAccount(Box<ProviderAccount>),
}

/// An agent's identity. Without a `type`: the contract's clients would take it for something else.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentIdentity {
    /// Id of the agent
    pub id: String,
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

/// Manifests that shall be applied together.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct DependencyTreeRequest {
    /// The manifests, of any types
    pub manifests: Vec<serde_json::Value>,
}

/// Which of the manifests need which others to be applied before.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DependencyTreeResponse {
    /// One entry for each manifest
    pub data: Vec<ResourceDependencies>,
}

/// What one manifest needs.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceDependencies {
    /// Type of the resource
    pub resource_type: String,
    /// Its name
    pub resource_name: String,
    /// What has to be applied before
    pub dependencies: Vec<ResourceName>,
}

/// A resource by type and name.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceName {
    /// Type of the resource
    pub resource_type: String,
    /// Its name
    pub resource_name: String,
}

/// The manifest of a resource to delete.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct DeleteManifestRequest {
    /// The manifest; its type and name are what counts
    pub manifest: serde_json::Value,
}
