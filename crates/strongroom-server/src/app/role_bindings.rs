//! Role bindings: roles of subjects on resources, kept apart from the resources' manifests.

use serde_json::{Value, json};
use strongroom_domain::GroupId;
use strongroom_domain::fqn::SecretFqn;
use strongroom_domain::manifest::{GrantedRole, Permission, RoleBindingManifest};
use strongroom_domain::subject::SubjectName;
use strongroom_metadata::{Grant, GrantSource, Guard, IdentityChange, Named, NamedRow, Page, RoleGrant};

use super::applied::{AppliedNamed, parse_id};
use super::{AppError, Context, Manage, Missing, Resource};
use crate::audit::{Event, Target};

/// Where a manifest names the parts of a permission.
pub(crate) struct Place {
    resource: String,
    role: String,
}

impl Place {
    pub(crate) fn in_binding(at: usize) -> Self {
        let part = |name| format!("manifest.permissions[{at}].{name}");
        Self { resource: part("resourceFqn"), role: part("role") }
    }

    pub(crate) fn in_machine(at: usize) -> Self {
        let part = |name| format!("manifest.permissions[{at}].{name}");
        Self { resource: part("resource_fqn"), role: part("role_id") }
    }

    fn missing_resource(&self, kind: &str, fqn: &str) -> AppError {
        AppError::missing(&self.resource, format!("there is no {kind} `{fqn}`"))
    }
}

/// What a binding grants, resolved.
#[derive(Default)]
pub(crate) struct Resolved {
    pub(crate) groups: Vec<Grant>,
    pub(crate) others: Vec<RoleGrant>,
}

impl Context {
    /// A page of the bindings whose resources the caller manages, newest first, and how many there are.
    pub(crate) async fn list_role_bindings(
        &self,
        search: &str,
        offset: i64,
        limit: i64,
    ) -> Result<(Vec<NamedRow>, i64), AppError> {
        let metadata = &self.app().metadata;
        let page = Page { before: None, offset, limit };
        Ok(if self.is_tenant_admin() {
            metadata.named_page(Named::RoleBinding, search, page).await?
        } else {
            metadata.managed_bindings(self.caller().viewpoint(), search, page).await?
        })
    }

    /// One binding.
    pub(crate) async fn get_role_binding(&self, id: &str) -> Result<NamedRow, AppError> {
        let missing = || AppError::NotFound(Resource::RoleBinding);
        let id = parse_id(id).ok_or_else(missing)?;
        let row = self.app().metadata.named(Named::RoleBinding, &id).await?.ok_or_else(missing)?;
        if self.manages_binding(&row).await? { Ok(row) } else { Err(missing()) }
    }

    /// Whether a binding has this name.
    pub(crate) async fn role_binding_exists(&self, name: &str) -> Result<bool, AppError> {
        Ok(self.app().metadata.named_by_name(Named::RoleBinding, name).await?.is_some())
    }

