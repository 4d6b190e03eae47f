use super::*;

pub(in crate::operation) const LIST_AUDIT_LOGS: OperationSpec = OperationSpec {
    id: "ActivityLog.queryActivityLogPaginated",
    path: "/api/svc/v1/audit-logs",
    tag: "Audit Logs",
    summary: "Read the audit log",
    description: "Newest first. Every value that ever left the server has its event here; no event holds a value.",
    parameters: &[
        Parameter { name: "metric", kind: ParameterKind::RequiredText, description: "`list` or `count`" },
        LIMIT,
        OFFSET,
        query("action", "Only this action, e.g. `CREATE_SECRET_GROUP`"),
        query("resourceId", "Only of this resource"),
        query("resourceType", "Only of this type, e.g. `secret-group`"),
        query("resourceName", "Only of this name"),
        query("resourceFqn", "Only of this FQN"),
        Parameter {
            name: "subjectSlug",
            kind: ParameterKind::List,
            description: "Only by these subjects, at most four",
        },
        query("start", "At or after: a date or a time"),
        query("end", "Before: a date or a time"),
    ],
    response: schema::<wire::ListAuditEventsResponse>,
    errors: &[(403, "This takes the role tenant-admin, or one with `audit-log:read`."), BAD_INPUT],
    ..DEFAULTS
};
