//! Counts and gauges in Prometheus' text format.

use std::fmt::Write;

use strongroom_stores::outer::{BreakerState, Outcome};

use crate::app::StoreMetrics;

/// The whole answer.
pub(super) fn metrics_text(metrics: &StoreMetrics) -> String {
    let mut text = String::new();
    let mut family = Family { text: &mut text };
    family.begin("strongroom_store_requests_total", "counter", "Tries of requests to outer stores, by how they ended");
    for (fqn, store, stats) in &metrics.stores {
        for outcome in Outcome::ALL {
            let labels = [("integration", &**fqn), ("store", store), ("outcome", outcome.name())];
            family.line("strongroom_store_requests_total", &labels, stats.tries(outcome));
        }
    }
    family.begin("strongroom_store_retries_total", "counter", "Tries that were not the first of their request");
    for (fqn, store, stats) in &metrics.stores {
        family.line("strongroom_store_retries_total", &[("integration", fqn), ("store", store)], stats.retries);
    }
    family.begin(
        "strongroom_store_request_seconds_total",
        "counter",
        "How long all tries that were sent took together",
    );
    for (fqn, store, stats) in &metrics.stores {
        let seconds = stats.time.as_secs_f64();
        family.line("strongroom_store_request_seconds_total", &[("integration", fqn), ("store", store)], seconds);
    }
    family.begin("strongroom_store_requests_under_way", "gauge", "Requests to outer stores that are under way");
    for (fqn, store, stats) in &metrics.stores {
        family.line("strongroom_store_requests_under_way", &[("integration", fqn), ("store", store)], stats.under_way);
    }
    family.begin("strongroom_store_breaker_open", "gauge", "1 while an outer store isn't asked, as it kept failing");
    for (fqn, store, stats) in &metrics.stores {
        let open = u64::from(stats.breaker != BreakerState::Closed);
        family.line("strongroom_store_breaker_open", &[("integration", fqn), ("store", store)], open);
    }
    let backlog = &metrics.backlog;
    for (name, help, count) in [
        ("strongroom_operations_open", "Writes to outer stores that are not at their end", backlog.open),
        ("strongroom_store_entries_to_remove", "Entries of outer stores whose time has ended", backlog.entries),
        ("strongroom_store_versions_to_destroy", "Versions that undone writes left in outer stores", backlog.leftovers),
    ] {
        family.begin(name, "gauge", help);
        family.line(name, &[], count);
    }
    text
}

struct Family<'a> {
    text: &'a mut String,
}

impl Family<'_> {
    fn begin(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a text doesn't fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// Labels are FQNs and names of ours: none has a quote, a backslash or a line's end in it.
    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.text.push_str(name);
        for (at, (label, text)) in labels.iter().enumerate() {
            let _ = write!(self.text, "{}{label}=\"{text}\"", if at == 0 { '{' } else { ',' });
        }
        let end = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{end} {value}");
    }
}
