//! Opening an instance: the folder, the lock, the root key, the database, the first start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use serde_json::json;
use strongroom_crypto::{KeyEncryptionKey, random_fill, sha256};
use strongroom_domain::names::{Email, NameRule, Tenant};
use strongroom_domain::policy::PolicyRules;
use strongroom_domain::role::TenantRole;
use strongroom_domain::subject::{Actor, EVERYONE, SubjectKind};
use strongroom_domain::{Clock, Entropy, Ids, SystemClock, token};
use strongroom_metadata::{
    AccountRow, CommitError, InstanceRow, IntegrationRow, Metadata, NewInstance, NewToken, OpenError, ReadError,
    UserRow,
};
use strongroom_stores::{EmbeddedStore, SecretStore};
use zeroize::Zeroizing;

use crate::app::{App, Caches, Limits};
use crate::audit::{Event, Target, sealed};
use crate::config::{Database, GroupNameRule, Settings};
use crate::folder::Folder;
use crate::keys::{self, KeyFileError, KeysError, RootKeySource};
use crate::{http, jobs};

const ADMIN_TOKEN_FILE: &str = "admin-token";

/// Why an instance could not be opened. The text names the setting or file to look at.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The data folder can't be used.
    #[error("the data folder {} (setting data-dir): {source}", path.display())]
    DataDir {
        /// Which folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another process has the folder.
    #[error("the data folder {} (setting data-dir) is in use by another strongroom process", .0.display())]
    InUse(PathBuf),
    /// Another process has the database.
    #[error("the database {} (setting database-url) is in use by another strongroom process", .0.display())]
    DatabaseInUse(PathBuf),
    /// The database's lock can't be taken.
    #[error("the lock {} of the database (setting database-url): {source}", path.display())]
    DatabaseLock {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder's instance has lost its database.
    #[error(
        "the data folder {} (setting data-dir) belongs to the instance {instance}, but its database {} (setting database-url) \
         is missing or empty: bring it back, or start with another data folder to begin anew; nothing was changed",
        folder.display(), database.display()
    )]
    DatabaseLost {
        /// Which folder.
        folder: PathBuf,
        /// The instance's id.
        instance: String,
        /// Where its database should be.
        database: PathBuf,
    },
    /// The root key's file.
    #[error(transparent)]
    RootKey(#[from] KeyFileError),
    /// The root key of existing data isn't there.
    #[error(
        "the root key file {} (setting root-key-file) does not exist, but there is data that a root key locks{}; bring that \
         key back: without it nothing that is stored can be read, and another key opens nothing",
        path.display(), expected(fingerprints)
    )]
    RootKeyMissing {
        /// Where it should be.
        path: PathBuf,
        /// Which keys open the data.
        fingerprints: Vec<String>,
    },
    /// The root key doesn't fit.
    #[error("{0}")]
    Keys(String),
    /// The database.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The database can't be read.
    #[error("the database can't be read: {0}")]
    Read(#[from] ReadError),
    /// The database can't be written.
    #[error("the database can't be written: {0}")]
    Write(#[from] CommitError),
    /// The tenant's name was changed.
    #[error(
        "the setting tenant is `{set}`, but this database belongs to the tenant `{stored}`; a tenant can't be renamed"
    )]
    OtherTenant {
        /// What was set.
        set: String,
        /// What the database says.
        stored: String,
    },
    /// A setting is wrong.
    #[error("the setting {name}: {problem}")]
    Setting {
        /// Which one.
        name: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

fn expected(fingerprints: &[String]) -> String {
    if fingerprints.is_empty() { String::new() } else { format!(" (fingerprint {})", fingerprints.join(" or ")) }
}

impl From<KeysError> for StartError {
    fn from(error: KeysError) -> Self {
        Self::Keys(error.to_string())
    }
}

/// What tests put in the place of the world.
#[derive(Clone)]
pub struct World {
    /// Where times come from.
    pub clock: Arc<dyn Clock>,
    /// Where randomness of ids and tokens comes from.
    pub entropy: Arc<dyn Entropy>,
    /// Another store in the place of the embedded one.
    pub store: Option<Arc<dyn SecretStore>>,
}

impl Default for World {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy), store: None }
    }
}

/// The operating system's randomness, fit for keys and tokens.
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, out: &mut [u8]) {
        random_fill(out);
    }
}

/// An opened instance.
pub struct Instance {
    app: Arc<App>,
    first_start: Option<FirstStart>,
    max_body_bytes: usize,
    _folder: Folder,
}

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

