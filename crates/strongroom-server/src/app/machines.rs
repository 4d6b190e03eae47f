//! Virtual accounts and agent identities by their manifests. Tenant admins only.

use serde_json::{Value, json};
use strongroom_domain::manifest::TokenTarget;
use strongroom_domain::names::MachineName;
use strongroom_domain::{GroupId, TokenId, VirtualAccountId};
use strongroom_metadata::{
    GrantSource, Guard, IdentityChange, MachineKind, MachineRow, Named, Page, SyncState, TokenPurpose,
};

use super::machine_terms::{MachineTerms, kind_of, subject_of};
use super::machine_views::AT_ONCE;
use super::role_bindings::{Place, Resolved};
use super::token_turnover::Fresh;
use super::tokens::IssuedToken;
use super::{AppError, Context, Missing, WriteSecrets};
use crate::audit::{Event, Target};

/// What is said of a token that its machine's group doesn't have.
const NOT_WRITTEN: &str = "the token was not written there yet; sync it, with `force` where it is an opaque one";

/// A machine after its manifest was applied, or as it would be.
pub(crate) struct AppliedMachine {
    pub(crate) machine: MachineRow,
    /// Its token, when one was made.
    pub(crate) token: Option<IssuedToken>,
    /// The manifest before, when there was one.
    pub(crate) before: Option<String>,
}

/// What applying a manifest comes to.
struct Draft {
    machine: MachineRow,
    /// The manifest before, when there was one, and its terms.
    before: Option<String>,
    earlier: Option<MachineTerms>,
    /// The token is to be written elsewhere, or nowhere, from now on.
    moved: bool,
}

impl Context {
    /// Creates or updates a virtual account by its manifest. The token comes only with a new one.
    pub(crate) async fn apply_virtual_account(
        &self,
        manifest: &Value,
        dry_run: bool,
    ) -> Result<AppliedMachine, AppError> {
        self.apply_machine_terms(MachineTerms::parse(MachineKind::VirtualAccount, manifest)?, dry_run).await
    }

    /// Creates or updates an agent's identity by its manifest.
    pub(crate) async fn apply_agent_identity(
        &self,
        manifest: &Value,
        dry_run: bool,
    ) -> Result<AppliedMachine, AppError> {
        self.apply_machine_terms(MachineTerms::parse(MachineKind::AgentIdentity, manifest)?, dry_run).await
    }

    async fn apply_machine_terms(&self, terms: MachineTerms, dry_run: bool) -> Result<AppliedMachine, AppError> {
        if dry_run {
            let (draft, ..) = self.plan_machine(&terms).await?;
            return Ok(AppliedMachine { machine: draft.machine, token: None, before: draft.before });
        }
        let subject = terms.subject();
        let mut attempts = self.identity_attempts().await;
        let (draft, issued) = loop {
            let mut change = attempts.next().await?;
            let (draft, resolved, mappings) = self.plan_machine(&terms).await?;
            if self.is_in_force(&draft, &terms, &resolved).await? {
                return Ok(AppliedMachine { machine: draft.machine, token: None, before: draft.before });
            }
            let issued = self.write_machine(&mut change, &draft, &terms).await?;
            change.replace_mappings(subject.as_str(), &mappings);
            if terms.permissions.is_some() {
                let id = draft.machine.id.to_string();
                change.take_grants_from(&id);
                change.grant(GrantSource::VirtualAccount, &id, &resolved.groups, &resolved.others);
            }
            let action = match (terms.kind, draft.before.is_none()) {
                (MachineKind::VirtualAccount, true) => "CREATE_VIRTUAL_ACCOUNT",
                (MachineKind::VirtualAccount, false) => "UPDATE_VIRTUAL_ACCOUNT",
                (MachineKind::AgentIdentity, true) => "CREATE_AGENT_IDENTITY",
                (MachineKind::AgentIdentity, false) => "UPDATE_AGENT_IDENTITY",
            };
            let detail = json!({"permissions": terms.written.get("permissions")}).to_string();
            let event = Event { action, detail, ..Event::of(machine_target(&draft.machine)) };
            match attempts.commit(change, event).await? {
                None => break (draft, issued),
                Some(Guard::Mapping) => {
                    let message = "another machine is mapped to the same value of this identity provider";
                    return Err(AppError::invalid("manifest.identity_provider_mapping", message));
                }
                Some(Guard::ChangeNumber | Guard::SubjectName | Guard::MachineState) => {}
                Some(guard) => return Err(AppError::missed(guard)),
            }
        };
        drop(attempts);
        let Draft { mut machine, before, moved, .. } = draft;
        let mut token = None;
        let fresh = match issued {
            Some((IssuedToken(text), id)) => {
                token = Some(IssuedToken(text.clone()));
                Some(Fresh { machine: machine.clone(), terms, id, text })
            }
            None if moved => self.fresh_again(&machine, terms).await?,
            None => None,
        };
        if let Some(fresh) = fresh.filter(|fresh| fresh.terms.target.is_some()) {
            // That it failed is told with the machine, and can be made up for by a sync: the token is good in any case.
            let written = self.write_token(&fresh).await;
            match self.settle_token(&fresh, &written, None, None).await {
                Ok(sync) => machine.sync = sync,
                // The account is made, and nobody else would tell its token.
                Err(error) => tracing::warn!(machine = machine.name, ?error, "a token's sync was not noted"),
            }
        }
        Ok(AppliedMachine { machine, token, before })
    }

