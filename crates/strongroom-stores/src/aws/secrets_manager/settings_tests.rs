use super::*;

fn settings() -> AwsSecretsManagerSettings {
    AwsSecretsManagerSettings {
        region: AwsRegion::parse("eu-central-1").unwrap(),
        account_auth: None,
        integration_auth: None,
        process: ProcessIdentity::refused("not lent"),
        kms_arn: None,
        tags: BTreeMap::new(),
        instance: "instance-1".to_owned(),
        removal: EntryRemoval::AtOnce,
        endpoints: AwsEndpoints::default(),
    }
}

fn with_tag(key: &str, value: &str) -> AwsSecretsManagerSettings {
    AwsSecretsManagerSettings { tags: BTreeMap::from([(key.to_owned(), value.to_owned())]), ..settings() }
}

#[test]
fn entries_are_tagged_with_the_instance_and_the_owners_tags() {
    let tags = with_tag("cost centre", "Zürich 7").checked_tags().unwrap();
    let told: Vec<_> = tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())).collect();
    assert_eq!(told, [(INSTANCE_TAG, "instance-1"), ("cost centre", "Zürich 7")]);
}

#[test]
fn what_aws_would_refuse_later_is_refused_now() {
    let long = "x".repeat(257);
    for (key, value) in
        [("aws:x", ""), ("AWS:x", ""), ("strongroom-instance", "another"), ("", ""), ("a", &long), ("a\n", "")]
    {
        let error = with_tag(key, value).checked_tags().unwrap_err();
        assert!(error.starts_with("`tags`"), "{error}");
    }
    let many = (0..49).map(|number| (number.to_string(), String::new())).collect();
    assert!(AwsSecretsManagerSettings { tags: many, ..settings() }.checked_tags().is_err());
    for arn in ["", "key", "arn:aws:iam::123456789012:role/x", "arn:aws:kms:eu-central-1:123456789012:x"] {
        let error =
            AwsSecretsManagerSettings { kms_arn: Some(arn.to_owned()), ..settings() }.checked_tags().unwrap_err();
        assert!(error.starts_with("`kms_arn`"), "{error}");
    }
    for arn in ["arn:aws:kms:eu-central-1:123456789012:key/1", "arn:aws-cn:kms:cn-north-1:123456789012:alias/a"] {
        AwsSecretsManagerSettings { kms_arn: Some(arn.to_owned()), ..settings() }.checked_tags().unwrap();
    }
    for (days, is_good) in [(6, false), (7, true), (30, true), (31, false)] {
        let removal = EntryRemoval::Trash { days };
        assert_eq!(AwsSecretsManagerSettings { removal, ..settings() }.checked_tags().is_ok(), is_good);
    }
}
