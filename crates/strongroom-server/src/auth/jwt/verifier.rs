//! From the text of a token to what is known of its bearer.

use std::sync::Arc;

use strongroom_domain::Clock;

use super::{
    claims::{self, VerifiedToken},
    compact::Compact,
    error::TokenError,
    fetch::FetchKeys,
    key_cache::KeyCache,
    provider::ProviderConfig,
};

/// Verifies tokens of identity providers, and keeps their keys.
pub(crate) struct Verifier {
    clock: Arc<dyn Clock>,
    keys: KeyCache,
}

impl Verifier {
    /// Keys are fetched with `fetcher`.
    pub(crate) fn new(clock: Arc<dyn Clock>, fetcher: Arc<dyn FetchKeys>) -> Self {
        Self { keys: KeyCache::new(clock.clone(), fetcher), clock }
    }

    /// What `token` says, if `provider` signed it and it is good for us now.
    pub(crate) async fn verify(
        &self,
        token: &Compact<'_>,
        provider: &ProviderConfig,
    ) -> Result<VerifiedToken, TokenError> {
        let keys = self.keys.keys(&provider.jwks_uri, token.key_id.as_deref()).await?;
        keys.verify(token)?;
        claims::check(&token.claims, provider, self.clock.now())
    }
}
