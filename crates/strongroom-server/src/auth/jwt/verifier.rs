//! From the text of a token to what is known of its bearer.

use std::sync::Arc;

use strongroom_domain::{Clock, Timestamp};

use super::{
    claims::{self, VerifiedToken},
    compact::Compact,
    error::TokenError,
    fetch::{FetchError, FetchKeys},
    key_cache::KeyCache,
    provider::ProviderConfig,
};

/// How long, in seconds, nobody asks again whether a token was signed with a key of its provider's: another token may have
/// had the keys fetched again, and then they lack what was withdrawn.
const LONGEST_TRUST: i64 = 5 * 60;

/// Verifies tokens of identity providers, and keeps their keys.
pub(crate) struct Verifier {
    clock: Arc<dyn Clock>,
    fetcher: Arc<dyn FetchKeys>,
    keys: KeyCache,
}

impl Verifier {
    /// Keys are fetched with `fetcher`.
    pub(crate) fn new(clock: Arc<dyn Clock>, fetcher: Arc<dyn FetchKeys>) -> Self {
        Self { keys: KeyCache::new(clock.clone(), fetcher.clone()), clock, fetcher }
    }

    /// Whether keys can ever come from `uri`.
    pub(crate) fn check_source(&self, uri: &str) -> Result<(), FetchError> {
        self.fetcher.check(uri)
    }

    /// What `token` says, if `provider` signed it and it is good for us now; and until when that holds at most, as far as
    /// the provider's keys are concerned: one may have been withdrawn by then.
    pub(crate) async fn verify(
        &self,
        token: &Compact<'_>,
        provider: &ProviderConfig,
    ) -> Result<(VerifiedToken, Timestamp), TokenError> {
        let now = self.clock.now();
        let (keys, again) = self.keys.keys(&provider.jwks_uri, token.key_id.as_deref()).await?;
        keys.verify(token)?;
        let verified = claims::check(&token.claims, provider, self.clock.now())?;
        Ok((verified, again.min(now.plus_seconds(LONGEST_TRUST))))
    }
}