    /// The machine as it will be, with what it is granted and which tokens of identity providers stand for it.
    async fn plan_machine(&self, terms: &MachineTerms) -> Result<(Draft, Resolved, Vec<(String, String)>), AppError> {
        let subject = [terms.subject()];
        let mut resolved = Resolved::default();
        let mut missing = Missing::default();
        for (at, permission) in terms.permissions.iter().flatten().enumerate() {
            let found = self.resolve(permission, &Place::in_machine(at), &subject, &mut resolved).await;
            missing.note(found)?;
        }
        let mappings = self.mapped(terms, &mut missing).await?;
        let target = missing.note(self.target_group(terms).await)?.flatten();
        missing.none()?;
        let draft = self.draft_machine(terms, target).await?;
        if draft.earlier.as_ref().is_none_or(|earlier| earlier.target != terms.target) {
            self.check_target_is_free(terms).await?;
        }
        Ok((draft, resolved, mappings))
    }

    /// The machine as it will be, with the group that its token is written into.
    async fn draft_machine(&self, terms: &MachineTerms, target: Option<GroupId>) -> Result<Draft, AppError> {
        let app = self.app();
        let now = app.clock.now();
        if terms.expires_at.is_some_and(|at| at <= now) {
            return Err(AppError::invalid(terms.path_of("expiration_date"), "must be a date that is still to come"));
        }
        let existing = app.metadata.machine_by_name(terms.name.as_str()).await?;
        if existing.as_ref().is_some_and(|machine| machine.kind != terms.kind) {
            let message = format!("`{}` is taken: virtual accounts and agent identities share their names", terms.name);
            return Err(AppError::NameTaken(message));
        }
        let before = existing.as_ref().map(|machine| machine.manifest.clone());
        self.check_ends("permissions", &terms.written, before.as_deref())?;
        let earlier = match &before {
            Some(manifest) => Some(MachineTerms::stored(terms.kind, manifest)?),
            None => None,
        };
        // A pipeline that applies the same again and again must not hand the token to whoever has taken the name.
        let bound = existing.as_ref().and_then(|machine| machine.target_group);
        let named = |terms: &MachineTerms| match &terms.target {
            Some(TokenTarget::Group { group, .. }) => Some(group.folded()),
            _ => None,
        };
        if bound.is_some() && bound != target && earlier.as_ref().and_then(named) == named(terms) {
            let message = "another group has this name than when the manifest was applied; if that one is to have the \
                token, apply the manifest without `secret_store_config` first";
            return Err(AppError::invalid(terms.path_of("secret_store_config.secret_group"), message));
        }
        let mut machine = existing.unwrap_or_else(|| MachineRow {
            id: app.ids.at(now),
            kind: terms.kind,
            name: terms.name.as_str().to_owned(),
            manifest: String::new(),
            rotate_at: None,
            sync: SyncState::default(),
            target_group: target,
            created_by: self.caller().actor.clone(),
            created_at: now,
            updated_at: now,
        });
        let written = written(terms, earlier.as_ref()).to_string();
        if machine.manifest != written {
            machine.manifest = written;
            machine.updated_at = now;
        }
        let rotates = earlier.as_ref().is_some_and(|earlier| earlier.auto_rotate == terms.auto_rotate);
        if !rotates || machine.rotate_at.is_none() || !terms.has_token() {
            machine.rotate_at = terms.rotate_at(now);
        }
        let moved =
            machine.target_group != target || earlier.as_ref().is_some_and(|earlier| earlier.target != terms.target);
        machine.target_group = target;
        if moved {
            let error = terms.target.as_ref().map(|_| NOT_WRITTEN.to_owned());
            machine.sync = SyncState { error, ..SyncState::default() };
        }
        Ok(Draft { machine, before, earlier, moved })
    }

