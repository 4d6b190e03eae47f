//! What happens, done to the app and to the model.

use serde_json::Value;
use strongroom_domain::Clock;
use strongroom_metadata::{Named, NamedRow};
use strongroom_testkit::{Client, TestApp};

use super::changes::{Changes, Given};
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
        on: Vec<(usize, Role)>,
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
    pub(super) machines: Vec<Option<(String, Client)>>,
    /// As they were made, with their secret `K`.
    pub(super) groups: Vec<Value>,
    teams: Vec<Option<NamedRow>>,
    bindings: Vec<Option<NamedRow>>,
    roles: Vec<NamedRow>,
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
            teams: vec![None; TEAMS],
            bindings: vec![None; BINDINGS],
            roles: Vec::new(),
            ghosts: Vec::new(),
        };
        for slot in 0..OWN_ROLES {
            let permissions = world.model.roles[slot].clone();
            world.roles.push(world.changes.add_named(Named::Role, &role_name(slot), &permissions).await);
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
                let given = self.given(subjects.iter().map(|subject| (*subject, GROUP_ROLES[*role], *ends)));
                let on = given.into_iter().map(|given| (*group, given)).collect();
                self.bind(*binding, on, Vec::new()).await;
            }
            Op::BindOne { binding, subject, on, ends } => {
                let mut groups: Vec<(usize, Given)> = Vec::new();
                for (group, role) in on {
                    let given = self.given([(*subject, GROUP_ROLES[*role], *ends)]).pop();
                    if let Some(given) = given.filter(|_| groups.iter().all(|(known, _)| known != group)) {
                        groups.push((*group, given));
                    }
                }
                self.bind(*binding, groups, Vec::new()).await;
            }
            Op::BindTenant { binding, subjects, role, ends } => {
                let role = tenant_role(*role);
                let given = self.given(subjects.iter().map(|subject| (*subject, role.as_str(), *ends)));
                self.bind(*binding, Vec::new(), given).await;
            }
            Op::Unbind { binding } => {
                if let Some(row) = self.bindings[*binding].take() {
                    self.changes.remove_named(Named::RoleBinding, &row).await;
                    self.model.bindings[*binding] = false;
                    self.model.take_from(Source::Binding(*binding));
                }
            }
            Op::Team { team, members, managers } => self.team(*team, members, managers).await,
            Op::DropTeam { team } => {
                if let Some(row) = self.teams[*team].take() {
                    self.changes.remove_named(Named::Team, &row).await;
                    self.model.teams[*team] = None;
                    self.model.forget(&team_name(*team));
                }
            }
            Op::TenantRole { person, role } => {
                let active = self.model.persons[*person].as_ref().is_some_and(|one| one.active);
                self.set_person(*person, Person { role: tenant_role(*role), active }).await;
            }
            Op::Active { person, active } => {
                let role = self.model.persons[*person].as_ref().map(|one| one.role.clone()).unwrap_or_default();
                self.set_person(*person, Person { role, active: *active }).await;
            }
            Op::DropPerson { person } => {
                if let Some((id, client)) = self.persons[*person].take() {
                    self.changes.remove_person(&id, &email(*person)).await;
                    self.ghosts.push(client);
                    self.model.persons[*person] = None;
                    self.model.forget(&person_name(*person));
                }
            }
            Op::Register { person } => {
                if self.persons[*person].is_none() {
                    self.persons[*person] = Some(self.changes.register(&email(*person)).await);
                    self.model.persons[*person] = Some(Person { role: "tenant-member".into(), active: true });
                }
            }
            Op::Machine { machine, on } => self.machine(*machine, on).await,
            Op::DropMachine { machine } => {
                if let Some((id, client)) = self.machines[*machine].take() {
                    self.changes.remove_machine(&id, &format!("machine-{machine}")).await;
                    self.ghosts.push(client);
                    self.model.machines[*machine] = false;
                    self.model.forget(&machine_name(*machine));
                    self.model.take_from(Source::Machine(*machine));
                }
            }
            Op::OwnRole { role, permissions } => {
                let named = PERMISSIONS.iter().zip(permissions).filter(|(_, with)| **with);
                let permissions: Vec<&'static str> = named.map(|(permission, _)| *permission).collect();
                self.changes.set_role_permissions(&self.roles[*role], &permissions).await;
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
        let given = self.given(with.iter().map(|(subject, role, ends)| (*subject, GROUP_ROLES[*role], *ends)));
        self.changes.share(&group_name(group), self.group_id(group), &given).await;
        self.model.shares.retain(|share| share.group != group || share.source != Source::Manifest);
        for given in given {
            self.model.shares.push(share(group, given, Source::Manifest));
        }
        // The admin made the group, and applying doesn't take it from them; of them no more is asked.
    }

    /// A binding is made, or says something else from now on.
    async fn bind(&mut self, binding: usize, on_groups: Vec<(usize, Given)>, in_tenant: Vec<Given>) {
        let living: Vec<(usize, Given)> =
            on_groups.into_iter().filter(|(group, _)| self.model.groups[*group] == Group::Living).collect();
        if living.is_empty() && in_tenant.is_empty() {
            return;
        }
        let row = match self.bindings[binding].clone() {
            Some(row) => row,
            None => self.changes.add_named(Named::RoleBinding, &binding_name(binding), &[]).await,
        };
        self.model.take_from(Source::Binding(binding));
        let mut by_id = Vec::new();
        for (group, given) in living {
            by_id.push((self.group_id(group).to_owned(), given.clone()));
            self.model.shares.push(share(group, given, Source::Binding(binding)));
        }
        self.changes.bind(&row, &by_id, &in_tenant).await;
        for Given { subject, role, until } in in_tenant {
            self.model.posts.push(Post { subject, role, binding, until });
        }
        self.model.bindings[binding] = true;
        self.bindings[binding] = Some(row);
    }

    async fn team(&mut self, team: usize, members: &[usize], managers: &[usize]) {
        let people = |slots: &[usize]| {
            let mut names: Vec<String> = slots
                .iter()
                .filter(|slot| self.model.persons[**slot].is_some())
                .map(|slot| person_name(*slot))
                .collect();
            names.sort();
            names.dedup();
            names
        };
        let (members, managers) = (people(members), people(managers));
        if self.teams[team].is_none() {
            self.teams[team] = Some(self.changes.add_named(Named::Team, &format!("team-{team}"), &[]).await);
        }
        self.changes.set_team(&team_name(team), &members, &managers).await;
        // Who manages a team gets nothing of what it has.
        self.model.teams[team] = Some(members);
    }

    async fn set_person(&mut self, person: usize, becomes: Person) {
        if let Some((id, _)) = &self.persons[person] {
            self.changes.set_person(id, &email(person), &becomes.role, becomes.active).await;
            self.model.persons[person] = Some(becomes);
        }
    }

    /// Its permissions are replaced where it names some, and stay where it names none.
    async fn machine(&mut self, machine: usize, on: &[(usize, Role)]) {
        let mut permissions: Vec<(usize, &'static str)> = Vec::new();
        for (group, role) in on {
            let known = permissions.iter().any(|(known, _)| known == group);
            if self.model.groups[*group] == Group::Living && !known {
                permissions.push((*group, GROUP_ROLES[*role]));
            }
        }
        let named: Vec<_> = permissions.iter().map(|(group, role)| (group_name(*group), *role)).collect();
        let (id, client) = self.changes.machine(&format!("machine-{machine}"), &named).await;
        assert_eq!(client.is_some(), self.machines[machine].is_none());
        if let Some(client) = client {
            self.machines[machine] = Some((id, client));
            self.model.machines[machine] = true;
        }
        if !permissions.is_empty() {
            self.model.take_from(Source::Machine(machine));
        }
        for (group, role) in permissions {
            let given = Given { subject: machine_name(machine), role: role.to_owned(), until: None };
            self.model.shares.push(share(group, given, Source::Machine(machine)));
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

    /// Roles for those who are there, each once.
    fn given<'b>(&self, chosen: impl IntoIterator<Item = (usize, &'b str, Ends)>) -> Vec<Given> {
        let (now, there) = (self.now(), self.model.subjects());
        let mut given: Vec<Given> = Vec::new();
        for (subject, role, ends) in chosen {
            let subject = subject_name(subject);
            if there.contains(&subject) && given.iter().all(|known| known.subject != subject) {
                let until = ends.map(|minutes| now + minutes * MINUTE);
                given.push(Given { subject, role: role.to_owned(), until });
            }
        }
        given
    }
}

fn share(group: usize, given: Given, source: Source) -> Share {
    let role = GROUP_ROLES.into_iter().find(|role| *role == given.role).unwrap();
    // Two names of one role.
    let role = if role == "secret-group-manager" { "secret-group-admin" } else { role };
    Share { group, subject: given.subject, role, source, until: given.until }
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

fn tenant_role(role: usize) -> String {
    match role {
        0 => "tenant-member".to_owned(),
        1 => "tenant-admin".to_owned(),
        own => role_name(own - 2),
    }
}

fn email(person: usize) -> String {
    person_name(person).trim_start_matches("user:").to_owned()
}
