//! How somebody gets at a group whose grants are in memory.
//!
//! On SQLite the writer says whether what was read is of the same moment as the grants. Over PostgreSQL a number says so
//! that is read with it, and only who is let in is told by it: what is hidden is asked for as what isn't there.

use strongroom_domain::role::GroupRole;
use strongroom_domain::{GroupId, SecretId};

use crate::grants::Entrance;
use crate::groups::{
    GROUP_BY_NAME, GROUP_ENTERED_SEALED, GROUP_NUMBERED, GROUP_NUMBERED_BY_NAME, GROUP_NUMBERED_SEALED,
    GROUP_REF_NUMBERED, GroupRef, GroupState, Viewpoint, read_ref,
};
use crate::postgres::Hint;
use crate::replicas::SELECT_GRANT_NUMBER;
use crate::secrets::{SECRET_NUMBERED, SECRET_NUMBERED_BY_NAME, SecretRow, VersionRow};
use crate::sql::{Row, Sql, params};
use crate::{Metadata, ReadError};

/// Where the number stands in a row of a group, and of a group's name alone.
const NUMBER_OF_GROUP: usize = 27;
const NUMBER_OF_REF: usize = 3;

/// A group that was looked for by something else: the one that it is, or the nearest to it. Grants are looked for on either,
/// so that what is hidden takes no longer than what isn't there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) nearest: Option<GroupId>,
    pub(crate) is_it: bool,
}

impl Found {
    pub(crate) const NOTHING: Self = Self { nearest: None, is_it: false };

    pub(crate) fn of((nearest, is_it): (GroupId, bool)) -> Self {
        Self { nearest: Some(nearest), is_it }
    }

    /// The group, if it is it.
    pub(crate) fn id(self) -> Option<GroupId> {
        self.nearest.filter(|_| self.is_it)
    }
}

/// How somebody gets at a group.
pub(crate) enum Way {
    /// By a statement that looks for their grants.
    Asked,
    /// Not at all: it is hidden or isn't there.
    Shut,
    /// They see it, and this is what grants give them.
    Open(Entrance),
}

impl Metadata {
    /// How somebody gets at a group. What is read by an open way is of the moment of
    /// this answer only if [`Metadata::holds`] afterwards.
    pub(crate) async fn way(&self, group: Found, viewpoint: &Viewpoint) -> Way {
        match self.entrance(group, viewpoint) {
            None => Way::Asked,
            Some(entrance) if entrance.role.is_some() || viewpoint.sees_all() => Way::Open(entrance),
            Some(_) => {
                // A loop of these must let others run, as one of reads does.
                tokio::task::coop::consume_budget().await;
                Way::Shut
            }
        }
    }

