//! Reading groups with what is current of their secrets. Each read is one statement: one state, one cut.

use strongroom_domain::role::GroupRole;
use strongroom_domain::subject::Actor;
use strongroom_domain::{GroupId, IntegrationId, SecretId, Timestamp, VersionId};

use crate::entered::{Found, Way};
use crate::grants::Entrance;
use crate::integrations::read_actor;
use crate::postgres::Hint;
use crate::sql::{Row, Sql, Value, params, statements};
use crate::{Metadata, ReadError, dialect};

/// The position of a group's name among its columns. What it is found by is stored beside it, and must agree.
const NAME: usize = 1;
/// A page ends early after this many secrets, whole groups only.
const SECRETS_A_PAGE: usize = 20_000;
/// And after so many bytes of manifests.
const MANIFESTS_A_PAGE: usize = 8 << 20;

macro_rules! group_columns {
    () => {
        "g.id, g.name, g.integration_id, i.fqn, g.manifest, g.revision, g.revision_mac, g.data_key, g.data_key_kek, \
         g.seals, g.created_by, g.created_at, g.updated_at, g.deleted_at, g.purge_at"
    };
}
/// Whom grants reach who name them, or a team that they are in: ?1 is the one who looks, at the time ?2. The teams are
/// read in the same cut as the grants, so nobody keeps for a moment what a team had.
macro_rules! granted {
    ($alias:literal) => {
        concat!(
            "(",
            $alias,
            ".expires_at IS NULL OR ",
            $alias,
            ".expires_at > ?2) AND ",
            $alias,
            ".subject IN \
             (SELECT ?1 UNION ALL SELECT t.team FROM team_members t WHERE t.member = ?1)"
        )
    };
}
pub(crate) use granted;
/// The strongest role that grants give on group `g`.
macro_rules! role_column {
    () => {
        concat!("(SELECT MAX(r.role) FROM grants r WHERE r.group_id = g.id AND ", granted!("r"), ")")
    };
}
pub(crate) use role_column;
/// One row of what ?1 has on the group of the id `$asked` at the time ?2: its id if they may see it, the strongest role,
/// and when the first of the grants ends. Groups are read by this id alone. So what is hidden costs the look-ups that
/// what isn't there costs, one for each name that the caller goes by, and nothing of it is read: `$asked` may not be NULL,
/// which would be looked for nowhere. CROSS: by those names, beside the group's grants, a page or two.
macro_rules! entrance {
    ($asked:expr, $sees_all:expr) => {
        concat!(
            "(SELECT CASE WHEN ",
            $sees_all,
            " = 1 THEN ",
            $asked,
            " ELSE MAX(r.group_id) END AS group_id, MAX(r.role) AS role, MIN(r.expires_at) AS until \
             FROM (SELECT ?1 AS name UNION ALL SELECT t.team FROM team_members t WHERE t.member = ?1) w \
             CROSS JOIN grants r WHERE r.group_id = ",
            $asked,
            " AND r.subject = w.name AND (r.expires_at IS NULL OR r.expires_at > ?2))"
        )
    };
}
pub(crate) use entrance;
/// The id of the living group whose (folded) name is asked for, or one that no group has.
macro_rules! id_of_name {
    ($name:expr) => {
        concat!(
            "COALESCE((SELECT n.id FROM secret_groups n WHERE n.name_search = ",
            $name,
            " AND n.deleted_at IS NULL), '')"
        )
    };
}
pub(crate) use id_of_name;
/// As of which change of grants a row is.
macro_rules! grant_number {
    () => {
        ", (SELECT n.number FROM grant_number n WHERE n.id = 1)"
    };
}
pub(crate) use grant_number;
macro_rules! secret_columns {
    () => {
        "s.id, s.key, s.version, s.created_by, s.created_at, s.updated_at, v.id, v.digest, v.store_version, v.created_at"
    };
}
macro_rules! current_secrets {
    () => {
        "LEFT JOIN secrets s ON s.group_id = g.id AND s.deleted_at IS NULL \
         LEFT JOIN secret_versions v ON v.secret_id = s.id AND v.version = s.version"
    };
}
/// ?3 is asked for, ?4 whether all groups are seen.
macro_rules! group_state {
    ($sealed:expr, $asked:expr) => {
        concat!(
            "SELECT ",
            group_columns!(),
            ", e.role, ",
            secret_columns!(),
            ", ",
            $sealed,
            " FROM ",
            entrance!($asked, "?4"),
            " e CROSS JOIN secret_groups g JOIN provider_integrations i ON i.id = g.integration_id ",
            current_secrets!(),
            " WHERE g.id = e.group_id"
        )
    };
}
/// The group ?1, for whom it is known already that they see it, and by what role.
macro_rules! group_entered {
    ($sealed:expr, $number:expr, $narrowed:expr) => {
        concat!(
            "SELECT ",
            group_columns!(),
            ", CAST(NULL AS {int}), ",
            secret_columns!(),
            ", ",
            $sealed,
            $number,
            " FROM secret_groups g JOIN provider_integrations i ON i.id = g.integration_id ",
            current_secrets!(),
            " WHERE g.id = ?1",
            $narrowed
        )
    };
}
/// ?3 the search pattern or ''.
macro_rules! group_matches {
    () => {
        "g.deleted_at IS NULL AND (?3 = '' OR g.name_search LIKE ?3 ESCAPE '\\' OR EXISTS (SELECT 1 FROM secrets x \
         WHERE x.group_id = g.id AND x.deleted_at IS NULL AND x.key_search LIKE ?3 ESCAPE '\\'))"
    };
}
macro_rules! visible_to_member {
    ($bound:expr) => {
        concat!("g.id IN (SELECT m.group_id FROM grants m WHERE ", $bound, granted!("m"), ") AND ")
    };
}
/// ?4 the exclusive upper bound of ids, ?5 limit, ?6 offset. First the ids alone: what is skipped is not read.
macro_rules! group_page {
    ($visible:expr, $bound:expr) => {
        concat!(
            "SELECT ",
            group_columns!(),
            ", ",
            role_column!(),
            ", ",
            secret_columns!(),
            ", NULL FROM (SELECT g.id FROM secret_groups g WHERE ",
            $visible,
            group_matches!(),
            $bound,
            " ORDER BY g.id DESC LIMIT ?5 OFFSET ?6) p CROSS JOIN secret_groups g \
             JOIN provider_integrations i ON i.id = g.integration_id ",
            current_secrets!(),
            " WHERE g.id = p.id ORDER BY g.id DESC"
        )
    };
}
macro_rules! group_count {
    ($visible:expr) => {
        concat!("SELECT COUNT(*), ?1, CAST(?2 AS {int}) FROM secret_groups g WHERE ", $visible, group_matches!())
    };
}

