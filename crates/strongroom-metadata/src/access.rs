//! Who has what on a secret group, and through what.

use strongroom_domain::role::GroupRole;
use strongroom_domain::{GroupId, Timestamp};

use crate::groups::read_role;
use crate::sql::{Row, params, statements};
use crate::{Metadata, ReadError};

macro_rules! grant_columns {
    () => {
        "SELECT r.subject, r.role, r.source, r.source_id, r.expires_at, COALESCE(b.name, v.name, '') FROM grants r \
         LEFT JOIN role_bindings b ON b.id = r.source_id LEFT JOIN virtual_accounts v ON v.id = r.source_id \
         WHERE r.group_id = ?1 AND (r.expires_at IS NULL OR r.expires_at > ?2)"
    };
}

statements! {
    GRANTS_ON_GROUP = concat!(grant_columns!(), " ORDER BY r.subject, r.source, r.source_id");
    GRANTS_OF_SUBJECT_ON_GROUP = concat!(
        grant_columns!(),
        " AND r.subject IN (SELECT ?3 UNION ALL SELECT t.team FROM team_members t WHERE t.member = ?3) \
         ORDER BY r.subject, r.source, r.source_id"
    );
    GROUP_GRANTS_OF_SUBJECT = "SELECT r.subject, r.role, r.source, r.source_id, r.expires_at, g.id, g.name \
        FROM grants r JOIN secret_groups g ON g.id = r.group_id \
        WHERE r.subject IN (SELECT ?1 UNION ALL SELECT t.team FROM team_members t WHERE t.member = ?1) \
        AND (r.expires_at IS NULL OR r.expires_at > ?2) AND g.deleted_at IS NULL ORDER BY g.name, r.subject, r.source, \
        r.source_id";
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

impl Metadata {
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
        self.rows(&GROUP_GRANTS_OF_SUBJECT, &params![subject, self.now()], |row| {
            let grant = GrantRow { source_name: String::new(), ..read_row(row)? };
            Ok((grant, row.parsed(5, GroupId::parse)?, row.text(6)?))
        })
        .await
    }
}

fn read_grant(row: &Row<'_>) -> Result<GrantRow, ReadError> {
    Ok(GrantRow { source_name: row.text(5)?, ..read_row(row)? })
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
