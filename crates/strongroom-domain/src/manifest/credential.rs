//! Credentials in manifests: given, kept from before, or a secret of this server.

use super::fields::Fields;
use crate::SecretValue;
use crate::fqn::{REFERENCE_SCHEME, SecretFqn};

/// What stands in manifests that are given back where a credential is kept. Sent back, it keeps that one.
pub const CREDENTIAL_MASK: &str = "********";

/// Longer than any that the stores have.
const LONGEST: usize = 16 * 1024;

/// One credential of an `auth_data`.
#[derive(Debug, Clone)]
pub enum Credential {
    /// The public half of one, like a user's name.
    Shown(String),
    /// What is kept already: the manifest has the mask.
    Kept,
    /// A new one.
    Given(SecretValue),
    /// A secret of this server, as a `tfy-secret://` reference.
    Reference(String),
}

impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Kept, Self::Kept) => true,
            (Self::Shown(one), Self::Shown(other)) | (Self::Reference(one), Self::Reference(other)) => one == other,
            (Self::Given(one), Self::Given(other)) => one.expose() == other.expose(),
            _ => false,
        }
    }
}

impl Eq for Credential {}

impl Credential {
    /// One that is hidden from then on, and must be there.
    pub(super) fn hidden(fields: &Fields<'_>, field: &str) -> Option<Self> {
        Self::read(fields, field, |text| {
            if text == CREDENTIAL_MASK { Self::Kept } else { Self::Given(SecretValue::new(text.to_owned())) }
        })
    }

    /// One that everybody may see who sees the manifest, and that must be there.
    pub(super) fn shown(fields: &Fields<'_>, field: &str) -> Option<Self> {
        Self::read(fields, field, |text| Self::Shown(text.to_owned()))
    }

    fn read(fields: &Fields<'_>, field: &str, other: impl FnOnce(&str) -> Self) -> Option<Self> {
        fields.parsed(field, |text| match text {
            "" => Err("must not be empty"),
            text if text.len() > LONGEST => Err("must have at most 16384 bytes"),
            text if text.starts_with(REFERENCE_SCHEME) => match SecretFqn::parse(text) {
                Some(SecretFqn { key: Some(_), .. }) => Ok(Self::Reference(text.to_owned())),
                _ => Err("must name a secret, like `tfy-secret://tenant:group:key`"),
            },
            text => Ok(other(text)),
        })
    }

    /// As it is stored and given back.
    #[must_use]
    pub fn written(&self) -> &str {
        match self {
            Self::Shown(text) | Self::Reference(text) => text,
            Self::Kept | Self::Given(_) => CREDENTIAL_MASK,
        }
    }

    /// The secret that it is a reference to.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        match self {
            Self::Reference(text) => Some(text),
            Self::Shown(_) | Self::Kept | Self::Given(_) => None,
        }
    }
}

/// A credential of an account's manifest, with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedCredential<'a> {
    /// By what it is kept: a path in which integrations stand by their names.
    pub kept_as: String,
    /// Where it stands in the manifest.
    pub path: String,
    /// The position of the integration that it belongs to; `None` for the account's own.
    pub integration: Option<usize>,
    /// The credential.
    pub credential: &'a Credential,
}