    /// Creates or updates a binding by its manifest.
    pub(crate) async fn apply_role_binding(&self, manifest: &Value, dry_run: bool) -> Result<AppliedNamed, AppError> {
        let manifest = RoleBindingManifest::parse(manifest).map_err(AppError::Invalid)?;
        // First of all whether they may give it: nobody else is told who there is. And before the turn, for which others
        // wait: should somebody go after this, their grant can't be written.
        let (applied, _) = self.draft_binding(&manifest).await?;
        self.check_subjects(named_subjects(&manifest)).await?;
        if dry_run {
            return Ok(applied);
        }
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let (applied, resolved) = self.draft_binding(&manifest).await?;
            if applied.is_same() && self.is_granted(&applied.row.id, &resolved).await? {
                return Ok(applied);
            }
            let event = write_binding(&mut change, &manifest, &applied, &resolved);
            match attempts.commit(change, event).await? {
                None => return Ok(applied),
                Some(Guard::SubjectName) => {
                    self.check_subjects(named_subjects(&manifest)).await?;
                }
                Some(Guard::ChangeNumber | Guard::NamedState) => {}
                Some(guard) => return Err(AppError::missed(guard)),
            }
        }
    }

    /// A binding as it will be, and what it grants, when the caller may give that.
    async fn draft_binding(&self, manifest: &RoleBindingManifest) -> Result<(AppliedNamed, Resolved), AppError> {
        let existing = self.app().metadata.named_by_name(Named::RoleBinding, manifest.name.as_str()).await?;
        if let Some(row) = &existing
            && !self.manages_binding(row).await?
        {
            return Err(AppError::NameTaken(format!("a role binding named `{}` already exists", manifest.name)));
        }
        let resolved = self.grants_of(manifest).await?;
        let written = manifest.to_json();
        self.check_ends("permissions", &written, existing.as_ref().map(|row| row.manifest.as_str()))?;
        Ok((self.applied(existing, manifest.name.as_str(), &written), resolved))
    }

    /// What a manifest grants, when the caller may give it. Whether its subjects are there isn't asked.
    pub(super) async fn grants_of(&self, manifest: &RoleBindingManifest) -> Result<Resolved, AppError> {
        let mut resolved = Resolved::default();
        let mut missing = Missing::default();
        for (at, permission) in manifest.permissions.iter().enumerate() {
            let found = self.resolve(permission, &Place::in_binding(at), &manifest.subjects, &mut resolved).await;
            missing.note(found)?;
        }
        missing.none()?;
        Ok(resolved)
    }

    /// Whether what a manifest comes to is granted: who was removed and registered anew since it was stored has nothing.
    pub(super) async fn is_granted(&self, source_id: &str, resolved: &Resolved) -> Result<bool, AppError> {
        let now = self.app().clock.now();
        Ok(self.app().metadata.granted_by(source_id).await?.is(&resolved.groups, &resolved.others, now))
    }

    /// Removes a binding and what it grants.
    pub(crate) async fn delete_role_binding(&self, id: &str) -> Result<(), AppError> {
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let row = self.get_role_binding(id).await?;
            change.remove_named(Named::RoleBinding, &row);
            let event = Event { action: "DELETE_ROLE_BINDING", ..Event::of(binding_target(&row)) };
            if attempts.commit(change, event).await?.is_none() {
                return Ok(());
            }
        }
    }

    /// Turns one permission into grants of each subject, when the caller may give it.
    pub(crate) async fn resolve(
        &self,
        permission: &Permission,
        place: &Place,
        subjects: &[SubjectName],
        resolved: &mut Resolved,
    ) -> Result<(), AppError> {
        let expires_at = permission.expires_at;
        // What reaches beyond secret groups is the tenant's to give, and whether it is there for nobody else to ask.
        if !matches!(permission.role, GrantedRole::Group(_)) {
            self.check_admin("APPLY_ROLE_BINDING")?;
        }
        let (resource_type, resource_id, role) = match &permission.role {
            GrantedRole::Group(role) => {
                let group_id = self.managed_group(place, &permission.resource_fqn).await?;
                resolved.groups.extend(subjects.iter().map(|subject| Grant {
                    group_id,
                    subject: subject.as_str().to_owned(),
                    role: *role,
                    expires_at,
                }));
                return Ok(());
            }
            GrantedRole::Integration(role) => {
                let rows = self.integrations().await?;
                let row = rows.into_iter().find(|row| row.fqn == permission.resource_fqn);
                let row =
                    row.ok_or_else(|| place.missing_resource("provider integration", &permission.resource_fqn))?;
                ("provider-integration", row.id.to_string(), role.id().to_owned())
            }
            GrantedRole::Account(role) => {
                let rows = self.app().metadata.provider_accounts().await?;
                let row = rows.into_iter().find(|row| row.fqn == permission.resource_fqn);
                let row = row.ok_or_else(|| place.missing_resource("provider account", &permission.resource_fqn))?;
                ("provider-account", row.id.to_string(), role.id().to_owned())
            }
            GrantedRole::Team(_) => {
                let name = team_name(&permission.resource_fqn, self.app().tenant.as_str());
                let row = match name {
                    Some(name) => self.app().metadata.named_by_name(Named::Team, name).await?,
                    None => None,
                };
                let row = row.ok_or_else(|| place.missing_resource("team", &permission.resource_fqn))?;
                ("team", row.id, self.known_role(place, &permission.role).await?)
            }
            GrantedRole::Tenant(_) => {
                if permission.resource_fqn != self.app().tenant.as_str() {
                    return Err(place.missing_resource("account", &permission.resource_fqn));
                }
                ("account", self.app().account_id.to_string(), self.known_role(place, &permission.role).await?)
            }
        };
        resolved.others.extend(subjects.iter().map(|subject| RoleGrant {
            subject: subject.as_str().to_owned(),
            resource_type: resource_type.to_owned(),
            resource_id: resource_id.clone(),
            role: role.clone(),
            expires_at,
        }));
        Ok(())
    }

    /// The group of an FQN that the caller manages; 404 where they may not see it.
    async fn managed_group(&self, place: &Place, fqn: &str) -> Result<GroupId, AppError> {
        let app = self.app();
        let parsed = SecretFqn::parse(fqn).filter(|fqn| fqn.key.is_none() && fqn.tenant == app.tenant);
        let group = match parsed {
            Some(fqn) => app.metadata.group_ref_by_name(&fqn.group.folded(), self.caller().viewpoint()).await?,
            None => None,
        };
        let group = group.ok_or_else(|| place.missing_resource("secret group", fqn))?;
        Ok(self.authorize::<_, Manage>(group)?.id)
    }

    /// A role's id, when it is built in or the tenant's own of this resource type.
    async fn known_role(&self, place: &Place, role: &GrantedRole) -> Result<String, AppError> {
        let Some(name) = role.custom() else { return Ok(role.id().to_owned()) };
        let row = self.app().metadata.named_by_name(Named::Role, name.as_str()).await?;
        let manifest: Option<Value> = row.and_then(|row| serde_json::from_str(&row.manifest).ok());
        if manifest.is_some_and(|manifest| manifest["resourceType"] == role.resource_type()) {
            return Ok(name.as_str().to_owned());
        }
        let kind = role.resource_type();
        Err(AppError::missing(&place.role, format!("there is no role `{name}` on resources of type `{kind}`")))
    }

    /// Whether the caller manages everything that a binding is about.
    async fn manages_binding(&self, row: &NamedRow) -> Result<bool, AppError> {
        if self.is_tenant_admin() {
            return Ok(true);
        }
        let metadata = &self.app().metadata;
        let (groups, others) = metadata.binding_resources(&row.id).await?;
        if others || groups.is_empty() {
            return Ok(false);
        }
        for group in groups {
            if !self.could::<Manage>(metadata.role_on(group, self.caller().viewpoint()).await?) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The subjects of a manifest, each with its place.
fn named_subjects(manifest: &RoleBindingManifest) -> Vec<(String, &str)> {
    let subjects = manifest.subjects.iter().enumerate();
    subjects.map(|(at, subject)| (format!("manifest.subjects[{at}].name"), subject.as_str())).collect()
}

/// Adds to a change what a manifest makes of its binding, and gives the event.
pub(super) fn write_binding(
    change: &mut IdentityChange,
    manifest: &RoleBindingManifest,
    applied: &AppliedNamed,
    resolved: &Resolved,
) -> Event {
    if applied.is_new() {
        change.add_named(Named::RoleBinding, &applied.row, None);
    } else {
        change.update_named(Named::RoleBinding, &applied.row, None);
        change.take_grants_from(&applied.row.id);
    }
    change.grant(GrantSource::RoleBinding, &applied.row.id, &resolved.groups, &resolved.others);
    let action = if applied.is_new() { "CREATE_ROLE_BINDING" } else { "UPDATE_ROLE_BINDING" };
    let written = manifest.to_json();
    let detail = json!({"subjects": written["subjects"], "permissions": written["permissions"]}).to_string();
    Event { action, detail, ..Event::of(binding_target(&applied.row)) }
}

/// The team that is meant by its name alone or behind the tenant's.
fn team_name<'a>(fqn: &'a str, tenant: &str) -> Option<&'a str> {
    let name = fqn.strip_prefix(tenant).and_then(|rest| rest.strip_prefix(':')).unwrap_or(fqn);
    let name = name.strip_prefix("team:").unwrap_or(name);
    (!name.contains(':')).then_some(name)
}

fn binding_target(row: &NamedRow) -> Target {
    Target { kind: "role-binding", id: row.id.clone(), name: row.name.clone(), fqn: String::new() }
}
