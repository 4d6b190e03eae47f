//! Tokens that are changed by themselves, and what ended long ago.

use std::sync::{Arc, mpsc};

use serde_json::{Value, json};
use strongroom_stores::Call;
use strongroom_testkit::TestApp;
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::machines::{apply, get, manifest, regenerate, target, works, written};
use crate::support::{GROUPS, TOKENS, events, group_path, list, text};

const INTERVAL: i64 = 90;
const GRACE: i64 = 7;

fn terms(kind: &str) -> Value {
    json!({
        "token_type": kind,
        "auto_rotate": {"auto_rotate_interval": INTERVAL, "grace_period": GRACE},
        "secret_store_config": target("vault"),
    })
}

async fn start(kind: &str) -> (TestApp, String, String) {
    let app = TestApp::start().await;
    app.group(&app.admin(), "vault", &[]).await;
    let made = apply(&app, "bot", terms(kind)).await;
    let (id, token) = (text(&made, "/data/id").to_owned(), text(&made, "/token").to_owned());
    (app, id, token)
}

#[tokio::test]
async fn a_token_is_changed_when_it_is_due() {
    for kind in ["opaque", "jwt"] {
        let (app, id, first) = start(kind).await;
        app.clock.advance_days(INTERVAL - 1);
        assert_eq!(app.instance().rotate_now().await, Ok(0));
        assert_eq!(written(&app, "vault").await, first);
        app.clock.advance_days(1);
        assert_eq!(app.instance().rotate_now().await, Ok(1));
        assert_eq!(app.instance().rotate_now().await, Ok(0));
        let second = written(&app, "vault").await;
        assert!(second != first && works(&app, &second).await && works(&app, &first).await);
        app.clock.advance_days(GRACE - 1);
        assert!(works(&app, &first).await);
        app.clock.advance_days(1);
        assert!(!works(&app, &first).await && works(&app, &second).await);
        let data = get(&app, &id).await;
        assert_eq!(data["syncTokenInSecretStoreInfo"]["jwtId"], data["jwtId"]);
        let made = events(&app, "action=ROTATE_VIRTUAL_ACCOUNT_TOKEN").await;
        assert_eq!(made.len(), 1);
        assert_eq!(text(&made[0], "/subject/subjectControllerName"), "token-rotation");
        app.clock.advance_days(INTERVAL - GRACE);
        assert_eq!(app.instance().rotate_now().await, Ok(1));
    }
}

/// The process may end after each step: the group always has a token that works, nobody's token ends before its
/// successor can be read, and the grace begins with that.
#[tokio::test]
async fn the_process_may_end_after_each_step() {
    for kind in ["opaque", "jwt"] {
        for steps in [vec![0], vec![1], vec![0, 0, 1], vec![1, 0, 1, 1]] {
            let (mut app, id, first) = start(kind).await;
            app.clock.advance_days(INTERVAL);
            let mut seen = vec![first];
            for step in &steps {
                assert_eq!(app.instance().rotate_until(*step).await, Ok(0));
                // Nothing is remembered but what is on the disk, and the next start may take its time.
                app.restart().await;
                app.clock.advance_days(GRACE + 1);
                let there = written(&app, "vault").await;
                if !seen.contains(&there) {
                    seen.push(there);
                }
                for token in &seen {
                    assert!(works(&app, token).await, "{kind} {steps:?}: a token ended before its successor was noted");
                }
            }
            assert_eq!(app.instance().rotate_now().await, Ok(1));
            let last = written(&app, "vault").await;
            assert_eq!(kind == "jwt" && steps.contains(&1), seen.last() == Some(&last), "{kind} {steps:?}");
            let data = get(&app, &id).await;
            assert_eq!(data["syncTokenInSecretStoreInfo"]["jwtId"], data["jwtId"]);
            app.clock.advance_days(GRACE - 1);
            for token in seen.iter().chain([&last]) {
                assert!(works(&app, token).await, "{kind} {steps:?}: the grace begins when the new one can be read");
            }
            app.clock.advance_days(1);
            for token in seen.iter().filter(|token| **token != last) {
                assert!(!works(&app, token).await, "{kind} {steps:?}");
            }
            assert!(works(&app, &last).await);
        }
    }
}

