//! What happens, done to the app and to the model.

use serde_json::Value;
use strongroom_domain::Clock;
use strongroom_testkit::{Client, TestApp};

use super::changes::{Changes, Collaborator, Permission, Place};
use super::model::{
    EVERYONE, Group, Model, Person, Post, Share, Source, binding_name, group_name, machine_name, person_name,
    role_name, team_name,
};
use crate::support::text;

pub(super) const PERSONS: usize = 3;
pub(super) const MACHINES: usize = 2;
pub(super) const TEAMS: usize = 2;
pub(super) const GROUPS: usize = 2;
pub(super) const BINDINGS: usize = 3;
pub(super) const OWN_ROLES: usize = 2;
/// Persons, machines, teams, and everyone.
pub(super) const SUBJECTS: usize = PERSONS + MACHINES + TEAMS + 1;

const GROUP_ROLES: [&str; 5] =
    ["secret-group-viewer", "secret-group-reader", "secret-group-editor", "secret-group-admin", "secret-group-manager"];
const PERMISSIONS: [&str; 3] = ["secret-group:view", "secret-group:read-values", "team:create"];
const MINUTE: i64 = 60_000_000;

/// A role on a group, by its place among all.
pub(super) type Role = usize;
/// Minutes until it ends.
pub(super) type Ends = Option<i64>;

/// Things are chosen by their place, and one that can't happen is nothing.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Share {
        group: usize,
        with: Vec<(usize, Role, Ends)>,
    },
    BindMany {
        binding: usize,
        subjects: Vec<usize>,
        group: usize,
        role: Role,
        ends: Ends,
    },
    BindOne {
        binding: usize,
        subject: usize,
        on: Vec<(usize, Role)>,
        ends: Ends,
    },
    BindTenant {
        binding: usize,
        subjects: Vec<usize>,
        role: usize,
        ends: Ends,
    },
    Unbind {
        binding: usize,
    },
    Team {
        team: usize,
        members: Vec<usize>,
        managers: Vec<usize>,
    },
    DropTeam {
        team: usize,
    },
    TenantRole {
        person: usize,
        role: usize,
    },
    Active {
        person: usize,
        active: bool,
    },
    DropPerson {
        person: usize,
    },
    Register {
        person: usize,
    },
    Machine {
        machine: usize,
        on: Vec<(usize, Role, Ends)>,
    },
    DropMachine {
        machine: usize,
    },
    OwnRole {
        role: usize,
        permissions: [bool; 3],
    },
    DropGroup {
        group: usize,
    },
    RestoreGroup {
        group: usize,
    },
    Wait {
        minutes: i64,
    },
    /// So long that what is deleted is purged.
    WaitForPurge,
}

/// The app, the model, and what one needs to know of the former to go on.
pub(super) struct World<'a> {
    pub(super) app: &'a TestApp,
    pub(super) model: Model,
    changes: Changes<'a>,
    /// Their ids and clients.
    pub(super) persons: Vec<Option<(String, Client)>>,
    pub(super) machines: Vec<Option<Client>>,
    /// As they were made, with their secret `K`.
    pub(super) groups: Vec<Value>,
    /// Who was removed, with the tokens that they had.
    pub(super) ghosts: Vec<Client>,
}

impl<'a> World<'a> {
    /// Everybody is there and nobody has anything.
    pub(super) async fn new(app: &'a TestApp, values_hidden: bool) -> Self {
        let mut world = Self {
            app,
            model: Model {
                values_hidden,
                persons: vec![None; PERSONS],
                machines: vec![false; MACHINES],
                teams: vec![None; TEAMS],
                groups: vec![Group::Gone; GROUPS],
                bindings: vec![false; BINDINGS],
                roles: vec![vec!["secret-group:view"], vec!["secret-group:read-values"]],
                ..Model::default()
            },
            changes: Changes::new(app),
            persons: (0..PERSONS).map(|_| None).collect(),
            machines: (0..MACHINES).map(|_| None).collect(),
            groups: vec![Value::Null; GROUPS],
            ghosts: Vec::new(),
        };
        for slot in 0..OWN_ROLES {
            world.changes.own_role(&role_name(slot), &world.model.roles[slot]).await;
        }
        for group in 0..GROUPS {
            world.apply(&Op::RestoreGroup { group }).await;
        }
        for person in 0..PERSONS {
            world.apply(&Op::Register { person }).await;
        }
        for machine in 0..MACHINES {
            world.apply(&Op::Machine { machine, on: Vec::new() }).await;
        }
        for team in 0..TEAMS {
            world.apply(&Op::Team { team, members: vec![team], managers: vec![PERSONS - 1] }).await;
        }
        world
    }

    pub(super) fn now(&self) -> i64 {
        self.app.clock.now().micros()
    }

    pub(super) fn group_id(&self, group: usize) -> &str {
        text(&self.groups[group], "/id")
    }

