//! Persons of the tenant.

use strongroom_domain::UserId;
use strongroom_domain::names::Email;
use strongroom_domain::role::TenantRole;
use strongroom_metadata::{Guard, UserRow};

use super::{AppError, Context};
use crate::audit::{Event, Target};

/// A person to register.
pub(crate) struct Registration {
    pub(crate) email: String,
    pub(crate) skip_if_exists: bool,
    pub(crate) dry_run: bool,
}

impl Context {
    /// Registers a person as a member. `None` stands for the id in a dry run.
    pub(crate) async fn register_user(
        &self,
        registration: &Registration,
    ) -> Result<(Option<UserId>, UserRow), AppError> {
        let app = self.app();
        let email = Email::parse(&registration.email).map_err(|error| AppError::invalid("email", error.to_string()))?;
        let taken = || AppError::NameTaken(format!("`{email}` is registered already"));
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            if let Some(existing) = app.metadata.user_by_email(email.as_str()).await? {
                return if registration.skip_if_exists { Ok((Some(existing.id), existing)) } else { Err(taken()) };
            }
            let now = app.clock.now();
            let user = UserRow {
                id: app.ids.at(now),
                email: email.as_str().to_owned(),
                tenant_role: TenantRole::Member.id().to_owned(),
                active: true,
                created_at: now,
                updated_at: now,
            };
            if registration.dry_run {
                return Ok((None, user));
            }
            change.add_user(&user);
            match attempts.commit(change, Event { action: "REGISTER_USER", ..Event::of(user_target(&user)) }).await? {
                None => return Ok((Some(user.id), user)),
                Some(Guard::UserEmail) => return Err(taken()),
                Some(_) => {}
            }
        }
    }

    /// A person by address, or 404.
    pub(crate) async fn user_of_address(&self, email: &str) -> Result<UserRow, AppError> {
        let user = self.app().metadata.user_by_email(&email.to_lowercase()).await?;
        user.ok_or_else(|| AppError::MissingReference("there is no user with this address; register them first".into()))
    }
}

/// A person as an event names them.
pub(crate) fn user_target(user: &UserRow) -> Target {
    Target { kind: "user", id: user.id.to_string(), name: user.email.clone(), fqn: String::new() }
}
