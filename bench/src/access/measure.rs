//! The questions, asked of one database.

use std::hint::black_box;
use std::time::{Duration, Instant};

use strongroom_domain::GroupId;
use strongroom_domain::policy::{GroupAction, PolicyRules, Standing, decide};
use strongroom_domain::role::GroupRole;
use strongroom_domain::subject::SubjectName;
use strongroom_metadata::{GrantSource, GroupFilter, Metadata, Named, Page, Viewpoint};

use super::fill::{Population, VIEWS, binding, change};
use super::{Line, Meter};
use crate::Result;
use crate::template::Random;

/// How often a short question is asked, and for how long a long one.
const SHORT: usize = 10_000;
const LONG: Duration = Duration::from_secs(1);
const LONG_AT_MOST: usize = 200;
/// Fewer than the engine keeps.
const KEPT: usize = 2_000;

pub(super) async fn all(metadata: &Metadata, population: &mut Population, postgres: Option<u32>) -> Result<Vec<Line>> {
    let mut lines = vec![decisions()?];
    checks(metadata, population, postgres, &mut lines).await?;
    callers(metadata, population, postgres, &mut lines).await?;
    pages(metadata, postgres, &mut lines).await?;
    changes(metadata, population, postgres, &mut lines).await?;
    Ok(lines)
}

/// Those questions alone that grants in memory answer.
pub(super) async fn reads(metadata: &Metadata, population: &Population, postgres: Option<u32>) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    checks(metadata, population, postgres, &mut lines).await?;
    Ok(lines)
}

/// How long it takes until a change is in memory, where others may have made it.
async fn followed(metadata: &Metadata) -> u64 {
    let began = Instant::now();
    while !metadata.checks_in_memory() {
        tokio::time::sleep(Duration::from_micros(100)).await;
    }
    nanoseconds(began)
}

/// What is left to do once the standing and the role are known. A clock is too slow for one: a thousand at a time.
fn decisions() -> Result<Line> {
    let meter = Meter::start(None)?;
    let roles =
        [None, Some(GroupRole::Viewer), Some(GroupRole::Reader), Some(GroupRole::Editor), Some(GroupRole::Admin)];
    let took = (0..1_000)
        .map(|_| {
            let began = Instant::now();
            for turn in 0..1_000_usize {
                let standing =
                    Standing { floor: black_box(None), group_role: black_box(roles[turn % 5]), machine: turn % 2 == 0 };
                black_box(decide(standing, black_box(GroupAction::ALL[turn % 4]), PolicyRules::default()));
            }
            nanoseconds(began)
        })
        .collect();
    meter.line("(a) a thousand decisions, all known", took)
}

async fn checks(
    metadata: &Metadata,
    population: &Population,
    postgres: Option<u32>,
    lines: &mut Vec<Line>,
) -> Result<()> {
    for (who, busy) in [("about 5 teams", false), ("200 teams", true)] {
        let asked = pairs(population, busy);
        let (meter, mut took) = (Meter::start(postgres)?, Vec::new());
        for (viewpoint, group) in &asked {
            let began = Instant::now();
            let role = metadata.role_on(*group, viewpoint).await?;
            took.push(nanoseconds(began));
            if role.is_none() {
                return Err("somebody has lost a role".into());
            }
        }
        lines.push(meter.line(format!("(b) role on a group, {who}"), took)?);
        let (meter, mut took) = (Meter::start(postgres)?, Vec::new());
        for (viewpoint, group) in &asked {
            let began = Instant::now();
            let found = metadata.group(*group, viewpoint).await?;
            took.push(nanoseconds(began));
            if found.and_then(|state| state.group.role).is_none() {
                return Err("somebody has lost a group".into());
            }
        }
        lines.push(meter.line(format!("(b) the group with its secrets, {who}"), took)?);
    }
    for (who, floor) in [("a tenant admin", Some(GroupRole::Admin)), ("nobody: it is hidden", None)] {
        let viewpoint = Viewpoint { floor, subject: "user:nobody@bench.test".to_owned() };
        let asked = pairs(population, false);
        let (meter, mut took) = (Meter::start(postgres)?, Vec::new());
        for (_, group) in &asked {
            let began = Instant::now();
            black_box(metadata.group(*group, &viewpoint).await?);
            took.push(nanoseconds(began));
        }
        lines.push(meter.line(format!("(b) the group with its secrets, {who}"), took)?);
    }
    kept(metadata, population, postgres, lines).await
}

