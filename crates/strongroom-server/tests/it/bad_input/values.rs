use proptest::prelude::*;
use proptest::test_runner::{Config, TestRng, TestRunner};
use serde_json::json;
use strongroom_testkit::TestApp;

use super::with_secret;
use crate::support::{GROUPS, SECRETS, group_path, reference_path, secret_id, text, updates, value_of};

/// Reads a value back in every way.
async fn assert_reads_back(app: &TestApp, group: &serde_json::Value, value: &str) {
    let admin = app.admin();
    let id = secret_id(group, "K");
    assert_eq!(value_of(&admin, id).await, value);
    let listed = admin.post(SECRETS, json!({"secretGroupId": group["id"], "withValue": true})).await.expect(200);
    assert_eq!(text(&listed, "/data/0/value"), value);
    let fqn = format!("{}:K", text(group, "/fqn"));
    let referenced = admin.get(&reference_path(&fqn)).await.expect(200);
    assert_eq!(text(&referenced, "/value"), value);
}

#[tokio::test]
async fn values_come_back_as_they_were() {
    let mut app = TestApp::start().await;
    let admin = app.admin();
    let largest = "x".repeat(65_536);
    let largest_wide = "\u{1F511}".repeat(16_384);
    let values = [
        "",
        " ",
        "\u{0}",
        "a\u{0}b",
        "\n",
        "line\r\nline\n",
        "\t\"quoted\"\\",
        "\u{1F511} key",
        "\u{e9}e\u{301}",
        "\u{FEFF}bom",
        "\u{202E}",
        "\u{7f}\u{80}\u{1f}",
        "null",
        "{\"json\": true}",
        "-----BEGIN KEY-----\nMII=\n-----END KEY-----\n",
        "${ENV} $(sh) `x`",
        "%00%2F",
        "\u{10FFFF}\u{FFFF}\u{FFFE}",
        &largest,
        &largest_wide,
    ];
    let mut groups = Vec::new();
    for (number, value) in values.iter().enumerate() {
        let group = app.group(&admin, &format!("group-{number}"), &[("K", value)]).await;
        assert_reads_back(&app, &group, value).await;
        let same = admin.put(&group_path(&group), updates(&[("K", Some(value))])).await;
        assert_eq!(same.etag(), "\"1\"", "it is known to be the same: {value:.40?}");
        groups.push(group);
    }
    app.restart().await;
    for (group, value) in groups.iter().zip(values) {
        assert_reads_back(&app, group, value).await;
    }
}

#[tokio::test]
async fn a_value_has_a_largest_size_in_bytes() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let group = app.group(&admin, "group", &[("K", "v")]).await;
    for too_large in ["x".repeat(65_537), format!("{}x", "\u{1F511}".repeat(16_384)), "\u{0}".repeat(65_537)] {
        assert_eq!(admin.post(GROUPS, with_secret(&app, "new", "K", &too_large)).await.faults(), ["secrets[0].value"]);
        let update = updates(&[("K", None), ("J", Some(&too_large))]);
        assert_eq!(admin.put(&group_path(&group), update).await.faults(), ["secrets[1].value"]);
    }
    assert_eq!(admin.get(&group_path(&group)).await.etag(), "\"1\"");
}

#[tokio::test]
async fn the_size_is_a_setting() {
    let app = TestApp::with("STRONGROOM_MAX_VALUE_BYTES", "100000").start().await;
    let admin = app.admin();
    let value = "x".repeat(100_000);
    let group = app.group(&admin, "group", &[("K", &value)]).await;
    assert_eq!(value_of(&admin, secret_id(&group, "K")).await, value);
    let too_large = "x".repeat(100_001);
    assert_eq!(admin.post(GROUPS, with_secret(&app, "new", "K", &too_large)).await.faults(), ["secrets[0].value"]);
}

#[test]
fn any_text_is_a_value() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let app = runtime.block_on(TestApp::start());
    let group = runtime.block_on(app.group(&app.admin(), "group", &[("K", "v")]));
    let config = Config { cases: 48, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    let any_text = prop::collection::vec(any::<char>(), 0..60).prop_map(|text| text.into_iter().collect::<String>());
    TestRunner::new_with_rng(config, rng)
        .run(&any_text, |value| {
            runtime.block_on(async {
                app.admin().put(&group_path(&group), updates(&[("K", Some(&value))])).await.expect(200);
                assert_reads_back(&app, &group, &value).await;
            });
            Ok(())
        })
        .unwrap();
}
