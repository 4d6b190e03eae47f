//! Provider accounts and their integrations.

use strongroom_domain::subject::Actor;
use strongroom_domain::{AccountId, IntegrationId, Timestamp};

use crate::changes::actor_json;
use crate::sql::{Row, params, statements};
use crate::{Batch, Guard, Metadata, ReadError};

statements! {
    SELECT_ACCOUNTS = "SELECT id, name, provider, fqn, manifest, created_by, created_at, updated_at, credentials, \
        credentials_kek FROM provider_accounts ORDER BY id";
    SELECT_INTEGRATIONS = "SELECT i.id, i.account_id, i.name, i.type, i.fqn, i.manifest, i.created_by, i.created_at, \
        i.updated_at, a.fqn FROM provider_integrations i JOIN provider_accounts a ON a.id = i.account_id ORDER BY i.id";
    KEPT_GROUPS = "SELECT COUNT(*), COUNT(purge_at), MAX(purge_at) FROM secret_groups \
        WHERE integration_id = ?1 AND data_key IS NOT NULL";
    INSERT_ACCOUNT = "INSERT INTO provider_accounts (id, name, provider, fqn, manifest, created_by, created_at, \
        updated_at, credentials, credentials_kek) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    INSERT_INTEGRATION = "INSERT INTO provider_integrations (id, account_id, name, type, fqn, manifest, created_by, \
        created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
}

/// How many secret groups an integration keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeptGroups {
    /// Those that live.
    pub living: i64,
    /// Those in the trash.
    pub deleted: i64,
    /// When the last of those in the trash is purged.
    pub until: Option<Timestamp>,
}

/// What an account's manifest hides, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCredentials {
    /// A JSON object of paths and texts, sealed.
    pub sealed: Vec<u8>,
    /// Which key-encryption key seals it.
    pub kek: u32,
}

/// A provider account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// Id.
    pub id: AccountId,
    /// Name.
    pub name: String,
    /// `truefoundry`, `aws`, …
    pub provider: String,
    /// `<tenant>:<provider>:<account>`
    pub fqn: String,
    /// Manifest, JSON; with a mask where it hides a credential.
    pub manifest: String,
    /// What it hides.
    pub credentials: Option<SealedCredentials>,
    /// Who made it.
    pub created_by: Actor,
    /// When made.
    pub created_at: Timestamp,
    /// When last changed.
    pub updated_at: Timestamp,
}

/// An integration of a provider account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntegrationRow {
    /// Id.
    pub id: IntegrationId,
    /// Its account.
    pub account_id: AccountId,
    /// Its account's FQN.
    pub account_fqn: String,
    /// Name.
    pub name: String,
    /// `secret-store`, …
    pub kind: String,
    /// `<tenant>:<provider>:<account>:<type>:<name>`
    pub fqn: String,
    /// Manifest, JSON. Whom its `authorized_subjects` name is granted the role on it.
    pub manifest: String,
    /// Who made it.
    pub created_by: Actor,
    /// When made.
    pub created_at: Timestamp,
    /// When last changed.
    pub updated_at: Timestamp,
}

impl Metadata {
    /// Every provider account, oldest first. There are few.
    pub async fn provider_accounts(&self) -> Result<Vec<AccountRow>, ReadError> {
        self.rows(&SELECT_ACCOUNTS, &[], |row| {
            Ok(AccountRow {
                id: row.parsed(0, AccountId::parse)?,
                name: row.text(1)?,
                provider: row.text(2)?,
                fqn: row.text(3)?,
                manifest: row.text(4)?,
                credentials: read_credentials(row, 8)?,
                created_by: read_actor(row, 5)?,
                created_at: row.time(6)?,
                updated_at: row.time(7)?,
            })
        })
        .await
    }

    /// How many groups an integration keeps.
    pub async fn kept_groups(&self, integration: IntegrationId) -> Result<KeptGroups, ReadError> {
        let read = |row: &Row<'_>| {
            let deleted = row.int(1)?;
            Ok(KeptGroups { living: row.int(0)? - deleted, deleted, until: row.opt_time(2)? })
        };
        Ok(self.first(&KEPT_GROUPS, &params![integration], read).await?.unwrap_or_default())
    }

    /// Every integration, oldest first. There are few.
    pub async fn provider_integrations(&self) -> Result<Vec<IntegrationRow>, ReadError> {
        self.rows(&SELECT_INTEGRATIONS, &[], |row| {
            Ok(IntegrationRow {
                id: row.parsed(0, IntegrationId::parse)?,
                account_id: row.parsed(1, AccountId::parse)?,
                name: row.text(2)?,
                kind: row.text(3)?,
                fqn: row.text(4)?,
                manifest: row.text(5)?,
                created_by: read_actor(row, 6)?,
                created_at: row.time(7)?,
                updated_at: row.time(8)?,
                account_fqn: row.text(9)?,
            })
        })
        .await
    }
}

pub(crate) fn insert_account(batch: &mut Batch, guard: Guard, account: &AccountRow) {
    batch.one(
        guard,
        &INSERT_ACCOUNT,
        params![
            account.id,
            &account.name,
            &account.provider,
            &account.fqn,
            &account.manifest,
            actor_json(&account.created_by),
            account.created_at,
            account.updated_at,
            account.credentials.as_ref().map(|kept| &kept.sealed),
            account.credentials.as_ref().map(|kept| i64::from(kept.kek))
        ],
    );
}

pub(crate) fn insert_integration(batch: &mut Batch, guard: Guard, integration: &IntegrationRow) {
    batch.one(
        guard,
        &INSERT_INTEGRATION,
        params![
            integration.id,
            integration.account_id,
            &integration.name,
            &integration.kind,
            &integration.fqn,
            &integration.manifest,
            actor_json(&integration.created_by),
            integration.created_at,
            integration.updated_at
        ],
    );
}

fn read_credentials(row: &Row<'_>, at: usize) -> Result<Option<SealedCredentials>, ReadError> {
    let Some(sealed) = row.opt_bytes(at)? else { return Ok(None) };
    let kek = row.opt_int(at + 1)?.and_then(|kek| u32::try_from(kek).ok());
    Ok(Some(SealedCredentials { sealed, kek: kek.ok_or_else(|| row.damaged(at + 1))? }))
}

/// Reads an actor that was written as JSON.
pub(crate) fn read_actor(row: &Row<'_>, column: usize) -> Result<Actor, ReadError> {
    row.parsed(column, |json| serde_json::from_str(json).ok())
}