    /// Whether applying changes nothing: the manifest is the one that there is, and all of it is so. It isn't where another
    /// group has the name that the token is written under.
    async fn is_in_force(&self, draft: &Draft, terms: &MachineTerms, resolved: &Resolved) -> Result<bool, AppError> {
        let Draft { machine, before, moved, .. } = draft;
        let same = before.as_ref() == Some(&machine.manifest) && !moved;
        // What has an identity provider's mapping keeps the provider, so that mappings are what the manifest says.
        Ok(same && (terms.permissions.is_none() || self.is_granted(&machine.id.to_string(), resolved).await?))
    }

    /// Writes the machine and its tokens, and a new one where it has to have one.
    async fn write_machine(
        &self,
        change: &mut IdentityChange,
        draft: &Draft,
        terms: &MachineTerms,
    ) -> Result<Option<(IssuedToken, TokenId)>, AppError> {
        let Draft { machine, earlier, .. } = draft;
        let id = machine.id.to_string();
        match earlier {
            None => change.add_machine(machine, terms.subject().as_str()),
            Some(_) => change.update_machine(machine),
        }
        if !terms.has_token() {
            // From now on its provider says who it is.
            change.revoke_tokens(kind_of(terms.kind), &id, machine.updated_at);
            return Ok(None);
        }
        let moved_end = earlier.as_ref().filter(|earlier| earlier.expires_at != terms.expires_at);
        if let Some(earlier) = moved_end {
            change.move_tokens_end(&id, earlier.expires_at, terms.expires_at);
            if let Some(until) = terms.expires_at {
                change.shorten_tokens(&id, until);
            }
        }
        let has_token = earlier.as_ref().is_some_and(MachineTerms::has_token);
        // A JWT says itself when it ends: it gets a successor where that changes.
        if has_token && !(terms.jwt && moved_end.is_some()) {
            return Ok(None);
        }
        let (owner, purpose) = (terms.owner(&id), TokenPurpose::Machine);
        let (text, row) = self.issue_token(&owner, &machine.name, purpose, terms.expires_at, terms.jwt).await?;
        change.add_token(&row);
        Ok(Some((text, row.id)))
    }

    /// A machine's current token, where it can be made again.
    async fn fresh_again(&self, machine: &MachineRow, terms: MachineTerms) -> Result<Option<Fresh>, AppError> {
        let id = machine.id.to_string();
        let Some(token) = self.current_token(machine.id).await? else { return Ok(None) };
        let text = self.app().jwt_again(&terms.owner(&id), &token).await?;
        Ok(text.map(|text| Fresh { machine: machine.clone(), terms, id: token.id, text }))
    }

    /// Removes the machine of a name with its tokens and everything that it was granted.
    pub(crate) async fn delete_machine_named(&self, kind: MachineKind, name: &str) -> Result<(), AppError> {
        self.check_admin("DELETE_VIRTUAL_ACCOUNT")?;
        let machine = self.app().metadata.machine_by_name(name).await?.filter(|machine| machine.kind == kind);
        let machine = machine.ok_or(AppError::NotFound(kind.into()))?;
        self.delete_machine(kind, machine.id).await
    }

