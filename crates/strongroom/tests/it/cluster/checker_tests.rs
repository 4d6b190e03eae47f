//! The checker passes good histories and rejects each kind of bad ones: what it can't see, the cluster tests can't find.

mod mutations;
mod rules;
mod story;

use std::collections::BTreeSet;

use super::checker::check;
use super::history::{Call, Id, Outcome, Seen};
use crate::support::random::Random;
use story::Story;

#[track_caller]
fn rejected(story: &Story, rule: &str) {
    let found = check(&story.history, &story.truth);
    let by_rule = found.iter().any(|text| text.split_once(':').unwrap().0 == rule);
    assert!(by_rule, "not rejected for {rule:?}, but for {found:#?}");
}

#[track_caller]
fn passes(story: &Story) {
    assert_eq!(check(&story.history, &story.truth), Vec::<String>::new());
}

fn update(keys: &[u8]) -> Call {
    Call::Update { given: keys.to_vec(), kept: Vec::new() }
}

/// A group of the name 0 with the keys 0 and 1, made at 0..10.
fn begun() -> (Story, Option<Id>) {
    let mut story = Story::default();
    story.tell(0, (0, 10), 0, None, Call::Create { keys: vec![0, 1] });
    let id = story.truth.groups[0].id;
    (story, Some(id))
}

#[test]
fn good_histories_pass() {
    for seed in 0..40 {
        let mut story = story::random(seed, 2_000);
        // In which order the clients' records are put together says nothing.
        let mut random = Random::new(seed);
        for at in (1..story.history.len()).rev() {
            story.history.swap(at, random.index(at + 1));
        }
        assert_eq!(check(&story.history, &story.truth), Vec::<String>::new(), "seed {seed}");
    }
}

#[test]
fn an_empty_history_passes() {
    passes(&Story::default());
    let (story, _) = begun();
    passes(&story);
}

/// Histories without some kind of operation and outcome would say nothing of its rules.
#[test]
fn random_histories_have_everything_in_them() {
    let mut kinds = BTreeSet::new();
    for seed in 0..10 {
        for operation in story::random(seed, 2_000).history {
            let call = format!("{:?}", operation.call);
            let outcome = match operation.outcome {
                Outcome::Ok(Seen::NoGroup) => "no group".to_owned(),
                Outcome::Ok(_) => "ok".to_owned(),
                other => format!("{other:?}"),
            };
            let word = |text: &str| text.split([' ', '(']).next().unwrap().to_owned();
            kinds.insert(format!(
                "{} {}",
                word(&call),
                outcome.split_once('(').map_or(&*outcome, |(_, what)| &what[..8])
            ));
        }
    }
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    for kind in ["Create NameTake", "Restore NameTake", "Update OtherRev", "Update NotThere", "ReadByName no group"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    let actions = ["Create", "Update", "DeleteSecret", "RestoreSecret", "Delete", "Restore"];
    for (action, outcome) in actions.iter().flat_map(|action| [(action, "ok"), (action, "Unknown")]) {
        assert!(kinds.contains(&&*format!("{action} {outcome}")), "{action} {outcome}: {kinds:?}");
    }
    for read in ["Read", "ReadValues", "ReadValue", "ReadReference", "ReadByName"] {
        assert!(kinds.contains(&&*format!("{read} ok")), "{read}: {kinds:?}");
    }
}
