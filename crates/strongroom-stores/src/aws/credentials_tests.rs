use super::*;

fn key() -> AwsAuthData {
    AwsAuthData::AccessKey {
        access_key_id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_access_key: SecretValue::new("canary".to_owned()),
    }
}

fn role(arn: &str, external_id: Option<&str>) -> AwsAuthData {
    AwsAuthData::AssumedRole { assumed_role_arn: arn.to_owned(), external_id: external_id.map(str::to_owned) }
}

const REFUSED: &str = "the identity of the machine itself isn't lent";
const ROLE: &str = "arn:aws:iam::123456789012:role/path/name";

fn source(account: Option<&AwsAuthData>, integration: Option<&AwsAuthData>) -> Result<Source, String> {
    let sts = Service { name: "sts", url: "https://sts.example/".parse().unwrap(), content_type: "" };
    Source::new(account, integration, "instance/1", sts, &ProcessIdentity::refused(REFUSED))
}

#[test]
fn the_integrations_credentials_go_first_and_a_role_stands_on_the_accounts() {
    assert!(matches!(source(Some(&key()), None), Ok(Source::Identity(_))));
    assert!(matches!(source(None, Some(&key())), Ok(Source::Identity(_))));
    assert!(matches!(source(Some(&role(ROLE, None)), Some(&key())), Ok(Source::Identity(_))));
    let Ok(Source::Role(assumed)) = source(Some(&key()), Some(&role(ROLE, Some("id")))) else { panic!("a role") };
    assert_eq!((assumed.arn.as_str(), assumed.session_name.as_str()), (ROLE, "strongroom-instance1"));
}

#[test]
fn what_is_missing_is_said() {
    let error = source(None, None).unwrap_err();
    assert!(error.contains("set `auth_data`") && error.contains("access-key-based"), "{error}");
    assert!(error.ends_with(REFUSED), "{error}");
    for account in [None, Some(role(ROLE, None))] {
        let error = source(account.as_ref(), Some(&role(ROLE, None))).unwrap_err();
        assert!(error.contains("the account's `auth_data` to access-key-based"), "{error}");
        assert!(error.ends_with(REFUSED), "{error}");
    }
    source(Some(&role(ROLE, None)), None).unwrap_err();
}

#[test]
fn what_no_request_takes_is_refused_and_not_repeated() {
    let access = |id: &str, secret: &str| AwsAuthData::AccessKey {
        access_key_id: id.to_owned(),
        secret_access_key: SecretValue::new(secret.to_owned()),
    };
    for bad in [access("", "canary"), access("AK/IA", "canary"), access("AKIA", ""), access("AKIA", "canary canary")] {
        let error = source(Some(&bad), None).unwrap_err();
        assert!(error.starts_with('`') && !error.contains("canary"), "{error}");
    }
    for arn in [
        "",
        "name",
        "arn:aws:iam::12345678901:role/x",
        "arn:aws:iam::123456789012:user/x",
        "arn:aws:s3::123456789012:role/x",
    ] {
        source(Some(&key()), Some(&role(arn, None))).unwrap_err();
    }
    for external_id in ["", "x", "a b", "ä"] {
        source(Some(&key()), Some(&role(ROLE, Some(external_id)))).unwrap_err();
    }
}

#[test]
fn sessions_are_read_strictly() {
    let answer = |credentials: &str| {
        format!(
            "<AssumeRoleResponse><AssumeRoleResult><Credentials>{credentials}</Credentials></AssumeRoleResult></AssumeRoleResponse>"
        )
    };
    let good = "<AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
                <Expiration>2026-11-24T12:00:00Z</Expiration>";
    let session = read_session(answer(good).as_bytes()).unwrap();
    assert_eq!(session.ends, Timestamp::parse("2026-11-24T12:00:00Z").unwrap());
    assert_eq!(session.credentials.access_key_id, "ASIA");
    assert_eq!(session.credentials.session_token.as_ref().unwrap().expose(), "t");
    for bad in [
        answer(""),
        answer(&good.replace("2026-11-24T12:00:00Z", "soon")),
        answer(&good.replace(">t<", "> <")),
        answer(&format!("{good}{good}")),
        answer(good).replace("AssumeRoleResult", "Result"),
        good.to_owned(),
        String::new(),
    ] {
        assert!(read_session(bad.as_bytes()).is_none(), "{bad}");
    }
}

#[test]
fn forms_carry_any_text() {
    assert_eq!(encode("a-_.~ &=+/ü"), "a-_.~%20%26%3D%2B%2F%C3%BC");
}

#[test]
fn nothing_is_shown() {
    let shown = format!("{:?} {:?}", key(), source(Some(&key()), None).unwrap());
    assert!(!shown.contains("canary"), "{shown}");
}
