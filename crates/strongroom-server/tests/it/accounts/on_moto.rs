//! AWS integrations over moto, with its IAM looking on.

use serde_json::{Value, json};
use strongroom_testkit::TestApp;
use strongroom_throwaway::Moto;

use super::{ACCOUNTS, MASK, put};
use crate::support::text;

const ALL: [&str; 10] = [
    "secretsmanager:CreateSecret",
    "secretsmanager:TagResource",
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetSecretValue",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
    "secretsmanager:ListSecretVersionIds",
    "secretsmanager:DeleteSecret",
    "secretsmanager:ListSecrets",
    "secretsmanager:UpdateSecret",
];

fn moto() -> Option<Moto> {
    let program = Moto::program();
    if program.is_none() {
        eprintln!("SKIPPED: STRONGROOM_TEST_MOTO isn't set; cargo xtask test sets it");
    }
    program.map(|program| Moto::start(&program).unwrap())
}

/// What the operator says counts for what lies where manifests may not point to.
async fn app(moto: &Moto) -> TestApp {
    TestApp::with("STRONGROOM_STORE_ENDPOINT_AWS_SECRETS_MANAGER", &moto.url())
        .set("STRONGROOM_STORE_ENDPOINT_AWS_STS", &moto.url())
        .start()
        .await
}

fn allowing(actions: &[&str]) -> String {
    let statement = json!({"Effect": "Allow", "Action": actions, "Resource": "*"});
    json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
}

fn key(id: &str, secret: &str) -> Value {
    json!({"type": "access-key-based", "access_key_id": id, "secret_access_key": secret})
}

fn account(auth: &Value, own: Option<&Value>) -> Value {
    let mut integration = json!({
        "type": "integration/secret-store/aws/secrets-manager", "name": "prod", "region": "eu-central-1",
        "tags": {"team": "payments"},
    });
    if let Some(own) = own {
        integration["auth_data"] = own.clone();
    }
    json!({"type": "provider-account/aws", "name": "main", "aws_account_id": "123456789012", "auth_data": auth,
        "integrations": [integration]})
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let Some(moto) = moto() else { return };
    let app = app(&moto).await;
    let admin = app.admin();
    let less: Vec<_> = ALL.into_iter().filter(|action| *action != "secretsmanager:PutSecretValue").collect();
    let all = moto.user_with_policy("all", &allowing(&ALL)).unwrap();
    let less = moto.user_with_policy("less", &allowing(&less)).unwrap();
    moto.enforce_iam().unwrap();
    let refused = admin.put(ACCOUNTS, json!({"manifest": account(&key(&less.0, &less.1), None)})).await;
    let told = refused.refused(424, "secret_store_failed");
    assert!(told.starts_with("manifest.integrations[0]: ") && told.contains("secretsmanager:PutSecretValue"), "{told}");
    let wrong = admin.put(ACCOUNTS, json!({"manifest": account(&key(&all.0, "wrong"), None)})).await;
    wrong.refused(424, "secret_store_failed");
    let made = put(&admin, &account(&key(&all.0, &all.1), None)).await;
    assert_eq!(text(&made, "/fqn"), "default:aws:main");
    assert_eq!(text(&made, "/manifest/auth_data/secret_access_key"), MASK);
    let (_, target) = app.instance().store_of(text(&made, "/integrations/0/id")).await.unwrap();
    assert_eq!(target, format!("aws/secrets-manager:{}:eu-central-1", moto.url()));
    let test = format!("/api/v1/provider-integrations/{}/test", text(&made, "/integrations/0/id"));
    assert_eq!(admin.post(&test, json!({})).await.expect(200)["data"]["ok"], true);
}

#[tokio::test]
async fn a_role_is_assumed_with_the_accounts_key() {
    let Some(moto) = moto() else { return };
    let app = app(&moto).await;
    let admin = app.admin();
    let trust = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    ]});
    let role = moto.role_with_policy("strongroom", &trust.to_string(), &allowing(&ALL)).unwrap();
    let (id, secret) = moto.user_with_policy("assuming", &allowing(&["sts:AssumeRole"])).unwrap();
    moto.enforce_iam().unwrap();
    let refused = admin.put(ACCOUNTS, json!({"manifest": account(&key(&id, &secret), None)})).await;
    refused.refused(424, "secret_store_failed");
    let assumed = json!({"type": "assumed-role-based", "assumed_role_arn": role, "external_id": "external-1"});
    let made = put(&admin, &account(&key(&id, &secret), Some(&assumed))).await;
    // The account's key is behind the mask there, too.
    put(&admin, &account(&key(&id, MASK), Some(&assumed))).await;
    let test = format!("/api/v1/provider-integrations/{}/test", text(&made, "/integrations/0/id"));
    assert_eq!(admin.post(&test, json!({})).await.expect(200)["data"]["ok"], true);
}
