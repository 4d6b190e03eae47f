use crate::egress::EgressUrl;

/// By the beginning of their regions' names, the partitions whose addresses end in something else.
const PARTITIONS: &[(&str, &str)] = &[
    ("cn-", "amazonaws.com.cn"),
    ("us-iso-", "c2s.ic.gov"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
    ("eusc-", "amazonaws.eu"),
];

/// A region of AWS, like `eu-central-1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsRegion(String);

impl AwsRegion {
    /// Checks the form only: there are new regions every year. It becomes part of a host's name, so the form is strict.
    pub fn parse(text: &str) -> Result<Self, String> {
        const LONGEST: usize = 32;
        let parts: Vec<&str> = text.split('-').collect();
        let is_word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
        let is_number = |part: &str| matches!(part.len(), 1..=2) && part.bytes().all(|byte| byte.is_ascii_digit());
        match parts.as_slice() {
            [words @ .., number]
                if words.len() >= 2 && words.iter().all(is_word) && is_number(number) && text.len() <= LONGEST =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err("`region` must be a region of AWS, like eu-central-1".to_owned()),
        }
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where a service of this region is.
    pub(super) fn endpoint(&self, service: &str) -> EgressUrl {
        let partition = PARTITIONS.iter().find(|(beginning, _)| self.0.starts_with(beginning));
        let domain = partition.map_or("amazonaws.com", |(_, domain)| domain);
        let url = format!("https://{service}.{}.{domain}/", self.0).parse();
        url.expect("the form of a region makes a host")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_have_a_form() {
        for good in ["us-east-1", "eu-central-1", "us-gov-west-1", "us-iso-east-1", "eusc-de-east-1", "ap-southeast-12"]
        {
            assert_eq!(AwsRegion::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "us",
            "us-1",
            "us-east",
            "us-east-",
            "us-east-123",
            "US-east-1",
            "us--east-1",
            "us-east-1.evil.com",
            "us-east-1/",
            "x@us-east-1",
            " us-east-1",
        ] {
            assert!(AwsRegion::parse(bad).is_err(), "{bad}");
        }
        assert!(AwsRegion::parse(&format!("us-{}-1", "a".repeat(60))).is_err());
    }

    #[test]
    fn each_partition_has_its_addresses() {
        for (region, host) in [
            ("us-east-1", "secretsmanager.us-east-1.amazonaws.com"),
            ("us-gov-west-1", "secretsmanager.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", "secretsmanager.cn-north-1.amazonaws.com.cn"),
            ("us-isob-east-1", "secretsmanager.us-isob-east-1.sc2s.sgov.gov"),
            ("eusc-de-east-1", "secretsmanager.eusc-de-east-1.amazonaws.eu"),
        ] {
            let url = AwsRegion::parse(region).unwrap().endpoint("secretsmanager");
            assert_eq!(url.to_string(), format!("https://{host}/"));
        }
    }
}
