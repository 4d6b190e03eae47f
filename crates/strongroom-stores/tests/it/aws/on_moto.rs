//! Over moto, with its IAM looking on.

use std::collections::BTreeMap;

use strongroom_stores::{
    Condition, Removal, SecretStore, StoreErrorKind,
    aws::{AwsAuthData, AwsRegion, AwsSecretsManagerSettings, EntryRemoval},
    conformance,
};
use strongroom_throwaway::Moto;

use super::setting::{Bench, SKIPPED, Wanted, access_key, entry, settings, store};

/// What `docs/reference/stores/aws-secrets-manager.md` tells people to paste.
const DOCUMENT: &str = include_str!("../../../../../docs/reference/stores/aws-secrets-manager.md");

pub(super) fn moto() -> Option<Moto> {
    let program = Moto::program();
    if program.is_none() {
        eprintln!("SKIPPED: STRONGROOM_TEST_MOTO isn't set; cargo xtask test sets it");
    }
    program.map(|program| Moto::start(&program).unwrap())
}

fn anybody() -> AwsAuthData {
    access_key("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
}

/// The least policy of the document. moto asks of every resource whether it is `*`, so that is what it is here; the
/// patterns of the document are looked at in `the_documents_resources_are_ours`.
pub(super) fn least_policy() -> serde_json::Value {
    let mut policy = policy_of_document();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        statement["Resource"] = "*".into();
    }
    policy
}

/// The first block of JSON after the heading.
fn policy_of_document() -> serde_json::Value {
    let (_, section) = DOCUMENT.split_once("## Permissions").unwrap();
    let (_, block) = section.split_once("```json\n").unwrap();
    serde_json::from_str(block.split_once("```").unwrap().0).unwrap()
}

fn actions(policy: &serde_json::Value) -> Vec<String> {
    let statements = policy["Statement"].as_array().unwrap().iter();
    let actions = statements.flat_map(|statement| match &statement["Action"] {
        serde_json::Value::Array(actions) => actions.clone(),
        action => vec![action.clone()],
    });
    actions.map(|action| action.as_str().unwrap().to_owned()).collect()
}

pub(super) fn allowing(actions: &[String]) -> String {
    let statement = serde_json::json!({"Effect": "Allow", "Action": actions, "Resource": "*"});
    serde_json::json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

fn in_region(url: &str, auth: AwsAuthData, region: &str) -> AwsSecretsManagerSettings {
    AwsSecretsManagerSettings { region: AwsRegion::parse(region).unwrap(), ..settings(url, auth) }
}

#[tokio::test]
async fn the_suite_passes() {
    let Some(moto) = moto() else { return };
    let skipped = conformance::run(&store(settings(&moto.url(), anybody())), 1).await;
    assert_eq!(skipped, SKIPPED);
    let into_trash = AwsSecretsManagerSettings {
        removal: EntryRemoval::Trash { days: 7 },
        ..in_region(&moto.url(), anybody(), "us-east-1")
    };
    assert_eq!(conformance::run(&store(into_trash), 2).await, SKIPPED);
}

#[tokio::test]
async fn the_least_policy_is_enough() {
    let Some(moto) = moto() else { return };
    let policy = least_policy().to_string();
    let (id, secret) = moto.user_with_policy("strongroom", &policy).unwrap();
    moto.enforce_iam().unwrap();
    conformance::run(&store(settings(&moto.url(), access_key(&id, &secret))), 1).await;

    let wrong = store(settings(&moto.url(), access_key(&id, "wrong"))).probe().await.unwrap_err();
    assert!(matches!(wrong.kind, StoreErrorKind::Unauthenticated), "{wrong}");
    let unknown = store(settings(&moto.url(), access_key("AKIANOBODY", "wrong"))).probe().await.unwrap_err();
    assert!(matches!(unknown.kind, StoreErrorKind::Unauthenticated), "{unknown}");
}

#[tokio::test]
async fn a_role_is_assumed() {
    let Some(moto) = moto() else { return };
    let trust = serde_json::json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    ]});
    let role = moto.role_with_policy("strongroom", &trust.to_string(), &least_policy().to_string()).unwrap();
    let (id, secret) = moto.user_with_policy("assuming", &allowing(&["sts:AssumeRole".to_owned()])).unwrap();
    moto.enforce_iam().unwrap();
    let by_itself = settings(&moto.url(), access_key(&id, &secret));
    let error = store(by_itself.clone()).probe().await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::PermissionDenied);
    let assumed = AwsAuthData::AssumedRole { assumed_role_arn: role, external_id: Some("external-1".to_owned()) };
    let with_role = AwsSecretsManagerSettings { integration_auth: Some(assumed), ..by_itself };
    conformance::run(&store(with_role), 1).await;
}

