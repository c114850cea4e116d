//! Contacts, imports, do-not-contact lists.

use campaign::{CampaignId, Channel, ImportId, ListId, Msisdn};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What nobody on a do-not-contact list gets.
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
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Sms, Self::Voice, Self::All];

    /// As stored, and as the API says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sms => Channel::Sms.word(),
            Self::Voice => Channel::Voice.word(),
            Self::All => "all",
        }
    }

    /// What bars one channel alone.
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

/// How far an import is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, strum::EnumString, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ImportStage {
    /// The file is there; a person looks at it first.
    Queued,
    /// It is read.
    Running,
    /// All of it was read.
    Done,
    /// It could not be read.
    Failed,
}

impl ImportStage {
    /// As stored, and as the API says it.
    pub fn word(self) -> &'static str {
        self.into()
    }

    /// Reads [`ImportStage::word`] back.
    pub fn from_word(word: &str) -> Option<Self> {
        word.parse().ok()
    }
}

/// How the columns of a file are to be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImportPlan {
    /// Whether the first row names the columns.
    pub header: bool,
    /// What each column is, in the file's order; none: left out. No columns: what the header says.
    pub columns: Vec<Option<String>>,
    /// Where numbers without a country code are from.
    pub country: Option<String>,
    /// Where everybody in the file agreed to be written to, unless a column says it.
    pub consent: Option<String>,
    /// Who imports it.
    pub by: String,
}

impl Default for ImportPlan {
    fn default() -> Self {
        Self { header: true, columns: Vec::new(), country: None, consent: None, by: String::new() }
    }
}

/// How an import stands.
#[derive(Debug, Clone, Serialize)]
pub struct ImportState {
    /// Its id.
    pub id: ImportId,
    /// Where its rows go.
    pub into: ImportTarget,
    /// How far it is.
    pub state: ImportStage,
    /// Rows read.
    pub rows: i64,
    /// Rows taken.
    pub accepted: i64,
    /// Rows refused.
    pub rejected: i64,
    /// Why it failed.
    pub error: Option<String>,
    /// Bytes of the file, where one is kept until it is read,
    pub size: Option<i64>,
    /// and how many of them were read.
    pub read: i64,
    /// What was left out of rows that were taken, by field and reason, the commonest first.
    pub left_out: Vec<LeftOut>,
    /// The names of the file's columns, as they stand there.
    #[serde(skip)]
    pub header: Vec<String>,
}

/// Values that could not be read and were left out of the contacts that have them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Which column.
    pub field: String,
    /// Why, in words.
    pub reason: String,
    /// How many of them.
    pub count: i64,
}

/// A part of an import, as it is read: stored in the order of its numbers, and counted as whole once all of it is.
#[derive(Debug, Default)]
pub struct ImportChunk {
    /// The names of the file's columns, with the first part.
    pub header: Vec<String>,
    /// Rows that are taken.
    pub contacts: Vec<NewContact>,
    /// Rows that are refused.
    pub errors: Vec<RowError>,
    /// What was left out of those that are taken.
    pub left_out: Vec<LeftOut>,
    /// How many bytes of the file were read with it.
    pub read: i64,
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
    /// The row as it stood, in the order of the file's columns.
    pub original: Vec<String>,
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
    /// That they agreed to be written to.
    pub consent: Option<Consent>,
}

/// That somebody agreed to be written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Where: a form, a call.
    pub source: String,
    /// When.
    pub at: Timestamp,
    /// Who noted it.
    pub by: String,
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
    /// That they agreed to be written to, where that was noted.
    pub consent: Option<Consent>,
    /// The do-not-contact lists it is on.
    pub suppressed: Vec<Suppressed>,
    /// Who last wrote to it, by sender.
    pub last: Vec<LastContact>,
    /// What it wrote, newest first.
    pub replies: Vec<(String, Timestamp)>,
}

impl Contact {
    /// First and last name, as far as they are known.
    pub fn name(&self) -> Option<String> {
        let part = |name: &str| self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let name: Vec<&str> = [part("first_name"), part("last_name")].into_iter().flatten().collect();
        (!name.is_empty()).then(|| name.join(" "))
    }

    /// The fields beside the name.
    pub fn other_fields(&self) -> impl Iterator<Item = &(String, String)> {
        self.fields.iter().filter(|(name, _)| !matches!(name.as_str(), "first_name" | "last_name"))
    }
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
