//! A server in memory, and clients whose operations overlap: histories that are good by construction.

use crate::cluster::history::{
    Call, Current, Id, Key, Operation, Outcome, Refusal, Seen, SeenSecret, Tag, TrueGroup, TrueRevision, TrueSecret,
    Truth,
};
use crate::support::random::Random;

/// Operations take effect in the order in which they are told.
#[derive(Default)]
pub(super) struct Story {
    pub(super) history: Vec<Operation>,
    pub(super) truth: Truth,
    /// What was current before a group was deleted.
    buried: Vec<Vec<Current>>,
    /// What was dropped from a group and can come back.
    trash: Vec<Vec<Current>>,
    ids: u128,
}

/// What becomes of an operation for its client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Answered,
    /// It has its effect, but the client isn't told.
    Cut,
    /// It has no effect, and the client isn't told.
    Gone,
}

impl Story {
    fn id(&mut self) -> Id {
        self.ids += 1;
        Id(self.ids)
    }

    /// One operation; gives its place in the history.
    pub(super) fn tell(
        &mut self,
        client: u16,
        (start, end): (u64, u64),
        slot: u8,
        group: Option<Id>,
        call: Call,
    ) -> usize {
        self.tell_all(client, (start, end), slot, group, call, None, Fate::Answered)
    }

    #[expect(clippy::too_many_arguments, reason = "each is a field of the operation")]
    pub(super) fn tell_all(
        &mut self,
        client: u16,
        (start, end): (u64, u64),
        slot: u8,
        group: Option<Id>,
        call: Call,
        if_match: Option<i64>,
        fate: Fate,
    ) -> usize {
        let (tag, request) = (self.history.len() as Tag, self.id());
        let mut operation = Operation {
            tag,
            client,
            slot,
            group,
            call,
            if_match,
            start,
            end,
            request: Some(request),
            outcome: Outcome::Unknown,
        };
        if fate != Fate::Gone {
            operation.outcome = self.effect(&operation, request);
        }
        if fate != Fate::Answered {
            operation.outcome = Outcome::Unknown;
            // Some answers say that the server doesn't know; others never come.
            operation.request = operation.request.filter(|_| tag.is_multiple_of(2));
        }
        self.history.push(operation);
        self.history.len() - 1
    }

    /// The place of the group that has a name.
    pub(super) fn living(&self, slot: u8) -> Option<usize> {
        self.truth.groups.iter().position(|group| group.slot == slot && !group.deleted)
    }

    /// What is current of a group.
    pub(super) fn state(&self, place: usize) -> &[Current] {
        &self.truth.groups[place].revisions.last().unwrap().state
    }

    fn effect(&mut self, operation: &Operation, request: Id) -> Outcome {
        let taken = Outcome::Refused(Refusal::NameTaken);
        let missing = Outcome::Refused(Refusal::NotThere);
        if let Call::Create { keys } = &operation.call {
            if self.living(operation.slot).is_some() {
                return taken;
            }
            let (id, slot) = (self.id(), operation.slot);
            self.truth.groups.push(TrueGroup { id, slot, revision: 0, deleted: false, revisions: Vec::new() });
            self.buried.push(Vec::new());
            self.trash.push(Vec::new());
            return self.set(self.truth.groups.len() - 1, operation, request, keys, &[]);
        }
        let by_name = matches!(operation.call, Call::ReadByName | Call::ReadReference { .. });
        let called = operation.group.and_then(|id| self.truth.groups.iter().position(|group| group.id == id));
        let place = if by_name { self.living(operation.slot) } else { called };
        let Some(place) = place else {
            return if operation.call == Call::ReadByName { Outcome::Ok(Seen::NoGroup) } else { missing };
        };
        if operation.call == Call::Restore {
            if self.living(operation.slot).is_some() {
                return taken;
            }
            let state = self.buried[place].clone();
            self.truth.groups[place].deleted = false;
            return self.revise(place, operation, request, state);
        }
        if self.truth.groups[place].deleted {
            return missing;
        }
        if let Some(other) = operation.if_match.filter(|asked| *asked != self.truth.groups[place].revision) {
            assert_ne!(other, self.truth.groups[place].revision);
            return Outcome::Refused(Refusal::OtherRevision(self.truth.groups[place].revision));
        }
        self.effect_on_living(place, operation, request)
    }

