//! What the engine and the store tell each other.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use campaign::{
    Address, CampaignId, ClaimId, Msisdn, Outcome, RouteId, Sender, Senders, SkipReason, Status, WaveId,
};
use jiff::{SignedDuration, Timestamp};

use super::{Answer, AnswerFate, Definition, Reply};

/// Everything the engine may have to do.
#[derive(Debug, Clone, Default)]
pub struct Agenda {
    /// Scheduled and Running campaigns.
    pub campaigns: Vec<Work>,
    /// Routes with answers to replies in their queue, and when the first is due.
    pub answers: Vec<(RouteId, Timestamp)>,
    /// Campaigns that could not be read, and why: they wait, the others go on.
    pub faults: Vec<Fault>,
}

/// A campaign whose data could not be read or stored, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The campaign.
    pub campaign: CampaignId,
    /// What failed.
    pub words: String,
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
    /// As whom each recipient is written to.
    pub senders: Arc<Senders>,
    /// The fields frozen with the audience, in order.
    pub fields: Arc<[String]>,
    /// When it was last restarted.
    pub restarted_at: Option<Timestamp>,
    /// Waves with something left that are due or held.
    pub waves: Vec<Wave>,
    /// When the next wave that is not due yet comes due.
    pub next_due: Option<Timestamp>,
    /// Retries that are due, as far as one claim can take them.
    pub retries_due: u32,
    /// When the next retry that is not due yet comes due.
    pub next_retry: Option<Timestamp>,
    /// Whether retries wait for a person's release, because they are late.
    pub retries_held: bool,
    /// Senders whose messages were set aside while the carrier refused them.
    pub parked: Vec<Parked>,
}

/// What was set aside of one sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The sender.
    pub sender: Arc<Sender>,
    /// How many, as far as one claim can take them.
    pub count: u32,
}

/// An open wave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wave {
    /// Its id.
    pub id: WaveId,
    /// Which message, from 1.
    pub message_no: u32,
    /// The zones of its recipients, as a [`campaign::ZoneGroup`] name.
    pub zones: Arc<str>,
    /// When it may begin.
    pub due_at: Timestamp,
    /// Waits for a person's release, and why.
    pub held: Option<Held>,
    /// The first that was never claimed.
    pub next_seq: i64,
    /// One past the last that may be claimed now: its end, or as far as the message before has come.
    pub bound: i64,
    /// When the bound moves, as far as that is known: the message before is far enough, and its distance is not over.
    pub bound_moves_at: Option<Timestamp>,
    /// One past its last.
    pub to_seq: i64,
}

/// Why a wave waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Nothing was dispatched for longer than the campaign's lateness limit.
    Late = 1,
    /// It lies behind the pilot.
    Pilot = 2,
}

impl Held {
    /// As stored; 0 is not held.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Reads [`Held::code`] back.
    pub fn from_code(code: u8) -> Option<Self> {
        [Self::Late, Self::Pilot].into_iter().find(|held| held.code() == code)
    }
}

/// A request to take the next part of a wave, or of the retries that are due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimRequest {
    /// The next part of a wave.
    Wave {
        /// The campaign and the epoch it was seen in.
        campaign: CampaignId,
        /// The epoch.
        epoch: i64,
        /// The wave.
        wave: WaveId,
        /// The most to claim.
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
        /// The most to claim.
        most: u32,
        /// Which of them.
        of: RetriesOf,
        /// When its route last had room: what was due before is not late by the time until then.
        alive_at: Timestamp,
    },
}

impl ClaimRequest {
    /// The campaign that is claimed for.
    pub const fn campaign(&self) -> CampaignId {
        match self {
            Self::Wave { campaign, .. } | Self::Retries { campaign, .. } => *campaign,
        }
    }
}

/// Which retries to claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetriesOf {
    /// Those that have a date, by date.
    Dated,
    /// Those that were set aside of one sender: first who was never refused, then who was asked longest ago.
    Parked(Arc<Sender>),
}

/// A claim: who is to get what.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The claim.
    pub id: ClaimId,
    /// The campaign.
    pub campaign: CampaignId,
    /// Which message.
    pub message_no: u32,
    /// Its wave; none for retries.
    pub wave: Option<WaveId>,
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
    /// What was tried so far.
    pub tries: Tries,
}

