//! Giving values: never without an event that says so.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use futures_util::FutureExt;
use futures_util::future::try_join;
use serde::Serialize;
use strongroom_domain::EventId;
use strongroom_metadata::SecretRow;

use super::{AppError, Context};
use crate::audit::{Event, Outcome, Target};

/// Whose values are given.
pub(crate) struct Reveal<'a> {
    rows: Vec<&'a SecretRow>,
    /// Whether one secret was asked for, and not a list.
    is_single: bool,
}

impl<'a> Reveal<'a> {
    pub(crate) fn one(row: &'a SecretRow) -> Self {
        Self { rows: vec![row], is_single: true }
    }

    pub(crate) fn several(rows: Vec<&'a SecretRow>) -> Self {
        Self { rows, is_single: false }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Context {
    /// What is `coming`, once the event is durable that says that it was given.
    ///
    /// A store that has to be asked is asked meanwhile: both take about as long, and a reveal the longer of the two. So
    /// the event may be there before it is known whether the store gives the value. Where that comes otherwise, a second
    /// event says how, and which one it corrects. Where no store is waited for, nothing is written before it is known.
    pub(super) async fn given<T>(
        &self,
        reveal: &Reveal<'_>,
        coming: impl Future<Output = Result<T, AppError>> + Send,
    ) -> Result<T, AppError> {
        let mut coming = pin!(coming);
        if let Poll::Ready(came) = poll_fn(|task| Poll::Ready(coming.as_mut().poll(task))).await {
            let came = came?;
            self.record_reveal(reveal, Outcome::Success, None).await?;
            return Ok(came);
        }
        // Whoever may not have it without a record doesn't wait for a store when there is none.
        let (event, came) = try_join(self.record_reveal(reveal, Outcome::Success, None), coming.map(Ok)).await?;
        match came {
            Ok(came) => {
                if self.request().read_before.seconds().is_some() {
                    self.record_reveal(reveal, Outcome::Success, Some(event)).await?;
                }
                Ok(came)
            }
            Err(error) => {
                if let Err(unwritten) = self.record_reveal(reveal, Outcome::Failed, Some(event)).await {
                    tracing::warn!(%event, ?unwritten, "an event says of a value that it was given, and it wasn't");
                }
                Err(error)
            }
        }
    }

    /// Writes that values were given, or were not in the end: durable when this returns.
    async fn record_reveal(
        &self,
        reveal: &Reveal<'_>,
        outcome: Outcome,
        corrects: Option<EventId>,
    ) -> Result<EventId, AppError> {
        let opened = |row: &&SecretRow| Opened {
            id: row.id.to_string(),
            version: row.version.version,
            group_id: row.group_id.to_string(),
        };
        let detail = Detail {
            secrets: reveal.rows.iter().map(opened).collect(),
            read_before_seconds: self.request().read_before.seconds(),
            corrects: corrects.map(|id| id.to_string()),
        };
        let single = reveal.rows.first().filter(|_| reveal.is_single);
        let target = single
            .map_or_else(Target::secrets, |row| Target::secret(&self.app().tenant, row.id, &row.group_name, &row.key));
        let row = self.event(Event {
            action: if reveal.is_single { "READ_SECRET_VALUE" } else { "READ_SECRET_VALUES" },
            outcome,
            revision: single.map(|row| row.revision),
            detail: serde_json::to_string(&detail).unwrap_or_default(),
            ..Event::of(target)
        });
        let id = row.id;
        self.app().metadata.record(row).await?;
        Ok(id)
    }
}

/// What a reveal's event says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    secrets: Vec<Opened>,
    /// Set where a store could not be asked: how long ago the oldest of the values was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    read_before_seconds: Option<i64>,
    /// The event before it that said that they were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    corrects: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Opened {
    id: String,
    version: i64,
    group_id: String,
}
