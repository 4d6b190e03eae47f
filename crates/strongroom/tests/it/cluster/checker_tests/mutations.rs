//! Good histories at random, each damaged in one place: every damage is seen.

use super::check;
use super::rules::forget_last;
use super::story::{self, Story};
use crate::cluster::history::{Call, Outcome, Refusal, Seen, SeenSecret};
use crate::support::random::Random;

const SEEDS: u64 = 60;

/// Damages something at random; false when there is nothing of that kind.
type Mutation = fn(&mut Story, &mut Random) -> bool;

#[track_caller]
fn always_seen(mutation: Mutation) {
    let mut damaged = 0;
    for seed in 0..SEEDS {
        let mut story = story::random(seed, 300);
        if mutation(&mut story, &mut Random::new(seed)) {
            damaged += 1;
            assert!(!check(&story.history, &story.truth).is_empty(), "seed {seed}: the damage was not seen");
        }
    }
    assert!(damaged > SEEDS / 2, "only {damaged} of {SEEDS} histories were damaged");
}

/// One of some places in the history.
fn pick(story: &Story, random: &mut Random, fits: impl Fn(&Story, usize) -> bool) -> Option<usize> {
    let all: Vec<usize> = (0..story.history.len()).filter(|at| fits(story, *at)).collect();
    (!all.is_empty()).then(|| all[random.index(all.len())])
}

fn acknowledged(story: &Story, at: usize) -> bool {
    let operation = &story.history[at];
    operation.call.action().is_some() && matches!(operation.outcome, Outcome::Ok(_))
}

/// The group and the revision of an operation.
fn revision_of(story: &Story, at: usize) -> Option<(usize, usize)> {
    let request = story.history[at].request?;
    story.truth.groups.iter().enumerate().find_map(|(place, group)| {
        group.revisions.iter().position(|revision| revision.request == request).map(|revision| (place, revision))
    })
}

/// The operation of a revision.
fn owner(story: &Story, place: usize, revision: usize) -> Option<usize> {
    let request = story.truth.groups[place].revisions.get(revision)?.request;
    story.history.iter().position(|operation| operation.request == Some(request))
}

#[test]
fn two_revisions_change_places() {
    always_seen(|story, random| {
        let place = random.index(story.truth.groups.len());
        let revisions = &mut story.truth.groups[place].revisions;
        if revisions.len() < 2 {
            return false;
        }
        let at = random.index(revisions.len() - 1);
        revisions.swap(at, at + 1);
        (revisions[at].number, revisions[at + 1].number) = (revisions[at + 1].number, revisions[at].number);
        true
    });
}

#[test]
fn a_revision_vanishes() {
    always_seen(|story, random| {
        let Some((place, revision)) = pick(story, random, acknowledged).and_then(|at| revision_of(story, at)) else {
            return false;
        };
        let group = &mut story.truth.groups[place];
        group.revision -= 1;
        group.revisions.remove(revision);
        for later in &mut group.revisions[revision..] {
            later.number -= 1;
        }
        true
    });
}

#[test]
fn the_newest_acknowledged_revision_was_never_written() {
    always_seen(|story, random| {
        let last = |story: &Story, at: usize| {
            acknowledged(story, at)
                && revision_of(story, at)
                    .is_some_and(|(place, revision)| story.truth.groups[place].revisions.len() == revision + 1)
        };
        let Some((place, _)) = pick(story, random, last).and_then(|at| revision_of(story, at)) else { return false };
        forget_last(story, place);
        true
    });
}

#[test]
fn a_version_is_there_twice() {
    always_seen(|story, random| {
        let at = random.index(story.truth.secrets.len());
        let versions = &mut story.truth.secrets[at].versions;
        versions.push(versions[random.index(versions.len())]);
        true
    });
}

#[test]
fn a_version_is_missing() {
    always_seen(|story, random| {
        let at = random.index(story.truth.secrets.len());
        let versions = &mut story.truth.secrets[at].versions;
        versions.remove(random.index(versions.len()));
        true
    });
}

/// The revision that a read shows for certain, and its group.
fn shown(story: &Story, at: usize) -> Option<(usize, usize)> {
    let operation = &story.history[at];
    if operation.call.action().is_some() {
        return None;
    }
    let Outcome::Ok(Seen::Group { group, secrets, .. }) = &operation.outcome else { return None };
    let place = story.truth.groups.iter().position(|known| known.id == *group)?;
    let same = |at: &usize| {
        let revision = &story.truth.groups[place].revisions[*at];
        revision.state.iter().eq(secrets.iter().map(|secret| &secret.current))
    };
    let mut those = (0..story.truth.groups[place].revisions.len()).filter(same);
    those.next().filter(|_| those.next().is_none()).map(|revision| (place, revision))
}

#[test]
fn a_read_is_moved_behind_the_next_write() {
    always_seen(|story, random| {
        let next = |story: &Story, at: usize| {
            let (place, revision) = shown(story, at)?;
            owner(story, place, revision + 1).filter(|next| acknowledged(story, *next))
        };
        let Some(at) = pick(story, random, |story, at| next(story, at).is_some()) else { return false };
        let end = story.history[next(story, at).unwrap()].end;
        (story.history[at].start, story.history[at].end) = (end + 1, end + 2);
        true
    });
}

