//! The population: users, teams, groups and what is granted, written through the library as a server writes it.

use std::sync::{Arc, Mutex, PoisonError};

use strongroom_crypto::sha256;
use strongroom_domain::role::GroupRole;
use strongroom_domain::subject::{Actor, SubjectKind};
use strongroom_domain::{Clock, Entropy, EventId, GroupId, Ids, SystemClock, Timestamp, UserId};
use strongroom_metadata::{
    AccountRow, AuditRow, Grant, GrantSource, GroupCreation, IdentityChange, InstanceRow, InstanceState,
    IntegrationRow, Metadata, Named, NamedRow, NewInstance, NewSecret, NewToken, NewVersion, RevisionRow,
    RootKeySlotRow, TokenPurpose, UserRow,
};
use tokio::task::JoinSet;

use crate::Result;
use crate::template::Random;

/// Groups that the three who look at lists see.
pub(super) const VIEWS: [usize; 3] = [100, 1_000, 15_000];
/// Teams through which the second and the third see theirs.
const VIEW_TEAMS: [usize; 3] = [0, 4, 5];
/// People in 200 teams.
const BUSY: usize = 20;
const BUSY_TEAMS: usize = 200;
const TEAM_SIZE: usize = 50;
/// A binding grants a role on each of so many groups to two users and two teams.
const GROUPS_A_BINDING: usize = 25;
const SECRETS_A_GROUP: usize = 2;
/// Nobody else is in the teams of those who look, and nothing else is granted to them.
const FIRST_OTHER: usize = VIEWS.len() + BUSY;
const FIRST_OTHER_TEAM: usize = VIEW_TEAMS[1] + VIEW_TEAMS[2];

/// How many there are of each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub(super) users: usize,
    pub(super) teams: usize,
    pub(super) groups: usize,
    pub(super) bindings: usize,
    pub(super) grants: usize,
    pub(super) tokens: usize,
}

impl Scale {
    pub(super) fn of(percent: usize) -> Self {
        let part = |whole: usize| whole * percent / 100;
        Self {
            users: part(100_000),
            teams: part(10_000),
            // Enough for whoever sees 15,000, however small the rest is.
            groups: 20_000,
            bindings: part(8_000),
            grants: part(1_000_000),
            tokens: part(10_000),
        }
    }
}

/// Who and what is there, as far as the measuring asks for it.
pub(super) struct Population {
    pub(super) scale: Scale,
    pub(super) groups: Vec<GroupId>,
    /// The teams of each user, apart from everyone.
    pub(super) teams_of: Vec<Vec<usize>>,
    /// The groups that each team was granted a role on that holds.
    pub(super) groups_of_team: Vec<Vec<usize>>,
    pub(super) tokens: Vec<String>,
    pub(super) hashes: Vec<[u8; 32]>,
    pub(super) granted: usize,
    pub(super) source: Source,
}

impl Population {
    pub(super) fn user(index: usize) -> String {
        format!("user:{}", email(index))
    }

    /// One of those in 200 teams.
    pub(super) fn busy(random: &mut Random) -> usize {
        VIEWS.len() + random.below(BUSY)
    }

    /// One of the many.
    pub(super) fn usual(&self, random: &mut Random) -> usize {
        FIRST_OTHER + random.below(self.scale.users - FIRST_OTHER)
    }

    /// A group that a team of theirs may see.
    pub(super) fn group_of(&self, user: usize, random: &mut Random) -> Option<GroupId> {
        let teams = &self.teams_of[user];
        let team = teams.get(random.below(teams.len().max(1)))?;
        let groups = &self.groups_of_team[*team];
        groups.get(random.below(groups.len().max(1))).map(|group| self.groups[*group])
    }
}

/// Ids, times and events.
pub(super) struct Source {
    ids: Ids,
    actor: Actor,
}

impl Source {
    fn new() -> Self {
        let actor = Actor {
            id: "bench".to_owned(),
            kind: "user".to_owned(),
            slug: "bench@bench.test".to_owned(),
            display_name: None,
            token_name: None,
            external_slug: None,
            controller: None,
        };
        Self { ids: Ids::new(Arc::new(SystemClock), Arc::new(Repeatable(Mutex::new(Random::new(2))))), actor }
    }

    pub(super) fn id<T: From<uuid::Uuid>>(&self) -> T {
        self.ids.next()
    }

    pub(super) fn event(&self, action: &str) -> AuditRow {
        AuditRow {
            id: self.ids.next::<EventId>(),
            at: SystemClock.now(),
            action: action.to_owned(),
            result: "success".to_owned(),
            actor: self.actor.clone(),
            token_id: None,
            address: "127.0.0.1".to_owned(),
            request_id: "bench".to_owned(),
            request_path: "/bench".to_owned(),
            resource_type: "bench".to_owned(),
            resource_id: String::new(),
            resource_name: String::new(),
            resource_fqn: String::new(),
            revision: None,
            detail: "{}".to_owned(),
            mac_key: 1,
            mac: vec![0; 32],
        }
    }

