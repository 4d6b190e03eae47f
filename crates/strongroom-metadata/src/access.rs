//! Who has what on a secret group, and through what.

use std::collections::HashSet;
use std::hash::Hash;

use strongroom_domain::rights::TenantPermission;
use strongroom_domain::role::GroupRole;
use strongroom_domain::subject::EVERYONE;
use strongroom_domain::{GroupId, Timestamp};

use crate::entered::Found;
use crate::groups::{Viewpoint, entrance, granted, read_role};
use crate::postgres::Hint;
use crate::sql::{Row, params, statements};
use crate::{Grant, GrantSource, Metadata, ReadError, RoleGrant};

macro_rules! grant_columns {
    () => {
        "SELECT r.subject, r.role, r.source, r.source_id, r.expires_at, COALESCE(b.name, v.name, '') FROM grants r \
         LEFT JOIN role_bindings b ON b.id = r.source_id LEFT JOIN virtual_accounts v ON v.id = r.source_id \
         WHERE r.group_id = ?1 AND (r.expires_at IS NULL OR r.expires_at > ?2)"
    };
}

/// How somebody comes to read the values of group ?1 at the time ?2: by a grant of at least the role ?3, or by a role in
/// the tenant that is an admin's or has the permission that the pattern ?4 finds. A team stands for its members, but ?6
/// for itself: everyone is in it. Where ?5 is not 1 machines only; of the types of subjects these two begin so.
macro_rules! routes {
    () => {
        concat!(
            "(SELECT y.* FROM (",
            granted_routes!("r.subject", "", "(r.subject = ?6 OR r.subject NOT LIKE 'team%')"),
            " UNION ALL ",
            granted_routes!("t.member", "JOIN team_members t ON t.team = r.subject ", "r.subject <> ?6"),
            " UNION ALL SELECT s.name, s.name, 'tenant-role', u.tenant_role, NULL, c.permissions, NULL FROM users u \
             JOIN subjects s ON s.id = u.id LEFT JOIN roles c ON c.name = u.tenant_role \
             WHERE (u.tenant_role = 'tenant-admin' OR c.permissions LIKE ?4) UNION ALL ",
            tenant_routes!("r.subject", "", "(r.subject = ?6 OR r.subject NOT LIKE 'team%')"),
            " UNION ALL ",
            tenant_routes!("t.member", "JOIN team_members t ON t.team = r.subject ", "r.subject <> ?6"),
            ") y WHERE (?5 = 1 OR y.name LIKE 'virtualaccount%' OR y.name LIKE 'agent%'))"
        )
    };
}
macro_rules! granted_routes {
    ($name:literal, $join:literal, $filter:literal) => {
        concat!(
            "SELECT ",
            $name,
            " AS name, r.subject AS via, r.source AS source, COALESCE(b.name, v.name, '') AS label, r.role AS role, \
             NULL AS permissions, r.expires_at AS until FROM grants r ",
            $join,
            "LEFT JOIN role_bindings b ON b.id = r.source_id LEFT JOIN virtual_accounts v ON v.id = r.source_id \
             WHERE r.group_id = ?1 AND (r.expires_at IS NULL OR r.expires_at > ?2) AND r.role >= ?3 AND ",
            $filter
        )
    };
}
macro_rules! tenant_routes {
    ($name:literal, $join:literal, $filter:literal) => {
        concat!(
            "SELECT ",
            $name,
            ", r.subject, 'tenant-role', r.role, NULL, c.permissions, r.expires_at FROM role_grants r ",
            $join,
            "LEFT JOIN roles c ON c.name = r.role WHERE r.resource_type = 'account' \
             AND (r.expires_at IS NULL OR r.expires_at > ?2) AND (r.role = 'tenant-admin' OR c.permissions LIKE ?4) AND ",
            $filter
        )
    };
}

