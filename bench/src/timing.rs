//! Whether response times tell what exists: a stranger asks for what is there but hidden from them and for what isn't
//! there, in turn and in random order, on one connection. For each route the two samples are compared by the chance that
//! one of the hidden answers took longer than one of the absent ones; 0.5 is no difference at all.

#![expect(clippy::cast_precision_loss, reason = "counts and microseconds are far below 2^52")]

use std::fmt::Write as _;
use std::time::Instant;

use serde_json::{Value, json};

use crate::Result;
use crate::http1::Connection;
use crate::options::Options;
use crate::process::{Server, free_port};
use crate::targets::{Client, READY, serve_strongroom, text, wait_for};
use crate::template::{Random, Template};

const GROUPS: &str = "/api/svc/v1/secret-groups";
const SECRETS: &str = "/api/svc/v1/secrets";
const USERS: &str = "/api/svc/v1/users/register";
const TOKENS: &str = "/api/svc/v1/personal-access-tokens/for-user";
/// Keys of the hidden group: work that would show.
const KEYS: usize = 200;
/// Answers that are not counted: caches fill and connections warm.
const WARM_UP: usize = 200;

/// One route: the request for the hidden thing and the one for the absent thing.
struct Pair {
    name: &'static str,
    requests: [Template; 2],
}

/// Measures `samples` answers of each kind on each route and gives the table.
pub(crate) async fn run(options: &Options, samples: usize) -> Result<String> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let (address, data) = (free_port()?, folder.path().join("data"));
    let spawned = Instant::now();
    let mut command = serve_strongroom(options, address, &data);
    let mut server = Server::spawn(&mut command, folder.path().join("server.log"))?;
    wait_for(&mut server, spawned, address, READY, &[200]).await?;
    let bearer = std::fs::read_to_string(data.join("admin-token"))?;
    let mut admin = Client::open(address, format!("authorization: Bearer {}", bearer.trim())).await?;
    let (pairs, _) = prepare(&mut admin).await?;
    let mut connection = Connection::open(address).await?;
    let mut random = Random::new(7);
    let mut table = String::from(
        "| route | median hidden, µs | median absent, µs | chance that hidden is slower | σ from 0.5 |\n|---|---|---|---|---|\n",
    );
    for mut pair in pairs {
        let mut taken: [Vec<u64>; 2] = [Vec::with_capacity(samples), Vec::with_capacity(samples)];
        let mut shapes: [Option<(u16, usize)>; 2] = [None, None];
        while taken.iter().any(|side| side.len() < samples + WARM_UP) {
            let side = random.below(2);
            if taken[side].len() == samples + WARM_UP {
                continue;
            }
            let request = pair.requests[side].fill(&mut random).to_vec();
            let started = Instant::now();
            let response = connection.exchange(&request).await?;
            taken[side].push(u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX));
            shapes[side] = Some((response.status, response.body.len()));
        }
        if shapes[0] != shapes[1] {
            return Err(format!("{}: the answers differ: {shapes:?}", pair.name).into());
        }
        let [mut hidden, mut absent] = taken.map(|side| side[WARM_UP..].to_vec());
        hidden.sort_unstable();
        absent.sort_unstable();
        let (chance, sigmas) = slower(&hidden, &absent);
        let median = |sorted: &[u64]| sorted[sorted.len() / 2] as f64 / 1_000.0;
        writeln!(
            table,
            "| {} | {:.1} | {:.1} | {chance:.3} | {sigmas:+.1} |",
            pair.name,
            median(&hidden),
            median(&absent)
        )?;
    }
    Ok(table)
}

/// An id that nothing has, made when the given one was: others would be told apart by where the engine looks for them.
fn beside(id: &str) -> String {
    let other = if id.ends_with('0') { "1" } else { "0" };
    format!("{}{other}", &id[..id.len() - 1])
}

