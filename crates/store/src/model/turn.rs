//! What the engine and the store tell each other.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use campaign::{
    Address, CampaignId, ClaimId, Msisdn, Outcome, RouteId, Sender, Senders, SkipReason, Status, WaveId,
    retry,
};
use jiff::{SignedDuration, Timestamp};

use super::{Answer, AnswerFate, CallEnded, CallOptOut, CampaignError, Definition, Reply};

/// Everything the engine may have to do.
#[derive(Debug, Clone, Default)]
pub struct Agenda {
    /// Scheduled and Running campaigns.
    pub campaigns: Vec<Work>,
    /// Routes with answers to replies in their queue, and when the first is due.
    pub answers: Vec<(RouteId, Timestamp)>,
    /// Campaigns that could not be read, and why: these wait, the others go on.
    pub faults: Vec<Fault>,
}

/// A campaign whose data could not be read or stored, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The campaign.
    pub campaign: CampaignId,
    /// What failed.
    pub words: String,
    /// Whether the campaign has ended in error by it, as a campaign of calls does whose results cannot be stored.
    pub ended: bool,
}

/// What the engine needs to know about a campaign: its frozen definition and its open work.
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
    /// The senders, with the one that each recipient gets.
    pub senders: Arc<Senders>,
    /// The fields frozen with the audience, in order.
    pub fields: Arc<[String]>,
    /// When the campaign was last restarted.
    pub restarted_at: Option<Timestamp>,
    /// Waves with something left that are due or held.
    pub waves: Vec<Wave>,
    /// Waves of calls that come due within the time of [`COMING`]: what is said in them is rendered meanwhile.
    pub coming: Vec<Wave>,
    /// When the next wave that is not due yet comes due.
    pub next_due: Option<Timestamp>,
    /// Retries that are due, as far as one claim can take them.
    pub retries_due: u32,
    /// When the next retry that is not due yet comes due.
    pub next_retry: Option<Timestamp>,
    /// Whether any retries wait for a person to release them, because they are late.
    pub retries_held: bool,
    /// The most calls at once that its budget allows; none: any number.
    pub affordable: Option<u32>,
    /// Senders whose messages were set aside while the carrier refused them.
    pub parked: Vec<Parked>,
}

/// How long before their time what is said in calls may be rendered (the product document's ten minutes).
pub const COMING: SignedDuration = SignedDuration::from_mins(10);

/// The messages of one sender that were set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The sender.
    pub sender: Arc<Sender>,
    /// How many messages, as far as one claim can take them.
    pub count: u32,
}

/// An open wave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wave {
    /// The wave's id.
    pub id: WaveId,
    /// Which message, from 1.
    pub message_no: u32,
    /// The zones of its recipients, as a [`campaign::ZoneGroup`] name.
    pub zones: Arc<str>,
    /// When it may begin.
    pub due_at: Timestamp,
    /// Why it waits for a person to release it, if it does.
    pub held: Option<Held>,
    /// The first place that was never claimed.
    pub next_seq: i64,
    /// One past the last place that may be claimed now: its end, or as far as the previous message has come.
    pub bound: i64,
    /// When the bound will move, if that is known: the previous message is far enough, but its distance is not over.
    pub bound_moves_at: Option<Timestamp>,
    /// One past its last place.
    pub to_seq: i64,
}

/// Why a wave waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Nothing was dispatched for longer than the campaign's lateness limit.
    Late = 1,
    /// The wave is behind the pilot.
    Pilot = 2,
}

impl Held {
    /// The number that is stored; 0 means not held.
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
        /// The campaign.
        campaign: CampaignId,
        /// The epoch in which it was seen.
        epoch: i64,
        /// The wave.
        wave: WaveId,
        /// The most to claim.
        most: u32,
        /// For a message after another: only recipients whose previous message was settled by then.
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
        /// Which retries.
        of: RetriesOf,
        /// When the route last had room: a retry that was due earlier is not late by the time until then.
        alive_at: Timestamp,
    },
}

impl ClaimRequest {
    /// The campaign to claim for.
    pub const fn campaign(&self) -> CampaignId {
        match self {
            Self::Wave { campaign, .. } | Self::Retries { campaign, .. } => *campaign,
        }
    }
}

