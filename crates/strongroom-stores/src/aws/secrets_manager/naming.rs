//! What things are called in AWS: entries, versions, labels.

use strongroom_domain::SecretId;
use uuid::Uuid;

use crate::{
    Entry, StoreVersion,
    naming::{LONGEST_IN_SECRETS_MANAGER as LONGEST_NAME, id, secrets_manager},
};

/// Of a version's id, in characters.
const SHORTEST_ID: usize = 32;
const LONGEST_ID: usize = 64;
/// The digits of a version's number: enough for any `i64`.
const DIGITS: usize = 20;
/// How many of the newest versions have a label of ours. AWS has 20 labels for all versions of an entry together; it
/// needs `AWSCURRENT`, `AWSPREVIOUS` and, for its own rotation, `AWSPENDING`, and one is left to the owner.
pub(super) const LABELS: u32 = 16;
/// Ends a [`StoreVersion`] whose entry has the longer name. No token of ours, and no UUID, has an `@`.
const ASIDE: &str = "@aside";

/// Which of the two names that an entry can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The contract's name.
    Plain,
    /// That name with the secret's id behind it: the plain one is still taken by an entry that waits for its end.
    Aside,
}

impl Place {
    /// Where this secret's entry may be, in the order in which they are tried.
    pub(super) const fn of(entry: &Entry<'_>) -> &'static [Self] {
        if entry.beside { &[Self::Aside] } else { &[Self::Plain, Self::Aside] }
    }
}

/// The entry's name in AWS. No two secrets meet: a name of ours has neither `/` nor `@`, and AWS tells cases apart.
pub(super) fn name(entry: &Entry<'_>, place: Place) -> String {
    secrets_manager(&Entry { beside: place == Place::Aside, ..*entry })
}

/// The rule of AWS that the name breaks.
pub(super) fn check_name(entry: &Entry<'_>) -> Result<(), String> {
    let longest = name(entry, Place::Aside);
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+=.@-".contains(&byte);
    let parts = [entry.tenant, entry.group, entry.key];
    if parts.iter().any(|part| part.contains(['/', '@'])) || !longest.bytes().all(is_allowed) {
        return Err("a name in AWS Secrets Manager has letters, digits and _+=.- only".to_owned());
    }
    if longest.len() > LONGEST_NAME {
        return Err(format!("a name in AWS Secrets Manager has at most {LONGEST_NAME} characters"));
    }
    Ok(())
}

/// The id that a version gets, which is the request's token too: the same put sent twice makes one version. It names
/// the operation, so that who finds the version knows whose it is.
pub(super) fn version_id(mark: Option<&str>, number: i64, random: Uuid) -> Result<String, String> {
    let (kind, name) = mark.map_or_else(|| ("id", random.to_string()), |mark| ("op", mark.to_owned()));
    let number = number.unsigned_abs();
    let digits = DIGITS.max(SHORTEST_ID.saturating_sub(kind.len() + name.len() + 3));
    let id = format!("{kind}-{name}-v{number:0digits$}");
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || id.len() > LONGEST_ID || !id.bytes().all(is_allowed) {
        return Err("a mark in AWS Secrets Manager has 1 to 39 letters, digits, -, _ and .".to_owned());
    }
    Ok(id)
}

/// The operation that a version's id names.
pub(super) fn mark_of(version_id: &str) -> Option<&str> {
    let (name, digits) = version_id.strip_prefix("op-")?.rsplit_once("-v")?;
    is_number(digits).then_some(name)
}

/// Our own number of the version, from its id.
pub(super) fn number_of(version_id: &str) -> Option<u64> {
    let rest = version_id.strip_prefix("op-").or_else(|| version_id.strip_prefix("id-"))?;
    let (_, digits) = rest.rsplit_once("-v")?;
    is_number(digits).then(|| digits.parse().ok())?
}

/// The label that keeps version `number` from being dropped: it moves on from the version that is sixteen older, so
/// an entry never has more than sixteen, and nothing has to be taken away.
pub(super) fn label(number: u64) -> String {
    format!("{LABEL}{:02}", number % u64::from(LABELS))
}

/// How our labels begin.
pub(super) const LABEL: &str = "strongroom-";

pub(super) fn to_store_version(version_id: &str, place: Place) -> StoreVersion {
    StoreVersion(match place {
        Place::Plain => version_id.to_owned(),
        Place::Aside => format!("{version_id}{ASIDE}"),
    })
}

pub(super) fn from_store_version(version: &StoreVersion) -> (&str, Place) {
    version.0.strip_suffix(ASIDE).map_or((version.0.as_str(), Place::Plain), |id| (id, Place::Aside))
}

/// A secret's id in tags and names.
pub(super) fn simple(secret: SecretId) -> String {
    id(secret)
}

fn is_number(digits: &str) -> bool {
    digits.len() >= DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
#[path = "naming_tests.rs"]
mod tests;