/// A secret for its reader, asked for again: `SQLite`'s answers are kept while nothing that they rest on has changed.
async fn kept(
    metadata: &Metadata,
    population: &Population,
    postgres: Option<u32>,
    lines: &mut Vec<Line>,
) -> Result<()> {
    let mut asked = Vec::new();
    for (viewpoint, group) in pairs(population, false).into_iter().take(KEPT) {
        let state = metadata.group(group, &viewpoint).await?.ok_or("somebody has lost a group")?;
        asked.push((viewpoint, state.secrets.first().ok_or("a group has lost its secrets")?.id));
    }
    for what in ["(b) a secret to reveal, about 5 teams", "(b) the same for the second time", "(b) for the third"] {
        let (meter, mut took) = (Meter::start(postgres)?, Vec::new());
        for (viewpoint, secret) in &asked {
            let began = Instant::now();
            let found = metadata.secret_to_reveal(*secret, viewpoint, 1).await?;
            took.push(nanoseconds(began));
            if found.is_none_or(|found| found.secret.role.is_none()) {
                return Err("somebody has lost a secret".into());
            }
        }
        lines.push(meter.line(what, took)?);
    }
    Ok(())
}

/// Who asks about what: the same ones for each question.
fn pairs(population: &Population, busy: bool) -> Vec<(Viewpoint, GroupId)> {
    let mut random = Random::new(11);
    let mut pairs = Vec::new();
    while pairs.len() < SHORT {
        let user = if busy { Population::busy(&mut random) } else { population.usual(&mut random) };
        if let Some(group) = population.group_of(user, &mut random) {
            pairs.push((viewpoint(user), group));
        }
    }
    pairs
}

fn viewpoint(user: usize) -> Viewpoint {
    Viewpoint { floor: None, subject: Population::user(user) }
}

async fn callers(
    metadata: &Metadata,
    population: &Population,
    postgres: Option<u32>,
    lines: &mut Vec<Line>,
) -> Result<()> {
    let (meter, mut took) = (Meter::start(postgres)?, Vec::new());
    for hash in &population.hashes {
        let began = Instant::now();
        let token = metadata.token(hash).await?.ok_or("a token is missing")?;
        let subject = token.subject.ok_or("a token without an owner")?;
        black_box(metadata.memberships(&subject.name).await?);
        took.push(nanoseconds(began));
    }
    lines.push(meter.line("(c) a caller: token, teams, roles; about 5 teams", took)?);
    let mut random = Random::new(12);
    let (meter, mut took) = (Meter::start(postgres)?, Vec::new());
    for _ in 0..1_000 {
        let name = SubjectName::parse(&Population::user(Population::busy(&mut random)))?;
        let began = Instant::now();
        black_box(metadata.memberships(&name).await?);
        took.push(nanoseconds(began));
    }
    lines.push(meter.line("(c) teams and roles, 200 teams", took)?);
    Ok(())
}

