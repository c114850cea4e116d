//! What the store keeps and hands out, free of any database.

use std::sync::Arc;

use campaign::{
    Action, CampaignId, Channel, ClaimId, ListId, Msisdn, Outcome, RouteId, Send, Sender, SkipReason, Status,
    Totals, WaveId, Window, lifecycle,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// One thing that is wrong with an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Where: `messages[0].text`.
    pub field: String,
    /// What, and what would be right.
    pub message: String,
}

impl Problem {
    /// A problem with `field`.
    pub fn new(field: impl Into<String>, message: impl std::fmt::Display) -> Self {
        Self { field: field.into(), message: format!("{message}") }
    }

    /// Fails where there are any.
    pub fn none(problems: Vec<Self>) -> crate::Result<()> {
        if problems.is_empty() { Ok(()) } else { Err(crate::StoreError::Invalid(problems)) }
    }
}

/// One message of a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// The text, with placeholders.
    pub text: String,
    /// When it goes.
    pub send: Send,
}

/// What a person defines. May be saved incomplete; what is missing is named at schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// SMS or voice.
    pub channel: Channel,
    /// Unique.
    pub name: String,
    /// Who answers for it.
    #[serde(default)]
    pub owner: Option<String>,
    /// Which route carries it.
    #[serde(default)]
    pub route_id: Option<RouteId>,
    /// Send-as number.
    #[serde(default)]
    pub sender: Option<Sender>,
    /// Whom it reaches.
    #[serde(default)]
    pub list_ids: Vec<ListId>,
    /// "I understand that I am required to obtain and store opt-in approval for every number texted".
    #[serde(default)]
    pub opt_in_acknowledged: bool,
    /// How long due work may lie undispatched before a person must release it.
    #[serde(default = "two_hours", with = "iso_duration")]
    pub lateness_limit: SignedDuration,
    /// What it is for: marketing, care, security.
    #[serde(default)]
    pub purpose: Option<String>,
    /// Send to the first so many, then wait.
    #[serde(default, skip_serializing)]
    pub pilot: Option<NotYet>,
    /// Not to be scheduled beyond this cost.
    #[serde(default, skip_serializing)]
    pub max_cost: Option<NotYet>,
    /// Zone of recipients whose own cannot be told.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// Sending window; left out: 08:00–21:00 every day; null: any time.
    #[serde(default = "default_window")]
    pub window: Option<Window>,
    /// Whether later messages go to a recipient whose earlier one failed.
    #[serde(default)]
    pub go_on_after_failure: bool,
    /// One to twenty.
    #[serde(default)]
    pub messages: Vec<Message>,
}

/// What the API names and this version does not do: leaving it out or null is the only value, so that
/// nobody relies on what would not happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotYet;

impl<'de> Deserialize<'de> for NotYet {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> std::result::Result<Self, D::Error> {
        Err(serde::de::Error::custom("this is not supported yet; leave it out"))
    }
}

const fn two_hours() -> SignedDuration {
    SignedDuration::from_hours(2)
}

#[expect(clippy::unnecessary_wraps, reason = "serde asks for the field's type")]
fn default_window() -> Option<Window> {
    Some(Window::default())
}

mod iso_duration {
    use jiff::{SignedDuration, Span, SpanRelativeTo};
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(value: &SignedDuration, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<SignedDuration, D::Error> {
        let text = String::deserialize(d)?;
        let wrong = || D::Error::custom(format!("'{text}' is not a duration; use PT2H or P1D"));
        let span: Span = text.parse().map_err(|_| wrong())?;
        let exact = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
        if exact.is_negative() { Err(wrong()) } else { Ok(exact) }
    }
}

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

/// How an SMSC is reached (SMPP 3.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// Unique.
    pub name: String,
    /// `smpp`.
    pub kind: RouteKind,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// At most 15 characters (SMPP 3.4 §5.2.1).
    pub system_id: String,
    /// At most 8 characters (SMPP 3.4 §5.2.2).
    #[serde(default)]
    pub password: String,
    /// Whether the connection is TLS.
    #[serde(default)]
    pub tls: bool,
    /// The certificate authority of the far end, PEM, where it is none that the system trusts.
    #[serde(default)]
    pub tls_ca: Option<String>,
    /// How many connections.
    #[serde(default = "one")]
    pub binds: u16,
    /// Unanswered `submit_sm` per bind.
    #[serde(default = "hundred")]
    pub window: u32,
    /// Messages per second over all binds; segments count.
    #[serde(default = "five_hundred")]
    pub rate_per_second: u32,
    /// Messages claimed and not yet committed; default 4 × binds × window.
    #[serde(default)]
    pub claim_budget: Option<u32>,
    /// Not used while true.
    #[serde(default)]
    pub disabled: bool,
}

const fn one() -> u16 {
    1
}
const fn hundred() -> u32 {
    100
}
const fn five_hundred() -> u32 {
    500
}

