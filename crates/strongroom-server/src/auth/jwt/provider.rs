//! What is configured of an identity provider.

/// An identity provider whose tokens are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProviderConfig {
    pub(crate) id: String,
    pub(crate) name: String,
    /// What the claim `iss` must be. `None`: anything; the keys alone say who made a token.
    pub(crate) issuer: Option<String>,
    pub(crate) jwks_uri: String,
    /// One of these must be in the claim `aud`. Empty: anything, or no such claim.
    pub(crate) audiences: Vec<String>,
    /// Where the value stands that a subject is found by: the name of a claim, dots lead into objects.
    pub(crate) subject_claim: String,
    /// Where the e-mail address stands.
    pub(crate) email_claim: String,
    /// What else must stand in a token: names like `subject_claim`, and values.
    pub(crate) required_claims: Vec<(String, String)>,
}
