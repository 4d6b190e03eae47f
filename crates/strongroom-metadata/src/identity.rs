//! Users, virtual accounts and their tokens.

use strongroom_domain::role::TenantRole;
use strongroom_domain::subject::{Actor, SubjectKind};
use strongroom_domain::{Timestamp, TokenId, UserId, VirtualAccountId};

use crate::changes::{self, Grant};
use crate::sql::{Row, params, statements};
use crate::{AuditRow, Batch, CommitError, GrantSource, Guard, Metadata, ReadError, audit};

statements! {
    SELECT_TOKEN = "SELECT t.id, t.name, t.expires_at, t.revoked_at, t.subject_type, \
        u.id, u.email, u.tenant_role, u.active, v.id, v.name \
        FROM tokens t \
        LEFT JOIN users u ON u.id = t.subject_id AND t.subject_type = 'user' \
        LEFT JOIN virtual_accounts v ON v.id = t.subject_id AND t.subject_type = 'serviceaccount' \
        WHERE t.hash = ?1";
    SELECT_USER_BY_EMAIL =
        "SELECT id, email, tenant_role, active, created_at, updated_at FROM users WHERE email = ?1";
    SELECT_VIRTUAL_ACCOUNT_BY_NAME =
        "SELECT id, name, manifest, created_by, created_at, updated_at FROM virtual_accounts WHERE name = ?1";
    INSERT_USER =
        "INSERT INTO users (id, email, tenant_role, active, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    INSERT_VIRTUAL_ACCOUNT = "INSERT INTO virtual_accounts (id, name, manifest, created_by, created_at, updated_at) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    UPDATE_VIRTUAL_ACCOUNT = "UPDATE virtual_accounts SET manifest = ?2, updated_at = ?3 WHERE id = ?1";
    INSERT_TOKEN = "INSERT INTO tokens (hash, id, subject_type, subject_id, name, created_at, expires_at) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    REVOKE_TOKENS =
        "UPDATE tokens SET revoked_at = ?3 WHERE subject_id = ?1 AND subject_type = ?2 AND revoked_at IS NULL";
}

/// A token as it was found by its hash, with whom it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Its id.
    pub id: TokenId,
    /// Its name.
    pub name: String,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Whose it is; `None` when the owner is gone.
    pub subject: Option<SubjectRow>,
}

/// The owner of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectRow {
    /// A person.
    User {
        /// Id.
        id: UserId,
        /// Address.
        email: String,
        /// Role in the tenant.
        tenant_role: TenantRole,
        /// Whether the person may act at all.
        active: bool,
    },
    /// A machine.
    VirtualAccount {
        /// Id.
        id: VirtualAccountId,
        /// Name.
        name: String,
    },
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// Id.
    pub id: UserId,
    /// Address in lower case.
    pub email: String,
    /// Role in the tenant.
    pub tenant_role: TenantRole,
    /// Whether the person may act at all.
    pub active: bool,
    /// When registered.
    pub created_at: Timestamp,
    /// When last changed.
    pub updated_at: Timestamp,
}

/// A virtual account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualAccountRow {
    /// Id.
    pub id: VirtualAccountId,
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
    /// When made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

impl Metadata {
    /// Looks a token up by its hash.
    pub async fn token(&self, hash: &[u8; 32]) -> Result<Option<TokenRow>, ReadError> {
        self.first(&SELECT_TOKEN, &params![hash], |row| {
            Ok(TokenRow {
                id: row.parsed(0, TokenId::parse)?,
                name: row.text(1)?,
                expires_at: row.opt_time(2)?,
                revoked_at: row.opt_time(3)?,
                subject: read_subject(row)?,
            })
        })
        .await
    }

    /// Looks a user up by address (lower case).
    pub async fn user_by_email(&self, email: &str) -> Result<Option<UserRow>, ReadError> {
        self.first(&SELECT_USER_BY_EMAIL, &params![email], |row| {
            Ok(UserRow {
                id: row.parsed(0, UserId::parse)?,
                email: row.text(1)?,
                tenant_role: row.parsed(2, TenantRole::parse)?,
                active: row.int(3)? != 0,
                created_at: row.time(4)?,
                updated_at: row.time(5)?,
            })
        })
        .await
    }