statements! {
    GROUP_BY_ID = group_state!("NULL", "?3");
    GROUP_BY_NAME = group_state!("NULL", id_of_name!("?3"));
    GROUP_REF_BY_NAME = concat!(
        "SELECT g.id, g.name, e.role FROM ",
        entrance!(id_of_name!("?3"), "?4"),
        " e CROSS JOIN secret_groups g WHERE g.id = e.group_id"
    );
    GROUP_NAME_TAKEN = "SELECT 1 FROM secret_groups WHERE name_search = ?1 AND deleted_at IS NULL";
    // Of a name that no group has, too, a row is read: the nearest below it, or the least where there is none below.
    GROUP_OF_NAME = "SELECT g.id, g.name_search \
        FROM (SELECT MIN(n.name_search) AS least FROM secret_groups n WHERE n.deleted_at IS NULL) b \
        CROSS JOIN secret_groups g WHERE g.name_search <= CASE WHEN ?1 < b.least THEN b.least ELSE ?1 END \
        AND g.deleted_at IS NULL ORDER BY g.name_search DESC LIMIT 1";
    GROUP_BY_ID_SEALED = group_state!("v.sealed", "?3");
    GROUP_ENTERED = group_entered!("NULL", "", "");
    GROUP_ENTERED_SEALED = group_entered!("v.sealed", "", "");
    // The same with the number that what is known must be of.
    GROUP_NUMBERED = group_entered!("NULL", grant_number!(), "");
    GROUP_NUMBERED_SEALED = group_entered!("v.sealed", grant_number!(), "");
    GROUP_NUMBERED_BY_NAME =
        group_entered!("NULL", grant_number!(), " AND g.name_search = ?2 AND g.deleted_at IS NULL");
    GROUP_REF_NUMBERED = concat!(
        "SELECT g.id, g.name, CAST(NULL AS {int})", grant_number!(),
        " FROM secret_groups g WHERE g.id = ?1 AND g.name_search = ?2 AND g.deleted_at IS NULL"
    );
    GROUP_PAGE_ALL = group_page!("", " AND g.id < ?4");
    GROUP_PAGE_MEMBER = group_page!(visible_to_member!("m.group_id < ?4 AND "), "");
    GROUP_COUNT_ALL = group_count!("");
    GROUP_COUNT_MEMBER = group_count!(visible_to_member!(""));
}

