//! Opening an instance: the folder, the lock, the root key, the database, the first start.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use futures_util::future::BoxFuture;
use strongroom_crypto::{FileRootKey, random_fill};
use strongroom_domain::names::{NameRule, Tenant};
use strongroom_domain::policy::PolicyRules;
use strongroom_domain::{Clock, Entropy, Ids, IntegrationId, SecretValue, SystemClock, token};
use strongroom_metadata::{CommitError, InstanceState, Metadata, OpenError, ReadError};
use strongroom_stores::aws::AwsEndpoints;
use strongroom_stores::egress::{AddressPolicy, EgressClient};
use strongroom_stores::{EmbeddedStore, Owner, SecretStore};
use zeroize::Zeroizing;

use crate::app::{self, App, Caches, Context, Limits, Patience, RunningWrites, StoreBuilder, TurnoverStep};
use crate::auth::{HttpKeys, Providers};
use crate::config::{Database, GroupNameRule, Settings};
use crate::first_start::{self, FirstStart, Sources};
use crate::folder::Folder;
use crate::keys::{self, KeyFileError, KeysError, RootKeySource};
use crate::limits::{RateLimits, Refusals};
use crate::{http, jobs};

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
        "the data folder {} (setting data-dir) belongs to the instance {instance}, but its database {database} (setting database-url) \
         is missing or empty: bring it back, or start with another data folder to begin anew; nothing was changed",
        folder.display()
    )]
    DatabaseLost {
        /// Which folder.
        folder: PathBuf,
        /// The instance's id.
        instance: String,
        /// Where its database should be.
        database: String,
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
    /// The instance lives in another database now.
    #[error("the database {database} (setting database-url) {state}; nothing was changed")]
    Moved {
        /// Which database.
        database: String,
        /// What was done with it.
        state: InstanceState,
    },
    /// There is nothing to open.
    #[error("there is no instance in the database {0} (settings data-dir and database-url); nothing was made")]
    NoInstance(String),
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

/// How long the end of the process waits for writes whose clients have hung up.
const LAST_WRITES: Duration = Duration::from_secs(10);

/// What tests put in the place of the world.
#[derive(Clone)]
pub struct World {
    /// Where times come from; `None`: from the database's clock where it has one, else from the machine's.
    pub clock: Option<Arc<dyn Clock>>,
    /// Where randomness of ids and tokens comes from.
    pub entropy: Arc<dyn Entropy>,
    /// Another store in the place of the embedded one.
    pub store: Option<Arc<dyn SecretStore>>,
    /// Other stores in the place of those that integrations' manifests describe.
    pub outer: Option<OuterStores>,
    /// How long one call of an outer store may take.
    pub patience: Option<Duration>,
    /// Is waited for after each step of a write to an outer store, so that a test can stop it there.
    pub steps: Option<StepHook>,
}

/// Is told which step is done.
pub type StepHook = Arc<dyn Fn(Step) -> BoxFuture<'static, ()> + Send + Sync>;

/// A step of a write to an outer store, or of settling one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The intent is recorded.
    Begun,
    /// One value was put, or could not be.
    Put,
    /// All values are there, and nothing is flipped yet.
    AllPut,
    /// Our pointers are flipped.
    Flipped,
    /// It is recorded that it doesn't happen.
    GivenUp,
    /// One old value was written again.
    WrittenAgain,
    /// Everything was taken back, which is not recorded yet.
    TakenBack,
    /// It is the store's newest everywhere, which is not recorded yet.
    Shown,
}

/// Gives the store of an integration by its FQN; `None` for the one that its manifest describes.
pub type OuterStores = Arc<dyn Fn(&str) -> Option<Arc<dyn SecretStore>> + Send + Sync>;

