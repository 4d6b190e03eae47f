use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The body of every answer under `/api` that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "HttpError")]
pub struct ErrorBody {
    /// HTTP Status Code
    pub status_code: u16,
    /// Error Message
    pub message: String,
    /// Error code
    #[schemars(schema_with = "integer_or_string")]
    pub code: Option<String>,
    /// Error details
    #[schemars(schema_with = "objects")]
    pub details: Option<Vec<ErrorDetail>>,
}

/// One fault of an input, or one thing that more must be said about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// Where, e.g. `secrets[2].key`.
    pub path: String,
    /// What, and what to do.
    pub message: String,
}

fn integer_or_string(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"oneOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]})
}

fn objects(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": ["array", "null"], "items": {"type": "object"}})
}
