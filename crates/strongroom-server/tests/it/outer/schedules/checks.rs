//! What must hold once a schedule is over and everything has settled.

use std::collections::{HashMap, HashSet};

use serde_json::json;
use strongroom_domain::SecretId;
use strongroom_stores::Entry;
use strongroom_stores::model::{EntryView, VersionState, VersionView};
use strongroom_testkit::Tamper;

use super::run::{ABANDONED, LOST, Run};
use crate::support::updates;

/// What our database says of the group's entries.
struct Known {
    /// The name in the store, by secret.
    entries: HashMap<String, String>,
    /// The same, as it is kept with us.
    places: HashMap<String, String>,
    /// Secrets and what their versions are called in the store.
    pinned: HashSet<(String, String)>,
    /// The same of what is listed as left behind.
    listed: HashSet<(String, String)>,
    /// Secrets of which it is listed that something may be left.
    maybe: HashSet<String>,
}

impl Run<'_> {
    pub(super) async fn check(&mut self) {
        let stage = self.stage;
        let app = &stage.outer.app;
        for _ in 0..3 {
            app.clock.advance_seconds(120);
            // Whoever has the jobs' leases.
            let jobs = stage.other.as_ref().unwrap_or(app).instance();
            jobs.settle_now().await.unwrap();
            jobs.reap_now().await.unwrap();
        }
        let tamper = app.tamper();
        self.check_rows(&tamper);
        let known = known(&tamper, &self.groups);
        let views: Vec<EntryView> =
            stage.entries(&self.group).into_iter().filter(|view| self.is_of_group(&view.name)).collect();
        for view in &views {
            self.check_entry(view, &known);
        }
        self.check_latest(&known).await;
        self.check_that_it_goes_on().await;
    }

    fn problem(&self, problem: String) {
        self.stage.play.oracle().problem(problem);
    }

    fn is_of_group(&self, name: &str) -> bool {
        name.split('/').any(|part| part == self.group)
    }

    /// No operation is open, nothing waits, and secrets and entries belong together.
    fn check_rows(&self, tamper: &Tamper) {
        let groups = self.groups.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ");
        let groups = if groups.is_empty() { "''".to_owned() } else { groups };
        for (what, sql) in [
            ("operations are open", "SELECT COUNT(*) FROM operations WHERE finished_at IS NULL".to_owned()),
            (
                "puts are not at their end",
                "SELECT COUNT(*) FROM operation_puts WHERE state IN ('waiting', 'leftover')".to_owned(),
            ),
            (
                "entries have no secret",
                "SELECT COUNT(*) FROM store_entries e WHERE NOT EXISTS (SELECT 1 FROM secrets s WHERE s.id = e.secret_id)"
                    .to_owned(),
            ),
            (
                "secrets have no entry",
                format!(
                    "SELECT COUNT(*) FROM secrets s WHERE s.group_id IN ({groups}) AND NOT EXISTS \
                     (SELECT 1 FROM store_entries e WHERE e.secret_id = s.id)"
                ),
            ),
            (
                "entries of living secrets are to be removed",
                format!(
                    "SELECT COUNT(*) FROM store_entries WHERE remove_at IS NOT NULL AND group_id IN ({groups})"
                ),
            ),
            (
                "changes are kept in vain",
                "SELECT COUNT(*) FROM operations WHERE change <> '' AND finished_at IS NOT NULL".to_owned(),
            ),
        ] {
            let count = tamper.number(&sql);
            if count != 0 {
                self.problem(format!("{count} {what}"));
            }
        }
        if self.stage.kind.description.removes_versions && !self.is_changed_outside() {
            let count = tamper.number(ABANDONED) - self.abandoned_before;
            if count != 0 {
                self.problem(format!("{count} puts are abandoned in a store that removes versions"));
            }
        }
    }

    fn is_changed_outside(&self) -> bool {
        !self.stage.play.oracle().touched.is_empty()
    }

    fn is_lost(&self, name: &str) -> bool {
        let last = name.rsplit('/').next().unwrap_or_default();
        let key = last.split_once('~').map_or(last, |(key, _)| key);
        self.stage.play.oracle().lost.contains(key)
    }

    fn check_entry(&self, view: &EntryView, known: &Known) {
        let Some(owner) = view.owner else {
            if !self.is_changed_outside() {
                self.problem(format!("{} is nobody's: {view:?}", view.name));
            }
            return;
        };
        let owner = owner.to_string();
        if view.is_trash {
            return;
        }
        if known.entries.get(&owner) != Some(&view.name) {
            // An effect that came after everything had been cleared away.
            let is_late = self.very_late && view.versions.len() == 1;
            if !is_late {
                self.problem(format!("{} is nobody's entry: {view:?}", view.name));
            }
            return;
        }
        for version in view.versions.iter().filter(|version| version.state != VersionState::Removed) {
            if let Some(problem) = self.check_version(view, &owner, version, known) {
                self.problem(format!("{}: {problem}: {version:?} of {view:?}", view.name));
            }
        }
    }

    fn check_version(
        &self,
        view: &EntryView,
        owner: &str,
        version: &VersionView,
        known: &Known,
    ) -> Option<&'static str> {
        let at = (owner.to_owned(), version.version.clone());
        let value = version.value.as_ref()?;
        let is_history = self.stage.play.oracle().acknowledged.contains(value);
        let (is_pinned, is_listed) = (known.pinned.contains(&at), known.listed.contains(&at));
        // In an entry that was made again other versions have the same names.
        let is_again = self.is_lost(&view.name);
        match version.number {
            None => None,
            _ if is_again && (is_pinned || is_listed) => None,
            _ if is_pinned && self.stage.play.oracle().perhaps.contains(value) => None,
            _ if is_pinned && is_listed && !is_history => Some("pinned and left behind"),
            _ if is_pinned && !is_history => Some("pinned, but never acknowledged"),
            _ if is_pinned || is_history || is_listed || known.maybe.contains(owner) => None,
            // Nobody who has no conditions or marks can tell what is beneath another's version.
            _ if !self.stage.kind.description.marks && self.is_changed_outside() => None,
            _ if self.very_late && version.state == VersionState::Staged => None,
            _ => Some("left behind, and not listed"),
        }
    }

    /// Who reads directly gets what was acknowledged.
    async fn check_latest(&self, known: &Known) {
        let (present, touched) = {
            let oracle = self.stage.play.oracle();
            (oracle.present().clone(), oracle.touched.clone())
        };
        for (key, value) in
            present.cut.iter().flatten().filter(|(key, value)| !touched.contains(*key) && value.as_str() != LOST)
        {
            let id = self.ids.get(key).map_or("", String::as_str);
            let name = known.places.get(id);
            let latest = match name {
                Some(place) => self.stage.direct(id, place).await,
                None => None,
            };
            if latest.as_ref() != Some(value) {
                self.problem(format!("read directly, {key} ({name:?}) is {latest:?}, not {value}"));
            }
        }
    }

    /// The record of the group is right: it can be changed, and read after it.
    async fn check_that_it_goes_on(&mut self) {
        let (id, cut, touched) = {
            let oracle = self.stage.play.oracle();
            (oracle.present().id.clone(), oracle.present().cut.clone(), oracle.touched.clone())
        };
        let (Some(id), Some(cut)) = (id, cut.filter(|cut| !cut.is_empty())) else { return };
        let admin = &self.stage.outer.admin;
        let value = |key: &str| format!("end-{}-{key}", self.seed);
        let changed: Vec<(String, Option<String>)> =
            cut.keys().map(|key| (key.clone(), (!touched.contains(key)).then(|| value(key)))).collect();
        let entries: Vec<(&str, Option<&str>)> =
            changed.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        let mut next = cut.clone();
        next.extend(changed.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?))));
        let at = self.stage.play.oracle().begin(Some(id.clone()), Some(next));
        let answer = admin.put(&format!("/api/svc/v1/secret-groups/{id}"), updates(&entries)).await;
        if answer.status != 200 {
            self.problem(format!("a further update: {} {}", answer.status, answer.text));
            return;
        }
        self.stage.play.oracle().acknowledged(at, None);
        for (key, value) in changed.iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
            let path = crate::support::reference_path(&format!("default:{}:{key}", self.group));
            let read = admin.get(&path).await;
            if read.status != 200 || read.json["value"] != json!(value) {
                self.problem(format!("after a further update {key} is {} {}", read.status, read.text));
            }
        }
    }
}

