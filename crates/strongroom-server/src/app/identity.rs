//! Users, tokens and virtual accounts. Tenant admins only: the operation table says so.

use serde_json::json;
use strongroom_crypto::sha256;
use strongroom_domain::fqn::SecretFqn;
use strongroom_domain::manifest::VirtualAccountManifest;
use strongroom_domain::names::{Email, MachineName};
use strongroom_domain::role::TenantRole;
use strongroom_domain::subject::{SubjectKind, SubjectName};
use strongroom_domain::{SecretValue, Timestamp, TokenId, UserId, VirtualAccountId, token};
use strongroom_metadata::{CommitError, Grant, Guard, NewToken, UserRow, VirtualAccountRow};

use super::draft::grants_json;
use super::{AppError, Context};
use crate::audit::{Event, Target};

/// A person to register.
pub(crate) struct Registration {
    pub(crate) email: String,
    pub(crate) skip_if_exists: bool,
    pub(crate) dry_run: bool,
}

/// A token that was just made, in the clear this once.
pub(crate) struct IssuedToken(pub(crate) SecretValue);

impl Context {
    /// Registers a person as a member. `None` stands for the id in a dry run.
    pub(crate) async fn register_user(
        &self,
        registration: &Registration,
    ) -> Result<(Option<UserId>, UserRow), AppError> {
        let app = self.app();
        let email = Email::parse(&registration.email).map_err(|error| AppError::invalid("email", error.to_string()))?;
        let taken = || AppError::NameTaken(format!("`{email}` is registered already"));
        if let Some(existing) = app.metadata.user_by_email(email.as_str()).await? {
            return if registration.skip_if_exists { Ok((Some(existing.id), existing)) } else { Err(taken()) };
        }
        let now = app.clock.now();
        let user = UserRow {
            id: app.ids.at(now),
            email: email.as_str().to_owned(),
            tenant_role: TenantRole::Member,
            active: true,
            created_at: now,
            updated_at: now,
        };
        if registration.dry_run {
            return Ok((None, user));
        }
        let target = Target { kind: "user", id: user.id.to_string(), name: user.email.clone(), fqn: String::new() };
        let event = self.event(Event { action: "REGISTER_USER", ..Event::of(target) });
        match app.metadata.create_user(&user, &event).await {
            Ok(()) => Ok((Some(user.id), user)),
            Err(CommitError::Missed { guard: Guard::UserEmail }) => Err(taken()),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a personal access token for a person.
    pub(crate) async fn create_token_for_user(
        &self,
        name: &str,
        email: &str,
        expiration: Option<&str>,
    ) -> Result<IssuedToken, AppError> {
        let app = self.app();
        let name = MachineName::parse(name).map_err(|error| AppError::invalid("name", error.to_string()))?;
        let expires_at = expiration.map(|text| self.future(text)).transpose()?;
        let user = app.metadata.user_by_email(&email.to_lowercase()).await?.ok_or_else(|| {
            AppError::MissingReference("there is no user with this address; register them first".into())
        })?;
        let (text, row) = self.issue(SubjectKind::User, user.id.to_string(), name.as_str(), expires_at);
        let target = Target {
            kind: "personal-access-token",
            id: row.id.to_string(),
            name: row.name.clone(),
            fqn: String::new(),
        };
        let event = Event {
            action: "CREATE_PERSONAL_ACCESS_TOKEN",
            detail: json!({"user": user.email}).to_string(),
            ..Event::of(target)
        };
        app.metadata.create_token(&row, &self.event(event)).await?;
        Ok(text)
    }

    /// Ends all tokens of a person; the caller's own, too, when the caller is that person.
    pub(crate) async fn revoke_tokens_of_user(&self, email: &str) -> Result<(), AppError> {
        let app = self.app();
        let user = app.metadata.user_by_email(&email.to_lowercase()).await?;
        let user = user.ok_or_else(|| AppError::MissingReference("there is no user with this address".into()))?;
        let target = Target { kind: "user", id: user.id.to_string(), name: user.email.clone(), fqn: String::new() };
        let event = self.event(Event { action: "REVOKE_PERSONAL_ACCESS_TOKENS", ..Event::of(target) });
        app.metadata.revoke_tokens(SubjectKind::User, &user.id.to_string(), app.clock.now(), &event).await?;
        Ok(())
    }

    /// Creates or updates a virtual account by its manifest. The token comes only with a new one.
    pub(crate) async fn apply_virtual_account(
        &self,
        manifest: &serde_json::Value,
        dry_run: bool,
    ) -> Result<(VirtualAccountRow, Option<IssuedToken>), AppError> {
        let app = self.app();
        let manifest = VirtualAccountManifest::parse(manifest).map_err(AppError::Invalid)?;
        let subject = SubjectName::virtual_account(&manifest.name).as_str().to_owned();
        let grants = match &manifest.permissions {
            Some(_) => Some(self.permissions(&manifest, &subject).await?),
            None => None,
        };
        let now = app.clock.now();
        let existing = app.metadata.virtual_account_by_name(manifest.name.as_str()).await?;
        let is_new = existing.is_none();
        let mut account = existing.unwrap_or_else(|| VirtualAccountRow {
            id: app.ids.at::<VirtualAccountId>(now),
            name: manifest.name.as_str().to_owned(),
            manifest: String::new(),
            created_by: self.caller().actor.clone(),
            created_at: now,
            updated_at: now,
        });
        let mut written = manifest.to_json();
        if manifest.permissions.is_none() && !account.manifest.is_empty() {
            // What a manifest doesn't speak of stays as it is.
            let before: serde_json::Value = serde_json::from_str(&account.manifest).unwrap_or_default();
            if let Some(permissions) = before.get("permissions") {
                written["permissions"] = permissions.clone();
            }
        }
        account.manifest = written.to_string();
        account.updated_at = now;
        if dry_run {
            return Ok((account, None));
        }
        let target = Target {
            kind: "virtual-account",
            id: account.id.to_string(),
            name: account.name.clone(),
            fqn: String::new(),
        };
        let told = grants.as_deref().map(|grants| {
            grants_json(&grants.iter().map(|grant| (grant.group_id.to_string(), grant.role)).collect::<Vec<_>>())
        });
        let action = if is_new { "CREATE_VIRTUAL_ACCOUNT" } else { "UPDATE_VIRTUAL_ACCOUNT" };
        let event = self.event(Event { action, detail: json!({"permissions": told}).to_string(), ..Event::of(target) });
        if !is_new {
            app.metadata.update_virtual_account(&account, &subject, grants.as_deref(), &event).await?;
            return Ok((account, None));
        }
        let (text, row) = self.issue(SubjectKind::VirtualAccount, account.id.to_string(), &account.name, None);
        match app.metadata.create_virtual_account(&account, &row, &grants.unwrap_or_default(), &event).await {
            Ok(()) => Ok((account, Some(text))),
            Err(CommitError::Missed { guard: Guard::VirtualAccountName }) => Err(AppError::Busy),
            Err(error) => Err(error.into()),
        }
    }

    async fn permissions(&self, manifest: &VirtualAccountManifest, subject: &str) -> Result<Vec<Grant>, AppError> {
        let app = self.app();
        let mut grants = Vec::new();
        for permission in manifest.permissions.iter().flatten() {
            let fqn =
                SecretFqn::parse(&permission.group_fqn).filter(|fqn| fqn.key.is_none() && fqn.tenant == app.tenant);
            let state = match fqn {
                Some(fqn) => app.metadata.group_by_name(&fqn.group.folded(), &self.caller().viewpoint).await?,
                None => None,
            };
            let missing = || AppError::MissingReference(format!("there is no secret group `{}`", permission.group_fqn));
            let group_id = state.ok_or_else(missing)?.group.id;
            grants.push(Grant { group_id, subject: subject.to_owned(), role: permission.role });
        }
        Ok(grants)
    }

    fn issue(
        &self,
        subject_kind: SubjectKind,
        subject_id: String,
        name: &str,
        expires_at: Option<Timestamp>,
    ) -> (IssuedToken, NewToken) {
        let app = self.app();
        let text = token::make(&*app.entropy);
        let created_at = app.clock.now();
        let row = NewToken {
            hash: sha256(text.as_bytes()),
            id: app.ids.at::<TokenId>(created_at),
            subject_kind,
            subject_id,
            name: name.to_owned(),
            created_at,
            expires_at,
        };
        (IssuedToken(SecretValue::new(text.to_string())), row)
    }

    fn future(&self, text: &str) -> Result<Timestamp, AppError> {
        Timestamp::parse(text).filter(|at| *at > self.app().clock.now()).ok_or_else(|| {
            AppError::invalid("expirationDate", "must be a date or time that is still to come, e.g. 2030-01-31")
        })
    }
}
