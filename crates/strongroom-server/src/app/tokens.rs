//! Tokens: made, and ended.

use serde_json::json;
use strongroom_crypto::sha256;
use strongroom_domain::names::{Email, MachineName};
use strongroom_domain::subject::SubjectKind;
use strongroom_domain::{SecretValue, Timestamp, TokenId, UserId, token};
use strongroom_metadata::{IdentityChange, NewToken, OwnedToken, TokenPurpose, UserRow};

use super::identity_changes::Attempts;
use super::signing::{JwtTerms, TokenOwner};
use super::users::user_target;
use super::{AppError, Context, Resource};
use crate::audit::{Event, Target};

/// A JWT must have an end: this is that of one without.
const ENDLESS_JWT_DAYS: u32 = 3_650;

const PEOPLE_ONLY: &str = "machines have no personal access tokens";

/// A token that was just made, in the clear this once.
pub(crate) struct IssuedToken(pub(crate) SecretValue);

/// A personal access token that is asked for.
pub(crate) struct TokenRequest {
    pub(crate) name: String,
    pub(crate) expiration: Option<String>,
    pub(crate) kind: Option<String>,
}

impl Context {
    /// A part of the caller's own tokens, newest first, and how many match in all.
    pub(crate) async fn list_tokens(
        &self,
        search: &str,
        offset: i64,
        limit: i64,
    ) -> Result<(Vec<OwnedToken>, i64), AppError> {
        let id = self.own_user_id().ok_or_else(|| self.refused_operation(PEOPLE_ONLY))?;
        let mut tokens = self.app().metadata.tokens_of(&id.to_string()).await?;
        let search = search.to_lowercase();
        tokens.retain(|token| token.name.contains(&search));
        let total = i64::try_from(tokens.len()).unwrap_or(i64::MAX);
        let (offset, limit) = (usize::try_from(offset), usize::try_from(limit));
        let part = tokens.into_iter().skip(offset.unwrap_or(usize::MAX)).take(limit.unwrap_or_default());
        Ok((part.collect(), total))
    }

    /// Makes a personal access token for the caller.
    pub(crate) async fn create_token(&self, request: &TokenRequest) -> Result<IssuedToken, AppError> {
        let id = self.own_user_id().ok_or_else(|| self.refused_operation(PEOPLE_ONLY))?;
        self.check_renewal(id)?;
        let wanted = self.wanted(request)?;
        let mut attempts = self.identity_attempts().await;
        loop {
            let change = attempts.next().await?;
            let user = self.user_of_id(Some(id)).await?;
            if let Some(token) = self.add_token(&mut attempts, change, &user, &wanted).await? {
                return Ok(token);
            }
        }
    }

    /// Makes a personal access token for a person. Tenant admins only: the operation table says so.
    pub(crate) async fn create_token_for_user(
        &self,
        request: &TokenRequest,
        email: &str,
    ) -> Result<IssuedToken, AppError> {
        let wanted = self.wanted(request)?;
        let mut attempts = self.identity_attempts().await;
        loop {
            let change = attempts.next().await?;
            let user = self.user_of_address("userEmail", email).await?;
            if !user.active {
                return Err(AppError::invalid("userEmail", "this person is deactivated; activate them first"));
            }
            self.check_renewal(user.id)?;
            if let Some(token) = self.add_token(&mut attempts, change, &user, &wanted).await? {
                return Ok(token);
            }
        }
    }

    /// 403 where somebody would get a further way in for themselves with what may be stolen or ends: it would outlive that.
    pub(super) fn check_renewal(&self, user: UserId) -> Result<(), AppError> {
        if self.own_user_id() != Some(user) {
            return Ok(());
        }
        match self.caller().token {
            Some((_, TokenPurpose::First)) => Ok(()),
            Some(_) => Err(self.refused_operation(
                "a personal access token makes no other for the same person: ask another tenant admin for one, or for an \
                 invitation",
            )),
            None => Err(self.refused_operation(
                "a token of an identity provider makes no personal access token for the same person, as that would \
                 outlive it: ask another tenant admin for one, or for an invitation",
            )),
        }
    }

