//! What an integration's manifest says, checked.

use std::fmt;

use http::HeaderValue;
use strongroom_domain::SecretValue;
use zeroize::Zeroizing;

use crate::egress::{EgressUrl, UrlError};

/// An integration of type `integration/secret-store/hashicorp/vault`.
#[derive(Clone)]
pub struct VaultSettings {
    /// Where Vault or OpenBao is; it may have a path before `/v1`.
    pub vault_url: String,
    /// Where its KV version 2 engine is mounted.
    pub kv_mount_path: String,
    /// A path in the mount that everything is put below.
    pub root_path: Option<String>,
    /// The namespace that mount and role are in.
    pub namespace: Option<String>,
    /// How it knows us.
    pub auth: VaultAuth,
}

/// Without the URL, which is refused only later if it has a password in it.
impl fmt::Debug for VaultSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kv_mount_path, root_path, namespace, auth, .. } = self;
        f.debug_struct("VaultSettings")
            .field("kv_mount_path", kv_mount_path)
            .field("root_path", root_path)
            .field("namespace", namespace)
            .field("auth", auth)
            .finish_non_exhaustive()
    }
}

/// Credentials for Vault.
#[derive(Clone)]
pub enum VaultAuth {
    /// A token that somebody else keeps alive.
    Token(SecretValue),
    /// A role that gives tokens.
    AppRole {
        /// Which role.
        role_id: String,
        /// Its password.
        secret_id: SecretValue,
        /// Where the auth method is mounted; `approle` in the contract if nothing is said.
        role_path: String,
    },
}

impl fmt::Debug for VaultAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token(..)",
            Self::AppRole { .. } => "AppRole(..)",
        })
    }
}

/// What is wrong with them. The text names the field and never repeats what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say it")]
pub enum VaultSettingsError {
    #[error("vault_url: {0}")]
    Url(#[from] UrlError),
    #[error(
        "{field} must be a path like a/b: parts of visible characters between slashes, none of them empty, `.` or `..`"
    )]
    Path { field: &'static str },
    #[error("{field} must be of visible ASCII characters")]
    Credential { field: &'static str },
}

/// The parts of a path, with slashes at its ends forgiven.
pub(super) fn parts(field: &'static str, path: &str) -> Result<Vec<String>, VaultSettingsError> {
    let is_good = |part: &str| !matches!(part, "" | "." | "..") && !part.chars().any(|c| c.is_control() || c == '\\');
    let parts: Vec<String> = path.trim_matches('/').split('/').map(str::to_owned).collect();
    if parts.iter().all(|part| is_good(part)) { Ok(parts) } else { Err(VaultSettingsError::Path { field }) }
}

/// A header's value that is wiped when it is dropped and that no `Debug` shows.
pub(super) fn credential(field: &'static str, secret: &SecretValue) -> Result<HeaderValue, VaultSettingsError> {
    let wrong = VaultSettingsError::Credential { field };
    let bytes = Zeroizing::new(secret.expose().as_bytes().to_vec());
    if bytes.is_empty() || !bytes.iter().all(u8::is_ascii_graphic) {
        return Err(wrong);
    }
    let mut value = HeaderValue::from_maybe_shared(bytes::Bytes::from_owner(bytes)).map_err(|_| wrong)?;
    value.set_sensitive(true);
    Ok(value)
}

/// As the header `X-Vault-Namespace` has it.
pub(super) fn namespace(text: &str) -> Result<HeaderValue, VaultSettingsError> {
    let wrong = VaultSettingsError::Path { field: "namespace" };
    let path = parts("namespace", text)?.join("/");
    if path.bytes().all(|byte| byte.is_ascii_graphic()) { path.try_into().map_err(|_| wrong) } else { Err(wrong) }
}

/// The address, without anything that a path can't be put behind.
pub(super) fn url(text: &str) -> Result<EgressUrl, VaultSettingsError> {
    let url: EgressUrl = text.parse()?;
    url.below(&[], &[])?;
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart() {
        assert_eq!(parts("root_path", "/a/b c/"), Ok(vec!["a".to_owned(), "b c".to_owned()]));
        for bad in ["", "/", "a//b", "a/../b", ".", "a\\b", "a\n"] {
            assert_eq!(parts("root_path", bad), Err(VaultSettingsError::Path { field: "root_path" }), "{bad:?}");
        }
        assert!(namespace("team/a/").is_ok_and(|value| value == "team/a"));
        assert!(namespace("é").is_err() && namespace("").is_err());
        assert!(url("https://h.example/?a").is_err() && url("https://u:p@h.example").is_err());
    }

    #[test]
    fn credentials_are_not_shown() {
        let secret = SecretValue::new("hunter2".to_owned());
        assert!(!format!("{:?}", credential("token", &secret).unwrap()).contains("hunter2"));
        for bad in ["", "a b", "a\nb", "é"] {
            let error = credential("token", &SecretValue::new(bad.to_owned())).unwrap_err();
            assert_eq!(error.to_string(), "token must be of visible ASCII characters");
        }
        let auth = VaultAuth::AppRole { role_id: "role-canary".into(), secret_id: secret, role_path: "approle".into() };
        assert_eq!(format!("{auth:?}"), "AppRole(..)");
        let vault_url = "https://user:url-canary@vault.example".to_owned();
        let settings = VaultSettings { vault_url, kv_mount_path: "kv".into(), root_path: None, namespace: None, auth };
        assert!(!format!("{settings:?} {:?}", url(&settings.vault_url)).contains("canary"));
    }
}
