//! Webhooks: other systems that are notified of what happens.

use campaign::WebhookId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a webhook is notified of.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Level {
    /// Each delivery as it changes: sent, delivered, refused, skipped.
    Attempt,
    /// Replies, opt-outs and opt-ins; and, once a campaign has nothing more for a person, how it went.
    Person,
    /// Changes of a campaign's status.
    Campaign,
}

impl Level {
    /// Every level.
    pub const ALL: [Self; 3] = [Self::Attempt, Self::Person, Self::Campaign];

    /// The word that is stored and used in the API.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// A receiver of events.
#[derive(Debug, Clone, Serialize)]
pub struct Webhook {
    /// The webhook's id.
    pub id: WebhookId,
    /// Where events are posted.
    pub url: String,
    /// The levels that it listens at.
    pub levels: Vec<Level>,
    /// Why it is switched off; none while it is on.
    pub off: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// How many events wait to be sent, including those that are retried.
    pub queued: i64,
}

/// An event on its way.
#[derive(Debug, Clone)]
pub struct OutgoingEvent {
    /// The event's place in the queue; the receiver recognises a repetition by it.
    pub id: i64,
    /// The JSON, exactly as it is signed.
    pub payload: String,
    /// How many attempts there have been.
    pub tries: u32,
}

/// The result of an attempt to send an event.
#[derive(Debug, Clone, Serialize)]
pub struct EventTry {
    /// When the attempt was made.
    pub at: Timestamp,
    /// What the receiver answered, as an HTTP status; none where there was no answer.
    pub status: Option<u16>,
    /// Why it failed, where the status does not tell.
    pub detail: Option<String>,
    /// Milliseconds until the answer.
    pub took: i64,
}

/// What becomes of an event after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterTry {
    /// The receiver accepted it.
    Delivered,
    /// It is retried then.
    Again(Timestamp),
    /// It is not retried any more.
    GivenUp,
}

/// A line of a webhook's log.
#[derive(Debug, Clone, Serialize)]
pub struct EventRow {
    /// The event's id.
    pub id: i64,
    /// The kind of event, such as `campaign.completed`.
    pub kind: String,
    /// When it happened.
    pub at: Timestamp,
    /// `queued`, `delivered` or `given_up`.
    pub state: String,
    /// When the next attempt is due, while it is queued.
    pub due_at: Timestamp,
    /// What was posted.
    pub payload: String,
    /// Its attempts, oldest first.
    pub tries: Vec<EventTry>,
}