    pub(super) async fn apply(&mut self, op: &Op) {
        match op {
            Op::Share { group, with } => self.share(*group, with).await,
            Op::BindMany { binding, subjects, group, role, ends } => {
                self.bind(*binding, subjects, &[(Some(*group), GROUP_ROLES[*role].to_owned(), *ends)]).await;
            }
            Op::BindOne { binding, subject, on, ends } => {
                let on = on.iter().map(|(group, role)| (Some(*group), GROUP_ROLES[*role].to_owned(), *ends));
                self.bind(*binding, &[*subject], &on.collect::<Vec<_>>()).await;
            }
            Op::BindTenant { binding, subjects, role, ends } => {
                self.bind(*binding, subjects, &[(None, tenant_role(*role), *ends)]).await;
            }
            Op::Unbind { binding } => {
                if std::mem::take(&mut self.model.bindings[*binding]) {
                    let source = Source::Binding(*binding);
                    self.changes.unbind(&binding_name(*binding), self.model.has_given(source)).await;
                    self.model.take_from(source);
                }
            }
            Op::Team { team, members, managers } => self.team(*team, members, managers).await,
            Op::DropTeam { team } => {
                if self.model.teams[*team].take().is_some() {
                    self.changes.remove("team", bare(&team_name(*team))).await;
                    self.model.forget(&team_name(*team));
                }
            }
            Op::TenantRole { person, role } => {
                if let Some(becomes) = &mut self.model.persons[*person] {
                    becomes.role = tenant_role(*role);
                    self.changes.set_tenant_role(bare(&person_name(*person)), &becomes.role).await;
                }
            }
            Op::Active { person, active } => {
                if let Some(becomes) = &mut self.model.persons[*person] {
                    becomes.active = *active;
                    self.changes.set_active(bare(&person_name(*person)), *active).await;
                }
            }
            Op::DropPerson { person } => {
                if let Some((id, client)) = self.persons[*person].take() {
                    self.changes.remove_person(&id).await;
                    self.ghosts.push(client);
                    self.model.persons[*person] = None;
                    self.model.forget(&person_name(*person));
                }
            }
            Op::Register { person } => {
                if self.persons[*person].is_none() {
                    self.persons[*person] = Some(self.changes.register(bare(&person_name(*person))).await);
                    self.model.persons[*person] = Some(Person { role: "tenant-member".into(), active: true });
                }
            }
            Op::Machine { machine, on } => self.machine(*machine, on).await,
            Op::DropMachine { machine } => {
                if let Some(client) = self.machines[*machine].take() {
                    self.changes.remove("virtual-account", bare(&machine_name(*machine))).await;
                    self.ghosts.push(client);
                    self.model.machines[*machine] = false;
                    self.model.forget(&machine_name(*machine));
                    self.model.take_from(Source::Machine(*machine));
                }
            }
            Op::OwnRole { role, permissions } => {
                let named = PERMISSIONS.iter().zip(permissions).filter(|(_, with)| **with);
                let mut permissions: Vec<&'static str> = named.map(|(permission, _)| *permission).collect();
                if permissions.is_empty() {
                    // A role allows something.
                    permissions.push("team:create");
                }
                self.changes.own_role(&role_name(*role), &permissions).await;
                self.model.roles[*role] = permissions;
            }
            Op::DropGroup { group } => {
                if self.model.groups[*group] == Group::Living {
                    self.changes.delete_group(self.group_id(*group)).await;
                    self.model.groups[*group] = Group::Deleted;
                }
            }
            Op::RestoreGroup { group } => self.restore_group(*group).await,
            Op::Wait { minutes } => self.app.clock.advance_seconds(minutes * 60),
            Op::WaitForPurge => self.wait_for_purge().await,
        }
    }

    async fn share(&mut self, group: usize, with: &[(usize, Role, Ends)]) {
        if self.model.groups[group] != Group::Living {
            return;
        }
        let mut shares: Vec<Share> = Vec::new();
        for (subject, role, ends) in with {
            for subject in self.present(&[*subject]) {
                if shares.iter().all(|known| known.subject != subject) {
                    let (role, until) = (GROUP_ROLES[*role], self.until(*ends));
                    shares.push(Share { group, subject, role, source: Source::Manifest, until });
                }
            }
        }
        let collaborators: Vec<Collaborator<'_>> = shares
            .iter()
            .map(|share| Collaborator { subject: &share.subject, role: share.role, until: share.until })
            .collect();
        self.changes.share(&group_name(group), &collaborators).await;
        // The admin made the group, and applying doesn't take it from them; of them no more is asked.
        self.model.shares.retain(|share| share.group != group || share.source != Source::Manifest);
        self.model.shares.extend(shares);
    }

