//! Writes over two systems: what was intended, how far it went, and how it ended.
//!
//! One operation of a group is open at a time, by a unique index, which is the lock across replicas. Whoever goes on with
//! one holds it by its fence.

use strongroom_domain::operation::{OperationState, PutState};
use strongroom_domain::subject::Actor;
use strongroom_domain::{GroupId, IntegrationId, OperationId, SecretId, Timestamp};

use crate::changes::{GroupChange, GroupCreation, actor_json, change_batch, creation_batch};
use crate::integrations::read_actor;
use crate::sql::{Row, params, statements};
use crate::{Batch, CommitError, Guard, Metadata, ReadError};

macro_rules! operation_columns {
    () => {
        "id, group_id, claimed_name, integration_id, action, state, change, reason, actor, fence, expires_at, quiet_at, \
         created_at, finished_at"
    };
}

statements! {
    // The first statement of every batch on a group: nobody changes it while the operation is being opened.
    HOLD_GROUP = "UPDATE secret_groups SET revision = revision WHERE id = ?1 AND revision = ?2 AND data_key IS NOT NULL";
    INSERT_OPERATION = "INSERT INTO operations (id, group_id, claimed_name, integration_id, action, state, change, actor, \
        holder, fence, expires_at, created_at) VALUES (?1, ?2, ?3, ?4, ?5, 'putting', ?6, ?7, ?8, 1, ?9, ?10)";
    INSERT_PUT = "INSERT INTO operation_puts (operation_id, secret_id, key, version, digest, place, before, kept, state) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'waiting')";
    INSERT_ENTRY = "INSERT INTO store_entries (secret_id, group_id, integration_id, target, name, place) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    TAKE_OPERATION = "UPDATE operations SET holder = ?3, fence = fence + 1, expires_at = ?4 \
        WHERE id = ?1 AND fence = ?2 AND finished_at IS NULL AND expires_at <= ?5";
    HOLD_OPERATION = "UPDATE operations SET expires_at = ?4 \
        WHERE id = ?1 AND fence = ?2 AND holder = ?3 AND finished_at IS NULL";
    MOVE_OPERATION = "UPDATE operations SET state = ?4, reason = ?5, change = ?6, quiet_at = ?7, finished_at = ?8 \
        WHERE id = ?1 AND fence = ?2 AND holder = ?3 AND finished_at IS NULL";
    UPDATE_PUT = "UPDATE operation_puts SET place = ?3, before = ?4, placed = ?5, state = ?6, reason = ?7 \
        WHERE operation_id = ?1 AND secret_id = ?2";
    PLACE_PUTS = "UPDATE operation_puts SET state = 'placed' WHERE operation_id = ?1";
    END_HOLDS = "UPDATE operations SET expires_at = ?1 WHERE finished_at IS NULL AND expires_at > ?1";
    // A guard that nothing is open: made and taken away again in one batch.
    DELETE_OPERATION = "DELETE FROM operations WHERE id = ?1";
    MOVE_MAC = "UPDATE secret_groups SET revision_mac = ?3 WHERE id = ?1 AND revision = ?2 AND data_key IS NOT NULL";
    MOVE_RECORDED_MAC = "UPDATE group_revisions SET mac = ?3 WHERE group_id = ?1 AND revision = ?2";
    MOVE_POINTER = "UPDATE secret_versions SET store_version = ?3 WHERE secret_id = ?1 AND version = ?2";
    MOVE_ENTRY = "UPDATE store_entries SET name = ?2, place = ?3 WHERE secret_id = ?1";
    LEAVE_ENTRY = "UPDATE store_entries SET remove_at = ?2 WHERE secret_id = ?1";
    DELETE_ENTRY = "DELETE FROM store_entries WHERE secret_id = ?1";
    SELECT_OPERATION = concat!("SELECT ", operation_columns!(), " FROM operations WHERE id = ?1");
    OPEN_OPERATION =
        concat!("SELECT ", operation_columns!(), " FROM operations WHERE group_id = ?1 AND finished_at IS NULL");
    CLAIMING_OPERATION = concat!(
        "SELECT ", operation_columns!(), " FROM operations WHERE claimed_name = ?1 AND finished_at IS NULL"
    );
    DUE_OPERATIONS = concat!(
        "SELECT ", operation_columns!(), " FROM operations WHERE finished_at IS NULL AND expires_at <= ?1 \
         ORDER BY expires_at LIMIT ?2"
    );
    PUTS_OF = "SELECT secret_id, key, version, digest, place, before, kept, placed, state, reason FROM operation_puts \
        WHERE operation_id = ?1 ORDER BY secret_id";
}

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationRow {
    /// Id, which every put carries as its mark.
    pub id: OperationId,
    /// The group.
    pub group_id: GroupId,
    /// The folded name of a group that is being made.
    pub claimed_name: Option<String>,
    /// Where its values are kept.
    pub integration_id: IntegrationId,
    /// What it does: `create`, `update`, …
    pub action: String,
    /// How far it is.
    pub state: OperationState,
    /// What the flip writes, JSON; empty once nobody needs it.
    pub change: String,
    /// Why it has not happened.
    pub reason: Option<String>,
    /// Whose it is.
    pub actor: Actor,
    /// Rises with each taking.
    pub fence: i64,
    /// Until when it is its holder's alone.
    pub expires_at: Timestamp,
    /// When nothing can arrive any more that was put for it, where it is being undone.
    pub quiet_at: Option<Timestamp>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// What an operation does to one secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutRow {
    /// The secret.
    pub secret_id: SecretId,
    /// Its key.
    pub key: String,
    /// Our number of the new version.
    pub version: i64,
    /// The keyed digest of the new value.
    pub digest: Vec<u8>,
    /// Where its entry is.
    pub place: String,
    /// The store's version that is replaced; `None` where there is to be no entry.
    pub before: Option<String>,
    /// The store's version whose value is current, and is written again when the operation is undone.
    pub kept: Option<String>,
    /// The store's version that was made.
    pub placed: Option<String>,
    /// How far it is.
    pub state: PutState,
    /// Why it isn't further.
    pub reason: Option<String>,
}

