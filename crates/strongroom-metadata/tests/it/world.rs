//! A database in a folder of its own, and rows to put into it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use strongroom_domain::role::{GroupRole, TenantRole};
use strongroom_domain::subject::{Actor, SubjectKind, SubjectName, SubjectType};
use strongroom_domain::{Clock, GroupId, SecretId, Timestamp};
use strongroom_metadata::{
    AccountRow, AuditRow, CommitError, Grant, GrantSource, GroupChange, GroupCreation, GroupUpdate, IdentityChange,
    InstanceRow, InstanceState, IntegrationRow, LeaseError, MachineKind, MachineRow, Metadata, Named, NamedRow,
    NewInstance, NewLifetime, NewSecret, NewToken, NewVersion, PurgeItem, RevisionRow, RoleGrant, RootKeySlotRow,
    SealedCredentials, SigningKeyRow, SyncState, TokenPurpose, UserRow, Viewpoint,
};

use crate::behind::{Behind, TestDatabase, connect};

/// When everything begins.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// A database, removed with the value. On SQLite, or on PostgreSQL where the test command names one.
pub(crate) struct World {
    pub(crate) metadata: Metadata,
    pub(crate) new: NewInstance,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) postgres: Option<TestDatabase>,
}

impl World {
    /// A migrated database without rows.
    pub(crate) async fn empty() -> Self {
        Self::on(TestDatabase::create()).await
    }

    /// The same on an engine of the test's own choice.
    pub(crate) async fn on(postgres: Option<TestDatabase>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let metadata = match &postgres {
            Some(database) => connect(database.url()).await,
            None => Metadata::open(&folder.path().join("metadata.db")).unwrap(),
        };
        Self { metadata, new: new_instance(), folder, postgres }
    }

    /// What a world is made of beside its database.
    pub(crate) fn rows() -> NewInstance {
        new_instance()
    }

    /// Another process's way to the same database.
    pub(crate) async fn opened_again(&self) -> Metadata {
        match &self.postgres {
            Some(database) => connect(database.url()).await,
            None => Metadata::open(&self.folder.path().join("metadata.db")).unwrap(),
        }
    }

    /// After the first start: the admin is `admin@x.io`.
    pub(crate) async fn started() -> Self {
        let world = Self::empty().await;
        world.metadata.create_instance(&world.new).await.unwrap();
        // As the server does.
        keep_grants(&world.metadata).await;
        world
    }

    /// The same database, where grants end by a clock that the test moves; it begins at [`NOW`].
    pub(crate) fn by_hand(&self) -> (Metadata, Arc<Hand>) {
        let hand = Arc::new(Hand(AtomicI64::new(NOW.micros())));
        (self.metadata.clone().with_clock(hand.clone()), hand)
    }

    /// Registers whom grants will name, as far as nobody has.
    pub(crate) async fn know(&self, subjects: &[&str]) {
        for subject in subjects {
            let subject = SubjectName::parse(subject).unwrap();
            if self.metadata.subject(&subject).await.unwrap().is_some() {
                continue;
            }
            let add = |change: &mut IdentityChange| match subject.kind() {
                SubjectType::User => change.add_user(&user(subject.name())),
                SubjectType::Team => change.add_named(Named::Team, &named(subject.name()), None),
                SubjectType::VirtualAccount => change.add_machine(&machine(subject.name()), subject.as_str()),
                SubjectType::Agent => {
                    let agent = MachineRow { kind: MachineKind::AgentIdentity, ..machine(subject.name()) };
                    change.add_machine(&agent, subject.as_str());
                }
            };
            Box::pin(change_identities(&self.metadata, &event("KNOW"), add)).await.unwrap();
        }
    }

    /// Says who is in a team from now on.
    pub(crate) async fn in_team(&self, team: &str, members: &[&str]) {
        let members: Vec<_> = members.iter().map(|member| (*member).to_owned()).collect();
        let change = |change: &mut IdentityChange| change.replace_team_people(team, &members, &[]);
        Box::pin(change_identities(&self.metadata, &event("TEAM"), change)).await.unwrap();
    }

    /// A second way into the same file, without its foreign keys and checks.
    pub(crate) fn raw(&self) -> Connection {
        let connection = Connection::open(self.folder.path().join("metadata.db")).unwrap();
        connection.pragma_update(None, "foreign_keys", false).unwrap();
        connection.pragma_update(None, "ignore_check_constraints", true).unwrap();
        connection
    }

