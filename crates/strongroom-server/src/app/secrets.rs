//! Secrets: get, list, reveal, delete.

use std::collections::HashSet;
use std::sync::Arc;

use strongroom_domain::fqn::SecretFqn;
use strongroom_domain::{GroupId, SecretId, SecretValue};
use strongroom_metadata::{GroupState, Page, SecretRow, SecretState, SecretToReveal, VersionRow};

use super::changes::{Action, Plan, Step};
use super::cursors::Listing;
use super::outer::side_by_side;
use super::reveals::Reveal;
use super::secret_groups::living;
use super::values::Opening;
use super::{AppError, Context, ReadValues, Resource, See, WriteSecrets};
use crate::http::IfMatch;

/// A page with values ends after this many bytes of them.
const VALUES_A_PAGE: usize = 16 << 20;
/// How many versions come with one secret; more are paged by their own list.
const VERSIONS_WITH_A_SECRET: i64 = 100;
/// How often a read is repeated when the group moves on under it.
const READS: usize = 16;

/// Which secrets to list.
pub(crate) struct SecretQuery {
    pub(crate) group: Option<GroupId>,
    pub(crate) fqns: Option<Vec<String>>,
    pub(crate) with_value: bool,
    pub(crate) offset: i64,
    pub(crate) limit: i64,
}

/// A secret, and its value where the caller may have it.
pub(crate) struct Revealed {
    pub(crate) secret: SecretRow,
    pub(crate) value: Option<SecretValue>,
}

impl Context {
    /// One secret with its newest versions and, for those who may read it, its value.
    pub(crate) async fn get_secret(
        &self,
        id: SecretId,
    ) -> Result<(Arc<SecretToReveal>, Option<SecretValue>), AppError> {
        for _ in 0..READS {
            let found =
                self.app().metadata.secret_to_reveal(id, self.caller().viewpoint(), VERSIONS_WITH_A_SECRET).await?;
            let found = found.filter(|found| lives(&found.secret)).ok_or(AppError::NotFound(Resource::Secret))?;
            let secret = &found.secret;
            self.authorize::<_, See>(secret)?;
            let value = match self.open_if_permitted(secret).await? {
                None => continue,
                Some(None) => None,
                Some(Some(opening)) => Some(self.given(&Reveal::one(secret), self.opened(opening)).await?),
            };
            return Ok((found, value));
        }
        Err(AppError::Busy)
    }

    /// A page of a secret's versions, and how many there are.
    pub(crate) async fn list_secret_versions(
        &self,
        id: SecretId,
        offset: i64,
        limit: i64,
    ) -> Result<(SecretRow, Vec<VersionRow>, i64), AppError> {
        let found = self.app().metadata.secret(id, self.caller().viewpoint(), 1).await?;
        let (secret, _) = found.filter(|(row, _)| lives(row)).ok_or(AppError::NotFound(Resource::Secret))?;
        self.authorize::<_, See>(&secret)?;
        let (versions, total) = self.app().metadata.secret_versions(id, offset, limit).await?;
        Ok((secret, versions, total))
    }

    /// The value that a reference names, for the External Secrets webhook.
    pub(crate) async fn get_referenced_secret(&self, reference: &str) -> Result<SecretValue, AppError> {
        let missing = || AppError::NotFound(Resource::Secret);
        let fqn = SecretFqn::parse(reference).filter(|fqn| fqn.tenant == self.app().tenant).ok_or_else(missing)?;
        let key = fqn.key.as_ref().ok_or_else(missing)?;
        let folded = fqn.group.folded();
        for _ in 0..READS {
            let viewpoint = self.caller().viewpoint();
            let found =
                self.app().metadata.secret_to_reveal_by_name(&folded, key.as_str(), fqn.version, viewpoint).await?;
            let found = found.filter(|found| lives(&found.secret)).ok_or_else(missing)?;
            let secret = &found.secret;
            let permitted = self.authorize::<_, ReadValues>(secret)?;
            if let Some(opening) = self.open_value(&permitted).await? {
                return self.given(&Reveal::one(secret), self.opened(opening)).await;
            }
        }
        Err(AppError::Busy)
    }