statements! {
    READERS = concat!(
        "SELECT p.name, u.active, x.via, x.source, x.label, x.role, x.permissions, x.until \
         FROM (SELECT DISTINCT d.name FROM ", routes!(), " d ORDER BY d.name LIMIT ?7 OFFSET ?8) p JOIN ", routes!(),
        " x ON x.name = p.name LEFT JOIN subjects s ON s.name = p.name LEFT JOIN users u ON u.id = s.id \
         ORDER BY p.name, x.source, x.via, x.label"
    );
    COUNT_READERS = concat!("SELECT COUNT(*) FROM (SELECT DISTINCT d.name FROM ", routes!(), " d) p");
    ROLE_ON_GROUP = concat!("SELECT e.role FROM ", entrance!("?3", "0"), " e");
    GRANTS_ON_GROUP = concat!(grant_columns!(), " ORDER BY r.subject, r.source, r.source_id");
    GRANTS_OF_SUBJECT_ON_GROUP = concat!(
        grant_columns!(),
        " AND r.subject IN (SELECT ?3 UNION ALL SELECT t.team FROM team_members t WHERE t.member = ?3) \
         ORDER BY r.subject, r.source, r.source_id"
    );
    // CROSS: from what is granted to the groups, never the other way.
    GROUP_GRANTS_OF_SUBJECT = "SELECT r.subject, r.role, r.source, r.source_id, r.expires_at, g.id, g.name \
        FROM grants r CROSS JOIN secret_groups g \
        WHERE g.id = r.group_id AND r.subject IN (SELECT ?1 UNION ALL SELECT t.team FROM team_members t WHERE t.member = ?1) \
        AND (r.expires_at IS NULL OR r.expires_at > ?2) AND g.deleted_at IS NULL ORDER BY g.name, r.subject, r.source, \
        r.source_id";
    GRANTS_OF_SOURCE = "SELECT group_id, subject, role, expires_at FROM grants WHERE source_id = ?1 AND source_id <> '' \
        ORDER BY group_id, subject";
    ROLE_GRANTS_OF_SOURCE =
        "SELECT subject, resource_type, resource_id, role, expires_at FROM role_grants WHERE source_id = ?1 \
        ORDER BY subject, resource_type, resource_id, role";
    SOURCES_OF = "SELECT source, source_id FROM grants WHERE subject = ?1 AND source_id <> '' \
        UNION SELECT source, source_id FROM role_grants WHERE subject = ?1 ORDER BY source, source_id";
    // The same of one subject's own, on those groups alone on which somebody else has a role, too.
    GROUP_GRANTS_SEEN = concat!(
        "SELECT r.subject, r.role, r.source, r.source_id, r.expires_at, g.id, g.name \
         FROM grants r CROSS JOIN secret_groups g WHERE g.id = r.group_id AND r.subject = ?3 \
         AND (r.expires_at IS NULL OR r.expires_at > ?2) AND g.deleted_at IS NULL \
         AND EXISTS (SELECT 1 FROM grants m WHERE m.group_id = r.group_id AND ", granted!("m"),
        ") ORDER BY g.name, r.subject, r.source, r.source_id"
    );
}

/// A role that somebody has on a secret group, and what gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRow {
    /// Whom it is granted to.
    pub subject: String,
    /// The role.
    pub role: GroupRole,
    /// `manifest`, `virtual-account` or `role-binding`.
    pub source: String,
    /// The binding's or virtual account's id.
    pub source_id: String,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// The binding's or virtual account's name.
    pub source_name: String,
}

/// What one manifest grants.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Granted {
    /// On secret groups.
    pub groups: Vec<Grant>,
    /// On everything else.
    pub others: Vec<RoleGrant>,
}

impl Granted {
    /// Whether it is this, in whatever order and apart from what has ended.
    #[must_use]
    pub fn is(&self, groups: &[Grant], others: &[RoleGrant], now: Timestamp) -> bool {
        fn lasting<T: Eq + Hash>(grants: &[T], end: impl Fn(&T) -> Option<Timestamp>, now: Timestamp) -> HashSet<&T> {
            grants.iter().filter(|grant| end(grant).is_none_or(|at| at > now)).collect()
        }
        let of_groups = |grants| lasting(grants, |grant: &Grant| grant.expires_at, now);
        let of_others = |grants| lasting(grants, |grant: &RoleGrant| grant.expires_at, now);
        of_groups(&self.groups) == of_groups(groups) && of_others(&self.others) == of_others(others)
    }
}

/// Whose access to a group's values is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadersOf {
    /// The group.
    pub group: GroupId,
    /// The least role that lets somebody read.
    pub least: GroupRole,
    /// The permission in the tenant that does.
    pub permission: TenantPermission,
    /// Whether people may read at all.
    pub people: bool,
}

/// Somebody who may read a group's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderRow {
    /// `<type>:<name>`; of the teams only [`EVERYONE`] is here itself.
    pub subject: String,
    /// Whether they may act at all.
    pub active: bool,
    /// All that lets them.
    pub routes: Vec<RouteRow>,
}

/// One thing that lets somebody read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteRow {
    /// Whom it is given to: them, or a team of theirs.
    pub subject: String,
    /// `tenant-role`, or as in [`GrantRow`].
    pub source: String,
    /// The name of the role in the tenant, binding or virtual account.
    pub name: String,
    /// The role on the group; `None` for a role in the tenant.
    pub role: Option<GroupRole>,
    /// The permissions of a role in the tenant, JSON, when it is one of the tenant's own.
    pub permissions: Option<String>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

impl Metadata {
    /// A page of those who may read a group's values, by name, and how many they are.
    pub async fn readers(&self, of: ReadersOf, offset: i64, limit: i64) -> Result<(Vec<ReaderRow>, i64), ReadError> {
        self.aside(move |metadata| async move {
            let pattern = format!("%\"{}\"%", of.permission.id());
            let asked = params![of.group, metadata.now(), of.least.rank(), pattern, i64::from(of.people), EVERYONE];
            let total = metadata.first(&COUNT_READERS, &asked, |row| row.int(0)).await?.unwrap_or(0);
            let paged: Vec<_> = asked.into_iter().chain(params![limit, offset]).collect();
            let mut readers: Vec<ReaderRow> = Vec::new();
            for (subject, active, route) in metadata.rows(&READERS, &paged, read_route).await? {
                match readers.last_mut().filter(|last| last.subject == subject) {
                    Some(last) => last.routes.push(route),
                    None => readers.push(ReaderRow { subject, active, routes: vec![route] }),
                }
            }
            Ok((readers, total))
        })
        .await
    }

