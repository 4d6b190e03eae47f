//! From a bearer token to a caller.

use std::net::IpAddr;
use std::sync::Arc;

use quick_cache::sync::Cache;
use strongroom_crypto::sha256;
use strongroom_domain::Timestamp;
use strongroom_domain::subject::{Actor, SubjectKind};
use strongroom_domain::token;
use strongroom_metadata::{Stamp, SubjectRow, TokenRow};

use crate::app::{App, AppError, Caller, Context, RequestInfo, Standing};

const MISSING: &str = "a bearer token is required: send `Authorization: Bearer tfy_…`";
const INVALID: &str = "invalid or expired API token";

/// The context of a request, or 401. Unknown, revoked and expired tokens look alike.
pub(crate) async fn authenticate(
    app: &Arc<App>,
    authorization: Option<&[u8]>,
    request: RequestInfo,
) -> Result<Context, AppError> {
    let found = identify(app, authorization, request.address).await;
    if let Err(AppError::Unauthenticated(_)) = found {
        app.rate_limits.failed(request.address)?;
    }
    let caller = found?;
    app.rate_limits.subject(&caller.actor.id)?;
    Ok(Context::new(app.clone(), caller, request))
}

async fn identify(app: &App, authorization: Option<&[u8]>, address: IpAddr) -> Result<Arc<Caller>, AppError> {
    let header = authorization.ok_or(AppError::Unauthenticated(MISSING))?;
    let text = std::str::from_utf8(header).ok().and_then(bearer).ok_or(AppError::Unauthenticated(MISSING))?;
    if !token::is_well_formed(text) {
        return Err(AppError::Unauthenticated(INVALID));
    }
    known_caller(app, sha256(text.as_bytes()), address).await?.ok_or(AppError::Unauthenticated(INVALID))
}

/// Callers by the hash of their token. An entry holds until an identity changes or the token expires.
pub(crate) struct KnownCallers(Cache<[u8; 32], Known>);

#[derive(Clone)]
struct Known {
    caller: Arc<Caller>,
    /// When the token ends, or the first of the roles.
    until: Option<Timestamp>,
    /// Taken before the caller was read.
    as_of: Stamp,
}

impl KnownCallers {
    pub(crate) fn new() -> Self {
        Self(Cache::new(10_000))
    }
}

async fn known_caller(app: &App, hash: [u8; 32], address: IpAddr) -> Result<Option<Arc<Caller>>, AppError> {
    let now = app.clock.now();
    let present = app.metadata.identity_stamp();
    match app.caches.callers.0.get(&hash) {
        Some(known) if present == Some(known.as_of) && known.until.is_none_or(|at| at > now) => {
            return Ok(Some(known.caller));
        }
        // It was valid a moment ago: what others fail at from the same address doesn't stop it.
        Some(_) => {}
        None => app.rate_limits.may_try(address)?,
    }
    let Some((caller, until)) = read_caller(app, &hash, now).await? else {
        app.caches.callers.0.remove(&hash);
        return Ok(None);
    };
    if let Some(as_of) = present {
        app.caches.callers.0.insert(hash, Known { caller: caller.clone(), until, as_of });
    }
    Ok(Some(caller))
}

/// Whom a token stands for at present, and until when at most.
async fn read_caller(
    app: &App,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<(Arc<Caller>, Option<Timestamp>)>, AppError> {
    let Some(token) = app.metadata.token(hash).await? else { return Ok(None) };
    if token.revoked_at.is_some() || token.expires_at.is_some_and(|at| at <= now) {
        return Ok(None);
    }
    let Some(subject) = token.subject.as_ref().filter(|subject| may_act(subject)) else { return Ok(None) };
    let standing = Standing::read(&app.metadata, subject, now).await?;
    let until = token.expires_at.into_iter().chain(standing.until).min();
    Ok(caller(standing, &token).map(|caller| (Arc::new(caller), until)))
}

/// Persons may be deactivated; machines act as long as they are there.
pub(crate) fn may_act(subject: &SubjectRow) -> bool {
    subject.person.as_ref().is_none_or(|person| person.active)
}

/// The scheme's name has no case; one or more blanks follow it.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Whom a token stands for. A team doesn't act.
fn caller(standing: Standing, token: &TokenRow) -> Option<Caller> {
    let kind = SubjectKind::of(&standing.subject)?;
    let slug = standing.subject.name().to_owned();
    let actor = Actor {
        id: standing.id.clone(),
        kind: kind.wire().to_owned(),
        display_name: Some(slug.clone()),
        slug,
        token_name: (kind == SubjectKind::User).then(|| token.name.clone()),
        external_slug: None,
        controller: None,
    };
    Some(Caller { actor, kind, standing, token: Some((token.id, token.purpose)) })
}

#[cfg(test)]
mod tests {
    use super::bearer;

    #[test]
    fn reads_the_header() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        assert_eq!(bearer("Basic abc"), None);
        assert_eq!(bearer("Bearer"), None);
    }
}
