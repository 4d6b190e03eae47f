//! Provider accounts and integrations.

use strongroom_metadata::{AccountRow, IntegrationRow};

use super::{AppError, Context};

/// What a list is narrowed to.
#[derive(Debug, Default)]
pub(crate) struct ProviderFilter {
    pub(crate) kind: Option<String>,
    pub(crate) fqn: Option<String>,
    pub(crate) id: Option<String>,
}

impl Context {
    /// Every integration; their names are known to every member.
    pub(crate) async fn integrations(&self) -> Result<Vec<IntegrationRow>, AppError> {
        Ok(self.app().metadata.provider_integrations().await?)
    }

    /// The integrations that fit the filter.
    pub(crate) async fn list_integrations(&self, filter: &ProviderFilter) -> Result<Vec<IntegrationRow>, AppError> {
        let mut rows = self.integrations().await?;
        rows.retain(|row| filter.fits(&row.kind, &row.fqn, &row.id.to_string()));
        Ok(rows)
    }

    /// The accounts that fit the filter, each with its integrations; `type` is the type of an integration.
    pub(crate) async fn list_accounts(
        &self,
        filter: &ProviderFilter,
    ) -> Result<Vec<(AccountRow, Vec<IntegrationRow>)>, AppError> {
        let integrations = self.integrations().await?;
        let accounts = self.app().metadata.provider_accounts().await?.into_iter().filter_map(|account| {
            let own: Vec<_> = integrations
                .iter()
                .filter(|row| row.account_id == account.id && filter.kind.as_ref().is_none_or(|kind| *kind == row.kind))
                .cloned()
                .collect();
            let kind = if own.is_empty() { "" } else { filter.kind.as_deref().unwrap_or_default() };
            filter.fits(kind, &account.fqn, &account.id.to_string()).then_some((account, own))
        });
        Ok(accounts.collect())
    }
}

impl ProviderFilter {
    fn fits(&self, kind: &str, fqn: &str, id: &str) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| wanted == found);
        is(&self.kind, kind) && is(&self.fqn, fqn) && is(&self.id, id)
    }
}
