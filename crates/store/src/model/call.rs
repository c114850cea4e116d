//! Calls as the engine reports them and as people see them.

use campaign::{
    AudioId, CampaignId, Msisdn, Outcome,
    outcome::Place,
    retry::{self, Called},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A call that has ended, to be stored with its delivery.
#[derive(Debug, Clone)]
pub struct CallEnded {
    /// The campaign.
    pub campaign: CampaignId,
    /// The recipient's place in the audience.
    pub seq: i64,
    /// What it came to under the rules of calling again; none where it counts for nothing: withdrawn, or the trunk's
    /// fault.
    pub counts: Option<retry::Call>,
    /// What is shown.
    pub row: CallRow,
    /// The steps that it came to, and with a branch the ways that it took on from them.
    pub steps: Vec<(String, Option<String>)>,
}

/// A call as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRow {
    /// When its INVITE left.
    pub at: Timestamp,
    /// What it came to.
    pub outcome: CallOutcome,
    /// The final SIP code, where the far end gave one other than 200.
    pub sip_code: Option<u16>,
    /// Why it ended, in words.
    pub words: String,
    /// The caller ID that the phone showed.
    pub caller_id: String,
    /// How long the phone rang.
    pub ring_seconds: Option<u32>,
    /// How long the talk was.
    pub talk_seconds: Option<u32>,
    /// The step that it was at last.
    pub last_step: Option<String>,
    /// What was entered, in order.
    pub digits: Vec<String>,
    /// Whether a message was left on a machine.
    pub message_left: bool,
    /// Its recording; none is made yet.
    pub recording: Option<String>,
    /// Whether the person opted out in it.
    pub opted_out: bool,
    /// Its time line.
    pub events: Vec<CallEvent>,
}

impl CallRow {
    /// A call of which nothing is known but when it began, what it came to and the number that it showed.
    pub const fn new(at: Timestamp, outcome: CallOutcome, caller_id: String) -> Self {
        Self {
            at,
            outcome,
            sip_code: None,
            words: String::new(),
            caller_id,
            ring_seconds: None,
            talk_seconds: None,
            last_step: None,
            digits: Vec::new(),
            message_left: false,
            recording: None,
            opted_out: false,
            events: Vec::new(),
        }
    }
}

/// A line of a call's time line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallEvent {
    /// When it happened.
    pub at: Timestamp,
    /// What happened, in words.
    pub what: String,
}

/// What one call came to: an outcome, or cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallOutcome(pub Place);

impl From<Called> for CallOutcome {
    fn from(called: Called) -> Self {
        Self(Place::Settled(called.outcome()))
    }
}

impl From<Outcome> for CallOutcome {
    fn from(outcome: Outcome) -> Self {
        Self(Place::Settled(outcome))
    }
}

impl Serialize for CallOutcome {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.0.word())
    }
}

impl<'de> Deserialize<'de> for CallOutcome {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let word = String::deserialize(d)?;
        let known = Place::from_word(&word).map(Self);
        known.ok_or_else(|| serde::de::Error::custom(format!("'{word}' is no outcome")))
    }
}

/// An opt-out by the key of a call, to be stored when it is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallOptOut {
    /// The campaign.
    pub campaign: CampaignId,
    /// The person.
    pub number: Msisdn,
}

/// Why a voice campaign could not go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignError {
    /// What happened, in words.
    pub cause: String,
    /// What exactly, in the far end's words or the system's.
    pub detail: String,
    /// When it first happened.
    pub first_at: Timestamp,
    /// When it last happened.
    pub last_at: Timestamp,
    /// How many calls it befell.
    pub calls_affected: u32,
    /// The SIP code, where there is one.
    pub sip_code: Option<u16>,
    /// The messages of an example call, numbers and credentials masked.
    pub exchange: Vec<ExchangedMessage>,
    /// What to look at.
    pub check: Vec<String>,
}

/// A message of an example call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangedMessage {
    /// When it went.
    pub at: Timestamp,
    /// Whether we sent it.
    pub sent: bool,
    /// The message.
    pub text: String,
}

/// An upload that calls play.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Audio {
    /// Its id.
    pub id: AudioId,
    /// What it is called.
    pub name: String,
    /// How long it sounds.
    pub seconds: f64,
    /// When it was uploaded.
    pub created_at: Timestamp,
}

/// How often calls came to a step, and which ways they took on from there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepCount {
    /// The step.
    pub id: String,
    /// Calls that came to it.
    pub reached: i64,
    /// Calls by the way that they took on.
    pub branches: std::collections::BTreeMap<String, i64>,
}
