//! Which revision each answer shows, and whether it shows all of one and nothing else.

use std::collections::HashMap;

use super::Facts;
use crate::cluster::history::{Call, Current, Id, Key, Operation, Outcome, Refusal, Seen, SeenSecret};

/// What answers say about groups.
#[derive(Default)]
pub(super) struct Reads {
    /// Those that can only show one revision: group, revision, operation.
    pub(super) exact: Vec<(usize, usize, usize)>,
    /// Those that can show several: group, what they say, operation.
    pub(super) vague: Vec<(usize, Claim, usize)>,
}

/// What is true of the group at the moment of the answer.
pub(super) enum Claim {
    /// It lives, with exactly this.
    State(Vec<Current>),
    /// It lives, and this is current.
    Current(Current),
    /// It doesn't live.
    NotLiving,
    /// It doesn't live, or not with this secret.
    Without(Id),
    /// It lives, and one of these keys isn't there.
    Lacks(Vec<Key>),
}

impl Claim {
    pub(super) fn holds(&self, facts: &Facts<'_>, place: usize, revision: usize) -> bool {
        let living = facts.living[place][revision];
        match self {
            Self::State(state) => living && facts.state(place, revision) == state,
            Self::Current(current) => facts.current(place, revision, current.secret) == Some(*current),
            Self::NotLiving => !living,
            Self::Without(secret) => facts.current(place, revision, *secret).is_none(),
            Self::Lacks(keys) => {
                let has = |key: &Key| facts.state(place, revision).iter().any(|current| current.key == *key);
                living && !keys.iter().all(has)
            }
        }
    }
}

/// The revisions of one group by their states.
type States<'a> = HashMap<&'a [Current], Vec<usize>>;

pub(super) fn place(facts: &Facts<'_>, found: &mut Vec<String>) -> Reads {
    let mut reads = Reads::default();
    let states: Vec<States<'_>> = (0..facts.truth.groups.len()).map(|place| by_state(facts, place)).collect();
    for (at, operation) in facts.history.iter().enumerate() {
        let placed = match &operation.outcome {
            // What a write was told is compared with its revision.
            Outcome::Ok(_) if operation.call.action().is_some() => Ok(()),
            Outcome::Ok(seen) => place_seen(facts, &states, operation, seen, at, &mut reads),
            Outcome::Refused(refusal) => place_refusal(facts, operation, *refusal, at, &mut reads),
            Outcome::Unknown => Ok(()),
        };
        if let Err(wrong) = placed {
            found.push(format!("read: {operation} {wrong}"));
        }
    }
    reads
}

fn by_state<'a>(facts: &Facts<'a>, place: usize) -> States<'a> {
    let mut states: States<'a> = HashMap::new();
    for revision in (1..facts.living[place].len()).filter(|revision| facts.living[place][*revision]) {
        states.entry(facts.state(place, revision)).or_default().push(revision);
    }
    states
}

fn place_seen(
    facts: &Facts<'_>,
    states: &[States<'_>],
    operation: &Operation,
    seen: &Seen,
    at: usize,
    reads: &mut Reads,
) -> Result<(), String> {
    match seen {
        Seen::Group { group, revision, secrets } => {
            let place = *facts.places.get(group).ok_or("shows a group that isn't there")?;
            if facts.truth.groups[place].slot != operation.slot {
                return Err("shows a group of another name".to_owned());
            }
            right_values(facts, secrets)?;
            let state: Vec<Current> = secrets.iter().map(|secret| secret.current).collect();
            match (revision, states[place].get(state.as_slice()).map(Vec::as_slice)) {
                (_, None) => return Err(format!("shows what was never current together: {state:?}")),
                (Some(revision), Some(those)) => {
                    let shown = those.iter().find(|those| i64::try_from(**those) == Ok(*revision));
                    let shown =
                        shown.ok_or_else(|| format!("shows revision {revision} with the state of {those:?}"))?;
                    reads.exact.push((place, *shown, at));
                }
                (None, Some([only])) => reads.exact.push((place, *only, at)),
                (None, Some(_)) => reads.vague.push((place, Claim::State(state), at)),
            }
        }
        Seen::Secret { revision, secret } => {
            let place = called(facts, operation)?;
            right_values(facts, std::slice::from_ref(secret))?;
            let revision = exact(facts, place, *revision)?;
            if facts.current(place, revision, secret.current.secret) != Some(secret.current) {
                return Err(format!("shows {:?}, which is not of revision {revision}", secret.current));
            }
            reads.exact.push((place, revision, at));
        }
        Seen::Value(tag) => {
            let Call::ReadReference { key } = operation.call else { return Ok(()) };
            let (place, current) = facts.values.get(&(*tag, key)).ok_or("got a value that no revision has there")?;
            if facts.truth.groups[*place].slot != operation.slot {
                return Err("got a value of another name".to_owned());
            }
            reads.vague.push((*place, Claim::Current(*current), at));
        }
        Seen::Done | Seen::NoGroup => {}
    }
    Ok(())
}

fn place_refusal(
    facts: &Facts<'_>,
    operation: &Operation,
    refusal: Refusal,
    at: usize,
    reads: &mut Reads,
) -> Result<(), String> {
    match refusal {
        Refusal::OtherRevision(current) => {
            let place = called(facts, operation)?;
            let revision = exact(facts, place, current)?;
            if operation.if_match == Some(current) {
                return Err("was refused for the revision that it named".to_owned());
            }
            reads.exact.push((place, revision, at));
        }
        // By name: the other module looks at those.
        Refusal::NotThere if operation.group.is_some() => {
            let place = called(facts, operation)?;
            let claim = match operation.call {
                Call::DeleteSecret { secret } | Call::ReadValue { secret } => Claim::Without(secret),
                Call::Restore => return Err("a deleted group can't be brought back".to_owned()),
                _ => Claim::NotLiving,
            };
            reads.vague.push((place, claim, at));
        }
        Refusal::Invalid => {
            let Call::Update { kept, .. } = &operation.call else { return Err("is refused as invalid".to_owned()) };
            reads.vague.push((called(facts, operation)?, Claim::Lacks(kept.clone()), at));
        }
        Refusal::NotThere | Refusal::NameTaken | Refusal::Busy => {}
    }
    Ok(())
}

fn called(facts: &Facts<'_>, operation: &Operation) -> Result<usize, String> {
    let place = operation.group.and_then(|group| facts.places.get(&group)).copied();
    place.ok_or_else(|| "calls a group that isn't there".to_owned())
}

/// A living revision that an answer names.
fn exact(facts: &Facts<'_>, place: usize, revision: i64) -> Result<usize, String> {
    let at = usize::try_from(revision).ok().filter(|at| facts.living[place].get(*at) == Some(&true));
    at.ok_or_else(|| format!("shows revision {revision}, which isn't there or doesn't live"))
}

/// Each value that is shown is the one that its version was made with.
fn right_values(facts: &Facts<'_>, secrets: &[SeenSecret]) -> Result<(), String> {
    for SeenSecret { current, tag } in secrets {
        if let (Some(tag), Some(Some(made))) = (tag, facts.made.get(&(current.secret, current.version)))
            && tag != made
        {
            return Err(format!("shows {current:?} with the value of #{tag} instead of #{made}'s"));
        }
    }
    Ok(())
}
