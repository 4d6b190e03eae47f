//! Whether each revision is what its operation makes of the revision before, and numbers have no gaps.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Facts;
use crate::cluster::history::{Call, Current, Id, Key, Operation, Outcome, Seen, TrueGroup};

/// Checks all groups, and fills in who made which version.
pub(super) fn check(facts: &mut Facts<'_>, found: &mut Vec<String>) {
    let mut secrets = Secrets::default();
    for (place, group) in facts.truth.groups.iter().enumerate() {
        let owners: Vec<Option<&Operation>> =
            facts.owners[place].iter().map(|owner| owner.map(|at| &facts.history[at])).collect();
        for (current, owner) in check_group(group, &owners, &facts.living[place], &mut secrets, found) {
            facts.made.insert((current.secret, current.version), owner.map(|owner| owner.tag));
            if let Some(owner) = owner {
                facts.values.insert((owner.tag, current.key), (place, current));
            }
        }
    }
    check_rows(facts, found);
    for (version, tag) in &facts.truth.values {
        if facts.made.get(version).is_some_and(|made| made.is_some_and(|made| made != *tag)) {
            found.push(format!("value: version {version:?} has the value of #{tag}, not of what made it"));
        }
    }
}

/// What is known of the secrets of all groups up to a revision.
#[derive(Default)]
struct Secrets {
    seen: HashSet<Id>,
    /// What was last current of each.
    last: HashMap<Id, Current>,
}

/// Checks one group; gives the versions that each revision made.
fn check_group<'a>(
    group: &TrueGroup,
    owners: &[Option<&'a Operation>],
    living: &[bool],
    secrets: &mut Secrets,
    found: &mut Vec<String>,
) -> Vec<(Current, Option<&'a Operation>)> {
    let mut made = Vec::new();
    let mut before: &[Current] = &[];
    let mut buried: &[Current] = &[];
    for (at, revision) in group.revisions.iter().enumerate() {
        let (number, owner) = (at + 1, owners[at + 1]);
        let name = || format!("revision {number} of {}", group.id);
        if i64::try_from(number) != Ok(revision.number) {
            found.push(format!("numbers: {} is called {}", name(), revision.number));
        }
        let after: &[Current] = &revision.state;
        if let Some(owner) = owner {
            let previous = Previous { number: at, living: living[at], state: before, buried };
            if let Err(wrong) = follows(&previous, after, owner, secrets) {
                found.push(format!("content: {} is not what {owner} makes: {wrong}", name()));
            }
            if owner.if_match.is_some_and(|asked| i64::try_from(at) != Ok(asked)) {
                found.push(format!("if-match: {} follows another than {owner} named", name()));
            }
            if let Outcome::Ok(Seen::Group { group: id, revision: told, secrets: shown }) = &owner.outcome {
                let shown = shown.iter().map(|secret| &secret.current);
                if *id != group.id || told.is_some_and(|told| told != revision.number) || !shown.eq(after) {
                    found.push(format!("answer: {owner} was told something else than {}", name()));
                }
            }
        }
        for current in after {
            let known = secrets.last.get(&current.secret);
            if known.is_none_or(|known| known.version < current.version) {
                made.push((*current, owner));
            }
            secrets.last.insert(current.secret, *current);
            secrets.seen.insert(current.secret);
        }
        if living[at] {
            buried = before;
        }
        before = after;
    }
    let last = group.revisions.len();
    if i64::try_from(last) != Ok(group.revision) || living[last] == group.deleted {
        let (revision, deleted) = (group.revision, group.deleted);
        found.push(format!("row: {} is at {revision}, deleted: {deleted}, after {last} revisions", group.id));
    }
    made
}

/// A revision and what a restore would bring back after it.
struct Previous<'a> {
    number: usize,
    living: bool,
    state: &'a [Current],
    buried: &'a [Current],
}

/// Whether a call makes this of the state before.
fn follows(
    before: &Previous<'_>,
    after: &[Current],
    owner: &Operation,
    secrets: &mut Secrets,
) -> Result<(), &'static str> {
    let creates = matches!(owner.call, Call::Create { .. });
    let restores = matches!(owner.call, Call::Restore);
    if creates != (before.number == 0) || (!creates && before.living == restores) {
        return Err("it can't follow what was before");
    }
    match &owner.call {
        Call::Create { keys } => keys_are(after, keys, &[]).and_then(|()| given(before.state, after, keys, secrets)),
        Call::Update { given: new, kept } => {
            keys_are(after, new, kept)?;
            if !after.iter().filter(|current| kept.contains(&current.key)).all(|kept| before.state.contains(kept)) {
                return Err("a key that was to stay has changed");
            }
            given(before.state, after, new, secrets)
        }
        Call::DeleteSecret { secret } => {
            let others = before.state.iter().filter(|current| current.secret != *secret);
            let there = before.state.iter().any(|current| current.secret == *secret);
            if there && others.eq(after) { Ok(()) } else { Err("not one secret less") }
        }
        Call::RestoreSecret { secret } => {
            let others = after.iter().filter(|current| current.secret != *secret);
            let back = after.iter().find(|current| current.secret == *secret);
            let as_it_was = back.is_some() && back == secrets.last.get(secret);
            if as_it_was && others.eq(before.state) { Ok(()) } else { Err("not one secret more, as it was") }
        }
        Call::Delete if after.is_empty() => Ok(()),
        Call::Restore if after == before.buried => Ok(()),
        _ => Err("not all secrets, as they were"),
    }
}

fn keys_are(state: &[Current], given: &[Key], kept: &[Key]) -> Result<(), &'static str> {
    let asked: BTreeSet<Key> = given.iter().chain(kept).copied().collect();
    let there: Vec<Key> = state.iter().map(|current| current.key).collect();
    if asked.into_iter().eq(there) { Ok(()) } else { Err("other keys than were asked for") }
}

/// Each key that got a value has a next version, or a new secret's first.
fn given(before: &[Current], after: &[Current], keys: &[Key], secrets: &mut Secrets) -> Result<(), &'static str> {
    for current in after.iter().filter(|current| keys.contains(&current.key)) {
        match before.iter().find(|old| old.key == current.key) {
            Some(old) if old.secret != current.secret => return Err("another secret under a key that lived"),
            Some(old) if old.version + 1 != current.version => return Err("not the next version"),
            None if current.version != 1 => return Err("a new secret that doesn't begin with version 1"),
            None if !secrets.seen.insert(current.secret) => return Err("an old secret under a new key"),
            Some(_) | None => {}
        }
    }
    Ok(())
}

/// The rows of secrets and versions say the same as the revisions.
fn check_rows(facts: &Facts<'_>, found: &mut Vec<String>) {
    let mut rows = HashSet::new();
    for secret in &facts.truth.secrets {
        let mut versions = secret.versions.clone();
        versions.sort_unstable();
        let newest = versions.len() as u64;
        if !(1..=newest).map(u64::cast_signed).eq(versions.iter().copied()) || secret.version != newest.cast_signed() {
            found.push(format!("versions: {} at {} has {versions:?}", secret.id, secret.version));
        }
        rows.extend(versions.into_iter().map(|version| (secret.id, version)));
    }
    for version in rows.iter().filter(|version| !facts.made.contains_key(version)) {
        found.push(format!("half: version {version:?} is of no revision"));
    }
    for version in facts.made.keys().filter(|version| !rows.contains(version)) {
        found.push(format!("half: version {version:?} of a revision has no row"));
    }
}
