//! Reading single secrets, with what opening their values takes.

use strongroom_domain::role::GroupRole;
use strongroom_domain::subject::Actor;
use strongroom_domain::{GroupId, IntegrationId, SecretId, Timestamp, VersionId};

use crate::entered::{Found, Way};
use crate::grants::Entrance;
use crate::groups::{Page, Viewpoint, entrance, grant_number, granted, id_of_name, read_role, role_column};
use crate::integrations::read_actor;
use crate::postgres::Hint;
use crate::sql::{Row, Sql, Value, params, statements};
use crate::{Metadata, ReadError};

/// When the first of the grants ends on which the role rests.
macro_rules! role_until {
    () => {
        concat!(
            "(SELECT MIN(r.expires_at) FROM grants r WHERE r.group_id = g.id AND r.role > 0 AND ",
            granted!("r"),
            ")"
        )
    };
}
macro_rules! secret_row {
    ($sealed:expr, $role:expr, $until:expr) => {
        concat!(
            "SELECT s.id, s.key, s.version, s.created_by, s.created_at, s.updated_at, s.deleted_at, s.purge_at, \
             g.id, g.name, g.integration_id, g.revision, g.revision_mac, g.data_key, g.data_key_kek, g.deleted_at, ",
            $role,
            ", \
             v.id, v.version, v.digest, v.store_version, v.created_by, v.created_at, v.gone_at, ",
            $sealed,
            ", ",
            $until,
            " "
        )
    };
}
/// The id of the group that has the secret ?3, or one that no group has. Then, too, a secret's row is read: the nearest.
macro_rules! id_of_group {
    () => {
        "COALESCE((SELECT CASE WHEN x.id = ?3 THEN x.group_id ELSE x.id END \
         FROM secrets x WHERE x.id <= ?3 ORDER BY x.id DESC LIMIT 1), '')"
    };
}
/// ?3 the exclusive upper bound of ids, ?4 limit, ?5 offset.
macro_rules! secret_page {
    ($sealed:expr, $narrowed:expr) => {
        concat!(
            secret_row!($sealed, role_column!(), role_until!()),
            "FROM secrets s JOIN secret_groups g ON g.id = s.group_id \
             JOIN secret_versions v ON v.secret_id = s.id AND v.version = s.version \
             WHERE s.deleted_at IS NULL AND g.deleted_at IS NULL AND s.id < ?3",
            $narrowed,
            " ORDER BY s.id DESC LIMIT ?4 OFFSET ?5"
        )
    };
}
macro_rules! of_member {
    () => {
        concat!(" AND s.group_id IN (SELECT m.group_id FROM grants m WHERE ", granted!("m"), ")")
    };
}
/// One group's list is a statement of its own: a condition that may be switched off would walk all secrets for it.
/// ?3 to ?5 as above, ?6 the group, ?7 whether all are seen.
macro_rules! secret_page_of_group {
    ($sealed:expr) => {
        concat!(
            secret_row!($sealed, "e.role", "e.until"),
            "FROM ",
            entrance!("?6", "?7"),
            " e CROSS JOIN secret_groups g JOIN secrets s ON s.group_id = g.id \
             JOIN secret_versions v ON v.secret_id = s.id AND v.version = s.version \
             WHERE g.id = e.group_id AND s.deleted_at IS NULL AND g.deleted_at IS NULL AND s.id < ?3 \
             ORDER BY s.id DESC LIMIT ?4 OFFSET ?5"
        )
    };
}
macro_rules! secret_count {
    ($narrowed:expr) => {
        concat!(
            "SELECT COUNT(*), ?1, CAST(?2 AS {int}) FROM secrets s JOIN secret_groups g ON g.id = s.group_id \
             WHERE s.deleted_at IS NULL AND g.deleted_at IS NULL",
            $narrowed
        )
    };
}

