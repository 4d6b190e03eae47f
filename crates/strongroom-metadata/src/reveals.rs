//! Reading secrets to reveal them: the reads that are asked for again and again, kept while they hold.
//!
//! What is kept is what the database holds: sealed values, never plain ones.

use std::sync::Arc;

use quick_cache::{Weighter, sync::Cache};
use strongroom_domain::SecretId;

use crate::sqlite::Stamp;
use crate::{Metadata, ReadError, SecretRow, VersionRow, Viewpoint};

/// Bytes kept, more or less.
const KEPT: u64 = 32 << 20;
/// What a row of usual size takes beside its sealed value.
const A_ROW: usize = 1_200;

/// A secret as somebody sees it, with its newest versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretToReveal {
    /// The secret.
    pub secret: SecretRow,
    /// The newest versions; only the one asked for, where one was asked for by name.
    pub versions: Vec<VersionRow>,
}

/// What was asked, and by whom.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    asked: Asked,
    viewpoint: Viewpoint,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Asked {
    Id { id: SecretId, versions: i64 },
    Name { folded_group: String, key: String, version: Option<i64> },
}

#[derive(Clone)]
pub(crate) struct Kept {
    /// Taken before the read; `None` for what only shows which group to ask about next time.
    as_of: Option<Stamp>,
    found: Arc<SecretToReveal>,
}

/// Answers that hold while their stamp does.
pub(crate) struct Reveals(Cache<Question, Kept, ByBytes>);

#[derive(Clone)]
pub(crate) struct ByBytes;

impl Weighter<Question, Kept> for ByBytes {
    fn weight(&self, _: &Question, kept: &Kept) -> u64 {
        let sealed = kept.found.secret.sealed.as_ref().map_or(0, Vec::len);
        (A_ROW * (1 + kept.found.versions.len()) + sealed) as u64
    }
}

impl Reveals {
    pub(crate) fn new() -> Self {
        Self(Cache::with_weighter(10_000, KEPT, ByBytes))
    }
}

impl Metadata {
    /// A secret (deleted ones too) and its newest versions, the current one with its sealed value.
    pub fn secret_to_reveal(
        &self,
        id: SecretId,
        viewpoint: &Viewpoint,
        versions: i64,
    ) -> Result<Option<Arc<SecretToReveal>>, ReadError> {
        self.kept_or(Asked::Id { id, versions }, viewpoint, || {
            let found = self.secret(id, viewpoint, versions)?;
            Ok(found.map(|(secret, versions)| SecretToReveal { secret, versions }))
        })
    }

    /// A living secret by its group's (folded) name and its key, at a version or, with `None`, as it is.
    pub fn secret_to_reveal_by_name(
        &self,
        folded_group: &str,
        key: &str,
        version: Option<i64>,
        viewpoint: &Viewpoint,
    ) -> Result<Option<Arc<SecretToReveal>>, ReadError> {
        let asked = Asked::Name { folded_group: folded_group.to_owned(), key: key.to_owned(), version };
        self.kept_or(asked, viewpoint, || {
            let found = self.secret_by_name(folded_group, key, version, viewpoint)?;
            Ok(found.map(|secret| SecretToReveal { versions: vec![secret.version.clone()], secret }))
        })
    }

    fn kept_or(
        &self,
        asked: Asked,
        viewpoint: &Viewpoint,
        read: impl FnOnce() -> Result<Option<SecretToReveal>, ReadError>,
    ) -> Result<Option<Arc<SecretToReveal>>, ReadError> {
        let question = Question { asked, viewpoint: viewpoint.clone() };
        let kept = self.reveals().0.get(&question);
        let present = kept.as_ref().and_then(|kept| self.group_stamp(kept.found.secret.group_id));
        match &kept {
            Some(Kept { as_of: Some(as_of), found }) if present == Some(*as_of) => return Ok(Some(found.clone())),
            _ => {}
        }
        let Some(found) = read()?.map(Arc::new) else { return Ok(None) };
        // Only what was kept tells before the read which group it is of; so an answer holds from the second time on.
        let same_group = kept.is_some_and(|kept| kept.found.secret.group_id == found.secret.group_id);
        self.reveals().0.insert(question, Kept { as_of: present.filter(|_| same_group), found: found.clone() });
        Ok(Some(found))
    }
}
