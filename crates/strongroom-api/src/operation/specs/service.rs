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

pub(in crate::operation) const METRICS: OperationSpec = OperationSpec {
    id: "Operations.metrics",
    path: "/metrics",
    tag: "Operations",
    summary: "Counts and gauges, as Prometheus reads them",
    description: "For everybody with a valid token: a machine without any role is enough. Text in Prometheus' format 0.0.4; the \
        integrations' FQNs are labels. Never a value, a name of a group or a key.",
    response: text,
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