/// Which retries to claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetriesOf {
    /// The retries that have a date, by date.
    Dated,
    /// The retries of one sender that were set aside: first those never refused, then those tried longest ago.
    Parked(Arc<Sender>),
}

/// A claim: the recipients who are to get a message.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The claim.
    pub id: ClaimId,
    /// The campaign.
    pub campaign: CampaignId,
    /// The number of the message.
    pub message_no: u32,
    /// Its wave; none for retries.
    pub wave: Option<WaveId>,
    /// When writing must end: when the first window of its recipients closes. Waves leave this to the engine, which
    /// knows their window.
    pub send_before: Option<Timestamp>,
    /// The recipients in order; suppressed and skipped ones are left out and accounted for already.
    pub recipients: Vec<Recipient>,
}

/// One recipient of a claim.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// The recipient's place in the audience.
    pub seq: i64,
    /// The number.
    pub number: Msisdn,
    /// The values of the campaign's fields, in their order, as a JSON array.
    pub fields: Option<Box<str>>,
    /// The tries so far.
    pub tries: Tries,
    /// The calls so far that count; empty for messages.
    pub calls: Vec<retry::Call>,
}

/// The tries of one message to one recipient.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tries {
    /// Attempts of any kind.
    pub attempts: u32,
    /// Refusals that count against the recipient: others were accepted meanwhile.
    pub refusals: u32,
    /// When it was first refused for a reason that may be the recipient's or the route's.
    pub refused_at: Option<Timestamp>,
}

impl Recipient {
    /// The values of the campaign's fields, in their order; fewer where the last ones are unknown.
    pub fn values(&self) -> Vec<Option<String>> {
        // Parsed here and not with the claim: the writer's time is the scarcest.
        self.fields.as_deref().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
    }
}

/// What became of one claimed message.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The claim that it belongs to.
    pub claim: ClaimId,
    /// The campaign.
    pub campaign: CampaignId,
    /// The number of the message.
    pub message_no: u32,
    /// The recipient's place in the audience.
    pub seq: i64,
    /// The number.
    pub number: Msisdn,
    /// The sender that it was handed over with; none where it never was.
    pub sender: Option<Arc<Sender>>,
    /// What became of it.
    pub fate: Fate,
    /// The tries, including this attempt.
    pub tries: Tries,
}

/// What became of an attempt.
#[derive(Debug, Clone)]
pub enum Fate {
    /// Settled for good.
    Final {
        /// The outcome.
        outcome: Outcome,
        /// Why it was skipped, if it was.
        reason: Option<SkipReason>,
        /// SMPP command status.
        code: Option<u32>,
        /// The reason in words, where the code does not tell it.
        detail: Option<String>,
        /// The SMSC's ids, one per segment.
        provider_ids: Vec<String>,
        /// How many segments it had.
        parts: u32,
    },
    /// To be retried.
    Again {
        /// When to retry it.
        due_at: Timestamp,
        /// Why, in words.
        detail: String,
        /// What stands where nothing follows, because its campaign has ended meanwhile; none: it was left.
        otherwise: Option<Box<Fate>>,
    },
    /// Set aside until its sender is accepted again.
    Parked {
        /// Whether this was an attempt to send.
        tried: bool,
        /// Why, in words.
        detail: String,
    },
}

impl Fate {
    /// Settled without ids or parts: nothing was written, or it was a call.
    pub const fn settled(
        outcome: Outcome,
        reason: Option<SkipReason>,
        code: Option<u32>,
        detail: Option<String>,
    ) -> Self {
        Self::Final { outcome, reason, code, detail, provider_ids: Vec::new(), parts: 0 }
    }
}

/// A final delivery receipt.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// The route it came on.
    pub route: RouteId,
    /// The ids that it names, as the SMSC spells them; the first goes before the second, and further ones are not
    /// looked at. None where it gives none.
    pub ids: Vec<String>,
    /// The recipient, as far as the address tells whom.
    pub from: Address,
    /// The sender.
    pub to: Address,
    /// Whether the message was delivered.
    pub delivered: bool,
    /// The network's error code.
    pub code: Option<u32>,
    /// Why it was not delivered, in words.
    pub detail: Option<String>,
}