    /// A group by its id or name, for whom grants in memory let in, if it was read as of those.
    pub(crate) async fn group_numbered(
        &self,
        hint: Hint<'_>,
        instead_of: &'static Sql,
        viewpoint: &Viewpoint,
    ) -> Result<Option<GroupState>, ReadError> {
        let Some((id, entrance)) = self.let_in(hint, viewpoint) else { return Ok(None) };
        let mut number = None;
        let note = |row: &Row<'_>| {
            number = read_number(row, NUMBER_OF_GROUP)?;
            Ok(())
        };
        let found = match hint {
            Hint::Name(name) => {
                debug_assert!(std::ptr::eq(instead_of, &raw const GROUP_BY_NAME));
                self.fold_groups(&GROUP_NUMBERED_BY_NAME, &params![id, name], note).await?
            }
            _ if std::ptr::eq(instead_of, &raw const GROUP_ENTERED_SEALED) => {
                self.fold_groups(&GROUP_NUMBERED_SEALED, &params![id], note).await?
            }
            _ => self.fold_groups(&GROUP_NUMBERED, &params![id], note).await?,
        };
        let found = self.hinted(hint, found.into_iter().next());
        Ok(found.filter(|_| self.is_of(entrance, number)).map(|state| state.entered(entrance)))
    }

    /// The same of its id and name alone.
    pub(crate) async fn group_ref_numbered(
        &self,
        folded: &str,
        viewpoint: &Viewpoint,
    ) -> Result<Option<GroupRef>, ReadError> {
        let Some((id, entrance)) = self.let_in(Hint::Name(folded), viewpoint) else { return Ok(None) };
        let read = |row: &Row<'_>| Ok((read_ref(row)?, read_number(row, NUMBER_OF_REF)?));
        let found = self.first(&GROUP_REF_NUMBERED, &params![id, folded], read).await?;
        let found = self.hinted(Hint::Name(folded), found);
        let found = found.filter(|(_, number)| self.is_of(entrance, *number));
        Ok(found.map(|(group, _)| GroupRef { role: entrance.role, ..group }))
    }

    /// A secret by its id, in the same way.
    pub(crate) async fn secret_numbered(
        &self,
        id: SecretId,
        viewpoint: &Viewpoint,
        versions: i64,
    ) -> Result<Option<(SecretRow, Vec<VersionRow>)>, ReadError> {
        let Some((group, entrance)) = self.let_in(Hint::Secret(id), viewpoint) else { return Ok(None) };
        let mut number = None;
        let note = |row: &Row<'_>| {
            number = read_number(row, SecretRow::NUMBER)?;
            Ok(())
        };
        let found = self.read_secret(&SECRET_NUMBERED, &params![id, versions, group], note).await?;
        let found = found.filter(|_| self.is_of(entrance, number));
        Ok(found.map(|(secret, versions)| (secret.entered(entrance), versions)))
    }

    /// A secret by its group's (folded) name and its key, in the same way.
    pub(crate) async fn secret_numbered_by_name(
        &self,
        folded_group: &str,
        key: &str,
        version: Option<i64>,
        viewpoint: &Viewpoint,
    ) -> Result<Option<SecretRow>, ReadError> {
        let Some((group, entrance)) = self.let_in(Hint::Name(folded_group), viewpoint) else { return Ok(None) };
        let read =
            |row: &Row<'_>| Ok((SecretRow::read_by_name(row, folded_group)?, read_number(row, SecretRow::NUMBER)?));
        let asked = params![group, folded_group, key, version];
        let found = self.first(&SECRET_NUMBERED_BY_NAME, &asked, read).await?;
        let found = self.hinted(Hint::Name(folded_group), found);
        let found = found.filter(|(_, number)| self.is_of(entrance, *number));
        Ok(found.map(|(secret, _)| secret.entered(entrance)))
    }

    /// The role that grants give somebody on a group, if they give one.
    pub(crate) async fn role_numbered(
        &self,
        group: GroupId,
        viewpoint: &Viewpoint,
    ) -> Result<Option<GroupRole>, ReadError> {
        let Some((_, entrance)) = self.let_in(Hint::Group(group), viewpoint) else { return Ok(None) };
        let number = self.first(&SELECT_GRANT_NUMBER, &[], |row| read_number(row, 0)).await?.flatten();
        Ok(entrance.role.filter(|_| self.is_of(entrance, number)))
    }

    /// Remembers what a statement that looks for grants has shown somebody.
    pub(crate) fn shown<T>(
        &self,
        hint: Hint<'_>,
        found: Option<T>,
        group: impl Fn(&T) -> (GroupId, Option<GroupRole>),
    ) -> Option<T> {
        if let (Some(database), Some(found)) = (self.postgres(), &found) {
            let (id, role) = group(found);
            database.shown(hint, id, role.is_some());
        }
        found
    }

    /// What was found where a hint led to; one that led to nothing is forgotten.
    fn hinted<T>(&self, hint: Hint<'_>, found: Option<T>) -> Option<T> {
        if let (Some(database), Hint::Name(name), None) = (self.postgres(), hint, &found) {
            database.forget_name(name);
        }
        found
    }

    fn let_in(&self, hint: Hint<'_>, viewpoint: &Viewpoint) -> Option<(GroupId, Entrance)> {
        self.postgres()?.entrance(hint, viewpoint, self.now())
    }

    fn is_of(&self, entrance: Entrance, number: Option<u64>) -> bool {
        self.postgres().is_some_and(|database| database.holds(entrance, number))
    }
}

fn read_number(row: &Row<'_>, column: usize) -> Result<Option<u64>, ReadError> {
    Ok(row.opt_int(column)?.and_then(|number| u64::try_from(number).ok()))
}
