//! Reading secrets to reveal them: the reads that are asked for again and again, kept while they hold.
//!
//! What is kept is what the database holds: sealed values, never plain ones.

use std::sync::Arc;

use quick_cache::{Weighter, sync::Cache};
use strongroom_domain::{GroupId, SecretId};

use crate::stamps::Stamp;
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
    pub async fn secret_to_reveal(
        &self,
        id: SecretId,
        viewpoint: &Viewpoint,
        versions: i64,
    ) -> Result<Option<Arc<SecretToReveal>>, ReadError> {
        let reveal = |(secret, versions)| SecretToReveal { secret, versions };
        if !self.keeps_groups() {
            return Ok(self.secret(id, viewpoint, versions).await?.map(reveal).map(Arc::new));
        }
        let question = Question { asked: Asked::Id { id, versions }, viewpoint: viewpoint.clone() };
        let known = match self.kept(&question) {
            Known::Holds(found) => return Ok(Some(found)),
            known => known,
        };
        let found = self.secret(id, viewpoint, versions).await?;
        Ok(self.keep(question, &known, found.map(reveal)))
    }

    /// A living secret by its group's (folded) name and its key, at a version or, with `None`, as it is.
    pub async fn secret_to_reveal_by_name(
        &self,
        folded_group: &str,
        key: &str,
        version: Option<i64>,
        viewpoint: &Viewpoint,
    ) -> Result<Option<Arc<SecretToReveal>>, ReadError> {
        let reveal = |secret: SecretRow| SecretToReveal { versions: vec![secret.version.clone()], secret };
        if !self.keeps_groups() {
            let found = self.secret_by_name(folded_group, key, version, viewpoint).await?;
            return Ok(found.map(reveal).map(Arc::new));
        }
        let asked = Asked::Name { folded_group: folded_group.to_owned(), key: key.to_owned(), version };
        let question = Question { asked, viewpoint: viewpoint.clone() };
        let known = match self.kept(&question) {
            Known::Holds(found) => return Ok(Some(found)),
            known => known,
        };
        let found = self.secret_by_name(folded_group, key, version, viewpoint).await?;
        Ok(self.keep(question, &known, found.map(reveal)))
    }

    /// What is kept for a question, before anything is read.
    fn kept(&self, question: &Question) -> Known {
        let Some(kept) = self.reveals().0.get(question) else { return Known::Nothing };
        let group = kept.found.secret.group_id;
        match self.group_stamp(group) {
            // A grant that ended moves no stamp.
            Some(present)
                if kept.as_of == Some(present)
                    && kept.found.secret.role_until.is_none_or(|until| until > self.now()) =>
            {
                Known::Holds(kept.found)
            }
            present => Known::Group(group, present),
        }
    }

    /// Keeps what was read, and gives it.
    fn keep(&self, question: Question, known: &Known, found: Option<SecretToReveal>) -> Option<Arc<SecretToReveal>> {
        let found = Arc::new(found?);
        // Only what was kept tells before the read which group it is of; so an answer holds from the second time on.
        let as_of = match known {
            Known::Group(group, present) if *group == found.secret.group_id => *present,
            _ => None,
        };
        self.reveals().0.insert(question, Kept { as_of, found: found.clone() });
        Some(found)
    }
}

/// What is known before a read.
enum Known {
    Nothing,
    /// The answer itself.
    Holds(Arc<SecretToReveal>),
    /// Of which group the answer was the last time, and that group's present stamp.
    Group(GroupId, Option<Stamp>),
}
