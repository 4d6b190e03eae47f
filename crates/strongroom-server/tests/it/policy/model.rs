//! Who may do what, worked out naively: plain lists of what was given, looked through from the start for each question.
//! It shares no code with the policy, nor with what reads grants.

use std::collections::BTreeSet;

/// How much a role lets one do: 1 see, 2 read values, 3 write secrets, 4 manage.
fn strength(role: &str) -> u8 {
    match role {
        "secret-group-viewer" => 1,
        "secret-group-reader" => 2,
        "secret-group-editor" => 3,
        "secret-group-admin" | "secret-group-manager" | "tenant-admin" => 4,
        _ => 0,
    }
}

/// The role on a group that is worth as much.
fn role_of(strength: u8) -> &'static str {
    ["", "secret-group-viewer", "secret-group-reader", "secret-group-editor", "secret-group-admin"]
        [usize::from(strength)]
}

pub(super) const ACTIONS: [&str; 4] = ["see", "read-values", "write-secrets", "manage"];
pub(super) const EVERYONE: &str = "team:everyone";

/// A role on a group that somebody was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) group: usize,
    pub(super) subject: String,
    pub(super) role: &'static str,
    pub(super) source: Source,
    pub(super) until: Option<i64>,
}

/// A role in the tenant that a binding gave somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Post {
    pub(super) subject: String,
    pub(super) role: String,
    pub(super) binding: usize,
    pub(super) until: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Manifest,
    Machine(usize),
    Binding(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) role: String,
    pub(super) active: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Living,
    Deleted,
    /// Never made, or purged.
    Gone,
}

/// Everything that was given and not taken away again.
#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) values_hidden: bool,
    /// By slot; `None`: not registered.
    pub(super) persons: Vec<Option<Person>>,
    pub(super) machines: Vec<bool>,
    /// Each with its members.
    pub(super) teams: Vec<Option<Vec<String>>>,
    pub(super) groups: Vec<Group>,
    pub(super) bindings: Vec<bool>,
    /// The tenant's own roles, with their permissions.
    pub(super) roles: Vec<Vec<&'static str>>,
    pub(super) shares: Vec<Share>,
    pub(super) posts: Vec<Post>,
}

/// One line of an explanation: source, name, subject, role, end, and whether it suffices.
pub(super) type Line = (String, String, String, String, Option<i64>, bool);

/// One line of a list of readers: subject, role, whether they are active.
pub(super) type ReaderLine = (String, String, bool);

pub(super) fn person_name(slot: usize) -> String {
    format!("user:p{slot}@example.com")
}

pub(super) fn machine_name(slot: usize) -> String {
    format!("virtualaccount:machine-{slot}")
}

pub(super) fn team_name(slot: usize) -> String {
    format!("team:team-{slot}")
}

pub(super) fn role_name(slot: usize) -> String {
    format!("own-role-{slot}")
}

pub(super) fn binding_name(slot: usize) -> String {
    format!("binding-{slot}")
}

pub(super) fn group_name(slot: usize) -> String {
    format!("group-{slot}")
}

impl Model {
    /// Everybody there is, teams included.
    pub(super) fn subjects(&self) -> Vec<String> {
        let persons =
            self.persons.iter().enumerate().filter(|(_, one)| one.is_some()).map(|(slot, _)| person_name(slot));
        let machines = self.machines.iter().enumerate().filter(|(_, one)| **one).map(|(slot, _)| machine_name(slot));
        let teams = self.teams.iter().enumerate().filter(|(_, one)| one.is_some()).map(|(slot, _)| team_name(slot));
        persons.chain(machines).chain(teams).chain([EVERYONE.to_owned()]).collect()
    }

    pub(super) fn living_groups(&self) -> Vec<usize> {
        (0..self.groups.len()).filter(|group| self.groups[*group] == Group::Living).collect()
    }

    /// What somebody is called when things are given: they themselves, and their teams.
    fn called(&self, subject: &str) -> Vec<String> {
        let mut names = vec![subject.to_owned()];
        for (slot, team) in self.teams.iter().enumerate() {
            if team.iter().flatten().any(|member| member == subject) {
                names.push(team_name(slot));
            }
        }
        if subject.starts_with("user:") {
            names.push(EVERYONE.to_owned());
        }
        names
    }

    fn person(&self, subject: &str) -> Option<&Person> {
        let slot = (0..self.persons.len()).find(|slot| person_name(*slot) == subject)?;
        self.persons[slot].as_ref()
    }

    pub(super) fn is_active(&self, subject: &str) -> bool {
        self.person(subject).is_none_or(|person| person.active)
    }

    fn strength_in_tenant(&self, role: &str) -> u8 {
        for (slot, permissions) in self.roles.iter().enumerate() {
            if role_name(slot) == role {
                let with = |permission| permissions.contains(&permission);
                return if with("secret-group:read-values") { 2 } else { u8::from(with("secret-group:view")) };
            }
        }
        strength(role)
    }

