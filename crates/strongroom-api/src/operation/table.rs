use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::{Access, AuditMode, Method, OperationSpec, Parameter, ParameterKind};
use crate::wire;

macro_rules! operations {
    ($($name:ident { $($field:ident: $value:expr),+ $(,)? })+) => {
        /// Everything that can be asked of the server.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each variant is described by its row")]
        pub enum Operation { $($name),+ }

        impl Operation {
            /// Every operation, in the order of the document.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The operation's row.
            #[must_use]
            pub const fn spec(self) -> &'static OperationSpec {
                match self { $(Self::$name => {
                    const SPEC: &OperationSpec = &OperationSpec { $($field: $value,)+ ..DEFAULTS };
                    SPEC
                }),+ }
            }
        }
    };
}

const DEFAULTS: OperationSpec = OperationSpec {
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

const LIMIT: Parameter =
    Parameter { name: "limit", kind: ParameterKind::Integer, description: "How many at most: 1 to 1000, default 100" };
const OFFSET: Parameter =
    Parameter { name: "offset", kind: ParameterKind::Integer, description: "How many to skip, default 0" };
const FORCE_DELETE: Parameter = Parameter {
    name: "forceDelete",
    kind: ParameterKind::Boolean,
    description: "Delete even when the secret store can't be reached",
};
const IF_MATCH: Parameter = Parameter {
    name: "If-Match",
    kind: ParameterKind::Header,
    description: "Only when the group is at this revision: the `ETag` of an earlier answer; else 412",
};
const TYPE: Parameter = query("type", "Only of this type, e.g. `secret-store`");
const FQN: Parameter = query("fqn", "Only the one with this FQN");
const ID: Parameter = query("id", "Only the one with this id");

const NO_GROUP: (u16, &str) = (404, "There is no such secret group, or the caller may not see it.");
const NO_SECRET: (u16, &str) = (404, "There is no such secret, or the caller may not see it.");
const MAY_NOT: (u16, &str) = (403, "The caller may see the group but not do this.");
const BAD_INPUT: (u16, &str) = (422, "A field is missing or wrong; `details` names it.");
const STORE_DOWN: (u16, &str) = (424, "The secret store failed; its name and reason are in the message.");
const OTHER_REVISION: (u16, &str) = (412, "`If-Match` names another revision than the newest.");
const ADMINS_ONLY: (u16, &str) = (403, "Tenant admins only.");

operations! {
    ListSecretGroups {
        id: "SecretGroup.list", path: "/api/svc/v1/secret-groups", tag: "Secret Groups",
        summary: "List secret groups",
        description: "The groups that the caller may see, newest first, without values. A page may be shorter than `limit`; \
            the list ends with an empty page.",
        parameters: &[LIMIT, OFFSET, FQN,
            query("search", "Only groups whose name or one of whose keys contains this, without case"),
            Parameter { name: "attributes", kind: ParameterKind::List,
                description: "Leave out optional fields that are not named here; required fields are always there" }],
        response: schema::<wire::ListSecretGroupsResponse>,
        errors: &[BAD_INPUT],
    }
    CreateSecretGroup {
        id: "SecretGroup.post", method: Method::Post, path: "/api/svc/v1/secret-groups", tag: "Secret Groups",
        summary: "Create a secret group",
        description: "Create a secret group with initial secrets.",
        audit: AuditMode::Change,
        request: Some(schema::<wire::CreateSecretGroupRequest>),
        response: schema::<wire::GetSecretGroupResponse>,
        errors: &[(422, "Missing required fields."), (424, "No secret store integration found.")],
    }
    ApplySecretGroup {
        id: "SecretGroup.put", method: Method::Put, path: "/api/svc/v1/secret-groups", tag: "Secret Groups",
        summary: "Create or update a secret group by its manifest",
        description: "The match is by name. Secrets are not touched. With `dryRun` everything is checked and nothing changed.",
        audit: AuditMode::Change,
        parameters: &[IF_MATCH],
        request: Some(schema::<wire::ApplySecretGroupRequest>),
        response: schema::<wire::GetSecretGroupResponse>,
        errors: &[MAY_NOT, (404, "The integration or a collaborator does not exist."),
            (409, "The name belongs to a group that the caller may not see."), OTHER_REVISION, BAD_INPUT],
    }
    GetSecretGroup {
        id: "SecretGroup.get", path: "/api/svc/v1/secret-groups/{id}", tag: "Secret Groups",
        summary: "Get a secret group",
        description: "The group with its keys and current versions, without values. `ETag` is its revision.",
        response: schema::<wire::GetSecretGroupResponse>,
        errors: &[NO_GROUP],
    }
    UpdateSecretGroup {
        id: "SecretGroup.update", method: Method::Put, path: "/api/svc/v1/secret-groups/{id}", tag: "Secret Groups",
        summary: "Set the secrets of a group",
        description: "The list is the complete set of keys. A changed value makes a new version, an equal one none; a key without \
            a value stays as it is; a key left out is deleted, and the answer names it and how to bring it back.",
        audit: AuditMode::Change,
        parameters: &[IF_MATCH],
        request: Some(schema::<wire::UpdateSecretGroupRequest>),
        response: schema::<wire::UpdateSecretGroupResponse>,
        errors: &[MAY_NOT, NO_GROUP, OTHER_REVISION, BAD_INPUT, STORE_DOWN],
    }
    DeleteSecretGroup {
        id: "SecretGroup.delete", method: Method::Delete, path: "/api/svc/v1/secret-groups/{id}", tag: "Secret Groups",
        summary: "Delete a secret group",
        description: "With all its secrets. It can be brought back while it lies in the trash.",
        audit: AuditMode::Change,
        parameters: &[FORCE_DELETE, IF_MATCH],
        errors: &[MAY_NOT, NO_GROUP, OTHER_REVISION, STORE_DOWN],
    }
    ListSecrets {
        id: "Secret.list", method: Method::Post, path: "/api/svc/v1/secrets", tag: "Secrets",
        summary: "List secrets",
        description: "The secrets that the caller may see, newest first; with `withValue` also the values that the caller may \
            read. A page may be shorter than `limit`; the list ends with an empty page.",
        audit: AuditMode::Reveal,
        request: Some(schema::<wire::ListSecretsRequest>),
        response: schema::<wire::ListSecretsResponse>,
        errors: &[NO_GROUP, BAD_INPUT, STORE_DOWN],
    }
    GetSecret {
        id: "Secret.get", path: "/api/svc/v1/secrets/{id}", tag: "Secrets",
        summary: "Get a secret with its value",
        description: "The value is left out for callers who may see the group but not its values. Up to 100 versions are named.",
        audit: AuditMode::Reveal,
        response: schema::<wire::GetSecretResponse>,
        errors: &[NO_SECRET, STORE_DOWN],
    }
    DeleteSecret {
        id: "Secret.delete", method: Method::Delete, path: "/api/svc/v1/secrets/{id}", tag: "Secrets",
        summary: "Delete a secret",
        description: "The answer is the number of deleted secrets. It can be brought back while it lies in the trash.",
        audit: AuditMode::Change,
        parameters: &[FORCE_DELETE, IF_MATCH],
        response: number,
        errors: &[MAY_NOT, NO_SECRET, OTHER_REVISION, STORE_DOWN],
    }
    ListSecretVersions {
        id: "Secret.listVersions", path: "/api/svc/v1/secrets/{id}/versions", tag: "Secrets",
        summary: "List the versions of a secret",
        description: "Newest first, without values.",
        parameters: &[LIMIT, OFFSET],
        response: schema::<wire::ListSecretVersionsResponse>,
        errors: &[NO_SECRET, BAD_INPUT],
    }
    GetControlPlaneSecret {
        id: "ControlPlane.getSecret", path: "/api/svc/v1/control-plane/secret", tag: "Secrets",
        summary: "Get a value by reference, for External Secrets",
        description: "`secret_ref` is an FQN or a `tfy-secret://` reference, with a version at its end or without. With \
            DISABLE_SECRET_VALUE_VIEW it serves machines only.",
        audit: AuditMode::Reveal,
        parameters: &[Parameter { name: "secret_ref", kind: ParameterKind::RequiredText,
            description: "`tfy-secret://<tenant>:<group>:<key>`, `<tenant>:<group>:<key>`, each also with `:<version>`" }],
        response: schema::<wire::ControlPlaneSecret>,
        errors: &[MAY_NOT, NO_SECRET, BAD_INPUT, STORE_DOWN],
    }
    ListProviderAccounts {
        id: "ProviderAccount.list", path: "/api/svc/v1/provider-accounts", tag: "Provider Integrations",
        summary: "List provider accounts",
        description: "With their integrations, without credentials.",
        parameters: &[LIMIT, OFFSET, TYPE, FQN, ID],
        response: schema::<wire::ListProviderAccountsResponse>,
        errors: &[BAD_INPUT],
    }
    ListProviderIntegrations {
        id: "ProviderIntegration.getProviderIntegrations", path: "/api/svc/v1/provider-integrations",
        tag: "Provider Integrations",
        summary: "List provider integrations",
        description: "Without credentials. The id of one of type `secret-store` is what a new secret group needs.",
        parameters: &[LIMIT, OFFSET, TYPE, FQN, ID],
        response: schema::<wire::ListProviderIntegrationsResponse>,
        errors: &[BAD_INPUT],
    }
    Apply {
        id: "Apply.put", method: Method::Put, path: "/api/svc/v1/apply", tag: "Apply",
        summary: "Apply a manifest",
        description: "Of type `secret-group`.",
        audit: AuditMode::Change,
        request: Some(schema::<wire::ApplyRequest>),
        response: schema::<wire::ApplyResponse>,
        errors: &[MAY_NOT, (404, "The integration or a collaborator does not exist."),
            (409, "The name belongs to a group that the caller may not see."), BAD_INPUT],
    }
    DeleteManifest {
        id: "Apply.delete", method: Method::Post, path: "/api/svc/v1/delete", tag: "Apply",
        summary: "Delete the resource that a manifest names",
        description: "Of type `secret-group`.",
        audit: AuditMode::Change,
        request: Some(schema::<wire::DeleteManifestRequest>),
        errors: &[MAY_NOT, NO_GROUP, BAD_INPUT, STORE_DOWN],
    }
    MinCliVersion {
        id: "Cli.minVersion", path: "/api/svc/v1/min-cli-version", tag: "Users", access: Access::Public,
        summary: "The oldest command line that the server takes",
        response: schema::<wire::MinCliVersion>,
    }
    TenantId {
        id: "Tenant.id", path: "/api/svc/v1/tenant-id", tag: "Users", access: Access::Public,
        summary: "The tenant of a host",
        parameters: &[query("hostName", "The host; this server has one tenant on every host")],
        response: schema::<wire::TenantId>,
    }
    GetSession {
        id: "Session.get", path: "/api/svc/v1/session", tag: "Users",
        summary: "Whom the token belongs to, for the command line",
        response: schema::<wire::SessionResponse>,
    }
    GetUserInfo {
        id: "User.info", path: "/api/svc/v1/x/users/info", tag: "Users",
        summary: "Whom the token belongs to",
        response: schema::<wire::UserInfo>,
    }
    RegisterUser {
        id: "User.register", method: Method::Post, path: "/api/svc/v1/users/register", tag: "Users",
        summary: "Register a person",
        description: "As a member of the tenant. No mail is sent.",
        access: Access::TenantAdmin, audit: AuditMode::Change,
        request: Some(schema::<wire::RegisterUserRequest>),
        response: schema::<wire::RegisterUserResponse>,
        errors: &[ADMINS_ONLY, (409, "The address is registered."), BAD_INPUT],
    }
    CreateTokenForUser {
        id: "PersonalAccessToken.createForUser", method: Method::Post,
        path: "/api/svc/v1/personal-access-tokens/for-user", tag: "Personal Access Tokens",
        summary: "Make a token for a person",
        description: "The token is shown this once; only its hash is kept.",
        access: Access::TenantAdmin, audit: AuditMode::Change,
        request: Some(schema::<wire::CreateTokenForUserRequest>),
        response: schema::<wire::TokenResponse>,
        errors: &[ADMINS_ONLY, (404, "There is no such person."), BAD_INPUT],
    }
    RevokeTokensOfUser {
        id: "PersonalAccessToken.revokeAll", method: Method::Delete,
        path: "/api/svc/v1/personal-access-tokens/revoke/all", tag: "Personal Access Tokens",
        summary: "End all tokens of a person",
        description: "They stop working at once, and on the other replicas of a server within a second.",
        access: Access::TenantAdmin, audit: AuditMode::Change,
        request: Some(schema::<wire::RevokeTokensRequest>),
        response: schema::<wire::Empty>,
        errors: &[ADMINS_ONLY, (404, "There is no such person."), BAD_INPUT],
    }
    ApplyVirtualAccount {
        id: "VirtualAccount.put", method: Method::Put, path: "/api/svc/v1/virtual-accounts", tag: "Virtual Accounts",
        summary: "Create or update a virtual account by its manifest",
        description: "The match is by name. The token is in the answer that made the account, and shown this once.",
        access: Access::TenantAdmin, audit: AuditMode::Change,
        request: Some(schema::<wire::ApplyVirtualAccountRequest>),
        response: schema::<wire::GetVirtualAccountResponse>,
        errors: &[ADMINS_ONLY, (404, "A secret group that `permissions` names does not exist."), BAD_INPUT],
    }
    ListAuditLogs {
        id: "ActivityLog.queryActivityLogPaginated", path: "/api/svc/v1/audit-logs", tag: "Audit Logs",
        summary: "Read the audit log",
        description: "Newest first. Every value that ever left the server has its event here; no event holds a value.",
        access: Access::TenantAdmin,
        parameters: &[
            Parameter { name: "metric", kind: ParameterKind::RequiredText, description: "`list` or `count`" },
            LIMIT, OFFSET, query("action", "Only this action, e.g. `CREATE_SECRET_GROUP`"), query("resourceId", "Only of this resource"),
            query("resourceType", "Only of this type, e.g. `secret-group`"), query("resourceName", "Only of this name"),
            query("resourceFqn", "Only of this FQN"),
            Parameter { name: "subjectSlug", kind: ParameterKind::List, description: "Only by these subjects, at most four" },
            query("start", "At or after: a date or a time"), query("end", "Before: a date or a time")],
        response: schema::<wire::ListAuditEventsResponse>,
        errors: &[ADMINS_ONLY, BAD_INPUT],
    }
    ListTrash {
        id: "Trash.list", path: "/api/v1/trash", tag: "Trash",
        summary: "List what was deleted and the caller may bring back",
        parameters: &[Parameter { name: "limit", kind: ParameterKind::Integer,
            description: "How many groups, and how many secrets, at most: 1 to 1000, default 100" }],
        response: schema::<wire::TrashResponse>,
        errors: &[BAD_INPUT],
    }
    RestoreSecretGroup {
        id: "SecretGroup.restore", method: Method::Post, path: "/api/v1/secret-groups/{id}/restore", tag: "Trash",
        summary: "Bring a deleted group back",
        description: "With the secrets that it had when it was deleted, all their versions, and its collaborators.",
        audit: AuditMode::Change,
        parameters: &[IF_MATCH],
        request: Some(schema::<wire::RestoreSecretGroupRequest>),
        response: schema::<wire::GetSecretGroupResponse>,
        errors: &[NO_GROUP, (409, "The name has been taken: give another."), OTHER_REVISION, BAD_INPUT],
    }
    RestoreSecret {
        id: "Secret.restore", method: Method::Post, path: "/api/v1/secrets/{id}/restore", tag: "Trash",
        summary: "Bring a deleted secret back",
        description: "With all its versions, at the version that it had.",
        audit: AuditMode::Change,
        parameters: &[IF_MATCH],
        request: Some(schema::<wire::RestoreSecretRequest>),
        response: schema::<wire::GetSecretGroupResponse>,
        errors: &[MAY_NOT, NO_SECRET, (409, "The key has been taken: give another."), OTHER_REVISION, BAD_INPUT],
    }
    Healthz {
        id: "Operations.healthz", path: "/healthz", tag: "Operations", access: Access::Public,
        summary: "Whether the server lives",
        response: schema::<wire::Status>,
    }
    Readyz {
        id: "Operations.readyz", path: "/readyz", tag: "Operations", access: Access::Public,
        summary: "Whether the server can serve",
        response: schema::<wire::Status>,
        errors: &[(503, "It can't; the body says why.")],
    }
    OpenApi {
        id: "Operations.openapi", path: "/openapi.json", tag: "Operations", access: Access::Public,
        summary: "This document",
        response: any_object,
    }
}

const fn query(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, kind: ParameterKind::Text, description }
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

fn number(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({"type": "number"})
}

fn any_object(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({"type": "object"})
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_and_routes_are_unique() {
        let ids: HashSet<_> = Operation::ALL.iter().map(|operation| operation.spec().id).collect();
        let routes: HashSet<_> =
            Operation::ALL.iter().map(|operation| (operation.spec().method.name(), operation.spec().path)).collect();
        assert_eq!((ids.len(), routes.len()), (Operation::ALL.len(), Operation::ALL.len()));
    }

    #[test]
    fn what_changes_something_is_audited_and_what_is_public_does_neither() {
        for operation in Operation::ALL {
            let spec = operation.spec();
            assert!(spec.method == Method::Get || spec.audit != AuditMode::None, "{}", spec.id);
            assert!(spec.access != Access::Public || spec.audit == AuditMode::None, "{}", spec.id);
            assert!(!spec.summary.is_empty() && !spec.tag.is_empty(), "{}", spec.id);
        }
    }
}
