//! What callers are told of an operation.

use std::sync::Arc;

use strongroom_domain::OperationId;
use strongroom_metadata::{OperationRow, PutRow, StoreBacklog};
use strongroom_stores::outer::OuterStats;

use super::super::{AppError, Context, Resource, See};

/// An operation as its callers see it.
pub(crate) struct OperationView {
    pub(crate) row: OperationRow,
    pub(crate) puts: Vec<PutRow>,
    /// The group's name, where there is the group.
    pub(crate) group_name: Option<String>,
    pub(crate) integration_fqn: Option<String>,
}

/// What is told of outer stores to whoever watches the server.
pub(crate) struct StoreMetrics {
    /// By the integration's FQN, with its kind.
    pub(crate) stores: Vec<(Arc<str>, &'static str, OuterStats)>,
    pub(crate) backlog: StoreBacklog,
}

impl Context {
    /// What became of requests to outer stores, and what is left to do there.
    pub(crate) async fn store_metrics(&self) -> Result<StoreMetrics, AppError> {
        let app = self.app();
        Ok(StoreMetrics { stores: app.store_stats(), backlog: app.metadata.store_backlog().await? })
    }

    /// An operation, for those who see its group, and for whoever began it.
    pub(crate) async fn get_operation(&self, id: OperationId) -> Result<OperationView, AppError> {
        let app = self.app();
        let missing = AppError::NotFound(Resource::Operation);
        let Some(row) = app.metadata.operation(id).await? else { return Err(missing) };
        let group = app.metadata.group(row.group_id, self.caller().viewpoint()).await?;
        let seen = group.and_then(|state| self.permits::<_, See>(state));
        let own = (&row.actor.kind, &row.actor.id) == (&self.caller().actor.kind, &self.caller().actor.id);
        // Who began it and has lost the group since doesn't see it any more; a group that was never made has nobody.
        let group_name = match seen {
            Some(seen) => Some(seen.group.name.clone()),
            None if own && row.claimed_name.is_some() => None,
            None => return Err(missing),
        };
        let puts = app.metadata.puts_of(id).await?;
        let integration = self.integrations().await?.into_iter().find(|found| found.id == row.integration_id);
        Ok(OperationView { row, puts, group_name, integration_fqn: integration.map(|found| found.fqn) })
    }
}