statements! {
    // Every version, the newest first; only the current one comes with its sealed value.
    SECRET_BY_ID = concat!(
        secret_row!("CASE WHEN v.version = s.version THEN v.sealed END", "e.role", "e.until"),
        "FROM ",
        entrance!(id_of_group!(), "?5"),
        " e CROSS JOIN secret_groups g CROSS JOIN secrets s JOIN secret_versions v ON v.secret_id = s.id \
         WHERE g.id = e.group_id AND s.id = ?3 \
         ORDER BY v.version DESC LIMIT ?4"
    );
    // Of one that isn't there, too, a row is read: the nearest below it, or the least where there is none below.
    GROUP_OF_SECRET = "SELECT x.group_id, x.id FROM (SELECT MIN(y.id) AS least FROM secrets y) b CROSS JOIN secrets x \
        WHERE x.id <= CASE WHEN ?1 < b.least THEN b.least ELSE ?1 END ORDER BY x.id DESC LIMIT 1";
    // As SECRET_BY_ID, for whom it is known already that they see it, and by what role.
    SECRET_ENTERED = concat!(
        secret_row!("CASE WHEN v.version = s.version THEN v.sealed END", "CAST(NULL AS {int})", "CAST(NULL AS {int})"),
        "FROM secrets s CROSS JOIN secret_groups g JOIN secret_versions v ON v.secret_id = s.id \
         WHERE s.id = ?1 AND g.id = s.group_id ORDER BY v.version DESC LIMIT ?2"
    );
    // The same of a secret that was of the group ?3, with the number that what is known must be of.
    SECRET_NUMBERED = concat!(
        secret_row!(
            "CASE WHEN v.version = s.version THEN v.sealed END", "CAST(NULL AS {int})",
            concat!("CAST(NULL AS {int})", grant_number!())
        ),
        "FROM secrets s CROSS JOIN secret_groups g JOIN secret_versions v ON v.secret_id = s.id \
         WHERE s.id = ?1 AND s.group_id = ?3 AND g.id = ?3 ORDER BY v.version DESC LIMIT ?2"
    );
    // In the group ?1, if that has the (folded) name ?2.
    SECRET_NUMBERED_BY_NAME = concat!(
        secret_row!("v.sealed", "CAST(NULL AS {int})", concat!("CAST(NULL AS {int})", grant_number!())),
        "FROM secret_groups g JOIN secrets s ON s.group_id = g.id AND s.key = ?3 AND s.deleted_at IS NULL \
         JOIN secret_versions v ON v.secret_id = s.id AND v.version = COALESCE(?4, s.version) \
         WHERE g.id = ?1 AND g.name_search = ?2 AND g.deleted_at IS NULL"
    );
    SECRET_VERSIONS = "SELECT id, version, digest, store_version, created_by, created_at, gone_at \
        FROM secret_versions WHERE secret_id = ?1 ORDER BY version DESC LIMIT ?2 OFFSET ?3";
    COUNT_VERSIONS = "SELECT COUNT(*) FROM secret_versions WHERE secret_id = ?1";
    SECRET_BY_NAME = concat!(
        secret_row!("v.sealed", "e.role", "e.until"),
        "FROM ",
        entrance!(id_of_name!("?3"), "?6"),
        " e CROSS JOIN secret_groups g JOIN secrets s ON s.group_id = g.id AND s.key = ?4 AND s.deleted_at IS NULL \
         JOIN secret_versions v ON v.secret_id = s.id AND v.version = COALESCE(?5, s.version) WHERE g.id = e.group_id"
    );
    SECRET_PAGE_ALL = secret_page!("NULL", "");
    SECRET_PAGE_MEMBER = secret_page!("NULL", of_member!());
    SECRET_PAGE_ALL_SEALED = secret_page!("v.sealed", "");
    SECRET_PAGE_MEMBER_SEALED = secret_page!("v.sealed", of_member!());
    SECRET_PAGE_GROUP = secret_page_of_group!("NULL");
    SECRET_PAGE_GROUP_SEALED = secret_page_of_group!("v.sealed");
    SECRET_COUNT_ALL = secret_count!("");
    SECRET_COUNT_MEMBER = secret_count!(of_member!());
    SECRET_COUNT_GROUP = concat!(
        "SELECT COUNT(*) FROM ",
        entrance!("?3", "?4"),
        " e CROSS JOIN secret_groups g JOIN secrets s ON s.group_id = g.id \
         WHERE g.id = e.group_id AND s.deleted_at IS NULL AND g.deleted_at IS NULL"
    );
}

/// A secret, its group as far as opening values needs it, and one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRow {
    /// Id.
    pub id: SecretId,
    /// Key.
    pub key: String,
    /// The current version, from 1.
    pub current_version: i64,
    /// Who made it.
    pub created_by: Actor,
    /// When made.
    pub created_at: Timestamp,
    /// When last changed.
    pub updated_at: Timestamp,
    /// When deleted.
    pub deleted_at: Option<Timestamp>,
    /// When it will be purged.
    pub purge_at: Option<Timestamp>,
    /// Its group.
    pub group_id: GroupId,
    /// The group's name.
    pub group_name: String,
    /// The integration that keeps the group.
    pub integration_id: IntegrationId,
    /// The group's revision.
    pub revision: i64,
    /// The MAC over that revision.
    pub revision_mac: Vec<u8>,
    /// The group's data key, wrapped; `None` once purged.
    pub data_key: Option<Vec<u8>>,
    /// Which key-encryption key wraps it.
    pub data_key_kek: u32,
    /// When the group was deleted.
    pub group_deleted_at: Option<Timestamp>,
    /// The strongest role that grants give the one who looks.
    pub role: Option<GroupRole>,
    /// When that role has to be read again, for one of the grants ends.
    pub role_until: Option<Timestamp>,
    /// The version read.
    pub version: VersionRow,
    /// Its sealed value, when it was asked for and lives here.
    pub sealed: Option<Vec<u8>>,
}

