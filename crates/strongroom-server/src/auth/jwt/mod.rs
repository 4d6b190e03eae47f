//! JSON Web Tokens: those of configured identity providers, and our own.
//!
//! The parser is ours and small ([`compact`]), the cryptography that of `strongroom-crypto`. A token says which key it
//! was signed with and never how: a key has one algorithm, which comes from the key set ([`key_set`]), and a token that
//! says another is refused. So there is no `none`, no HMAC, and no way to have a public key taken for a secret one.
//! Nothing in a token makes the server fetch anything but the key set of a provider that is configured
//! ([`key_cache`]), and that at most every 30 seconds.

mod claims;
mod compact;
mod error;
mod fetch;
mod key_cache;
mod key_set;
pub(crate) mod own;
mod provider;
mod strict_json;
mod verifier;

pub(crate) use claims::VerifiedToken;
pub(crate) use compact::Compact;
pub(crate) use fetch::{FetchKeys, HttpKeys};
pub(crate) use provider::ProviderConfig;
pub(crate) use verifier::Verifier;
#[cfg(test)]
use {
    error::{KeysError, TokenError},
    fetch::{FetchError, Fetched},
};

#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;