    /// Looks a virtual account up by name.
    pub async fn virtual_account_by_name(&self, name: &str) -> Result<Option<VirtualAccountRow>, ReadError> {
        self.first(&SELECT_VIRTUAL_ACCOUNT_BY_NAME, &params![name], |row| {
            Ok(VirtualAccountRow {
                id: row.parsed(0, VirtualAccountId::parse)?,
                name: row.text(1)?,
                manifest: row.text(2)?,
                created_by: row.parsed(3, |json| serde_json::from_str(json).ok())?,
                created_at: row.time(4)?,
                updated_at: row.time(5)?,
            })
        })
        .await
    }

    /// Registers a user.
    pub async fn create_user(&self, user: &UserRow, event: &AuditRow) -> Result<(), CommitError> {
        let mut batch = Batch::default();
        insert_user(&mut batch, user);
        audit::insert(&mut batch, event);
        self.commit(batch).await
    }

    /// Adds a token.
    pub async fn create_token(&self, token: &NewToken, event: &AuditRow) -> Result<(), CommitError> {
        let mut batch = Batch::default();
        insert_token(&mut batch, token);
        audit::insert(&mut batch, event);
        self.commit(batch).await
    }

    /// Ends every token of a person or machine.
    pub async fn revoke_tokens(
        &self,
        kind: SubjectKind,
        subject_id: &str,
        at: Timestamp,
        event: &AuditRow,
    ) -> Result<(), CommitError> {
        let mut batch = Batch::default();
        batch.any(Guard::Token, &REVOKE_TOKENS, params![subject_id, kind.wire(), at]);
        audit::insert(&mut batch, event);
        self.commit(batch).await
    }

    /// Makes a virtual account with its token and what it is granted.
    pub async fn create_virtual_account(
        &self,
        account: &VirtualAccountRow,
        token: &NewToken,
        grants: &[Grant],
        event: &AuditRow,
    ) -> Result<(), CommitError> {
        let mut batch = Batch::default();
        batch.one(
            Guard::VirtualAccountName,
            &INSERT_VIRTUAL_ACCOUNT,
            params![
                account.id,
                &account.name,
                &account.manifest,
                changes::actor_json(&account.created_by),
                account.created_at,
                account.updated_at
            ],
        );
        insert_token(&mut batch, token);
        changes::insert_grants(&mut batch, GrantSource::VirtualAccount, grants);
        audit::insert(&mut batch, event);
        self.commit(batch).await
    }

    /// Replaces a virtual account's manifest and, when `grants` is given, what it is granted.
    pub async fn update_virtual_account(
        &self,
        account: &VirtualAccountRow,
        subject: &str,
        grants: Option<&[Grant]>,
        event: &AuditRow,
    ) -> Result<(), CommitError> {
        let mut batch = Batch::default();
        batch.one(
            Guard::VirtualAccountState,
            &UPDATE_VIRTUAL_ACCOUNT,
            params![account.id, &account.manifest, account.updated_at],
        );
        if let Some(grants) = grants {
            changes::delete_grants_of_subject(&mut batch, GrantSource::VirtualAccount, subject);
            changes::insert_grants(&mut batch, GrantSource::VirtualAccount, grants);
        }
        audit::insert(&mut batch, event);
        self.commit(batch).await
    }
}

pub(crate) fn insert_user(batch: &mut Batch, user: &UserRow) {
    batch.one(
        Guard::UserEmail,
        &INSERT_USER,
        params![user.id, &user.email, user.tenant_role.id(), i64::from(user.active), user.created_at, user.updated_at],
    );
}

pub(crate) fn insert_token(batch: &mut Batch, token: &NewToken) {
    batch.one(
        Guard::Token,
        &INSERT_TOKEN,
        params![
            &token.hash,
            token.id,
            token.subject_kind.wire(),
            &token.subject_id,
            &token.name,
            token.created_at,
            token.expires_at
        ],
    );
}

fn read_subject(row: &Row<'_>) -> Result<Option<SubjectRow>, ReadError> {
    match row.parsed(4, SubjectKind::parse)? {
        SubjectKind::User => Ok(match row.opt_parsed(5, UserId::parse)? {
            None => None,
            Some(id) => Some(SubjectRow::User {
                id,
                email: row.text(6)?,
                tenant_role: row.parsed(7, TenantRole::parse)?,
                active: row.int(8)? != 0,
            }),
        }),
        SubjectKind::VirtualAccount => Ok(match row.opt_parsed(9, VirtualAccountId::parse)? {
            None => None,
            Some(id) => Some(SubjectRow::VirtualAccount { id, name: row.text(10)? }),
        }),
    }
}
