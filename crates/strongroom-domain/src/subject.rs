//! Subjects: who is granted something, and who acts.

use crate::names::{Email, MachineName, NameError, TeamName};

/// The team that every person of the tenant is in. Machines are not: what they may do is granted to them by name.
pub const EVERYONE: &str = "team:everyone";

const EXTERNAL_IDENTITY: &str = "external identities are mapped, not named: give the role to a virtual account or an \
                                 agent whose `identity_provider_mapping` has the identity, and name that as \
                                 `virtualaccount:<name>` or `agent:<name>`";

/// What a subject is, as manifests and role bindings write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubjectType {
    /// A person, by email.
    User,
    /// A machine.
    VirtualAccount,
    /// All who are in a team.
    Team,
    /// A machine with an agent's identity.
    Agent,
}

impl SubjectType {
    /// Every type.
    pub const ALL: [Self; 4] = [Self::User, Self::VirtualAccount, Self::Team, Self::Agent];

    /// Reads a type; `serviceaccount` is another name of `virtualaccount`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "user" => Some(Self::User),
            "virtualaccount" | "serviceaccount" => Some(Self::VirtualAccount),
            "team" => Some(Self::Team),
            "agent" => Some(Self::Agent),
            _ => None,
        }
    }

    /// Reads a type; the error says which there are.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        match Self::parse(text) {
            Some(kind) => Ok(kind),
            None if text == "external-identity" => Err(EXTERNAL_IDENTITY),
            None => Err("a subject is a `user`, a `virtualaccount`, a `team` or an `agent`"),
        }
    }

    /// The text before the colon.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::VirtualAccount => "virtualaccount",
            Self::Team => "team",
            Self::Agent => "agent",
        }
    }
}

/// A subject as manifests write it, `<type>:<name>`, in the one spelling that grants are stored under.
///
/// `serviceaccount:` is another name of `virtualaccount:`, and users go by their lower-case address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectName {
    text: String,
    kind: SubjectType,
}

impl SubjectName {
    /// What a subject looks like.
    const FORM: &str = "a subject is `user:<email>`, `virtualaccount:<name>`, `team:<name>` or `agent:<name>`";

    /// Reads `<type>:<name>`; the error says what is expected.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (kind, name) = text.split_once(':').ok_or(Self::FORM)?;
        match SubjectType::parse(kind) {
            Some(kind) => Self::of(kind, name).map_err(|_| Self::FORM),
            None if kind == "external-identity" => Err(EXTERNAL_IDENTITY),
            None => Err(Self::FORM),
        }
    }

    /// A type and a name that were written apart, as role bindings have them.
    pub fn of(kind: SubjectType, name: &str) -> Result<Self, NameError> {
        match kind {
            SubjectType::User => Email::parse(name).map(|email| Self::user(&email)),
            SubjectType::VirtualAccount => MachineName::parse(name).map(|name| Self::virtual_account(&name)),
            SubjectType::Team => TeamName::parse(name).map(|name| Self::team(&name)),
            SubjectType::Agent => MachineName::parse(name).map(|name| Self::agent(&name)),
        }
    }

    /// A person.
    #[must_use]
    pub fn user(email: &Email) -> Self {
        Self::new(SubjectType::User, email.as_str())
    }

    /// A machine.
    #[must_use]
    pub fn virtual_account(name: &MachineName) -> Self {
        Self::new(SubjectType::VirtualAccount, name.as_str())
    }

    /// All who are in a team.
    #[must_use]
    pub fn team(name: &TeamName) -> Self {
        Self::new(SubjectType::Team, name.as_str())
    }

    /// A machine with an agent's identity.
    #[must_use]
    pub fn agent(name: &MachineName) -> Self {
        Self::new(SubjectType::Agent, name.as_str())
    }

    fn new(kind: SubjectType, name: &str) -> Self {
        Self { text: format!("{}:{name}", kind.id()), kind }
    }

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> SubjectType {
        self.kind
    }

    /// Its name: an address for a person.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.text[self.kind.id().len() + 1..]
    }

    /// The person meant, if it is one.
    #[must_use]
    pub fn user_email(&self) -> Option<&str> {
        (self.kind == SubjectType::User).then(|| self.name())
    }

    /// The machine meant, if it is one.
    #[must_use]
    pub fn virtual_account_name(&self) -> Option<&str> {
        (self.kind == SubjectType::VirtualAccount).then(|| self.name())
    }
}