/// From where one looks: what a caller's subjects are, and whether their tenant role shows everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Viewpoint {
    /// The role that the tenant gives them on every group.
    pub floor: Option<GroupRole>,
    /// Their own name, `<type>:<name>`; their teams are the database's to know.
    pub subject: String,
}

impl Viewpoint {
    /// Of whom it is known already that they see what is asked for. No name, so that no grants are looked for.
    pub(crate) const fn inside() -> Self {
        Self { floor: Some(GroupRole::Viewer), subject: String::new() }
    }

    /// Whether they see every group, whatever is granted.
    pub(crate) fn sees_all(&self) -> bool {
        self.floor.is_some()
    }
}

/// A group's own row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRow {
    /// Id.
    pub id: GroupId,
    /// Name.
    pub name: String,
    /// The integration that keeps its values.
    pub integration_id: IntegrationId,
    /// That integration's FQN.
    pub integration_fqn: String,
    /// Manifest, JSON.
    pub manifest: String,
    /// Its newest revision, from 1.
    pub revision: i64,
    /// The MAC over what is current.
    pub revision_mac: Vec<u8>,
    /// Its data key, wrapped; `None` once purged.
    pub data_key: Option<Vec<u8>>,
    /// Which key-encryption key wraps it.
    pub data_key_kek: u32,
    /// How many values were sealed under the data key.
    pub seals: i64,
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
    /// The strongest role that grants give the one who looks.
    pub role: Option<GroupRole>,
}

/// As much of a group as it takes to decide who may do what with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRef {
    /// Id.
    pub id: GroupId,
    /// Name.
    pub name: String,
    /// The strongest role that grants give the one who looks.
    pub role: Option<GroupRole>,
}

/// What is current of one secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretState {
    /// Id.
    pub id: SecretId,
    /// Key.
    pub key: String,
    /// Its current version, from 1.
    pub version: i64,
    /// Who made it.
    pub created_by: Actor,
    /// When made.
    pub created_at: Timestamp,
    /// When last changed.
    pub updated_at: Timestamp,
    /// The version's id.
    pub version_id: VersionId,
    /// The keyed digest of its value.
    pub digest: Vec<u8>,
    /// What the store calls the version.
    pub store_version: String,
    /// When the version was made.
    pub version_created_at: Timestamp,
    /// The sealed value, when it was asked for and lives here.
    pub sealed: Option<Vec<u8>>,
}

