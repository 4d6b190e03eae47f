//! The instance: its tenant, its key-encryption keys, and what is made at the first start.

use std::path::Path;

use strongroom_domain::{AccountId, Timestamp};

use crate::changes::GrantSource;
use crate::identity::NewToken;
use crate::identity_change::{self, RoleGrant};
use crate::integrations::{self, AccountRow, IntegrationRow};
use crate::sql::{Row, params, statements};
use crate::users::UserRow;
use crate::{AuditRow, Batch, CommitError, Guard, Metadata, PostgresOptions, ReadError, audit};

statements! {
    SELECT_INSTANCE = "SELECT tenant, instance_id, account_id, created_at, state, note FROM instance WHERE id = 1";
    SELECT_SLOTS = "SELECT key_id, kind, fingerprint, wrapped, created_at FROM root_key_slots ORDER BY key_id, fingerprint";
    SELECT_FINGERPRINTS = "SELECT fingerprint FROM root_key_slots ORDER BY key_id, fingerprint";
    INSERT_INSTANCE =
        "INSERT INTO instance (id, tenant, instance_id, account_id, created_at) VALUES (1, ?1, ?2, ?3, ?4)";
    INSERT_SLOT =
        "INSERT INTO root_key_slots (key_id, kind, fingerprint, wrapped, created_at) VALUES (?1, ?2, ?3, ?4, ?5)";
}

/// The instance's own row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceRow {
    /// The tenant that every FQN begins with.
    pub tenant: String,
    /// Tells this instance from every other, also in stores that several write to.
    pub instance_id: String,
    /// The tenant's account.
    pub account_id: AccountId,
    /// The first start.
    pub created_at: Timestamp,
    /// Whether it lives here.
    pub state: InstanceState,
}

/// Whether the database is the one that the instance lives in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InstanceState {
    /// It is.
    Live,
    /// It is being copied to another one, or a copy was begun and given up.
    Moving(String),
    /// The instance lives in another one.
    Moved(String),
}

impl InstanceState {
    pub(crate) fn parse(state: &str, note: &str) -> Option<Self> {
        match state {
            "live" => Some(Self::Live),
            "moving" => Some(Self::Moving(note.to_owned())),
            "moved" => Some(Self::Moved(note.to_owned())),
            _ => None,
        }
    }
}

impl std::fmt::Display for InstanceState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Live => f.write_str("is in use"),
            Self::Moving(to) => write!(
                f,
                "is being moved to {to} by `strongroom migrate-database`; when that was interrupted, run it again, or \
                 with --undo to stay here"
            ),
            Self::Moved(to) => write!(f, "was moved to {to}: start with that one"),
        }
    }
}

/// A key-encryption key, wrapped under one root key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootKeySlotRow {
    /// The key-encryption key's version.
    pub key_id: u32,
    /// The root key's kind.
    pub kind: String,
    /// The root key's fingerprint.
    pub fingerprint: String,
    /// The wrapped key.
    pub wrapped: Vec<u8>,
    /// When the slot was made.
    pub created_at: Timestamp,
}

/// Everything that the first start writes, in one batch.
#[derive(Debug)]
pub struct NewInstance {
    /// The instance.
    pub instance: InstanceRow,
    /// The first key-encryption key under the first root key.
    pub slot: RootKeySlotRow,
    /// The first administrator.
    pub admin: UserRow,
    /// The administrator's token.
    pub admin_token: NewToken,
    /// The embedded store's account.
    pub account: AccountRow,
    /// The embedded store.
    pub integration: IntegrationRow,
    /// Who may create groups on it.
    pub authorized: Vec<RoleGrant>,
    /// The event.
    pub event: AuditRow,
}

impl Metadata {
    /// The instance's row, if there was a first start.
    pub async fn instance(&self) -> Result<Option<InstanceRow>, ReadError> {
        self.first(&SELECT_INSTANCE, &[], |row| {
            let note = row.text(5)?;
            Ok(InstanceRow {
                tenant: row.text(0)?,
                instance_id: row.text(1)?,
                account_id: row.parsed(2, AccountId::parse)?,
                created_at: row.time(3)?,
                state: row.parsed(4, |state| InstanceState::parse(state, &note))?,
            })
        })
        .await
    }

    /// Every slot of every key-encryption key.
    pub async fn root_key_slots(&self) -> Result<Vec<RootKeySlotRow>, ReadError> {
        self.rows(&SELECT_SLOTS, &[], read_slot).await
    }

    /// The fingerprints of the root keys that open a database that isn't open, as far as they can be read without
    /// touching its files: for a start that is refused.
    #[must_use]
    pub fn root_key_fingerprints(path: &Path) -> Vec<String> {
        let read = |connection: rusqlite::Connection| {
            let mut statement = connection.prepare(SELECT_FINGERPRINTS.sqlite())?;
            statement.query_map([], |row| row.get(0))?.collect()
        };
        crate::sqlite::open_untouched(path).and_then(read).unwrap_or_default()
    }

    /// The same of PostgreSQL, which is only read.
    pub async fn root_key_fingerprints_at(options: &PostgresOptions) -> Vec<String> {
        crate::postgres::first_column(options, SELECT_FINGERPRINTS.postgres()).await.unwrap_or_default()
    }

    /// Writes the first start, unless there was one.
    pub async fn create_instance(&self, new: &NewInstance) -> Result<(), CommitError> {
        let mut batch = Batch::default();
        let instance = &new.instance;
        batch.one(
            Guard::Instance,
            &INSERT_INSTANCE,
            params![&instance.tenant, &instance.instance_id, instance.account_id, instance.created_at],
        );
        let slot = &new.slot;
        batch.one(
            Guard::Instance,
            &INSERT_SLOT,
            params![i64::from(slot.key_id), &slot.kind, &slot.fingerprint, &slot.wrapped, slot.created_at],
        );
        identity_change::insert_user(&mut batch, &new.admin);
        identity_change::insert_token(&mut batch, &new.admin_token);
        integrations::insert_account(&mut batch, Guard::Instance, &new.account);
        integrations::insert_integration(&mut batch, Guard::Instance, &new.integration);
        let source = new.integration.id.to_string();
        identity_change::insert_role_grants(&mut batch, GrantSource::Integration, &source, &new.authorized);
        audit::insert(&mut batch, &new.event);
        self.commit(batch).await
    }
}

fn read_slot(row: &Row<'_>) -> Result<RootKeySlotRow, ReadError> {
    Ok(RootKeySlotRow {
        key_id: u32::try_from(row.int(0)?).map_err(|_| row.damaged(0))?,
        kind: row.text(1)?,
        fingerprint: row.text(2)?,
        wrapped: row.bytes(3)?,
        created_at: row.time(4)?,
    })
}
