//! Bringing back what was deleted.

use strongroom_domain::names::{GroupName, SecretKey};
use strongroom_domain::{GroupId, SecretId, Violation};
use strongroom_metadata::{GroupState, SecretRow, SecretState, VersionRow};

use super::changes::{Action, Also, Plan, Step};
use super::secret_groups::alive;
use super::{AppError, Context, Manage, Resource, WriteSecrets};
use crate::http::IfMatch;

/// Whether the name is taken that the group shall have: its own, or another.
struct NameTaken<'a>(Option<&'a GroupName>);

impl Also for NameTaken<'_> {
    type Found = bool;

    async fn read(&self, context: &Context, state: &GroupState) -> Result<bool, AppError> {
        let folded = self.0.map_or_else(|| state.group.name.to_ascii_lowercase(), GroupName::folded);
        Ok(context.app().metadata.group_name_taken(&folded).await?)
    }
}

/// The secret that shall come back. Had it changed after its group was read, the group's revision would have, too.
struct Deleted(SecretId);

impl Also for Deleted {
    type Found = Option<(SecretRow, Vec<VersionRow>)>;

    async fn read(&self, context: &Context, _: &GroupState) -> Result<Self::Found, AppError> {
        Ok(context.app().metadata.secret(self.0, context.caller().viewpoint(), 1).await?)
    }
}

impl Context {
    /// Brings a deleted group back, under another name where one is given.
    pub(crate) async fn restore_secret_group(
        &self,
        id: GroupId,
        if_match: IfMatch,
        new_name: Option<&str>,
    ) -> Result<GroupState, AppError> {
        let app = self.app();
        let new_name = new_name
            .map(|name| GroupName::parse(name, app.limits.name_rule))
            .transpose()
            .map_err(|error| AppError::invalid("name", error.to_string()))?;
        let decide = |state: &GroupState, name_taken: bool| {
            // Only those who manage it may know that a deleted group is there.
            let permitted = self.permits::<_, Manage>(state).ok_or(AppError::NotFound(Resource::SecretGroup))?;
            let group = &permitted.group;
            if group.deleted_at.is_none() {
                return Err(AppError::NameTaken("this secret group is not deleted".into()));
            }
            if group.data_key.is_none() || group.purge_at.is_none() {
                return Err(AppError::NotFound(Resource::SecretGroup));
            }
            if_match.check(group.revision)?;
            if name_taken {
                return Err(AppError::NameTaken(
                    "a secret group of this name exists; give another one: {\"name\": \"…\"}".into(),
                ));
            }
            let manifest = new_name.as_ref().map(|name| renamed(&group.manifest, name));
            Ok(Some(Plan { action: Action::Restore, name: new_name.clone(), manifest, ..Plan::default() }))
        };
        self.change_group_with(id, &NameTaken(new_name.as_ref()), decide).await
    }

    /// Brings a deleted secret of a living group back, under another key where one is given.
    pub(crate) async fn restore_secret(
        &self,
        id: SecretId,
        if_match: IfMatch,
        new_key: Option<&str>,
    ) -> Result<GroupState, AppError> {
        let new_key = new_key
            .map(SecretKey::parse)
            .transpose()
            .map_err(|error| AppError::Invalid(vec![Violation::new("key", error.to_string())]))?;
        let viewpoint = self.caller().viewpoint();
        let (row, _) =
            self.app().metadata.secret(id, viewpoint, 1).await?.ok_or(AppError::NotFound(Resource::Secret))?;
        let decide = |state: &GroupState, secret: Option<(SecretRow, Vec<VersionRow>)>| {
            let state = &*self
                .authorize::<_, WriteSecrets>(alive(state).map_err(|_| AppError::NotFound(Resource::Secret))?)
                .map_err(|error| match error {
                    AppError::NotFound(_) => AppError::NotFound(Resource::Secret),
                    error => error,
                })?;
            if_match.check(state.group.revision)?;
            let (row, _) = secret.ok_or(AppError::NotFound(Resource::Secret))?;
            if row.deleted_at.is_none() {
                return Err(AppError::NameTaken("this secret is not deleted".into()));
            }
            if row.purge_at.is_none() {
                return Err(AppError::NotFound(Resource::Secret));
            }
            let key = new_key.as_ref().map_or(row.key.as_str(), SecretKey::as_str).to_owned();
            if state.secrets.iter().any(|secret| secret.key == key) {
                return Err(AppError::NameTaken(format!(
                    "the group has a secret `{key}`; give another key: {{\"key\": \"…\"}}"
                )));
            }
            if state.secrets.len() >= self.app().limits.keys_a_group {
                return Err(AppError::invalid("secrets", "the group has as many keys as it may have"));
            }
            let steps = vec![Step::Revive { secret: Box::new(current(&row)), key }];
            Ok(Some(Plan { action: Action::RestoreSecret, steps, ..Plan::default() }))
        };
        self.change_group_with(row.group_id, &Deleted(id), decide).await.map_err(|error| match error {
            AppError::NotFound(_) => AppError::NotFound(Resource::Secret),
            error => error,
        })
    }
}

fn renamed(manifest: &str, name: &GroupName) -> String {
    let mut manifest: serde_json::Value = serde_json::from_str(manifest).unwrap_or_default();
    manifest["name"] = name.as_str().into();
    manifest.to_string()
}

fn current(row: &SecretRow) -> SecretState {
    SecretState {
        id: row.id,
        key: row.key.clone(),
        version: row.current_version,
        created_by: row.created_by.clone(),
        created_at: row.created_at,
        updated_at: row.updated_at,
        version_id: row.version.id,
        digest: row.version.digest.clone(),
        store_version: row.version.store_version.clone(),
        version_created_at: row.version.created_at,
        sealed: None,
    }
}