    /// A team or a binding.
    pub(super) fn named(&self, name: String) -> NamedRow {
        let at = SystemClock.now();
        NamedRow {
            id: self.ids.next::<uuid::Uuid>().to_string(),
            manifest: format!(r#"{{"name":"{name}"}}"#),
            name,
            created_by: self.actor.clone(),
            created_at: at,
            updated_at: at,
        }
    }
}

/// The same in each run: the population is, too.
struct Repeatable(Mutex<Random>);

impl Entropy for Repeatable {
    fn fill(&self, out: &mut [u8]) {
        let mut random = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for part in out.chunks_mut(8) {
            part.copy_from_slice(&random.next().to_be_bytes()[..part.len()]);
        }
    }
}

fn email(index: usize) -> String {
    format!("person-{index:06}@bench.test")
}

fn team(index: usize) -> String {
    format!("team:crew-{index:05}")
}

fn role(random: &mut Random) -> GroupRole {
    GroupRole::ALL[random.below(GroupRole::ALL.len())]
}

/// So many different ones.
fn distinct(count: usize, mut draw: impl FnMut() -> usize) -> Vec<usize> {
    let mut drawn = Vec::with_capacity(count);
    while drawn.len() < count {
        let one = draw();
        if !drawn.contains(&one) {
            drawn.push(one);
        }
    }
    drawn
}

/// Fills the database of a server that was started once.
pub(super) async fn fill(metadata: &Metadata, scale: Scale) -> Result<Population> {
    let mut random = Random::new(1);
    let mut population = Population {
        scale,
        groups: Vec::new(),
        teams_of: vec![Vec::new(); scale.users],
        groups_of_team: vec![Vec::new(); scale.teams],
        tokens: Vec::new(),
        hashes: Vec::new(),
        granted: 0,
        source: Source::new(),
    };
    if metadata.instance().await?.is_none() {
        instance(metadata, &population.source).await?;
    }
    users(metadata, &mut population).await?;
    eprintln!("{} users", scale.users);
    teams(metadata, &mut population, &mut random).await?;
    eprintln!("{} teams", scale.teams);
    groups(metadata, &mut population, &mut random).await?;
    eprintln!("{} groups", scale.groups);
    views(metadata, &mut population, &mut random).await?;
    bindings(metadata, &mut population, &mut random).await?;
    eprintln!("{} grants", population.granted);
    metadata.flush().await?;
    Ok(population)
}

/// Commits one change after the other.
pub(super) async fn change(metadata: &Metadata, source: &Source, fill: impl FnOnce(&mut IdentityChange)) -> Result<()> {
    let mut change = metadata.begin_identity_change().await?;
    fill(&mut change);
    Ok(metadata.commit_identity_change(change, &source.event("BENCH")).await?)
}

/// Where no server was started.
async fn instance(metadata: &Metadata, source: &Source) -> Result<()> {
    let at = SystemClock.now();
    let admin: UserId = source.id();
    let account = AccountRow {
        credentials: None,
        id: source.id(),
        name: "truefoundry".to_owned(),
        provider: "truefoundry".to_owned(),
        fqn: "bench:truefoundry:truefoundry".to_owned(),
        manifest: "{}".to_owned(),
        created_by: source.actor.clone(),
        created_at: at,
        updated_at: at,
    };
    let new = NewInstance {
        instance: InstanceRow {
            tenant: "bench".to_owned(),
            instance_id: "bench".to_owned(),
            account_id: source.id(),
            created_at: at,
            state: InstanceState::Live,
        },
        slot: RootKeySlotRow {
            key_id: 1,
            kind: "file".to_owned(),
            fingerprint: "bench".to_owned(),
            wrapped: vec![7; 60],
            created_at: at,
        },
        admin: UserRow {
            id: admin,
            email: "admin@bench.test".to_owned(),
            tenant_role: "tenant-admin".to_owned(),
            active: true,
            created_at: at,
            updated_at: at,
        },
        admin_token: token([9; 32], admin, source, at),
        authorized: Vec::new(),
        integration: IntegrationRow {
            id: source.id(),
            account_id: account.id,
            account_fqn: account.fqn.clone(),
            name: "store".to_owned(),
            kind: "secret-store".to_owned(),
            fqn: "bench:truefoundry:truefoundry:secret-store:store".to_owned(),
            manifest: "{}".to_owned(),
            created_by: source.actor.clone(),
            created_at: at,
            updated_at: at,
        },
        account,
        event: source.event("INITIALIZE"),
    };
    Ok(metadata.create_instance(&new).await?)
}

fn token(hash: [u8; 32], user: UserId, source: &Source, at: Timestamp) -> NewToken {
    NewToken {
        hash,
        id: source.id(),
        subject_kind: SubjectKind::User,
        subject_id: user.to_string(),
        name: "bench".to_owned(),
        purpose: TokenPurpose::Personal,
        signing_key: None,
        created_by: None,
        created_at: at,
        expires_at: Some(at.plus_days(30)),
    }
}

async fn users(metadata: &Metadata, population: &mut Population) -> Result<()> {
    let entropy = Repeatable(Mutex::new(Random::new(3)));
    let at = SystemClock.now();
    let all: Vec<usize> = (0..population.scale.users).collect();
    for part in all.chunks(2_000) {
        let (mut rows, mut tokens) = (Vec::new(), Vec::new());
        for &index in part {
            let id: UserId = population.source.id();
            rows.push(UserRow {
                id,
                email: email(index),
                tenant_role: "tenant-member".to_owned(),
                active: true,
                created_at: at,
                updated_at: at,
            });
            if index >= FIRST_OTHER && population.tokens.len() < population.scale.tokens {
                let text = strongroom_domain::token::make(&entropy).to_string();
                let hash = sha256(text.as_bytes());
                population.tokens.push(text);
                population.hashes.push(hash);
                tokens.push(token(hash, id, &population.source, at));
            }
        }
        change(metadata, &population.source, |change| {
            for row in &rows {
                change.add_user(row);
            }
            for token in &tokens {
                change.add_token(token);
            }
        })
        .await?;
    }
    Ok(())
}

async fn teams(metadata: &Metadata, population: &mut Population, random: &mut Random) -> Result<()> {
    let scale = population.scale;
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); scale.teams];
    let mut first = 0;
    for (viewer, count) in VIEW_TEAMS.into_iter().enumerate() {
        members[first..first + count].iter_mut().for_each(|team| team.push(viewer));
        first += count;
    }
    for busy in VIEWS.len()..FIRST_OTHER {
        let most = BUSY_TEAMS.min(scale.teams - FIRST_OTHER_TEAM);
        for team in distinct(most, || FIRST_OTHER_TEAM + random.below(scale.teams - FIRST_OTHER_TEAM)) {
            members[team].push(busy);
        }
    }
    for team in &mut members {
        let missing = TEAM_SIZE.saturating_sub(team.len());
        team.extend(distinct(missing, || FIRST_OTHER + random.below(scale.users - FIRST_OTHER)));
    }
    for (team, members) in members.iter().enumerate() {
        for member in members {
            population.teams_of[*member].push(team);
        }
    }
    let all: Vec<usize> = (0..scale.teams).collect();
    for part in all.chunks(500) {
        change(metadata, &population.source, |change| {
            for &index in part {
                let name = team(index);
                let row = population.source.named(name["team:".len()..].to_owned());
                change.add_named(Named::Team, &row, None);
                let names: Vec<String> = members[index].iter().map(|member| Population::user(*member)).collect();
                change.replace_team_people(&name, &names, &names[..1]);
            }
        })
        .await?;
    }
    Ok(())
}