#[test]
fn a_read_is_moved_before_its_write() {
    always_seen(|story, random| {
        let made = |story: &Story, at: usize| {
            let (place, revision) = shown(story, at)?;
            owner(story, place, revision)
        };
        let Some(at) = pick(story, random, |story, at| made(story, at).is_some()) else { return false };
        let start = story.history[made(story, at).unwrap()].start;
        (story.history[at].start, story.history[at].end) = (start - 1, start - 1);
        true
    });
}

#[test]
fn a_read_shows_an_old_version_among_new_ones() {
    always_seen(|story, random| {
        let mixed = |secrets: &[SeenSecret]| secrets.len() > 1 && secrets.iter().any(|seen| seen.current.version > 1);
        let fits = |story: &Story, at: usize| {
            let operation = &story.history[at];
            matches!(&operation.outcome, Outcome::Ok(Seen::Group { secrets, .. }) if mixed(secrets))
        };
        let Some(at) = pick(story, random, fits) else { return false };
        let Outcome::Ok(Seen::Group { secrets, .. }) = &mut story.history[at].outcome else { return false };
        let old: Vec<&mut SeenSecret> = secrets.iter_mut().filter(|seen| seen.current.version > 1).collect();
        // The last of those that can be older: the others show the new revision.
        old.into_iter().next_back().unwrap().current.version -= 1;
        !fits_some_revision(story, at)
    });
}

/// Whether what an answer shows was current together at some time: an update of one key makes old sets out of new ones.
fn fits_some_revision(story: &Story, at: usize) -> bool {
    let action = story.history[at].call.action().is_some();
    !action && shown(story, at).is_some()
}

#[test]
fn a_read_shows_another_value() {
    always_seen(|story, random| {
        let fits = |story: &Story, at: usize| {
            matches!(&story.history[at].outcome,
                Outcome::Ok(Seen::Group { secrets, .. }) if secrets.iter().any(|secret| secret.tag.is_some()))
        };
        let Some(at) = pick(story, random, fits) else { return false };
        let Outcome::Ok(Seen::Group { secrets, .. }) = &mut story.history[at].outcome else { return false };
        let at = random.index(secrets.len());
        secrets[at].tag = secrets[at].tag.map(|tag| tag + 1);
        true
    });
}

#[test]
fn a_write_is_moved_behind_a_later_one() {
    always_seen(|story, random| {
        let later = |story: &Story, at: usize| {
            let (place, revision) = revision_of(story, at).filter(|_| acknowledged(story, at))?;
            owner(story, place, revision + 1).filter(|later| acknowledged(story, *later))
        };
        let Some(at) = pick(story, random, |story, at| later(story, at).is_some()) else { return false };
        let end = story.history[later(story, at).unwrap()].end;
        (story.history[at].start, story.history[at].end) = (end + 1, end + 2);
        true
    });
}

#[test]
fn an_acknowledged_write_is_called_refused() {
    always_seen(|story, random| {
        let Some(at) = pick(story, random, acknowledged) else { return false };
        story.history[at].outcome = Outcome::Refused(Refusal::Busy);
        true
    });
}

#[test]
fn an_operation_with_an_effect_is_forgotten() {
    always_seen(|story, random| {
        let Some(at) = pick(story, random, |story, at| revision_of(story, at).is_some()) else { return false };
        story.history.remove(at);
        true
    });
}

#[test]
fn an_event_is_missing() {
    always_seen(|story, random| {
        story.truth.changes.remove(random.index(story.truth.changes.len()));
        true
    });
}

#[test]
fn a_group_that_always_lived_is_not_found() {
    always_seen(|story, random| {
        let forever = |story: &Story, at: usize| {
            let operation = &story.history[at];
            let group = story.truth.groups.iter().find(|group| operation.group == Some(group.id));
            operation.call == Call::Read
                && group.is_some_and(|group| group.revisions.iter().all(|revision| !revision.state.is_empty()))
        };
        let Some(at) = pick(story, random, forever) else { return false };
        // Its creation may be one that nobody knows the end of.
        let place = story.truth.groups.iter().position(|group| story.history[at].group == Some(group.id)).unwrap();
        let made = owner(story, place, 0).filter(|made| acknowledged(story, *made));
        if made.is_none_or(|made| story.history[made].end >= story.history[at].start) {
            return false;
        }
        story.history[at].outcome = Outcome::Refused(Refusal::NotThere);
        true
    });
}

#[test]
fn what_a_write_was_told_is_another_revision() {
    always_seen(|story, random| {
        let told = |story: &Story, at: usize| {
            acknowledged(story, at) && matches!(story.history[at].outcome, Outcome::Ok(Seen::Group { .. }))
        };
        let Some(at) = pick(story, random, told) else { return false };
        let Outcome::Ok(Seen::Group { revision, .. }) = &mut story.history[at].outcome else { return false };
        *revision = revision.map(|revision| revision + 1);
        true
    });
}
