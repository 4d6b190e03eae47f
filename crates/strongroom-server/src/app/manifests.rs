//! Creating and updating secret groups by their manifest.

use std::collections::HashSet;

use serde_json::Value;
use strongroom_domain::GroupId;
use strongroom_domain::manifest::{Collaborator, SecretGroupManifest};
use strongroom_domain::names::NameRule;
use strongroom_domain::role::GroupRole;
use strongroom_domain::subject::SubjectName;
use strongroom_metadata::{GroupState, IntegrationRow};

use super::changes::{Action, Also, Plan};
use super::draft::Share;
use super::new_groups::NewGroup;
use super::secret_groups::alive;
use super::{AppError, Context, Manage, Missing};
use crate::http::IfMatch;

/// What applying a manifest did, or would do.
pub(crate) struct AppliedGroup {
    /// The group afterwards.
    pub(crate) state: GroupState,
    /// The manifest before, when there was a group.
    pub(crate) existing_manifest: Option<String>,
    /// Whether the state is only what would be.
    pub(crate) dry_run: bool,
}

/// Those whom a manifest names, who must be there.
struct Named<'a>(&'a [Collaborator]);

impl Also for Named<'_> {
    /// Whether secrets of the group lie in the trash.
    type Found = bool;

    async fn read(&self, context: &Context, state: &GroupState) -> Result<bool, AppError> {
        // Nobody else is told who there is.
        context.authorize::<_, Manage>(alive(state)?)?;
        context.check_collaborators(self.0).await?;
        Ok(context.app().metadata.has_trash(state.group.id).await?)
    }
}

impl Context {
    /// Creates or updates a group by its manifest.
    pub(crate) async fn apply_secret_group(
        &self,
        manifest: &Value,
        if_match: IfMatch,
        dry_run: bool,
    ) -> Result<AppliedGroup, AppError> {
        let app = self.app();
        let manifest = SecretGroupManifest::parse(manifest, app.limits.name_rule).map_err(AppError::Invalid)?;
        let integration = self
            .integrations()
            .await?
            .into_iter()
            .find(|row| row.kind == "secret-store" && row.fqn == manifest.integration_fqn)
            .ok_or_else(|| {
                let message = format!("there is no secret store integration `{}`", manifest.integration_fqn);
                AppError::missing("manifest.integration_fqn", message)
            })?;
        let existing = app.metadata.group_by_name(&manifest.name.folded(), self.caller().viewpoint()).await?;
        if let Some(existing) = existing {
            return self.update_by_manifest(existing, manifest, integration, if_match, dry_run).await;
        }
        if_match.check_absent()?;
        self.may_use(&integration)?;
        let mut created = manifest.clone();
        let collaborators = created.collaborators.get_or_insert_default();
        self.check_collaborators(collaborators).await?;
        self.keep_admin(collaborators);
        self.check_ends("collaborators", &created.to_json(), None)?;
        let named = created.collaborators.as_deref().unwrap_or_default();
        let new = NewGroup {
            name: manifest.name.clone(),
            integration: integration.clone(),
            grants: granted(named),
            manifest: created.to_json().to_string(),
            secrets: Vec::new(),
        };
        if dry_run {
            if app.metadata.group_name_taken(&new.name.folded()).await? {
                return Err(taken(&new.name));
            }
            return Ok(AppliedGroup { state: new.preview(self), existing_manifest: None, dry_run });
        }
        match self.write_new_group(&new).await {
            Ok(Some(state)) => return Ok(AppliedGroup { state, existing_manifest: None, dry_run }),
            Ok(None) => {}
            // One of them may have gone meanwhile.
            Err(AppError::Busy) => return self.check_collaborators(named).await.and(Err(AppError::Busy)),
            Err(error) => return Err(error),
        }
        // Somebody was faster: who manages their group goes on as if it had been there from the start.
        let winner = app.metadata.group_by_name(&manifest.name.folded(), self.caller().viewpoint()).await?;
        match winner.filter(|state| self.permits::<_, Manage>(state).is_some()) {
            Some(winner) => self.update_by_manifest(winner, manifest, integration, if_match, dry_run).await,
            None => Err(taken(&manifest.name)),
        }
    }

