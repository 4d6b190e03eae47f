//! Teams, roles of one's own, role bindings and identity providers: what is described by a manifest and no more.

use strongroom_domain::rights::TeamPermission;
use strongroom_domain::role::TeamRole;
use strongroom_domain::subject::Actor;
use strongroom_domain::{GroupId, Timestamp};

use crate::groups::{Page, Viewpoint, granted};
use crate::integrations::read_actor;
use crate::sql::{Row, Sql, params, statements};
use crate::{Metadata, ReadError, dialect};

macro_rules! by_id {
    ($table:literal) => {
        concat!("SELECT id, name, manifest, created_by, created_at, updated_at FROM ", $table, " WHERE id = ?1")
    };
}
macro_rules! by_name {
    ($table:literal) => {
        concat!("SELECT id, name, manifest, created_by, created_at, updated_at FROM ", $table, " WHERE name = ?1")
    };
}
macro_rules! page {
    ($table:literal) => {
        concat!(
            "SELECT id, name, manifest, created_by, created_at, updated_at FROM ",
            $table,
            " WHERE (?1 = '' OR name LIKE ?1 ESCAPE '\\') AND id < ?2 ORDER BY id DESC LIMIT ?3 OFFSET ?4"
        )
    };
}
macro_rules! count {
    ($table:literal) => {
        concat!("SELECT COUNT(*) FROM ", $table, " WHERE (?1 = '' OR name LIKE ?1 ESCAPE '\\')")
    };
}

/// ?1 the one who looks, ?2 the time, ?3 a part of the name.
macro_rules! managed {
    () => {
        concat!(
            "(?3 = '' OR b.name LIKE ?3 ESCAPE '\\') AND b.id IN (SELECT x.source_id FROM grants x \
             WHERE x.source = 'role-binding' AND x.group_id IN (SELECT m.group_id FROM grants m WHERE m.role >= 30 AND ",
            granted!("m"),
            ")) AND NOT EXISTS (SELECT 1 FROM role_grants y WHERE y.source_id = b.id) \
             AND NOT EXISTS (SELECT 1 FROM grants x WHERE x.source_id = b.id AND x.source_id <> '' AND NOT EXISTS \
             (SELECT 1 FROM grants r WHERE r.group_id = x.group_id AND r.role >= 30 AND ",
            granted!("r"),
            "))"
        )
    };
}

/// ?1 the one who looks, ?2 the time, ?3 the built-in role that manages a team, ?4 how the permissions of another one
/// that does are written.
macro_rules! managed_teams {
    () => {
        concat!(
            "d.id IN (SELECT s.id FROM team_managers k JOIN subjects s ON s.name = k.team WHERE k.member = ?1 \
             UNION ALL SELECT x.resource_id FROM role_grants x LEFT JOIN roles c ON c.name = x.role \
             WHERE x.resource_type = 'team' AND (x.role = ?3 OR c.permissions LIKE ?4) AND ",
            granted!("x"),
            ")"
        )
    };
}