/// An entry that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// Its secret.
    pub secret_id: SecretId,
    /// What its name is unique in.
    pub target: String,
    /// The name as the store compares it.
    pub name: String,
    /// Where it is.
    pub place: String,
}

/// An operation that begins.
#[derive(Debug, Clone)]
pub struct NewOperation {
    /// The operation, as it will be; its fence is 1.
    pub row: OperationRow,
    /// The group's revision that it was decided on; `None` for a group that is being made.
    pub revision: Option<i64>,
    /// What is put.
    pub puts: Vec<PutRow>,
    /// The entries that are made.
    pub entries: Vec<NewEntry>,
}

/// An operation that somebody goes on with, for as long as nobody takes it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldOperation {
    /// Which one.
    pub id: OperationId,
    /// Its group.
    pub group_id: GroupId,
    /// Who.
    pub holder: String,
    /// The fence under which they took it.
    pub fence: i64,
}

/// What becomes of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextState {
    /// How far it is from now on.
    pub state: OperationState,
    /// Why it doesn't happen.
    pub reason: Option<String>,
    /// What its flip writes, where that is still needed.
    pub change: String,
    /// When nothing can arrive any more that was put for it, where it is being undone.
    pub quiet_at: Option<Timestamp>,
    /// When it ended, if it did.
    pub finished_at: Option<Timestamp>,
}

/// What a flip writes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupWrite {
    /// A group is made.
    Create(Box<GroupCreation>),
    /// A group changes.
    Change(Box<GroupChange>),
}

/// A version's value stands in another version of the store from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedPointer {
    /// The secret.
    pub secret_id: SecretId,
    /// Our number of its version.
    pub version: i64,
    /// Where the value stands.
    pub store_version: String,
}

/// How an operation that has not happened ends.
#[derive(Debug, Clone, Default)]
pub struct Undone {
    /// Pointers that move, of the group's present revision.
    pub moved: Vec<MovedPointer>,
    /// That revision and its new MAC, where pointers move.
    pub revision: Option<(i64, [u8; 32])>,
    /// What became of each put.
    pub puts: Vec<PutRow>,
    /// Entries that are to be removed from then on.
    pub left: Vec<(SecretId, Timestamp)>,
    /// Entries that were never made.
    pub never_made: Vec<SecretId>,
}

impl Metadata {
    /// Opens an operation. Misses `OpenOperation` while another one of the group is open, or one that makes a group of
    /// the same name; `EntryName` when an entry's name is taken; `GroupRevision` when the group has moved on.
    pub async fn begin_operation(&self, new: &NewOperation, holder: &str) -> Result<HeldOperation, CommitError> {
        let row = &new.row;
        let mut batch = Batch::of_group(row.group_id);
        if let Some(revision) = new.revision {
            batch.one(Guard::GroupRevision, &HOLD_GROUP, params![row.group_id, revision]);
        }
        insert_operation(&mut batch, row, holder);
        for put in &new.puts {
            let put = params![
                row.id,
                put.secret_id,
                &put.key,
                put.version,
                &put.digest,
                &put.place,
                put.before.as_ref(),
                put.kept.as_ref()
            ];
            batch.one(Guard::Fresh, &INSERT_PUT, put);
        }
        for entry in &new.entries {
            let entry =
                params![entry.secret_id, row.group_id, row.integration_id, &entry.target, &entry.name, &entry.place];
            batch.one(Guard::EntryName, &INSERT_ENTRY, entry);
        }
        self.commit(batch).await?;
        Ok(HeldOperation { id: row.id, group_id: row.group_id, holder: holder.to_owned(), fence: 1 })
    }

