//! Role bindings without a name of somebody's choosing: one for each role of one subject.

use std::collections::HashSet;

use serde_json::json;
use strongroom_domain::manifest::RoleBindingManifest;
use strongroom_domain::names::BindingName;
use strongroom_domain::subject::SubjectName;
use strongroom_domain::{Timestamp, Violation};
use strongroom_metadata::{Guard, Named, NamedRow};

use super::role_bindings::{Resolved, write_binding};
use super::{AppError, Context, Missing};

/// So many at once: each is looked up and decided on its own.
const MOST: usize = 1_000;

/// One role to bind.
pub(crate) struct InlineRole {
    pub(crate) resource_type: String,
    pub(crate) resource_fqn: String,
    pub(crate) subject: String,
    pub(crate) role: String,
}

impl Context {
    /// Makes a binding of each, all or none, and gives them in their order.
    pub(crate) async fn create_inline_bindings(&self, roles: &[InlineRole]) -> Result<Vec<NamedRow>, AppError> {
        let manifests = manifests_of(roles).map_err(AppError::Invalid)?;
        let metadata = &self.app().metadata;
        // First of all whether they may: only then is there anything to be known of who there is, or of a binding of that
        // name.
        let mut missing = Missing::default();
        for (at, manifest) in manifests.iter().enumerate() {
            missing.note(self.grants_of_entry(at, manifest).await)?;
        }
        missing.none()?;
        self.check_subjects(subjects_of(&manifests)).await?;
        let mut attempts = self.identity_attempts().await;
        loop {
            let mut change = attempts.next().await?;
            let (mut rows, mut events) = (Vec::with_capacity(manifests.len()), Vec::with_capacity(manifests.len()));
            let mut missing = Missing::default();
            for (at, manifest) in manifests.iter().enumerate() {
                let resolved = self.grants_of_entry(at, manifest).await;
                let Some(resolved) = missing.note(resolved)? else { continue };
                let manifest = named(manifest.clone(), &resolved);
                let existing = metadata.named_by_name(Named::RoleBinding, manifest.name.as_str()).await?;
                let applied = self.applied(existing, manifest.name.as_str(), &manifest.to_json());
                // One that says the same is what was asked for, as clients repeat what they got no answer to; and theirs
                // to write, as they may give all that it says.
                if !applied.is_new() && !applied.is_same() {
                    let name = &manifest.name;
                    let message = format!("a role binding named `{name}` already exists and grants something else");
                    return Err(AppError::NameTaken(message));
                }
                events.push(write_binding(&mut change, &manifest, &applied, &resolved));
                rows.push(applied.row);
            }
            missing.none()?;
            let Some(last) = events.pop() else { return Ok(rows) };
            for event in events {
                change.record(&self.event(event));
            }
            match attempts.commit(change, last).await? {
                None => return Ok(rows),
                Some(Guard::SubjectName) => self.check_subjects(subjects_of(&manifests)).await?,
                Some(Guard::ChangeNumber | Guard::NamedState) => {}
                Some(guard) => return Err(AppError::missed(guard)),
            }
        }
    }

    /// What an entry grants; what is missing is told with the entry's place.
    async fn grants_of_entry(&self, at: usize, manifest: &RoleBindingManifest) -> Result<Resolved, AppError> {
        self.grants_of(manifest).await.map_err(|error| match error {
            AppError::MissingReference(missing) => AppError::MissingReference(of_entry(at, missing)),
            error => error,
        })
    }
}

/// Whom each is about.
fn subjects_of(manifests: &[RoleBindingManifest]) -> Vec<(String, &str)> {
    let mut subjects = Vec::with_capacity(manifests.len());
    for (at, manifest) in manifests.iter().enumerate() {
        subjects.extend(manifest.subjects.iter().map(|one| (format!("roleBindings[{at}].subjectFqn"), one.as_str())));
    }
    subjects
}

/// A manifest of each, or all that is wrong with them.
fn manifests_of(roles: &[InlineRole]) -> Result<Vec<RoleBindingManifest>, Vec<Violation>> {
    if roles.is_empty() || roles.len() > MOST {
        return Err(vec![Violation::new("roleBindings", format!("must have from 1 to {MOST} entries"))]);
    }
    let (mut manifests, mut faults) = (Vec::with_capacity(roles.len()), Vec::new());
    let mut seen = HashSet::new();
    for (at, role) in roles.iter().enumerate() {
        match manifest_of(role, at) {
            Ok(manifest) if seen.insert(manifest.to_json().to_string()) => manifests.push(manifest),
            Ok(_) => faults.push(Violation::new(format!("roleBindings[{at}]"), "is listed twice")),
            Err(wrong) => faults.extend(wrong),
        }
    }
    // As many as are told of a manifest.
    faults.truncate(100);
    if faults.is_empty() { Ok(manifests) } else { Err(faults) }
}

fn manifest_of(role: &InlineRole, at: usize) -> Result<RoleBindingManifest, Vec<Violation>> {
    let subject = SubjectName::parse(&role.subject);
    let subject = subject.map_err(|rule| vec![Violation::new(format!("roleBindings[{at}].subjectFqn"), rule)])?;
    let written = json!({
        "type": RoleBindingManifest::TYPE,
        "name": "inline",
        "subjects": [{"type": subject.kind().id(), "name": subject.name()}],
        "permissions": [
            {"resourceType": role.resource_type, "resourceFqn": role.resource_fqn, "role": role.role},
        ],
    });
    RoleBindingManifest::parse(&written).map_err(|faults| of_entry(at, faults))
}

/// What is wrong with the manifest is wrong with the entry that it was made of.
fn of_entry(at: usize, faults: Vec<Violation>) -> Vec<Violation> {
    let here = |fault: Violation| {
        let field = fault.path.strip_prefix("manifest.permissions[0]").unwrap_or_default();
        Violation::new(format!("roleBindings[{at}]{field}"), fault.message)
    };
    faults.into_iter().map(here).collect()
}

/// The manifest, named after what it grants. The ids in the name's tag keep those who may not see a group from asking
/// whether somebody has a role on one of that name: whether a name is taken is told to everybody.
fn named(manifest: RoleBindingManifest, resolved: &Resolved) -> RoleBindingManifest {
    let group = resolved.groups.first().map(|grant| grant.group_id.to_string());
    let id = group.or_else(|| resolved.others.first().map(|grant| grant.resource_id.clone())).unwrap_or_default();
    let (Some(permission), Some(subject)) = (manifest.permissions.first(), manifest.subjects.first()) else {
        return manifest;
    };
    let tag = tag(&[&id, permission.role.resource_type(), permission.role.id(), subject.as_str()], None);
    let name = BindingName::of_resource(&permission.role, &permission.resource_fqn, &tag);
    RoleBindingManifest { name, ..manifest }
}

/// What tells the names of bindings apart that grant different things: the same grant has the same one again.
pub(super) fn tag(granted: &[&str], until: Option<Timestamp>) -> String {
    let text = json!([granted, until.map(Timestamp::micros)]).to_string();
    let [one, two, three, four, ..] = strongroom_crypto::sha256(text.as_bytes());
    format!("{:08x}", u32::from_be_bytes([one, two, three, four]))
}