#[tokio::test]
async fn while_the_store_is_down_the_old_token_goes_on() {
    for kind in ["opaque", "jwt"] {
        let (app, id, first) = start(kind).await;
        app.clock.advance_days(INTERVAL);
        app.faults.take_down();
        for _ in 0..3 {
            assert_eq!(app.instance().rotate_now().await, Ok(0));
            app.clock.advance_days(GRACE);
        }
        assert!(works(&app, &first).await);
        let data = get(&app, &id).await;
        assert!(text(&data, "/syncTokenInSecretStoreInfo/error").contains("truefoundry/db"));
        assert_eq!(list(&data, "/jwts").len(), 1, "no token is made for a store that is down");
        assert_eq!(events(&app, "action=SYNC_VIRTUAL_ACCOUNT_TOKEN").await.len(), 2, "said once");
        app.faults.bring_up();
        assert_eq!(app.instance().rotate_now().await, Ok(1));
        let second = written(&app, "vault").await;
        assert!(second != first && works(&app, &first).await && works(&app, &second).await);
        assert_eq!(get(&app, &id).await["syncTokenInSecretStoreInfo"].get("error"), None);
    }
}

/// The store answers, but takes nothing: the same token is tried again.
#[tokio::test]
async fn a_write_that_fails_leaves_one_token_behind_and_not_many() {
    for kind in ["opaque", "jwt"] {
        let (app, id, first) = start(kind).await;
        app.clock.advance_days(INTERVAL);
        app.faults.set(|call| (call == Call::Put).then_some(strongroom_stores::StoreErrorKind::Unavailable));
        for _ in 0..4 {
            assert_eq!(app.instance().rotate_now().await, Ok(0));
        }
        assert_eq!(list(&get(&app, &id).await, "/jwts").len(), 2);
        app.faults.bring_up();
        assert_eq!(app.instance().rotate_now().await, Ok(1));
        assert_eq!(list(&get(&app, &id).await, "/jwts").len(), 2);
        assert!(works(&app, &first).await && works(&app, &written(&app, "vault").await).await);
    }
}

/// While one replica puts the token that it made, another makes, writes and settles a newer one: the group keeps that,
/// for the older one ends. It takes two, as the writers of one replica wait for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_was_overtaken_is_not_written_over_the_newer_one() {
    for kind in ["opaque", "jwt"] {
        let (app, id, _) = start(kind).await;
        let Some(other) = app.replica().await else { return };
        let other = Arc::new(other);
        app.clock.advance_days(INTERVAL);
        let (sender, newer) = mpsc::channel();
        let mut overtaking = Some((other.clone(), id.clone()));
        app.faults.set(move |call| {
            if let Some((other, id)) = overtaking.take_if(|_| call == Call::Put) {
                let newer = regenerate(&other, &id, json!(0));
                sender.send(block_in_place(|| Handle::current().block_on(newer))).unwrap();
            }
            None
        });
        assert_eq!(app.instance().rotate_now().await, Ok(0), "{kind}");
        let newer = newer.try_recv().expect("it was overtaken");
        assert_eq!(written(&app, "vault").await, newer, "{kind}");
        assert!(works(&other, &newer).await, "{kind}");
        let data = get(&other, &id).await;
        assert_eq!(data["syncTokenInSecretStoreInfo"]["jwtId"], data["jwtId"], "{kind}");
        assert_eq!(app.instance().rotate_now().await, Ok(0), "{kind}: the interval began with the newer one");
    }
}