/// The kind of an authenticated subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    /// A person.
    User,
    /// A virtual account; on the wire `serviceaccount`.
    VirtualAccount,
    /// An agent.
    AgentIdentity,
}

impl SubjectKind {
    /// The type on the wire and in the database.
    #[must_use]
    pub const fn wire(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::VirtualAccount => "serviceaccount",
            Self::AgentIdentity => "agent-identity",
        }
    }

    /// The kind of somebody who is named; teams don't act.
    #[must_use]
    pub const fn of(name: &SubjectName) -> Option<Self> {
        match name.kind() {
            SubjectType::User => Some(Self::User),
            SubjectType::VirtualAccount => Some(Self::VirtualAccount),
            SubjectType::Agent => Some(Self::AgentIdentity),
            SubjectType::Team => None,
        }
    }

    /// Reads the wire form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "user" => Some(Self::User),
            "serviceaccount" => Some(Self::VirtualAccount),
            "agent-identity" => Some(Self::AgentIdentity),
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
    /// Who it is at the identity provider whose token was shown, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_slug: Option<String>,
    /// Who steers it, if it acts for somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_per_subject() {
        for (written, stored, kind, name) in [
            ("user:Alice@X.io", "user:alice@x.io", SubjectType::User, "alice@x.io"),
            ("serviceaccount:ci-bot", "virtualaccount:ci-bot", SubjectType::VirtualAccount, "ci-bot"),
            ("virtualaccount:ci-bot", "virtualaccount:ci-bot", SubjectType::VirtualAccount, "ci-bot"),
            ("team:everyone", EVERYONE, SubjectType::Team, "everyone"),
            ("team:devs", "team:devs", SubjectType::Team, "devs"),
            ("agent:helper", "agent:helper", SubjectType::Agent, "helper"),
        ] {
            let subject = SubjectName::parse(written).unwrap();
            assert_eq!((subject.as_str(), subject.kind(), subject.name()), (stored, kind, name));
            assert_eq!(SubjectName::of(kind, name), Ok(subject));
        }
        for bad in ["", "user", "user:", "alice@x.io", "team:", "team:A", "role:x", "virtualaccount:X", "user:a:b@c"] {
            assert!(SubjectName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_its_own_kind_answers() {
        let user = SubjectName::parse("user:a@b.c").unwrap();
        let machine = SubjectName::parse("virtualaccount:bot").unwrap();
        assert_eq!((user.user_email(), user.virtual_account_name()), (Some("a@b.c"), None));
        assert_eq!((machine.user_email(), machine.virtual_account_name()), (None, Some("bot")));
    }

    #[test]
    fn external_identities_are_told_where_to_go() {
        assert_eq!(SubjectName::parse("external-identity:x"), Err(EXTERNAL_IDENTITY));
        assert_eq!(SubjectType::read("external-identity"), Err(EXTERNAL_IDENTITY));
        assert_eq!(SubjectType::read("team"), Ok(SubjectType::Team));
        assert!(SubjectType::read("role").is_err());
    }

    #[test]
    fn kinds_read_back() {
        for kind in [SubjectKind::User, SubjectKind::VirtualAccount, SubjectKind::AgentIdentity] {
            assert_eq!(SubjectKind::parse(kind.wire()), Some(kind));
        }
        for kind in SubjectType::ALL {
            assert_eq!(SubjectType::parse(kind.id()), Some(kind));
        }
    }

    #[test]
    fn actors_written_before_the_newer_fields_read() {
        let old = r#"{"id":"1","type":"user","slug":"a@b.c"}"#;
        let actor: Actor = serde_json::from_str(old).unwrap();
        assert_eq!(serde_json::to_string(&actor).unwrap(), old);
    }
}