    /// A second way into the database, whichever engine keeps it.
    pub(crate) fn behind(&self) -> Behind<'_> {
        self.postgres.as_ref().map_or_else(|| Behind::Sqlite(self.raw()), Behind::Postgres)
    }

    /// Every row of every table, as text; tables of the tests themselves (`test_…`) are left out.
    pub(crate) fn dump(&self) -> Vec<String> {
        self.behind().dump()
    }

    /// A new group with these keys, each at version 1 with the value `<key>=1`.
    pub(crate) fn group(&self, name: &str, keys: &[&str]) -> GroupCreation {
        let secrets: Vec<_> = keys.iter().map(|key| NewSecret { id: id(), key: (*key).into() }).collect();
        GroupCreation {
            id: id(),
            folded_name: name.to_lowercase(),
            data_key: vec![9; 48],
            data_key_kek: 1,
            revision: self.revision(name, 1),
            versions: secrets.iter().map(|secret| version(secret.id, &secret.key, 1)).collect(),
            secrets,
            grants: Vec::new(),
            event: event("CREATE_SECRET_GROUP"),
        }
    }

    pub(crate) fn revision(&self, name: &str, revision: i64) -> RevisionRow {
        RevisionRow {
            revision,
            at: NOW.plus_seconds(revision),
            actor: actor("admin@x.io"),
            action: "update".into(),
            source: "test".into(),
            request_id: format!("request-{revision}"),
            name: name.into(),
            integration_id: self.new.integration.id,
            manifest: format!("{{\"revision\":{revision}}}"),
            mac: [u8::try_from(revision.rem_euclid(251)).unwrap(); 32],
        }
    }

    /// A change of a group that changes nothing yet but its revision.
    pub(crate) fn change(&self, group: GroupId, name: &str, from: i64) -> GroupChange {
        GroupChange {
            group: GroupUpdate { id: group, expected_revision: from, folded_name: name.to_lowercase(), deleted: None },
            revision: self.revision(name, from + 1),
            secrets: Vec::new(),
            states: Vec::new(),
            versions: Vec::new(),
            ended: Vec::new(),
            all_ended: None,
            began: Vec::new(),
            grants: None,
            event: event("UPDATE_SECRET_GROUP"),
        }
    }
}

/// A clock that stands still until it is moved.
pub(crate) struct Hand(AtomicI64);

