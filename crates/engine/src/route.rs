//! What the engine asks of a route, and what a route tells the engine. `sms` implements it.

use std::sync::Arc;

use campaign::{CampaignId, ClaimId, Msisdn, Sender, Tlvs};
use jiff::{SignedDuration, Timestamp};
use store::{OptOuts, Receipt, Refusal, Reply};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Whether a route can carry messages now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteState {
    /// It can.
    Connected,
    /// Not yet, or not any more; it tries by itself.
    Connecting,
    /// The far end refuses us, in its words.
    Refused(String),
}

impl RouteState {
    /// As the API says it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Connecting => "connecting",
            Self::Refused(_) => "refused",
        }
    }
}

/// What last went wrong with a connection.
#[derive(Debug, Clone)]
pub struct Trouble {
    /// When.
    pub at: Timestamp,
    /// In words.
    pub words: String,
}

/// One message, rendered.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// What its report names it by ([`Job`]).
    pub seq: i64,
    /// What the recipient sees as the origin.
    pub sender: Arc<Sender>,
    /// The recipient.
    pub number: Msisdn,
    /// The text as it is to arrive.
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
    /// Whether it is of `campaign`.
    pub fn is_of(self, campaign: CampaignId) -> bool {
        matches!(self, Self::Claim { campaign: of, .. } if of == campaign)
    }
}

/// What is handed to a route: written in this order, on one connection.
#[derive(Debug, Clone)]
pub struct Batch {
    /// What it is for.
    pub job: Job,
    /// What is not written by then goes back: the window's end, or the end of the claim's lease.
    pub send_before: Timestamp,
    /// What they are for, as opt-outs may hold for one purpose alone; empty: not said.
    pub purpose: Arc<str>,
    /// How long the SMSC may try to deliver; none: as it pleases.
    pub validity: Option<SignedDuration>,
    /// Optional parameters of each, beside those of the route.
    pub tlvs: Arc<Tlvs>,
    /// The messages.
    pub messages: Vec<Outgoing>,
}

/// How an attempt went.
#[derive(Debug, Clone)]
pub enum Attempt {
    /// The SMSC took it, with one id a segment.
    Accepted {
        /// The ids.
        provider_ids: Vec<String>,
    },
    /// The SMSC refused it.
    Refused {
        /// Whose fault.
        kind: Refusal,
        /// SMPP command status.
        status: u32,
        /// In words.
        words: String,
    },
    /// Not written: the number opted out since it was claimed.
    OptedOut,
    /// Handed over, answer lost.
    Lost {
        /// How.
        words: String,
    },
}

/// What a route tells the engine.
#[derive(Debug, Clone)]
pub enum Report {
    /// How a message went.
    Result {
        /// What it was sent for.
        job: Job,
        /// Which message of it.
        seq: i64,
        /// How it went.
        attempt: Attempt,
    },
    /// From this seq on nothing of the batch was written, nor will be.
    Unwritten {
        /// What it was for.
        job: Job,
        /// The first that was not written.
        from_seq: i64,
    },
    /// A final delivery receipt.
    Receipt(Receipt, Ack),
    /// A reply from a phone.
    Reply(Reply, Ack),
    /// The route's state changed.
    State,
}

/// Tells the far end that what it handed over is stored: it asks again for what it was never told of, so
/// nothing is lost where the program ends in between. While it lives it takes up room on its route, so that a far
/// end which hands over more than can be stored is not read from.
#[derive(Debug, Clone)]
pub struct Ack {
    to: mpsc::UnboundedSender<u32>,
    number: u32,
    _room: Option<Arc<OwnedSemaphorePermit>>,
}

impl Ack {
    /// `number` will be put to `to` once it is stored; `room` is given back then.
    pub fn new(to: mpsc::UnboundedSender<u32>, number: u32, room: Option<OwnedSemaphorePermit>) -> Self {
        Self { to, number, _room: room.map(Arc::new) }
    }

    /// Says so, once what it stands for is stored.
    pub fn stored(self) {
        // A connection that is gone asks again on the next one.
        let _ = self.to.send(self.number);
    }
}

/// Where routes put their reports. Results always get through: there are no more of them than was claimed. What a
/// far end hands over by itself is bounded by the route ([`Ack`]).
pub type Reports = mpsc::UnboundedSender<Report>;

/// How a route of the store becomes one that carries messages.
pub type Connect = Box<dyn Fn(&store::Route, Reports, OptOuts) -> Arc<dyn Route> + Send>;

/// A way out for messages.
#[async_trait::async_trait]
pub trait Route: Send + Sync {
    /// Whether it can carry messages now.
    fn state(&self) -> RouteState;

    /// Messages that were written and are not answered yet; a segment counts as one.
    fn unanswered(&self) -> u32;

    /// What last went wrong with a connection, though all may be well again.
    fn trouble(&self) -> Option<Trouble>;

    /// Takes a batch. Every message of it is reported exactly once: by a result, or by lying in the tail
    /// that was not written.
    fn submit(&self, batch: Batch);

    /// Writes nothing more of the campaign, and answers when the far end has read what was written and
    /// every message of the campaign has been reported.
    async fn fence(&self, campaign: CampaignId);
}
