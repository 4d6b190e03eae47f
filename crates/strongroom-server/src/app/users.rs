//! Persons of the tenant.

use serde_json::json;
use strongroom_domain::UserId;
use strongroom_domain::names::Email;
use strongroom_domain::rights::TenantPermission;
use strongroom_domain::role::TenantRole;
use strongroom_domain::subject::SubjectName;
use strongroom_metadata::{Guard, Holdings, IdentityChange, Page, UserRow};

use super::cursors::Listing;
use super::identity_changes::Attempts;
use super::{AppError, Context, Resource};
use crate::audit::{Event, Target};

/// A person to register.
pub(crate) struct Registration {
    pub(crate) email: String,
    pub(crate) skip_if_exists: bool,
    pub(crate) dry_run: bool,
}

/// Which persons to list.
pub(crate) struct UserQuery {
    pub(crate) search: String,
    pub(crate) inactive_too: bool,
    pub(crate) offset: i64,
    pub(crate) limit: i64,
}

impl Context {
    /// A page of the persons, and how many match in all.
    pub(crate) async fn list_users(&self, query: UserQuery) -> Result<(Vec<UserRow>, i64), AppError> {
        self.reads_directory()?;
        let app = self.app();
        let now = app.clock.now();
        let list = if query.inactive_too { "all-users" } else { "users" };
        let listing = Listing { subject: &self.caller().actor.id, list, filter: &query.search };
        let before = app.caches.cursors.before(&listing, query.offset, now).and_then(|id| UserId::parse(&id));
        let offset = if before.is_some() { 0 } else { query.offset };
        let page = Page { before, offset, limit: query.limit };
        let (users, total) = app.metadata.user_page(&Email::folded(&query.search), query.inactive_too, page).await?;
        if let Some(last) = users.last() {
            let end = query.offset + i64::try_from(users.len()).unwrap_or(i64::MAX);
            app.caches.cursors.remember(&listing, end, last.id.to_string(), now);
        }
        Ok((users, total))
    }

    /// One person; `None` is the id of nobody.
    pub(crate) async fn get_user(&self, id: Option<UserId>) -> Result<UserRow, AppError> {
        self.reads_directory()?;
        self.user_of_id(id).await
    }

    /// Registers a person as a member. `None` stands for the id in a dry run.
    pub(crate) async fn register_user(
        &self,
        registration: &Registration,
    ) -> Result<(Option<UserId>, UserRow), AppError> {
        self.require(TenantPermission::RegisterUsers)?;
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

    /// Gives a person the one role that they have in the tenant in their own right. Tenant admins only: the operation
    /// table says so, here and below.
    pub(crate) async fn set_tenant_role(&self, email: &str, role: &str) -> Result<UserRow, AppError> {
        let app = self.app();
        let mut attempts = self.identity_attempts().await;
        loop {
            let change = attempts.next().await?;
            let before = self.user_of_address("email", email).await?;
            if TenantRole::parse(role).is_none() && !app.metadata.has_tenant_role(role).await? {
                let role: String = role.chars().take(100).collect();
                let message = format!(
                    "there is no role `{role}` in the tenant: there are `tenant-admin`, `tenant-member`, and roles of \
                     your own with the resource type `account`"
                );
                return Err(AppError::missing("roles[0]", message));
            }
            let after = UserRow { tenant_role: role.to_owned(), updated_at: app.clock.now(), ..before.clone() };
            if let Some(user) = self.write_user(&mut attempts, change, before, after, "UPDATE_USER_ROLES").await? {
                return Ok(user);
            }
        }
    }

    /// Lets a person act, or act no more. What they have is kept.
    pub(crate) async fn set_active(
        &self,
        email: &str,
        tenant: Option<&str>,
        active: bool,
    ) -> Result<UserRow, AppError> {
        self.check_tenant("tenantName", tenant)?;
        let action = if active { "ACTIVATE_USER" } else { "DEACTIVATE_USER" };
        let mut attempts = self.identity_attempts().await;
        loop {
            let change = attempts.next().await?;
            let before = self.user_of_address("email", email).await?;
            let after = UserRow { active, updated_at: self.app().clock.now(), ..before.clone() };
            if let Some(user) = self.write_user(&mut attempts, change, before, after, action).await? {
                return Ok(user);
            }
        }
    }

    /// Removes a person; with everything that is granted to them only by force.
    pub(crate) async fn delete_user(
        &self,
        id: Option<UserId>,
        tenant: Option<&str>,
        force: bool,
    ) -> Result<(), AppError> {
        self.check_tenant("query.tenantName", tenant)?;
        let app = self.app();
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let user = self.user_of_id(id).await?;
            self.keeps_an_admin(&user, None).await?;
            let (subject, now) = (format!("user:{}", user.email), app.clock.now());
            let holdings = app.metadata.holdings_of(&subject, now).await?;
            if force {
                let leaving = SubjectName::parse(&subject);
                let leaving = leaving.map_err(|rule| AppError::Internal { internal: rule.to_owned() })?;
                self.forget(&mut change, &leaving).await?;
                change.take_grants_of(&subject);
            } else if holdings == Holdings::default() {
                change.take_expired_grants_of(&subject, now);
            } else {
                return Err(still_held(&user, holdings));
            }
            change.remove_user(&user, now);
            let Holdings { groups, teams, roles } = holdings;
            let detail = json!({"secretGroups": groups, "teams": teams, "roles": roles}).to_string();
            let event = Event { action: "DELETE_USER", detail, ..Event::of(user_target(&user)) };
            // Groups grant without this turn: then somebody refers to the person again, and it is decided again.
            if attempts.commit(change, event).await?.is_none() {
                return Ok(());
            }
        }
    }

