//! Where an entry is: `<mount>/data/<root_path>/tfy-secret/<tenant>/<group>/<key>`.
//!
//! Names are told apart by case, and no part of one has a slash in it, so no two secrets meet.

use std::borrow::Cow;

use crate::{
    egress::{EgressUrl, UrlError},
    naming::{self, ROOT},
    store::Entry,
};

/// A part of the KV engine's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    Data,
    Metadata,
    Destroy,
}

impl Api {
    const fn segment(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Metadata => "metadata",
            Self::Destroy => "destroy",
        }
    }
}

/// Builds paths and URLs.
#[derive(Debug)]
pub(super) struct Paths {
    pub(super) base: EgressUrl,
    pub(super) mount: Vec<String>,
    pub(super) root: Vec<String>,
}

impl Paths {
    /// A URL of Vault's API beside the KV engine.
    pub(super) fn api(&self, segments: &[&str]) -> Result<EgressUrl, UrlError> {
        self.base.below(&[&["v1"], segments].concat(), &[])
    }

    /// The URL of a name, which is a path below `root_path`.
    pub(super) fn url(&self, api: Api, name: &[&str], query: &[(&str, &str)]) -> Result<EgressUrl, UrlError> {
        let mount = self.mount.iter().map(String::as_str);
        let root = self.root.iter().map(String::as_str);
        let segments: Vec<&str> =
            ["v1"].into_iter().chain(mount).chain([api.segment()]).chain(root).chain(name.iter().copied()).collect();
        self.base.below(&segments, query)
    }

    /// The same as policies spell it.
    pub(super) fn policy_path(&self, api: Api, name: &[&str]) -> String {
        let parts = self.mount.iter().map(String::as_str).chain([api.segment()]);
        parts.chain(self.root.iter().map(String::as_str)).chain(name.iter().copied()).collect::<Vec<_>>().join("/")
    }
}

/// An entry's name.
pub(super) struct Name<'a>([Cow<'a, str>; 4]);

impl Name<'_> {
    pub(super) fn parts(&self) -> [&str; 4] {
        self.0.each_ref().map(|part| &**part)
    }
}

pub(super) fn name<'a>(entry: &Entry<'a>) -> Name<'a> {
    Name(naming::vault(entry))
}

/// The parts of the path that all of a tenant's entries lie below.
pub(super) fn of_tenant(tenant: &str) -> [&str; 2] {
    [ROOT, tenant]
}

/// The store's own rule for names; the message says it.
pub(super) fn check_name(entry: &Entry<'_>, longest_key: usize) -> Result<(), String> {
    let is_good = |part: &str| {
        !matches!(part, "" | "." | "..") && !part.chars().any(|letter| letter == '/' || letter.is_control())
    };
    if let Some(bad) = [entry.tenant, entry.group, entry.key].into_iter().find(|part| !is_good(part)) {
        return Err(format!(
            "{bad:?} can't be part of a path in Vault: it must not be empty, `.` or `..`, nor have slashes or control \
             characters in it"
        ));
    }
    if entry.key.contains('~') {
        return Err("a key in Vault has no `~` here: the name beside another's has it".to_owned());
    }
    if entry.key.len() > longest_key {
        return Err(format!("a key in Vault has at most {longest_key} bytes here"));
    }
    Ok(())
}