    fn effect_on_living(&mut self, place: usize, operation: &Operation, request: Id) -> Outcome {
        let state = self.state(place).to_vec();
        let find = |secret: &Id| state.iter().find(|current| current.secret == *secret).copied();
        match &operation.call {
            Call::Update { given, kept } => self.set(place, operation, request, given, kept),
            Call::DeleteSecret { secret } => {
                let Some(dropped) = find(secret) else { return Outcome::Refused(Refusal::NotThere) };
                self.trash[place].push(dropped);
                let rest = state.into_iter().filter(|current| current.secret != *secret).collect();
                self.revise(place, operation, request, rest);
                Outcome::Ok(Seen::Done)
            }
            Call::RestoreSecret { secret } => {
                let back = self.trash[place].iter().position(|current| current.secret == *secret);
                let back = back.filter(|at| !state.iter().any(|current| current.key == self.trash[place][*at].key));
                let Some(back) = back else { return Outcome::Refused(Refusal::NameTaken) };
                let mut whole = state;
                whole.push(self.trash[place].remove(back));
                whole.sort_unstable();
                self.revise(place, operation, request, whole)
            }
            Call::Delete => {
                self.buried[place] = state;
                self.truth.groups[place].deleted = true;
                self.revise(place, operation, request, Vec::new());
                Outcome::Ok(Seen::Done)
            }
            Call::ReadValue { secret } => match find(secret) {
                Some(current) => {
                    let revision = self.truth.groups[place].revision;
                    Outcome::Ok(Seen::Secret { revision, secret: self.reveal(current, request) })
                }
                None => Outcome::Refused(Refusal::NotThere),
            },
            Call::ReadReference { key } => match state.iter().find(|current| current.key == *key) {
                Some(current) => Outcome::Ok(Seen::Value(self.reveal(*current, request).tag.unwrap())),
                None => Outcome::Refused(Refusal::NotThere),
            },
            Call::ReadValues => {
                let secrets = state.into_iter().map(|current| self.reveal(current, request)).collect();
                Outcome::Ok(Seen::Group { group: self.truth.groups[place].id, revision: None, secrets })
            }
            call => self.shown(place, *call == Call::Read),
        }
    }

    fn reveal(&mut self, current: Current, request: Id) -> SeenSecret {
        self.truth.reveals.push((request, current.secret, current.version));
        SeenSecret { current, tag: self.truth.values.get(&(current.secret, current.version)).copied() }
    }

    fn shown(&self, place: usize, with_revision: bool) -> Outcome {
        let group = &self.truth.groups[place];
        let secrets = self.state(place).iter().map(|current| SeenSecret { current: *current, tag: None }).collect();
        Outcome::Ok(Seen::Group { group: group.id, revision: with_revision.then_some(group.revision), secrets })
    }

    /// Gives keys new values, keeps some and drops all others.
    fn set(&mut self, place: usize, operation: &Operation, request: Id, given: &[Key], kept: &[Key]) -> Outcome {
        let before = match self.truth.groups[place].revisions.last() {
            Some(last) => last.state.clone(),
            None => Vec::new(),
        };
        if kept.iter().any(|key| !before.iter().any(|current| current.key == *key)) {
            return Outcome::Refused(Refusal::Invalid);
        }
        let mut after: Vec<Current> = before.iter().filter(|current| kept.contains(&current.key)).copied().collect();
        for key in given {
            let current = match before.iter().find(|current| current.key == *key) {
                Some(old) => Current { version: old.version + 1, ..*old },
                None => Current { key: *key, secret: self.id(), version: 1 },
            };
            match self.truth.secrets.iter_mut().find(|secret| secret.id == current.secret) {
                Some(row) => {
                    row.version = current.version;
                    row.versions.push(current.version);
                }
                None => self.truth.secrets.push(TrueSecret { id: current.secret, version: 1, versions: vec![1] }),
            }
            self.truth.values.insert((current.secret, current.version), operation.tag);
            after.push(current);
        }
        after.sort_unstable();
        let dropped = before.iter().filter(|old| !after.iter().any(|current| current.secret == old.secret));
        self.trash[place].extend(dropped);
        self.revise(place, operation, request, after)
    }

