use serde_json::{Map, Value};

use super::fields::{Fields, Written, read};
use crate::Violation;
use crate::names::ProviderName;

/// A checked manifest of type `identity-provider`: whose tokens may stand for machines and people. The type is our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityProviderManifest {
    /// The provider's name; the match is by name.
    pub name: ProviderName,
    /// What the `iss` claim must be.
    pub issuer: Option<String>,
    /// Where its keys are. The form is checked here; whether the address may be called is for who calls it.
    pub jwks_uri: String,
    /// Of which the `aud` claim must have one; without any, all will do.
    pub audiences: Option<Vec<String>>,
    /// The claim by which machines are found.
    pub subject_claim: Option<String>,
    /// The claim by which people are found.
    pub email_claim: Option<String>,
    /// Whether it may log people in by that claim.
    pub users: Option<bool>,
    /// Claims that a token must have, with these values: text, numbers, true or false.
    pub claims: Option<Map<String, Value>>,
}

impl IdentityProviderManifest {
    /// The `type` of such a manifest.
    pub const TYPE: &str = "identity-provider";

    const FIELDS: [&str; 9] =
        ["type", "name", "issuer", "jwks_uri", "audiences", "subject_claim", "email_claim", "users", "claims"];

    /// Checks a manifest field by field. Fields that it doesn't know are refused: the type is our own, so no other
    /// client sends more, and a misspelt condition would be a condition less.
    pub fn parse(manifest: &Value) -> Result<Self, Vec<Violation>> {
        read(manifest, Self::TYPE, Self::read, Self::to_json)
    }

    fn read(fields: &Fields<'_>) -> Option<Self> {
        fields.only(&Self::FIELDS);
        let name = fields.parsed("name", ProviderName::parse);
        let issuer = fields.optional("issuer", filled);
        let jwks_uri = fields.parsed("jwks_uri", url);
        let audiences = fields.texts("audiences", filled);
        fields.unique("audiences", audiences.iter().flatten().map(String::as_str));
        let subject_claim = fields.optional("subject_claim", filled);
        let email_claim = fields.optional("email_claim", filled);
        let users = fields.flag("users");
        let claims = fields.pairs("claims", 32, |value| match value {
            Value::String(text) if text.len() > 1_024 || text.contains('\0') => {
                Err("must have at most 1024 bytes and no U+0000")
            }
            Value::String(_) | Value::Number(_) | Value::Bool(_) => Ok(value.clone()),
            _ => Err("must be a string, a number, true or false"),
        });
        let given = |field| fields.get(field).is_some_and(|value| value.as_array().is_none_or(|list| !list.is_empty()));
        if !given("issuer") && !given("audiences") {
            fields.fault(
                "issuer",
                "give `issuer` or `audiences`: many services share one set of keys, and a token made for any of them \
                 would do here",
            );
        } else if users == Some(true) && !given("audiences") {
            fields.fault(
                "audiences",
                "required with `users`: any other application that people log in to through this provider could show \
                 their tokens here and act as them",
            );
        }
        Some(Self {
            name: name?,
            issuer,
            jwks_uri: jwks_uri?,
            audiences,
            subject_claim,
            email_claim,
            users,
            claims: claims.map(Map::from_iter),
        })
    }

    /// The claim by which machines are found.
    #[must_use]
    pub fn subject_claim(&self) -> &str {
        self.subject_claim.as_deref().unwrap_or("sub")
    }

    /// The claim by which people are found.
    #[must_use]
    pub fn email_claim(&self) -> &str {
        self.email_claim.as_deref().unwrap_or("email")
    }

    /// The manifest as it is stored and given back: without what was left out, so that clients find no difference between
    /// it and what they sent.
    #[must_use]
    pub fn to_json(&self) -> Value {
        Written::new(Self::TYPE)
            .with("name", self.name.as_str())
            .maybe("issuer", self.issuer.as_deref())
            .with("jwks_uri", self.jwks_uri.as_str())
            .maybe("audiences", self.audiences.as_deref())
            .maybe("subject_claim", self.subject_claim.as_deref())
            .maybe("email_claim", self.email_claim.as_deref())
            .maybe("users", self.users)
            .maybe("claims", self.claims.clone())
            .into()
    }
}

fn filled(text: &str) -> Result<String, &'static str> {
    let fits = !text.is_empty() && text.len() <= 1_024;
    if fits { Ok(text.into()) } else { Err("must have 1 to 1024 bytes") }
}

