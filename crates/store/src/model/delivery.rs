//! The delivery list.

use std::{fmt, str::FromStr};

pub use campaign::outcome::Place;
use campaign::{CampaignId, Outcome};
use jiff::Timestamp;
use serde::Serialize;

/// Where a page of deliveries begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// The number of the message, from 1.
    pub message: u32,
    /// The place in the audience.
    pub seq: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.message, self.seq)
    }
}

impl FromStr for Cursor {
    type Err = ();

    /// Reads a cursor back from its text.
    fn from_str(text: &str) -> Result<Self, ()> {
        let (message, seq) = text.split_once('-').ok_or(())?;
        let cursor = Self { message: message.parse().map_err(drop)?, seq: seq.parse().map_err(drop)? };
        if cursor.message > 0 && cursor.seq >= 0 { Ok(cursor) } else { Err(()) }
    }
}

impl Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// Which deliveries to list.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Only those at this place.
    pub outcome: Option<Place>,
    /// Only those of this message.
    pub message: Option<u32>,
    /// Only those that were skipped for this reason.
    pub reason: Option<String>,
    /// Only those with this command status or network error.
    pub code: Option<u32>,
    /// Only numbers that begin with these digits; if none does, numbers that contain them.
    pub number: Option<String>,
    /// Only people with a name or an e-mail address that begins with this text.
    pub name: Option<String>,
    /// Where the page begins.
    pub from: Option<Cursor>,
    /// The most places of the audience that a page looks through; none: as many as take no noticeable time.
    pub longest_walk: Option<i64>,
}

/// A line of the delivery list.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveryRow {
    /// The delivery's id within the campaign: message and place.
    pub id: Cursor,
    /// The number of the message.
    pub message: u32,
    /// The place in the audience.
    pub seq: i64,
    /// The number.
    pub number: String,
    /// Where the delivery stands.
    pub outcome: Place,
    /// Why it was skipped, if it was.
    pub reason: Option<String>,
    /// SMPP command status or network error.
    pub code: Option<u32>,
    /// The carrier's words, or ours.
    pub detail: Option<String>,
    /// The SMSC's id.
    pub provider_id: Option<String>,
    /// How many segments it had.
    pub segments: Option<u32>,
    /// How many attempts were made.
    pub attempts: u32,
    /// When it was sent.
    pub sent_at: Option<Timestamp>,
    /// When it last changed.
    pub changed_at: Option<Timestamp>,
}

/// How many deliveries did not reach anybody for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The outcome of these deliveries.
    pub outcome: Outcome,
    /// SMPP command status or network error.
    pub code: Option<u32>,
    /// The reason, in the carrier's words or ours.
    pub detail: Option<String>,
    /// How many deliveries.
    pub count: i64,
}

/// A delivery as a person's page shows it.
#[derive(Debug, Clone)]
pub struct PersonDelivery {
    /// The campaign.
    pub campaign: CampaignId,
    /// The campaign's name.
    pub name: String,
    /// The delivery.
    pub delivery: DeliveryRow,
}

/// An attempt after which the message was to be retried.
#[derive(Debug, Clone, Serialize)]
pub struct AttemptRow {
    /// When it was settled.
    pub at: Timestamp,
    /// Why it was to be retried, in the carrier's words.
    pub detail: String,
}
