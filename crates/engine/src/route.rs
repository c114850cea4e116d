//! What the engine asks of a route, and what a route reports to the engine. `sms` and `voice` implement it.

use std::sync::Arc;

use campaign::{CampaignId, ClaimId, Msisdn, Sender, Tlvs, WaveId};
use jiff::{SignedDuration, Timestamp};
use store::{ExchangedMessage, OptOuts, Receipt, Refusal, Reply};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::{CallReport, CallRow, Calls, Live, Renderer, TestCall};

/// Whether a route can carry messages now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteState {
    /// The route can carry messages.
    Connected,
    /// The route has no connection, or no longer has one; it keeps trying.
    Connecting,
    /// The far end refuses us, in its words.
    Refused(String),
}

impl RouteState {
    /// The state's word in the API.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Connecting => "connecting",
            Self::Refused(_) => "refused",
        }
    }
}

/// The last fault of a connection.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// When it happened.
    pub at: Timestamp,
    /// The fault in words.
    pub words: String,
    /// The far end's SIP code, where there is one.
    pub code: Option<u16>,
    /// What was asked and answered, where it is known.
    pub exchange: Vec<ExchangedMessage>,
}

impl Trouble {
    /// A fault of this moment that is known in words alone.
    pub fn now(words: String) -> Self {
        Self { at: Timestamp::now(), words, code: None, exchange: Vec::new() }
    }
}

/// One message, rendered.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The number that identifies it in reports ([`Job`]).
    pub seq: i64,
    /// What the recipient sees as the origin.
    pub sender: Arc<Sender>,
    /// The recipient.
    pub number: Msisdn,
    /// The text as it should arrive.
    pub text: Arc<str>,
}

/// What a batch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Job {
    /// Messages of a campaign, under a claim; `seq` is the place in the audience.
    Claim {
        /// The campaign, for the stop barrier.
        campaign: CampaignId,
        /// The claim.
        claim: ClaimId,
    },
    /// One answer to a reply, which may go to a number that opted out; `seq` is the answer's id.
    Answer,
}

impl Job {
    /// Whether the job belongs to `campaign`.
    pub fn is_of(self, campaign: CampaignId) -> bool {
        matches!(self, Self::Claim { campaign: of, .. } if of == campaign)
    }
}

/// A batch that is handed to a route: written in this order, on one connection.
#[derive(Debug, Clone)]
pub struct Batch {
    /// What the batch is for.
    pub job: Job,
    /// When writing ends and the rest goes back: the window's end, or the end of the claim's lease.
    pub send_before: Timestamp,
    /// The purpose of the messages, as an opt-out may hold for one purpose alone; empty: not stated.
    pub purpose: Arc<str>,
    /// How long the SMSC may try to deliver; none: the SMSC decides.
    pub validity: Option<SignedDuration>,
    /// Optional parameters of each message, beside those of the route.
    pub tlvs: Arc<Tlvs>,
    /// The messages.
    pub messages: Vec<Outgoing>,
}

/// How an attempt went.
#[derive(Debug, Clone)]
pub enum Attempt {
    /// The SMSC accepted the message, with one id per segment.
    Accepted {
        /// The ids.
        provider_ids: Vec<String>,
    },
    /// The SMSC refused the message.
    Refused {
        /// What the refusal is blamed on.
        kind: Refusal,
        /// SMPP command status.
        status: u32,
        /// The status in words.
        words: String,
    },
    /// Not written: the number has opted out since it was claimed.
    OptedOut,
    /// Handed over, but the answer was lost.
    Lost {
        /// How the answer was lost.
        words: String,
    },
}