impl Default for World {
    fn default() -> Self {
        Self { clock: None, entropy: Arc::new(SystemEntropy), store: None, outer: None, patience: None, steps: None }
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

impl Instance {
    /// Opens what the settings describe, and makes it at the first start. Never initialises over existing data.
    pub async fn open(settings: &Settings, world: World) -> Result<Self, StartError> {
        Self::open_or(settings, world, true).await
    }

    /// Opens what the settings describe, and makes nothing.
    pub async fn open_existing(settings: &Settings, world: World) -> Result<Self, StartError> {
        match &settings.database {
            Database::Sqlite(file) if !file.exists() => Err(StartError::NoInstance(settings.database.shown())),
            _ => Self::open_or(settings, world, false).await,
        }
    }

    async fn open_or(settings: &Settings, world: World, may_make: bool) -> Result<Self, StartError> {
        let given_token = check_admin_token(settings)?;
        let mut folder = Folder::lock(&settings.data_dir)?;
        let (metadata, root) = open_database(settings, &mut folder).await?;
        let own_clock = || metadata.clock().unwrap_or_else(|| Arc::new(SystemClock));
        let clock = world.clock.unwrap_or_else(own_clock);
        let metadata = metadata.with_clock(clock.clone());
        let ids = Ids::new(clock.clone(), world.entropy.clone());
        let mut first_start = None;
        let mut found = metadata.instance().await?;
        if found.is_none() {
            if !may_make {
                return Err(StartError::NoInstance(settings.database.shown()));
            }
            folder.check_first_start(&settings.database.shown())?;
            let sources = Sources { clock: &*clock, entropy: &*world.entropy, ids: &ids };
            found = match first_start::initialise(settings, &sources, &metadata, &root, given_token).await? {
                Some((instance, first)) => {
                    first_start = Some(first);
                    Some(instance)
                }
                None => metadata.instance().await?,
            };
        }
        let instance = found.ok_or_else(|| StartError::Keys("the database lost its instance".into()))?;
        if instance.tenant != settings.tenant {
            return Err(StartError::OtherTenant { set: settings.tenant.clone(), stored: instance.tenant });
        }
        if instance.state != InstanceState::Live {
            return Err(StartError::Moved { database: settings.database.shown(), state: instance.state });
        }
        let ring = keys::open_ring(&root, &instance.instance_id, &metadata.root_key_slots().await?).await?;
        folder.note(&instance.instance_id)?;
        metadata.keep_grants().await?;
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
        let replica = match settings.database {
            // There is one process at a time, and what the one before it held is free.
            Database::Sqlite(_) => "the only one".to_owned(),
            Database::Postgres(_) => ids.next::<uuid::Uuid>().to_string(),
        };
        let rate_limits = RateLimits::new(clock.clone(), settings.rate_limit_subject, settings.rate_limit_address);
        let issuer = settings.public_url.clone();
        let issuer = issuer.unwrap_or_else(|| format!("strongroom:{}", instance.instance_id));
        let policy = AddressPolicy { deny_private: settings.egress_deny_private, allow: settings.egress_allow.clone() };
        let providers = Providers::new(clock.clone(), Arc::new(HttpKeys(EgressClient::new(policy.clone()))));
        let owner = Owner { instance: instance.instance_id.clone(), tenant: instance.tenant.clone() };
        let aws = AwsEndpoints {
            secrets_manager: settings.store_endpoint_aws_secrets_manager.clone(),
            sts: settings.store_endpoint_aws_sts.clone(),
        };
        let builder =
            StoreBuilder::new(policy, aws, settings.ambient_identity, owner, clock.clone(), world.entropy.clone());
        let app = Arc::new_cyclic(|me| App {
            me: me.clone(),
            builder,
            metadata,
            keys: ring,
            store: world.store.unwrap_or_else(|| Arc::new(EmbeddedStore::new(settings.max_value_bytes))),
            outer: world.outer,
            steps: world.steps,
            clock,
            entropy: world.entropy,
            ids,
            tenant,
            instance_id: instance.instance_id,
            issuer,
            account_id: instance.account_id,
            patience: world.patience.map_or_else(Patience::default, Patience::of_calls),
            limits,
            rate_limits,
            rules: PolicyRules { values_hidden_from_people: settings.disable_secret_value_view },
            caches: Caches::new(),
            providers,
            replica,
            draining: AtomicBool::new(false),
            writes: RunningWrites::new(),
        });
        if matches!(settings.database, Database::Sqlite(_)) && app.metadata.store_backlog().await?.open > 0 {
            // Whoever held operations held the folder's lock, too. What was still under way finds its conditions not met,
            // or is waited for.
            app.metadata.end_holds(app.clock.now()).await?;
        }
        Ok(Self { app, first_start, max_body_bytes: settings.max_body_bytes, _folder: folder })
    }

    /// From now on `/readyz` says that the server is going; everything else goes on.
    pub fn drain(&self) {
        self.app.draining.store(true, Ordering::SeqCst);
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
        let app = self.app.clone();
        tokio::spawn(async move {
            tokio::join!(
                jobs::run_purge(app.clone()),
                jobs::run_rotation(app.clone()),
                jobs::run_pruning(app.clone()),
                app::run_settling(app.clone()),
                app::run_reaping(app.clone()),
            );
        })
    }

    /// Makes a tenant admin a token like that of the first start; the error is for whoever runs this.
    pub async fn make_admin_token(&self, email: &str) -> Result<SecretValue, String> {
        let made = Context::of_job(self.app.clone(), "admin-token").make_admin_token(email).await;
        made.map(|token| token.0).map_err(|error| http::ApiError::from(error).message().to_owned())
    }

    /// Changes at once the tokens that are due, and says how many that were.
    pub async fn rotate_now(&self) -> Result<usize, String> {
        jobs::rotate_if_ours(&self.app, None).await.map_err(|error| format!("{error:?}"))
    }

    /// The same, but for each it stops after a step (0: the token is made, 1: it is written), as if the process ended.
    #[doc(hidden)]
    pub async fn rotate_until(&self, step: usize) -> Result<usize, String> {
        let steps = [TurnoverStep::Made, TurnoverStep::Written];
        jobs::rotate_if_ours(&self.app, steps.get(step).copied()).await.map_err(|error| format!("{error:?}"))
    }

    /// Removes at once what ended long ago, and says how many rows that were.
    pub async fn prune_now(&self) -> Result<i64, String> {
        self.app.prune_if_ours().await.map_err(|error| format!("{error:?}"))
    }

    /// Purges at once what is due in the trash, and says how many things that were.
    pub async fn purge_now(&self) -> Result<usize, String> {
        self.app.purge_if_ours().await.map_err(|error| format!("{error:?}"))
    }

    /// Settles at once the writes to outer stores whose writers have stopped, and says how many are settled.
    pub async fn settle_now(&self) -> Result<usize, String> {
        self.app.settle_all_due().await.map_err(|error| format!("{error:?}"))
    }

    /// Removes at once from outer stores what is due there, and says how many entries and versions that were.
    pub async fn reap_now(&self) -> Result<usize, String> {
        self.app.reap_if_ours().await.map_err(|error| format!("{error:?}"))
    }

    /// What speaks to an integration's store, and what names are unique in there; the error is what callers are told.
    #[doc(hidden)]
    pub async fn store_of(&self, integration: &str) -> Result<(Arc<dyn SecretStore>, String), String> {
        let id = IntegrationId::parse(integration).ok_or("no id of an integration")?;
        let store = self.app.store_of(id).await;
        let store = store.map_err(|error| http::ApiError::from(error).message().to_owned())?;
        Ok((store.store, store.target.to_string()))
    }

    /// How many requests were too many.
    #[must_use]
    pub fn refusals(&self) -> Refusals {
        self.app.rate_limits.refusals()
    }

    /// What the metadata writer has done.
    #[must_use]
    pub fn writer_stats(&self) -> strongroom_metadata::WriterStats {
        self.app.metadata.writer_stats()
    }

    /// Writes out what waits and empties the database's log: the last thing before the process ends.
    pub async fn close(&self) {
        if tokio::time::timeout(LAST_WRITES, self.app.writes.finished()).await.is_err() {
            tracing::warn!("some writes whose clients had gone were not finished; each is there wholly or not at all");
        }
        if let Err(error) = self.app.metadata.release_leases(&self.app.replica).await {
            tracing::debug!(%error, "leases were not given back; they end by themselves");
        }
        if let Err(error) = self.app.metadata.flush().await {
            tracing::warn!(%error, "the database's log was not emptied; the next start does it");
        }
    }
}

/// The database and the root key that opens it. A root key is made only beside a new SQLite file.
async fn open_database(settings: &Settings, folder: &mut Folder) -> Result<(Metadata, FileRootKey), StartError> {
    let default_key = settings.data_dir.join("root.key");
    let path = settings.root_key_file.as_deref().unwrap_or(&default_key);
    match &settings.database {
        Database::Sqlite(file) => {
            folder.lock_database(file)?;
            folder.check_database(file)?;
            let may_make = settings.root_key_file.is_none() && !file.exists();
            let root = keys::load(&RootKeySource { path, may_make }).map_err(|error| match error {
                KeyFileError::Missing(path) if file.exists() => {
                    StartError::RootKeyMissing { path, fingerprints: Metadata::root_key_fingerprints(file) }
                }
                error => error.into(),
            })?;
            Ok((Metadata::open(file)?, root))
        }
        Database::Postgres(options) => {
            let root = match keys::load(&RootKeySource { path, may_make: false }) {
                Ok(root) => root,
                Err(KeyFileError::Missing(path)) => {
                    let fingerprints = Metadata::root_key_fingerprints_at(options).await;
                    return Err(if fingerprints.is_empty() {
                        KeyFileError::Missing(path).into()
                    } else {
                        StartError::RootKeyMissing { path, fingerprints }
                    });
                }
                Err(error) => return Err(error.into()),
            };
            Ok((Metadata::connect(options).await?, root))
        }
    }
}

pub(crate) fn parse_tenant(text: &str) -> Result<Tenant, StartError> {
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
