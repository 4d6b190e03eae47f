//! What kind of store the model is.

use crate::store::{KeptVersions, Placement, StoreDescription};

/// What kind of store the model is: what it says of itself, and what a store doesn't say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelKind {
    /// What it says of itself; it is as able as this and no more. It is an outer store in any case.
    pub description: StoreDescription,
    /// How versions are called.
    pub version_names: VersionNames,
    /// What we are told of an entry that isn't this secret's.
    pub foreign: Foreign,
    /// Whether the first version of an entry is shown at once, staged or not.
    pub shows_first_version: bool,
}

/// How versions are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionNames {
    /// 1, 2, 3 …: an entry that was made again has the same names for other versions.
    Counted,
    /// By the put's mark and number: the same put done twice makes one version.
    FromMarks,
}

/// What we are told of an entry that isn't this secret's. A put on it is refused in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// That it is another's.
    Refused,
    /// That there is nothing.
    Unseen,
    /// What it holds: the store doesn't tell whose it is in the answer to a read.
    Served,
}

impl ModelKind {
    /// Able to do nothing that can be missing: as Parameter Store is.
    #[must_use]
    pub const fn plain() -> Self {
        Self {
            description: StoreDescription {
                name: "model",
                placement: Placement::Outer,
                max_value_bytes: 4096,
                max_key_bytes: 253,
                kept_versions: KeptVersions::Newest(100),
                soft_delete: false,
                conditional_put: false,
                marks: false,
                staging: false,
                removes_versions: false,
                enumerates: true,
            },
            version_names: VersionNames::Counted,
            foreign: Foreign::Served,
            shows_first_version: true,
        }
    }

    /// Everything but staging, and no latest version once the newest was removed: as Vault's KV version 2 is.
    #[must_use]
    pub const fn checked() -> Self {
        let plain = Self::plain();
        let description =
            StoreDescription { conditional_put: true, marks: true, removes_versions: true, ..plain.description };
        Self { description, foreign: Foreign::Refused, ..plain }
    }

    /// With versions that nobody sees before they are promoted, and none that can be removed: as Secrets Manager is.
    #[must_use]
    pub const fn staging() -> Self {
        let plain = Self::plain();
        let description = StoreDescription {
            conditional_put: true,
            marks: true,
            staging: true,
            kept_versions: KeptVersions::Newest(16),
            ..plain.description
        };
        Self { description, version_names: VersionNames::FromMarks, foreign: Foreign::Unseen, ..plain }
    }

    /// Names of removed entries stay taken, and a put can't be conditioned: as Key Vault is.
    #[must_use]
    pub const fn soft_delete() -> Self {
        let plain = Self::plain();
        let description =
            StoreDescription { marks: true, soft_delete: true, kept_versions: KeptVersions::All, ..plain.description };
        Self { description, foreign: Foreign::Refused, ..plain }
    }

    /// One of each, with a name for it: a protocol over stores has to do with all of them.
    #[must_use]
    pub fn each() -> [(&'static str, Self); 8] {
        let without = |take: fn(&mut StoreDescription)| Self::checked().with(take);
        [
            ("staging", Self::staging()),
            ("checked", Self::checked()),
            ("plain", Self::plain()),
            ("soft delete", Self::soft_delete()),
            ("no marks", without(|can| can.marks = false)),
            ("no conditions", without(|can| can.conditional_put = false)),
            ("no removal", without(|can| can.removes_versions = false)),
            ("staging and soft delete", without(|can| (can.staging, can.soft_delete) = (true, true))),
        ]
    }

    /// The same with another description.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut StoreDescription)) -> Self {
        change(&mut self.description);
        self.description.placement = Placement::Outer;
        self
    }
}
