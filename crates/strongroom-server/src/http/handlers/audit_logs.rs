use axum::response::Response;
use strongroom_api::wire;
use strongroom_metadata::{AuditFilter, AuditRow};

use crate::app::{App, AppError, AuditQuery};
use crate::http::call::{Call, ok};
use crate::http::view;

/// The database's statement has room for so many.
const MOST_SUBJECTS: usize = 4;

pub(in crate::http) async fn list(call: Call) -> Result<Response, AppError> {
    let query = call.query();
    let count_only = match query.required("metric")?.as_str() {
        "list" => false,
        "count" => true,
        _ => return Err(AppError::invalid("query.metric", "must be `list` or `count`")),
    };
    let (offset, limit) = (query.offset()?, query.limit()?);
    let text = |name: &str| query.text(name).unwrap_or_default();
    let filter = AuditFilter {
        action: text("action"),
        resource_type: text("resourceType"),
        resource_id: text("resourceId"),
        resource_name: text("resourceName"),
        resource_fqn: text("resourceFqn"),
        actor_slugs: query.list("subjectSlug"),
        start: query.time("start")?,
        end: query.time("end")?,
    };
    if filter.actor_slugs.len() > MOST_SUBJECTS {
        return Err(AppError::invalid("query.subjectSlug", format!("names at most {MOST_SUBJECTS} subjects")));
    }
    let (events, total) = call.context.list_audit_events(AuditQuery { filter, count_only, offset, limit }).await?;
    let app = call.context.app();
    let data = events.into_iter().map(|row| event(app, row)).collect::<Result<_, _>>()?;
    let count = count_only.then_some(total);
    ok(&wire::ListAuditEventsResponse { data, count, pagination: view::pagination(total, offset, limit) })
}

fn event(app: &App, row: AuditRow) -> Result<wire::AuditEvent, AppError> {
    let metadata = serde_json::from_str(&row.detail).map_err(|_| AppError::Integrity {
        public: format!("audit event {} is damaged", row.id),
        internal: "its detail is not JSON".into(),
    })?;
    Ok(wire::AuditEvent {
        id: row.id.to_string(),
        action: row.action,
        result: row.result,
        request_path: row.request_path,
        request_id: row.request_id,
        token_id: row.token_id.map(|id| id.to_string()),
        client_address: row.address,
        resource_id: row.resource_id,
        resource_type: row.resource_type,
        resource_name: row.resource_name,
        resource_fqn: row.resource_fqn,
        revision: row.revision,
        tenant_name: app.tenant.as_str().to_owned(),
        cluster_id: None,
        workspace_id: None,
        subject: view::subject(&row.actor),
        metadata,
        created_at: row.at.to_wire(),
        updated_at: row.at.to_wire(),
    })
}
