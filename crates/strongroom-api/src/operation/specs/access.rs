use super::{
    BAD_INPUT, DEFAULTS, LIMIT, MAY_NOT, NO_GROUP, OFFSET, OperationSpec, Parameter, ParameterKind, schema, wire,
};

pub(in crate::operation) const EXPLAIN_ACCESS: OperationSpec = OperationSpec {
    id: "Access.explain",
    path: "/api/v1/access/explain",
    tag: "Access",
    summary: "Say whether somebody may do something to a secret group, and why",
    description: "For those who manage the group. Decided as a request of the subject would be. Of a team the answer says what \
        each of its members gets through it.",
    parameters: &[
        Parameter {
            name: "subject",
            kind: ParameterKind::RequiredText,
            description: "`user:<email>`, `virtualaccount:<name>`, `agent:<name>` or `team:<name>`",
        },
        Parameter {
            name: "action",
            kind: ParameterKind::RequiredText,
            description: "`see` (names and keys), `read-values`, `write-secrets` or `manage`",
        },
        Parameter {
            name: "resource",
            kind: ParameterKind::RequiredText,
            description: "A group's id or FQN, or a secret's FQN or `tfy-secret://` reference",
        },
    ],
    response: schema::<wire::ExplainAccessResponse>,
    errors: &[
        MAY_NOT,
        (404, "There is no such group or secret, the caller may not see it, or there is no such subject."),
        BAD_INPUT,
    ],
    ..DEFAULTS
};

pub(in crate::operation) const LIST_READERS: OperationSpec = OperationSpec {
    id: "SecretGroup.listReaders",
    path: "/api/v1/secret-groups/{id}/access",
    tag: "Access",
    summary: "List who can read the values of a secret group, and why",
    description: "For those who manage the group. By name. Teams stand for their members, but `team:everyone` for itself.",
    parameters: &[LIMIT, OFFSET],
    response: schema::<wire::ListReadersResponse>,
    errors: &[MAY_NOT, NO_GROUP, BAD_INPUT],
    ..DEFAULTS
};
