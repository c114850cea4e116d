//! Contacts, imports, do-not-contact lists.

use campaign::{CampaignId, ListId, Msisdn};
use jiff::Timestamp;
use serde::Serialize;

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

/// What is known of a number.
#[derive(Debug, Clone)]
pub struct Contact {
    /// The number.
    pub number: Msisdn,
    /// Whether it is a contact.
    pub known: bool,
    /// Its time zones, where they are known.
    pub zone: Option<String>,
    /// Names and values.
    pub fields: Vec<(String, String)>,
    /// The lists it is on.
    pub lists: Vec<(ListId, String)>,
    /// The do-not-contact lists it is on.
    pub suppressed: Vec<Suppressed>,
    /// Who last wrote to it, by sender.
    pub last: Vec<LastContact>,
    /// What it wrote, newest first.
    pub replies: Vec<(String, Timestamp)>,
}

/// A number on a do-not-contact list.
#[derive(Debug, Clone)]
pub struct Suppressed {
    /// `sms`, `voice` or `all`.
    pub channel: String,
    /// What it holds for; empty: for everything.
    pub purpose: String,
    /// `opted_out` or `blocked`.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
}

/// The campaign that last wrote to a number from one sender.
#[derive(Debug, Clone)]
pub struct LastContact {
    /// The campaign.
    pub campaign: CampaignId,
    /// Its name.
    pub name: String,
    /// From which sender.
    pub sender: String,
    /// When.
    pub at: Timestamp,
}