#[tokio::test]
async fn a_probe_names_what_is_missing() {
    let Some(moto) = moto() else { return };
    let all = actions(&least_policy());
    // AWS asks for it where an entry is made with tags; moto doesn't.
    let asked: Vec<String> = all.iter().filter(|action| *action != "secretsmanager:TagResource").cloned().collect();
    assert_eq!(asked.len(), all.len() - 1);
    let mut keys = Vec::new();
    for (number, action) in asked.iter().enumerate() {
        let others: Vec<String> = all.iter().filter(|other| *other != action).cloned().collect();
        keys.push(moto.user_with_policy(&format!("without-{number}"), &allowing(&others)).unwrap());
    }
    let nothing = moto.user_with_policy("nothing", &allowing(&["s3:ListBucket".to_owned()])).unwrap();
    moto.enforce_iam().unwrap();
    for ((id, secret), action) in keys.iter().zip(&asked) {
        let store = store(settings(&moto.url(), access_key(id, secret)));
        // What removing an entry takes is asked by itself, too.
        let removing = ["secretsmanager:DescribeSecret", "secretsmanager:DeleteSecret"];
        match store.answers().await {
            Ok(()) => assert!(!removing.contains(&action.as_str()), "{action}"),
            Err(error) => {
                assert_eq!(error.kind, StoreErrorKind::PermissionDenied, "{error}");
                assert!(error.reason.starts_with(&format!("missing: {action} (")), "{action}: {error}");
                assert!(removing.contains(&action.as_str()), "{error}");
            }
        }
        let error = store.probe().await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::PermissionDenied, "{error}");
        assert!(error.reason.starts_with(&format!("missing: {action} (")), "{action}: {error}");
        let is_left = action == "secretsmanager:DeleteSecret";
        assert_eq!(error.reason.contains("left over from this check"), is_left, "{error}");
    }
    let error = store(settings(&moto.url(), access_key(&nothing.0, &nothing.1))).probe().await.unwrap_err();
    for action in &asked {
        assert!(error.reason.contains(action.as_str()), "{action}: {error}");
    }
}

#[test]
fn the_documents_resources_are_ours() {
    for statement in policy_of_document()["Statement"].as_array().unwrap() {
        let expected = match actions(&serde_json::json!({"Statement": [statement]})).as_slice() {
            // AWS knows no resource for it.
            [only] if only == "secretsmanager:ListSecrets" => "*",
            _ => "arn:aws:secretsmanager:*:*:secret:/tfy-secret/*",
        };
        assert_eq!(statement["Resource"], expected);
    }
}