statements! {
    TEAM_BY_ID = by_id!("teams");
    TEAM_BY_NAME = by_name!("teams");
    TEAM_PAGE = page!("teams");
    COUNT_TEAMS = count!("teams");
    TEAM_PAGE_MANAGED = concat!(
        "SELECT d.id, d.name, d.manifest, d.created_by, d.created_at, d.updated_at FROM teams d WHERE ",
        managed_teams!(), " AND d.id < ?5 ORDER BY d.id DESC LIMIT ?6 OFFSET ?7"
    );
    COUNT_TEAMS_MANAGED = concat!("SELECT COUNT(*) FROM teams d WHERE ", managed_teams!());
    ROLE_BY_ID = by_id!("roles");
    ROLE_BY_NAME = by_name!("roles");
    ROLE_PAGE = page!("roles");
    COUNT_ROLES = count!("roles");
    BINDING_BY_ID = by_id!("role_bindings");
    BINDING_BY_NAME = by_name!("role_bindings");
    BINDING_PAGE = page!("role_bindings");
    COUNT_BINDINGS = count!("role_bindings");
    PROVIDER_BY_ID = by_id!("identity_providers");
    PROVIDER_BY_NAME = by_name!("identity_providers");
    PROVIDER_PAGE = page!("identity_providers");
    COUNT_PROVIDERS = count!("identity_providers");
    // Bindings that are about secret groups only, all of which the caller manages.
    BINDING_PAGE_MANAGED = concat!(
        "SELECT b.id, b.name, b.manifest, b.created_by, b.created_at, b.updated_at FROM role_bindings b WHERE ",
        managed!(), " AND b.id < ?4 ORDER BY b.id DESC LIMIT ?5 OFFSET ?6"
    );
    COUNT_BINDINGS_MANAGED = concat!("SELECT COUNT(*) FROM role_bindings b WHERE ", managed!());
    GROUPS_OF_BINDING = "SELECT DISTINCT group_id FROM grants WHERE source_id = ?1 AND source_id <> '' ORDER BY group_id";
    COUNT_ROLE_GRANTS_OF_SOURCE = "SELECT COUNT(*) FROM role_grants WHERE source_id = ?1";
    MEMBERS_OF = "SELECT m.member, s.id FROM team_members m JOIN subjects s ON s.name = m.member \
        WHERE m.team = ?1 ORDER BY m.member LIMIT ?2 OFFSET ?3";
    COUNT_MEMBERS = "SELECT COUNT(*) FROM team_members WHERE team = ?1";
    MANAGERS_OF = "SELECT m.member, s.id FROM team_managers m JOIN subjects s ON s.name = m.member \
        WHERE m.team = ?1 ORDER BY m.member LIMIT ?2 OFFSET ?3";
    COUNT_MANAGERS = "SELECT COUNT(*) FROM team_managers WHERE team = ?1";
    ROLE_HOLDERS = "SELECT COUNT(*) FROM users WHERE tenant_role = ?1";
    ROLE_GRANTED = "SELECT COUNT(*) FROM role_grants WHERE role = ?1";
}

/// What kind of thing a [`NamedRow`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// A team.
    Team,
    /// A role of the tenant's own.
    Role,
    /// A role binding.
    RoleBinding,
    /// An identity provider.
    IdentityProvider,
}

impl Named {
    const fn statements(self) -> [&'static Sql; 4] {
        match self {
            Self::Team => [&TEAM_BY_ID, &TEAM_BY_NAME, &TEAM_PAGE, &COUNT_TEAMS],
            Self::Role => [&ROLE_BY_ID, &ROLE_BY_NAME, &ROLE_PAGE, &COUNT_ROLES],
            Self::RoleBinding => [&BINDING_BY_ID, &BINDING_BY_NAME, &BINDING_PAGE, &COUNT_BINDINGS],
            Self::IdentityProvider => [&PROVIDER_BY_ID, &PROVIDER_BY_NAME, &PROVIDER_PAGE, &COUNT_PROVIDERS],
        }
    }
}

/// Something that has a name and is described by a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedRow {
    /// Id, a UUID.
    pub id: String,
    /// Name.
    pub name: String,
    /// Manifest, JSON.
    pub manifest: String,
    /// Who made it.
    pub created_by: Actor,
    /// When made.
    pub created_at: Timestamp,
    /// When last changed.
    pub updated_at: Timestamp,
}

/// A member or manager of a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    /// `<type>:<name>`
    pub name: String,
    /// Id.
    pub id: String,
}

impl Metadata {
    /// Looks something up by id.
    pub async fn named(&self, what: Named, id: &str) -> Result<Option<NamedRow>, ReadError> {
        self.first(what.statements()[0], &params![id], read_named).await
    }

    /// Looks something up by name.
    pub async fn named_by_name(&self, what: Named, name: &str) -> Result<Option<NamedRow>, ReadError> {
        self.first(what.statements()[1], &params![name], read_named).await
    }

    /// A page of those whose name contains a text, newest first, and how many match in all.
    pub async fn named_page(
        &self,
        what: Named,
        search: &str,
        page: Page<uuid::Uuid>,
    ) -> Result<(Vec<NamedRow>, i64), ReadError> {
        let pattern = if search.is_empty() { Some(String::new()) } else { dialect::like_anywhere(search) };
        let Some(pattern) = pattern else { return Ok((Vec::new(), 0)) };
        let [_, _, rows, count] = what.statements();
        self.aside(move |metadata| async move {
            let total = metadata.first(count, &params![&pattern], |row| row.int(0)).await?.unwrap_or(0);
            let paged = params![pattern, page.bound(), page.limit, page.offset];
            Ok((metadata.rows(rows, &paged, read_named).await?, total))
        })
        .await
    }

