//! What was deleted and can be brought back.

use strongroom_domain::role::GroupRole;
use strongroom_domain::{GroupId, SecretId, Timestamp};

use crate::groups::{Viewpoint, granted, read_role, role_column};
use crate::sql::{params, statements};
use crate::{Metadata, ReadError};

macro_rules! visible {
    () => {
        concat!("(?3 = 1 OR g.id IN (SELECT m.group_id FROM grants m WHERE m.role >= ?4 AND ", granted!("m"), "))")
    };
}

statements! {
    // By way of the lifetimes, which are in the order of their groups.
    HAS_TRASH = "SELECT 1 FROM lifetimes l JOIN secrets s ON s.id = l.secret_id WHERE l.group_id = ?1 \
        AND s.deleted_at IS NOT NULL AND s.purge_at IS NOT NULL LIMIT 1";
    // Groups go back by those who manage them, secrets by those who write them.
    DELETED_GROUPS = concat!(
        "SELECT g.id, g.name, g.deleted_at, g.purge_at, ", role_column!(), " FROM secret_groups g \
         WHERE g.purge_at IS NOT NULL AND g.data_key IS NOT NULL AND ", visible!(),
        " ORDER BY g.deleted_at DESC, g.id LIMIT ?5"
    );
    DELETED_SECRETS = concat!(
        "SELECT s.id, s.key, s.version, s.deleted_at, s.purge_at, g.id, g.name, ", role_column!(), " FROM secrets s \
         JOIN secret_groups g ON g.id = s.group_id \
         WHERE s.purge_at IS NOT NULL AND g.deleted_at IS NULL AND ", visible!(),
        " ORDER BY s.deleted_at DESC, s.id LIMIT ?5"
    );
}

/// A deleted group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedGroup {
    /// Id.
    pub id: GroupId,
    /// Name.
    pub name: String,
    /// When deleted.
    pub deleted_at: Timestamp,
    /// Until when it can be brought back.
    pub purge_at: Timestamp,
    /// The strongest role that grants give the one who looks.
    pub role: Option<GroupRole>,
}

/// A deleted secret of a living group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedSecret {
    /// Id.
    pub id: SecretId,
    /// Key.
    pub key: String,
    /// Its last version.
    pub version: i64,
    /// When deleted.
    pub deleted_at: Timestamp,
    /// Until when it can be brought back.
    pub purge_at: Timestamp,
    /// Its group.
    pub group_id: GroupId,
    /// Its group's name.
    pub group_name: String,
    /// The strongest role that grants give the one who looks.
    pub role: Option<GroupRole>,
}

impl Metadata {
    /// Whether secrets of a group lie in the trash.
    pub async fn has_trash(&self, group: GroupId) -> Result<bool, ReadError> {
        Ok(self.first(&HAS_TRASH, &params![group], |row| row.int(0)).await?.is_some())
    }

    /// The newest deleted groups that the viewer may bring back.
    pub async fn deleted_groups(&self, viewpoint: Viewpoint, limit: i64) -> Result<Vec<DeletedGroup>, ReadError> {
        self.aside(move |metadata| async move {
            let (own, now) = (&viewpoint.subject, metadata.now());
            metadata
                .rows(
                    &DELETED_GROUPS,
                    &params![
                        own,
                        now,
                        i64::from(viewpoint.floor >= Some(GroupRole::Admin)),
                        GroupRole::Admin.rank(),
                        limit
                    ],
                    |row| {
                        Ok(DeletedGroup {
                            id: row.parsed(0, GroupId::parse)?,
                            name: row.text(1)?,
                            deleted_at: row.time(2)?,
                            purge_at: row.time(3)?,
                            role: read_role(row, 4)?,
                        })
                    },
                )
                .await
        })
        .await
    }

    /// The newest deleted secrets of living groups that the viewer may bring back.
    pub async fn deleted_secrets(&self, viewpoint: Viewpoint, limit: i64) -> Result<Vec<DeletedSecret>, ReadError> {
        self.aside(move |metadata| async move {
            let (own, now) = (&viewpoint.subject, metadata.now());
            metadata
                .rows(
                    &DELETED_SECRETS,
                    &params![
                        own,
                        now,
                        i64::from(viewpoint.floor >= Some(GroupRole::Editor)),
                        GroupRole::Editor.rank(),
                        limit
                    ],
                    |row| {
                        Ok(DeletedSecret {
                            id: row.parsed(0, SecretId::parse)?,
                            key: row.text(1)?,
                            version: row.int(2)?,
                            deleted_at: row.time(3)?,
                            purge_at: row.time(4)?,
                            group_id: row.parsed(5, GroupId::parse)?,
                            group_name: row.text(6)?,
                            role: read_role(row, 7)?,
                        })
                    },
                )
                .await
        })
        .await
    }
}
