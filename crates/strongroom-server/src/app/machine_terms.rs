//! What the manifests of virtual accounts and agent identities say about their tokens, in one form.

use serde_json::Value;
use strongroom_domain::Timestamp;
use strongroom_domain::manifest::{
    AgentIdentity, AgentIdentityManifest, AutoRotate, IdentityMapping, Permission, TokenTarget, TokenType,
    VirtualAccountManifest,
};
use strongroom_domain::names::MachineName;
use strongroom_domain::subject::{SubjectKind, SubjectName};
use strongroom_metadata::MachineKind;

use super::AppError;
use super::signing::TokenOwner;

/// The terms of a machine.
#[derive(Clone)]
pub(crate) struct MachineTerms {
    pub(crate) kind: MachineKind,
    pub(crate) name: MachineName,
    /// The manifest as it is stored, but for what it doesn't speak of.
    pub(crate) written: Value,
    /// Roles; `None` leaves them as they are.
    pub(crate) permissions: Option<Vec<Permission>>,
    /// When its tokens end.
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) auto_rotate: Option<AutoRotate>,
    pub(crate) target: Option<TokenTarget>,
    pub(crate) mappings: Vec<IdentityMapping>,
    /// Whether its tokens are JWTs.
    pub(crate) jwt: bool,
}

impl MachineTerms {
    pub(crate) fn parse(kind: MachineKind, manifest: &Value) -> Result<Self, AppError> {
        match kind {
            MachineKind::VirtualAccount => {
                let manifest = VirtualAccountManifest::parse(manifest).map_err(AppError::Invalid)?;
                Ok(Self {
                    kind,
                    written: manifest.to_json(),
                    name: manifest.name,
                    permissions: manifest.permissions,
                    expires_at: manifest.expiration_date.map(|day| day.start().plus_days(1)),
                    auto_rotate: manifest.auto_rotate,
                    target: manifest.secret_store_config,
                    mappings: manifest.identity_provider_mapping.unwrap_or_default(),
                    jwt: manifest.token_type == Some(TokenType::Jwt),
                })
            }
            MachineKind::AgentIdentity => {
                let manifest = AgentIdentityManifest::parse(manifest).map_err(AppError::Invalid)?;
                let written = manifest.to_json();
                let (expiration_date, auto_rotate, target, mappings) = match manifest.identity {
                    AgentIdentity::Token { expiration_date, auto_rotate, secret_store_config } => {
                        (expiration_date, auto_rotate, secret_store_config, Vec::new())
                    }
                    AgentIdentity::Mapped(mappings) => (None, None, None, mappings),
                };
                Ok(Self {
                    kind,
                    written,
                    name: manifest.name,
                    permissions: None,
                    expires_at: expiration_date.map(|day| day.start().plus_days(1)),
                    auto_rotate,
                    target,
                    mappings,
                    jwt: true,
                })
            }
        }
    }

    /// From a stored manifest, which was checked when it was written.
    pub(crate) fn stored(kind: MachineKind, manifest: &str) -> Result<Self, AppError> {
        let damaged = || AppError::Integrity {
            public: "a stored manifest is damaged".into(),
            internal: "a machine's manifest doesn't parse".into(),
        };
        let manifest = serde_json::from_str(manifest).map_err(|_| damaged())?;
        Self::parse(kind, &manifest).map_err(|_| damaged())
    }

    /// Where the manifest has a field that speaks of tokens.
    pub(crate) fn path_of(&self, field: &str) -> String {
        match self.kind {
            MachineKind::VirtualAccount => format!("manifest.{field}"),
            MachineKind::AgentIdentity => format!("manifest.identity.{field}"),
        }
    }

    pub(crate) fn subject(&self) -> SubjectName {
        subject_of(self.kind, &self.name)
    }

    /// When a token made now is to be replaced.
    pub(crate) fn rotate_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.auto_rotate.filter(|_| self.has_token()).map(|terms| now.plus_days(terms.interval_days))
    }

    /// Whether it shows who it is by a token from here.
    pub(crate) fn has_token(&self) -> bool {
        self.mappings.is_empty()
    }

    /// 422 unless it does.
    pub(crate) fn check_has_token(&self) -> Result<(), AppError> {
        if self.has_token() {
            return Ok(());
        }
        let message = "tokens of identity providers stand for this machine, so it has none from here";
        Err(AppError::invalid("manifest.identity_provider_mapping", message))
    }

    /// Whether it gets no more tokens from here.
    pub(crate) fn has_ended(&self, now: Timestamp) -> bool {
        !self.has_token() || self.expires_at.is_some_and(|at| at <= now)
    }

    /// For whom its tokens are; `id` is the machine's.
    pub(crate) fn owner<'a>(&'a self, id: &'a str) -> TokenOwner<'a> {
        TokenOwner { kind: kind_of(self.kind), id, slug: self.name.as_str() }
    }
}

/// The subject that a machine is.
pub(crate) fn subject_of(kind: MachineKind, name: &MachineName) -> SubjectName {
    match kind {
        MachineKind::VirtualAccount => SubjectName::virtual_account(name),
        MachineKind::AgentIdentity => SubjectName::agent(name),
    }
}

/// As what a machine acts.
pub(crate) const fn kind_of(kind: MachineKind) -> SubjectKind {
    match kind {
        MachineKind::VirtualAccount => SubjectKind::VirtualAccount,
        MachineKind::AgentIdentity => SubjectKind::AgentIdentity,
    }
}