/// What a route reports to the engine.
#[derive(Debug)]
pub enum Report {
    /// The result of one message.
    Result {
        /// What the message was sent for.
        job: Job,
        /// Which message of the job it is.
        seq: i64,
        /// How the attempt went.
        attempt: Attempt,
    },
    /// Nothing of the batch from this seq on was written, nor will be.
    Unwritten {
        /// What the batch was for.
        job: Job,
        /// The first message that was not written.
        from_seq: i64,
    },
    /// What became of one call.
    Called {
        /// The claim.
        claim: ClaimId,
        /// The recipient's place in the audience.
        seq: i64,
        /// What became of it.
        report: Box<CallReport>,
    },
    /// A phone rings, or a call was answered: told to whoever looks, and not stored.
    Progress {
        /// The campaign.
        campaign: CampaignId,
    },
    /// A person pressed the key that opts out: to be stored now, while the call goes on.
    OptedOut {
        /// The campaign.
        campaign: CampaignId,
        /// The person.
        number: Msisdn,
    },
    /// What is said to a wave's recipients is rendered, up to this place.
    Rendered {
        /// The wave.
        wave: WaveId,
        /// The epoch of its campaign.
        epoch: i64,
        /// One past the last place that is ready.
        to: i64,
    },
    /// A final delivery receipt.
    Receipt(Receipt, Ack),
    /// A reply from a phone.
    Reply(Reply, Ack),
    /// The route's state changed.
    State,
}

impl Report {
    /// Whether it may share a commit with those of the next moment: how a call goes and what it came to, but no opt-out.
    pub(crate) const fn can_wait(&self) -> bool {
        matches!(self, Self::Called { .. } | Self::Progress { .. })
    }
}

/// Tells the far end that what it handed over is stored. The far end hands over again whatever was never acknowledged,
/// so nothing is lost where the program ends in between. While an acknowledgement lives it takes up room on its route,
/// so the route does not read from a far end that hands over more than can be stored.
#[derive(Debug)]
pub struct Ack {
    to: mpsc::UnboundedSender<u32>,
    number: u32,
    _room: Option<OwnedSemaphorePermit>,
}

impl Ack {
    /// Sends `number` to `to` once it is stored, and gives `room` back then.
    pub fn new(to: mpsc::UnboundedSender<u32>, number: u32, room: Option<OwnedSemaphorePermit>) -> Self {
        Self { to, number, _room: room }
    }

    /// Acknowledges it; call only once it is stored.
    pub fn stored(self) {
        // If the connection is gone, the far end hands it over again on the next one.
        let _ = self.to.send(self.number);
    }
}

/// Where routes put their reports. Results always get through: there are no more of them than were claimed. What a far
/// end hands over unasked is bounded by the route ([`Ack`]).
pub type Reports = mpsc::UnboundedSender<Report>;

/// Makes a route that carries messages from a route of the store.
pub type Connect = Box<dyn Fn(&store::Route, Reports, OptOuts) -> Arc<dyn Route> + Send>;

/// A way out for messages.
#[async_trait::async_trait]
pub trait Route: Send + Sync {
    /// Whether it can carry messages now.
    fn state(&self) -> RouteState;

    /// Messages that were written and not yet answered, each segment counted as one; calls that are up.
    fn unanswered(&self) -> u32;

    /// Second legs of calls that are up, to agents: each takes a place of the trunk as a call does.
    fn legs(&self) -> u32 {
        0
    }

    /// The last fault of a connection, which may be over by now.
    fn trouble(&self) -> Option<Trouble>;

    /// Takes a batch of messages. Every message of it is reported exactly once: by a result, or as part of the tail that was not
    /// written.
    fn submit(&self, batch: Batch);

    /// Makes calls. Every call is reported exactly once, as [`Report::Called`].
    fn dial(&self, calls: Calls);

    /// What renders the texts of calls before they are made; none where nothing is to be rendered.
    fn renderer(&self) -> Option<Arc<dyn Renderer>> {
        None
    }

    /// Makes a call that tests the route, and returns what is shown of it once it has ended.
    ///
    /// # Errors
    /// In words, where nothing was sent.
    async fn try_call(&self, _call: TestCall) -> Result<CallRow, String> {
        Err("the route carries no calls".to_owned())
    }

    /// The calls of a campaign that are up; a route of messages has none.
    fn live(&self, _campaign: CampaignId) -> Live {
        Live::default()
    }

    /// Ends the calls of a campaign that are up; none: of all campaigns. `words` say why in their records.
    fn hang_up(&self, _campaign: Option<CampaignId>, _words: &'static str) {}

    /// Writes nothing more of the campaign, and returns when the far end has read what was written and every message of
    /// the campaign has been reported. Of calls, no INVITE leaves any more; what was answered goes on.
    async fn fence(&self, campaign: CampaignId);
}