impl Instance {
    /// Opens what the settings describe, and makes it at the first start. Never initialises over existing data.
    pub async fn open(settings: &Settings, world: World) -> Result<Self, StartError> {
        let given_token = check_admin_token(settings)?;
        let mut folder = Folder::lock(&settings.data_dir)?;
        let Database::Sqlite(database) = &settings.database else {
            let problem = "PostgreSQL comes with the next commit".to_owned();
            return Err(StartError::Setting { name: "database-url", problem });
        };
        folder.lock_database(database)?;
        folder.check_database(database)?;
        let default_key = settings.data_dir.join("root.key");
        let source = RootKeySource {
            path: settings.root_key_file.as_deref().unwrap_or(&default_key),
            may_make: settings.root_key_file.is_none() && !database.exists(),
        };
        let root = keys::load(&source).map_err(|error| match error {
            KeyFileError::Missing(path) if database.exists() => {
                StartError::RootKeyMissing { path, fingerprints: Metadata::root_key_fingerprints(database) }
            }
            error => error.into(),
        })?;
        let metadata = Metadata::open(database)?;
        let ids = Ids::new(world.clock.clone(), world.entropy.clone());
        let mut first_start = None;
        let instance = if let Some(instance) = metadata.instance().await? {
            instance
        } else {
            folder.check_first_start(database)?;
            let first = initialise(settings, &world, &ids, &metadata, &root, given_token).await?;
            first_start = Some(first.1);
            first.0
        };
        if instance.tenant != settings.tenant {
            return Err(StartError::OtherTenant { set: settings.tenant.clone(), stored: instance.tenant });
        }
        let ring = keys::open_ring(&root, &instance.instance_id, &metadata.root_key_slots().await?).await?;
        folder.note(&instance.instance_id)?;
        let tenant = parse_tenant(&instance.tenant)?;
        let limits = Limits {
            name_rule: match settings.group_name_rule {
                GroupNameRule::Strict => NameRule::Strict,
                GroupNameRule::Loose => NameRule::Loose,
            },
            keys_a_group: 1_000,
            value_bytes: settings.max_value_bytes,
            retention_days: u32::try_from(settings.retention_days).unwrap_or(u32::MAX),
        };
        let app = App {
            metadata,
            keys: ring,
            store: world.store.unwrap_or_else(|| Arc::new(EmbeddedStore::new(settings.max_value_bytes))),
            clock: world.clock,
            entropy: world.entropy,
            ids,
            tenant,
            instance_id: instance.instance_id,
            account_id: instance.account_id,
            limits,
            rules: PolicyRules { values_hidden_from_people: settings.disable_secret_value_view },
            caches: Caches::new(),
        };
        Ok(Self { app: Arc::new(app), first_start, max_body_bytes: settings.max_body_bytes, _folder: folder })
    }

    /// What to show, when this was the first start.
    #[must_use]
    pub fn first_start(&self) -> Option<&FirstStart> {
        self.first_start.as_ref()
    }

    /// Everything that is served. `public_url` is what clients are told.
    pub fn router(&self, public_url: &str) -> Router {
        http::router(self.app.clone(), public_url, self.max_body_bytes)
    }

    /// Runs the jobs; drop the handle's task to stop them.
    #[must_use]
    pub fn start_jobs(&self) -> tokio::task::JoinHandle<()> {
        tokio::spawn(jobs::run_purge(self.app.clone()))
    }

    /// Purges at once what is due in the trash, and says how many things that were.
    pub async fn purge_now(&self) -> Result<usize, String> {
        self.app.purge_due().await.map_err(|error| format!("{error:?}"))
    }

    /// What the metadata writer has done.
    #[must_use]
    pub fn writer_stats(&self) -> strongroom_metadata::WriterStats {
        self.app.metadata.writer_stats()
    }

    /// Writes out what waits and empties the database's log: the last thing before the process ends.
    pub async fn close(&self) {
        if let Err(error) = self.app.metadata.truncate_log().await {
            tracing::warn!(%error, "the database's log was not emptied; the next start does it");
        }
    }
}

fn parse_tenant(text: &str) -> Result<Tenant, StartError> {
    Tenant::parse(text).map_err(|error| StartError::Setting { name: "tenant", problem: error.to_string() })
}

/// A malformed token stops every start, so that nobody believes it to be in force.
fn check_admin_token(settings: &Settings) -> Result<Option<Zeroizing<String>>, StartError> {
    let Some(given) = &settings.admin_token else { return Ok(None) };
    if token::is_well_formed(given.expose()) {
        Ok(Some(Zeroizing::new(given.expose().to_owned())))
    } else {
        let problem = "not a well-formed token; `strongroom token new` prints one".to_owned();
        Err(StartError::Setting { name: "admin-token", problem })
    }
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

async fn initialise(
    settings: &Settings,
    world: &World,
    ids: &Ids,
    metadata: &Metadata,
    root: &strongroom_crypto::FileRootKey,
    given_token: Option<Zeroizing<String>>,
) -> Result<(InstanceRow, FirstStart), StartError> {
    let tenant = parse_tenant(&settings.tenant)?;
    let email = Email::parse(&settings.admin_email)
        .map_err(|error| StartError::Setting { name: "admin-email", problem: error.to_string() })?;
    let token_file = settings.data_dir.join(ADMIN_TOKEN_FILE);
    let (token, made_here) = match given_token {
        Some(given) => (given, false),
        None => (admin_token(&token_file, &*world.entropy)?, true),
    };
    let now = world.clock.now();
    let instance = InstanceRow {
        tenant: tenant.as_str().to_owned(),
        instance_id: ids.at::<uuid::Uuid>(now).to_string(),
        account_id: ids.at(now),
        created_at: now,
    };
    let admin = UserRow {
        id: ids.at(now),
        email: email.as_str().to_owned(),
        tenant_role: TenantRole::Admin,
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
    };
    let admin_token = NewToken {
        hash: sha256(token.as_bytes()),
        id: ids.at(now),
        subject_kind: SubjectKind::User,
        subject_id: admin.id.to_string(),
        name: "admin".to_owned(),
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
    let new = NewInstance { instance: instance.clone(), slot, admin, admin_token, account, integration, event };
    metadata.create_instance(&new).await?;
    let first = FirstStart {
        admin_email: email.as_str().to_owned(),
        admin_token: made_here.then_some(token),
        token_file,
        integration_id,
    };
    Ok((instance, first))
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
