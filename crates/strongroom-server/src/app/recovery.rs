//! A tenant admin's way back in when no token of theirs works: for whoever has the database and the root key, and so has
//! everything anyway.

use serde_json::json;
use strongroom_domain::names::Email;
use strongroom_domain::subject::SubjectKind;
use strongroom_metadata::{Page, TokenPurpose};

use super::tokens::{IssuedToken, free_name};
use super::users::{is_acting_admin, user_target};
use super::{AppError, Context};
use crate::audit::Event;

/// As the token of the first start is called.
const USUAL_NAME: &str = "admin";
/// So many persons are looked through for admins to name.
const LOOKED_AT: i64 = 1_000;

impl Context {
    /// Makes an active tenant admin a token like that of the first start, beside those that they have.
    pub(crate) async fn make_admin_token(&self, email: &str) -> Result<IssuedToken, AppError> {
        let app = self.app();
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let user = app.metadata.user_by_email(&Email::folded(email)).await?.filter(is_acting_admin);
            let Some(user) = user else { return Err(self.no_such_admin(email).await?) };
            let id = user.id.to_string();
            let name = free_name(USUAL_NAME, &app.metadata.tokens_of(&id).await?, app.clock.now());
            let (text, row) = self.issue(SubjectKind::User, id, &name, TokenPurpose::First, None);
            change.add_token(&row);
            let detail = json!({"tokenId": row.id.to_string(), "tokenName": row.name}).to_string();
            let event = Event { action: "RECOVER_ADMIN_TOKEN", detail, ..Event::of(user_target(&user)) };
            if attempts.commit(change, event).await?.is_none() {
                return Ok(text);
            }
        }
    }

    async fn no_such_admin(&self, email: &str) -> Result<AppError, AppError> {
        let page = Page { before: None, offset: 0, limit: LOOKED_AT };
        let (users, _) = self.app().metadata.user_page("", false, page).await?;
        let admins: Vec<_> = users.into_iter().filter(is_acting_admin).map(|user| user.email).collect();
        let message = format!(
            "`{email}` is no active tenant admin in their own right; such are: {}",
            if admins.is_empty() { "none".to_owned() } else { admins.join(", ") }
        );
        Ok(AppError::missing("email", message))
    }
}