    /// The strongest role that grants give somebody on a group; whether that exists isn't asked.
    pub async fn role_on(&self, group: GroupId, viewpoint: &Viewpoint) -> Result<Option<GroupRole>, ReadError> {
        if let Some(entrance) = self.entrance(Found::of((group, true)), viewpoint) {
            tokio::task::coop::consume_budget().await;
            return Ok(entrance.role);
        }
        if let Some(role) = self.role_numbered(group, viewpoint).await? {
            return Ok(Some(role));
        }
        let asked = params![&viewpoint.subject, self.now(), group];
        let role = self.first(&ROLE_ON_GROUP, &asked, |row| read_role(row, 0)).await?.flatten();
        Ok(self.shown(Hint::Group(group), role, |role| (group, Some(*role))))
    }

    /// Every grant on a group that holds.
    pub async fn grants_on(&self, group: GroupId) -> Result<Vec<GrantRow>, ReadError> {
        self.rows(&GRANTS_ON_GROUP, &params![group, self.now()], read_grant).await
    }

    /// The grants on a group that reach one subject, of their own and through their teams.
    pub async fn grants_on_for(&self, group: GroupId, subject: &str) -> Result<Vec<GrantRow>, ReadError> {
        self.rows(&GRANTS_OF_SUBJECT_ON_GROUP, &params![group, self.now(), subject], read_grant).await
    }

    /// Every grant on a living group that reaches a subject, each with the group's id and name.
    pub async fn group_grants_of(&self, subject: &str) -> Result<Vec<(GrantRow, GroupId, String)>, ReadError> {
        self.rows(&GROUP_GRANTS_OF_SUBJECT, &params![subject, self.now()], read_group_grant).await
    }

    /// What a manifest grants at present: a binding's, a virtual account's or an integration's, by its id.
    pub async fn granted_by(&self, source_id: &str) -> Result<Granted, ReadError> {
        let asked = params![source_id];
        let groups = self.rows(&GRANTS_OF_SOURCE, &asked, |row| {
            Ok(Grant {
                group_id: row.parsed(0, GroupId::parse)?,
                subject: row.text(1)?,
                role: read_role(row, 2)?.ok_or_else(|| row.damaged(2))?,
                expires_at: row.opt_time(3)?,
            })
        });
        let groups = groups.await?;
        let others = self.rows(&ROLE_GRANTS_OF_SOURCE, &asked, |row| {
            Ok(RoleGrant {
                subject: row.text(0)?,
                resource_type: row.text(1)?,
                resource_id: row.text(2)?,
                role: row.text(3)?,
                expires_at: row.opt_time(4)?,
            })
        });
        Ok(Granted { groups, others: others.await? })
    }

    /// The manifests that grant somebody something, a group's own apart, each by its kind and id.
    pub async fn sources_of(&self, subject: &str) -> Result<Vec<(GrantSource, String)>, ReadError> {
        self.rows(&SOURCES_OF, &params![subject], |row| Ok((row.parsed(0, GrantSource::parse)?, row.text(1)?))).await
    }

    /// Every grant of a subject's own on a living group on which grants give the one who looks a role.
    pub async fn group_grants_seen(
        &self,
        subject: &str,
        viewpoint: &Viewpoint,
    ) -> Result<Vec<(GrantRow, GroupId, String)>, ReadError> {
        let asked = params![&viewpoint.subject, self.now(), subject];
        self.rows(&GROUP_GRANTS_SEEN, &asked, read_group_grant).await
    }
}

fn read_group_grant(row: &Row<'_>) -> Result<(GrantRow, GroupId, String), ReadError> {
    Ok((read_row(row)?, row.parsed(5, GroupId::parse)?, row.text(6)?))
}

fn read_grant(row: &Row<'_>) -> Result<GrantRow, ReadError> {
    Ok(GrantRow { source_name: row.text(5)?, ..read_row(row)? })
}

fn read_route(row: &Row<'_>) -> Result<(String, bool, RouteRow), ReadError> {
    let route = RouteRow {
        subject: row.text(2)?,
        source: row.text(3)?,
        name: row.text(4)?,
        role: read_role(row, 5)?,
        permissions: row.opt_text(6)?,
        expires_at: row.opt_time(7)?,
    };
    Ok((row.text(0)?, row.opt_int(1)? != Some(0), route))
}

fn read_row(row: &Row<'_>) -> Result<GrantRow, ReadError> {
    Ok(GrantRow {
        subject: row.text(0)?,
        role: read_role(row, 1)?.ok_or_else(|| row.damaged(1))?,
        source: row.text(2)?,
        source_id: row.text(3)?,
        expires_at: row.opt_time(4)?,
        source_name: String::new(),
    })
}
