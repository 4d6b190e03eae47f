use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who did something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    /// Subject ID
    pub subject_id: String,
    /// Subject type
    pub subject_type: SubjectType,
    /// Subject slug
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_slug: Option<String>,
    /// Subject display name
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_display_name: Option<String>,
    /// Subject PAT name
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_pat_name: Option<String>,
    /// The controller that acted for the subject
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_controller_name: Option<String>,
    /// External identity slug (`external_identity_id:sub:email`)
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject_external_identity_slug: Option<String>,
}

/// Type of the authenticated subject. "user" for human users, "serviceaccount" (also known as virtual account) for
/// programmatic access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(transform = plain_enum)]
pub enum SubjectType {
    /// A person.
    User,
    /// A team.
    Team,
    /// A virtual account that acts.
    #[serde(rename = "serviceaccount")]
    ServiceAccount,
    /// A virtual account that is spoken of.
    #[serde(rename = "virtualaccount")]
    VirtualAccount,
    /// Somebody known to an identity provider.
    ExternalIdentity,
    /// An agent.
    AgentIdentity,
    /// A role.
    Role,
}

/// Which part of how many a list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pagination {
    /// How many there are in all
    pub total: i64,
    /// How many were skipped
    pub offset: Option<i64>,
    /// How many were asked for
    pub limit: Option<i64>,
}

/// An empty object: done, and nothing to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Empty {}

/// Whether the server lives or serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// `ok`, or why not
    pub status: String,
}

/// One `enum` list instead of one `const` a variant, as the contract writes enums.
pub(super) fn plain_enum(schema: &mut schemars::Schema) {
    let Some(variants) = schema.remove("oneOf") else { return };
    let names: Vec<_> =
        variants.as_array().into_iter().flatten().filter_map(|variant| variant.get("const")).cloned().collect();
    schema.insert("type".into(), "string".into());
    schema.insert("enum".into(), names.into());
}
