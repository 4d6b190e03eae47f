use super::*;

pub(in crate::operation) const HEALTHZ: OperationSpec = OperationSpec {
    id: "Operations.healthz",
    path: "/healthz",
    tag: "Operations",
    access: Access::Public,
    summary: "Whether the server lives",
    response: schema::<wire::Status>,
    ..DEFAULTS
};

pub(in crate::operation) const READYZ: OperationSpec = OperationSpec {
    id: "Operations.readyz",
    path: "/readyz",
    tag: "Operations",
    access: Access::Public,
    summary: "Whether the server can serve",
    response: schema::<wire::Status>,
    errors: &[(503, "It can't; the body says why.")],
    ..DEFAULTS
};

pub(in crate::operation) const OPEN_API: OperationSpec = OperationSpec {
    id: "Operations.openapi",
    path: "/openapi.json",
    tag: "Operations",
    access: Access::Public,
    summary: "This document",
    response: any_object,
    ..DEFAULTS
};
