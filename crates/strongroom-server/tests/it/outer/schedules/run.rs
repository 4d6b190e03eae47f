//! One schedule: writes one after another, with all that goes wrong, and what is known of them after each.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use serde_json::{Value, json};
use strongroom_testkit::Answer;

use super::KEYS;
use super::oracle::Cut;
use super::plan::{Dice, Outside, upsets};
use super::stage::Stage;
use crate::support::{GROUPS, list, secret_path, text};

/// What is written.
#[derive(Debug, Clone)]
enum Act {
    Create(Cut),
    /// The keys with their new values, or without where they stay.
    Update(Vec<(String, Option<String>)>),
    DropSecret(String),
    RestoreSecret(Deleted),
    DropGroup(bool),
    RestoreGroup(String, Cut),
    Share(bool),
}

#[derive(Debug, Clone)]
struct Deleted {
    id: String,
    key: String,
    value: String,
}

pub(super) struct Run<'a> {
    pub(super) stage: &'a Stage,
    pub(super) seed: u64,
    pub(super) group: String,
    dice: Dice,
    values: usize,
    /// The ids of the present group's secrets.
    pub(super) ids: HashMap<String, String>,
    deleted: Vec<Deleted>,
    deleted_groups: Vec<(String, Cut)>,
    /// All that were ever made, as far as we were told.
    pub(super) groups: Vec<String>,
    outside: bool,
    /// Effects may come when nobody expects them any more.
    pub(super) very_late: bool,
    /// What earlier schedules left.
    pub(super) abandoned_before: i64,
}

impl<'a> Run<'a> {
    pub(super) fn new(stage: &'a Stage, seed: u64) -> Self {
        let dice = Dice::new(seed);
        let group = format!("g{seed}");
        stage.begin(&group, seed);
        let outside = dice.once_in(3);
        let very_late = stage.kind.description.conditional_put && dice.once_in(2);
        Self {
            stage,
            seed,
            group,
            values: 0,
            ids: HashMap::new(),
            deleted: Vec::new(),
            deleted_groups: Vec::new(),
            groups: Vec::new(),
            outside,
            very_late,
            abandoned_before: stage.outer.app.tamper().number(ABANDONED),
            dice,
        }
    }

    /// Plays it to its end, and says what went wrong.
    pub(super) async fn play(&mut self) -> Vec<String> {
        let reading = self.dice.once_in(6).then(|| {
            let play = self.stage.play.clone();
            tokio::spawn(async move {
                loop {
                    play.read().await;
                    tokio::task::yield_now().await;
                }
            })
        });
        let acts = 1 + self.dice.below(5);
        for number in 0..acts {
            if self.stage.play.oracle().is_unclear() && (self.must_settle() || self.dice.once_in(2)) {
                let troubled = self.dice.once_in(3);
                self.settle(troubled).await;
            }
            let act = self.choose(number);
            self.act(act).await;
            if !self.stage.play.oracle().problems.is_empty() {
                break;
            }
        }
        self.settle(self.dice.once_in(3)).await;
        if self.stage.play.oracle().problems.is_empty() {
            self.check().await;
        }
        if let Some(reading) = reading {
            reading.abort();
            drop(reading.await);
        }
        std::mem::take(&mut self.stage.play.oracle().problems)
    }

    /// Whether nothing can be decided on before it is known what is there: a key may keep its value only then.
    fn must_settle(&self) -> bool {
        let oracle = self.stage.play.oracle();
        oracle.present().cut.is_none() || oracle.possible().any(|at| at > 0 && oracle.at(at).cut.is_none())
    }

    fn value(&mut self, key: &str) -> String {
        self.values += 1;
        format!("v{}-{}-{key}", self.seed, self.values)
    }

    fn some_keys(&mut self) -> Cut {
        let count = 1 + self.dice.below(KEYS.len());
        let skip = self.dice.below(KEYS.len());
        (0..count)
            .map(|at| {
                let key = KEYS[(at + skip) % KEYS.len()];
                (key.to_owned(), self.value(key))
            })
            .collect()
    }

