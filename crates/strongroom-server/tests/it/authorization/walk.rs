//! Every operation as everybody, against the oracle and the checked-in picture.

use std::fmt::Write as _;

use strongroom_api::{AuditMode, Operation};
use strongroom_testkit::{Caller, Crowd, FakeIdp, TestApp};

use super::VALUE;
use super::oracle::{code, oracle};
use super::requests::{Target, send, target};
use crate::support::{GROUPS, SECRETS};

const PICTURE: &str = include_str!("authorization.txt");

/// Everything that an administrator can see of a target, and what was decided about it.
async fn state(crowd: &Crowd, target: &Target) -> [String; 3] {
    let (admin, Target { group_id, secret_id, .. }) = (&crowd.cast.admin, target);
    let events = format!("/api/svc/v1/audit-logs?metric=list&resourceId={group_id}");
    [
        admin.get(&format!("{GROUPS}/{group_id}")).await.text,
        admin.get(&format!("{SECRETS}/{secret_id}/versions")).await.text,
        // Refusals are on record, too; they change nothing.
        admin.get(&events).await.json["data"]
            .as_array()
            .map_or(0, |events| {
                let changed = |action: &str| !action.starts_with("READ");
                events
                    .iter()
                    .filter(|event| event["result"] == "success" && changed(event["action"].as_str().unwrap()))
                    .count()
            })
            .to_string(),
    ]
}

/// What an operation is aimed at until it is changed, and who called since somebody looked at it.
struct Aim {
    target: Target,
    before: [String; 3],
    unseen: Vec<&'static str>,
}

impl Aim {
    async fn at(crowd: &Crowd, target: Target) -> Self {
        Self { before: state(crowd, &target).await, target, unseen: Vec::new() }
    }

    /// Those who called since the last time, where one of them changed something.
    async fn look(&mut self, crowd: &Crowd) -> Option<String> {
        let callers = std::mem::take(&mut self.unseen);
        let same = callers.is_empty() || state(crowd, &self.target).await == self.before;
        (!same).then(|| callers.join(" or "))
    }
}

/// What an operation does for everybody: its line in the picture.
async fn walk_operation(
    app: &TestApp,
    crowd: &Crowd,
    operation: Operation,
    hidden: bool,
    number: &mut usize,
    wrong: &mut Vec<String>,
) -> String {
    let spec = operation.spec();
    let changes = spec.audit == AuditMode::Change;
    let mut line = String::new();
    let mut aim: Option<Aim> = None;
    for Caller { name, client } in &crowd.callers {
        let expected = oracle(operation, name, hidden);
        let mut aimed = if let Some(aimed) = aim.take() {
            aimed
        } else {
            *number += 1;
            Aim::at(crowd, target(app, crowd, *number, operation).await).await
        };
        if changes && expected.starts_with('2') {
            wrong.extend(aimed.look(crowd).await.map(|who| format!("{} as {who} changed something", spec.id)));
        }
        let answer = send(app, client, operation, &aimed.target).await;
        let named = answer.text.contains(&aimed.target.group_id) || answer.text.contains(&aimed.target.secret_id);
        let plus = if named { "+" } else { "" };
        let value = if answer.text.contains(VALUE) { "=" } else { "" };
        let found = format!("{}{plus}{value}", answer.status);
        let expected_code = code(operation, answer.status);
        if found != expected || answer.code() != expected_code {
            wrong.push(format!("{} as {name}: {found}, not {expected} {expected_code}: {}", spec.id, answer.text));
        }
        if !changes || answer.status >= 400 {
            aimed.unseen.push(name);
            aim = Some(aimed);
        }
        write!(line, " {found:<5}").unwrap();
    }
    if let Some(mut aimed) = aim {
        wrong.extend(aimed.look(crowd).await.map(|who| format!("{} as {who} changed something", spec.id)));
    }
    format!("{:<43}{}\n", spec.id, line.trim_end())
}

async fn walk(values_hidden: bool) {
    let app = TestApp::with("DISABLE_SECRET_VALUE_VIEW", if values_hidden { "true" } else { "false" })
        .set(FakeIdp::EGRESS.0, FakeIdp::EGRESS.1)
        .set("STRONGROOM_RATE_LIMIT_ADDRESS", "0")
        .start()
        .await;
    let crowd = app.crowd().await;
    let (mut picture, mut wrong, mut number) = (String::new(), Vec::new(), 0);
    for operation in Operation::ALL {
        picture += &walk_operation(&app, &crowd, *operation, values_hidden, &mut number, &mut wrong).await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let names = crowd.callers.iter().enumerate().map(|(at, caller)| format!("{:>2} {}\n", at + 1, caller.name));
    let legend = names.collect::<String>();
    assert!(PICTURE.contains(&format!("\n{legend}\n")), "authorization.txt must say\n{legend}");
    let kept = part(if values_hidden { "hidden" } else { "shown" });
    let heads = (1..=crowd.callers.len()).fold(String::new(), |line, number| format!("{line} {number:<5}"));
    let picture = format!("{:43}{}\n{picture}", "", heads.trim_end());
    assert_eq!(picture, kept, "authorization.txt must say\n{picture}");
}

#[tokio::test]
async fn everybody_may_do_what_the_oracle_says_and_nothing_else() {
    walk(false).await;
}

#[tokio::test]
async fn with_hidden_values_only_machines_get_them() {
    walk(true).await;
}

/// An operation that isn't in the walk doesn't compile: the oracle and the requests have an arm for each. That the walk
/// went past each, and each caller, shows in the picture.
#[test]
fn the_picture_shows_every_operation_and_every_caller() {
    let callers = PICTURE.lines().filter(|line| line.get(..3).is_some_and(|start| start.trim().parse::<u8>().is_ok()));
    let callers = callers.count();
    assert!(callers >= 28, "{callers} callers");
    let all: Vec<&str> = Operation::ALL.iter().map(|operation| operation.spec().id).collect();
    for which in ["shown", "hidden"] {
        let part = part(which);
        let lines: Vec<Vec<&str>> = part.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        let drawn: Vec<&str> = lines.iter().map(|line| line[0]).collect();
        assert_eq!(drawn, all, "a line for each operation, and no other");
        for line in &lines {
            assert_eq!(line.len() - 1, callers, "{line:?}");
        }
    }
}

/// One half of the checked-in picture.
fn part(which: &str) -> String {
    let begin = PICTURE.split_once(&format!("# values {which}\n")).expect("a heading").1;
    let lines = begin.lines().take_while(|line| !line.is_empty());
    lines.fold(String::new(), |part, line| part + line + "\n")
}
