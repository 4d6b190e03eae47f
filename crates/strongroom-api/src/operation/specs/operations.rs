use super::{DEFAULTS, OperationSpec, schema, wire};

pub(in crate::operation) const GET_OPERATION: OperationSpec = OperationSpec {
    id: "Operation.get",
    path: "/api/v1/operations/{id}",
    tag: "Operations",
    summary: "Say how far a write to an outer secret store is",
    description: "For those who see the group, and for whoever began the write. Kept for 30 days after its end, and for as long \
        as the store holds a value of it that is nobody's.",
    response: schema::<wire::GetOperationResponse>,
    errors: &[(404, "There is no such operation, or the caller may not see its group.")],
    ..DEFAULTS
};
