use super::*;

pub(in crate::operation) const LIST_SECRET_GROUPS: OperationSpec = OperationSpec {
    id: "SecretGroup.list",
    path: "/api/svc/v1/secret-groups",
    tag: "Secret Groups",
    summary: "List secret groups",
    description: "The groups that the caller may see, newest first, without values. A page may be shorter than `limit`; \
        the list ends with an empty page.",
    parameters: &[
        LIMIT,
        OFFSET,
        FQN,
        query("search", "Only groups whose name or one of whose keys contains this, without case"),
        Parameter {
            name: "attributes",
            kind: ParameterKind::List,
            description: "Leave out optional fields that are not named here; required fields are always there",
        },
    ],
    response: schema::<wire::ListSecretGroupsResponse>,
    errors: &[BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const CREATE_SECRET_GROUP: OperationSpec = OperationSpec {
    id: "SecretGroup.post",
    method: Method::Post,
    path: "/api/svc/v1/secret-groups",
    tag: "Secret Groups",
    summary: "Create a secret group",
    description: "Create a secret group with initial secrets.",
    audit: AuditMode::Change,
    request: Some(schema::<wire::CreateSecretGroupRequest>),
    response: schema::<wire::GetSecretGroupResponse>,
    errors: &[(422, "Missing required fields."), (424, "No secret store integration found.")],
    ..DEFAULTS
};

pub(in crate::operation) const APPLY_SECRET_GROUP: OperationSpec = OperationSpec {
    id: "SecretGroup.put",
    method: Method::Put,
    path: "/api/svc/v1/secret-groups",
    tag: "Secret Groups",
    summary: "Create or update a secret group by its manifest",
    description: "The match is by name. Secrets are not touched. With `dryRun` everything is checked and nothing changed.",
    audit: AuditMode::Change,
    parameters: &[IF_MATCH],
    request: Some(schema::<wire::ApplySecretGroupRequest>),
    response: schema::<wire::GetSecretGroupResponse>,
    errors: &[
        MAY_NOT,
        (404, "The integration or a collaborator does not exist."),
        (409, "The name belongs to a group that the caller may not see."),
        OTHER_REVISION,
        BAD_INPUT,
    ],
    ..DEFAULTS
};

pub(in crate::operation) const GET_SECRET_GROUP: OperationSpec = OperationSpec {
    id: "SecretGroup.get",
    path: "/api/svc/v1/secret-groups/{id}",
    tag: "Secret Groups",
    summary: "Get a secret group",
    description: "The group with its keys and current versions, without values. `ETag` is its revision.",
    response: schema::<wire::GetSecretGroupResponse>,
    errors: &[NO_GROUP],
    ..DEFAULTS
};

pub(in crate::operation) const UPDATE_SECRET_GROUP: OperationSpec = OperationSpec {
    id: "SecretGroup.update",
    method: Method::Put,
    path: "/api/svc/v1/secret-groups/{id}",
    tag: "Secret Groups",
    summary: "Set the secrets of a group",
    description: "The list is the complete set of keys. A changed value makes a new version, an equal one none; a key without \
        a value stays as it is; a key left out is deleted, and the answer names it and how to bring it back.",
    audit: AuditMode::Change,
    parameters: &[IF_MATCH],
    request: Some(schema::<wire::UpdateSecretGroupRequest>),
    response: schema::<wire::UpdateSecretGroupResponse>,
    errors: &[MAY_NOT, NO_GROUP, OTHER_REVISION, BAD_INPUT, STORE_DOWN],
    ..DEFAULTS
};

pub(in crate::operation) const DELETE_SECRET_GROUP: OperationSpec = OperationSpec {
    id: "SecretGroup.delete",
    method: Method::Delete,
    path: "/api/svc/v1/secret-groups/{id}",
    tag: "Secret Groups",
    summary: "Delete a secret group",
    description: "With all its secrets. It can be brought back while it lies in the trash.",
    audit: AuditMode::Change,
    parameters: &[FORCE_DELETE, IF_MATCH],
    errors: &[MAY_NOT, NO_GROUP, OTHER_REVISION, STORE_DOWN],
    ..DEFAULTS
};
