//! Contacts, imports, do-not-contact lists.

use campaign::{CampaignId, Channel, ImportId, ListId, Msisdn};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a do-not-contact list bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Barred {
    /// Messages.
    Sms,
    /// Calls.
    Voice,
    /// Either.
    All,
}

impl Barred {
    /// Every kind of bar.
    pub const ALL: [Self; 3] = [Self::Sms, Self::Voice, Self::All];

    /// The word that is stored and used in the API.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sms => Channel::Sms.word(),
            Self::Voice => Channel::Voice.word(),
            Self::All => "all",
        }
    }

    /// The bar of one channel alone.
    pub const fn of(channel: Channel) -> Self {
        match channel {
            Channel::Sms => Self::Sms,
            Channel::Voice => Self::Voice,
        }
    }

    /// Whether it bars `channel`.
    pub fn covers(self, channel: Channel) -> bool {
        self == Self::All || self == Self::of(channel)
    }

    /// Reads [`Barred::word`] back.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|barred| barred.word() == word)
    }
}

/// Where the rows of an import go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportTarget {
    /// Into a contact list.
    List(ListId),
    /// Onto a do-not-contact list.
    DoNotContact(Barred),
}

/// The stage of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::EnumString, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ImportStage {
    /// The file is there and waits for a person to look at it.
    Queued,
    /// The file is being read.
    Running,
    /// The whole file was read.
    Done,
    /// The file could not be read.
    Failed,
}

impl ImportStage {
    /// The word that is stored and used in the API.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Reads [`ImportStage::word`] back.
    pub fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

/// How to read the columns of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImportPlan {
    /// Whether the first row names the columns.
    pub header: bool,
    /// The field of each column, in the file's order; none: left out. No columns: as the header says.
    pub columns: Vec<Option<String>>,
    /// The country of numbers without a country code.
    pub country: Option<String>,
    /// Where everybody in the file agreed to receive messages, unless a column tells it.
    pub consent: Option<String>,
    /// The person who imports it.
    pub by: String,
}

impl Default for ImportPlan {
    fn default() -> Self {
        Self { header: true, columns: Vec::new(), country: None, consent: None, by: String::new() }
    }
}

/// The state of an import.
#[derive(Debug, Clone, Serialize)]
pub struct ImportState {
    /// The import's id.
    pub id: ImportId,
    /// Where its rows go.
    pub into: ImportTarget,
    /// The import's stage.
    pub state: ImportStage,
    /// How many rows were read.
    pub rows: i64,
    /// How many rows were accepted.
    pub accepted: i64,
    /// How many rows were refused.
    pub rejected: i64,
    /// Why it failed.
    pub error: Option<String>,
    /// The size of the file in bytes, if one is kept until it is read.
    pub size: Option<i64>,
    /// How many bytes of the file have been read.
    pub read: i64,
    /// What was left out of accepted rows, by field and reason, the commonest first.
    pub left_out: Vec<LeftOut>,
    /// The names of the file's columns, as they are in the file.
    #[serde(skip)]
    pub header: Vec<String>,
}

/// Values that could not be read and were left out of their contacts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// The column.
    pub field: String,
    /// Why they were left out, in words.
    pub reason: String,
    /// How many values there are.
    pub count: i64,
}

/// A part of an import as it is read: stored in the order of its numbers, and counted as whole once it is all stored.
#[derive(Debug, Default)]
pub struct ImportChunk {
    /// The names of the file's columns; comes with the first part.
    pub header: Vec<String>,
    /// The accepted rows.
    pub contacts: Vec<NewContact>,
    /// The refused rows.
    pub errors: Vec<RowError>,
    /// What was left out of the accepted rows.
    pub left_out: Vec<LeftOut>,
    /// How many bytes of the file were read for this part.
    pub read: i64,
}

/// A row that an import refused.
#[derive(Debug, Clone)]
pub struct RowError {
    /// The row in the file, counting the header as 1.
    pub row: i64,
    /// The column.
    pub field: String,
    /// The refused value.
    pub value: String,
    /// What is wrong.
    pub message: String,
    /// The row as it was, in the order of the file's columns.
    pub original: Vec<String>,
}

/// A contact to store.
#[derive(Debug, Clone)]
pub struct NewContact {
    /// The number.
    pub number: Msisdn,
    /// Names of the zones, if known.
    pub zones: Option<String>,
    /// Everything else, as a JSON object of texts; `None` when empty.
    pub fields: Option<String>,
    /// The contact's consent to receive messages.
    pub consent: Option<Consent>,
}

/// A person's consent to receive messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Where it was given: a form, a call.
    pub source: String,
    /// When it was given.
    pub at: Timestamp,
    /// Who recorded it.
    pub by: String,
}

/// What is known about a number.
#[derive(Debug, Clone)]
pub struct Contact {
    /// The number.
    pub number: Msisdn,
    /// Whether it is a contact.
    pub known: bool,
    /// Its time zones, where they are known.
    pub zone: Option<String>,
    /// The fields' names and values.
    pub fields: Vec<(String, String)>,
    /// The lists it is on.
    pub lists: Vec<(ListId, String)>,
    /// The consent to receive messages, where one was recorded.
    pub consent: Option<Consent>,
    /// The do-not-contact lists it is on.
    pub suppressed: Vec<Suppressed>,
    /// The campaigns that last wrote to it, by sender.
    pub last: Vec<LastContact>,
    /// The replies from it, newest first.
    pub replies: Vec<(String, Timestamp)>,
}

impl Contact {
    /// The first and last name, as far as they are known.
    pub fn name(&self) -> Option<String> {
        let part = |name: &str| self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let name: Vec<&str> = [part("first_name"), part("last_name")].into_iter().flatten().collect();
        (!name.is_empty()).then(|| name.join(" "))
    }

    /// The fields other than the name.
    pub fn other_fields(&self) -> impl Iterator<Item = &(String, String)> {
        self.fields.iter().filter(|(name, _)| !matches!(name.as_str(), "first_name" | "last_name"))
    }
}

/// A number on a do-not-contact list.
#[derive(Debug, Clone)]
pub struct Suppressed {
    /// `sms`, `voice` or `all`.
    pub channel: String,
    /// The purpose that it holds for; empty: every purpose.
    pub purpose: String,
    /// `opted_out` or `blocked`.
    pub reason: String,
    /// Since when it is on the list.
    pub at: Timestamp,
}

/// The campaign that last wrote to a number from one sender.
#[derive(Debug, Clone)]
pub struct LastContact {
    /// The campaign.
    pub campaign: CampaignId,
    /// The campaign's name.
    pub name: String,
    /// The sender.
    pub sender: String,
    /// When it wrote.
    pub at: Timestamp,
}