    /// Writes a change that puts nothing, unless an operation of the group is open.
    pub async fn change_group_between(
        &self,
        change: &GroupChange,
        operation: &OperationRow,
    ) -> Result<(), CommitError> {
        let mut batch = change_batch(change);
        insert_operation(&mut batch, operation, "");
        batch.one(Guard::Fresh, &DELETE_OPERATION, params![operation.id]);
        self.commit(batch).await
    }

    /// Takes an operation whose holder's time has passed; `None` when somebody else was quicker.
    pub async fn take_operation(
        &self,
        row: &OperationRow,
        holder: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Option<HeldOperation>, CommitError> {
        let mut batch = Batch::of_group(row.group_id);
        batch.one(Guard::Operation, &TAKE_OPERATION, params![row.id, row.fence, holder, until, now]);
        let held =
            HeldOperation { id: row.id, group_id: row.group_id, holder: holder.to_owned(), fence: row.fence + 1 };
        match self.commit(batch).await {
            Ok(()) => Ok(Some(held)),
            Err(CommitError::Missed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets open operations be taken at once: whoever held them is known to have ended.
    pub async fn end_holds(&self, now: Timestamp) -> Result<(), CommitError> {
        let mut batch = Batch::default();
        batch.any(Guard::Operation, &END_HOLDS, params![now]);
        self.commit(batch).await
    }

    /// Holds an operation until a time; one that has passed lets others take it.
    pub async fn hold_operation(&self, held: &HeldOperation, until: Timestamp) -> Result<(), CommitError> {
        let mut batch = Batch::of_group(held.group_id);
        batch.one(Guard::Operation, &HOLD_OPERATION, params![held.id, held.fence, &held.holder, until]);
        self.commit(batch).await
    }

    /// Notes what is known of puts, and holds the operation until a time.
    pub async fn note_puts(&self, held: &HeldOperation, until: Timestamp, puts: &[PutRow]) -> Result<(), CommitError> {
        let mut batch = Batch::of_group(held.group_id);
        batch.one(Guard::Operation, &HOLD_OPERATION, params![held.id, held.fence, &held.holder, until]);
        insert_facts(&mut batch, held.id, puts);
        self.commit(batch).await
    }

    /// Makes the entry of a put elsewhere, as its name is taken in the store.
    pub async fn move_entry(
        &self,
        held: &HeldOperation,
        until: Timestamp,
        put: &PutRow,
        name: &str,
    ) -> Result<(), CommitError> {
        let mut batch = Batch::of_group(held.group_id);
        batch.one(Guard::Operation, &HOLD_OPERATION, params![held.id, held.fence, &held.holder, until]);
        batch.one(Guard::EntryName, &MOVE_ENTRY, params![put.secret_id, name, &put.place]);
        insert_facts(&mut batch, held.id, std::slice::from_ref(put));
        self.commit(batch).await
    }

    /// Brings an operation into another state, and notes what is known of puts.
    pub async fn move_operation(
        &self,
        held: &HeldOperation,
        next: &NextState,
        puts: &[PutRow],
    ) -> Result<(), CommitError> {
        let mut batch = Batch::of_group(held.group_id);
        next.step(&mut batch, held);
        insert_facts(&mut batch, held.id, puts);
        self.commit(batch).await
    }

    /// Writes what the operation is for: our pointers flip. `placed` says where each value is, for those stores that have
    /// to be told to show it.
    pub async fn flip_operation(
        &self,
        held: &HeldOperation,
        write: &GroupWrite,
        next: &NextState,
        placed: Placed<'_>,
    ) -> Result<(), CommitError> {
        let mut batch = match write {
            GroupWrite::Create(creation) => creation_batch(creation),
            GroupWrite::Change(change) => change_batch(change),
        };
        next.step(&mut batch, held);
        match placed {
            Placed::All(count) => batch.exactly(count, Guard::Operation, &PLACE_PUTS, params![held.id]),
            Placed::Each(puts) => insert_facts(&mut batch, held.id, puts),
        }
        self.commit(batch).await
    }

    /// Ends an operation that has not happened.
    pub async fn end_undone(&self, held: &HeldOperation, next: &NextState, undone: &Undone) -> Result<(), CommitError> {
        let mut batch = Batch::of_group(held.group_id);
        if let Some((revision, mac)) = &undone.revision {
            batch.one(Guard::GroupRevision, &MOVE_MAC, params![held.group_id, *revision, mac]);
            batch.one(Guard::GroupRevision, &MOVE_RECORDED_MAC, params![held.group_id, *revision, mac]);
        }
        next.step(&mut batch, held);
        for moved in &undone.moved {
            let pointer = params![moved.secret_id, moved.version, &moved.store_version];
            batch.one(Guard::SecretState, &MOVE_POINTER, pointer);
        }
        insert_facts(&mut batch, held.id, &undone.puts);
        for (secret, at) in &undone.left {
            batch.one(Guard::Operation, &LEAVE_ENTRY, params![*secret, *at]);
        }
        for secret in &undone.never_made {
            batch.one(Guard::Operation, &DELETE_ENTRY, params![*secret]);
        }
        self.commit(batch).await
    }

    /// An operation.
    pub async fn operation(&self, id: OperationId) -> Result<Option<OperationRow>, ReadError> {
        self.first(&SELECT_OPERATION, &params![id], read_operation).await
    }

    /// The group's open operation.
    pub async fn open_operation(&self, group: GroupId) -> Result<Option<OperationRow>, ReadError> {
        self.first(&OPEN_OPERATION, &params![group], read_operation).await
    }

    /// The open operation that makes a group of this (folded) name.
    pub async fn claiming_operation(&self, folded: &str) -> Result<Option<OperationRow>, ReadError> {
        self.first(&CLAIMING_OPERATION, &params![folded], read_operation).await
    }

    /// Up to `limit` open operations whose holders' time has passed.
    pub async fn due_operations(&self, now: Timestamp, limit: i64) -> Result<Vec<OperationRow>, ReadError> {
        self.rows(&DUE_OPERATIONS, &params![now, limit], read_operation).await
    }

    /// What an operation does to each secret.
    pub async fn puts_of(&self, operation: OperationId) -> Result<Vec<PutRow>, ReadError> {
        self.rows(&PUTS_OF, &params![operation], |row| read_put(row, 0)).await
    }
}

/// What is noted of the puts with a flip.
#[derive(Debug, Clone, Copy)]
pub enum Placed<'a> {
    /// That all of them, so many, are there.
    All(u64),
    /// Where each of them is.
    Each(&'a [PutRow]),
}

impl NextState {
    fn step(&self, batch: &mut Batch, held: &HeldOperation) {
        let next = params![
            held.id,
            held.fence,
            &held.holder,
            self.state.id(),
            self.reason.as_ref(),
            &self.change,
            self.quiet_at,
            self.finished_at
        ];
        batch.one(Guard::Operation, &MOVE_OPERATION, next);
    }
}

fn insert_operation(batch: &mut Batch, row: &OperationRow, holder: &str) {
    let operation = params![
        row.id,
        row.group_id,
        row.claimed_name.as_ref(),
        row.integration_id,
        &row.action,
        &row.change,
        actor_json(&row.actor),
        holder,
        row.expires_at,
        row.created_at
    ];
    batch.one(Guard::OpenOperation, &INSERT_OPERATION, operation);
}

fn insert_facts(batch: &mut Batch, operation: OperationId, puts: &[PutRow]) {
    for put in puts {
        let facts = params![
            operation,
            put.secret_id,
            &put.place,
            put.before.as_ref(),
            put.placed.as_ref(),
            put.state.id(),
            put.reason.as_ref()
        ];
        batch.one(Guard::Operation, &UPDATE_PUT, facts);
    }
}

fn read_operation(row: &Row<'_>) -> Result<OperationRow, ReadError> {
    Ok(OperationRow {
        id: row.parsed(0, OperationId::parse)?,
        group_id: row.parsed(1, GroupId::parse)?,
        claimed_name: row.opt_text(2)?,
        integration_id: row.parsed(3, IntegrationId::parse)?,
        action: row.text(4)?,
        state: row.parsed(5, OperationState::parse)?,
        change: row.text(6)?,
        reason: row.opt_text(7)?,
        actor: read_actor(row, 8)?,
        fence: row.int(9)?,
        expires_at: row.time(10)?,
        quiet_at: row.opt_time(11)?,
        created_at: row.time(12)?,
        finished_at: row.opt_time(13)?,
    })
}

pub(crate) fn read_put(row: &Row<'_>, first: usize) -> Result<PutRow, ReadError> {
    Ok(PutRow {
        secret_id: row.parsed(first, SecretId::parse)?,
        key: row.text(first + 1)?,
        version: row.int(first + 2)?,
        digest: row.bytes(first + 3)?,
        place: row.text(first + 4)?,
        before: row.opt_text(first + 5)?,
        kept: row.opt_text(first + 6)?,
        placed: row.opt_text(first + 7)?,
        state: row.parsed(first + 8, PutState::parse)?,
        reason: row.opt_text(first + 9)?,
    })
}