#[tokio::test]
async fn an_earlier_entry_in_the_way_gets_a_neighbour() {
    let Some(moto) = moto() else { return };
    let bench = Bench::new(store(settings(&moto.url(), anybody())));
    let (old, new) = (entry("db", 1), entry("db", 2));
    let first = bench.put(old, Wanted::first("old")).await.unwrap();
    // Deleted in Strongroom, where it is kept for 30 days, and made again.
    let second = bench.put(new, Wanted::first("new")).await.unwrap();
    assert_eq!(bench.get(old, &first).await.unwrap(), "old");
    assert_eq!(bench.get(new, &second).await.unwrap(), "new");
    assert_eq!(bench.latest(new).await.as_deref(), Some("new"));
    let third = bench.put(new, Wanted::staged("newer", 2)).await.unwrap();
    bench.store.promote(&new, &third).await.unwrap();
    assert_eq!(bench.latest(new).await.as_deref(), Some("newer"));
    assert_eq!(bench.latest(old).await.as_deref(), Some("old"));
    let again = bench.put(new, Wanted::first("x")).await.unwrap_err();
    assert_eq!(again.kind, StoreErrorKind::AlreadyExists);
    let names = bench.store.list("tfy-secret/acme/pay/", "", 10).await.unwrap();
    assert_eq!(names, ["tfy-secret/acme/pay/db", "tfy-secret/acme/pay/db@00000000000000000000000000000002"]);
    // The old one's end leaves the new one alone, and the other way round.
    bench.store.remove(&old, Removal::Entry).await.unwrap();
    assert_eq!(bench.latest(old).await, None);
    assert_eq!(bench.get(new, &third).await.unwrap(), "newer");
    assert_eq!(bench.latest(new).await.as_deref(), Some("newer"));
    bench.store.remove(&new, Removal::Entry).await.unwrap();
    assert_eq!(bench.store.list("tfy-secret/", "", 10).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_name_in_the_trash_of_aws_gets_a_neighbour() {
    let Some(moto) = moto() else { return };
    let into_trash =
        AwsSecretsManagerSettings { removal: EntryRemoval::Trash { days: 7 }, ..settings(&moto.url(), anybody()) };
    let bench = Bench::new(store(into_trash));
    let (old, new) = (entry("db", 1), entry("db", 2));
    let first = bench.put(old, Wanted::first("old")).await.unwrap();
    for _ in 0..2 {
        bench.store.remove(&old, Removal::Entry).await.unwrap();
    }
    let gone = bench.get(old, &first).await.unwrap_err();
    assert_eq!(gone.kind, StoreErrorKind::NotFound);
    assert!(gone.reason.contains("RestoreSecret"), "{gone}");
    let second = bench.put(new, Wanted::first("new")).await.unwrap();
    assert_eq!(bench.get(new, &second).await.unwrap(), "new");
    assert_eq!(bench.latest(new).await.as_deref(), Some("new"));
}

#[tokio::test]
async fn what_is_not_ours_is_left_alone() {
    let Some(moto) = moto() else { return };
    let theirs = AwsSecretsManagerSettings {
        instance: "another".to_owned(),
        tags: BTreeMap::new(),
        ..settings(&moto.url(), anybody())
    };
    let theirs = Bench::new(store(theirs));
    let ours = Bench::new(store(settings(&moto.url(), anybody())));
    let entry = entry("db", 1);
    let version = theirs.put(entry, Wanted::first("theirs")).await.unwrap();
    for wanted in
        [Wanted::first("x"), Wanted::staged("x", 2), Wanted { condition: Condition::Always, ..Wanted::first("x") }]
    {
        let error = ours.put(entry, wanted).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::AlreadyExists);
        assert!(error.reason.contains("`/tfy-secret/acme/pay/db` is there and isn't this Strongroom's"), "{error}");
    }
    assert_eq!(ours.latest(entry).await, None);
    assert_eq!(ours.store.promote(&entry, &version).await.unwrap_err().kind, StoreErrorKind::NotFound);
    ours.store.remove(&entry, Removal::Version(&version)).await.unwrap();
    ours.store.remove(&entry, Removal::Entry).await.unwrap();
    assert_eq!(theirs.latest(entry).await.as_deref(), Some("theirs"));
}

#[tokio::test]
async fn one_put_sent_twice_makes_one_version() {
    let Some(moto) = moto() else { return };
    let bench = Bench::new(store(settings(&moto.url(), anybody())));
    let entry = entry("db", 1);
    let first = || Wanted { mark: Some("operation-1"), ..Wanted::first("one") };
    let one = bench.put(entry, first()).await.unwrap();
    assert_eq!(bench.put(entry, first()).await.unwrap(), one);
    let second = || Wanted {
        mark: Some("operation-2"),
        condition: Condition::LatestIs(&one),
        staged: false,
        ..Wanted::staged("two", 2)
    };
    let two = bench.put(entry, second()).await.unwrap();
    // It holds still, as the latest is this very version.
    assert_eq!(bench.put(entry, second()).await.unwrap(), two);
    let other = bench.put(entry, Wanted { value: "other", ..second() }).await.unwrap_err();
    assert_eq!(other.kind, StoreErrorKind::AlreadyExists);
    assert_eq!(bench.latest(entry).await.as_deref(), Some("two"));
}

#[tokio::test]
async fn what_is_promoted_can_be_taken_back_and_let_go() {
    let Some(moto) = moto() else { return };
    let bench = Bench::new(store(settings(&moto.url(), anybody())));
    let entry = entry("db", 1);
    let old = bench.put(entry, Wanted::first("old")).await.unwrap();
    let new = bench.put(entry, Wanted::staged("new", 2)).await.unwrap();
    let current = bench.store.remove(&entry, Removal::Version(&old)).await.unwrap_err();
    assert_eq!(current.kind, StoreErrorKind::Precondition);
    for version in [&new, &new, &old] {
        bench.store.promote(&entry, version).await.unwrap();
    }
    assert_eq!(bench.latest(entry).await.as_deref(), Some("old"));
    for _ in 0..2 {
        bench.store.remove(&entry, Removal::Version(&new)).await.unwrap();
    }
    assert_eq!(bench.latest(entry).await.as_deref(), Some("old"));
}

#[tokio::test]
async fn an_empty_value_survives_updates() {
    let Some(moto) = moto() else { return };
    let bench = Bench::new(store(settings(&moto.url(), anybody())));
    let entry = entry("db", 1);
    let one = bench.put(entry, Wanted::first("")).await.unwrap();
    let two = bench.put(entry, Wanted::staged("strongroom:empty", 2)).await.unwrap();
    assert_eq!(bench.latest(entry).await.as_deref(), Some(""));
    assert_eq!(bench.get(entry, &one).await.unwrap(), "");
    assert_eq!(bench.get(entry, &two).await.unwrap(), "strongroom:empty");
}
