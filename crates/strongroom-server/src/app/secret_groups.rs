//! Secret groups: list, get, create, update, delete.

use std::collections::HashMap;

use serde_json::json;
use strongroom_crypto::constant_time_eq;
use strongroom_domain::fqn::SecretFqn;
use strongroom_domain::names::{GroupName, SecretKey};
use strongroom_domain::role::GroupRole;
use strongroom_domain::{GroupId, IntegrationId, SecretValue, Violation};
use strongroom_metadata::{GroupFilter, GroupState, IntegrationRow, Page, SecretState};

use super::changes::{Action, Plan, Step};
use super::cursors::Listing;
use super::draft::Share;
use super::new_groups::NewGroup;
use super::{AppError, Context, Manage, Resource, See, WriteSecrets};
use crate::audit::Target;
use crate::http::IfMatch;

/// Which groups to list.
pub(crate) struct GroupQuery {
    pub(crate) fqn: Option<String>,
    pub(crate) search: String,
    pub(crate) offset: i64,
    pub(crate) limit: i64,
}

/// A key that shall be there, and its value where it shall change.
pub(crate) struct SecretUpdate {
    pub(crate) key: SecretKey,
    pub(crate) value: Option<SecretValue>,
}

/// A group after an update, and what the update dropped.
pub(crate) struct Updated {
    pub(crate) state: GroupState,
    pub(crate) dropped: Vec<SecretState>,
}

impl Context {
    /// A page of the visible groups, and how many match in all.
    pub(crate) async fn list_secret_groups(&self, query: GroupQuery) -> Result<(Vec<GroupState>, i64), AppError> {
        let app = self.app();
        if let Some(fqn) = &query.fqn {
            let found = self.visible_by_fqn(fqn).await?.filter(|state| matches(state, &query.search));
            let total = i64::from(found.is_some());
            return Ok((found.into_iter().filter(|_| query.offset == 0).collect(), total));
        }
        let now = app.clock.now();
        let listing = Listing { subject: &self.caller().actor.id, list: "secret-groups", filter: &query.search };
        let before = app.caches.cursors.before(&listing, query.offset, now).and_then(|id| GroupId::parse(&id));
        let offset = if before.is_some() { 0 } else { query.offset };
        let filter = GroupFilter { search: query.search.clone() };
        let page = Page { before, offset, limit: query.limit };
        let (groups, total) = app.metadata.group_page(self.caller().viewpoint().clone(), filter, page).await?;
        if let Some(last) = groups.last() {
            let end = query.offset + i64::try_from(groups.len()).unwrap_or(i64::MAX);
            app.caches.cursors.remember(&listing, end, last.group.id.to_string(), now);
        }
        Ok((groups, total))
    }

    /// One group.
    pub(crate) async fn get_secret_group(&self, id: GroupId) -> Result<GroupState, AppError> {
        let state = self.app().metadata.group(id, self.caller().viewpoint()).await?;
        let state = living(state)?;
        Ok(self.authorize::<_, See>(state)?.into_inner())
    }

    /// Makes a group with its first secrets; the caller becomes its admin.
    pub(crate) async fn create_secret_group(
        &self,
        name: GroupName,
        integration: &str,
        secrets: Vec<(SecretKey, SecretValue)>,
    ) -> Result<GroupState, AppError> {
        let integration = self
            .integrations()
            .await?
            .into_iter()
            .find(|row| row.kind == "secret-store" && (row.id.to_string() == integration || row.fqn == integration))
            .ok_or(AppError::NoIntegration)?;
        self.may_use(&integration)?;
        self.check_count(secrets.len())?;
        let creator = self.caller().standing.subject.as_str().to_owned();
        let manifest = json!({
            "type": "secret-group",
            "name": name.as_str(),
            "integration_fqn": integration.fqn,
            "collaborators": [{"subject": creator, "role_id": GroupRole::Admin.id()}],
        });
        let new = NewGroup {
            name,
            integration,
            manifest: manifest.to_string(),
            secrets,
            grants: vec![Share { subject: creator, role: GroupRole::Admin, expires_at: None }],
        };
        match self.write_new_group(&new).await? {
            Some(state) => Ok(state),
            None => self.repeated(&new).await,
        }
    }