/// One version of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    /// Id.
    pub id: VersionId,
    /// Its number, from 1.
    pub version: i64,
    /// The keyed digest of its value.
    pub digest: Vec<u8>,
    /// What the store calls it.
    pub store_version: String,
    /// Who made it.
    pub created_by: Actor,
    /// When made.
    pub created_at: Timestamp,
    /// When its value was dropped.
    pub gone_at: Option<Timestamp>,
}

impl Metadata {
    /// A visible secret (deleted ones too) and its newest versions, the current one with its sealed value.
    pub async fn secret(
        &self,
        id: SecretId,
        viewpoint: &Viewpoint,
        versions: i64,
    ) -> Result<Option<(SecretRow, Vec<VersionRow>)>, ReadError> {
        if self.keeps_grants() {
            let read = |row: &Row<'_>| Ok((row.parsed(0, GroupId::parse)?, row.parsed(1, SecretId::parse)? == id));
            let group = self.first(&GROUP_OF_SECRET, &params![id], read).await?.map_or(Found::NOTHING, Found::of);
            match self.way(group, viewpoint).await {
                Way::Asked => {}
                Way::Shut => return Ok(None),
                Way::Open(entrance) => {
                    let found = self.read_secret(&SECRET_ENTERED, &params![id, versions], |_| Ok(())).await?;
                    if self.holds(entrance) {
                        return Ok(found.map(|(secret, versions)| (secret.entered(entrance), versions)));
                    }
                }
            }
        }
        if let Some(found) = self.secret_numbered(id, viewpoint, versions).await? {
            return Ok(Some(found));
        }
        let sees_all = i64::from(viewpoint.sees_all());
        let asked = params![&viewpoint.subject, self.now(), id, versions, sees_all];
        let found = self.read_secret(&SECRET_BY_ID, &asked, |_| Ok(())).await?;
        Ok(self.shown(Hint::Secret(id), found, |(secret, _)| (secret.group_id, secret.role)))
    }

