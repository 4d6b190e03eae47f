//! What manifests still say of somebody who goes. Their grants end by themselves; a manifest that went on naming them
//! would show what isn't so, and apply to whoever gets the name next.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use strongroom_domain::subject::SubjectName;
use strongroom_metadata::{GrantSource, IdentityChange, Named, NamedRow};

use super::{AppError, Context};

impl Context {
    /// Takes somebody who goes out of the role bindings and integrations that grant them something. A binding that is
    /// about nobody else goes, too.
    pub(super) async fn forget(&self, change: &mut IdentityChange, leaving: &SubjectName) -> Result<(), AppError> {
        let (metadata, now) = (&self.app().metadata, self.app().clock.now());
        let mut integrations = HashSet::new();
        for (source, id) in metadata.sources_of(leaving.as_str()).await? {
            match source {
                GrantSource::RoleBinding => {
                    let Some(row) = metadata.named(Named::RoleBinding, &id).await? else { continue };
                    let mut manifest: Value = serde_json::from_str(&row.manifest).unwrap_or_default();
                    let kind = leaving.kind().id();
                    let left = retain(&mut manifest["subjects"], |entry| {
                        entry["type"] != kind || entry["name"] != leaving.name()
                    });
                    if left == 0 {
                        change.remove_named(Named::RoleBinding, &row);
                    } else {
                        let row = NamedRow { manifest: manifest.to_string(), updated_at: now, ..row };
                        change.update_named(Named::RoleBinding, &row, None);
                    }
                }
                GrantSource::Integration => _ = integrations.insert(id),
                GrantSource::Manifest | GrantSource::VirtualAccount => {}
            }
        }
        let others = |entry: &Value| entry.as_str() != Some(leaving.as_str());
        let mut of_accounts: HashMap<_, Vec<String>> = HashMap::new();
        for mut row in self.integrations().await? {
            if integrations.contains(&row.id.to_string()) {
                let mut manifest: Value = serde_json::from_str(&row.manifest).unwrap_or_default();
                retain(&mut manifest["authorized_subjects"], others);
                row.manifest = manifest.to_string();
                row.updated_at = now;
                change.update_integration(&row);
                of_accounts.entry(row.account_id).or_default().push(row.name);
            }
        }
        for mut account in metadata.provider_accounts().await? {
            let Some(names) = of_accounts.get(&account.id) else { continue };
            let mut manifest: Value = serde_json::from_str(&account.manifest).unwrap_or_default();
            for entry in manifest["integrations"].as_array_mut().into_iter().flatten() {
                if entry["name"].as_str().is_some_and(|name| names.iter().any(|one| one == name)) {
                    retain(&mut entry["authorized_subjects"], others);
                }
            }
            account.manifest = manifest.to_string();
            account.updated_at = now;
            change.update_account(&account);
        }
        Ok(())
    }
}

/// Keeps some entries of a list, and says how many.
fn retain(list: &mut Value, keep: impl Fn(&Value) -> bool) -> usize {
    let Some(entries) = list.as_array_mut() else { return 0 };
    entries.retain(keep);
    entries.len()
}
