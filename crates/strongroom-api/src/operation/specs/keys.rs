use super::*;

pub(in crate::operation) const WELL_KNOWN_JWKS: OperationSpec = OperationSpec {
    id: "Keys.wellKnown",
    path: "/.well-known/jwks.json",
    tag: "Keys",
    summary: "The public keys of this server's own JWTs",
    description: "A JWT that verifies may have been revoked all the same: only the server knows.",
    access: Access::Public,
    response: any_object,
    ..DEFAULTS
};

pub(in crate::operation) const JWKS: OperationSpec = OperationSpec {
    id: "Keys.jwks",
    path: "/api/svc/v1/keys/jwks",
    tag: "Keys",
    summary: "The same, where other software looks for it",
    access: Access::Public,
    response: any_object,
    ..DEFAULTS
};