    /// Sets the complete list of a group's secrets.
    pub(crate) async fn update_secret_group(
        &self,
        id: GroupId,
        if_match: IfMatch,
        updates: &[SecretUpdate],
    ) -> Result<Updated, AppError> {
        if updates.is_empty() {
            return Err(AppError::invalid(
                "secrets",
                "at least one secret is required; delete the group to remove all",
            ));
        }
        self.check_count(updates.len())?;
        let dropped = std::sync::Mutex::new(Vec::new());
        let decide = |state: &GroupState| {
            let state = &*self.authorize::<_, WriteSecrets>(alive(state)?)?;
            if_match.check(state.group.revision)?;
            let (steps, left_out) = self.steps(state, updates)?;
            *dropped.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = left_out;
            Ok((!steps.is_empty()).then(|| Plan { action: Action::Update, steps, ..Plan::default() }))
        };
        let state = self.change_group(id, decide).await?;
        Ok(Updated { state, dropped: dropped.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) })
    }

    /// Puts a group into the trash.
    pub(crate) async fn delete_secret_group(
        &self,
        id: GroupId,
        if_match: IfMatch,
        force: bool,
    ) -> Result<(), AppError> {
        // Whether the store would allow it is asked once, and only for those who may delete.
        let state = living(self.app().metadata.group(id, self.caller().viewpoint()).await?)?;
        self.authorize::<_, Manage>(&state)?;
        self.check_store(state.group.integration_id, force).await?;
        let decide = |state: &GroupState| {
            let state = &*self.authorize::<_, Manage>(alive(state)?)?;
            if_match.check(state.group.revision)?;
            Ok(Some(Plan { action: Action::Delete, ..Plan::default() }))
        };
        self.change_group(id, decide).await.map(|_| ())
    }

    /// The visible group of an FQN.
    pub(crate) async fn visible_by_fqn(&self, fqn: &str) -> Result<Option<GroupState>, AppError> {
        let Some(fqn) = SecretFqn::parse(fqn).filter(|fqn| fqn.key.is_none() && fqn.tenant == self.app().tenant) else {
            return Ok(None);
        };
        let state = self.app().metadata.group_by_name(&fqn.group.folded(), self.caller().viewpoint()).await?;
        Ok(state.and_then(|state| self.permits::<_, See>(state)).map(super::Authorized::into_inner))
    }

    /// 403 unless the caller may make groups on the integration.
    pub(crate) fn may_use(&self, integration: &IntegrationRow) -> Result<(), AppError> {
        if self.caller().standing.may_use(integration.id, integration.account_id) {
            Ok(())
        } else {
            let target = Target {
                kind: "provider-integration",
                id: integration.id.to_string(),
                name: integration.name.clone(),
                fqn: integration.fqn.clone(),
            };
            let message = "you may not create secret groups on this integration";
            Err(self.refusal("USE_PROVIDER_INTEGRATION", target, message))
        }
    }

    /// 424 unless the store answers, or the caller forces.
    pub(crate) async fn check_store(&self, integration: IntegrationId, force: bool) -> Result<(), AppError> {
        if force {
            return Ok(());
        }
        let store = self.app().store_of(integration).await?;
        Ok(store.store.answers().await?)
    }

    pub(super) fn check_count(&self, keys: usize) -> Result<(), AppError> {
        let most = self.app().limits.keys_a_group;
        if keys <= most {
            Ok(())
        } else {
            Err(AppError::invalid("secrets", format!("a group has at most {most} keys")))
        }
    }

    fn steps<'a>(
        &self,
        state: &GroupState,
        updates: &'a [SecretUpdate],
    ) -> Result<(Vec<Step<'a>>, Vec<SecretState>), AppError> {
        let app = self.app();
        let group = &state.group;
        let key = app.data_key(group.id, group.data_key.as_deref(), group.data_key_kek)?;
        let mut left_out: HashMap<&str, &SecretState> =
            state.secrets.iter().map(|secret| (secret.key.as_str(), secret)).collect();
        let (mut steps, mut faults) = (Vec::new(), Vec::new());
        for (index, update) in updates.iter().enumerate() {
            let existing = left_out.remove(update.key.as_str());
            match (existing, &update.value) {
                (Some(secret), Some(value)) => {
                    if !constant_time_eq(&secret.digest, &app.digest(&key, group.id, secret.id, value)) {
                        steps.push(Step::Set { id: secret.id, value });
                    }
                }
                (Some(_), None) => {}
                (None, Some(value)) => steps.push(Step::Add { key: update.key.as_str().to_owned(), value }),
                (None, None) => faults.push(Violation::new(
                    format!("secrets[{index}].value"),
                    format!("`{}` is a new key: it needs a value", update.key),
                )),
            }
        }
        if !faults.is_empty() {
            return Err(AppError::Invalid(faults));
        }
        let mut left_out: Vec<SecretState> = left_out.into_values().cloned().collect();
        left_out.sort_by_key(|secret| secret.id);
        steps.extend(left_out.iter().map(|secret| Step::Drop { id: secret.id }));
        Ok((steps, left_out))
    }
}

/// The state of a group that lives.
pub(crate) fn living(state: Option<GroupState>) -> Result<GroupState, AppError> {
    state.filter(|state| state.group.deleted_at.is_none()).ok_or(AppError::NotFound(Resource::SecretGroup))
}

pub(crate) fn alive(state: &GroupState) -> Result<&GroupState, AppError> {
    if state.group.deleted_at.is_none() { Ok(state) } else { Err(AppError::NotFound(Resource::SecretGroup)) }
}

fn matches(state: &GroupState, search: &str) -> bool {
    let search = search.to_lowercase();
    state.group.name.to_lowercase().contains(&search)
        || state.secrets.iter().any(|secret| secret.key.to_lowercase().contains(&search))
}
