//! The delivery list.

use std::{fmt, str::FromStr};

pub use campaign::outcome::Place;
use campaign::{CampaignId, Outcome};
use jiff::Timestamp;
use serde::Serialize;

/// Where a page of deliveries begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Message, from 1.
    pub message: u32,
    /// Place in the audience.
    pub seq: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.message, self.seq)
    }
}

impl FromStr for Cursor {
    type Err = ();

    /// Reads the text back that it is shown as.
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

/// Which deliveries.
#[derive(Debug, Clone, Default)]
pub struct DeliveryFilter {
    /// Only those that stand there.
    pub outcome: Option<Place>,
    /// Only this message.
    pub message: Option<u32>,
    /// Only numbers that begin with these digits; where none does, those with these digits in them.
    pub number: Option<String>,
    /// Only people with a name or an e-mail address that begins so.
    pub name: Option<String>,
    /// From there on.
    pub from: Option<Cursor>,
    /// Places of the audience that a page looks through at most; none: as many as take no time to speak of.
    pub longest_walk: Option<i64>,
}

/// A line of the delivery list.
#[derive(Debug, Clone, Serialize)]
pub struct DeliveryRow {
    /// Its id within the campaign: message and place.
    pub id: Cursor,
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

/// How many did not get a message for the same reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What became of it.
    pub outcome: Outcome,
    /// SMPP command status or network error.
    pub code: Option<u32>,
    /// In the carrier's words, or ours.
    pub detail: Option<String>,
    /// How many.
    pub count: i64,
}

/// A delivery as one person's page shows it.
#[derive(Debug, Clone)]
pub struct PersonDelivery {
    /// The campaign.
    pub campaign: CampaignId,
    /// Its name.
    pub name: String,
    /// The delivery.
    pub delivery: DeliveryRow,
}

/// An attempt after which a message was to be tried again.
#[derive(Debug, Clone, Serialize)]
pub struct AttemptRow {
    /// When it was settled.
    pub at: Timestamp,
    /// Why it was to be tried again, in the carrier's words.
    pub detail: String,
}