    /// A person by the address in a field, or 404.
    pub(crate) async fn user_of_address(&self, path: &str, email: &str) -> Result<UserRow, AppError> {
        let user = self.app().metadata.user_by_email(&Email::folded(email)).await?;
        user.ok_or_else(|| AppError::missing(path, "there is no user with this address; register them first"))
    }

    /// A person by id, or 404.
    pub(super) async fn user_of_id(&self, id: Option<UserId>) -> Result<UserRow, AppError> {
        let user = match id {
            Some(id) => self.app().metadata.user(id).await?,
            None => None,
        };
        user.ok_or(AppError::NotFound(Resource::User))
    }

    fn reads_directory(&self) -> Result<(), AppError> {
        if self.caller().standing.reads_directory() {
            return Ok(());
        }
        self.require(TenantPermission::ReadUsers)
    }

    fn check_tenant(&self, path: &str, named: Option<&str>) -> Result<(), AppError> {
        match named {
            Some(name) if name != self.app().tenant.as_str() => {
                Err(AppError::missing(path, "there is no such tenant; this server has one"))
            }
            _ => Ok(()),
        }
    }

    /// Writes what a person becomes, unless that is nothing new. `None`: decide again.
    async fn write_user(
        &self,
        attempts: &mut Attempts<'_>,
        mut change: IdentityChange,
        before: UserRow,
        after: UserRow,
        action: &'static str,
    ) -> Result<Option<UserRow>, AppError> {
        if (before.active, &before.tenant_role) == (after.active, &after.tenant_role) {
            return Ok(Some(before));
        }
        self.keeps_an_admin(&before, Some(&after)).await?;
        change.update_user(&after);
        let detail = json!({"role": {"before": before.tenant_role, "after": after.tenant_role}}).to_string();
        let event = Event { action, detail, ..Event::of(user_target(&after)) };
        Ok(attempts.commit(change, event).await?.is_none().then_some(after))
    }

    /// Refuses what would leave the tenant without an admin who can act in their own right.
    async fn keeps_an_admin(&self, before: &UserRow, after: Option<&UserRow>) -> Result<(), AppError> {
        let is_lost = is_acting_admin(before) && !after.is_some_and(is_acting_admin);
        if is_lost && self.app().metadata.count_admins().await? <= 1 {
            return Err(AppError::LastAdmin);
        }
        Ok(())
    }
}

pub(super) fn is_acting_admin(user: &UserRow) -> bool {
    user.active && user.tenant_role == TenantRole::Admin.id()
}

fn still_held(user: &UserRow, holdings: Holdings) -> AppError {
    let counted = |count: i64, one: &str| format!("{count} {one}{}", if count == 1 { "" } else { "s" });
    AppError::InUse(format!(
        "`{}` still is a collaborator of {} (in the trash, too), in {}, and has {} elsewhere: take these away first, or \
         all at once with `forceDelete=true`",
        user.email,
        counted(holdings.groups, "secret group"),
        counted(holdings.teams, "team"),
        counted(holdings.roles, "role"),
    ))
}

/// A person as an event names them.
pub(crate) fn user_target(user: &UserRow) -> Target {
    Target { kind: "user", id: user.id.to_string(), name: user.email.clone(), fqn: String::new() }
}
