//! Teams: who is in them, and who says so.

use serde_json::{Value, json};
use strongroom_domain::manifest::TeamManifest;
use strongroom_domain::names::Email;
use strongroom_domain::rights::TenantPermission;
use strongroom_domain::subject::SubjectName;
use strongroom_metadata::{Guard, MemberRow, Named, NamedRow, Page};

use super::applied::{AppliedNamed, parse_id};
use super::{AppError, ColumnFilter, Context, Missing, Resource};
use crate::audit::{Event, Target, come_and_gone};

/// A team and how many people it has.
pub(crate) struct TeamView {
    pub(crate) row: NamedRow,
    pub(crate) members: i64,
    pub(crate) managers: i64,
    /// Addresses of the members, where they were asked for.
    pub(crate) names: Option<Vec<String>>,
}

/// A page of teams never carries more members than a manifest may have.
const MEMBERS: i64 = 1_000;

impl Context {
    /// A page of teams.
    pub(crate) async fn list_teams(
        &self,
        managed_only: bool,
        with_members: bool,
        offset: i64,
        limit: i64,
    ) -> Result<(Vec<TeamView>, i64), AppError> {
        self.check_directory()?;
        let metadata = &self.app().metadata;
        let page = Page { before: None, offset, limit };
        let (rows, total) = if managed_only && !self.is_tenant_admin() {
            metadata.managed_teams(self.caller().viewpoint(), page).await?
        } else {
            metadata.named_page(Named::Team, "", page).await?
        };
        let mut teams = Vec::with_capacity(rows.len());
        for row in rows {
            teams.push(self.team_view(row, with_members).await?);
        }
        Ok((teams, total))
    }

    /// One team.
    pub(crate) async fn get_team(&self, id: &str) -> Result<TeamView, AppError> {
        self.check_directory()?;
        let row = self.team_row(id).await?;
        self.team_view(row, true).await
    }

    /// A page of a team's members or managers, and how many match in all. A filter speaks of `email` and `userId`.
    pub(crate) async fn team_people(
        &self,
        id: &str,
        managers: bool,
        filter: Option<&ColumnFilter>,
        offset: i64,
        limit: i64,
    ) -> Result<(Vec<MemberRow>, i64), AppError> {
        self.check_directory()?;
        let (metadata, team) = (&self.app().metadata, format!("team:{}", self.team_row(id).await?.name));
        let Some(filter) = filter else { return Ok(metadata.team_people(&team, managers, offset, limit).await?) };
        // There are no more than a manifest names.
        let (mut people, _) = metadata.team_people(&team, managers, 0, MEMBERS).await?;
        people.retain(|person| {
            filter.takes(&|column| if column == "email" { address(person) } else { person.id.clone() })
        });
        let total = i64::try_from(people.len()).unwrap_or(i64::MAX);
        let (skip, take) = (usize::try_from(offset).unwrap_or(usize::MAX), usize::try_from(limit).unwrap_or(0));
        Ok((people.into_iter().skip(skip).take(take).collect(), total))
    }

