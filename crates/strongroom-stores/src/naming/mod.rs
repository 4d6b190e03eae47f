//! What secrets are called in each kind of store.
//!
//! Every mapping follows the contract's layout and is injective as its store compares names: two secrets never meet.
//! What was named once is looked for under that name for ever, so none of these may change.

use std::borrow::Cow;

use aws_lc_rs::digest;
use strongroom_domain::SecretId;
use uuid::Uuid;

use crate::Entry;

/// The contract's root.
pub const ROOT: &str = "tfy-secret";

/// Of a name in AWS Secrets Manager, in characters.
pub const LONGEST_IN_SECRETS_MANAGER: usize = 512;
/// Of a name in AWS Parameter Store, in characters.
pub const LONGEST_IN_PARAMETER_STORE: usize = 1011;
/// Of a name in Google Secret Manager, in characters.
pub const LONGEST_IN_GOOGLE: usize = 255;
/// Of a name in Azure Key Vault, in characters.
pub const LONGEST_IN_KEY_VAULT: usize = 127;

/// How many bytes of the hash stand in a name.
const HASH_BYTES: usize = 20;

/// What the embedded store and those in memory call it; nobody else reads them.
#[must_use]
pub fn plain(entry: &Entry<'_>) -> String {
    segments(entry, '~').join("/")
}

/// The parts of a path in Vault and OpenBao: parts are told apart by case, and a key has no `~`.
#[must_use]
pub fn vault<'a>(entry: &Entry<'a>) -> [Cow<'a, str>; 4] {
    segments(entry, '~')
}

/// The parts of a path in a store of the generic contract.
#[must_use]
pub fn generic<'a>(entry: &Entry<'a>) -> [Cow<'a, str>; 4] {
    segments(entry, '~')
}

/// A name in AWS Secrets Manager, which tells cases apart and takes an `@`, unlike our names.
#[must_use]
pub fn secrets_manager(entry: &Entry<'_>) -> String {
    format!("/{}", segments(entry, '@').join("/"))
}

/// A name in AWS Parameter Store. It takes nothing that a key may not have, so what stands beside is a level deeper,
/// where no other name of ours is.
#[must_use]
pub fn parameter_store(entry: &Entry<'_>) -> String {
    format!("/{}", segments(entry, '/').join("/"))
}

/// A name in Google Secret Manager, which tells cases apart and takes letters, digits, `-` and `_`.
#[must_use]
pub fn google(entry: &Entry<'_>) -> String {
    flat(entry, LONGEST_IN_GOOGLE, |letter| letter == '_')
}

/// A name in Azure Key Vault, which ignores case and takes letters, digits and `-`.
#[must_use]
pub fn key_vault(entry: &Entry<'_>) -> String {
    flat(entry, LONGEST_IN_KEY_VAULT, |_| false).to_ascii_lowercase()
}

/// A secret's id in names.
#[must_use]
pub fn id(secret: SecretId) -> String {
    Uuid::from_bytes(*secret.as_bytes()).simple().to_string()
}

/// No part of a name has a `/`, nor may it have `mark`.
fn segments<'a>(entry: &Entry<'a>, mark: char) -> [Cow<'a, str>; 4] {
    let key = if entry.beside {
        Cow::Owned(format!("{}{mark}{}", entry.key, id(entry.secret_id)))
    } else {
        Cow::Borrowed(entry.key)
    };
    [ROOT.into(), entry.tenant.into(), entry.group.into(), key]
}

/// Where the alphabet is too small for the layout: as much of it as people can use, and a hash of all of it.
fn flat(entry: &Entry<'_>, longest: usize, may_stay: impl Fn(char) -> bool) -> String {
    let Entry { tenant, group, key, .. } = entry;
    let readable = format!("{ROOT}-{tenant}-{group}-{key}");
    let fits = |letter: char| letter.is_ascii_alphanumeric() || may_stay(letter);
    let mut name: String = readable.chars().map(|letter| if fits(letter) { letter } else { '-' }).collect();
    // Room for the hash, which is always there: one that is left out now and then could be somebody's name.
    name.truncate(longest - 1 - 2 * HASH_BYTES);
    name.push('-');
    for byte in &hash(entry).as_ref()[..HASH_BYTES] {
        name.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
        name.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
    }
    name
}

fn hash(entry: &Entry<'_>) -> digest::Digest {
    let id = if entry.beside { id(entry.secret_id) } else { String::new() };
    let mut context = digest::Context::new(&digest::SHA256);
    // No part can pass for the end of another.
    for part in ["strongroom-name", entry.tenant, entry.group, entry.key, &id] {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part.as_bytes());
    }
    context.finish()
}

#[cfg(test)]
mod tests;
