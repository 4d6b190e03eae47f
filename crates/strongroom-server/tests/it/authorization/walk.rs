//! Every operation as everybody, against the oracle and the checked-in picture.

use std::fmt::Write as _;

use strongroom_api::{Access, Operation};
use strongroom_testkit::{Cast, TestApp};

use super::VALUE;
use super::oracle::oracle;
use super::requests::{Target, send, target};
use crate::support::{GROUPS, SECRETS};

/// Everything that an administrator can see of a target, and what was decided about it.
async fn state(cast: &Cast, target: &Target) -> [String; 3] {
    let Target { group_id, secret_id, .. } = target;
    let events = format!("/api/svc/v1/audit-logs?metric=list&resourceId={group_id}");
    [
        cast.admin.get(&format!("{GROUPS}/{group_id}")).await.text,
        cast.admin.get(&format!("{SECRETS}/{secret_id}/versions")).await.text,
        // Refusals are on record, too; they change nothing.
        cast.admin.get(&events).await.json["data"]
            .as_array()
            .map_or(0, |events| events.iter().filter(|event| event["result"] == "success").count())
            .to_string(),
    ]
}

async fn walk(values_hidden: bool) {
    let app = TestApp::with("DISABLE_SECRET_VALUE_VIEW", if values_hidden { "true" } else { "false" }).start().await;
    let cast = app.cast("shared", &[]).await;
    let (mut picture, mut wrong, mut number) = (String::new(), Vec::new(), 0);
    for operation in Operation::ALL {
        let spec = operation.spec();
        let mut drawn = Vec::new();
        let without_token = if spec.access == Access::Public { "200" } else { "401" };
        let expected: Vec<&str> = oracle(*operation, values_hidden).split(' ').chain([without_token; 3]).collect();
        assert_eq!(expected.len(), cast.all().len(), "{}", spec.id);
        for ((role, client), expected) in cast.all().into_iter().zip(expected) {
            number += 1;
            let target = target(&app, &cast, number, *operation).await;
            let before = state(&cast, &target).await;
            let answer = send(&app, client, *operation, &target).await;
            let named = answer.text.contains(&target.group_id) || answer.text.contains(&target.secret_id);
            let plus = if named { "+" } else { "" };
            let value = if answer.text.contains(VALUE) { "=" } else { "" };
            let found = format!("{}{plus}{value}", answer.status);
            if found != expected {
                wrong.push(format!("{} as {role}: {found}, not {expected}: {}", spec.id, answer.text));
            }
            if answer.status >= 400 && state(&cast, &target).await != before {
                wrong.push(format!("{} as {role} was refused and changed something", spec.id));
            }
            drawn.push(found);
        }
        let cells = drawn.iter().fold(String::new(), |line, cell| format!("{line} {cell:<5}"));
        writeln!(picture, "{:<43}{}", spec.id, cells.trim_end()).unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let kept = part(if values_hidden { "hidden" } else { "shown" });
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

/// One half of the checked-in picture.
fn part(which: &str) -> String {
    let picture = include_str!("authorization.txt");
    let begin = picture.split_once(&format!("# values {which}\n")).expect("a heading").1;
    let lines = begin.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with('#'));
    lines.fold(String::new(), |part, line| part + line + "\n")
}