    pub(crate) async fn read_secret(
        &self,
        sql: &'static Sql,
        asked: &[Value],
        mut also: impl FnMut(&Row<'_>) -> Result<(), ReadError> + Send,
    ) -> Result<Option<(SecretRow, Vec<VersionRow>)>, ReadError> {
        let mut current = None;
        let versions = self
            .rows(sql, asked, |row| {
                also(row)?;
                let version = read_version(row, 17)?;
                if version.version == row.int(2)? {
                    current = Some(read_secret(row, version.clone())?);
                }
                Ok(version)
            })
            .await?;
        Ok(current.map(|secret| (secret, versions)))
    }

    /// A visible living secret by its group's (folded) name and its key, at a version or, with `None`, as it is.
    pub async fn secret_by_name(
        &self,
        folded_group: &str,
        key: &str,
        version: Option<i64>,
        viewpoint: &Viewpoint,
    ) -> Result<Option<SecretRow>, ReadError> {
        if self.keeps_grants() {
            let group = self.group_of_name(folded_group).await?;
            match self.way(group, viewpoint).await {
                Way::Asked => {}
                Way::Shut => return Ok(None),
                Way::Open(entrance) => {
                    let found = self.read_secret_by_name(folded_group, key, version, &Viewpoint::inside()).await?;
                    // Another group may have the name by now.
                    if self.holds(entrance) && found.as_ref().is_none_or(|secret| Some(secret.group_id) == group.id()) {
                        return Ok(found.map(|secret| secret.entered(entrance)));
                    }
                }
            }
        }
        if let Some(found) = self.secret_numbered_by_name(folded_group, key, version, viewpoint).await? {
            return Ok(Some(found));
        }
        let found = self.read_secret_by_name(folded_group, key, version, viewpoint).await?;
        Ok(self.shown(Hint::Name(folded_group), found, |secret| (secret.group_id, secret.role)))
    }

    async fn read_secret_by_name(
        &self,
        folded_group: &str,
        key: &str,
        version: Option<i64>,
        viewpoint: &Viewpoint,
    ) -> Result<Option<SecretRow>, ReadError> {
        let (own, now) = (&viewpoint.subject, self.now());
        self.first(
            &SECRET_BY_NAME,
            &params![own, now, folded_group, key, version, i64::from(viewpoint.sees_all())],
            |row| SecretRow::read_by_name(row, folded_group),
        )
        .await
    }

    /// A page of a secret's versions, newest first, and how many there are.
    pub async fn secret_versions(
        &self,
        id: SecretId,
        offset: i64,
        limit: i64,
    ) -> Result<(Vec<VersionRow>, i64), ReadError> {
        let total = self.first(&COUNT_VERSIONS, &params![id], |row| row.int(0)).await?.unwrap_or(0);
        let versions = self.rows(&SECRET_VERSIONS, &params![id, limit, offset], |row| read_version(row, 0)).await?;
        Ok((versions, total))
    }

    /// A page of the visible living secrets, newest first, and how many match in all.
    ///
    /// With `sealed_up_to` the rows carry their sealed values, and the page ends after that many bytes of them.
    pub async fn secret_page(
        &self,
        viewpoint: Viewpoint,
        group: Option<GroupId>,
        page: Page<SecretId>,
        sealed_up_to: Option<usize>,
    ) -> Result<(Vec<SecretRow>, i64), ReadError> {
        self.aside(move |metadata| async move {
            let (rows, with_values, count) = match (group, viewpoint.sees_all()) {
                (Some(_), _) => (&SECRET_PAGE_GROUP, &SECRET_PAGE_GROUP_SEALED, &SECRET_COUNT_GROUP),
                (None, true) => (&SECRET_PAGE_ALL, &SECRET_PAGE_ALL_SEALED, &SECRET_COUNT_ALL),
                (None, false) => (&SECRET_PAGE_MEMBER, &SECRET_PAGE_MEMBER_SEALED, &SECRET_COUNT_MEMBER),
            };
            let rows = if sealed_up_to.is_some() { with_values } else { rows };
            let subjects = [Value::from(&viewpoint.subject), metadata.now().into()];
            let narrowed = group.map_or_else(Vec::new, |id| params![id, i64::from(viewpoint.sees_all())].into());
            let total =
                metadata.first(count, &[&subjects[..], &narrowed].concat(), |row| row.int(0)).await?.unwrap_or(0);
            let paged = [&subjects[..], &params![page.bound(), page.limit, page.offset], &narrowed].concat();
            let (mut secrets, mut bytes) = (Vec::new(), 0);
            metadata
                .scan(rows, &paged, |row| {
                    let secret = read_secret(row, read_version(row, 17)?)?;
                    bytes += secret.sealed.as_ref().map_or(0, Vec::len);
                    secrets.push(secret);
                    Ok(sealed_up_to.is_none_or(|limit| bytes < limit))
                })
                .await?;
            Ok((secrets, total))
        })
        .await
    }
}

impl SecretRow {
    /// Where the number stands in a row that has one.
    pub(crate) const NUMBER: usize = 26;

    pub(crate) fn read_by_name(row: &Row<'_>, folded_group: &str) -> Result<Self, ReadError> {
        let secret = read_secret(row, read_version(row, 17)?)?;
        // What a group is found by is stored beside its name, and must agree.
        if secret.group_name.to_ascii_lowercase() == folded_group { Ok(secret) } else { Err(row.damaged(9)) }
    }

    pub(crate) fn entered(self, entrance: Entrance) -> Self {
        Self { role: entrance.role, role_until: entrance.until, ..self }
    }
}

fn read_secret(row: &Row<'_>, version: VersionRow) -> Result<SecretRow, ReadError> {
    Ok(SecretRow {
        id: row.parsed(0, SecretId::parse)?,
        key: row.text(1)?,
        current_version: row.int(2)?,
        created_by: read_actor(row, 3)?,
        created_at: row.time(4)?,
        updated_at: row.time(5)?,
        deleted_at: row.opt_time(6)?,
        purge_at: row.opt_time(7)?,
        group_id: row.parsed(8, GroupId::parse)?,
        group_name: row.text(9)?,
        integration_id: row.parsed(10, IntegrationId::parse)?,
        revision: row.int(11)?,
        revision_mac: row.bytes(12)?,
        data_key: row.opt_bytes(13)?,
        data_key_kek: u32::try_from(row.int(14)?).map_err(|_| row.damaged(14))?,
        group_deleted_at: row.opt_time(15)?,
        role: read_role(row, 16)?,
        role_until: row.opt_time(25)?,
        version,
        sealed: row.opt_bytes(24)?,
    })
}

fn read_version(row: &Row<'_>, from: usize) -> Result<VersionRow, ReadError> {
    Ok(VersionRow {
        id: row.parsed(from, VersionId::parse)?,
        version: row.int(from + 1)?,
        digest: row.bytes(from + 2)?,
        store_version: row.text(from + 3)?,
        created_by: read_actor(row, from + 4)?,
        created_at: row.time(from + 5)?,
        gone_at: row.opt_time(from + 6)?,
    })
}
