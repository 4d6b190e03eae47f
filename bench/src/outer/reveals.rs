//! Reveals of values in `OpenBao`, beside reading them there directly.

use super::setup::{Lab, Side, Vault};
use super::{Pairs, each, middle, milliseconds, ratio};
use crate::Result;
use crate::disk::count;
use crate::load::{self, Aim, Window};
use crate::options::Options;
use crate::template::{Lane, Template};

const CONNECTIONS: [usize; 2] = [1, 8];
const SECRETS: usize = 96;

/// Lines of a table.
pub(super) async fn measure(lab: &Lab, options: &Options) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for (vault, group) in lab.vaults.iter().zip(["revealed-0", "revealed-1"]) {
        lines.extend(compare(lab, vault, group, options).await?);
    }
    Ok(lines)
}

async fn compare(lab: &Lab, vault: &Vault, name: &str, options: &Options) -> Result<Vec<String>> {
    let group = lab.group(&vault.integration, name, SECRETS).await?;
    let through = (0..SECRETS).map(|number| {
        Template::new("GET", &format!("/api/svc/v1/secrets/{}", group.secrets[number]), &[&lab.header], None)
    });
    let direct = (0..SECRETS).map(|number| {
        Template::new("GET", &format!("/v1/secret/data/tfy-secret/default/{name}/KEY_{number}"), &[&vault.header], None)
    });
    let requests: [Vec<Template>; 2] = [through.collect(), direct.collect()];
    let window = Window { warm_up: options.window / 5, measured: options.window };
    let mut lines = Vec::new();
    for connections in CONNECTIONS {
        let (mut p50, mut p99, mut rate) = (Pairs::default(), Pairs::default(), Pairs::default());
        let (mut own, mut store) = (Vec::new(), Pairs::default());
        for repetition in 0..options.runs {
            for side in Side::in_turn(repetition) {
                let (templates, address) = match side {
                    Side::Through => (&requests[0], lab.address),
                    Side::Direct => (&requests[1], vault.address),
                };
                // No two connections ask for the same: the server would read it once for both.
                let lane = |connection| {
                    let own = templates.iter().skip(connection).step_by(connections).cloned().collect();
                    Lane::new(own, connection as u64)
                };
                let aim = Aim { addresses: vec![address], servers: vec![lab.server.pid()], database: vault.process };
                let measured = load::run(&aim, (0..connections).map(lane).collect(), window).await?;
                if let Some(error) = measured.first_error {
                    return Err(format!("a reveal: {error}").into());
                }
                let answers = measured.latencies.len();
                p50.push(side, milliseconds(&measured.latencies, 500));
                p99.push(side, milliseconds(&measured.latencies, 990));
                rate.push(side, count(answers) / measured.elapsed.as_secs_f64());
                store.push(side, each(measured.database_cpu.unwrap_or_default(), answers));
                if side == Side::Through {
                    own.push(each(measured.server_cpu, answers));
                }
            }
            eprintln!("reveals in {}, on {connections} connections: {}/{}", vault.name, repetition + 1, options.runs);
        }
        lines.push(format!(
            "| {} | {connections} | {:.2}, {:.2} | {:.2}, {:.2} | {} | {} | {:.0} | {:.0} | {:.0} |",
            vault.name,
            middle(&p50.through),
            middle(&p99.through),
            middle(&p50.direct),
            middle(&p99.direct),
            p50.ratio(),
            ratio(&rate.through, &rate.direct),
            middle(&own),
            middle(&store.through),
            middle(&store.direct),
        ));
    }
    Ok(lines)
}
