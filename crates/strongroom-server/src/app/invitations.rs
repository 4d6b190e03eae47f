//! Invitations: a registered person's way in that works once.

use serde_json::json;
use strongroom_crypto::sha256;
use strongroom_domain::SecretValue;
use strongroom_domain::names::MachineName;
use strongroom_domain::subject::SubjectKind;
use strongroom_domain::token;
use strongroom_metadata::{OwnedToken, TokenPurpose, UserRow};

use super::tokens::{IssuedToken, check_name, free_name, is_living};
use super::users::user_target;
use super::{AppError, Context};
use crate::audit::Event;
use crate::auth::INVALID_INVITATION;

/// How long an invitation may wait.
const VALID_DAYS: u32 = 7;
/// How a token is called when whoever accepts doesn't say.
const USUAL_NAME: &str = "invitation";

impl Context {
    /// Makes a code for a registered person; an older one of theirs ends. Whoever has it can act as them, so it takes a
    /// tenant admin, who could make them a token anyway: the operation table says so.
    pub(crate) async fn invite_user(&self, email: &str) -> Result<SecretValue, AppError> {
        let app = self.app();
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let user = self.user_of_address("email", email).await?;
            self.check_renewal(user.id)?;
            if !user.active {
                return Err(AppError::invalid("email", "this person is deactivated; activate them first"));
            }
            let (code, now) = (token::make_invitation(&*app.entropy), app.clock.now());
            let until = now.plus_days(VALID_DAYS);
            change.invite(&sha256(code.as_bytes()), user.id, now, until);
            let detail = json!({"until": until.to_wire()}).to_string();
            let event = Event { action: "INVITE_USER", detail, ..Event::of(user_target(&user)) };
            if attempts.commit(change, event).await?.is_none() {
                return Ok(SecretValue::new(code.to_string()));
            }
        }
    }

    /// Trades the caller's invitation for a token of theirs.
    pub(crate) async fn accept_invitation(
        &self,
        code: &SecretValue,
        name: Option<&str>,
    ) -> Result<IssuedToken, AppError> {
        let app = self.app();
        let hash = sha256(code.expose().as_bytes());
        let name = name.map(|name| check_name("tokenName", name)).transpose()?;
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let user = self.invited(&hash).await?;
            let tokens = app.metadata.tokens_of(&user.id.to_string()).await?;
            let name = self.token_name(name.as_ref(), &tokens)?;
            let (text, row) = self.issue(SubjectKind::User, user.id.to_string(), &name, TokenPurpose::Personal, None);
            change.accept_invitation(&hash);
            change.add_token(&row);
            let detail = json!({"tokenId": row.id.to_string(), "tokenName": row.name}).to_string();
            let event = Event { action: "ACCEPT_INVITATION", detail, ..Event::of(user_target(&user)) };
            if attempts.commit(change, event).await?.is_none() {
                return Ok(text);
            }
        }
    }

    /// Whom the code is for, when that is the caller: it may have been used since they were authenticated.
    async fn invited(&self, hash: &[u8; 32]) -> Result<UserRow, AppError> {
        let (metadata, now) = (&self.app().metadata, self.app().clock.now());
        let invitation = metadata.invitation(hash).await?;
        let own = self.own_user_id();
        let id = invitation.filter(|(id, until)| *until > now && Some(*id) == own).map(|(id, _)| id);
        let user = match id {
            Some(id) => metadata.user(id).await?,
            None => None,
        };
        user.filter(|user| user.active).ok_or(AppError::Unauthenticated(INVALID_INVITATION))
    }

    fn token_name(&self, wanted: Option<&MachineName>, tokens: &[OwnedToken]) -> Result<String, AppError> {
        let now = self.app().clock.now();
        let is_taken = |name: &str| tokens.iter().any(|token| token.name == name && is_living(token, now));
        match wanted {
            Some(name) if is_taken(name.as_str()) => {
                let message = format!("a token of yours is called `{name}`; choose another `tokenName`");
                Err(AppError::NameTaken(message))
            }
            Some(name) => Ok(name.as_str().to_owned()),
            None => Ok(free_name(USUAL_NAME, tokens, now)),
        }
    }
}