    /// Creates or updates a team by its manifest.
    pub(crate) async fn apply_team(&self, manifest: &Value, dry_run: bool) -> Result<AppliedNamed, AppError> {
        let mut manifest = TeamManifest::parse(manifest).map_err(AppError::Invalid)?;
        let subject = SubjectName::team(&manifest.name).as_str().to_owned();
        // Before the turn, for which others wait: should somebody go after this, they can't be written.
        let applied = self.draft_team(&mut manifest).await?;
        self.check_people(&manifest).await?;
        if dry_run {
            return Ok(applied);
        }
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let applied = self.draft_team(&mut manifest).await?;
            let (members, managers) = people(&manifest);
            if applied.is_same() && self.counts(&subject, members.len(), managers.len()).await? {
                return Ok(applied);
            }
            if applied.is_new() {
                change.add_named(Named::Team, &applied.row, None);
            } else {
                change.update_named(Named::Team, &applied.row, None);
            }
            change.replace_team_people(&subject, &members, &managers);
            let action = if applied.is_new() { "CREATE_TEAM" } else { "UPDATE_TEAM" };
            let detail = self.told_people(&subject, &members, &managers).await?;
            let event = Event { action, detail, ..Event::of(team_target(&applied.row)) };
            match attempts.commit(change, event).await? {
                None => return Ok(applied),
                Some(Guard::SubjectName) => self.check_people(&manifest).await?,
                Some(Guard::ChangeNumber | Guard::NamedState) => {}
                Some(guard) => return Err(AppError::missed(guard)),
            }
        }
    }

    /// A team as it will be, when the caller may make it so.
    async fn draft_team(&self, manifest: &mut TeamManifest) -> Result<AppliedNamed, AppError> {
        let existing = self.app().metadata.named_by_name(Named::Team, manifest.name.as_str()).await?;
        self.check_may_apply_team(manifest, existing.as_ref())?;
        Ok(self.applied(existing, manifest.name.as_str(), &manifest.to_json()))
    }

    async fn check_people(&self, manifest: &TeamManifest) -> Result<(), AppError> {
        let (members, managers) = people(manifest);
        let mut named = Vec::with_capacity(members.len() + managers.len());
        for (list, people) in [("members", &members), ("managers", &managers)] {
            let placed = people.iter().enumerate();
            named.extend(placed.map(|(at, person)| (format!("manifest.{list}[{at}]"), person.as_str())));
        }
        self.check_subjects(named).await
    }

    /// Whether a team has so many people: of those whom its stored manifest names, some may have been removed, and
    /// registered anew.
    async fn counts(&self, team: &str, members: usize, managers: usize) -> Result<bool, AppError> {
        let metadata = &self.app().metadata;
        let (_, has_members) = metadata.team_people(team, false, 0, 0).await?;
        let (_, has_managers) = metadata.team_people(team, true, 0, 0).await?;
        Ok(usize::try_from(has_members) == Ok(members) && usize::try_from(has_managers) == Ok(managers))
    }

    /// Who comes into a team and who goes, as its event tells it.
    async fn told_people(&self, team: &str, members: &[String], managers: &[String]) -> Result<String, AppError> {
        let mut detail = json!({});
        for (list, people, is_managers) in [("members", members, false), ("managers", managers, true)] {
            let (before, _) = self.app().metadata.team_people(team, is_managers, 0, MEMBERS).await?;
            let before: Vec<String> = before.into_iter().map(|person| person.name).collect();
            detail[list] = come_and_gone(&before, people);
        }
        Ok(detail.to_string())
    }

    /// Removes a team and everything that it was granted.
    pub(crate) async fn delete_team(&self, id: &str) -> Result<(), AppError> {
        self.check_directory()?;
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let row = self.team_row(id).await?;
            // With it goes what it was granted, which its managers didn't give.
            if !self.is_tenant_admin() {
                return Err(self.refusal("MANAGE_TEAM", team_target(&row), "only a tenant admin deletes a team"));
            }
            let subject = SubjectName::parse(&format!("team:{}", row.name));
            let subject = subject.map_err(|rule| AppError::Internal { internal: rule.to_owned() })?;
            self.forget(&mut change, &subject).await?;
            change.remove_named(Named::Team, &row);
            let detail = self.told_people(&format!("team:{}", row.name), &[], &[]).await?;
            let event = Event { action: "DELETE_TEAM", detail, ..Event::of(team_target(&row)) };
            if attempts.commit(change, event).await?.is_none() {
                return Ok(());
            }
        }
    }

    /// People see each other and teams; machines only where a role says so.
    pub(crate) fn check_directory(&self) -> Result<(), AppError> {
        if self.caller().standing.reads_directory() {
            return Ok(());
        }
        let target = Target { kind: "tenant", id: String::new(), name: "directory".into(), fqn: String::new() };
        Err(self.refusal(
            "READ_DIRECTORY",
            target,
            "machines see people and teams only with the permission `user:read`",
        ))
    }

    /// 404 when somebody whom a field names doesn't exist.
    pub(crate) async fn check_subject(&self, path: &str, name: &str) -> Result<(), AppError> {
        let missing = || AppError::missing(path, format!("`{name}` does not exist"));
        let subject = SubjectName::parse(name).map_err(|_| missing())?;
        self.app().metadata.subject(&subject).await?.map(|_| ()).ok_or_else(missing)
    }

    /// The same of many.
    pub(super) async fn check_subjects(&self, names: Vec<(String, &str)>) -> Result<(), AppError> {
        let mut missing = Missing::default();
        for (path, name) in names {
            missing.note(self.check_subject(&path, name).await)?;
        }
        missing.none()
    }

    fn check_may_apply_team(&self, manifest: &mut TeamManifest, existing: Option<&NamedRow>) -> Result<(), AppError> {
        let standing = &self.caller().standing;
        if standing.rights.is_admin() {
            return Ok(());
        }
        let target = |id: &str| Target {
            kind: "team",
            id: id.to_owned(),
            name: manifest.name.as_str().to_owned(),
            fqn: String::new(),
        };
        let Some(row) = existing else {
            if !standing.rights.has(TenantPermission::CreateTeams) {
                return Err(self.refusal("CREATE_TEAM", target(""), "this takes the permission `team:create`"));
            }
            // Whoever makes a team can go on managing it.
            if let Some(email) = standing.subject.user_email().and_then(|email| Email::parse(email).ok()) {
                let managers = manifest.managers.get_or_insert_default();
                if !managers.contains(&email) {
                    managers.push(email);
                }
            }
            return Ok(());
        };
        if !standing.manages_team(&format!("team:{}", row.name), &row.id) {
            return Err(self.refusal("MANAGE_TEAM", target(&row.id), "this takes the role team-manager on the team"));
        }
        // Managers say who is in the team, and nothing else: not who manages it either.
        let without_members = |mut manifest: Value| {
            if let Some(fields) = manifest.as_object_mut() {
                fields.retain(|name, value| name != "members" && !value.is_null());
            }
            manifest
        };
        let before: Value = serde_json::from_str(&row.manifest).unwrap_or_default();
        if without_members(manifest.to_json()) != without_members(before) {
            let message = "only a tenant admin changes more of a team than its members; leave all else as it is";
            return Err(self.refusal("MANAGE_TEAM", target(&row.id), message));
        }
        Ok(())
    }

    pub(super) async fn team_row(&self, id: &str) -> Result<NamedRow, AppError> {
        let missing = AppError::NotFound(Resource::Team);
        let Some(id) = parse_id(id) else { return Err(missing) };
        self.app().metadata.named(Named::Team, &id).await?.ok_or(missing)
    }

    async fn team_view(&self, row: NamedRow, with_members: bool) -> Result<TeamView, AppError> {
        let metadata = &self.app().metadata;
        let team = format!("team:{}", row.name);
        let (members, total) = metadata.team_people(&team, false, 0, if with_members { MEMBERS } else { 0 }).await?;
        let (_, managers) = metadata.team_people(&team, true, 0, 0).await?;
        let names = with_members.then(|| members.iter().map(address).collect());
        Ok(TeamView { row, members: total, managers, names })
    }
}

/// A person's address.
fn address(person: &MemberRow) -> String {
    person.name.split_once(':').map_or_else(String::new, |(_, address)| address.to_owned())
}

/// The members and the managers that a manifest names.
fn people(manifest: &TeamManifest) -> (Vec<String>, Vec<String>) {
    let names = |emails: &[Email]| emails.iter().map(|email| SubjectName::user(email).as_str().to_owned()).collect();
    (names(&manifest.members), names(manifest.managers.as_deref().unwrap_or(&[])))
}

fn team_target(row: &NamedRow) -> Target {
    Target { kind: "team", id: row.id.clone(), name: row.name.clone(), fqn: String::new() }
}