    /// A page of the teams whose members somebody chooses, be it by the team's manifest or by a role on it, newest
    /// first, and how many they are.
    pub async fn managed_teams(
        &self,
        viewpoint: &Viewpoint,
        page: Page<uuid::Uuid>,
    ) -> Result<(Vec<NamedRow>, i64), ReadError> {
        let subject = viewpoint.subject.clone();
        self.aside(move |metadata| async move {
            // As they are stored, permissions are a list of what this server knows: a name in quotes is one of them.
            let pattern = format!("%\"{}\"%", TeamPermission::ManageMembers.id());
            let asked = params![subject, metadata.now(), TeamRole::Manager.id(), pattern];
            let total = metadata.first(&COUNT_TEAMS_MANAGED, &asked, |row| row.int(0)).await?.unwrap_or(0);
            let paged: Vec<_> = asked.into_iter().chain(params![page.bound(), page.limit, page.offset]).collect();
            Ok((metadata.rows(&TEAM_PAGE_MANAGED, &paged, read_named).await?, total))
        })
        .await
    }

    /// A page of the role bindings for one who manages no more than secret groups: those that are about such alone.
    pub async fn managed_bindings(
        &self,
        viewpoint: &Viewpoint,
        search: &str,
        page: Page<uuid::Uuid>,
    ) -> Result<(Vec<NamedRow>, i64), ReadError> {
        let pattern = if search.is_empty() { Some(String::new()) } else { dialect::like_anywhere(search) };
        let Some(pattern) = pattern else { return Ok((Vec::new(), 0)) };
        let subject = viewpoint.subject.clone();
        self.aside(move |metadata| async move {
            let now = metadata.now();
            let counted = params![&subject, now, &pattern];
            let total = metadata.first(&COUNT_BINDINGS_MANAGED, &counted, |row| row.int(0)).await?.unwrap_or(0);
            let paged = params![subject, now, pattern, page.bound(), page.limit, page.offset];
            Ok((metadata.rows(&BINDING_PAGE_MANAGED, &paged, read_named).await?, total))
        })
        .await
    }

    /// The secret groups that a binding grants roles on, and whether it does on anything else.
    pub async fn binding_resources(&self, id: &str) -> Result<(Vec<GroupId>, bool), ReadError> {
        let groups = self.rows(&GROUPS_OF_BINDING, &params![id], |row| row.parsed(0, GroupId::parse)).await?;
        let others = self.first(&COUNT_ROLE_GRANTS_OF_SOURCE, &params![id], |row| row.int(0)).await?.unwrap_or(0);
        Ok((groups, others > 0))
    }

    /// A page of a team's members (or managers), by name, and how many there are.
    pub async fn team_people(
        &self,
        team: &str,
        managers: bool,
        offset: i64,
        limit: i64,
    ) -> Result<(Vec<MemberRow>, i64), ReadError> {
        let (rows, count) = if managers { (&MANAGERS_OF, &COUNT_MANAGERS) } else { (&MEMBERS_OF, &COUNT_MEMBERS) };
        let total = self.first(count, &params![team], |row| row.int(0)).await?.unwrap_or(0);
        let rows = self
            .rows(rows, &params![team, limit, offset], |row| Ok(MemberRow { name: row.text(0)?, id: row.text(1)? }))
            .await?;
        Ok((rows, total))
    }

    /// How many users and grants have a role of the tenant's own.
    pub async fn role_uses(&self, role: &str) -> Result<i64, ReadError> {
        let holders = self.first(&ROLE_HOLDERS, &params![role], |row| row.int(0)).await?.unwrap_or(0);
        Ok(holders + self.first(&ROLE_GRANTED, &params![role], |row| row.int(0)).await?.unwrap_or(0))
    }
}

fn read_named(row: &Row<'_>) -> Result<NamedRow, ReadError> {
    Ok(NamedRow {
        id: row.text(0)?,
        name: row.text(1)?,
        manifest: row.text(2)?,
        created_by: read_actor(row, 3)?,
        created_at: row.time(4)?,
        updated_at: row.time(5)?,
    })
}