async fn groups(metadata: &Metadata, population: &mut Population, random: &mut Random) -> Result<()> {
    let scale = population.scale;
    let integrations = metadata.provider_integrations().await?;
    let integration = integrations.first().ok_or("the server made no integration")?.id;
    let by_bindings = scale.bindings * GROUPS_A_BINDING * 4 + VIEWS.iter().sum::<usize>();
    let by_manifests = scale.grants.saturating_sub(by_bindings);
    let mut waiting: JoinSet<Result<()>> = JoinSet::new();
    for index in 0..scale.groups {
        let id: GroupId = population.source.id();
        let count = by_manifests * (index + 1) / scale.groups - by_manifests * index / scale.groups;
        let users = distinct(count / 2, || FIRST_OTHER + random.below(scale.users - FIRST_OTHER));
        let teams = distinct(count - count / 2, || FIRST_OTHER_TEAM + random.below(scale.teams - FIRST_OTHER_TEAM));
        for team in &teams {
            population.groups_of_team[*team].push(index);
        }
        let subjects = users.iter().map(|user| Population::user(*user)).chain(teams.iter().map(|index| team(*index)));
        let grants: Vec<Grant> =
            subjects.map(|subject| Grant { group_id: id, subject, role: role(random), expires_at: None }).collect();
        population.granted += grants.len();
        let new = group(&population.source, id, index, integration, grants);
        population.groups.push(id);
        let metadata = metadata.clone();
        waiting.spawn(async move { Ok(metadata.create_group(&new).await?) });
        if waiting.len() >= 256 {
            while let Some(done) = waiting.join_next().await {
                done??;
            }
        }
    }
    while let Some(done) = waiting.join_next().await {
        done??;
    }
    Ok(())
}