impl RouteConfig {
    /// What a crash can leave in doubt at most, in messages.
    pub fn claim_budget(&self) -> u32 {
        self.claim_budget.unwrap_or(4 * u32::from(self.binds) * self.window).max(1)
    }
}

/// What kind of carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteKind {
    /// SMPP 3.4.
    Smpp,
}

/// A route.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its id.
    pub id: RouteId,
    /// How it is reached.
    pub config: RouteConfig,
}

/// What a campaign needs of the engine: its frozen definition and its open work.
#[derive(Debug, Clone)]
pub struct Work {
    /// The campaign.
    pub id: CampaignId,
    /// Changes with every stop: claims of another epoch are void.
    pub epoch: i64,
    /// Scheduled or Running.
    pub status: Status,
    /// What was defined.
    pub definition: Arc<Definition>,
    /// The fields frozen with the audience, in order.
    pub fields: Arc<[String]>,
    /// When it was last restarted.
    pub restarted_at: Option<Timestamp>,
    /// Waves with something left.
    pub waves: Vec<Wave>,
    /// The due times of retries, by message: how many are due at or before each look.
    pub next_retry: Option<Timestamp>,
}

/// An open wave.
#[derive(Debug, Clone)]
pub struct Wave {
    /// Its id.
    pub id: WaveId,
    /// Which message, from 1.
    pub message_no: u32,
    /// The zones of its recipients, as a [`campaign::ZoneGroup`] name.
    pub zones: Arc<str>,
    /// When it may begin.
    pub due_at: Timestamp,
    /// Waits for a person's release.
    pub held: bool,
    /// The first that was never claimed.
    pub next_seq: i64,
    /// One past its last.
    pub to_seq: i64,
}

/// A request to take the next part of a wave, or of the retries that are due.
#[derive(Debug, Clone)]
pub enum ClaimRequest {
    /// The next part of a wave.
    Wave {
        /// The campaign and the epoch it was seen in.
        campaign: CampaignId,
        /// The epoch.
        epoch: i64,
        /// The wave.
        wave: WaveId,
        /// At most so many.
        most: u32,
        /// For a message after another: only whom the one before was settled for by then.
        settled_before: Option<Timestamp>,
    },
    /// Retries that are due.
    Retries {
        /// The campaign.
        campaign: CampaignId,
        /// The epoch.
        epoch: i64,
        /// At most so many.
        most: u32,
    },
}

/// A claim: who is to get what.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The claim.
    pub id: ClaimId,
    /// The campaign.
    pub campaign: CampaignId,
    /// The epoch it holds in.
    pub epoch: i64,
    /// Which message.
    pub message_no: u32,
    /// Its wave; none for retries.
    pub wave: Option<WaveId>,
    /// One past the last claimed.
    pub to_seq: i64,
    /// Not to be written later than this: the first window of its recipients to close. Waves leave it to
    /// the engine, which knows their window.
    pub send_before: Option<Timestamp>,
    /// In order; suppressed and skipped ones are left out and accounted for already.
    pub recipients: Vec<Recipient>,
}

/// One recipient of a claim.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// Place in the audience.
    pub seq: i64,
    /// The number.
    pub number: Msisdn,
    /// The values of the campaign's fields, in their order, as a JSON array.
    pub fields: Option<Box<str>>,
    /// Attempts so far.
    pub attempts: u32,
}

impl Recipient {
    /// The values of the campaign's fields, in their order; fewer where the last ones are not known.
    pub fn values(&self) -> Vec<Option<String>> {
        // Read here and not with the claim: the writer's time is the scarcest.
        self.fields.as_deref().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
    }
}

/// What became of one claimed message.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The claim it belongs to.
    pub claim: ClaimId,
    /// The campaign.
    pub campaign: CampaignId,
    /// Which message.
    pub message_no: u32,
    /// Place in the audience.
    pub seq: i64,
    /// The number.
    pub number: Msisdn,
    /// What became of it.
    pub fate: Fate,
    /// Attempts including this one.
    pub attempts: u32,
}

/// What became of an attempt.
#[derive(Debug, Clone)]
pub enum Fate {
    /// Settled.
    Final {
        /// The outcome.
        outcome: Outcome,
        /// Why it was skipped.
        reason: Option<SkipReason>,
        /// SMPP command status.
        code: Option<u32>,
        /// In words, where the code does not say it.
        detail: Option<String>,
        /// The SMSC's ids, one a segment.
        provider_ids: Vec<String>,
        /// Segments.
        parts: u32,
    },
    /// To be tried again.
    Again {
        /// When.
        due_at: Timestamp,
        /// Why, in words.
        detail: String,
    },
}

/// A final delivery receipt.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// The route it came on.
    pub route: RouteId,
    /// The id, and other spellings of it (hex, decimal).
    pub provider_ids: Vec<String>,
    /// The recipient.
    pub number: Msisdn,
    /// Delivered, or not.
    pub delivered: bool,
    /// The network's error code.
    pub code: Option<u32>,
}