/// A group and its current secrets, in the order in which they were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupState {
    /// The group.
    pub group: GroupRow,
    /// Its living secrets.
    pub secrets: Vec<SecretState>,
}

/// What a list of groups is narrowed to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GroupFilter {
    /// Part of the name or of a key, without case; empty for all.
    pub search: String,
}

/// Where a page begins and how long it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<Id> {
    /// Only what was made before this one.
    pub before: Option<Id>,
    /// How many to skip (from `before`).
    pub offset: i64,
    /// How many to give.
    pub limit: i64,
}

impl<Id: Copy + ToString> Page<Id> {
    /// The exclusive upper bound of ids, after every id where the page begins at the newest. A bound that may be
    /// switched off would keep the engine from beginning there.
    pub(crate) fn bound(&self) -> String {
        self.before.map_or_else(|| "~".to_owned(), |id| id.to_string())
    }
}

impl Metadata {
    /// A visible group by id, deleted ones too.
    pub async fn group(&self, id: GroupId, viewpoint: &Viewpoint) -> Result<Option<GroupState>, ReadError> {
        self.group_by_id([&GROUP_BY_ID, &GROUP_ENTERED], id, viewpoint).await
    }

    /// A visible group by id with its sealed values.
    pub async fn group_sealed(&self, id: GroupId, viewpoint: &Viewpoint) -> Result<Option<GroupState>, ReadError> {
        self.group_by_id([&GROUP_BY_ID_SEALED, &GROUP_ENTERED_SEALED], id, viewpoint).await
    }

