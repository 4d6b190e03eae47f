//! Virtual accounts and agent identities: those who act and are no persons.

use strongroom_domain::subject::Actor;
use strongroom_domain::{GroupId, Timestamp, VirtualAccountId};

use crate::groups::Page;
use crate::integrations::read_actor;
use crate::sql::{Row, params, statements};
use crate::{Metadata, ReadError, dialect};

macro_rules! machine_columns {
    () => {
        "SELECT id, kind, name, manifest, rotate_at, synced_token, synced_at, sync_error, target_group, \
         created_by, created_at, updated_at FROM virtual_accounts "
    };
}
macro_rules! machine_matches {
    () => {
        "kind = ?1 AND (?2 = '' OR name LIKE ?2 ESCAPE '\\')"
    };
}

statements! {
    SELECT_MACHINE_BY_NAME = concat!(machine_columns!(), "WHERE name = ?1");
    SELECT_MACHINE_BY_ID = concat!(machine_columns!(), "WHERE id = ?1");
    MACHINE_PAGE =
        concat!(machine_columns!(), "WHERE ", machine_matches!(), " AND id < ?3 ORDER BY id DESC LIMIT ?4 OFFSET ?5");
    COUNT_MACHINES = concat!("SELECT COUNT(*) FROM virtual_accounts WHERE ", machine_matches!());
    DUE_ROTATIONS = concat!(
        machine_columns!(),
        "WHERE rotate_at IS NOT NULL AND rotate_at <= ?1 ORDER BY rotate_at LIMIT ?2"
    );
}

/// What a machine is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MachineKind {
    /// A virtual account.
    VirtualAccount,
    /// An agent's identity.
    AgentIdentity,
}

impl MachineKind {
    /// As it is stored: the type of its manifest.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::VirtualAccount => "virtual-account",
            Self::AgentIdentity => "agent-identity",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::VirtualAccount, Self::AgentIdentity].into_iter().find(|kind| kind.id() == text)
    }
}

/// A virtual account or an agent identity. They share their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineRow {
    /// Id.
    pub id: VirtualAccountId,
    /// What it is.
    pub kind: MachineKind,
    /// Name.
    pub name: String,
    /// Manifest, JSON.
    pub manifest: String,
    /// When it is due for a new token.
    pub rotate_at: Option<Timestamp>,
    /// How writing its token into a secret group went the last time.
    pub sync: SyncState,
    /// The secret group that its token is written into; its manifest has the name.
    pub target_group: Option<GroupId>,
    /// Who made it.
    pub created_by: Actor,
    /// When made.
    pub created_at: Timestamp,
    /// When last changed.
    pub updated_at: Timestamp,
}

/// How writing a token into a secret group went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SyncState {
    /// The id of the token that was written last.
    pub token: Option<String>,
    /// When.
    pub at: Option<Timestamp>,
    /// Why the last attempt failed, if it did.
    pub error: Option<String>,
}

impl Metadata {
    /// Looks a machine up by name, whatever its kind.
    pub async fn machine_by_name(&self, name: &str) -> Result<Option<MachineRow>, ReadError> {
        self.first(&SELECT_MACHINE_BY_NAME, &params![name], read_machine).await
    }

    /// Looks a machine up by id.
    pub async fn machine(&self, id: VirtualAccountId) -> Result<Option<MachineRow>, ReadError> {
        self.first(&SELECT_MACHINE_BY_ID, &params![id], read_machine).await
    }

    /// A page of the machines of a kind whose name contains a text, newest first, and how many match in all.
    pub async fn machine_page(
        &self,
        kind: MachineKind,
        search: &str,
        page: Page<VirtualAccountId>,
    ) -> Result<(Vec<MachineRow>, i64), ReadError> {
        let pattern = if search.is_empty() { Some(String::new()) } else { dialect::like_anywhere(search) };
        let Some(pattern) = pattern else { return Ok((Vec::new(), 0)) };
        self.aside(move |metadata| async move {
            let total =
                metadata.first(&COUNT_MACHINES, &params![kind.id(), &pattern], |row| row.int(0)).await?.unwrap_or(0);
            let paged = params![kind.id(), pattern, page.bound(), page.limit, page.offset];
            Ok((metadata.rows(&MACHINE_PAGE, &paged, read_machine).await?, total))
        })
        .await
    }

    /// Machines whose token is due to be changed.
    pub async fn due_rotations(&self, now: Timestamp, limit: i64) -> Result<Vec<MachineRow>, ReadError> {
        self.rows(&DUE_ROTATIONS, &params![now, limit], read_machine).await
    }
}

fn read_machine(row: &Row<'_>) -> Result<MachineRow, ReadError> {
    Ok(MachineRow {
        id: row.parsed(0, VirtualAccountId::parse)?,
        kind: row.parsed(1, MachineKind::parse)?,
        name: row.text(2)?,
        manifest: row.text(3)?,
        rotate_at: row.opt_time(4)?,
        sync: SyncState { token: row.opt_text(5)?, at: row.opt_time(6)?, error: row.opt_text(7)? },
        target_group: row.opt_parsed(8, GroupId::parse)?,
        created_by: read_actor(row, 9)?,
        created_at: row.time(10)?,
        updated_at: row.time(11)?,
    })
}