    /// Everything that reaches somebody: source, name, whom it names, how much it is worth, its end.
    fn everything(
        &self,
        subject: &str,
        group: usize,
        now: i64,
    ) -> Vec<(&'static str, String, String, u8, Option<i64>)> {
        let holds = |until: Option<i64>| until.is_none_or(|until| until > now);
        let mut all = Vec::new();
        if let Some(person) = self.person(subject) {
            let worth = self.strength_in_tenant(&person.role);
            all.push(("tenant-role", person.role.clone(), subject.to_owned(), worth, None));
        }
        for name in self.called(subject) {
            for post in self.posts.iter().filter(|post| post.subject == name && holds(post.until)) {
                let worth = self.strength_in_tenant(&post.role);
                all.push(("tenant-role", post.role.clone(), name.clone(), worth, post.until));
            }
            for share in &self.shares {
                if share.subject == name && share.group == group && holds(share.until) {
                    let (source, given_by) = match share.source {
                        Source::Manifest => ("manifest", group_name(group)),
                        Source::Machine(slot) => ("virtual-account", format!("machine-{slot}")),
                        Source::Binding(slot) => ("role-binding", binding_name(slot)),
                    };
                    all.push((source, given_by, name.clone(), strength(share.role), share.until));
                }
            }
        }
        all.retain(|(_, _, _, worth, _)| *worth > 0);
        all
    }

    fn strength_of(&self, subject: &str, group: usize, now: i64) -> u8 {
        self.everything(subject, group, now).iter().map(|(_, _, _, worth, _)| *worth).max().unwrap_or(0)
    }

    fn suffices(&self, subject: &str, worth: u8, action: &str) -> bool {
        let needed = ACTIONS.iter().position(|known| *known == action).unwrap() + 1;
        let is_machine = subject.starts_with("virtualaccount:");
        let hidden = self.values_hidden && action == "read-values" && !is_machine;
        usize::from(worth) >= needed && !hidden
    }

    /// What becomes of an action.
    pub(super) fn decision(&self, subject: &str, action: &str, group: usize, now: i64) -> &'static str {
        let worth = self.strength_of(subject, group, now);
        if worth == 0 || !self.is_active(subject) {
            "invisible"
        } else if self.suffices(subject, worth, action) {
            "allowed"
        } else {
            "forbidden"
        }
    }

    /// The role that counts.
    pub(super) fn role(&self, subject: &str, group: usize, now: i64) -> Option<&'static str> {
        Some(role_of(self.strength_of(subject, group, now))).filter(|role| !role.is_empty())
    }

    /// What an explanation lists.
    pub(super) fn lines(&self, subject: &str, action: &str, group: usize, now: i64) -> BTreeSet<Line> {
        let line = |(source, name, whom, worth, until): (&str, String, String, u8, Option<i64>)| {
            let suffices = self.suffices(subject, worth, action);
            (source.to_owned(), name, whom, role_of(worth).to_owned(), until, suffices)
        };
        self.everything(subject, group, now).into_iter().map(line).collect()
    }

    /// Who reads a group's values. Who does so as one of everyone only is not named.
    pub(super) fn readers(&self, group: usize, now: i64) -> Vec<ReaderLine> {
        let mut readers = Vec::new();
        for subject in self.subjects() {
            if subject.starts_with("team:") && subject != EVERYONE {
                continue;
            }
            let reading = self.everything(&subject, group, now).into_iter().filter(|(_, _, whom, worth, _)| {
                self.suffices(&subject, *worth, "read-values") && (*whom != EVERYONE || subject == EVERYONE)
            });
            if let Some(worth) = reading.map(|(_, _, _, worth, _)| worth).max() {
                let active = self.is_active(&subject);
                readers.push((subject, role_of(worth).to_owned(), active));
            }
        }
        readers.sort();
        readers
    }

    /// Forgets what was given to somebody who is gone.
    pub(super) fn forget(&mut self, subject: &str) {
        self.shares.retain(|share| share.subject != subject);
        self.posts.retain(|post| post.subject != subject);
        for team in self.teams.iter_mut().flatten() {
            team.retain(|member| member != subject);
        }
    }

    /// Whether there is anything that a source gave, be it over or not.
    pub(super) fn has_given(&self, source: Source) -> bool {
        let posted = |post: &Post| source == Source::Binding(post.binding);
        self.shares.iter().any(|share| share.source == source) || self.posts.iter().any(posted)
    }

    /// Forgets what a source gave.
    pub(super) fn take_from(&mut self, source: Source) {
        self.shares.retain(|share| share.source != source);
        if let Source::Binding(slot) = source {
            self.posts.retain(|post| post.binding != slot);
        }
    }
}
