use super::*;

pub(in crate::operation) const APPLY: OperationSpec = OperationSpec {
    id: "Apply.put",
    method: Method::Put,
    path: "/api/svc/v1/apply",
    tag: "Apply",
    summary: "Apply a manifest",
    description: "Of type `secret-group`, `team`, `role`, `role-binding`, `virtual-account`, `agent-identity`, `provider-account/…` \
        or `identity-provider`.",
    audit: AuditMode::Change,
    request: Some(schema::<wire::ApplyManifestRequest>),
    response: schema::<wire::ApplyResponse>,
    errors: &[
        MAY_NOT,
        (404, "The integration or a collaborator does not exist."),
        (409, "The name belongs to a group that the caller may not see."),
        BAD_INPUT,
    ],
    ..DEFAULTS
};

pub(in crate::operation) const DELETE_MANIFEST: OperationSpec = OperationSpec {
    id: "Apply.delete",
    method: Method::Post,
    path: "/api/svc/v1/delete",
    tag: "Apply",
    summary: "Delete the resource that a manifest names",
    description: "Of type `secret-group`, `team`, `role`, `role-binding`, `virtual-account`, `agent-identity`, `provider-account/…` \
        or `identity-provider`.",
    audit: AuditMode::Change,
    request: Some(schema::<wire::DeleteManifestRequest>),
    errors: &[MAY_NOT, NO_GROUP, BAD_INPUT, STORE_DOWN],
    ..DEFAULTS
};

pub(in crate::operation) const DEPENDENCY_TREE: OperationSpec = OperationSpec {
    id: "Apply.dependencyTree",
    method: Method::Post,
    path: "/api/svc/v1/dependency-tree",
    tag: "Apply",
    summary: "In which order manifests are to be applied",
    description: "An entry for each manifest that was sent, of whatever type. Nothing is looked up and nothing changed.",
    request: Some(schema::<wire::DependencyTreeRequest>),
    response: schema::<wire::DependencyTreeResponse>,
    errors: &[BAD_INPUT],
    ..DEFAULTS
};