    /// Ends a token of the caller's, or for tenant admins of anybody's.
    pub(crate) async fn delete_token(&self, id: TokenId) -> Result<(), AppError> {
        let app = self.app();
        let missing = || AppError::NotFound(Resource::Token);
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let token = app.metadata.token_by_id(id).await?;
            let token = token.filter(|token| token.revoked_at.is_none() && token.purpose != TokenPurpose::Machine);
            let token = token.filter(|token| self.is_tenant_admin() || self.caller().standing.id == token.subject_id);
            let token = token.ok_or_else(missing)?;
            change.revoke_token(token.id, app.clock.now());
            let target = token_target(token.id, &token.name);
            let event = Event { action: "DELETE_PERSONAL_ACCESS_TOKEN", ..Event::of(target) };
            if attempts.commit(change, event).await?.is_none() {
                return Ok(());
            }
        }
    }

    /// Ends all tokens of a person and their open invitation: the caller's own, or for tenant admins anybody's.
    pub(crate) async fn revoke_tokens_of_user(&self, email: &str) -> Result<(), AppError> {
        let own = self.caller().standing.subject.user_email();
        if !self.is_tenant_admin() && own != Some(Email::folded(email).as_str()) {
            return Err(self.refused_operation("only the person themselves and tenant admins may do this"));
        }
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let user = self.user_of_address("email", email).await?;
            change.end_ways_in(user.id, self.app().clock.now());
            let event = Event { action: "REVOKE_PERSONAL_ACCESS_TOKENS", ..Event::of(user_target(&user)) };
            if attempts.commit(change, event).await?.is_none() {
                return Ok(());
            }
        }
    }

    fn wanted(&self, request: &TokenRequest) -> Result<Wanted, AppError> {
        let name = check_name("name", &request.name)?;
        let jwt = match request.kind.as_deref() {
            None | Some("" | "opaque") => false,
            Some("jwt") => true,
            Some(_) => return Err(AppError::invalid("tokenType", "must be `opaque` or `jwt`")),
        };
        let expiration = request.expiration.as_deref().filter(|text| !text.is_empty());
        let expires_at = expiration.map(|text| self.future("expirationDate", text)).transpose()?;
        Ok(Wanted { name, expires_at, jwt })
    }

    /// Writes a token of a person. `None`: decide again.
    async fn add_token(
        &self,
        attempts: &mut Attempts<'_>,
        mut change: IdentityChange,
        user: &UserRow,
        wanted: &Wanted,
    ) -> Result<Option<IssuedToken>, AppError> {
        let (id, now) = (user.id.to_string(), self.app().clock.now());
        let tokens = self.app().metadata.tokens_of(&id).await?;
        if tokens.iter().any(|token| token.name == wanted.name.as_str() && is_living(token, now)) {
            let message =
                format!("`{}` has a token `{}`; end that one, or choose another name", user.email, wanted.name);
            return Err(AppError::NameTaken(message));
        }
        let owner = TokenOwner { kind: SubjectKind::User, id: &id, slug: &user.email };
        let (name, purpose) = (wanted.name.as_str(), TokenPurpose::Personal);
        let (text, row) = self.issue_token(&owner, name, purpose, wanted.expires_at, wanted.jwt).await?;
        change.add_token(&row);
        let detail = json!({"user": user.email}).to_string();
        let target = token_target(row.id, &row.name);
        let event = Event { action: "CREATE_PERSONAL_ACCESS_TOKEN", detail, ..Event::of(target) };
        Ok(attempts.commit(change, event).await?.is_none().then_some(text))
    }

    /// Makes a token of either kind; the caller writes its row.
    pub(crate) async fn issue_token(
        &self,
        owner: &TokenOwner<'_>,
        name: &str,
        purpose: TokenPurpose,
        expires_at: Option<Timestamp>,
        jwt: bool,
    ) -> Result<(IssuedToken, NewToken), AppError> {
        let (text, row) = self.issue(owner.kind, owner.id.to_owned(), name, purpose, expires_at);
        if !jwt {
            return Ok((text, row));
        }
        let expires_at = expires_at.unwrap_or_else(|| row.created_at.plus_days(ENDLESS_JWT_DAYS));
        let terms = JwtTerms { id: row.id, created_at: row.created_at, expires_at };
        let (text, key) = self.sign_jwt(owner, &terms).await?;
        let hash = sha256(text.expose().as_bytes());
        let row = NewToken { hash, signing_key: Some(key), expires_at: Some(expires_at), ..row };
        Ok((IssuedToken(text), row))
    }

    /// Makes an opaque token; the caller writes its row.
    pub(crate) fn issue(
        &self,
        subject_kind: SubjectKind,
        subject_id: String,
        name: &str,
        purpose: TokenPurpose,
        expires_at: Option<Timestamp>,
    ) -> (IssuedToken, NewToken) {
        let app = self.app();
        let text = token::make(&*app.entropy);
        let created_at = app.clock.now();
        let row = NewToken {
            hash: sha256(text.as_bytes()),
            id: app.ids.at(created_at),
            subject_kind,
            subject_id,
            name: name.to_owned(),
            purpose,
            signing_key: None,
            created_by: Some(self.caller().actor.clone()),
            created_at,
            expires_at,
        };
        (IssuedToken(SecretValue::new(text.to_string())), row)
    }

    /// A time that is still to come.
    pub(crate) fn future(&self, path: &str, text: &str) -> Result<Timestamp, AppError> {
        Timestamp::parse(text)
            .filter(|at| *at > self.app().clock.now())
            .ok_or_else(|| AppError::invalid(path, "must be a date or time that is still to come, e.g. 2030-01-31"))
    }
}

/// A token that is asked for, checked.
struct Wanted {
    name: MachineName,
    expires_at: Option<Timestamp>,
    jwt: bool,
}

/// Checks a token's name.
pub(super) fn check_name(path: &str, name: &str) -> Result<MachineName, AppError> {
    MachineName::parse(name).map_err(|error| AppError::invalid(path, error.to_string()))
}

/// Whether a token works as far as it is concerned.
pub(super) fn is_living(token: &OwnedToken, now: Timestamp) -> bool {
    token.revoked_at.is_none() && token.expires_at.is_none_or(|at| at > now)
}

/// The first of `usual`, `usual-2`, `usual-3` and so on that none of somebody's living tokens has.
pub(super) fn free_name(usual: &str, tokens: &[OwnedToken], now: Timestamp) -> String {
    let is_free = |name: &String| !tokens.iter().any(|token| token.name == *name && is_living(token, now));
    let numbered = (2..).map(|number| format!("{usual}-{number}"));
    std::iter::once(usual.to_owned()).chain(numbered).find(is_free).unwrap_or_default()
}

/// A token as an event names it.
fn token_target(id: TokenId, name: &str) -> Target {
    Target { kind: "personal-access-token", id: id.to_string(), name: name.to_owned(), fqn: String::new() }
}