    fn revise(&mut self, place: usize, operation: &Operation, request: Id, state: Vec<Current>) -> Outcome {
        let group = &mut self.truth.groups[place];
        group.revision += 1;
        let (number, action) = (group.revision, operation.call.action().unwrap());
        group.revisions.push(TrueRevision { number, action, request, client: Some(operation.client), state });
        let change = (request, group.id, number);
        self.truth.changes.push(change);
        self.shown(place, true)
    }
}

/// Many operations of some clients on some names, a part of them cut.
pub(super) fn random(seed: u64, operations: usize) -> Story {
    const CLIENTS: usize = 8;
    let (mut story, mut random) = (Story::default(), Random::new(seed));
    let mut free = [0_u64; CLIENTS];
    let mut now = 0;
    for _ in 0..operations {
        now += 10;
        let client = random.index(CLIENTS);
        now = now.max(free[client] + 1);
        let start = (now - random.below(now - free[client]).min(100)).max(1);
        let fate = match random.below(20) {
            0 => Fate::Cut,
            1 => Fate::Gone,
            _ => Fate::Answered,
        };
        // Who isn't answered may have stopped waiting before the operation took effect.
        let end = if fate == Fate::Answered { now + random.below(80) } else { start + random.below(200) };
        free[client] = end;
        let slot = u8::try_from(random.below(4)).unwrap();
        let (group, call) = some_call(&story, &mut random, slot);
        let revision = story.living(slot).map(|place| story.truth.groups[place].revision);
        let if_match = revision.filter(|_| matches!(call, Call::Update { .. }) && random.percent(20));
        let if_match = if_match.map(|revision| revision - i64::from(random.percent(30)));
        story.tell_all(client.try_into().unwrap(), (start, end), slot, group, call, if_match, fate);
    }
    story
}

fn some_call(story: &Story, random: &mut Random, slot: u8) -> (Option<Id>, Call) {
    let of_slot: Vec<usize> = (0..story.truth.groups.len()).filter(|at| story.truth.groups[*at].slot == slot).collect();
    let Some(newest) = of_slot.last().copied() else { return (None, Call::Create { keys: vec![0, 1] }) };
    let any = of_slot[random.index(of_slot.len())];
    let place = if random.percent(10) { any } else { story.living(slot).unwrap_or(newest) };
    let group = &story.truth.groups[place];
    let keys: Vec<Key> = story.state(place).iter().map(|current| current.key).collect();
    let id = Some(group.id);
    match random.below(100) {
        0..5 => (None, Call::Create { keys: vec![0, 1, 2] }),
        5..8 => (id, Call::Delete),
        8..12 => (id, Call::Restore),
        12..16 if !keys.is_empty() => {
            let secret = story.state(place)[random.index(keys.len())].secret;
            (id, Call::DeleteSecret { secret })
        }
        16..20 if !story.trash[place].is_empty() => {
            let secret = story.trash[place][random.index(story.trash[place].len())].secret;
            (id, Call::RestoreSecret { secret })
        }
        20..30 => (id, Call::Read),
        30..35 => (None, Call::ReadByName),
        35..45 => (id, Call::ReadValues),
        45..50 if !keys.is_empty() => {
            let secret = story.state(place)[random.index(keys.len())].secret;
            (id, Call::ReadValue { secret })
        }
        50..55 => (None, Call::ReadReference { key: u8::try_from(random.below(4)).unwrap() }),
        55..70 if keys.len() > 1 => {
            let new = u8::try_from(random.below(4)).unwrap();
            let kept = keys[1..].iter().copied().filter(|key| *key != new).collect();
            (id, Call::Update { given: vec![new], kept })
        }
        _ => (id, Call::Update { given: (0..=u8::try_from(random.below(3)).unwrap()).collect(), kept: Vec::new() }),
    }
}