/// What was tried for one message to one recipient.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tries {
    /// Attempts of any kind.
    pub attempts: u32,
    /// Refusals that count for the recipient: others were accepted meanwhile.
    pub refusals: u32,
    /// When it was first refused for what may be its own fault or its route's.
    pub refused_at: Option<Timestamp>,
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
    /// As whom it was handed over; none where it never was.
    pub sender: Option<Arc<Sender>>,
    /// What became of it.
    pub fate: Fate,
    /// What was tried, this attempt included.
    pub tries: Tries,
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
    /// Set aside until its sender is accepted again.
    Parked {
        /// Whether this was an attempt.
        tried: bool,
        /// Why, in words.
        detail: String,
    },
}

/// A final delivery receipt.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// The route it came on.
    pub route: RouteId,
    /// The id as the SMSC spells it; empty where it gives none.
    pub id: String,
    /// The recipient, as far as the address tells.
    pub from: Address,
    /// The sender.
    pub to: Address,
    /// Delivered, or not.
    pub delivered: bool,
    /// The network's error code.
    pub code: Option<u32>,
    /// Why not, in words.
    pub detail: Option<String>,
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
    /// Claims whose tail was not written and goes back.
    pub unwritten: Vec<Unwritten>,
    /// What to claim.
    pub claims: Vec<ClaimRequest>,
    /// Campaigns whose first delivery has come due.
    pub due: Vec<CampaignId>,
    /// Waves found late: held from now on.
    pub late: Vec<(CampaignId, WaveId)>,
    /// Routes that had room to send.
    pub alive: Vec<RouteId>,
    /// The clock of the machine was set: what was to be tried again soon is dated anew.
    pub stepped: Option<ClockStep>,
    /// What became of answers to replies, by id.
    pub answered: Vec<(i64, AnswerFate)>,
    /// Routes that answers are to be taken for.
    pub answer: Vec<RouteId>,
}

/// The tail of a claim that was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unwritten {
    /// The campaign.
    pub campaign: CampaignId,
    /// The claim.
    pub claim: ClaimId,
    /// The first that was not written.
    pub from: i64,
}

/// The machine's clock was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockStep {
    /// What it would show now, had it not been set.
    pub from: Timestamp,
    /// By how much it was set forward; negative: back.
    pub by: SignedDuration,
}

impl Cycle {
    /// Splits off what belongs to `campaign`.
    #[must_use]
    pub fn take_campaign(&mut self, campaign: CampaignId) -> Self {
        let settled: Vec<_> = self.settled.extract_if(.., |s| s.campaign == campaign).collect();
        let claims: HashSet<ClaimId> = settled.iter().map(|s| s.claim).collect();
        Self {
            low: self.low.extract_if(.., |(claim, _)| claims.contains(claim)).collect(),
            settled,
            unwritten: self.unwritten.extract_if(.., |u| u.campaign == campaign).collect(),
            claims: self.claims.extract_if(.., |request| request.campaign() == campaign).collect(),
            due: self.due.extract_if(.., |due| *due == campaign).collect(),
            late: self.late.extract_if(.., |(late, _)| *late == campaign).collect(),
            ..Self::default()
        }
    }

    /// The campaigns that it concerns, receipts and replies left out.
    pub fn campaigns(&self) -> BTreeSet<CampaignId> {
        let settled = self.settled.iter().map(|s| s.campaign);
        let unwritten = self.unwritten.iter().map(|u| u.campaign);
        let claims = self.claims.iter().map(ClaimRequest::campaign);
        let late = self.late.iter().map(|(campaign, _)| *campaign);
        settled.chain(unwritten).chain(claims).chain(late).chain(self.due.iter().copied()).collect()
    }

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
            && self.stepped.is_none()
            && self.answered.is_empty()
            && self.answer.is_empty()
    }
}

/// What a turn of the engine brought.
#[derive(Debug, Default)]
pub struct Cycled {
    /// New claims.
    pub claimed: Vec<Claimed>,
    /// Answers to replies, taken to be sent.
    pub answers: Vec<Answer>,
    /// Campaigns whose status or totals changed.
    pub changed: Vec<CampaignId>,
    /// Campaigns of which nothing of this turn could be stored.
    pub faults: Vec<Fault>,
}
