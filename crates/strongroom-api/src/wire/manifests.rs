use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretGroup;

/// A manifest to apply, of any type that the server knows.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyRequest {
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
    /// The manifest that was there before, or null
    pub existing_manifest: Option<serde_json::Value>,
    /// `CREATE` or `UPDATE`
    pub action: String,
    /// The resource afterwards
    pub data: SecretGroup,
}

/// The manifest of a resource to delete.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct DeleteManifestRequest {
    /// The manifest; its type and name are what counts
    pub manifest: serde_json::Value,
}

/// A manifest of type `virtual-account` to apply.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApplyVirtualAccountRequest {
    /// The manifest
    pub manifest: serde_json::Value,
    /// Only check; change nothing
    #[serde(default)]
    pub dry_run: Option<bool>,
}