impl Hand {
    pub(crate) fn set(&self, at: Timestamp) {
        self.0.store(at.micros(), Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// Keeps grants in memory, and waits until they are there.
pub(crate) async fn keep_grants(metadata: &Metadata) {
    metadata.keep_grants().await.unwrap();
    let began = std::time::Instant::now();
    while !metadata.checks_in_memory() {
        assert!(began.elapsed() < Duration::from_secs(20), "grants are not in memory");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Decides a change of identities and writes it, once.
pub(crate) async fn change_identities(
    metadata: &Metadata,
    event: &AuditRow,
    decide: impl FnOnce(&mut IdentityChange),
) -> Result<(), CommitError> {
    let begun = metadata.begin_identity_change().await;
    let mut change = begun.map_err(|error| CommitError::Unavailable(error.to_string()))?;
    decide(&mut change);
    metadata.commit_identity_change(change, event).await
}

pub(crate) async fn create_user(metadata: &Metadata, user: &UserRow, event: &AuditRow) -> Result<(), CommitError> {
    change_identities(metadata, event, |change| change.add_user(user)).await
}

pub(crate) async fn create_token(metadata: &Metadata, token: &NewToken, event: &AuditRow) -> Result<(), CommitError> {
    change_identities(metadata, event, |change| change.add_token(token)).await
}

/// A virtual account with its token and what its manifest grants.
pub(crate) async fn create_machine(
    metadata: &Metadata,
    machine: &MachineRow,
    token: &NewToken,
    grants: &[Grant],
    event: &AuditRow,
) -> Result<(), CommitError> {
    change_identities(metadata, event, |change| {
        change.add_machine(machine, &format!("virtualaccount:{}", machine.name));
        change.add_token(token);
        change.grant(GrantSource::VirtualAccount, &machine.id.to_string(), grants, &[]);
    })
    .await
}

/// Writes a machine's manifest, and what it grants where that changes.
pub(crate) async fn update_machine(
    metadata: &Metadata,
    machine: &MachineRow,
    grants: Option<&[Grant]>,
    event: &AuditRow,
) -> Result<(), CommitError> {
    change_identities(metadata, event, |change| {
        change.update_machine(machine);
        if let Some(grants) = grants {
            change.take_grants_from(&machine.id.to_string());
            change.grant(GrantSource::VirtualAccount, &machine.id.to_string(), grants, &[]);
        }
    })
    .await
}

/// A row at least in each of the tables of teams, bindings and what else decides who may do what. Gives a team, a role, a
/// binding and a provider.
pub(crate) async fn furnish(metadata: &Metadata, group: GroupId, who: &UserRow, bot: &MachineRow) -> [NamedRow; 4] {
    let [team, role, binding, provider] = ["devs", "own", "bind", "idp"].map(named);
    let (member, expires_at) = (format!("user:{}", who.email), Some(NOW.plus_days(9)));
    let decide = |change: &mut IdentityChange| {
        change.add_named(Named::Team, &team, None);
        change.add_named(Named::Role, &role, Some(("account", "[\"x\"]")));
        change.add_named(Named::RoleBinding, &binding, None);
        change.add_named(Named::IdentityProvider, &provider, None);
        change.replace_team_people(
            "team:devs",
            std::slice::from_ref(&member),
            &[member.clone(), "user:admin@x.io".into()],
        );
        change.replace_mappings(&format!("virtualaccount:{}", bot.name), &[(provider.id.clone(), "ä sub".into())]);
        change.invite(&[0x80; 32], who.id, NOW, NOW.plus_days(1));
        let groups = [Grant { expires_at, ..grant(group, "team:devs", GroupRole::Reader) }];
        let others = [
            role_grant("team:devs", "team", &team.id, "team-manager"),
            RoleGrant { expires_at, ..role_grant(&member, "account", "tenant", "own") },
        ];
        change.grant(GrantSource::RoleBinding, &binding.id, &groups, &others);
        change.update_machine(&MachineRow {
            rotate_at: expires_at,
            sync: SyncState { token: Some("t".into()), at: Some(NOW), error: Some("ü".into()) },
            target_group: Some(group),
            ..bot.clone()
        });
    };
    change_identities(metadata, &event("X"), decide).await.unwrap();
    let key = SigningKeyRow { id: id(), public: vec![1; 32], sealed: vec![2; 60], kek: 1, created_at: NOW };
    metadata.add_signing_key(&key, &event("X")).await.unwrap();
    [team, role, binding, provider]
}

/// Purges as the job does that holds the lease.
pub(crate) async fn purge(
    metadata: &Metadata,
    item: &PurgeItem,
    now: Timestamp,
    event: &AuditRow,
) -> Result<(), CommitError> {
    let lease = match metadata.lease("purge", "test", Duration::from_hours(1)).await {
        Ok(lease) => lease.expect("nobody else has it"),
        Err(LeaseError::Write(error)) => return Err(error),
        Err(error) => return Err(CommitError::Unavailable(error.to_string())),
    };
    metadata.purge(&lease, item, now, event).await
}

/// Ids rise, so what is made later sorts later.
pub(crate) fn id<T: From<uuid::Uuid>>() -> T {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    uuid::Builder::from_unix_timestamp_millis(1_800_000_000_000 + number, &[7; 10]).into_uuid().into()
}

pub(crate) fn actor(slug: &str) -> Actor {
    Actor {
        id: "0192f0c1".into(),
        kind: "user".into(),
        slug: slug.into(),
        display_name: Some("Ä \"quoted\"".into()),
        token_name: None,
        external_slug: None,
        controller: None,
    }
}

pub(crate) fn event(action: &str) -> AuditRow {
    AuditRow {
        id: id(),
        at: NOW,
        action: action.into(),
        result: "success".into(),
        actor: actor("admin@x.io"),
        token_id: None,
        address: "::1".into(),
        request_id: "request".into(),
        request_path: "/api".into(),
        resource_type: "secret-group".into(),
        resource_id: "resource".into(),
        resource_name: "name".into(),
        resource_fqn: "default:name".into(),
        revision: Some(3),
        detail: "{}".into(),
        mac_key: 1,
        mac: vec![5; 32],
    }
}

pub(crate) fn user(email: &str) -> UserRow {
    UserRow {
        id: id(),
        email: email.into(),
        tenant_role: TenantRole::Member.id().into(),
        active: true,
        created_at: NOW,
        updated_at: NOW.plus_seconds(1),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "ids are as small as references to them")]
pub(crate) fn token(hash: u8, kind: SubjectKind, subject: impl ToString) -> NewToken {
    NewToken {
        hash: [hash; 32],
        id: id(),
        subject_kind: kind,
        subject_id: subject.to_string(),
        name: "token".into(),
        purpose: TokenPurpose::Personal,
        signing_key: None,
        created_by: Some(actor("admin@x.io")),
        created_at: NOW,
        expires_at: Some(NOW.plus_days(1)),
    }
}

pub(crate) fn machine(name: &str) -> MachineRow {
    MachineRow {
        id: id(),
        kind: MachineKind::VirtualAccount,
        rotate_at: None,
        sync: SyncState::default(),
        target_group: None,
        name: name.into(),
        manifest: "{\"name\":1}".into(),
        created_by: actor("admin@x.io"),
        created_at: NOW,
        updated_at: NOW,
    }
}

/// A team, a role, a binding or a provider.
pub(crate) fn named(name: &str) -> NamedRow {
    NamedRow {
        id: id::<uuid::Uuid>().to_string(),
        name: name.into(),
        manifest: "{\"name\":1}".into(),
        created_by: actor("admin@x.io"),
        created_at: NOW,
        updated_at: NOW,
    }
}

pub(crate) fn version(secret: SecretId, key: &str, number: i64) -> NewVersion {
    NewVersion {
        secret_id: secret,
        version: number,
        id: id(),
        digest: [u8::try_from(number % 251).unwrap(); 32],
        store_version: number.to_string(),
        sealed: Some(format!("{key}={number}").into_bytes()),
    }
}

pub(crate) fn lifetime(secret: SecretId, key: &str, version: i64) -> NewLifetime {
    NewLifetime { secret_id: secret, version, key: key.into() }
}

pub(crate) fn grant(group_id: GroupId, subject: &str, role: GroupRole) -> Grant {
    Grant { group_id, subject: subject.into(), role, expires_at: None }
}

pub(crate) fn role_grant(subject: &str, resource_type: &str, resource_id: &str, role: &str) -> RoleGrant {
    let [subject, resource_type, resource_id, role] = [subject, resource_type, resource_id, role].map(str::to_owned);
    RoleGrant { subject, resource_type, resource_id, role, expires_at: None }
}

pub(crate) fn admin() -> Viewpoint {
    Viewpoint { floor: Some(GroupRole::Admin), subject: "user:admin@x.io".into() }
}

pub(crate) fn member(own: &str) -> Viewpoint {
    Viewpoint { floor: None, subject: own.into() }
}

fn new_instance() -> NewInstance {
    let admin = UserRow { tenant_role: TenantRole::Admin.id().into(), ..user("admin@x.io") };
    let account = AccountRow {
        id: id(),
        name: "default".into(),
        provider: "truefoundry".into(),
        fqn: "default:truefoundry:default".into(),
        manifest: "{}".into(),
        credentials: Some(SealedCredentials { sealed: vec![1, 2, 3], kek: 1 }),
        created_by: actor("admin@x.io"),
        created_at: NOW,
        updated_at: NOW,
    };
    let integration = IntegrationRow {
        id: id(),
        account_id: account.id,
        account_fqn: account.fqn.clone(),
        name: "db".into(),
        kind: "secret-store".into(),
        fqn: "default:truefoundry:default:secret-store:db".into(),
        manifest: "{}".into(),
        created_by: actor("admin@x.io"),
        created_at: NOW,
        updated_at: NOW,
    };
    NewInstance {
        instance: InstanceRow {
            tenant: "default".into(),
            instance_id: "one".into(),
            account_id: id(),
            created_at: NOW,
            state: InstanceState::Live,
        },
        slot: RootKeySlotRow {
            key_id: 1,
            kind: "file".into(),
            fingerprint: "abcd".into(),
            wrapped: vec![3; 40],
            created_at: NOW,
        },
        admin_token: token(1, SubjectKind::User, admin.id),
        admin,
        authorized: Vec::new(),
        account,
        integration,
        event: event("CREATE_INSTANCE"),
    }
}