async fn pages(metadata: &Metadata, postgres: Option<u32>, lines: &mut Vec<Line>) -> Result<()> {
    let viewers = VIEWS.iter().enumerate().map(|(viewer, sees)| (format!("sees {sees}"), viewpoint(viewer)));
    let admin = Viewpoint { floor: Some(GroupRole::Admin), subject: "user:nobody@bench.test".to_owned() };
    for (who, viewpoint) in viewers.chain([("tenant admin".to_owned(), admin)]) {
        for (search, found) in
            [("", "all"), ("service-1", "a common part of names"), ("00-set", "a rare part of names")]
        {
            for offset in [0, 900] {
                let (meter, mut took) = (Meter::start(postgres)?, Vec::new());
                let began = Instant::now();
                let mut shown = (0, 0);
                while began.elapsed() < LONG && took.len() < LONG_AT_MOST {
                    let page = Page { before: None, offset, limit: 100 };
                    let filter = GroupFilter { search: search.to_owned() };
                    let one = Instant::now();
                    let (groups, total) = metadata.group_page(viewpoint.clone(), filter, page).await?;
                    took.push(nanoseconds(one));
                    shown = (groups.len(), total);
                }
                let (rows, total) = shown;
                if rows > 0 {
                    let what = format!("(d) page at {offset}, {who}, {found}: {rows} of {total}");
                    lines.push(meter.line(what, took)?);
                }
            }
        }
    }
    Ok(())
}

/// One change, and whether whom it is about stands right at once.
async fn changes(
    metadata: &Metadata,
    population: &mut Population,
    postgres: Option<u32>,
    lines: &mut Vec<Line>,
) -> Result<()> {
    let mut random = Random::new(13);
    let (mut members, mut seen, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    let meter = Meter::start(postgres)?;
    for turn in 0..50 {
        let user = population.usual(&mut random);
        let subject = Population::user(user);
        let row = population.source.named(format!("late-{turn}-{}", members.len()));
        let row = strongroom_metadata::NamedRow { name: format!("{}-{}", row.name, &row.id[24..]), ..row };
        let team = format!("team:{}", row.name);
        let others: Vec<String> = (0..49).map(|at| Population::user((user + at) % population.scale.users)).collect();
        change(metadata, &population.source, |change| {
            change.add_named(Named::Team, &row, None);
            change.replace_team_people(&team, &others[1..], &[]);
        })
        .await?;
        let all: Vec<String> = others[1..].iter().cloned().chain([subject.clone()]).collect();
        let began = Instant::now();
        change(metadata, &population.source, |change| change.replace_team_people(&team, &all, &[])).await?;
        members.push(nanoseconds(began));
        kept.push(followed(metadata).await);
        let name = SubjectName::parse(&subject)?;
        if !metadata.memberships(&name).await?.teams.contains(&team) {
            return Err("a membership is not seen by the next read".into());
        }
        seen.push(nanoseconds(began));
    }
    lines.push(meter.line("(f) a member is added to a team of 49, committed", members)?);
    lines.push(Meter::start(None)?.line("(f) the same, until their teams are read again", seen)?);
    lines.push(Meter::start(None)?.line("(f) after the commit, until it is in memory", kept)?);

    let (mut bindings, mut seen, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    let meter = Meter::start(postgres)?;
    for turn in 0..50 {
        let grants = binding(population, &mut random, None, false);
        let row = population.source.named(format!("late-{turn}"));
        let row = strongroom_metadata::NamedRow { name: format!("{}-{}", row.name, &row.id[24..]), ..row };
        let began = Instant::now();
        change(metadata, &population.source, |change| {
            change.add_named(Named::RoleBinding, &row, None);
            change.grant(GrantSource::RoleBinding, &row.id, &grants, &[]);
        })
        .await?;
        bindings.push(nanoseconds(began));
        kept.push(followed(metadata).await);
        let viewpoint = Viewpoint { floor: None, subject: grants[0].subject.clone() };
        if metadata.role_on(grants[0].group_id, &viewpoint).await? < Some(grants[0].role) {
            return Err("a grant is not seen by the next read".into());
        }
        seen.push(nanoseconds(began));
    }
    lines.push(meter.line("(f) a binding of 100 grants is applied, committed", bindings)?);
    lines.push(Meter::start(None)?.line("(f) the same, until the role is right", seen)?);
    lines.push(Meter::start(None)?.line("(f) after the commit, until it is in memory", kept)?);
    Ok(())
}

fn nanoseconds(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
