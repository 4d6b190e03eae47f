//! What role bindings that nobody named are called: after what they grant, as the contract's own tools name them.

use super::GrantedRole;
use crate::names::BindingName;
use crate::subject::{SubjectName, SubjectType};

/// The longest name that is allowed.
const LONGEST: usize = 66;
/// The longest part that a role's name is, so that a resource's name stays to be seen beside it.
const LONGEST_ROLE: usize = 24;

impl BindingName {
    /// After a role on a resource: `sg-<group>-<role>-<tag>`. The words only help who reads it; that two such names differ
    /// is the tag's matter, of at most eight characters.
    #[must_use]
    pub fn of_resource(role: &GrantedRole, resource_fqn: &str, tag: &str) -> Self {
        let segments: Vec<&str> = resource_fqn.split(':').collect();
        let last = segments.last().copied().unwrap_or_default();
        let (code, resource) = match role {
            GrantedRole::Group(_) => ("sg", last.to_owned()),
            // Beside its account, and by the type of all that this server has: secret stores.
            GrantedRole::Integration(_) => ("pi", format!("{}-ss-{last}", segments.get(2).unwrap_or(&""))),
            GrantedRole::Account(_) => ("pa", last.to_owned()),
            GrantedRole::Team(_) => ("team", last.to_owned()),
            GrantedRole::Tenant(_) => ("account", last.to_owned()),
        };
        let prefix = format!("{}-", role.resource_type());
        let role = slug(role.id());
        Self::built(code, &slug(&resource), role.strip_prefix(&prefix).unwrap_or(&role), tag)
    }

    /// After a role of a subject, on whatever it is: `va-<name>-<role>-<tag>`.
    #[must_use]
    pub fn of_subject(subject: &SubjectName, role: &GrantedRole, tag: &str) -> Self {
        let code = match subject.kind() {
            SubjectType::User => "user",
            SubjectType::Team => "team",
            SubjectType::VirtualAccount => "va",
            SubjectType::Agent => "agent",
        };
        Self::built(code, &slug(subject.name()), &slug(role.id()), tag)
    }

    fn built(code: &str, what: &str, role: &str, tag: &str) -> Self {
        let role = clipped(role, LONGEST_ROLE);
        let rest = LONGEST.saturating_sub(code.len() + role.len() + tag.len() + 3);
        let parts = [code, clipped(what, rest), role, tag];
        let text = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
        Self::parse(&text).expect("a code, slugs and a tag make a well-formed name")
    }
}

/// The letters and digits of a text in lower case, with a hyphen for whatever stands between them.
fn slug(text: &str) -> String {
    let words = text.split(|character: char| !character.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_ascii_lowercase()
}

/// The beginning of a slug.
fn clipped(slug: &str, length: usize) -> &str {
    slug.get(..length).unwrap_or(slug).trim_end_matches('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(resource_type: &str, fqn: &str, role: &str) -> String {
        let role = GrantedRole::parse(resource_type, role).unwrap();
        BindingName::of_resource(&role, fqn, "0a1b2c3d").as_str().to_owned()
    }

    fn of(subject: &str, resource_type: &str, role: &str) -> String {
        let role = GrantedRole::parse(resource_type, role).unwrap();
        BindingName::of_subject(&SubjectName::parse(subject).unwrap(), &role, "0a1b2c3d").as_str().to_owned()
    }

    #[test]
    fn names_say_what_is_granted() {
        for (resource_type, fqn, role, name) in [
            ("secret-group", "acme:prod", "secret-group-admin", "sg-prod-admin-0a1b2c3d"),
            ("secret-group", "acme:prod", "secret-group-manager", "sg-prod-admin-0a1b2c3d"),
            ("secret-group", "acme:My_Group..x", "secret-group-viewer", "sg-my-group-x-viewer-0a1b2c3d"),
            (
                "provider-integration",
                "acme:truefoundry:shop:secret-store:db",
                "provider-integration-access",
                "pi-shop-ss-db-access-0a1b2c3d",
            ),
            ("provider-account", "acme:truefoundry:shop", "provider-account-manager", "pa-shop-manager-0a1b2c3d"),
            ("team", "devs", "team-manager", "team-devs-manager-0a1b2c3d"),
            ("team", "devs", "leads", "team-devs-leads-0a1b2c3d"),
            ("account", "acme", "tenant-admin", "account-acme-tenant-admin-0a1b2c3d"),
        ] {
            assert_eq!(on(resource_type, fqn, role), name);
        }
        let named = of("user:alice@x.io", "secret-group", "secret-group-viewer");
        assert_eq!(named, "user-alice-x-io-secret-group-viewer-0a1b2c3d");
        assert_eq!(of("virtualaccount:ci-bot", "account", "auditor"), "va-ci-bot-auditor-0a1b2c3d");
    }

    #[test]
    fn whatever_they_are_made_of_they_are_names() {
        let long = "x".repeat(300);
        for resource in ["", ":", "::::", "acme:", "é:é", "acme:-", "9", "acme:-a-", &format!("acme:{long}"), &long] {
            for (resource_type, role) in [
                ("secret-group", "secret-group-viewer"),
                ("provider-integration", "provider-integration-access"),
                ("team", &"r".repeat(63)),
                ("account", &format!("r{}a", "-".repeat(61))),
            ] {
                let name = on(resource_type, resource, role);
                assert!(name.ends_with("-0a1b2c3d") && BindingName::parse(&name).is_ok(), "{name}");
            }
        }
        let address = format!("user:{}@{}.io", "a".repeat(60), "b-".repeat(80).trim_end_matches('-'));
        for tag in ["", "0", "01234567"] {
            let role = GrantedRole::parse("team", &"r".repeat(63)).unwrap();
            let name = BindingName::of_subject(&SubjectName::parse(&address).unwrap(), &role, tag);
            assert!(name.as_str().ends_with(tag) && name.as_str().len() <= LONGEST);
        }
    }
}