fn known(tamper: &Tamper, groups: &[String]) -> Known {
    let mut known = Known {
        entries: HashMap::new(),
        places: HashMap::new(),
        pinned: HashSet::new(),
        listed: HashSet::new(),
        maybe: HashSet::new(),
    };
    for group in groups {
        let entries = format!(
            "SELECT secret_id || ' ' || place FROM store_entries WHERE group_id = '{group}' ORDER BY secret_id"
        );
        for line in tamper.lines(&entries) {
            let (secret, place) = line.split_once(' ').unwrap();
            known.places.insert(secret.to_owned(), place.to_owned());
            known.entries.insert(secret.to_owned(), name_of(secret, place));
        }
        let pinned = format!(
            "SELECT v.secret_id || ' ' || v.store_version FROM secret_versions v JOIN secrets s ON s.id = v.secret_id \
             WHERE s.group_id = '{group}' AND v.gone_at IS NULL"
        );
        for line in tamper.lines(&pinned) {
            let (secret, spot) = line.split_once(' ').unwrap();
            let version = spot.split_once(':').unwrap().1;
            known.pinned.insert((secret.to_owned(), version.to_owned()));
        }
        let listed = format!(
            "SELECT p.secret_id || ' ' || COALESCE(p.placed, '') FROM operation_puts p JOIN operations o \
             ON o.id = p.operation_id WHERE o.group_id = '{group}' AND p.state = 'abandoned'"
        );
        for line in tamper.lines(&listed) {
            let (secret, version) = line.split_once(' ').unwrap();
            if version.is_empty() {
                known.maybe.insert(secret.to_owned());
            } else {
                known.listed.insert((secret.to_owned(), version.to_owned()));
            }
        }
    }
    known
}

/// What a place is called in the store.
fn name_of(secret: &str, place: &str) -> String {
    let (plain, beside) = place.strip_suffix('~').map_or((place, false), |plain| (plain, true));
    let (group, key) = plain.split_once('/').unwrap();
    let secret_id = SecretId::parse(secret).unwrap();
    strongroom_stores::model::name(&Entry { tenant: "default", group, key, secret_id, beside })
}
