//! Persons and their tokens.

use strongroom_domain::subject::{Actor, EVERYONE};
use strongroom_domain::{SigningKeyId, Timestamp, TokenId, UserId, VirtualAccountId};

use crate::groups::Page;
use crate::sql::{Row, params, statements};
use crate::{MachineKind, Metadata, ReadError, TokenPurpose, dialect};

macro_rules! user_columns {
    () => {
        "SELECT id, email, tenant_role, active, created_at, updated_at FROM users "
    };
}
macro_rules! user_matches {
    () => {
        "(?1 = '' OR email LIKE ?1 ESCAPE '\\') AND (?2 = 1 OR active = 1)"
    };
}
macro_rules! token_columns {
    () => {
        "SELECT t.id, t.subject_id, t.name, t.purpose, t.signing_key, t.created_at, t.expires_at, t.revoked_at, t.hash, \
         t.created_by FROM tokens t "
    };
}

statements! {
    SELECT_USER_BY_EMAIL = concat!(user_columns!(), "WHERE email = ?1");
    SELECT_USER_BY_ID = concat!(user_columns!(), "WHERE id = ?1");
    USER_PAGE = concat!(user_columns!(), "WHERE ", user_matches!(), " AND id < ?3 ORDER BY id DESC LIMIT ?4 OFFSET ?5");
    COUNT_USERS = concat!("SELECT COUNT(*) FROM users WHERE ", user_matches!());
    COUNT_ADMINS = "SELECT COUNT(*) FROM users WHERE tenant_role = 'tenant-admin' AND active = 1";
    TOKENS_OF = concat!(token_columns!(), "WHERE t.subject_id = ?1 AND t.revoked_at IS NULL ORDER BY t.id DESC");
    // Of the machines of a kind whose ids lie between two: those of a page.
    TOKENS_OF_MACHINES = concat!(token_columns!(), "JOIN virtual_accounts v ON v.id = t.subject_id \
        WHERE v.kind = ?1 AND v.id >= ?2 AND v.id <= ?3 AND t.revoked_at IS NULL ORDER BY t.id DESC");
    SELECT_TOKEN_BY_ID = concat!(token_columns!(), "WHERE t.id = ?1");
    HOLDINGS_OF = "SELECT (SELECT COUNT(DISTINCT g.group_id) FROM grants g WHERE g.subject = ?1 \
        AND (g.expires_at IS NULL OR g.expires_at > ?2)), \
        (SELECT COUNT(*) FROM team_members m WHERE m.member = ?1 AND m.team <> ?3) \
        + (SELECT COUNT(*) FROM team_managers g WHERE g.member = ?1 AND NOT EXISTS \
        (SELECT 1 FROM team_members m WHERE m.team = g.team AND m.member = ?1)), \
        (SELECT COUNT(*) FROM role_grants r WHERE r.subject = ?1 AND (r.expires_at IS NULL OR r.expires_at > ?2))";
    TEAM_ROLES_OF = "SELECT t.team, s.id, t.role FROM (SELECT m.team, 'team-member' AS role FROM team_members m \
        WHERE m.member = ?1 UNION ALL SELECT g.team, 'team-manager' FROM team_managers g WHERE g.member = ?1) t \
        JOIN subjects s ON s.name = t.team ORDER BY t.team, t.role DESC";
    TENANT_ROLE = "SELECT 1 FROM roles WHERE name = ?1 AND resource_type = 'account'";
    SELECT_INVITATION = "SELECT id, expires_at FROM invitations WHERE hash = ?1";
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// Id.
    pub id: UserId,
    /// Address, folded.
    pub email: String,
    /// The id of their role in the tenant: built in, or one of the tenant's own.
    pub tenant_role: String,
    /// Whether the person may act at all.
    pub active: bool,
    /// When registered.
    pub created_at: Timestamp,
    /// When last changed.
    pub updated_at: Timestamp,
}

/// How much somebody has that would go with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Holdings {
    /// Secret groups that name them, those in the trash too.
    pub groups: i64,
    /// Teams that they are in or manage, apart from everyone.
    pub teams: i64,
    /// Roles on other things.
    pub roles: i64,
}

/// A role that somebody has in a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamRoleRow {
    /// The team, as `team:<name>`.
    pub team: String,
    /// Its id.
    pub id: String,
    /// `team-member` or `team-manager`.
    pub role: String,
}

/// A token as its owner manages it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedToken {
    /// Id.
    pub id: TokenId,
    /// The id of its owner.
    pub subject_id: String,
    /// Name.
    pub name: String,
    /// What it was made for.
    pub purpose: TokenPurpose,
    /// The key that signed it; `None` for an opaque one.
    pub signing_key: Option<SigningKeyId>,
    /// Who made it; `None` for the first start's, and where it was made by an earlier release.
    pub created_by: Option<Actor>,
    /// When made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// SHA-256 of its text.
    pub hash: Vec<u8>,
}

