//! Looks at everything after a restart, through the API as any client would.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::api::{self, Failure};
use super::hot::{Hot, SeenHot};
use super::model::{Group, Seen, Versions, Write};
use super::record::{Events, Given};
use super::worker::Worker;
use crate::support::{Client, Server};

/// Workers whose groups are looked at in parallel.
const AT_A_TIME: usize = 4;
/// Enough of a list of versions to see its newest end; a full check reads this much of it.
const SOME_VERSIONS: i64 = 10;
const ALL_VERSIONS: i64 = 1000;

/// How thorough a check is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The groups that were used since the last check.
    Touched,
    /// All groups, and every value that was not read back yet.
    Full,
}

/// What is counted over the whole test.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    /// Writes in doubt that turned out to be there.
    pub(crate) kept: u64,
    /// Writes in doubt that turned out to be absent.
    pub(crate) absent: u64,
    /// Values that were received, each with its event.
    pub(crate) values: u64,
}

#[derive(Default)]
pub(crate) struct Checker {
    /// The newest event that was read.
    last_event: String,
    pub(crate) tally: Tally,
}

impl Checker {
    /// Checks everything that happened since the last check.
    pub(crate) fn check(
        &mut self,
        server: &Server,
        workers: &mut [Worker],
        hot: &[Mutex<Hot>],
        depth: Depth,
    ) -> Result<(), String> {
        let mut given: Vec<Given> = workers.iter_mut().flat_map(|worker| worker.given.drain(..)).collect();
        self.new_events(&mut server.client())?.cover(&given)?;
        self.tally.values += given.drain(..).map(|answer| answer.values.len() as u64).sum::<u64>();
        let share = workers.len().div_ceil(AT_A_TIME);
        let tallies = std::thread::scope(|scope| {
            let looking: Vec<_> = workers
                .chunks_mut(share)
                .map(|workers| {
                    let mut client = server.client();
                    scope.spawn(move || {
                        let mut tally = Tally::default();
                        for worker in workers {
                            check_worker(&mut client, worker, depth, &mut tally)?;
                        }
                        Ok::<_, String>(tally)
                    })
                })
                .collect();
            looking.into_iter().map(|looking| looking.join().unwrap()).collect::<Result<Vec<_>, _>>()
        })?;
        for tally in tallies {
            self.tally.kept += tally.kept;
            self.tally.absent += tally.absent;
        }
        for hot in hot {
            let mut hot = hot.lock().unwrap();
            let (seen, given) = text(see_hot(&mut server.client(), &hot))?;
            workers[0].given.extend(given);
            hot.settle(&seen)?;
        }
        Ok(())
    }

    /// Reads the events that came since the last call.
    fn new_events(&mut self, client: &mut Client) -> Result<Events, String> {
        let (mut events, mut newest) = (Events::default(), None);
        for page in 0.. {
            let path = format!("/api/svc/v1/audit-logs?metric=list&limit=1000&offset={}", page * 1000);
            let answer = text(client.get(&path).map_err(Failure::from).and_then(api::good))?.json();
            let list = answer["data"].as_array().ok_or("no list of events")?;
            for event in list {
                let id = event["id"].as_str().unwrap_or_default();
                if id == self.last_event {
                    self.last_event = newest.unwrap_or_else(|| id.to_owned());
                    return Ok(events);
                }
                newest.get_or_insert_with(|| id.to_owned());
                events.add(event["requestId"].as_str().unwrap_or_default(), api::named_in(event));
            }
            if list.is_empty() {
                break;
            }
        }
        self.last_event = newest.unwrap_or_default();
        Ok(events)
    }
}

fn check_worker(client: &mut Client, worker: &mut Worker, depth: Depth, tally: &mut Tally) -> Result<(), String> {
    for (group, touched) in worker.groups.iter_mut().zip(&mut worker.touched) {
        if depth == Depth::Full || std::mem::take(touched) {
            check_group(client, group, &mut worker.given, depth, tally)?;
        }
    }
    Ok(())
}

