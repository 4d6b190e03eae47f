//! From a token to whom it stands for, and what roles they have apart from secret groups.

use strongroom_domain::subject::{Actor, SubjectKind, SubjectName};
use strongroom_domain::{SigningKeyId, Timestamp, TokenId};

use crate::sql::{Row, params, statements};
use crate::{Metadata, ReadError};

macro_rules! role_grant {
    () => {
        "SELECT r.resource_type, r.resource_id, r.role, r.expires_at, r.subject, r.source, r.source_id, c.permissions \
         FROM role_grants r LEFT JOIN roles c ON c.name = r.role WHERE "
    };
}

statements! {
    SELECT_TOKEN = "SELECT t.id, t.name, t.purpose, t.expires_at, t.revoked_at, t.subject_type, t.subject_id, \
        s.name, u.tenant_role, u.active, c.permissions FROM tokens t LEFT JOIN subjects s ON s.id = t.subject_id \
        LEFT JOIN users u ON u.id = t.subject_id AND t.subject_type = 'user' \
        LEFT JOIN roles c ON c.name = u.tenant_role WHERE t.hash = ?1";
    SELECT_SUBJECT = "SELECT s.id, s.name, u.tenant_role, u.active, c.permissions FROM subjects s \
        LEFT JOIN users u ON u.id = s.id LEFT JOIN roles c ON c.name = u.tenant_role WHERE s.name = ?1";
    SUBJECT_NAME = "SELECT name FROM subjects WHERE id = ?1";
    TEAMS_OF = "SELECT team FROM team_members WHERE member = ?1 ORDER BY team";
    TEAMS_MANAGED_BY = "SELECT team FROM team_managers WHERE member = ?1 ORDER BY team";
    ROLES_OF = concat!(role_grant!(), "r.subject IN \
        (SELECT ?1 UNION ALL SELECT t.team FROM team_members t WHERE t.member = ?1) \
        ORDER BY r.resource_type, r.resource_id, r.role, r.subject, r.source, r.source_id");
    ROLES_ON = concat!(role_grant!(), "r.resource_type = ?1 AND r.resource_id = ?2 \
        ORDER BY r.role, r.subject, r.source, r.source_id");
    MAPPED_SUBJECT = "SELECT subject FROM identity_mappings WHERE provider_id = ?1 AND value = ?2";
}

/// A token as it was found by its hash, with whom it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Its id.
    pub id: TokenId,
    /// Its name.
    pub name: String,
    /// What it was made for.
    pub purpose: TokenPurpose,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Whose it is; `None` when the owner is gone.
    pub subject: Option<SubjectRow>,
}

/// What a token was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenPurpose {
    /// A personal access token.
    Personal,
    /// The token of the first start.
    First,
    /// A machine's.
    Machine,
}

impl TokenPurpose {
    /// As it is stored.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Personal => "personal",
            Self::First => "first",
            Self::Machine => "machine",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Personal, Self::First, Self::Machine].into_iter().find(|purpose| purpose.id() == text)
    }
}

/// Somebody who can act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectRow {
    /// Id.
    pub id: String,
    /// `<type>:<name>`
    pub name: SubjectName,
    /// What a person has in the tenant; `None` for machines and teams.
    pub person: Option<PersonRow>,
}

/// What only persons have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRow {
    /// The id of their role in the tenant.
    pub tenant_role: String,
    /// The permissions of that role, JSON, when it is one of the tenant's own.
    pub permissions: Option<String>,
    /// Whether they may act at all.
    pub active: bool,
}

/// Roles and memberships of a subject, apart from secret groups.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memberships {
    /// Teams that they are in, as `team:<name>`.
    pub teams: Vec<String>,
    /// Teams that they manage.
    pub manages: Vec<String>,
    /// Roles of their own and of their teams, expired ones too.
    pub roles: Vec<RoleGrantRow>,
}

/// A role on something that is no secret group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleGrantRow {
    /// `account`, `team`, `provider-account` or `provider-integration`.
    pub resource_type: String,
    /// Id of the resource.
    pub resource_id: String,
    /// Id of the role.
    pub role: String,
    /// The permissions of the role, JSON, when it is one of the tenant's own.
    pub permissions: Option<String>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Whom it is granted to.
    pub subject: String,
    /// Which kind of manifest grants it.
    pub source: String,
    /// The binding or virtual account.
    pub source_id: String,
}

