//! Campaigns as people see them.

use campaign::{
    Action, CampaignId, Channel, Status, Totals,
    lifecycle::{self, Circumstances},
    money::Money,
    outcome::Place,
};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Definition, StepCount};

/// A campaign in its present state.
#[derive(Debug, Clone)]
pub struct Campaign {
    /// The campaign's id.
    pub id: CampaignId,
    /// What was defined.
    pub definition: Definition,
    /// The campaign's status.
    pub status: Status,
    /// The status it was archived from.
    pub archived_from: Option<Status>,
    /// The version; grows with every change.
    pub version: i64,
    /// How many recipients it has, once frozen.
    pub audience: i64,
    /// Whether anything is held until a person releases it.
    pub held: bool,
    /// Who created it.
    pub created_by: String,
    /// The first planned send, once scheduled.
    pub starts_at: Option<Timestamp>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was scheduled.
    pub scheduled_at: Option<Timestamp>,
    /// When the first delivery came due.
    pub started_at: Option<Timestamp>,
    /// When it completed or was stopped.
    pub finished_at: Option<Timestamp>,
    /// Totals of each message.
    pub totals: Vec<Totals>,
    /// How often calls came to each step of its script.
    pub steps: Vec<StepCount>,
}

impl Campaign {
    /// The actions that a person can take now.
    pub fn available_actions(&self) -> Vec<Action> {
        lifecycle::available_actions(self.definition.channel(), self.status, self.circumstances())
    }

    fn circumstances(&self) -> Circumstances {
        let sum = self.sum();
        let up = [Place::Dialing, Place::Ringing, Place::InProgress];
        Circumstances { held: self.held, calls_up: up.into_iter().any(|place| sum[place] > 0) }
    }

    /// Tells apart the calls that are up ([`Totals::tell_apart`]).
    pub fn tell_apart(&mut self, ringing: u32, in_progress: u32) {
        if let Some(totals) = self.totals.first_mut() {
            totals.tell_apart(ringing.into(), in_progress.into());
        }
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
    /// When it happened.
    pub at: Timestamp,
    /// Who did it: a person, a token's name, or the engine.
    pub actor: String,
    /// What happened.
    pub cause: String,
    /// The status from then on.
    pub status: Status,
}

/// Which campaigns to list.
#[derive(Debug, Clone, Default)]
pub struct CampaignFilter {
    /// Only those with this status.
    pub status: Option<Status>,
    /// Whether to list archived ones too.
    pub archived: bool,
    /// Only those with this channel.
    pub channel: Option<Channel>,
    /// Only those with this in their name.
    pub search: Option<String>,
    /// Only those sent from this sender, spelt as it was saved, or from a pool that has it.
    pub sender: Option<String>,
    /// Only those that start at or after this.
    pub starts_from: Option<Timestamp>,
    /// Only those that start before this.
    pub starts_before: Option<Timestamp>,
    /// Only those made before this one.
    pub before: Option<CampaignId>,
    /// The order to list them in.
    pub sort: CampaignSort,
    /// Whether to reverse the order.
    pub reverse: bool,
    /// How many of the first to leave out.
    pub skip: u32,
}

/// What the Campaign Index sorts by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum CampaignSort {
    /// Newest first.
    #[default]
    Created,
    /// What runs, what starts next, then the newest.
    Current,
    /// By status.
    Status,
    /// By name.
    Name,
    /// By the first planned send; campaigns without one come first.
    Start,
    /// By the person who created it.
    CreatedBy,
    /// By the number of messages.
    Messages,
    /// By the name of its first contact list.
    List,
    /// By the share of deliveries that are settled.
    Progress,
}

impl CampaignSort {
    /// All orders.
    pub const ALL: [Self; 9] = [
        Self::Created,
        Self::Current,
        Self::Status,
        Self::Name,
        Self::Start,
        Self::CreatedBy,
        Self::Messages,
        Self::List,
        Self::Progress,
    ];

