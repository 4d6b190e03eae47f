//! The rows of the table, by what they are about, and what rows share.
#![allow(clippy::wildcard_imports, reason = "a row is made of what stands here; no warning in tests")]

pub(super) mod access;
pub(super) mod agents;
pub(super) mod audit_logs;
pub(super) mod keys;
pub(super) mod manifests;
pub(super) mod operations;
pub(super) mod policies;
pub(super) mod providers;
pub(super) mod secret_groups;
pub(super) mod secrets;
pub(super) mod service;
pub(super) mod session;
pub(super) mod tokens;
pub(super) mod trash;
pub(super) mod users;
pub(super) mod virtual_accounts;

use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{Access, AuditMode, Method, OperationSpec, Parameter, ParameterKind};
use crate::wire;

pub(super) const DEFAULTS: OperationSpec = OperationSpec {
    id: "",
    method: Method::Get,
    path: "",
    tag: "",
    summary: "",
    description: "",
    access: Access::Authenticated,
    audit: AuditMode::None,
    parameters: &[],
    request: None,
    response: schema::<wire::Empty>,
    errors: &[],
};

pub(super) const LIMIT: Parameter =
    Parameter { name: "limit", kind: ParameterKind::Integer, description: "How many at most: 1 to 1000, default 100" };
pub(super) const OFFSET: Parameter =
    Parameter { name: "offset", kind: ParameterKind::Integer, description: "How many to skip, default 0" };
pub(super) const FORCE_DELETE: Parameter = Parameter {
    name: "forceDelete",
    kind: ParameterKind::Boolean,
    description: "Delete even when the secret store can't be reached",
};
pub(super) const IF_MATCH: Parameter = Parameter {
    name: "If-Match",
    kind: ParameterKind::Header,
    description: "Only when the group is at this revision: the `ETag` of an earlier answer; else 412",
};
pub(super) const TYPE: Parameter = query("type", "Only of this type, e.g. `secret-store`");
pub(super) const FQN: Parameter = query("fqn", "Only the one with this FQN");
pub(super) const ID: Parameter = query("id", "Only the one with this id");

pub(super) const NO_GROUP: (u16, &str) = (404, "There is no such secret group, or the caller may not see it.");
pub(super) const NO_SECRET: (u16, &str) = (404, "There is no such secret, or the caller may not see it.");
pub(super) const MAY_NOT: (u16, &str) = (403, "The caller may see the group but not do this.");
pub(super) const BAD_INPUT: (u16, &str) = (422, "A field is missing or wrong; `details` names it.");
pub(super) const STORE_DOWN: (u16, &str) = (424, "The secret store failed; its name and reason are in the message.");
pub(super) const IN_USE: (u16, &str) = (422, "It is in use; the message says by what.");
pub(super) const OTHER_REVISION: (u16, &str) = (412, "`If-Match` names another revision than the newest.");
pub(super) const ADMINS_ONLY: (u16, &str) = (403, "Tenant admins only.");

pub(super) const fn query(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, kind: ParameterKind::Text, description }
}

pub(super) fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

pub(super) fn number(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({"type": "number"})
}

pub(super) fn text(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({"type": "string"})
}

pub(super) fn any_object(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({"type": "object"})
}