impl Metadata {
    /// Looks a user up by address (folded).
    pub async fn user_by_email(&self, email: &str) -> Result<Option<UserRow>, ReadError> {
        self.first(&SELECT_USER_BY_EMAIL, &params![email], read_user).await
    }

    /// Looks a user up by id.
    pub async fn user(&self, id: UserId) -> Result<Option<UserRow>, ReadError> {
        self.first(&SELECT_USER_BY_ID, &params![id], read_user).await
    }

    /// A page of the users whose address contains a text, newest first, and how many match in all.
    pub async fn user_page(
        &self,
        search: &str,
        inactive_too: bool,
        page: Page<UserId>,
    ) -> Result<(Vec<UserRow>, i64), ReadError> {
        let pattern = if search.is_empty() { Some(String::new()) } else { dialect::like_anywhere(search) };
        let Some(pattern) = pattern else { return Ok((Vec::new(), 0)) };
        self.aside(move |metadata| async move {
            let all = i64::from(inactive_too);
            let total = metadata.first(&COUNT_USERS, &params![&pattern, all], |row| row.int(0)).await?.unwrap_or(0);
            let paged = params![pattern, all, page.bound(), page.limit, page.offset];
            Ok((metadata.rows(&USER_PAGE, &paged, read_user).await?, total))
        })
        .await
    }

    /// How many persons are active admins of the tenant in their own right.
    pub async fn count_admins(&self) -> Result<i64, ReadError> {
        Ok(self.first(&COUNT_ADMINS, &[], |row| row.int(0)).await?.unwrap_or(0))
    }

    /// How much is granted to somebody in their own name, and how many teams they are in.
    pub async fn holdings_of(&self, subject: &str, now: Timestamp) -> Result<Holdings, ReadError> {
        let read = |row: &Row<'_>| Ok(Holdings { groups: row.int(0)?, teams: row.int(1)?, roles: row.int(2)? });
        Ok(self.first(&HOLDINGS_OF, &params![subject, now, EVERYONE], read).await?.unwrap_or_default())
    }

    /// The teams that somebody is in or manages, a row for each of the two, by name.
    pub async fn team_roles_of(&self, subject: &str) -> Result<Vec<TeamRoleRow>, ReadError> {
        let read = |row: &Row<'_>| Ok(TeamRoleRow { team: row.text(0)?, id: row.text(1)?, role: row.text(2)? });
        self.rows(&TEAM_ROLES_OF, &params![subject], read).await
    }

    /// Whether the tenant has made a role of this name for the tenant itself.
    pub async fn has_tenant_role(&self, name: &str) -> Result<bool, ReadError> {
        Ok(self.first(&TENANT_ROLE, &params![name], |_| Ok(())).await?.is_some())
    }

    /// The tokens of somebody that were not revoked, newest first.
    pub async fn tokens_of(&self, subject_id: &str) -> Result<Vec<OwnedToken>, ReadError> {
        self.rows(&TOKENS_OF, &params![subject_id], read_owned_token).await
    }

    /// The tokens that were not revoked of the machines of a kind from one id to another, newest first.
    pub async fn tokens_of_machines(
        &self,
        kind: MachineKind,
        from: VirtualAccountId,
        to: VirtualAccountId,
    ) -> Result<Vec<OwnedToken>, ReadError> {
        self.aside(move |metadata| async move {
            metadata.rows(&TOKENS_OF_MACHINES, &params![kind.id(), from, to], read_owned_token).await
        })
        .await
    }

    /// A token by its id.
    pub async fn token_by_id(&self, id: TokenId) -> Result<Option<OwnedToken>, ReadError> {
        self.first(&SELECT_TOKEN_BY_ID, &params![id], read_owned_token).await
    }

    /// Whom an invitation is for, and when it ends.
    pub async fn invitation(&self, hash: &[u8; 32]) -> Result<Option<(UserId, Timestamp)>, ReadError> {
        self.first(&SELECT_INVITATION, &params![hash], |row| Ok((row.parsed(0, UserId::parse)?, row.time(1)?))).await
    }
}

fn read_user(row: &Row<'_>) -> Result<UserRow, ReadError> {
    Ok(UserRow {
        id: row.parsed(0, UserId::parse)?,
        email: row.text(1)?,
        tenant_role: row.text(2)?,
        active: row.int(3)? != 0,
        created_at: row.time(4)?,
        updated_at: row.time(5)?,
    })
}

fn read_owned_token(row: &Row<'_>) -> Result<OwnedToken, ReadError> {
    Ok(OwnedToken {
        id: row.parsed(0, TokenId::parse)?,
        subject_id: row.text(1)?,
        name: row.text(2)?,
        purpose: row.parsed(3, TokenPurpose::parse)?,
        signing_key: row.opt_parsed(4, SigningKeyId::parse)?,
        created_by: row.opt_parsed(9, |json| serde_json::from_str(json).ok())?,
        created_at: row.time(5)?,
        expires_at: row.opt_time(6)?,
        revoked_at: row.opt_time(7)?,
        hash: row.bytes(8)?,
    })
}
