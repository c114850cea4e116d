//! Replies from phones, and what is answered to them.

use campaign::{Address, CampaignId, Msisdn, RouteId, keyword::Keyword};
use jiff::Timestamp;
use serde::Serialize;

/// A reply from a phone (MO), or a part of a long one.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The route it came on.
    pub route: RouteId,
    /// From whom.
    pub from: Address,
    /// To which of our senders.
    pub to: Address,
    /// What.
    pub text: String,
    /// Which part of a long reply this is; none for a whole one.
    pub part: Option<Part>,
}

/// Place of a part in a long reply (3GPP TS 23.040 §9.2.3.24.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Ties the parts together.
    pub reference: u16,
    /// How many there are.
    pub total: u8,
    /// Which this is, from 1.
    pub number: u8,
}

/// Which replies are asked for.
#[derive(Debug, Clone, Default)]
pub struct ReplyFilter {
    /// Of all replies, only those that answer no campaign.
    pub unmatched: bool,
    /// Only those before this one.
    pub before: Option<i64>,
    /// Only those that are no keyword but read like a refusal.
    pub refusals: bool,
}

/// A reply as stored.
#[derive(Debug, Clone, Serialize)]
pub struct ReplyRow {
    /// Its place among all replies.
    pub id: i64,
    /// The campaign that it answers; none where that sender wrote to nobody of that number.
    pub campaign_id: Option<CampaignId>,
    /// Whether there is such a campaign.
    pub matched: bool,
    /// From whom.
    pub number: String,
    /// To which sender.
    pub sender: String,
    /// What.
    pub text: String,
    /// The keyword it was: `opt_out`, `opt_in`, `help`; `refusal` where it is none but reads like a no.
    pub keyword: Option<String>,
    /// When.
    pub at: Timestamp,
    /// What was answered by itself.
    pub answer: Option<AnswerRow>,
}

/// What was answered to a reply, as stored.
#[derive(Debug, Clone, Serialize)]
pub struct AnswerRow {
    /// What.
    pub text: String,
    /// `queued`, `taken`, `sent`, `refused`, `expired` or `in_doubt`.
    pub state: String,
}

/// An answer on its way to a phone.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its id.
    pub id: i64,
    /// The route that the reply came on.
    pub route: RouteId,
    /// To whom.
    pub number: Msisdn,
    /// From which of our senders: the one that was written to.
    pub sender: String,
    /// What.
    pub text: String,
    /// Not to be written later.
    pub send_before: Timestamp,
}

/// What became of an answer.
#[derive(Debug, Clone)]
pub enum AnswerFate {
    /// The SMSC has it, with one id a segment.
    Sent(Vec<String>),
    /// The SMSC refused it, in words.
    Refused(String),
    /// Handed over, and the answer was lost: it is not sent again.
    InDoubt,
    /// Not taken: again then.
    Again(Timestamp),
}

/// What is answered to keywords, in one language. An empty text answers nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerTexts {
    /// Confirms an opt-out, once (47 CFR 64.1200(a)(12)).
    pub opt_out: String,
    /// Confirms an opt-in.
    #[serde(default)]
    pub opt_in: String,
    /// Answers HELP and INFO.
    pub help: String,
}

impl AnswerTexts {
    /// The text for a keyword; none where nothing is to be answered.
    pub fn of(&self, keyword: Keyword) -> Option<&str> {
        let text = match keyword {
            Keyword::OptOut => &self.opt_out,
            Keyword::OptIn => &self.opt_in,
            Keyword::Help => &self.help,
        };
        Some(text.trim()).filter(|text| !text.is_empty())
    }
}

/// A message that was sent to try a route.
#[derive(Debug, Clone, Serialize)]
pub struct TestSend {
    /// To whom.
    pub number: String,
    /// From which sender.
    pub sender: String,
    /// What.
    pub text: String,
    /// As [`AnswerRow::state`].
    pub state: String,
    /// What the carrier said.
    pub detail: Option<String>,
    /// When it was asked for.
    pub at: Timestamp,
}