/// A token to be written: its hash, never itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// SHA-256 of the token's text.
    pub hash: [u8; 32],
    /// Its id.
    pub id: TokenId,
    /// The kind of its owner.
    pub subject_kind: SubjectKind,
    /// The id of its owner.
    pub subject_id: String,
    /// Its name.
    pub name: String,
    /// What it is made for.
    pub purpose: TokenPurpose,
    /// The key that signs it; `None` for an opaque one.
    pub signing_key: Option<SigningKeyId>,
    /// Who makes it; `None` for the first start's.
    pub created_by: Option<Actor>,
    /// When made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

impl Metadata {
    /// Looks a token up by its hash.
    pub async fn token(&self, hash: &[u8; 32]) -> Result<Option<TokenRow>, ReadError> {
        self.first(&SELECT_TOKEN, &params![hash], |row| {
            let kind = row.parsed(5, SubjectKind::parse)?;
            let subject = match row.opt_parsed(7, |name| SubjectName::parse(name).ok())? {
                Some(name) => Some(SubjectRow { id: row.text(6)?, name, person: read_person(row, 8)? }),
                None => None,
            };
            Ok(TokenRow {
                id: row.parsed(0, TokenId::parse)?,
                name: row.text(1)?,
                purpose: row.parsed(2, TokenPurpose::parse)?,
                expires_at: row.opt_time(3)?,
                revoked_at: row.opt_time(4)?,
                // The kind is stored with the token, too, and must agree.
                subject: subject.filter(|subject| SubjectKind::of(&subject.name) == Some(kind)),
            })
        })
        .await
    }

    /// Looks somebody up by name.
    pub async fn subject(&self, name: &SubjectName) -> Result<Option<SubjectRow>, ReadError> {
        self.first(&SELECT_SUBJECT, &params![name.as_str()], |row| {
            Ok(SubjectRow {
                id: row.text(0)?,
                name: row.parsed(1, |name| SubjectName::parse(name).ok())?,
                person: read_person(row, 2)?,
            })
        })
        .await
    }

    /// The name of whoever has an id.
    pub async fn subject_name(&self, id: &str) -> Result<Option<SubjectName>, ReadError> {
        self.first(&SUBJECT_NAME, &params![id], |row| row.parsed(0, |name| SubjectName::parse(name).ok())).await
    }

    /// What a subject is in, manages, and was given, apart from secret groups.
    pub async fn memberships(&self, subject: &SubjectName) -> Result<Memberships, ReadError> {
        let name = params![subject.as_str()];
        Ok(Memberships {
            teams: self.rows(&TEAMS_OF, &name, |row| row.text(0)).await?,
            manages: self.rows(&TEAMS_MANAGED_BY, &name, |row| row.text(0)).await?,
            roles: self.rows(&ROLES_OF, &name, read_role_grant).await?,
        })
    }

    /// Who was given a role on something that is no secret group.
    pub async fn roles_on(&self, resource_type: &str, resource_id: &str) -> Result<Vec<RoleGrantRow>, ReadError> {
        self.rows(&ROLES_ON, &params![resource_type, resource_id], read_role_grant).await
    }

    /// The machine that an identity provider's token stands for.
    pub async fn mapped_subject(&self, provider_id: &str, value: &str) -> Result<Option<SubjectName>, ReadError> {
        self.first(&MAPPED_SUBJECT, &params![provider_id, value], |row| {
            row.parsed(0, |name| SubjectName::parse(name).ok())
        })
        .await
    }
}

fn read_person(row: &Row<'_>, from: usize) -> Result<Option<PersonRow>, ReadError> {
    let Some(tenant_role) = row.opt_text(from)? else { return Ok(None) };
    Ok(Some(PersonRow { tenant_role, active: row.int(from + 1)? != 0, permissions: row.opt_text(from + 2)? }))
}

fn read_role_grant(row: &Row<'_>) -> Result<RoleGrantRow, ReadError> {
    Ok(RoleGrantRow {
        resource_type: row.text(0)?,
        resource_id: row.text(1)?,
        role: row.text(2)?,
        expires_at: row.opt_time(3)?,
        subject: row.text(4)?,
        source: row.text(5)?,
        source_id: row.text(6)?,
        permissions: row.opt_text(7)?,
    })
}
