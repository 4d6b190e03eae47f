//! Machines as they are listed and shown. Tenant admins only: the operation table says so.

use std::collections::HashMap;

use strongroom_domain::subject::SubjectName;
use strongroom_domain::{Timestamp, VirtualAccountId};
use strongroom_metadata::{MachineKind, MachineRow, OwnedToken, Page};

use super::machine_terms::MachineTerms;
use super::tokens::is_living;
use super::{AppError, ColumnFilter, Context};

/// How many are read at once where the database can't tell which are wanted.
pub(super) const AT_ONCE: i64 = 1_000;

/// Which machines to list.
pub(crate) struct MachineQuery {
    pub(crate) kind: MachineKind,
    /// Part of the name.
    pub(crate) search: String,
    pub(crate) name: Option<String>,
    pub(crate) prefix: Option<String>,
    /// The owners; all where there are none.
    pub(crate) teams: Vec<String>,
    pub(crate) is_expired: Option<bool>,
    /// On the column `name`.
    pub(crate) filter: Option<ColumnFilter>,
    pub(crate) offset: i64,
    pub(crate) limit: i64,
}

/// A machine with what is shown beside it.
pub(crate) struct MachineView {
    pub(crate) machine: MachineRow,
    /// Those that were not revoked, newest first.
    pub(crate) tokens: Vec<OwnedToken>,
    /// Those of its own that hold: type of the resource, its id, the role.
    pub(crate) roles: Vec<(String, String, String)>,
    /// The newest token that works.
    pub(crate) current: Option<usize>,
    /// It has tokens from here, and none works any more.
    pub(crate) is_expired: bool,
}

impl MachineQuery {
    fn is_narrow(&self) -> bool {
        self.filter.is_some()
            || self.name.is_some()
            || self.prefix.is_some()
            || !self.teams.is_empty()
            || self.is_expired.is_some()
    }

    fn takes(&self, view: &MachineView) -> bool {
        let name = view.machine.name.as_str();
        let owner = || {
            let manifest: serde_json::Value = serde_json::from_str(&view.machine.manifest).unwrap_or_default();
            manifest["ownedBy"]["team"].as_str().unwrap_or_default().to_owned()
        };
        self.name.as_deref().is_none_or(|wanted| wanted == name)
            && (self.name.is_some() || self.prefix.as_deref().is_none_or(|prefix| name.starts_with(prefix)))
            && self.filter.as_ref().is_none_or(|filter| filter.takes(&|_| name.to_owned()))
            && self.is_expired.is_none_or(|wanted| wanted == view.is_expired)
            && (self.teams.is_empty() || self.teams.contains(&owner()))
    }
}

impl Context {
    /// A page of the machines of a kind, newest first, and how many match in all.
    pub(crate) async fn list_machines(&self, query: &MachineQuery) -> Result<(Vec<MachineView>, i64), AppError> {
        if !query.is_narrow() {
            let page = Page { before: None, offset: query.offset, limit: query.limit };
            let (machines, total) = self.app().metadata.machine_page(query.kind, &query.search, page).await?;
            return Ok((self.views(query.kind, machines).await?, total));
        }
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let page = Page { before, offset: 0, limit: AT_ONCE };
            let (machines, _) = self.app().metadata.machine_page(query.kind, &query.search, page).await?;
            let Some(last) = machines.last() else { break };
            before = Some(last.id);
            found.extend(self.views(query.kind, machines).await?.into_iter().filter(|view| query.takes(view)));
        }
        let total = i64::try_from(found.len()).unwrap_or(i64::MAX);
        let (skip, take) = (usize::try_from(query.offset), usize::try_from(query.limit));
        let page = found.into_iter().skip(skip.unwrap_or(usize::MAX)).take(take.unwrap_or(0));
        Ok((page.collect(), total))
    }

    /// One machine.
    pub(crate) async fn get_machine(&self, kind: MachineKind, id: VirtualAccountId) -> Result<MachineView, AppError> {
        let machine = self.machine_of(kind, id).await?;
        self.machine_view(machine).await
    }

    /// A machine with what is shown beside it.
    pub(crate) async fn machine_view(&self, machine: MachineRow) -> Result<MachineView, AppError> {
        let tokens = self.app().metadata.tokens_of(&machine.id.to_string()).await?;
        self.view(machine, tokens).await
    }

    /// Whether a virtual account has this name.
    pub(crate) async fn virtual_account_exists(&self, name: &str) -> Result<bool, AppError> {
        if !self.caller().standing.reads_directory() {
            return Err(self.refused_operation("machines don't see each other"));
        }
        let found = self.app().metadata.machine_by_name(name).await?;
        Ok(found.is_some_and(|machine| machine.kind == MachineKind::VirtualAccount))
    }

    /// The machine of an id.
    pub(super) async fn machine_of(&self, kind: MachineKind, id: VirtualAccountId) -> Result<MachineRow, AppError> {
        let machine = self.app().metadata.machine(id).await?.filter(|machine| machine.kind == kind);
        machine.ok_or(AppError::NotFound(kind.into()))
    }

    async fn views(&self, kind: MachineKind, machines: Vec<MachineRow>) -> Result<Vec<MachineView>, AppError> {
        let (Some(newest), Some(oldest)) = (machines.first(), machines.last()) else { return Ok(Vec::new()) };
        let mut tokens: HashMap<String, Vec<OwnedToken>> = HashMap::new();
        for token in self.app().metadata.tokens_of_machines(kind, oldest.id, newest.id).await? {
            tokens.entry(token.subject_id.clone()).or_default().push(token);
        }
        let mut views = Vec::with_capacity(machines.len());
        for machine in machines {
            // Others have their turn between them.
            tokio::task::yield_now().await;
            let own = tokens.remove(&machine.id.to_string()).unwrap_or_default();
            views.push(self.view(machine, own).await?);
        }
        Ok(views)
    }

    async fn view(&self, machine: MachineRow, tokens: Vec<OwnedToken>) -> Result<MachineView, AppError> {
        let metadata = &self.app().metadata;
        let now = self.app().clock.now();
        let terms = MachineTerms::stored(machine.kind, &machine.manifest)?;
        let subject = terms.subject();
        let mut roles = Vec::new();
        for (grant, group, _) in metadata.group_grants_of(subject.as_str()).await? {
            if grant.subject == subject.as_str() {
                roles.push(("secret-group".to_owned(), group.to_string(), grant.role.id().to_owned()));
            }
        }
        roles.extend(self.other_roles(&subject, now).await?);
        let current = tokens.iter().position(|token| is_living(token, now));
        let is_expired = current.is_none() && terms.has_token();
        Ok(MachineView { machine, tokens, roles, current, is_expired })
    }

    async fn other_roles(
        &self,
        subject: &SubjectName,
        now: Timestamp,
    ) -> Result<Vec<(String, String, String)>, AppError> {
        let rows = self.app().metadata.memberships(subject).await?.roles.into_iter();
        let own = rows.filter(|row| row.subject == subject.as_str() && row.expires_at.is_none_or(|at| at > now));
        Ok(own.map(|row| (row.resource_type, row.resource_id, row.role)).collect())
    }
}
