//! What tests may see. These show values, unlike anything that is not for tests.

use strongroom_domain::SecretId;

/// An entry with all that it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryView {
    /// Its name in the store.
    pub name: String,
    /// Whose it is; `None` where somebody else made it.
    pub owner: Option<SecretId>,
    /// Whether it was removed and only keeps its name.
    pub is_trash: bool,
    /// Oldest first.
    pub versions: Vec<VersionView>,
}

/// A version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionView {
    /// What the store calls it.
    pub version: String,
    /// Its value; `None` once it was removed.
    pub value: Option<String>,
    /// The mark that it was put with.
    pub mark: Option<String>,
    /// Our own number of it; `None` where somebody else made it.
    pub number: Option<i64>,
    /// Who sees it.
    pub state: VersionState,
}

/// Who sees a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionState {
    /// Whoever reads the store directly.
    Latest,
    /// Who asks for it: another took its place.
    Older,
    /// Who asks for it: it was never the latest.
    Staged,
    /// Nobody.
    Removed,
}