    async fn group_by_id(
        &self,
        [asking, entered]: [&'static Sql; 2],
        id: GroupId,
        viewpoint: &Viewpoint,
    ) -> Result<Option<GroupState>, ReadError> {
        match self.way(Found::of((id, true)), viewpoint).await {
            Way::Asked => {}
            Way::Shut => return Ok(None),
            Way::Open(entrance) => {
                let found = self.group_states(entered, &params![id]).await?.pop();
                if self.holds(entrance) {
                    return Ok(found.map(|state| state.entered(entrance)));
                }
            }
        }
        let hint = Hint::Group(id);
        if let Some(found) = self.group_numbered(hint, entered, viewpoint).await? {
            return Ok(Some(found));
        }
        let found = self.group_state(asking, viewpoint, id.into()).await?;
        Ok(self.shown(hint, found, |state| (state.group.id, state.group.role)))
    }

    /// Whether a living group has a name (folded), visible or not.
    pub async fn group_name_taken(&self, folded: &str) -> Result<bool, ReadError> {
        Ok(self.first(&GROUP_NAME_TAKEN, &params![folded], |row| row.int(0)).await?.is_some())
    }

    /// The living group that has a name (folded), visible or not.
    pub(crate) async fn group_of_name(&self, folded: &str) -> Result<Found, ReadError> {
        let read = |row: &Row<'_>| Ok((row.parsed(0, GroupId::parse)?, row.text(1)? == folded));
        Ok(self.first(&GROUP_OF_NAME, &params![folded], read).await?.map_or(Found::NOTHING, Found::of))
    }

    /// The visible living group of a name (folded).
    pub async fn group_by_name(&self, folded: &str, viewpoint: &Viewpoint) -> Result<Option<GroupState>, ReadError> {
        let named = |state| agrees(state, &GROUP_BY_NAME, folded, |state: &GroupState| &state.group.name);
        if self.keeps_grants() {
            let asked = self.group_of_name(folded).await?;
            let id = asked.id();
            match self.way(asked, viewpoint).await {
                Way::Asked => {}
                Way::Shut => return Ok(None),
                Way::Open(entrance) => {
                    let found = self.group_state(&GROUP_BY_NAME, &Viewpoint::inside(), folded.into()).await?;
                    // Another group may have got the name meanwhile.
                    if self.holds(entrance) && found.as_ref().map(|state| state.group.id) == id {
                        return named(found.map(|state| state.entered(entrance)));
                    }
                }
            }
        }
        let hint = Hint::Name(folded);
        if let Some(found) = self.group_numbered(hint, &GROUP_BY_NAME, viewpoint).await? {
            return named(Some(found));
        }
        let found = self.group_state(&GROUP_BY_NAME, viewpoint, folded.into()).await?;
        named(self.shown(hint, found, |state| (state.group.id, state.group.role)))
    }

    /// The same without anything that is in it.
    pub async fn group_ref_by_name(&self, folded: &str, viewpoint: &Viewpoint) -> Result<Option<GroupRef>, ReadError> {
        let named = |group| agrees(group, &GROUP_REF_BY_NAME, folded, |group: &GroupRef| &group.name);
        if self.keeps_grants() {
            let asked = self.group_of_name(folded).await?;
            let id = asked.id();
            match self.way(asked, viewpoint).await {
                Way::Asked => {}
                Way::Shut => return Ok(None),
                Way::Open(entrance) => {
                    let found = self.group_ref(folded, &Viewpoint::inside()).await?;
                    if self.holds(entrance) && found.as_ref().map(|group| group.id) == id {
                        return named(found.map(|group| GroupRef { role: entrance.role, ..group }));
                    }
                }
            }
        }
        let hint = Hint::Name(folded);
        if let Some(found) = self.group_ref_numbered(folded, viewpoint).await? {
            return named(Some(found));
        }
        let found = self.group_ref(folded, viewpoint).await?;
        named(self.shown(hint, found, |group| (group.id, group.role)))
    }

    async fn group_ref(&self, folded: &str, viewpoint: &Viewpoint) -> Result<Option<GroupRef>, ReadError> {
        let asked = params![&viewpoint.subject, self.now(), folded, i64::from(viewpoint.sees_all())];
        self.first(&GROUP_REF_BY_NAME, &asked, read_ref).await
    }

    /// A page of the visible groups, newest first, and how many match in all.
    ///
    /// The page may be shorter than its limit, but is empty only past the end.
    pub async fn group_page(
        &self,
        viewpoint: Viewpoint,
        filter: GroupFilter,
        page: Page<GroupId>,
    ) -> Result<(Vec<GroupState>, i64), ReadError> {
        self.aside(move |metadata| async move {
            let (rows, count) = if viewpoint.sees_all() {
                (&GROUP_PAGE_ALL, &GROUP_COUNT_ALL)
            } else {
                (&GROUP_PAGE_MEMBER, &GROUP_COUNT_MEMBER)
            };
            let pattern =
                if filter.search.is_empty() { Some(String::new()) } else { dialect::like_anywhere(&filter.search) };
            let Some(pattern) = pattern else { return Ok((Vec::new(), 0)) };
            let (own, now) = (&viewpoint.subject, metadata.now());
            let total = metadata.first(count, &params![own, now, &pattern], |row| row.int(0)).await?.unwrap_or(0);
            let paged = params![own, now, pattern, page.bound(), page.limit, page.offset];
            let groups = metadata.group_states(rows, &paged).await?;
            Ok((groups, total))
        })
        .await
    }

    async fn group_state(
        &self,
        sql: &'static Sql,
        viewpoint: &Viewpoint,
        key: Value,
    ) -> Result<Option<GroupState>, ReadError> {
        let sees_all = i64::from(viewpoint.sees_all());
        Ok(self.group_states(sql, &[(&viewpoint.subject).into(), self.now().into(), key, sees_all.into()]).await?.pop())
    }

    async fn group_states(&self, sql: &'static Sql, params: &[Value]) -> Result<Vec<GroupState>, ReadError> {
        self.fold_groups(sql, params, |_| Ok(())).await
    }

    /// Folds rows of (group, secret) into groups, and stops at a group's border when the page is full.
    pub(crate) async fn fold_groups(
        &self,
        sql: &'static Sql,
        params: &[Value],
        mut also: impl FnMut(&Row<'_>) -> Result<(), ReadError> + Send,
    ) -> Result<Vec<GroupState>, ReadError> {
        let mut groups: Vec<GroupState> = Vec::new();
        let (mut secrets, mut manifests) = (0, 0);
        self.scan(sql, params, |row| {
            also(row)?;
            let id = row.parsed(0, GroupId::parse)?;
            if groups.last().is_none_or(|last| last.group.id != id) {
                if secrets >= SECRETS_A_PAGE || manifests >= MANIFESTS_A_PAGE {
                    return Ok(false);
                }
                let group = read_group(row, id)?;
                manifests += group.manifest.len();
                groups.push(GroupState { group, secrets: Vec::new() });
            }
            if let (Some(last), Some(secret)) = (groups.last_mut(), read_secret(row)?) {
                last.secrets.push(secret);
                secrets += 1;
            }
            Ok(true)
        })
        .await?;
        // Sorted here: the engine would sort whole rows, each with the group's manifest.
        for state in &mut groups {
            state.secrets.sort_unstable_by_key(|secret| secret.id);
        }
        Ok(groups)
    }
}

impl GroupState {
    pub(crate) fn entered(mut self, entrance: Entrance) -> Self {
        self.group.role = entrance.role;
        self
    }
}

/// What was found by a folded name has that name.
fn agrees<T>(found: Option<T>, sql: &Sql, folded: &str, name: impl Fn(&T) -> &str) -> Result<Option<T>, ReadError> {
    match &found {
        Some(group) if name(group).to_ascii_lowercase() != folded => {
            Err(ReadError::Damaged { statement: sql.name, column: NAME })
        }
        _ => Ok(found),
    }
}

/// Reads a group's id, name and role.
pub(crate) fn read_ref(row: &Row<'_>) -> Result<GroupRef, ReadError> {
    Ok(GroupRef { id: row.parsed(0, GroupId::parse)?, name: row.text(NAME)?, role: read_role(row, 2)? })
}

fn read_group(row: &Row<'_>, id: GroupId) -> Result<GroupRow, ReadError> {
    Ok(GroupRow {
        id,
        name: row.text(1)?,
        integration_id: row.parsed(2, IntegrationId::parse)?,
        integration_fqn: row.text(3)?,
        manifest: row.text(4)?,
        revision: row.int(5)?,
        revision_mac: row.bytes(6)?,
        data_key: row.opt_bytes(7)?,
        data_key_kek: u32::try_from(row.int(8)?).map_err(|_| row.damaged(8))?,
        seals: row.int(9)?,
        created_by: read_actor(row, 10)?,
        created_at: row.time(11)?,
        updated_at: row.time(12)?,
        deleted_at: row.opt_time(13)?,
        purge_at: row.opt_time(14)?,
        role: read_role(row, 15)?,
    })
}

fn read_secret(row: &Row<'_>) -> Result<Option<SecretState>, ReadError> {
    let Some(id) = row.opt_parsed(16, SecretId::parse)? else { return Ok(None) };
    Ok(Some(SecretState {
        id,
        key: row.text(17)?,
        version: row.int(18)?,
        created_by: read_actor(row, 19)?,
        created_at: row.time(20)?,
        updated_at: row.time(21)?,
        version_id: row.parsed(22, VersionId::parse)?,
        digest: row.bytes(23)?,
        store_version: row.text(24)?,
        version_created_at: row.time(25)?,
        sealed: row.opt_bytes(26)?,
    }))
}

/// Reads the rank of a role.
pub(crate) fn read_role(row: &Row<'_>, column: usize) -> Result<Option<GroupRole>, ReadError> {
    row.opt_int(column)?.map(|rank| GroupRole::from_rank(rank).ok_or_else(|| row.damaged(column))).transpose()
}
