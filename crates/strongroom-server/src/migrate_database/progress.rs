use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use strongroom_metadata::{Phase, Progress};

const EVERY: Duration = Duration::from_secs(5);

/// On a terminal a bar, else a line now and then. On standard error: the report is what is printed.
pub(super) struct Display {
    bar: Option<ProgressBar>,
    told: Instant,
    phase: Option<Phase>,
}

impl Display {
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::no_length();
            let style = ProgressStyle::with_template(
                "{prefix:10} [{wide_bar}] {human_pos} of {human_len} rows, {eta} {msg:22}",
            );
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, told: Instant::now(), phase: None }
    }

    pub(super) fn show(&mut self, progress: &Progress) {
        let is_new = self.phase.replace(progress.phase) != Some(progress.phase);
        let doing = match progress.phase {
            Phase::Marked => return self.say("the old database is read-only now"),
            Phase::Committed => return self.say("the new database has everything"),
            Phase::Copying => "copying",
            Phase::Comparing => "comparing",
        };
        if let Some(bar) = &self.bar {
            if is_new {
                bar.reset();
                bar.set_prefix(doing);
                bar.set_length(progress.total);
            }
            bar.set_message(progress.table);
            bar.set_position(progress.rows);
        } else if is_new || self.told.elapsed() >= EVERY || progress.rows == progress.total {
            self.told = Instant::now();
            self.say(&format!("{doing} {}: {} of {} rows", progress.table, progress.rows, progress.total));
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn say(&self, text: &str) {
        // Where standard error is closed nobody listens.
        let write = || _ = writeln!(std::io::stderr(), "{text}");
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}