/// A group that nobody is shared with but its maker, and a stranger's requests.
async fn prepare(admin: &mut Client) -> Result<(Vec<Pair>, String)> {
    let integrations = admin.call("GET", "/api/svc/v1/provider-integrations?type=secret-store", None).await?;
    let integration = text(&integrations, "/data/0/id")?;
    let secrets: Vec<Value> = (0..KEYS).map(|n| json!({"key": format!("KEY_{n}"), "value": "v".repeat(64)})).collect();
    let wanted = json!({"name": "hidden-group", "integrationId": integration, "secrets": secrets});
    let group = admin.call("POST", GROUPS, Some(&wanted)).await?;
    let (group_id, secret_id) = (text(&group, "/data/id")?, text(&group, "/data/associatedSecrets/0/id")?);
    admin.call("POST", USERS, Some(&json!({"email": "stranger@example.com"}))).await?;
    let wanted = json!({"name": "stranger", "userEmail": "stranger@example.com"});
    let token = text(&admin.call("POST", TOKENS, Some(&wanted)).await?, "/token")?;
    let header = format!("authorization: Bearer {token}");
    let pair =
        |name, method: &str, path: &dyn Fn(&str, &str, &str) -> String, body: &dyn Fn(&str, &str) -> Option<Value>| {
            let request = |group: &str, secret: &str, called: &str| {
                let body = body(group, called).map(|body| body.to_string());
                Template::new(method, &path(group, secret, called), &[&header], body.as_deref())
            };
            // The two names are of one length, and so are the ids.
            Pair {
                name,
                requests: [
                    request(&group_id, &secret_id, "hidden-group"),
                    request(&beside(&group_id), &beside(&secret_id), "absent-group"),
                ],
            }
        };
    let none = |_: &str, _: &str| None;
    let pairs = vec![
        pair("GET group", "GET", &|group, _, _| format!("{GROUPS}/{group}"), &none),
        pair("PUT group", "PUT", &|group, _, _| format!("{GROUPS}/{group}"), &|_, _| {
            Some(json!({"secrets": [{"key": "KEY_1", "value": "v"}]}))
        }),
        pair("DELETE group", "DELETE", &|group, _, _| format!("{GROUPS}/{group}"), &none),
        pair("GET secret", "GET", &|_, secret, _| format!("{SECRETS}/{secret}"), &none),
        pair("DELETE secret", "DELETE", &|_, secret, _| format!("{SECRETS}/{secret}"), &none),
        pair("GET versions", "GET", &|_, secret, _| format!("{SECRETS}/{secret}/versions"), &none),
        pair(
            "GET by reference",
            "GET",
            &|_, _, called| format!("/api/svc/v1/control-plane/secret?secret_ref=default:{called}:KEY_1"),
            &none,
        ),
        pair("list groups by FQN", "GET", &|_, _, called| format!("{GROUPS}?fqn=default:{called}"), &none),
        pair("list groups by name", "GET", &|_, _, called| format!("{GROUPS}?search={called}"), &none),
        pair("list secrets by group", "POST", &|_, _, _| SECRETS.to_owned(), &|group, _| {
            Some(json!({"secretGroupId": group, "withValue": true}))
        }),
        pair("list secrets by FQN", "POST", &|_, _, _| SECRETS.to_owned(), &|_, called| {
            Some(json!({"secretFqns": [format!("default:{called}:KEY_1")], "withValue": true}))
        }),
        pair("restore group", "POST", &|group, _, _| format!("/api/v1/secret-groups/{group}/restore"), &|_, _| {
            Some(json!({}))
        }),
        pair("delete by manifest", "POST", &|_, _, _| "/api/svc/v1/delete".to_owned(), &|_, called| {
            Some(json!({"manifest": {"type": "secret-group", "name": called}}))
        }),
        pair(
            "explain access",
            "GET",
            &|group, _, _| {
                format!("/api/v1/access/explain?subject=user:stranger@example.com&action=see&resource={group}")
            },
            &none,
        ),
        pair("who reads a group", "GET", &|group, _, _| format!("/api/v1/secret-groups/{group}/access"), &none),
    ];
    Ok((pairs, group_id))
}

/// The chance that one of the first (sorted) sample is greater than one of the second, ties halved, and how many standard
/// deviations of that chance it lies from one half when both are drawn from one distribution (Mann and Whitney).
fn slower(first: &[u64], second: &[u64]) -> (f64, f64) {
    let mut wins = 0.0;
    for value in first {
        let below = second.partition_point(|other| other < value);
        let not_above = second.partition_point(|other| other <= value);
        wins += below as f64 + (not_above - below) as f64 / 2.0;
    }
    let (n, m) = (first.len() as f64, second.len() as f64);
    let chance = wins / (n * m);
    (chance, (chance - 0.5) / ((n + m + 1.0) / (12.0 * n * m)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chance_tells_which_is_slower() {
        assert!((slower(&[1, 2, 3], &[1, 2, 3]).0 - 0.5).abs() < 1e-9);
        assert!((slower(&[4, 5], &[1, 2]).0 - 1.0).abs() < 1e-9);
        let (low, high): (Vec<u64>, Vec<u64>) = ((0..1_000).collect(), (100..1_100).collect());
        let (chance, sigmas) = slower(&high, &low);
        assert!(chance > 0.55 && sigmas > 5.0);
    }
}