fn group(
    source: &Source,
    id: GroupId,
    index: usize,
    integration: strongroom_domain::IntegrationId,
    grants: Vec<Grant>,
) -> GroupCreation {
    let collaborators: Vec<String> = grants
        .iter()
        .map(|grant| format!(r#"{{"subject":"{}","role_id":"{}"}}"#, grant.subject, grant.role.id()))
        .collect();
    let name = format!("service-{index:05}-settings");
    let secrets: Vec<NewSecret> = ["database-password", "api-key"][..SECRETS_A_GROUP]
        .iter()
        .map(|key| NewSecret { id: source.id(), key: (*key).to_owned() })
        .collect();
    let versions = secrets
        .iter()
        .map(|secret| NewVersion {
            secret_id: secret.id,
            version: 1,
            id: source.id(),
            digest: [7; 32],
            store_version: "1".to_owned(),
            sealed: Some(vec![7; 60]),
        })
        .collect();
    GroupCreation {
        id,
        folded_name: name.clone(),
        data_key: vec![7; 60],
        data_key_kek: 1,
        revision: RevisionRow {
            revision: 1,
            at: SystemClock.now(),
            actor: source.actor.clone(),
            action: "create".into(),
            source: "bench".into(),
            request_id: "bench".to_owned(),
            manifest: format!(
                r#"{{"type":"secret-group","name":"{name}","collaborators":[{}]}}"#,
                collaborators.join(",")
            ),
            name,
            integration_id: integration,
            mac: [7; 32],
        },
        secrets,
        versions,
        grants,
        event: source.event("CREATE_SECRET_GROUP"),
    }
}

/// What the three see, each group once: the first by their own name, the others through teams.
async fn views(metadata: &Metadata, population: &mut Population, random: &mut Random) -> Result<()> {
    let mut first_team = 0;
    for (viewer, (&sees, teams)) in VIEWS.iter().zip(VIEW_TEAMS).enumerate() {
        let mut order: Vec<usize> = (0..population.scale.groups).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, random.below(at + 1));
        }
        let grants: Vec<Grant> = order[..sees]
            .iter()
            .enumerate()
            .map(|(at, group)| Grant {
                group_id: population.groups[*group],
                subject: if teams == 0 { Population::user(viewer) } else { team(first_team + at % teams) },
                role: role(random),
                expires_at: None,
            })
            .collect();
        first_team += teams;
        population.granted += grants.len();
        let row = population.source.named(format!("view-{sees}"));
        change(metadata, &population.source, |change| {
            change.add_named(Named::RoleBinding, &row, None);
            change.grant(GrantSource::RoleBinding, &row.id, &grants, &[]);
        })
        .await?;
    }
    Ok(())
}

async fn bindings(metadata: &Metadata, population: &mut Population, random: &mut Random) -> Result<()> {
    let all: Vec<usize> = (0..population.scale.bindings).collect();
    for part in all.chunks(400) {
        let mut rows = Vec::new();
        for &index in part {
            let (expires_at, holds) = match index % 10 {
                0 => (Some(SystemClock.now().plus_seconds(-3_600)), false),
                1 => (Some(SystemClock.now().plus_days(30)), true),
                _ => (None, true),
            };
            let row = population.source.named(format!("binding-{index:05}"));
            rows.push((row, binding(population, random, expires_at, holds)));
        }
        change(metadata, &population.source, |change| {
            for (row, grants) in &rows {
                change.add_named(Named::RoleBinding, row, None);
                change.grant(GrantSource::RoleBinding, &row.id, grants, &[]);
            }
        })
        .await?;
    }
    Ok(())
}

/// What one more binding grants.
pub(super) fn binding(
    population: &mut Population,
    random: &mut Random,
    expires_at: Option<Timestamp>,
    holds: bool,
) -> Vec<Grant> {
    let scale = population.scale;
    let users = distinct(2, || FIRST_OTHER + random.below(scale.users - FIRST_OTHER));
    let teams = distinct(2, || FIRST_OTHER_TEAM + random.below(scale.teams - FIRST_OTHER_TEAM));
    let groups = distinct(GROUPS_A_BINDING, || random.below(scale.groups));
    if holds {
        for team in &teams {
            population.groups_of_team[*team].extend(&groups);
        }
    }
    let subjects: Vec<String> =
        users.iter().map(|user| Population::user(*user)).chain(teams.iter().map(|index| team(*index))).collect();
    let mut grants = Vec::with_capacity(subjects.len() * groups.len());
    for subject in &subjects {
        for group in &groups {
            let group_id = population.groups[*group];
            grants.push(Grant { group_id, subject: subject.clone(), role: role(random), expires_at });
        }
    }
    population.granted += grants.len();
    grants
}