#[tokio::test]
async fn what_has_no_group_or_no_future_is_not_held_up() {
    let app = TestApp::start().await;
    app.group(&app.admin(), "vault", &[]).await;
    let rotate = json!({"auto_rotate_interval": INTERVAL, "grace_period": GRACE});
    let made = apply(&app, "jwt-bot", json!({"token_type": "jwt", "auto_rotate": rotate})).await;
    let (id, first) = (text(&made, "/data/id"), text(&made, "/token"));
    let mut ending = terms("opaque");
    ending["expiration_date"] = json!("2026-12-31");
    let ending = apply(&app, "ending", ending).await;
    app.clock.advance_days(INTERVAL);
    assert_eq!(app.instance().rotate_now().await, Ok(1));
    let path = format!("/api/svc/v1/virtual-accounts/{id}/token");
    let second = app.admin().get(&path).await.expect(200);
    assert!(second["token"] != made["token"] && works(&app, first).await);
    app.clock.advance_days(GRACE);
    assert!(!works(&app, first).await && works(&app, text(&second, "/token")).await);
    let ended = get(&app, text(&ending, "/data/id")).await;
    assert_eq!(ended.get("nextScheduledRotation"), None, "it is due no longer");
    // A new date is a new life.
    let mut longer = terms("opaque");
    longer["expiration_date"] = json!("2028-12-31");
    let longer = apply(&app, "ending", longer).await;
    assert!(longer["data"]["nextScheduledRotation"].is_string());
}

#[tokio::test]
async fn a_change_by_hand_begins_the_interval_anew() {
    let (app, id, _) = start("opaque").await;
    app.clock.advance_days(INTERVAL - 1);
    let body = json!({"gracePeriodInMinutes": 0});
    app.admin().post(&format!("/api/svc/v1/virtual-accounts/{id}/regenerate-token"), body).await.expect(200);
    app.clock.advance_days(1);
    assert_eq!(app.instance().rotate_now().await, Ok(0));
    app.clock.advance_days(INTERVAL - 1);
    assert_eq!(app.instance().rotate_now().await, Ok(1));
}

#[tokio::test]
async fn what_ended_long_ago_is_removed_and_nothing_else() {
    let app = TestApp::start().await;
    let admin = app.admin();
    let count = |table: &str| app.tamper().number(&format!("SELECT COUNT(*) FROM {table}"));
    let person = app.person("one@example.com").await;
    app.group(&admin, "vault", &[]).await;
    let permission = |ends: &str| {
        json!([{"resource_type": "secret-group", "resource_fqn": "default:vault", "role_id": "secret-group-viewer", "expires_at": ends},
               {"resource_type": "account", "resource_fqn": "default", "role_id": "tenant-admin", "expires_at": ends}])
    };
    let before = (count("tokens"), count("grants"), count("role_grants"));
    for (name, ends) in [("short", "2026-11-25T00:00:00Z"), ("longer", "2027-11-25T00:00:00Z")] {
        let body = json!({"manifest": manifest(name, &json!({"permissions": permission(ends), "expiration_date": &ends[..10]}))});
        admin.put("/api/svc/v1/virtual-accounts", body).await.expect(200);
    }
    let made = admin.post(TOKENS, json!({"name": "revoked"})).await.expect(200);
    assert!(works(&app, text(&made, "/token")).await);
    let tokens = admin.get(TOKENS).await.expect(200);
    admin.delete(&format!("{TOKENS}/{}", text(&tokens, "/data/0/id"))).await.expect(200);
    let wanted = json!({"email": person.name(), "acceptInviteClientUrl": "https://console.example.com"});
    admin.post("/api/svc/v1/users/invite", wanted).await.expect(200);
    let after = (before.0 + 3, before.1 + 2, before.2 + 2);
    assert_eq!((count("tokens"), count("grants"), count("role_grants")), after);
    assert_eq!(app.instance().prune_now().await, Ok(0));
    app.clock.advance_days(29);
    assert_eq!((app.instance().prune_now().await, count("invitations")), (Ok(1), 0));
    assert_eq!((count("tokens"), count("grants"), count("role_grants")), after);
    app.clock.advance_days(4);
    assert_eq!(app.instance().prune_now().await, Ok(4));
    assert_eq!((count("tokens"), count("grants"), count("role_grants")), (before.0 + 1, before.1 + 1, before.2 + 1));
    assert_eq!(app.instance().prune_now().await, Ok(0));
    person.get("/api/svc/v1/session").await.expect(200);
}

