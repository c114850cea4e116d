//! Webhooks: other systems that are told of what happens.

use campaign::WebhookId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a webhook is told of.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Level {
    /// Each delivery as it changes: sent, delivered, refused, skipped.
    Attempt,
    /// Replies, opt-outs and opt-ins; and once a campaign has nothing more for somebody, how it went.
    Person,
    /// A campaign's statuses.
    Campaign,
}

impl Level {
    /// Every level.
    pub const ALL: [Self; 3] = [Self::Attempt, Self::Person, Self::Campaign];

    /// As stored, and as the API says it.
    pub fn word(self) -> &'static str {
        self.into()
    }
}

/// Where events are told to.
#[derive(Debug, Clone, Serialize)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Where events are posted.
    pub url: String,
    /// What it is told of.
    pub levels: Vec<Level>,
    /// Why nothing is sent to it; none while it is on.
    pub off: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Events that wait to be told, those that are tried again among them.
    pub queued: i64,
}

/// An event on its way.
#[derive(Debug, Clone)]
pub struct OutgoingEvent {
    /// Its place in the queue; the receiver tells a repetition by it.
    pub id: i64,
    /// The JSON, as it is signed.
    pub payload: String,
    /// Tries so far.
    pub tries: u32,
}

/// How a try went.
#[derive(Debug, Clone, Serialize)]
pub struct EventTry {
    /// When.
    pub at: Timestamp,
    /// What the receiver answered, as an HTTP status; none where there was no answer.
    pub status: Option<u16>,
    /// Why it failed, where the status does not say it.
    pub detail: Option<String>,
    /// Milliseconds until the answer.
    pub took: i64,
}

/// What is to become of an event after a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterTry {
    /// The receiver has it.
    Delivered,
    /// It is tried again then.
    Again(Timestamp),
    /// It is not tried any more.
    GivenUp,
}

/// A line of a webhook's log.
#[derive(Debug, Clone, Serialize)]
pub struct EventRow {
    /// The event.
    pub id: i64,
    /// `campaign.completed`.
    pub kind: String,
    /// When it happened.
    pub at: Timestamp,
    /// `queued`, `delivered` or `given_up`.
    pub state: String,
    /// When it is tried next, while it is queued.
    pub due_at: Timestamp,
    /// What was posted.
    pub payload: String,
    /// Its tries, oldest first.
    pub tries: Vec<EventTry>,
}