    /// A binding is made, or says something else from now on: roles in groups, or in the tenant where there is none.
    async fn bind(&mut self, binding: usize, subjects: &[usize], roles: &[(Option<usize>, String, Ends)]) {
        let subjects = self.present(subjects);
        let mut given: Vec<(Option<usize>, &str, Option<i64>)> = Vec::new();
        for (group, role, ends) in roles {
            let lives = group.is_none_or(|group| self.model.groups[group] == Group::Living);
            if lives && given.iter().all(|(known, ..)| known != group) {
                given.push((*group, role, self.until(*ends)));
            }
        }
        if subjects.is_empty() || given.is_empty() {
            return;
        }
        let names: Vec<String> = (0..GROUPS).map(group_name).collect();
        let permissions: Vec<Permission<'_>> = given
            .iter()
            .map(|(group, role, until)| {
                let place = group.map_or(Place::Tenant, |group| Place::Group(&names[group]));
                Permission { place, role, until: *until }
            })
            .collect();
        self.changes.bind(&binding_name(binding), &subjects, &permissions).await;
        self.model.bindings[binding] = true;
        self.model.take_from(Source::Binding(binding));
        for subject in subjects {
            for (group, role, until) in &given {
                let (subject, until) = (subject.clone(), *until);
                match group {
                    Some(group) => {
                        let role = GROUP_ROLES.into_iter().find(|known| known == role).unwrap();
                        let source = Source::Binding(binding);
                        self.model.shares.push(Share { group: *group, subject, role, source, until });
                    }
                    None => self.model.posts.push(Post { subject, role: (*role).to_owned(), binding, until }),
                }
            }
        }
    }

    async fn team(&mut self, team: usize, members: &[usize], managers: &[usize]) {
        let (members, managers) = (self.present(members), self.present(managers));
        let emails = |names: &[String]| names.iter().map(|name| bare(name).to_owned()).collect::<Vec<_>>();
        self.changes.team(bare(&team_name(team)), &emails(&members), &emails(&managers)).await;
        // Who manages a team gets nothing of what it has.
        self.model.teams[team] = Some(members);
    }

    /// Its permissions are replaced where it names some, and stay where it names none.
    async fn machine(&mut self, machine: usize, on: &[(usize, Role, Ends)]) {
        let mut shares: Vec<Share> = Vec::new();
        for (group, role, ends) in on {
            let known = shares.iter().any(|known| known.group == *group);
            if self.model.groups[*group] == Group::Living && !known {
                let (subject, source) = (machine_name(machine), Source::Machine(machine));
                let (role, until) = (GROUP_ROLES[*role], self.until(*ends));
                shares.push(Share { group: *group, subject, role, source, until });
            }
        }
        let names: Vec<String> = (0..GROUPS).map(group_name).collect();
        let permissions: Vec<Permission<'_>> = shares
            .iter()
            .map(|share| Permission { place: Place::Group(&names[share.group]), role: share.role, until: share.until })
            .collect();
        let client = self.changes.machine(bare(&machine_name(machine)), &permissions).await;
        assert_eq!(client.is_some(), self.machines[machine].is_none());
        if client.is_some() {
            self.machines[machine] = client;
            self.model.machines[machine] = true;
        }
        if !shares.is_empty() {
            self.model.take_from(Source::Machine(machine));
            self.model.shares.extend(shares);
        }
    }

    /// One that is gone for good is made anew.
    async fn restore_group(&mut self, group: usize) {
        match self.model.groups[group] {
            Group::Living => return,
            Group::Deleted => self.changes.restore_group(self.group_id(group)).await,
            Group::Gone => self.groups[group] = self.changes.make_group(&group_name(group)).await,
        }
        self.model.groups[group] = Group::Living;
    }

    async fn wait_for_purge(&mut self) {
        self.app.clock.advance_days(31);
        self.app.instance().purge_now().await.unwrap();
        for group in 0..GROUPS {
            if self.model.groups[group] == Group::Deleted {
                self.model.groups[group] = Group::Gone;
                self.model.shares.retain(|share| share.group != group);
            }
        }
    }

    fn until(&self, ends: Ends) -> Option<i64> {
        ends.map(|minutes| self.now() + minutes * MINUTE)
    }

    /// The names of those who are there, each once.
    fn present(&self, subjects: &[usize]) -> Vec<String> {
        let there = self.model.subjects();
        let mut names: Vec<String> = subjects.iter().map(|subject| subject_name(*subject)).collect();
        names.retain(|name| there.contains(name));
        names.sort();
        names.dedup();
        names
    }
}

fn subject_name(subject: usize) -> String {
    if subject < PERSONS {
        person_name(subject)
    } else if subject < PERSONS + MACHINES {
        machine_name(subject - PERSONS)
    } else if subject < SUBJECTS - 1 {
        team_name(subject - PERSONS - MACHINES)
    } else {
        EVERYONE.to_owned()
    }
}

/// A subject's name without its type: an address for a person.
fn bare(subject: &str) -> &str {
    subject.split_once(':').unwrap().1
}

fn tenant_role(role: usize) -> String {
    match role {
        0 => "tenant-member".to_owned(),
        1 => "tenant-admin".to_owned(),
        own => role_name(own - 2),
    }
}
