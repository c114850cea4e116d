//! Campaigns as people see them.

use campaign::{Action, CampaignId, Channel, Status, Totals, lifecycle};
use jiff::Timestamp;
use serde::Serialize;

use super::Definition;

/// A campaign as it stands.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// What was defined.
    pub definition: Definition,
    /// Where it stands.
    pub status: Status,
    /// The status it was archived from.
    pub archived_from: Option<Status>,
    /// Grows with every change.
    pub version: i64,
    /// Recipients, once frozen.
    pub audience: i64,
    /// Whether something is held until a person releases it.
    pub held: bool,
    /// Times of its life.
    pub created_at: Timestamp,
    /// When it was scheduled.
    pub scheduled_at: Option<Timestamp>,
    /// When the first delivery came due.
    pub started_at: Option<Timestamp>,
    /// When it completed or was stopped.
    pub finished_at: Option<Timestamp>,
    /// Totals of each message.
    pub totals: Vec<Totals>,
}

impl Campaign {
    /// What a person can do with it now.
    pub fn available_actions(&self) -> Vec<Action> {
        lifecycle::available_actions(self.definition.channel, self.status, self.held)
    }

    /// Totals over all messages.
    pub fn sum(&self) -> Totals {
        self.totals.iter().fold(Totals::default(), |mut sum, t| {
            sum.add(t);
            sum
        })
    }
}

/// One line of a campaign's history.
#[derive(Debug, Clone, Serialize)]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// Who: a token's name, or the engine.
    pub actor: String,
    /// What happened.
    pub cause: String,
    /// The status since then.
    pub status: Status,
}

/// Which campaigns.
#[derive(Debug, Clone, Default)]
pub struct CampaignFilter {
    /// Only these.
    pub status: Option<Status>,
    /// Archived ones too.
    pub archived: bool,
    /// Only these.
    pub channel: Option<Channel>,
    /// Only those with this in their name.
    pub search: Option<String>,
    /// Only those made before this one.
    pub before: Option<CampaignId>,
}

/// What is known of an idempotency key.
pub enum Stored {
    /// Nothing: answer, and keep the answer.
    Fresh(crate::KeyInUse),
    /// The same request was answered.
    Answer {
        /// HTTP status.
        status: u16,
        /// JSON.
        answer: String,
    },
    /// The key was used for another request.
    OtherRequest,
    /// The first request with it is being answered at this moment.
    InUse,
    /// The program ended while it worked on the first request with it: nobody knows whether it was done.
    Unknown,
}

/// What a schedule would do.
#[derive(Debug, Clone, Serialize)]
pub struct Forecast {
    /// Distinct numbers.
    pub audience: i64,
    /// How many of them will be skipped, by reason.
    pub excluded: std::collections::BTreeMap<String, i64>,
    /// Segments of each message over the whole audience.
    pub segments: Vec<i64>,
    /// Whether segments and missing fields are estimated from a part of a large audience.
    pub estimated: bool,
    /// The first planned send.
    pub first_send: Option<Timestamp>,
    /// The last one, at the route's rate.
    pub last_send: Option<Timestamp>,
}

/// The rebuilt schedule of one message, as a restart would plan it.
#[derive(Debug, Clone, Serialize)]
pub struct RebuiltMessage {
    /// Which message.
    pub n: u32,
    /// How many recipients it still goes to.
    pub remaining: i64,
    /// When the first of them is due.
    pub first_due: Timestamp,
    /// When the last group of them is due.
    pub last_due: Timestamp,
}