/// One turn of the engine: everything that happened and everything to claim, in one transaction.
#[derive(Debug, Clone, Default)]
pub struct Cycle {
    /// Results of claimed messages.
    pub settled: Vec<Settled>,
    /// The lowest unsettled seq of each claim in `settled`.
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
    /// Waves found late, to be held from now on.
    pub late: Vec<(CampaignId, WaveId)>,
    /// Routes that had room to send.
    pub alive: Vec<RouteId>,
    /// The step of the machine's clock, if it was set: retries that are due soon are moved with it.
    pub stepped: Option<ClockStep>,
    /// What became of answers to replies, by id.
    pub answered: Vec<(i64, AnswerFate)>,
    /// Routes to take answers for.
    pub answer: Vec<RouteId>,
    /// Calls that have ended.
    pub calls: Vec<CallEnded>,
    /// People who pressed the key that opts out.
    pub opt_outs: Vec<CallOptOut>,
    /// Campaigns that cannot go on, and why.
    pub broken: Vec<(CampaignId, CampaignError)>,
}

/// The tail of a claim that was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unwritten {
    /// The campaign.
    pub campaign: CampaignId,
    /// The claim.
    pub claim: ClaimId,
    /// The first place that was not written.
    pub from: i64,
}

/// A step of the machine's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockStep {
    /// What the clock would show now if it had not been set.
    pub from: Timestamp,
    /// How far the clock was set forward; negative: back.
    pub by: SignedDuration,
}

impl Cycle {
    /// Splits off the part that belongs to `campaign`.
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
            calls: self.calls.extract_if(.., |call| call.campaign == campaign).collect(),
            broken: self.broken.extract_if(.., |(broken, _)| *broken == campaign).collect(),
            ..Self::default()
        }
    }

    /// Adds what happened in `later`: what it asks for is chosen anew.
    pub fn add_results(&mut self, later: Self) {
        self.settled.extend(later.settled);
        self.unwritten.extend(later.unwritten);
        self.replies.extend(later.replies);
        self.receipts.extend(later.receipts);
        self.answered.extend(later.answered);
        self.calls.extend(later.calls);
        self.opt_outs.extend(later.opt_outs);
        self.broken.extend(later.broken);
    }

    /// The campaigns that the turn concerns, not counting receipts and replies.
    pub fn campaigns(&self) -> BTreeSet<CampaignId> {
        let settled = self.settled.iter().map(|s| s.campaign);
        let unwritten = self.unwritten.iter().map(|u| u.campaign);
        let claims = self.claims.iter().map(ClaimRequest::campaign);
        let late = self.late.iter().map(|(campaign, _)| *campaign);
        let calls = self.calls.iter().map(|call| call.campaign);
        let broken = self.broken.iter().map(|(campaign, _)| *campaign);
        let due = self.due.iter().copied();
        settled.chain(unwritten).chain(claims).chain(late).chain(calls).chain(broken).chain(due).collect()
    }

    /// Empties it, and keeps its memory.
    pub fn clear(&mut self) {
        let Self {
            settled,
            low,
            replies,
            receipts,
            unwritten,
            claims,
            due,
            late,
            alive,
            stepped,
            answered,
            answer,
            calls,
            opt_outs,
            broken,
        } = self;
        settled.clear();
        low.clear();
        replies.clear();
        receipts.clear();
        unwritten.clear();
        claims.clear();
        due.clear();
        late.clear();
        alive.clear();
        *stepped = None;
        answered.clear();
        answer.clear();
        calls.clear();
        opt_outs.clear();
        broken.clear();
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
            && self.calls.is_empty()
            && self.opt_outs.is_empty()
            && self.broken.is_empty()
    }
}

/// The outcome of a turn of the engine.
#[derive(Debug, Default)]
pub struct Cycled {
    /// New claims.
    pub claimed: Vec<Claimed>,
    /// Answers to replies, taken to be sent.
    pub answers: Vec<Answer>,
    /// Campaigns whose status or totals changed.
    pub changed: Vec<CampaignId>,
    /// Campaigns for which nothing of this turn could be stored.
    pub faults: Vec<Fault>,
}