    /// A page of the visible secrets, with the values that the caller may read where they are asked for.
    pub(crate) async fn list_secrets(&self, query: &SecretQuery) -> Result<(Vec<Revealed>, i64), AppError> {
        if let Some(group) = query.group {
            // An unknown group is an error here, not an empty list.
            let state = living(self.app().metadata.group(group, self.caller().viewpoint()).await?)?;
            self.authorize::<_, See>(&state)?;
        }
        for _ in 0..READS {
            let found = match &query.fqns {
                Some(fqns) => self.named_secrets(fqns, query).await?,
                None => Some(self.secret_page(query).await?),
            };
            let Some((rows, total)) = found else { continue };
            // A group that was deleted since it was looked at is not one without secrets.
            if let Some(group) = query.group.filter(|_| rows.is_empty() && query.offset == 0) {
                let state = living(self.app().metadata.group(group, self.caller().viewpoint()).await?)?;
                if query.fqns.is_none() && !state.secrets.is_empty() {
                    continue;
                }
            }
            if let Some(revealed) = self.reveal(rows, query.with_value).await? {
                self.remember_page(query, &revealed);
                return Ok((revealed, total));
            }
        }
        Err(AppError::Busy)
    }

    /// Puts a secret into the trash.
    pub(crate) async fn delete_secret(&self, id: SecretId, if_match: IfMatch, force: bool) -> Result<(), AppError> {
        let found = self.app().metadata.secret(id, self.caller().viewpoint(), 1).await?;
        let (secret, _) = found.filter(|(row, _)| lives(row)).ok_or(AppError::NotFound(Resource::Secret))?;
        self.authorize::<_, WriteSecrets>(&secret)?;
        self.check_store(secret.integration_id, force).await?;
        let decide = |state: &GroupState| {
            let state = &*self.authorize::<_, WriteSecrets>(state)?;
            let there = state.group.deleted_at.is_none() && state.secrets.iter().any(|secret| secret.id == id);
            if !there {
                return Err(AppError::NotFound(Resource::Secret));
            }
            if_match.check(state.group.revision)?;
            Ok(Some(Plan { action: Action::DeleteSecret, steps: vec![Step::Drop { id }], ..Plan::default() }))
        };
        self.change_group(secret.group_id, decide).await.map(|_| ())
    }

    async fn secret_page(&self, query: &SecretQuery) -> Result<(Vec<SecretRow>, i64), AppError> {
        let app = self.app();
        let filter = query.group.map(|id| id.to_string()).unwrap_or_default();
        let listing = Listing { subject: &self.caller().actor.id, list: "secrets", filter: &filter };
        let before = app.caches.cursors.before(&listing, query.offset, app.clock.now());
        let before = before.and_then(|id| SecretId::parse(&id));
        let page = Page { before, offset: if before.is_some() { 0 } else { query.offset }, limit: query.limit };
        let sealed_up_to = query.with_value.then_some(VALUES_A_PAGE);
        Ok(app.metadata.secret_page(self.caller().viewpoint().clone(), query.group, page, sealed_up_to).await?)
    }

    fn remember_page(&self, query: &SecretQuery, revealed: &[Revealed]) {
        if let (None, Some(last)) = (&query.fqns, revealed.last()) {
            let app = self.app();
            let filter = query.group.map(|id| id.to_string()).unwrap_or_default();
            let listing = Listing { subject: &self.caller().actor.id, list: "secrets", filter: &filter };
            let end = query.offset + i64::try_from(revealed.len()).unwrap_or(i64::MAX);
            app.caches.cursors.remember(&listing, end, last.secret.id.to_string(), app.clock.now());
        }
    }

    /// A page of the visible secrets that a list of FQNs names, and how many those are. All of one group are of one
    /// revision, so that nobody sees half of an update; `None` when a group moved on meanwhile.
    async fn named_secrets(
        &self,
        fqns: &[String],
        query: &SecretQuery,
    ) -> Result<Option<(Vec<SecretRow>, i64)>, AppError> {
        let app = self.app();
        let mut wanted: Vec<SecretFqn> = Vec::new();
        let mut seen = HashSet::new();
        for fqn in fqns.iter().filter_map(|fqn| SecretFqn::parse(fqn)) {
            let key = fqn.key.as_ref().map(|key| key.as_str().to_owned());
            // This gives what is current; one version is no secret of the list.
            let named = fqn.tenant == app.tenant && key.is_some() && fqn.version.is_none();
            if named && seen.insert((fqn.group.folded(), key)) {
                wanted.push(fqn);
            }
        }
        let mut groups: std::collections::HashMap<String, Option<GroupState>> = std::collections::HashMap::new();
        let mut rows = Vec::new();
        for fqn in wanted {
            let folded = fqn.group.folded();
            if !groups.contains_key(&folded) {
                tokio::task::yield_now().await;
                let state = app.metadata.group_by_name(&folded, self.caller().viewpoint()).await?;
                let state =
                    state.filter(|state| self.permits::<_, See>(state).is_some() && state.group.deleted_at.is_none());
                groups.insert(folded.clone(), state);
            }
            let Some(Some(state)) = groups.get(&folded) else { continue };
            let in_group = query.group.is_none_or(|id| id == state.group.id);
            let key = fqn.key.as_ref().map(strongroom_domain::names::SecretKey::as_str);
            let found = state.secrets.iter().find(|secret| Some(secret.key.as_str()) == key);
            if let Some(secret) = found.filter(|_| in_group) {
                rows.push(row_of(state, secret));
            }
        }
        let total = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let (skip, take) = (usize::try_from(query.offset), usize::try_from(query.limit));
        let page: Vec<SecretRow> = rows.into_iter().skip(skip.unwrap_or(usize::MAX)).take(take.unwrap_or(0)).collect();
        let page = if query.with_value { self.with_sealed(page).await? } else { Some(page) };
        Ok(page.map(|page| (page, total)))
    }