/// Which addresses may be reached, and which of them in plain text, is decided when they are.
fn url(text: &str) -> Result<String, &'static str> {
    let clean = text.len() <= 2_048 && text.chars().all(|c| c.is_ascii_graphic() && !"\\#<>\"".contains(c));
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
    match host {
        Some(host) if clean && !host.is_empty() && !host.starts_with(':') && !host.contains('@') => Ok(text.into()),
        _ => Err("must be a URL like `https://login.example.com/keys`, without user name and fragment"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(field: &str, value: Value) -> Result<IdentityProviderManifest, Vec<String>> {
        let mut manifest = json!({"type": "identity-provider", "name": "github", "jwks_uri": "https://g.example/keys",
                                  "issuer": "https://g.example"});
        manifest[field] = value;
        let faults = |faults: Vec<Violation>| faults.into_iter().map(|fault| fault.path).collect();
        IdentityProviderManifest::parse(&manifest).map_err(faults)
    }

    #[test]
    fn a_full_manifest_reads_and_writes_back() {
        let written = json!({
            "type": "identity-provider", "name": "okta", "issuer": "https://acme.okta.com",
            "jwks_uri": "https://acme.okta.com:8443/oauth2/v1/keys?x=1", "audiences": ["strongroom"],
            "subject_claim": "sub", "email_claim": "preferred_username", "users": true,
            "claims": {"email_verified": true, "org": "acme", "tier": 3},
        });
        assert_eq!(IdentityProviderManifest::parse(&written).unwrap().to_json(), written);
        let least = with("claims", Value::Null).unwrap();
        assert_eq!((least.subject_claim(), least.email_claim()), ("sub", "email"));
        let written = json!({"type": "identity-provider", "name": "github", "issuer": "https://g.example",
                             "jwks_uri": "https://g.example/keys"});
        assert_eq!(least.to_json(), written);
        let spelled_out = with("users", json!(false)).unwrap();
        assert_eq!(spelled_out.to_json()["users"], false);
    }

    #[test]
    fn not_just_anybodys_token_will_do() {
        let unbound = Err(vec!["manifest.issuer".to_owned()]);
        assert_eq!(with("issuer", Value::Null), unbound);
        let mut manifest = json!({"type": "identity-provider", "name": "g", "jwks_uri": "https://g.example/keys",
                                  "audiences": []});
        assert!(IdentityProviderManifest::parse(&manifest).is_err());
        manifest["audiences"] = json!(["strongroom"]);
        assert!(IdentityProviderManifest::parse(&manifest).is_ok());
        assert_eq!(with("users", json!(true)), Err(vec!["manifest.audiences".to_owned()]));
        manifest["users"] = json!(true);
        assert!(IdentityProviderManifest::parse(&manifest).is_ok());
    }

    #[test]
    fn every_field_is_checked() {
        for (field, value, path) in [
            ("audience", json!("strongroom"), ""),
            ("issuer", json!(""), ""),
            ("audiences", json!(["a", "a"]), ""),
            ("audiences", json!([""]), "[0]"),
            ("subject_claim", json!(7), ""),
            ("users", json!("yes"), ""),
            ("claims", json!({"org": ["acme"]}), ".org"),
            ("claims", json!([]), ""),
        ] {
            assert_eq!(with(field, value), Err(vec![format!("manifest.{field}{path}")]));
        }
    }

    #[test]
    fn keys_come_from_a_plain_url() {
        for good in [
            "https://g.example",
            "http://127.0.0.1:9/keys",
            "https://10.0.0.1:8443/keys",
            "https://[::1]/keys?tenant=a%20b",
        ] {
            assert!(with("jwks_uri", json!(good)).is_ok(), "{good}");
        }
        for bad in [
            "",
            "HTTPS://g.example",
            "https://",
            "https:///keys",
            "https://?keys",
            "https://:443/keys",
            "https://u:p@g.example/keys",
            "https://g.example\\@evil.example/",
            "https://g.example/keys#x",
            "https://g.example/a b",
            "https://g.example/\n",
            "https://g.exämple/",
            "file:///etc/passwd",
        ] {
            assert_eq!(with("jwks_uri", json!(bad)), Err(vec!["manifest.jwks_uri".to_owned()]), "{bad}");
        }
    }
}