/// A reply from a phone (MO).
#[derive(Debug, Clone)]
pub struct Reply {
    /// From whom.
    pub number: Msisdn,
    /// To which of our senders.
    pub sender: String,
    /// What.
    pub text: String,
}

/// One turn of the engine: everything that happened and everything that is to be claimed, in one
/// transaction.
#[derive(Debug, Clone, Default)]
pub struct Cycle {
    /// Results.
    pub settled: Vec<Settled>,
    /// Lowest unsettled seq of each claim touched by `settled`.
    pub low: Vec<(ClaimId, i64)>,
    /// Replies; a keyword in them takes effect.
    pub replies: Vec<Reply>,
    /// Receipts.
    pub receipts: Vec<Receipt>,
    /// Claims whose tail from this seq on was not written and goes back.
    pub unwritten: Vec<(ClaimId, i64)>,
    /// What to claim.
    pub claims: Vec<ClaimRequest>,
    /// Campaigns whose first delivery has come due.
    pub due: Vec<CampaignId>,
    /// Waves found late: held from now on.
    pub late: Vec<WaveId>,
    /// Routes that had room to send.
    pub alive: Vec<RouteId>,
}

impl Cycle {
    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.settled.is_empty()
            && self.receipts.is_empty()
            && self.replies.is_empty()
            && self.unwritten.is_empty()
            && self.claims.is_empty()
            && self.due.is_empty()
            && self.late.is_empty()
            && self.alive.is_empty()
    }
}

/// What a turn of the engine brought.
#[derive(Debug, Default)]
pub struct Cycled {
    /// New claims.
    pub claimed: Vec<Claimed>,
    /// Campaigns whose status or totals changed.
    pub changed: Vec<CampaignId>,
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

/// Where a delivery stands: settled with a row, or derived from what holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Has a row.
    Settled(Outcome),
    /// Not yet due, waiting, or to be tried again.
    Pending,
    /// On its way to the SMSC.
    Sending,
    /// Left unsent by a stop or an archiving.
    Cancelled,
}

impl Place {
    /// The word used in the API.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Settled(outcome) => outcome.word(),
            Self::Pending => "pending",
            Self::Sending => "sending",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads [`Place::word`] back.
    pub fn from_word(word: &str) -> Option<Self> {
        let derived = [Self::Pending, Self::Sending, Self::Cancelled];
        derived.into_iter().chain(Outcome::ALL.map(Self::Settled)).find(|place| place.word() == word)
    }
}

impl Serialize for Place {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.word())
    }
}

/// Where a page of deliveries begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// Message, from 1.
    pub message: u32,
    /// Place in the audience.
    pub seq: i64,
}

/// Which deliveries.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Only those that stand there.
    pub outcome: Option<Place>,
    /// Only this message.
    pub message: Option<u32>,
    /// Only numbers with these digits in them.
    pub number: Option<String>,
    /// From there on.
    pub from: Option<Cursor>,
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
}

/// A line of the delivery list.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveryRow {
    /// Which message.
    pub message: u32,
    /// Place in the audience.
    pub seq: i64,
    /// The number.
    pub number: String,
    /// Where it stands.
    pub outcome: Place,
    /// Why it was skipped.
    pub reason: Option<String>,
    /// SMPP command status or network error.
    pub code: Option<u32>,
    /// In words.
    pub detail: Option<String>,
    /// The SMSC's id.
    pub provider_id: Option<String>,
    /// Segments.
    pub segments: Option<u32>,
    /// Attempts.
    pub attempts: u32,
    /// When it was sent.
    pub sent_at: Option<Timestamp>,
    /// When it last changed.
    pub changed_at: Option<Timestamp>,
}

/// A stored reply.
#[derive(Debug, Clone, Serialize)]
pub struct ReplyRow {
    /// From whom.
    pub number: String,
    /// To which sender.
    pub sender: String,
    /// What.
    pub text: String,
    /// The keyword it was, if any.
    pub keyword: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// How an import stands.
#[derive(Debug, Clone, Serialize)]
pub struct ImportState {
    /// Its id.
    pub id: campaign::ImportId,
    /// queued, running, done, failed.
    pub state: String,
    /// Rows read.
    pub rows: i64,
    /// Rows taken.
    pub accepted: i64,
    /// Rows refused.
    pub rejected: i64,
    /// Why it failed.
    pub error: Option<String>,
}

/// A row that an import refused.
#[derive(Debug, Clone)]
pub struct RowError {
    /// Row in the file, the header being 1.
    pub row: i64,
    /// Which column.
    pub field: String,
    /// What stood there.
    pub value: String,
    /// What is wrong.
    pub message: String,
}

/// A contact to store.
#[derive(Debug, Clone)]
pub struct NewContact {
    /// The number.
    pub number: Msisdn,
    /// Zones by name, if known.
    pub zones: Option<String>,
    /// Everything else, as a JSON object of texts; `None` when empty.
    pub fields: Option<String>,
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
