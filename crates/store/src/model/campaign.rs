//! Campaigns as people see them.

use campaign::{Action, CampaignId, Channel, Status, Totals, lifecycle, money::Money};
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
    /// Who made it.
    pub created_by: String,
    /// The first planned send, once scheduled.
    pub starts_at: Option<Timestamp>,
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
        lifecycle::available_actions(self.definition.channel(), self.status, self.held)
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
    /// Only those sent as this, spelt as it was saved, or as a pool that has it.
    pub sender: Option<String>,
    /// Only those that start at or after this.
    pub starts_from: Option<Timestamp>,
    /// Only those that start before this.
    pub starts_before: Option<Timestamp>,
    /// Only those made before this one.
    pub before: Option<CampaignId>,
    /// In which order.
    pub sort: CampaignSort,
    /// The other way round.
    pub reverse: bool,
    /// Leaves out so many of the first.
    pub skip: u32,
}

/// What the Campaign Index sorts by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum CampaignSort {
    /// Newest first.
    #[default]
    Created,
    /// By status.
    Status,
    /// By name.
    Name,
    /// By the first planned send; what has none comes first.
    Start,
    /// By who made it.
    CreatedBy,
    /// By number of messages.
    Messages,
    /// By the name of its first contact list.
    List,
    /// By the share that is settled.
    Progress,
}

impl CampaignSort {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Created,
        Self::Status,
        Self::Name,
        Self::Start,
        Self::CreatedBy,
        Self::Messages,
        Self::List,
        Self::Progress,
    ];

    /// As an address names it.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Reads [`CampaignSort::word`] back.
    pub fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }
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
    /// How many of them get anything.
    pub recipients: i64,
    /// How many of them will be skipped, by reason.
    pub excluded: std::collections::BTreeMap<String, i64>,
    /// Segments of each message over all that get it.
    pub segments: Vec<i64>,
    /// Whether segments and missing fields are estimated from a part of a large audience.
    pub estimated: bool,
    /// What all segments cost, where the route's price is known.
    pub cost: Option<Money>,
    /// The first planned send.
    pub first_send: Option<Timestamp>,
    /// The last one, at the route's rate.
    pub last_send: Option<Timestamp>,
    /// When each message goes: its first and its last.
    pub times: Vec<MessageTimes>,
    /// Whom sending windows keep waiting, by message.
    pub delayed: Vec<WindowDelay>,
    /// The most it may cost, where the campaign has a budget.
    pub max_cost: Option<Money>,
    /// Whether it would cost more than that, so that it cannot be scheduled.
    pub over_budget: bool,
    /// What may be meant otherwise than it is written.
    pub warnings: Vec<super::Problem>,
}

/// When a message goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageTimes {
    /// Which message.
    pub n: u32,
    /// The first of it.
    pub first_send: Timestamp,
    /// The last of it, at the route's rate.
    pub last_send: Timestamp,
}

/// What is still to come of a campaign, as far as can be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outlook {
    /// When the next of it goes.
    pub next: Option<Timestamp>,
    /// When the last of it goes.
    pub last: Option<Timestamp>,
    /// When each message goes.
    pub times: Vec<MessageTimes>,
}

/// What sending windows delay of one message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WindowDelay {
    /// Which message.
    pub n: u32,
    /// How many recipients get it later than it is due, or than the rate alone would have it.
    pub recipients: i64,
    /// When the windows of the last of them open.
    pub until: Timestamp,
}

/// A text as some contacts would get it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// Numbers and texts.
    pub samples: Vec<(String, String)>,
    /// How many contacts lack a field that it needs, of those that were looked at.
    pub lacking: i64,
    /// The first few of them.
    pub lackers: Vec<String>,
    /// How many were looked at, where there may be more; none: all were.
    pub looked_at: Option<i64>,
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
