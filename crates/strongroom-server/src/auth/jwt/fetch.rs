//! How key sets come here.

use async_trait::async_trait;
use bytes::Bytes;
use http::{StatusCode, header};
use strongroom_stores::egress::{EgressClient, EgressUrl, UrlError};

use super::key_set::LARGEST;

/// What is at a provider's `jwks_uri`.
#[derive(Debug)]
pub(crate) struct Fetched {
    pub(crate) body: Bytes,
    /// The header of that name.
    pub(crate) cache_control: Option<String>,
}

/// Why nothing is. The text is for an operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("the jwks_uri can't be used: {0}")]
    Url(#[from] UrlError),
    #[error("{0}")]
    Egress(String),
    #[error("the provider answered with status {0}")]
    Status(StatusCode),
}

/// Fetches key sets; a trait so that tests can be the provider.
#[async_trait]
pub(crate) trait FetchKeys: Send + Sync {
    /// What stands against `uri` for good, whatever its host's name will stand for.
    fn check(&self, uri: &str) -> Result<(), FetchError>;

    /// What is at `uri` now.
    async fn fetch(&self, uri: &str) -> Result<Fetched, FetchError>;
}

/// From where they really are.
pub(crate) struct HttpKeys(pub(crate) EgressClient);

#[async_trait]
impl FetchKeys for HttpKeys {
    fn check(&self, uri: &str) -> Result<(), FetchError> {
        self.0.check(&uri.parse()?).map_err(|refusal| FetchError::Egress(refusal.to_string()))
    }

    async fn fetch(&self, uri: &str) -> Result<Fetched, FetchError> {
        let url: EgressUrl = uri.parse()?;
        let answer = self.0.get(&url, LARGEST).await.map_err(|error| FetchError::Egress(error.to_string()))?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let cache_control = answer.headers().get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok());
        Ok(Fetched { cache_control: cache_control.map(str::to_owned), body: answer.into_body() })
    }
}
