//! What may be seen of a group: the states it may be in, in the order in which they were asked for.

use std::collections::{BTreeMap, HashSet};

/// Keys and values.
pub(super) type Cut = BTreeMap<String, String>;

/// A state that a group is in, or may get into.
#[derive(Debug, Clone)]
pub(super) struct State {
    /// The group's id, once it is known.
    pub(super) id: Option<String>,
    /// What it holds; `None` when there is no group of the name.
    pub(super) cut: Option<Cut>,
    /// Whether it was refused: then nobody may ever see it.
    dead: bool,
    /// Whether somebody saw it.
    seen: bool,
}

/// When a read began: nothing older may come out of it.
#[derive(Clone, Copy)]
pub(super) struct Since(usize);

#[derive(Default)]
pub(super) struct Oracle {
    states: Vec<State>,
    /// The oldest that may still be the present one.
    low: usize,
    /// Values that were current at some time.
    pub(super) acknowledged: HashSet<String>,
    /// Values that may have been current for a while, before somebody who was answered came.
    pub(super) perhaps: HashSet<String>,
    /// Keys whose entries somebody else has touched: they need not be readable.
    pub(super) touched: HashSet<String>,
    /// Keys whose entries somebody else has removed or made again.
    pub(super) lost: HashSet<String>,
    /// What went wrong.
    pub(super) problems: Vec<String>,
}

impl Oracle {
    pub(super) fn new() -> Self {
        Self { states: vec![State { id: None, cut: None, dead: false, seen: true }], ..Self::default() }
    }

    pub(super) fn problem(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// A write begins that leads to this state.
    pub(super) fn begin(&mut self, id: Option<String>, cut: Option<Cut>) -> usize {
        self.states.push(State { id, cut, dead: false, seen: false });
        self.states.len() - 1
    }

    /// It was acknowledged.
    pub(super) fn acknowledged(&mut self, at: usize, id: Option<String>) {
        if let Some(id) = id {
            self.states[at].id = Some(id);
        }
        if self.low > at {
            self.problem(format!("state {at} was acknowledged after a later one was seen"));
        }
        self.settle_on(at);
    }

    fn settle_on(&mut self, at: usize) {
        let between: Vec<usize> = self.possible().filter(|between| *between < at).collect();
        for between in between {
            let values: Vec<String> =
                self.states[between].cut.iter().flatten().map(|(_, value)| value.clone()).collect();
            self.perhaps.extend(values);
        }
        self.low = at;
        let values: Vec<String> = self.states[at].cut.iter().flatten().map(|(_, value)| value.clone()).collect();
        self.acknowledged.extend(values);
    }

    /// It was refused for good.
    pub(super) fn refused(&mut self, at: usize, why: &str) {
        if self.states[at].seen {
            self.problem(format!("state {at} was seen, and its write was refused: {why}"));
        }
        self.states[at].dead = true;
    }

    /// Nobody knows which state is the present one.
    pub(super) fn is_unclear(&self) -> bool {
        self.possible().count() > 1
    }

    /// The present state, or the one it was before what is unclear.
    pub(super) fn present(&self) -> &State {
        &self.states[self.low]
    }

    pub(super) fn possible(&self) -> impl Iterator<Item = usize> + '_ {
        (self.low..self.states.len()).filter(|at| !self.states[*at].dead)
    }

    pub(super) fn at(&self, at: usize) -> &State {
        &self.states[at]
    }

    pub(super) fn since(&self) -> Since {
        Since(self.low)
    }

    /// Nothing is under way any more: this is the present state.
    pub(super) fn resolve(&mut self, id: Option<&str>, cut: Option<&Cut>) {
        let fitting = |at: &usize| {
            let state = &self.states[*at];
            fits(state.cut.as_ref(), cut) && (state.id.is_none() || id.is_none() || state.id.as_deref() == id)
        };
        let found = self.possible().filter(fitting).last();
        match found {
            Some(at) => {
                for later in at + 1..self.states.len() {
                    self.states[later].dead = true;
                }
                if let Some(id) = id {
                    self.states[at].id = Some(id.to_owned());
                }
                self.settle_on(at);
            }
            None => self.problem(format!(
                "settled, the group is {cut:?}, which is none of {:?}",
                self.possible().map(|at| &self.states[at].cut).collect::<Vec<_>>()
            )),
        }
    }

    /// A reader got all values of a group at once; `None`: there is no such group.
    pub(super) fn saw_all(&mut self, since: Since, id: &str, cut: Option<&Cut>) {
        self.saw(since, &format!("{id}: {cut:?}"), |state| match (cut, &state.cut) {
            (None, None) => true,
            (None, Some(_)) => state.id.as_deref() != Some(id),
            (Some(_), None) => false,
            (Some(cut), Some(held)) => state.id.as_deref().is_none_or(|known| known == id) && cut == held,
        });
    }

    /// A reader got one value by its name; `None`: there is none.
    pub(super) fn saw_one(&mut self, since: Since, key: &str, value: Option<&str>) {
        self.saw(since, &format!("{key} = {value:?}"), |state| {
            state.cut.as_ref().and_then(|cut| cut.get(key)).map(String::as_str) == value
        });
    }

    fn saw(&mut self, since: Since, what: &str, fits: impl Fn(&State) -> bool) {
        let fitting: Vec<usize> = (since.0..self.states.len()).filter(|at| fits(&self.states[*at])).collect();
        let alive: Vec<usize> = fitting.iter().copied().filter(|at| !self.states[*at].dead).collect();
        match alive[..] {
            [] => {
                let kind = if fitting.is_empty() { "no state that may be" } else { "a refused write's state" };
                let states: Vec<_> = (since.0..self.states.len()).map(|at| (at, &self.states[at])).collect();
                let problem = format!("a reader saw {kind}: {what}; possible since it began: {states:?}");
                self.problem(problem);
            }
            [at] => {
                self.states[at].seen = true;
                if at > self.low {
                    self.settle_on(at);
                }
            }
            // Which of them it was can't be told; the oldest is out if none of them is it.
            [at, ..] => {
                if at > self.low {
                    self.states[at].seen |= alive.len() == 1;
                    self.low = at;
                }
            }
        }
    }
}

/// Where a value was destroyed by somebody else, nothing is said of it.
fn fits(held: Option<&Cut>, found: Option<&Cut>) -> bool {
    match (held, found) {
        (Some(held), Some(found)) => {
            held.len() == found.len()
                && held.iter().zip(found).all(|((key, value), (found_key, found))| {
                    key == found_key && (value == found || found == super::run::LOST)
                })
        }
        (held, found) => held.is_none() && found.is_none(),
    }
}
