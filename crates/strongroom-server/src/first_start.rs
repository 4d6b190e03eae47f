//! The first start: what an instance is made of, in one write.

use std::path::{Path, PathBuf};

use serde_json::json;
use strongroom_crypto::{FileRootKey, KeyEncryptionKey, sha256};
use strongroom_domain::names::{Email, Tenant};
use strongroom_domain::role::TenantRole;
use strongroom_domain::subject::{Actor, EVERYONE, SubjectKind};
use strongroom_domain::{Clock, Entropy, Ids, token};
use strongroom_metadata::{
    AccountRow, CommitError, Guard, InstanceRow, InstanceState, IntegrationRow, Metadata, NewInstance, NewToken,
    TokenPurpose, UserRow,
};
use zeroize::Zeroizing;

use crate::audit::{Event, Target, sealed};
use crate::config::Settings;
use crate::instance::{StartError, parse_tenant};
use crate::keys;

const ADMIN_TOKEN_FILE: &str = "admin-token";

/// What is shown at the first start, and then never again.
pub struct FirstStart {
    /// The administrator's address.
    pub admin_email: String,
    /// The administrator's token, when it was made here rather than given.
    pub admin_token: Option<Zeroizing<String>>,
    /// The file that keeps it.
    pub token_file: PathBuf,
    /// The id of the embedded store's integration.
    pub integration_id: String,
}

/// Where ids and times come from.
pub(crate) struct Sources<'a> {
    pub(crate) clock: &'a dyn Clock,
    pub(crate) entropy: &'a dyn Entropy,
    pub(crate) ids: &'a Ids,
}

/// The token that an interrupted first start left behind, else a new one; on the disk before the database knows it.
fn admin_token(file: &Path, entropy: &dyn Entropy) -> Result<Zeroizing<String>, StartError> {
    let io = |source| StartError::DataDir { path: file.to_owned(), source };
    if let Ok(text) = std::fs::read_to_string(file).map(Zeroizing::new) {
        if token::is_well_formed(text.trim()) {
            return Ok(Zeroizing::new(text.trim().to_owned()));
        }
        std::fs::remove_file(file).map_err(io)?;
    }
    let made = token::make(entropy);
    keys::write_private(file, made.as_bytes()).map_err(io)?;
    Ok(made)
}

/// Makes the instance; `None` when another replica was first.
pub(crate) async fn initialise(
    settings: &Settings,
    sources: &Sources<'_>,
    metadata: &Metadata,
    root: &FileRootKey,
    given_token: Option<Zeroizing<String>>,
) -> Result<Option<(InstanceRow, FirstStart)>, StartError> {
    let ids = sources.ids;
    let tenant = parse_tenant(&settings.tenant)?;
    let email = Email::parse(&settings.admin_email)
        .map_err(|error| StartError::Setting { name: "admin-email", problem: error.to_string() })?;
    let token_file = settings.data_dir.join(ADMIN_TOKEN_FILE);
    let (token, made_here) = match given_token {
        Some(given) => (given, false),
        None => (admin_token(&token_file, sources.entropy)?, true),
    };
    let now = sources.clock.now();
    let instance = InstanceRow {
        tenant: tenant.as_str().to_owned(),
        instance_id: ids.at::<uuid::Uuid>(now).to_string(),
        account_id: ids.at(now),
        created_at: now,
        state: InstanceState::Live,
    };
    let admin = UserRow {
        id: ids.at(now),
        email: email.as_str().to_owned(),
        tenant_role: TenantRole::Admin.id().to_owned(),
        active: true,
        created_at: now,
        updated_at: now,
    };
    let actor = Actor {
        id: admin.id.to_string(),
        kind: SubjectKind::User.wire().to_owned(),
        slug: admin.email.clone(),
        display_name: Some(admin.email.clone()),
        token_name: None,
        external_slug: None,
        controller: None,
    };
    let admin_token = NewToken {
        hash: sha256(token.as_bytes()),
        id: ids.at(now),
        subject_kind: SubjectKind::User,
        subject_id: admin.id.to_string(),
        name: "admin".to_owned(),
        purpose: TokenPurpose::First,
        signing_key: None,
        created_by: None,
        created_at: now,
        expires_at: None,
    };
    let (account, integration) = embedded_store(&tenant, &actor, ids, now);
    let key = KeyEncryptionKey::make(1);
    let slot = keys::seal_slot(root, &instance.instance_id, &key, now).await?;
    let ring = keys::open_ring(root, &instance.instance_id, std::slice::from_ref(&slot)).await?;
    let target = Target {
        kind: "tenant",
        id: instance.instance_id.clone(),
        name: instance.tenant.clone(),
        fqn: instance.tenant.clone(),
    };
    let event = Event { action: "CREATE_INSTANCE", ..Event::of(target) };
    let event = sealed(&ring, &instance.instance_id, first_event(event, &actor, ids, now));
    let integration_id = integration.id.to_string();
    let authorized = vec![crate::app::access(&integration, EVERYONE)];
    let new =
        NewInstance { instance: instance.clone(), slot, admin, admin_token, account, integration, authorized, event };
    match metadata.create_instance(&new).await {
        Ok(()) => {}
        Err(CommitError::Missed { guard: Guard::Instance }) => {
            if made_here {
                // It opens nothing.
                let _ = std::fs::remove_file(&token_file);
            }
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    }
    let first = FirstStart {
        admin_email: email.as_str().to_owned(),
        admin_token: made_here.then_some(token),
        token_file,
        integration_id,
    };
    Ok(Some((instance, first)))
}

fn embedded_store(
    tenant: &Tenant,
    actor: &Actor,
    ids: &Ids,
    now: strongroom_domain::Timestamp,
) -> (AccountRow, IntegrationRow) {
    let authorized = json!([EVERYONE]);
    let manifest =
        json!({"type": "integration/secret-store/truefoundry/db", "name": "db", "authorized_subjects": authorized});
    let account_manifest =
        json!({"type": "provider-account/truefoundry", "name": "default", "integrations": [manifest]});
    let account = AccountRow {
        id: ids.at(now),
        name: "default".into(),
        provider: "truefoundry".into(),
        fqn: format!("{tenant}:truefoundry:default"),
        manifest: account_manifest.to_string(),
        credentials: None,
        created_by: actor.clone(),
        created_at: now,
        updated_at: now,
    };
    let integration = IntegrationRow {
        id: ids.at(now),
        account_id: account.id,
        account_fqn: account.fqn.clone(),
        name: "db".into(),
        kind: "secret-store".into(),
        fqn: format!("{tenant}:truefoundry:default:secret-store:db"),
        manifest: manifest.to_string(),
        created_by: actor.clone(),
        created_at: now,
        updated_at: now,
    };
    (account, integration)
}

fn first_event(
    event: Event,
    actor: &Actor,
    ids: &Ids,
    now: strongroom_domain::Timestamp,
) -> strongroom_metadata::AuditRow {
    strongroom_metadata::AuditRow {
        id: ids.at(now),
        at: now,
        action: event.action.to_owned(),
        result: "success".into(),
        actor: actor.clone(),
        token_id: None,
        address: String::new(),
        request_id: String::new(),
        request_path: String::new(),
        resource_type: event.target.kind.to_owned(),
        resource_id: event.target.id,
        resource_name: event.target.name,
        resource_fqn: event.target.fqn,
        revision: None,
        detail: "{}".into(),
        mac_key: 0,
        mac: Vec::new(),
    }
}