    fn choose(&mut self, number: usize) -> Act {
        let (present, unclear) = {
            let oracle = self.stage.play.oracle();
            (oracle.present().cut.clone(), oracle.is_unclear())
        };
        let Some(cut) = present else {
            if number > 0 && !self.deleted_groups.is_empty() && self.dice.once_in(2) {
                let (id, cut) = self.deleted_groups[self.dice.below(self.deleted_groups.len())].clone();
                return Act::RestoreGroup(id, cut);
            }
            return Act::Create(self.some_keys());
        };
        if unclear {
            // All values anew, so that it is known what comes out.
            let all = self.some_keys();
            return Act::Update(all.into_iter().map(|(key, value)| (key, Some(value))).collect());
        }
        let restorable: Vec<Deleted> =
            self.deleted.iter().filter(|deleted| !cut.contains_key(&deleted.key)).cloned().collect();
        match self.dice.below(10) {
            0 if !cut.is_empty() => {
                let keys: Vec<&String> = cut.keys().collect();
                Act::DropSecret((*self.dice.pick(&keys)).clone())
            }
            1 | 2 if !restorable.is_empty() => Act::RestoreSecret(self.dice.pick(&restorable).clone()),
            3 => Act::DropGroup(self.dice.once_in(2)),
            4 => Act::Share(self.dice.once_in(2)),
            _ => {
                let mut keys = Vec::new();
                for key in KEYS {
                    let there = cut.contains_key(key);
                    match self.dice.below(if there { 6 } else { 3 }) {
                        1 | 2 if there => keys.push((key.to_owned(), None)),
                        0 | 1 => {}
                        _ => keys.push((key.to_owned(), Some(self.value(key)))),
                    }
                }
                if keys.is_empty() {
                    keys.push((KEYS[0].to_owned(), Some(self.value(KEYS[0]))));
                }
                Act::Update(keys)
            }
        }
    }

    async fn act(&mut self, act: Act) {
        let play = self.stage.play.clone();
        play.trace(format!("  {act:?}"));
        let (id, present) = {
            let oracle = play.oracle();
            if oracle.is_unclear() {
                // With which value a key would come back isn't known.
                self.ids.clear();
                self.deleted.clear();
            }
            (oracle.present().id.clone(), oracle.present().cut.clone())
        };
        let (request, next) = self.request(&act, id.as_deref(), present.as_ref());
        let next_id = match &act {
            Act::Create(_) => None,
            Act::RestoreGroup(id, _) => Some(id.clone()),
            _ => id.clone(),
        };
        let at = play.oracle().begin(next_id, next.clone());
        self.stage.upset(upsets(&self.dice, self.outside));
        let mut writing = tokio::spawn(request);
        let answer = loop {
            tokio::select! {
                biased;
                answer = &mut writing => break answer.unwrap(),
                () = play.stopped.notified() => self.while_it_stands_still().await,
            }
        };
        play.trace(format!("    -> {} {}", answer.status, answer.text.chars().take(300).collect::<String>()));
        self.learn(&act, at, answer, present).await;
        self.stage.calm();
        if !self.very_late || self.dice.once_in(2) {
            self.late().await;
        }
        if self.outside && self.dice.once_in(3) {
            let what = *self.dice.pick(&[Outside::Write, Outside::Delete, Outside::Recreate]);
            play.change_outside(what, self.dice.below(KEYS.len()));
        }
        // Whoever comes next may settle it.
        self.stage.outer.app.clock.advance_seconds(30);
        play.read().await;
    }

    async fn late(&self) {
        let came = self.stage.late().await;
        if came > 0 {
            self.stage.play.trace(format!("  {came} late effects come"));
        }
    }

    /// The writer stands still: others settle what it began, and it goes on.
    async fn while_it_stands_still(&self) {
        let app = &self.stage.outer.app;
        if !self.very_late {
            self.late().await;
        }
        for _ in 0..=self.dice.below(2) {
            app.clock.advance_seconds(60);
            self.run_jobs(self.dice.once_in(2)).await;
        }
        self.stage.play.read().await;
        self.stage.play.gate.add_permits(1);
    }

