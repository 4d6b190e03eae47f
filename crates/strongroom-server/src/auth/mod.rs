//! From a bearer token to a caller.

use std::sync::Arc;

use strongroom_crypto::sha256;
use strongroom_domain::role::TenantRole;
use strongroom_domain::subject::{Actor, EVERYONE, SubjectKind};
use strongroom_domain::token;
use strongroom_metadata::{SubjectRow, TokenRow, Viewpoint};

use crate::app::{App, AppError, Caller, Context, RequestInfo};

const MISSING: &str = "a bearer token is required: send `Authorization: Bearer tfy_…`";
const INVALID: &str = "invalid or expired API token";

/// The context of a request, or 401. Unknown, revoked and expired tokens look alike.
pub(crate) fn authenticate(
    app: &Arc<App>,
    authorization: Option<&[u8]>,
    request: RequestInfo,
) -> Result<Context, AppError> {
    let header = authorization.ok_or(AppError::Unauthenticated(MISSING))?;
    let text = std::str::from_utf8(header).ok().and_then(bearer).ok_or(AppError::Unauthenticated(MISSING))?;
    if !token::is_well_formed(text) {
        return Err(AppError::Unauthenticated(INVALID));
    }
    let row = app.metadata.token(&sha256(text.as_bytes()))?;
    let caller = row.and_then(|row| caller(app, row)).ok_or(AppError::Unauthenticated(INVALID))?;
    Ok(Context::new(app.clone(), caller, request))
}

/// The scheme's name has no case; one or more blanks follow it.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn caller(app: &App, row: TokenRow) -> Option<Caller> {
    let now = app.clock.now();
    if row.revoked_at.is_some() || row.expires_at.is_some_and(|at| at <= now) {
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
