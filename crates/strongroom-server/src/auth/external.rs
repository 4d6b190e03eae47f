//! Callers by the tokens of identity providers: Kubernetes service accounts, CI systems, people's single sign-on.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use strongroom_domain::manifest::IdentityProviderManifest;
use strongroom_domain::subject::SubjectName;
use strongroom_domain::{Clock, Timestamp};
use strongroom_metadata::{Named, NamedRow, Page, Stamp};

use super::jwt::{Compact, FetchKeys, ProviderConfig, VerifiedToken, Verifier};
use super::{actor, may_act};
use crate::app::{App, AppError, Caller, Standing};

/// So many providers there may be of one issuer, or without one.
const CANDIDATES: usize = 16;
/// So many providers there may be in all.
const PROVIDERS: i64 = 1_000;

/// The configured identity providers and their keys.
pub(crate) struct Providers {
    verifier: Verifier,
    kept: Mutex<Option<(Stamp, Arc<Vec<Provider>>)>>,
}

struct Provider {
    config: ProviderConfig,
    /// Whether an address in its tokens stands for the person who has it.
    users: bool,
}

impl Providers {
    pub(crate) fn new(clock: Arc<dyn Clock>, fetcher: Arc<dyn FetchKeys>) -> Self {
        Self { verifier: Verifier::new(clock, fetcher), kept: Mutex::new(None) }
    }

    /// What is wrong with an address that keys are to come from.
    pub(crate) fn fault_of_source(&self, uri: &str) -> Option<String> {
        self.verifier.check_source(uri).err().map(|error| error.to_string())
    }

    /// All of them, read again when any identity changed.
    async fn all(&self, app: &App) -> Result<Arc<Vec<Provider>>, AppError> {
        let present = app.metadata.identity_stamp();
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, providers)) = kept.filter(|(as_of, _)| present == Some(*as_of)) {
            return Ok(providers);
        }
        let page = Page { before: None, offset: 0, limit: PROVIDERS };
        let (rows, _) = app.metadata.named_page(Named::IdentityProvider, "", page).await?;
        let providers: Arc<Vec<_>> = Arc::new(rows.iter().map(Provider::of).collect::<Result<_, _>>()?);
        if let Some(as_of) = present {
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((as_of, providers.clone()));
        }
        Ok(providers)
    }
}

impl Provider {
    fn of(row: &NamedRow) -> Result<Self, AppError> {
        let damaged = || AppError::Integrity {
            public: format!("the manifest of the identity provider `{}` is damaged", row.name),
            internal: format!("identity provider {}", row.id),
        };
        let manifest: Value = serde_json::from_str(&row.manifest).map_err(|_| damaged())?;
        let manifest = IdentityProviderManifest::parse(&manifest).map_err(|_| damaged())?;
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Ok(Self {
            config: ProviderConfig {
                id: row.id.clone(),
                name: row.name.clone(),
                subject_claim: manifest.subject_claim().to_owned(),
                email_claim: manifest.email_claim().to_owned(),
                issuer: manifest.issuer,
                jwks_uri: manifest.jwks_uri,
                audiences: manifest.audiences.unwrap_or_default(),
                required_claims: manifest
                    .claims
                    .iter()
                    .flatten()
                    .map(|(name, value)| (name.clone(), text(value)))
                    .collect(),
            },
            users: manifest.users.unwrap_or(false),
        })
    }

    /// Whether a token that says this issuer may be its own.
    fn may_have_made(&self, issuer: Option<&str>) -> bool {
        self.config.issuer.as_deref().is_none_or(|own| Some(own) == issuer)
    }
}

/// Whom a token of an identity provider stands for, and until when at most.
pub(super) async fn read_caller(
    app: &App,
    text: &str,
    tried_from: Option<IpAddr>,
    now: Timestamp,
) -> Result<Option<(Caller, Timestamp)>, AppError> {
    let Ok(token) = Compact::parse(text) else { return Ok(None) };
    let providers = app.providers.all(app).await?;
    let issuer = token.issuer_unverified();
    for provider in providers.iter().filter(|provider| provider.may_have_made(issuer)).take(CANDIDATES) {
        if let Some(address) = tried_from {
            app.rate_limits.verify(address)?;
        }
        match app.providers.verifier.verify(&token, &provider.config).await {
            Ok((verified, until)) => {
                if let Some(caller) = resolve(app, provider, &verified, now).await? {
                    let until = verified.expires_at.min(until);
                    return Ok(Some((caller, until)));
                }
                let name = &provider.config.name;
                tracing::info!(target: "auth", provider = name, "a good token stands for nobody here");
            }
            // The token's own words are nowhere in this.
            Err(error) => {
                tracing::info!(target: "auth", provider = provider.config.name, %error, "a token isn't taken");
            }
        }
    }
    Ok(None)
}

/// The machine that the token is mapped to, else the person who has the address in it.
async fn resolve(
    app: &App,
    provider: &Provider,
    token: &VerifiedToken,
    now: Timestamp,
) -> Result<Option<Caller>, AppError> {
    let mapped = app.metadata.mapped_subject(&provider.config.id, &token.subject_value).await?;
    let person = || {
        let email = token.email.as_deref().filter(|_| provider.users)?;
        SubjectName::parse(&format!("user:{email}")).ok()
    };
    let Some(name) = mapped.or_else(person) else { return Ok(None) };
    let Some(subject) = app.metadata.subject(&name).await?.filter(may_act) else { return Ok(None) };
    let standing = Standing::read(&app.metadata, &subject, now).await?;
    Ok(actor(&standing).map(|(kind, mut actor)| {
        let part = |text: &Option<String>| text.clone().unwrap_or_default();
        actor.external_slug = Some(format!("{}:{}:{}", provider.config.id, part(&token.sub), part(&token.email)));
        Caller { actor, kind, standing, token: None }
    }))
}
