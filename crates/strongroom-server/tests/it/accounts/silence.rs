//! Credentials are where they are sealed, and nowhere else.

use serde_json::{Value, json};
use strongroom_stores::{FaultPlan, StoreErrorKind};

use super::{ACCOUNTS, APPLY, INTEGRATIONS, MASK, account, put, start, vault};
use crate::secrecy::{contains, files, spellings};
use crate::support::{LOG, events, text};

const CANARIES: [&str; 4] = ["cAnArY-kept-4711", "cAnArY-replaced-4712", "cAnArY-refused-4713", "cAnArY-referred-4714"];

fn found_in(bytes: &[u8]) -> Vec<&'static str> {
    CANARIES.into_iter().filter(|canary| spellings(canary).iter().any(|spelling| contains(bytes, spelling))).collect()
}

#[tokio::test]
async fn credentials_are_in_no_answer_no_file_no_event_and_no_log() {
    let log = &*LOG;
    let faults = FaultPlan::default();
    let mut app = start(&faults).await;
    let (admin, member) = (app.admin(), app.person("member@example.com").await);
    let [kept, replaced, refused, referred] = CANARIES;
    app.group(&admin, "tokens", &[("VAULT", referred)]).await;
    let reference = "tfy-secret://default:tokens:VAULT";
    let mut answers = vec![admin.put(ACCOUNTS, json!({"manifest": account(&[vault("a", replaced)])})).await];
    let manifest = account(&[vault("a", kept), vault("b", reference)]);
    for body in [json!({"manifest": manifest, "dryRun": true}), json!({"manifest": manifest})] {
        answers.push(admin.put(APPLY, body.clone()).await);
        answers.push(admin.put(ACCOUNTS, body.clone()).await);
        answers.push(member.put(ACCOUNTS, body).await);
    }
    // In the wrong place, of the wrong type, and where the store says no.
    let mut misplaced = Vec::new();
    for (field, value) in [
        ("type", json!(refused)),
        ("name", json!(refused)),
        ("vault_url", json!(format!("https://{refused}:{refused}@vault.example.com"))),
        ("vault_url", json!(refused)),
        ("kv_mount_path", json!(format!("../{refused}"))),
        ("auth_data", json!(refused)),
        ("auth_data", json!({"type": refused, "token": refused})),
        ("auth_data", json!({"type": "token", "token": [refused]})),
        ("auth_data", json!({"type": "token", "token": format!("{refused} ")})),
        ("auth_data", json!({"type": "token", "token": format!("tfy-secret://{refused}")})),
        ("auth_data", json!({"type": "approle", "secret_id": refused})),
    ] {
        let mut integration = vault("a", "x");
        integration[field] = value;
        misplaced.push(account(&[integration]));
    }
    for manifest in misplaced {
        for dry_run in [true, false] {
            let answer = admin.put(ACCOUNTS, json!({"manifest": manifest, "dryRun": dry_run})).await;
            assert_eq!(answer.status, 422, "{}", answer.text);
            answers.push(answer);
        }
    }
    faults.set(|_| Some(StoreErrorKind::Unauthenticated));
    let answer = admin.put(ACCOUNTS, json!({"manifest": account(&[vault("a", refused)])})).await;
    assert_eq!(answer.status, 424);
    answers.push(answer);
    let listed = admin.get(INTEGRATIONS).await;
    for one in listed.json["data"].as_array().unwrap() {
        let path = format!("/api/v1/provider-integrations/{}/test", text(one, "/id"));
        answers.push(admin.post(&path, json!({})).await);
    }
    faults.bring_up();
    answers.push(listed);
    for client in [&admin, &member] {
        answers.push(client.get(ACCOUNTS).await);
        answers.push(client.get(INTEGRATIONS).await);
    }
    for answer in &answers {
        assert!(found_in(answer.text.as_bytes()).is_empty(), "{answer:?}");
    }
    assert!(answers.iter().any(|answer| answer.text.contains(MASK) && answer.text.contains(reference)));
    let told = Value::from(events(&app, "").await).to_string();
    assert_eq!(found_in(told.as_bytes()), [""; 0]);
    assert!(told.contains("CREATE_PROVIDER_ACCOUNT") && told.contains("integrations.a.auth_data.token"));
    for moment in ["running", "stopped"] {
        let stored = [files(app.folder()), app.tamper().everything()].concat();
        assert!(stored.iter().any(|(_, bytes)| contains(bytes, MASK.as_bytes())), "what is looked for is found");
        for (name, bytes) in &stored {
            assert_eq!(found_in(bytes), [""; 0], "{name} ({moment})");
        }
        app.stop().await;
    }
    assert!(contains(&log.bytes(), b"/api/svc/v1/provider-accounts"), "the log is captured");
    assert_eq!(found_in(&log.bytes()), [""; 0], "in the log");
}

/// One that is altered, or another account's, is an error that names the integration, and stands in nobody's way.
#[tokio::test]
async fn altered_credentials_make_no_store() {
    let app = start(&FaultPlan::default()).await;
    let admin = app.admin();
    let named = |name: &str| {
        let mut account = account(&[vault("a", "hvs.a")]);
        account["name"] = json!(name);
        account
    };
    let (one, other) = (put(&admin, &named("one")).await, put(&admin, &named("other")).await);
    let tamper = app.tamper();
    let blobs = tamper.blobs("provider_accounts", "credentials");
    assert_eq!(blobs.len(), 2);
    tamper.swap(&blobs[0], &blobs[1]);
    for made in [&one, &other] {
        let keeps = admin.put(ACCOUNTS, json!({"manifest": made["manifest"]})).await;
        keeps.refused(500, "integrity");
    }
    for blob in &blobs {
        tamper.undo(blob);
    }
    for at in [0, 5, 20, -1] {
        tamper.flip(&blobs[0], at);
        let damaged: Vec<_> = [&one, &other].into_iter().map(|made| json!({"manifest": made["manifest"]})).collect();
        let mut statuses = Vec::new();
        for body in damaged {
            statuses.push(admin.put(ACCOUNTS, body).await.status);
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 500], "byte {at}");
        tamper.undo(&blobs[0]);
    }
    // Whoever gives all of them anew gets out of it.
    tamper.flip(&blobs[0], 20);
    put(&admin, &named("one")).await;
    put(&admin, &named("other")).await;
    let one = admin.put(ACCOUNTS, json!({"manifest": one["manifest"]})).await;
    assert_eq!(one.status, 200, "{}", one.text);
}