/// The name may go to a stranger, and a token is written into the group that the manifest was applied for or nowhere.
#[tokio::test]
async fn who_takes_a_deleted_group_s_name_gets_no_token() {
    for kind in ["opaque", "jwt"] {
        let (app, id, first) = start(kind).await;
        let (admin, stranger) = (app.admin(), app.person("stranger@example.com").await);
        let groups = format!("{GROUPS}?fqn=default:vault");
        let own = text(&admin.get(&groups).await.expect(200), "/data/0/id").to_owned();
        admin.delete(&format!("{GROUPS}/{own}")).await.expect(200);
        let error = async || text(&get(&app, &id).await, "/syncTokenInSecretStoreInfo/error").to_owned();
        let (regenerate, sync) = (
            format!("/api/svc/v1/virtual-accounts/{id}/regenerate-token"),
            format!("/api/svc/v1/virtual-accounts/{id}/sync-to-secret-store?force=true"),
        );
        // While it lies in the trash with nobody in its place, and then with somebody.
        app.clock.advance_days(INTERVAL);
        assert_eq!(app.instance().rotate_now().await, Ok(0));
        assert!(error().await.contains("apply the manifest without"));
        let squatted = app.group(&stranger, "vault", &[("OTHER", "x")]).await;
        let path = group_path(&squatted);
        let before = stranger.get(&path).await;
        assert_eq!(app.instance().rotate_now().await, Ok(0));
        assert_eq!(list(&get(&app, &id).await, "/jwts").len(), 1, "no token is made that can't be written");
        assert!(works(&app, &first).await, "and so none ends");
        admin.post(&sync, json!({})).await.expect(200);
        assert!(error().await.contains("apply the manifest without"));
        let second = admin.post(&regenerate, json!({"gracePeriodInMinutes": 60})).await.expect(200);
        assert!(works(&app, text(&second, "/token")).await && error().await.contains("apply the manifest without"));
        assert_eq!(app.instance().rotate_now().await, Ok(0));
        let after = stranger.get(&path).await;
        assert_eq!((after.etag(), after.text.as_str()), (before.etag(), before.text.as_str()), "{kind}");

        // The group comes back: under another name nobody looks for the token there, under its own it goes on.
        let restore = format!("/api/v1/secret-groups/{own}/restore");
        admin.post(&restore, json!({"name": "other"})).await.expect(200);
        admin.post(&sync, json!({})).await.expect(200);
        assert!(error().await.contains("apply the manifest without"));
        for id in [&own, text(&squatted, "/id")] {
            admin.delete(&format!("{GROUPS}/{id}")).await.expect(200);
        }
        admin.post(&restore, json!({"name": "vault"})).await.expect(200);
        admin.post(&sync, json!({})).await.expect(200);
        assert_eq!(get(&app, &id).await["syncTokenInSecretStoreInfo"].get("error"), None);
        assert!(works(&app, &written(&app, "vault").await).await);

        // Nor does it by applying the manifest again, which pipelines do by themselves: not while nobody says so.
        admin.delete(&format!("{GROUPS}/{own}")).await.expect(200);
        app.group(&admin, "vault", &[]).await;
        for key in ["TOKEN", "OTHER"] {
            let mut wanted = manifest("bot", &terms(kind));
            wanted["secret_store_config"]["key"] = key.into();
            let refused = admin.put("/api/svc/v1/virtual-accounts", json!({"manifest": wanted})).await;
            assert_eq!(refused.faults(), ["manifest.secret_store_config.secret_group"]);
        }
        apply(&app, "bot", json!({"token_type": kind})).await;
        apply(&app, "bot", terms(kind)).await;
        admin.post(&sync, json!({})).await.expect(200);
        assert!(works(&app, &written(&app, "vault").await).await);
        app.clock.advance_days(INTERVAL);
        assert_eq!(app.instance().rotate_now().await, Ok(1));
    }
}