    /// The word in a page's address.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Reads [`CampaignSort::word`] back.
    pub fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

/// What is known about an idempotency key.
pub enum Stored {
    /// Nothing: answer the request, and store the answer.
    Fresh(crate::KeyInUse),
    /// The same request was answered before.
    Answer {
        /// HTTP status.
        status: u16,
        /// The answer, as JSON.
        answer: String,
    },
    /// The key was used for another request.
    OtherRequest,
    /// The first request with this key is being answered at this moment.
    InUse,
    /// The program ended while it worked on the first request with this key: nobody knows whether it was done.
    Unknown,
}

/// How long a speech engine takes, measured: the seconds that a character takes, with all that is rendered at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace(pub f64);

impl Pace {
    /// How long so many characters take.
    pub fn of(self, characters: usize) -> SignedDuration {
        SignedDuration::try_from_secs_f64(self.0 * characters as f64).unwrap_or(SignedDuration::MAX)
    }
}

/// A forecast of what a schedule would do.
#[derive(Debug, Clone, Serialize)]
pub struct Forecast {
    /// How many distinct numbers it has.
    pub audience: i64,
    /// How many of them get any message.
    pub recipients: i64,
    /// How many of them will be skipped, by reason.
    pub excluded: std::collections::BTreeMap<String, i64>,
    /// Segments of each message, over all recipients who get it.
    pub segments: Vec<i64>,
    /// Whether segments and missing fields are estimated from a part of a large audience.
    pub estimated: bool,
    /// What all segments cost, where the route's price is known; of calls, the least: each is answered and takes the
    /// script's shortest course.
    pub cost: Option<Money>,
    /// The most that calls cost, one to each recipient: each takes the script's longest course.
    pub cost_most: Option<Money>,
    /// How long rendering what is said takes, where something is said and the speech engine's pace is known.
    pub rendering: Option<SignedDuration>,
    /// The first planned send.
    pub first_send: Option<Timestamp>,
    /// The last planned send, at the route's rate, and of calls no faster than what is said in them is rendered.
    pub last_send: Option<Timestamp>,
    /// When each message goes, first and last.
    pub times: Vec<MessageTimes>,
    /// Recipients that sending windows keep waiting, by message.
    pub delayed: Vec<WindowDelay>,
    /// The most that it may cost, if the campaign has a budget.
    pub max_cost: Option<Money>,
    /// Whether it would cost more than its budget, so that it cannot be scheduled.
    pub over_budget: bool,
    /// What may not be meant as it is written.
    pub warnings: Vec<super::Problem>,
}

/// When a message goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MessageTimes {
    /// The number of the message.
    pub n: u32,
    /// When the first recipient is sent to.
    pub first_send: Timestamp,
    /// When the last recipient is sent to, at the route's rate.
    pub last_send: Timestamp,
}

/// What is still to come of a campaign, as far as can be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outlook {
    /// When its next message goes.
    pub next: Option<Timestamp>,
    /// When its last message goes.
    pub last: Option<Timestamp>,
    /// When each message goes.
    pub times: Vec<MessageTimes>,
}

/// The delay of one message by sending windows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WindowDelay {
    /// The number of the message.
    pub n: u32,
    /// How many recipients get it later than it is due, or later than the rate alone would have it.
    pub recipients: i64,
    /// When the windows of the last of these recipients open.
    pub until: Timestamp,
}

/// A text as some contacts would get it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Preview {
    /// Numbers and texts.
    pub samples: Vec<(String, String)>,
    /// How many of the contacts that were looked at lack a field that it needs.
    pub lacking: i64,
    /// The numbers of the first few of them.
    pub lackers: Vec<String>,
    /// How many contacts were looked at, where there may be more; none: all were.
    pub looked_at: Option<i64>,
}

/// The rebuilt schedule of one message, as a restart would plan it.
#[derive(Debug, Clone, Serialize)]
pub struct RebuiltMessage {
    /// The number of the message.
    pub n: u32,
    /// How many recipients it still goes to.
    pub remaining: i64,
    /// When the first of them is due.
    pub first_due: Timestamp,
    /// When the last group of them is due.
    pub last_due: Timestamp,
}
