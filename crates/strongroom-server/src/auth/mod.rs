//! From a bearer token to a caller.

mod external;
pub(crate) mod jwt;

use std::net::IpAddr;
use std::sync::Arc;

use quick_cache::sync::Cache;
use strongroom_crypto::sha256;
use strongroom_domain::subject::{Actor, SubjectKind, SubjectName};
use strongroom_domain::token;
use strongroom_domain::{SecretValue, Timestamp};
use strongroom_metadata::{Stamp, SubjectRow, TokenRow};

use crate::app::{App, AppError, Caller, Context, RequestInfo, Standing};
pub(crate) use external::Providers;
pub(crate) use jwt::HttpKeys;

const MISSING: &str = "a bearer token is required: send `Authorization: Bearer tfy_…`";
const INVALID: &str = "invalid or expired API token";
/// Unknown, used and expired codes look alike.
pub(crate) const INVALID_INVITATION: &str = "this invitation is unknown, used or expired; ask for a new one";

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
    let (caller, credential) = found?;
    app.rate_limits.subject(&caller.actor.id)?;
    Ok(Context::new(app.clone(), caller, Some(credential), request))
}

/// What a caller has shown, kept for as long as their request runs: whom it stands for may change meanwhile.
pub(crate) struct Credential {
    text: SecretValue,
    hash: [u8; 32],
}

/// Whom a credential stands for now, or 401. `as_of` is a stamp that what is remembered must be of; without one it is
/// read anew.
pub(crate) async fn present_caller(
    app: &App,
    credential: &Credential,
    as_of: Option<Stamp>,
) -> Result<Arc<Caller>, AppError> {
    known_caller(app, credential, as_of, None).await?.ok_or(AppError::Unauthenticated(INVALID))
}

async fn identify(
    app: &App,
    authorization: Option<&[u8]>,
    address: IpAddr,
) -> Result<(Arc<Caller>, Arc<Credential>), AppError> {
    let header = authorization.ok_or(AppError::Unauthenticated(MISSING))?;
    let text = std::str::from_utf8(header).ok().and_then(bearer).ok_or(AppError::Unauthenticated(MISSING))?;
    // Anything else costs no look-up.
    if !token::is_well_formed(text) && !is_jwt_shaped(text) {
        return Err(AppError::Unauthenticated(INVALID));
    }
    let credential = Credential { text: SecretValue::new(text.to_owned()), hash: sha256(text.as_bytes()) };
    let caller = known_caller(app, &credential, app.metadata.identity_stamp(), Some(address))
        .await?
        .ok_or(AppError::Unauthenticated(INVALID))?;
    Ok((caller, Arc::new(credential)))
}

/// The context of whoever has an invitation's code: the person whom it is for, or 401.
pub(crate) async fn authenticate_invitation(
    app: &Arc<App>,
    code: &SecretValue,
    request: RequestInfo,
) -> Result<Context, AppError> {
    let caller = invited_caller(app, code.expose()).await?.ok_or(AppError::Unauthenticated(INVALID_INVITATION))?;
    Ok(Context::new(app.clone(), Arc::new(caller), None, request))
}

async fn invited_caller(app: &App, code: &str) -> Result<Option<Caller>, AppError> {
    if !token::is_invitation(code) {
        return Ok(None);
    }
    let now = app.clock.now();
    let invitation = app.metadata.invitation(&sha256(code.as_bytes())).await?;
    let Some((id, _)) = invitation.filter(|(_, until)| *until > now) else { return Ok(None) };
    let Some(user) = app.metadata.user(id).await? else { return Ok(None) };
    let Ok(name) = SubjectName::parse(&format!("user:{}", user.email)) else { return Ok(None) };
    let subject = app.metadata.subject(&name).await?;
    let Some(subject) = subject.filter(may_act) else { return Ok(None) };
    let standing = Standing::read(&app.metadata, &subject, now).await?;
    Ok(actor(&standing).map(|(kind, actor)| Caller { actor, kind, standing, token: None }))
}