    /// Jobs run, as far as nobody kills them.
    async fn run_jobs(&self, reaps: bool) {
        let instance = self.stage.other.as_ref().unwrap_or(&self.stage.outer.app).instance();
        let settled = AssertUnwindSafe(instance.settle_now()).catch_unwind();
        let mut settled = std::pin::pin!(settled);
        loop {
            tokio::select! {
                biased;
                settled = &mut settled => {
                    self.stage.play.trace(format!("    settled: {:?}", settled.ok()));
                    break;
                }
                // Whoever settles stands still, too: they go on together.
                () = self.stage.play.stopped.notified() => self.stage.play.gate.add_permits(2),
            }
        }
        if reaps {
            let reaped = AssertUnwindSafe(instance.reap_now()).catch_unwind().await;
            self.stage.play.trace(format!("    reaped: {:?}", reaped.ok()));
        }
    }

    fn request(
        &self,
        act: &Act,
        id: Option<&str>,
        present: Option<&Cut>,
    ) -> (impl Future<Output = Answer> + Send + 'static, Option<Cut>) {
        let group = format!("{GROUPS}/{}", id.unwrap_or("none"));
        let pairs =
            |cut: &Cut| -> Value { cut.iter().map(|(key, value)| json!({"key": key, "value": value})).collect() };
        let (method, path, body, next) = match act {
            Act::Create(cut) => {
                let integration = &self.stage.outer.integration;
                let body = json!({"name": self.group, "integrationId": integration, "secrets": pairs(cut)});
                ("POST", GROUPS.to_owned(), body, Some(cut.clone()))
            }
            Act::Update(keys) => {
                let entries: Vec<(&str, Option<&str>)> =
                    keys.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
                let value_of = |key: &String| present.and_then(|cut| cut.get(key)).cloned();
                let next = keys.iter().filter_map(|(key, value)| {
                    value.clone().or_else(|| value_of(key)).map(|value| (key.clone(), value))
                });
                ("PUT", group, crate::support::updates(&entries), Some(next.collect()))
            }
            Act::DropSecret(key) => {
                let mut next = present.cloned().unwrap_or_default();
                next.remove(key);
                let id = self.ids.get(key).map_or("none", String::as_str);
                ("DELETE", secret_path(id), Value::Null, Some(next))
            }
            Act::RestoreSecret(deleted) => {
                let mut next = present.cloned().unwrap_or_default();
                next.insert(deleted.key.clone(), deleted.value.clone());
                ("POST", format!("/api/v1/secrets/{}/restore", deleted.id), json!({}), Some(next))
            }
            Act::DropGroup(forced) => {
                let path = if *forced { format!("{group}?forceDelete=true") } else { group };
                ("DELETE", path, Value::Null, None)
            }
            Act::RestoreGroup(id, cut) => {
                ("POST", format!("/api/v1/secret-groups/{id}/restore"), json!({}), Some(cut.clone()))
            }
            Act::Share(shared) => {
                let mut collaborators =
                    vec![json!({"subject": "user:admin@example.com", "role_id": "secret-group-admin"})];
                if *shared {
                    collaborators.push(json!({"subject": "team:everyone", "role_id": "secret-group-viewer"}));
                }
                let manifest = json!({
                    "type": "secret-group", "name": self.group, "collaborators": collaborators,
                    "integration_fqn": "default:truefoundry:elsewhere:secret-store:model",
                });
                ("PUT", GROUPS.to_owned(), json!({"manifest": manifest}), present.cloned())
            }
        };
        let request = self.stage.outer.admin.request(method, &path);
        let request = if body.is_null() { request } else { request.json(&body) };
        (request.send(), next)
    }

    async fn learn(&mut self, act: &Act, at: usize, answer: Answer, present: Option<Cut>) {
        let play = self.stage.play.clone();
        let id = answer.json.pointer("/data/id").and_then(Value::as_str).map(str::to_owned);
        let of_group = matches!(act, Act::Create(_) | Act::RestoreGroup(..));
        match (answer.status, answer.code()) {
            (200, _) => {
                play.oracle().acknowledged(at, id.filter(|_| of_group));
                self.take_note(act, present).await;
            }
            // The name may be taken by what a killed writer left and others completed.
            (409, "operation_in_progress") | (500, "internal") | (503, "database_unavailable") => {
                if answer.status == 500 && !answer.text.contains("a fault of the server") {
                    play.oracle().problem(answer.text.clone());
                }
            }
            (409 | 412 | 422 | 424 | 404, _) | (503, "busy") => play.oracle().refused(at, &answer.text),
            _ => play.oracle().problem(format!("{act:?}: {} {}", answer.status, answer.text)),
        }
        if answer.status != 200 && matches!(act, Act::DropSecret(_) | Act::Update(_) | Act::DropGroup(_)) {
            // What it may have dropped isn't looked for.
            self.refresh().await;
        }
    }

