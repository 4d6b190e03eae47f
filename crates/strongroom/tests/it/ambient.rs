//! The identity of the server's own process at AWS: lent by a setting, and only by a build that can.

use serde_json::{Value, json};

use crate::support::Launch;

/// An account that says nothing of who we are, or only which role is assumed.
fn account(auth: &Value) -> Value {
    let mut integration =
        json!({"type": "integration/secret-store/aws/secrets-manager", "name": "prod", "region": "eu-central-1"});
    if !auth.is_null() {
        integration["auth_data"] = auth.clone();
    }
    json!({"manifest": {"type": "provider-account/aws", "name": "main", "aws_account_id": "123456789012",
        "integrations": [integration]}})
}

fn role(arn: &str) -> Value {
    json!({"type": "assumed-role-based", "assumed_role_arn": arn, "external_id": "external-1"})
}

/// 422 at the field, which says what is to be done.
fn is_refused(launch: &Launch, words: &str) {
    let server = launch.start();
    let mut client = server.client();
    for auth in [Value::Null, role("arn:aws:iam::123456789012:role/strongroom")] {
        let answer = client.put("/api/svc/v1/provider-accounts", &account(&auth)).unwrap();
        let told: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer.status, 422, "{told}");
        assert_eq!(told["details"][0]["path"], "manifest.integrations[0].auth_data");
        let message = told["details"][0]["message"].as_str().unwrap();
        assert!(message.contains("`auth_data`") && message.contains(words), "{message}");
    }
}

#[cfg(not(feature = "cloud-credentials"))]
#[test]
fn this_build_has_none_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Launch::on(folder.path()).env("AWS_ACCESS_KEY_ID", "AKIA").env("AWS_SECRET_ACCESS_KEY", "canary");
    is_refused(&keys, "this build of the server can't use the identity of the machine itself");
    let output = Launch::on(folder.path()).arg("ambient-identity", "true").refused().output;
    assert!(output.contains("ambient-identity") && output.contains("--features cloud-credentials"), "{output}");
    keys.start();
}

#[cfg(feature = "cloud-credentials")]
mod lent {
    use std::net::TcpListener;
    use std::path::Path;
    use std::thread;

    use strongroom_throwaway::Moto;

    use super::*;

    fn launch(folder: &Path, moto: &Moto) -> Launch {
        Launch::on(folder)
            .arg("log-level", "debug")
            .env("HOME", folder.to_str().unwrap())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("STRONGROOM_STORE_ENDPOINT_AWS_SECRETS_MANAGER", &moto.url())
            .env("STRONGROOM_STORE_ENDPOINT_AWS_STS", &moto.url())
    }

    fn moto() -> Option<Moto> {
        // The test command names one where it has installed the servers.
        Moto::program().map(|program| Moto::start(&program).unwrap())
    }

    fn allowing(action: &str) -> String {
        let statement = json!({"Effect": "Allow", "Action": action, "Resource": "*"});
        json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
    }

    #[test]
    fn not_without_the_setting() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Launch::on(folder.path()).env("AWS_ACCESS_KEY_ID", "AKIA").env("AWS_SECRET_ACCESS_KEY", "canary");
        is_refused(&keys, "the server's setting `ambient-identity`");
        is_refused(&keys.arg("ambient-identity", "false"), "the server's setting `ambient-identity`");
    }

    #[test]
    fn a_group_is_kept_with_it_and_none_when_it_is_withdrawn() {
        let Some(moto) = moto() else { return };
        let (id, secret) = moto.user_with_policy("server", &allowing("secretsmanager:*")).unwrap();
        let (assuming, its_secret) = moto.user_with_policy("assuming", &allowing("sts:AssumeRole")).unwrap();
        let trust = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]});
        let arn = moto.role_with_policy("role", &trust.to_string(), &allowing("secretsmanager:*")).unwrap();
        moto.enforce_iam().unwrap();
        for (id, secret, auth) in [(&id, &secret, Value::Null), (&assuming, &its_secret, role(&arn))] {
            let folder = tempfile::tempdir().unwrap();
            let with = |lent| {
                let launch = launch(folder.path(), &moto).arg("ambient-identity", lent);
                launch.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret)
            };
            let server = with("true").start();
            let mut client = server.client();
            let made = client.put("/api/svc/v1/provider-accounts", &account(&auth)).unwrap().success();
            assert!(made["data"]["manifest"].get("auth_data").is_none());
            let integration = made["data"]["integrations"][0]["id"].as_str().unwrap();
            let test = format!("/api/v1/provider-integrations/{integration}/test");
            assert_eq!(client.post(&test, &json!({})).unwrap().success()["data"]["ok"], true);
            let group = json!({"name": format!("pay-{}", id.to_lowercase()), "integrationId": integration,
                "secrets": [{"key": "K", "value": "value-1"}]});
            let group = client.post("/api/svc/v1/secret-groups", &group).unwrap().success();
            let key = group["data"]["associatedSecrets"][0]["id"].as_str().unwrap();
            let key = format!("/api/svc/v1/secrets/{key}");
            assert_eq!(client.get(&key).unwrap().success()["data"]["value"], "value-1");
            let (_, log) = server.stop_and_read();
            assert!(!log.contains(secret.as_str()), "{log}");

            let server = with("false").start();
            let answer = server.client().get(&key).unwrap();
            assert_eq!(answer.status, 424, "{}", answer.text());
            assert!(answer.text().contains("the server's setting `ambient-identity`"), "{}", answer.text());
        }
    }

    #[test]
    fn who_has_none_to_lend_is_told_so_on_saving() {
        let Some(moto) = moto() else { return };
        let folder = tempfile::tempdir().unwrap();
        let server = launch(folder.path(), &moto).arg("ambient-identity", "true").start();
        let answer = server.client().put("/api/svc/v1/provider-accounts", &account(&Value::Null)).unwrap();
        assert_eq!(answer.status, 424, "{}", answer.text());
        assert!(answer.text().contains("the server has no AWS identity: "), "{}", answer.text());
    }

    /// The crate that asks would log what it can't read, with all of it.
    #[test]
    fn an_answer_that_cannot_be_read_is_in_no_log() {
        use std::io::{Read as _, Write as _};

        let Some(moto) = moto() else { return };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/creds", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let _ = stream.read(&mut [0; 4096]);
                let body = "{\"SecretAccessKey\": \"secret-canary\", ";
                let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length:";
                let _ = write!(stream, "{head} {}\r\n\r\n{body}", body.len());
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let launch = launch(folder.path(), &moto).arg("ambient-identity", "true");
        let server = launch.env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &url).start();
        let answer = server.client().put("/api/svc/v1/provider-accounts", &account(&Value::Null)).unwrap();
        let told = answer.text();
        assert!(answer.status == 424 && told.contains("answered with status 200"), "{told}");
        let (_, log) = server.stop_and_read();
        assert!(!told.contains("secret-canary") && !log.contains("secret-canary"), "{told}{log}");
        assert!(!log.contains("aws_"), "the crate logs:\n{log}");
    }
}
