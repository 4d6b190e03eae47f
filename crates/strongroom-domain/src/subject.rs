//! Subjects: who is granted something, and who acts.

use crate::names::{Email, MachineName};

/// The team that every person of the tenant is in. Machines are not: what they may do is granted to them by name.
pub const EVERYONE: &str = "team:everyone";

/// A subject as manifests write it, `<type>:<name>`, in the one spelling that grants are stored under.
///
/// `serviceaccount:` is another name of `virtualaccount:`, and users go by their lower-case address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectName(String);

impl SubjectName {
    /// Reads `<type>:<name>`; the error says what is expected.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "a subject is `user:<email>`, `virtualaccount:<name>` or `team:everyone`";
        if text == EVERYONE {
            return Ok(Self(text.into()));
        }
        match text.split_once(':').ok_or(FORM)? {
            ("user", email) => Email::parse(email).map(|email| Self::user(&email)).map_err(|_| FORM),
            ("virtualaccount" | "serviceaccount", name) => {
                MachineName::parse(name).map(|name| Self::virtual_account(&name)).map_err(|_| FORM)
            }
            _ => Err(FORM),
        }
    }

    /// A person.
    #[must_use]
    pub fn user(email: &Email) -> Self {
        Self(format!("user:{email}"))
    }

    /// A machine.
    #[must_use]
    pub fn virtual_account(name: &MachineName) -> Self {
        Self(format!("virtualaccount:{name}"))
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The person meant, if it is one.
    #[must_use]
    pub fn user_email(&self) -> Option<&str> {
        self.0.strip_prefix("user:")
    }

    /// The machine meant, if it is one.
    #[must_use]
    pub fn virtual_account_name(&self) -> Option<&str> {
        self.0.strip_prefix("virtualaccount:")
    }
}

/// The kind of an authenticated subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    /// A person.
    User,
    /// A virtual account; on the wire `serviceaccount`.
    VirtualAccount,
}

impl SubjectKind {
    /// The type on the wire and in the database.
    #[must_use]
    pub const fn wire(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::VirtualAccount => "serviceaccount",
        }
    }

    /// Reads the wire form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "user" => Some(Self::User),
            "serviceaccount" => Some(Self::VirtualAccount),
            _ => None,
        }
    }
}

/// Who did something, as it is written down beside what they did: a copy that later renames don't change.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Actor {
    /// The subject's id.
    pub id: String,
    /// The subject's type on the wire.
    #[serde(rename = "type")]
    pub kind: String,
    /// Email or name.
    pub slug: String,
    /// A name for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The personal access token used, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_name: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_per_subject() {
        assert_eq!(SubjectName::parse("user:Alice@X.io").unwrap().as_str(), "user:alice@x.io");
        assert_eq!(SubjectName::parse("serviceaccount:ci-bot").unwrap().as_str(), "virtualaccount:ci-bot");
        assert_eq!(SubjectName::parse("team:everyone").unwrap().as_str(), EVERYONE);
        for bad in ["", "user", "user:", "alice@x.io", "team:devs", "role:x", "virtualaccount:X", "user:a:b@c"] {
            assert!(SubjectName::parse(bad).is_err(), "{bad}");
        }
    }
}
