use super::*;

pub(in crate::operation) const LIST_SECRETS: OperationSpec = OperationSpec {
    id: "Secret.list",
    method: Method::Post,
    path: "/api/svc/v1/secrets",
    tag: "Secrets",
    summary: "List secrets",
    description: "The secrets that the caller may see, newest first; with `withValue` also the values that the caller may \
        read. A page may be shorter than `limit`; the list ends with an empty page.",
    audit: AuditMode::Reveal,
    request: Some(schema::<wire::ListSecretsRequest>),
    response: schema::<wire::ListSecretsResponse>,
    errors: &[NO_GROUP, BAD_INPUT, STORE_DOWN],
    ..DEFAULTS
};

pub(in crate::operation) const GET_SECRET: OperationSpec = OperationSpec {
    id: "Secret.get",
    path: "/api/svc/v1/secrets/{id}",
    tag: "Secrets",
    summary: "Get a secret with its value",
    description: "The value is left out for callers who may see the group but not its values. Up to 100 versions are named.",
    audit: AuditMode::Reveal,
    response: schema::<wire::GetSecretResponse>,
    errors: &[NO_SECRET, STORE_DOWN],
    ..DEFAULTS
};

pub(in crate::operation) const DELETE_SECRET: OperationSpec = OperationSpec {
    id: "Secret.delete",
    method: Method::Delete,
    path: "/api/svc/v1/secrets/{id}",
    tag: "Secrets",
    summary: "Delete a secret",
    description: "The answer is the number of deleted secrets. It can be brought back while it lies in the trash.",
    audit: AuditMode::Change,
    parameters: &[FORCE_DELETE, IF_MATCH],
    response: number,
    errors: &[MAY_NOT, NO_SECRET, OTHER_REVISION, STORE_DOWN],
    ..DEFAULTS
};

pub(in crate::operation) const LIST_SECRET_VERSIONS: OperationSpec = OperationSpec {
    id: "Secret.listVersions",
    path: "/api/svc/v1/secrets/{id}/versions",
    tag: "Secrets",
    summary: "List the versions of a secret",
    description: "Newest first, without values.",
    parameters: &[LIMIT, OFFSET],
    response: schema::<wire::ListSecretVersionsResponse>,
    errors: &[NO_SECRET, BAD_INPUT],
    ..DEFAULTS
};

pub(in crate::operation) const GET_CONTROL_PLANE_SECRET: OperationSpec = OperationSpec {
    id: "ControlPlane.getSecret",
    path: "/api/svc/v1/control-plane/secret",
    tag: "Secrets",
    summary: "Get a value by reference, for External Secrets",
    description: "`secret_ref` is an FQN or a `tfy-secret://` reference, with a version at its end or without. With \
        DISABLE_SECRET_VALUE_VIEW it serves machines only.",
    audit: AuditMode::Reveal,
    parameters: &[Parameter {
        name: "secret_ref",
        kind: ParameterKind::RequiredText,
        description: "`tfy-secret://<tenant>:<group>:<key>`, `<tenant>:<group>:<key>`, each also with `:<version>`",
    }],
    response: schema::<wire::ControlPlaneSecret>,
    errors: &[MAY_NOT, NO_SECRET, BAD_INPUT, STORE_DOWN],
    ..DEFAULTS
};