/// Looks at a group and settles what is in doubt of it.
pub(crate) fn check_group(
    client: &mut Client,
    group: &mut Group,
    given: &mut Vec<Given>,
    depth: Depth,
    tally: &mut Tally,
) -> Result<(), String> {
    let seen = text(see(client, group, given, depth))?;
    let (in_doubt, before) = (group.in_doubt.is_some(), group.state.clone());
    group.settle(seen.as_ref())?;
    if in_doubt {
        let revision = |state: &Option<super::model::State>| state.as_ref().map(|state| state.revision);
        let kept = revision(&before) != revision(&group.state);
        *(if kept { &mut tally.kept } else { &mut tally.absent }) += 1;
    }
    Ok(())
}

fn see(client: &mut Client, group: &mut Group, given: &mut Vec<Given>, depth: Depth) -> api::Result<Option<Seen>> {
    if group.id.is_none() {
        group.id = api::id_of(client, &group.name)?;
    }
    let Some(id) = group.id.clone() else { return Ok(None) };
    let answer = client.get(&format!("/api/svc/v1/secret-groups/{id}"))?;
    if answer.status == 404 {
        return Ok(None);
    }
    let Some((_, mut seen)) = api::group_in(&api::good(answer)?) else {
        return Err("an answer without the group".to_owned().into());
    };
    let (opened, of_list) = api::values(client, &id)?;
    given.push(of_list);
    for secret in opened {
        if let Some(seen) = seen.secrets.get_mut(&secret.key) {
            seen.value = Some(secret.value);
        }
    }
    for (key, secret) in &mut seen.secrets {
        let full = depth == Depth::Full;
        secret.versions = Some(api::versions(client, &secret.id, if full { ALL_VERSIONS } else { SOME_VERSIONS })?);
        let known = group.state.as_ref().and_then(|state| state.secrets.get(key));
        for version in known.into_iter().filter(|_| full).flat_map(super::model::Secret::unread) {
            let reference = format!("default:{}:{key}:{version}", group.name);
            let (value, of_version) = api::referenced(client, &reference, (secret.id.clone(), version))?;
            given.push(of_version);
            secret.older.insert(version, value);
        }
    }
    seen.changes = Some(api::changes(client, &id)?);
    Ok(Some(seen))
}

fn see_hot(client: &mut Client, hot: &Hot) -> api::Result<(SeenHot, Vec<Given>)> {
    let answer = api::good(client.get(&format!("/api/svc/v1/secret-groups/{}", hot.id))?)?;
    let (_, group) = api::group_in(&answer).ok_or_else(|| "an answer without the group".to_owned())?;
    let mut seen = SeenHot { revision: group.revision, changes: api::changes(client, &hot.id)?, ..SeenHot::default() };
    let mut given = Vec::new();
    let settled = i64::try_from(hot.settled.len()).unwrap();
    for (key, secret) in &group.secrets {
        let limit = (group.revision - settled).clamp(SOME_VERSIONS, ALL_VERSIONS);
        let versions: Versions = api::versions(client, &secret.id, limit)?;
        seen.versions.insert(key.clone(), versions);
        for version in settled + 1..=group.revision {
            let reference = format!("default:{}:{key}:{version}", hot.name);
            let (value, of_version) = api::referenced(client, &reference, (secret.id.clone(), version))?;
            given.push(of_version);
            let values: &mut BTreeMap<_, _> = seen.values.entry(version).or_default();
            values.insert(key.clone(), value);
        }
    }
    Ok((seen, given))
}

/// Brings a deleted group back and checks that nothing of it was lost.
pub(crate) fn check_retired(client: &mut Client, group: &mut Group) -> Result<(), String> {
    let answer = text(api::send(client, group, "", &Write::Restore))?;
    let shown = api::group_in(&answer).map(|(_, seen)| seen);
    group.acknowledge(&Write::Restore, shown.as_ref())?;
    check_group(client, group, &mut Vec::new(), Depth::Full, &mut Tally::default())
}

fn text<T>(result: api::Result<T>) -> Result<T, String> {
    result.map_err(|failure| match failure {
        Failure::Cut(error) => format!("the server cut a connection while it was being checked: {error}"),
        Failure::Broken(error) => error,
    })
}