    async fn update_by_manifest(
        &self,
        existing: GroupState,
        mut manifest: SecretGroupManifest,
        integration: IntegrationRow,
        if_match: IfMatch,
        dry_run: bool,
    ) -> Result<AppliedGroup, AppError> {
        self.authorize::<_, Manage>(&existing)?;
        let changed = manifest.collaborators.is_some();
        let id = existing.group.id;
        let before = existing.group.manifest.clone();
        match &mut manifest.collaborators {
            Some(collaborators) => {
                if dry_run {
                    self.check_collaborators(collaborators).await?;
                }
                // Nobody locks themselves out by applying a manifest that doesn't name them.
                if existing.group.role == Some(GroupRole::Admin) {
                    self.keep_admin(collaborators);
                }
            }
            // What a manifest doesn't speak of stays as it is, in the stored manifest, too.
            None => manifest.collaborators = stored_collaborators(&before),
        }
        let written = manifest.to_json();
        self.check_ends("collaborators", &written, Some(&before))?;
        let written = written.to_string();
        let given = !changed || self.is_given(id, manifest.collaborators.as_deref().unwrap_or_default()).await?;
        let decide = |state: &GroupState, has_trash: bool| {
            let state = &*self.authorize::<_, Manage>(alive(state)?)?;
            if_match.check(state.group.revision)?;
            let moves = state.group.integration_id != integration.id;
            if moves && (has_trash || !state.secrets.is_empty()) {
                return Err(AppError::invalid(
                    "manifest.integration_fqn",
                    "the group's values are kept elsewhere; a group that has secrets, \
                     also in the trash, can't change its integration",
                ));
            }
            if moves {
                self.may_use(&integration)?;
            }
            if given && state.group.manifest == written {
                return Ok(None);
            }
            let grants = changed.then(|| granted(manifest.collaborators.as_deref().unwrap_or_default()));
            let integration = moves.then(|| integration.clone());
            Ok(Some(Plan {
                action: Action::Apply,
                manifest: Some(written.clone()),
                integration,
                grants,
                ..Plan::default()
            }))
        };
        if dry_run {
            let plan = decide(&existing, self.app().metadata.has_trash(id).await?)?;
            let mut state = existing;
            if let Some(manifest) = plan.and_then(|plan| plan.manifest) {
                state.group.manifest = manifest;
            }
            let before = if given { before } else { self.in_force(id, before).await? };
            return Ok(AppliedGroup { state, existing_manifest: Some(before), dry_run });
        }
        // Any of them may go until it is written.
        let named = Named(manifest.collaborators.as_deref().filter(|_| changed).unwrap_or_default());
        let state = self.change_group_with(id, &named, decide).await?;
        Ok(AppliedGroup { state, existing_manifest: Some(before), dry_run })
    }

    /// Makes the caller an admin among the collaborators. In the manifest as it is stored, so that it shows there, and
    /// whoever applies one without them takes it away.
    fn keep_admin(&self, collaborators: &mut Vec<Collaborator>) {
        let own = self.caller().standing.subject.as_str();
        match collaborators.iter_mut().find(|entry| entry.subject.as_str() == own) {
            Some(entry) => {
                entry.role = GroupRole::Admin;
                entry.expires_at = None;
            }
            None => collaborators.extend(SubjectName::parse(own).ok().map(|subject| Collaborator {
                subject,
                role: GroupRole::Admin,
                expires_at: None,
            })),
        }
    }

    /// A stored manifest without the collaborators who have lost what it gave them.
    async fn in_force(&self, group: GroupId, manifest: String) -> Result<String, AppError> {
        let mut shown: Value = serde_json::from_str(&manifest).unwrap_or_default();
        let held = self.app().metadata.grants_on(group).await?;
        let has = |entry: &Value| {
            held.iter().any(|grant| grant.source == "manifest" && entry["subject"] == grant.subject.as_str())
        };
        let Some(collaborators) = shown["collaborators"].as_array_mut() else { return Ok(manifest) };
        collaborators.retain(has);
        Ok(shown.to_string())
    }

    /// Whether collaborators have what they were given when the manifest that names them was stored: who was removed and
    /// registered anew has not.
    async fn is_given(&self, group: GroupId, collaborators: &[Collaborator]) -> Result<bool, AppError> {
        let now = self.app().clock.now();
        let held = self.app().metadata.grants_on(group).await?;
        let held: HashSet<&str> =
            held.iter().filter(|grant| grant.source == "manifest").map(|grant| grant.subject.as_str()).collect();
        let mut lasting = collaborators.iter().filter(|entry| entry.expires_at.is_none_or(|at| at > now));
        Ok(lasting.all(|entry| held.contains(entry.subject.as_str())))
    }

    /// 404 when a collaborator doesn't exist.
    async fn check_collaborators(&self, collaborators: &[Collaborator]) -> Result<(), AppError> {
        let mut missing = Missing::default();
        for (at, Collaborator { subject, .. }) in collaborators.iter().enumerate() {
            let found = self.app().metadata.subject(subject).await?.ok_or_else(|| {
                let message = format!("the collaborator `{}` does not exist", subject.as_str());
                AppError::missing(format!("manifest.collaborators[{at}].subject"), message)
            });
            missing.note(found)?;
        }
        missing.none()
    }
}

fn taken(name: &strongroom_domain::names::GroupName) -> AppError {
    AppError::NameTaken(format!("a secret group named `{name}` already exists; use a different name"))
}

fn granted(collaborators: &[Collaborator]) -> Vec<Share> {
    let share = |entry: &Collaborator| Share {
        subject: entry.subject.as_str().to_owned(),
        role: entry.role,
        expires_at: entry.expires_at,
    };
    collaborators.iter().map(share).collect()
}

fn stored_collaborators(manifest: &str) -> Option<Vec<Collaborator>> {
    let mut manifest: Value = serde_json::from_str(manifest).ok()?;
    // Earlier releases stored owners that are refused now.
    manifest.as_object_mut()?.remove("ownedBy");
    SecretGroupManifest::parse(&manifest, NameRule::Loose).ok()?.collaborators
}