    /// Removes a machine with its tokens and everything that it was granted.
    pub(crate) async fn delete_machine(&self, kind: MachineKind, id: VirtualAccountId) -> Result<(), AppError> {
        let app = self.app();
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let machine = self.machine_of(kind, id).await?;
            let subject = MachineName::parse(&machine.name).map(|name| subject_of(kind, &name));
            let subject = subject.map_err(|error| AppError::Internal { internal: error.to_string() })?;
            self.forget(&mut change, &subject).await?;
            change.remove_machine(machine.id, kind_of(kind), subject.as_str(), app.clock.now());
            let action = match kind {
                MachineKind::VirtualAccount => "DELETE_VIRTUAL_ACCOUNT",
                MachineKind::AgentIdentity => "DELETE_AGENT_IDENTITY",
            };
            let event = Event { action, ..Event::of(machine_target(&machine)) };
            if attempts.commit(change, event).await?.is_none() {
                return Ok(());
            }
        }
    }

    /// The group that a manifest says its token is written into. Whoever applies it writes there, and so must be allowed to.
    async fn target_group(&self, terms: &MachineTerms) -> Result<Option<GroupId>, AppError> {
        let path = terms.path_of("secret_store_config");
        match &terms.target {
            None => Ok(None),
            Some(TokenTarget::Store { .. }) => {
                let message = "this server writes tokens into secret groups: take `{\"type\": \"tfy-secrets\", …}`";
                Err(AppError::invalid(path, message))
            }
            Some(TokenTarget::Group { group, .. }) => {
                let state = self.app().metadata.group_by_name(&group.folded(), self.caller().viewpoint()).await?;
                let missing =
                    || AppError::missing(format!("{path}.secret_group"), format!("there is no secret group `{group}`"));
                let state = self.authorize::<_, WriteSecrets>(state.ok_or_else(missing)?)?;
                Ok(Some(state.group.id))
            }
        }
    }

    /// 422 when another machine has its token written to the same secret: each would undo what the other wrote.
    async fn check_target_is_free(&self, terms: &MachineTerms) -> Result<(), AppError> {
        let Some(target) = &terms.target else { return Ok(()) };
        for kind in [MachineKind::VirtualAccount, MachineKind::AgentIdentity] {
            let mut before = None;
            loop {
                let page = Page { before, offset: 0, limit: AT_ONCE };
                let (machines, _) = self.app().metadata.machine_page(kind, "", page).await?;
                let Some(last) = machines.last() else { break };
                before = Some(last.id);
                for other in machines.iter().filter(|other| other.name != terms.name.as_str()) {
                    let found = MachineTerms::stored(kind, &other.manifest).ok().and_then(|terms| terms.target);
                    if found.is_some_and(|found| found.is_same_place(target)) {
                        let message = format!("the token of `{}` is written to this secret: take another", other.name);
                        return Err(AppError::invalid(
                            format!("{}.key", terms.path_of("secret_store_config")),
                            message,
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    /// The mappings of a machine by the ids of their providers.
    async fn mapped(&self, terms: &MachineTerms, missing: &mut Missing) -> Result<Vec<(String, String)>, AppError> {
        let mut mapped = Vec::new();
        let path = terms.path_of("identity_provider_mapping");
        for (at, mapping) in terms.mappings.iter().enumerate() {
            let name = mapping.identity_provider.as_str();
            let row = self.app().metadata.named_by_name(Named::IdentityProvider, name).await?;
            let row = row.ok_or_else(|| {
                let message = format!("there is no identity provider `{name}`");
                AppError::missing(format!("{path}[{at}].identity_provider"), message)
            });
            mapped.extend(missing.note(row)?.map(|row| (row.id, mapping.value.clone())));
        }
        Ok(mapped)
    }
}

/// The manifest as it is stored: what it doesn't speak of stays as it was.
fn written(terms: &MachineTerms, earlier: Option<&MachineTerms>) -> Value {
    let mut written = terms.written.clone();
    if terms.permissions.is_none()
        && let Some(permissions) = earlier.and_then(|earlier| earlier.written.get("permissions"))
    {
        written["permissions"] = permissions.clone();
    }
    written
}

/// A machine as an event names it.
pub(crate) fn machine_target(machine: &MachineRow) -> Target {
    Target { kind: machine.kind.id(), id: machine.id.to_string(), name: machine.name.clone(), fqn: String::new() }
}