/// Callers by the hash of their token. An entry holds until an identity changes, the token expires, or the keys of the
/// provider that signed it are to be looked at again.
pub(crate) struct KnownCallers(Cache<[u8; 32], Known>);

#[derive(Clone)]
struct Known {
    caller: Arc<Caller>,
    /// When the token ends, the first of the roles, or the trust in the key that signed it.
    until: Option<Timestamp>,
    /// Taken before the caller was read.
    as_of: Stamp,
}

impl KnownCallers {
    pub(crate) fn new() -> Self {
        Self(Cache::new(10_000))
    }
}

impl Known {
    /// The caller, when they are known as of a stamp and nothing has ended since.
    fn at(&self, as_of: Option<Stamp>, now: Timestamp) -> Option<Arc<Caller>> {
        let holds = as_of == Some(self.as_of) && self.until.is_none_or(|at| at > now);
        holds.then(|| self.caller.clone())
    }
}

/// Whom a credential stands for, as remembered or as read after the stamp was taken. One that isn't known may be tried
/// from an address; what was valid a moment ago isn't tried.
async fn known_caller(
    app: &App,
    credential: &Credential,
    as_of: Option<Stamp>,
    address: Option<IpAddr>,
) -> Result<Option<Arc<Caller>>, AppError> {
    let now = app.clock.now();
    let (callers, hash) = (&app.caches.callers.0, &credential.hash);
    let known = callers.get(hash);
    if let Some(caller) = known.as_ref().and_then(|known| known.at(as_of, now)) {
        return Ok(Some(caller));
    }
    let tried_from = address.filter(|_| known.is_none());
    let Some((caller, until)) = read_caller(app, credential, tried_from, now).await? else {
        callers.remove(hash);
        return Ok(None);
    };
    if let Some(as_of) = as_of {
        callers.insert(*hash, Known { caller: caller.clone(), until, as_of });
    }
    Ok(Some(caller))
}

/// Whom a token stands for at present, and until when at most.
async fn read_caller(
    app: &App,
    credential: &Credential,
    tried_from: Option<IpAddr>,
    now: Timestamp,
) -> Result<Option<(Arc<Caller>, Option<Timestamp>)>, AppError> {
    if let Some(address) = tried_from {
        app.rate_limits.look_up(address)?;
    }
    let Some(token) = app.metadata.token(&credential.hash).await? else {
        // Ours are known by their digest; what isn't may be an identity provider's.
        let external = external::read_caller(app, credential.text.expose(), tried_from, now).await?;
        return Ok(external.map(|(caller, until)| {
            let until = caller.standing.until.map_or(until, |at| at.min(until));
            (Arc::new(caller), Some(until))
        }));
    };
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

/// Whether a text has the shape of a JWT: three parts of base64url, not too long.
fn is_jwt_shaped(text: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    text.len() <= 8 * 1024 && text.split('.').count() == 3 && text.split('.').all(part)
}

/// The scheme's name has no case; one or more blanks follow it.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Whom a token stands for.
fn caller(standing: Standing, token: &TokenRow) -> Option<Caller> {
    let (kind, actor) = actor(&standing)?;
    let token_name = (kind == SubjectKind::User).then(|| token.name.clone());
    Some(Caller { actor: Actor { token_name, ..actor }, kind, standing, token: Some((token.id, token.purpose)) })
}

/// As whom they act. A team doesn't.
fn actor(standing: &Standing) -> Option<(SubjectKind, Actor)> {
    let kind = SubjectKind::of(&standing.subject)?;
    let slug = standing.subject.name().to_owned();
    let actor = Actor {
        id: standing.id.clone(),
        kind: kind.wire().to_owned(),
        display_name: Some(slug.clone()),
        slug,
        token_name: None,
        external_slug: None,
        controller: None,
    };
    Some((kind, actor))
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
