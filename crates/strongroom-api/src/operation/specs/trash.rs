use super::*;

pub(in crate::operation) const LIST_TRASH: OperationSpec = OperationSpec {
    id: "Trash.list",
    path: "/api/v1/trash",
    tag: "Trash",
    summary: "List what was deleted and the caller may bring back",
    parameters: &[Parameter {
        name: "limit",
        kind: ParameterKind::Integer,
        description: "How many groups, and how many secrets, at most: 1 to 1000, default 100",
    }],
    response: schema::<wire::TrashResponse>,
    errors: &[BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const RESTORE_SECRET_GROUP: OperationSpec = OperationSpec {
    id: "SecretGroup.restore",
    method: Method::Post,
    path: "/api/v1/secret-groups/{id}/restore",
    tag: "Trash",
    summary: "Bring a deleted group back",
    description: "With the secrets that it had when it was deleted, all their versions, and its collaborators.",
    audit: AuditMode::Change,
    parameters: &[IF_MATCH],
    request: Some(schema::<wire::RestoreSecretGroupRequest>),
    response: schema::<wire::GetSecretGroupResponse>,
    errors: &[NO_GROUP, (409, "The name has been taken: give another."), OTHER_REVISION, BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const RESTORE_SECRET: OperationSpec = OperationSpec {
    id: "Secret.restore",
    method: Method::Post,
    path: "/api/v1/secrets/{id}/restore",
    tag: "Trash",
    summary: "Bring a deleted secret back",
    description: "With all its versions, at the version that it had.",
    audit: AuditMode::Change,
    parameters: &[IF_MATCH],
    request: Some(schema::<wire::RestoreSecretRequest>),
    response: schema::<wire::GetSecretGroupResponse>,
    errors: &[MAY_NOT, NO_SECRET, (409, "The key has been taken: give another."), OTHER_REVISION, BAD_INPUT],
    ..DEFAULTS
};