    /// The rows with their sealed values, as many as a page may have; `None` when a group moved on meanwhile.
    async fn with_sealed(&self, rows: Vec<SecretRow>) -> Result<Option<Vec<SecretRow>>, AppError> {
        let (mut page, mut bytes) = (Vec::with_capacity(rows.len()), 0);
        for mut row in rows {
            if bytes >= VALUES_A_PAGE {
                break;
            }
            // Values of a page are many reads: others have their turn between them.
            tokio::task::yield_now().await;
            let (folded, viewpoint) = (row.group_name.to_ascii_lowercase(), self.caller().viewpoint());
            let read = self.app().metadata.secret_by_name(&folded, &row.key, None, viewpoint).await?;
            let Some(read) = read.filter(|read| read.id == row.id && read.revision == row.revision) else {
                return Ok(None);
            };
            bytes += read.sealed.as_ref().map_or(0, Vec::len);
            row.sealed = read.sealed;
            page.push(row);
        }
        Ok(Some(page))
    }

    /// Opens what may be opened; one event names it all, and is durable before anything is given.
    /// `None` when a group moved on meanwhile.
    async fn reveal(&self, rows: Vec<SecretRow>, with_value: bool) -> Result<Option<Vec<Revealed>>, AppError> {
        let mut values = vec![None; rows.len()];
        if with_value {
            let mut openings = Vec::with_capacity(rows.len());
            for opening in side_by_side(rows.iter().map(|secret| self.open_if_permitted(secret)).collect()).await {
                let Some(opening) = opening? else { return Ok(None) };
                openings.push(opening);
            }
            let opened = rows.iter().zip(&openings).filter(|(_, opening)| opening.is_some()).map(|(row, _)| row);
            let reveal = Reveal::several(opened.collect());
            if !reveal.is_empty() {
                values = self.given(&reveal, self.all_opened(openings)).await?;
            }
        }
        Ok(Some(rows.into_iter().zip(values).map(|(secret, value)| Revealed { secret, value }).collect()))
    }

    /// Each may be a call of an outer store.
    async fn all_opened(&self, openings: Vec<Option<Opening<'_>>>) -> Result<Vec<Option<SecretValue>>, AppError> {
        let opened = openings.into_iter().map(|opening| async {
            match opening {
                Some(opening) => self.opened(opening).await.map(Some),
                None => Ok(None),
            }
        });
        side_by_side(opened.collect()).await.into_iter().collect()
    }

    /// The value, `Some(None)` for those who may not read it, `None` when the group moved on.
    async fn open_if_permitted<'a>(&self, secret: &'a SecretRow) -> Result<Option<Option<Opening<'a>>>, AppError> {
        match self.permits::<_, ReadValues>(secret) {
            Some(permitted) => Ok(self.open_value(&permitted).await?.map(Some)),
            None => Ok(Some(None)),
        }
    }
}

fn lives(row: &SecretRow) -> bool {
    row.deleted_at.is_none() && row.group_deleted_at.is_none()
}

fn row_of(state: &GroupState, secret: &SecretState) -> SecretRow {
    let group = &state.group;
    SecretRow {
        id: secret.id,
        key: secret.key.clone(),
        current_version: secret.version,
        created_by: secret.created_by.clone(),
        created_at: secret.created_at,
        updated_at: secret.updated_at,
        deleted_at: None,
        purge_at: None,
        group_id: group.id,
        group_name: group.name.clone(),
        integration_id: group.integration_id,
        revision: group.revision,
        revision_mac: group.revision_mac.clone(),
        data_key: group.data_key.clone(),
        data_key_kek: group.data_key_kek,
        group_deleted_at: group.deleted_at,
        role: group.role,
        role_until: None,
        version: VersionRow {
            id: secret.version_id,
            version: secret.version,
            digest: secret.digest.clone(),
            store_version: secret.store_version.clone(),
            created_by: secret.created_by.clone(),
            created_at: secret.version_created_at,
            gone_at: None,
        },
        sealed: secret.sealed.clone(),
    }
}
