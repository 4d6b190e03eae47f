//! The table of operations: one row says what an operation is, who may call it and what it leaves in the audit log.
//!
//! The server mounts its routes from this table, the OpenAPI document is written from it, and the tests walk it.

mod specs;
mod table;

use schemars::{Schema, SchemaGenerator};

pub use table::Operation;

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct OperationSpec {
    /// The operation's id in the OpenAPI document, in logs and in revisions.
    pub id: &'static str,
    /// The method.
    pub method: Method,
    /// The path, with `{id}` for a parameter.
    pub path: &'static str,
    /// The group of operations that it is shown with.
    pub tag: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// What else to know.
    pub description: &'static str,
    /// Who may call it.
    pub access: Access,
    /// What it leaves in the audit log.
    pub audit: AuditMode,
    /// Query and header parameters.
    pub parameters: &'static [Parameter],
    /// The body that it takes.
    pub request: Option<Body>,
    /// The body of its success.
    pub response: Body,
    /// Errors that are worth a line, beside those that every operation has.
    pub errors: &'static [(u16, &'static str)],
}

/// A JSON body: how its schema is made.
pub(crate) type Body = fn(&mut SchemaGenerator) -> Schema;

/// A request method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl Method {
    /// The method as it is written in a request.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// Who may call an operation at all; what they may do with a resource is decided by policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Public,
    /// Whoever has a valid token.
    Authenticated,
    /// Tenant admins.
    TenantAdmin,
}

/// What an operation leaves in the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditMode {
    /// Nothing: it gives no value and changes nothing.
    None,
    /// An event in the batch of its change.
    Change,
    /// An event that is durable before a value is given.
    Reveal,
}

/// A query or header parameter.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Where and of what type.
    pub kind: ParameterKind,
    /// What it does.
    pub description: &'static str,
}

/// Where a parameter stands and of what type it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    /// A text in the query.
    Text,
    /// A text in the query that must be there.
    RequiredText,
    /// A whole number in the query.
    Integer,
    /// `true` or `false` in the query.
    Boolean,
    /// A list in the query: the name repeated, or one value with commas.
    List,
    /// A header.
    Header,
}
