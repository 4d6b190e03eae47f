//! From a bearer token to a caller.

#[cfg_attr(not(test), expect(dead_code, unused_imports, reason = "authentication will use it"))]
mod jwt;

use std::sync::Arc;

use quick_cache::sync::Cache;
use strongroom_crypto::sha256;
use strongroom_domain::Timestamp;
use strongroom_domain::role::TenantRole;
use strongroom_domain::subject::{Actor, EVERYONE, SubjectKind};
use strongroom_domain::token;
use strongroom_metadata::{ReadError, Stamp, SubjectRow, TokenRow, Viewpoint};

use crate::app::{App, AppError, Caller, Context, RequestInfo};

const MISSING: &str = "a bearer token is required: send `Authorization: Bearer tfy_…`";
const INVALID: &str = "invalid or expired API token";

/// The context of a request, or 401. Unknown, revoked and expired tokens look alike.
pub(crate) async fn authenticate(
    app: &Arc<App>,
    authorization: Option<&[u8]>,
    request: RequestInfo,
) -> Result<Context, AppError> {
    let header = authorization.ok_or(AppError::Unauthenticated(MISSING))?;
    let text = std::str::from_utf8(header).ok().and_then(bearer).ok_or(AppError::Unauthenticated(MISSING))?;
    if !token::is_well_formed(text) {
        return Err(AppError::Unauthenticated(INVALID));
    }
    let caller = known_caller(app, sha256(text.as_bytes())).await?.ok_or(AppError::Unauthenticated(INVALID))?;
    Ok(Context::new(app.clone(), caller, request))
}

/// Callers by the hash of their token. An entry holds until an identity changes or the token expires.
pub(crate) struct KnownCallers(Cache<[u8; 32], Known>);

#[derive(Clone)]
struct Known {
    caller: Arc<Caller>,
    expires_at: Option<Timestamp>,
    /// Taken before the caller was read.
    as_of: Stamp,
}

impl KnownCallers {
    pub(crate) fn new() -> Self {
        Self(Cache::new(10_000))
    }
}

async fn known_caller(app: &App, hash: [u8; 32]) -> Result<Option<Arc<Caller>>, ReadError> {
    let alive = |expires_at: Option<Timestamp>| expires_at.is_none_or(|at| at > app.clock.now());
    let present = app.metadata.identity_stamp();
    if let Some(known) = app.caches.callers.0.get(&hash).filter(|known| present == Some(known.as_of)) {
        return Ok(alive(known.expires_at).then_some(known.caller));
    }
    let Some(row) = app.metadata.token(&hash).await? else { return Ok(None) };
    let expires_at = row.expires_at;
    let Some(caller) = caller(row).map(Arc::new) else { return Ok(None) };
    if let Some(as_of) = present {
        app.caches.callers.0.insert(hash, Known { caller: caller.clone(), expires_at, as_of });
    }
    Ok(alive(expires_at).then_some(caller))
}

/// The scheme's name has no case; one or more blanks follow it.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Whom a token stands for, were it not expired.
fn caller(row: TokenRow) -> Option<Caller> {
    if row.revoked_at.is_some() {
        return None;
    }
    match row.subject? {
        SubjectRow::User { active: false, .. } => None,
        SubjectRow::User { id, email, tenant_role, active: true } => Some(Caller {
            viewpoint: Viewpoint {
                sees_all: tenant_role == TenantRole::Admin,
                subjects: [format!("user:{email}"), EVERYONE.to_owned()],
            },
            actor: Actor {
                id: id.to_string(),
                kind: SubjectKind::User.wire().to_owned(),
                slug: email.clone(),
                display_name: Some(email),
                token_name: Some(row.name),
            },
            kind: SubjectKind::User,
            tenant_role,
            token_id: row.id,
        }),
        SubjectRow::VirtualAccount { id, name } => Some(Caller {
            viewpoint: Viewpoint { sees_all: false, subjects: [format!("virtualaccount:{name}"), String::new()] },
            actor: Actor {
                id: id.to_string(),
                kind: SubjectKind::VirtualAccount.wire().to_owned(),
                slug: name.clone(),
                display_name: Some(name),
                token_name: None,
            },
            kind: SubjectKind::VirtualAccount,
            tenant_role: TenantRole::Member,
            token_id: row.id,
        }),
    }
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