    /// What can be restored from now on, and what the secrets' ids are.
    async fn take_note(&mut self, act: &Act, before: Option<Cut>) {
        let (id, now) = {
            let oracle = self.stage.play.oracle();
            (oracle.present().id.clone(), oracle.present().cut.clone())
        };
        if let (Act::DropGroup(_), Some(id), Some(before)) = (act, &id, &before) {
            self.deleted_groups.push((id.clone(), before.clone()));
            self.deleted.clear();
            self.ids.clear();
            return;
        }
        if let Act::RestoreGroup(id, _) = act {
            self.deleted_groups.retain(|(group, _)| group != id);
        }
        if let (Some(now), Some(before)) = (&now, before) {
            for (key, value) in before.iter().filter(|(key, _)| !now.contains_key(*key)) {
                if let Some(id) = self.ids.get(key) {
                    self.deleted.push(Deleted { id: id.clone(), key: key.clone(), value: value.clone() });
                }
            }
        }
        if let Act::RestoreSecret(deleted) = act {
            self.deleted.retain(|other| other.id != deleted.id);
        }
        self.refresh().await;
    }

    async fn refresh(&mut self) {
        let Some(id) = self.stage.play.oracle().present().id.clone() else { return };
        if !self.groups.contains(&id) {
            self.groups.push(id.clone());
        }
        let answer = self.stage.outer.admin.get(&format!("{GROUPS}/{id}")).await;
        if answer.status == 200 {
            let secrets = list(&answer.json, "/data/associatedSecrets");
            self.ids =
                secrets.iter().map(|secret| (text(secret, "/name").into(), text(secret, "/id").into())).collect();
            self.deleted.retain(|deleted| !self.ids.values().any(|id| *id == deleted.id));
        }
    }

    /// Lets everything come to its end, and finds out what that was.
    async fn settle(&mut self, troubled: bool) {
        let app = &self.stage.outer.app;
        self.stage.play.trace(format!("  settling{}", if troubled { ", in trouble" } else { "" }));
        if troubled {
            self.stage.upset(upsets(&self.dice, self.outside));
            app.clock.advance_seconds(60);
            self.run_jobs(true).await;
        }
        self.stage.calm();
        if !self.very_late {
            self.late().await;
        }
        let mut rounds = 0;
        while self.stage.outer.open() > 0 && rounds < 16 {
            app.clock.advance_seconds(60);
            self.run_jobs(false).await;
            rounds += 1;
        }
        if self.stage.outer.open() > 0 {
            self.stage.play.oracle().problem("an operation stays open");
        }
        self.late().await;
        self.find_out().await;
    }

    async fn find_out(&mut self) {
        let play = &self.stage.play;
        let admin = &self.stage.outer.admin;
        let found = admin.get(&format!("{GROUPS}?fqn=default:{}", self.group)).await.expect(200);
        let Some(group) = list(&found, "/data").first() else {
            play.oracle().resolve(None, None);
            return;
        };
        let id = text(group, "/id").to_owned();
        if !self.groups.contains(&id) {
            self.groups.push(id.clone());
        }
        let mut cut = Cut::new();
        for secret in list(group, "/associatedSecrets") {
            let key = text(secret, "/name");
            let answer = admin.get(&secret_path(text(secret, "/id"))).await;
            match answer.status {
                200 => drop(cut.insert(key.into(), text(&answer.json, "/data/value").into())),
                424 if play.oracle().lost.contains(key) => {
                    play.trace(format!("    {key} is lost: {}", answer.text));
                    drop(cut.insert(key.into(), LOST.into()));
                }
                _ => play.oracle().problem(format!("settled, {key} is {} {}", answer.status, answer.text)),
            }
        }
        play.trace(format!("    the group is {cut:?}"));
        play.oracle().resolve(Some(&id), Some(&cut));
        self.refresh().await;
    }
}

/// Stands for a value that somebody else has destroyed.
pub(super) const LOST: &str = "(lost)";

pub(super) const ABANDONED: &str = "SELECT COUNT(*) FROM operation_puts WHERE state = 'abandoned'";
