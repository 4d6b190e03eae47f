//! Over the strict model, in trouble of every kind.

use std::time::Duration;

use strongroom_domain::Backoff;
use strongroom_stores::{
    Condition, Entry, Removal, SecretStore, StoreError, StoreErrorKind, StoreVersion,
    aws::{AwsAuthData, AwsSecretsManagerSettings, AwsSecretsManagerStore},
    conformance,
    outer::OuterPolicy,
};

use super::{
    setting::{Bench, SKIPPED, Wanted, access_key, entry, seconds_now, settings, store_under},
    strict::{Aws, Part, Trouble, labels_of},
};

const NAME: &str = "/tfy-secret/acme/pay/db";
const KEY: &str = "canary-key";
const THROTTLED: &str = r#"{"__type":"ThrottlingException","message":"Rate exceeded"}"#;

type Way = (&'static str, fn() -> Trouble);

/// As ever, but with short waits.
fn quick() -> OuterPolicy {
    let backoff = Backoff { base: Duration::from_millis(1), cap: Duration::from_millis(2) };
    OuterPolicy { backoff, ..OuterPolicy::default() }
}

/// For who is never answered.
fn impatient() -> OuterPolicy {
    OuterPolicy { request: Duration::from_millis(500), ..quick() }
}

fn ours(aws: &Aws) -> AwsSecretsManagerSettings {
    settings(&aws.url(), access_key("AKIAEXAMPLE", KEY))
}

fn bench(aws: &Aws) -> Bench<AwsSecretsManagerStore> {
    Bench::new(store_under(ours(aws), quick()))
}

/// What the server does with an update: puts it unseen, then shows it.
async fn update(
    bench: &Bench<AwsSecretsManagerStore>,
    entry: Entry<'_>,
    value: &str,
    version: i64,
) -> Result<StoreVersion, StoreError> {
    update_on(bench, entry, Condition::Always, value, version).await
}

/// The same where it is known what the latest was.
async fn update_from(
    bench: &Bench<AwsSecretsManagerStore>,
    entry: Entry<'_>,
    last: &StoreVersion,
    value: &str,
    version: i64,
) -> Result<StoreVersion, StoreError> {
    update_on(bench, entry, Condition::LatestIs(last), value, version).await
}

async fn update_on(
    bench: &Bench<AwsSecretsManagerStore>,
    entry: Entry<'_>,
    condition: Condition<'_>,
    value: &str,
    version: i64,
) -> Result<StoreVersion, StoreError> {
    let mark = format!("operation-{version}");
    let put = bench.put(entry, Wanted { mark: Some(&mark), condition, ..Wanted::staged(value, version) }).await?;
    bench.store.promote(&entry, &put).await?;
    Ok(put)
}

#[tokio::test]
async fn the_suite_passes() {
    let aws = Aws::start().await;
    let skipped = conformance::run(&store_under(ours(&aws), OuterPolicy::default()), 1).await;
    assert_eq!(skipped, SKIPPED);
}

#[tokio::test]
async fn an_update_costs_two_requests_and_a_read_one() {
    let (aws, entry) = (Aws::start().await, entry("db", 1));
    let bench = bench(&aws);
    let mut last = bench.put(entry, Wanted::first("one")).await.unwrap();
    assert_eq!(aws.asked(), ["CreateSecret"]);
    let mut asked = Vec::new();
    for version in 2..=5 {
        last = update_from(&bench, entry, &last, "next", version).await.unwrap();
        asked.push(aws.asked());
    }
    let (look, put, show) = ("DescribeSecret", "PutSecretValue", "UpdateSecretVersionStage");
    // The first version of an entry is given a label of ours when it is replaced.
    assert_eq!(asked[0], [look, put, look, show, show]);
    assert_eq!(asked[1], [look, put, show]);
    assert_eq!(asked[2..], [[put, show], [put, show]]);
    bench.get(entry, &last).await.unwrap();
    assert_eq!(aws.asked(), ["GetSecretValue"]);
    // What is expected to be the latest by somebody who knows of another change is looked at.
    let stale = StoreVersion("op-elsewhere-v00000000000000000004".to_owned());
    let error = update_from(&bench, entry, &stale, "x", 6).await.unwrap_err();
    assert_eq!((error.kind, aws.asked()), (StoreErrorKind::Precondition, vec![look.to_owned()]));
}

/// Whatever is known of an entry, AWS has the last word.
#[tokio::test]
async fn what_is_known_of_an_entry_is_not_believed_against_aws() {
    let (aws, entry) = (Aws::start().await, entry("db", 1));
    let bench = bench(&aws);
    let one = bench.put(entry, Wanted::first("one")).await.unwrap();
    let two = update_from(&bench, entry, &one, "two", 2).await.unwrap();
    let three = update_from(&bench, entry, &two, "three", 3).await.unwrap();
    // Somebody has shown another version since: ours is shown after it all the same.
    let theirs = serde_json::json!({"SecretId": NAME, "ClientRequestToken": "1e2bd9a4-6f3c-4a53-8a2b-000000000000",
        "SecretString": "theirs", "VersionStages": ["AWSCURRENT"]});
    aws.state().entries.act("PutSecretValue", &theirs).unwrap();
    let four = update_from(&bench, entry, &three, "four", 4).await.unwrap();
    assert_eq!(bench.latest(entry).await.as_deref(), Some("four"));
    let five = update_from(&bench, entry, &four, "five", 5).await.unwrap();
    // Another server of ours has shown a newer one while ours was on its way: that stays.
    let six = Wanted { condition: Condition::LatestIs(&five), mark: Some("operation-6"), ..Wanted::staged("six", 6) };
    let six = bench.put(entry, six).await.unwrap();
    let newer = serde_json::json!({"SecretId": NAME, "ClientRequestToken": "op-elsewhere-v00000000000000000007",
        "SecretString": "seven", "VersionStages": ["AWSCURRENT", "strongroom-07"]});
    let overtaken = Trouble::Meanwhile(Box::new(move |entries| drop(entries.act("PutSecretValue", &newer).unwrap())));
    aws.trouble("UpdateSecretVersionStage", overtaken);
    assert_eq!(bench.store.promote(&entry, &six).await.unwrap_err().kind, StoreErrorKind::Precondition);
    assert_eq!(bench.latest(entry).await.as_deref(), Some("seven"));
    // Somebody has made it anew: nothing of ours gets there.
    aws.state().entries.remove(NAME);
    let create = serde_json::json!({"Name": NAME, "ClientRequestToken": "1e2bd9a4-6f3c-4a53-8a2b-000000000001",
        "SecretString": "made anew", "Tags": []});
    aws.state().entries.act("CreateSecret", &create).unwrap();
    let seven = StoreVersion("op-elsewhere-v00000000000000000007".to_owned());
    let error = update_from(&bench, entry, &seven, "canary", 8).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Precondition, "{error}");
    assert_eq!(bench.store.promote(&entry, &five).await.unwrap_err().kind, StoreErrorKind::NotFound);
    assert_eq!(aws.state().entries.count(), (1, 1));
    // A put that may have been carried out before it was refused says so.
    aws.state().entries.remove(NAME);
    let first = bench.put(entry, Wanted::first("first")).await.unwrap();
    let second = update_from(&bench, entry, &first, "second", 2).await.unwrap();
    let third = update_from(&bench, entry, &second, "third", 3).await.unwrap();
    aws.trouble("PutSecretValue", Trouble::Instead(500, "{}".to_owned()));
    aws.trouble("PutSecretValue", Trouble::Instead(400, r#"{"__type":"AccessDeniedException"}"#.to_owned()));
    let error = update_from(&bench, entry, &third, "fourth", 4).await.unwrap_err();
    assert_eq!((error.kind, error.may_have_happened), (StoreErrorKind::PermissionDenied, true), "{error}");
}

#[tokio::test]
async fn a_marked_version_is_found_with_its_labels_and_without() {
    let (aws, entry) = (Aws::start().await, entry("db", 1));
    let bench = bench(&aws);
    bench.put(entry, Wanted::first("one")).await.unwrap();
    let put = Wanted { mark: Some("operation-2"), ..Wanted::staged("two", 2) };
    let two = bench.put(entry, put).await.unwrap();
    aws.asked();
    assert_eq!(bench.store.find(&entry, "operation-2", 2).await.unwrap().as_ref(), Some(&two));
    assert_eq!(aws.asked(), ["DescribeSecret"]);
    bench.store.remove(&entry, Removal::Version(&two)).await.unwrap();
    assert_eq!(bench.store.find(&entry, "operation-2", 2).await.unwrap().as_ref(), Some(&two));
    aws.state().entries.drop_unlabelled();
    assert_eq!(bench.store.find(&entry, "operation-2", 2).await.unwrap(), None);
    // A lost answer to the question is no answer.
    aws.trouble("GetSecretValue", Trouble::Instead(400, r#"{"__type":"AccessDeniedException"}"#.to_owned()));
    let error = bench.store.find(&entry, "operation-2", 2).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::PermissionDenied);
}

#[tokio::test]
async fn one_beside_another_goes_straight_there() {
    let (aws, plain) = (Aws::start().await, entry("db", 1));
    let bench = bench(&aws);
    let beside = Entry { beside: true, ..entry("db", 2) };
    bench.put(plain, Wanted::first("plain")).await.unwrap();
    aws.asked();
    let put = Wanted { mark: Some("operation-1"), ..Wanted::first("beside") };
    let version = bench.put(beside, put).await.unwrap();
    assert_eq!(aws.asked(), ["CreateSecret"]);
    assert_eq!(bench.store.find(&beside, "operation-1", 1).await.unwrap().as_ref(), Some(&version));
    assert_eq!(aws.asked(), ["DescribeSecret"]);
    assert_eq!(bench.latest(beside).await.as_deref(), Some("beside"));
    assert_eq!(bench.get(beside, &version).await.unwrap(), "beside");
    assert_eq!(aws.asked().len(), 3);
}

#[tokio::test]
async fn a_store_that_answers_is_asked_to_make_nothing() {
    let aws = Aws::start().await;
    let bench = bench(&aws);
    bench.put(entry("db", 1), Wanted::first("one")).await.unwrap();
    aws.asked();
    bench.store.answers().await.unwrap();
    assert_eq!(aws.asked(), ["DescribeSecret", "DeleteSecret"]);
    assert_eq!(aws.state().entries.count(), (1, 1));
    for action in ["DescribeSecret", "DeleteSecret"] {
        aws.trouble(action, Trouble::Instead(400, r#"{"__type":"AccessDeniedException"}"#.to_owned()));
        let error = bench.store.answers().await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::PermissionDenied);
        assert!(error.reason.contains(&format!("missing: secretsmanager:{action}")), "{error}");
    }
}

#[tokio::test]
async fn the_newest_sixteen_versions_outlive_what_aws_drops() {
    let (aws, entry) = (Aws::start().await, entry("db", 1));
    let bench = bench(&aws);
    let mut versions = vec![bench.put(entry, Wanted::first("1")).await.unwrap()];
    for version in 2..=40 {
        // One that is given up, now and then: its number is given again.
        if version % 7 == 0 {
            let given_up = bench.put(entry, Wanted::staged("given up", version)).await.unwrap();
            bench.store.remove(&entry, Removal::Version(&given_up)).await.unwrap();
        }
        versions.push(update(&bench, entry, &version.to_string(), version).await.unwrap());
        aws.state().entries.drop_unlabelled();
        let labels = labels_of(&aws.state(), NAME).len();
        assert!(labels <= 18, "one for AWS' rotation and one for the owner: {labels}");
        let kept = versions.iter().enumerate().rev().take(16);
        for (at, version) in kept {
            assert_eq!(bench.get(entry, version).await.unwrap(), (at + 1).to_string());
        }
    }
    let error = bench.get(entry, &versions[0]).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::NotFound);
    assert_eq!(bench.latest(entry).await.as_deref(), Some("40"));
}

#[tokio::test]
async fn what_others_put_is_kept_when_it_is_replaced() {
    let (aws, entry) = (Aws::start().await, entry("db", 1));
    let bench = bench(&aws);
    bench.put(entry, Wanted::first("1")).await.unwrap();
    let theirs = "1e2bd9a4-6f3c-4a53-8a2b-000000000000";
    let put = serde_json::json!({"SecretId": NAME, "ClientRequestToken": theirs, "SecretString": "theirs",
        "VersionStages": ["AWSCURRENT"]});
    aws.state().entries.act("PutSecretValue", &put).unwrap();
    let latest = bench.store.latest(&entry).await.unwrap().unwrap();
    assert_eq!((latest.version.0.as_str(), latest.mark), (theirs, None));
    for version in 3..10 {
        update(&bench, entry, "ours", version).await.unwrap();
        aws.state().entries.drop_unlabelled();
    }
    assert_eq!(bench.get(entry, &latest.version).await.unwrap(), "theirs");
}

/// One update, each of whose requests gets into each trouble: it comes to its end, or says that it may have happened,
/// and done again it leaves what an update without trouble leaves.
#[tokio::test]
async fn no_trouble_makes_a_second_version_or_a_wrong_one() {
    let ways: [Way; 9] = [
        ("throttled", || Trouble::Instead(400, THROTTLED.to_owned())),
        ("status 429", || Trouble::Instead(429, String::new())),
        ("status 503", || Trouble::Instead(503, "<html>".to_owned())),
        ("status 500 after", || Trouble::After(500, r#"{"__type":"InternalServiceError"}"#.to_owned())),
        ("a wrong body after", || Trouble::After(200, "<html>".to_owned())),
        ("another body after", || Trouble::After(200, "{}".to_owned())),
        ("cut before", || Trouble::CutBefore),
        ("cut after", || Trouble::CutAfter),
        ("silence after", || Trouble::HangAfter),
    ];
    for (way, trouble) in ways {
        for action in ["CreateSecret", "DescribeSecret", "PutSecretValue", "UpdateSecretVersionStage"] {
            let (aws, entry) = (Aws::start().await, entry("db", 1));
            let policy = if way.contains("silence") { impatient() } else { quick() };
            let bench = Bench::new(store_under(ours(&aws), policy));
            let first = || Wanted { mark: Some("operation-1"), ..Wanted::first("one") };
            if action != "CreateSecret" {
                bench.put(entry, first()).await.unwrap();
            }
            aws.trouble(action, trouble());
            if action == "CreateSecret" {
                settled(bench.put(entry, first()).await, way, action, true);
                bench.put(entry, first()).await.unwrap();
            }
            settled(update(&bench, entry, "two", 2).await, way, action, action != "DescribeSecret");
            update(&bench, entry, "two", 2).await.unwrap();
            // Once more, as the first replacement of an entry's first version takes a request more.
            aws.trouble(action, trouble());
            settled(update(&bench, entry, "three", 3).await, way, action, action != "DescribeSecret");
            let three = update(&bench, entry, "three", 3).await.unwrap();
            let at = format!("{way}, {action}");
            assert_eq!(bench.get(entry, &three).await.unwrap(), "three", "{at}");
            assert_eq!(bench.latest(entry).await.as_deref(), Some("three"), "{at}");
            assert_eq!(aws.state().entries.count(), (1, 3), "{at}");
        }
    }
}

/// Only a body that nobody understands isn't settled by asking again.
fn settled(result: Result<StoreVersion, StoreError>, way: &str, action: &str, is_write: bool) {
    if let Err(error) = result {
        assert!(way.contains("body"), "{way}, {action}: {error}");
        assert_eq!((error.kind, error.may_have_happened), (StoreErrorKind::Unavailable, is_write), "{way}, {action}");
    }
}

#[tokio::test]
async fn aws_that_is_away_is_told_in_time() {
    let (aws, entry) = (Aws::start().await, entry("db", 1));
    let bench = Bench::new(store_under(ours(&aws), impatient()));
    for _ in 0..4 {
        aws.trouble("CreateSecret", Trouble::HangBefore);
    }
    let error = bench.put(entry, Wanted::first("x")).await.unwrap_err();
    assert_eq!((error.kind, error.may_have_happened), (StoreErrorKind::Unavailable, true), "{error}");
    let aws = Aws::start().await;
    let bench = Bench::new(store_under(ours(&aws), quick()));
    for _ in 0..4 {
        aws.trouble("GetSecretValue", Trouble::Instead(400, THROTTLED.to_owned()));
    }
    let version = StoreVersion("id-00000000-v00000000000000000001".to_owned());
    let error = bench.get(entry, &version).await.unwrap_err();
    assert_eq!((error.kind, aws.asked().len()), (StoreErrorKind::Throttled, 4), "{error}");
}

#[tokio::test]
async fn a_change_by_somebody_else_in_between_is_noticed() {
    let (aws, entry) = (Aws::start().await, entry("db", 1));
    let bench = bench(&aws);
    bench.put(entry, Wanted::first("one")).await.unwrap();
    let two = update(&bench, entry, "two", 2).await.unwrap();
    // Somebody else shows another version just before we do, by what we knew and by what we have looked up then.
    let theirs = |number: u32| {
        let put = serde_json::json!({"SecretId": NAME, "SecretString": "theirs", "VersionStages": ["AWSCURRENT"],
            "ClientRequestToken": format!("1e2bd9a4-6f3c-4a53-8a2b-00000000000{number}")});
        Trouble::Meanwhile(Box::new(move |entries| drop(entries.act("PutSecretValue", &put).unwrap())))
    };
    let three = bench.put(entry, Wanted::staged("three", 3)).await.unwrap();
    aws.trouble("UpdateSecretVersionStage", theirs(1));
    aws.trouble("UpdateSecretVersionStage", theirs(2));
    let error = bench.store.promote(&entry, &three).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Precondition);
    assert_eq!(bench.latest(entry).await.as_deref(), Some("theirs"));
    let conditional = Wanted { condition: Condition::LatestIs(&two), staged: false, ..Wanted::staged("x", 3) };
    assert_eq!(bench.put(entry, conditional).await.unwrap_err().kind, StoreErrorKind::Precondition);
    // Wanted all the same, it is done.
    bench.store.promote(&entry, &three).await.unwrap();
    assert_eq!(bench.latest(entry).await.as_deref(), Some("three"));
    let nowhere = StoreVersion("op-nowhere-v00000000000000000009".to_owned());
    assert_eq!(bench.store.promote(&entry, &nowhere).await.unwrap_err().kind, StoreErrorKind::NotFound);
    assert_eq!(bench.latest(entry).await.as_deref(), Some("three"));
}

#[tokio::test]
async fn an_entry_made_anew_by_somebody_else_is_never_touched() {
    let (aws, entry) = (Aws::start().await, entry("db", 1));
    let bench = bench(&aws);
    let theirs = || {
        let create = serde_json::json!({"Name": NAME, "ClientRequestToken": "1e2bd9a4-6f3c-4a53-8a2b-000000000000",
            "SecretString": "theirs", "Tags": []});
        Trouble::Meanwhile(Box::new(move |entries| {
            entries.remove(NAME);
            entries.act("CreateSecret", &create).unwrap();
        }))
    };
    for action in ["PutSecretValue", "DeleteSecret"] {
        aws.state().entries.remove(NAME);
        bench.put(entry, Wanted::first("one")).await.unwrap();
        aws.trouble(action, theirs());
        if action == "PutSecretValue" {
            let error = bench.put(entry, Wanted::staged("two", 2)).await.unwrap_err();
            assert_eq!(error.kind, StoreErrorKind::NotFound);
        } else {
            bench.store.remove(&entry, Removal::Entry).await.unwrap();
        }
        assert_eq!(aws.state().entries.count(), (1, 1), "{action}");
        let version = StoreVersion("1e2bd9a4-6f3c-4a53-8a2b-000000000000".to_owned());
        assert_eq!(bench.get(entry, &version).await.unwrap(), "theirs", "{action}");
    }
}

#[tokio::test]
async fn bytes_of_somebody_else_are_no_value() {
    let (aws, entry) = (Aws::start().await, entry("db", 1));
    let bench = bench(&aws);
    bench.put(entry, Wanted::first("one")).await.unwrap();
    let put = serde_json::json!({"SecretId": NAME, "ClientRequestToken": "1e2bd9a4-6f3c-4a53-8a2b-000000000000",
        "SecretBinary": "AAEC", "VersionStages": ["AWSCURRENT"]});
    aws.state().entries.act("PutSecretValue", &put).unwrap();
    assert_eq!(bench.store.latest(&entry).await.unwrap_err().kind, StoreErrorKind::Integrity);
}

#[tokio::test]
async fn what_aws_would_refuse_is_refused_before_it_is_asked() {
    let (aws, long) = (Aws::start().await, "k".repeat(513));
    let bench = bench(&aws);
    let error = bench.put(entry("db", 1), Wanted::first(&"x".repeat(65_537))).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Refused);
    assert!(error.reason.contains("at most 65536 bytes"), "{error}");
    for (key, rule) in [("bad name!*", "letters, digits and"), ("a/b", "letters"), ("a@b", "letters"), (&long, "512")] {
        let error = bench.put(entry(key, 1), Wanted::first("x")).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Refused);
        assert!(error.reason.contains(rule), "{error}");
    }
    assert_eq!(aws.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn the_time_is_taken_from_aws_once() {
    let aws = Aws::start().await;
    let bench = bench(&aws);
    aws.state().time = Some(seconds_now() + 3_600);
    bench.store.list("tfy-secret/", "", 1).await.unwrap();
    assert_eq!(aws.asked().len(), 2);
    bench.store.list("tfy-secret/", "", 1).await.unwrap();
    assert_eq!(aws.asked().len(), 1);
    // A time that is wrong in any case.
    for _ in 0..2 {
        let body = r#"{"__type":"InvalidSignatureException","message":"Signature expired: …"}"#;
        aws.trouble("ListSecrets", Trouble::Instead(400, body.to_owned()));
    }
    let error = bench.store.list("tfy-secret/", "", 1).await.unwrap_err();
    assert_eq!((error.kind, aws.asked().len()), (StoreErrorKind::Unauthenticated, 2));
    assert!(error.reason.contains("the time of our signature"), "{error}");
}

fn with_role(aws: &Aws) -> AwsSecretsManagerStore {
    let role = AwsAuthData::AssumedRole {
        assumed_role_arn: "arn:aws:iam::123456789012:role/strongroom".to_owned(),
        external_id: Some("external-1".to_owned()),
    };
    store_under(AwsSecretsManagerSettings { integration_auth: Some(role), ..ours(aws) }, quick())
}

#[tokio::test]
async fn one_session_is_fetched_for_all_and_renewed_before_its_end() {
    let aws = Aws::start().await;
    let store = with_role(&aws);
    let lists = || futures_of(&store, 10);
    lists().await;
    lists().await;
    assert_eq!(aws.state().sessions, 1);
    // Each of these is about to end when it is given.
    aws.state().session_seconds = 200;
    let store = with_role(&aws);
    for sessions in 2..5 {
        store.list("tfy-secret/", "", 1).await.unwrap();
        assert_eq!(aws.state().sessions, sessions);
    }
    // While a new one can't be had, the old one does.
    for _ in 0..4 {
        aws.trouble("AssumeRole", Trouble::Instead(503, String::new()));
    }
    store.list("tfy-secret/", "", 1).await.unwrap();
    assert_eq!(aws.state().sessions, 4);
}

async fn futures_of(store: &AwsSecretsManagerStore, count: usize) {
    let lists = (0..count).map(|_| async { store.list("tfy-secret/", "", 1).await.unwrap() });
    let lists: Vec<_> = lists.map(Box::pin).collect();
    join_all(lists).await;
}

/// All at once, on this task.
async fn join_all<F: Future + Unpin>(mut futures: Vec<F>) {
    std::future::poll_fn(|context| {
        futures.retain_mut(|future| std::pin::Pin::new(future).poll(context).is_pending());
        if futures.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

#[tokio::test]
async fn a_session_that_ended_early_is_fetched_again_once() {
    let aws = Aws::start().await;
    let store = with_role(&aws);
    store.list("tfy-secret/", "", 1).await.unwrap();
    // The role's sessions were revoked.
    {
        let mut state = aws.state();
        (state.one_session, state.sessions) = (true, 5);
    }
    aws.asked();
    store.list("tfy-secret/", "", 1).await.unwrap();
    assert_eq!(aws.asked(), ["ListSecrets", "AssumeRole", "ListSecrets"]);
}

#[tokio::test]
async fn a_role_that_may_not_be_assumed_is_named() {
    let aws = Aws::start().await;
    let body = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
                <Code>AccessDenied</Code><Message>User: arn:aws:iam::1:user/x is not authorized to perform: \
                sts:AssumeRole</Message></Error><RequestId>1</RequestId></ErrorResponse>";
    aws.trouble("AssumeRole", Trouble::Instead(403, body.to_owned()));
    let error = with_role(&aws).probe().await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::PermissionDenied);
    let words = "the permission sts:AssumeRole on `arn:aws:iam::123456789012:role/strongroom` is missing; AWS says: \
                 User: arn:aws:iam::1:user/x is not";
    assert!(error.reason.starts_with(words), "{error}");
    aws.trouble("AssumeRole", Trouble::Instead(200, "<AssumeRoleResponse/>".to_owned()));
    let error = with_role(&aws).probe().await.unwrap_err();
    assert!(error.reason.contains("isn't what AWS documents"), "{error}");
}

/// Whatever AWS says, repeating what it got or should have, nothing of it is shown that must not be.
#[tokio::test]
async fn no_error_shows_a_value_or_a_credential() {
    const VALUE: &str = "canary-value";
    let codes = [
        "AccessDeniedException",
        "InvalidParameterException",
        "InvalidRequestException",
        "ValidationException",
        "LimitExceededException",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
        "ExpiredTokenException",
        "EncryptionFailure",
        "DecryptionFailure",
        "ResourceExistsException",
        "ResourceNotFoundException",
        "InternalServiceError",
        "SomethingNew",
        "canary-value",
    ];
    let actions = ["CreateSecret", "PutSecretValue", "GetSecretValue", "AssumeRole"];
    let parts = [Part::Value, Part::Credentials, Part::Head];
    for (code, part) in codes.into_iter().flat_map(|code| parts.map(|part| (code, part))) {
        for action in actions {
            let aws = Aws::start().await;
            let bench = Bench::new(with_role(&aws));
            let entry = entry("db", 1);
            if action == "PutSecretValue" {
                bench.put(entry, Wanted::first("one")).await.unwrap();
            }
            for _ in 0..3 {
                aws.trouble(action, Trouble::Echo(code, part));
            }
            let result = match action {
                "GetSecretValue" => {
                    let version = StoreVersion("id-00000000-v00000000000000000001".to_owned());
                    bench.get(entry, &version).await.map(|_| ())
                }
                "PutSecretValue" => bench.put(entry, Wanted::staged(VALUE, 2)).await.map(|_| ()),
                _ => bench.put(entry, Wanted::first(VALUE)).await.map(|_| ()),
            };
            // What is there already gets a neighbour.
            let Err(error) = result else { continue };
            let shown = format!("{error} {error:?} {:?} {:?}", std::error::Error::source(&error), bench.store);
            for canary in [VALUE, "token-1", "secret-1", KEY, "Signature="] {
                assert!(!shown.contains(canary), "{code} of {action}, {part:?}: {shown}");
            }
        }
    }
}

#[tokio::test]
async fn a_name_in_the_trash_of_aws_gets_a_neighbour() {
    let (aws, old, new) = (Aws::start().await, entry("db", 1), entry("db", 2));
    let bench = bench(&aws);
    bench.put(old, Wanted::first("old")).await.unwrap();
    // Somebody deletes it in AWS' console.
    aws.state().entries.act("DeleteSecret", &serde_json::json!({"SecretId": NAME})).unwrap();
    assert_eq!(bench.latest(old).await, None);
    let version = bench.put(new, Wanted::first("new")).await.unwrap();
    assert_eq!(bench.get(new, &version).await.unwrap(), "new");
    assert_eq!(bench.latest(new).await.as_deref(), Some("new"));
    // For good, from the trash too.
    bench.store.remove(&old, Removal::Entry).await.unwrap();
    assert_eq!(aws.state().entries.count(), (1, 1));
}

#[tokio::test]
async fn another_version_than_the_one_asked_for_is_no_answer() {
    let (aws, entry) = (Aws::start().await, entry("db", 1));
    let bench = bench(&aws);
    let version = bench.put(entry, Wanted::first("one")).await.unwrap();
    let body = r#"{"ARN":"a","VersionId":"1e2bd9a4-6f3c-4a53-8a2b-000000000000","SecretString":"another"}"#;
    aws.trouble("GetSecretValue", Trouble::Instead(200, body.to_owned()));
    assert_eq!(bench.get(entry, &version).await.unwrap_err().kind, StoreErrorKind::Integrity);
}

#[tokio::test]
async fn a_list_has_what_is_under_the_prefix_and_no_more() {
    let aws = Aws::start().await;
    let bench = bench(&aws);
    for key in ["a", "b", "c", "d", "e"] {
        bench.put(entry(key, 1), Wanted::first("x")).await.unwrap();
    }
    let other = serde_json::json!({"Name": "/tfy-secret/acme/PAY/x", "SecretString": "x",
        "ClientRequestToken": "1e2bd9a4-6f3c-4a53-8a2b-000000000000"});
    aws.state().entries.act("CreateSecret", &other).unwrap();
    let names = bench.store.list("tfy-secret/acme/pay/", "tfy-secret/acme/pay/b", 2).await.unwrap();
    assert_eq!(names, ["tfy-secret/acme/pay/c", "tfy-secret/acme/pay/d"]);
    assert_eq!(bench.store.list("tfy-secret/acme/", "", 10).await.unwrap().len(), 6);
    assert_eq!(bench.store.list("tfy-secret/acme/pa", "", 10).await.unwrap().len(), 5);
}
