//! The identity of the process itself, from all the places where it may be.

mod child;
mod endpoint;

use serde_json::json;

use self::{
    child::Child,
    endpoint::{Endpoint, Says},
};
use super::{
    on_moto::{allowing, least_policy, moto},
    setting::seconds_now,
    strict::Aws,
};

const REFUSED: &str = "AWS doesn't accept the credentials";
const CANARIES: [&str; 3] = ["secret-canary", "token-canary", "authorization-canary"];

/// What an endpoint for containers gives.
fn session(number: usize, seconds: i64) -> Says {
    let ends = strongroom_domain::Timestamp::from_micros((seconds_now() + seconds) * 1_000_000).to_wire();
    Says::Text(
        200,
        json!({"AccessKeyId": format!("ASIA{number}"), "SecretAccessKey": "secret-canary",
            "Token": format!("token-{number}"), "Expiration": ends})
        .to_string(),
    )
}

fn trust() -> String {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    ]})
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_from_the_environment() {
    let Some(moto) = moto() else { return };
    let (id, secret) = moto.user_with_policy("strongroom", &least_policy().to_string()).unwrap();
    moto.enforce_iam().unwrap();
    let mut child = Child::at(&moto.url()).env("AWS_ACCESS_KEY_ID", &id).env("AWS_SECRET_ACCESS_KEY", &secret).start();
    assert_eq!(child.probe(), "ok");
    assert!(!child.end().contains(&secret));
    let mut wrong = Child::at(&moto.url())
        .env("AWS_ACCESS_KEY_ID", &id)
        .env("AWS_SECRET_ACCESS_KEY", CANARIES[0])
        .env("AWS_SESSION_TOKEN", CANARIES[1])
        .start();
    let told = wrong.probe();
    assert!(told.contains(REFUSED), "{told}");
    wrong.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_assumed_from_it() {
    let Some(moto) = moto() else { return };
    let role = moto.role_with_policy("strongroom", &trust(), &least_policy().to_string()).unwrap();
    let (id, secret) = moto.user_with_policy("assuming", &allowing(&["sts:AssumeRole".to_owned()])).unwrap();
    moto.enforce_iam().unwrap();
    let child = || Child::at(&moto.url()).env("AWS_ACCESS_KEY_ID", &id).env("AWS_SECRET_ACCESS_KEY", &secret);
    let mut without = child().start();
    let told = without.probe();
    assert!(told.contains("missing: secretsmanager:ListSecrets"), "{told}");
    without.end();
    let mut with = child().role(&role).start();
    assert_eq!(with.probe(), "ok");
    assert!(!with.end().contains(&secret));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_identity_token_is_traded() {
    let Some(moto) = moto() else { return };
    let role = moto.role_with_policy("strongroom", &trust(), &least_policy().to_string()).unwrap();
    let child = || {
        Child::at(&moto.url())
            .file("token", CANARIES[1])
            .env_file("AWS_WEB_IDENTITY_TOKEN_FILE", "token")
            .env("AWS_ROLE_ARN", &role)
            .env("AWS_REGION", "eu-central-1")
    };
    let mut traded = child().env("AWS_ENDPOINT_URL_STS", &moto.url()).start();
    assert_eq!(traded.probe(), "ok");
    // Who trades has no signature, which moto would ask for; from now on it looks at what came of it.
    moto.enforce_iam().unwrap();
    assert_eq!(traded.probe(), "ok");
    traded.end();

    let denied = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>token-canary</Message>\
                  </Error></ErrorResponse>";
    let sts = Endpoint::start(vec![Says::Text(403, denied.to_owned())]).await;
    let mut refused = child().env("AWS_ENDPOINT_URL_STS", &sts.url("")).start();
    let told = refused.probe();
    let expected =
        format!("the server's AWS identity can't be had ({} answered with status 403, AccessDenied)", sts.host());
    assert!(told.ends_with(&expected), "{told}");
    refused.end();
    let mut unread = child().env_file("AWS_WEB_IDENTITY_TOKEN_FILE", "nowhere").start();
    let told = unread.probe();
    assert!(told.contains("can't be had: a file that it hangs on: No such file"), "{told}");
    unread.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_containers_session_is_renewed_before_it_ends() {
    let aws = Aws::start().await;
    let endpoint = Endpoint::start(vec![session(0, 200), session(1, 3_600)]).await;
    let mut child = Child::at(&aws.url())
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &endpoint.url("creds"))
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", CANARIES[2])
        .start();
    assert_eq!(child.answers(), "ok");
    assert_eq!(aws.state().session.as_deref(), Some("token-0"));
    // Each request goes on with what there is until the next one has come.
    let begun = std::time::Instant::now();
    while aws.state().session.as_deref() != Some("token-1") {
        assert_eq!(child.answers(), "ok");
        assert!(begun.elapsed().as_secs() < 60, "it isn't renewed while it lasts");
    }
    assert_eq!(child.answers(), "ok");
    let asked = endpoint.asked();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|head| head.contains(CANARIES[2]) && head.starts_with("GET /creds ")));
    child.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_aws_calls_ended_is_fetched_anew_once() {
    let aws = Aws::start().await;
    let endpoint = Endpoint::start(vec![session(0, 3_600), session(1, 3_600), session(1, 3_600)]).await;
    let mut child = Child::at(&aws.url()).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &endpoint.url("creds")).start();
    assert_eq!(child.answers(), "ok");
    {
        let mut state = aws.state();
        (state.one_session, state.sessions) = (true, 1);
    }
    assert_eq!(child.answers(), "ok");
    assert_eq!(endpoint.asked().len(), 2);
    aws.state().sessions = 2;
    let told = child.answers();
    assert!(told.contains("the session of these credentials has ended"), "{told}");
    assert_eq!(endpoint.asked().len(), 3);
    child.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_asked_by_the_second_version_of_its_protocol() {
    let aws = Aws::start().await;
    let Says::Text(status, session) = session(0, 3_600) else { unreachable!() };
    let session = session.replacen('{', "{\"Code\": \"Success\", \"Type\": \"AWS-HMAC\", ", 1);
    let instance = Endpoint::start(vec![
        Says::Token("token-canary"),
        Says::Text(200, "a-role".to_owned()),
        Says::Text(status, session),
    ])
    .await;
    let mut child = Child::at(&aws.url())
        .env("AWS_EC2_METADATA_DISABLED", "false")
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", &instance.url(""))
        .start();
    assert_eq!(child.answers(), "ok");
    let asked = instance.asked();
    let begin: Vec<_> = asked.iter().map(|head| head.split(" HTTP").next().unwrap()).collect();
    assert_eq!(
        begin,
        [
            "PUT /latest/api/token",
            "GET /latest/meta-data/iam/security-credentials/",
            "GET /latest/meta-data/iam/security-credentials/a-role",
        ]
    );
    child.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_endpoint_is_told_of_in_time_and_not_waited_for_again() {
    let aws = Aws::start().await;
    let endpoint = Endpoint::start(vec![Says::Nothing]).await;
    let mut child = Child::at(&aws.url()).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &endpoint.url("creds")).start();
    let told = child.probe();
    let begin = "secret store aws/secrets-manager: the server's AWS identity can't be had within 8 seconds";
    assert!(told.starts_with(begin) && told.contains(&endpoint.host()), "{told}");
    let asked = endpoint.asked().len();
    assert_eq!(child.probe(), told);
    assert_eq!((endpoint.asked().len(), aws.asked().len()), (asked, 0));
    child.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_identity_is_told_so() {
    let aws = Aws::start().await;
    let mut child = Child::at(&aws.url()).start();
    let told = child.probe();
    assert_eq!(
        told,
        "secret store aws/secrets-manager: the server has no AWS identity: neither its environment, a profile, a web \
         identity token, a container endpoint nor instance metadata gives one"
    );
    // So is who can't assume a role for want of one.
    let mut role = Child::at(&aws.url()).role("arn:aws:iam::123456789012:role/strongroom").start();
    assert_eq!(role.probe(), told);
    assert_eq!(aws.asked(), Vec::<String>::new());
    child.end();
    role.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_set_up_wrongly_is_told_without_what_it_says() {
    let aws = Aws::start().await;
    let role = "[default]\nrole_arn = arn:aws:iam::123456789012:role/a\n";
    let mut missing = Child::at(&aws.url()).file(".aws/config", role).start();
    let told = missing.probe();
    assert!(told.contains("the server's AWS identity is set up wrongly") && told.contains("source_profile"), "{told}");
    missing.end();
    let program = "[default]\ncredential_process = sh -c 'echo secret-canary; echo token-canary >&2; exit 3'\n";
    let mut failing = Child::at(&aws.url()).file(".aws/config", program).start();
    let told = failing.probe();
    assert!(told.contains("its credential process"), "{told}");
    failing.end();
    let nonsense = Endpoint::start(vec![Says::Text(200, "{\"SecretAccessKey\": \"secret-canary\", ".to_owned())]).await;
    let mut unreadable =
        Child::at(&aws.url()).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", &nonsense.url("creds")).start();
    let told = unreadable.probe();
    assert!(told.contains("can't be had (127.0.0.1") && told.ends_with("answered with status 200)"), "{told}");
    unreadable.end();
    let elsewhere = "http://token-canary@example.com/creds";
    let mut wrong = Child::at(&aws.url()).env("AWS_CONTAINER_CREDENTIALS_FULL_URI", elsewhere).start();
    let told = wrong.probe();
    assert!(told.contains("the server's AWS identity is set up wrongly"), "{told}");
    wrong.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_read_and_its_process_asked() {
    let aws = Aws::start().await;
    let Says::Text(_, session) = session(0, 3_600) else { unreachable!() };
    let session = session.replace("\"Token\"", "\"SessionToken\"").replacen('{', "{\"Version\": 1, ", 1);
    let mut child = Child::at(&aws.url())
        .file("session", &session)
        .file(".aws/config", "[profile prod]\ncredential_process = cat \"$HOME/session\"\n")
        .env("AWS_PROFILE", "prod")
        .start();
    aws.state().one_session = true;
    assert_eq!(child.answers(), "ok");
    child.end();
}
