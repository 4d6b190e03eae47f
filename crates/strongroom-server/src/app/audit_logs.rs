//! Reading the audit log.

use strongroom_crypto::constant_time_eq;
use strongroom_domain::rights::TenantPermission;
use strongroom_metadata::{AuditFilter, AuditRow};

use super::{AppError, Context};
use crate::audit;

/// Which events to list, or to count.
pub(crate) struct AuditQuery {
    pub(crate) filter: AuditFilter,
    pub(crate) count_only: bool,
    pub(crate) offset: i64,
    pub(crate) limit: i64,
}

impl Context {
    /// A page of events, and how many match in all. An event that was altered is an error that names it.
    pub(crate) async fn list_audit_events(&self, query: AuditQuery) -> Result<(Vec<AuditRow>, i64), AppError> {
        self.require(TenantPermission::ReadAuditLog)?;
        let app = self.app();
        let limit = if query.count_only { 0 } else { query.limit };
        let (events, total) = app.metadata.audit_events(query.filter, query.offset, limit).await?;
        for event in &events {
            let expected = audit::mac(&app.keys, &app.instance_id, event);
            if !expected.is_some_and(|expected| constant_time_eq(&expected, &event.mac)) {
                return Err(AppError::Integrity {
                    public: format!("audit event {} was altered outside this server", event.id),
                    internal: "its MAC does not fit".into(),
                });
            }
        }
        Ok((events, total))
    }
}
