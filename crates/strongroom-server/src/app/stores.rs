//! Which store an integration stands for.

use std::sync::Arc;

use strongroom_domain::IntegrationId;
use strongroom_stores::{Placement, SecretStore};

use super::{App, AppError};

/// The store of an integration, as its manifest describes it.
#[derive(Clone)]
pub(crate) struct Store {
    /// What speaks to it.
    pub(crate) store: Arc<dyn SecretStore>,
    /// The integration.
    pub(crate) integration: IntegrationId,
    /// What names are unique in: account and region, or address, namespace, mount and root. Empty for the embedded one.
    pub(crate) target: Arc<str>,
    /// The integration's FQN, as errors name it.
    pub(crate) fqn: Arc<str>,
}

impl Store {
    /// Whether values are kept in another system.
    pub(crate) fn is_outer(&self) -> bool {
        self.store.description().placement == Placement::Outer
    }
}

impl App {
    /// The store of an integration.
    pub(crate) async fn store_of(&self, integration: IntegrationId) -> Result<Store, AppError> {
        let rows = self.metadata.provider_integrations().await?;
        let row = rows.into_iter().find(|row| row.id == integration).ok_or(AppError::NoIntegration)?;
        let outer = self.outer.as_ref().and_then(|stores| stores(&row.fqn));
        let target = outer.as_ref().map_or("", |_| &row.fqn).into();
        Ok(Store { store: outer.unwrap_or_else(|| self.store.clone()), integration, target, fqn: row.fqn.into() })
    }
}
