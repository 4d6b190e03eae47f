//! Credentials that are secrets of this server: which they are, and what they hold.

use std::future::Future;
use std::pin::Pin;

use strongroom_domain::fqn::SecretFqn;
use strongroom_domain::manifest::PlacedCredential;
use strongroom_domain::{IntegrationId, SecretId};
use strongroom_metadata::{SecretRow, Viewpoint};

use super::credentials::Credentials;
use super::{App, AppError, Context};

/// As whom the server reads what its stores need.
const READER: &str = "secret-stores";

/// A credential that is looked up, by what it is kept, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) kept_as: String,
    pub(super) fqn: String,
}

/// Which version a reference stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer {
    secret: SecretId,
    version: i64,
    /// Where its value is kept.
    pub(super) integration: IntegrationId,
}

pub(super) type Reading<'a> = Pin<Box<dyn Future<Output = Result<Credentials, AppError>> + Send + 'a>>;

/// Those among an integration's credentials, and its account's, that are looked up.
pub(super) fn references_of(placed: &[PlacedCredential<'_>], integration: Option<usize>) -> Vec<Reference> {
    let own = placed.iter().filter(|one| one.integration.is_none() || one.integration == integration);
    own.filter_map(|one| Some(Reference { kept_as: one.kept_as.clone(), fqn: one.credential.reference()?.to_owned() }))
        .collect()
}

impl App {
    /// The secret that a reference names, as somebody sees it.
    pub(super) async fn referenced(
        &self,
        reference: &str,
        viewpoint: &Viewpoint,
    ) -> Result<Option<SecretRow>, AppError> {
        let Some(fqn) = SecretFqn::parse(reference).filter(|fqn| fqn.tenant == self.tenant) else { return Ok(None) };
        let Some(key) = &fqn.key else { return Ok(None) };
        let folded = fqn.group.folded();
        let found = self.metadata.secret_to_reveal_by_name(&folded, key.as_str(), fqn.version, viewpoint).await?;
        let found = found.map(|found| found.secret.clone());
        Ok(found.filter(|row| row.deleted_at.is_none() && row.group_deleted_at.is_none()))
    }

    /// Which version it stands for at present; `None` where there is no such secret.
    pub(super) async fn pointer(&self, reference: &Reference) -> Result<Option<Pointer>, AppError> {
        let Some(server) = self.as_server() else { return Ok(None) };
        let found = self.referenced(&reference.fqn, server.caller().viewpoint()).await?;
        Ok(found.map(|row| Pointer { secret: row.id, version: row.version.version, integration: row.integration_id }))
    }

    /// What the references hold, with an event for each. Boxed, as it may need another store, and that one is made here,
    /// too; that it has no references itself has been looked at.
    pub(super) fn read_references<'a>(&'a self, references: &'a [Reference]) -> Reading<'a> {
        Box::pin(async move {
            let mut read = Credentials::new();
            let Some(server) = self.as_server() else { return Ok(read) };
            for reference in references {
                let value = server.get_referenced_secret(&reference.fqn).await?;
                read.insert(reference.kept_as.clone(), value);
            }
            Ok(read)
        })
    }

    /// `None` while the server ends.
    fn as_server(&self) -> Option<Context> {
        self.me.upgrade().map(|app| Context::of_job(app, READER))
    }
}
